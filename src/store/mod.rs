//! The store: artifacts as content-addressed chunks in immutable packs.
//!
//! A file is cut into chunks (FastCDC), each compressed where that pays and kept once under its BLAKE3. A file of
//! several chunks has a *file map*, the list of its chunks, kept under the BLAKE3 of the whole file. An artifact is
//! its manifest, which is stored as a file like any other: the artifact's id is the digest under which its manifest
//! is found.
//!
//! Architecture invariant: bytes that are read match their id, or the read is an error.
//!
//! Architecture invariant: a pack is on the disk, file and folder synced, before an index names it; and the index is
//! a cache, which the packs' own footers give back.

mod check;
mod chunker;
mod codec;
mod error;
mod index;
mod keys;
mod manifest;
mod map;
mod mark;
mod pack;
mod planes;
mod prune;
mod reader;
mod repack;
mod salvage;
mod segment;
mod sink;
mod transfer;
mod unused;
mod writer;

pub use check::Damage;
pub use error::StoreError;
pub(crate) use index::{Index, Location, NewPacks};
pub use manifest::{Entry, Manifest, Mode};
pub use mark::{Live, Presence};
pub(crate) use pack::{HEADER_LEN, Key, Kind, PackEntry};
pub use prune::{Fate, PlannedPack, PruneOptions, PrunePlan};
pub use reader::{FileReader, Layout, Proof, copy};
pub use repack::{Removed, Rewritten, StoreAlone};
pub use salvage::Salvaged;
pub(crate) use sink::PACK_TARGET;
pub(crate) use transfer::{
    Listing, Receiver, Stored, check_stored, chunk_of, footer_of, map_of, node_of, pack_size, parse_footer, plain_chunk,
};
pub use writer::{Writer, Written};

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use crate::files::{self, Draft, FileLock, LockError, Wait};
use crate::id::{ArtifactId, Digest, PackId};

/// Bytes that a manifest may have: some ten million files.
const MANIFEST_LIMIT: u64 = 1 << 30;
/// Packs that are kept open for reading.
const OPEN_PACKS: usize = 64;
/// The longest step of the clocks that file systems take times from.
const CLOCK_STEP: Duration = Duration::from_secs(2);
/// How long a writer waits for garbage collection.
const LOCK_WAIT: Wait = Wait::UpTo(Duration::from_secs(60));

/// The content-addressed store in one folder (`.git/ml`).
///
/// It may be used by many threads, and by many processes at once.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Read on first use, and replaced as a whole; with the change of the packs' folder that it is as new as.
    index: RwLock<Option<(Arc<Index>, Option<SystemTime>)>>,
    open_packs: Mutex<HashMap<PackId, Arc<File>>>,
}

/// Nothing is removed from the store meanwhile.
#[derive(Debug)]
#[must_use = "it is withdrawn as soon as this is dropped"]
pub struct StoreHold {
    _lock: FileLock,
}

/// A pack on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackInfo {
    /// Its id.
    pub id: PackId,
    /// Its file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in `root`, creating its folders.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Self { root: root.to_path_buf(), index: RwLock::default(), open_packs: Mutex::default() };
        for folder in [store.packs_dir(), store.index_dir()] {
            if !folder.is_dir() {
                files::create_dir_all(&folder)?;
            }
        }
        Ok(store)
    }

    /// Makes the folders of a store without packs survive a power cut: a pack is no safer than the folder it is in.
    fn keep_folders(&self) -> Result<(), StoreError> {
        let is_used = fs::read_dir(self.packs_dir()).is_ok_and(|mut packs| packs.next().is_some());
        for folder in self.root.ancestors().take(if is_used { 0 } else { 2 }) {
            files::sync_dir(folder)?;
        }
        Ok(())
    }

    /// The folder it is in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Starts adding content. Many writers may be at work at once; garbage collection waits for them.
    pub fn writer(&self) -> Result<Writer<'_>, StoreError> {
        Writer::new(self)
    }

    /// Keeps all that the store has where it is until the value is dropped: for whoever has stored something, or relies
    /// on something that is stored, and has yet to write down what names it.
    pub fn hold(&self) -> Result<StoreHold, StoreError> {
        // While it is held, a writer of this process takes itself for another, and leaves them alone.
        let _ = self.remove_leftovers();
        Ok(StoreHold { _lock: self.lock_shared()? })
    }

    /// The manifest of an artifact.
    pub fn manifest(&self, artifact: &ArtifactId) -> Result<Manifest, StoreError> {
        let bytes = self.read_to_vec(&artifact.manifest_digest(), MANIFEST_LIMIT)?;
        Manifest::parse(&bytes).map_err(|error| match error {
            StoreError::Malformed { problem, .. } => {
                StoreError::Malformed { what: format!("the manifest of {artifact}"), problem }
            }
            other => other,
        })
    }

    /// Whether the manifest and every file of an artifact are here, by the index alone.
    pub fn has_artifact(&self, artifact: &ArtifactId) -> Result<bool, StoreError> {
        if !self.contains(&artifact.manifest_digest())? {
            return Ok(false);
        }
        for entry in self.manifest(artifact)?.entries() {
            if !self.contains(&entry.digest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every pack there is, sorted by id.
    pub fn packs(&self) -> Result<Vec<PackInfo>, StoreError> {
        let packs = self.list_packs()?.into_iter();
        let info = |(id, path): (PackId, PathBuf)| match fs::metadata(&path) {
            Ok(metadata) => Some(Ok(PackInfo { id, path, bytes: metadata.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => Some(Err(StoreError::Read { what: path.display().to_string(), source })),
        };
        packs.filter_map(info).collect()
    }

    /// Throws the index away and makes it again from the packs' own footers.
    pub fn rebuild_index(&self) -> Result<(), StoreError> {
        let mut slot = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index::remove_segments(&self.index_dir())?;
        let index = Index::default().caught_up(&self.index_dir(), &self.list_packs()?, NewPacks::new());
        *slot = Some((Arc::new(index), None));
        Ok(())
    }

    /// Makes the index again from the packs' own footers, for who must not miss anything; in memory where the store
    /// cannot be written.
    pub fn reread_index(&self) -> Result<(), StoreError> {
        if self.rebuild_index().is_ok() {
            return Ok(());
        }
        let packs = index::read_packs(&self.list_packs()?);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::new(Index::of(&packs)), None));
        Ok(())
    }

    /// What writers that were killed may have left behind, each file with its size. Some may be at work yet.
    pub fn find_leftovers(&self) -> Result<Vec<(PathBuf, u64)>, StoreError> {
        let size = |path: PathBuf| fs::metadata(&path).map(|metadata| (path, metadata.len())).ok();
        Ok(self.leftovers()?.into_iter().filter_map(size).collect())
    }

    /// Removes what writers that were killed left behind, unless a writer is at work; how many files that were.
    pub fn remove_leftovers(&self) -> Result<usize, StoreError> {
        if self.leftovers()?.is_empty() {
            return Ok(0);
        }
        // Every writer holds this lock shared, so who has it exclusively is alone.
        let _alone = match FileLock::exclusive(&self.lock_path(), Wait::No) {
            Err(LockError::Held { .. }) => return Ok(0),
            lock => lock?,
        };
        let leftovers = self.leftovers()?;
        for path in &leftovers {
            files::remove_file(path)?;
        }
        Ok(leftovers.len())
    }

    /// Drafts in the store's folders. What is known of remotes is written without the lock, and whoever loses a draft of
    /// that only reads it again.
    fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut leftovers = Vec::new();
        let caches = fs::read_dir(self.root.join("remotes")).into_iter().flatten().flatten();
        let caches = caches.map(|entry| entry.path()).filter(|folder| folder.is_dir());
        for folder in [self.packs_dir(), self.index_dir()].into_iter().chain(caches) {
            let names = list(&folder)?.into_iter().filter(|name| name.starts_with(Draft::PREFIX));
            leftovers.extend(names.map(|name| folder.join(name)));
        }
        Ok(leftovers)
    }

    fn packs_dir(&self) -> PathBuf {
        self.root.join("packs")
    }

    fn index_dir(&self) -> PathBuf {
        self.root.join("index")
    }

    fn lock_path(&self) -> PathBuf {
        self.root.join("store.lock")
    }

    fn pack_path(&self, pack: &PackId) -> PathBuf {
        self.packs_dir().join(format!("{pack}.pack"))
    }

    /// The lock that writers hold together and that garbage collection takes alone.
    fn lock_shared(&self) -> Result<FileLock, StoreError> {
        self.keep_folders()?;
        Ok(FileLock::shared(&self.lock_path(), LOCK_WAIT)?)
    }

    fn list_packs(&self) -> Result<BTreeMap<PackId, PathBuf>, StoreError> {
        let folder = self.packs_dir();
        let names = list(&folder)?.into_iter();
        let pack = |name: String| name.strip_suffix(".pack")?.parse().ok().map(|id| (id, folder.join(&name)));
        Ok(names.filter_map(pack).collect())
    }

    /// The index as it is in memory, read or made if it is not there yet.
    fn index(&self) -> Result<Arc<Index>, StoreError> {
        if let Some((index, _)) = &*self.index.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(index));
        }
        self.refresh(NewPacks::new())?;
        match &*self.index.read().unwrap_or_else(PoisonError::into_inner) {
            Some((index, _)) => Ok(Arc::clone(index)),
            None => Ok(Arc::default()),
        }
    }

    /// Brings the index in line with the packs there are; true if that changed it. `known` spares reading the footers
    /// of packs that were written just now.
    fn refresh(&self, known: NewPacks) -> Result<bool, StoreError> {
        let mut slot = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let seen = self.packs_changed();
        let current = match slot.take() {
            Some((index, as_of)) if as_of.is_some() && as_of == seen && !index.is_damaged() => {
                *slot = Some((index, as_of));
                return Ok(false);
            }
            other => other.map(|(index, _)| index),
        };
        let listed = match self.list_packs() {
            Ok(listed) => listed,
            Err(error) => {
                *slot = current.map(|index| (index, None));
                return Err(error);
            }
        };
        let next = match &current {
            Some(index) if index.is_of(&listed) => Arc::clone(index),
            Some(index) => Arc::new(index.caught_up(&self.index_dir(), &listed, known)),
            None => Arc::new(Index::default().caught_up(&self.index_dir(), &listed, known)),
        };
        let is_changed = current.is_none_or(|current| !Arc::ptr_eq(&current, &next));
        *slot = Some((next, seen));
        Ok(is_changed)
    }

    /// When the packs' folder changed last; none if that is so short ago that another change may have the same time.
    fn packs_changed(&self) -> Option<SystemTime> {
        let changed = fs::metadata(self.packs_dir()).and_then(|metadata| metadata.modified()).ok()?;
        changed.elapsed().is_ok_and(|age| age > CLOCK_STEP).then_some(changed)
    }

    /// Where an entry is. Packs that came since the index was read are looked for before the answer is nowhere.
    fn find(&self, key: &Key) -> Result<Vec<Location>, StoreError> {
        let found = self.index()?.find(key);
        if found.is_empty() && self.refresh(NewPacks::new())? {
            return Ok(self.index()?.find(key));
        }
        Ok(found)
    }

    /// Runs `action` on the index, and once more if it finds nothing or fails and packs have come or gone since the
    /// index was read. If nothing is found then, the content is missing.
    fn with_fresh_index<'s, T>(
        &'s self,
        digest: &Digest,
        mut action: impl FnMut(&'s Self, &Index) -> Result<Option<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let first = action(self, &*self.index()?);
        let last = match first {
            Ok(Some(value)) => return Ok(value),
            first if self.refresh(NewPacks::new())? => {
                drop(first);
                action(self, &*self.index()?)
            }
            first => first,
        };
        last?.ok_or(StoreError::Missing { digest: *digest })
    }

    /// A pack's file, opened once.
    fn open_pack(&self, pack: &PackId) -> Result<Arc<File>, StoreError> {
        let mut open = lock(&self.open_packs);
        if let Some(file) = open.get(pack) {
            return Ok(Arc::clone(file));
        }
        let path = self.pack_path(pack);
        let file = File::open(&path).map_err(|source| StoreError::Read { what: path.display().to_string(), source })?;
        if open.len() >= OPEN_PACKS {
            open.clear();
        }
        let file = Arc::new(file);
        open.insert(*pack, Arc::clone(&file));
        Ok(file)
    }
}

/// The names in a folder; those that are not UTF-8 are none of ours.
fn list(folder: &Path) -> Result<Vec<String>, StoreError> {
    let fail = |source| StoreError::Read { what: folder.display().to_string(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        names.extend(entry.map_err(fail)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Takes a mutex even where a thread died with it: what it guards is checked when it is used.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
