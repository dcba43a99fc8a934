//! Numbers of a fixed width, taken apart into planes: all their first bytes, then all their second ones, and so on.

use std::ops::Range;
use std::sync::OnceLock;

/// The widths that are looked for: those of half, single and double precision.
pub(super) const STRIDES: [usize; 3] = [2, 4, 8];
/// The widest.
pub(super) const MAX_STRIDE: usize = 8;
/// Below so many bytes nothing can be said of planes.
const LEAST: usize = 512;
/// Bits for each byte that planes have to save over the bytes as they lie, or there are no numbers in there.
const LEAST_GAIN: f32 = 0.25;

/// What planes of a sample would cost, by the entropy of their bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimate {
    /// How many planes: the width of the numbers.
    pub(super) stride: usize,
    /// Bits for each byte, over all planes.
    pub(super) bits: f32,
    /// Bits for each byte as the bytes lie.
    pub(super) flat: f32,
    by_plane: [f32; MAX_STRIDE],
}

impl Estimate {
    /// Bits for each byte of each plane.
    pub(super) fn planes(&self) -> &[f32] {
        &self.by_plane[..self.stride]
    }
}

type Histogram = [u16; 256];

/// The best way to take a sample apart; none where that does not pay. The sample is not above 64 KiB.
pub(super) fn estimate(sample: &[u8]) -> Option<Estimate> {
    if sample.len() < LEAST || sample.len() > usize::from(u16::MAX) {
        return None;
    }
    let mut eighths = [[0u16; 256]; MAX_STRIDE];
    for numbers in sample.chunks_exact(MAX_STRIDE) {
        for (byte, histogram) in numbers.iter().zip(&mut eighths) {
            histogram[usize::from(*byte)] += 1;
        }
    }
    let quarters = fold::<8, 4>(&eighths);
    let halves = fold::<4, 2>(&quarters);
    let [whole] = fold::<2, 1>(&halves);
    let flat = entropy(&whole);
    let estimates = [of_planes(&halves, flat), of_planes(&quarters, flat), of_planes(&eighths, flat)];
    // Wider numbers have to be better by something: planes of half as wide ones show the same and are longer.
    let best = estimates.into_iter().reduce(|best, wider| if wider.bits < best.bits - 0.1 { wider } else { best })?;
    (best.bits < flat - LEAST_GAIN).then_some(best)
}

/// Planes of half as many, each of two.
fn fold<const FROM: usize, const TO: usize>(planes: &[Histogram; FROM]) -> [Histogram; TO] {
    std::array::from_fn(|number| std::array::from_fn(|byte| planes[number][byte] + planes[number + TO][byte]))
}

fn of_planes(histograms: &[Histogram], flat: f32) -> Estimate {
    let mut by_plane = [0.0; MAX_STRIDE];
    for (bits, histogram) in by_plane.iter_mut().zip(histograms) {
        *bits = entropy(histogram);
    }
    let stride = histograms.len();
    Estimate { stride, bits: by_plane.iter().sum::<f32>() / stride as f32, flat, by_plane }
}

/// Bits for each byte: the entropy of the counts, with the correction of Miller and Madow for so few of them.
fn entropy(histogram: &Histogram) -> f32 {
    static WEIGHTED: OnceLock<Vec<f32>> = OnceLock::new();
    let weighted = WEIGHTED.get_or_init(|| (0..=8192u16).map(weigh).collect());
    let (mut total, mut kinds, mut sum) = (0u32, 0u32, 0.0);
    for count in *histogram {
        total += u32::from(count);
        kinds += u32::from(count > 0);
        sum += weighted.get(usize::from(count)).copied().unwrap_or_else(|| weigh(count));
    }
    if kinds <= 1 {
        return 0.0;
    }
    let total = total as f32;
    let bits = total.log2() - sum / total + (kinds - 1) as f32 / (2.0 * total * std::f32::consts::LN_2);
    bits.min(8.0)
}

fn weigh(count: u16) -> f32 {
    let count = f32::from(count);
    if count > 0.0 { count * count.log2() } else { 0.0 }
}

/// Where a plane is among the planes of so many bytes.
pub(super) fn range(length: usize, stride: usize, number: usize) -> Range<usize> {
    let start = |number: usize| length / stride * number + number.min(length % stride);
    start(number)..start(number + 1)
}

/// Takes bytes apart.
pub(super) fn split(raw: &[u8], stride: usize) -> Vec<u8> {
    let mut split = vec![0; raw.len()];
    match stride {
        2 => split_into::<2>(raw, &mut split),
        4 => split_into::<4>(raw, &mut split),
        _ => split_into::<8>(raw, &mut split),
    }
    split
}

/// Puts the planes of so many bytes together again; each is as long as [`range`] says.
pub(super) fn join(planes: &[&[u8]], length: usize) -> Vec<u8> {
    let mut raw = vec![0; length];
    match planes {
        [a, b] => join_into([a, b], &mut raw),
        [a, b, c, d] => join_into([a, b, c, d], &mut raw),
        [a, b, c, d, e, f, g, h] => join_into([a, b, c, d, e, f, g, h], &mut raw),
        _ => unreachable!("there are two, four or eight planes"),
    }
    raw
}

fn split_into<const STRIDE: usize>(raw: &[u8], mut split: &mut [u8]) {
    let mut planes: [&mut [u8]; STRIDE] = std::array::from_fn(|number| {
        let (plane, rest) = std::mem::take(&mut split).split_at_mut(range(raw.len(), STRIDE, number).len());
        split = rest;
        plane
    });
    let numbers = raw.chunks_exact(STRIDE);
    for (byte, plane) in numbers.remainder().iter().zip(&mut planes) {
        plane[raw.len() / STRIDE] = *byte;
    }
    // A plane at a time over blocks that stay in the cache: the compiler makes vectors of that.
    for (block, numbers) in raw[..raw.len() / STRIDE * STRIDE].chunks(BLOCK * STRIDE).enumerate() {
        let count = numbers.len() / STRIDE;
        for (number, plane) in planes.iter_mut().enumerate() {
            let plane = &mut plane[block * BLOCK..block * BLOCK + count];
            for (to, from) in plane.iter_mut().zip(numbers.as_chunks::<STRIDE>().0) {
                *to = from[number];
            }
        }
    }
}

fn join_into<const STRIDE: usize>(planes: [&[u8]; STRIDE], raw: &mut [u8]) {
    let (numbers, rest) = raw.as_chunks_mut::<STRIDE>();
    let count = numbers.len();
    for (byte, plane) in rest.iter_mut().zip(planes) {
        *byte = plane[count];
    }
    let planes = planes.map(|plane| &plane[..count]);
    for (index, number) in numbers.iter_mut().enumerate() {
        *number = std::array::from_fn(|plane| planes[plane][index]);
    }
}

/// Numbers that are taken apart at once.
const BLOCK: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn floats(count: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        (0..count).flat_map(|_| next().to_le_bytes()).collect()
    }

    #[test]
    fn the_width_of_numbers_is_found() {
        let singles = estimate(&floats(2048)).unwrap();
        assert_eq!(singles.stride, 4);
        assert!((6.0..6.8).contains(&singles.bits), "{}", singles.bits);
        assert!(singles.planes()[0] > 7.5 && singles.planes()[3] < 2.0, "{:?}", singles.planes());
        let doubles: Vec<u8> = floats(1024)
            .as_chunks::<4>()
            .0
            .iter()
            .flat_map(|single| f64::from(f32::from_le_bytes(*single)).sqrt().to_le_bytes())
            .collect();
        assert_eq!(estimate(&doubles).unwrap().stride, 8);
        // Where a number begins does not matter.
        assert_eq!(estimate(&floats(2048)[3..]).unwrap().stride, 4);
    }

    #[test]
    fn noise_and_text_are_no_numbers() {
        let mut noise = vec![0; 8192];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert!(estimate(&noise).is_none());
        let text = "the quick brown fox, 17.25, jumps over;".repeat(100);
        assert!(estimate(text.as_bytes()).is_none());
        assert!(estimate(&[7; 100]).is_none());
    }

    proptest! {
        #[test]
        fn planes_join_to_what_was_split(bytes in proptest::collection::vec(any::<u8>(), 0..5000), stride in proptest::sample::select(&STRIDES[..])) {
            let planes = split(&bytes, stride);
            prop_assert_eq!(planes.len(), bytes.len());
            for number in 0..stride {
                let plane: Vec<u8> = bytes.iter().copied().skip(number).step_by(stride).collect();
                prop_assert_eq!(&planes[range(bytes.len(), stride, number)], &plane[..]);
            }
            let parts: Vec<&[u8]> = (0..stride).map(|number| &planes[range(bytes.len(), stride, number)]).collect();
            prop_assert_eq!(join(&parts, bytes.len()), bytes);
        }
    }
}
