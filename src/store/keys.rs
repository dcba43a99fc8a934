//! Sets of entries that stay small: sixteen million chunks, a terabyte, take some 150 MiB.

use std::collections::HashSet;

use super::pack::{Key, Kind};
use crate::id::Digest;

/// Chunks that are sorted in at once.
const RECENT: usize = 1 << 17;

/// A set of entries.
///
/// Of a chunk it keeps the first 8 bytes of the digest. So it never takes a chunk that it has for one that it has not;
/// the other way round happens by chance to one in a billion stores of a terabyte, or to whoever makes it happen. Use
/// it where that keeps something too long, and nowhere else. File maps, which lead on to other entries, are kept whole.
#[derive(Debug)]
pub(super) struct KeySet {
    maps: HashSet<Digest>,
    /// By the first byte, sorted.
    chunks: Vec<Vec<u64>>,
    /// What came since the others were sorted.
    recent: HashSet<u64>,
}

impl Default for KeySet {
    fn default() -> Self {
        Self { maps: HashSet::new(), chunks: vec![Vec::new(); 256], recent: HashSet::new() }
    }
}

fn prefix(digest: &Digest) -> u64 {
    let (first, _) = digest.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

fn bucket(prefix: u64) -> usize {
    (prefix >> 56) as usize
}

impl KeySet {
    pub(super) fn has(&self, key: &Key) -> bool {
        match key.kind {
            Kind::Map => self.maps.contains(&key.digest),
            Kind::Chunk => {
                let prefix = prefix(&key.digest);
                self.recent.contains(&prefix) || self.chunks[bucket(prefix)].binary_search(&prefix).is_ok()
            }
        }
    }

    /// Adds an entry; whether it is new.
    pub(super) fn insert(&mut self, key: &Key) -> bool {
        if key.kind == Kind::Map {
            return self.maps.insert(key.digest);
        }
        let is_new = !self.has(key) && self.recent.insert(prefix(&key.digest));
        if self.recent.len() >= RECENT {
            self.sort_in();
        }
        is_new
    }

    pub(super) fn len(&self) -> usize {
        self.maps.len() + self.recent.len() + self.chunks.iter().map(Vec::len).sum::<usize>()
    }

    fn sort_in(&mut self) {
        let mut recent: Vec<u64> = self.recent.drain().collect();
        recent.sort_unstable();
        for group in recent.chunk_by(|left, right| bucket(*left) == bucket(*right)) {
            let Some(first) = group.first() else { continue };
            let chunks = &mut self.chunks[bucket(*first)];
            // A little more than is needed, where a vector by itself would take twice as much.
            if chunks.capacity() < chunks.len() + group.len() {
                chunks.reserve_exact(group.len() + chunks.len() / 8);
            }
            chunks.extend_from_slice(group);
            // Two sorted runs, which this merges.
            chunks.sort();
        }
    }
}

/// Which entries of a set were met.
#[derive(Debug)]
pub(super) struct Met<'k> {
    keys: &'k KeySet,
    maps: HashSet<Digest>,
    /// For each bucket a bit for each chunk.
    chunks: Vec<Bits>,
    recent: HashSet<u64>,
}

impl<'k> Met<'k> {
    pub(super) fn none_of(keys: &'k KeySet) -> Self {
        let chunks = keys.chunks.iter().map(|chunks| Bits::of(chunks.len())).collect();
        Self { keys, maps: HashSet::new(), chunks, recent: HashSet::new() }
    }

    /// Notes that an entry of the set was met; whether it is the first time.
    pub(super) fn meet(&mut self, key: &Key) -> bool {
        if key.kind == Kind::Map {
            return self.maps.insert(key.digest);
        }
        let prefix = prefix(&key.digest);
        match self.keys.chunks[bucket(prefix)].binary_search(&prefix) {
            Ok(number) => self.chunks[bucket(prefix)].set(number),
            Err(_) => self.recent.insert(prefix),
        }
    }
}

/// Some bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u8>);

impl Bits {
    /// So many that are not set.
    pub(super) fn of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(8)])
    }

    /// Those of these bytes, the lowest bit of each first.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether one is set; none is beyond the end.
    pub(super) fn get(&self, number: usize) -> bool {
        self.0.get(number / 8).is_some_and(|byte| byte & 1 << (number % 8) != 0)
    }

    /// Sets one; whether it was not set before.
    pub(super) fn set(&mut self, number: usize) -> bool {
        let is_new = !self.get(number);
        if let Some(byte) = self.0.get_mut(number / 8) {
            *byte |= 1 << (number % 8);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        let kind = if number.is_multiple_of(5) { Kind::Map } else { Kind::Chunk };
        Key { kind, digest: Digest::of(&number.to_le_bytes()) }
    }

    #[test]
    fn it_has_what_was_added_and_meets_each_once() {
        let mut keys = KeySet::default();
        // More than are sorted in at once, and some that are not sorted in yet.
        let count = 2 * RECENT as u32 + 1000;
        for number in 0..count {
            assert!(keys.insert(&key(number)), "{number}");
        }
        assert!((0..count).step_by(7).all(|number| !keys.insert(&key(number))));
        assert_eq!(keys.len(), count as usize);
        assert!((0..count).all(|number| keys.has(&key(number))));
        assert!((count..count + 100_000).all(|number| !keys.has(&key(number))));
        let mut met = Met::none_of(&keys);
        assert!((0..count).all(|number| met.meet(&key(number))));
        assert!((0..count).all(|number| !met.meet(&key(number))));
    }

    #[test]
    fn a_map_and_a_chunk_of_one_digest_are_two() {
        let mut keys = KeySet::default();
        let digest = Digest::of(b"x");
        assert!(keys.insert(&Key { kind: Kind::Map, digest }));
        assert!(!keys.has(&Key { kind: Kind::Chunk, digest }));
    }
}
