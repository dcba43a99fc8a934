//! Giving back the room of what nothing needs: first a plan, then what it says.
//!
//! A pack of which nothing is needed goes; of a pack that is partly needed the needed entries move to a new one. Order
//! makes it safe: new packs are durable and in the index before old ones go, and they go only under the store's lock,
//! when nobody writes, after one more look at what is needed. A kill at any instant leaves entries that are there twice,
//! which the next collection notices.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rayon::prelude::*;

use super::check::check_entry;
use super::index::NewPacks;
use super::mark::Live;
use super::pack::{self, Key, Kind, PackEntry};
use super::sink::{OpenPack, PACK_TARGET, SealedPack};
use super::unused::Unused;
use super::{Store, StoreError, codec, lock};
use crate::files::{self, FileLock, Wait};
use crate::id::{Digest, PackId};

/// A pack of less than this is small.
const SMALL: u64 = PACK_TARGET / 4;
/// So many small packs are worth merging: each is a file to open and a footer to read.
const MANY_SMALL: usize = 8;
/// Seconds by which the clock of a file server may be ahead.
const CLOCKS_DIFFER: i64 = 3600;
/// Entries that are checked at once, on all processors, before they are written.
const AT_ONCE: usize = 256;

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
    modified: SystemTime,
    /// For each entry in the order of the footer, whether it may be lost.
    droppable: Vec<bool>,
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
    unused: Unused,
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

/// Packs that were written anew, and where each entry is that must not be lost with an old pack.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// The new packs.
    pub packs: Vec<PackId>,
    /// Their bytes.
    pub bytes: u64,
    /// Where an entry is that was checked.
    safe: HashMap<Key, PackId>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Packs that went.
    pub packs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that were to go and stay, because something needs them after all or because a copy is damaged.
    pub kept: usize,
}

/// Nobody else writes to the store or removes from it.
#[derive(Debug)]
#[must_use = "the lock is let go as soon as this is dropped"]
pub struct StoreAlone<'s> {
    store: &'s Store,
    _lock: FileLock,
}

impl Store {
    /// Plans what to do so that the store keeps what is `live`. Nothing is changed.
    pub fn plan_prune(&self, live: &Live, options: &PruneOptions) -> Result<PrunePlan, StoreError> {
        let known = Unused::load(&self.unused_path());
        let now = seconds(options.now);
        let mut found = self.read_all_packs()?;
        // Times that are noted while the clock is wrong would make things look old once it is right again.
        let newest = found.iter().map(|pack| seconds(pack.modified)).max().unwrap_or_default();
        let expected = known.latest.max(newest - CLOCKS_DIFFER);
        let clock_behind = u64::try_from(expected - now).ok().filter(|behind| *behind > 0).map(Duration::from_secs);
        // Of entries that are there twice, the copy counts that is in a pack of which all is needed, as one that a killed
        // collection has written, and then the one in the larger pack: small packs go sooner.
        let has_unused = |pack: &FoundPack| !pack.entries.iter().all(|entry| live.has(&entry.header.key));
        found.sort_by_cached_key(|pack| (pack.problem, has_unused(pack), std::cmp::Reverse(pack.bytes), pack.id));
        // A pack that does not read well may have had the list of what is in the others.
        let is_hiding = found.iter().any(|pack| pack.problem);
        let mut plan = PrunePlan { packs: Vec::new(), next: None, clock_behind, unused: Unused::default() };
        let mut seen = HashSet::new();
        let grace = i64::try_from(options.grace.as_secs()).unwrap_or(i64::MAX);
        for pack in &found {
            let age = now.saturating_sub(seconds(pack.modified)).max(0);
            let is_old = age >= grace && clock_behind.is_none() && !is_hiding;
            let mut planned = PlannedPack::new(pack);
            let mut since = Vec::with_capacity(pack.entries.len());
            for (number, entry) in pack.entries.iter().enumerate() {
                let bytes = u64::from(entry.header.stored_len) + pack::HEADER_LEN as u64;
                let is_live = live.has(&entry.header.key);
                let (mut unused_since, mut may_go) = (None, false);
                if is_live && seen.insert(entry.header.key) {
                    planned.used += bytes;
                } else if is_live {
                    planned.repeated += bytes;
                    may_go = true;
                } else {
                    let first_seen = known.since(&pack.id, number).unwrap_or(now);
                    unused_since = Some(first_seen);
                    may_go = is_old && now.saturating_sub(first_seen).max(0) >= grace;
                    if may_go {
                        planned.unused += bytes;
                    } else {
                        planned.waiting += bytes;
                        let ready = first_seen.max(seconds(pack.modified)).saturating_add(grace);
                        let ready = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(ready).unwrap_or(0));
                        plan.next = Some(plan.next.map_or(ready, |next: SystemTime| next.min(ready)));
                    }
                }
                since.push(unused_since);
                planned.droppable.push(may_go);
            }
            if pack.problem {
                planned.fate = Fate::Damaged;
            } else if planned.used == 0 && planned.waiting == 0 && is_old {
                planned.fate = Fate::Remove;
            }
            plan.unused.set(pack.id, since);
            plan.packs.push(planned);
        }
        plan.unused.latest = now;
        if clock_behind.is_none() && !is_hiding {
            choose_rewrites(&mut plan.packs, options, grace);
        }
        plan.packs.sort_by_key(|pack| pack.id);
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

    /// The first half of what a plan says: writes new packs with what is needed of old ones, and makes sure that what is
    /// there twice is good where it stays. `progress` is told of bytes. Others may write meanwhile.
    pub fn rewrite_packs(&self, plan: &PrunePlan, progress: &(dyn Fn(u64) + Sync)) -> Result<Rewritten, StoreError> {
        let _lock = self.lock_shared()?;
        let mut unused = plan.unused.clone();
        let mut new = NewPackWriter { store: self, open: None, sealed: Vec::new(), modified: None };
        let mut rewritten = Rewritten::default();
        for planned in plan.with_fate(Fate::Rewrite) {
            let file = self.open_pack(&planned.id)?;
            let entries = self.entries_of(&planned.id)?;
            let kept: Vec<(usize, &PackEntry)> =
                entries.iter().enumerate().filter(|(number, _)| !planned.may_lose(*number)).collect();
            for group in kept.chunks(AT_ONCE) {
                let read: Vec<Option<Bytes>> = group.par_iter().map(|(_, entry)| read_good(&file, entry)).collect();
                for ((number, entry), stored) in group.iter().zip(read) {
                    progress(u64::from(entry.header.stored_len));
                    // Its pack stays then, for `fsck` to see to.
                    let Some(stored) = stored else { continue };
                    if rewritten.safe.contains_key(&entry.header.key) {
                        continue;
                    }
                    // Where it goes is known when the pack is complete.
                    rewritten.safe.insert(entry.header.key, planned.id);
                    new.add(entry, stored, unused.since(&planned.id, *number), planned.modified)?;
                }
            }
        }
        let mut known = NewPacks::new();
        for (sealed, modified, since) in new.finish()? {
            let place = self.pack_path(&sealed.id);
            sealed.draft.publish(&place)?;
            // What moves is as old as it was. If that cannot be said, it only stays longer.
            let _ = File::open(&place).and_then(|file| file.set_modified(modified));
            for entry in &sealed.entries {
                rewritten.safe.insert(entry.header.key, sealed.id);
            }
            rewritten.packs.push(sealed.id);
            rewritten.bytes += sealed.bytes;
            unused.set(sealed.id, since);
            known.insert(sealed.id, sealed.entries);
        }
        if !known.is_empty() {
            files::sync_dir(&self.packs_dir())?;
        }
        unused.save(&self.unused_path(), &self.index_dir())?;
        self.refresh(known)?;
        self.check_copies(plan, &mut rewritten)?;
        Ok(rewritten)
    }

    /// Checks a copy of whatever a pack that is to go has and that is needed, in a pack that stays.
    fn check_copies(&self, plan: &PrunePlan, rewritten: &mut Rewritten) -> Result<(), StoreError> {
        let going: BTreeSet<PackId> = plan.going().map(|pack| pack.id).collect();
        let index = self.index()?;
        for planned in plan.going() {
            for (number, entry) in self.entries_of(&planned.id)?.iter().enumerate() {
                let key = entry.header.key;
                let is_unused = plan.unused.since(&planned.id, number).is_some();
                if (is_unused && planned.may_lose(number)) || rewritten.safe.contains_key(&key) {
                    continue;
                }
                for copy in index.find(&key).into_iter().filter(|copy| !going.contains(&copy.pack)) {
                    let file = self.open_pack(&copy.pack)?;
                    if read_good(&file, &copy.entry).is_some() {
                        rewritten.safe.insert(key, copy.pack);
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the store's lock, so that nobody else writes or removes.
    pub fn lock_alone(&self, wait: Wait) -> Result<StoreAlone<'_>, StoreError> {
        Ok(StoreAlone { store: self, _lock: FileLock::exclusive(&self.lock_path(), wait)? })
    }

    /// The content that nothing needs and that begins as manifests do, each once.
    pub fn unused_manifests(&self, live: &Live) -> Result<Vec<Digest>, StoreError> {
        let packs = self.read_all_packs()?;
        let unused = packs.iter().flat_map(|pack| &pack.entries).map(|entry| entry.header.key);
        let unused: BTreeSet<Key> = unused.filter(|key| !live.has(key)).collect();
        let maps: Vec<Digest> = unused.iter().filter(|key| key.kind == Kind::Map).map(|key| key.digest).collect();
        // A chunk that a map lists is a part of a file, and of a manifest only as the first.
        let mut parts = HashSet::new();
        let mut manifests = Vec::new();
        for map in &maps {
            let Ok(keys) = self.keys_of(map) else { continue };
            if self.begins_as_manifest(map) {
                manifests.push(*map);
            }
            parts.extend(keys);
        }
        let single: Vec<&Key> = unused.iter().filter(|key| key.kind == Kind::Chunk && !parts.contains(key)).collect();
        let found: Vec<Option<Digest>> =
            single.par_iter().map(|key| self.begins_as_manifest(&key.digest).then_some(key.digest)).collect();
        manifests.extend(found.into_iter().flatten());
        Ok(manifests)
    }

    fn begins_as_manifest(&self, file: &Digest) -> bool {
        let Ok(mut reader) = self.read(file) else { return false };
        let start = std::io::BufRead::fill_buf(&mut reader);
        start.is_ok_and(|bytes| bytes.starts_with(super::mark::MANIFEST))
    }

    fn read_all_packs(&self) -> Result<Vec<FoundPack>, StoreError> {
        let listed: Vec<_> = self.list_packs()?.into_iter().collect();
        let read = |(id, path): &(PackId, std::path::PathBuf)| {
            let fail = |source| StoreError::Read { what: path.display().to_string(), source };
            let file = match File::open(path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                file => file.map_err(fail)?,
            };
            let metadata = file.metadata().map_err(fail)?;
            let modified = metadata.modified().map_err(fail)?;
            let (entries, problem) = match pack::read_footer(&file).map_err(fail)? {
                Ok(footer) if footer.pack_id == *id => (footer.entries, false),
                Ok(footer) => (footer.entries, true),
                Err(_) => (pack::scan(&file).map_err(fail)?, true),
            };
            Ok(Some(FoundPack { id: *id, bytes: metadata.len(), modified, entries, problem }))
        };
        let found: Result<Vec<Option<FoundPack>>, StoreError> = listed.par_iter().map(read).collect();
        Ok(found?.into_iter().flatten().collect())
    }

    fn entries_of(&self, pack: &PackId) -> Result<Vec<PackEntry>, StoreError> {
        let what = self.pack_path(pack).display().to_string();
        let file = self.open_pack(pack)?;
        match pack::read_footer(&file) {
            Ok(Ok(footer)) => Ok(footer.entries),
            Ok(Err(problem)) => Err(StoreError::Damaged { pack: *pack, problem }),
            Err(source) => Err(StoreError::Read { what, source }),
        }
    }

    fn unused_path(&self) -> std::path::PathBuf {
        self.root().join("unused")
    }
}

impl StoreAlone<'_> {
    /// The second half of what a plan says: removes packs. `live` has what is needed by now; a pack stays if any of that
    /// would go with it.
    pub fn remove_packs(self, plan: &PrunePlan, rewritten: &Rewritten, live: &Live) -> Result<Removed, StoreError> {
        let store = self.store;
        let listed = store.list_packs()?;
        let mut removed = Removed::default();
        let mut going: BTreeMap<PackId, &PlannedPack> = plan.going().map(|pack| (pack.id, pack)).collect();
        // An earlier collection that was killed may have written the very pack that this one has written again.
        going.retain(|pack, _| listed.contains_key(pack) && !rewritten.packs.contains(pack));
        for planned in plan.going().filter(|pack| listed.contains_key(&pack.id) && !rewritten.packs.contains(&pack.id))
        {
            let is_safe = |number: usize, entry: &PackEntry| {
                let key = &entry.header.key;
                if planned.may_lose(number) && !live.has(key) {
                    return true;
                }
                let copy = rewritten.safe.get(key);
                copy.is_some_and(|copy| listed.contains_key(copy) && !going.contains_key(copy))
            };
            let entries = store.entries_of(&planned.id);
            // A writer that found something in it has given it another time.
            let modified = fs::metadata(&listed[&planned.id]).and_then(|metadata| metadata.modified());
            let may_go = modified.is_ok_and(|modified| modified == planned.modified)
                && entries
                    .is_ok_and(|entries| entries.iter().enumerate().all(|(number, entry)| is_safe(number, entry)));
            if !may_go {
                going.remove(&planned.id);
                removed.kept += 1;
            }
        }
        // One that stays may be where another's entry is, never the other way round: so this needs no second look.
        for (pack, planned) in &going {
            lock(&store.open_packs).remove(pack);
            files::remove_file(&store.pack_path(pack))?;
            removed.packs += 1;
            removed.bytes += planned.bytes;
        }
        if removed.packs > 0 {
            files::sync_dir(&store.packs_dir())?;
        }
        let mut unused = Unused::load(&store.unused_path());
        let left = store.list_packs()?;
        unused.retain(|pack| left.contains_key(pack));
        unused.save(&store.unused_path(), &store.index_dir())?;
        store.refresh(NewPacks::new())?;
        Ok(removed)
    }
}

impl PrunePlan {
    /// The packs that go, in one way or the other.
    fn going(&self) -> impl Iterator<Item = &PlannedPack> {
        self.packs.iter().filter(|pack| matches!(pack.fate, Fate::Rewrite | Fate::Remove))
    }
}

/// A pack as it was found.
#[derive(Debug)]
struct FoundPack {
    id: PackId,
    bytes: u64,
    modified: SystemTime,
    entries: Vec<PackEntry>,
    problem: bool,
}

impl PlannedPack {
    fn new(pack: &FoundPack) -> Self {
        Self {
            id: pack.id,
            bytes: pack.bytes,
            used: 0,
            unused: 0,
            waiting: 0,
            repeated: 0,
            fate: Fate::Keep,
            modified: pack.modified,
            droppable: Vec::with_capacity(pack.entries.len()),
        }
    }

    fn may_lose(&self, number: usize) -> bool {
        self.droppable.get(number).copied().unwrap_or(false)
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

/// The stored bytes of an entry if they are what its header says. What a newer version stored in a way of its own is
/// taken by its CRC.
fn read_good(file: &File, entry: &PackEntry) -> Option<Bytes> {
    if codec::is_known(entry.header.codec) && check_entry(file, entry).ok()?.is_some() {
        return None;
    }
    let mut stored = vec![0; entry.header.stored_len as usize];
    file.read_exact_at(&mut stored, entry.offset).ok()?;
    (crc32fast::hash(&stored) == entry.header.crc).then(|| stored.into())
}

/// A new pack, when what is in it was stored last, and since when each entry of it is unused.
type Rewrite = (SealedPack, SystemTime, Vec<Option<i64>>);

/// Writes entries as they are stored into as many new packs as they need.
struct NewPackWriter<'s> {
    store: &'s Store,
    open: Option<(OpenPack, Vec<Option<i64>>)>,
    sealed: Vec<Rewrite>,
    /// The newest pack that something came from since the last pack was sealed.
    modified: Option<SystemTime>,
}

impl NewPackWriter<'_> {
    fn add(
        &mut self,
        entry: &PackEntry,
        stored: Bytes,
        since: Option<i64>,
        modified: SystemTime,
    ) -> Result<(), StoreError> {
        let (pack, times) = match &mut self.open {
            Some(open) => open,
            empty => empty.insert((OpenPack::new(&self.store.packs_dir())?, Vec::new())),
        };
        self.modified = self.modified.max(Some(modified));
        times.push(since);
        if let Some(batch) = pack.append(entry.header, stored) {
            batch.write()?;
        }
        if pack.bytes() >= PACK_TARGET { self.seal() } else { Ok(()) }
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        let Some((pack, times)) = self.open.take() else { return Ok(()) };
        let modified = self.modified.take().unwrap_or(SystemTime::UNIX_EPOCH);
        self.sealed.push((pack.close().write_and_seal()?, modified, times));
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Rewrite>, StoreError> {
        self.seal()?;
        Ok(self.sealed)
    }
}

/// Whole seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
