//! Upkeep of the store: giving back the room of what nothing names any more, and mending what is damaged.
//!
//! Architecture invariant: nothing is removed before a plan says so, before its grace period is over, or while anything
//! names it; and what stays is durable and findable before anything goes.

mod collect;
mod mend;
mod remote;
mod unreachable;
mod usage;

pub use collect::{CollectOptions, Collected, Collection};
pub use mend::{Lost, Mended, mend};
pub use remote::collect_remote;
pub use unreachable::Unreachable;
pub use usage::{Usage, stored_bytes, usage};

use crate::files::{FileError, LockError};
use crate::git::GitError;
use crate::id::ArtifactId;
use crate::reach::ReachError;
use crate::remote::RemoteError;
use crate::store::StoreError;
use crate::track::TrackError;

/// What can go wrong with upkeep.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// What an artifact consists of cannot be read, so what belongs to it is not known.
    #[error("what belongs to {place} (artifact {}) cannot be read, so nothing is removed", artifact.short())]
    Unreadable {
        /// What names it.
        place: String,
        /// The artifact.
        artifact: ArtifactId,
        /// What is wrong.
        source: StoreError,
    },
    /// What is reachable cannot be known.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A remote failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another collection is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
}
