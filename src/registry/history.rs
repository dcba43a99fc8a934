//! The history of the registry, which merges make a graph.
//!
//! A merge may give a version another number, since two clones had given the same one. What an event of before says is
//! told by the names of now. Only the trailers of a merge say which number became which, and they are believed only where
//! the other side of the merge had that number too.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::rc::Rc;

use crate::git::{CommitInfo, Repository};
use crate::id::CommitId;

use super::about;
use super::events::{self, EventKind, Told};
use super::tree::{MAX_FILE, Tree, alias_path, version_path};
use super::version::parse_alias;
use super::{ModelAbout, RegistryError};

/// What the names and numbers in a commit are called now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Models that have another name now; none for those that are gone without one.
    models: BTreeMap<String, Option<String>>,
    /// Versions that have another number now, by the model's name then.
    versions: BTreeMap<(String, u64), u64>,
}

impl Names {
    /// What a model is called now; none where it is gone and another one has its name.
    pub(super) fn model<'n>(&'n self, then: &'n str) -> Option<&'n str> {
        match self.models.get(then) {
            Some(now) => now.as_deref(),
            None => Some(then),
        }
    }

    /// The number of a version now.
    pub(super) fn version(&self, model_then: &str, then: u64) -> u64 {
        if self.versions.is_empty() {
            return then;
        }
        self.versions.get(&(model_then.to_owned(), then)).copied().unwrap_or(then)
    }

    /// The names before a model was renamed.
    fn before_rename(&self, from: &str, to: &str) -> Self {
        let mut before = self.clone();
        let now = self.model(to).map(str::to_owned);
        before.models.insert(to.to_owned(), None);
        before.models.insert(from.to_owned(), now);
        let moved = self.versions.iter().filter(|((model, _), _)| model == to);
        let moved: Vec<_> = moved.map(|((_, then), now)| ((from.to_owned(), *then), *now)).collect();
        before.versions.extend(moved);
        before
    }

    /// The names on the side of a merge whose versions got other numbers.
    fn before_merge(&self, renumbered: &[Renumbered]) -> Self {
        let mut before = self.clone();
        for Renumbered { model, from, to } in renumbered {
            before.versions.insert((model.clone(), *from), self.version(model, *to));
        }
        before
    }
}

/// A version that a merge gave another number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renumbered {
    /// The model.
    pub model: String,
    /// Its number on the side that came in.
    pub from: u64,
    /// Its number since.
    pub to: u64,
}

/// All commits of a history, newest first and none before what was made on top of it, with the names of their time.
pub(super) fn steps(repository: &Repository, tip: &CommitId) -> Result<Vec<(CommitInfo, Rc<Names>)>, RegistryError> {
    let mut commits: HashMap<CommitId, CommitInfo> =
        repository.ancestry(tip)?.into_iter().map(|commit| (commit.id, commit)).collect();
    let mut children: HashMap<CommitId, usize> = HashMap::new();
    for parent in commits.values().flat_map(|commit| &commit.parents) {
        *children.entry(*parent).or_default() += 1;
    }
    let mut names: HashMap<CommitId, Rc<Names>> = HashMap::from([(*tip, Rc::default())]);
    let mut ready = BinaryHeap::new();
    ready.extend(commits.get(tip).map(|commit| (commit.time, *tip)));
    let mut steps = Vec::with_capacity(commits.len());
    while let Some((_, id)) = ready.pop() {
        let Some(commit) = commits.remove(&id) else { continue };
        let own = names.remove(&id).unwrap_or_default();
        for (index, parent) in commit.parents.iter().enumerate() {
            let theirs = names_of_parent(repository, &commit, index, &own)?;
            match names.get_mut(parent) {
                // What two sides have in common was there before any of them was renumbered.
                Some(known) if known.versions.len() <= theirs.versions.len() => {}
                Some(known) => *known = theirs,
                None => drop(names.insert(*parent, theirs)),
            }
            let left = children.get_mut(parent);
            let is_ready = left.is_none_or(|left| {
                *left -= 1;
                *left == 0
            });
            if let Some(found) = commits.get(parent).filter(|_| is_ready) {
                ready.push((found.time, *parent));
            }
        }
        steps.push((commit, own));
    }
    Ok(steps)
}

/// The names in a parent of a commit that has these.
pub(super) fn names_of_parent(
    repository: &Repository,
    commit: &CommitInfo,
    parent: usize,
    own: &Rc<Names>,
) -> Result<Rc<Names>, RegistryError> {
    if parent > 0 {
        let renumbered = renumbered_by(repository, commit)?;
        return Ok(if renumbered.is_empty() { Rc::clone(own) } else { Rc::new(own.before_merge(&renumbered)) });
    }
    match events::rename_in(commit) {
        Some((from, to)) => Ok(Rc::new(own.before_rename(&from, &to))),
        None => Ok(Rc::clone(own)),
    }
}

/// The versions that a merge renumbered, as far as that can be true: the other side had the number, or had given it.
pub(super) fn renumbered_by(repository: &Repository, commit: &CommitInfo) -> Result<Vec<Renumbered>, RegistryError> {
    let Some(first) = commit.parents.first().filter(|_| commit.parents.len() > 1) else { return Ok(Vec::new()) };
    let mut believed: Vec<Renumbered> = Vec::new();
    for one in events::renumbered_in(commit) {
        let is_taken = believed.iter().any(|other| other.model == one.model && other.to == one.from)
            || repository.read_at(first, &version_path(&one.model, one.from), MAX_FILE)?.is_some()
            || removed_at(repository, first, &one.model)?.contains(&one.from);
        if is_taken {
            believed.push(one);
        }
    }
    Ok(believed)
}

fn removed_at(repository: &Repository, commit: &CommitId, model: &str) -> Result<Vec<u64>, RegistryError> {
    let bytes = repository.read_at(commit, &about::model_path(model), MAX_FILE)?;
    let about = bytes.and_then(|bytes| about::parse::<ModelAbout>(&bytes).ok());
    Ok(about.unwrap_or_default().removed)
}

/// What happened, newest first.
pub(super) fn events(tree: &Tree<'_>) -> Result<Vec<Told>, RegistryError> {
    let steps = steps(tree.repository, &tree.tip)?;
    Ok(steps.into_iter().flat_map(|(commit, names)| events::parse(commit, &names)).collect())
}

/// Where an alias that points to `now` pointed before its last move, among the versions that `is_there`.
///
/// The history is followed from the tip on no further than needed. A move says what was there before it; a rollback undoes
/// the move before it, so both are passed over. At a merge the side is followed that the alias was taken from.
pub(super) fn before(
    tree: &Tree<'_>,
    model: &str,
    alias: &str,
    now: u64,
    is_there: &dyn Fn(u64) -> bool,
) -> Result<Option<u64>, RegistryError> {
    let repository = tree.repository;
    let mut names: Rc<Names> = Rc::default();
    let mut next = Some(tree.tip);
    let mut model = model.to_owned();
    let (mut undone, mut is_first) = (0_u64, true);
    while let Some(id) = next {
        let commit = repository.commit(&id)?;
        let mut parent = 0;
        if commit.parents.len() > 1 {
            parent = side_of(repository, &commit, &model, alias, &names)?;
        } else if let Some(event) = events::parse_plain(&commit).filter(|event| event.model == model) {
            if let (EventKind::Rename, Some(from)) = (event.kind, &event.renamed_from) {
                model = from.clone();
            }
            // As the commit itself has it: the model's name is that of then.
            let number = |version: Option<u64>| version.map(|version| names.version(&event.model, version));
            if event.alias.as_deref() == Some(alias) {
                let target = number(event.version);
                if is_first && target != Some(now) {
                    // Somebody moved it past the registry, so the last event is what was before.
                    return Ok(target.filter(|target| is_there(*target)));
                }
                is_first = false;
                match event.kind {
                    EventKind::Unalias => return Ok(None),
                    EventKind::Rollback => undone += 1,
                    _ if undone > 0 => undone -= 1,
                    _ => match number(event.previous) {
                        None => return Ok(None),
                        Some(previous) if is_there(previous) && previous != now => return Ok(Some(previous)),
                        // What is gone cannot be gone back to; what was before that can.
                        Some(_) => {}
                    },
                }
            }
        }
        names = names_of_parent(repository, &commit, parent, &names)?;
        next = commit.parents.get(parent).copied();
    }
    Ok(None)
}

/// The parent of a merge from which an alias was taken.
fn side_of(
    repository: &Repository,
    merge: &CommitInfo,
    model: &str,
    alias: &str,
    names: &Rc<Names>,
) -> Result<usize, RegistryError> {
    let at = |commit: &CommitId| -> Result<Option<u64>, RegistryError> {
        let bytes = repository.read_at(commit, &alias_path(model, alias), MAX_FILE)?;
        Ok(bytes.as_deref().and_then(parse_alias))
    };
    let now = at(&merge.id)?.map(|version| names.version(model, version));
    for (index, parent) in merge.parents.iter().enumerate() {
        let names = if index == 0 { Rc::clone(names) } else { names_of_parent(repository, merge, index, names)? };
        if at(parent)?.map(|version| names.version(model, version)) == now {
            return Ok(index);
        }
    }
    Ok(0)
}
