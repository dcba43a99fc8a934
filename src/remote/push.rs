//! Sending artifacts to a remote.
//!
//! Packs go first and the index that names them last, so that a push that is cut off leaves nothing half visible. The
//! packs that are sent follow from what is missing alone: the next push makes the same ones and finds those that
//! arrived.
//!
//! A collector may be at work meanwhile. It marks a pack a good while before it removes it, and this looks at the
//! marks and at the indexes once more before it publishes its own: what it counted on and is marked or gone by then is
//! sent again, in a pack of another name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;

use super::layout::{self, PACKS, index_name, pack_name, pack_of};
use super::view::{self, View};
use super::{OWN_STORE, Remote, RemoteError, Transferred, index, parallel};
use crate::id::{ArtifactId, Digest, PackId};
use crate::store::{
    HEADER_LEN, Index, Key, Location, PACK_TARGET, Store, StoreError, Stored, footer_of, pack_size, plain_chunk,
};
use crate::track::Progress;

/// How often what was sent may be gone when it is about to be published.
const ROUNDS: u32 = 8;

/// The entries that artifacts consist of.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// The keys of all files, one file's after the other's.
    keys: Vec<Key>,
    /// Where a file's keys are.
    files: HashMap<Digest, (usize, usize)>,
    /// The files of each artifact, its manifest among them.
    artifacts: Vec<(ArtifactId, Vec<Digest>)>,
    /// Artifacts that are not whole here.
    incomplete: Vec<ArtifactId>,
}

impl Needs {
    /// What the artifacts consist of in `store`. Each manifest is read once, and each file looked up once.
    pub(super) fn of(store: &Store, index: &Index, artifacts: &[ArtifactId]) -> Result<Self, RemoteError> {
        let mut needs = Self::default();
        let mut absent = HashSet::new();
        for artifact in artifacts {
            let manifest_digest = artifact.manifest_digest();
            if !needs.add_file(store, index, &manifest_digest, &mut absent)? {
                needs.incomplete.push(*artifact);
                continue;
            }
            let manifest = store.manifest(artifact)?;
            let mut files = Vec::with_capacity(manifest.entries().len() + 1);
            files.push(manifest_digest);
            let mut is_whole = true;
            for entry in manifest.entries() {
                is_whole &= needs.add_file(store, index, &entry.digest, &mut absent)?;
                files.push(entry.digest);
            }
            match is_whole {
                true => needs.artifacts.push((*artifact, files)),
                false => needs.incomplete.push(*artifact),
            }
        }
        Ok(needs)
    }

    /// Notes the keys of a file; false if some of it is not here.
    fn add_file(
        &mut self,
        store: &Store,
        index: &Index,
        file: &Digest,
        absent: &mut HashSet<Digest>,
    ) -> Result<bool, RemoteError> {
        if self.files.contains_key(file) || absent.contains(file) {
            return Ok(!absent.contains(file));
        }
        let keys = match store.keys_of(file) {
            Ok(keys) if keys.iter().all(|key| index.contains(key)) => keys,
            Ok(_) | Err(StoreError::Missing { .. }) => {
                absent.insert(*file);
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let start = self.keys.len();
        self.keys.extend(keys);
        self.files.insert(*file, (start, self.keys.len()));
        Ok(true)
    }

    fn keys_of(&self, file: &Digest) -> &[Key] {
        self.files.get(file).map_or(&[], |(start, end)| &self.keys[*start..*end])
    }

    /// The entries that `is_there` lacks, each once.
    fn missing(&self, is_there: impl Fn(&Key) -> bool) -> Vec<Key> {
        let files = self.artifacts.iter().flat_map(|(_, files)| files);
        let mut seen = HashSet::new();
        let keys = files.filter(|file| seen.insert(**file)).flat_map(|file| self.keys_of(file));
        let lacking: HashSet<Key> = keys.filter(|key| !is_there(key)).copied().collect();
        lacking.into_iter().collect()
    }

    /// The artifacts of which `is_there` has every entry.
    pub(super) fn whole(&self, is_there: impl Fn(&Key) -> bool) -> Vec<ArtifactId> {
        let has_file = |file: &Digest| self.keys_of(file).iter().all(&is_there);
        self.artifacts.iter().filter(|(_, files)| files.iter().all(has_file)).map(|(artifact, _)| *artifact).collect()
    }
}

/// A pack that is to be sent.
#[derive(Debug)]
struct Outgoing {
    id: PackId,
    bytes: u64,
    footer: Vec<u8>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A pack of the store, as it is.
    Whole(PathBuf),
    /// Entries out of packs of the store, after one that only gives the pack another name.
    Gathered { mark: Option<Stored>, entries: Vec<Location> },
}

/// Packs that are sent and not published, by what is in them.
#[derive(Debug, Default)]
struct Sent {
    packs: BTreeMap<PackId, (u64, Vec<u8>)>,
    keys: HashMap<Key, PackId>,
}

impl Sent {
    fn add(&mut self, pack: Outgoing) -> Result<(), RemoteError> {
        for index in index::parse_footers(&[&pack.footer]) {
            self.keys.extend(index.entries.iter().map(|entry| (entry.header.key, pack.id)));
        }
        self.packs.insert(pack.id, (pack.bytes, pack.footer));
        Ok(())
    }

    /// Forgets packs that are not there any more, or not for long.
    fn retain(&mut self, stays: impl Fn(&PackId, u64) -> bool) {
        self.packs.retain(|pack, (bytes, _)| stays(pack, *bytes));
        let packs = &self.packs;
        self.keys.retain(|_, pack| packs.contains_key(pack));
    }
}

impl Remote {
    /// Sends artifacts from `store`.
    pub fn push(
        &self,
        store: &Store,
        artifacts: &[ArtifactId],
        progress: &dyn Progress,
    ) -> Result<Transferred, RemoteError> {
        let _hold = store.hold()?;
        let local = store.snapshot()?;
        let needs = Needs::of(store, &local, artifacts)?;
        let mut transferred = Transferred::default();
        let mut sent = Sent::default();
        for round in 0.. {
            let view = self.look()?;
            let listed = if round == 0 { HashMap::new() } else { self.list_packs()? };
            sent.retain(|pack, bytes| listed.get(pack) == Some(&bytes) && !view.is_doomed(pack));
            let missing = needs.missing(|key| view.keeps(key) || sent.keys.contains_key(key));
            if round == 0 {
                transferred.artifacts = needs.artifacts.len() - needs.whole(|key| view.keeps(key)).len();
            }
            if missing.is_empty() && sent.packs.is_empty() {
                break;
            }
            if missing.is_empty() {
                // What a collector marked since the look above is seen by the next one.
                self.publish(&sent)?;
                sent = Sent::default();
                continue;
            }
            if round >= ROUNDS {
                return Err(RemoteError::Unsteady { name: self.name.clone() });
            }
            self.send(store, &local, missing, &view, &mut sent, &mut transferred, progress)?;
        }
        let whole: Vec<ArtifactId> = needs.artifacts.iter().map(|(artifact, _)| *artifact).collect();
        self.remember_whole(&whole);
        // Who works on a part of the data has no need to fetch the rest before pushing.
        let mut missing = Vec::new();
        for artifact in needs.incomplete {
            if !self.has(store, &artifact)? {
                missing.push(artifact);
            }
        }
        match missing.first() {
            Some(first) => {
                let (missing, place) = (missing.len(), OWN_STORE.to_owned());
                Err(RemoteError::Missing { missing, place, first: *first })
            }
            None => Ok(transferred),
        }
    }

    /// The packs at the place, published or not, with their sizes.
    fn list_packs(&self) -> Result<HashMap<PackId, u64>, RemoteError> {
        let listed = self.objects.list(PACKS)?.into_iter();
        Ok(listed.filter_map(|listed| Some((pack_of(&listed.name)?, listed.size))).collect())
    }

    /// Sends packs with the entries that are missing.
    #[allow(clippy::too_many_arguments, reason = "they are what a push consists of")]
    fn send(
        &self,
        store: &Store,
        local: &Index,
        missing: Vec<Key>,
        view: &View,
        sent: &mut Sent,
        transferred: &mut Transferred,
        progress: &dyn Progress,
    ) -> Result<(), RemoteError> {
        let packs = plan(store, local, missing, view)?;
        let there = self.list_packs()?;
        let (arrived, packs): (Vec<_>, Vec<_>) =
            packs.into_iter().partition(|pack| there.get(&pack.id) == Some(&pack.bytes));
        for pack in arrived {
            sent.add(pack)?;
        }
        progress.start(&format!("pushing to {}", self.name), Some(packs.iter().map(|pack| pack.bytes).sum()));
        let pace = |bytes: u64| {
            self.limit.wait(bytes);
            progress.advance(bytes);
        };
        let done = Mutex::new(Vec::new());
        let uploaded = parallel::for_each(packs, self.objects.at_once(), |pack| {
            let name = pack_name(&pack.id);
            match &pack.source {
                Source::Whole(path) => {
                    check_before_sending(store, &pack.id)?;
                    self.objects.put_file(&name, path, &pace)?;
                }
                Source::Gathered { mark, entries } => {
                    let mut draft = store.passing_pack()?;
                    if let Some(stored) = mark {
                        draft.append(&stored.header, &stored.bytes)?;
                    }
                    for location in entries {
                        let stored = store.stored(location)?;
                        draft.append(&stored.header, &stored.bytes)?;
                    }
                    let (draft, id, _) = draft.complete()?;
                    debug_assert_eq!(id, pack.id);
                    self.objects.put_file(&name, draft.path(), &pace)?;
                }
            }
            super::lock(&done).push(pack);
            Ok::<_, RemoteError>(())
        });
        progress.finish();
        uploaded?;
        for pack in done.into_inner().unwrap_or_default() {
            transferred.packs += 1;
            transferred.bytes += pack.bytes;
            sent.add(pack)?;
        }
        Ok(())
    }

    /// Makes packs that were sent visible.
    fn publish(&self, sent: &Sent) -> Result<(), RemoteError> {
        let mut footers: Vec<&[u8]> = Vec::new();
        let mut gathered = 0;
        let mut groups = Vec::new();
        for (_, footer) in sent.packs.values() {
            footers.push(footer);
            gathered += footer.len();
            if gathered >= index::TARGET {
                groups.push(std::mem::take(&mut footers));
                gathered = 0;
            }
        }
        groups.push(footers);
        for footers in groups.iter().filter(|footers| !footers.is_empty()) {
            let (name, bytes) = index::encode(footers);
            if let Some(cache) = self.cache.as_deref().filter(|_| !self.objects.is_near()) {
                view::keep(cache, &name, &bytes);
            }
            self.objects.put(&index_name(&name), bytes.into())?;
        }
        self.forget_view();
        layout::write_catalog(&*self.objects)?;
        Ok(())
    }
}

/// The packs to send: those of the store of which most is missing, as they are, and the rest in packs of its own.
fn plan(store: &Store, local: &Index, missing: Vec<Key>, view: &View) -> Result<Vec<Outgoing>, RemoteError> {
    let sizes: HashMap<PackId, u64> = store.packs()?.into_iter().map(|pack| (pack.id, pack.bytes)).collect();
    let mut by_pack: BTreeMap<PackId, Vec<Location>> = BTreeMap::new();
    for key in missing {
        if let Some(location) = local.find(&key).first() {
            by_pack.entry(location.pack).or_default().push(*location);
        }
    }
    let mut outgoing = Vec::new();
    let mut rest = Vec::new();
    for (id, mut entries) in by_pack {
        let whole = match super::is_most(&entries, sizes.get(&id).copied()) && !view.is_doomed(&id) {
            true => store.pack_footer(&id)?,
            false => None,
        };
        match (whole, sizes.get(&id)) {
            (Some((path, footer)), Some(bytes)) => {
                outgoing.push(Outgoing { id, bytes: *bytes, footer, source: Source::Whole(path) });
            }
            _ => {
                entries.sort_unstable_by_key(|location| location.entry.offset);
                rest.append(&mut entries);
            }
        }
    }
    let mut group = Vec::new();
    let mut bytes = 0;
    for location in rest {
        bytes += HEADER_LEN as u64 + u64::from(location.entry.header.stored_len);
        group.push(location);
        if bytes >= PACK_TARGET {
            outgoing.push(gathered(std::mem::take(&mut group), view));
            bytes = 0;
        }
    }
    if !group.is_empty() {
        outgoing.push(gathered(group, view));
    }
    Ok(outgoing)
}

/// A pack of these entries, with a name that no pack has that will be removed.
fn gathered(entries: Vec<Location>, view: &View) -> Outgoing {
    let mut marks = std::iter::once(None).chain((1u64..).map(|number| Some(plain_chunk(&number.to_le_bytes()))));
    loop {
        let mark = marks.next().flatten();
        let own = entries.iter().map(|location| location.entry.header);
        let headers: Vec<_> = mark.iter().map(|stored| stored.header).chain(own).collect();
        let (footer, id) = footer_of(headers.iter().copied());
        if !view.is_doomed(&id) {
            let bytes = pack_size(headers.iter());
            return Outgoing { id, bytes, footer, source: Source::Gathered { mark, entries } };
        }
    }
}

/// Damage is not spread.
fn check_before_sending(store: &Store, pack: &PackId) -> Result<(), RemoteError> {
    match store.check_pack(pack)?.into_iter().next() {
        Some(damage) => Err(RemoteError::Damaged { pack: *pack, place: OWN_STORE.to_owned(), problem: damage.problem }),
        None => Ok(()),
    }
}
