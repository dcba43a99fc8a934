//! Runs: their records, snapshots, series and logs.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rayon::prelude::*;

use crate::git::{GitError, ObjectName, PartKind, Repository};
use crate::id::{CommitId, RunId};
use crate::run::{
    MODELS_FOLDER, MetricSummary, RECORD_NAME, RUNS_REF, Run, RunStatus, Runs, file_limit, folder_in_tree,
};
use crate::words::error_in_a_line;

use super::{Claim, Code, Depth, Finding, Inspection, IsOwn, Role, Severity};

/// How much of a run's log is read.
const LOG_SAMPLE: u64 = 64 * 1024;
/// What the root of the runs' tree has beside runs.
const OTHERS: [&str; 2] = ["experiments", MODELS_FOLDER];
/// Where the runs of remotes are, and how the names of such refs end.
const REMOTES: &str = "refs/ml/remotes/";
const RUNS_OF_REMOTE: &str = "/runs";
/// Files that are named where a tree has many that do not belong there.
const MAX_FOREIGN: usize = 20;

/// A run that can be read.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) run: Run,
    /// Its folder in the tree; none for a run that is not recorded.
    pub(super) folder: Option<ObjectName>,
    /// Whether all that its folder says was verified before.
    pub(super) is_recalled: bool,
    /// Whether nothing was found wrong with it.
    pub(super) is_sound: bool,
}

/// A run's folder in the tree.
#[derive(Debug, Clone)]
struct Folder {
    id: RunId,
    tree: ObjectName,
    path: String,
}

impl Inspection<'_> {
    /// Checks every run, and returns those that can be read.
    pub(super) fn check_runs(&mut self, is_own: Option<IsOwn<'_>>) -> BTreeMap<RunId, Checked> {
        let workspace = self.workspace;
        let tip = match workspace.repository.read_ref(RUNS_REF) {
            Ok(tip) => tip,
            Err(error) => {
                self.unreadable_ref(RUNS_REF, &error_in_a_line(&error));
                return BTreeMap::new();
            }
        };
        let mut checked = BTreeMap::new();
        let read = tip.map(|tip| self.read_records(&tip, &mut checked)).transpose();
        if let Err(error) = read {
            self.unreadable_ref(RUNS_REF, &error_in_a_line(&error));
            return BTreeMap::new();
        }
        self.add_live_runs(&mut checked);
        let anchored = self.anchored(tip.as_ref());
        let fetched = if is_own.is_none() { self.fetched_runs() } else { BTreeSet::new() };
        for one in checked.values_mut() {
            self.checked.runs += 1;
            let before = self.findings.len();
            let is_fetched = match is_own {
                Some(is_own) => !is_own(&one.run),
                None => fetched.contains(&one.run.id),
            };
            self.check_run(&one.run, anchored.as_ref(), is_fetched);
            one.is_sound = before == self.findings.len();
        }
        let runs = Runs::new(workspace);
        let is_new = |one: &&mut Checked| !one.is_recalled;
        let findings: Vec<Finding> = checked
            .values_mut()
            .collect::<Vec<_>>()
            .into_par_iter()
            .filter(is_new)
            .flat_map_iter(|one| {
                let findings = check_series_and_log(&runs, &one.run);
                one.is_sound &= findings.is_empty();
                findings
            })
            .collect();
        self.findings.extend(findings);
        if let Some(tip) = tip {
            self.check_run_history(&tip);
        }
        checked
    }

    /// Reads every record of a tree.
    fn read_records(&mut self, tip: &CommitId, checked: &mut BTreeMap<RunId, Checked>) -> Result<(), GitError> {
        let repository = &self.workspace.repository;
        let mut foreign = Vec::new();
        let folders = run_folders(repository, &repository.tree_of(tip)?, &mut foreign)?;
        let trusts = self.depth == Depth::Unproved;
        let memory = &self.memory;
        let read: Vec<_> = folders
            .into_par_iter()
            .map(|folder| {
                let is_recalled = trusts && memory.runs.contains(&folder.tree);
                let record = read_record(repository, &folder);
                let is_recalled = is_recalled && has_all_files(repository, &folder.tree);
                (folder, record, is_recalled)
            })
            .collect();
        for path in foreign.iter().take(MAX_FOREIGN) {
            self.foreign_file(RUNS_REF, path);
        }
        let hint = || format!("`git log --first-parent {RUNS_REF}` shows which commit brought it");
        for (folder, record, is_recalled) in read {
            let target = format!("run:{}", folder.id);
            match record {
                Ok(run) if folder.path == folder_in_tree(&folder.id) => {
                    let folder = Some(folder.tree);
                    checked.insert(run.id, Checked { run, folder, is_recalled, is_sound: true });
                }
                Ok(run) => {
                    let message =
                        format!("the record of run {} is in {}, where nobody looks for it", run.name, folder.path);
                    self.report(Code::MisplacedRun, target, message, hint());
                }
                Err(Unreadable::OtherRun(id)) => {
                    let message = format!("{} has the record of another run, {id}", folder.path);
                    self.report(Code::MisplacedRun, target, message, hint());
                }
                Err(Unreadable::Malformed(problem)) => {
                    let message = format!("the record of run {} is not valid: {problem}", folder.id);
                    self.report(Code::MalformedRun, target, message, hint());
                }
            }
        }
        Ok(())
    }

    /// Takes in the runs that are not recorded yet, or that were opened again.
    fn add_live_runs(&mut self, checked: &mut BTreeMap<RunId, Checked>) {
        let runs = Runs::new(self.workspace);
        let (live, problems) = match runs.list_live() {
            Ok(found) => found,
            Err(error) => (Vec::new(), vec![error]),
        };
        for problem in problems {
            let hint = "`git ml fsck` records what is left of runs whose parent died";
            self.report(Code::MalformedRun, "run:live", error_in_a_line(&problem), hint);
        }
        for run in live {
            if checked.get(&run.id).is_none_or(|recorded| !runs.is_settled(&recorded.run)) {
                let live = Checked { run, folder: None, is_recalled: false, is_sound: true };
                checked.insert(live.run.id, live);
            }
        }
    }

    fn check_run(&mut self, run: &Run, anchored: Option<&HashSet<CommitId>>, is_fetched: bool) {
        let target = target_of(run);
        self.check_snapshot(run, &target, anchored, is_fetched);
        let role = |role| if is_fetched { Role::Fetched } else { role };
        for input in &run.inputs {
            self.add_use(input.id, target.clone(), role(Role::Input), None);
        }
        for output in &run.outputs {
            let claim = Claim { files: output.files, bytes: output.bytes, single_file: None };
            self.add_use(output.id, format!("{target}:{}", output.name), role(Role::Output), Some(claim));
        }
    }

    fn check_snapshot(&mut self, run: &Run, target: &str, anchored: Option<&HashSet<CommitId>>, is_fetched: bool) {
        let Run { name, snapshot: Some(snapshot), .. } = run else { return };
        if !self.workspace.repository.has_commit(snapshot) {
            if run.dirty && run.commit.is_some_and(|commit| self.workspace.repository.has_commit(&commit)) {
                // Runs may be shared without the code that was not committed.
                if is_fetched {
                    return;
                }
                let message = format!("the code of run {name} that was not committed was not shared, or is lost");
                let hint =
                    "ask who ran it to share it: `git config ml.shareSnapshots true`, then `git ml push`".to_owned();
                let finding = Finding::new(Code::MissingSnapshot, target, message, hint);
                self.findings.push(Finding { severity: Severity::Warning, ..finding });
                return;
            }
            if self.is_shallow() {
                // It may only be beyond the clone's depth.
                return;
            }
            let message = format!("the code of run {name} is lost: there is no commit {snapshot}");
            let hint = format!("fetch {RUNS_REF} from a clone that has it, or `git fetch --unshallow`");
            self.report(Code::MissingSnapshot, target, message, hint);
        } else if !self.is_live(run) && anchored.is_some_and(|anchored| !anchored.contains(snapshot)) {
            let message = format!("nothing keeps commit {snapshot}, the code of run {name}, from being removed by git");
            let hint = format!("keep it: `git branch keep-{} {snapshot}`", run.id.short());
            self.report(Code::UnanchoredSnapshot, target, message, hint);
        }
    }

    /// The commits that the runs' ref keeps; none where that cannot be known.
    fn anchored(&mut self, tip: Option<&CommitId>) -> Option<HashSet<CommitId>> {
        let tip = tip.filter(|_| !self.is_shallow())?;
        match self.workspace.repository.reachable(&[*tip], &[]) {
            Ok(commits) => Some(commits.into_iter().collect()),
            Err(error) => {
                self.unreadable_ref(RUNS_REF, &error_in_a_line(&error));
                None
            }
        }
    }

    /// The runs that a remote had when it was last asked. They come without their data.
    fn fetched_runs(&self) -> BTreeSet<RunId> {
        let repository = &self.workspace.repository;
        let refs = repository.refs(REMOTES).unwrap_or_default();
        let tips = refs.iter().filter(|(name, _)| name.ends_with(RUNS_OF_REMOTE)).map(|(_, tip)| tip);
        let folders =
            tips.filter_map(|tip| run_folders(repository, &repository.tree_of(tip).ok()?, &mut Vec::new()).ok());
        folders.flatten().map(|folder| folder.id).collect()
    }

    /// Whether the run is not in the ref yet: it is at work, or its parent died and nobody recorded it since.
    fn is_live(&self, run: &Run) -> bool {
        let folder = self.workspace.store.root().join("live").join(run.id.to_string());
        run.status == RunStatus::Running || folder.exists()
    }

    pub(super) fn is_shallow(&self) -> bool {
        self.workspace.repository.is_shallow().unwrap_or(false)
    }

    pub(super) fn foreign_file(&mut self, reference: &str, path: &str) {
        let shown: String = path.chars().take(200).collect();
        let message = format!("{reference} has {shown:?}, which has no place there");
        let hint = format!("`git log --first-parent {reference}` shows which commit brought it; nothing reads it");
        self.report(Code::ForeignFile, format!("{reference}:{shown}"), message, hint);
    }
}

pub(super) fn target_of(run: &Run) -> String {
    format!("run:{}", run.id)
}

/// Why a record is of no use.
enum Unreadable {
    /// It is that of another run.
    OtherRun(RunId),
    /// It is not valid.
    Malformed(String),
}

/// The folders of all runs in a tree, wherever they are, and the paths of what is none.
fn run_folders(repository: &Repository, tree: &ObjectName, foreign: &mut Vec<String>) -> Result<Vec<Folder>, GitError> {
    let mut folders = Vec::new();
    for shelf in repository.parts_of(tree)? {
        if shelf.kind != PartKind::Folder {
            foreign.push(shelf.name);
            continue;
        }
        if OTHERS.contains(&shelf.name.as_str()) {
            continue;
        }
        for part in repository.parts_of(&shelf.id)? {
            let path = format!("{}/{}", shelf.name, part.name);
            match part.name.parse() {
                Ok(id) if part.kind == PartKind::Folder => folders.push(Folder { id, tree: part.id, path }),
                _ => foreign.push(path),
            }
        }
    }
    Ok(folders)
}

fn read_record(repository: &Repository, folder: &Folder) -> Result<Run, Unreadable> {
    let malformed = |error: GitError| Unreadable::Malformed(error_in_a_line(&error));
    let parts = repository.parts_of(&folder.tree).map_err(malformed)?;
    let record = parts.iter().find(|part| part.name == RECORD_NAME && part.kind == PartKind::File);
    let record = record.ok_or_else(|| Unreadable::Malformed(format!("it has no {RECORD_NAME}")))?;
    let limit = file_limit(RECORD_NAME).unwrap_or_default();
    let bytes = repository.read_file(&record.id, limit).map_err(malformed)?;
    let bytes = bytes.ok_or_else(|| Unreadable::Malformed("it is too large".to_owned()))?;
    Run::from_record(&bytes, &folder.id).map_err(|error| {
        let table = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<toml::Table>().ok());
        let said = table.and_then(|table| table.get("id")?.as_str()?.parse::<RunId>().ok());
        match said.filter(|said| *said != folder.id) {
            Some(other) => Unreadable::OtherRun(other),
            None => Unreadable::Malformed(error_in_a_line(&error)),
        }
    })
}

/// Whether git has every file of a run's folder.
fn has_all_files(repository: &Repository, folder: &ObjectName) -> bool {
    let parts = repository.parts_of(folder);
    parts.is_ok_and(|parts| parts.iter().all(|part| repository.has_object(&part.id)))
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
            for (metric, said) in &run.metrics {
                let is = series.get(metric).and_then(|points| MetricSummary::of(metric, points));
                let Some(difference) = difference(said, is.as_ref()) else { continue };
                let message = format!("the record of run {name} says that {metric:?} has {difference}");
                let hint = format!("`git log --first-parent {RUNS_REF}` shows who changed it");
                report(Code::RecordMismatch, message, hint);
            }
        }
    }
    findings
}

/// What a record says of a metric and its series does not.
fn difference(said: &MetricSummary, is: Option<&MetricSummary>) -> Option<String> {
    let Some(is) = is else {
        return (said.count > 0).then(|| format!("{} values; its series has none", said.count));
    };
    if said.count != is.count {
        return Some(format!("{} values; its series has {}", said.count, is.count));
    }
    let is_same = |left: f64, right: f64| left == right || left.is_nan() && right.is_nan();
    let pairs = [("smallest", said.min, is.min), ("largest", said.max, is.max)];
    let (word, said, is) = pairs.into_iter().find(|(_, said, is)| !is_same(*said, *is))?;
    Some(format!("the {word} value {said}; its series has {is}"))
}
