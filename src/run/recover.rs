//! The end of a run: out of its live folder into `refs/ml/runs`, by its own parent or by whoever finds it.
//!
//! The order makes it safe to be killed at any instant: the record is committed, and only then the folder goes.

use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

use super::collect::{Changed, Collector, Content};
use super::event::End;
use super::live::{self, now};
use super::log_text::{self, BOUNDS};
use super::{Run, RunDataset, RunError, RunStatus, follow, ledger, served, smaller_is_better, uploads};
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
    let uploads = uploads::keep(workspace, folder)?;
    for output in uploads.iter().flat_map(|uploads| &uploads.outputs) {
        content.outputs.retain(|known| known.name != output.name);
        content.outputs.push(output.clone());
    }
    let _hold = workspace.store.hold();
    let mut unkept = None;
    if content.end.as_ref().map(status_of) != Some(RunStatus::Finished) {
        match live::store_checkpoint(workspace, folder) {
            Ok(checkpoint) => content.outputs.extend(checkpoint),
            Err(error) => unkept = Some(format!("the run's checkpoint is not stored: {error}")),
        }
    }
    let run = match served::is_reopened(folder) {
        true => {
            // Others may have changed the record since.
            let start = served::recorded(workspace, &start.id)?.unwrap_or(start);
            let run = completed(start, &content, folder);
            served::replace(workspace, folder, run, content.take_series(), log)?
        }
        false => {
            let run = completed(start, &content, folder);
            ledger::record(workspace, &run, &content.take_series(), log)?;
            run
        }
    };
    let mut warnings = content.warnings();
    warnings.extend(unkept);
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
        Some(recorded) if ledger::is_final(&recorded) && !served::is_reopened(&folder) => {
            live::remove(&folder)?;
            None
        }
        _ => {
            follow::recover(&folder)?;
            Some(settle(workspace, &folder, start, Collector::new(&folder), &mut |_| ())?.0)
        }
    };
    drop(lock);
    Ok(run)
}

/// A live run as it stands: `is_open` says whether anybody is still at it, if its log does not tell of an end.
pub(super) fn as_it_stands(start: Run, content: &Content, folder: &Path, is_open: bool) -> Run {
    match content.end.is_none() && is_open {
        true => so_far(start, content),
        false => completed(start, content, folder),
    }
}

/// A live run with what it logged so far.
pub(super) fn so_far(start: Run, content: &Content) -> Run {
    let mut run = start;
    run.params.extend(content.params.clone());
    run.tags.retain(|name, _| !content.changed.untagged.contains(name));
    run.tags.extend(content.tags.clone());
    // These are there at the start only where a run is opened again.
    run.outputs.retain(|known| !content.outputs.iter().any(|output| output.name == known.name));
    run.outputs.extend(content.outputs.iter().cloned());
    for (name, more) in content.summaries() {
        match run.metrics.get_mut(&name) {
            Some(summary) => summary.extend(&more, smaller_is_better(&name)),
            None => drop(run.metrics.insert(name, more)),
        }
    }
    change(&mut run, &content.changed);
    if content.is_resumed {
        (run.status, run.ended, run.exit_code, run.signal) = (RunStatus::Running, None, None, None);
    }
    if run.status == RunStatus::Running {
        let elapsed = now().duration_since(run.started).as_secs_f64();
        run.duration_s = Some(elapsed.max(0.0));
    }
    run
}

/// Changes what somebody changed of the record itself.
fn change(run: &mut Run, changed: &Changed) {
    let text = |text: &Option<String>, field: &mut Option<String>| {
        if let Some(text) = text {
            *field = Some(text.clone()).filter(|text| !text.is_empty());
        }
    };
    text(&changed.note, &mut run.note);
    text(&changed.experiment, &mut run.experiment);
    run.name.clone_from(changed.name.as_ref().unwrap_or(&run.name.clone()));
    run.user.clone_from(changed.user.as_ref().unwrap_or(&run.user.clone()));
    run.removed = changed.removed.unwrap_or(run.removed);
    let is_known = |known: &RunDataset| {
        changed.datasets.iter().any(|dataset| dataset.name == known.name && dataset.digest == known.digest)
    };
    run.datasets.retain(|known| !is_known(known));
    run.datasets.extend(changed.datasets.iter().cloned());
}

/// The record of a run that ended.
pub(super) fn completed(start: Run, content: &Content, folder: &Path) -> Run {
    let mut run = so_far(start, content);
    if content.failure.is_some() {
        run.reason.clone_from(&content.failure);
    }
    let ended = match &content.end {
        Some(end) => {
            run.status = status_of(end);
            run.exit_code = end.exit_code;
            run.signal.clone_from(&end.signal);
            run.cpu_s = end.cpu_s;
            run.reason = run.reason.take().or_else(|| end.reason.clone());
            end.time
        }
        // It was opened again to change something in it, and is as ended as before.
        None if run.status != RunStatus::Running => return run,
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
    if let Some(status) = end.status {
        return status;
    }
    match (&end.signal, end.exit_code) {
        (Some(_), _) => RunStatus::Killed,
        (None, Some(0)) => RunStatus::Finished,
        (None, _) => RunStatus::Failed,
    }
}

/// When something was last written in a live run's folder.
pub(super) fn last_sign_of_life(folder: &Path) -> Option<Timestamp> {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let newest: SystemTime = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        // The lock is written by whoever looks.
        .filter(|entry| entry.file_name() != live::LOCK)
        .filter_map(|entry| modified(&entry.path()))
        .max()?;
    let micros = Timestamp::try_from(newest).ok()?.as_microsecond();
    Timestamp::from_microsecond(micros).ok()
}
