//! What can go wrong with git.

use std::path::PathBuf;

/// What can go wrong with git.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No repository at or above this folder.
    #[error("{} is not inside a git repository", start.display())]
    NotARepository {
        /// Where the search began.
        start: PathBuf,
    },
    /// A bare repository has no work tree.
    #[error("this is a bare repository: it has no work tree")]
    Bare,
    /// HEAD has no commit.
    #[error("this repository has no commit yet")]
    NoCommit,
    /// A revision that git does not know.
    #[error("`{revision}` is not a revision of this repository")]
    UnknownRevision {
        /// As it was given.
        revision: String,
    },
    /// A ref moved between reading and writing it.
    #[error("{reference} was changed by somebody else meanwhile")]
    RefMoved {
        /// The whole name of the ref.
        reference: String,
    },
    /// The repository's files belong to somebody else, and `safe.directory` does not name it.
    #[error("{} belongs to another user, so git does not trust it", path.display())]
    NotTrusted {
        /// The work tree, or the git folder of a bare repository.
        path: PathBuf,
    },
    /// A file in a commit that is larger than whoever reads it allows.
    #[error("{path} in git has {bytes} bytes, and at most {limit} are read")]
    TooLarge {
        /// The path in the commit's tree.
        path: String,
        /// Its size.
        bytes: u64,
        /// The most that was allowed.
        limit: u64,
    },
    /// A ref stays locked.
    #[error("{reference} is locked: {} is there", lock.display())]
    RefLocked {
        /// The whole name of the ref.
        reference: String,
        /// The lock's file.
        lock: PathBuf,
    },
    /// A clone that lacks the beginning of history.
    #[error("this is a shallow clone: commits that are cut off here may name anything")]
    Shallow,
    /// An object that something leads to is not here.
    #[error("{root} leads to object {id}, which is not here")]
    MissingObject {
        /// The object.
        id: String,
        /// The ref, reflog or index that leads to it.
        root: String,
    },
    /// Refs are not kept as files.
    #[error("the refs of this repository are kept as a reftable, which git-ml cannot list")]
    UnknownRefStorage,
    /// Neither `user.name` and `user.email` nor the environment says who the author is.
    #[error("git does not know who you are")]
    NoIdentity,
    /// The user signs commits, and git could not sign one.
    #[error("git could not sign the commit: {message}")]
    Unsigned {
        /// The last lines of what it said.
        message: String,
    },
    /// A `git` that was started failed.
    #[error("`git {command}` failed: {message}")]
    Command {
        /// The arguments.
        command: String,
        /// The last lines of what it said.
        message: String,
    },
    /// Anything else that git2, gix or the system reports.
    #[error("{action}")]
    Failed {
        /// What was tried: `cannot read refs/ml/runs`.
        action: String,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Says what was tried where a library failed.
pub(super) trait OrFailed<T> {
    /// Turns an error into one of trying to do `action`.
    fn or_failed<A: Into<String>>(self, action: impl FnOnce() -> A) -> Result<T, GitError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> OrFailed<T> for Result<T, E> {
    fn or_failed<A: Into<String>>(self, action: impl FnOnce() -> A) -> Result<T, GitError> {
        self.map_err(|source| GitError::Failed { action: action().into(), source: source.into() })
    }
}
