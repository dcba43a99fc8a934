//! Artifacts: manifests, what is said of them, and whether their files are in the store.

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::id::{ArtifactId, Digest, PackId};
use crate::store::{Entry, Manifest, StoreError};
use crate::track::name_clashes;
use crate::words::{count, error_in_a_line};

use super::{Claim, Code, Finding, Inspection, Role, Use};

/// How many files of an artifact get a finding of their own.
const MAX_FILES: usize = 20;

/// What there is of an artifact.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) id: ArtifactId,
    /// Its manifest; none where it cannot be read, or need not be because the artifact was verified before.
    pub(super) manifest: Option<Manifest>,
    /// How its first user names it.
    pub(super) label: String,
    /// How many files and bytes it has, and whether it is a single file.
    pub(super) size: Option<Claim>,
    /// Whether it was verified before, and its packs are what they were.
    pub(super) is_recalled: bool,
    /// The packs that it lies in.
    pub(super) packs: BTreeSet<PackId>,
    /// The files of several chunks, whose digest no chunk has.
    pub(super) mapped: Vec<(Digest, u64)>,
    pub(super) findings: Vec<Finding>,
}

impl Inspection<'_> {
    /// Looks for every artifact that something names, by the index alone. What was verified before and lies in `trusted`
    /// packs is not looked at again.
    pub(super) fn take_inventory(&mut self, trusted: &BTreeSet<PackId>) -> Vec<Inventory> {
        let this = &*self;
        let inventory: Vec<Option<Inventory>> =
            this.uses.par_iter().map(|(id, uses)| this.look_for(id, uses, trusted)).collect();
        self.elsewhere += inventory.iter().filter(|artifact| artifact.is_none()).count() as u64;
        let inventory: Vec<Inventory> = inventory.into_iter().flatten().collect();
        for artifact in &inventory {
            self.checked.artifacts += 1;
            if let Some(size) = &artifact.size {
                self.checked.files += size.files;
                self.checked.bytes = self.checked.bytes.saturating_add(size.bytes);
            }
        }
        inventory
    }

    /// What there is of an artifact; none where it is not here and need not be.
    fn look_for(&self, id: &ArtifactId, uses: &[Use], trusted: &BTreeSet<PackId>) -> Option<Inventory> {
        let label = uses.iter().min_by_key(|one| rank(one)).map(|one| one.target.clone()).unwrap_or_default();
        let mut artifact = Inventory {
            id: *id,
            manifest: None,
            label,
            size: None,
            is_recalled: false,
            packs: BTreeSet::new(),
            mapped: Vec::new(),
            findings: Vec::new(),
        };
        let known = self.memory.artifacts.get(id);
        if let Some(known) = known.filter(|known| known.packs.iter().all(|pack| trusted.contains(pack))) {
            artifact.size =
                Some(Claim { files: known.files, bytes: known.bytes, single_file: Some(known.is_single_file) });
            artifact.packs.clone_from(&known.packs);
            artifact.is_recalled = true;
        } else {
            let digest = id.manifest_digest();
            artifact.packs.extend(self.workspace.store.packs_of(&digest).unwrap_or_default());
            match self.workspace.store.manifest(id) {
                Ok(manifest) => {
                    artifact.size = Some(size_of(&manifest));
                    self.look_into(&mut artifact, uses, &manifest)?;
                    artifact.manifest = Some(manifest);
                }
                Err(StoreError::Missing { .. }) if self.may_be_elsewhere(id, uses) => return None,
                Err(error) => artifact.findings.push(no_manifest(&artifact.label, id, uses, &error)),
            }
        }
        if let Some(size) = artifact.size {
            artifact.findings.extend(uses.iter().filter_map(|one| self.contradiction(one, id, &size)));
        }
        Some(artifact)
    }

    /// Looks for the files of an artifact; none where some are not here and need not be.
    fn look_into(&self, artifact: &mut Inventory, uses: &[Use], manifest: &Manifest) -> Option<()> {
        let store = &self.workspace.store;
        let (id, label) = (artifact.id, artifact.label.clone());
        let mut missing = Vec::new();
        let mut wrong = Vec::new();
        for entry in manifest.entries() {
            match store.layout(&entry.digest) {
                Ok(layout) => {
                    artifact.packs.extend(layout.packs);
                    match layout.single_chunk {
                        _ if !layout.is_whole => missing.push(entry),
                        None => artifact.mapped.push((entry.digest, entry.size)),
                        Some(bytes) if bytes != entry.size => wrong.push((entry, bytes)),
                        Some(_) => {}
                    }
                }
                // The map is damaged: reading the file will say so.
                Err(StoreError::Damaged { pack, .. }) => {
                    artifact.packs.insert(pack);
                    artifact.mapped.push((entry.digest, entry.size));
                }
                Err(_) => missing.push(entry),
            }
        }
        if !missing.is_empty() && self.may_be_elsewhere(&id, uses) {
            return None;
        }
        artifact.findings.extend(missing_content(&label, &id, uses, manifest, &missing));
        let named = full_label(&label, &id);
        for clash in name_clashes(manifest.entries()) {
            let (code, differ) = match clash.is_of_case {
                true => (Code::CaseCollision, "differ in case alone: macOS and Windows take them for one"),
                false => {
                    (Code::FormCollision, "differ in the form of their characters alone: macOS takes them for one")
                }
            };
            let message = format!("{named}: {:?} and {:?} {differ}", clash.first, clash.second);
            let hint = "rename one of them and track the data again, or it cannot be checked out there";
            artifact.findings.push(Finding::new(code, &label, message, hint));
        }
        for (entry, bytes) in wrong.into_iter().take(MAX_FILES) {
            artifact.findings.push(wrong_size(&label, &named, entry, bytes));
        }
        Some(())
    }

    /// Whether nobody who names an artifact relies on having it here.
    fn may_be_elsewhere(&self, id: &ArtifactId, uses: &[Use]) -> bool {
        if let Some(remote) = self.remote {
            // What the remote lacks of pointers and versions was reported.
            return uses.iter().any(|one| one.role.is_wanted_of_remotes())
                || remote.has(&self.workspace.store, id).unwrap_or(false);
        }
        let was_here = self.memory.artifacts.contains_key(id);
        !was_here && uses.iter().all(|one| one.role == Role::Fetched)
    }

    /// Whether what somebody says of an artifact is not so.
    fn contradiction(&self, one: &Use, id: &ArtifactId, size: &Claim) -> Option<Finding> {
        let said = one.claim?;
        let is = Claim { single_file: said.single_file.and(size.single_file), ..*size };
        if said == is {
            return None;
        }
        let words = |claim: &Claim| match claim.single_file {
            Some(true) => format!("one file of {} bytes", claim.bytes),
            Some(false) => format!("a folder of {} and {} bytes", count(claim.files, "file"), claim.bytes),
            None => format!("{} and {} bytes", count(claim.files, "file"), claim.bytes),
        };
        let target = &one.target;
        let (said_words, is_words) = (words(&said), words(&is));
        let message = format!("{target} says that artifact {} is {said_words}, but it is {is_words}", id.short());
        if !matches!(one.role, Role::Pointer | Role::Committed) {
            let hint = "`git log --first-parent refs/ml/runs` shows who changed it";
            return Some(Finding::new(Code::OutputMismatch, target, message, hint));
        }
        let data = data_of(target);
        let hint = format!("somebody edited it: `git log -p -- {data}.mlref` shows who; do not use the data unseen");
        let finding = match self.artifact_of_size(id, &said) {
            Some(other) => {
                let message = format!("{message}; these are the numbers of artifact {}", other.short());
                Finding::new(Code::SwappedPointer, target, message, hint)
            }
            None => Finding::new(Code::PointerMismatch, target, message, hint),
        };
        Some(finding.at_pointer(data))
    }

    /// Another artifact that somebody names and that has just these numbers.
    fn artifact_of_size(&self, id: &ArtifactId, said: &Claim) -> Option<ArtifactId> {
        let is_meant = |other: &ArtifactId| {
            let size = match self.memory.artifacts.get(other) {
                Some(known) => {
                    Claim { files: known.files, bytes: known.bytes, single_file: Some(known.is_single_file) }
                }
                None => size_of(&self.workspace.store.manifest(other).ok()?),
            };
            (size == *said).then_some(*other)
        };
        self.uses.keys().filter(|other| *other != id).find_map(is_meant)
    }
}

/// The data that a target names: `data/x` of `HEAD:data/x`.
pub(super) fn data_of(target: &str) -> &str {
    target.rsplit_once(':').map_or(target, |(_, data)| data)
}

/// Pointers say best what an artifact is to people, then versions.
pub(super) fn rank(one: &Use) -> (u8, &str) {
    let rank = match one.role {
        Role::Asked => 0,
        Role::Pointer => 1,
        Role::Committed => 2,
        Role::Version => 3,
        Role::Output => 4,
        Role::Input => 5,
        Role::Fetched => 6,
    };
    (rank, &one.target)
}

fn size_of(manifest: &Manifest) -> Claim {
    Claim {
        files: manifest.entries().len() as u64,
        bytes: manifest.total_size(),
        single_file: Some(manifest.is_single_file()),
    }
}

/// How a file of an artifact is named in messages.
pub(super) fn file_name(entry: &Entry) -> String {
    entry.path.as_ref().map_or_else(|| "its only file".to_owned(), |path| format!("file {path}"))
}

/// `data/x (artifact 0123abcd)`
pub(super) fn full_label(label: &str, id: &ArtifactId) -> String {
    format!("{label} (artifact {})", id.short())
}

/// The way to bytes that this store lacks.
pub(super) fn way_back(uses: &[Use]) -> String {
    match uses.iter().find(|one| one.role == Role::Pointer) {
        Some(one) => {
            let path = &one.target;
            format!(
                "`git ml pull` fetches it from a remote; where the data is in the work tree, `git ml track {path}` stores it again"
            )
        }
        None => "`git ml pull` fetches it from a remote; else copy .git/ml/packs from a clone that has it".to_owned(),
    }
}

/// The finding, about the pointer that names the artifact where there is one.
pub(super) fn at_pointer_of(finding: Finding, uses: &[Use]) -> Finding {
    match uses.iter().find(|one| matches!(one.role, Role::Pointer | Role::Committed)) {
        Some(one) => finding.at_pointer(data_of(&one.target)),
        None => finding,
    }
}

fn no_manifest(label: &str, id: &ArtifactId, uses: &[Use], error: &StoreError) -> Finding {
    let only_read = uses.iter().all(|one| matches!(one.role, Role::Input | Role::Fetched));
    let named = full_label(label, id);
    let (code, message) = match error {
        StoreError::Missing { .. } if only_read => (Code::MissingInput, format!("the store lacks an input of {named}")),
        StoreError::Missing { .. } => (Code::MissingArtifact, format!("the store lacks {named}")),
        StoreError::Damaged { pack, problem } => {
            (Code::DamagedChunk, format!("{named}: its manifest cannot be read: pack {pack} is damaged: {problem}"))
        }
        StoreError::UnsafePath(path) => {
            let code = if path.is_reserved() { Code::ReservedName } else { Code::UnsafePath };
            (code, format!("{named}: in its manifest, {path}"))
        }
        StoreError::Malformed { .. } => (Code::MalformedManifest, format!("{named}: {}", error_in_a_line(error))),
        StoreError::Read { .. } | StoreError::File(_) | StoreError::Lock(_) => {
            (Code::UnreadableContent, format!("{named}: its manifest cannot be read: {}", error_in_a_line(error)))
        }
    };
    at_pointer_of(Finding::new(code, label, message, way_back(uses)), uses)
}

fn missing_content(
    label: &str,
    id: &ArtifactId,
    uses: &[Use],
    manifest: &Manifest,
    missing: &[&Entry],
) -> Option<Finding> {
    let first = missing.first()?;
    let named = full_label(label, id);
    let message = match (missing.len(), manifest.entries().len()) {
        (_, 1) => format!("the store lacks the content of {named}"),
        (count, all) => format!("the store lacks {count} of {all} files of {named}, first {}", file_name(first)),
    };
    Some(at_pointer_of(Finding::new(Code::MissingContent, label, message, way_back(uses)), uses))
}

/// The manifest says another size than the content has.
pub(super) fn wrong_size(label: &str, named: &str, entry: &Entry, bytes: u64) -> Finding {
    let message =
        format!("{named}, {}: the manifest says {} bytes, its content has {bytes}", file_name(entry), entry.size);
    Finding::new(
        Code::MalformedManifest,
        label,
        message,
        "it was made like this: find who made it, and track the data again",
    )
}

/// A finding for each file of an artifact that `judge` has something to say about, up to a few.
pub(super) fn findings_by_file(
    artifact: &Inventory,
    judge: &dyn Fn(&Entry) -> Option<(Code, String)>,
    hint: &str,
) -> Vec<Finding> {
    let Some(manifest) = &artifact.manifest else {
        return Vec::new();
    };
    let named = full_label(&artifact.label, &artifact.id);
    let mut found = manifest.entries().iter().filter_map(|entry| Some((entry, judge(entry)?)));
    let finding = |code, message| Finding::new(code, &artifact.label, message, hint);
    let mut findings: Vec<Finding> = found
        .by_ref()
        .take(MAX_FILES)
        .map(|(entry, (code, problem))| finding(code, format!("{named}, {}: {problem}", file_name(entry))))
        .collect();
    if let Some((_, (code, _))) = found.next() {
        let more = 1 + found.count();
        findings.push(finding(code, format!("{named}: {more} more files cannot be read either")));
    }
    findings
}
