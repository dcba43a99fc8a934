//! Artifacts in the work tree: pointers, tracking, status, checkout.
//!
//! Architecture invariant: bytes in the work tree that are neither stored nor unchanged are never overwritten.

mod checkout;
mod compare;
mod content;
mod error;
mod export;
mod folding;
mod ignore;
mod pointer;
mod present;
mod scan;
mod section;
mod stat_cache;
mod status;
mod tracking;
mod twins;
mod unsettled;
mod workspace;
mod write;

pub use checkout::{CheckedOut, CheckoutOptions, Done};
pub use error::{TrackError, Untrackable};
pub use folding::{NameClash, name_clashes};
pub use pointer::{ArtifactType, Kind, POINTER_SUFFIX, Pointer, PointerError};
pub use present::WorkTree;
pub use stat_cache::last_checked_out;
pub use status::{State, Status, Statuses};
pub use tracking::{StoredPath, TrackOptions, Tracked, is_model_file, output_type};
pub use workspace::{Pointers, Workspace};

/// Progress of long work, told to whoever shows it. The defaults ignore it.
pub trait Progress: Sync {
    /// What is being done and how many bytes that will be, where known.
    fn start(&self, _what: &str, _bytes: Option<u64>) {}
    /// That many more bytes are done.
    fn advance(&self, _bytes: u64) {}
    /// The work is over.
    fn finish(&self) {}
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
