//! What travels between stores: entries as they are stored, packs made of them, and packs that arrive.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::index::{Index, Location, NewPacks};
use super::map::{self, FileMap, Form};
use super::pack::{self, HEADER_LEN, Header, Key, Kind, MAGIC, PackEntry, TRAILER_LEN};
use super::reader::{decode_and_check, decode_map};
use super::{Store, StoreError, codec};
use crate::files::{self, Draft, Durability, FileError, FileLock};
use crate::id::{Digest, PackId};

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// An entry as it stands in a pack, verified.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// What it is.
    pub(crate) header: Header,
    /// Its bytes, compressed or not.
    pub(crate) bytes: Vec<u8>,
}

/// The bytes of a pack with such entries.
pub(crate) fn pack_size<'h>(headers: impl Iterator<Item = &'h Header>) -> u64 {
    let entries = headers.map(|header| 2 * HEADER_LEN as u64 + u64::from(header.stored_len));
    (MAGIC.len() + TRAILER_LEN) as u64 + entries.sum::<u64>()
}

/// The footer of a pack with such entries, without its trailer, and the pack's id, which is the footer's BLAKE3.
pub(crate) fn footer_of(headers: impl Iterator<Item = Header>) -> (Vec<u8>, PackId) {
    let (mut bytes, id) = pack::footer(headers);
    bytes.truncate(bytes.len() - TRAILER_LEN);
    (bytes, id)
}

/// What a footer says, without its trailer: the pack's id, its entries and its size. Nothing of it is believed: whoever
/// made the id made the footer.
pub(crate) fn parse_footer(footer: &[u8]) -> Result<(PackId, Vec<PackEntry>, u64), String> {
    if !footer.len().is_multiple_of(HEADER_LEN) {
        return Err(format!("a footer cannot have {} bytes", footer.len()));
    }
    let (entries, end) = pack::place_entries(footer)?;
    let id = PackId::from_bytes(*Digest::of(footer).as_bytes());
    Ok((id, entries, end + footer.len() as u64 + TRAILER_LEN as u64))
}

/// What is wrong with an entry's stored bytes.
pub(crate) fn check_stored(header: &Header, stored: &[u8]) -> Option<String> {
    if stored.len() != header.stored_len as usize {
        return Some("is cut short".to_owned());
    }
    super::check::check_stored(header, stored.to_vec())
}

/// A chunk with this content, which is short, stored as it is.
pub(crate) fn plain_chunk(content: &[u8]) -> Stored {
    let (key, len) = (Key { kind: Kind::Chunk, digest: Digest::of(content) }, content.len() as u32);
    let header = Header { key, codec: codec::RAW, raw_len: len, stored_len: len, crc: crc32fast::hash(content) };
    Stored { header, bytes: content.to_vec() }
}

/// The content of a chunk, verified.
pub(crate) fn chunk_of(pack: &PackId, stored: &Stored) -> Result<Bytes, StoreError> {
    decode_and_check(&stored.header, stored.bytes.clone()).map_err(|problem| damaged(pack, &stored.header, &problem))
}

/// What a file map lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listing {
    /// The file's chunks, in their order.
    Chunks(Vec<Digest>),
    /// Nodes, which list the chunks.
    Nodes(Vec<Digest>),
}

/// What a file map lists.
pub(crate) fn map_of(pack: &PackId, stored: &Stored) -> Result<Listing, StoreError> {
    let map = decode_map(&stored.header, stored.bytes.clone());
    let FileMap { form, records, .. } = map.map_err(|problem| damaged(pack, &stored.header, &problem))?;
    let listed = records.into_iter().map(|(digest, _)| digest).collect();
    Ok(match form {
        Form::Chunks => Listing::Chunks(listed),
        Form::Nodes => Listing::Nodes(listed),
    })
}

/// The chunks that a node lists, in their order.
pub(crate) fn node_of(pack: &PackId, stored: &Stored) -> Result<Vec<Digest>, StoreError> {
    let records = map::parse_records(&chunk_of(pack, stored)?);
    let records = records.map_err(|problem| damaged(pack, &stored.header, problem))?;
    Ok(records.into_iter().map(|(digest, _)| digest).collect())
}

fn damaged(pack: &PackId, header: &Header, problem: &str) -> StoreError {
    let Key { kind, digest } = header.key;
    StoreError::Damaged { pack: *pack, problem: format!("{} {digest} {problem}", kind.noun()) }
}

/// A pack in the making, of entries that were checked.
#[derive(Debug)]
#[must_use = "a draft that is not published is removed"]
pub(crate) struct PackDraft {
    draft: Draft,
    buffer: Vec<u8>,
    entries: Vec<PackEntry>,
    bytes: u64,
}

impl PackDraft {
    /// Starts a pack in `folder`.
    pub(crate) fn new_in(folder: &Path) -> Result<Self, FileError> {
        let buffer = MAGIC.to_vec();
        let bytes = buffer.len() as u64;
        Ok(Self { draft: Draft::new_in(folder)?, buffer, entries: Vec::new(), bytes })
    }

    /// Adds an entry.
    pub(crate) fn append(&mut self, header: &Header, stored: &[u8]) -> Result<(), FileError> {
        self.entries.push(PackEntry { header: *header, offset: self.bytes + HEADER_LEN as u64 });
        self.write(&header.to_bytes())?;
        self.write(stored)
    }

    /// How many bytes it has so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.bytes += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), FileError> {
        let written = self.draft.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| FileError::new("write", self.draft.path(), source))
    }

    /// Completes it: its draft, its id and its entries.
    pub(crate) fn complete(mut self) -> Result<(Draft, PackId, Vec<PackEntry>), FileError> {
        let (footer, id) = pack::footer(self.entries.iter().map(|entry| entry.header));
        self.write(&footer)?;
        self.flush()?;
        Ok((self.draft, id, self.entries))
    }
}

/// Takes packs into a store. While it lives nobody removes packs or drafts.
#[derive(Debug)]
#[must_use = "what was taken in is not findable at once before `finish`"]
pub(crate) struct Receiver<'s> {
    store: &'s Store,
    _lock: FileLock,
}

impl Receiver<'_> {
    /// A file that a pack can be written to.
    pub(crate) fn draft(&self) -> Result<Draft, StoreError> {
        Ok(Draft::new_in(&self.store.packs_dir())?)
    }

    /// A pack that entries can be added to.
    pub(crate) fn pack_draft(&self) -> Result<PackDraft, StoreError> {
        Ok(PackDraft::new_in(&self.store.packs_dir())?)
    }

    /// Makes a draft a pack of the store, once every byte of it is checked.
    pub(crate) fn accept(&self, draft: Draft, name: PackId) -> Result<(), StoreError> {
        self.store.take_in(draft, Some(name), &format!("pack {name}")).map(drop)
    }

    /// Makes a pack of entries that were checked one of the store.
    pub(crate) fn accept_gathered(&self, pack: PackDraft) -> Result<(), StoreError> {
        let (draft, id, _) = pack.complete()?;
        Ok(draft.publish(&self.store.pack_path(&id), false, Durability::Synced)?)
    }

    /// Makes what was taken in findable.
    pub(crate) fn finish(self) -> Result<(), StoreError> {
        self.store.refresh(NewPacks::new()).map(drop)
    }
}

impl Store {
    /// Starts taking packs in.
    pub(crate) fn receiver(&self) -> Result<Receiver<'_>, StoreError> {
        // That what others left cannot be removed is no reason not to go on.
        let _ = self.remove_leftovers();
        Ok(Receiver { store: self, _lock: self.lock_shared()? })
    }

    /// The index of the packs there are now.
    pub(crate) fn snapshot(&self) -> Result<Arc<Index>, StoreError> {
        self.refresh(NewPacks::new())?;
        self.index()
    }

    /// An entry's stored bytes, verified.
    pub(crate) fn stored(&self, location: &Location) -> Result<Stored, StoreError> {
        let (bytes, header) = (self.stored_bytes(location)?, location.entry.header);
        match check_stored(&header, &bytes) {
            Some(problem) => Err(damaged(&location.pack, &header, &problem)),
            None => Ok(Stored { header, bytes }),
        }
    }

    /// A pack's file and its footer without the trailer; none where the footer is damaged.
    pub(crate) fn pack_footer(&self, pack: &PackId) -> Result<Option<(PathBuf, Vec<u8>)>, StoreError> {
        let path = self.pack_path(pack);
        let fail = |source| StoreError::Read { what: path.display().to_string(), source };
        let file = File::open(&path).map_err(fail)?;
        let footer = pack::read_footer(&file).map_err(fail)?.ok().filter(|footer| footer.pack_id == *pack);
        let bytes =
            |footer: pack::Footer| footer.entries.into_iter().flat_map(|entry| entry.header.to_bytes()).collect();
        Ok(footer.map(|footer| (path, bytes(footer))))
    }

    /// A draft of a pack for a moment's use, beside the packs.
    pub(crate) fn passing_pack(&self) -> Result<PackDraft, StoreError> {
        Ok(PackDraft::new_in(&self.packs_dir())?)
    }

    /// A folder of this store for what is known of a remote.
    pub(crate) fn remote_cache(&self, name: &str) -> Result<PathBuf, StoreError> {
        let folder = self.root.join("remotes").join(name);
        if !folder.is_dir() {
            files::create_dir_all(&folder)?;
        }
        Ok(folder)
    }
}
