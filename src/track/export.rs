//! Writing artifacts' files out of the store.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use crate::files::{self, Draft, Durability, FileError};
use crate::id::ArtifactId;
use crate::store::{self, Entry, Mode, Store};

use super::{Progress, Silent, TrackError, Workspace};

/// Bytes a link's target may have, as on Linux.
const MAX_TARGET: u64 = 4096;

impl Workspace {
    /// Writes an artifact's files into the folder (or, for a single file, to the file) `place`, which must not exist.
    pub fn export(&self, artifact: &ArtifactId, place: &Path) -> Result<(), TrackError> {
        if place.symlink_metadata().is_ok() {
            return Err(FileError::new("write", place, io::ErrorKind::AlreadyExists.into()).into());
        }
        let manifest = self.store.manifest(artifact)?;
        if let Some(folder) = place.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            files::create_dir_all(folder)?;
        }
        let written = self.export_entries(manifest.entries(), place);
        if written.is_err() {
            // It was not there before.
            let _ = if manifest.is_single_file() { files::remove_file(place) } else { files::remove_dir_all(place) };
        }
        written
    }

    fn export_entries(&self, entries: &[Entry], place: &Path) -> Result<(), TrackError> {
        for folder in folders_of(entries) {
            files::create_dir_all(&place.join(folder))?;
        }
        entries.par_iter().try_for_each(|entry| write_entry(&self.store, entry, place, &Silent).map(drop))
    }
}

/// The folders that the entries' files are in, below the artifact's place; the empty path is the place itself.
pub(super) fn folders_of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeSet<&'a str> {
    let paths = entries.into_iter().filter_map(|entry| entry.path.as_ref());
    paths.map(|path| path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder)).collect()
}

/// How long before its publication a file says it was changed last. Whoever changes it after its publication then
/// gives it another time, even within the same tick of the clock, so the time proves the content.
const BACKDATING: Duration = Duration::from_millis(50);

/// Writes one file of the artifact whose place is `root`, in one step; its folder has to be there. Returns the time
/// of the last change that it was given, for what is no link.
pub(super) fn write_entry(
    store: &Store,
    entry: &Entry,
    root: &Path,
    progress: &dyn Progress,
) -> Result<Option<SystemTime>, TrackError> {
    let place = entry.path.as_ref().map_or_else(|| root.to_path_buf(), |path| path.under(root));
    let folder = place.parent().unwrap_or(Path::new("."));
    if entry.mode == Mode::Symlink {
        let target = store.read_to_vec(&entry.digest, MAX_TARGET)?;
        files::publish_link(&place, &target)?;
        progress.advance(entry.size);
        return Ok(None);
    }
    let mut output = Output { draft: Draft::new_in(folder)?, progress, failure: None };
    let copied = store::copy(store, &entry.digest, &mut output);
    if let Some(source) = output.failure {
        return Err(FileError::new("write", &place, source).into());
    }
    copied?;
    let modified = SystemTime::now() - BACKDATING;
    let dated = output.draft.set_modified(modified);
    dated.map_err(|source| FileError::new("write", &place, source))?;
    output.draft.publish(&place, entry.mode == Mode::Executable, Durability::Buffered)?;
    Ok(Some(modified))
}

/// A draft that tells progress, and keeps its own failures apart from those of the store.
struct Output<'a> {
    draft: Draft,
    progress: &'a dyn Progress,
    failure: Option<io::Error>,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.draft.write(bytes) {
            Ok(count) => {
                self.progress.advance(count as u64);
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::from(error.kind());
                self.failure = Some(error);
                Err(told)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush()
    }
}
