//! Where a writer's entries come together: packs in the making.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::codec::{self, Encoded};
use super::index::Index;
use super::map::{MapBuilder, Node};
use super::pack::{self, HEADER_LEN, Header, Key, Kind, PackEntry};
use super::{StoreError, lock};
use crate::files::{Draft, Durability, FileError, SealedDraft};
use crate::id::{Digest, PackId};

/// A pack is closed once it has so many bytes. (In tests sooner, so that they fill several in no time.)
pub(crate) const PACK_TARGET: u64 = if cfg!(test) { 4 << 20 } else { 64 << 20 };
/// Bytes that are gathered before they are written.
const BATCH: u64 = 1 << 20;
/// Bytes of chunks that may be on their way at a time: however large the file, memory stays within this.
const IN_FLIGHT: usize = 24 << 20;

/// A pack that is complete and on the disk, not yet at its place.
#[derive(Debug)]
pub(super) struct SealedPack {
    pub(super) id: PackId,
    pub(super) draft: SealedDraft,
    pub(super) entries: Vec<PackEntry>,
    pub(super) bytes: u64,
}

/// A pack in the making. What is appended is gathered, and handed out to be written by whoever appended it, at its
/// offset: so several threads write at once, and none waits for another's write.
#[derive(Debug)]
pub(super) struct OpenPack {
    file: Arc<PackFile>,
    entries: Vec<PackEntry>,
    bytes: u64,
    batch: Vec<([u8; HEADER_LEN], Bytes)>,
    batch_start: u64,
}

/// The file of a pack in the making. Whoever lets go of it last has written the last of it.
#[derive(Debug)]
struct PackFile {
    draft: Draft,
    complete: OnceLock<(PackId, Vec<PackEntry>, u64)>,
}

/// Bytes that have their place in a pack and are to be written there.
#[derive(Debug)]
#[must_use = "the pack has a hole where these bytes belong"]
pub(super) struct Batch {
    file: Arc<PackFile>,
    start: u64,
    head: &'static [u8],
    entries: Vec<([u8; HEADER_LEN], Bytes)>,
    footer: Vec<u8>,
}

impl OpenPack {
    pub(super) fn new(folder: &Path) -> Result<Self, FileError> {
        let file = Arc::new(PackFile { draft: Draft::new_in(folder)?, complete: OnceLock::new() });
        let bytes = pack::MAGIC.len() as u64;
        Ok(Self { file, entries: Vec::new(), bytes, batch: Vec::new(), batch_start: 0 })
    }

    /// Adds an entry; a batch if it is time to write one.
    pub(super) fn append(&mut self, header: Header, stored: Bytes) -> Option<Batch> {
        self.entries.push(PackEntry { header, offset: self.bytes + HEADER_LEN as u64 });
        self.bytes += HEADER_LEN as u64 + stored.len() as u64;
        self.batch.push((header.to_bytes(), stored));
        (self.bytes - self.batch_start >= BATCH).then(|| self.take_batch())
    }

    /// How many bytes it has so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn take_batch(&mut self) -> Batch {
        let start = std::mem::replace(&mut self.batch_start, self.bytes);
        let head: &[u8] = if start == 0 { &pack::MAGIC } else { &[] };
        let (file, entries) = (Arc::clone(&self.file), std::mem::take(&mut self.batch));
        Batch { file, start, head, entries, footer: Vec::new() }
    }

    /// The rest of a pack that gets no more entries.
    pub(super) fn close(mut self) -> Batch {
        let mut batch = self.take_batch();
        let (footer, id) = pack::footer(self.entries.iter().map(|entry| entry.header));
        batch.footer = footer;
        let bytes = self.bytes + batch.footer.len() as u64;
        if self.file.complete.set((id, self.entries, bytes)).is_err() {
            unreachable!("a pack is closed once");
        }
        batch
    }
}

impl Batch {
    /// Writes it. The pack, if that was the last of it.
    pub(super) fn write(self) -> Result<Option<CompletePack>, FileError> {
        let entries = self.entries.iter().flat_map(|(header, stored)| [&header[..], stored]);
        let mut slices: Vec<IoSlice<'_>> =
            [self.head].into_iter().chain(entries).chain([&self.footer[..]]).map(IoSlice::new).collect();
        self.file.draft.write_all_at(&mut slices, self.start)?;
        let file = Arc::into_inner(self.file);
        Ok(file.and_then(|file| Some(CompletePack { complete: file.complete.into_inner()?, draft: file.draft })))
    }

    /// Writes the last of a pack that nobody else writes to, and gets it onto the disk.
    pub(super) fn write_and_seal(self) -> Result<SealedPack, FileError> {
        let place = self.file.draft.path().to_path_buf();
        match self.write()? {
            Some(pack) => pack.seal(),
            None => Err(FileError::new("complete", &place, io::ErrorKind::ResourceBusy.into())),
        }
    }
}

/// A pack of which all is written.
#[derive(Debug)]
pub(super) struct CompletePack {
    draft: Draft,
    complete: (PackId, Vec<PackEntry>, u64),
}

impl CompletePack {
    /// Gets it onto the disk.
    fn seal(self) -> Result<SealedPack, FileError> {
        let (id, entries, bytes) = self.complete;
        Ok(SealedPack { id, draft: self.draft.seal(Durability::Synced)?, entries, bytes })
    }
}

/// A thread that does nothing but bring packs onto the disk, and the way to it.
type Sealer = (Sender<CompletePack>, JoinHandle<Result<Vec<SealedPack>, FileError>>);

/// What became of a piece of a file that the writer's own threads work on.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A chunk; encoded if the store does not have it yet.
    Chunk { digest: Digest, length: u32, encoded: Option<Encoded> },
    /// All chunks of the file are there.
    End { digest: Digest, size: u64 },
    /// The file could not be read to its end.
    Abort,
}

/// What the threads of a writer share.
#[derive(Debug)]
pub(super) struct Sink {
    folder: PathBuf,
    index: Arc<Index>,
    /// What this writer has added, or is about to.
    seen: Mutex<HashSet<Key>>,
    /// Packs of the store that have something of what was added.
    reused: Mutex<HashSet<PackId>>,
    state: Mutex<State>,
    /// Room was made in `in_flight`, or something failed.
    moved: Condvar,
    /// Started for the first pack that is full: getting it onto the disk takes long, and others can go on.
    sealer: Mutex<Option<Sealer>>,
}

#[derive(Debug, Default)]
struct State {
    pack: Option<OpenPack>,
    /// Pieces that came before their turn: a file's chunks are stored in their order, so that reading is sequential.
    early: BTreeMap<u64, Outcome>,
    next: u64,
    /// Bytes of chunks that were submitted and are not written yet.
    in_flight: usize,
    /// The map of the file whose pieces have their turn.
    map: MapBuilder,
    new_chunks: u64,
    failed: bool,
    error: Option<StoreError>,
}

/// What has to be written after a step, and how many bytes of chunks are then no longer on their way.
#[derive(Debug, Default)]
struct Writes {
    batches: Vec<Batch>,
    landed: usize,
}

impl Sink {
    pub(super) fn new(folder: PathBuf, index: Arc<Index>) -> Self {
        Self {
            folder,
            index,
            seen: Mutex::default(),
            reused: Mutex::default(),
            state: Mutex::default(),
            moved: Condvar::new(),
            sealer: Mutex::default(),
        }
    }

    /// Whether an entry is new to the store and to this writer. Whoever is told so has to add it.
    fn is_new(&self, key: Key) -> bool {
        match self.index.find(&key).first() {
            Some(location) => {
                lock(&self.reused).insert(location.pack);
                false
            }
            None => lock(&self.seen).insert(key),
        }
    }

    /// Packs of the store that have something of what was added.
    pub(super) fn reused(&self) -> HashSet<PackId> {
        std::mem::take(&mut lock(&self.reused))
    }

    /// Compresses a chunk unless it is known.
    pub(super) fn encode(&self, digest: Digest, bytes: Bytes) -> Option<Encoded> {
        let key = Key { kind: Kind::Chunk, digest };
        self.is_new(key).then(|| codec::encode(key, bytes))
    }

    /// Adds a file of which all chunks are at hand, in their order.
    pub(super) fn add_file(&self, digest: Digest, size: u64, chunks: Vec<Bytes>) -> Result<(), StoreError> {
        let mut encoded = Vec::with_capacity(chunks.len() + 1);
        if let [_] = &chunks[..] {
            encoded.extend(chunks.into_iter().filter_map(|chunk| self.encode(digest, chunk)));
        } else {
            let mut map = MapBuilder::default();
            let mut nodes = Vec::new();
            for chunk in chunks {
                let digest = Digest::of(&chunk);
                map.push(digest, chunk.len() as u32, &mut nodes);
                encoded.extend(self.encode(digest, chunk));
            }
            let map = finish_map(&mut map, digest, size, &mut nodes)?;
            encoded.extend(nodes.into_iter().filter_map(|(digest, node)| self.encode(digest, node)));
            let key = Key { kind: Kind::Map, digest };
            encoded.extend(self.is_new(key).then(|| codec::encode(key, map.into())));
        }
        let mut state = self.state()?;
        let mut writes = Writes::default();
        for entry in encoded {
            let appended = state.append(&self.folder, entry, &mut writes.batches);
            state.note(appended);
        }
        drop(state);
        self.write(writes);
        self.state().map(drop)
    }

    /// Waits until there is room for a chunk of so many bytes.
    pub(super) fn reserve(&self, bytes: usize) -> Result<(), StoreError> {
        let mut state = self.state()?;
        while state.in_flight > 0 && state.in_flight + bytes > IN_FLIGHT {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.check()?;
        }
        state.in_flight += bytes;
        Ok(())
    }

    /// Takes a piece, and stores all pieces whose turn it is.
    pub(super) fn deliver(&self, turn: u64, outcome: Outcome) {
        let mut state = lock(&self.state);
        state.early.insert(turn, outcome);
        let mut writes = Writes::default();
        loop {
            let turn = state.next;
            let Some(outcome) = state.early.remove(&turn) else { break };
            state.next += 1;
            let result = self.store_piece(&mut state, outcome, &mut writes);
            state.note(result);
        }
        drop(state);
        self.write(writes);
    }

    fn store_piece(&self, state: &mut State, outcome: Outcome, writes: &mut Writes) -> Result<(), StoreError> {
        let State { map, .. } = state;
        let mut nodes = Vec::new();
        let mut encoded = None;
        match outcome {
            Outcome::Chunk { digest, length, encoded: chunk } => {
                writes.landed += length as usize;
                map.push(digest, length, &mut nodes);
                encoded = chunk;
            }
            Outcome::End { digest, size } => {
                let map = finish_map(map, digest, size, &mut nodes)?;
                let key = Key { kind: Kind::Map, digest };
                encoded = self.is_new(key).then(|| codec::encode(key, map.into()));
            }
            Outcome::Abort => *map = MapBuilder::default(),
        }
        if state.failed {
            return Ok(());
        }
        let nodes = nodes.into_iter().filter_map(|(digest, node)| self.encode(digest, node));
        for entry in nodes.chain(encoded) {
            state.append(&self.folder, entry, &mut writes.batches)?;
        }
        Ok(())
    }

    /// Writes what has its place. The lock on the state is not held.
    fn write(&self, writes: Writes) {
        for batch in writes.batches {
            let written = batch.write();
            let sealed =
                written.map_err(StoreError::from).and_then(|complete| complete.map_or(Ok(()), |pack| self.seal(pack)));
            if let Err(error) = sealed {
                lock(&self.state).note::<()>(Err(error));
            }
        }
        if writes.landed > 0 {
            lock(&self.state).in_flight -= writes.landed;
        }
        self.moved.notify_all();
    }

    /// Has a pack brought onto the disk by a thread that does nothing else.
    fn seal(&self, pack: CompletePack) -> Result<(), StoreError> {
        let mut sealer = lock(&self.sealer);
        let (packs, _) = sealer.get_or_insert_with(|| {
            let (packs, queue) = mpsc::channel::<CompletePack>();
            (packs, thread::spawn(move || queue.into_iter().map(CompletePack::seal).collect()))
        });
        // It has ended only if a pack could not be sealed, which `finish` learns.
        let _ = packs.send(pack);
        Ok(())
    }

    /// Notes that a thread of the writer died, so that nobody waits for it.
    pub(super) fn break_down(&self) {
        lock(&self.state).failed = true;
        self.moved.notify_all();
    }

    /// Completes the last pack and hands over all of them, and the number of new chunks. Nobody may deliver any more.
    pub(super) fn finish(&self) -> Result<(Vec<SealedPack>, u64), StoreError> {
        let last = self.state()?.pack.take().map(|pack| pack.close().write_and_seal());
        let mut sealed = Vec::new();
        if let Some((packs, thread)) = lock(&self.sealer).take() {
            drop(packs);
            sealed = thread.join().map_err(|_| broken())??;
        }
        sealed.extend(last.transpose()?);
        let state = self.state()?;
        Ok((sealed, state.new_chunks))
    }

    /// Waits until nothing is being brought onto the disk any more; the packs that were are forgotten.
    pub(super) fn abandon(&self) {
        if let Some((packs, thread)) = lock(&self.sealer).take() {
            drop(packs);
            let _ = thread.join();
        }
    }

    /// The state, or the error that broke it.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = lock(&self.state);
        state.check()?;
        Ok(state)
    }
}

fn finish_map(map: &mut MapBuilder, digest: Digest, size: u64, nodes: &mut Vec<Node>) -> Result<Vec<u8>, StoreError> {
    map.finish(size, nodes).ok_or_else(|| {
        let problem = format!("it has {size} bytes, more than this store's format can hold");
        StoreError::Malformed { what: format!("content {digest}"), problem }
    })
}

impl State {
    /// Adds an entry; what is to be written then comes to `batches`.
    fn append(&mut self, folder: &Path, encoded: Encoded, batches: &mut Vec<Batch>) -> Result<(), StoreError> {
        let pack = match &mut self.pack {
            Some(pack) => pack,
            empty => empty.insert(OpenPack::new(folder)?),
        };
        self.new_chunks += u64::from(encoded.header.key.kind == Kind::Chunk);
        batches.extend(pack.append(encoded.header, encoded.stored));
        if pack.bytes >= PACK_TARGET {
            batches.extend(self.pack.take().map(OpenPack::close));
        }
        Ok(())
    }

    /// Keeps an error for whoever asks next; the value otherwise.
    fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed = true;
                self.error.get_or_insert(error);
                None
            }
        }
    }

    /// The error that broke the writer, to everybody who asks: threads that add at once must not hide it.
    fn check(&self) -> Result<(), StoreError> {
        match &self.error {
            Some(StoreError::File(error)) => {
                let again = || io::Error::new(error.source.kind(), error.source.to_string());
                let source = error.source.raw_os_error().map_or_else(again, io::Error::from_raw_os_error);
                Err(FileError::new(error.action, &error.path, source).into())
            }
            Some(StoreError::Malformed { what, problem }) => {
                Err(StoreError::Malformed { what: what.clone(), problem: problem.clone() })
            }
            _ if self.failed => Err(broken()),
            _ => Ok(()),
        }
    }
}

fn broken() -> StoreError {
    StoreError::Malformed {
        what: "what was added to the store".to_owned(),
        problem: "adding a part of it failed".to_owned(),
    }
}
