//! File maps: which chunks make a file.
//!
//! A map is the file's size (u64), its form (u8), and records of 36 bytes, a digest and a length each. The records of a
//! map of form 0 are the file's chunks. A long list is kept as chunks of its own, *nodes*, cut where its content says
//! so; the records of a map of form 1 are its nodes. So a change in a huge file costs the nodes around it, not the list.

use bytes::Bytes;

use super::pack::{CHUNK_LIMIT, array};
use crate::id::Digest;

/// Bytes of a map before its records.
pub(super) const HEAD: usize = 8 + 1;
/// Bytes of a record: a digest and a length.
pub(super) const RECORD: usize = 32 + 4;
/// Bytes that a map may have: enough for a file of some petabytes.
pub(super) const LIMIT: u32 = 4 << 20;

/// A list of up to so many chunks is in the map itself.
const INLINE: usize = 512;
/// Records of the shortest and of the longest node; the last may be shorter. In between, one in 256 ends a node.
const SHORTEST: usize = 64;
const LONGEST: usize = 1024;

/// Whether a map can have this many bytes.
pub(super) fn is_len(len: u32) -> bool {
    (len as usize).checked_sub(HEAD).is_some_and(|records| records.is_multiple_of(RECORD))
}

/// What one level of a map lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Form {
    /// The chunks of the file.
    Chunks = 0,
    /// Nodes, which list the chunks.
    Nodes = 1,
}

/// A map that was read.
#[derive(Debug, Clone)]
pub(super) struct FileMap {
    /// The file's size.
    pub(super) size: u64,
    pub(super) form: Form,
    /// The records, none of which is empty or too long.
    pub(super) records: Vec<(Digest, u32)>,
}

impl FileMap {
    /// Reads a map, or says what is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let (head, records) = bytes.split_at_checked(HEAD).ok_or("it is cut short")?;
        let form = match head[8] {
            0 => Form::Chunks,
            1 => Form::Nodes,
            _ => return Err("it has a form that this git-ml does not know"),
        };
        let size = u64::from_le_bytes(array(&head[..8]));
        let records = parse_records(records)?;
        let listed: u64 = records.iter().map(|(_, length)| u64::from(*length)).sum();
        match form {
            Form::Chunks if listed != size => Err("its chunks' lengths do not fit the file"),
            Form::Nodes if records.iter().any(|(_, length)| !(*length as usize).is_multiple_of(RECORD)) => {
                Err("its nodes' lengths are not those of lists")
            }
            _ => Ok(Self { size, form, records }),
        }
    }
}

/// Reads records one after the other, at least one.
pub(super) fn parse_records(bytes: &[u8]) -> Result<Vec<(Digest, u32)>, &'static str> {
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if !rest.is_empty() {
        return Err("its length is not that of a list of chunks");
    }
    if records.is_empty() {
        return Err("it lists no chunks");
    }
    let record = |bytes: &[u8; RECORD]| {
        let length = u32::from_le_bytes(array(&bytes[32..]));
        let is_possible = length > 0 && length <= CHUNK_LIMIT;
        is_possible
            .then(|| (Digest::from_bytes(array(&bytes[..32])), length))
            .ok_or("a chunk in it has no possible length")
    };
    records.iter().map(record).collect()
}

/// A node: a chunk that lists chunks.
pub(super) type Node = (Digest, Bytes);

/// Makes the map of a file whose chunks come one after the other, without keeping a long list in memory.
#[derive(Debug, Default)]
pub(super) struct MapBuilder {
    /// Records that are in no node yet.
    open: Vec<u8>,
    /// Records of nodes.
    nodes: Vec<u8>,
    /// Whether the list is longer than a map may have inline.
    is_long: bool,
}

impl MapBuilder {
    /// Adds a chunk. Nodes that are complete come to `nodes`, to be stored.
    pub(super) fn push(&mut self, digest: Digest, length: u32, nodes: &mut Vec<Node>) {
        self.open.extend_from_slice(digest.as_bytes());
        self.open.extend_from_slice(&length.to_le_bytes());
        if self.is_long {
            self.close_if_complete(nodes);
        } else if self.open.len() / RECORD > INLINE {
            self.is_long = true;
            let records = std::mem::take(&mut self.open);
            for record in records.as_chunks::<RECORD>().0 {
                self.open.extend_from_slice(record);
                self.close_if_complete(nodes);
            }
        }
    }

    /// Ends the open node where its last record says so.
    fn close_if_complete(&mut self, nodes: &mut Vec<Node>) {
        let (records, _) = self.open.as_chunks::<RECORD>();
        let is_end = records.len() >= SHORTEST && records.last().is_some_and(|record| record[0] == 0);
        if is_end || records.len() >= LONGEST {
            self.close_node(nodes);
        }
    }

    fn close_node(&mut self, nodes: &mut Vec<Node>) {
        let node = std::mem::take(&mut self.open);
        let digest = Digest::of(&node);
        self.nodes.extend_from_slice(digest.as_bytes());
        self.nodes.extend_from_slice(&(node.len() as u32).to_le_bytes());
        nodes.push((digest, node.into()));
    }

    /// The map of the file of this size, and the last node; this builder can take the next file. None if the map would
    /// be too long.
    pub(super) fn finish(&mut self, size: u64, nodes: &mut Vec<Node>) -> Option<Vec<u8>> {
        if self.is_long && !self.open.is_empty() {
            self.close_node(nodes);
        }
        let (form, records) = match std::mem::take(self) {
            Self { is_long: true, nodes, .. } => (Form::Nodes, nodes),
            Self { open, .. } => (Form::Chunks, open),
        };
        let map = [&size.to_le_bytes()[..], &[form as u8], &records].concat();
        (map.len() <= LIMIT as usize).then_some(map)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn chunk(number: u32) -> (Digest, u32) {
        (Digest::of(&number.to_le_bytes()), 1 + number % 1000)
    }

    /// The map of some chunks, and its nodes.
    fn build(chunks: &[(Digest, u32)]) -> (FileMap, HashMap<Digest, Bytes>) {
        let mut nodes = Vec::new();
        let mut builder = MapBuilder::default();
        for (digest, length) in chunks {
            builder.push(*digest, *length, &mut nodes);
        }
        let size = chunks.iter().map(|(_, length)| u64::from(*length)).sum();
        let map = builder.finish(size, &mut nodes).unwrap();
        assert!(is_len(map.len() as u32));
        (FileMap::parse(&map).unwrap(), nodes.into_iter().collect())
    }

    fn listed(map: &FileMap, nodes: &HashMap<Digest, Bytes>) -> Vec<(Digest, u32)> {
        match map.form {
            Form::Chunks => map.records.clone(),
            Form::Nodes => map.records.iter().flat_map(|(digest, _)| parse_records(&nodes[digest]).unwrap()).collect(),
        }
    }

    #[test]
    fn a_map_lists_what_was_pushed_whatever_its_form() {
        for count in [1, 2, INLINE as u32, INLINE as u32 + 1, 5000] {
            let chunks: Vec<_> = (0..count).map(chunk).collect();
            let (map, nodes) = build(&chunks);
            assert_eq!(map.form == Form::Nodes, count > INLINE as u32);
            assert_eq!(listed(&map, &nodes), chunks);
        }
    }

    #[test]
    fn a_change_in_a_long_list_changes_few_nodes() {
        let mut chunks: Vec<_> = (0..20_000).map(chunk).collect();
        let (_, before) = build(&chunks);
        chunks.splice(10_000..10_001, (30_000..30_016).map(chunk));
        let (map, after) = build(&chunks);
        assert!(map.records.len() > 40, "{}", map.records.len());
        let added = after.keys().filter(|node| !before.contains_key(node)).count();
        assert!(added <= 2, "{added}");
    }

    #[test]
    fn what_no_builder_makes_is_refused() {
        let record = |length: u32| [&[7; 32][..], &length.to_le_bytes()].concat();
        let map = |size: u64, form: u8, records: &[u8]| [&size.to_le_bytes()[..], &[form], records].concat();
        for bad in [
            vec![],
            map(0, 0, &[]),
            map(4, 2, &record(4)),
            map(5, 0, &record(4)),
            map(4, 0, &record(4)[..30]),
            map(0, 0, &record(0)),
            map(u64::from(CHUNK_LIMIT) + 1, 0, &record(CHUNK_LIMIT + 1)),
            map(4, 1, &record(35)),
        ] {
            assert!(FileMap::parse(&bad).is_err(), "{bad:?}");
        }
    }
}
