//! What can go wrong with the store.

use crate::files::{FileError, LockError, UnsafePath};
use crate::id::{Digest, PackId};

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store has no such content.
    #[error("the store has no content {digest}")]
    Missing {
        /// What was asked for.
        digest: Digest,
    },
    /// Bytes in a pack are not what they should be.
    #[error("pack {pack} is damaged: {problem}")]
    Damaged {
        /// The pack.
        pack: PackId,
        /// What was wrong, with the place in the pack.
        problem: String,
    },
    /// A pack, manifest or index that does not follow the format.
    #[error("{what} is not valid: {problem}")]
    Malformed {
        /// `the manifest of …`, a file name.
        what: String,
        /// What was wrong.
        problem: String,
    },
    /// A manifest with a path that must not be used.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// The bytes given could not be read.
    #[error("cannot read {what}")]
    Read {
        /// What was read: a path, or `the input`.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store's files could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store is locked by another process.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl StoreError {
    /// The store's error inside an error of [`FileReader`](super::FileReader), or that error back.
    pub fn from_io(error: std::io::Error) -> Result<Self, std::io::Error> {
        error.downcast::<Self>()
    }
}
