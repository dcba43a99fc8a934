//! Reading the content of files that are compared, from the store or from the work tree.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::DiffError;
use crate::store::{Entry, Store, StoreError};
use crate::track::Progress;

/// Where a version's bytes are.
pub(super) enum Origin<'s> {
    /// In the store.
    Store(&'s Store),
    /// In the work tree, at the artifact's place.
    Place(PathBuf),
}

/// A file's content, to be read from its beginning as often as needed.
pub(super) struct Content<'c> {
    pub(super) origin: &'c Origin<'c>,
    pub(super) entry: &'c Entry,
    pub(super) progress: &'c dyn Progress,
}

/// Why a file could not be looked into.
pub(super) enum Fault {
    /// It is not what its name says, or not here: that is said, and the rest is shown.
    Unclear(String),
    /// Nothing more can be said.
    Failed(DiffError),
}

impl From<DiffError> for Fault {
    fn from(error: DiffError) -> Self {
        Self::Failed(error)
    }
}

impl<'c> Content<'c> {
    /// The content from its beginning.
    pub(super) fn open(&self) -> Result<Box<dyn Read + 'c>, Fault> {
        match self.origin {
            Origin::Store(store) => match store.read(&self.entry.digest) {
                Ok(reader) => Ok(Box::new(reader)),
                Err(error) => Err(self.fault(io::Error::other(error))),
            },
            Origin::Place(place) => {
                let path = self.entry.path.as_ref().map_or_else(|| place.clone(), |path| path.under(place));
                match File::open(path) {
                    Ok(file) => Ok(Box::new(file)),
                    Err(error) => Err(self.fault(error)),
                }
            }
        }
    }

    /// What a failed read means.
    pub(super) fn fault(&self, error: io::Error) -> Fault {
        match StoreError::from_io(error) {
            Ok(StoreError::Missing { .. }) => Fault::Unclear("its content is not in this store".to_owned()),
            Ok(error) => DiffError::from(error).into(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Fault::Unclear("it ends before what it says it holds".to_owned())
            }
            Err(source) => DiffError::Read { path: self.entry.path_text().to_owned(), source }.into(),
        }
    }
}

/// A file that is read forward, and again from its beginning where somebody wants to go back.
pub(super) struct Cursor<'c, 'd> {
    content: &'d Content<'c>,
    reader: Box<dyn Read + 'c>,
    position: u64,
}

impl<'c, 'd> Cursor<'c, 'd> {
    pub(super) fn new(content: &'d Content<'c>) -> Result<Self, Fault> {
        Ok(Self { content, reader: content.open()?, position: 0 })
    }

    /// Goes to an offset from the beginning.
    pub(super) fn go_to(&mut self, offset: u64) -> Result<(), Fault> {
        if offset < self.position {
            *self = Self::new(self.content)?;
        }
        let mut skipped = (&mut self.reader).take(offset - self.position);
        let count = io::copy(&mut skipped, &mut io::sink()).map_err(|error| self.content.fault(error))?;
        self.position += count;
        match self.position == offset {
            true => Ok(()),
            false => Err(self.content.fault(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Fills the buffer with what comes next.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.reader.read_exact(buffer).map_err(|error| self.content.fault(error))?;
        self.position += buffer.len() as u64;
        self.content.progress.advance(buffer.len() as u64);
        Ok(())
    }
}
