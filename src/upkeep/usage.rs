//! How much room the store takes, and for what.

use std::time::{Duration, SystemTime};

use crate::id::ArtifactId;
use crate::reach::Reach;
use crate::store::{Live, Presence, PruneOptions};
use crate::track::Workspace;

use super::UpkeepError;

/// How much of the store's bytes is for what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Artifacts that something names and that are here, whole or in part.
    pub artifacts: usize,
    /// Bytes of entries that something needs.
    pub used: u64,
    /// Bytes of entries that nothing needs, or that are there twice.
    pub unused: u64,
}

/// What of the store is in use, by all that anything names.
pub fn usage(workspace: &Workspace) -> Result<Usage, UpkeepError> {
    let reach = Reach::of(workspace)?;
    let mut live = Live::default();
    let mut artifacts = 0;
    for id in reach.artifacts().keys() {
        // What cannot be read takes room all the same, and `fsck` says more of it.
        let presence = live.add(&workspace.store, id);
        artifacts += usize::from(presence.is_ok_and(|presence| presence != Presence::Absent));
    }
    let options = PruneOptions { now: SystemTime::now(), grace: Duration::ZERO, max_unused: 0.0 };
    let plan = workspace.store.plan_prune(&live, &options)?;
    let unused = plan.sum(|pack| pack.unused + pack.waiting + pack.repeated);
    Ok(Usage { artifacts, used: plan.sum(|pack| pack.used), unused })
}

/// Bytes that one artifact takes in the store, with what it shares with others.
pub fn stored_bytes(workspace: &Workspace, artifact: &ArtifactId) -> Result<u64, UpkeepError> {
    let mut live = Live::default();
    live.add(&workspace.store, artifact)?;
    Ok(live.bytes())
}
