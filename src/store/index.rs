//! The index: which entry is where. A cache over the packs' own footers.
//!
//! It is made of segments, each of which covers some packs; see [`super::segment`]. Packs that came later are read by
//! their footers and become a segment of their own. Small segments are merged into larger ones, each at least twice as
//! long as all smaller ones together, so there are few of them and every record is written again only a few times.
//! Segments may be deleted, torn or out of date at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::pack::{self, Key, PackEntry};
use super::segment::Segment;
use crate::files;
use crate::id::PackId;

/// How the files of segments end.
pub(super) const SUFFIX: &str = ".index";
/// Entries that are read by footers before they become a segment: so memory is bounded however many there are.
const GROUP: usize = 1 << 20;

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: PackId,
    pub(crate) entry: PackEntry,
}

/// The entries of packs.
pub(crate) type NewPacks = BTreeMap<PackId, Vec<PackEntry>>;

/// The packs and their entries at one moment.
#[derive(Debug, Default)]
pub(crate) struct Index {
    segments: Vec<Arc<Segment>>,
    packs: BTreeSet<PackId>,
}

impl Index {
    /// The index of some packs, in memory.
    pub(crate) fn of(packs: &NewPacks) -> Self {
        Self { segments: vec![Arc::new(Segment::of(packs))], packs: packs.keys().copied().collect() }
    }

    /// Where an entry is: once for each pack that has it.
    pub(crate) fn find(&self, key: &Key) -> Vec<Location> {
        let mut found: Vec<Location> = Vec::new();
        for segment in &self.segments {
            segment.find(key, &mut |location| {
                if self.packs.contains(&location.pack) && found.iter().all(|known| known.pack != location.pack) {
                    found.push(location);
                }
            });
        }
        found
    }

    /// Whether any pack has an entry.
    pub(crate) fn contains(&self, key: &Key) -> bool {
        !self.find(key).is_empty()
    }

    /// Whether something was read that is not what was written: what was looked up since may be there all the same.
    pub(super) fn is_damaged(&self) -> bool {
        self.segments.iter().any(|segment| segment.is_damaged())
    }

    /// How many entries there are, each copy counted.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.len()).sum()
    }

    /// The index of the packs there are now, from the segments at hand, those in `folder`, and the footers of the other
    /// packs; `known` spares reading some. It tries to keep what it learned in `folder`: that a cache cannot be written
    /// (a full disk, a read-only one) costs time only.
    pub(super) fn caught_up(&self, folder: &Path, listed: &BTreeMap<PackId, PathBuf>, mut known: NewPacks) -> Self {
        let mut segments: Vec<Arc<Segment>> =
            self.segments.iter().filter(|segment| !segment.is_damaged()).map(Arc::clone).collect();
        let open: BTreeSet<PathBuf> = segments.iter().filter_map(|segment| segment.path().map(PathBuf::from)).collect();
        for path in segment_files(folder).into_iter().filter(|path| !open.contains(path)) {
            match Segment::open(&path).filter(|_| !self.has_damaged(&path)) {
                Some(segment) => segments.push(Arc::new(segment)),
                None => drop(files::remove_file(&path)),
            }
        }
        // The longest first, so that one whose packs are all in others is noticed.
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.len()));
        let mut covered: BTreeSet<PackId> = BTreeSet::new();
        segments.retain(|segment| {
            let is_needed = segment.packs().iter().any(|pack| listed.contains_key(pack) && !covered.contains(pack));
            if is_needed {
                covered.extend(segment.packs());
            } else if let Some(path) = segment.path() {
                let _ = files::remove_file(path);
            }
            is_needed
        });
        known.retain(|pack, _| listed.contains_key(pack) && !covered.contains(pack));
        let is_unread = |pack: &&PackId| !covered.contains(pack) && !known.contains_key(pack);
        let unread: Vec<PackId> = listed.keys().filter(is_unread).copied().collect();
        let mut group = known;
        for pack in unread {
            // A pack that cannot be read is left out: the others still serve.
            let Ok(entries) = fs::File::open(&listed[&pack]).and_then(|file| pack::read_entries(&file)) else {
                continue;
            };
            group.insert(pack, entries);
            if group.values().map(Vec::len).sum::<usize>() >= GROUP {
                segments.push(Arc::new(Segment::of(&std::mem::take(&mut group))));
                compact(&mut segments, folder, listed);
            }
        }
        if !group.is_empty() {
            segments.push(Arc::new(Segment::of(&group)));
        }
        compact(&mut segments, folder, listed);
        Self { segments, packs: listed.keys().copied().collect() }
    }

    fn has_damaged(&self, path: &Path) -> bool {
        self.segments.iter().any(|segment| segment.is_damaged() && segment.path() == Some(path))
    }

    /// Whether it is the index of just these packs.
    pub(super) fn is_of(&self, listed: &BTreeMap<PackId, PathBuf>) -> bool {
        !self.is_damaged() && self.packs.iter().eq(listed.keys())
    }
}

/// What packs say of themselves. One that cannot be read is left out.
pub(super) fn read_packs(packs: &BTreeMap<PackId, PathBuf>) -> NewPacks {
    let read = |path: &Path| fs::File::open(path).and_then(|file| pack::read_entries(&file)).ok();
    packs.iter().filter_map(|(pack, path)| Some((*pack, read(path)?))).collect()
}

/// The files of segments in a folder.
pub(super) fn segment_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(SUFFIX)).collect();
    files.sort_unstable();
    files
}

/// Merges segments that are not written yet, or of which little is left, with those that are not twice as long.
fn compact(segments: &mut Vec<Arc<Segment>>, folder: &Path, listed: &BTreeMap<PackId, PathBuf>) {
    let is_gone = |pack: &PackId| !listed.contains_key(pack);
    segments.sort_by_key(|segment| segment.len());
    let has_to_go = |segment: &Segment| {
        let gone = segment.packs().iter().filter(|pack| is_gone(pack)).count();
        segment.path().is_none() || gone > segment.packs().len() / 2
    };
    let Some(last) = segments.iter().rposition(|segment| has_to_go(segment)) else { return };
    let mut total: usize = segments[..=last].iter().map(|segment| segment.len()).sum();
    let mut end = last + 1;
    while segments.get(end).is_some_and(|next| next.len() < 2 * total) {
        total += segments[end].len();
        end += 1;
    }
    let merged: Vec<&Segment> = segments[..end].iter().map(|segment| &**segment).collect();
    let Ok(Some(segment)) = Segment::merge(&merged, folder, &is_gone) else { return };
    for old in segments.drain(..end) {
        if let Some(path) = old.path().filter(|path| segment.path() != Some(path)) {
            let _ = files::remove_file(path);
        }
    }
    segments.insert(0, Arc::new(segment));
}

/// Forgets all segments in a folder.
pub(super) fn remove_segments(folder: &Path) -> Result<(), files::FileError> {
    segment_files(folder).iter().try_for_each(|path| files::remove_file(path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pack::{Header, Kind};
    use super::*;
    use crate::files::{Durability, publish};
    use crate::id::Digest;

    fn key(number: u32) -> Key {
        let kind = if number.is_multiple_of(3) { Kind::Map } else { Kind::Chunk };
        Key { kind, digest: Digest::of(&number.to_le_bytes()) }
    }

    fn entry(number: u32) -> PackEntry {
        let header = Header { key: key(number), codec: 1, raw_len: 45, stored_len: 3, crc: number };
        PackEntry { header, offset: u64::from(number) * 100 }
    }

    fn pack(number: u32) -> PackId {
        PackId::from_bytes(*Digest::of(&[number as u8, 1]).as_bytes())
    }

    /// The packs there are: only `known` has their entries, the files need not exist.
    fn listed(model: &NewPacks) -> BTreeMap<PackId, PathBuf> {
        model.keys().map(|pack| (*pack, PathBuf::from("/nonexistent"))).collect()
    }

    fn entries(numbers: impl IntoIterator<Item = u32>) -> Vec<PackEntry> {
        let numbers: BTreeSet<u32> = numbers.into_iter().collect();
        numbers.into_iter().map(entry).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a model: packs come and go, and now and then another process reads what is on the disk.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0u32..8, any::<bool>(), proptest::collection::vec(0u32..60, 0..20), any::<bool>()), 1..20)) {
            let folder = tempfile::tempdir().unwrap();
            let mut model = NewPacks::new();
            let mut index = Index::default();
            for (number, add, keys, reopen) in steps {
                let mut known = NewPacks::new();
                if add {
                    // A pack is named by its content.
                    let id = PackId::from_bytes(*Digest::of(format!("{keys:?}").as_bytes()).as_bytes());
                    model.insert(id, entries(keys.clone()));
                    known.insert(id, entries(keys));
                } else if let Some(id) = model.keys().nth(number as usize).copied() {
                    model.remove(&id);
                }
                index = index.caught_up(folder.path(), &listed(&model), known);
                if reopen {
                    index = Index::default().caught_up(folder.path(), &listed(&model), NewPacks::new());
                }
                prop_assert!(index.is_of(&listed(&model)));
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

    /// An index with one long segment that is read from its file, and many short ones.
    fn long_and_short(folder: &Path) -> (Index, NewPacks) {
        let mut model = NewPacks::from([(pack(0), entries(0..200_000))]);
        let mut index = Index::default().caught_up(folder, &listed(&model), model.clone());
        for number in 1..=40 {
            let new = NewPacks::from([(pack(number), entries(200_000 + number * 10..200_000 + number * 10 + 10))]);
            model.extend(new.clone());
            index = index.caught_up(folder, &listed(&model), new);
        }
        (index, model)
    }

    #[test]
    fn short_segments_are_merged_and_long_ones_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (index, model) = long_and_short(folder.path());
        let files = segment_files(folder.path());
        assert!(files.len() <= 7, "{files:?}");
        assert_eq!(index.len(), 200_400);
        let reopened = Index::default().caught_up(folder.path(), &listed(&model), NewPacks::new());
        assert_eq!(segment_files(folder.path()), files);
        for number in (0..200_400).step_by(7) {
            let found = reopened.find(&key(number + if number < 200_000 { 0 } else { 10 }));
            assert_eq!(found.len(), 1, "{number}");
        }
        // Most of its packs are gone: the records go too.
        let left = NewPacks::from([(pack(3), entries(200_030..200_040))]);
        let index = reopened.caught_up(folder.path(), &listed(&left), NewPacks::new());
        assert!(index.len() < 300, "{}", index.len());
        assert!(index.contains(&key(200_035)) && !index.contains(&key(5)));
    }

    #[test]
    fn damage_is_noticed_and_never_read_as_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (_, model) = long_and_short(folder.path());
        let longest =
            segment_files(folder.path()).into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        let good = fs::read(&longest).unwrap();
        for place in (0..good.len()).step_by(good.len() / 300) {
            let mut bad = good.clone();
            bad[place] ^= 1;
            publish(&longest, &bad, Durability::Buffered).unwrap();
            let Some(segment) = Segment::open(&longest) else { continue };
            let index = Index { segments: vec![Arc::new(segment)], packs: model.keys().copied().collect() };
            for number in (0..200_000).step_by(97) {
                let found = index.find(&key(number));
                assert!(found.is_empty() && index.is_damaged() || found.len() == 1 && found[0].entry == entry(number));
            }
        }
        for cut in [0, 5, 20, good.len() / 2, good.len() - 1] {
            publish(&longest, &good[..cut], Durability::Buffered).unwrap();
            assert!(Segment::open(&longest).is_none(), "cut to {cut}");
        }
    }
}
