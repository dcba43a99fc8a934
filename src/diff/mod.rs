//! What differs between two versions of artifacts: files by their manifests, then tables and tensors by their content.
//!
//! Architecture invariant: a comparison takes no more memory for a large file than for a small one, and what is not in
//! the store is said and spoils nothing else.

mod classes;
mod content;
mod files;
mod numbers;
mod rows;
mod tensors;

pub use classes::ClassCount;
pub use files::FileChanges;
pub use rows::TableChange;
pub use tensors::{TensorChange, TensorInfo, TensorsChange};

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{RelPath, UnsafePath, resolve_beneath};
use crate::id::{ArtifactId, CommitId};
use crate::store::{Entry, Manifest, Mode, Store, StoreError};
use crate::track::{Pointer, Progress, TrackError, WorkTree, Workspace};

use content::{Content, Fault, Origin};

/// Changed files of one artifact that are looked into; the others are only named.
const MAX_LOOKED_INTO: usize = 20;

/// One of the two states that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The artifacts that a commit's pointers name.
    Commit(CommitId),
    /// The artifacts that the pointers in the work tree name.
    Pointers,
    /// What stands in the work tree at the places of its pointers.
    WorkTree,
}

/// What is compared, and how closely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The state before.
    pub before: Side,
    /// The state after.
    pub after: Side,
    /// Artifacts, folders of artifacts, or paths in artifacts; empty for all.
    pub paths: Vec<RelPath>,
    /// Look at manifests alone, not into files.
    pub names_only: bool,
}

/// One version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Which it is.
    pub id: ArtifactId,
    /// What it is: `dataset`, `model`, or any other word.
    pub artifact_type: String,
    /// How many files it has.
    pub files: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Whether its list of files is here; without it nothing more is known.
    pub is_listed: bool,
}

/// An artifact that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactChange {
    /// Its path in the work tree.
    pub path: RelPath,
    /// The version before; none where there was none.
    pub before: Option<Version>,
    /// The version after; none where there is none.
    pub after: Option<Version>,
    /// Its files; none where a list of them is missing.
    pub files: Option<FileChanges>,
    /// For folders of pictures: the classes whose numbers of pictures differ.
    pub classes: Vec<ClassCount>,
    /// Tables that changed, by their paths.
    pub tables: Vec<(String, TableChange)>,
    /// Files of tensors that changed, by their paths.
    pub tensors: Vec<(String, TensorsChange)>,
    /// What could not be looked into, a line each.
    pub notes: Vec<String>,
}

/// Why two states could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A file in the work tree could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A path that must not be used.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The artifacts that differ, sorted by path.
pub fn compare(
    workspace: &Workspace,
    question: &Question,
    progress: &dyn Progress,
) -> Result<Vec<ArtifactChange>, DiffError> {
    let before = Shown::new(workspace, question.before)?;
    let after = Shown::new(workspace, question.after)?;
    let paths: BTreeSet<&RelPath> = before.pointers.keys().chain(after.pointers.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let Some(scope) = Scope::of(path, &question.paths) else { continue };
        // The same artifact: nothing needs to be read to know that nothing differs.
        let ids = [before.recorded(path)?, after.recorded(path)?];
        if ids[0] == ids[1] && ids[0].is_some() {
            continue;
        }
        let listed = [before.list(path)?, after.list(path)?];
        let change = compare_artifact(path, &scope, listed, question.names_only, progress)?;
        changes.extend(change);
    }
    Ok(changes)
}

/// How two versions of one artifact in a store differ; `path` is what it is called. None where they do not.
pub fn compare_versions(
    store: &Store,
    path: &RelPath,
    versions: [Version; 2],
    progress: &dyn Progress,
) -> Result<Option<ArtifactChange>, DiffError> {
    let list = |version: Version| -> Result<Option<Listed<'_>>, DiffError> {
        let manifest = find_manifest(store, &version.id)?;
        let version = Version { is_listed: manifest.is_some(), ..version };
        Ok(Some(Listed { version, manifest, origin: Origin::Store(store) }))
    };
    let [before, after] = versions.map(list);
    compare_artifact(path, &Scope::All, [before?, after?], false, progress)
}

/// The files that differ between two lists of them. Nothing but the lists is looked at.
pub fn compare_manifests(before: &Manifest, after: &Manifest) -> FileChanges {
    let [before, after] = [before, after].map(|list| list.entries().iter().collect::<Vec<_>>());
    files::compare(&before, &after)
}

/// An artifact's list of files; none where it is not here.
fn find_manifest(store: &Store, id: &ArtifactId) -> Result<Option<Manifest>, StoreError> {
    match store.manifest(id) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(StoreError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A state that is compared.
struct Shown<'w> {
    workspace: &'w Workspace,
    pointers: BTreeMap<RelPath, Pointer>,
    work_tree: Option<WorkTree<'w>>,
}

/// The files of one artifact in one state.
struct Listed<'w> {
    version: Version,
    manifest: Option<Manifest>,
    origin: Origin<'w>,
}

impl<'w> Shown<'w> {
    fn new(workspace: &'w Workspace, side: Side) -> Result<Self, DiffError> {
        let (pointers, work_tree) = match side {
            Side::Commit(commit) => (workspace.pointers_at(&commit)?, None),
            Side::Pointers => (workspace.pointers()?, None),
            Side::WorkTree => (workspace.pointers()?, Some(workspace.work_tree()?)),
        };
        Ok(Self { workspace, pointers, work_tree })
    }

    /// The artifact that is there, where that is known without reading anything of it.
    fn recorded(&self, path: &RelPath) -> Result<Option<ArtifactId>, DiffError> {
        let Some(pointer) = self.pointers.get(path) else { return Ok(None) };
        match &self.work_tree {
            Some(work_tree) => Ok(work_tree.known(path)?),
            None => Ok(Some(pointer.id)),
        }
    }

    fn list(&self, path: &RelPath) -> Result<Option<Listed<'w>>, DiffError> {
        let Some(pointer) = self.pointers.get(path) else { return Ok(None) };
        let artifact_type = pointer.artifact_type.as_str().to_owned();
        if let Some(work_tree) = &self.work_tree {
            let place = resolve_beneath(self.workspace.repository.work_dir().map_err(TrackError::from)?, path)?;
            let Some(manifest) = work_tree.files(path)? else { return Ok(None) };
            let files = manifest.entries().len() as u64;
            let (id, bytes) = (manifest.id(), manifest.total_size());
            let version = Version { id, artifact_type, files, bytes, is_listed: true };
            return Ok(Some(Listed { version, manifest: Some(manifest), origin: Origin::Place(place) }));
        }
        let manifest = find_manifest(&self.workspace.store, &pointer.id)?;
        let (id, is_listed) = (pointer.id, manifest.is_some());
        let version = Version { id, artifact_type, files: pointer.files, bytes: pointer.bytes, is_listed };
        Ok(Some(Listed { version, manifest, origin: Origin::Store(&self.workspace.store) }))
    }
}

/// What of an artifact is asked for: all of it, or what lies at some paths in it.
enum Scope {
    All,
    Inner(Vec<RelPath>),
}

impl Scope {
    /// None where nothing of the artifact is asked for.
    fn of(artifact: &RelPath, paths: &[RelPath]) -> Option<Self> {
        if paths.is_empty() || paths.iter().any(|path| artifact.starts_with(path)) {
            return Some(Self::All);
        }
        let inner = paths.iter().filter_map(|path| {
            let rest = path.as_str().strip_prefix(artifact.as_str())?.strip_prefix('/')?;
            RelPath::new(rest).ok()
        });
        let inner: Vec<RelPath> = inner.collect();
        (!inner.is_empty()).then_some(Self::Inner(inner))
    }

    fn holds(&self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::Inner(paths) => {
                entry.path.as_ref().is_some_and(|path| paths.iter().any(|inner| path.starts_with(inner)))
            }
        }
    }
}

fn compare_artifact(
    path: &RelPath,
    scope: &Scope,
    [before, after]: [Option<Listed<'_>>; 2],
    names_only: bool,
    progress: &dyn Progress,
) -> Result<Option<ArtifactChange>, DiffError> {
    let ids = [&before, &after].map(|side| side.as_ref().map(|listed| listed.version.id));
    if ids[0] == ids[1] {
        return Ok(None);
    }
    let mut change = ArtifactChange {
        path: path.clone(),
        before: before.as_ref().map(|listed| listed.version.clone()),
        after: after.as_ref().map(|listed| listed.version.clone()),
        files: None,
        classes: Vec::new(),
        tables: Vec::new(),
        tensors: Vec::new(),
        notes: Vec::new(),
    };
    let [Some(old), Some(new)] = [&before, &after].map(entries) else { return Ok(Some(change)) };
    let [old, new] = [old, new].map(|entries| entries.iter().filter(|entry| scope.holds(entry)).collect::<Vec<_>>());
    let files = files::compare(&old, &new);
    if files.is_empty() && matches!(scope, Scope::Inner(_)) {
        return Ok(None);
    }
    change.classes = classes::compare(&old, &new);
    if let (false, Some(before), Some(after)) = (names_only, &before, &after) {
        progress.start("comparing", None);
        let origins = [&before.origin, &after.origin];
        let looked = look_into(&mut change, &files.changed, origins, progress);
        progress.finish();
        looked?;
    }
    change.files = Some(files);
    Ok(Some(change))
}

/// The files of a version: none of them where there is no version, nothing where their list is missing.
fn entries<'l>(listed: &'l Option<Listed<'_>>) -> Option<&'l [Entry]> {
    match listed {
        None => Some(&[]),
        Some(Listed { manifest: Some(manifest), .. }) => Some(manifest.entries()),
        Some(Listed { manifest: None, .. }) => None,
    }
}

/// Compares the content of changed files of the kinds that we know.
fn look_into(
    change: &mut ArtifactChange,
    changed: &[(Entry, Entry)],
    origins: [&Origin<'_>; 2],
    progress: &dyn Progress,
) -> Result<(), DiffError> {
    let is_plain = |(old, new): &&(Entry, Entry)| {
        old.digest != new.digest && old.mode != Mode::Symlink && new.mode != Mode::Symlink
    };
    let mut looked_into = 0;
    let mut skipped = 0;
    for (old, new) in changed.iter().filter(is_plain) {
        // A single file has the artifact's own name.
        let shown = new.path.as_ref().unwrap_or(&change.path).as_str().to_owned();
        let Some(kind) = Looker::of(&shown) else { continue };
        if looked_into == MAX_LOOKED_INTO {
            skipped += 1;
            continue;
        }
        looked_into += 1;
        let contents = [(origins[0], old), (origins[1], new)];
        let [old, new] = contents.map(|(origin, entry)| Content { origin, entry, progress });
        let done = match kind {
            Looker::Table(separator) => {
                rows::compare(&old, &new, separator).map(|table| change.tables.push((shown.clone(), table)))
            }
            Looker::Tensors(format) => {
                tensors::compare(&old, &new, format).map(|tensors| change.tensors.push((shown.clone(), tensors)))
            }
        };
        match done {
            Ok(()) => {}
            Err(Fault::Unclear(problem)) => change.notes.push(format!("{shown}: {problem}")),
            Err(Fault::Failed(error)) => return Err(error),
        }
    }
    if skipped > 0 {
        change.notes.push(format!("{skipped} more files changed and were not looked into"));
    }
    Ok(())
}

/// How a file is looked into.
enum Looker {
    Table(Option<u8>),
    Tensors(tensors::Format),
}

impl Looker {
    fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Table(None)),
            "tsv" => Some(Self::Table(Some(b'\t'))),
            "safetensors" => Some(Self::Tensors(tensors::Format::SafeTensors)),
            "npy" => Some(Self::Tensors(tensors::Format::NumPy)),
            _ => None,
        }
    }
}
