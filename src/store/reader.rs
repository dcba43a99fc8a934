//! Reading files out of the store, verified.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::index::Location;
use super::pack::{CHUNK_LIMIT, Header, Key, Kind, MAP_HEAD, MAP_RECORD, array};
use super::{Store, StoreError, codec};
use crate::files::FileError;
use crate::id::{Digest, PackId};

/// Memory that is taken on the word of a size that nothing has proved yet.
const TRUSTED: u64 = 1 << 20;

/// Reads a file's content out of the store.
///
/// Every chunk is verified before a byte of it is given out, and the digest of the whole before the last chunk is. An
/// [`io::Error`] from it carries the [`StoreError`], see [`StoreError::from_io`].
pub struct FileReader<'s> {
    store: &'s Store,
    digest: Digest,
    size: u64,
    source: Source,
    /// The chunk that is being given out, and how far.
    chunk: Vec<u8>,
    given: usize,
}

/// Where the chunks of a file come from.
enum Source {
    /// The file is one chunk, under its own digest.
    Chunk { length: u32 },
    /// The file has a map.
    Map { map: Box<MapReader>, whole: Box<blake3::Hasher> },
    /// All chunks were given out.
    Done,
    /// A chunk could not be read: what is missing must not look like the end.
    Failed,
}

impl fmt::Debug for FileReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileReader").field("digest", &self.digest).field("size", &self.size).finish()
    }
}

impl<'s> FileReader<'s> {
    pub(super) fn open(store: &'s Store, digest: &Digest) -> Result<Self, StoreError> {
        let new = |size, source| Self { store, digest: *digest, size, source, chunk: Vec::new(), given: 0 };
        Ok(match store.open_file(digest)? {
            File::Chunk(location) => {
                let length = location.entry.header.raw_len;
                new(u64::from(length), Source::Chunk { length })
            }
            File::Map(map) => new(map.size, Source::Map { map: Box::new(map), whole: Box::default() }),
        })
    }

    /// The content's size in bytes, as the store says: proved when all of it was read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts the next chunk into `chunk`; false at the end.
    fn load_next(&mut self) -> Result<bool, StoreError> {
        self.chunk.clear();
        self.given = 0;
        match std::mem::replace(&mut self.source, Source::Failed) {
            Source::Done => {
                self.source = Source::Done;
                Ok(false)
            }
            Source::Failed => Err(StoreError::Malformed {
                what: format!("content {}", self.digest),
                problem: "reading it failed before".to_owned(),
            }),
            Source::Chunk { length } => {
                self.chunk = self.store.read_chunk(&self.digest, length)?;
                self.source = Source::Done;
                Ok(!self.chunk.is_empty())
            }
            Source::Map { mut map, mut whole } => {
                let (digest, length) = match map.next()? {
                    Some(record) => record,
                    None => return Err(map.damaged("it lists no chunks")),
                };
                let chunk = self.store.read_chunk(&digest, length)?;
                whole.update(&chunk);
                self.source = if map.is_done() {
                    // A map is not covered by any digest but this one.
                    map.next()?;
                    if whole.finalize().as_bytes() != self.digest.as_bytes() {
                        return Err(map.damaged("its chunks do not make that file"));
                    }
                    Source::Done
                } else {
                    Source::Map { map, whole }
                };
                self.chunk = chunk;
                Ok(true)
            }
        }
    }

    /// The bytes at hand, after loading some if there are none.
    fn fill(&mut self) -> Result<&[u8], StoreError> {
        while self.given == self.chunk.len() && self.load_next()? {}
        Ok(&self.chunk[self.given..])
    }
}

impl BufRead for FileReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill().map_err(io::Error::other)
    }

    fn consume(&mut self, amount: usize) {
        self.given = (self.given + amount).min(self.chunk.len());
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Copies a file's content out of the store, verified.
pub fn copy(store: &Store, file: &Digest, output: &mut dyn Write) -> Result<u64, StoreError> {
    let mut reader = store.read(file)?;
    let mut copied = 0;
    let fail = |source| StoreError::File(FileError::new("write", Path::new("the output"), source));
    loop {
        let bytes = reader.fill()?;
        if bytes.is_empty() {
            output.flush().map_err(fail)?;
            return Ok(copied);
        }
        output.write_all(bytes).map_err(fail)?;
        let count = bytes.len();
        copied += count as u64;
        reader.consume(count);
    }
}

/// How a file is stored.
pub(super) enum File {
    Chunk(Location),
    Map(MapReader),
}

/// Reads a file map record by record: one of a huge file is never in memory as a whole.
pub(super) struct MapReader {
    pack: PackId,
    digest: Digest,
    /// The file's size.
    pub(super) size: u64,
    records: Box<dyn Read + Send>,
    /// Records that are left, and the bytes that they must add up to.
    left: usize,
    bytes_left: u64,
}

impl MapReader {
    /// A reader over the stored bytes of a map, which match their CRC.
    pub(super) fn new(pack: PackId, header: &Header, stored: Vec<u8>) -> Result<Self, StoreError> {
        let digest = header.key.digest;
        let fail = |problem: &str| damaged_entry(pack, &header.key, problem);
        let mut records = codec::decode_map(header.codec, stored).map_err(|problem| fail(&problem))?;
        let mut size = [0; MAP_HEAD];
        records.read_exact(&mut size).map_err(|error| fail(&format!("does not decompress ({error})")))?;
        let size = u64::from_le_bytes(size);
        let left = (header.raw_len as usize).saturating_sub(MAP_HEAD) / MAP_RECORD;
        if left == 0 {
            return Err(fail("lists no chunks"));
        }
        Ok(Self { pack, digest, size, records, left, bytes_left: size })
    }

    /// The next chunk's digest and length; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<(Digest, u32)>, StoreError> {
        if self.left == 0 {
            if self.bytes_left > 0 {
                return Err(self.damaged("its chunks have fewer bytes than the file"));
            }
            return match self.records.read(&mut [0]) {
                Ok(0) => Ok(None),
                Ok(_) => Err(self.damaged("it is longer than its header says")),
                Err(error) => Err(self.damaged(&format!("it does not decompress ({error})"))),
            };
        }
        let mut record = [0; MAP_RECORD];
        if let Err(error) = self.records.read_exact(&mut record) {
            return Err(self.damaged(&format!("it does not decompress ({error})")));
        }
        let (digest, length) = (Digest::from_bytes(array(&record[..32])), u32::from_le_bytes(array(&record[32..])));
        if length == 0 || length > CHUNK_LIMIT || u64::from(length) > self.bytes_left {
            return Err(self.damaged("its chunks' lengths do not fit the file"));
        }
        self.left -= 1;
        self.bytes_left -= u64::from(length);
        Ok(Some((digest, length)))
    }

    /// Whether the last chunk was given out.
    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn damaged(&self, problem: &str) -> StoreError {
        StoreError::Damaged { pack: self.pack, problem: format!("the file map of {}: {problem}", self.digest) }
    }
}

fn damaged_entry(pack: PackId, key: &Key, problem: &str) -> StoreError {
    StoreError::Damaged { pack, problem: format!("{} {} {problem}", key.kind.noun(), key.digest) }
}

/// The bytes of a chunk, or what is wrong with them.
pub(super) fn decode_and_check(header: &Header, stored: Vec<u8>) -> Result<Vec<u8>, String> {
    let raw = codec::decode_chunk(header.codec, header.raw_len, stored)?;
    if Digest::of(&raw) != header.key.digest {
        return Err("has bytes that do not match its digest".to_owned());
    }
    Ok(raw)
}

impl Store {
    /// Whether all of a file's content is here, by the index alone. (The map of a file of several chunks is read.)
    pub fn contains(&self, file: &Digest) -> Result<bool, StoreError> {
        let mut map = match self.open_file(file) {
            Ok(File::Map(map)) => map,
            Ok(File::Chunk(_)) => return Ok(true),
            Err(StoreError::Missing { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        while let Some((digest, _)) = map.next()? {
            if self.find(&Key { kind: Kind::Chunk, digest })?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
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

    /// The chunks of a file, each once, in the order of their first use. A file of one chunk is that chunk.
    pub fn chunks_of(&self, file: &Digest) -> Result<Vec<Digest>, StoreError> {
        let mut map = match self.open_file(file)? {
            File::Chunk(_) => return Ok(vec![*file]),
            File::Map(map) => map,
        };
        let (mut chunks, mut seen) = (Vec::new(), HashSet::new());
        while let Some((digest, _)) = map.next()? {
            if seen.insert(digest) {
                chunks.push(digest);
            }
        }
        Ok(chunks)
    }

    /// The packs that hold a file's content, sorted; every pack that holds a copy of a part of it.
    pub fn packs_of(&self, file: &Digest) -> Result<Vec<PackId>, StoreError> {
        let mut packs: BTreeSet<PackId> =
            self.find(&Key { kind: Kind::Map, digest: *file })?.iter().map(|at| at.pack).collect();
        for digest in self.chunks_of(file)? {
            packs.extend(self.find(&Key { kind: Kind::Chunk, digest })?.iter().map(|at| at.pack));
        }
        Ok(packs.into_iter().collect())
    }

    /// How a file is stored.
    pub(super) fn open_file(&self, digest: &Digest) -> Result<File, StoreError> {
        let keys = [Kind::Chunk, Kind::Map].map(|kind| Key { kind, digest: *digest });
        self.with_fresh_index(digest, |store, index| {
            if let Some(location) = index.find(&keys[0]).first() {
                return Ok(Some(File::Chunk(*location)));
            }
            first_good(index.find(&keys[1]), |location| store.open_map(location)).map(|map| map.map(File::Map))
        })
    }

    /// Reads a chunk and verifies it: from whichever pack has a good copy.
    fn read_chunk(&self, digest: &Digest, length: u32) -> Result<Vec<u8>, StoreError> {
        let key = Key { kind: Kind::Chunk, digest: *digest };
        self.with_fresh_index(digest, |store, index| {
            first_good(index.find(&key), |location| {
                let stored = store.stored_bytes(location)?;
                let header = &location.entry.header;
                let raw = decode_and_check(header, stored)
                    .map_err(|problem| damaged_entry(location.pack, &header.key, &problem))?;
                if header.raw_len != length {
                    let problem = format!("has {} bytes where a file map says {length}", header.raw_len);
                    return Err(damaged_entry(location.pack, &header.key, &problem));
                }
                Ok(raw)
            })
        })
    }

    fn open_map(&self, location: &Location) -> Result<MapReader, StoreError> {
        let header = &location.entry.header;
        let stored = self.stored_bytes(location)?;
        if crc32fast::hash(&stored) != header.crc {
            return Err(damaged_entry(location.pack, &header.key, "has bytes that do not match their CRC"));
        }
        MapReader::new(location.pack, header, stored)
    }

    /// An entry's bytes as they are in the pack.
    fn stored_bytes(&self, location: &Location) -> Result<Vec<u8>, StoreError> {
        let file = self.open_pack(&location.pack)?;
        let fail = |source| StoreError::Read { what: self.pack_path(&location.pack).display().to_string(), source };
        let range = location.entry.range();
        // The length is believed only as far as the pack reaches.
        if range.end > file.metadata().map_err(fail)?.len() {
            return Err(damaged_entry(location.pack, &location.entry.header.key, "is cut short"));
        }
        let mut stored = vec![0; location.entry.header.stored_len as usize];
        file.read_exact_at(&mut stored, range.start).map_err(fail)?;
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
