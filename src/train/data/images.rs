//! Images of one size.

use super::DataError;

/// Images of one size, in memory.
#[derive(Debug)]
pub struct Images {
    height: usize,
    width: usize,
    channels: usize,
    scale: f32,
    pixels: Vec<u8>,
}

impl Images {
    /// Images from their pixels, `[N, H, W, C]`, with 1 or 3 channels.
    pub(super) fn new(height: usize, width: usize, channels: usize, pixels: Vec<u8>) -> Self {
        // scikit-learn's digits have 17 shades.
        let scale = if pixels.iter().all(|pixel| *pixel <= 16) { 16.0 } else { 255.0 };
        Self { height, width, channels, scale, pixels }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.size()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// Rows of each.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// 1 for grey, 3 for red, green and blue.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// What pixels are divided by to be in 0..=1.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Bytes of one image.
    pub fn size(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Writes the pixels of the image at `index` to `pixels`, `[H, W, C]`.
    pub fn read(&self, index: u32, pixels: &mut [u8]) -> Result<(), DataError> {
        let start = index as usize * self.size();
        pixels.copy_from_slice(&self.pixels[start..start + self.size()]);
        Ok(())
    }
}
