//! Planning what gives back the room of what nothing needs; [`super::repack`] does what the plan says.
//!
//! A pack of which nothing is needed goes; of a pack that is partly needed the needed entries move to a new one. Footers
//! are read one after the other, and what is kept of them is a bit or two for each entry.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use super::keys::{Bits, KeySet, Met};
use super::mark::Live;
use super::pack::{self, Key, Kind, PackEntry};
use super::sink::PACK_TARGET;
use super::unused::{Times, Unused};
use super::{Store, StoreError};
use crate::id::{Digest, PackId};

/// A pack of less than this is small.
const SMALL: u64 = PACK_TARGET / 4;
/// So many small packs are worth merging: each is a file to open and a footer to read.
const MANY_SMALL: usize = 8;
/// Seconds by which the clock of a file server may be ahead.
const CLOCKS_DIFFER: i64 = 3600;

/// What to collect.
#[derive(Debug, Clone, Copy)]
pub struct PruneOptions {
    /// The time.
    pub now: SystemTime,
    /// How long something stays after it was stored, and after it was first seen unused.
    pub grace: Duration,
    /// How much of the store may be room that is given back only by writing packs anew: 0.1 is a tenth of what is used.
    pub max_unused: f64,
}

/// What is to become of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// What is needed of it moves to a new pack, and it goes.
    Rewrite,
    /// It goes.
    Remove,
    /// It cannot be read well enough, so it stays, and so do all others.
    Damaged,
}

/// A pack, and what of it is needed. Sizes are those of stored bytes.
#[derive(Debug, Clone)]
pub struct PlannedPack {
    /// Its id.
    pub id: PackId,
    /// Its size.
    pub bytes: u64,
    /// Bytes that are needed.
    pub used: u64,
    /// Bytes that nothing needs, and whose grace period is over.
    pub unused: u64,
    /// Bytes that nothing needs, and that stay for now.
    pub waiting: u64,
    /// Bytes that another pack has as well.
    pub repeated: u64,
    /// What is to become of it.
    pub fate: Fate,
    pub(super) modified: SystemTime,
    /// For each entry in the order of the footer, whether it may be lost.
    droppable: Bits,
}

/// What a collection would do.
#[derive(Debug, Clone)]
pub struct PrunePlan {
    /// Every pack, sorted by id.
    pub packs: Vec<PlannedPack>,
    /// When the first of what waits now can go; none if nothing waits.
    pub next: Option<SystemTime>,
    /// How far the clock is behind an earlier collection or the newest pack. Nothing goes and nothing is noted then.
    pub clock_behind: Option<Duration>,
    pub(super) unused: Unused,
}

impl PrunePlan {
    /// The sum of something over all packs.
    pub fn sum(&self, of: impl Fn(&PlannedPack) -> u64) -> u64 {
        self.packs.iter().map(of).sum()
    }

    /// The packs of this fate.
    pub fn with_fate(&self, fate: Fate) -> impl Iterator<Item = &PlannedPack> {
        self.packs.iter().filter(move |pack| pack.fate == fate)
    }

    /// Whether there is anything to do.
    pub fn has_work(&self) -> bool {
        self.packs.iter().any(|pack| matches!(pack.fate, Fate::Rewrite | Fate::Remove))
    }

    /// Bytes that carrying it out gives back, but for the new packs' footers.
    pub fn freed(&self) -> u64 {
        self.sum(|pack| match pack.fate {
            Fate::Remove => pack.bytes,
            Fate::Rewrite => pack.unused + pack.repeated,
            Fate::Keep | Fate::Damaged => 0,
        })
    }
}

impl Store {
    /// Plans what to do so that the store keeps what is `live`. Nothing is changed.
    pub fn plan_prune(&self, live: &Live, options: &PruneOptions) -> Result<PrunePlan, StoreError> {
        let known = Unused::load(&self.unused_path());
        let now = seconds(options.now);
        let mut found = self.find_packs(live)?;
        // Times that are noted while the clock is wrong would make things look old once it is right again.
        let newest = found.iter().map(|pack| seconds(pack.modified)).max().unwrap_or_default();
        let expected = known.latest.max(newest - CLOCKS_DIFFER);
        let clock_behind = u64::try_from(expected - now).ok().filter(|behind| *behind > 0).map(Duration::from_secs);
        // Of entries that are there twice, the copy counts that is in a pack of which all is needed, as one that a killed
        // collection has written, and then the one in the larger pack: small packs go sooner.
        found.sort_unstable_by_key(|pack| (pack.problem, pack.has_unused, std::cmp::Reverse(pack.bytes), pack.id));
        // A pack that does not read well may have had the list of what is in the others.
        let is_hiding = found.iter().any(|pack| pack.problem);
        let mut plan = PrunePlan { packs: Vec::new(), next: None, clock_behind, unused: Unused::default() };
        let mut met = Met::none_of(live.keys());
        let index = self.index()?;
        let grace = i64::try_from(options.grace.as_secs()).unwrap_or(i64::MAX);
        for pack in &found {
            let Some((entries, _)) = self.footer_entries(&pack.id, &self.pack_path(&pack.id))? else { continue };
            let age = now.saturating_sub(seconds(pack.modified)).max(0);
            let is_old = age >= grace && clock_behind.is_none() && !is_hiding;
            let mut planned = PlannedPack::new(pack, entries.len());
            let mut since = Vec::with_capacity(entries.len());
            for (number, entry) in entries.iter().enumerate() {
                let key = &entry.header.key;
                let bytes = u64::from(entry.header.stored_len) + pack::HEADER_LEN as u64;
                let is_live = live.has(key);
                let mut unused_since = None;
                // Whoever was met may have been another of the same beginning.
                let has_copy = || index.find(key).iter().any(|copy| copy.pack != pack.id);
                if is_live && (met.meet(key) || !has_copy()) {
                    planned.used += bytes;
                } else if is_live {
                    planned.repeated += bytes;
                    planned.droppable.set(number);
                } else {
                    // A writer that found something in the pack since then may have needed this too.
                    let noted = known.since(&pack.id, number).filter(|since| *since > seconds(pack.modified));
                    let first_seen = noted.unwrap_or(now);
                    unused_since = Some(first_seen);
                    if is_old && now.saturating_sub(first_seen).max(0) >= grace {
                        planned.unused += bytes;
                        planned.droppable.set(number);
                    } else {
                        planned.waiting += bytes;
                        let ready = first_seen.max(seconds(pack.modified)).saturating_add(grace);
                        let ready = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(ready).unwrap_or(0));
                        plan.next = Some(plan.next.map_or(ready, |next: SystemTime| next.min(ready)));
                    }
                }
                since.push(unused_since);
            }
            if pack.problem {
                planned.fate = Fate::Damaged;
            } else if planned.used == 0 && planned.waiting == 0 && is_old {
                planned.fate = Fate::Remove;
            }
            plan.unused.set(pack.id, Times::of(&since));
            plan.packs.push(planned);
        }
        plan.unused.latest = now;
        if clock_behind.is_none() && !is_hiding {
            choose_rewrites(&mut plan.packs, options, grace);
        }
        plan.packs.sort_unstable_by_key(|pack| pack.id);
        Ok(plan)
    }

    /// Notes what was seen unused, so that its grace period begins.
    pub fn note_unused(&self, plan: &PrunePlan) -> Result<(), StoreError> {
        if plan.clock_behind.is_some() {
            return Ok(());
        }
        let _lock = self.lock_shared()?;
        Ok(plan.unused.save(&self.unused_path(), &self.index_dir())?)
    }

    /// The content that nothing needs and that begins as manifests do, each once.
    pub fn unused_manifests(&self, live: &Live) -> Result<Vec<Digest>, StoreError> {
        let listed = self.list_packs()?;
        let unused = |pack: &PackId, kind: Kind| -> Result<Vec<Digest>, StoreError> {
            let entries = self.footer_entries(pack, &listed[pack])?.map(|(entries, _)| entries).unwrap_or_default();
            let keys = entries.iter().map(|entry| &entry.header.key).filter(|key| key.kind == kind && !live.has(key));
            Ok(keys.map(|key| key.digest).collect())
        };
        // A chunk that a map lists is a part of a file, and of a manifest only as the first.
        let (mut parts, mut manifests) = (KeySet::default(), BTreeSet::new());
        for pack in listed.keys() {
            for map in unused(pack, Kind::Map)? {
                let Ok(keys) = self.keys_of(&map) else { continue };
                if self.begins_as_manifest(&map) {
                    manifests.insert(map);
                }
                for key in &keys {
                    parts.insert(key);
                }
            }
        }
        for pack in listed.keys() {
            let mut single = unused(pack, Kind::Chunk)?;
            single.retain(|digest| !parts.has(&Key { kind: Kind::Chunk, digest: *digest }));
            manifests.par_extend(single.into_par_iter().filter(|digest| self.begins_as_manifest(digest)));
        }
        Ok(manifests.into_iter().collect())
    }

    fn begins_as_manifest(&self, file: &Digest) -> bool {
        let Ok(mut reader) = self.read(file) else { return false };
        let start = std::io::BufRead::fill_buf(&mut reader);
        start.is_ok_and(|bytes| bytes.starts_with(super::mark::MANIFEST))
    }

    /// Looks at every pack, and keeps nothing of its entries.
    fn find_packs(&self, live: &Live) -> Result<Vec<FoundPack>, StoreError> {
        let listed: Vec<_> = self.list_packs()?.into_iter().collect();
        let look = |(id, path): &(PackId, PathBuf)| {
            let fail = |source| StoreError::Read { what: path.display().to_string(), source };
            let Some((entries, problem)) = self.footer_entries(id, path)? else { return Ok(None) };
            let metadata = fs::metadata(path).map_err(fail)?;
            let modified = metadata.modified().map_err(fail)?;
            let has_unused = entries.iter().any(|entry| !live.has(&entry.header.key));
            Ok(Some(FoundPack { id: *id, bytes: metadata.len(), modified, has_unused, problem }))
        };
        let found: Result<Vec<Option<FoundPack>>, StoreError> = listed.par_iter().map(look).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// The entries of a pack, found one by one where its footer does not read, and whether that is so; none where the
    /// pack is gone.
    fn footer_entries(&self, id: &PackId, path: &Path) -> Result<Option<(Vec<PackEntry>, bool)>, StoreError> {
        let fail = |source| StoreError::Read { what: path.display().to_string(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(fail)?,
        };
        Ok(Some(match pack::read_footer(&file).map_err(fail)? {
            Ok(footer) => (footer.entries, footer.pack_id != *id),
            Err(_) => (pack::scan(&file).map_err(fail)?, true),
        }))
    }

    pub(super) fn unused_path(&self) -> std::path::PathBuf {
        self.root().join("unused")
    }
}

impl PrunePlan {
    /// The packs that go, in one way or the other.
    pub(super) fn going(&self) -> impl Iterator<Item = &PlannedPack> {
        self.packs.iter().filter(|pack| matches!(pack.fate, Fate::Rewrite | Fate::Remove))
    }
}

/// A pack as it was found.
#[derive(Debug)]
struct FoundPack {
    id: PackId,
    bytes: u64,
    modified: SystemTime,
    /// Whether it has anything that nothing needs.
    has_unused: bool,
    /// Whether it does not read well.
    problem: bool,
}

impl PlannedPack {
    fn new(pack: &FoundPack, entries: usize) -> Self {
        Self {
            id: pack.id,
            bytes: pack.bytes,
            used: 0,
            unused: 0,
            waiting: 0,
            repeated: 0,
            fate: Fate::Keep,
            modified: pack.modified,
            droppable: Bits::of(entries),
        }
    }

    /// Whether an entry may be lost.
    pub(super) fn may_lose(&self, number: usize) -> bool {
        self.droppable.get(number)
    }

    /// Bytes that writing it anew would give back.
    fn gain(&self) -> u64 {
        self.unused + self.repeated
    }
}

/// Chooses the packs that are written anew: those with most to gain until little enough is left unused, and the small
/// ones if there are many.
fn choose_rewrites(packs: &mut [PlannedPack], options: &PruneOptions, grace: i64) {
    let now = seconds(options.now);
    let used: u64 = packs.iter().map(|pack| pack.used).sum();
    let allowed = (used as f64 * options.max_unused.max(0.0)) as u64;
    let may_go = |pack: &PlannedPack| {
        pack.fate == Fate::Keep && pack.gain() > 0 && now.saturating_sub(seconds(pack.modified)).max(0) >= grace
    };
    let mut left: u64 = packs.iter().filter(|pack| pack.fate == Fate::Keep).map(PlannedPack::gain).sum();
    let mut candidates: Vec<&mut PlannedPack> = packs.iter_mut().filter(|pack| may_go(pack)).collect();
    let share = |pack: &PlannedPack| u128::from(pack.gain()) * 1_000_000 / u128::from(pack.bytes.max(1));
    candidates.sort_by_key(|pack| (std::cmp::Reverse(share(pack)), pack.id));
    for pack in candidates {
        if left <= allowed {
            break;
        }
        left -= pack.gain();
        pack.fate = Fate::Rewrite;
    }
    let is_rewriting = packs.iter().any(|pack| pack.fate == Fate::Rewrite);
    let small = |pack: &&mut PlannedPack| pack.bytes < SMALL && pack.fate == Fate::Keep;
    let small: Vec<&mut PlannedPack> = packs.iter_mut().filter(small).collect();
    // What is written anew ends in one more of them.
    if small.len() + usize::from(is_rewriting) >= MANY_SMALL {
        small.into_iter().for_each(|pack| pack.fate = Fate::Rewrite);
    }
}

/// Whole seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
