//! Files: atomic publication, locks and path safety.
//!
//! Architecture invariant: this module is the only writer of files. A reader sees the old content or the new, never
//! a torn one. `clippy.toml` bans the ways around it.

mod atomic;
mod claim;
mod disk;
mod folder;
mod lock;
mod path;
#[cfg(test)]
pub(crate) mod trace;

pub use atomic::{
    Appender, Draft, Durability, FileError, SealedDraft, WritableDraft, append_lines, create_dir_all, ensure_dir, fill,
    freshen, move_dir, publish, publish_from, publish_link, remove_dir_all, remove_empty_dir, remove_file, rename,
    sync_all, sync_dir,
};
pub use claim::Claim;
pub use folder::{Access, DraftFile, DraftFolder};
pub use lock::{FileLock, LockError, Wait};
pub use path::{RelPath, UnsafePath, check_length, resolve_beneath};
