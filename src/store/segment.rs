//! Segments of the index: which entry of some packs is where.
//!
//! A segment's file is the magic `GMLINDX2`; the number of packs (u32), of records (u32) and of buckets as a power of
//! two (u8); the packs' ids; the records, sorted by digest and kind; for each bucket of records whose digests begin
//! alike, where it ends (u32) and its CRC-32 (u32); and the BLAKE3 of all that but the records. So a huge segment is
//! opened at once, a look-up reads one bucket, and what it reads is checked.

use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::index::{Location, NewPacks};
use super::pack::{HEADER_LEN, Header, Key, PackEntry, array};
use crate::files::{Draft, Durability, FileError};
use crate::id::PackId;

const MAGIC: [u8; 8] = *b"GMLINDX2";
const HEAD: usize = 8 + 4 + 4 + 1;
const ID: usize = 32;
/// An entry's header, its first bytes rearranged so that records sort as bytes; the pack's number; the offset.
pub(super) const RECORD: usize = HEADER_LEN + 4 + 8;
/// Bytes of a record that it is sorted and found by.
const KEY: usize = 32 + 1;
/// Bytes of a bucket in the table.
const BUCKET: usize = 8;
/// The records of a bucket, about.
const BUCKET_RECORDS: usize = 256;
/// Records of up to so many bytes are kept in memory.
const IN_MEMORY: u64 = 8 << 20;
/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

type Record = [u8; RECORD];

/// Where the entries of some packs are.
#[derive(Debug)]
pub(super) struct Segment {
    packs: Vec<PackId>,
    records: Records,
    /// Its file; none if it is in memory only.
    path: Option<PathBuf>,
    /// Something was read that is not what was written.
    is_damaged: AtomicBool,
}

#[derive(Debug)]
enum Records {
    Memory(Vec<u8>),
    File { file: File, start: u64, bits: u8, buckets: Vec<Bucket> },
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// The number of records up to its end.
    end: u32,
    crc: u32,
}

fn key_bytes(key: &Key) -> [u8; KEY] {
    let mut bytes = [0; KEY];
    bytes[..32].copy_from_slice(key.digest.as_bytes());
    bytes[32] = key.kind as u8;
    bytes
}

fn to_record(entry: &PackEntry, pack: u32) -> Record {
    let header = entry.header.to_bytes();
    let mut record = [0; RECORD];
    record[..KEY].copy_from_slice(&key_bytes(&entry.header.key));
    record[KEY..KEY + 4].copy_from_slice(&pack.to_le_bytes());
    record[KEY + 4..KEY + 12].copy_from_slice(&entry.offset.to_le_bytes());
    record[KEY + 12..KEY + 21].copy_from_slice(&header[1..10]);
    record[KEY + 21..].copy_from_slice(&header[42..]);
    record
}

fn pack_number(record: &Record) -> usize {
    u32::from_le_bytes(array(&record[KEY..KEY + 4])) as usize
}

/// The entry of a record; none if no writer made it.
fn from_record(record: &Record) -> Option<PackEntry> {
    let mut header = [0; HEADER_LEN];
    header[0] = record[32];
    header[1..10].copy_from_slice(&record[KEY + 12..KEY + 21]);
    header[10..42].copy_from_slice(&record[..32]);
    header[42..].copy_from_slice(&record[KEY + 21..]);
    let offset = u64::from_le_bytes(array(&record[KEY + 4..KEY + 12]));
    let header = Header::parse(&header).ok()?;
    offset.checked_add(u64::from(header.stored_len))?;
    Some(PackEntry { header, offset })
}

/// The records of `key` among sorted ones.
fn matching<'r>(records: &'r [u8], key: &[u8; KEY]) -> impl Iterator<Item = &'r Record> {
    let (records, _) = records.as_chunks::<RECORD>();
    let first = records.partition_point(|record| record[..KEY] < key[..]);
    let key = *key;
    records[first..].iter().take_while(move |record| record[..KEY] == key[..])
}

/// The bucket that a digest belongs to.
fn bucket_of(digest: &[u8], bits: u8) -> usize {
    let first = u32::from_be_bytes(array(&digest[..4]));
    first.checked_shr(32 - u32::from(bits)).unwrap_or(0) as usize
}

impl Segment {
    /// The entries of packs, in memory.
    pub(super) fn of(packs: &NewPacks) -> Self {
        let numbered = packs.values().zip(0u32..);
        let mut records: Vec<Record> =
            numbered.flat_map(|(entries, number)| entries.iter().map(move |entry| to_record(entry, number))).collect();
        records.sort_unstable();
        Self {
            packs: packs.keys().copied().collect(),
            records: Records::Memory(records.into_flattened()),
            path: None,
            is_damaged: AtomicBool::new(false),
        }
    }

    /// Opens a segment's file; none if it is not as it was written.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, 0).ok()?;
        let bits = head[16];
        if head[..8] != MAGIC || bits > 24 {
            return None;
        }
        let [pack_count, record_count] = [8, 12].map(|at| u64::from(u32::from_le_bytes(array(&head[at..at + 4]))));
        let start = HEAD as u64 + pack_count * ID as u64;
        let table_start = start + record_count * RECORD as u64;
        let table_length = (BUCKET as u64) << bits;
        // Lengths are believed only as far as the file reaches.
        if length != table_start + table_length + 32 {
            return None;
        }
        let mut ids = vec![0; pack_count as usize * ID];
        file.read_exact_at(&mut ids, HEAD as u64).ok()?;
        let mut table = vec![0; table_length as usize + 32];
        file.read_exact_at(&mut table, table_start).ok()?;
        let (table, digest) = table.split_last_chunk::<32>()?;
        if seal(&head, &ids, table) != *digest {
            return None;
        }
        let bucket = |bytes: &[u8; BUCKET]| Bucket {
            end: u32::from_le_bytes(array(&bytes[..4])),
            crc: u32::from_le_bytes(array(&bytes[4..])),
        };
        let buckets: Vec<Bucket> = table.as_chunks::<BUCKET>().0.iter().map(bucket).collect();
        let is_sorted = buckets.is_sorted_by_key(|bucket| bucket.end);
        if !is_sorted || buckets.last().is_none_or(|last| u64::from(last.end) != record_count) {
            return None;
        }
        let packs = ids.as_chunks::<ID>().0.iter().map(|id| PackId::from_bytes(*id)).collect();
        let records = Records::File { file, start, bits, buckets };
        let mut segment = Self { packs, records, path: Some(path.to_path_buf()), is_damaged: AtomicBool::new(false) };
        if record_count * RECORD as u64 <= IN_MEMORY {
            let mut records = Vec::with_capacity(record_count as usize * RECORD);
            for number in 0..segment.bucket_count() {
                records.extend_from_slice(&segment.read_bucket(number)?);
            }
            segment.records = Records::Memory(records);
        }
        Some(segment)
    }

    /// The packs whose entries it has.
    pub(super) fn packs(&self) -> &[PackId] {
        &self.packs
    }

    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        match &self.records {
            Records::Memory(records) => records.len() / RECORD,
            Records::File { buckets, .. } => buckets.last().map_or(0, |last| last.end as usize),
        }
    }

    /// Its file; none if it is in memory only.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether something was read that is not what was written.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// Gives the places of an entry to `found`.
    pub(super) fn find(&self, key: &Key, found: &mut dyn FnMut(Location)) {
        let key = key_bytes(key);
        let mut tell = |record: &Record| match (self.packs.get(pack_number(record)), from_record(record)) {
            (Some(pack), Some(entry)) => found(Location { pack: *pack, entry }),
            _ => self.is_damaged.store(true, Ordering::Relaxed),
        };
        match &self.records {
            Records::Memory(records) => matching(records, &key).for_each(&mut tell),
            Records::File { bits, .. } => match self.read_bucket(bucket_of(&key, *bits)) {
                Some(records) => matching(&records, &key).for_each(&mut tell),
                None => self.is_damaged.store(true, Ordering::Relaxed),
            },
        }
    }

    fn bucket_count(&self) -> usize {
        match &self.records {
            Records::Memory(_) => 1,
            Records::File { buckets, .. } => buckets.len(),
        }
    }

    /// The records of a bucket; none if they cannot be read or are not what was written.
    fn read_bucket(&self, number: usize) -> Option<Vec<u8>> {
        let Records::File { file, start, buckets, .. } = &self.records else { return None };
        let before = number.checked_sub(1).map_or(0, |number| buckets[number].end);
        let Bucket { end, crc } = buckets[number];
        let mut records = vec![0; (end - before) as usize * RECORD];
        file.read_exact_at(&mut records, start + u64::from(before) * RECORD as u64).ok()?;
        (crc32fast::hash(&records) == crc).then_some(records)
    }

    /// Writes one segment of several to `folder`, without packs that are gone. None if one of them is damaged, which it
    /// then says of itself.
    pub(super) fn merge(
        segments: &[&Self],
        folder: &Path,
        is_gone: &dyn Fn(&PackId) -> bool,
    ) -> Result<Option<Self>, FileError> {
        let mut packs: Vec<PackId> = segments.iter().flat_map(|segment| &segment.packs).copied().collect();
        packs.retain(|pack| !is_gone(pack));
        packs.sort_unstable();
        packs.dedup();
        let renumber = |pack: &PackId| packs.binary_search(pack).ok().map(|number| number as u32);
        let mut cursors: Vec<Cursor<'_>> = Vec::new();
        for segment in segments {
            let numbers = segment.packs.iter().map(renumber).collect();
            let mut cursor = Cursor { segment, numbers, bucket: 0, records: Vec::new(), position: 0, next: None };
            if cursor.advance().is_none() {
                return Ok(None);
            }
            cursors.push(cursor);
        }
        let most: usize = segments.iter().map(|segment| segment.len()).sum();
        let bits = (most / BUCKET_RECORDS).max(1).ilog2().min(24) as u8;
        let mut output = Output::new(folder, &packs, bits)?;
        let mut last = None;
        loop {
            let least = cursors.iter().enumerate().filter_map(|(number, cursor)| Some((cursor.next?, number))).min();
            let Some((record, number)) = least else { break };
            // A pack may be in two segments, where two processes have read it.
            if last != Some(record) {
                output.push(&record)?;
                last = Some(record);
            }
            if cursors[number].advance().is_none() {
                return Ok(None);
            }
        }
        drop(cursors);
        let path = output.finish(folder)?;
        Ok(Self::open(&path))
    }
}

/// What covers all of a segment's file but the records.
fn seal(head: &[u8], ids: &[u8], table: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(head).update(ids).update(table).finalize().as_bytes()
}

/// Goes through a segment's records, bucket by bucket, with new numbers for the packs.
struct Cursor<'s> {
    segment: &'s Segment,
    numbers: Vec<Option<u32>>,
    bucket: usize,
    records: Vec<u8>,
    position: usize,
    next: Option<Record>,
}

impl Cursor<'_> {
    /// Moves to the next record of a pack that has a number; none where the segment is damaged.
    fn advance(&mut self) -> Option<()> {
        loop {
            let records = match &self.segment.records {
                Records::Memory(records) => records,
                Records::File { .. } => &self.records,
            };
            let Some(record) = records.get(self.position..self.position + RECORD) else {
                if matches!(self.segment.records, Records::Memory(_)) || self.bucket == self.segment.bucket_count() {
                    self.next = None;
                    return Some(());
                }
                let Some(records) = self.segment.read_bucket(self.bucket) else {
                    self.segment.is_damaged.store(true, Ordering::Relaxed);
                    return None;
                };
                (self.records, self.position) = (records, 0);
                self.bucket += 1;
                continue;
            };
            self.position += RECORD;
            let mut record: Record = array(record);
            let number = self.numbers.get(pack_number(&record)).copied().flatten();
            if let Some(number) = number {
                record[KEY..KEY + 4].copy_from_slice(&number.to_le_bytes());
                self.next = Some(record);
                return Some(());
            }
        }
    }
}

/// A segment's file in the making.
struct Output {
    draft: Draft,
    packs: Vec<u8>,
    bits: u8,
    buffer: Vec<u8>,
    position: u64,
    count: u32,
    buckets: Vec<Bucket>,
    crc: crc32fast::Hasher,
}

impl Output {
    fn new(folder: &Path, packs: &[PackId], bits: u8) -> Result<Self, FileError> {
        let packs: Vec<u8> = packs.iter().flat_map(|pack| *pack.as_bytes()).collect();
        let position = (HEAD + packs.len()) as u64;
        let (draft, buffer, buckets) = (Draft::new_in(folder)?, Vec::with_capacity(BUFFER + RECORD), Vec::new());
        Ok(Self { draft, packs, bits, buffer, position, count: 0, buckets, crc: crc32fast::Hasher::new() })
    }

    fn push(&mut self, record: &Record) -> Result<(), FileError> {
        self.close_buckets(bucket_of(record, self.bits));
        self.crc.update(record);
        self.count += 1;
        self.buffer.extend_from_slice(record);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// Closes all buckets before `next`.
    fn close_buckets(&mut self, next: usize) {
        while self.buckets.len() < next {
            let crc = std::mem::take(&mut self.crc).finalize();
            self.buckets.push(Bucket { end: self.count, crc });
        }
    }

    fn flush(&mut self) -> Result<(), FileError> {
        self.draft.write_all_at(&mut [IoSlice::new(&self.buffer)], self.position)?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the file under the name that its content gives it. It is a cache: whether it got to the disk before a
    /// power cut, its checks show.
    fn finish(mut self, folder: &Path) -> Result<PathBuf, FileError> {
        self.close_buckets(1 << self.bits);
        self.flush()?;
        let pack_count = (self.packs.len() / ID) as u32;
        let head = [&MAGIC[..], &pack_count.to_le_bytes(), &self.count.to_le_bytes(), &[self.bits]].concat();
        let table: Vec<u8> = self
            .buckets
            .iter()
            .flat_map(|bucket| [bucket.end.to_le_bytes(), bucket.crc.to_le_bytes()].concat())
            .collect();
        let digest = seal(&head, &self.packs, &table);
        self.draft.write_all_at(&mut [IoSlice::new(&head), IoSlice::new(&self.packs)], 0)?;
        self.draft.write_all_at(&mut [IoSlice::new(&table), IoSlice::new(&digest)], self.position)?;
        let name = crate::id::Digest::from_bytes(digest);
        let path = folder.join(format!("{name}{}", super::index::SUFFIX));
        self.draft.publish(&path, false, Durability::Buffered)?;
        Ok(path)
    }
}
