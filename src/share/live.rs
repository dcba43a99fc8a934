//! Sharing a run while it goes on: its record so far, again and again, until that of its end takes its place.

use super::runs::{Exchange, SharedLine};
use super::{ATTEMPTS, ShareError, pause_after, tracking_ref};
use crate::git::{Pushed, Put};
use crate::id::RunId;
use crate::run::{RUNS_REF, Run, Runs, folder_in_tree};

/// Shares one run as it stands, on top of what the remote has; our own log stays as it is. Returns the record that was
/// shared; none if there is no such run, or if the remote knows of its end already.
pub fn share_live(
    exchange: &Exchange<'_>,
    runs: &Runs<'_>,
    run_id: &RunId,
    with_code: bool,
) -> Result<Option<Run>, ShareError> {
    let repository = &exchange.workspace.repository;
    let line = SharedLine { repository, author: exchange.author };
    for attempt in 0..ATTEMPTS {
        let Some(folder) = runs.folder(run_id)? else { return Ok(None) };
        let theirs = exchange.fetch()?;
        let tip = line.begin(theirs)?;
        let before = repository.tree_of(&tip)?;
        let place = folder_in_tree(run_id);
        let files = folder.files.into_iter().map(|(name, bytes)| (format!("{place}/{name}"), Put::Bytes(bytes)));
        let tree = repository.write_tree(&before, &files.collect::<Vec<_>>())?;
        if tree == before {
            return Ok(Some(folder.run));
        }
        if theirs.is_some() && has_ended_there(exchange, &before, run_id)? {
            return Ok(None);
        }
        let tip = line.add(tip, &tree, &folder.run, with_code)?;
        match repository.push_ref_in(exchange.remote, &tip, RUNS_REF, exchange.manner)? {
            Pushed::Done => {
                repository.hold(&tracking_ref(exchange.remote, RUNS_REF), &tip)?;
                return Ok(Some(folder.run));
            }
            Pushed::Outdated => std::thread::sleep(pause_after(attempt)),
        }
    }
    Err(ShareError::Busy { remote: exchange.remote.to_owned(), reference: RUNS_REF })
}

/// Whether a tree has the record of the run's end, which whoever pushed all runs was first to send.
fn has_ended_there(exchange: &Exchange<'_>, tree: &crate::git::ObjectName, run_id: &RunId) -> Result<bool, ShareError> {
    let repository = &exchange.workspace.repository;
    let folders = super::union::run_folders(repository, tree)?;
    let record = folders.get(run_id).and_then(|folder| super::union::record_in(repository, run_id, folder).ok());
    Ok(record.is_some_and(|run| run.ended.is_some()))
}
