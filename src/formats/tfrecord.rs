//! TFRecord: the frame around the records of TensorBoard's event files.
//!
//! A record is its length (u64), the masked CRC-32C of those eight bytes (u32), its bytes, and the masked CRC-32C of
//! these (u32), all little-endian.

use super::{Losses, MAX_RECORD};

/// Bytes before a record's own.
const HEADER: usize = 12;
/// Bytes after them.
const FOOTER: usize = 4;

/// Takes the records out of a file that is fed in pieces.
#[derive(Debug, Clone, Default)]
pub struct Records {
    /// What was fed and not given out.
    waiting: Vec<u8>,
    /// Bytes of a record that is passed over, still to come.
    skipping: u64,
    fed: u64,
    losses: Losses,
}

impl Records {
    /// Nothing was fed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file, and gives out the records that are whole now.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
        self.fed += bytes.len() as u64;
        if self.losses.lost {
            return;
        }
        let skipped = usize::try_from(self.skipping).unwrap_or(usize::MAX).min(bytes.len());
        self.skipping -= skipped as u64;
        let bytes = &bytes[skipped..];
        if self.waiting.is_empty() {
            let used = self.take(bytes, each);
            self.waiting.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            self.waiting.extend_from_slice(bytes);
            let mut waiting = std::mem::take(&mut self.waiting);
            let used = self.take(&waiting, each);
            // A record that comes in many pieces is not moved each time.
            waiting.drain(..used.min(waiting.len()));
            self.waiting = waiting;
        }
    }

    /// Bytes that were fed: what follows them comes next.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// Bytes of the records that were whole.
    pub fn whole(&self) -> u64 {
        self.fed - self.waiting.len() as u64
    }

    /// What could not be read.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    /// Gives out the whole records at the front of `bytes`, and returns how many bytes are done with.
    fn take(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) -> usize {
        let mut used = 0;
        while let Some((header, rest)) = bytes.get(used..).and_then(|rest| rest.split_first_chunk::<HEADER>()) {
            let (length, checksum) = header.split_at(8);
            if masked_checksum(length) != number(checksum) {
                // Without the length nobody knows where the next record begins.
                self.losses.lost = true;
                return bytes.len();
            }
            let length = length.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            if length > MAX_RECORD as u64 {
                self.losses.too_long += 1;
                let rest_len = rest.len() as u64;
                let whole = length.saturating_add(FOOTER as u64);
                if whole > rest_len {
                    self.skipping = whole - rest_len;
                    return bytes.len();
                }
                used += HEADER + usize::try_from(whole).unwrap_or(rest.len());
                continue;
            }
            let length = usize::try_from(length).unwrap_or(MAX_RECORD);
            let Some((record, rest)) = rest.split_at_checked(length) else { break };
            let Some(checksum) = rest.get(..FOOTER) else { break };
            if masked_checksum(record) == number(checksum) {
                each(record);
            } else {
                self.losses.damaged += 1;
            }
            used += HEADER + length + FOOTER;
        }
        used
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// CRC-32C, turned and shifted so that a checksum of bytes that hold checksums is a good one too.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A record with its frame.
pub fn framed(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u64).to_le_bytes();
    let checksums = [masked_checksum(&length).to_le_bytes(), masked_checksum(record).to_le_bytes()];
    [&length[..], &checksums[0], record, &checksums[1]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Records) {
        let mut records = Records::new();
        let mut found = Vec::new();
        pieces.iter().for_each(|piece| records.feed(piece, &mut |record| found.push(record.to_vec())));
        (found, records)
    }

    #[test]
    fn the_checksum_is_the_one_of_tensorflow() {
        // The first record of every event file that TensorFlow writes has 24 bytes.
        assert_eq!(framed(&[0; 24])[..12], [0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn a_damaged_record_costs_itself_and_a_damaged_length_the_rest() {
        let mut bytes = [framed(b"one"), framed(b"two"), framed(b"three")].concat();
        bytes[19 + 12] ^= 1;
        let (found, records) = collect(&[&bytes]);
        assert_eq!(found, [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!(records.losses(), Losses { damaged: 1, ..Losses::default() });
        bytes[19] ^= 1;
        let (found, records) = collect(&[&bytes, b"more"]);
        assert_eq!(found, [b"one".to_vec()]);
        assert!(records.losses().lost);
    }

    #[test]
    fn a_record_that_is_too_long_is_passed_over_without_being_held() {
        let length = (MAX_RECORD as u64 + 5).to_le_bytes();
        let head = [&length[..], &masked_checksum(&length).to_le_bytes()].concat();
        let body = vec![0; MAX_RECORD + 5 + FOOTER];
        for cut in [0, 1, 100_000, body.len()] {
            let (found, records) = collect(&[&head, &body[..cut], &body[cut..], &framed(b"next")]);
            assert_eq!(found, [b"next".to_vec()]);
            assert_eq!((records.losses().too_long, records.whole()), (1, records.fed()));
            assert!(records.waiting.capacity() < 1000);
        }
        let whole = [head, body, framed(b"next")].concat();
        assert_eq!(collect(&[&whole]).0, [b"next".to_vec()]);
    }

    proptest! {
        #[test]
        fn records_come_out_however_the_file_is_cut(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            torn in 0usize..12,
        ) {
            let bytes: Vec<u8> = records.iter().flat_map(|record| framed(record)).collect();
            let torn_end = framed(b"not all of this is there");
            let all = [&bytes[..], &torn_end[..torn]].concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
            cuts.extend([0, all.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
            let (found, reader) = collect(&pieces);
            prop_assert_eq!(found, records);
            prop_assert_eq!((reader.whole(), reader.fed()), (bytes.len() as u64, all.len() as u64));
            prop_assert_eq!(reader.losses(), Losses::default());
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_, reader) = collect(&[&bytes]);
            prop_assert_eq!(reader.fed(), bytes.len() as u64);
        }
    }
}
