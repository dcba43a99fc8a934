//! Content: packs, and reading every byte of every file.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use rayon::prelude::*;

use crate::id::{Digest, PackId};
use crate::registry::RegistryError;
use crate::store::{Damage, PackInfo, Proof, StoreError, copy};
use crate::track::Progress;

use super::artifacts::{Inventory, file_name, findings_by_file, full_label, way_back};
use super::{Code, Inspection};
use crate::words::error_in_a_line;

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
    /// Checks artifacts and packs: by the index alone, or by reading all of it.
    pub(super) fn check_content(
        &mut self,
        everything: bool,
        deep: bool,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let mut inventory = self.take_inventory();
        self.report_inventory(&mut inventory);
        let mut packs = self.workspace.store.packs()?;
        if !everything {
            let used = self.packs_used(&inventory);
            packs.retain(|pack| used.contains_key(&pack.id));
        }
        if !deep {
            return self.probe_packs(&packs);
        }
        let files: BTreeMap<Digest, u64> = inventory
            .iter()
            .filter_map(|artifact| artifact.manifest.as_ref())
            .flat_map(|manifest| manifest.entries())
            .map(|entry| (entry.digest, entry.size))
            .collect();
        let total = files
            .values()
            .chain(packs.iter().map(|pack| &pack.bytes))
            .fold(0, |sum: u64, size| sum.saturating_add(*size));
        progress.start("verifying", Some(total));
        let damages = self.check_packs(&packs, progress);
        let outcomes = self.read_files(&files, progress);
        progress.finish();
        self.report_files(&inventory, &outcomes);
        self.report_packs(&inventory, &damages);
        Ok(())
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

    fn report_files(&mut self, inventory: &[Inventory], outcomes: &HashMap<Digest, Outcome>) {
        for artifact in inventory {
            let back = way_back(self.uses.get(&artifact.id).map_or(&[][..], Vec::as_slice));
            let hint = format!("`git ml fsck --deep` takes the damage out of use; then, {back}");
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
            self.findings.extend(findings_by_file(artifact, &judge, &hint));
        }
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
