//! The format of packs, and reading what a pack says of itself.
//!
//! A pack is the magic `GMLPACK1`; then entries, each a header and the stored bytes; then the footer, which is all
//! the headers again; then the trailer: the footer's length (u64), the footer's BLAKE3, and the magic `GMLPEND1`. All
//! numbers are little-endian. A pack is named by the BLAKE3 of its footer, which has the digest of every entry, so no
//! byte of it can change unseen; and its entries describe themselves, so that damage to the footer costs nothing else.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::map;
use crate::id::{Digest, PackId};

/// What a pack begins with.
pub(crate) const MAGIC: [u8; 8] = *b"GMLPACK1";
/// What a pack ends with.
pub(crate) const END_MAGIC: [u8; 8] = *b"GMLPEND1";
/// Bytes of an entry's header.
pub(crate) const HEADER_LEN: usize = 46;
/// Bytes of the trailer: the footer's length, its BLAKE3, the magic.
pub(crate) const TRAILER_LEN: usize = 8 + 32 + 8;
/// Bytes that a chunk may have; the chunker's own limit is a quarter of it.
pub(crate) const CHUNK_LIMIT: u32 = 1 << 20;
/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Bytes of a file, under their own BLAKE3.
    Chunk = 0,
    /// The list of a file's chunks, under the BLAKE3 of the whole file.
    Map = 1,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Chunk),
            1 => Some(Self::Map),
            _ => None,
        }
    }

    /// The word for it in messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Map => "file map",
        }
    }
}

/// Under what an entry is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
}

/// What an entry's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) key: Key,
    /// How the bytes are stored; see [`super::codec`].
    pub(crate) codec: u8,
    pub(crate) raw_len: u32,
    pub(crate) stored_len: u32,
    /// CRC-32 of the stored bytes.
    pub(crate) crc: u32,
}

impl Header {
    pub(crate) fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = self.key.kind as u8;
        bytes[1] = self.codec;
        bytes[2..6].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[6..10].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[10..42].copy_from_slice(self.key.digest.as_bytes());
        bytes[42..46].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    /// Reads a header and refuses lengths that no writer makes, before anybody takes memory for them.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let bytes: &[u8; HEADER_LEN] = bytes.try_into().map_err(|_| "the header is cut short")?;
        let kind = Kind::from_byte(bytes[0]).ok_or("the kind of entry is unknown")?;
        let digest = Digest::from_bytes(array(&bytes[10..42]));
        let header = Self {
            key: Key { kind, digest },
            codec: bytes[1],
            raw_len: u32::from_le_bytes(array(&bytes[2..6])),
            stored_len: u32::from_le_bytes(array(&bytes[6..10])),
            crc: u32::from_le_bytes(array(&bytes[42..46])),
        };
        let limit = match kind {
            Kind::Chunk => CHUNK_LIMIT,
            Kind::Map => map::LIMIT,
        };
        if header.raw_len > limit {
            return Err("the entry is longer than entries may be");
        }
        if header.stored_len > header.raw_len
            || (header.codec == super::codec::RAW && header.stored_len != header.raw_len)
        {
            return Err("the entry's two lengths contradict each other");
        }
        if kind == Kind::Map && !map::is_len(header.raw_len) {
            return Err("the file map's length is not that of a list of chunks");
        }
        Ok(header)
    }
}

/// Bytes of a slice whose length the caller has seen to.
pub(crate) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// An entry and where its stored bytes begin in the pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackEntry {
    pub(crate) header: Header,
    pub(crate) offset: u64,
}

impl PackEntry {
    /// Where the stored bytes are.
    pub(crate) fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.header.stored_len)
    }
}

/// The footer and the trailer of a pack with these headers, and the pack's id.
pub(crate) fn footer(headers: impl Iterator<Item = Header>) -> (Vec<u8>, PackId) {
    let mut bytes: Vec<u8> = headers.flat_map(Header::to_bytes).collect();
    let (len, digest) = (bytes.len() as u64, Digest::of(&bytes));
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(&END_MAGIC);
    (bytes, PackId::from_bytes(*digest.as_bytes()))
}

/// What a pack's footer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The BLAKE3 of the footer, which is how the pack should be named.
    pub(crate) pack_id: PackId,
    pub(crate) entries: Vec<PackEntry>,
}

/// A pack's entries: what its footer says, or what is found by going through the pack where the footer is damaged.
pub(crate) fn read_entries(file: &File) -> io::Result<Vec<PackEntry>> {
    match read_footer(file)? {
        Ok(footer) => Ok(footer.entries),
        Err(_) => scan(file),
    }
}

/// The footer, or what is wrong with it.
pub(crate) fn read_footer(file: &File) -> io::Result<Result<Footer, String>> {
    let len = file.metadata()?.len();
    let Some(body_len) = len.checked_sub((MAGIC.len() + TRAILER_LEN) as u64) else {
        return Ok(Err("it is shorter than a pack without content".to_owned()));
    };
    let mut trailer = [0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, len - TRAILER_LEN as u64)?;
    if trailer[40..] != END_MAGIC {
        return Ok(Err(format!("its last 8 bytes are not `{}`", END_MAGIC.escape_ascii())));
    }
    let footer_len = u64::from_le_bytes(array(&trailer[..8]));
    if footer_len > body_len || !footer_len.is_multiple_of(HEADER_LEN as u64) {
        return Ok(Err(format!("the footer cannot have {footer_len} bytes")));
    }
    let footer_start = len - TRAILER_LEN as u64 - footer_len;
    let Ok(footer_len) = usize::try_from(footer_len) else {
        return Ok(Err("the footer is too long for this machine".to_owned()));
    };
    let mut footer = vec![0; footer_len];
    file.read_exact_at(&mut footer, footer_start)?;
    let digest = Digest::of(&footer);
    if digest.as_bytes() != &trailer[8..40] {
        return Ok(Err("the footer's bytes do not match its BLAKE3".to_owned()));
    }
    let pack_id = PackId::from_bytes(*digest.as_bytes());
    Ok(place_entries(&footer).and_then(|(entries, end)| match end == footer_start {
        true => Ok(Footer { pack_id, entries }),
        false => Err(format!("the footer begins at byte {footer_start} and its entries end at byte {end}")),
    }))
}

/// Where the entries of a footer are, one after the other, and where they end.
pub(super) fn place_entries(footer: &[u8]) -> Result<(Vec<PackEntry>, u64), String> {
    let mut entries = Vec::with_capacity(footer.len() / HEADER_LEN);
    let mut offset = MAGIC.len() as u64;
    for (number, bytes) in footer.chunks_exact(HEADER_LEN).enumerate() {
        let header = Header::parse(bytes).map_err(|problem| format!("entry {number} of the footer: {problem}"))?;
        offset += HEADER_LEN as u64;
        entries.push(PackEntry { header, offset });
        // No overflow: a footer of n entries has more than n bytes, and each adds 32 bits at most.
        offset += u64::from(header.stored_len);
    }
    Ok((entries, offset))
}

/// Finds the entries by their own headers.
///
/// An entry counts where its stored bytes match its CRC, and also where they do not but another entry follows, so that
/// whoever asks for it learns which pack is damaged. After a damaged header the search goes on byte by byte.
pub(crate) fn scan(file: &File) -> io::Result<Vec<PackEntry>> {
    let len = file.metadata()?.len();
    let mut window = Window { file, len, start: 0, bytes: Vec::new() };
    // Many false headers could make the search quadratic; honest packs have next to none.
    let mut budget = len.saturating_mul(4).max(1 << 20);
    let mut entries: Vec<PackEntry> = Vec::new();
    let mut position = MAGIC.len() as u64;
    let mut searching = false;
    while position < len {
        let header = window.header_at(position)?;
        let found = match header {
            // The footer begins with the first entry's header, and a pack has no entry twice.
            Some(header) if entries.first().is_some_and(|first| first.header.key == header.key) => break,
            Some(header) => {
                let entry = PackEntry { header, offset: position + HEADER_LEN as u64 };
                budget = budget.saturating_sub(u64::from(header.stored_len) + 1);
                let good = window.matches_crc(&entry)?;
                (good || (!searching && window.header_at(entry.range().end)?.is_some())).then_some(entry)
            }
            None => None,
        };
        match found {
            Some(entry) => {
                position = entry.range().end;
                entries.push(entry);
            }
            None => position += 1,
        }
        searching = found.is_none();
        if budget == 0 {
            break;
        }
    }
    Ok(entries)
}

/// A part of a file in memory, moved along as it is read.
struct Window<'f> {
    file: &'f File,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The header at `position`, if there is one and its entry lies within the file.
    fn header_at(&mut self, position: u64) -> io::Result<Option<Header>> {
        let Some(bytes) = self.get(position, HEADER_LEN)? else { return Ok(None) };
        let header = Header::parse(bytes).ok();
        Ok(header.filter(|header| position + HEADER_LEN as u64 + u64::from(header.stored_len) <= self.len))
    }

    fn matches_crc(&mut self, entry: &PackEntry) -> io::Result<bool> {
        let header = &entry.header;
        if header.stored_len == 0 {
            // The CRC of nothing is 0: a run of zeros would look like any number of empty entries.
            return Ok(header.key.digest == Digest::of(b""));
        }
        let mut crc = crc32fast::Hasher::new();
        let mut range = entry.range();
        while range.start < range.end {
            let step = (range.end - range.start).min(u64::from(CHUNK_LIMIT));
            let Some(bytes) = self.get(range.start, step as usize)? else { return Ok(false) };
            crc.update(bytes);
            range.start += step;
        }
        Ok(crc.finalize() == header.crc)
    }

    /// `count` bytes at `position`; none where the file ends before.
    fn get(&mut self, position: u64, count: usize) -> io::Result<Option<&[u8]>> {
        if position + count as u64 > self.len {
            return Ok(None);
        }
        let end = self.start + self.bytes.len() as u64;
        if position < self.start || position + count as u64 > end {
            let size = (2 * u64::from(CHUNK_LIMIT)).max(count as u64).min(self.len - position);
            self.bytes.resize(size as usize, 0);
            self.start = position;
            self.file.read_exact_at(&mut self.bytes, position)?;
        }
        let from = (position - self.start) as usize;
        Ok(Some(&self.bytes[from..from + count]))
    }
}
