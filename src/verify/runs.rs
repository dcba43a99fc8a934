//! Runs: their records, snapshots, series and logs.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;

use crate::id::{CommitId, RunId};
use crate::run::{RUNS_REF, Run, RunError, RunStatus, Runs};

use super::{Claim, Code, Finding, Inspection, Role, Severity};
use crate::words::error_in_a_line;

/// How much of a run's log is read.
const LOG_SAMPLE: u64 = 64 * 1024;

impl Inspection<'_> {
    /// Checks every run, and returns those that can be read.
    pub(super) fn check_runs(&mut self) -> BTreeMap<RunId, Run> {
        let runs = Runs::new(self.workspace);
        let (list, problems) = match runs.list() {
            Ok(found) => found,
            Err(error) => {
                self.unreadable_ref(RUNS_REF, &error_in_a_line(&error));
                return BTreeMap::new();
            }
        };
        for problem in problems {
            let target = match &problem {
                RunError::Malformed { id, .. } => format!("run:{id}"),
                _ => RUNS_REF.to_owned(),
            };
            let hint = format!("`git log --first-parent {RUNS_REF}` shows which commit brought it");
            self.report(Code::MalformedRun, target, error_in_a_line(&problem), hint);
        }
        let anchored = self.anchored();
        for run in &list {
            self.checked.runs += 1;
            self.check_run(run, anchored.as_ref());
        }
        let findings: Vec<Finding> = list.par_iter().flat_map_iter(|run| check_series_and_log(&runs, run)).collect();
        self.findings.extend(findings);
        list.into_iter().map(|run| (run.id, run)).collect()
    }

    fn check_run(&mut self, run: &Run, anchored: Option<&HashSet<CommitId>>) {
        let target = target_of(run);
        self.check_snapshot(run, &target, anchored);
        for input in &run.inputs {
            self.add_use(input.id, target.clone(), Role::Input, None);
        }
        for output in &run.outputs {
            let claim = Claim { files: output.files, bytes: output.bytes, single_file: None };
            self.add_use(output.id, format!("{target}:{}", output.name), Role::Output, Some(claim));
        }
    }

    fn check_snapshot(&mut self, run: &Run, target: &str, anchored: Option<&HashSet<CommitId>>) {
        let Run { name, snapshot: Some(snapshot), .. } = run else { return };
        if !self.workspace.repository.has_commit(snapshot) {
            if run.dirty && run.commit.is_some_and(|commit| self.workspace.repository.has_commit(&commit)) {
                // Runs may be shared without the code that was not committed.
                let message = format!("the code of run {name} that was not committed was not shared, or is lost");
                let hint =
                    "ask who ran it to share it: `git config ml.shareSnapshots true`, then `git ml push`".to_owned();
                let finding = Finding::new(Code::MissingSnapshot, target, message, hint);
                self.findings.push(Finding { severity: Severity::Warning, ..finding });
                return;
            }
            let severity = if self.is_shallow() { Severity::Warning } else { Severity::Error };
            let message = format!("the code of run {name} is lost: there is no commit {snapshot}");
            let hint = format!("fetch {RUNS_REF} from a clone that has it, or `git fetch --unshallow`");
            self.findings.push(Finding { severity, ..Finding::new(Code::MissingSnapshot, target, message, hint) });
        } else if !self.is_live(run) && anchored.is_some_and(|anchored| !anchored.contains(snapshot)) {
            let message = format!("nothing keeps commit {snapshot}, the code of run {name}, from being removed by git");
            let hint = format!("keep it: `git branch keep-{} {snapshot}`", run.id.short());
            self.report(Code::UnanchoredSnapshot, target, message, hint);
        }
    }

    /// The commits that the runs' ref keeps; none where that cannot be known.
    fn anchored(&mut self) -> Option<HashSet<CommitId>> {
        if self.is_shallow() {
            return None;
        }
        let repository = &self.workspace.repository;
        let found = match repository.read_ref(RUNS_REF) {
            Ok(None) => return None,
            Ok(Some(tip)) => repository.reachable(&[tip], &[]),
            Err(error) => Err(error),
        };
        match found {
            Ok(commits) => Some(commits.into_iter().collect()),
            Err(error) => {
                self.unreadable_ref(RUNS_REF, &error_in_a_line(&error));
                None
            }
        }
    }

    /// Whether the run is not in the ref yet: it is at work, or its parent died and nobody recorded it since.
    fn is_live(&self, run: &Run) -> bool {
        let folder = self.workspace.store.root().join("live").join(run.id.to_string());
        run.status == RunStatus::Running || folder.exists()
    }

    fn is_shallow(&self) -> bool {
        self.workspace.repository.common_dir().join("shallow").exists()
    }
}

fn target_of(run: &Run) -> String {
    format!("run:{}", run.id)
}

/// What is wrong with what is kept beside a run's record.
fn check_series_and_log(runs: &Runs<'_>, run: &Run) -> Vec<Finding> {
    let name = &run.name;
    let fetch = || format!("fetch {RUNS_REF} from a clone that has it");
    let mut findings = Vec::new();
    let mut report = |code, message, hint| findings.push(Finding::new(code, target_of(run), message, hint));
    if run.status == RunStatus::Running {
        return findings;
    }
    if let Err(error) = runs.log_tail(&run.id, LOG_SAMPLE) {
        let message = format!("the log of run {name} cannot be read: {}", error_in_a_line(&error));
        report(Code::UnreadableLog, message, fetch());
    }
    match runs.series(&run.id) {
        Err(error) => {
            let message = format!("the metrics of run {name} cannot be read: {}", error_in_a_line(&error));
            report(Code::UnreadableSeries, message, fetch());
        }
        Ok(series) => {
            for (metric, summary) in &run.metrics {
                let points = series.get(metric).map_or(0, |points| points.len() as u64);
                if points != summary.count {
                    let said = summary.count;
                    let message = format!(
                        "the record of run {name} says that {metric:?} has {said} values; its series has {points}"
                    );
                    let hint = format!("`git log --first-parent {RUNS_REF}` shows who changed it");
                    report(Code::RecordMismatch, message, hint);
                }
            }
        }
    }
    findings
}
