//! Where data comes from: an artifact in the store, or a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use crate::id::{ArtifactId, Digest};
use crate::store::{FileReader, Manifest, Store};

use super::DataError;

/// The files of a data set.
#[derive(Debug)]
pub enum Source {
    /// An artifact, whose bytes are checked while they are read.
    Artifact {
        /// The store it is in.
        store: Store,
        /// Its files.
        manifest: Manifest,
    },
    /// A folder that is not tracked.
    Folder(PathBuf),
}

impl Source {
    /// The artifact `id` of `store`.
    pub fn artifact(store: Store, id: &ArtifactId) -> Result<Self, DataError> {
        let manifest = store.manifest(id)?;
        Ok(Self::Artifact { store, manifest })
    }

    /// The names and sizes of the files at the top.
    pub fn names(&self) -> Result<BTreeMap<String, u64>, DataError> {
        match self {
            Self::Artifact { manifest, .. } => {
                let files = manifest.entries().iter().filter_map(|entry| Some((entry.path.as_ref()?, entry.size)));
                let top = files.filter(|(path, _)| path.parent().is_none());
                Ok(top.map(|(path, size)| (path.to_string(), size)).collect())
            }
            Self::Folder(folder) => {
                let read = |source| DataError::Read { file: folder.display().to_string(), source };
                let mut names = BTreeMap::new();
                for entry in fs::read_dir(folder).map_err(read)? {
                    let entry = entry.map_err(read)?;
                    // Only ordinary files, also behind links: opening a named pipe would wait for ever.
                    match (entry.file_name().into_string(), fs::metadata(entry.path())) {
                        (Ok(name), Ok(metadata)) if metadata.is_file() => drop(names.insert(name, metadata.len())),
                        _ => {}
                    }
                }
                Ok(names)
            }
        }
    }

    /// Opens the file called `name`.
    pub fn open(&self, name: &str) -> Result<Opened<'_>, DataError> {
        let failed = |source| DataError::Read { file: name.to_owned(), source };
        let input = match self {
            Self::Artifact { store, manifest } => {
                let entry =
                    manifest.entries().iter().find(|e| e.path.as_ref().is_some_and(|path| path.as_str() == name));
                let entry = entry.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
                Input::Stored(Box::new(store.read(&entry.digest)?))
            }
            Self::Folder(folder) => Input::File(File::open(folder.join(name)).map_err(failed)?),
        };
        Ok(Opened { input, hasher: blake3::Hasher::new(), bytes: 0 })
    }
}

/// A file that is being read, and hashed on the way.
#[derive(Debug)]
pub struct Opened<'s> {
    input: Input<'s>,
    hasher: blake3::Hasher,
    bytes: u64,
}

#[derive(Debug)]
enum Input<'s> {
    Stored(Box<FileReader<'s>>),
    File(File),
}

impl Opened<'_> {
    /// Reads what is left, and returns the size and the digest of the whole.
    pub fn finish(mut self, name: &str) -> Result<(u64, Digest), DataError> {
        io::copy(&mut self, &mut io::sink()).map_err(|source| DataError::Read { file: name.to_owned(), source })?;
        Ok((self.bytes, Digest::from_bytes(*self.hasher.finalize().as_bytes())))
    }
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.input {
            Input::Stored(reader) => reader.read(buffer),
            Input::File(file) => file.read(buffer),
        }?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
