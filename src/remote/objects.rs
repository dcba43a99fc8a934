//! What a remote is made of: a place that keeps objects under names.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

/// A place that keeps objects under names such as `packs/<id>.pack`.
///
/// An object is written once, whole or not at all, and never changes: whoever writes the same name writes the same
/// bytes. So nothing here rests on conditional writes, which several servers ignore silently.
pub(crate) trait Objects: fmt::Debug + Send + Sync {
    /// The objects whose names begin with `folder` and a slash, in any order.
    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError>;

    /// The size of an object; none if there is none of that name.
    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError>;

    /// A part of an object, all of it: shorter is an error.
    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError>;

    /// Writes an object from memory.
    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError>;

    /// Writes an object from a file. `sent` is told of bytes as they leave, also of those that are sent once more.
    fn put_file(&self, name: &str, path: &Path, sent: &(dyn Fn(u64) + Sync)) -> Result<(), ObjectError>;

    /// Removes an object; fine if there is none.
    fn remove(&self, name: &str) -> Result<(), ObjectError>;
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its whole name.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// When it was written by the place's own clock, in seconds since 1970; none where the place does not say.
    pub(crate) modified: Option<i64>,
}

/// What can go wrong with objects. No variant carries a credential.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no object of that name.
    #[error("{place} has no object {name}")]
    NotFound {
        /// The place, as people know it.
        place: String,
        /// The object.
        name: String,
    },
    /// The place wants other credentials, or does not let these do that.
    #[error("{place} does not let us {action}: {problem}")]
    Denied {
        /// The place.
        place: String,
        /// `read …`, `write …`.
        action: String,
        /// What it said, in a line.
        problem: String,
    },
    /// It may work later: the network, a server that is busy.
    #[error("{place} cannot be reached: {problem}")]
    Unreachable {
        /// The place.
        place: String,
        /// What was said, in a line.
        problem: String,
    },
    /// Anything else.
    #[error("{place} failed to {action}: {problem}")]
    Failed {
        /// The place.
        place: String,
        /// `read …`, `write …`.
        action: String,
        /// What was said, in a line.
        problem: String,
    },
}
