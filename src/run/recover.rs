//! The end of a run: out of its live folder into `refs/ml/runs`, by its own parent or by whoever finds it.
//!
//! The order makes it safe to be killed at any instant: the record is committed, and only then the folder goes.

use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

use super::collect::{Collector, Content};
use super::event::End;
use super::live::{self, now};
use super::log_text::{self, BOUNDS};
use super::{Run, RunError, RunStatus, ledger};
use crate::id::RunId;
use crate::track::Workspace;

/// Records a run and removes its folder. The caller holds the run's lock. Returns the record, with lines for people.
pub(super) fn settle(
    workspace: &Workspace,
    folder: &Path,
    start: Run,
    collector: Collector,
    watch: &mut dyn FnMut(&str),
) -> Result<(Run, Vec<String>), RunError> {
    let mut content = collector.finish(watch)?;
    let log =
        log_text::read(folder, BOUNDS).map_err(|source| RunError::Read { path: folder.join(log_text::LOG), source })?;
    let run = completed(start, &content, folder);
    ledger::record(workspace, &run, &content.take_series(), log)?;
    let mut warnings = content.warnings();
    if let Err(error) = live::release(workspace, &run) {
        warnings.push(format!("the ref that held the run's snapshot is still there: {error}"));
    }
    if let Err(error) = live::remove(folder) {
        // The run is recorded; the next command tries again.
        warnings.push(format!("the run's folder is still there: {error}"));
    }
    Ok((run, warnings))
}

/// Records the runs whose parents died; what goes wrong with one does not keep the others.
pub(super) fn recover(workspace: &Workspace) -> Result<(Vec<Run>, Vec<RunError>), RunError> {
    let mut recovered = Vec::new();
    let mut errors = Vec::new();
    for run_id in live::ids(workspace)? {
        match recover_one(workspace, &run_id) {
            Ok(run) => recovered.extend(run),
            Err(error) => errors.push(error),
        }
    }
    live::sweep(workspace);
    Ok((recovered, errors))
}

fn recover_one(workspace: &Workspace, run_id: &RunId) -> Result<Option<Run>, RunError> {
    let folder = live::folder_of(workspace, run_id);
    let Some(lock) = live::take_over(&folder)? else { return Ok(None) };
    let Some(start) = live::read_start(&folder, run_id)? else { return Ok(None) };
    let tip = ledger::tip(&workspace.repository)?;
    let recorded = tip.map(|tip| ledger::read(&workspace.repository, &tip, run_id)).transpose()?.flatten();
    let run = match recorded {
        // Its parent was killed after the commit.
        Some(recorded) if ledger::is_final(&recorded) => {
            live::remove(&folder)?;
            None
        }
        _ => Some(settle(workspace, &folder, start, Collector::new(&folder), &mut |_| ())?.0),
    };
    drop(lock);
    Ok(run)
}

/// A live run with what it logged so far.
pub(super) fn so_far(start: Run, content: &Content) -> Run {
    let mut run = start;
    run.params.extend(content.params.clone());
    run.tags.extend(content.tags.clone());
    run.outputs.clone_from(&content.outputs);
    run.metrics = content.summaries();
    let elapsed = now().duration_since(run.started).as_secs_f64();
    run.duration_s = Some(elapsed.max(0.0));
    run
}

/// The record of a run that ended.
pub(super) fn completed(start: Run, content: &Content, folder: &Path) -> Run {
    let mut run = so_far(start, content);
    run.reason.clone_from(&content.failure);
    let ended = match &content.end {
        Some(end) => {
            run.status = status_of(end);
            run.exit_code = end.exit_code;
            run.signal.clone_from(&end.signal);
            run.cpu_s = end.cpu_s;
            end.time
        }
        None => {
            run.status = RunStatus::Crashed;
            run.reason.get_or_insert_with(|| "git-ml was ended before the command was".to_owned());
            last_sign_of_life(folder).unwrap_or(run.started)
        }
    };
    run.ended = Some(ended.max(run.started));
    run.duration_s = Some(ended.duration_since(run.started).as_secs_f64().max(0.0));
    run
}

fn status_of(end: &End) -> RunStatus {
    match (&end.signal, end.exit_code) {
        (Some(_), _) => RunStatus::Killed,
        (None, Some(0)) => RunStatus::Finished,
        (None, _) => RunStatus::Failed,
    }
}

/// When something was last written in a live run's folder.
fn last_sign_of_life(folder: &Path) -> Option<Timestamp> {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let newest: SystemTime = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        // The lock is written by whoever looks.
        .filter(|entry| entry.file_name() != "lock")
        .filter_map(|entry| modified(&entry.path()))
        .max()?;
    let micros = Timestamp::try_from(newest).ok()?.as_microsecond();
    Timestamp::from_microsecond(micros).ok()
}
