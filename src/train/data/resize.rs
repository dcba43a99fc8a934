//! Scaling images: bilinear, and where they become smaller each pixel is a weighted mean of all that it covers.
//!
//! The filter, its fixed-point weights and the order (rows, then columns, with bytes in between) are those of Pillow's
//! `resize` with `BILINEAR`, which torchvision uses with antialiasing, so that the pixels are the same.

/// Bits behind the point of a weight: 8 are a pixel's, and 2 are left for sums.
const BITS: u32 = 32 - 8 - 2;
/// Added to a sum so that it is rounded.
const HALF: i32 = 1 << (BITS - 1);

/// Weights of what each pixel of a side is made of.
struct Weights {
    /// For each pixel the first one that it is made of, and where its weights begin and end.
    spans: Vec<(usize, usize, usize)>,
    weights: Vec<i32>,
}

impl Weights {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        // A pixel covers at least its neighbours' distance, or enlarging would have gaps.
        let reach = scale.max(1.0);
        let mut own = Self { spans: Vec::with_capacity(to), weights: Vec::new() };
        for place in 0..to {
            let center = (place as f64 + 0.5) * scale;
            let first = (center - reach + 0.5).max(0.0) as usize;
            let end = ((center + reach + 0.5) as usize).min(from);
            let triangle = |pixel: usize| (1.0 - ((pixel as f64 - center + 0.5) * (1.0 / reach)).abs()).max(0.0);
            let sum: f64 = (first..end).map(triangle).sum();
            let start = own.weights.len();
            let fixed = |weight: f64| (0.5 + weight / sum * f64::from(1_u32 << BITS)) as i32;
            own.weights.extend((first..end).map(|pixel| fixed(triangle(pixel))));
            own.spans.push((first, start, own.weights.len()));
        }
        own
    }
}

/// Scales an image, `[H, W, C]`, from a height and a width to others.
pub(super) fn resize(pixels: &[u8], from: (usize, usize), to: (usize, usize), channels: usize) -> Vec<u8> {
    let (height, width) = from;
    let wide = if width == to.1 {
        pixels.to_vec()
    } else {
        // Each row is a line of `width` steps of `channels` bytes.
        scale(pixels, height, width, channels, &Weights::new(width, to.1))
    };
    if height == to.0 { wide } else { scale(&wide, 1, height, to.1 * channels, &Weights::new(height, to.0)) }
}

/// Scales the middle one of three sizes: `outer` times `length` steps of `inner` bytes.
fn scale(pixels: &[u8], outer: usize, length: usize, inner: usize, weights: &Weights) -> Vec<u8> {
    let mut scaled = vec![0; outer * weights.spans.len() * inner];
    for (line, made) in pixels.chunks_exact(length * inner).zip(scaled.chunks_exact_mut(weights.spans.len() * inner)) {
        match inner {
            1 => scale_pixels::<1>(line, made, weights),
            3 => scale_pixels::<3>(line, made, weights),
            _ => scale_rows(line, made, inner, weights),
        }
    }
    scaled
}

/// Along a row: each pixel is a few sums, which stay in registers.
fn scale_pixels<const CHANNELS: usize>(line: &[u8], made: &mut [u8], weights: &Weights) {
    let line = line.as_chunks::<CHANNELS>().0;
    for ((first, start, end), pixel) in weights.spans.iter().zip(made.as_chunks_mut::<CHANNELS>().0) {
        let mut sums = [HALF; CHANNELS];
        for (weight, source) in weights.weights[*start..*end].iter().zip(&line[*first..]) {
            add(&mut sums, *weight, source);
        }
        *pixel = sums.map(to_byte);
    }
}

/// Across rows: each row is a sum of whole rows, which many bytes at a time are added for.
fn scale_rows(line: &[u8], made: &mut [u8], inner: usize, weights: &Weights) {
    let mut sums = vec![0; inner];
    for ((first, start, end), row) in weights.spans.iter().zip(made.chunks_exact_mut(inner)) {
        sums.fill(HALF);
        for (weight, source) in weights.weights[*start..*end].iter().zip(line[first * inner..].chunks_exact(inner)) {
            add(&mut sums, *weight, source);
        }
        row.iter_mut().zip(&sums).for_each(|(byte, sum)| *byte = to_byte(*sum));
    }
}

/// No sum of weights is above 1, so nothing wraps; looking whether it does would be all that takes time here.
fn add(sums: &mut [i32], weight: i32, source: &[u8]) {
    for (sum, pixel) in sums.iter_mut().zip(source) {
        *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*pixel)));
    }
}

fn to_byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 5×7 pixels, and what Pillow 12 makes of them with `resize((width, height), Image.BILINEAR)`.
    fn image() -> Vec<u8> {
        (0..105_u32).map(|place| (place * 37 + 11) as u8).collect()
    }

    #[test]
    fn pixels_are_those_that_pillow_makes() {
        let scaled = |height, width| resize(&image(), (5, 7), (height, width), 3);
        assert_eq!(
            scaled(3, 4),
            [
                73, 98, 135, 174, 78, 115, 143, 180, 84, 123, 160, 185, 84, 112, 149, 158, 92, 129, 157, 164, 98, 137,
                171, 95, 89, 126, 163, 69, 106, 143, 171, 75, 112, 151, 176, 79
            ]
        );
        assert_eq!(
            scaled(2, 7),
            [
                20, 57, 94, 131, 168, 205, 230, 23, 60, 97, 134, 171, 208, 233, 26, 63, 100, 137, 174, 211, 178, 38,
                75, 112, 149, 186, 223, 74, 41, 78, 115, 152, 189, 226, 77, 44, 81, 118, 155, 192, 229, 22
            ]
        );
        assert_eq!(
            scaled(9, 10)[90..120],
            [
                24, 61, 98, 85, 122, 159, 163, 136, 173, 240, 34, 71, 152, 99, 136, 140, 177, 124, 205, 242, 36, 103,
                140, 113, 117, 154, 140, 178, 215, 138
            ]
        );
        assert_eq!(scaled(5, 7), image());
    }

    #[test]
    fn one_color_stays_as_it_is() {
        for shade in [0, 1, 127, 255] {
            for (height, width) in [(1, 1), (3, 50), (224, 7)] {
                assert!(resize(&[shade; 60], (12, 5), (height, width), 1).iter().all(|pixel| *pixel == shade));
            }
        }
    }
}
