//! Sharing the registry: fetched, merged where both sides changed it, pushed, and again if somebody was faster.

mod model;
mod tree;

use super::runs::Exchange;
use super::{ATTEMPTS, ShareError, pause_after, tracking_ref};
use crate::git::{CommitInfo, GitError, Pushed};
use crate::id::CommitId;
use crate::registry::{MergeStory, Mover, NotTaken, REGISTRY_REF, Registry, RegistryEvent};

use tree::{Merged, Trees};

/// How the message of a merge begins.
const SUBJECT: &str = "Merge the registry of ";

/// How the registry stands after it was fetched, or pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryState {
    /// Both are the same.
    Same,
    /// Ours is now as theirs.
    Received,
    /// Theirs is now as ours.
    Sent,
    /// Ours has more, which was not sent.
    Ahead,
    /// Both sides had changed it. It was merged, and not sent.
    Merged,
    /// Both sides had changed it. It was merged, and both are the same.
    MergedAndSent,
}

/// What came of sharing the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// How it stands.
    pub state: RegistryState,
    /// What became of our changes where that is not what they were.
    pub story: MergeStory,
}

impl From<RegistryState> for Registered {
    fn from(state: RegistryState) -> Self {
        Self { state, story: MergeStory::default() }
    }
}

/// Brings the registry in line with what was fetched of the remote, and the remote with it if `push`.
///
/// What the remote has stands, since it was first; what changed here since both were the same is merged into it.
pub fn sync_registry(exchange: &Exchange<'_>, push: bool) -> Result<Registered, ShareError> {
    let repository = &exchange.workspace.repository;
    let tracked = tracking_ref(exchange.remote, REGISTRY_REF);
    for attempt in 0..ATTEMPTS {
        let (ours, theirs) = (repository.read_ref(REGISTRY_REF)?, repository.read_ref(&tracked)?);
        let (tip, story) = match (ours, theirs) {
            (ours, theirs) if ours == theirs => return Ok(RegistryState::Same.into()),
            (None, None) => return Ok(RegistryState::Same.into()),
            (Some(ours), None) => (ours, None),
            (Some(ours), Some(theirs)) if repository.is_ancestor(&theirs, &ours)? => (ours, None),
            (ours, Some(theirs)) => {
                let base = match &ours {
                    Some(ours) => repository.merge_base(ours, &theirs)?,
                    None => None,
                };
                if let Some(base) = &base {
                    check_versions(exchange, base, &theirs)?;
                }
                match ours.filter(|ours| Some(*ours) != base) {
                    Some(second) => {
                        let (tip, story) = merge(exchange, base, theirs, second)?;
                        (tip, Some(story))
                    }
                    None => match repository.move_ref(REGISTRY_REF, ours.as_ref(), &theirs) {
                        Ok(()) => return Ok(RegistryState::Received.into()),
                        Err(GitError::RefMoved { .. }) => continue,
                        Err(error) => return Err(error.into()),
                    },
                }
            }
        };
        // Of a merge that others overtake nothing stays: it is made anew on what they did.
        let is_theirs = Some(tip) == theirs;
        if push && !is_theirs {
            match repository.push_ref_in(exchange.remote, &tip, REGISTRY_REF, exchange.manner)? {
                Pushed::Done => repository.hold(&tracked, &tip)?,
                Pushed::Outdated => {
                    std::thread::sleep(pause_after(attempt));
                    exchange.fetch()?;
                    continue;
                }
            }
        }
        let Some(story) = story else {
            return Ok(if push { RegistryState::Sent } else { RegistryState::Ahead }.into());
        };
        match repository.move_ref(REGISTRY_REF, ours.as_ref(), &tip) {
            Ok(()) => {
                let state = match (is_theirs, push) {
                    (true, _) => RegistryState::Received,
                    (false, true) => RegistryState::MergedAndSent,
                    (false, false) => RegistryState::Merged,
                };
                return Ok(Registered { state, story });
            }
            // Somebody here changed it meanwhile, and the next round brings that together too.
            Err(GitError::RefMoved { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ShareError::Busy { remote: exchange.remote.to_owned(), reference: REGISTRY_REF })
}

/// The commit that has what both sides did, and what became of the second side's.
fn merge(
    exchange: &Exchange<'_>,
    base: Option<CommitId>,
    first: CommitId,
    second: CommitId,
) -> Result<(CommitId, MergeStory), ShareError> {
    let repository = &exchange.workspace.repository;
    let Merged { edits, mut story } = Trees { repository, base, first, second }.merge()?;
    if edits.is_empty() && story.is_empty() && only_merges(exchange, &second, &first)? {
        return Ok((first, story));
    }
    if !story.not_taken.is_empty() {
        let registry = Registry::new(exchange.workspace);
        let (theirs, ours) = (registry.events_at(&first)?, registry.events_at(&second)?);
        for one in &mut story.not_taken {
            one.first = last_move(&theirs, one);
            one.second = last_move(&ours, one);
        }
    }
    let message = story.message(exchange.remote);
    let tip = repository.merge_commit(&first, &second, &edits, &message, exchange.author)?;
    Ok((tip, story))
}

/// Who moved an alias last.
fn last_move(events: &[RegistryEvent], one: &NotTaken) -> Option<Mover> {
    let is_it = |event: &&RegistryEvent| {
        event.model == one.model && event.alias.as_ref() == Some(&one.alias) && event.kind.moves_alias()
    };
    events.iter().find(is_it).map(Mover::of)
}

/// Whether what one history has and the other has not are merges alone, so that nothing is lost without them.
fn only_merges(exchange: &Exchange<'_>, tip: &CommitId, other: &CommitId) -> Result<bool, ShareError> {
    let repository = &exchange.workspace.repository;
    for commit in repository.reachable(&[*tip], &[*other])? {
        let CommitInfo { message, .. } = repository.commit(&commit)?;
        if !message.starts_with(SUBJECT) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A registered version never changes, and goes only by an event that says so: a history in which it does is refused.
fn check_versions(exchange: &Exchange<'_>, base: &CommitId, theirs: &CommitId) -> Result<(), ShareError> {
    let repository = &exchange.workspace.repository;
    let known = repository.find_at(base, ".toml")?;
    let is_version = |path: &String| path.split('/').nth(1) == Some("versions") && known.binary_search(path).is_ok();
    if !repository.changed_between(base, theirs, ".toml")?.iter().any(is_version) {
        return Ok(());
    }
    let changed = Registry::new(exchange.workspace).changed_versions_at(theirs)?;
    match changed.into_iter().next() {
        None => Ok(()),
        Some(changed) => {
            let what = if changed.is_gone { "removes" } else { "changes" };
            let problem = format!("it {what} {}, and a registered version never changes", changed.label.escape_debug());
            Err(ShareError::Refused { remote: exchange.remote.to_owned(), reference: REGISTRY_REF, problem })
        }
    }
}

#[cfg(test)]
mod tests;
