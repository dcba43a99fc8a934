//! Random changes to training images, on their bytes.
//!
//! In this order: a window is cut out, the image is mirrored, its colours change, a square is blotted out. Each change
//! draws from numbers of its own, so that switching one off does not change what the others do.

use super::random::Draws;
use super::{Images, Variation};

/// Numbers of the draws of an example in an epoch.
const MIRROR: u64 = 0;
const WINDOW: [u64; 2] = [1, 2];
const SQUARE: [u64; 2] = [3, 4];
const BRIGHTNESS: u64 = 5;
const CONTRAST: u64 = 6;
const SATURATION: u64 = 7;

/// Weights of red, green and blue in a shade of grey (ITU-R BT.601, as Pillow has them).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// Varies images of one size, one after the other.
pub(super) struct Varied<'v> {
    height: usize,
    width: usize,
    channels: usize,
    /// The brightest value that a pixel can have.
    brightest: f32,
    variation: &'v Variation,
    /// Room for one image.
    copy: Vec<u8>,
}

impl<'v> Varied<'v> {
    pub(super) fn new(images: &Images, variation: &'v Variation) -> Self {
        let (height, width, channels) = (images.height(), images.width(), images.channels());
        Self { height, width, channels, brightest: images.scale(), variation, copy: Vec::new() }
    }

    /// Varies the image with this index, `[H, W, C]`.
    pub(super) fn vary(&mut self, index: u32, image: &mut [u8]) {
        let augment = self.variation.augment;
        let draws = Draws::new(self.variation.seed, self.variation.epoch, index);
        if augment.crop > 0 {
            let border = augment.crop as usize;
            let [down, right] = WINDOW.map(|number| draws.below(number, 2 * border as u64 + 1) as usize);
            self.shift(image, down as isize - border as isize, right as isize - border as isize);
        }
        if augment.flip && draws.below(MIRROR, 2) == 1 {
            self.mirror(image);
        }
        if augment.color > 0.0 {
            let factor = |number| draws.between(number, 1.0 - augment.color, 1.0 + augment.color) as f32;
            self.color(image, factor(BRIGHTNESS), factor(CONTRAST), factor(SATURATION));
        }
        if augment.cutout > 0 {
            let center = [draws.below(SQUARE[0], self.height as u64), draws.below(SQUARE[1], self.width as u64)];
            self.blot(image, center.map(|place| place as usize), augment.cutout as usize);
        }
    }

    /// Gives the image's window that begins `down` and `right` of its corner; what lies outside of it is black (the
    /// padding and random crop of He et al. 2015, arXiv:1512.03385, section 4.2).
    fn shift(&mut self, image: &mut [u8], down: isize, right: isize) {
        if down == 0 && right == 0 {
            return;
        }
        self.copy.clear();
        self.copy.extend_from_slice(image);
        image.fill(0);
        let (height, width) = (self.height as isize, self.width as isize);
        // The columns of the window that lie within the image.
        let columns = (-right).max(0)..(width - right).min(width);
        if columns.is_empty() {
            return;
        }
        let length = columns.len() * self.channels;
        for row in (-down).max(0)..(height - down).min(height) {
            let to = (row * width + columns.start) as usize * self.channels;
            let from = ((row + down) * width + columns.start + right) as usize * self.channels;
            image[to..to + length].copy_from_slice(&self.copy[from..from + length]);
        }
    }

    /// Swaps left and right.
    fn mirror(&self, image: &mut [u8]) {
        for row in image.chunks_exact_mut(self.width * self.channels) {
            match self.channels {
                1 => row.reverse(),
                channels => {
                    let (mut left, mut right) = (0, row.len() - channels);
                    while left < right {
                        (0..channels).for_each(|channel| row.swap(left + channel, right + channel));
                        (left, right) = (left + channels, right - channels);
                    }
                }
            }
        }
    }

    /// Multiplies the brightness, then the distance from the image's mean shade, then that of each pixel from its own
    /// shade (torchvision's `ColorJitter` in a fixed order; Krizhevsky et al. 2012 began with such changes). An image
    /// of shades has no colours to strengthen.
    fn color(&self, image: &mut [u8], brightness: f32, contrast: f32, saturation: f32) {
        let top = self.brightest;
        let shade = |pixel: &[u8]| match pixel {
            [red, green, blue] => LUMA[0] * f32::from(*red) + LUMA[1] * f32::from(*green) + LUMA[2] * f32::from(*blue),
            other => other.first().map_or(0.0, |value| f32::from(*value)),
        };
        let mut lighter = [0_u8; 256];
        for (value, lighter) in lighter.iter_mut().enumerate() {
            *lighter = (value as f32 * brightness).clamp(0.0, top).round() as u8;
        }
        image.iter_mut().for_each(|value| *value = lighter[usize::from(*value)]);

        let count = (self.height * self.width) as f64;
        let mean = (image.chunks_exact(self.channels).map(|pixel| f64::from(shade(pixel))).sum::<f64>() / count) as f32;
        let stretched = |value: f32| (mean + contrast * (value - mean)).clamp(0.0, top);
        for pixel in image.chunks_exact_mut(self.channels) {
            let own = stretched(shade(pixel));
            for value in pixel.iter_mut() {
                let changed = stretched(f32::from(*value));
                let colored = if self.channels == 3 { own + saturation * (changed - own) } else { changed };
                *value = colored.clamp(0.0, top).round() as u8;
            }
        }
    }

    /// Makes a square of `side` pixels around `center` grey; what is outside of the image is lost (cutout: DeVries and
    /// Taylor 2017, arXiv:1708.04552).
    fn blot(&self, image: &mut [u8], center: [usize; 2], side: usize) {
        let span = |middle: usize, most: usize| middle.saturating_sub(side / 2)..(middle + side.div_ceil(2)).min(most);
        let (rows, columns) = (span(center[0], self.height), span(center[1], self.width));
        let grey = (self.brightest / 2.0).round() as u8;
        for row in rows {
            let start = row * self.width;
            image[(start + columns.start) * self.channels..(start + columns.end) * self.channels].fill(grey);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::recipe::Augment;

    const NOTHING: Augment = Augment { flip: false, crop: 0, cutout: 0, color: 0.0 };

    fn varied(variation: &Variation, height: usize, width: usize, channels: usize) -> Varied<'_> {
        let images = Images::new(height, width, channels, 255.0, Vec::new());
        Varied::new(&images, variation)
    }

    fn plain(augment: Augment) -> Variation {
        Variation { augment, seed: 1, epoch: 1 }
    }

    #[test]
    fn a_mirrored_image_has_its_pixels_from_right_to_left() {
        let variation = plain(NOTHING);
        let mut grey = [1, 2, 3, 4, 5, 6];
        varied(&variation, 2, 3, 1).mirror(&mut grey);
        assert_eq!(grey, [3, 2, 1, 6, 5, 4]);
        let mut color = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        varied(&variation, 1, 3, 3).mirror(&mut color);
        assert_eq!(color, [7, 8, 9, 4, 5, 6, 1, 2, 3]);
    }

    #[test]
    fn a_window_beyond_the_border_is_black_there() {
        let variation = plain(NOTHING);
        let shifted = |down, right| {
            let mut image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
            varied(&variation, 3, 3, 1).shift(&mut image, down, right);
            image
        };
        assert_eq!(shifted(0, 0), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(shifted(1, 0), [4, 5, 6, 7, 8, 9, 0, 0, 0]);
        assert_eq!(shifted(-1, 2), [0, 0, 0, 3, 0, 0, 6, 0, 0]);
        assert_eq!(shifted(5, 0), [0; 9]);
        assert_eq!(shifted(0, -3), [0; 9]);
        let mut color = [1, 2, 3, 4, 5, 6];
        varied(&variation, 1, 2, 3).shift(&mut color, 0, -1);
        assert_eq!(color, [0, 0, 0, 1, 2, 3]);
    }

    #[test]
    fn a_square_is_grey_and_may_lie_partly_outside() {
        let variation = plain(NOTHING);
        let blotted = |center, side| {
            let mut image = [9_u8; 12];
            varied(&variation, 3, 4, 1).blot(&mut image, center, side);
            image.map(|pixel| u8::from(pixel == 128))
        };
        assert_eq!(blotted([1, 1], 2), [1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(blotted([0, 3], 3), [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0]);
        assert_eq!(blotted([2, 0], 1), [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(blotted([1, 1], 100), [1; 12]);
    }

    #[test]
    fn colors_change_by_their_factors() {
        let variation = plain(NOTHING);
        let colored = |brightness, contrast, saturation| {
            let mut image = [100, 100, 100, 200, 0, 100];
            varied(&variation, 1, 2, 3).color(&mut image, brightness, contrast, saturation);
            image
        };
        assert_eq!(colored(1.0, 1.0, 1.0), [100, 100, 100, 200, 0, 100]);
        assert_eq!(colored(1.5, 1.0, 1.0), [150, 150, 150, 255, 0, 150]);
        // The mean shade of 100 and 0.299 * 200 + 0.114 * 100 = 71.2 is 85.6.
        assert_eq!(colored(1.0, 0.5, 1.0), [93, 93, 93, 143, 43, 93]);
        assert_eq!(colored(1.0, 1.0, 0.0), [100, 100, 100, 71, 71, 71]);
        let mut grey = [0, 100];
        varied(&variation, 1, 2, 1).color(&mut grey, 1.0, 2.0, 0.0);
        assert_eq!(grey, [0, 150]);
    }

    #[test]
    fn what_is_drawn_depends_on_seed_epoch_and_example_alone() {
        let all = Augment { flip: true, crop: 2, cutout: 2, color: 0.3 };
        let image: Vec<u8> = (0..75).map(|pixel| (pixel * 3) as u8).collect();
        let made = |augment, seed, epoch, index| {
            let variation = Variation { augment, seed, epoch };
            let mut own = image.clone();
            varied(&variation, 5, 5, 3).vary(index, &mut own);
            own
        };
        assert_eq!(made(all, 1, 1, 0), made(all, 1, 1, 0));
        let others = [made(all, 2, 1, 0), made(all, 1, 2, 0), made(all, 1, 1, 1)];
        assert!(others.iter().all(|other| *other != made(all, 1, 1, 0)));
        // Half of many are mirrored, every window comes, and both are the same without the other.
        let mirrored = (0..1000).filter(|index| made(Augment { flip: true, ..NOTHING }, 7, 1, *index) != image).count();
        assert!((450..550).contains(&mirrored), "{mirrored}");
        let windows: std::collections::BTreeSet<_> =
            (0..1000).map(|index| made(Augment { crop: 2, ..NOTHING }, 7, 1, index)).collect();
        assert_eq!(windows.len(), 25);
    }
}
