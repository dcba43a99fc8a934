//! Fetching artifacts from a remote.
//!
//! What an artifact consists of is learned from its manifest and from file maps, which are read into memory first.
//! Then packs of which most is wanted come as they are, and from the others the entries that are wanted, in packs of
//! this store's own. Each pack that arrived stays, also when the next one fails.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use super::layout::pack_name;
use super::view::View;
use super::{Remote, RemoteError, Transferred, entries, parallel};
use crate::id::{ArtifactId, Digest, PackId};
use crate::store::{
    Index, Key, Kind, Listing, Location, Manifest, PACK_TARGET, Receiver, Store, StoreError, Stored, chunk_of, map_of,
    node_of,
};
use crate::track::Progress;

/// Bytes that a manifest may have.
const MANIFEST_LIMIT: u64 = 1 << 30;
/// Chunks of a file that are read ahead.
const READ_AHEAD: usize = 256;

/// Reads out of the store and, what that lacks, out of the remote.
struct Finder<'r> {
    remote: &'r Remote,
    store: &'r Store,
    local: Arc<Index>,
    view: Arc<View>,
    /// What was read from the remote and is not in the store.
    held: HashMap<Key, (PackId, Stored)>,
}

/// The entries that a file is made of.
struct Parts {
    /// Its map, and the nodes of that.
    lists: Vec<Key>,
    /// Its chunks, in their order.
    chunks: Vec<Key>,
}

impl Parts {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.lists.iter().chain(&self.chunks)
    }
}

fn chunk_key(digest: Digest) -> Key {
    Key { kind: Kind::Chunk, digest }
}

impl<'r> Finder<'r> {
    fn new(remote: &'r Remote, store: &'r Store) -> Result<Self, RemoteError> {
        Ok(Self { remote, store, local: store.snapshot()?, view: remote.view()?, held: HashMap::new() })
    }

    /// Under what a file is found: its chunk or its map; none where it is not.
    fn first_key(&self, file: &Digest) -> Option<Key> {
        let keys = [Kind::Chunk, Kind::Map].map(|kind| Key { kind, digest: *file });
        let local = keys.iter().find(|key| self.local.contains(key));
        local.or(keys.iter().find(|key| self.view.contains(key))).copied()
    }

    /// Reads those of the entries that are not at hand. What the remote lacks stays unknown.
    fn hold(&mut self, keys: impl Iterator<Item = Key>) -> Result<(), RemoteError> {
        let is_wanted = |key: &Key| !self.local.contains(key) && !self.held.contains_key(key);
        let wanted = keys.filter(is_wanted).filter_map(|key| self.view.find(&key)).collect();
        let (remote, held) = (self.remote, &mut self.held);
        let pace = |bytes| remote.limit.wait(bytes);
        entries::read(&*remote.objects, &remote.place(), wanted, &pace, &mut |location, stored| {
            held.insert(stored.header.key, (location.pack, stored));
            Ok(())
        })
    }

    /// An entry that is at hand, from whichever copy in the store is good.
    fn entry(&self, key: &Key) -> Result<Option<(PackId, Stored)>, RemoteError> {
        if let Some(held) = self.held.get(key) {
            return Ok(Some(held.clone()));
        }
        let mut failure = None;
        for location in self.local.find(key) {
            match self.store.stored(&location) {
                Ok(stored) => return Ok(Some((location.pack, stored))),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Reads what says which chunks make files: maps, and the nodes of long ones.
    fn hold_lists(&mut self, files: impl Iterator<Item = Digest>) -> Result<(), RemoteError> {
        let keys = files.filter_map(|file| self.first_key(&file)).filter(|key| key.kind == Kind::Map);
        let maps: Vec<Key> = keys.collect();
        self.hold(maps.iter().copied())?;
        let mut nodes = Vec::new();
        for map in &maps {
            if let Some((pack, map)) = self.entry(map)?
                && let Listing::Nodes(listed) = map_of(&pack, &map)?
            {
                nodes.extend(listed.into_iter().map(chunk_key));
            }
        }
        self.hold(nodes.into_iter())
    }

    /// The entries of a file whose lists are at hand; none where it is nowhere.
    fn parts_of(&self, file: &Digest) -> Result<Option<Parts>, RemoteError> {
        let Some(first) = self.first_key(file) else { return Ok(None) };
        if first.kind == Kind::Chunk {
            return Ok(Some(Parts { lists: Vec::new(), chunks: vec![first] }));
        }
        let Some((pack, map)) = self.entry(&first)? else { return Ok(None) };
        let mut lists = vec![first];
        let mut chunks = Vec::new();
        match map_of(&pack, &map)? {
            Listing::Chunks(listed) => chunks.extend(listed.into_iter().map(chunk_key)),
            Listing::Nodes(listed) => {
                for node in listed.into_iter().map(chunk_key) {
                    let Some((pack, stored)) = self.entry(&node)? else { return Ok(None) };
                    lists.push(node);
                    chunks.extend(node_of(&pack, &stored)?.into_iter().map(chunk_key));
                }
            }
        }
        Ok(Some(Parts { lists, chunks }))
    }

    /// Manifests of artifacts; none for those that are nowhere.
    fn manifests(&mut self, artifacts: &[ArtifactId]) -> Result<Vec<Option<Manifest>>, RemoteError> {
        self.hold_lists(artifacts.iter().map(ArtifactId::manifest_digest))?;
        let mut chunks = Vec::new();
        for artifact in artifacts {
            chunks.push(self.parts_of(&artifact.manifest_digest())?.map(|parts| parts.chunks));
        }
        self.hold(chunks.iter().flatten().flatten().copied())?;
        let mut manifests = Vec::new();
        for (artifact, chunks) in artifacts.iter().zip(chunks) {
            let content = chunks.map_or(Ok(None), |chunks| self.content(&artifact.manifest_digest(), &chunks))?;
            manifests.push(content.map(|bytes| Manifest::parse(&bytes)).transpose()?);
        }
        Ok(manifests)
    }

    /// The content of a file whose entries are at hand, verified; none where some are not.
    fn content(&self, file: &Digest, chunks: &[Key]) -> Result<Option<Vec<u8>>, RemoteError> {
        let mut content = Vec::new();
        for key in chunks {
            let Some((pack, stored)) = self.entry(key)? else { return Ok(None) };
            if content.len() as u64 + u64::from(stored.header.raw_len) > MANIFEST_LIMIT {
                let problem = "it is longer than a manifest may be".to_owned();
                return Err(StoreError::Malformed { what: format!("content {file}"), problem }.into());
            }
            content.extend_from_slice(&chunk_of(&pack, &stored)?);
        }
        match Digest::of(&content) == *file {
            true => Ok(Some(content)),
            false => Err(not_that_file(file).into()),
        }
    }
}

/// What a file map lists is verified by the digest of the whole alone.
fn not_that_file(file: &Digest) -> StoreError {
    StoreError::Malformed { what: format!("the file map of {file}"), problem: "its chunks do not make it".to_owned() }
}

impl Remote {
    /// Fetches artifacts into `store`.
    pub fn pull(
        &self,
        store: &Store,
        artifacts: &[ArtifactId],
        progress: &dyn Progress,
    ) -> Result<Transferred, RemoteError> {
        self.forget_view();
        let receiver = store.receiver()?;
        let mut finder = Finder::new(self, store)?;
        let mut transferred = Transferred::default();
        let (wanted, missing) = self.wanted(&mut finder, artifacts, &mut transferred)?;
        let result = self.receive(&finder, &receiver, wanted, &mut transferred, progress);
        // What arrived stays, whatever became of the rest.
        receiver.finish()?;
        result?;
        match (missing.first(), finder.view.damaged()) {
            (Some(_), Some((object, problem))) => {
                let (object, problem) = (object.clone(), problem.clone());
                Err(RemoteError::DamagedIndex { place: self.place(), object, problem })
            }
            (Some(first), None) => {
                Err(RemoteError::Missing { missing: missing.len(), place: self.place(), first: *first })
            }
            (None, _) => Ok(transferred),
        }
    }

    /// The entries that the store lacks of artifacts, and the artifacts of which the remote lacks some.
    fn wanted(
        &self,
        finder: &mut Finder<'_>,
        artifacts: &[ArtifactId],
        transferred: &mut Transferred,
    ) -> Result<(Vec<Key>, Vec<ArtifactId>), RemoteError> {
        let manifests = finder.manifests(artifacts)?;
        let all = || manifests.iter().flatten().flat_map(Manifest::entries).map(|entry| entry.digest);
        let mut seen = HashSet::new();
        finder.hold_lists(all().filter(|file| seen.insert(*file)))?;
        let mut wanted = HashSet::new();
        let mut judged: HashMap<Digest, (bool, bool)> = HashMap::new();
        let mut missing = Vec::new();
        for (artifact, manifest) in artifacts.iter().zip(&manifests) {
            let Some(manifest) = manifest else {
                missing.push(*artifact);
                continue;
            };
            let own = std::iter::once(artifact.manifest_digest());
            let (mut lacks, mut is_whole) = (false, true);
            for file in own.chain(manifest.entries().iter().map(|entry| entry.digest)) {
                let (file_lacks, file_is_whole) = match judged.get(&file) {
                    Some(known) => *known,
                    None => {
                        let judgement = match finder.parts_of(&file)? {
                            Some(parts) => {
                                let lacking: Vec<Key> =
                                    parts.keys().filter(|key| !finder.local.contains(key)).copied().collect();
                                let there = lacking.iter().all(|key| finder.view.contains(key));
                                let lacks = !lacking.is_empty();
                                wanted.extend(lacking.into_iter().filter(|key| finder.view.contains(key)));
                                (lacks, there)
                            }
                            None => (true, false),
                        };
                        judged.insert(file, judgement);
                        judgement
                    }
                };
                lacks |= file_lacks;
                is_whole &= file_is_whole;
            }
            match is_whole {
                true => transferred.artifacts += usize::from(lacks),
                false => missing.push(*artifact),
            }
        }
        Ok((wanted.into_iter().collect(), missing))
    }

    /// Brings entries into the store.
    fn receive(
        &self,
        finder: &Finder<'_>,
        receiver: &Receiver<'_>,
        wanted: Vec<Key>,
        transferred: &mut Transferred,
        progress: &dyn Progress,
    ) -> Result<(), RemoteError> {
        let view = &finder.view;
        let mut by_pack: BTreeMap<PackId, Vec<Location>> = BTreeMap::new();
        for location in wanted.iter().filter_map(|key| view.find(key)) {
            by_pack.entry(location.pack).or_default().push(location);
        }
        let (whole, parts): (Vec<_>, Vec<_>) =
            by_pack.into_iter().partition(|(pack, entries)| super::is_most(entries, view.pack_bytes(pack)));
        let whole: Vec<(PackId, u64)> =
            whole.into_iter().filter_map(|(pack, _)| Some((pack, view.pack_bytes(&pack)?))).collect();
        let parts: Vec<Location> = parts.into_iter().flat_map(|(_, entries)| entries).collect();
        let (held, parts): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|location| finder.held.contains_key(&location.entry.header.key));
        let whole_bytes: u64 = whole.iter().map(|(_, bytes)| bytes).sum();
        let bytes = whole_bytes + entries::cost(&parts, self.objects.gap());
        progress.start(&format!("pulling from {}", self.name), Some(bytes));
        let pace = |bytes: u64| {
            self.limit.wait(bytes);
            progress.advance(bytes);
        };
        transferred.packs += whole.len();
        let outcome = parallel::for_each(whole, self.objects.at_once(), |(pack, bytes)| {
            let mut draft = receiver.draft()?;
            self.objects.fetch(&pack_name(&pack), bytes, &mut draft, &pace)?;
            receiver.accept(draft, pack).map_err(|error| match error {
                StoreError::Malformed { problem, .. } => RemoteError::Damaged { pack, place: self.place(), problem },
                other => other.into(),
            })
        })
        .and_then(|()| self.receive_parts(finder, receiver, &held, parts, transferred, &pace));
        progress.finish();
        transferred.bytes += bytes;
        outcome
    }

    /// Brings entries into the store that come one by one.
    fn receive_parts(
        &self,
        finder: &Finder<'_>,
        receiver: &Receiver<'_>,
        held: &[Location],
        parts: Vec<Location>,
        transferred: &mut Transferred,
        pace: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RemoteError> {
        if held.is_empty() && parts.is_empty() {
            return Ok(());
        }
        let mut draft = receiver.pack_draft()?;
        for (_, stored) in held.iter().filter_map(|location| finder.held.get(&location.entry.header.key)) {
            draft.append(&stored.header, &stored.bytes)?;
        }
        let mut draft = Some(draft);
        entries::read(&*self.objects, &self.place(), parts, pace, &mut |_, stored| {
            let mut open = match draft.take() {
                Some(open) => open,
                None => receiver.pack_draft()?,
            };
            open.append(&stored.header, &stored.bytes)?;
            if open.bytes() >= PACK_TARGET {
                receiver.accept_gathered(open)?;
                transferred.packs += 1;
            } else {
                draft = Some(open);
            }
            Ok(())
        })?;
        if let Some(open) = draft {
            receiver.accept_gathered(open)?;
            transferred.packs += 1;
        }
        Ok(())
    }

    /// The manifest of an artifact, without storing it; none if it is neither here nor there.
    pub fn manifest(&self, store: &Store, artifact: &ArtifactId) -> Result<Option<Manifest>, RemoteError> {
        let mut manifests = Finder::new(self, store)?.manifests(&[*artifact])?;
        Ok(manifests.pop().flatten())
    }

    /// Copies a file's content, verified, without storing it: what the store lacks of it comes from the remote, chunk
    /// by chunk. False, with nothing written, if some of it is neither here nor there.
    pub fn copy_file(&self, store: &Store, file: &Digest, output: &mut dyn Write) -> Result<bool, RemoteError> {
        let mut finder = Finder::new(self, store)?;
        finder.hold_lists(std::iter::once(*file))?;
        let Some(Parts { chunks, .. }) = finder.parts_of(file)? else { return Ok(false) };
        if !chunks.iter().all(|key| finder.local.contains(key) || finder.view.contains(key)) {
            return Ok(false);
        }
        let mut whole = blake3::Hasher::new();
        let mut left = chunks.len();
        for ahead in chunks.chunks(READ_AHEAD) {
            finder.held.clear();
            finder.hold(ahead.iter().copied())?;
            for key in ahead {
                let entry = finder.entry(key)?;
                let (pack, stored) = entry.ok_or(StoreError::Missing { digest: key.digest })?;
                let chunk = chunk_of(&pack, &stored)?;
                whole.update(&chunk);
                left -= 1;
                // As in the store: a wrong file is an error before its last chunk is given out.
                if left == 0 && whole.finalize().as_bytes() != file.as_bytes() {
                    return Err(not_that_file(file).into());
                }
                output.write_all(&chunk).map_err(RemoteError::Output)?;
            }
        }
        Ok(true)
    }

    /// Whether all of an artifact is there.
    pub fn has(&self, store: &Store, artifact: &ArtifactId) -> Result<bool, RemoteError> {
        if self.is_remembered_whole(artifact) {
            return Ok(true);
        }
        let mut finder = Finder::new(self, store)?;
        if finder.first_key(&artifact.manifest_digest()).is_none_or(|key| !finder.view.contains(&key)) {
            return Ok(false);
        }
        let Some(manifest) = finder.manifests(&[*artifact])?.pop().flatten() else { return Ok(false) };
        let files = || std::iter::once(artifact.manifest_digest()).chain(manifest.entries().iter().map(|e| e.digest));
        finder.hold_lists(files())?;
        for file in files() {
            let parts = finder.parts_of(&file)?;
            if !parts.is_some_and(|parts| parts.keys().all(|key| finder.view.contains(key))) {
                return Ok(false);
            }
        }
        self.remember_whole(&[*artifact]);
        Ok(true)
    }
}
