//! Images that a small model learns in no time: each class is bright at a place of its own, with noise.

use std::io::Write;

/// An IDX file: magic number, sizes, bytes.
pub(crate) fn idx(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&magic).chain(sizes).flat_map(|size| size.to_be_bytes());
    header.chain(body.iter().copied()).collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The IDX files of `count` images of 8×8 and of their labels, in three classes.
pub(crate) fn example_files(count: u32) -> (Vec<u8>, Vec<u8>) {
    let labels: Vec<u8> = (0..count).map(|index| (index % 3) as u8).collect();
    let mut noise = 1_u32;
    let mut pixels = Vec::new();
    for label in &labels {
        for pixel in 0..64 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let bright = pixel / 24 == usize::from(*label);
            pixels.push((noise >> 24) as u8 / 2 + if bright { 100 } else { 0 });
        }
    }
    (idx(0x803, &[count, 8, 8], &pixels), idx(0x801, &[count], &labels))
}
