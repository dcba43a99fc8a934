//! Collecting what nothing names.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::files::{self, FileLock, Wait};
use crate::id::ArtifactId;
use crate::reach::Reach;
use crate::store::{Fate, Live, Presence, PruneOptions, PrunePlan, Removed};
use crate::track::{Progress, Workspace};

use super::{Unreachable, UpkeepError};

/// How long to wait until nobody writes to the store.
const PATIENCE: Wait = Wait::UpTo(Duration::from_secs(60));

/// What to collect.
#[derive(Debug, Clone, Copy)]
pub struct CollectOptions {
    /// The time.
    pub now: SystemTime,
    /// How long something stays after it was stored, and after it was first seen unused.
    pub grace: Duration,
    /// How much room may stay unused rather than be given back by writing packs anew, as a share of what is used.
    pub max_unused: f64,
}

/// A collection that is planned.
///
/// While it exists, no other can be.
#[derive(Debug)]
pub struct Collection<'w> {
    workspace: &'w Workspace,
    options: CollectOptions,
    reach: Reach,
    live: Live,
    /// What is to happen to packs.
    pub plan: PrunePlan,
    /// Artifacts that are named and that the store has, whole or in part.
    pub present: usize,
    /// Artifacts that are named, with a manifest here and not all files.
    pub partial: Vec<ArtifactId>,
    /// Files of killed commands and old damaged packs, which go too: each with its size.
    pub litter: Vec<(PathBuf, u64)>,
    _lock: FileLock,
}

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Packs that went.
    pub removed: Removed,
    /// Packs that were written with what moved.
    pub written: usize,
    /// Their bytes.
    pub written_bytes: u64,
    /// Files of killed commands and old damaged packs that went.
    pub litter: usize,
    /// Their bytes.
    pub litter_bytes: u64,
    /// Whether others kept writing to the store, so that old packs could not go. The next collection removes them.
    pub was_busy: bool,
}

impl Collected {
    /// Bytes that the store has fewer than before.
    pub fn freed(&self) -> u64 {
        (self.removed.bytes + self.litter_bytes).saturating_sub(self.written_bytes)
    }
}

impl<'w> Collection<'w> {
    /// Finds what is named, and plans what to do with the rest. Nothing is changed.
    pub fn plan(
        workspace: &'w Workspace,
        options: CollectOptions,
        progress: &dyn Progress,
    ) -> Result<Self, UpkeepError> {
        let store = &workspace.store;
        let lock = FileLock::exclusive(&store.root().join("gc.lock"), Wait::No)?;
        progress.start("looking for what is in use", None);
        let reach = Reach::of(workspace)?;
        // From the packs themselves: what a wrong index hides would be taken for unused.
        store.reread_index()?;
        let (mut live, mut present, mut partial) = (Live::default(), 0, Vec::new());
        for artifact in reach.artifacts().keys() {
            match mark(workspace, &reach, &mut live, artifact)? {
                Presence::Whole => present += 1,
                Presence::Partial => {
                    present += 1;
                    partial.push(*artifact);
                }
                Presence::Absent => {}
            }
        }
        let CollectOptions { now, grace, max_unused } = options;
        let plan = store.plan_prune(&live, &PruneOptions { now, grace, max_unused })?;
        progress.finish();
        let mut collection =
            Self { workspace, options, reach, live, plan, present, partial, litter: Vec::new(), _lock: lock };
        collection.litter = store.find_leftovers()?;
        let damaged = collection.find_damaged()?;
        collection.litter.extend(damaged);
        Ok(collection)
    }

    /// What is named, and by whom.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The artifacts that are stored and that nothing names, as far as they can be made out.
    pub fn unreachable(&self) -> Result<Vec<Unreachable>, UpkeepError> {
        Ok(super::unreachable::find(&self.workspace.store, &self.live)?)
    }

    /// Does what is planned.
    pub fn carry_out(mut self, progress: &dyn Progress) -> Result<Collected, UpkeepError> {
        let store = &self.workspace.store;
        store.note_unused(&self.plan)?;
        let mut collected = Collected::default();
        if self.plan.has_work() {
            let moved = self.plan.with_fate(Fate::Rewrite).map(|pack| pack.used + pack.waiting).sum();
            progress.start("moving what is in use", Some(moved));
            let rewritten = store.rewrite_packs(&self.plan, &|bytes| progress.advance(bytes))?;
            progress.finish();
            collected.written = rewritten.packs.len();
            collected.written_bytes = rewritten.bytes;
            match store.lock_alone(PATIENCE) {
                Ok(alone) => {
                    // Now that nobody can be about to name anything, what was named meanwhile.
                    for artifact in self.reach.look_again(self.workspace)? {
                        mark(self.workspace, &self.reach, &mut self.live, &artifact)?;
                    }
                    collected.removed = alone.remove_packs(&self.plan, &rewritten, &self.live)?;
                }
                Err(crate::store::StoreError::Lock(crate::files::LockError::Held { .. })) => collected.was_busy = true,
                Err(error) => return Err(error.into()),
            }
        }
        // Some drafts may be at work: the store sees to that.
        store.remove_leftovers()?;
        for (path, _) in self.find_damaged()? {
            files::remove_file(&path)?;
        }
        let gone = self.litter.iter().filter(|(path, _)| path.symlink_metadata().is_err());
        collected.litter = gone.clone().count();
        collected.litter_bytes = gone.map(|(_, bytes)| bytes).sum();
        Ok(collected)
    }

    /// Damaged packs that were set aside before the grace period began, unless what is named lacks something that
    /// might yet be rescued from them.
    fn find_damaged(&self) -> Result<Vec<(PathBuf, u64)>, UpkeepError> {
        let mut found = Vec::new();
        for (path, lost) in self.workspace.store.set_aside_packs()? {
            let Ok(metadata) = path.metadata() else { continue };
            // When it was set aside: being renamed is the last change of the file itself.
            let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
            let since = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let age = self.options.now.duration_since(since).unwrap_or_default();
            let is_of_use = !self.partial.is_empty() && !lost.is_empty();
            if age >= self.options.grace && !is_of_use && self.plan.clock_behind.is_none() {
                found.push((path, metadata.len()));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Marks what belongs to an artifact.
fn mark(workspace: &Workspace, reach: &Reach, live: &mut Live, artifact: &ArtifactId) -> Result<Presence, UpkeepError> {
    live.add(&workspace.store, artifact).map_err(|source| {
        let place = reach.artifacts().get(artifact).and_then(|names| names.places.first().cloned());
        UpkeepError::Unreadable { place: place.unwrap_or_default(), artifact: *artifact, source }
    })
}
