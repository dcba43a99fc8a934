//! Numbers that describe an image, for learners that do not find their own.
//!
//! A colour image is described by its colours, wherever they are: the part of its pixels that has each of 8 × 8 × 8
//! shades of red, green and blue, once for all of the image and once for its middle, a quarter of it. The parts' square
//! roots are taken, so that distances are Hellinger's and a background does not outweigh everything else. On the
//! photographs of the `grocery` template this tells more than histograms of hue and saturation, coarse pixels, or
//! gradients, alone or together.
//!
//! A grey image is described by its pixels; if it is larger than 32×32, by the means of square cells of them.

use rayon::prelude::*;

use super::matrix::{Dense, Rows, Sparse};
use crate::train::data::{DataError, Images};

/// Shades of red, of green and of blue.
const SHADES: usize = 8;
/// Shades of all three.
const COLOURS: usize = SHADES * SHADES * SHADES;
/// Numbers of the description of a colour image.
pub(super) const COLUMNS: usize = 2 * COLOURS;
/// Cells of a grey image, down and across, at most.
const MAX_CELLS: usize = 32;

/// The descriptions of the images at `indexes`.
pub(super) fn rows(images: &Images, indexes: &[u32]) -> Result<Rows, DataError> {
    let described = indexes.par_iter().map_init(
        || vec![0; images.size()],
        |pixels, index| {
            images.read(*index, pixels)?;
            Ok(if images.channels() == 1 { cells(images, pixels) } else { colours(images, pixels) })
        },
    );
    let described: Vec<Vec<f32>> = described.collect::<Result<_, DataError>>()?;
    if images.channels() == 1 {
        let columns = described.first().map_or(1, Vec::len);
        return Ok(Rows::Dense(Dense { columns, values: described.concat() }));
    }
    let mut rows = Sparse::new(COLUMNS);
    for row in described {
        rows.push((0..).zip(row).filter(|(_, value)| *value > 0.0).map(|(column, value)| (column, f64::from(value))));
    }
    Ok(Rows::Sparse(rows))
}

/// Pixels on a side of a cell.
pub(super) fn cell_side(images: &Images) -> usize {
    images.height().max(images.width()).div_ceil(MAX_CELLS)
}

/// The means of the cells, in 0..=1. What is left over on the right and at the bottom belongs to no cell.
fn cells(images: &Images, pixels: &[u8]) -> Vec<f32> {
    let (side, width) = (cell_side(images), images.width());
    let scale = (side * side) as f32 * images.scale();
    let mut found = Vec::new();
    for top in (0..images.height() / side).map(|row| row * side) {
        for left in (0..width / side).map(|column| column * side) {
            let row = |y: usize| &pixels[y * width + left..][..side];
            let sum: u32 = (top..top + side).flat_map(row).map(|pixel| u32::from(*pixel)).sum();
            found.push(sum as f32 / scale);
        }
    }
    found
}

/// The square roots of the colours' parts, of the whole and of the middle.
fn colours(images: &Images, pixels: &[u8]) -> Vec<f32> {
    let (height, width, channels) = (images.height(), images.width(), images.channels());
    let shade = |pixel: u8| usize::from(pixel) * SHADES / (images.scale() as usize + 1);
    let mut counts = [0_u32; COLUMNS];
    let (top, left) = (height / 4, width / 4);
    for y in 0..height {
        for x in 0..width {
            let pixel = &pixels[(y * width + x) * channels..][..3];
            let colour = (shade(pixel[0]) * SHADES + shade(pixel[1])) * SHADES + shade(pixel[2]);
            counts[colour] += 1;
            if (top..height - top).contains(&y) && (left..width - left).contains(&x) {
                counts[COLOURS + colour] += 1;
            }
        }
    }
    let (all, middle) = (height * width, (height - 2 * top) * (width - 2 * left));
    let root = |(colour, count): (usize, u32)| {
        let pixels = if colour < COLOURS { all } else { middle };
        (f64::from(count) / pixels as f64).sqrt() as f32
    };
    counts.into_iter().enumerate().map(root).collect()
}
