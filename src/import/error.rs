//! What can go wrong with an import.

use std::path::PathBuf;

use crate::files::{FileError, RelPath, UnsafePath};
use crate::git::GitError;
use crate::registry::RegistryError;
use crate::remote::{ObjectError, RemoteError};
use crate::run::RunError;
use crate::track::TrackError;

/// What can go wrong with an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is nothing of the other tool's.
    #[error("there is nothing here that {tool} keeps")]
    Nothing {
        /// `Git LFS` or `DVC`.
        tool: &'static str,
    },
    /// There is nothing of the other tool's at a path that was named.
    #[error("{path} is nothing that {tool} keeps")]
    NotKept {
        /// The path.
        path: RelPath,
        /// `Git LFS` or `DVC`.
        tool: &'static str,
    },
    /// The work tree has another content than the other tool says.
    #[error("{path} has changes that the tool which keeps it does not know")]
    Changed {
        /// The file.
        path: RelPath,
    },
    /// A folder has a file that the other tool does not know.
    #[error("{path} also holds {}, which the tool that keeps it does not know", extra.display())]
    Extra {
        /// The folder.
        path: RelPath,
        /// The file.
        extra: PathBuf,
    },
    /// A content is neither in the other tool's cache nor at its remote.
    #[error("the content of {path} ({expected}) is neither in the cache nor at the remote")]
    Missing {
        /// The file.
        path: RelPath,
        /// Its digest.
        expected: String,
    },
    /// A content is not what its digest says.
    #[error("what was found for {path} is damaged: it has not the {expected}")]
    Damaged {
        /// The file.
        path: RelPath,
        /// The digest that it should have.
        expected: String,
    },
    /// A file of the other tool that does not read.
    #[error("{path} does not read: {problem}")]
    Malformed {
        /// The file.
        path: String,
        /// Why.
        problem: String,
    },
    /// git's attributes would hand our pointers to Git LFS.
    #[error("git's attributes hand {path} to Git LFS too")]
    Filtered {
        /// The pointer, or the file with ignore rules.
        path: String,
    },
    /// What was named is nothing that the tool makes.
    #[error("{} is nothing that {tool} keeps: {problem}", path.display())]
    Unknown {
        /// The file or folder.
        path: PathBuf,
        /// `MLflow`, `TensorBoard` or `W&B`.
        tool: &'static str,
        /// What is missing.
        problem: &'static str,
    },
    /// A database cannot be read.
    #[error("cannot read the database {}", path.display())]
    Database {
        /// Its file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A path that nothing may be at.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// A remote of the other tool's failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A remote of the other tool's cannot be used.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Tracking failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// Runs cannot be recorded.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}
