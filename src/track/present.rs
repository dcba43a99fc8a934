//! The files that stand in the work tree, as a manifest that was not stored.

use std::path::Path;

use rayon::prelude::*;

use crate::files::{RelPath, resolve_beneath};
use crate::id::ArtifactId;
use crate::store::{Entry, Manifest};

use super::scan::{Found, What, scan};
use super::stat_cache::StatCache;
use super::{TrackError, Untrackable, Workspace, compare, content};

/// What stands at the places of artifacts, for who only looks.
#[derive(Debug)]
pub struct WorkTree<'w> {
    workspace: &'w Workspace,
    cache: StatCache,
}

impl Workspace {
    /// Looks at the work tree.
    pub fn work_tree(&self) -> Result<WorkTree<'_>, TrackError> {
        self.repository.work_dir()?;
        Ok(WorkTree { workspace: self, cache: StatCache::load(self.repository.git_dir()) })
    }
}

impl WorkTree<'_> {
    /// The artifact that stands at `path`, where that is known without reading a file.
    pub fn known(&self, path: &RelPath) -> Result<Option<ArtifactId>, TrackError> {
        let place = resolve_beneath(self.workspace.repository.work_dir()?, path)?;
        let Some(section) = self.cache.section(path) else { return Ok(None) };
        let scan = scan(&place, Some(&section))?;
        let is_known = scan.is_some_and(|scan| scan.is_as_known());
        Ok(is_known.then_some(section.artifact_id))
    }

    /// The files that stand at `path`, read only where it is not known what they are; none if nothing stands there.
    /// What no artifact can hold is left out.
    pub fn files(&self, path: &RelPath) -> Result<Option<Manifest>, TrackError> {
        let place = resolve_beneath(self.workspace.repository.work_dir()?, path)?;
        let section = self.cache.section(path);
        let Some(scan) = scan(&place, section.as_ref())? else { return Ok(None) };
        let content = scan.files.par_iter().filter(|found| matches!(found.what, What::Content(_)));
        let read: Result<Vec<Entry>, TrackError> = content.map(|found| read(path, &place, found)).collect();
        let mut entries = read?;
        if let Some(section) = &section {
            let mut stale = scan.stale.iter().copied().peekable();
            let mut cursor = section.cursor();
            while let Some(known) = cursor.path() {
                let number = cursor.number();
                if stale.next_if_eq(&number).is_none() {
                    entries.push(compare::entry(section, number, known)?);
                }
                cursor.advance();
            }
        }
        Ok(Some(Manifest::new(entries)?))
    }
}

fn read(artifact: &RelPath, place: &Path, found: &Found) -> Result<Entry, TrackError> {
    let path = entry_path(artifact, found)?;
    let known = content::hash(place, found)?;
    Ok(Entry { path, mode: known.mode, size: known.stat.size, digest: known.digest })
}

/// The path in the artifact; none for an artifact that is a single file.
fn entry_path(artifact: &RelPath, found: &Found) -> Result<Option<RelPath>, TrackError> {
    if found.path.is_empty() {
        return Ok(None);
    }
    let Some(text) = found.path.to_str() else {
        let reason = Untrackable::NotUtf8 { name: format!("{:?}", found.path) };
        return Err(TrackError::NotTrackable { path: artifact.as_str().into(), reason });
    };
    Ok(Some(RelPath::new(text)?))
}
