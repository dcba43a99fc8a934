//! Artifacts in the work tree: pointers, tracking, status, checkout.
//!
//! Architecture invariant: bytes in the work tree that are neither stored nor unchanged are never overwritten.

mod pointer;

pub use pointer::{ArtifactType, Kind, POINTER_SUFFIX, Pointer, PointerError};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files::{FileError, LockError, RelPath, UnsafePath};
use crate::git::{GitError, Repository};
use crate::id::{ArtifactId, CommitId};
use crate::store::{Store, StoreError};

/// What can go wrong with artifacts in the work tree.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// git tracks the path itself.
    #[error("git tracks {path}{}", if *.more > 0 { format!(" and {} more below it", .more) } else { String::new() })]
    TrackedByGit {
        /// The first such path.
        path: RelPath,
        /// How many others there are.
        more: usize,
    },
    /// The path is not in the work tree.
    #[error("{} is outside the work tree", path.display())]
    OutsideWorkTree {
        /// As it was given.
        path: PathBuf,
    },
    /// The path is the work tree's top, or holds or lies in `.git`.
    #[error("{} cannot be tracked: {reason}", path.display())]
    NotTrackable {
        /// As it was given.
        path: PathBuf,
        /// Why, in a few words: `it is a pointer itself`, `it is an empty folder`, `it is a named pipe`, …
        reason: String,
    },
    /// There is nothing at the path.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// The path has no pointer.
    #[error("{path} is not tracked by git ml")]
    NotTracked {
        /// The path.
        path: RelPath,
    },
    /// Checkout would overwrite work that is stored nowhere.
    #[error("{path} has changes that are stored nowhere ({count} files, first: {first})")]
    WouldOverwrite {
        /// The artifact's path.
        path: RelPath,
        /// How many files.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// A file changed while it was read.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A pointer that is not valid.
    #[error("{}", path.display())]
    Pointer {
        /// The pointer's file.
        path: PathBuf,
        /// What is wrong with it.
        source: PointerError,
    },
    /// A path that must not be used.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// The work tree could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The work tree could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another git-ml is changing this work tree.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// A repository with its store: what every command about artifacts works on.
#[derive(Debug)]
pub struct Workspace {
    /// The repository.
    pub repository: Repository,
    /// Its store, in the common folder.
    pub store: Store,
}

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
    /// Bytes that the store grew by.
    pub stored_bytes: u64,
}

/// How an artifact in the work tree stands against its pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As the pointer says, and stored.
    Clean,
    /// It differs from the pointer.
    Modified,
    /// It is not in the work tree; the store has it.
    Missing,
    /// It is not in this store: it has to be pulled.
    Unstored,
}

/// One artifact's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its path in the work tree.
    pub path: RelPath,
    /// Its pointer.
    pub pointer: Pointer,
    /// How it stands.
    pub state: State,
    /// Whether git's index has the pointer.
    pub pointer_in_git: bool,
    /// Files that differ: added, changed and missing ones, up to a few, for people.
    pub changes: Vec<String>,
}

/// What a checkout did with an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedOut {
    /// Its path in the work tree.
    pub path: RelPath,
    /// Files written.
    pub written: usize,
    /// Files removed.
    pub removed: usize,
}

/// Progress of long work, told to whoever shows it. The defaults ignore it.
pub trait Progress: Sync {
    /// What is being done and how many bytes that will be, where known.
    fn start(&self, _what: &str, _bytes: Option<u64>) {}
    /// That many more bytes are done.
    fn advance(&self, _bytes: u64) {}
    /// The work is over.
    fn finish(&self) {}
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

impl Workspace {
    /// Opens the repository that `start` lies in, and its store.
    pub fn discover(_start: &Path) -> Result<Self, TrackError> {
        todo!()
    }

    /// The path in the work tree of what a user named, relative to `current`, the folder they are in.
    ///
    /// A pointer's name stands for what it points to only where `pointer_stands_for_data`.
    pub fn rel_path(&self, _current: &Path, _path: &Path) -> Result<RelPath, TrackError> {
        todo!()
    }

    /// Stores what is at `path` and writes the pointer and the ignore rule.
    pub fn track(
        &self,
        _path: &RelPath,
        _options: &TrackOptions,
        _progress: &dyn Progress,
    ) -> Result<Tracked, TrackError> {
        todo!()
    }

    /// Stores the files of any folder or file, in the work tree or not, without a pointer: outputs of runs.
    pub fn store_path(&self, _path: &Path) -> Result<(ArtifactId, crate::store::Manifest, u64), TrackError> {
        todo!()
    }

    /// Removes the pointer and the ignore rule; the data stays in the work tree and in the store.
    pub fn untrack(&self, _path: &RelPath) -> Result<(), TrackError> {
        todo!()
    }

    /// Every pointer in the work tree that git knows, and those that it does not know yet, by the path of the data.
    pub fn pointers(&self) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        todo!()
    }

    /// Every pointer in a commit, by the path of the data.
    pub fn pointers_at(&self, _commit: &CommitId) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        todo!()
    }

    /// The pointer of the data at `path`.
    pub fn pointer(&self, _path: &RelPath) -> Result<Pointer, TrackError> {
        todo!()
    }

    /// How artifacts stand: those at or below `paths`, or all of them.
    pub fn status(&self, _paths: &[RelPath]) -> Result<Vec<Status>, TrackError> {
        todo!()
    }

    /// Brings artifacts in line with their pointers: those at or below `paths`, or all of them. With `force`, work
    /// that is stored nowhere is overwritten; without, it is an error before anything is changed.
    pub fn checkout(
        &self,
        _paths: &[RelPath],
        _force: bool,
        _progress: &dyn Progress,
    ) -> Result<Vec<CheckedOut>, TrackError> {
        todo!()
    }

    /// Writes an artifact's files into the folder (or, for a single file, to the file) `place`, which must not exist.
    pub fn export(&self, _artifact: &ArtifactId, _place: &Path) -> Result<(), TrackError> {
        todo!()
    }
}
