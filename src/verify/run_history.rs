//! The history of the runs: a run that is recorded stays, and is what it was.

use rayon::prelude::*;

use crate::git::{CommitInfo, GitError};
use crate::id::{CommitId, RunId};
use crate::run::{RECORD_NAME, RUNS_REF, Run, RunStatus, file_limit};
use crate::words::error_in_a_line;

use super::{Code, Depth, Finding, Inspection};

/// The message of commits that bring the runs of a clone in line with those of another.
const IN_LINE: &str = "Change the records of runs";

impl Inspection<'_> {
    /// Compares each commit of the runs' ref with the one before, down to one that was found without fault.
    pub(super) fn check_run_history(&mut self, tip: &CommitId) {
        let known = self.memory.run_history.filter(|_| self.depth != Depth::Everything);
        let repository = &self.workspace.repository;
        let commits = match repository.first_parents_since(tip, known.as_ref()) {
            Ok(commits) => commits,
            Err(error) => return self.unreadable_ref(RUNS_REF, &error_in_a_line(&error)),
        };
        let this = &*self;
        let found: Result<Vec<Vec<Finding>>, GitError> =
            commits.par_iter().map(|commit| this.check_step(tip, commit)).collect();
        match found {
            Ok(found) => {
                let findings: Vec<Finding> = found.into_iter().flatten().collect();
                self.memory.run_history = findings.is_empty().then_some(*tip);
                self.findings.extend(findings);
            }
            Err(error) => self.unreadable_ref(RUNS_REF, &error_in_a_line(&error)),
        }
    }

    /// What a commit did to runs that were recorded before.
    fn check_step(&self, tip: &CommitId, commit: &CommitInfo) -> Result<Vec<Finding>, GitError> {
        let repository = &self.workspace.repository;
        // Beyond a shallow clone's depth there is nothing to compare with.
        let Some(parent) = commit.parents.first().filter(|parent| repository.has_commit(parent)) else {
            return Ok(Vec::new());
        };
        let mut findings = Vec::new();
        for path in repository.changed_between(parent, &commit.id, RECORD_NAME)? {
            let Some(run_id) = path.split('/').rev().nth(1).and_then(|id| id.parse::<RunId>().ok()) else { continue };
            let limit = file_limit(RECORD_NAME).unwrap_or_default();
            let Some(before) = repository.read_at(parent, &path, limit)? else { continue };
            // What cannot be read is reported as that, where it still counts.
            let Ok(before) = Run::from_record(&before, &run_id) else { continue };
            let who = format!("commit {} by {}", commit.id.short(), commit.author);
            let Some(after) = repository.read_at(&commit.id, &path, limit)? else {
                if repository.read_at(tip, &path, limit)?.is_none() {
                    let message = format!("run {} was recorded and is gone since {who}", before.name);
                    findings.push(finding(Code::RemovedRun, &run_id, message, parent));
                }
                continue;
            };
            let Ok(after) = Run::from_record(&after, &run_id) else { continue };
            if let Some(what) = rewritten(&before, &after, commit) {
                let message = format!("{what} of run {} is not what was recorded first, since {who}", before.name);
                findings.push(finding(Code::RewrittenRun, &run_id, message, parent));
            }
        }
        Ok(findings)
    }
}

fn finding(code: Code, run_id: &RunId, message: String, parent: &CommitId) -> Finding {
    let hint = format!(
        "`git show {}:{}/{RECORD_NAME}` shows what was recorded; fetch {RUNS_REF} from a clone where it is right",
        parent.short(),
        crate::run::folder_in_tree(run_id)
    );
    Finding::new(code, format!("run:{run_id}"), message, hint)
}

/// What of a run changed that never does, or that no change of ours made.
fn rewritten(before: &Run, after: &Run, commit: &CommitInfo) -> Option<&'static str> {
    let is_settled = |before: &Run| before.snapshot.is_some() || !before.command.is_empty();
    if is_settled(before) && !after.has_the_beginning_of(before) {
        return Some("the beginning");
    }
    // A merge takes from both sides; a client may open a run again, and that is told by the run's id in the message.
    let is_ours = commit.parents.len() > 1
        || commit.message.contains(&before.id.to_string())
        || commit.message.trim_end() == IN_LINE;
    if is_ours || before.status == RunStatus::Running {
        return None;
    }
    let is_other = |what, is_other: bool| is_other.then_some(what);
    is_other("the output", before.outputs != after.outputs)
        .or(is_other("the input", before.inputs != after.inputs))
        .or(is_other("a metric", format!("{:?}", before.metrics) != format!("{:?}", after.metrics)))
        .or(is_other("a parameter", before.params != after.params))
        .or(is_other("the end", (before.exit_code, before.ended) != (after.exit_code, after.ended)))
}
