//! Sharing the registry: forwards in both directions, and told where both sides moved.

use super::runs::Exchange;
use super::{ATTEMPTS, ShareError, pause_after, tracking_ref};
use crate::git::{CommitInfo, GitError, Pushed};
use crate::id::CommitId;
use crate::registry::REGISTRY_REF;

/// Events that are told of each side.
const TOLD: usize = 5;
/// Bytes that a file of the registry may have.
const MAX_FILE: u64 = 16 << 20;

/// How the registry stands after it was fetched, or pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// Both are the same.
    Same,
    /// Ours is now as theirs.
    Received,
    /// Theirs is now as ours.
    Sent,
    /// Ours has more, which was not sent.
    Ahead,
    /// Both sides moved. Nothing was changed.
    Diverged(Diverged),
}

/// What each side of a registry did that the other does not have, newest first and at most a few.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diverged {
    /// Events here.
    pub ours: Vec<CommitInfo>,
    /// Events of the remote.
    pub theirs: Vec<CommitInfo>,
}

/// Brings the registry in line with what was fetched of the remote; where ours is ahead, pushes it if `push`.
pub fn sync_registry(exchange: &Exchange<'_>, push: bool) -> Result<Registered, ShareError> {
    let repository = &exchange.workspace.repository;
    let tracked = tracking_ref(exchange.remote, REGISTRY_REF);
    for attempt in 0..ATTEMPTS {
        let (ours, theirs) = (repository.read_ref(REGISTRY_REF)?, repository.read_ref(&tracked)?);
        let tip = match (ours, theirs) {
            (ours, theirs) if ours == theirs => return Ok(Registered::Same),
            (Some(ours), None) => ours,
            (Some(ours), Some(theirs)) if repository.is_ancestor(&theirs, &ours)? => ours,
            (ours, Some(theirs)) => {
                if let Some(ours) = &ours {
                    if !repository.is_ancestor(ours, &theirs)? {
                        return Ok(Registered::Diverged(diverged(exchange, ours, &theirs)?));
                    }
                    check_versions(exchange, ours, &theirs)?;
                }
                match repository.move_ref(REGISTRY_REF, ours.as_ref(), &theirs) {
                    Ok(()) => return Ok(Registered::Received),
                    Err(GitError::RefMoved { .. }) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            (None, None) => return Ok(Registered::Same),
        };
        if !push {
            return Ok(Registered::Ahead);
        }
        match repository.push_ref_in(exchange.remote, &tip, REGISTRY_REF, exchange.manner)? {
            Pushed::Done => {
                repository.hold(&tracked, &tip)?;
                return Ok(Registered::Sent);
            }
            Pushed::Outdated => {
                std::thread::sleep(pause_after(attempt));
                exchange.fetch()?;
            }
        }
    }
    Err(ShareError::Busy { remote: exchange.remote.to_owned(), reference: REGISTRY_REF })
}

/// A registered version never changes and never goes: a history in which one does is refused.
fn check_versions(exchange: &Exchange<'_>, ours: &CommitId, theirs: &CommitId) -> Result<(), ShareError> {
    let repository = &exchange.workspace.repository;
    for path in repository.changed_between(ours, theirs, ".toml")? {
        let is_version = path.split('/').nth(1) == Some("versions");
        if is_version && repository.read_at(ours, &path, MAX_FILE)?.is_some() {
            let problem =
                format!("it changes or removes {}, and a registered version never changes", path.escape_debug());
            return Err(ShareError::Refused { remote: exchange.remote.to_owned(), reference: REGISTRY_REF, problem });
        }
    }
    Ok(())
}

fn diverged(exchange: &Exchange<'_>, ours: &CommitId, theirs: &CommitId) -> Result<Diverged, ShareError> {
    let repository = &exchange.workspace.repository;
    let events = |tip: &CommitId, other: &CommitId| {
        let commits = repository.reachable(&[*tip], &[*other])?;
        commits.iter().take(TOLD).map(|commit| repository.commit(commit)).collect::<Result<Vec<_>, _>>()
    };
    Ok(Diverged { ours: events(ours, theirs)?, theirs: events(theirs, ours)? })
}
