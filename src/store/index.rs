//! The index: which entry is where. A cache over the packs' own footers.
//!
//! Its file is the magic `GMLINDX1`; the number of packs (u32) and of records (u64); the packs' ids, sorted; the
//! records, sorted by kind, digest and place; and the BLAKE3 of all that. It names the packs it covers, so a pack that
//! came later is noticed, and only that pack's footer is read. It may be deleted, torn or out of date at any time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::pack::{self, HEADER_LEN, Header, Key, PackEntry, array};
use crate::files::{self, Durability};
use crate::id::PackId;

const MAGIC: [u8; 8] = *b"GMLINDX1";
const HEAD: usize = 8 + 4 + 8;
const ID: usize = 32;
/// A header, whose first bytes are rearranged so that records sort as bytes, the pack's number and the offset.
const RECORD: usize = HEADER_LEN + 4 + 8;
/// Bytes of a record that it is sorted and found by.
const KEY: usize = 1 + 32;
/// An index of up to so many records is written again for any new pack; a larger one is not copied for a small pack.
const SMALL: usize = 16 << 10;
/// So many packs may be read by their footers each time before a large index is written again.
const LOOSE_PACKS: usize = 16;

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: PackId,
    pub(crate) entry: PackEntry,
}

/// The entries of each pack that is not in the index's file yet.
pub(crate) type NewPacks = BTreeMap<PackId, Vec<PackEntry>>;

/// The packs and their entries at one moment.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The packs that records name by number.
    packs: Vec<PackId>,
    /// Records as in the file.
    base: Arc<Records>,
    /// Sorted records of the packs from `base_packs` on.
    fresh: Records,
    base_packs: usize,
}

/// Records one after the other.
#[derive(Debug, Default, Clone)]
struct Records(Vec<u8>);

impl Records {
    fn len(&self) -> usize {
        self.0.len() / RECORD
    }

    fn get(&self, number: usize) -> &[u8] {
        &self.0[number * RECORD..(number + 1) * RECORD]
    }

    /// The records of `key`.
    fn find(&self, key: &[u8; KEY]) -> impl Iterator<Item = &[u8]> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle)[..KEY] < key[..] {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low..self.len()).map(|number| self.get(number)).take_while(move |record| record[..KEY] == key[..])
    }

    fn sorted(mut records: Vec<[u8; RECORD]>) -> Self {
        records.sort_unstable();
        Self(records.concat())
    }
}

fn key_bytes(key: &Key) -> [u8; KEY] {
    let mut bytes = [0; KEY];
    bytes[0] = key.kind as u8;
    bytes[1..].copy_from_slice(key.digest.as_bytes());
    bytes
}

fn to_record(entry: &PackEntry, pack: u32) -> [u8; RECORD] {
    let header = entry.header.to_bytes();
    let mut record = [0; RECORD];
    record[..KEY].copy_from_slice(&key_bytes(&entry.header.key));
    record[KEY..KEY + 4].copy_from_slice(&pack.to_le_bytes());
    record[KEY + 4..KEY + 12].copy_from_slice(&entry.offset.to_le_bytes());
    record[KEY + 12..KEY + 21].copy_from_slice(&header[1..10]);
    record[KEY + 21..].copy_from_slice(&header[42..]);
    record
}

fn pack_number(record: &[u8]) -> usize {
    u32::from_le_bytes(array(&record[KEY..KEY + 4])) as usize
}

/// The entry of a record; none if no writer made it.
fn from_record(record: &[u8]) -> Option<PackEntry> {
    let mut header = [0; HEADER_LEN];
    header[0] = record[0];
    header[1..10].copy_from_slice(&record[KEY + 12..KEY + 21]);
    header[10..42].copy_from_slice(&record[1..KEY]);
    header[42..].copy_from_slice(&record[KEY + 21..]);
    let offset = u64::from_le_bytes(array(&record[KEY + 4..KEY + 12]));
    let header = Header::parse(&header).ok()?;
    offset.checked_add(u64::from(header.stored_len))?;
    Some(PackEntry { header, offset })
}

impl Index {
    /// Reads the index's file; none if it is missing or not as it was written.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(ID)?)?;
        let hash = blake3::Hasher::new().update_rayon(body).finalize();
        if hash.as_bytes() != digest || body.len() < HEAD || body[..8] != MAGIC {
            return None;
        }
        let pack_count = u32::from_le_bytes(array(&body[8..12])) as usize;
        let record_count = usize::try_from(u64::from_le_bytes(array(&body[12..HEAD]))).ok()?;
        let (ids, records) = body[HEAD..].split_at_checked(pack_count.checked_mul(ID)?)?;
        if records.len() != record_count.checked_mul(RECORD)? {
            return None;
        }
        let packs: Vec<_> = ids.chunks_exact(ID).map(|id| PackId::from_bytes(array(id))).collect();
        let records_start = HEAD + ids.len();
        let records_len = records.len();
        let mut bytes = bytes;
        bytes.truncate(records_start + records_len);
        bytes.drain(..records_start);
        Some(Self { base_packs: packs.len(), packs, base: Arc::new(Records(bytes)), fresh: Records::default() })
    }

    /// Writes the index's file, in one step.
    pub(crate) fn save(&self, path: &Path) -> Result<(), files::FileError> {
        debug_assert!(self.is_compact());
        let mut bytes = Vec::with_capacity(HEAD + self.packs.len() * ID + self.base.0.len() + ID);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&(self.packs.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.base.len() as u64).to_le_bytes());
        self.packs.iter().for_each(|pack| bytes.extend_from_slice(pack.as_bytes()));
        bytes.extend_from_slice(&self.base.0);
        let hash = blake3::Hasher::new().update_rayon(&bytes).finalize();
        bytes.extend_from_slice(hash.as_bytes());
        // After a power cut the hash shows whether it got to the disk.
        files::publish(path, &bytes, Durability::Buffered)
    }

    /// The packs that are there.
    pub(crate) fn packs(&self) -> BTreeSet<PackId> {
        self.packs.iter().copied().collect()
    }

    /// Where an entry is: once for each pack that has it.
    pub(crate) fn find(&self, key: &Key) -> Vec<Location> {
        let bytes = key_bytes(key);
        self.records(&bytes)
            .filter_map(|record| {
                let pack = *self.packs.get(pack_number(record))?;
                from_record(record).map(|entry| Location { pack, entry })
            })
            .collect()
    }

    /// Whether any pack has an entry.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.records(&key_bytes(key)).next().is_some()
    }

    fn records(&self, key: &[u8; KEY]) -> impl Iterator<Item = &[u8]> {
        self.base.find(key).chain(self.fresh.find(key))
    }

    /// How many entries there are, each copy counted.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.base.len() + self.fresh.len()
    }

    /// This index with packs added and others taken away. Small ones come out compact, and so does one that has
    /// gathered many loose packs.
    pub(crate) fn changed(&self, added: &NewPacks, gone: &BTreeSet<PackId>) -> Self {
        let mut packs = self.packs.clone();
        let mut fresh: Vec<[u8; RECORD]> = self.fresh.0.chunks_exact(RECORD).map(array).collect();
        for (pack, entries) in added {
            let number = packs.len() as u32;
            packs.push(*pack);
            fresh.extend(entries.iter().map(|entry| to_record(entry, number)));
        }
        let base = Arc::clone(&self.base);
        let next = Self { packs, base, fresh: Records::sorted(fresh), base_packs: self.base_packs };
        let loose = next.packs.len() - next.base_packs;
        let worth_it = next.base.len() <= SMALL || loose > LOOSE_PACKS || next.fresh.len() > next.base.len() / 4;
        if !gone.is_empty() || worth_it { next.compacted(gone) } else { next }
    }

    /// Whether all is in `base`, as the file has it.
    pub(crate) fn is_compact(&self) -> bool {
        self.packs.len() == self.base_packs
    }

    /// The same with all records in `base`, and without packs that are gone.
    fn compacted(&self, gone: &BTreeSet<PackId>) -> Self {
        let packs: Vec<PackId> = self.packs().difference(gone).copied().collect();
        let numbers: HashMap<PackId, u32> = packs.iter().copied().zip(0..).collect();
        let mut merged = Vec::with_capacity(self.base.0.len() + self.fresh.0.len());
        let mut base = self.base.0.chunks_exact(RECORD).peekable();
        let mut fresh = self.fresh.0.chunks_exact(RECORD).peekable();
        loop {
            let from_base = match (base.peek(), fresh.peek()) {
                (Some(left), Some(right)) => left[..KEY] <= right[..KEY],
                (left, _) => left.is_some(),
            };
            let Some(record) = (if from_base { base.next() } else { fresh.next() }) else { break };
            let number = self.packs.get(pack_number(record)).and_then(|pack| numbers.get(pack));
            if let Some(number) = number {
                merged.extend_from_slice(&record[..KEY]);
                merged.extend_from_slice(&number.to_le_bytes());
                merged.extend_from_slice(&record[KEY + 4..]);
            }
        }
        Self { base_packs: packs.len(), packs, base: Arc::new(Records(merged)), fresh: Records::default() }
    }
}

/// Reads what packs say of themselves. A pack that cannot be read is left out: the others still serve.
pub(crate) fn read_packs(packs: impl Iterator<Item = (PackId, std::path::PathBuf)>) -> NewPacks {
    let read = |path: &Path| -> io::Result<Vec<PackEntry>> { pack::read_entries(&fs::File::open(path)?) };
    packs.filter_map(|(pack, path)| read(&path).ok().map(|entries| (pack, entries))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pack::Kind;
    use super::*;
    use crate::id::Digest;

    fn key(number: u8) -> Key {
        let kind = if number.is_multiple_of(3) { Kind::Map } else { Kind::Chunk };
        Key { kind, digest: Digest::of(&[number]) }
    }

    fn entry(number: u8, offset: u64) -> PackEntry {
        let header = Header { key: key(number), codec: 1, raw_len: 45, stored_len: 3, crc: u32::from(number) };
        PackEntry { header, offset }
    }

    fn pack(number: u8) -> PackId {
        PackId::from_bytes(*Digest::of(&[number, 1]).as_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a model: packs come and go, the file is written and read back now and then.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0u8..8, any::<bool>(), proptest::collection::vec(0u8..60, 0..20), any::<bool>()), 1..20)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("chunks");
            let mut model: BTreeMap<PackId, Vec<PackEntry>> = BTreeMap::new();
            let mut index = Index::default();
            for (number, add, keys, store) in steps {
                let id = pack(number);
                if add && !model.contains_key(&id) {
                    let mut keys = keys;
                    keys.sort_unstable();
                    keys.dedup();
                    let entries: Vec<_> = keys.iter().map(|&key| entry(key, u64::from(key) * 100)).collect();
                    index = index.changed(&NewPacks::from([(id, entries.clone())]), &BTreeSet::new());
                    model.insert(id, entries);
                } else if !add && model.remove(&id).is_some() {
                    index = index.changed(&NewPacks::new(), &BTreeSet::from([id]));
                }
                if store {
                    let compact = index.compacted(&BTreeSet::new());
                    compact.save(&path).unwrap();
                    index = Index::load(&path).unwrap();
                }
                prop_assert_eq!(index.packs(), model.keys().copied().collect::<BTreeSet<_>>());
                for number in 0..60 {
                    let mut expected: Vec<_> = Vec::new();
                    for (pack, entries) in &model {
                        expected.extend(entries.iter().filter(|entry| entry.header.key == key(number)).map(|entry| (*pack, *entry)));
                    }
                    let mut found: Vec<_> = index.find(&key(number)).iter().map(|location| (location.pack, location.entry)).collect();
                    found.sort_by_key(|(pack, _)| *pack);
                    prop_assert_eq!(index.contains(&key(number)), !expected.is_empty());
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn a_large_index_keeps_small_packs_loose_for_a_while() {
        let digest = |number: u32| Digest::of(&number.to_le_bytes());
        let entries = |range: std::ops::Range<u32>| -> Vec<PackEntry> {
            let header = |number| Header {
                key: Key { kind: Kind::Chunk, digest: digest(number) },
                codec: 0,
                raw_len: 9,
                stored_len: 9,
                crc: 1,
            };
            range.map(|number| PackEntry { header: header(number), offset: 54 }).collect()
        };
        let large = 2 * SMALL as u32;
        let mut index = Index::default().changed(&NewPacks::from([(pack(0), entries(0..large))]), &BTreeSet::new());
        assert!(index.is_compact());
        for number in 1..=LOOSE_PACKS as u8 {
            let start = large + u32::from(number);
            index = index.changed(&NewPacks::from([(pack(number), entries(start..start + 1))]), &BTreeSet::new());
            assert!(!index.is_compact());
        }
        index = index.changed(&NewPacks::from([(pack(99), entries(large..large + 1))]), &BTreeSet::new());
        assert!(index.is_compact());
        assert_eq!(index.len(), large as usize + LOOSE_PACKS + 1);
        assert!(
            (0..large + 1 + LOOSE_PACKS as u32)
                .all(|number| index.contains(&Key { kind: Kind::Chunk, digest: digest(number) }))
        );
    }

    #[test]
    fn a_damaged_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chunks");
        let index =
            Index::default().changed(&NewPacks::from([(pack(0), vec![entry(1, 54), entry(2, 100)])]), &BTreeSet::new());
        index.save(&path).unwrap();
        let good = fs::read(&path).unwrap();
        assert!(Index::load(&path).is_some());
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            files::publish(&path, &bad, Durability::Buffered).unwrap();
            assert!(Index::load(&path).is_none(), "byte {place}");
            files::publish(&path, &good[..place], Durability::Buffered).unwrap();
            assert!(Index::load(&path).is_none(), "cut to {place}");
        }
    }
}
