//! Doing what a plan says: what is needed moves out of packs that go, and then they go.
//!
//! Order makes it safe: new packs are durable and in the index before old ones go, and they go only under the store's
//! lock, when nobody writes, after one more look at what is needed. A kill at any instant leaves entries that are there
//! twice, which the next collection notices.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use bytes::Bytes;
use rayon::prelude::*;

use super::check::check_entry;
use super::index::NewPacks;
use super::mark::Live;
use super::pack::{self, Key, PackEntry};
use super::prune::{Fate, PlannedPack, PrunePlan};
use super::sink::{OpenPack, PACK_TARGET};
use super::unused::{Times, Unused};
use super::{Index, Store, StoreError, codec, lock};
use crate::files::{self, FileLock, Wait};
use crate::id::PackId;

/// Entries that are checked at once, on all processors, before they are written.
const AT_ONCE: usize = 256;
/// Entries of new packs that are held before they go to the index.
const HELD: usize = 1 << 18;

/// Packs that were written anew, and good copies of what must not be lost with an old pack.
#[derive(Debug, Default)]
pub struct Rewritten {
    /// The new packs.
    pub packs: BTreeSet<PackId>,
    /// Their bytes.
    pub bytes: u64,
    /// Where a copy is that was checked, of entries that are in no new pack.
    checked: HashMap<Key, PackId>,
}

impl Rewritten {
    /// Whether one of the packs in which `index` knows an entry is new, or has it as it was checked; `stays` says which
    /// packs count.
    fn has_good(&self, index: &Index, key: &Key, stays: impl Fn(&PackId) -> bool) -> bool {
        let checked = self.checked.get(key);
        let is_good = |pack: &PackId| stays(pack) && (self.packs.contains(pack) || checked == Some(pack));
        index.find(key).iter().any(|copy| is_good(&copy.pack))
    }
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
    /// The first half of what a plan says: writes new packs with what is needed of old ones, and makes sure that what is
    /// there twice is good where it stays. `progress` is told of bytes. Others may write meanwhile.
    pub fn rewrite_packs(&self, plan: &PrunePlan, progress: &(dyn Fn(u64) + Sync)) -> Result<Rewritten, StoreError> {
        let _lock = self.lock_shared()?;
        let mut new = NewPackWriter {
            store: self,
            open: None,
            modified: None,
            known: NewPacks::new(),
            unused: plan.unused.clone(),
            rewritten: Rewritten::default(),
        };
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
                    new.add(entry, stored, plan.unused.since(&planned.id, *number), planned.modified)?;
                }
            }
        }
        let mut rewritten = new.finish()?;
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
                if (is_unused && planned.may_lose(number)) || rewritten.has_good(&index, &key, |_| true) {
                    continue;
                }
                for copy in index.find(&key).into_iter().filter(|copy| !going.contains(&copy.pack)) {
                    let file = self.open_pack(&copy.pack)?;
                    if read_good(&file, &copy.entry).is_some() {
                        rewritten.checked.insert(key, copy.pack);
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

    fn entries_of(&self, pack: &PackId) -> Result<Vec<PackEntry>, StoreError> {
        let what = self.pack_path(pack).display().to_string();
        let file = self.open_pack(pack)?;
        match pack::read_footer(&file) {
            Ok(Ok(footer)) => Ok(footer.entries),
            Ok(Err(problem)) => Err(StoreError::Damaged { pack: *pack, problem }),
            Err(source) => Err(StoreError::Read { what, source }),
        }
    }
}

impl StoreAlone<'_> {
    /// The second half of what a plan says: removes packs. `live` has what is needed by now; a pack stays if any of that
    /// would go with it.
    pub fn remove_packs(self, plan: &PrunePlan, rewritten: &Rewritten, live: &Live) -> Result<Removed, StoreError> {
        let store = self.store;
        let (listed, index) = (store.list_packs()?, store.index()?);
        let mut removed = Removed::default();
        // An earlier collection that was killed may have written the very pack that this one has written again.
        let is_meant = |pack: &&PlannedPack| listed.contains_key(&pack.id) && !rewritten.packs.contains(&pack.id);
        let mut going: BTreeMap<PackId, &PlannedPack> =
            plan.going().filter(is_meant).map(|pack| (pack.id, pack)).collect();
        for planned in plan.going().filter(is_meant) {
            let stays = |copy: &PackId| listed.contains_key(copy) && !going.contains_key(copy);
            let is_safe = |number: usize, key: &Key| {
                (planned.may_lose(number) && !live.has(key)) || rewritten.has_good(&index, key, stays)
            };
            let entries = store.entries_of(&planned.id);
            // A writer that found something in it has given it another time.
            let modified = fs::metadata(&listed[&planned.id]).and_then(|metadata| metadata.modified());
            let may_go = modified.is_ok_and(|modified| modified == planned.modified)
                && entries.is_ok_and(|entries| {
                    entries.iter().enumerate().all(|(number, entry)| is_safe(number, &entry.header.key))
                });
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

/// A pack that is being written, since when each entry of it is unused, and which entries it has.
#[derive(Default)]
struct Open {
    times: Vec<Option<i64>>,
    keys: HashSet<Key>,
}

/// Writes entries as they are stored into as many new packs as they need.
struct NewPackWriter<'s> {
    store: &'s Store,
    open: Option<(OpenPack, Open)>,
    /// The newest pack that something came from since the last pack was closed.
    modified: Option<SystemTime>,
    /// New packs that the index does not know yet.
    known: NewPacks,
    unused: Unused,
    rewritten: Rewritten,
}

impl NewPackWriter<'_> {
    fn add(
        &mut self,
        entry: &PackEntry,
        stored: Bytes,
        since: Option<i64>,
        modified: SystemTime,
    ) -> Result<(), StoreError> {
        let (pack, open) = match &mut self.open {
            Some(open) => open,
            empty => empty.insert((OpenPack::new(&self.store.packs_dir())?, Open::default())),
        };
        self.modified = self.modified.max(Some(modified));
        // Two packs may have had it, and neither is unused for long enough.
        if !open.keys.insert(entry.header.key) {
            return Ok(());
        }
        open.times.push(since);
        if let Some(batch) = pack.append(entry.header, stored) {
            batch.write()?;
        }
        if pack.bytes() >= PACK_TARGET { self.publish() } else { Ok(()) }
    }

    /// Closes the pack that is being written, and makes it one of the store's.
    fn publish(&mut self) -> Result<(), StoreError> {
        let Some((pack, Open { times, .. })) = self.open.take() else { return Ok(()) };
        let modified = self.modified.take().unwrap_or(SystemTime::UNIX_EPOCH);
        let sealed = pack.close().write_and_seal()?;
        let place = self.store.pack_path(&sealed.id);
        sealed.draft.publish(&place)?;
        // What moves is as old as it was. If that cannot be said, it only stays longer.
        let _ = File::open(&place).and_then(|file| file.set_modified(modified));
        self.unused.set(sealed.id, Times::of(&times));
        self.rewritten.packs.insert(sealed.id);
        self.rewritten.bytes += sealed.bytes;
        self.known.insert(sealed.id, sealed.entries);
        if self.known.values().map(Vec::len).sum::<usize>() >= HELD { self.tell_index() } else { Ok(()) }
    }

    fn tell_index(&mut self) -> Result<(), StoreError> {
        if !self.known.is_empty() {
            files::sync_dir(&self.store.packs_dir())?;
        }
        self.store.refresh(std::mem::take(&mut self.known)).map(drop)
    }

    fn finish(mut self) -> Result<Rewritten, StoreError> {
        self.publish()?;
        self.tell_index()?;
        self.unused.save(&self.store.unused_path(), &self.store.index_dir())?;
        Ok(self.rewritten)
    }
}
