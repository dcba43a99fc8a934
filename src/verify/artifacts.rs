//! Artifacts: manifests, what is said of them, and whether their files are in the store.

use rayon::prelude::*;

use crate::id::{ArtifactId, Digest};
use crate::store::{Entry, Manifest, StoreError};

use super::{Claim, Code, Finding, Inspection, Role, Use};
use crate::words::error_in_a_line;

/// How many files of an artifact get a finding of their own.
const MAX_FILES: usize = 20;

/// What there is of an artifact.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) id: ArtifactId,
    pub(super) manifest: Option<Manifest>,
    /// How its first user names it.
    pub(super) label: String,
    findings: Vec<Finding>,
}

impl Inspection<'_> {
    /// Looks for every artifact that something names, by the index alone.
    pub(super) fn take_inventory(&mut self) -> Vec<Inventory> {
        let workspace = self.workspace;
        let inventory: Vec<Inventory> = self
            .uses
            .par_iter()
            .map(|(id, uses)| {
                let label = uses.iter().min_by_key(|one| rank(one)).map(|one| one.target.clone()).unwrap_or_default();
                let mut findings = Vec::new();
                let manifest = match workspace.store.manifest(id) {
                    Ok(manifest) => {
                        let missing = find_missing(&manifest, |digest| workspace.store.contains(digest));
                        findings.extend(missing_content(&label, id, uses, &manifest, &missing));
                        for one in uses {
                            findings.extend(contradiction(one, id, &manifest));
                        }
                        Some(manifest)
                    }
                    Err(error) => {
                        findings.push(no_manifest(&label, id, uses, &error));
                        None
                    }
                };
                Inventory { id: *id, manifest, label, findings }
            })
            .collect();
        for artifact in &inventory {
            self.checked.artifacts += 1;
            if let Some(manifest) = &artifact.manifest {
                self.checked.files += manifest.entries().len() as u64;
                self.checked.bytes = self.checked.bytes.saturating_add(total_size(manifest));
            }
        }
        inventory
    }

    /// Moves the findings of the inventory to the report.
    pub(super) fn report_inventory(&mut self, inventory: &mut [Inventory]) {
        for artifact in inventory {
            self.findings.append(&mut artifact.findings);
        }
    }
}

/// Pointers say best what an artifact is to people, then versions.
fn rank(one: &Use) -> (u8, &str) {
    let rank = match one.role {
        Role::Asked => 0,
        Role::Pointer if !one.target.starts_with("HEAD:") => 1,
        Role::Pointer => 2,
        Role::Version => 3,
        Role::Output => 4,
        Role::Input => 5,
    };
    (rank, &one.target)
}

/// Sizes come from outside: their sum may be more than a number holds.
fn total_size(manifest: &Manifest) -> u64 {
    manifest.entries().iter().fold(0, |sum, entry| sum.saturating_add(entry.size))
}

/// How a file of an artifact is named in messages.
pub(super) fn file_name(entry: &Entry) -> String {
    entry.path.as_ref().map_or_else(|| "its only file".to_owned(), |path| format!("file {path}"))
}

/// `data/x (artifact 0123abcd)`
pub(super) fn full_label(label: &str, id: &ArtifactId) -> String {
    format!("{label} (artifact {})", id.short())
}

fn find_missing(manifest: &Manifest, contains: impl Fn(&Digest) -> Result<bool, StoreError>) -> Vec<&Entry> {
    manifest.entries().iter().filter(|entry| !contains(&entry.digest).unwrap_or(false)).collect()
}

/// The way to bytes that this store lacks.
pub(super) fn way_back(uses: &[Use]) -> String {
    let path = uses.iter().find(|one| one.role == Role::Pointer && !one.target.starts_with("HEAD:"));
    match path {
        Some(one) => {
            let path = &one.target;
            format!(
                "`git ml pull` fetches it from a remote; where the data is in the work tree, `git ml track {path}` stores it again"
            )
        }
        None => "`git ml pull` fetches it from a remote; else copy .git/ml/packs from a clone that has it".to_owned(),
    }
}

fn no_manifest(label: &str, id: &ArtifactId, uses: &[Use], error: &StoreError) -> Finding {
    let only_read = uses.iter().all(|one| one.role == Role::Input);
    let named = full_label(label, id);
    let (code, message) = match error {
        StoreError::Missing { .. } if only_read => (Code::MissingInput, format!("the store lacks an input of {named}")),
        StoreError::Missing { .. } => (Code::MissingArtifact, format!("the store lacks {named}")),
        StoreError::Damaged { pack, problem } => {
            (Code::DamagedChunk, format!("{named}: its manifest cannot be read: pack {pack} is damaged: {problem}"))
        }
        StoreError::Malformed { .. } | StoreError::UnsafePath(_) => {
            (Code::MalformedManifest, format!("{named}: {}", error_in_a_line(error)))
        }
        StoreError::Read { .. } | StoreError::File(_) | StoreError::Lock(_) => {
            (Code::UnreadableContent, format!("{named}: its manifest cannot be read: {}", error_in_a_line(error)))
        }
    };
    Finding::new(code, label, message, way_back(uses))
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
    Some(Finding::new(Code::MissingContent, label, message, way_back(uses)))
}

/// Whether what somebody says of an artifact is not so.
fn contradiction(one: &Use, id: &ArtifactId, manifest: &Manifest) -> Option<Finding> {
    let said = one.claim?;
    let is = Claim {
        files: manifest.entries().len() as u64,
        bytes: total_size(manifest),
        single_file: said.single_file.map(|_| manifest.is_single_file()),
    };
    if said == is {
        return None;
    }
    let words = |claim: &Claim| match claim.single_file {
        Some(true) => format!("one file of {} bytes", claim.bytes),
        Some(false) => format!("a folder of {} files and {} bytes", claim.files, claim.bytes),
        None => format!("{} files and {} bytes", claim.files, claim.bytes),
    };
    let target = &one.target;
    let message = format!("{target} says that artifact {} is {}, but it is {}", id.short(), words(&said), words(&is));
    let (code, hint) = match one.role {
        Role::Pointer => {
            (Code::PointerMismatch, "somebody edited it: `git log -p -- PATH.mlref` shows who; do not use it unseen")
        }
        _ => (Code::RecordMismatch, "`git log --first-parent refs/ml/runs` shows who changed it"),
    };
    let hint = hint.replace("PATH", target.strip_prefix("HEAD:").unwrap_or(target));
    Some(Finding::new(code, target, message, hint))
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
