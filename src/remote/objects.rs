//! What a remote is made of: a place that keeps objects under names.

use std::fmt;
use std::io::IoSlice;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use crate::files::Draft;

/// A place that keeps objects under names such as `packs/<id>.pack`.
///
/// An object is written once, whole or not at all, and never changes: whoever writes the same name writes the same
/// bytes. So nothing here rests on conditional writes, which several servers ignore silently.
pub(crate) trait Objects: fmt::Debug + Send + Sync {
    /// The place, as people know it, without anything secret.
    fn describe(&self) -> String;

    /// The objects whose names begin with `folder` and a slash, in any order.
    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError>;

    /// The size of an object; none if there is none of that name.
    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError>;

    /// A part of an object, all of it: shorter is an error.
    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError>;

    /// Writes an object from memory.
    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError>;

    /// Writes an object from a file. `pace` is told of each piece before it is sent, and may wait: that is how a rate is
    /// held.
    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError>;

    /// Copies an object of `size` bytes to the beginning of a draft. `pace` is told of each piece before it is asked
    /// for.
    fn fetch(&self, name: &str, size: u64, output: &mut Draft, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let mut start = 0;
        while start < size {
            let end = size.min(start + PIECE);
            pace(end - start);
            let bytes = self.read(name, start..end)?;
            write_at(output, &bytes, start)?;
            start = end;
        }
        Ok(())
    }

    /// Removes an object; fine if there is none.
    fn remove(&self, name: &str) -> Result<(), ObjectError>;

    /// How many requests may be under way at a time.
    fn at_once(&self) -> usize {
        4
    }

    /// Bytes that it costs less to read than to leave out with a second request.
    fn gap(&self) -> u64 {
        256 << 10
    }

    /// Whether a listing says when objects were written.
    fn tells_times(&self) -> bool {
        true
    }

    /// Whether a request costs next to nothing, so that nothing need be cached on this side.
    fn is_near(&self) -> bool {
        false
    }
}

/// Is told how many bytes are about to travel.
pub(crate) type Pace<'p> = dyn Fn(u64) + Sync + 'p;

/// Bytes of a large object that are asked for, or sent, at a time.
pub(crate) const PIECE: u64 = 8 << 20;

/// Writes what arrived.
pub(crate) fn write_at(output: &Draft, bytes: &[u8], start: u64) -> Result<(), ObjectError> {
    let written = output.write_all_at(&mut [IoSlice::new(bytes)], start);
    written.map_err(|error| ObjectError::Output { problem: format!("{error}: {}", error.source) })
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
    /// What arrived cannot be written here.
    #[error("what arrived cannot be written: {problem}")]
    Output {
        /// What the system said.
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

/// All of a file, for places of tests that are in memory.
#[cfg(test)]
pub(super) fn content_of(path: &Path, pace: &Pace<'_>) -> Bytes {
    let bytes = std::fs::read(path).unwrap();
    pace(bytes.len() as u64);
    bytes.into()
}
