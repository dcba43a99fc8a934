//! Artifacts that are stored and that nothing names, for people to see before they go.

use crate::id::ArtifactId;
use crate::store::{Live, Store, StoreError};

/// A stored artifact that nothing names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// The artifact.
    pub id: ArtifactId,
    /// How many files it has.
    pub files: u64,
    /// Bytes of content in all of them, whether others need them too or not.
    pub bytes: u64,
    /// Its first file.
    pub first: String,
}

/// Looks for manifests among what nothing needs, the largest artifacts first.
pub(super) fn find(store: &Store, live: &Live) -> Result<Vec<Unreachable>, StoreError> {
    let mut found = Vec::new();
    for digest in store.unused_manifests(live)? {
        let id = ArtifactId::from_bytes(*digest.as_bytes());
        // What is lost of it already is no artifact any more.
        let Ok(manifest) = store.manifest(&id) else { continue };
        let first = manifest.entries().first().map(|entry| entry.path_text().to_owned()).unwrap_or_default();
        let (files, bytes) = (manifest.entries().len() as u64, manifest.total_size());
        found.push(Unreachable { id, files, bytes, first });
    }
    found.sort_by_key(|artifact| (std::cmp::Reverse(artifact.bytes), artifact.id));
    Ok(found)
}
