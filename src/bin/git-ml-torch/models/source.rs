//! The file that a model is made from: weights to start with, or a module.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use git_ml::files::RelPath;
use git_ml::id::Digest;
use git_ml::store::{Manifest, Store};
use git_ml::train::{FileSource, FileSpec, Job};

use crate::failure::{Failure, Result};

/// Bytes that such a file may have: as much as the largest model has in 64 bits.
const MAX_FILE: u64 = 8 * super::MAX_PARAMETERS;

/// A file that was found, and whose size is known.
pub(crate) struct ModelSource {
    /// Its path as the recipe gives it.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    digest: Digest,
    place: Place,
}

enum Place {
    Stored(Store),
    Plain(PathBuf),
}

impl ModelSource {
    /// The file that the job's model is made from; none where its recipe names none.
    pub(crate) fn find(job: &Job) -> Result<Option<Self>> {
        let (Some(name), Some(source)) = (job.recipe.model.file(), &job.model_file) else { return Ok(None) };
        let name = name.to_owned();
        let found = match source {
            FileSource::Stored { artifact, path } => {
                let store = Store::open(&job.store)?;
                let manifest = store.manifest(artifact)?;
                let entry = manifest.entries().iter().find(|entry| entry.path == *path);
                let entry = entry.ok_or_else(|| Failure::new(format!("the artifact {artifact} has no file {name}")))?;
                Self { name, bytes: entry.size, digest: entry.digest, place: Place::Stored(store) }
            }
            FileSource::Path(place) => Self::plain(name, place.clone())?,
        };
        if found.bytes > MAX_FILE {
            let line = format!("{} has {} bytes; at most {MAX_FILE} are possible", found.name, found.bytes);
            return Err(Failure::new(line));
        }
        Ok(Some(found))
    }

    /// The file called `name` of an artifact of `store`; none where it has none.
    pub(crate) fn stored(name: &str, store: &Store, manifest: &Manifest) -> Result<Option<Self>> {
        let is_it = |path: &Option<RelPath>| path.as_ref().is_some_and(|path| path.as_str() == name);
        let Some(entry) = manifest.entries().iter().find(|entry| is_it(&entry.path)) else { return Ok(None) };
        let place = Place::Stored(Store::open(store.root())?);
        Ok(Some(Self { name: name.to_owned(), bytes: entry.size, digest: entry.digest, place }))
    }

    /// A file that is not in the store, by its content at this moment.
    fn plain(name: String, place: PathBuf) -> Result<Self> {
        let failed = |error: io::Error| Failure::new(format!("cannot read {name}: {error}"));
        let mut hasher = blake3::Hasher::new();
        let bytes = File::open(&place).and_then(|mut file| io::copy(&mut file, &mut hasher)).map_err(failed)?;
        let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
        Ok(Self { name, bytes, digest, place: Place::Plain(place) })
    }

    /// Its content, from the beginning.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match &self.place {
            Place::Stored(store) => Box::new(store.read(&self.digest)?),
            Place::Plain(place) => {
                Box::new(BufReader::new(File::open(place).map_err(|error| self.unreadable(&error))?))
            }
        })
    }

    /// Its whole content.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open()?.take(MAX_FILE).read_to_end(&mut content).map_err(|error| self.unreadable(&error))?;
        Ok(content)
    }

    /// That reading it failed.
    pub(crate) fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::new(format!("cannot read {}: {error}", self.name))
    }

    /// What `model.toml` says about it.
    pub(crate) fn spec(&self) -> FileSpec {
        FileSpec { name: self.name.clone(), bytes: self.bytes, blake3: self.digest }
    }

    #[cfg(test)]
    pub(crate) fn at(place: &std::path::Path) -> Self {
        Self::plain(place.file_name().unwrap().to_string_lossy().into_owned(), place.to_path_buf()).unwrap()
    }
}
