//! Which artifacts a remote had whole when its indexes were these.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::files::{self, Durability};
use crate::id::{ArtifactId, Digest};

/// The file in a remote's cache.
const FILE: &str = "whole";

/// The state that indexes of these names make.
pub(super) fn state_of(indexes: &BTreeSet<Digest>) -> Digest {
    let bytes: Vec<u8> = indexes.iter().flat_map(|index| *index.as_bytes()).collect();
    Digest::of(&bytes)
}

/// The artifacts that were whole in this state.
pub(super) fn recall(cache: &Path, state: &Digest) -> BTreeSet<ArtifactId> {
    let text = fs::read_to_string(cache.join(FILE)).unwrap_or_default();
    let mut lines = text.lines();
    match lines.next().and_then(|line| line.parse::<Digest>().ok()) {
        Some(known) if known == *state => lines.filter_map(|line| line.parse().ok()).collect(),
        _ => BTreeSet::new(),
    }
}

/// Notes artifacts that are whole in this state.
pub(super) fn note(cache: &Path, state: &Digest, artifacts: &[ArtifactId]) {
    let mut whole = recall(cache, state);
    let before = whole.len();
    whole.extend(artifacts);
    if whole.len() > before {
        let lines: String = whole.iter().map(|artifact| format!("{artifact}\n")).collect();
        // It spares looking again, and nothing else.
        let _ = files::publish(&cache.join(FILE), format!("{state}\n{lines}").as_bytes(), Durability::Buffered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_holds_for_its_state_alone() {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = [1, 2].map(|number| ArtifactId::from_bytes([number; 32]));
        let states = [1, 2].map(|number| state_of(&BTreeSet::from([Digest::of(&[number])])));
        assert!(recall(folder.path(), &states[0]).is_empty());
        note(folder.path(), &states[0], &artifacts[..1]);
        note(folder.path(), &states[0], &artifacts[1..]);
        assert_eq!(recall(folder.path(), &states[0]), BTreeSet::from(artifacts));
        assert!(recall(folder.path(), &states[1]).is_empty());
        note(folder.path(), &states[1], &artifacts[1..]);
        assert!(recall(folder.path(), &states[0]).is_empty());
    }
}
