//! Fetching and pushing `refs/ml/runs`.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::merge::{Brought, Merge};
use super::union::{KeptOut, record_in, run_folders};
use super::{ATTEMPTS, ShareError, fetched_refs, pause_after, tracking_ref};
use crate::git::{Identity, Manner, ObjectName, Pushed, Put, Repository};
use crate::id::{CommitId, RunId};
use crate::run::{RUNS_REF, Run, folder_in_tree};
use crate::track::Workspace;

/// The message of the commit that a log of runs begins with.
const BEGINNING: &str = "Begin the log of runs\n";

/// An exchange of runs with a git remote.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'e> {
    /// The repository.
    pub workspace: &'e Workspace,
    /// The git remote.
    pub remote: &'e str,
    /// Who merges.
    pub author: &'e Identity,
    /// Whether the user is at hand.
    pub manner: Manner,
}

/// What came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Runs that were not here.
    pub added: usize,
    /// Runs that are not as they were here.
    pub changed: usize,
    /// What was not taken in.
    pub kept_out: Vec<KeptOut>,
}

/// What went out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Runs that the remote did not have as they are here.
    pub runs: usize,
    /// Runs whose code is not committed and went with them.
    pub with_code: usize,
    /// Runs whose code is not committed and stayed here.
    pub without_code: usize,
}

/// Asked whether code that is not committed may be shared: the number of runs that have such code, and whether there is
/// anything else to send.
pub type Decide<'d> = &'d mut dyn FnMut(usize, bool) -> Result<bool, ShareError>;

/// Fetches the runs and the registry of the remote, and merges its runs into ours.
pub fn fetch(exchange: &Exchange<'_>) -> Result<Received, ShareError> {
    let mut received = Received::default();
    if let Some(theirs) = exchange.fetch()? {
        received.add(exchange.merge(false).of(&theirs)?);
    }
    Ok(received)
}

/// Fetches and merges what the remote has, then pushes our runs.
pub fn push(exchange: &Exchange<'_>, decide: Decide<'_>) -> Result<(Received, Sent), ShareError> {
    let repository = &exchange.workspace.repository;
    let mut received = Received::default();
    let mut decision = None;
    for attempt in 0..ATTEMPTS {
        let theirs = exchange.fetch()?;
        if let Some(theirs) = &theirs {
            received.add(exchange.merge(false).of(theirs)?);
        }
        let (tip, sent) = loop {
            let Some(ours) = repository.read_ref(RUNS_REF)? else { return Ok((received, Sent::default())) };
            let plan = Plan::new(exchange, ours, theirs)?;
            let with_code = match (plan.uncommitted, decision) {
                (0, _) => true,
                (_, Some(decision)) => decision,
                (uncommitted, None) => *decision.insert(decide(uncommitted, plan.has_news())?),
            };
            // Code that stayed here before and may go now goes, even where there is nothing else to send.
            if !plan.has_news() && (!with_code || plan.uncommitted == 0) {
                return Ok((received, Sent::default()));
            }
            if !with_code {
                break plan.without_code(exchange)?;
            }
            match &theirs {
                // A run may be recorded meanwhile, and its code has to be asked for too: so it is planned anew.
                Some(theirs) if !repository.is_ancestor(theirs, &ours)? => {
                    exchange.merge(true).of(theirs)?;
                }
                _ => break (ours, plan.with_code(exchange)?),
            }
        };
        match repository.push_ref_in(exchange.remote, &tip, RUNS_REF, exchange.manner)? {
            Pushed::Done => {
                repository.hold(&tracking_ref(exchange.remote, RUNS_REF), &tip)?;
                // What was shared becomes a part of our log, so that the next merge knows what both have.
                exchange.merge(true).of(&tip)?;
                return Ok((received, sent));
            }
            Pushed::Outdated => std::thread::sleep(pause_after(attempt)),
        }
    }
    Err(ShareError::Busy { remote: exchange.remote.to_owned(), reference: RUNS_REF })
}

impl<'e> Exchange<'e> {
    /// Fetches the remote's refs: its log of runs.
    pub(super) fn fetch(&self) -> Result<Option<CommitId>, ShareError> {
        let repository = &self.workspace.repository;
        let refs = fetched_refs(self.remote);
        let pairs: Vec<(&str, &str)> = refs.iter().map(|(theirs, ours)| (*theirs, ours.as_str())).collect();
        repository.fetch_refs(self.remote, &pairs, self.manner)?;
        Ok(repository.read_ref(&tracking_ref(self.remote, RUNS_REF))?)
    }

    fn merge(&self, whole: bool) -> Merge<'e> {
        Merge { workspace: self.workspace, remote: self.remote, author: self.author, whole }
    }
}

impl Received {
    fn add(&mut self, brought: Brought) {
        self.added += brought.added;
        self.changed += brought.changed;
        for kept_out in brought.kept_out {
            if !self.kept_out.contains(&kept_out) {
                self.kept_out.push(kept_out);
            }
        }
    }
}

/// What is to be pushed.
struct Plan {
    theirs: Option<CommitId>,
    /// The trees of both, ours having all of theirs.
    our_tree: ObjectName,
    their_tree: Option<ObjectName>,
    /// Runs whose snapshots hold code that is not committed and that pushing our log would send.
    uncommitted: usize,
}

impl Plan {
    fn new(exchange: &Exchange<'_>, ours: CommitId, theirs: Option<CommitId>) -> Result<Self, ShareError> {
        let repository = &exchange.workspace.repository;
        let our_tree = repository.tree_of(&ours)?;
        let their_tree = theirs.as_ref().map(|theirs| repository.tree_of(theirs)).transpose()?;
        let hidden: Vec<CommitId> = theirs.into_iter().collect();
        let unsent: BTreeSet<CommitId> = repository.reachable(&[ours], &hidden)?.into_iter().collect();
        let uncommitted = match unsent.is_empty() {
            true => 0,
            false => uncommitted_code(repository, &our_tree)?.iter().filter(|code| unsent.contains(code)).count(),
        };
        Ok(Self { theirs, our_tree, their_tree, uncommitted })
    }

    /// Whether the remote lacks anything of our tree.
    fn has_news(&self) -> bool {
        self.their_tree != Some(self.our_tree)
    }

    /// The runs of the remote, and ours that it does not have like this.
    fn unknown(&self, repository: &Repository) -> Result<[BTreeMap<RunId, ObjectName>; 2], ShareError> {
        let known = match &self.their_tree {
            Some(tree) => run_folders(repository, tree)?,
            None => BTreeMap::new(),
        };
        let mut unknown = run_folders(repository, &self.our_tree)?;
        unknown.retain(|run_id, folder| known.get(run_id) != Some(folder));
        Ok([known, unknown])
    }

    /// What our own log brings to the remote.
    fn with_code(&self, exchange: &Exchange<'_>) -> Result<Sent, ShareError> {
        let [_, unknown] = self.unknown(&exchange.workspace.repository)?;
        Ok(Sent { runs: unknown.len(), with_code: self.uncommitted, without_code: 0 })
    }

    /// The tip of a log without the code that is not committed, and what it brings to the remote.
    fn without_code(&self, exchange: &Exchange<'_>) -> Result<(CommitId, Sent), ShareError> {
        let repository = &exchange.workspace.repository;
        let [known, mut unknown] = self.unknown(repository)?;
        let sent = Sent { runs: unknown.len(), with_code: 0, without_code: self.uncommitted };
        unknown.retain(|run_id, _| !known.contains_key(run_id));
        let line = SharedLine { repository, author: exchange.author };
        Ok((line.extend(self.theirs, &unknown, &self.our_tree)?, sent))
    }
}

/// The snapshots of runs that hold code that is not committed.
fn uncommitted_code(repository: &Repository, tree: &ObjectName) -> Result<Vec<CommitId>, ShareError> {
    let folders: Vec<(RunId, ObjectName)> = run_folders(repository, tree)?.into_iter().collect();
    // A record that cannot be read has no snapshot that anybody could know of.
    let code = folders.par_iter().filter_map(|(run_id, folder)| {
        let run = record_in(repository, run_id, folder).ok()?;
        run.snapshot.filter(|_| run.dirty)
    });
    Ok(code.collect())
}

/// A log of runs without the code that is not committed: what is pushed where that stays here.
///
/// It grows on the remote's own log, a commit for each new run as ours has it, but where a run had changes on top of a
/// commit, that commit stands for its code.
pub(super) struct SharedLine<'l> {
    pub(super) repository: &'l Repository,
    pub(super) author: &'l Identity,
}

impl SharedLine<'_> {
    /// Adds these runs on top of a tip, then whatever else `tree` has.
    fn extend(
        &self,
        tip: Option<CommitId>,
        runs: &BTreeMap<RunId, ObjectName>,
        tree: &ObjectName,
    ) -> Result<CommitId, ShareError> {
        let mut tip = self.begin(tip)?;
        let mut last = self.repository.tree_of(&tip)?;
        for (run_id, folder) in runs {
            // What cannot be read comes with the rest.
            let Ok(run) = record_in(self.repository, run_id, folder) else { continue };
            last = self.repository.write_tree(&last, &[(folder_in_tree(run_id), Put::Folder(*folder))])?;
            tip = self.add(tip, &last, &run, false)?;
        }
        if last != *tree {
            tip = self.repository.write_commit(tree, &[tip], "Change the records of runs\n", self.author)?;
        }
        Ok(tip)
    }

    /// The tip, or the empty commit that a log of runs begins with.
    pub(super) fn begin(&self, tip: Option<CommitId>) -> Result<CommitId, ShareError> {
        match tip {
            Some(tip) => Ok(tip),
            None => {
                let tree = self.repository.empty_tree()?;
                Ok(self.repository.write_commit(&tree, &[], BEGINNING, self.author)?)
            }
        }
    }

    /// The commit that records a run on top of a tip; its code goes along as far as it may.
    pub(super) fn add(
        &self,
        tip: CommitId,
        tree: &ObjectName,
        run: &Run,
        with_code: bool,
    ) -> Result<CommitId, ShareError> {
        let code = if run.dirty && !with_code { run.commit } else { run.snapshot };
        let code = code.filter(|code| self.repository.has_commit(code));
        let parents: Vec<CommitId> = [tip].into_iter().chain(code).collect();
        Ok(self.repository.write_commit(tree, &parents, &run.log_message(), self.author)?)
    }
}
