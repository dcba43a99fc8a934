//! Which runs belong to a branch, and which run of its base each is compared with.
//!
//! A run belongs to a branch if its code does: it ran on a commit of the branch, or on the same files as one of them. So
//! the run that was made before the commit was, and one whose commit a rebase replaced, belong too.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ReportError;
use crate::git::{ObjectName, Repository};
use crate::id::{CommitId, RunId};
use crate::run::{Run, RunStatus};

/// Commits of a branch whose files are looked at.
const MAX_TREES: usize = 1000;
/// Commits of the base, from where the branch left it, whose files are looked at.
const MAX_BASE_TREES: usize = 200;

/// How the code of a run stands to a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the branch's newest.
    Newest,
    /// It is so many commits older.
    Older(usize),
    /// It is a commit of the branch, or an older one, with changes that no commit of the branch has.
    Uncommitted,
    /// It is not the branch's.
    Elsewhere,
}

/// The commits that a branch has of its own.
#[derive(Debug)]
pub(super) struct Branch<'r> {
    repository: &'r Repository,
    /// The newest commit.
    pub(super) tip: CommitId,
    /// Where the branch left what it is compared with.
    pub(super) base: CommitId,
    /// Newest first.
    pub(super) commits: Vec<CommitId>,
    places: HashMap<CommitId, usize>,
    trees: HashMap<ObjectName, usize>,
}

/// Where a run's code is among commits: how many before the newest, and whether it is exactly that commit's.
type Place = (usize, bool);

impl<'r> Branch<'r> {
    /// The commits of HEAD that `revision` does not have.
    pub(super) fn find(repository: &'r Repository, revision: &str) -> Result<Self, ReportError> {
        let other = repository.resolve(revision)?;
        let head = repository.resolve("HEAD")?;
        let nothing_in_common = || ReportError::NothingInCommon {
            revision: revision.to_owned(),
            is_shallow: repository.common_dir().join("shallow").exists(),
        };
        // A forge checks out the merge that a pull request would make. Nobody ran anything on it.
        let tip = match repository.commit(&head)?.parents[..] {
            [into, from] if repository.is_ancestor(&into, &other)? => from,
            _ => head,
        };
        let base = repository.merge_base(&other, &tip)?.ok_or_else(nothing_in_common)?;
        let mut commits = repository.reachable(&[tip], &[other])?;
        let count = commits.len();
        if commits.is_empty() {
            // Nothing of its own: then it is about this code.
            commits.push(tip);
        }
        let places = commits.iter().enumerate().map(|(place, commit)| (*commit, place)).collect();
        // A branch that takes all back ends with the files of its base. Runs on those are the base's.
        let base_tree = repository.tree_of(&base)?;
        let mut trees = HashMap::new();
        for (place, commit) in commits.iter().enumerate().take(MAX_TREES) {
            let tree = repository.tree_of(commit)?;
            if tree != base_tree || count == 0 {
                trees.entry(tree).or_insert(place);
            }
        }
        commits.truncate(count);
        Ok(Self { repository, tip, base, commits, places, trees })
    }

    /// Whether it is a commit of the branch.
    pub(super) fn holds(&self, commit: &CommitId) -> bool {
        self.places.contains_key(commit)
    }

    /// The runs that belong to the branch, each with where its code is, in the given order.
    pub(super) fn runs(&self, all: &[Run]) -> Vec<(Run, Place)> {
        all.iter().filter_map(|run| Some((run.clone(), self.place_of(run)?))).collect()
    }

    fn place_of(&self, run: &Run) -> Option<Place> {
        place_of(self.repository, &self.places, &self.trees, run)
    }

    pub(super) fn standing(&self, run: &Run) -> Standing {
        match self.place_of(run) {
            Some((0, true)) => Standing::Newest,
            Some((older, true)) => Standing::Older(older),
            Some((_, false)) => Standing::Uncommitted,
            None if run.dirty && run.commit == Some(self.base) => Standing::Uncommitted,
            None => Standing::Elsewhere,
        }
    }
}

/// Where a run's code is: by its commit where it had no changes, by the files where it had some or the commit is another
/// now, else as changes on top of a commit.
fn place_of(
    repository: &Repository,
    places: &HashMap<CommitId, usize>,
    trees: &HashMap<ObjectName, usize>,
    run: &Run,
) -> Option<Place> {
    let by_commit = || run.commit.and_then(|commit| places.get(&commit).copied());
    if !run.dirty
        && let Some(place) = by_commit()
    {
        return Some((place, true));
    }
    // The code of a run that was shared without it is not here, and what came from others may name anything.
    let tree = run.snapshot.and_then(|snapshot| repository.tree_of(&snapshot).ok());
    let by_files = tree.and_then(|tree| trees.get(&tree).copied());
    by_files.map(|place| (place, true)).or_else(|| by_commit().map(|place| (place, false)))
}

/// What leads up to where a branch begins.
#[derive(Debug)]
pub(super) struct History {
    places: HashMap<CommitId, usize>,
    trees: HashMap<ObjectName, usize>,
}

impl History {
    pub(super) fn of(repository: &Repository, base: CommitId) -> Result<Self, ReportError> {
        let commits = repository.reachable(&[base], &[])?;
        let mut trees = HashMap::new();
        for (place, commit) in commits.iter().enumerate().take(MAX_BASE_TREES) {
            // In a shallow clone the oldest commit is whole as well.
            trees.entry(repository.tree_of(commit)?).or_insert(place);
        }
        Ok(Self { places: commits.into_iter().enumerate().map(|(place, commit)| (commit, place)).collect(), trees })
    }

    /// The run that `run` is compared with: of those of the same experiment that finished, one on the newest commit; of
    /// several on it, the one with the fewest other parameters, then the newest. Changes that are in no commit do not
    /// count: they are not the base's.
    pub(super) fn base_for(
        &self,
        repository: &Repository,
        run: &Run,
        all: &[Run],
        excluded: &BTreeSet<RunId>,
    ) -> Option<Run> {
        let wanted = title(run);
        let is_candidate = |other: &&Run| {
            other.id != run.id
                && other.status == RunStatus::Finished
                && !excluded.contains(&other.id)
                && title(other) == wanted
        };
        let placed = all.iter().filter(is_candidate).filter_map(|other| {
            let (place, is_exact) = place_of(repository, &self.places, &self.trees, other)?;
            is_exact.then_some((place, other))
        });
        let differing = |other: &Run| super::measure::params(other, Some(run)).len();
        placed
            .min_by_key(|(place, other)| (*place, differing(other), Reverse((other.started, other.id))))
            .map(|(_, other)| other.clone())
    }
}

/// The run that counts for each experiment, with the others of the branch: one that finished, on the newest commit that
/// has one, and of several the newest. In the order of the experiments' names.
pub(super) fn by_experiment(own: &[(Run, Place)]) -> Vec<(Run, Vec<Run>)> {
    let mut groups: BTreeMap<String, Vec<&(Run, Place)>> = BTreeMap::new();
    for placed in own {
        groups.entry(title(&placed.0)).or_default().push(placed);
    }
    let mut chosen = Vec::new();
    for mut group in groups.into_values() {
        group.sort_by_key(|(run, (place, is_exact))| {
            (run.status != RunStatus::Finished, *place, !is_exact, Reverse((run.started, run.id)))
        });
        let mut runs = group.into_iter().map(|(run, _)| run.clone());
        let Some(first) = runs.next() else { continue };
        let mut others: Vec<Run> = runs.collect();
        others.sort_by_key(|run| Reverse((run.started, run.id)));
        chosen.push((first, others));
    }
    chosen
}

/// What runs of one kind share: the experiment, or the program with its script.
pub(super) fn title(run: &Run) -> String {
    if let Some(experiment) = &run.experiment {
        return experiment.clone();
    }
    // `python -m train --lr 0.1` is `python -m train`: what comes after the first word that is no option may differ.
    let mut words = run.command.iter();
    let mut title: Vec<&str> = words.next().map(String::as_str).into_iter().collect();
    for word in words {
        title.push(word);
        if !word.starts_with('-') {
            break;
        }
    }
    title.join(" ")
}
