//! Bringing a fetched log of runs together with the one that is here.

use std::time::Duration;

use super::union::{KeptOut, Sides, Union};
use super::{ATTEMPTS, ShareError, pause_after};
use crate::files::{FileLock, Wait};
use crate::git::{GitError, Identity, Repository};
use crate::id::CommitId;
use crate::run::RUNS_REF;
use crate::track::Workspace;
use crate::words::count;

/// How the message of a merge begins.
const SUBJECT: &str = "Merge the runs of ";

/// What a merge brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Brought {
    /// Runs that were not here.
    pub(super) added: usize,
    /// Runs that are not as they were here.
    pub(super) changed: usize,
    /// What was not taken in.
    pub(super) kept_out: Vec<KeptOut>,
}

/// A merge of a remote's log of runs into ours.
#[derive(Debug)]
pub(super) struct Merge<'m> {
    pub(super) workspace: &'m Workspace,
    pub(super) remote: &'m str,
    pub(super) author: &'m Identity,
    /// Whether our log is to have theirs in its history even where that has nothing new, as for a push.
    pub(super) whole: bool,
}

impl Merge<'_> {
    /// Merges `theirs` into `refs/ml/runs`.
    pub(super) fn of(&self, theirs: &CommitId) -> Result<Brought, ShareError> {
        let repository = &self.workspace.repository;
        // As whoever records a run: only to take turns.
        let lock = self.workspace.store.root().join("runs.lock");
        let _turn = FileLock::exclusive(&lock, Wait::UpTo(Duration::from_secs(10))).ok();
        for attempt in 0..ATTEMPTS {
            let ours = repository.read_ref(RUNS_REF)?;
            let (next, brought) = self.decide(ours.as_ref(), theirs)?;
            let Some(next) = next else { return Ok(brought) };
            match repository.move_ref(RUNS_REF, ours.as_ref(), &next) {
                Ok(()) => return Ok(brought),
                Err(GitError::RefMoved { .. }) => std::thread::sleep(pause_after(attempt)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(GitError::RefMoved { reference: RUNS_REF.to_owned() }.into())
    }

    /// The commit that the ref has to point to; none where it is right already.
    fn decide(&self, ours: Option<&CommitId>, theirs: &CommitId) -> Result<(Option<CommitId>, Brought), ShareError> {
        let repository = &self.workspace.repository;
        if let Some(ours) = ours
            && repository.is_ancestor(theirs, ours)?
        {
            return Ok((None, Brought::default()));
        }
        let base = match ours {
            Some(ours) => repository.merge_base(ours, theirs)?,
            None => None,
        };
        let union = Sides { repository, base, ours: ours.copied(), theirs: *theirs }.unite()?;
        let their_tree = repository.tree_of(theirs)?;
        let next = match ours {
            None if union.tree == their_tree => Some(*theirs),
            None => Some(self.commit(&union, &[*theirs])?),
            Some(ours) => {
                let our_tree = repository.tree_of(ours)?;
                let is_theirs = union.tree == their_tree;
                if is_theirs
                    && (base.as_ref() == Some(ours) || our_tree == their_tree && self.only_merges(ours, theirs)?)
                {
                    Some(*theirs)
                } else if union.tree == our_tree && !self.whole {
                    None
                } else {
                    Some(self.commit(&union, &[*ours, *theirs])?)
                }
            }
        };
        let Union { added, changed, kept_out, .. } = union;
        Ok((next, Brought { added, changed, kept_out }))
    }

    fn commit(&self, union: &Union, parents: &[CommitId]) -> Result<CommitId, ShareError> {
        let mut message = format!("{SUBJECT}{}\n", self.remote);
        if union.added + union.changed > 0 {
            let (added, changed) = (count(union.added as u64, "run"), count(union.changed as u64, "run"));
            message += &format!("\n{added} new, {changed} changed\n");
        }
        Ok(self.workspace.repository.write_commit(&union.tree, parents, &message, self.author)?)
    }

    /// Whether what our log has and theirs has not are merges alone, so that nothing is lost without them.
    fn only_merges(&self, ours: &CommitId, theirs: &CommitId) -> Result<bool, ShareError> {
        let repository: &Repository = &self.workspace.repository;
        for commit in repository.reachable(&[*ours], &[*theirs])? {
            if !repository.commit(&commit)?.message.starts_with(SUBJECT) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
