//! Since when entries are known to be unused.
//!
//! What nothing names is removed a grace period after it was first *seen* unused, not after it was stored: who deletes a
//! branch by mistake has as long to notice. The file is the magic `GMLUNUS1`; the latest time that any collection saw;
//! for each pack its id, its number of entries and its groups, each a time (i64, seconds since 1970) and a bit for each
//! entry, in the order of the footer; and the BLAKE3 of all that. If it is lost, the grace period begins anew.

use std::collections::BTreeMap;
use std::path::Path;

use super::keys::Bits;
use crate::files::{self, Durability, FileError};
use crate::id::{Digest, PackId};

const MAGIC: [u8; 8] = *b"GMLUNUS1";

/// Since when each entry of each pack is known to be unused.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Unused {
    /// The latest time that any collection saw. A clock that shows less went backwards.
    pub(super) latest: i64,
    packs: BTreeMap<PackId, Times>,
}

/// The entries of a pack that are unused, by the time since when.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Times {
    entries: u32,
    groups: BTreeMap<i64, Bits>,
}

impl Times {
    /// The times of a pack's entries; none for those that are in use.
    pub(super) fn of(since: &[Option<i64>]) -> Self {
        let mut times = Self { entries: since.len() as u32, groups: BTreeMap::new() };
        for (entry, time) in since.iter().enumerate() {
            if let Some(time) = time {
                times.groups.entry(*time).or_insert_with(|| Bits::of(since.len())).set(entry);
            }
        }
        times
    }

    /// The latest time that is noted for an entry.
    fn since(&self, entry: usize) -> Option<i64> {
        let mut latest_first = self.groups.iter().rev();
        latest_first.find(|(_, bits)| bits.get(entry)).map(|(time, _)| *time)
    }
}

impl Unused {
    /// Reads the file; nothing is known where it is missing or damaged.
    pub(super) fn load(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| Self::decode(&bytes)).unwrap_or_default()
    }

    /// Writes the file, with its draft in `drafts`. The caller holds the store's lock: the draft is swept with others.
    pub(super) fn save(&self, path: &Path, drafts: &Path) -> Result<(), FileError> {
        files::publish_from(drafts, path, &self.encode(), Durability::Synced)
    }

    /// Since when an entry is known to be unused; none if it was in use when last looked at.
    pub(super) fn since(&self, pack: &PackId, entry: usize) -> Option<i64> {
        self.packs.get(pack)?.since(entry)
    }

    /// Notes for each entry of a pack since when it is unused.
    pub(super) fn set(&mut self, pack: PackId, since: Times) {
        if since.groups.is_empty() {
            self.packs.remove(&pack);
        } else {
            self.packs.insert(pack, since);
        }
    }

    /// Forgets the packs that are not there any more.
    pub(super) fn retain(&mut self, is_there: impl Fn(&PackId) -> bool) {
        self.packs.retain(|pack, _| is_there(pack));
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.latest.to_le_bytes());
        bytes.extend_from_slice(&(self.packs.len() as u32).to_le_bytes());
        for (pack, times) in &self.packs {
            bytes.extend_from_slice(pack.as_bytes());
            bytes.extend_from_slice(&times.entries.to_le_bytes());
            bytes.extend_from_slice(&(times.groups.len() as u32).to_le_bytes());
            for (time, bits) in &times.groups {
                bytes.extend_from_slice(&time.to_le_bytes());
                bytes.extend_from_slice(bits.as_bytes());
            }
        }
        let check = Digest::of(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_last_chunk::<32>()?;
        if Digest::of(body).as_bytes() != check {
            return None;
        }
        let mut rest = body.strip_prefix(&MAGIC)?;
        let mut unused = Self { latest: i64::from_le_bytes(take(&mut rest)?), packs: BTreeMap::new() };
        for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
            let pack = PackId::from_bytes(take(&mut rest)?);
            let mut times = Times { entries: u32::from_le_bytes(take(&mut rest)?), groups: BTreeMap::new() };
            for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
                let time = i64::from_le_bytes(take(&mut rest)?);
                let (bits, after) = rest.split_at_checked((times.entries as usize).div_ceil(8))?;
                rest = after;
                times.groups.insert(time, Bits::from_bytes(bits));
            }
            unused.set(pack, times);
        }
        rest.is_empty().then_some(unused)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*array)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read_and_damage_reads_as_nothing(
            latest in any::<i64>(),
            packs in proptest::collection::btree_map(any::<[u8; 32]>(), proptest::collection::vec(proptest::option::of(0i64..4), 0..40), 0..5),
            flip in any::<prop::sample::Index>(),
        ) {
            let mut unused = Unused { latest, ..Unused::default() };
            for (pack, since) in packs {
                for (entry, time) in since.iter().enumerate() {
                    prop_assert_eq!(Times::of(&since).since(entry), *time);
                }
                unused.set(PackId::from_bytes(pack), Times::of(&since));
            }
            let mut bytes = unused.encode();
            prop_assert_eq!(Unused::decode(&bytes), Some(unused));
            let at = flip.index(bytes.len());
            bytes[at] ^= 1;
            prop_assert_eq!(Unused::decode(&bytes), None);
        }
    }
}
