//! Adding content to the store.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::chunker::{Buffers, Chunker, MIN, Window};
use super::index::NewPacks;
use super::sink::{Outcome, Sink};
use super::{Manifest, Store, StoreError, lock};
use crate::files::{self, FileLock, fill};
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
/// Many threads may add at once. A file of up to some megabytes is cut, hashed and compressed by the thread that adds
/// it, so many such files want many threads; a large one is spread over threads of the writer's own, one at a time.
#[derive(Debug)]
#[must_use = "what was added is not there before `finish`"]
pub struct Writer<'s> {
    store: &'s Store,
    sink: Arc<Sink>,
    buffers: Buffers,
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
        Ok(Self { store, sink, buffers: Buffers::default(), pool: Mutex::default(), _lock: lock })
    }

    /// Adds a file's content, read to its end, and returns its digest and size. `what` names it in errors.
    pub fn add(&self, input: &mut dyn Read, what: &str) -> Result<(Digest, u64), StoreError> {
        let fail = |source| StoreError::Read { what: what.to_owned(), source };
        let head = read_head(input).map_err(fail)?;
        if head.len() <= MIN {
            let (digest, size) = (Digest::of(&head), head.len() as u64);
            self.sink.add_file(digest, size, vec![head])?;
            return Ok((digest, size));
        }
        let mut chunker = Chunker::new(head, input, &self.buffers);
        let window = chunker.next().map_err(fail)?;
        if !window.is_last {
            return self.add_large(window, chunker, &fail);
        }
        let (digest, size) = (Digest::of(&window.fresh), window.fresh.len() as u64);
        self.sink.add_file(digest, size, window.chunks)?;
        Ok((digest, size))
    }

    fn add_large(
        &self,
        mut window: Window,
        mut chunker: Chunker<'_>,
        fail: &dyn Fn(io::Error) -> StoreError,
    ) -> Result<(Digest, u64), StoreError> {
        let mut pool = lock(&self.pool);
        let mut file = LargeFile { pool: pool.get_or_insert_with(|| Pool::start(&self.sink)), sink: &self.sink };
        let (digest, size) = thread::scope(|scope| {
            // The digest of the whole takes as long as cutting, so it has a thread of its own.
            let (windows, queue) = mpsc::sync_channel::<Bytes>(2);
            let hasher = scope.spawn(move || {
                let mut hasher = blake3::Hasher::new();
                for bytes in queue {
                    hasher.update(&bytes);
                }
                (Digest::from_bytes(*hasher.finalize().as_bytes()), hasher.count())
            });
            loop {
                let Window { fresh, chunks, is_last } = window;
                // It fails only if the hasher died, which joining it tells.
                let _ = windows.send(fresh);
                for chunk in chunks {
                    file.submit(chunk)?;
                }
                if is_last {
                    break;
                }
                window = chunker.next().map_err(fail)?;
            }
            drop(windows);
            hasher.join().map_err(|_| fail(io::Error::other("hashing it failed")))
        })?;
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
        // What garbage collection saw unused for long is as good as new now: its grace period begins again.
        for pack in self.sink.reused() {
            files::freshen(&self.store.pack_path(&pack))?;
        }
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
        self.sink.abandon();
    }
}

/// The beginning of a file: all of a small one.
fn read_head(input: &mut dyn Read) -> io::Result<Bytes> {
    thread_local! {
        static HEAD: RefCell<Vec<u8>> = RefCell::new(vec![0; MIN + 1]);
    }
    HEAD.with_borrow_mut(|head| fill(input, head).map(|length| Bytes::copy_from_slice(&head[..length])))
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
    chunk: Bytes,
}

/// A file of several chunks that is being added. Dropped before it is complete, it is forgotten.
struct LargeFile<'w> {
    pool: &'w mut Pool,
    sink: &'w Sink,
}

impl LargeFile<'_> {
    /// Hands a chunk to the threads, once there is room for it.
    fn submit(&mut self, chunk: Bytes) -> Result<(), StoreError> {
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
