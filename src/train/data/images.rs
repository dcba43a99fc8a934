//! Images of one size, in memory or decoded when they are asked for.

use rayon::prelude::*;

use super::picture::{self, Picture};
use super::resize::resize;
use super::{DataError, Source, malformed};

/// Bytes of decoded images that are held in memory.
const MAX_MEMORY: u64 = 2 << 30;

/// Images of one size.
#[derive(Debug)]
pub struct Images {
    height: usize,
    width: usize,
    channels: usize,
    scale: f32,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// All pixels, `[N, H, W, C]`.
    Pixels(Vec<u8>),
    /// All pixels, of images of another height and width.
    Scaled { pixels: Vec<u8>, from: (usize, usize) },
    /// The files.
    Files { source: Source, names: Vec<String> },
}

/// Whether so many images of a size fit in memory.
pub(super) fn fit(count: usize, size: usize) -> bool {
    count as u64 * size as u64 <= MAX_MEMORY
}

impl Images {
    /// Images from their pixels, `[N, H, W, C]`, with 1 or 3 channels; divided by `scale` they are in 0..=1.
    pub(in crate::train) fn new(height: usize, width: usize, channels: usize, scale: f32, pixels: Vec<u8>) -> Self {
        Self { height, width, channels, scale, content: Content::Pixels(pixels) }
    }

    /// Images that are decoded and scaled when they are asked for.
    pub(super) fn from_files(size: (usize, usize), channels: usize, source: Source, names: Vec<String>) -> Self {
        Self { height: size.0, width: size.1, channels, scale: 255.0, content: Content::Files { source, names } }
    }

    /// Scales all images: at once, or when they are asked for where all of them are too much for the memory.
    pub(super) fn scale_to(&mut self, size: (usize, usize)) {
        let from = (self.height, self.width);
        let (count, old_size) = (self.len(), self.size());
        let Content::Pixels(pixels) = &mut self.content else { return };
        if from == size {
            return;
        }
        (self.height, self.width) = size;
        let new_size = size.0 * size.1 * self.channels;
        self.content = if fit(count, new_size) {
            let mut scaled = vec![0; count * new_size];
            let pairs = scaled.par_chunks_exact_mut(new_size).zip(pixels.par_chunks_exact(old_size));
            pairs.for_each(|(made, image)| made.copy_from_slice(&resize(image, from, size, self.channels)));
            Content::Pixels(scaled)
        } else {
            Content::Scaled { pixels: std::mem::take(pixels), from }
        };
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Pixels(pixels) => pixels.len() / self.size(),
            Content::Scaled { pixels, from } => pixels.len() / (from.0 * from.1 * self.channels),
            Content::Files { names, .. } => names.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    /// Whether all are in memory as they are given: reading one is a copy.
    pub fn are_in_memory(&self) -> bool {
        matches!(self.content, Content::Pixels(_))
    }

    /// Writes the pixels of the image at `index` to `pixels`, `[H, W, C]`.
    pub fn read(&self, index: u32, pixels: &mut [u8]) -> Result<(), DataError> {
        let index = index as usize;
        let size = (self.height, self.width);
        match &self.content {
            Content::Pixels(all) => pixels.copy_from_slice(&all[index * self.size()..][..self.size()]),
            Content::Scaled { pixels: all, from } => {
                let length = from.0 * from.1 * self.channels;
                pixels.copy_from_slice(&resize(&all[index * length..][..length], *from, size, self.channels));
            }
            Content::Files { source, names } => {
                let name = &names[index];
                let (content, _) = source.load(name, picture::MAX_FILE)?;
                let image = scaled(picture::decode(&content, name)?, size);
                if image.pixels.len() * self.channels != self.size() * image.channels || image.channels > self.channels
                {
                    return malformed(name, "was changed while it was read");
                }
                // A grey image among coloured ones has its shade three times.
                let copies = self.channels / image.channels;
                for (to, shade) in pixels.chunks_exact_mut(copies).zip(&image.pixels) {
                    to.fill(*shade);
                }
            }
        }
        Ok(())
    }
}

/// The image with the height and the width of `size`.
pub(super) fn scaled(image: Picture, size: (usize, usize)) -> Picture {
    let from = (image.height, image.width);
    if from == size {
        return image;
    }
    let pixels = resize(&image.pixels, from, size, image.channels);
    Picture { height: size.0, width: size.1, pixels, ..image }
}
