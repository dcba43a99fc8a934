//! The frame around W&B's records.

use super::super::{Losses, MAX_RECORD};

/// What a file begins with: `:W&B`, 0xBEE1 and the version, 0.
const MAGIC: [u8; 7] = *b":W&B\xe1\xbe\x00";
const BLOCK: u64 = 32 << 10;
/// Bytes before a fragment's own.
const HEADER: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Takes the records out of a file that is fed in pieces.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    /// What was fed and not used.
    waiting: Vec<u8>,
    /// Where in the file that begins.
    position: u64,
    /// The fragments of a record whose end is not there yet; none between records, and while one is passed over.
    fragments: Option<Vec<u8>>,
    losses: Losses,
}

impl Log {
    /// Takes the next bytes of the file, and gives out the records that are whole now.
    pub(super) fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
        if self.losses.lost {
            self.position += bytes.len() as u64;
            return;
        }
        self.waiting.extend_from_slice(bytes);
        let waiting = std::mem::take(&mut self.waiting);
        let mut used = 0;
        while let Some(count) = self.step(waiting.get(used..).unwrap_or_default(), each) {
            used += count;
            self.position += count as u64;
        }
        self.waiting = waiting;
        self.waiting.drain(..used.min(self.waiting.len()));
    }

    /// Bytes that were fed.
    pub(super) fn fed(&self) -> u64 {
        self.position + self.waiting.len() as u64
    }

    /// What could not be read.
    pub(super) fn losses(&self) -> Losses {
        self.losses
    }

    /// Uses what stands first in `rest`, if it is whole, and returns how many bytes that was.
    fn step(&mut self, rest: &[u8], each: &mut dyn FnMut(&[u8])) -> Option<usize> {
        if self.losses.lost {
            return (!rest.is_empty()).then_some(rest.len());
        }
        if self.position == 0 {
            let magic = rest.get(..MAGIC.len())?;
            self.losses.lost = magic != MAGIC;
            return Some(MAGIC.len());
        }
        let left = (BLOCK - self.position % BLOCK) as usize;
        let to_next_block = || rest.get(..left).map(<[u8]>::len);
        if left < HEADER {
            return to_next_block();
        }
        let [c0, c1, c2, c3, l0, l1, kind] = *rest.first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        if kind == 0 && length == 0 {
            return to_next_block();
        }
        if HEADER + length > left {
            // Nobody knows where the next fragment begins, but one begins with the next block.
            let next = to_next_block()?;
            self.damage();
            return Some(next);
        }
        let fragment = rest.get(HEADER..HEADER + length)?;
        if checksum(kind, fragment) != u32::from_le_bytes([c0, c1, c2, c3]) {
            let next = to_next_block()?;
            self.damage();
            return Some(next);
        }
        self.fragment(kind, fragment, each);
        Some(HEADER + length)
    }

    fn damage(&mut self) {
        self.losses.damaged += 1;
        self.fragments = None;
    }

    fn fragment(&mut self, kind: u8, bytes: &[u8], each: &mut dyn FnMut(&[u8])) {
        if matches!(kind, FULL | FIRST) && self.fragments.take().is_some() {
            self.losses.damaged += 1;
        }
        match kind {
            FULL => each(bytes),
            FIRST => self.fragments = Some(bytes.to_vec()),
            MIDDLE | LAST => {
                let Some(fragments) = &mut self.fragments else { return };
                if fragments.len() + bytes.len() > MAX_RECORD {
                    self.losses.too_long += 1;
                    self.fragments = None;
                    return;
                }
                fragments.extend_from_slice(bytes);
                if kind == LAST {
                    self.fragments.take().iter().for_each(|record| each(record));
                }
            }
            _ => self.losses.damaged += 1,
        }
    }
}

fn checksum(kind: u8, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(bytes);
    hasher.finalize()
}

/// A file with these records.
pub fn frame(records: &[Vec<u8>]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    for record in records {
        let mut rest = &record[..];
        let mut is_first = true;
        loop {
            let mut left = BLOCK as usize - file.len() % BLOCK as usize;
            if left < HEADER {
                file.resize(file.len() + left, 0);
                left = BLOCK as usize;
            }
            let (fragment, more) = rest.split_at(rest.len().min(left - HEADER));
            rest = more;
            let kind = match (is_first, rest.is_empty()) {
                (true, true) => FULL,
                (true, false) => FIRST,
                (false, false) => MIDDLE,
                (false, true) => LAST,
            };
            file.extend_from_slice(&checksum(kind, fragment).to_le_bytes());
            file.extend_from_slice(&(fragment.len() as u16).to_le_bytes());
            file.push(kind);
            file.extend_from_slice(fragment);
            is_first = false;
            if rest.is_empty() {
                break;
            }
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Log) {
        let (mut log, mut found) = (Log::default(), Vec::new());
        pieces.iter().for_each(|piece| log.feed(piece, &mut |record| found.push(record.to_vec())));
        (found, log)
    }

    #[test]
    fn damage_costs_its_block_and_another_kind_of_file_all() {
        let records = [vec![1; 100], vec![2; 200], vec![3; 70_000], vec![4; 10]];
        let mut file = frame(&records);
        assert_eq!(collect(&[&file]).0, records);
        let at = MAGIC.len() + HEADER + 100 + HEADER;
        file[at] ^= 1;
        // The second record is damaged, and with it the beginning of the third, which is in the same block.
        let (found, log) = collect(&[&file]);
        assert_eq!((found, log.losses().damaged), (vec![vec![1; 100], vec![4; 10]], 1));
        let (found, log) = collect(&[b"PK\x03\x04 and so on"]);
        assert!(found.is_empty() && log.losses().lost && log.fed() == 14);
    }

    #[test]
    fn a_record_that_is_too_long_is_not_held() {
        let records = [vec![1; MAX_RECORD + 1], vec![2; 10]];
        let (found, log) = collect(&[&frame(&records)]);
        assert_eq!((found, log.losses().too_long, log.losses().damaged), (vec![vec![2; 10]], 1, 0));
    }

    proptest! {
        #[test]
        fn records_come_out_however_the_file_is_cut(
            lengths in prop::collection::vec(prop_oneof![0usize..40, 32_700usize..32_800, 60_000usize..70_000], 0..5),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
            torn in any::<prop::sample::Index>(),
        ) {
            let records: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(number, length)| vec![number as u8; *length]).collect();
            let file = frame(&records);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(file.len() + 1)).collect();
            cuts.extend([0, file.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &file[pair[0]..pair[1]]).collect();
            let (found, log) = collect(&pieces);
            prop_assert_eq!(&found, &records);
            prop_assert_eq!((log.losses(), log.fed()), (Losses::default(), file.len() as u64));
            let (found, log) = collect(&[&file[..torn.index(file.len() + 1)]]);
            prop_assert!(records.starts_with(&found) && log.losses() == Losses::default());
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let file = [&MAGIC[..], &bytes].concat();
            prop_assert_eq!(collect(&[&file]).1.fed(), file.len() as u64);
        }
    }
}
