//! Tracking: bytes into the store, a pointer in their place for git.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::files::{Draft, Durability, FileError, RelPath, resolve_beneath};
use crate::id::ArtifactId;
use crate::store::{Entry, Manifest, Writer};

use super::compare::{by_path, entry};
use super::content::{self, read_steadily};
use super::ignore::IgnoreFile;
use super::pointer::POINTER_SUFFIX;
use super::scan::{Found, Scan, place_of, scan};
use super::section::{Builder, KnownFile, Section};
use super::stat_cache::StatCache;
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

/// A folder or file that was stored among others: its id and its files, or why it could not be.
pub type StoredPath = Result<(ArtifactId, Manifest), TrackError>;

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
        // Until the pointer names it, garbage collection must wait.
        let _hold = lock.as_ref().map(|_| self.store.hold()).transpose()?;
        let pointer_path = path.with_suffix(POINTER_SUFFIX)?;
        let previous = read_pointer(work_dir, &pointer_path)?;
        let mut cache = StatCache::load(self.repository.git_dir());
        let section = cache.section(path);
        let mut scan = self.scan_trackable(path, &place, section.as_ref())?;
        if let Some(section) = &section {
            scan.doubt(section, &self.not_stored(section, &scan)?);
        }
        let (content, stored_bytes) = match &lock {
            Some(_) => self.store_found(path.as_str(), &place, &scan, section.as_ref(), progress)?,
            None => self.hash_found(&place, &scan, section.as_ref())?,
        };
        let pointer = describe(path, options, previous.as_ref(), &content, &scan)
            .checked()
            .map_err(|source| TrackError::Pointer { path: PathBuf::from(pointer_path.as_str()), source })?;
        let is_changed = previous.as_ref() != Some(&pointer);
        if let Some(lock) = &lock {
            if let Some(body) = content.body {
                cache.set(path, content.id, body);
                // A cache that cannot be written costs time and nothing else.
                let _ = cache.save(lock);
            }
            publish_pointer(work_dir, path, &pointer_path, is_changed.then_some(&pointer), lock)?;
        }
        Ok(Tracked { path: path.clone(), pointer_path, pointer, stored_bytes, is_changed })
    }

    /// Stores the files of any folder or file, in the work tree or not, without a pointer: outputs of runs.
    pub fn store_path(&self, path: &Path) -> Result<(ArtifactId, Manifest, u64), TrackError> {
        let writer = self.store.writer()?;
        let (id, manifest) = store_with(&writer, path)?;
        Ok((id, manifest, writer.finish()?.stored_bytes))
    }

    /// Stores many folders and files as [`Workspace::store_path`] does, together. One that cannot be stored is an error of
    /// its own.
    pub fn store_paths(&self, paths: &[PathBuf]) -> Result<Vec<StoredPath>, TrackError> {
        let writer = self.store.writer()?;
        let stored = paths.iter().map(|path| store_with(&writer, path)).collect();
        writer.finish()?;
        Ok(stored)
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
        self.scan_trackable(path, &place, None).map(drop)
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

    fn scan_trackable(&self, path: &RelPath, place: &Path, section: Option<&Section<'_>>) -> Result<Scan, TrackError> {
        let shown = Path::new(path.as_str());
        let scan = scan(place, section)?.ok_or_else(|| TrackError::NotFound { path: shown.to_path_buf() })?;
        if place.is_symlink() {
            let work_dir = self.repository.work_dir()?;
            if place.canonicalize().is_ok_and(|target| !target.starts_with(work_dir)) {
                return Err(TrackError::OutsideWorkTree { path: shown.to_path_buf() });
            }
        }
        if section.is_none_or(|section| section.len() == scan.stale.len()) || !scan.files.is_empty() {
            scan.check(shown)?;
        }
        Ok(scan)
    }

    /// The numbers of the files that stand as they are known, but whose content the store does not have.
    fn not_stored(&self, section: &Section<'_>, scan: &Scan) -> Result<Vec<u32>, TrackError> {
        let is_lost = |number: &u32| match self.store.contains(&section.digest(*number)) {
            Ok(is_stored) => Ok(!is_stored && scan.stale.binary_search(number).is_err()),
            Err(error) => Err(error),
        };
        let numbers = (0..section.len() as u32).into_par_iter().with_min_len(512);
        let lost: Result<Vec<u32>, _> =
            numbers.filter_map(|number| is_lost(&number).map(|lost| lost.then_some(number)).transpose()).collect();
        Ok(lost?)
    }

    /// Stores the files that are not known, and the manifest. When this returns, all of it is on the disk.
    fn store_found(
        &self,
        what: &str,
        place: &Path,
        scan: &Scan,
        section: Option<&Section<'_>>,
        progress: &dyn Progress,
    ) -> Result<(Content, u64), TrackError> {
        if let Some(section) = section.filter(|_| scan.is_as_known())
            && self.store.contains(&section.artifact_id.manifest_digest())?
        {
            return Ok((Content::as_known(section), 0));
        }
        let writer = self.store.writer()?;
        let read = if scan.files.is_empty() {
            Vec::new()
        } else {
            progress.start(&format!("storing {what}"), Some(scan.files.iter().map(|found| found.stat.size).sum()));
            let read = store_files(&writer, place, &scan.files, progress);
            progress.finish();
            read?
        };
        let (manifest, body) = join(section, scan, &read)?;
        drop(read);
        let content = Content::new(writer.add_manifest(&manifest)?, &manifest, Some(body));
        drop(manifest);
        Ok((content, writer.finish()?.stored_bytes))
    }

    /// What [`Workspace::store_found`] would return, with the sizes of the files that it would store.
    fn hash_found(
        &self,
        place: &Path,
        scan: &Scan,
        section: Option<&Section<'_>>,
    ) -> Result<(Content, u64), TrackError> {
        let read: Result<Vec<KnownFile>, TrackError> =
            scan.files.par_iter().map(|found| content::hash(place, found)).collect();
        let read = read?;
        let mut bytes = 0;
        for file in &read {
            bytes += if self.store.contains(&file.digest)? { 0 } else { file.stat.size };
        }
        let (manifest, _) = join(section, scan, &read)?;
        Ok((Content::new(manifest.id(), &manifest, None), bytes))
    }
}

/// What an artifact holds, for its pointer.
struct Content {
    id: ArtifactId,
    files: u64,
    bytes: u64,
    looks_like_a_model: bool,
    /// The section of its files, where it is news.
    body: Option<Vec<u8>>,
}

impl Content {
    fn new(id: ArtifactId, manifest: &Manifest, body: Option<Vec<u8>>) -> Self {
        let has = |name: &str| RelPath::new(name).is_ok_and(|name| manifest.find(&name).is_some());
        Self {
            id,
            files: manifest.entries().len() as u64,
            bytes: manifest.total_size(),
            looks_like_a_model: MODEL_FILES.into_iter().any(has),
            body,
        }
    }

    /// That of a folder or file in which nothing changed.
    fn as_known(section: &Section<'_>) -> Self {
        let names = section.files_in(b"");
        let has = |name: &str| names.iter().any(|(_, known)| known.to_bytes() == name.as_bytes());
        Self {
            id: section.artifact_id,
            files: section.len() as u64,
            bytes: section.total_size(),
            looks_like_a_model: MODEL_FILES.into_iter().any(has),
            body: None,
        }
    }
}

/// The manifest and the section of the files that are known and those that were read.
fn join(section: Option<&Section<'_>>, scan: &Scan, read: &[KnownFile]) -> Result<(Manifest, Vec<u8>), TrackError> {
    let body = Builder::merge(section, &scan.stale, read);
    // The id is not known yet, and nobody asks for it.
    let unnamed = ArtifactId::from_bytes([0; 32]);
    let mut entries = Vec::new();
    if let Some(section) = Section::parse(unnamed, &body) {
        entries.reserve_exact(section.len());
        let mut cursor = section.cursor();
        while let Some(path) = cursor.path() {
            entries.push(entry(&section, cursor.number(), path)?);
            cursor.advance();
        }
    }
    Ok((Manifest::new(entries)?, body))
}

/// Adds a folder or file with its manifest.
fn store_with(writer: &Writer<'_>, path: &Path) -> Result<(ArtifactId, Manifest), TrackError> {
    let scan = scan(path, None)?.ok_or_else(|| TrackError::NotFound { path: path.to_path_buf() })?;
    scan.check(path)?;
    let files = store_files(writer, path, &scan.files, &Silent)?;
    let manifest = Manifest::new(files.into_iter().map(entry_of).collect::<Result<_, _>>()?)?;
    Ok((writer.add_manifest(&manifest)?, manifest))
}

fn entry_of(file: KnownFile) -> Result<Entry, TrackError> {
    let path = if file.path.is_empty() { None } else { Some(RelPath::new(file.path)?) };
    Ok(Entry { path, mode: file.mode, size: file.stat.size, digest: file.digest })
}

/// Adds files, and returns them in their order. Small ones are read and added in parallel; a large one keeps all of
/// the writer's own threads busy.
fn store_files(
    writer: &Writer<'_>,
    place: &Path,
    files: &[Found],
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
        stored.sort_unstable_by(by_path);
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

fn describe(
    path: &RelPath,
    options: &TrackOptions,
    previous: Option<&Pointer>,
    content: &Content,
    scan: &Scan,
) -> Pointer {
    let name = options.name.clone().or_else(|| previous.map(|pointer| pointer.name.clone()));
    let artifact_type = options.artifact_type.clone().or_else(|| previous.map(|pointer| pointer.artifact_type.clone()));
    let mut meta = previous.map(|pointer| pointer.meta.clone()).unwrap_or_default();
    meta.extend(options.meta.clone());
    Pointer {
        version: 1,
        name: name.unwrap_or_else(|| path.file_name().to_owned()),
        artifact_type: artifact_type.unwrap_or_else(|| guess_type(path, scan.is_folder, content.looks_like_a_model)),
        kind: if scan.is_folder { Kind::Folder } else { Kind::File },
        id: content.id,
        files: content.files,
        bytes: content.bytes,
        meta,
    }
}

/// The endings of files in which frameworks keep models.
const MODEL_SUFFIXES: [&str; 11] =
    ["pt", "pth", "ckpt", "safetensors", "onnx", "gguf", "pkl", "h5", "keras", "joblib", "tflite"];
/// The files in a folder that show that it is a model.
const MODEL_FILES: [&str; 2] = ["model.toml", "model.safetensors"];

/// Whether a file of this name is a model, by the ending that frameworks give them.
pub fn is_model_file(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase());
    suffix.is_some_and(|suffix| MODEL_SUFFIXES.contains(&suffix.as_str()))
}

/// The type of an output of a run that is called so: a model where its name says it.
pub fn output_type(name: &str) -> &'static str {
    let is_model = name.to_lowercase().contains("model") || is_model_file(name);
    if is_model { "model" } else { "output" }
}

fn guess_type(path: &RelPath, is_folder: bool, looks_like_a_model: bool) -> ArtifactType {
    let is_model = if is_folder { looks_like_a_model } else { is_model_file(path.file_name()) };
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
