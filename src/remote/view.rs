//! What a remote has, as its indexes say.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::RemoteError;
use super::index::{self, IndexedPack};
use super::layout::{DOOMED, INDEXES, doomed_of, index_name, index_of};
use super::objects::{Listed, Objects};
use super::{ObjectError, parallel};
use crate::files::{self, Durability};
use crate::id::{Digest, PackId};
use crate::store::{Index, Key, Location, NewPacks};

/// How often a listing is made anew when what it named is gone.
const ATTEMPTS: u32 = 8;

/// What a remote has at one moment.
#[derive(Debug, Default)]
pub(crate) struct View {
    index: Index,
    /// The packs that the index names, with their sizes.
    packs: HashMap<PackId, u64>,
    /// Packs that will be removed: what only they have counts as missing for whoever pushes.
    doomed: BTreeSet<PackId>,
    /// The indexes that were read.
    names: BTreeSet<Digest>,
    /// An index that is not what its name says, and what is wrong with it.
    damaged: Option<(String, String)>,
}

impl View {
    /// Looks at the remote. Indexes that are in `cache` are not read again, those that are gone are removed from it.
    pub(crate) fn load(objects: &dyn Objects, cache: Option<&Path>) -> Result<Self, RemoteError> {
        for attempt in 1.. {
            let listed = objects.list(INDEXES)?;
            let listed: Vec<(Digest, Listed)> =
                listed.into_iter().filter_map(|listed| Some((index_of(&listed.name)?, listed))).collect();
            let read = |(name, listed)| read_index(objects, cache, name, &listed).map(|packs| (name, packs));
            let indexes = match parallel::map(listed, objects.at_once(), read) {
                // A collector has put another index in its place.
                Err(RemoteError::Object(ObjectError::NotFound { .. })) if attempt < ATTEMPTS => continue,
                indexes => indexes?,
            };
            // A mark goes only after the last index that names its pack. So a pack that has none now, and whose index is
            // still there afterwards, is not about to go, however long any of this took.
            let doomed = objects.list(DOOMED)?.iter().filter_map(|listed| doomed_of(&listed.name)).collect();
            let left: BTreeSet<Digest> = objects.list(INDEXES)?.iter().filter_map(|it| index_of(&it.name)).collect();
            if indexes.iter().any(|(name, _)| !left.contains(name)) && attempt < ATTEMPTS {
                continue;
            }
            let view = Self::new(indexes, doomed);
            cache.into_iter().for_each(|folder| forget_others(folder, &view.names));
            return Ok(view);
        }
        unreachable!("the last attempt returns")
    }

    /// What was last seen of the remote.
    pub(crate) fn cached(cache: &Path) -> Self {
        let known = cached_indexes(cache).into_iter();
        let read = |(name, path): (Digest, PathBuf)| Some((name, index::parse(&name, &fs::read(path).ok()?)));
        Self::new(known.filter_map(read).collect(), BTreeSet::new())
    }

    fn new(indexes: Vec<(Digest, Result<Vec<IndexedPack>, String>)>, doomed: BTreeSet<PackId>) -> Self {
        let mut view = Self { doomed, ..Self::default() };
        let mut packs = NewPacks::new();
        for (name, index) in indexes {
            view.names.insert(name);
            match index {
                Ok(index) => {
                    for IndexedPack { id, bytes, entries } in index {
                        view.packs.insert(id, bytes);
                        packs.insert(id, entries);
                    }
                }
                Err(problem) => view.damaged = Some((index_name(&name), problem)),
            }
        }
        view.index = Index::of(&packs);
        view
    }

    /// The places of an entry.
    pub(crate) fn places(&self, key: &Key) -> Vec<Location> {
        self.index.find(key)
    }

    /// Where an entry is; in a pack that stays, where there is a choice.
    pub(crate) fn find(&self, key: &Key) -> Option<Location> {
        let found = self.index.find(key);
        let stays = found.iter().find(|location| !self.doomed.contains(&location.pack));
        stays.or(found.first()).copied()
    }

    /// Whether an entry is in a pack that stays.
    pub(crate) fn keeps(&self, key: &Key) -> bool {
        if self.doomed.is_empty() {
            return self.index.contains(key);
        }
        self.index.find(key).iter().any(|location| !self.doomed.contains(&location.pack))
    }

    /// Whether an entry is there at all.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.index.contains(key)
    }

    /// Whether a pack will be removed.
    pub(crate) fn is_doomed(&self, pack: &PackId) -> bool {
        self.doomed.contains(pack)
    }

    /// The size of a pack that an index names.
    pub(crate) fn pack_bytes(&self, pack: &PackId) -> Option<u64> {
        self.packs.get(pack).copied()
    }

    /// The packs that indexes name, with their sizes.
    pub(crate) fn packs(&self) -> &HashMap<PackId, u64> {
        &self.packs
    }

    /// The indexes there are.
    pub(crate) fn indexes(&self) -> &BTreeSet<Digest> {
        &self.names
    }

    /// An index that is not what its name says, and what is wrong with it.
    pub(crate) fn damaged(&self) -> Option<&(String, String)> {
        self.damaged.as_ref()
    }
}

/// The packs of an index, or what is wrong with it.
fn read_index(
    objects: &dyn Objects,
    cache: Option<&Path>,
    name: Digest,
    listed: &Listed,
) -> Result<Result<Vec<IndexedPack>, String>, RemoteError> {
    let cached = cache.map(|folder| folder.join(format!("{name}.index")));
    if let Some(bytes) = cached.as_ref().and_then(|path| fs::read(path).ok()) {
        // A cached one that is damaged is read anew.
        if let Ok(packs) = index::parse(&name, &bytes) {
            return Ok(Ok(packs));
        }
    }
    if listed.size > index::LIMIT {
        return Ok(Err(format!("it has {} bytes, more than an index may have", listed.size)));
    }
    let bytes = objects.read(&listed.name, 0..listed.size)?;
    let packs = index::parse(&name, &bytes);
    if let (Ok(_), Some(folder)) = (&packs, cache) {
        keep(folder, &name, &bytes);
    }
    Ok(packs)
}

/// Puts an index into the cache. One that cannot be written costs time and nothing else.
pub(crate) fn keep(cache: &Path, name: &Digest, bytes: &[u8]) {
    let _ = files::publish(&cache.join(format!("{name}.index")), bytes, Durability::Buffered);
}

fn cached_indexes(folder: &Path) -> Vec<(Digest, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let index = |entry: fs::DirEntry| {
        let name = entry.file_name();
        Some((name.to_str()?.strip_suffix(".index")?.parse().ok()?, entry.path()))
    };
    entries.filter_map(index).collect()
}

fn forget_others(folder: &Path, names: &BTreeSet<Digest>) {
    for (name, path) in cached_indexes(folder) {
        if !names.contains(&name) {
            let _ = files::remove_file(&path);
        }
    }
}
