//! Collecting garbage on a remote, while others push to it and nobody holds a lock.
//!
//! It takes two calls with a grace period in between. The first *marks* packs that nothing needs. Whoever pushes takes
//! what only marked packs have for missing, so nothing new comes to rest on them; and what was pushed before has the
//! grace period to be published in git and so to be seen. The second call looks again, and what is still not needed goes:
//! out of the indexes first, then itself, then its mark. All times are those of the place's own clock.
//!
//! Architecture invariant: a pack is removed from a remote only if its mark is older than the grace period, it is not
//! needed by anything that is known then, and no index names it any more.

mod needs;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use super::layout::{self, DOOMED, PACKS, doomed_name, doomed_of, index_name, pack_name, pack_of};
use super::view::View;
use super::{Remote, RemoteError, entries, index};
use crate::id::{ArtifactId, Digest, PackId};
use crate::store::{Key, Location, PACK_TARGET, Store};
use crate::track::Progress;

/// Where an object is written to learn the time by the place's own clock.
const CLOCK: &str = "clock";
/// Seconds after which what a collector wrote there is left over.
const LEFT_OVER: i64 = 24 * 3600;
/// How often indexes that name removed packs are replaced, if others put such in place again and again.
const ROUNDS: u32 = 8;

/// How to collect on a remote.
#[derive(Debug, Clone, Copy)]
pub struct RemoteOptions {
    /// How long a pack stays after it was written, and again after it was marked.
    pub grace: Duration,
    /// The share of a pack that has to be unused before what is in use moves to another.
    pub rewrite_from: f64,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

/// What a collection on a remote did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteCollected {
    /// Packs at the place, and their bytes.
    pub packs: (usize, u64),
    /// Bytes of what is needed.
    pub used: u64,
    /// Packs that were marked now, and their bytes.
    pub marked: (usize, u64),
    /// Packs that were marked before and wait, and their bytes.
    pub waiting: (usize, u64),
    /// Packs whose mark was taken away, since something needs them.
    pub revived: usize,
    /// Packs of which the part in use moved to another, and the bytes that moved.
    pub rewritten: (usize, u64),
    /// Packs that were removed, and their bytes.
    pub removed: (usize, u64),
    /// Packs that indexes name and that are not there.
    pub lost: usize,
    /// Artifacts that something names and that the remote does not have whole.
    pub not_whole: usize,
}

/// A pack at the place.
#[derive(Debug)]
struct FoundPack {
    id: PackId,
    bytes: u64,
    /// Seconds since it was written.
    age: i64,
    /// Seconds since it was marked; none if it is not.
    marked: Option<i64>,
    /// Bytes of entries that are needed and that count as being in this pack.
    used: u64,
    /// Whether an index names it.
    is_indexed: bool,
}

impl Remote {
    /// Collects what none of `artifacts` needs. They have to be all that anybody names, seen just now.
    pub fn collect(
        &self,
        store: &Store,
        artifacts: &[ArtifactId],
        options: &RemoteOptions,
        progress: &dyn Progress,
    ) -> Result<RemoteCollected, RemoteError> {
        if !self.objects.tells_times() {
            return Err(RemoteError::NoTimes { name: self.name.clone() });
        }
        let _hold = store.hold()?;
        progress.start("looking at what is in use", None);
        let now = self.clock()?;
        let view = self.look()?;
        if let Some((object, problem)) = view.damaged() {
            let (object, problem) = (object.clone(), problem.clone());
            return Err(RemoteError::DamagedIndex { place: self.place(), object, problem });
        }
        let (needed, not_whole) = needs::find(self, store, &view, artifacts)?;
        let mut found = self.find_packs(&view, now)?;
        let homes = assign(&mut found, &view, &needed);
        let mut done = RemoteCollected { not_whole, ..RemoteCollected::default() };
        done.packs = (found.len(), found.iter().map(|pack| pack.bytes).sum());
        done.used = found.iter().map(|pack| pack.used).sum();
        let there: HashSet<PackId> = found.iter().map(|pack| pack.id).collect();
        let lost: BTreeSet<PackId> = view.packs().keys().filter(|pack| !there.contains(pack)).copied().collect();
        done.lost = lost.len();

        let grace = i64::try_from(options.grace.as_secs()).unwrap_or(i64::MAX);
        let (mut going, mut rewrite) = (lost, Vec::new());
        for pack in &found {
            match pack.marked {
                Some(_) if pack.used > 0 => {
                    done.revived += 1;
                    if !options.dry_run {
                        self.objects.remove(&doomed_name(&pack.id))?;
                    }
                }
                Some(age) if age >= grace && pack.age >= grace => {
                    done.removed = (done.removed.0 + 1, done.removed.1 + pack.bytes);
                    going.insert(pack.id);
                }
                Some(_) => done.waiting = (done.waiting.0 + 1, done.waiting.1 + pack.bytes),
                None if pack.used == 0 && pack.age >= grace => {
                    done.marked = (done.marked.0 + 1, done.marked.1 + pack.bytes);
                    if !options.dry_run {
                        self.objects.put(&doomed_name(&pack.id), Bytes::new())?;
                    }
                }
                None if pack.age >= grace && pack.is_worth_rewriting(options.rewrite_from) => rewrite.push(pack.id),
                None => {}
            }
        }
        done.rewritten = (rewrite.len(), found.iter().filter(|pack| rewrite.contains(&pack.id)).map(|p| p.used).sum());
        progress.finish();
        if !options.dry_run {
            self.rewrite(store, &rewrite, &homes, progress)?;
            self.remove_packs(&going, &there)?;
            self.remove_old_marks(&there, now, grace)?;
            self.forget_view();
        }
        Ok(done)
    }

    /// The time by the place's own clock, in seconds since 1970.
    fn clock(&self) -> Result<i64, RemoteError> {
        let name = format!("{CLOCK}/{}", Digest::of(&std::process::id().to_le_bytes()).short());
        self.objects.put(&name, Bytes::from_static(b"git ml gc\n"))?;
        let listed = self.objects.list(CLOCK)?;
        self.objects.remove(&name)?;
        let own = listed.iter().find(|listed| listed.name == name);
        let now = own.and_then(|own| own.modified).ok_or_else(|| RemoteError::NoTimes { name: self.name.clone() })?;
        for left in listed.iter().filter(|left| left.modified.is_some_and(|time| now - time > LEFT_OVER)) {
            self.objects.remove(&left.name)?;
        }
        Ok(now)
    }

    fn find_packs(&self, view: &View, now: i64) -> Result<Vec<FoundPack>, RemoteError> {
        let no_times = || RemoteError::NoTimes { name: self.name.clone() };
        let mut marks = HashMap::new();
        for listed in self.objects.list(DOOMED)? {
            if let Some(pack) = doomed_of(&listed.name) {
                marks.insert(pack, now.saturating_sub(listed.modified.ok_or_else(no_times)?));
            }
        }
        let mut found = Vec::new();
        for listed in self.objects.list(PACKS)? {
            let Some(id) = pack_of(&listed.name) else { continue };
            let age = now.saturating_sub(listed.modified.ok_or_else(no_times)?);
            let (marked, is_indexed) = (marks.get(&id).copied(), view.packs().contains_key(&id));
            found.push(FoundPack { id, bytes: listed.size, age, marked, used: 0, is_indexed });
        }
        found.sort_unstable_by_key(|pack| pack.id);
        Ok(found)
    }

    /// Moves what is in use of these packs to new ones, and marks them. They go when the grace period is over.
    fn rewrite(
        &self,
        store: &Store,
        packs: &[PackId],
        homes: &HashMap<Key, Location>,
        progress: &dyn Progress,
    ) -> Result<(), RemoteError> {
        let packs: HashSet<&PackId> = packs.iter().collect();
        let mut wanted: Vec<Location> = homes.values().filter(|home| packs.contains(&home.pack)).copied().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        wanted.sort_unstable_by_key(|location| (location.pack, location.entry.offset));
        progress
            .start("moving what is in use", Some(wanted.iter().map(|it| u64::from(it.entry.header.stored_len)).sum()));
        let mut footers = Vec::new();
        let mut rest = &wanted[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let count = rest.iter().take_while(|location| {
                bytes += u64::from(location.entry.header.stored_len);
                bytes <= PACK_TARGET
            });
            let count = count.count().max(1);
            let mut draft = store.passing_pack()?;
            let pace = |bytes| self.limit.wait(bytes);
            entries::read(&*self.objects, &self.place(), rest[..count].to_vec(), &pace, &mut |_, stored| {
                progress.advance(stored.bytes.len() as u64);
                Ok(draft.append(&stored.header, &stored.bytes)?)
            })?;
            let (draft, id, entries) = draft.complete()?;
            self.objects.put_file(&pack_name(&id), draft.path(), &pace)?;
            footers.push(entries.iter().flat_map(|entry| entry.header.to_bytes()).collect::<Vec<u8>>());
            rest = &rest[count..];
        }
        self.publish_footers(&footers)?;
        for pack in packs {
            self.objects.put(&doomed_name(pack), Bytes::new())?;
        }
        progress.finish();
        Ok(())
    }

    /// Publishes indexes of packs with these footers; their names.
    fn publish_footers(&self, footers: &[Vec<u8>]) -> Result<BTreeSet<Digest>, RemoteError> {
        let mut names = BTreeSet::new();
        let mut group: Vec<&[u8]> = Vec::new();
        let mut bytes = 0;
        for (number, footer) in footers.iter().enumerate() {
            group.push(footer);
            bytes += footer.len();
            if bytes >= index::TARGET || number + 1 == footers.len() {
                let (name, content) = index::encode(&std::mem::take(&mut group));
                self.objects.put(&index_name(&name), content.into())?;
                names.insert(name);
                bytes = 0;
            }
        }
        layout::write_catalog(&*self.objects)?;
        Ok(names)
    }

    /// Removes packs: out of the indexes, then themselves, then their marks. A mark stays until no index names its pack,
    /// or somebody might count on what is gone.
    fn remove_packs(&self, going: &BTreeSet<PackId>, there: &HashSet<PackId>) -> Result<(), RemoteError> {
        let marked: HashSet<PackId> =
            self.objects.list(DOOMED)?.iter().filter_map(|listed| doomed_of(&listed.name)).collect();
        // Another collector knew of a need and took the mark away.
        let is_wanted = |pack: &&PackId| there.contains(pack) && !marked.contains(pack);
        let going: &BTreeSet<PackId> = &going.iter().filter(|pack| !is_wanted(pack)).copied().collect();
        if going.is_empty() {
            return Ok(());
        }
        self.replace_indexes(going)?;
        for pack in going.iter().filter(|pack| there.contains(pack)) {
            self.objects.remove(&pack_name(pack))?;
        }
        // Another collector may have put a pack into an index of its own meanwhile.
        self.replace_indexes(going)?;
        for pack in going {
            self.objects.remove(&doomed_name(pack))?;
        }
        Ok(())
    }

    /// Makes sure that no index names any of these packs: puts others in place of those that do.
    fn replace_indexes(&self, going: &BTreeSet<PackId>) -> Result<(), RemoteError> {
        for _ in 0..ROUNDS {
            let view = self.look()?;
            if going.iter().all(|pack| !view.packs().contains_key(pack)) {
                return Ok(());
            }
            let mut kept: BTreeMap<PackId, Vec<u8>> = BTreeMap::new();
            let mut replaced = Vec::new();
            for name in view.indexes() {
                let object = index_name(name);
                let Some(size) = self.objects.size(&object)? else { continue };
                let packs = index::parse(name, &self.objects.read(&object, 0..size)?).map_err(|problem| {
                    RemoteError::DamagedIndex { place: self.place(), object: object.clone(), problem }
                })?;
                if packs.iter().all(|pack| !going.contains(&pack.id)) {
                    continue;
                }
                replaced.push(*name);
                for pack in packs.into_iter().filter(|pack| !going.contains(&pack.id)) {
                    kept.insert(pack.id, pack.entries.iter().flat_map(|entry| entry.header.to_bytes()).collect());
                }
            }
            let footers: Vec<Vec<u8>> = kept.into_values().collect();
            let new = self.publish_footers(&footers)?;
            for name in replaced.iter().filter(|name| !new.contains(name)) {
                self.objects.remove(&index_name(name))?;
            }
            layout::write_catalog(&*self.objects)?;
        }
        Err(RemoteError::Unsteady { name: self.name.clone() })
    }

    /// Removes marks on packs that have not been there for long.
    fn remove_old_marks(&self, there: &HashSet<PackId>, now: i64, grace: i64) -> Result<(), RemoteError> {
        for listed in self.objects.list(DOOMED)? {
            let Some(pack) = doomed_of(&listed.name).filter(|pack| !there.contains(pack)) else { continue };
            if listed.modified.is_some_and(|time| now.saturating_sub(time) >= grace) {
                let is_back = self.objects.size(&pack_name(&pack))?.is_some();
                if !is_back {
                    self.objects.remove(&listed.name)?;
                }
            }
        }
        Ok(())
    }
}

impl FoundPack {
    fn is_worth_rewriting(&self, share: f64) -> bool {
        self.is_indexed && self.used > 0 && (self.bytes - self.used.min(self.bytes)) as f64 > share * self.bytes as f64
    }
}

/// Decides for each needed entry in which pack it counts: in one that stays, where there is a choice, and then in the
/// largest. Packs that are not there have none.
fn assign(found: &mut [FoundPack], view: &View, needed: &HashSet<Key>) -> HashMap<Key, Location> {
    let rank: HashMap<PackId, (bool, std::cmp::Reverse<u64>)> =
        found.iter().map(|pack| (pack.id, (pack.marked.is_some(), std::cmp::Reverse(pack.bytes)))).collect();
    let mut homes: HashMap<Key, Location> = HashMap::new();
    for key in needed {
        let there = view.places(key).into_iter().filter(|location| rank.contains_key(&location.pack));
        if let Some(home) = there.min_by_key(|location| (rank[&location.pack], location.pack)) {
            homes.insert(*key, home);
        }
    }
    let mut used: HashMap<PackId, u64> = HashMap::new();
    for home in homes.values() {
        *used.entry(home.pack).or_default() +=
            crate::store::HEADER_LEN as u64 + u64::from(home.entry.header.stored_len);
    }
    for pack in found {
        pack.used = used.get(&pack.id).copied().unwrap_or_default();
    }
    homes
}

#[cfg(test)]
mod tests;
