//! Adding content to the store.

use std::io::Read;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::chunker::Chunker;
use super::index::NewPacks;
use super::sink::{Outcome, Sink};
use super::{Manifest, Store, StoreError, lock};
use crate::files::{self, FileLock};
use crate::id::{ArtifactId, Digest};

/// More threads than this only wait for the disk.
const MOST_THREADS: usize = 16;

/// What a [`Writer`] added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes that the packs grew by.
    pub stored_bytes: u64,
    /// Chunks that were not there before.
    pub new_chunks: u64,
}

/// Adds content to a store. Nothing it was given is there for others before [`Writer::finish`]; dropped without it, it
/// leaves nothing behind.
///
/// Many threads may add at once. A small file is hashed and compressed by the thread that adds it, so many small files
/// want many such threads; a large one is spread over threads of the writer's own, one large file at a time.
#[derive(Debug)]
#[must_use = "what was added is not there before `finish`"]
pub struct Writer<'s> {
    store: &'s Store,
    sink: Arc<Sink>,
    /// Started for the first large file. Holding it is having the turn to add one.
    pool: Mutex<Option<Pool>>,
    /// Let go last: while it is held, nobody removes this writer's drafts, nor what it found in the store.
    _lock: FileLock,
}

impl<'s> Writer<'s> {
    pub(super) fn new(store: &'s Store) -> Result<Self, StoreError> {
        // That what others left cannot be removed is no reason not to write.
        let _ = store.remove_leftovers();
        let lock = store.lock_shared()?;
        // Under the lock: from here on nothing that the index names goes away.
        store.refresh(NewPacks::new())?;
        let sink = Arc::new(Sink::new(store.packs_dir(), store.index()?));
        Ok(Self { store, sink, pool: Mutex::default(), _lock: lock })
    }

    /// Adds a file's content, read to its end, and returns its digest and size. `what` names it in errors.
    pub fn add(&self, input: &mut dyn Read, what: &str) -> Result<(Digest, u64), StoreError> {
        let fail = |source| StoreError::Read { what: what.to_owned(), source };
        let mut chunker = Chunker::new(input);
        let first = chunker.next().map_err(fail)?.map(<[u8]>::to_vec).unwrap_or_default();
        if chunker.is_done().map_err(fail)? {
            let (digest, size) = chunker.finish();
            self.sink.add_single(digest, first)?;
            return Ok((digest, size));
        }
        let mut pool = lock(&self.pool);
        let mut file = LargeFile { pool: pool.get_or_insert_with(|| Pool::start(&self.sink)), sink: &self.sink };
        file.submit(first)?;
        while let Some(chunk) = chunker.next().map_err(fail)? {
            file.submit(chunk.to_vec())?;
        }
        let (digest, size) = chunker.finish();
        file.complete(digest, size);
        Ok((digest, size))
    }

    /// Adds a manifest; its files should have been added.
    pub fn add_manifest(&self, manifest: &Manifest) -> Result<ArtifactId, StoreError> {
        let bytes = manifest.to_bytes();
        let (digest, _) = self.add(&mut &bytes[..], "the manifest")?;
        Ok(ArtifactId::from_bytes(*digest.as_bytes()))
    }

    /// Makes all of it durable and findable: packs first, then the index.
    pub fn finish(self) -> Result<Written, StoreError> {
        if let Some(pool) = lock(&self.pool).take() {
            pool.join();
        }
        let (packs, new_chunks) = self.sink.finish()?;
        if packs.is_empty() {
            return Ok(Written::default());
        }
        let mut written = Written { stored_bytes: 0, new_chunks };
        let mut known = NewPacks::new();
        for pack in packs {
            pack.draft.publish(&self.store.pack_path(&pack.id))?;
            written.stored_bytes += pack.bytes;
            known.insert(pack.id, pack.entries);
        }
        files::sync_dir(&self.store.packs_dir())?;
        self.store.refresh(known)?;
        Ok(written)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        // The drafts are removed with the last of those who hold the sink, which has to be before the lock goes.
        if let Some(pool) = lock(&self.pool).take() {
            pool.join();
        }
    }
}

/// Threads that hash and compress chunks.
#[derive(Debug)]
struct Pool {
    jobs: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
    next_turn: u64,
}

#[derive(Debug)]
struct Job {
    turn: u64,
    chunk: Vec<u8>,
}

/// A file of several chunks that is being added. Dropped before it is complete, it is forgotten.
struct LargeFile<'w> {
    pool: &'w mut Pool,
    sink: &'w Sink,
}

impl LargeFile<'_> {
    /// Hands a chunk to the threads, once there is room for it.
    fn submit(&mut self, chunk: Vec<u8>) -> Result<(), StoreError> {
        self.sink.reserve(chunk.len())?;
        let turn = self.pool.take_turn();
        // It fails only if all threads died, which the sink knows.
        let _ = self.pool.jobs.send(Job { turn, chunk });
        Ok(())
    }

    fn complete(self, digest: Digest, size: u64) {
        self.sink.deliver(self.pool.take_turn(), Outcome::End { digest, size });
    }
}

impl Drop for LargeFile<'_> {
    fn drop(&mut self) {
        // After a complete file there is nothing left to forget.
        self.sink.deliver(self.pool.take_turn(), Outcome::Abort);
    }
}

impl Pool {
    fn start(sink: &Arc<Sink>) -> Self {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let count = thread::available_parallelism().map_or(2, usize::from).min(MOST_THREADS);
        let start = |_| {
            let (sink, queue) = (Arc::clone(sink), Arc::clone(&queue));
            thread::spawn(move || work(&sink, &queue))
        };
        Self { jobs, threads: (0..count).map(start).collect(), next_turn: 0 }
    }

    fn take_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn - 1
    }

    /// Waits until all that was submitted is done.
    fn join(self) {
        drop(self.jobs);
        for thread in self.threads {
            // A thread that panicked has told the sink.
            let _ = thread.join();
        }
    }
}

fn work(sink: &Sink, queue: &Mutex<Receiver<Job>>) {
    /// Tells the sink if this thread panics.
    struct Alarm<'s>(&'s Sink);
    impl Drop for Alarm<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                self.0.break_down();
            }
        }
    }
    let _alarm = Alarm(sink);
    loop {
        let Ok(Job { turn, chunk }) = lock(queue).recv() else { return };
        let (digest, length) = (Digest::of(&chunk), chunk.len() as u32);
        let encoded = sink.encode(digest, chunk);
        sink.deliver(turn, Outcome::Chunk { digest, length, encoded });
    }
}
