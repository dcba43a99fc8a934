//! Content: packs, and reading what no digest of a chunk proves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};

use rayon::prelude::*;

use crate::id::{ArtifactId, Digest, PackId};
use crate::registry::RegistryError;
use crate::store::{Damage, PackInfo, Proof, StoreError, copy};
use crate::track::Progress;
use crate::words::error_in_a_line;

use super::artifacts::{Inventory, at_pointer_of, file_name, findings_by_file, full_label, way_back};
use super::memory::{Known, Stamp, now};
use super::{Code, Depth, Inspection};

/// What came of reading a file.
#[derive(Debug)]
enum Outcome {
    /// It reads, and has this many bytes.
    Reads(u64),
    /// A part of it is not there.
    Missing,
    /// It does not read.
    Fails { code: Code, problem: String },
}

impl Inspection<'_> {
    /// Checks artifacts and packs: by the index alone, what was not verified before, or all of it.
    pub(super) fn check_content(&mut self, everything: bool, progress: &dyn Progress) -> Result<(), RegistryError> {
        let started = now();
        let mut packs = self.workspace.store.packs()?;
        let stamps: BTreeMap<PackId, Stamp> =
            packs.iter().filter_map(|pack| Some((pack.id, Stamp::of(&pack.path)?))).collect();
        let trusted: BTreeSet<PackId> = match self.depth {
            Depth::Unproved => {
                let is_known = |(pack, stamp): &(&PackId, &Stamp)| self.memory.packs.get(pack) == Some(stamp);
                stamps.iter().filter(is_known).map(|(pack, _)| *pack).collect()
            }
            Depth::Index | Depth::Everything => BTreeSet::new(),
        };
        let mut inventory = self.take_inventory(&trusted);
        if !everything {
            packs.retain(|pack| inventory.iter().any(|artifact| artifact.packs.contains(&pack.id)));
        }
        if self.depth == Depth::Index {
            self.report_inventory(&mut inventory);
            return self.probe_packs(&packs);
        }
        packs.retain(|pack| !trusted.contains(&pack.id));
        let reads_anything = !packs.is_empty() || inventory.iter().any(|artifact| !artifact.mapped.is_empty());
        if reads_anything {
            let mapped = inventory.iter().flat_map(|artifact| artifact.mapped.iter().map(|(_, size)| size));
            let sizes = mapped.chain(packs.iter().map(|pack| &pack.bytes));
            progress.start("verifying", Some(sizes.fold(0, |sum: u64, size| sum.saturating_add(*size))));
        }
        let damages = self.check_packs(&packs, progress);
        // A good pack proves the chunks in it. What a map makes of them, only the whole file proves.
        let mut files: BTreeMap<Digest, u64> = BTreeMap::new();
        for artifact in inventory.iter().filter(|artifact| !artifact.is_recalled) {
            if artifact.packs.iter().any(|pack| damages.contains_key(pack)) {
                let entries = artifact.manifest.iter().flat_map(|manifest| manifest.entries());
                files.extend(entries.map(|entry| (entry.digest, entry.size)));
            } else {
                files.extend(artifact.mapped.iter().copied());
            }
        }
        let outcomes = self.read_files(&files, progress);
        if reads_anything {
            progress.finish();
        }
        self.report_files(&mut inventory, &outcomes);
        self.remember(&inventory, &packs, &damages, &stamps, started);
        self.report_inventory(&mut inventory);
        self.report_packs(&inventory, &damages);
        Ok(())
    }

    /// Moves the findings of the inventory to the report, and says which packs went with what is missing.
    fn report_inventory(&mut self, inventory: &mut [Inventory]) {
        let mut gone: BTreeMap<PackId, Vec<String>> = BTreeMap::new();
        for artifact in inventory {
            // Where only what a run read is missing, which is a warning, somebody may have let the pack go.
            let is_missing = |code| matches!(code, Code::MissingArtifact | Code::MissingContent);
            if artifact.findings.iter().any(|finding| is_missing(finding.code)) {
                for pack in self.packs_gone_with(&artifact.id) {
                    gone.entry(pack).or_default().push(full_label(&artifact.label, &artifact.id));
                }
            }
            self.findings.append(&mut artifact.findings);
        }
        for (pack, held) in gone {
            let more = if held.len() > 1 { format!(" and {} more", held.len() - 1) } else { String::new() };
            let message = format!("pack {pack} was here when it was verified and is gone; it held {}{more}", held[0]);
            self.report(Code::MissingPack, format!("pack:{pack}"), message, pack_hint());
        }
    }

    /// The packs in which an artifact lay when it was verified, and which are not there any more.
    fn packs_gone_with(&self, artifact: &ArtifactId) -> Vec<PackId> {
        let present: BTreeSet<PackId> =
            self.workspace.store.packs().unwrap_or_default().into_iter().map(|pack| pack.id).collect();
        let packs = self.memory.artifacts.get(artifact).into_iter().flat_map(|known| &known.packs);
        packs.filter(|pack| !present.contains(pack)).copied().collect()
    }

    /// A quick look at each pack: that it is there, whole, and ends as packs do.
    fn probe_packs(&mut self, packs: &[PackInfo]) -> Result<(), RegistryError> {
        let store = &self.workspace.store;
        let probes: Vec<_> = packs.par_iter().map(|pack| (pack.id, store.probe_pack(&pack.id))).collect();
        for (pack, probe) in probes {
            let problem = match probe {
                Ok(None) => continue,
                Ok(Some(problem)) => problem,
                Err(error) => error_in_a_line(&error),
            };
            let message = format!("pack {pack} is damaged: {problem}");
            self.report(Code::DamagedPack, format!("pack:{pack}"), message, pack_hint());
        }
        Ok(())
    }

    fn check_packs(&self, packs: &[PackInfo], progress: &dyn Progress) -> BTreeMap<PackId, Vec<Damage>> {
        let store = &self.workspace.store;
        let check = |pack: &PackInfo| {
            let damages = store.check_pack(&pack.id).unwrap_or_else(|error| {
                vec![Damage { pack: pack.id, content: None, problem: error_in_a_line(&error) }]
            });
            progress.advance(pack.bytes);
            (!damages.is_empty()).then_some((pack.id, damages))
        };
        packs.par_iter().filter_map(check).collect()
    }

    /// Reads every file to its end, which compares the whole with its digest, and every chunk where that fails.
    fn read_files(&self, files: &BTreeMap<Digest, u64>, progress: &dyn Progress) -> HashMap<Digest, Outcome> {
        let store = &self.workspace.store;
        let read = |(digest, _): (&Digest, &u64)| {
            let copied = copy(store, digest, Proof::Whole, &mut Sink { progress });
            let outcome = match copied.or_else(|_| copy(store, digest, Proof::Chunks, &mut io::sink())) {
                Ok(bytes) => Outcome::Reads(bytes),
                Err(StoreError::Missing { .. }) => Outcome::Missing,
                Err(StoreError::Damaged { pack, problem }) => {
                    Outcome::Fails { code: Code::DamagedChunk, problem: format!("pack {pack} is damaged: {problem}") }
                }
                Err(error) => Outcome::Fails { code: Code::UnreadableContent, problem: error_in_a_line(&error) },
            };
            (*digest, outcome)
        };
        files.par_iter().map(read).collect()
    }

    fn report_files(&mut self, inventory: &mut [Inventory], outcomes: &HashMap<Digest, Outcome>) {
        for artifact in inventory {
            let uses = self.uses.get(&artifact.id).map_or(&[][..], Vec::as_slice);
            let hint = format!("`git ml fsck --deep` takes the damage out of use; then, {}", way_back(uses));
            let judge = |entry: &crate::store::Entry| match outcomes.get(&entry.digest)? {
                Outcome::Reads(bytes) if *bytes == entry.size => None,
                Outcome::Reads(bytes) => {
                    let problem = format!("the manifest says {} bytes, its content has {bytes}", entry.size);
                    Some((Code::MalformedManifest, problem))
                }
                // By the index it is not there, which is reported already.
                Outcome::Missing => None,
                Outcome::Fails { code, problem } => Some((*code, problem.clone())),
            };
            let mut found = findings_by_file(artifact, &judge, &hint);
            // A file of one chunk was compared by the index already.
            found.retain(|finding| artifact.findings.iter().all(|known| known.message != finding.message));
            artifact.findings.extend(found.into_iter().map(|finding| at_pointer_of(finding, uses)));
        }
    }

    /// Keeps what was found whole for the next time.
    fn remember(
        &mut self,
        inventory: &[Inventory],
        checked: &[PackInfo],
        damages: &BTreeMap<PackId, Vec<Damage>>,
        stamps: &BTreeMap<PackId, Stamp>,
        started: i64,
    ) {
        for pack in checked {
            let stamp = stamps.get(&pack.id).filter(|stamp| {
                let stays = Stamp::of(&pack.path).as_ref() == Some(stamp);
                stays && stamp.is_proof_since(started) && !damages.contains_key(&pack.id)
            });
            match stamp {
                Some(stamp) => drop(self.memory.packs.insert(pack.id, *stamp)),
                None => drop(self.memory.packs.remove(&pack.id)),
            }
        }
        for artifact in inventory.iter().filter(|artifact| !artifact.is_recalled && artifact.findings.is_empty()) {
            let Some(size) = artifact.size else { continue };
            let known = Known {
                files: size.files,
                bytes: size.bytes,
                is_single_file: size.single_file == Some(true),
                packs: artifact.packs.clone(),
            };
            if known.packs.iter().all(|pack| self.memory.packs.contains_key(pack)) {
                self.memory.artifacts.insert(artifact.id, known);
            }
        }
        // What is gone and nobody names is no loss.
        let uses = &self.uses;
        let is_there = |pack: &PackId| stamps.contains_key(pack);
        self.memory.artifacts.retain(|id, known| uses.contains_key(id) || known.packs.iter().all(is_there));
        let named: BTreeSet<PackId> = self.memory.artifacts.values().flat_map(|known| &known.packs).copied().collect();
        self.memory.packs.retain(|pack, _| is_there(pack) || named.contains(pack));
    }

    fn report_packs(&mut self, inventory: &[Inventory], damages: &BTreeMap<PackId, Vec<Damage>>) {
        if damages.is_empty() {
            return;
        }
        let used = self.packs_used(inventory);
        for (pack, places) in damages {
            let Some(first) = places.first() else { continue };
            let more = match places.len() {
                1 => String::new(),
                count => format!(" (and {} more places)", count - 1),
            };
            let holds = match used.get(pack).map(Vec::as_slice) {
                None | Some([]) => "nothing that is known here uses it".to_owned(),
                Some([only]) => format!("it holds {only}"),
                Some([one, rest @ ..]) => format!("it holds {one} and {} more files", rest.len()),
            };
            let message = format!("pack {pack} is damaged: {}{more}; {holds}", first.problem);
            self.report(Code::DamagedPack, format!("pack:{pack}"), message, pack_hint());
        }
    }

    /// The files that each pack holds parts of, as `data/x (artifact 0123abcd), file a/b`.
    fn packs_used(&self, inventory: &[Inventory]) -> BTreeMap<PackId, Vec<String>> {
        let store = &self.workspace.store;
        let mut used: BTreeMap<PackId, Vec<String>> = BTreeMap::new();
        for artifact in inventory {
            let named = full_label(&artifact.label, &artifact.id);
            let entries = artifact.manifest.iter().flat_map(|manifest| manifest.entries());
            let files = entries.map(|entry| (entry.digest, file_name(entry)));
            // Files first: to know that a damaged pack holds a file says more than that it holds the manifest.
            for (digest, file) in files.chain([(artifact.id.manifest_digest(), "its manifest".to_owned())]) {
                let packs = match store.packs_of(&digest) {
                    Ok(packs) => packs,
                    // The list of its chunks is damaged: of its packs that one is known.
                    Err(StoreError::Damaged { pack, .. }) => vec![pack],
                    Err(_) => Vec::new(),
                };
                for pack in packs {
                    used.entry(pack).or_default().push(format!("{named}, {file}"));
                }
            }
        }
        used
    }
}

fn pack_hint() -> &'static str {
    "put a good copy of this pack from another clone in .git/ml/packs; or `git ml fsck --deep` keeps what is good in it"
}

/// Takes bytes, keeps none and counts them.
struct Sink<'p> {
    progress: &'p dyn Progress,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.progress.advance(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
