//! Mending: bringing back what the store has lost, from the work tree and from remotes, and naming what stays lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::files::{RelPath, resolve_beneath};
use crate::git::GitError;
use crate::id::{ArtifactId, Digest, PackId};
use crate::reach::{Names, Reach};
use crate::remote::Remote;
use crate::store::{Entry, Live, Manifest, Mode, Presence, Salvaged, Writer};
use crate::track::{Progress, TrackError, Workspace};

use super::UpkeepError;

/// How many files of an artifact are named.
const NAMED: usize = 5;

/// What was mended, and what was not.
#[derive(Debug, Default)]
pub struct Mended {
    /// Packs that were damaged, and what became of them.
    pub salvaged: Vec<(PackId, Salvaged)>,
    /// Files whose content was stored again from the work tree, and manifests that were made again from it.
    pub stored_again: usize,
    /// Artifacts that a remote brought back, with its name.
    pub fetched: Vec<(ArtifactId, String)>,
    /// Why a remote could not help.
    pub failures: Vec<String>,
    /// Artifacts that were here and are not whole now.
    pub lost: Vec<Lost>,
}

/// An artifact that is not whole, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The artifact.
    pub id: ArtifactId,
    /// What names it.
    pub names: Names,
    /// How many files lack something; none if the list of its files is lost itself.
    pub files: Option<u64>,
    /// Some of them.
    pub first: Vec<String>,
}

/// Mends what can be mended: damaged packs, the index, then content that is missing. `remotes` are asked last.
pub fn mend(
    workspace: &Workspace,
    deep: bool,
    remotes: &[Remote],
    progress: &dyn Progress,
) -> Result<Mended, UpkeepError> {
    let store = &workspace.store;
    let mut mended = Mended::default();
    let mut lost_content = BTreeSet::new();
    for pack in store.packs()? {
        let is_suspect = deep || store.probe_pack(&pack.id)?.is_some();
        if let Some(salvaged) = is_suspect.then(|| store.salvage_pack(&pack.id)).transpose()?.flatten() {
            lost_content.extend(salvaged.lost.iter().copied());
            mended.salvaged.push((pack.id, salvaged));
        }
    }
    store.rebuild_index()?;
    // What earlier calls set aside and nobody brought back since.
    lost_content.extend(store.set_aside_packs()?.into_iter().flat_map(|(_, lost)| lost));
    let here = pointers_here(workspace)?;
    let mut named: BTreeMap<ArtifactId, Names> = BTreeMap::new();
    for (path, id) in &here {
        named.entry(*id).or_default().add(path.as_str());
    }
    match Reach::of(workspace) {
        Ok(reach) => named.extend(reach.artifacts().iter().map(|(id, names)| (*id, names.clone()))),
        Err(error) => mended.failures.push(format!("only what the work tree names is looked at: {error}")),
    }
    let mut incomplete = find_incomplete(workspace, named.keys(), &here, &lost_content)?;
    if !incomplete.is_empty() {
        // Until all of it is back, nothing may go.
        let _hold = store.hold()?;
        for (path, id) in here.iter().filter(|(_, id)| incomplete.contains(*id)) {
            mended.stored_again += store_again(workspace, path, id)?;
        }
        incomplete.retain(|id| !store.has_artifact(id).unwrap_or(false));
        for remote in remotes {
            for id in std::mem::take(&mut incomplete) {
                match remote.pull(store, &[id], progress) {
                    Ok(_) => mended.fetched.push((id, remote.name().to_owned())),
                    Err(error) => {
                        mended.failures.push(format!("artifact {}: {error}", id.short()));
                        incomplete.insert(id);
                    }
                }
            }
        }
    }
    for id in incomplete {
        let names = named.remove(&id).unwrap_or_default();
        let manifest = store.manifest(&id).ok();
        let missing = manifest.as_ref().map(|manifest| missing_files(workspace, manifest));
        let first = missing.iter().flatten().take(NAMED).map(|entry| entry.path_text().to_owned()).collect();
        mended.lost.push(Lost { id, names, files: missing.map(|missing| missing.len() as u64), first });
    }
    Ok(mended)
}

/// The artifacts that should be whole and are not: those that lack what is known to be lost, and those that the work
/// tree's own pointers name. Others were never here, or in part, as in a clone that pulled only some.
fn find_incomplete<'i>(
    workspace: &Workspace,
    named: impl Iterator<Item = &'i ArtifactId>,
    here: &BTreeMap<RelPath, ArtifactId>,
    lost: &BTreeSet<Digest>,
) -> Result<BTreeSet<ArtifactId>, UpkeepError> {
    let mut live = Live::default();
    let mut incomplete = BTreeSet::new();
    let pointed: BTreeSet<&ArtifactId> = here.values().collect();
    for id in named {
        let lacks_lost = || match workspace.store.manifest(id) {
            Ok(manifest) => {
                missing_files(workspace, &manifest).iter().any(|entry| lacks(workspace, &entry.digest, lost))
            }
            Err(_) => lacks(workspace, &id.manifest_digest(), lost),
        };
        match live.add(&workspace.store, id) {
            Ok(Presence::Whole) => {}
            Ok(Presence::Partial | Presence::Absent) if !pointed.contains(id) && !lacks_lost() => {}
            // What cannot be read is as good as lost; a damaged pack has been seen to before, where that was possible.
            Ok(Presence::Partial | Presence::Absent) | Err(_) => drop(incomplete.insert(*id)),
        }
    }
    Ok(incomplete)
}

/// Whether a file that is not whole here lacks something of what is known to be lost.
fn lacks(workspace: &Workspace, file: &Digest, lost: &BTreeSet<Digest>) -> bool {
    let parts = workspace.store.keys_of(file).unwrap_or_default();
    lost.contains(file) || parts.iter().any(|key| lost.contains(&key.digest))
}

/// The artifacts that pointers in this work tree name; none in a bare repository.
fn pointers_here(workspace: &Workspace) -> Result<BTreeMap<RelPath, ArtifactId>, UpkeepError> {
    match workspace.all_pointers() {
        Ok(pointers) => Ok(pointers.valid.into_iter().map(|(path, pointer)| (path, pointer.id)).collect()),
        Err(TrackError::Git(GitError::Bare)) => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

fn missing_files<'m>(workspace: &Workspace, manifest: &'m Manifest) -> Vec<&'m Entry> {
    let is_here = |entry: &Entry| workspace.store.contains(&entry.digest).unwrap_or(false);
    manifest.entries().iter().filter(|entry| !is_here(entry)).collect()
}

/// Stores again what the store lacks of an artifact and the work tree has; how many files and manifests that were.
fn store_again(workspace: &Workspace, path: &RelPath, id: &ArtifactId) -> Result<usize, UpkeepError> {
    let Ok(Some(standing)) = workspace.work_tree().and_then(|tree| tree.files(path)) else { return Ok(0) };
    let top = workspace.repository.work_dir()?;
    let mut stored = 0;
    let writer = workspace.store.writer()?;
    let wanted = match workspace.store.manifest(id) {
        Ok(manifest) => manifest,
        Err(_) if standing.id() == *id => {
            writer.add_manifest(&standing)?;
            stored += 1;
            standing.clone()
        }
        Err(_) => return Ok(0),
    };
    let missing: BTreeSet<Digest> = missing_files(workspace, &wanted).iter().map(|entry| entry.digest).collect();
    for entry in standing.entries().iter().filter(|entry| missing.contains(&entry.digest)) {
        let place = match &entry.path {
            Some(inner) => resolve_beneath(top, &path.join(inner)),
            None => resolve_beneath(top, path),
        };
        // What changed meanwhile is stored as what it is, and does not help.
        let added = place.ok().and_then(|place| add(&writer, &place, entry.mode));
        stored += usize::from(added == Some(entry.digest));
    }
    writer.finish()?;
    Ok(stored)
}

fn add(writer: &Writer<'_>, place: &Path, mode: Mode) -> Option<Digest> {
    let what = place.display().to_string();
    let target;
    let mut file;
    let mut bytes;
    let input: &mut dyn Read = match mode {
        Mode::Symlink => {
            target = fs::read_link(place).ok()?;
            bytes = target.as_os_str().as_bytes();
            &mut bytes
        }
        Mode::File | Mode::Executable => {
            file = File::open(place).ok()?;
            &mut file
        }
    };
    writer.add(input, &what).ok().map(|(digest, _)| digest)
}
