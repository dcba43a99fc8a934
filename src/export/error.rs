//! What can go wrong with an export.

use crate::files::FileError;
use crate::run::RunError;
use crate::store::StoreError;
use crate::track::TrackError;

/// What can go wrong with an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A table cannot be made.
    #[error("the table cannot be written: {problem}")]
    Table {
        /// Why.
        problem: String,
    },
    /// The output cannot be written.
    #[error("cannot write the table")]
    Output(#[source] std::io::Error),
    /// What was named is no server.
    #[error("`{url}` is not the address of a server: {reason}")]
    BadUrl {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server cannot be reached.
    #[error("{place} cannot be reached: {problem}")]
    Unreachable {
        /// The server.
        place: String,
        /// Why.
        problem: String,
    },
    /// The server refused a request.
    #[error("{place} refused to {action}: {problem}")]
    Refused {
        /// The server.
        place: String,
        /// What was asked for.
        action: String,
        /// What it said.
        problem: String,
    },
    /// Runs cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Artifacts cannot be read.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// Artifacts cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}
