//! Writing files of an artifact out of the store into the work tree.
//!
//! Nobody sees half a file. One that takes another's place, or comes into a folder that is there, is a draft first and
//! is renamed. A folder that is not there at all is a draft with all its files in it, and renamed once: that spares a
//! rename a file. A kill leaves what was renamed, which the next checkout finds, and drafts, which it removes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use crate::files::{self, Access, Draft, DraftFolder, Durability, FileError, WritableDraft};
use crate::store::{self, Entry, Mode, Proof, Store};

use super::compare::path_of;
use super::scan::{Stat, What};
use super::section::{KnownFile, nanoseconds, now};
use super::twins::Twins;
use super::{Progress, TrackError};

/// Bytes a link's target may have, as on Linux.
const MAX_TARGET: u64 = 4096;

/// Bytes of files in a folder that is written as one: what a kill can cost.
const MAX_FOLDER: u64 = 256 << 20;

/// How long before its publication a file says it was changed last. Whoever changes it after its publication then
/// gives it another time, even within the same tick of the clock, so the time proves the content.
const BACKDATING: Duration = Duration::from_millis(50);

/// Files of one folder that a thread writes before it lets others take some.
const PORTION: usize = 16;

/// A file that is to be written, with the stat of the one whose place it takes.
pub(super) type ToWrite = (Entry, Option<Stat>);

/// Writes files of one artifact.
pub(super) struct FileWriter<'a> {
    /// Where they come from.
    pub(super) store: &'a Store,
    /// The place of one of the artifact's folders, if it is safe to write to; the empty path is the artifact's own.
    pub(super) place_of_folder: &'a (dyn Fn(&str) -> Result<PathBuf, TrackError> + Sync),
    /// Whether they cannot be written any more when they are there.
    pub(super) read_only: bool,
    /// Files that share their content with them.
    pub(super) twins: Twins,
    /// Who is told.
    pub(super) progress: &'a dyn Progress,
}

/// Files that go right into one folder.
struct Batch<'w> {
    folder: &'w str,
    files: &'w [ToWrite],
}

impl FileWriter<'_> {
    /// Writes the only file of an artifact to `place`.
    pub(super) fn write_single(&self, file: &ToWrite, place: &Path) -> Result<KnownFile, TrackError> {
        self.replace(file, place)
    }

    /// Writes files, and sorts them for that; all of them as they stand then.
    pub(super) fn write_all(&self, files: &mut [ToWrite]) -> Result<Vec<KnownFile>, TrackError> {
        // Outer folders come first: those in them are made there.
        files.par_sort_unstable_by(|(left, _), (right, _)| {
            let key = |entry| {
                let (folder, name) = split(entry);
                (folder.matches('/').count() + usize::from(!folder.is_empty()), folder, name)
            };
            key(left).cmp(&key(right))
        });
        let batches = files.chunk_by(|(left, _), (right, _)| split(left).0 == split(right).0);
        let batches: Vec<Batch<'_>> = batches
            .map(|files| Batch { folder: files.first().map_or("", |(entry, _)| split(entry).0), files })
            .collect();
        let depth = |batch: &Batch<'_>| batch.folder.matches('/').count() + usize::from(!batch.folder.is_empty());
        let mut written = Vec::with_capacity(files.len());
        for level in batches.chunk_by(|left, right| depth(left) == depth(right)) {
            let files: Result<Vec<Vec<KnownFile>>, TrackError> =
                level.par_iter().with_max_len(1).map(|batch| self.write_batch(batch)).collect();
            written.extend(files?.into_iter().flatten());
        }
        Ok(written)
    }

    fn write_batch(&self, batch: &Batch<'_>) -> Result<Vec<KnownFile>, TrackError> {
        let place = (self.place_of_folder)(batch.folder)?;
        let files = batch.files.par_iter().with_min_len(PORTION);
        let bytes = batch.files.iter().fold(0u64, |sum, (entry, _)| sum.saturating_add(entry.size));
        if bytes > MAX_FOLDER || place.symlink_metadata().is_ok() {
            files::create_dir_all(&place)?;
            return files.map(|file| self.replace(file, &place.join(split(&file.0).1))).collect();
        }
        let parent = place.parent().unwrap_or(Path::new("."));
        files::create_dir_all(parent)?;
        let draft = DraftFolder::new_in(parent)?;
        let written: Result<Vec<KnownFile>, TrackError> =
            files.map(|(entry, _)| self.write_into(&draft, entry, &place)).collect();
        let written = written?;
        draft.publish(&place)?;
        Ok(written)
    }

    /// Writes a file into a folder that is to be published at `place`.
    fn write_into(&self, draft: &DraftFolder, entry: &Entry, place: &Path) -> Result<KnownFile, TrackError> {
        let (_, name) = split(entry);
        let fail = |source| FileError::new("write", &place.join(name), source);
        if entry.mode == Mode::Symlink {
            draft.link(name, &self.target(entry)?).map_err(fail)?;
            let stat = Stat::at(&draft.place(name))?;
            return self.known(entry, stat, None, &place.join(name));
        }
        let access = self.access(entry);
        let file = self.filled(entry, &place.join(name), |proof| {
            if proof == Proof::Chunks {
                draft.remove(name).map_err(fail)?;
            }
            Ok(draft.create(name, access).map_err(fail)?)
        })?;
        let modified = SystemTime::now() - BACKDATING;
        file.set_modified(modified).map_err(fail)?;
        // Renaming the folder changes nothing about the files in it.
        let stat = Stat::of(file.file()).map_err(fail)?;
        self.known(entry, Some(stat), Some(modified), &place.join(name))
    }

    /// Writes a file to `place`, in the place of the one that was planned to be replaced.
    fn replace(&self, (entry, replaced): &ToWrite, place: &Path) -> Result<KnownFile, TrackError> {
        check_unchanged(place, *replaced)?;
        if entry.mode == Mode::Symlink {
            files::publish_link(place, &self.target(entry)?)?;
            return self.known(entry, Stat::at(place)?, None, place);
        }
        let draft = self.filled(entry, place, |_| Ok(Draft::new_in(place.parent().unwrap_or(Path::new(".")))?))?;
        let modified = SystemTime::now() - BACKDATING;
        draft.set_modified(modified).map_err(|source| FileError::new("write", place, source))?;
        draft.publish_as(place, self.access(entry), Durability::Buffered)?;
        self.known(entry, Stat::at(place)?, Some(modified), place)
    }

    fn access(&self, entry: &Entry) -> Access {
        Access { executable: entry.mode == Mode::Executable, read_only: self.read_only }
    }

    fn target(&self, entry: &Entry) -> Result<Vec<u8>, TrackError> {
        self.progress.advance(entry.size);
        Ok(self.store.read_to_vec(&entry.digest, MAX_TARGET)?)
    }

    /// Writes the content of a file to what `make` makes.
    ///
    /// Verifying the whole costs half of verifying its chunks too. Where it fails, all is done once more with care.
    fn filled<F: WritableDraft>(
        &self,
        entry: &Entry,
        place: &Path,
        make: impl Fn(Proof) -> Result<F, TrackError>,
    ) -> Result<F, TrackError> {
        let attempt = |proof| {
            let mut file = make(proof)?;
            if self.twins.share(&entry.digest, &mut file) {
                self.progress.advance(entry.size);
                return Ok(file);
            }
            self.fill(&mut file, entry, place, proof).map(|()| file)
        };
        match attempt(Proof::Whole) {
            Err(TrackError::Store(_)) => attempt(Proof::Chunks),
            done => done,
        }
    }

    fn fill(&self, file: &mut dyn WritableDraft, entry: &Entry, place: &Path, proof: Proof) -> Result<(), TrackError> {
        let mut output = Output { file, progress: self.progress, failure: None };
        let copied = store::copy(self.store, &entry.digest, proof, &mut output);
        match (output.failure, copied) {
            (Some(source), _) => Err(FileError::new("write", place, source).into()),
            (None, copied) => Ok(copied.map(drop)?),
        }
    }

    /// What is known of a file that was written a moment ago, and given the time `modified`.
    fn known(
        &self,
        entry: &Entry,
        stat: Option<(Stat, What)>,
        modified: Option<SystemTime>,
        place: &Path,
    ) -> Result<KnownFile, TrackError> {
        let (stat, _) = stat.ok_or_else(|| TrackError::Changed { path: place.to_path_buf() })?;
        let is_ours = modified.is_some_and(|modified| stat.modified == nanoseconds(modified));
        // A file with another time may have been changed since: then nothing is certain before it is read.
        let checked_at = if is_ours { now() } else { 0 };
        let path = path_of(entry).to_owned();
        Ok(KnownFile { path, mode: entry.mode, stat, digest: entry.digest, checked_at })
    }
}

/// A file's folder and its name in it.
fn split(entry: &Entry) -> (&str, &str) {
    let path = path_of(entry);
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Fails if what stands at a place is not what stood there when its fate was decided.
pub(super) fn check_unchanged(place: &Path, planned: Option<Stat>) -> Result<(), TrackError> {
    let stat = Stat::at(place)?.filter(|(_, what)| *what != What::Folder).map(|(stat, _)| stat);
    if stat == planned { Ok(()) } else { Err(TrackError::Changed { path: place.to_path_buf() }) }
}

/// A file that tells progress, and keeps its own failures apart from those of the store.
struct Output<'a> {
    file: &'a mut dyn WritableDraft,
    progress: &'a dyn Progress,
    failure: Option<io::Error>,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
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
        Ok(())
    }
}
