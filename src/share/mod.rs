//! Sharing of runs through the user's own git remote.
//!
//! `refs/ml/runs` of the remote is fetched to `refs/ml/remotes/<remote>/runs`, checked, and merged: the trees have a
//! folder for each run, so a merge is a union, and a run that both sides changed is merged field by field. Then it is
//! pushed, never forced: whoever finds that the remote moved fetches, merges and tries again.
//!
//! Architecture invariant: a merge depends on nothing but the commits that are merged, so two clones that merge the same
//! commits get the same tree. A run that is here never goes by a merge, and what comes in is checked before it is merged.

mod live;
mod merge;
mod record;
mod registry;
mod remote;
mod runs;
mod signatures;
mod union;

pub use live::share_live;
pub use registry::{Registered, RegistryState, sync_registry};
pub use remote::git_remote_for;
pub use runs::{Decide, Exchange, Received, Sent, fetch, push};
pub use signatures::{SharedSignatures, sync_signatures};
pub use union::KeptOut;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::git::GitError;
use crate::registry::{REGISTRY_REF, RegistryError};
use crate::run::{RUNS_REF, RunError};
use crate::sign::SIGNATURES_REF;

/// How often others may be faster before it is a failure.
const ATTEMPTS: u32 = 60;

/// What can go wrong when runs are shared.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Snapshots hold code that is not committed, and nobody said that it may be shared.
    #[error("{uncommitted} of the runs to be shared hold code that is not committed")]
    Undecided {
        /// How many.
        uncommitted: usize,
    },
    /// The remote moved again and again.
    #[error("others change {reference} of {remote} all the time")]
    Busy {
        /// The git remote.
        remote: String,
        /// The ref.
        reference: &'static str,
    },
    /// A ref of the remote that would take away or change what never changes.
    #[error("{reference} of {remote} is refused: {problem}")]
    Refused {
        /// The git remote.
        remote: String,
        /// The ref.
        reference: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// What is here cannot be merged.
    #[error("the registry that is here cannot be merged: {problem}")]
    Unmergeable {
        /// What is wrong with it.
        problem: String,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// The ref that keeps what was last fetched of a remote's ref: `refs/ml/remotes/origin/runs`.
fn tracking_ref(remote: &str, reference: &str) -> String {
    let name = reference.strip_prefix("refs/ml/").unwrap_or(reference);
    format!("refs/ml/remotes/{remote}/{name}")
}

/// The refs that are fetched, each with the one that keeps it here.
fn fetched_refs(remote: &str) -> [(&'static str, String); 3] {
    [RUNS_REF, REGISTRY_REF, SIGNATURES_REF].map(|reference| (reference, tracking_ref(remote, reference)))
}

/// How long to wait before trying again: not all clients alike.
fn pause_after(attempt: u32) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let process = u64::from(std::process::id()).wrapping_mul(0x9e37_79b9);
    let most = 20_u64 << attempt.min(6);
    Duration::from_millis((u64::from(now.subsec_nanos()) ^ process) % most)
}
