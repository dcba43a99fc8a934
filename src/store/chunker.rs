//! Cutting files into chunks where their content says so (FastCDC).
//!
//! Where the cuts fall is part of the format: other cuts would store every file anew.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fastcdc::v2020::{FastCDC, Normalization};

use super::lock;
use crate::files::fill;

/// Files up to this size are one chunk.
pub(super) const MIN: usize = 16 << 10;
const AVERAGE: usize = 64 << 10;
/// No chunk is longer.
pub(super) const MAX: usize = 256 << 10;
/// Bytes that are read at a time.
pub(super) const WINDOW: usize = 4 << 20;

/// Where the first chunk of `bytes` ends. What follows must be at least a longest chunk, or the end of the file.
fn cut(bytes: &[u8]) -> usize {
    let (_, length) = FastCDC::with_level(bytes, MIN, AVERAGE, MAX, Normalization::Level1).cut(0, bytes.len());
    length
}

/// Buffers that come back when the last chunk in them was written: fresh memory costs as much as reading into it.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer on loan.
struct Loan {
    buffer: Vec<u8>,
    length: usize,
    home: Buffers,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        lock(&self.home.0).push(std::mem::take(&mut self.buffer));
    }
}

impl Buffers {
    fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_else(|| vec![0; MAX + WINDOW])
    }

    fn lend(&self, buffer: Vec<u8>, length: usize) -> Bytes {
        Bytes::from_owner(Loan { buffer, length, home: self.clone() })
    }
}

/// A part of a file.
pub(super) struct Window {
    /// The bytes that follow those of the window before.
    pub(super) fresh: Bytes,
    /// The chunks that end in it.
    pub(super) chunks: Vec<Bytes>,
    /// Whether the file ends here.
    pub(super) is_last: bool,
}

/// Reads a file window by window, and cuts it.
pub(super) struct Chunker<'r> {
    input: &'r mut dyn Read,
    buffers: Buffers,
    /// What was read and is in no chunk yet; shorter than a longest chunk.
    carried: Bytes,
    /// What was read before the first window, and is no fresh news to nobody yet.
    head: usize,
}

impl<'r> Chunker<'r> {
    /// Over a file that begins with `head`, shorter than a longest chunk, and goes on with `input`.
    pub(super) fn new(head: Bytes, input: &'r mut dyn Read, buffers: &Buffers) -> Self {
        let length = head.len();
        Self { input, buffers: buffers.clone(), carried: head, head: length }
    }

    /// The next window. After the last there is none to ask for.
    pub(super) fn next(&mut self) -> io::Result<Window> {
        let mut buffer = self.buffers.take();
        let carried = self.carried.len();
        buffer[..carried].copy_from_slice(&self.carried);
        let read = match fill(self.input, &mut buffer[carried..]) {
            Ok(read) => read,
            Err(error) => {
                drop(self.buffers.lend(buffer, 0));
                return Err(error);
            }
        };
        let is_last = carried + read < buffer.len();
        let bytes = self.buffers.lend(buffer, carried + read);
        let mut chunks = Vec::with_capacity(bytes.len() / AVERAGE + 1);
        let mut start = 0;
        // A cut depends on what follows, up to the longest chunk.
        while start < bytes.len() && (is_last || bytes.len() - start >= MAX) {
            let length = cut(&bytes[start..]);
            chunks.push(bytes.slice(start..start + length));
            start += length;
        }
        self.carried = bytes.slice(start..);
        let fresh = bytes.slice(carried - std::mem::take(&mut self.head)..);
        Ok(Window { fresh, chunks, is_last })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::noise;

    fn cut(mut input: impl Read) -> Vec<Vec<u8>> {
        let mut head = vec![0; MIN + 1];
        let length = fill(&mut input, &mut head).unwrap();
        head.truncate(length);
        let mut chunker = Chunker::new(head.into(), &mut input, &Buffers::default());
        let (mut chunks, mut fresh) = (Vec::new(), Vec::new());
        loop {
            let window = chunker.next().unwrap();
            fresh.extend_from_slice(&window.fresh);
            chunks.extend(window.chunks.iter().map(|chunk| chunk.to_vec()));
            if window.is_last {
                assert_eq!(fresh, chunks.concat());
                return chunks;
            }
        }
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
        fn pieces_join_to_the_whole_however_they_are_read(seed: u64, size in prop_oneof![0usize..1_500_000, WINDOW - 9..WINDOW + MAX + 9], step in 1usize..100_000) {
            let bytes = noise(seed, size);
            let chunks = cut(Dribble(&bytes, step.max(size / 200)));
            prop_assert!(chunks.iter().all(|chunk| chunk.len() <= MAX));
            prop_assert!(chunks.iter().rev().skip(1).all(|chunk| chunk.len() >= MIN));
            prop_assert_eq!(&chunks.concat(), &bytes);
            prop_assert_eq!(chunks, cut(&bytes[..]));
        }
    }
}
