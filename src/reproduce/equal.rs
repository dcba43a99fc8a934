//! Finding the run that was run already.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::RelPath;
use crate::git::{GitError, Repository};
use crate::id::{ArtifactId, CommitId};
use crate::run::{Run, RunStatus};

/// What a run has to be like.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The commit whose code it has to have run, without changes.
    pub commit: CommitId,
    /// The recipe's name; none for a command of its own.
    pub experiment: Option<String>,
    /// The command; none where the recipe and its parameters say all.
    pub command: Option<Vec<String>>,
    /// Its parameters.
    pub params: BTreeMap<String, String>,
    /// What it has to have read.
    pub inputs: BTreeSet<(RelPath, ArtifactId)>,
}

/// The first of `runs` that is like that and came to its end, by itself.
pub fn equal_run<'r>(repository: &Repository, runs: &'r [Run], wanted: &Wanted) -> Result<Option<&'r Run>, GitError> {
    let tree = repository.tree_of(&wanted.commit)?;
    for run in runs.iter().filter(|run| is_like(run, wanted)) {
        let Some(code) = run.snapshot.filter(|_| !run.dirty) else { continue };
        // Another commit may have the same code, as after a rebase.
        if code == wanted.commit || repository.has_commit(&code) && repository.tree_of(&code)? == tree {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

fn is_like(run: &Run, wanted: &Wanted) -> bool {
    let inputs = || run.inputs.iter().map(|input| (input.path.clone(), input.id)).collect::<BTreeSet<_>>();
    let has_params = || wanted.params.iter().all(|(name, value)| run.params.get(name) == Some(value));
    matches!(run.status, RunStatus::Finished | RunStatus::Failed)
        && run.removed.is_none()
        && run.experiment == wanted.experiment
        && wanted.command.as_ref().is_none_or(|command| *command == run.command)
        && has_params()
        && inputs() == wanted.inputs
}
