//! Where a writer's entries come together: packs in the making.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::codec::{self, Encoded};
use super::index::Index;
use super::pack::{self, HEADER_LEN, Header, Key, Kind, MAP_HEAD, MAP_LIMIT, MAP_RECORD, PackEntry};
use super::{StoreError, lock};
use crate::files::{Draft, Durability, FileError, SealedDraft};
use crate::id::{Digest, PackId};

/// A pack is closed once it has so many bytes. (In tests sooner, so that they fill several in no time.)
pub(super) const PACK_TARGET: u64 = if cfg!(test) { 4 << 20 } else { 64 << 20 };
/// Bytes that are gathered before they are hashed and written.
const BUFFER: usize = 1 << 20;
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

/// A pack in the making.
#[derive(Debug)]
pub(super) struct OpenPack {
    draft: Draft,
    buffer: Vec<u8>,
    entries: Vec<PackEntry>,
    bytes: u64,
}

impl OpenPack {
    pub(super) fn new(folder: &Path) -> Result<Self, FileError> {
        let mut buffer = Vec::with_capacity(BUFFER + (64 << 10));
        buffer.extend_from_slice(&pack::MAGIC);
        let bytes = buffer.len() as u64;
        Ok(Self { draft: Draft::new_in(folder)?, buffer, entries: Vec::new(), bytes })
    }

    pub(super) fn append(&mut self, header: Header, stored: &[u8]) -> Result<(), FileError> {
        self.entries.push(PackEntry { header, offset: self.bytes + HEADER_LEN as u64 });
        self.write(&header.to_bytes())?;
        self.write(stored)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.bytes += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let written = self.draft.file().write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| FileError::new("write", self.draft.path(), source))
    }

    /// Completes the pack and gets it onto the disk.
    pub(super) fn seal(mut self) -> Result<SealedPack, FileError> {
        let (footer, id) = pack::footer(self.entries.iter().map(|entry| entry.header));
        self.write(&footer)?;
        self.flush()?;
        let draft = self.draft.seal(Durability::Synced)?;
        Ok(SealedPack { id, draft, entries: self.entries, bytes: self.bytes })
    }
}

/// What became of a piece of a file of several chunks.
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
    state: Mutex<State>,
    /// Room was made in `in_flight`, or something failed.
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pack: Option<OpenPack>,
    sealed: Vec<SealedPack>,
    /// Pieces that came before their turn: a file's chunks are stored in their order, so that reading is sequential.
    early: BTreeMap<u64, Outcome>,
    next: u64,
    /// Bytes of chunks that were submitted and have not had their turn.
    in_flight: usize,
    /// The chunks of the file whose pieces have their turn, as a file map's records.
    records: Vec<u8>,
    new_chunks: u64,
    failed: bool,
    error: Option<StoreError>,
}

impl Sink {
    pub(super) fn new(folder: PathBuf, index: Arc<Index>) -> Self {
        Self { folder, index, seen: Mutex::default(), state: Mutex::default(), moved: Condvar::new() }
    }

    /// Whether an entry is new to the store and to this writer. Whoever is told so has to add it.
    fn is_new(&self, key: Key) -> bool {
        !self.index.contains(&key) && lock(&self.seen).insert(key)
    }

    /// Compresses a chunk unless it is known.
    pub(super) fn encode(&self, digest: Digest, bytes: Vec<u8>) -> Option<Encoded> {
        let key = Key { kind: Kind::Chunk, digest };
        self.is_new(key).then(|| codec::encode(key, bytes))
    }

    /// Adds a file of one chunk.
    pub(super) fn add_single(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        let Some(encoded) = self.encode(digest, bytes) else { return self.state().map(drop) };
        let mut state = self.state()?;
        let result = state.append(&self.folder, &encoded);
        let full = state.note(result).flatten();
        drop(state);
        self.seal_all(full.into_iter().collect());
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
        let mut full = Vec::new();
        loop {
            let turn = state.next;
            let Some(outcome) = state.early.remove(&turn) else { break };
            state.next += 1;
            let result = self.store_piece(&mut state, outcome);
            full.extend(state.note(result).flatten());
        }
        drop(state);
        self.moved.notify_all();
        self.seal_all(full);
    }

    fn store_piece(&self, state: &mut State, outcome: Outcome) -> Result<Option<OpenPack>, StoreError> {
        match outcome {
            Outcome::Chunk { digest, length, encoded } => {
                state.in_flight -= length as usize;
                if state.failed {
                    return Ok(None);
                }
                state.records.extend_from_slice(digest.as_bytes());
                state.records.extend_from_slice(&length.to_le_bytes());
                encoded.map_or(Ok(None), |encoded| state.append(&self.folder, &encoded))
            }
            Outcome::End { digest, size } => {
                let records = std::mem::take(&mut state.records);
                let key = Key { kind: Kind::Map, digest };
                if state.failed || !self.is_new(key) {
                    return Ok(None);
                }
                debug_assert!(records.len().is_multiple_of(MAP_RECORD));
                if records.len() + MAP_HEAD > MAP_LIMIT as usize {
                    let problem = format!("it has {size} bytes, more than this store's format can hold");
                    return Err(StoreError::Malformed { what: format!("content {digest}"), problem });
                }
                let map = [&size.to_le_bytes()[..], &records].concat();
                state.append(&self.folder, &codec::encode(key, map))
            }
            Outcome::Abort => {
                state.records.clear();
                Ok(None)
            }
        }
    }

    /// Makes full packs durable. The lock is not held: syncing takes long, and others can go on.
    fn seal_all(&self, full: Vec<OpenPack>) {
        for pack in full {
            let sealed = pack.seal();
            let mut state = lock(&self.state);
            if let Some(sealed) = state.note(sealed.map_err(StoreError::from)) {
                state.sealed.push(sealed);
            }
        }
    }

    /// Notes that a thread of the writer died, so that nobody waits for it.
    pub(super) fn break_down(&self) {
        lock(&self.state).failed = true;
        self.moved.notify_all();
    }

    /// Completes the last pack and hands over all of them, and the number of new chunks. Nobody may deliver any more.
    pub(super) fn finish(&self) -> Result<(Vec<SealedPack>, u64), StoreError> {
        let last = self.state()?.pack.take();
        self.seal_all(last.into_iter().collect());
        let mut state = self.state()?;
        Ok((std::mem::take(&mut state.sealed), state.new_chunks))
    }

    /// The state, or the error that broke it.
    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = lock(&self.state);
        state.check()?;
        Ok(state)
    }
}

impl State {
    /// Adds an entry; the pack if that filled it.
    fn append(&mut self, folder: &Path, encoded: &Encoded) -> Result<Option<OpenPack>, StoreError> {
        let pack = match &mut self.pack {
            Some(pack) => pack,
            empty => empty.insert(OpenPack::new(folder)?),
        };
        pack.append(encoded.header, &encoded.stored)?;
        self.new_chunks += u64::from(encoded.header.key.kind == Kind::Chunk);
        let full = pack.bytes >= PACK_TARGET;
        Ok(if full { self.pack.take() } else { None })
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
                let source = io::Error::new(error.source.kind(), error.source.to_string());
                Err(FileError::new(error.action, &error.path, source).into())
            }
            Some(StoreError::Malformed { what, problem }) => {
                Err(StoreError::Malformed { what: what.clone(), problem: problem.clone() })
            }
            _ if self.failed => Err(StoreError::Malformed {
                what: "what was added to the store".to_owned(),
                problem: "adding a part of it failed".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
