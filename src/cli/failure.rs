//! What a command's failure says, and the exit code it gets.

use crate::config::ConfigError;
use crate::files::{FileError, LockError};
use crate::git::GitError;
use crate::query::QueryError;
use crate::registry::RegistryError;
use crate::run::RunError;
use crate::store::StoreError;
use crate::track::TrackError;
use crate::train::TrainError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user's problem, with the way out.
    #[error("{message}")]
    User {
        /// What happened, with the names.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The command line is not right.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        hint: String,
    },
    /// A verification or a gate failed; what it found was printed already.
    #[error("verification failed")]
    Verification,
    /// A command that was run ended with this code, and has said why itself.
    #[error("the command ended with {0}")]
    Child(i32),
    /// `ml.toml` is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A query is not valid.
    #[error("the query is not valid: {0}")]
    Query(#[from] QueryError),
    /// A training could not start.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// stdout could not be written, other than by a closed pipe.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
}
