//! Marking: which entries of a store some artifacts need.

use std::collections::{HashMap, HashSet};

use super::keys::KeySet;
use super::map::{self, Form};
use super::pack::{HEADER_LEN, Key, Kind};
use super::reader::{File, decode_map};
use super::{Index, Location, Store, StoreError};
use crate::id::{ArtifactId, Digest};

/// The first line of every manifest, up to the version.
pub(super) const MANIFEST: &[u8] = b"git-ml manifest ";
/// The first line of a manifest that this version reads.
const FIRST_LINE: &[u8] = b"git-ml manifest 1";

/// How much of an artifact a store has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// All of it.
    Whole,
    /// Its manifest, and not all of its files.
    Partial,
    /// Not even its manifest: it was never here, or is lost.
    Absent,
}

/// The entries that some artifacts need.
///
/// Nothing is read twice: versions of an artifact share most of their files, most of their file maps, and most chunks of
/// their manifests.
#[derive(Debug, Default)]
pub struct Live {
    keys: KeySet,
    /// Bytes that they take in packs.
    bytes: u64,
    /// Nodes of file maps that were read as such: a chunk of a file might have the same bytes.
    nodes: HashSet<Digest>,
    /// File maps of which something is missing.
    partial: HashSet<Digest>,
    manifests: HashMap<Digest, ManifestChunk>,
}

/// What is kept of a chunk of a manifest that was read: the two lines that it may share with its neighbours.
#[derive(Debug)]
struct ManifestChunk {
    /// The bytes before the first newline.
    head: Vec<u8>,
    /// The bytes after the last newline, and whether all files in between are here; none in a chunk without newline.
    rest: Option<(Vec<u8>, bool)>,
}

impl Live {
    /// Whether an entry is needed. One in many billions is said to be that is not; see [`KeySet`].
    pub(super) fn has(&self, key: &Key) -> bool {
        self.keys.has(key)
    }

    /// The needed entries.
    pub(super) fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// How many entries are needed.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }

    /// Bytes that the needed entries take, each once.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Marks all that the store has of one content, whatever it is; whether that is all of it.
    pub fn add_content(&mut self, store: &Store, content: &Digest) -> Result<bool, StoreError> {
        self.add_file(store, &*store.index()?, content)
    }

    /// Marks all that the store has of an artifact. An error where it cannot be known what belongs to it.
    pub fn add(&mut self, store: &Store, artifact: &ArtifactId) -> Result<Presence, StoreError> {
        let index = store.index()?;
        let digest = artifact.manifest_digest();
        if !self.add_file(store, &index, &digest)? && !knows(&index, &digest) {
            return Ok(Presence::Absent);
        }
        let chunks = match store.open_file(&digest) {
            Ok(File::Chunk(location)) => vec![(digest, location.entry.header.raw_len)],
            Ok(File::Map(mut map)) => {
                let mut chunks = Vec::new();
                loop {
                    match map.next() {
                        Ok(Some(chunk)) => chunks.push(chunk),
                        Ok(None) => break chunks,
                        Err(StoreError::Missing { .. }) => return Ok(Presence::Partial),
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        };
        let is_whole = self.add_manifest(store, &index, artifact, &chunks)?;
        if index.is_damaged() {
            let problem = "a part of it was damaged while it was read".to_owned();
            return Err(StoreError::Malformed { what: "the index".to_owned(), problem });
        }
        Ok(if is_whole { Presence::Whole } else { Presence::Partial })
    }

    /// Marks the files of a manifest that consists of `chunks`; whether all of them are here.
    fn add_manifest(
        &mut self,
        store: &Store,
        index: &Index,
        artifact: &ArtifactId,
        chunks: &[(Digest, u32)],
    ) -> Result<bool, StoreError> {
        let fail = |problem: &str| StoreError::Malformed {
            what: format!("the manifest of {artifact}"),
            problem: problem.to_owned(),
        };
        let mut is_whole = true;
        // The line that began in chunks before; none where the chunk with its beginning is missing.
        let mut open = Some(Vec::new());
        for (number, (digest, length)) in chunks.iter().enumerate() {
            if !self.manifests.contains_key(digest) {
                let bytes = match store.read_chunk(digest, *length) {
                    Err(StoreError::Missing { .. }) => {
                        (is_whole, open) = (false, None);
                        continue;
                    }
                    bytes => bytes?,
                };
                // An id may be that of any content, where somebody took it for an artifact's.
                if number == 0 && !bytes.starts_with(MANIFEST) {
                    return Ok(true);
                }
                let chunk = self.read_manifest_chunk(store, index, &bytes)?.ok_or_else(|| fail("a line is none"))?;
                self.manifests.insert(*digest, chunk);
            }
            let Some(chunk) = self.manifests.get(digest) else { continue };
            if let Some(open) = &mut open {
                open.extend_from_slice(&chunk.head);
            }
            let Some((tail, rest_is_whole)) = &chunk.rest else { continue };
            is_whole &= rest_is_whole;
            let tail = tail.clone();
            match open.replace(tail) {
                Some(line) if number == 0 && line == FIRST_LINE => {}
                Some(line) if number == 0 && line.starts_with(MANIFEST) => {
                    return Err(fail("it is of a version that this git-ml does not know"));
                }
                Some(_) if number == 0 => return Ok(true),
                Some(line) => {
                    let file = digest_in(&line).ok_or_else(|| fail("a line does not follow the format"))?;
                    is_whole &= self.add_file(store, index, &file)?;
                }
                None => {}
            }
        }
        match open {
            Some(rest) if !rest.is_empty() => Err(fail("it is cut short")),
            _ => Ok(is_whole),
        }
    }

    /// Marks the files of all lines that are wholly in a chunk; none if a line does not follow the format.
    fn read_manifest_chunk(
        &mut self,
        store: &Store,
        index: &Index,
        bytes: &[u8],
    ) -> Result<Option<ManifestChunk>, StoreError> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let head = lines.next().unwrap_or_default().to_vec();
        let Some(tail) = lines.next_back() else { return Ok(Some(ManifestChunk { head, rest: None })) };
        let mut is_whole = true;
        for line in lines {
            let Some(file) = digest_in(line) else { return Ok(None) };
            is_whole &= self.add_file(store, index, &file)?;
        }
        Ok(Some(ManifestChunk { head, rest: Some((tail.to_vec(), is_whole)) }))
    }

    /// Marks what makes a file; whether all of it is here. Every copy of a file map counts, since only reading the file
    /// proves which of them is right.
    fn add_file(&mut self, store: &Store, index: &Index, digest: &Digest) -> Result<bool, StoreError> {
        let mut is_here = self.add_chunk(index, digest);
        let key = Key { kind: Kind::Map, digest: *digest };
        if self.has(&key) {
            return Ok(is_here || !self.partial.contains(digest));
        }
        let copies = index.find(&key);
        let (mut readable, mut failure) = (0, None);
        for location in &copies {
            let header = &location.entry.header;
            let map = store.stored_bytes(location).and_then(|stored| {
                decode_map(header, stored).map_err(|problem| StoreError::Damaged {
                    pack: location.pack,
                    problem: format!("a file map {problem}"),
                })
            });
            match map {
                Ok(map) => {
                    readable += 1;
                    let is_whole = match map.form {
                        Form::Chunks => self.add_chunks(index, &map.records),
                        Form::Nodes => self.add_nodes(store, index, &map.records)?,
                    };
                    if !is_whole {
                        self.partial.insert(*digest);
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if readable == 0 => return Err(error),
            _ => {}
        }
        if readable > 0 {
            self.insert(&key, copies.first());
            is_here |= !self.partial.contains(digest);
        }
        Ok(is_here)
    }

    fn add_nodes(&mut self, store: &Store, index: &Index, nodes: &[(Digest, u32)]) -> Result<bool, StoreError> {
        let mut is_whole = true;
        for (node, length) in nodes {
            if !self.add_chunk(index, node) {
                is_whole = false;
            } else if self.nodes.insert(*node) {
                let bytes = store.read_chunk(node, *length)?;
                let records = map::parse_records(&bytes).map_err(|problem| StoreError::Malformed {
                    what: format!("the part {node} of a file map"),
                    problem: problem.to_owned(),
                })?;
                if !self.add_chunks(index, &records) {
                    // Whoever uses this node again must learn it again.
                    self.nodes.remove(node);
                    is_whole = false;
                }
            }
        }
        Ok(is_whole)
    }

    fn add_chunks(&mut self, index: &Index, chunks: &[(Digest, u32)]) -> bool {
        chunks.iter().fold(true, |is_whole, (chunk, _)| self.add_chunk(index, chunk) && is_whole)
    }

    /// Marks a chunk; whether it is here. That it is marked does not say so for sure.
    fn add_chunk(&mut self, index: &Index, digest: &Digest) -> bool {
        let key = Key { kind: Kind::Chunk, digest: *digest };
        let copies = index.find(&key);
        if !copies.is_empty() {
            self.insert(&key, copies.first());
        }
        !copies.is_empty()
    }

    fn insert(&mut self, key: &Key, copy: Option<&Location>) {
        if self.keys.insert(key) {
            self.bytes += copy.map_or(0, |copy| HEADER_LEN as u64 + u64::from(copy.entry.header.stored_len));
        }
    }
}

fn knows(index: &Index, digest: &Digest) -> bool {
    [Kind::Chunk, Kind::Map].iter().any(|kind| index.contains(&Key { kind: *kind, digest: *digest }))
}

/// The digest in a line of a manifest.
fn digest_in(line: &[u8]) -> Option<Digest> {
    std::str::from_utf8(line.split(|byte| *byte == b' ').nth(2)?).ok()?.parse().ok()
}
