//! What artifacts need of a remote, by the remote's own manifests and file maps.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::id::{ArtifactId, Digest};
use crate::store::{Index, Key, Kind, Listing, Location, Manifest, Store, Stored, chunk_of, map_of, node_of};

use super::super::view::View;
use super::super::{Remote, RemoteError, entries};

/// The entries that these artifacts need, and how many of them are not whole there.
///
/// Of a file map, every copy counts: only reading the file would prove which is right. Where a copy here is the same, it
/// is read instead.
pub(super) fn find(
    remote: &Remote,
    store: &Store,
    view: &Arc<View>,
    artifacts: &[ArtifactId],
) -> Result<(HashSet<Key>, usize), RemoteError> {
    let mut needs = Needs { remote, store, local: store.snapshot()?, view, keys: HashSet::new() };
    let manifests: BTreeSet<Digest> = artifacts.iter().map(ArtifactId::manifest_digest).collect();
    let lists = needs.add_files(&manifests)?;
    let chunks: BTreeSet<Key> = lists.values().flatten().map(|digest| chunk_key(*digest)).collect();
    let read = needs.read(chunks)?;
    let mut content = HashMap::new();
    for (location, stored) in read {
        content.insert(location.entry.header.key.digest, chunk_of(&location.pack, &stored)?);
    }
    let mut files: BTreeMap<ArtifactId, Vec<Digest>> = BTreeMap::new();
    let mut not_whole = 0;
    for artifact in artifacts {
        let list = lists.get(&artifact.manifest_digest());
        let bytes = list.and_then(|list| list.iter().map(|chunk| content.get(chunk)).collect::<Option<Vec<_>>>());
        let manifest = match bytes {
            Some(parts) => {
                let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.iter().copied()).collect();
                // An id may be that of other content, where somebody took it for an artifact's: that stays as it is.
                if !bytes.starts_with(b"git-ml manifest ") {
                    continue;
                }
                Manifest::parse(&bytes)?
            }
            // What is whole here may be there in part, by a push that was cut off.
            None if store.contains(&artifact.manifest_digest()).unwrap_or(false) => store.manifest(artifact)?,
            None => {
                not_whole += 1;
                continue;
            }
        };
        files.insert(*artifact, manifest.entries().iter().map(|entry| entry.digest).collect());
    }
    let all: BTreeSet<Digest> = files.values().flatten().copied().collect();
    let lists = needs.add_files(&all)?;
    let is_whole = |file: &Digest| {
        let list = lists.get(file);
        list.is_some_and(|chunks| chunks.iter().all(|chunk| view.contains(&chunk_key(*chunk))))
    };
    not_whole += files.values().filter(|files| !files.iter().all(is_whole)).count();
    Ok((needs.keys, not_whole))
}

struct Needs<'r> {
    remote: &'r Remote,
    store: &'r Store,
    local: Arc<Index>,
    view: &'r Arc<View>,
    keys: HashSet<Key>,
}

impl Needs<'_> {
    /// Notes all that these files consist of; the chunks of those that are there, by one of their maps.
    fn add_files(&mut self, files: &BTreeSet<Digest>) -> Result<HashMap<Digest, Vec<Digest>>, RemoteError> {
        let mut lists: HashMap<Digest, Vec<Digest>> = HashMap::new();
        let mut maps = BTreeSet::new();
        for file in files {
            if self.add(chunk_key(*file)) {
                lists.insert(*file, vec![*file]);
            }
            let map = Key { kind: Kind::Map, digest: *file };
            if self.add(map) {
                maps.insert(map);
            }
        }
        let mut long: Vec<(Digest, Vec<Digest>)> = Vec::new();
        for (location, stored) in self.read(maps)? {
            let file = location.entry.header.key.digest;
            match map_of(&location.pack, &stored)? {
                Listing::Chunks(chunks) => {
                    for chunk in &chunks {
                        self.add(chunk_key(*chunk));
                    }
                    lists.insert(file, chunks);
                }
                Listing::Nodes(nodes) => long.push((file, nodes)),
            }
        }
        let nodes: BTreeSet<Key> = long.iter().flat_map(|(_, nodes)| nodes).map(|node| chunk_key(*node)).collect();
        for node in &nodes {
            self.add(*node);
        }
        let mut listed: HashMap<Digest, Vec<Digest>> = HashMap::new();
        for (location, stored) in self.read(nodes)? {
            let chunks = node_of(&location.pack, &stored)?;
            for chunk in &chunks {
                self.add(chunk_key(*chunk));
            }
            listed.insert(location.entry.header.key.digest, chunks);
        }
        for (file, nodes) in long {
            let chunks: Option<Vec<&Vec<Digest>>> = nodes.iter().map(|node| listed.get(node)).collect();
            if let Some(chunks) = chunks {
                lists.insert(file, chunks.into_iter().flatten().copied().collect());
            }
        }
        Ok(lists)
    }

    /// Notes an entry; whether it is there.
    fn add(&mut self, key: Key) -> bool {
        let is_there = self.view.contains(&key);
        if is_there {
            self.keys.insert(key);
        }
        is_there
    }

    /// Reads every copy of maps, and one copy of chunks, whose digest proves them.
    fn read(&self, keys: BTreeSet<Key>) -> Result<Vec<(Location, Stored)>, RemoteError> {
        let (mut read, mut wanted) = (Vec::new(), Vec::new());
        for key in keys {
            let copies = match key.kind {
                Kind::Map => self.view.places(&key),
                Kind::Chunk => self.view.find(&key).into_iter().collect(),
            };
            for copy in copies {
                match self.read_here(&copy) {
                    Some(stored) => read.push((copy, stored)),
                    None => wanted.push(copy),
                }
            }
        }
        let pace = |bytes| self.remote.limit.wait(bytes);
        entries::read(&*self.remote.objects, &self.remote.place(), wanted, &pace, &mut |location, stored| {
            read.push((*location, stored));
            Ok(())
        })?;
        Ok(read)
    }

    /// The same entry out of the store here. A chunk is the same under the same digest, a map if all of its header is.
    fn read_here(&self, copy: &Location) -> Option<Stored> {
        let header = copy.entry.header;
        let is_same = |here: &Location| header.key.kind == Kind::Chunk || here.entry.header == header;
        self.local.find(&header.key).iter().filter(|here| is_same(here)).find_map(|here| self.store.stored(here).ok())
    }
}

fn chunk_key(digest: Digest) -> Key {
    Key { kind: Kind::Chunk, digest }
}
