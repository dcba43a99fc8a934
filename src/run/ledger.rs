//! `refs/ml/runs`: one commit for each recorded change, with the run's snapshot as a parent.
//!
//! The tree has a folder for each run, `<last two digits of the id>/<id>`, with `run.toml`, `series.parquet` where
//! something was logged, and `log.txt` where something was printed. The last digits of an id are random while its
//! first are the time, so the folders stay small.

use std::collections::BTreeMap;
use std::time::Duration;

use rayon::prelude::*;

use super::record::MAX_RECORD;
use super::{RUNS_REF, Run, RunError, RunStatus, Series, WholeRun, log_text, series};
use crate::files::{FileLock, Wait};
use crate::git::{BulkCommit, GitError, Identity, RefCommit, Repository, TreeEdit};
use crate::id::{CommitId, RunId};
use crate::track::Workspace;

/// The record in a run's folder.
const RECORD: &str = "run.toml";
/// The points in a run's folder.
pub(super) const SERIES: &str = "series.parquet";
/// Bytes of a log that are read.
const MAX_LOG: u64 = 64 << 20;
/// How often a change is tried anew when somebody else was faster.
const TRIES: u32 = 100;

/// The folder of a run in the tree.
pub(super) fn folder_of(run_id: &RunId) -> String {
    let id = run_id.to_string();
    format!("{}/{id}", &id[id.len() - 2..])
}

fn file_of(run_id: &RunId, name: &str) -> String {
    format!("{}/{name}", folder_of(run_id))
}

/// The newest commit of the runs; none before the first.
pub(super) fn tip(repository: &Repository) -> Result<Option<CommitId>, RunError> {
    Ok(repository.read_ref(RUNS_REF)?)
}

/// The ids of all recorded runs, in order.
pub(super) fn ids(repository: &Repository, tip: &CommitId) -> Result<Vec<RunId>, RunError> {
    let mut ids = Vec::new();
    for entry in repository.list_at(tip, "")?.iter().filter(|entry| entry.is_folder) {
        let runs = repository.list_at(tip, &entry.name)?;
        ids.extend(runs.iter().filter_map(|run| run.name.parse::<RunId>().ok()));
    }
    ids.sort_unstable();
    Ok(ids)
}

/// The record of a run; none if there is none.
pub(super) fn read(repository: &Repository, tip: &CommitId, run_id: &RunId) -> Result<Option<Run>, RunError> {
    let bytes = repository.read_at(tip, &file_of(run_id, RECORD), MAX_RECORD)?;
    bytes.map(|bytes| Run::parse(&bytes, run_id)).transpose()
}

/// A run, and its record or why that cannot be read.
pub(super) type Record = (RunId, Result<Run, RunError>);

/// All records, in no order; one that cannot be read as an error of its own.
pub(super) fn read_all(repository: &Repository, tip: &CommitId) -> Result<Vec<Record>, RunError> {
    let read = |folder: &str, bytes: Result<&[u8], GitError>| {
        let run_id = folder.parse::<RunId>().ok()?;
        Some((run_id, bytes.map_err(RunError::from).and_then(|bytes| Run::parse(bytes, &run_id))))
    };
    Ok(repository.read_all_at(tip, RECORD, MAX_RECORD, &read)?)
}

/// The ids of the runs whose records two commits do not have alike.
pub(super) fn changed(repository: &Repository, old: &CommitId, new: &CommitId) -> Result<Vec<RunId>, RunError> {
    let paths = repository.changed_between(old, new, RECORD)?;
    let id_of = |path: &String| path.split('/').rev().nth(1)?.parse().ok();
    Ok(paths.iter().filter_map(id_of).collect())
}

/// The records that may have this text in them, in no order. What cannot be read is left out.
pub(super) fn read_with(repository: &Repository, tip: &CommitId, text: &str) -> Result<Vec<Run>, RunError> {
    let is_escaped = text.contains(|c: char| c.is_control() || c == '"' || c == '\\');
    let read = |folder: &str, bytes: Result<&[u8], GitError>| {
        let run_id = folder.parse::<RunId>().ok()?;
        let bytes = bytes.ok()?;
        // To look for text takes a tenth of the time that it takes to parse.
        let has_it = is_escaped || std::str::from_utf8(bytes).is_ok_and(|record| record.contains(text));
        if has_it { Run::parse(bytes, &run_id).ok() } else { None }
    };
    Ok(repository.read_all_at(tip, RECORD, MAX_RECORD, &read)?)
}

/// The points of a recorded run; none where nothing was logged.
pub(super) fn read_series(repository: &Repository, tip: &CommitId, run_id: &RunId) -> Result<Series, RunError> {
    match repository.read_at(tip, &file_of(run_id, SERIES), series::MAX_BYTES)? {
        None => Ok(Series::new()),
        Some(bytes) => series::from_parquet(bytes)
            .map_err(|error| RunError::Malformed { id: file_of(run_id, SERIES), problem: error.to_string() }),
    }
}

/// What a recorded run wrote to stdout and stderr.
pub(super) fn read_log(repository: &Repository, tip: &CommitId, run_id: &RunId) -> Result<Vec<u8>, RunError> {
    Ok(repository.read_at(tip, &file_of(run_id, log_text::LOG), MAX_LOG)?.unwrap_or_default())
}

/// Whether a record says that a run has ended. One of a run that was shared while it lived, and fetched, does not.
pub(super) fn is_final(run: &Run) -> bool {
    run.status != RunStatus::Running
}

/// Records a run that ended. One that is recorded already stays as it is.
pub(super) fn record(workspace: &Workspace, run: &Run, points: &Series, log: Vec<u8>) -> Result<(), RunError> {
    let repository = &workspace.repository;
    let entry = entry(repository, run, points, log, Recorded::Stays)?;
    change(workspace, &repository.identity_or_host(&run.user, &run.host), &mut |tip| {
        let recorded = tip.map(|tip| read(repository, tip, &run.id)).transpose();
        // A record that cannot be read is there all the same, and is not ours to replace.
        match recorded {
            Ok(None | Some(None)) => {}
            Ok(Some(Some(recorded))) if !is_final(&recorded) => {}
            _ => return Ok(None),
        }
        Ok(Some(entry.clone()))
    })
}

/// What becomes of a record that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recorded {
    /// It stays as it is.
    Stays,
    /// It is replaced, with its points and its log.
    IsReplaced,
}

/// Records runs that ended, a commit each, all in one go; how many were recorded.
pub(super) fn record_all(
    workspace: &Workspace,
    runs: &[WholeRun],
    author: &Identity,
    if_recorded: Recorded,
) -> Result<usize, RunError> {
    let repository = &workspace.repository;
    let entries = runs.par_iter().map(|whole| {
        let WholeRun { run, series, log } = whole;
        Ok((run.id, entry(repository, run, series, log.clone(), if_recorded)?))
    });
    let entries: BTreeMap<RunId, Change> = entries.collect::<Result<_, RunError>>()?;
    let _turn = take_turn(workspace);
    let mut tries = 0;
    loop {
        let expected = tip(repository)?;
        let recorded = expected.map(|tip| ids(repository, &tip)).transpose()?.unwrap_or_default();
        let commit =
            |change: Change| BulkCommit { edits: change.edits, message: change.message, extra_parents: change.parents };
        let is_wanted = |run_id| if_recorded == Recorded::IsReplaced || recorded.binary_search(run_id).is_err();
        let new = entries.iter().filter(|(run_id, _)| is_wanted(run_id));
        let new: Vec<BulkCommit> = new.map(|(_, change)| commit(change.clone())).collect();
        let count = new.len();
        let beginning = (expected.is_none() && count > 0).then(|| commit(beginning()));
        let commits: Vec<BulkCommit> = beginning.into_iter().chain(new).collect();
        match repository.commit_all_to_ref(RUNS_REF, expected, &commits, author) {
            Ok(()) => return Ok(count),
            Err(GitError::RefMoved { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Replaces the record of a run that was opened again; its points and its log only where there are any.
pub(super) fn replace(workspace: &Workspace, run: &Run, points: Option<&Series>, log: Vec<u8>) -> Result<(), RunError> {
    let repository = &workspace.repository;
    let none = Series::new();
    let entry = entry(repository, run, points.unwrap_or(&none), log, Recorded::Stays)?;
    change(workspace, &repository.identity_or_host(&run.user, &run.host), &mut |tip| {
        let before = tip.map(|tip| read(repository, tip, &run.id)).transpose()?.flatten();
        let is_same = before.as_ref() == Some(run) && points.is_none();
        // The snapshot is kept by the first commit of the run.
        Ok((!is_same).then(|| Change { parents: Vec::new(), ..entry.clone() }))
    })
}

/// What is to be committed for a run that ended.
fn entry(
    repository: &Repository,
    run: &Run,
    points: &Series,
    log: Vec<u8>,
    if_recorded: Recorded,
) -> Result<Change, RunError> {
    let malformed = |problem: String| RunError::Malformed { id: run.id.to_string(), problem };
    let mut edits = vec![edit(&run.id, RECORD, run.to_toml()?.into_bytes())];
    let none = |name| TreeEdit { path: file_of(&run.id, name), content: None };
    if !points.is_empty() {
        let bytes = series::to_parquet(points).map_err(|error| malformed(error.to_string()))?;
        edits.push(edit(&run.id, SERIES, bytes));
    } else if if_recorded == Recorded::IsReplaced {
        edits.push(none(SERIES));
    }
    if !log.is_empty() {
        edits.push(edit(&run.id, log_text::LOG, log));
    } else if if_recorded == Recorded::IsReplaced {
        edits.push(none(log_text::LOG));
    }
    // Where a garbage collection took the snapshot of a run that crashed long ago, the record is what is left.
    let parents = run.snapshot.filter(|snapshot| repository.has_commit(snapshot)).into_iter().collect();
    Ok(Change { edits, message: message(run), parents })
}

/// The first commit. Without one before it the first run's own first parent would be the code, and the log of runs
/// would go on into the history of that.
fn beginning() -> Change {
    Change { edits: Vec::new(), message: "Begin the log of runs\n".to_owned(), parents: Vec::new() }
}

/// Changes the record of a run in a commit of its own.
pub(super) fn amend(
    workspace: &Workspace,
    run_id: &RunId,
    subject: &str,
    author: &Identity,
    change_run: &mut dyn FnMut(&mut Run),
) -> Result<Run, RunError> {
    let mut amended = None;
    change(workspace, author, &mut |tip| {
        let run = tip.map(|tip| read(&workspace.repository, tip, run_id)).transpose()?.flatten();
        let before = run.ok_or_else(|| RunError::NotFound { wanted: run_id.to_string() })?;
        let mut run = before.clone();
        change_run(&mut run);
        let edits = vec![edit(run_id, RECORD, run.to_toml()?.into_bytes())];
        let message = format!("{}: {subject}\n\nrun {run_id}\n", run.name);
        let is_same = run == before;
        amended = Some(run);
        Ok((!is_same).then_some(Change { edits, message, parents: Vec::new() }))
    })?;
    amended.ok_or_else(|| RunError::NotFound { wanted: run_id.to_string() })
}

/// Makes edits, and changes the records of runs, all in one commit.
pub(super) fn commit_with_runs(
    workspace: &Workspace,
    author: &Identity,
    message: &str,
    edits: &[TreeEdit],
    runs: &[RunId],
    change_run: &mut dyn FnMut(&mut Run),
) -> Result<(), RunError> {
    change(workspace, author, &mut |tip| {
        let mut edits = edits.to_vec();
        for run_id in runs {
            let run = tip.map(|tip| read(&workspace.repository, tip, run_id)).transpose()?.flatten();
            let Some(mut run) = run else { continue };
            change_run(&mut run);
            edits.push(edit(run_id, RECORD, run.to_toml()?.into_bytes()));
        }
        Ok(Some(Change { edits, message: message.to_owned(), parents: Vec::new() }))
    })
}

fn edit(run_id: &RunId, name: &str, content: Vec<u8>) -> TreeEdit {
    TreeEdit { path: file_of(run_id, name), content: Some(content) }
}

/// What is to be committed on top of the tip.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) edits: Vec<TreeEdit>,
    pub(super) message: String,
    pub(super) parents: Vec<CommitId>,
}

/// Says what is to be committed on top of a tip, if anything.
pub(super) type Decide<'d> = &'d mut dyn FnMut(Option<&CommitId>) -> Result<Option<Change>, RunError>;

/// Many runs may end at once: taking turns spares them most of the trying again. It is not needed to be right, so a
/// lock that cannot be had is no reason to lose a run.
fn take_turn(workspace: &Workspace) -> Option<FileLock> {
    let lock = workspace.store.root().join("runs.lock");
    FileLock::exclusive(&lock, Wait::UpTo(Duration::from_secs(10))).ok()
}

/// Commits what `decide` wants on top of the tip it is given, and asks it again when the tip has moved.
pub(super) fn change(workspace: &Workspace, author: &Identity, decide: Decide<'_>) -> Result<(), RunError> {
    let _turn = take_turn(workspace);
    let repository = &workspace.repository;
    let mut tries = 0;
    loop {
        let expected = tip(repository)?;
        let Some(change) = decide(expected.as_ref())? else { return Ok(()) };
        let is_beginning = expected.is_none();
        let change = if is_beginning { beginning() } else { change };
        let commit = RefCommit {
            reference: RUNS_REF,
            expected,
            edits: change.edits,
            message: &change.message,
            extra_parents: change.parents,
            author,
        };
        match repository.commit_to_ref(&commit) {
            Ok(_) if is_beginning => {}
            Ok(_) => return Ok(()),
            Err(GitError::RefMoved { .. }) if tries < TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(u64::from(tries.min(20))));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The commit's message: the experiment log, as `git log --first-parent refs/ml/runs` shows it.
pub(super) fn message(run: &Run) -> String {
    let mut subject = format!("{}: {}", run.name, run.status.as_str());
    if let Some(experiment) = &run.experiment {
        subject += &format!(", {experiment}");
    }
    for (name, summary) in headline_metrics(run) {
        subject += &format!(", {name} {}", summary.last);
    }
    let mut body = format!("run {}\ncommand: {}", run.id, run.command.join(" "));
    if let Some(snapshot) = run.snapshot {
        body += &format!("\nsnapshot: {snapshot}");
    }
    if let Some(commit) = run.commit.filter(|_| run.dirty) {
        body += &format!(" (changes on top of {commit})");
    }
    if let Some(seconds) = run.duration_s {
        body += &format!("\nduration: {seconds:.1} s");
    }
    for (title, problem) in [("signal", &run.signal), ("reason", &run.reason)] {
        body += &problem.as_ref().map(|problem| format!("\n{title}: {problem}")).unwrap_or_default();
    }
    for (name, value) in &run.params {
        body += &format!("\nparam {name}: {value}");
    }
    for (name, summary) in &run.metrics {
        body += &format!("\nmetric {name}: {}", summary.last);
    }
    // Values may have newlines and more; a message is plain text.
    let plain = |text: &str| text.chars().filter(|c| !c.is_control() || *c == '\n').collect::<String>();
    format!("{}\n\n{}\n", plain(&subject).replace('\n', " "), plain(&body))
}

/// The metrics that say most: those of the test, else of the validation, else the first; at most two.
fn headline_metrics(run: &Run) -> Vec<(&String, &super::MetricSummary)> {
    let of = |part: &'static str| run.metrics.iter().filter(move |(name, _)| name.contains(part));
    let mut chosen: Vec<_> = of("test").take(2).collect();
    if chosen.is_empty() {
        chosen = of("val").take(2).collect();
    }
    if chosen.is_empty() {
        chosen = run.metrics.iter().filter(|(name, _)| !name.starts_with("system.")).take(2).collect();
    }
    chosen
}
