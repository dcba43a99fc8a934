//! Sharing signatures: a union of files that never change.

use std::collections::BTreeMap;

use super::runs::Exchange;
use super::union::KeptOut;
use super::{ATTEMPTS, ShareError, pause_after, tracking_ref};
use crate::git::{GitError, ObjectName, PartKind, Pushed, Put, Repository};
use crate::id::{CommitId, Digest};
use crate::sign::{Place, SIGNATURES_REF};

/// How many folders lead to a signature.
const DEPTH: usize = 3;

/// How many signatures went which way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedSignatures {
    /// Those that were not here.
    pub received: usize,
    /// Those that the remote did not have.
    pub sent: usize,
    /// What was not taken in.
    pub kept_out: Vec<KeptOut>,
}

/// Brings the signatures here together with those that were fetched of the remote; and if `push`, those there with ours.
pub fn sync_signatures(exchange: &Exchange<'_>, push: bool) -> Result<SharedSignatures, ShareError> {
    let repository = &exchange.workspace.repository;
    let tracked = tracking_ref(exchange.remote, SIGNATURES_REF);
    let mut shared = SharedSignatures::default();
    for attempt in 0..ATTEMPTS {
        let (ours, theirs) = (repository.read_ref(SIGNATURES_REF)?, repository.read_ref(&tracked)?);
        let tip = match (ours, theirs) {
            (None, None) => return Ok(shared),
            (Some(ours), None) => ours,
            (ours, Some(theirs)) => {
                let union = Union::of(repository, ours.as_ref(), &theirs)?;
                let next = union.commit(exchange, ours, theirs, push)?;
                if ours != Some(next) {
                    match repository.move_ref(SIGNATURES_REF, ours.as_ref(), &next) {
                        Ok(()) => {}
                        Err(GitError::RefMoved { .. }) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                shared.received += union.added;
                shared.kept_out = union.kept_out;
                if union.tree == union.their_tree {
                    return Ok(shared);
                }
                next
            }
        };
        if !push {
            return Ok(shared);
        }
        shared.sent = count_new(repository, theirs.as_ref(), &tip)?;
        match repository.push_ref_in(exchange.remote, &tip, SIGNATURES_REF, exchange.manner)? {
            Pushed::Done => {
                repository.hold(&tracked, &tip)?;
                return Ok(shared);
            }
            Pushed::Outdated => {
                std::thread::sleep(pause_after(attempt));
                exchange.fetch()?;
            }
        }
    }
    Err(ShareError::Busy { remote: exchange.remote.to_owned(), reference: SIGNATURES_REF })
}

/// Our signatures and theirs in one tree.
struct Union {
    tree: ObjectName,
    our_tree: ObjectName,
    their_tree: ObjectName,
    /// Those that ours did not have.
    added: usize,
    kept_out: Vec<KeptOut>,
}

impl Union {
    fn of(repository: &Repository, ours: Option<&CommitId>, theirs: &CommitId) -> Result<Self, ShareError> {
        let our_tree = ours.map_or_else(|| repository.empty_tree(), |ours| repository.tree_of(ours))?;
        let their_tree = repository.tree_of(theirs)?;
        let mut union = Self { tree: our_tree, our_tree, their_tree, added: 0, kept_out: Vec::new() };
        let mut puts = Vec::new();
        union.take(repository, "", Some(our_tree), their_tree, &mut puts)?;
        union.added = puts.len();
        union.tree = repository.write_tree(&our_tree, &puts)?;
        Ok(union)
    }

    /// Takes what a folder of theirs has and ours has not.
    fn take(
        &mut self,
        repository: &Repository,
        folder: &str,
        ours: Option<ObjectName>,
        theirs: ObjectName,
        puts: &mut Vec<(String, Put)>,
    ) -> Result<(), ShareError> {
        let ours = ours.map_or_else(|| Ok(Vec::new()), |ours| repository.parts_of(&ours))?;
        let ours: BTreeMap<String, (PartKind, ObjectName)> =
            ours.into_iter().map(|part| (part.name, (part.kind, part.id))).collect();
        for part in repository.parts_of(&theirs)? {
            let own = ours.get(&part.name);
            if own.is_some_and(|(_, id)| *id == part.id) {
                continue;
            }
            let path = if folder.is_empty() { part.name } else { format!("{folder}/{}", part.name) };
            let is_file_here = own.is_some_and(|(kind, _)| *kind != PartKind::Folder);
            if part.kind == PartKind::Folder && !is_file_here && path.matches('/').count() < DEPTH {
                self.take(repository, &path, own.map(|(_, id)| *id), part.id, puts)?;
                continue;
            }
            match check(repository, &path, part.kind, &part.id)? {
                // What is here under that name is what belongs there, or `verify` says that it is not.
                Ok(()) if own.is_some() => {}
                Ok(()) => puts.push((path, Put::File(part.id))),
                Err(problem) => {
                    let path = path.chars().take(200).collect::<String>().escape_debug().to_string();
                    self.kept_out.push(KeptOut { path, problem });
                }
            }
        }
        Ok(())
    }

    /// The commit that our ref has to point to. With `push` it has theirs in its history.
    fn commit(
        &self,
        exchange: &Exchange<'_>,
        ours: Option<CommitId>,
        theirs: CommitId,
        push: bool,
    ) -> Result<CommitId, ShareError> {
        let repository = &exchange.workspace.repository;
        let parents: Vec<CommitId> = match ours {
            None if self.tree == self.their_tree => return Ok(theirs),
            None => vec![theirs],
            Some(ours) if repository.is_ancestor(&theirs, &ours)? => return Ok(ours),
            Some(ours) if self.tree == self.their_tree && repository.is_ancestor(&ours, &theirs)? => return Ok(theirs),
            // Both have the same by different ways, or theirs brings nothing: no commit is made for that alone.
            Some(ours) if self.tree == self.our_tree && (!push || self.tree == self.their_tree) => return Ok(ours),
            Some(ours) => vec![ours, theirs],
        };
        let message = format!("Merge the signatures of {}\n", exchange.remote);
        Ok(repository.write_commit(&self.tree, &parents, &message, exchange.author)?)
    }
}

/// Checks a file that comes in: its place, its size, and that it is what its name says.
fn check(
    repository: &Repository,
    path: &str,
    kind: PartKind,
    id: &ObjectName,
) -> Result<Result<(), String>, ShareError> {
    let place = Place::parse(path).filter(|_| kind == PartKind::File);
    let Some(place) = place else { return Ok(Err("this is no signature".to_owned())) };
    match repository.read_file(id, place.form.limit())? {
        None => Ok(Err("this is larger than any signature".to_owned())),
        Some(content) if Digest::of(&content) != place.digest => {
            Ok(Err("its content is not what its name says".to_owned()))
        }
        Some(_) => Ok(Ok(())),
    }
}

/// How many files a commit has that another does not have.
fn count_new(repository: &Repository, theirs: Option<&CommitId>, ours: &CommitId) -> Result<usize, ShareError> {
    let tree = |commit: Option<&CommitId>| commit.map_or_else(|| repository.empty_tree(), |id| repository.tree_of(id));
    let empty = tree(None)?;
    count(repository, theirs.map_or(Ok(empty), |theirs| tree(Some(theirs)))?, tree(Some(ours))?, 0)
}

fn count(repository: &Repository, old: ObjectName, new: ObjectName, depth: usize) -> Result<usize, ShareError> {
    let known: BTreeMap<String, ObjectName> =
        repository.parts_of(&old)?.into_iter().map(|part| (part.name, part.id)).collect();
    let mut found = 0;
    for part in repository.parts_of(&new)? {
        match (known.get(&part.name), part.kind) {
            (Some(known), _) if *known == part.id => {}
            (known, PartKind::Folder) if depth < DEPTH => {
                let old = known.map_or_else(|| repository.empty_tree(), |known| Ok(*known))?;
                found += count(repository, old, part.id, depth + 1)?;
            }
            _ => found += 1,
        }
    }
    Ok(found)
}
