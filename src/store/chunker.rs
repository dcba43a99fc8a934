//! Cutting files into chunks where their content says so (FastCDC).
//!
//! Where the cuts fall is part of the format: other cuts would store every file anew.

use std::io::{self, Read};

use fastcdc::v2020::{FastCDC, Normalization};

use crate::id::Digest;

/// Files up to this size are one chunk.
pub(super) const MIN: usize = 16 << 10;
const AVERAGE: usize = 64 << 10;
/// No chunk is longer.
pub(super) const MAX: usize = 256 << 10;
/// Bytes read ahead at first: a small file should not cost a large buffer.
const SMALL_WINDOW: usize = 2 * MIN;
const WINDOW: usize = 1 << 20;

/// Reads a file, cuts it, and hashes it as a whole.
pub(super) struct Chunker<'r> {
    input: &'r mut dyn Read,
    window: Vec<u8>,
    /// The part of the window that is read and not yet given out.
    start: usize,
    end: usize,
    at_end: bool,
    whole: blake3::Hasher,
    size: u64,
}

impl<'r> Chunker<'r> {
    pub(super) fn new(input: &'r mut dyn Read) -> Self {
        let window = vec![0; SMALL_WINDOW];
        Self { input, window, start: 0, end: 0, at_end: false, whole: blake3::Hasher::new(), size: 0 }
    }

    /// The next chunk; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.fill()?;
        let rest = &self.window[self.start..self.end];
        if rest.is_empty() {
            return Ok(None);
        }
        let (_, length) = FastCDC::with_level(rest, MIN, AVERAGE, MAX, Normalization::Level1).cut(0, rest.len());
        self.start += length;
        Ok(Some(&rest[..length]))
    }

    /// Whether all of the input was given out.
    pub(super) fn is_done(&mut self) -> io::Result<bool> {
        self.fill()?;
        Ok(self.start == self.end)
    }

    /// The digest and the size of what was read.
    pub(super) fn finish(&self) -> (Digest, u64) {
        (Digest::from_bytes(*self.whole.finalize().as_bytes()), self.size)
    }

    /// Reads until a longest chunk can be cut or the input ends: a cut depends on what follows it up to there.
    fn fill(&mut self) -> io::Result<()> {
        if self.at_end || self.end - self.start >= MAX {
            return Ok(());
        }
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let unhashed = self.end;
        while !self.at_end {
            if self.end == self.window.len() {
                if self.window.len() == WINDOW {
                    break;
                }
                self.window.resize(WINDOW, 0);
            }
            match self.input.read(&mut self.window[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let read = &self.window[unhashed..self.end];
        self.whole.update(read);
        self.size += read.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::noise;

    fn cut(mut input: impl Read) -> Vec<Vec<u8>> {
        let mut chunker = Chunker::new(&mut input);
        let mut chunks = Vec::new();
        while let Some(chunk) = chunker.next().unwrap() {
            chunks.push(chunk.to_vec());
        }
        assert!(chunker.is_done().unwrap());
        let whole = chunks.concat();
        assert_eq!(chunker.finish(), (Digest::of(&whole), whole.len() as u64));
        chunks
    }

    /// Gives out one odd-sized piece at a time.
    struct Dribble<'b>(&'b [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(buffer.len());
            self.0.read(&mut buffer[..count])
        }
    }

    #[test]
    fn the_cuts_are_fixed() {
        let lengths = |bytes: &[u8]| cut(bytes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&noise(1, 700_000)), [76660, 159933, 188476, 66903, 40565, 71991, 79179, 16293]);
        assert_eq!(lengths(&vec![0; 3 * MAX + 5]), [MAX, MAX, MAX, 5]);
        assert_eq!(lengths(&noise(2, MIN)), [MIN]);
        assert!(lengths(b"").is_empty());
    }

    #[test]
    fn an_insertion_changes_few_chunks() {
        let old = noise(3, 4 << 20);
        let new = [&old[..2 << 20], b"inserted", &old[2 << 20..]].concat();
        let known: std::collections::HashSet<_> = cut(&old[..]).into_iter().collect();
        let added = cut(&new[..]).into_iter().filter(|chunk| !known.contains(chunk)).count();
        assert!(added <= 3, "{added} chunks");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn pieces_join_to_the_whole_however_they_are_read(seed: u64, size in 0usize..1_500_000, step in 1usize..100_000) {
            let bytes = noise(seed, size);
            let chunks = cut(Dribble(&bytes, step.max(size / 200)));
            prop_assert!(chunks.iter().all(|chunk| chunk.len() <= MAX));
            prop_assert!(chunks.iter().rev().skip(1).all(|chunk| chunk.len() >= MIN));
            prop_assert_eq!(&chunks.concat(), &bytes);
            prop_assert_eq!(chunks, cut(&bytes[..]));
        }
    }
}
