//! Git: the only place that names git2 or gix, or starts the user's `git`.
//!
//! gix reads (objects, refs, the index), commits beside the index are written here so that they survive a power cut, git2
//! does the little that is left, and the user's own `git` makes snapshots (its filters decide what is committed) and
//! talks to the network.
//!
//! Architecture invariant: no type of git2 or gix is in this module's API, and HEAD, the user's index and the work
//! tree stay as they are.

mod bulk;
mod changes;
mod command;
mod commit;
mod durable;
mod error;
mod history;
mod identity;
mod index;
mod network;
mod objects;
mod patch;
mod patterns;
mod refs;
mod repository;
mod scan;
mod settings;
mod snapshot;
mod staged;
mod trees;
mod version;
mod worktree;
mod write;

pub use bulk::BulkCommit;
pub use changes::{Submodule, Untracked};
pub(crate) use command::MISLEADING;
pub use commit::{RefCommit, TreeEdit};
pub use error::GitError;
pub use history::{History, HistoryFile, Root, Worktree};
pub use identity::Identity;
pub use network::{ConfigFile, Credential, Manner, Pushed};
pub use objects::{AddedFile, CommitInfo, TreeEntry};
pub use patch::{ChangedFile, CodeChanges, FileChange, FilePatch, PatchLine, PatchLineKind};
pub use patterns::Patterns;
pub use refs::Head;
pub use repository::Repository;
pub use scan::ReadFile;
pub use snapshot::{LeftOut, Snapshot};
pub use staged::StagedFile;
pub use trees::{ObjectName, PartKind, Put, TreePart};
pub use version::installed_version;
pub use worktree::{Bisection, Judgement};

#[cfg(test)]
mod tests;
