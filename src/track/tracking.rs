//! Tracking: bytes into the store, a pointer in their place for git.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::files::{Draft, Durability, FileError, RelPath, resolve_beneath};
use crate::id::ArtifactId;
use crate::store::{Entry, Manifest, Writer};

use super::compare::Lookup;
use super::content::{self, read_steadily};
use super::ignore::IgnoreFile;
use super::pointer::POINTER_SUFFIX;
use super::scan::{Found, Scan, place_of, scan};
use super::stat_cache::{KnownFile, Section, StatCache};
use super::workspace::{PATIENCE, WorktreeLock, read_pointer};
use super::{ArtifactType, Kind, Pointer, Progress, Silent, TrackError, Untrackable, Workspace};

/// How to track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackOptions {
    /// The artifact's name; by default the path's last name, or what the pointer there says.
    pub name: Option<String>,
    /// The artifact's type; by default what the pointer there says, or a guess: `model` for model files, else
    /// `dataset`.
    pub artifact_type: Option<ArtifactType>,
    /// Metadata to set in the pointer.
    pub meta: BTreeMap<String, String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// An artifact that was tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracked {
    /// Its path in the work tree.
    pub path: RelPath,
    /// The pointer's path.
    pub pointer_path: RelPath,
    /// The pointer.
    pub pointer: Pointer,
    /// Bytes that the store grew by. In a dry run, the content that it does not have, uncompressed.
    pub stored_bytes: u64,
    /// Whether the pointer is new or differs from the one that was there.
    pub is_changed: bool,
}

impl Workspace {
    /// Stores what is at `path` and writes the pointer and the ignore rule.
    pub fn track(
        &self,
        path: &RelPath,
        options: &TrackOptions,
        progress: &dyn Progress,
    ) -> Result<Tracked, TrackError> {
        let work_dir = self.repository.work_dir()?;
        self.check_path(path)?;
        let place = resolve_beneath(work_dir, path)?;
        // A dry run changes nothing and so needs nobody to wait.
        let lock = if options.dry_run { None } else { Some(self.lock(PATIENCE)?) };
        let scan = self.scan_trackable(path, &place)?;
        let pointer_path = path.with_suffix(POINTER_SUFFIX)?;
        let previous = read_pointer(work_dir, &pointer_path)?;
        let mut cache = StatCache::load(self.repository.git_dir());

        let mut lookup = Lookup::new(cache.section(path));
        let mut known = Vec::with_capacity(scan.files.len());
        for found in &scan.files {
            known.push(match lookup.find(found) {
                Some(file) if self.store.contains(&file.digest)? => Some(file.clone()),
                _ => None,
            });
        }
        let is_reread = known.iter().any(Option::is_none);
        let (files, stored_bytes) = match &lock {
            Some(_) => self.store_missing(path.as_str(), &place, &scan, known, progress)?,
            None => self.hash_missing(&place, &scan, known)?,
        };
        let manifest = manifest_of(&files)?;
        let pointer = describe(path, options, previous.as_ref(), &manifest, &scan)
            .checked()
            .map_err(|source| TrackError::Pointer { path: PathBuf::from(pointer_path.as_str()), source })?;
        let is_changed = previous.as_ref() != Some(&pointer);
        if let Some(lock) = &lock {
            let section = Section { artifact_id: pointer.id, files };
            if is_reread || cache.section(path) != Some(&section) {
                cache.set(path, section);
                // A cache that cannot be written costs time and nothing else.
                let _ = cache.save(lock);
            }
            publish_pointer(work_dir, path, &pointer_path, is_changed.then_some(&pointer), lock)?;
        }
        Ok(Tracked { path: path.clone(), pointer_path, pointer, stored_bytes, is_changed })
    }

    /// Stores the files of any folder or file, in the work tree or not, without a pointer: outputs of runs.
    pub fn store_path(&self, path: &Path) -> Result<(ArtifactId, Manifest, u64), TrackError> {
        let scan = scan(path)?.ok_or_else(|| TrackError::NotFound { path: path.to_path_buf() })?;
        scan.check(path)?;
        let known = vec![None; scan.files.len()];
        let (files, stored_bytes) = self.store_missing(&path.to_string_lossy(), path, &scan, known, &Silent)?;
        let manifest = manifest_of(&files)?;
        Ok((manifest.id(), manifest, stored_bytes))
    }

    /// Removes the pointer and the ignore rule; the data stays in the work tree and in the store.
    pub fn untrack(&self, path: &RelPath) -> Result<(), TrackError> {
        self.check_tracked(path)?;
        let pointer_path = path.with_suffix(POINTER_SUFFIX)?;
        let pointer_place = resolve_beneath(self.repository.work_dir()?, &pointer_path)?;
        let lock = self.lock(PATIENCE)?;
        let ignore = IgnoreFile::read(folder_of(&pointer_place))?;
        let _drafts = lock.announce_drafts(folder_of(&pointer_place))?;
        // The pointer goes first: without it the rule only hides a file, without the rule git would add the bytes.
        crate::files::remove_file(&pointer_place)?;
        ignore.remove(path)?;
        let mut cache = StatCache::load(self.repository.git_dir());
        cache.forget(path);
        let _ = cache.save(&lock);
        Ok(())
    }

    /// Fails unless there is a pointer for `path`, valid or not.
    pub fn check_tracked(&self, path: &RelPath) -> Result<(), TrackError> {
        let pointer_path = path.with_suffix(POINTER_SUFFIX)?;
        let place = resolve_beneath(self.repository.work_dir()?, &pointer_path)?;
        if place.is_file() || place.is_symlink() {
            return Ok(());
        }
        Err(TrackError::NotTracked { path: path.clone() })
    }

    /// Fails where [`Workspace::track`] would, as far as that can be told without reading files.
    pub fn check_trackable(&self, path: &RelPath) -> Result<(), TrackError> {
        self.check_path(path)?;
        let place = resolve_beneath(self.repository.work_dir()?, path)?;
        self.scan_trackable(path, &place).map(drop)
    }

    /// Refuses paths at which nothing may be tracked, whatever is there.
    fn check_path(&self, path: &RelPath) -> Result<(), TrackError> {
        let refuse = |reason| Err(TrackError::NotTrackable { path: PathBuf::from(path.as_str()), reason });
        let work_dir = self.repository.work_dir()?;
        if path.as_str().ends_with(POINTER_SUFFIX) {
            return refuse(Untrackable::Pointer);
        }
        let is_gits = matches!(path.file_name(), ".gitignore" | ".gitattributes" | ".gitmodules");
        if is_gits || path.as_str() == crate::config::FILE_NAME {
            return refuse(Untrackable::Configuration);
        }
        let mut folder = path.parent();
        while let Some(parent) = folder {
            if parent.under(work_dir).join(".git").exists() {
                return refuse(Untrackable::InRepository { repository: parent });
            }
            if parent.with_suffix(POINTER_SUFFIX).is_ok_and(|pointer| pointer.under(work_dir).is_file()) {
                return refuse(Untrackable::InArtifact { artifact: parent });
            }
            folder = parent.parent();
        }
        let tracked = self.repository.tracked_below(path)?;
        if let Some(pointer) = tracked.iter().find(|tracked| tracked.as_str().ends_with(POINTER_SUFFIX)) {
            let inner = pointer.as_str().strip_prefix(path.as_str()).unwrap_or_default().trim_start_matches('/');
            return refuse(Untrackable::HoldsPointer { inner: inner.to_owned() });
        }
        if let Some(first) = tracked.first() {
            return Err(TrackError::TrackedByGit { path: first.clone(), more: tracked.len() - 1 });
        }
        let pointer = path.with_suffix(POINTER_SUFFIX)?;
        if self.repository.is_ignored(&pointer)? {
            return refuse(Untrackable::PointerIgnored { pointer });
        }
        Ok(())
    }

    fn scan_trackable(&self, path: &RelPath, place: &Path) -> Result<Scan, TrackError> {
        let shown = Path::new(path.as_str());
        let scan = scan(place)?.ok_or_else(|| TrackError::NotFound { path: shown.to_path_buf() })?;
        if place.is_symlink() {
            let work_dir = self.repository.work_dir()?;
            if place.canonicalize().is_ok_and(|target| !target.starts_with(work_dir)) {
                return Err(TrackError::OutsideWorkTree { path: shown.to_path_buf() });
            }
        }
        scan.check(shown)?;
        Ok(scan)
    }

    /// Stores the files that are not known, and the manifest: all of them as they were read, and the bytes that the
    /// store grew by. When this returns, all of it is on the disk.
    fn store_missing(
        &self,
        what: &str,
        place: &Path,
        scan: &Scan,
        known: Vec<Option<KnownFile>>,
        progress: &dyn Progress,
    ) -> Result<(Vec<KnownFile>, u64), TrackError> {
        let missing = missing_files(scan, &known);
        if missing.is_empty() {
            let files: Vec<KnownFile> = known.into_iter().flatten().collect();
            if self.store.contains(&manifest_of(&files)?.id().manifest_digest())? {
                return Ok((files, 0));
            }
            let writer = self.store.writer()?;
            writer.add_manifest(&manifest_of(&files)?)?;
            return Ok((files, writer.finish()?.stored_bytes));
        }
        let writer = self.store.writer()?;
        progress.start(&format!("storing {what}"), Some(missing.iter().map(|found| found.stat.size).sum()));
        let read = store_files(&writer, place, &missing, progress);
        progress.finish();
        let files = fill_in(known, read?);
        writer.add_manifest(&manifest_of(&files)?)?;
        Ok((files, writer.finish()?.stored_bytes))
    }

    /// What [`Workspace::store_missing`] would return, with the sizes of the files that it would store.
    fn hash_missing(
        &self,
        place: &Path,
        scan: &Scan,
        known: Vec<Option<KnownFile>>,
    ) -> Result<(Vec<KnownFile>, u64), TrackError> {
        let missing = missing_files(scan, &known);
        let read: Result<Vec<KnownFile>, TrackError> =
            missing.par_iter().map(|found| content::hash(place, found)).collect();
        let read = read?;
        let mut bytes = 0;
        for file in &read {
            bytes += if self.store.contains(&file.digest)? { 0 } else { file.stat.size };
        }
        Ok((fill_in(known, read), bytes))
    }
}

fn missing_files<'a>(scan: &'a Scan, known: &[Option<KnownFile>]) -> Vec<&'a Found> {
    let pairs = scan.files.iter().zip(known);
    pairs.filter(|(_, known)| known.is_none()).map(|(found, _)| found).collect()
}

fn fill_in(known: Vec<Option<KnownFile>>, read: Vec<KnownFile>) -> Vec<KnownFile> {
    let mut read = read.into_iter();
    known.into_iter().filter_map(|file| file.or_else(|| read.next())).collect()
}

/// Adds files, and returns them in their order. Small ones are read and added in parallel; a large one keeps all of
/// the writer's own threads busy.
fn store_files(
    writer: &Writer<'_>,
    place: &Path,
    files: &[&Found],
    progress: &dyn Progress,
) -> Result<Vec<KnownFile>, TrackError> {
    let store = |found: &&Found| store_file(writer, place, found, progress);
    let (small, large): (Vec<&Found>, Vec<&Found>) = files.iter().partition(|found| found.stat.size <= SMALL);
    let stored: Result<Vec<KnownFile>, TrackError> = small.par_iter().map(store).collect();
    let mut stored = stored?;
    for found in &large {
        stored.push(store(found)?);
    }
    if !(small.is_empty() || large.is_empty()) {
        stored.sort_unstable_by(|left, right| left.path.cmp(&right.path));
    }
    Ok(stored)
}

fn store_file(
    writer: &Writer<'_>,
    place: &Path,
    found: &Found,
    progress: &dyn Progress,
) -> Result<KnownFile, TrackError> {
    let what = place_of(place, &found.path).to_string_lossy().into_owned();
    let steady = read_steadily(place, found, |input, _| Ok(writer.add(&mut Counted { input, progress }, &what)?))?;
    Ok(steady.known(found, steady.value))
}

/// Files above this size are stored one after another.
const SMALL: u64 = 1024 * 1024;

/// Tells progress of what is read.
struct Counted<'a> {
    input: &'a mut dyn Read,
    progress: &'a dyn Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}

fn manifest_of(files: &[KnownFile]) -> Result<Manifest, TrackError> {
    let entries: Result<Vec<Entry>, TrackError> = files
        .iter()
        .map(|file| {
            let path = if file.path.is_empty() { None } else { Some(RelPath::new(file.path.as_str())?) };
            Ok(Entry { path, mode: file.mode, size: file.stat.size, digest: file.digest })
        })
        .collect();
    Ok(Manifest::new(entries?)?)
}

fn describe(
    path: &RelPath,
    options: &TrackOptions,
    previous: Option<&Pointer>,
    manifest: &Manifest,
    scan: &Scan,
) -> Pointer {
    let name = options.name.clone().or_else(|| previous.map(|pointer| pointer.name.clone()));
    let artifact_type = options.artifact_type.clone().or_else(|| previous.map(|pointer| pointer.artifact_type.clone()));
    let mut meta = previous.map(|pointer| pointer.meta.clone()).unwrap_or_default();
    meta.extend(options.meta.clone());
    Pointer {
        version: 1,
        name: name.unwrap_or_else(|| path.file_name().to_owned()),
        artifact_type: artifact_type.unwrap_or_else(|| guess_type(path, scan)),
        kind: if scan.is_folder { Kind::Folder } else { Kind::File },
        id: manifest.id(),
        files: manifest.entries().len() as u64,
        bytes: manifest.total_size(),
        meta,
    }
}

/// The endings of files in which frameworks keep models.
const MODEL_SUFFIXES: [&str; 11] =
    ["pt", "pth", "ckpt", "safetensors", "onnx", "gguf", "pkl", "h5", "keras", "joblib", "tflite"];

fn guess_type(path: &RelPath, scan: &Scan) -> ArtifactType {
    let is_model = if scan.is_folder {
        scan.files.iter().any(|found| found.path == "model.toml" || found.path == "model.safetensors")
    } else {
        let suffix = path.file_name().rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
        suffix.is_some_and(|suffix| MODEL_SUFFIXES.contains(&suffix.as_str()))
    };
    if is_model { ArtifactType::model() } else { ArtifactType::dataset() }
}

/// Writes the pointer, if there is one to write, and the ignore rule, which has to be there before the pointer is.
fn publish_pointer(
    work_dir: &Path,
    path: &RelPath,
    pointer_path: &RelPath,
    pointer: Option<&Pointer>,
    lock: &WorktreeLock,
) -> Result<(), TrackError> {
    let place = resolve_beneath(work_dir, pointer_path)?;
    let folder = folder_of(&place);
    let ignore = IgnoreFile::read(folder)?;
    if pointer.is_none() && ignore.has(path) {
        return Ok(());
    }
    let _drafts = lock.announce_drafts(folder)?;
    let Some(pointer) = pointer else {
        return ignore.add(path);
    };
    // Where the disk is full, the draft fails before anything else has changed.
    let mut draft = Draft::new_in(folder)?;
    draft.write_all(pointer.to_toml().as_bytes()).map_err(|source| FileError::new("write", &place, source))?;
    ignore.add(path)?;
    if let Err(error) = draft.publish(&place, false, Durability::Synced) {
        if !ignore.has(path) {
            let _ = ignore.restore();
        }
        return Err(error.into());
    }
    Ok(())
}

fn folder_of(place: &Path) -> &Path {
    place.parent().unwrap_or(Path::new("."))
}
