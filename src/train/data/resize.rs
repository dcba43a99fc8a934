//! Scaling images: bilinear, and where they become smaller each pixel is a weighted mean of all that it covers.
//!
//! The filter, its fixed-point weights and the order (rows, then columns, with bytes in between) are those of Pillow's
//! `resize` with `BILINEAR`, which torchvision uses with antialiasing, so that the pixels are the same.

/// Bits behind the point of a weight: 8 are a pixel's, and 2 are left for sums.
const BITS: u32 = 32 - 8 - 2;

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
    let mut sums = vec![0_i32; inner];
    for (line, made) in pixels.chunks_exact(length * inner).zip(scaled.chunks_exact_mut(weights.spans.len() * inner)) {
        for ((first, start, end), step) in weights.spans.iter().zip(made.chunks_exact_mut(inner)) {
            sums.fill(1 << (BITS - 1));
            let sources = line[first * inner..].chunks_exact(inner);
            for (weight, source) in weights.weights[*start..*end].iter().zip(sources) {
                for (sum, pixel) in sums.iter_mut().zip(source) {
                    // No sum of weights is above 1, so nothing wraps; a check for it would be all that takes time here.
                    *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(*pixel)));
                }
            }
            for (pixel, sum) in step.iter_mut().zip(&sums) {
                *pixel = (sum >> BITS).clamp(0, 255) as u8;
            }
        }
    }
    scaled
}
