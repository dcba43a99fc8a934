//! Indexes of a remote: what the packs of one push hold.
//!
//! An index is the magic `GMLRIDX1`, the number of packs (u32), and for each pack the length of its footer (u32) and
//! the footer. A pack's id is the BLAKE3 of its footer, so the index need not say it; and an index is named by the
//! BLAKE3 of all of it. Both are checked. What a footer says of its pack's bytes is not believed before they are read.

use crate::id::{Digest, PackId};
use crate::store::{PackEntry, parse_footer};

const MAGIC: [u8; 8] = *b"GMLRIDX1";
/// An index has no more bytes of footers than this and one pack's.
pub(crate) const TARGET: usize = 32 << 20;
/// Bytes that an index may have. A pack's footer is no longer than its content.
pub(crate) const LIMIT: u64 = 256 << 20;

/// A pack in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedPack {
    pub(crate) id: PackId,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    pub(crate) entries: Vec<PackEntry>,
}

/// The index of packs with these footers, and its name.
pub(crate) fn encode(footers: &[&[u8]]) -> (Digest, Vec<u8>) {
    let mut bytes = Vec::with_capacity(12 + footers.iter().map(|footer| 4 + footer.len()).sum::<usize>());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&(footers.len() as u32).to_le_bytes());
    for footer in footers {
        bytes.extend_from_slice(&(footer.len() as u32).to_le_bytes());
        bytes.extend_from_slice(footer);
    }
    (Digest::of(&bytes), bytes)
}

/// The packs of an index, or what is wrong with it.
pub(crate) fn parse(name: &Digest, bytes: &[u8]) -> Result<Vec<IndexedPack>, String> {
    if Digest::of(bytes) != *name {
        return Err("its bytes do not match its name".to_owned());
    }
    let body = bytes.strip_prefix(&MAGIC).ok_or("it does not begin as indexes do")?;
    let (count, mut rest) = split_number(body)?;
    let mut packs = Vec::new();
    for _ in 0..count {
        let (len, after) = split_number(rest)?;
        let (footer, after) = after.split_at_checked(len as usize).ok_or("it is cut short")?;
        let (id, entries, bytes) = parse_footer(footer)?;
        packs.push(IndexedPack { id, bytes, entries });
        rest = after;
    }
    if rest.is_empty() { Ok(packs) } else { Err("it is longer than it says".to_owned()) }
}

/// The packs with these footers, which were made here.
pub(crate) fn parse_footers(footers: &[&[u8]]) -> Vec<IndexedPack> {
    let pack = |footer: &&[u8]| parse_footer(footer).ok();
    let indexed = footers.iter().filter_map(pack);
    indexed.map(|(id, entries, bytes)| IndexedPack { id, bytes, entries }).collect()
}

fn split_number(bytes: &[u8]) -> Result<(u32, &[u8]), String> {
    let (number, rest) = bytes.split_first_chunk().ok_or("it is cut short")?;
    Ok((u32::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{footer_of, plain_chunk};

    #[test]
    fn an_index_reads_back_and_nothing_else_does() {
        let chunks = ["a", "bb", ""].map(|content| plain_chunk(content.as_bytes()).header);
        let footers = [footer_of(chunks[..2].iter().copied()).0, footer_of(chunks[2..].iter().copied()).0];
        let (name, bytes) = encode(&footers.each_ref().map(Vec::as_slice));
        let packs = parse(&name, &bytes).unwrap();
        assert_eq!(packs.iter().map(|pack| pack.entries.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(packs[0].id, footer_of(chunks[..2].iter().copied()).1);
        assert_eq!(packs[0].bytes, 8 + 46 + 1 + 46 + 2 + 92 + 48);
        assert_eq!(packs[0].entries[1].offset, 8 + 46 + 1 + 46);
        for place in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[place] ^= 1;
            assert!(parse(&name, &bad).is_err(), "byte {place}");
            // Whoever names their own lies well is found out by the lengths, or has made another index.
            let _ = parse(&Digest::of(&bad), &bad);
            assert!(parse(&Digest::of(&bytes[..place]), &bytes[..place]).is_err(), "cut to {place}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert!(parse(&Digest::of(&longer), &longer).is_err());
        let huge = [&MAGIC[..], &u32::MAX.to_le_bytes(), &u32::MAX.to_le_bytes()].concat();
        assert!(parse(&Digest::of(&huge), &huge).is_err());
    }
}
