//! Reading files out of the store, verified.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use bytes::Bytes;
use rayon::prelude::*;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use super::index::Location;
use super::map::{self, FileMap, Form};
use super::pack::{Header, Key, Kind};
use super::{Store, StoreError, codec};
use crate::files::FileError;
use crate::id::{Digest, PackId};

/// Memory that is taken on the word of a size that nothing has proved yet.
const TRUSTED: u64 = 1 << 20;

/// Chunks that are read and decoded at a time, by as many threads as there are.
const AHEAD: usize = 48;

/// Reads a file's content out of the store.
///
/// Every chunk is verified before a byte of it is given out, and the digest of the whole before the last chunk is. An
/// [`io::Error`] from it carries the [`StoreError`], see [`StoreError::from_io`].
pub struct FileReader<'s> {
    digest: Digest,
    size: u64,
    source: Source<'s>,
    /// The chunk that is being given out, what is left of it first.
    chunk: Bytes,
}

/// Where the chunks of a file come from.
enum Source<'s> {
    /// The file is one chunk, under its own digest.
    Chunk { store: &'s Store, length: u32 },
    /// The file has a map.
    Map(Box<Ahead<'s>>),
    /// All chunks were given out.
    Done,
    /// A chunk could not be read: what is missing must not look like the end.
    Failed,
}

/// A file with a map that is being read, some chunks ahead.
struct Ahead<'s> {
    map: MapReader<'s>,
    whole: blake3::Hasher,
    chunks: VecDeque<Bytes>,
}

impl fmt::Debug for FileReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileReader").field("digest", &self.digest).field("size", &self.size).finish()
    }
}

impl<'s> FileReader<'s> {
    pub(super) fn open(store: &'s Store, digest: &Digest) -> Result<Self, StoreError> {
        let new = |size, source| Self { digest: *digest, size, source, chunk: Bytes::new() };
        Ok(match store.open_file(digest)? {
            File::Chunk(location) => {
                let length = location.entry.header.raw_len;
                new(u64::from(length), Source::Chunk { store, length })
            }
            File::Map(map) => {
                let ahead = Ahead { map, whole: blake3::Hasher::new(), chunks: VecDeque::new() };
                new(ahead.map.size, Source::Map(Box::new(ahead)))
            }
        })
    }

    /// The content's size in bytes, as the store says: proved when all of it was read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next chunk; none at the end.
    fn load_next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match std::mem::replace(&mut self.source, Source::Failed) {
            Source::Done => {
                self.source = Source::Done;
                Ok(None)
            }
            Source::Failed => Err(StoreError::Malformed {
                what: format!("content {}", self.digest),
                problem: "reading it failed before".to_owned(),
            }),
            Source::Chunk { store, length } => {
                let chunk = store.read_chunk(&self.digest, length)?;
                self.source = Source::Done;
                Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
            }
            Source::Map(mut ahead) => {
                if ahead.chunks.is_empty() {
                    ahead.chunks = ahead.map.read_batch(Proof::Chunks)?.into();
                }
                let Some(chunk) = ahead.chunks.pop_front() else { return Err(ahead.map.damaged("it lists no chunks")) };
                ahead.whole.update(&chunk);
                self.source = if ahead.chunks.is_empty() && ahead.map.is_done() {
                    ahead.map.check_whole(&ahead.whole, &self.digest)?;
                    Source::Done
                } else {
                    Source::Map(ahead)
                };
                Ok(Some(chunk))
            }
        }
    }

    /// The bytes at hand, after loading some if there are none.
    fn fill(&mut self) -> Result<&[u8], StoreError> {
        while self.chunk.is_empty() {
            match self.load_next()? {
                Some(chunk) => self.chunk = chunk,
                None => break,
            }
        }
        Ok(&self.chunk)
    }
}

impl BufRead for FileReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill().map_err(io::Error::other)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.chunk.split_to(amount.min(self.chunk.len()));
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// What a copy verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The whole alone, at its end. Which part is damaged is not found out, nor whether another pack has a good one.
    Whole,
    /// Every chunk too, so that a damaged one is named, or read from where there is a good copy.
    Chunks,
}

/// Copies a file's content out of the store, verified. While some chunks are hashed and written, the next ones are
/// decoded.
///
/// What was written before an error is not the file: only when this returns is the digest of the whole proved.
pub fn copy(store: &Store, file: &Digest, proof: Proof, output: &mut (dyn Write + Send)) -> Result<u64, StoreError> {
    let fail = |source| StoreError::File(FileError::new("write", Path::new("the output"), source));
    let mut map = match store.open_file(file)? {
        File::Chunk(location) => {
            let chunk = store.read_chunk(file, location.entry.header.raw_len)?;
            output.write_all(&chunk).and_then(|()| output.flush()).map_err(fail)?;
            return Ok(chunk.len() as u64);
        }
        File::Map(map) => map,
    };
    let (mut whole, mut copied) = (blake3::Hasher::new(), 0);
    let mut batch = map.read_batch(proof)?;
    while !batch.is_empty() {
        let write = || batch.iter().try_for_each(|chunk| output.write_all(chunk));
        let hash = || {
            for chunk in &batch {
                whole.update(chunk);
                copied += chunk.len() as u64;
            }
        };
        let (written, ((), next)) = rayon::join(write, || rayon::join(hash, || map.read_batch(proof)));
        written.map_err(fail)?;
        batch = next?;
    }
    map.check_whole(&whole, file)?;
    output.flush().map_err(fail)?;
    Ok(copied)
}

/// Where a file's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Whether all of it is in packs that are here.
    pub is_whole: bool,
    /// The bytes of the file that is one chunk, whose digest is the file's.
    pub single_chunk: Option<u64>,
    /// The packs with a copy of a part of it.
    pub packs: BTreeSet<PackId>,
}

/// How a file is stored.
pub(super) enum File<'s> {
    Chunk(Location),
    Map(MapReader<'s>),
}

/// Reads which chunks make a file, node by node: the list of a huge file is never in memory as a whole.
pub(super) struct MapReader<'s> {
    store: &'s Store,
    pack: PackId,
    digest: Digest,
    /// The file's size.
    pub(super) size: u64,
    /// Nodes that were not read yet.
    nodes: std::vec::IntoIter<(Digest, u32)>,
    /// Chunks of the node at hand.
    chunks: std::vec::IntoIter<(Digest, u32)>,
    /// What the chunks that are left must add up to.
    bytes_left: u64,
}

impl<'s> MapReader<'s> {
    fn new(store: &'s Store, pack: PackId, digest: Digest, map: FileMap) -> Self {
        let FileMap { size, form, records } = map;
        let (nodes, chunks) = match form {
            Form::Chunks => (Vec::new(), records),
            Form::Nodes => (records, Vec::new()),
        };
        Self { store, pack, digest, size, nodes: nodes.into_iter(), chunks: chunks.into_iter(), bytes_left: size }
    }

    /// The next chunk's digest and length; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<(Digest, u32)>, StoreError> {
        let record = match self.chunks.next() {
            Some(record) => record,
            None => match self.nodes.next() {
                Some((node, length)) => {
                    let node = self.store.read_chunk(&node, length)?;
                    let records = map::parse_records(&node).map_err(|problem| self.damaged(problem))?;
                    self.chunks = records.into_iter();
                    return self.next();
                }
                None if self.bytes_left > 0 => {
                    return Err(self.damaged("its chunks have fewer bytes than the file"));
                }
                None => return Ok(None),
            },
        };
        let left = self.bytes_left.checked_sub(u64::from(record.1));
        self.bytes_left = left.ok_or_else(|| self.damaged("its chunks have more bytes than the file"))?;
        Ok(Some(record))
    }

    /// The next chunks; nothing after the last.
    fn read_batch(&mut self, proof: Proof) -> Result<Vec<Bytes>, StoreError> {
        let mut records = Vec::with_capacity(AHEAD);
        while records.len() < AHEAD
            && let Some(record) = self.next()?
        {
            records.push(record);
        }
        let read = |(digest, length)| self.store.read_chunk_as(&digest, length, proof);
        records.into_par_iter().map(read).collect()
    }

    /// Whether the last chunk was given out.
    fn is_done(&self) -> bool {
        self.bytes_left == 0 && self.nodes.len() == 0 && self.chunks.len() == 0
    }

    /// Fails unless the chunks make the file: a map is covered by no digest but the file's.
    fn check_whole(&self, whole: &blake3::Hasher, digest: &Digest) -> Result<(), StoreError> {
        if whole.finalize().as_bytes() == digest.as_bytes() {
            return Ok(());
        }
        Err(self.damaged("its chunks do not make that file"))
    }

    fn damaged(&self, problem: &str) -> StoreError {
        StoreError::Damaged { pack: self.pack, problem: format!("the file map of {}: {problem}", self.digest) }
    }
}

fn damaged_entry(pack: PackId, key: &Key, problem: &str) -> StoreError {
    StoreError::Damaged { pack, problem: format!("{} {} {problem}", key.kind.noun(), key.digest) }
}

/// The bytes of a chunk, or what is wrong with them.
pub(super) fn decode_and_check(header: &Header, stored: Vec<u8>) -> Result<Bytes, String> {
    decode_as(header, stored, Proof::Chunks)
}

fn decode_as(header: &Header, stored: Vec<u8>, proof: Proof) -> Result<Bytes, String> {
    let raw = codec::decode(header.codec, header.raw_len, stored.into())?;
    if proof == Proof::Chunks && Digest::of(&raw) != header.key.digest {
        return Err("has bytes that do not match its digest".to_owned());
    }
    Ok(raw)
}

/// A file map, or what is wrong with it. Whether its chunks make the file, reading the file shows.
pub(super) fn decode_map(header: &Header, stored: Vec<u8>) -> Result<FileMap, String> {
    if crc32fast::hash(&stored) != header.crc {
        return Err("has bytes that do not match their CRC".to_owned());
    }
    let raw = codec::decode(header.codec, header.raw_len, stored.into())?;
    FileMap::parse(&raw).map_err(|problem| format!("is not valid: {problem}"))
}

impl Store {
    /// Whether all of a file's content is here, by the index alone. (The map of a file of several chunks is read.)
    pub fn contains(&self, file: &Digest) -> Result<bool, StoreError> {
        match self.keys_of(file) {
            Ok(keys) => {
                for key in keys {
                    if self.find(&key)?.is_empty() {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Err(StoreError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A reader over a file's content. Every chunk is verified before a byte of it is given out, and the digest of
    /// the whole at the end.
    pub fn read(&self, file: &Digest) -> Result<FileReader<'_>, StoreError> {
        FileReader::open(self, file)
    }

    /// A file's content, refused above `limit` bytes.
    pub fn read_to_vec(&self, file: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.read(file)?;
        if reader.size() > limit {
            let problem = format!("it has {} bytes, more than the {limit} that are allowed here", reader.size());
            return Err(StoreError::Malformed { what: format!("content {file}"), problem });
        }
        let mut content = Vec::with_capacity(reader.size().min(TRUSTED) as usize);
        loop {
            let bytes = reader.fill()?;
            if bytes.is_empty() {
                return Ok(content);
            }
            content.extend_from_slice(bytes);
            let count = bytes.len();
            reader.consume(count);
        }
    }

    /// Every entry that a file is made of, each once: its map with the nodes, and its chunks in the order of their first
    /// use. A file of one chunk is that chunk.
    pub(crate) fn keys_of(&self, file: &Digest) -> Result<Vec<Key>, StoreError> {
        let chunk = |digest| Key { kind: Kind::Chunk, digest };
        let mut map = match self.open_file(file)? {
            File::Chunk(_) => return Ok(vec![chunk(*file)]),
            File::Map(map) => map,
        };
        let mut keys = vec![Key { kind: Kind::Map, digest: *file }];
        keys.extend(map.nodes.as_slice().iter().map(|(node, _)| chunk(*node)));
        let mut seen: HashSet<Key> = keys.iter().copied().collect();
        while let Some((digest, _)) = map.next()? {
            if seen.insert(chunk(digest)) {
                keys.push(chunk(digest));
            }
        }
        Ok(keys)
    }

    /// Where a file's content is, by the index alone. (The map of a file of several chunks is read.)
    pub fn layout(&self, file: &Digest) -> Result<Layout, StoreError> {
        let mut layout = Layout { is_whole: true, single_chunk: None, packs: BTreeSet::new() };
        let keys = match self.open_file(file)? {
            File::Chunk(location) => {
                layout.single_chunk = Some(u64::from(location.entry.header.raw_len));
                vec![location.entry.header.key]
            }
            File::Map(_) => self.keys_of(file)?,
        };
        for key in keys {
            let found = self.find(&key)?;
            layout.is_whole &= !found.is_empty();
            layout.packs.extend(found.iter().map(|at| at.pack));
        }
        Ok(layout)
    }

    /// The packs that hold a file's content, sorted; every pack that holds a copy of a part of it.
    pub fn packs_of(&self, file: &Digest) -> Result<Vec<PackId>, StoreError> {
        let mut packs = BTreeSet::new();
        for key in self.keys_of(file)? {
            packs.extend(self.find(&key)?.iter().map(|at| at.pack));
        }
        Ok(packs.into_iter().collect())
    }

    /// How a file is stored.
    pub(super) fn open_file(&self, digest: &Digest) -> Result<File<'_>, StoreError> {
        let keys = [Kind::Chunk, Kind::Map].map(|kind| Key { kind, digest: *digest });
        self.with_fresh_index(digest, |store, index| {
            if let Some(location) = index.find(&keys[0]).first() {
                return Ok(Some(File::Chunk(*location)));
            }
            first_good(index.find(&keys[1]), |location| store.open_map(location)).map(|map| map.map(File::Map))
        })
    }

    /// Reads a chunk and verifies it: from whichever pack has a good copy.
    pub(super) fn read_chunk(&self, digest: &Digest, length: u32) -> Result<Bytes, StoreError> {
        self.read_chunk_as(digest, length, Proof::Chunks)
    }

    fn read_chunk_as(&self, digest: &Digest, length: u32, proof: Proof) -> Result<Bytes, StoreError> {
        let key = Key { kind: Kind::Chunk, digest: *digest };
        self.with_fresh_index(digest, |store, index| {
            first_good(index.find(&key), |location| {
                let stored = store.stored_bytes(location)?;
                let header = &location.entry.header;
                let raw = decode_as(header, stored, proof)
                    .map_err(|problem| damaged_entry(location.pack, &header.key, &problem))?;
                if header.raw_len != length {
                    let problem = format!("has {} bytes where a file map says {length}", header.raw_len);
                    return Err(damaged_entry(location.pack, &header.key, &problem));
                }
                Ok(raw)
            })
        })
    }

    fn open_map(&self, location: &Location) -> Result<MapReader<'_>, StoreError> {
        let header = &location.entry.header;
        let stored = self.stored_bytes(location)?;
        let map = decode_map(header, stored).map_err(|problem| damaged_entry(location.pack, &header.key, &problem))?;
        Ok(MapReader::new(self, location.pack, header.key.digest, map))
    }

    /// An entry's bytes as they are in the pack.
    pub(crate) fn stored_bytes(&self, location: &Location) -> Result<Vec<u8>, StoreError> {
        let file = self.open_pack(&location.pack)?;
        let Header { stored_len, ref key, .. } = location.entry.header;
        // Lengths are bounded by the format.
        let mut stored = Vec::with_capacity(stored_len as usize);
        while stored.len() < stored_len as usize {
            let start = location.entry.offset + stored.len() as u64;
            match pread(&file, spare_capacity(&mut stored), start) {
                Ok(0) => return Err(damaged_entry(location.pack, key, "is cut short")),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    let what = self.pack_path(&location.pack).display().to_string();
                    return Err(StoreError::Read { what, source: error.into() });
                }
            }
        }
        stored.truncate(stored_len as usize);
        Ok(stored)
    }
}

/// What `read` makes of the first copy that is good; the first error if none is, and none if there is no copy.
fn first_good<T>(
    copies: Vec<Location>,
    mut read: impl FnMut(&Location) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut failure = None;
    for location in &copies {
        match read(location) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(None), Err)
}
