//! What is known of files in the work tree without reading them again, by what the system says of them.
//!
//! For every artifact it keeps the files of the version that was last brought in line with the work tree: their
//! digests, and their stats at a moment when their content was known. Where a walk finds the same files with the same
//! stats, the work tree holds exactly that version, and neither manifest nor content has to be read.
//!
//! It is a cache: one that is missing, damaged or of another version costs time and nothing else.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::files::{Durability, FileError, RelPath};
use crate::id::{ArtifactId, Digest};

use super::section::{Input, Section};
use super::workspace::WorktreeLock;

const MAGIC: &[u8; 8] = b"GMLSTAT2";

/// What is known of all artifacts' files in one work tree.
#[derive(Debug, Default)]
pub(super) struct StatCache {
    place: PathBuf,
    /// The file as it was read.
    bytes: Vec<u8>,
    slots: BTreeMap<RelPath, Slot>,
}

/// The section of one artifact.
#[derive(Debug, PartialEq, Eq)]
struct Slot {
    artifact_id: ArtifactId,
    /// BLAKE3 of the body: checked when the section is asked for, so that others cost nothing.
    hash: Digest,
    body: Body,
}

#[derive(Debug, PartialEq, Eq)]
enum Body {
    /// In the bytes that were read.
    Read(Range<usize>),
    /// Made since.
    New(Vec<u8>),
}

/// The version of each artifact that was last brought in line with a work tree, given its own git folder.
pub fn last_checked_out(git_dir: &Path) -> Vec<(RelPath, ArtifactId)> {
    let slots = StatCache::load(git_dir).slots.into_iter();
    slots.map(|(path, slot)| (path, slot.artifact_id)).collect()
}

impl StatCache {
    /// Reads the one in a work tree's own git folder.
    pub(super) fn load(git_dir: &Path) -> Self {
        let place = git_dir.join("ml").join("stat-cache");
        let bytes = std::fs::read(&place).unwrap_or_default();
        let slots = decode(&bytes).unwrap_or_default();
        Self { place, bytes, slots }
    }

    /// What is known of the artifact at `path`. It is checked and read anew each time.
    pub(super) fn section(&self, path: &RelPath) -> Option<Section<'_>> {
        let slot = self.slots.get(path)?;
        let body = self.body(slot);
        if matches!(slot.body, Body::Read(_)) && hash(body) != slot.hash {
            return None;
        }
        Section::parse(slot.artifact_id, body)
    }

    /// The artifacts that something is known of.
    pub(super) fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.slots.keys()
    }

    /// Whether both know the same of the artifact at `path`.
    pub(super) fn agrees(&self, other: &Self, path: &RelPath) -> bool {
        let known = |cache: &Self| cache.slots.get(path).map(|slot| (slot.artifact_id, slot.hash));
        known(self) == known(other)
    }

    /// Replaces what is known of the artifact at `path` by the section with the bytes `body`.
    pub(super) fn set(&mut self, path: &RelPath, artifact_id: ArtifactId, body: Vec<u8>) {
        let slot = Slot { artifact_id, hash: hash(&body), body: Body::New(body) };
        self.slots.insert(path.clone(), slot);
    }

    /// Forgets the artifact at `path`.
    pub(super) fn forget(&mut self, path: &RelPath) {
        self.slots.remove(path);
    }

    /// Writes it. Nobody else can have written it since it was read, if it was read under the same lock.
    pub(super) fn save(&self, lock: &WorktreeLock) -> Result<(), FileError> {
        let fail = |source| FileError::new("write", &self.place, source);
        let mut draft = lock.draft()?;
        draft.write_all(&self.head()).map_err(fail)?;
        for slot in self.slots.values() {
            draft.write_all(self.body(slot)).map_err(fail)?;
        }
        draft.publish(&self.place, false, Durability::Buffered)
    }

    fn body<'a>(&'a self, slot: &'a Slot) -> &'a [u8] {
        match &slot.body {
            Body::Read(range) => self.bytes.get(range.clone()).unwrap_or_default(),
            Body::New(bytes) => bytes,
        }
    }

    /// All before the bodies.
    fn head(&self) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        let number = |head: &mut Vec<u8>, value: usize| head.extend_from_slice(&(value as u64).to_le_bytes());
        number(&mut head, self.slots.len());
        for (path, slot) in &self.slots {
            number(&mut head, path.as_str().len());
            head.extend_from_slice(path.as_str().as_bytes());
            head.extend_from_slice(slot.artifact_id.as_bytes());
            head.extend_from_slice(slot.hash.as_bytes());
            number(&mut head, self.body(slot).len());
        }
        let check = Digest::of(&head);
        head.extend_from_slice(check.as_bytes());
        head
    }
}

/// Large sections are hashed by all processors.
fn hash(body: &[u8]) -> Digest {
    Digest::from_bytes(*blake3::Hasher::new().update_rayon(body).finalize().as_bytes())
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<RelPath, Slot>> {
    let mut input = Input(bytes.strip_prefix(MAGIC)?);
    let mut slots = BTreeMap::new();
    let mut lengths = 0;
    for _ in 0..input.number()? {
        let path = RelPath::new(input.text()?).ok()?;
        let artifact_id = ArtifactId::from_bytes(input.array()?);
        let hash = Digest::from_bytes(input.array()?);
        let length = usize::try_from(input.number()?).ok()?;
        let body = Body::Read(lengths..usize::checked_add(lengths, length)?);
        lengths += length;
        slots.insert(path, Slot { artifact_id, hash, body });
    }
    let head = &bytes[..bytes.len() - input.0.len()];
    if Digest::of(head).as_bytes() != &input.array::<32>()? || input.0.len() != lengths {
        return None;
    }
    let start = bytes.len() - lengths;
    for slot in slots.values_mut() {
        if let Body::Read(range) = &mut slot.body {
            *range = range.start + start..range.end + start;
        }
    }
    Some(slots)
}

#[cfg(test)]
mod tests {
    use super::super::section::tests::{body_of, known};
    use super::*;

    fn cache(sections: &[(&str, &[&str])]) -> StatCache {
        let mut cache = StatCache::default();
        for (number, (path, files)) in sections.iter().enumerate() {
            let id = ArtifactId::from_bytes([number as u8; 32]);
            let files: Vec<_> = files.iter().map(|file| known(file, 5, 1 << 40)).collect();
            cache.set(&RelPath::new(*path).unwrap(), id, body_of(&files));
        }
        cache
    }

    fn bytes_of(cache: &StatCache) -> Vec<u8> {
        let mut bytes = cache.head();
        cache.slots.values().for_each(|slot| bytes.extend_from_slice(cache.body(slot)));
        bytes
    }

    /// The paths in a section, if it is there.
    fn read(bytes: &[u8], path: &str) -> Option<Vec<String>> {
        let slots = decode(bytes)?;
        let cache = StatCache { place: PathBuf::new(), bytes: bytes.to_vec(), slots };
        let section = cache.section(&RelPath::new(path).unwrap())?;
        let mut cursor = section.cursor();
        let mut paths = Vec::new();
        while let Some(path) = cursor.path() {
            paths.push(path.to_owned());
            cursor.advance();
        }
        Some(paths)
    }

    #[test]
    fn what_is_written_is_read_and_any_damage_reads_as_nothing() {
        let written = cache(&[("data/a", &["x", "y/z"]), ("data/b", &["ü"])]);
        let bytes = bytes_of(&written);
        assert_eq!(read(&bytes, "data/a").unwrap(), ["x", "y/z"]);
        assert_eq!(read(&bytes, "data/b").unwrap(), ["ü"]);
        assert_eq!(read(&bytes, "data/c"), None);
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            let whole = ["data/a", "data/b"].map(|path| read(&damaged, path));
            assert!(whole.contains(&None), "byte {index}");
            for (found, expected) in whole.iter().zip([&["x", "y/z"][..], &["ü"]]) {
                assert!(found.as_ref().is_none_or(|paths| paths == expected), "byte {index}");
            }
            assert_eq!(read(&bytes[..index], "data/a"), None, "length {index}");
        }
    }

    #[test]
    fn one_section_can_be_replaced_and_forgotten() {
        let bytes = bytes_of(&cache(&[("a", &["x"]), ("b", &["y"])]));
        let mut again = StatCache { place: PathBuf::new(), slots: decode(&bytes).unwrap(), bytes };
        let (a, b) = (RelPath::new("a").unwrap(), RelPath::new("b").unwrap());
        again.set(&a, ArtifactId::from_bytes([9; 32]), body_of(&[known("z", 5, 1 << 40)]));
        let bytes = bytes_of(&again);
        assert_eq!(
            (read(&bytes, "a").unwrap(), read(&bytes, "b").unwrap()),
            (vec!["z".to_owned()], vec!["y".to_owned()])
        );
        assert!(again.agrees(&again, &a));
        let mut less = StatCache { place: PathBuf::new(), slots: decode(&bytes).unwrap(), bytes };
        assert!(again.agrees(&less, &a) && again.agrees(&less, &b));
        less.forget(&b);
        assert!(!again.agrees(&less, &b));
        assert_eq!((less.slots.len(), less.slots[&a].artifact_id), (1, ArtifactId::from_bytes([9; 32])));
    }
}
