//! Reading entries out of a remote's packs, by ranges.

use std::ops::Range;

use rayon::prelude::*;

use super::objects::{Objects, PIECE, Pace};
use super::{RemoteError, layout, parallel};
use crate::id::PackId;
use crate::store::{Location, Stored, check_stored};

/// A part of a pack that is read at once, for the sake of the entries in it.
#[derive(Debug)]
struct Span {
    pack: PackId,
    bytes: Range<u64>,
    entries: Vec<Location>,
}

/// Reads entries and hands them over verified, sorted by pack and place, each once.
pub(super) fn read(
    objects: &dyn Objects,
    place: &str,
    wanted: Vec<Location>,
    pace: &Pace<'_>,
    take: &mut dyn FnMut(&Location, Stored) -> Result<(), RemoteError>,
) -> Result<(), RemoteError> {
    let mut spans = spans(wanted, objects.gap()).into_iter();
    loop {
        // What is in memory at a time is what is under way at a time.
        let wave: Vec<Span> = spans.by_ref().take(objects.at_once()).collect();
        if wave.is_empty() {
            return Ok(());
        }
        let read = |span: Span| -> Result<_, RemoteError> {
            pace(span.bytes.end - span.bytes.start);
            let bytes = objects.read(&layout::pack_name(&span.pack), span.bytes.clone())?;
            Ok((span, bytes))
        };
        for (span, bytes) in parallel::map(wave, objects.at_once(), read)? {
            let stored = |location: &Location| {
                let entry = location.entry;
                let start = (entry.offset - span.bytes.start) as usize;
                let stored = &bytes[start..start + entry.header.stored_len as usize];
                match check_stored(&entry.header, stored) {
                    None => Ok(Stored { header: entry.header, bytes: stored.to_vec() }),
                    Some(problem) => {
                        let key = entry.header.key;
                        let problem = format!("{} {} {problem}", key.kind.noun(), key.digest);
                        Err(RemoteError::Damaged { pack: location.pack, place: place.to_owned(), problem })
                    }
                }
            };
            let checked: Vec<_> = span.entries.par_iter().map(stored).collect::<Result<_, _>>()?;
            for (location, stored) in span.entries.iter().zip(checked) {
                take(location, stored)?;
            }
        }
    }
}

/// The bytes that reading these entries takes.
pub(super) fn cost(wanted: &[Location], gap: u64) -> u64 {
    spans(wanted.to_vec(), gap).iter().map(|span| span.bytes.end - span.bytes.start).sum()
}

/// Entries that stand close together, as one range; no range has much more than a piece.
fn spans(mut wanted: Vec<Location>, gap: u64) -> Vec<Span> {
    wanted.sort_unstable_by_key(|location| (location.pack, location.entry.offset));
    wanted.dedup();
    let mut spans: Vec<Span> = Vec::new();
    for location in wanted {
        let range = location.entry.range();
        match spans.last_mut() {
            Some(span)
                if span.pack == location.pack
                    && range.start >= span.bytes.end
                    && range.start - span.bytes.end <= gap
                    && range.end - span.bytes.start <= PIECE =>
            {
                span.bytes.end = range.end;
                span.entries.push(location);
            }
            _ => spans.push(Span { pack: location.pack, bytes: range, entries: vec![location] }),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{PackEntry, plain_chunk};

    #[test]
    fn neighbours_are_read_together() {
        let entry = |pack, offset| {
            let header = plain_chunk(b"ten bytes.").header;
            Location { pack: PackId::from_bytes([pack; 32]), entry: PackEntry { header, offset } }
        };
        let wanted = vec![entry(2, 54), entry(1, 1000), entry(1, 54), entry(1, 110), entry(1, 54), entry(1, PIECE)];
        let spans: Vec<_> = spans(wanted, 100).into_iter().map(|span| (span.bytes, span.entries.len())).collect();
        assert_eq!(spans, [(54..120, 2), (1000..1010, 1), (PIECE..PIECE + 10, 1), (54..64, 1)]);
    }
}
