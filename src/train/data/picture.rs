//! Decoding JPEG and PNG files, within bounds.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::{ColorType, ImageDecoder, ImageError, ImageResult, Limits};

use super::{DataError, malformed};

/// Bytes that a file may have.
pub(super) const MAX_FILE: u64 = 256 << 20;
/// The longest side of an image, and the most pixels: more than cameras make, and bounded before memory is taken.
const MAX_SIDE: u32 = 32_768;
const MAX_PIXELS: u64 = 1 << 27;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// A decoded image.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) height: usize,
    pub(super) width: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub(super) channels: usize,
    /// `[H, W, C]`
    pub(super) pixels: Vec<u8>,
}

/// What an image says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

/// Reads the header of an image; `file` is its name, for errors.
pub(super) fn read_header(content: &[u8], file: &str) -> Result<Header, DataError> {
    Ok(header(open(content, file)?.as_ref()))
}

/// Decodes an image: transparency is dropped, and of 16 bits the upper eight are kept, as Pillow does.
pub(super) fn decode(content: &[u8], file: &str) -> Result<Picture, DataError> {
    let decoder = open(content, file)?;
    let Header { height, width, channels } = header(decoder.as_ref());
    let color = decoder.color_type();
    let mut bytes = vec![0; decoder.total_bytes() as usize];
    decoder.read_image_boxed(&mut bytes).map_err(|error| failed(&error, file))?;
    let stored = usize::from(color.channel_count());
    let is_wide = color.bytes_per_pixel() as usize > stored;
    if is_wide {
        // The decoder gives numbers as this machine has them.
        bytes = bytes.chunks_exact(2).map(|pair| (u16::from_ne_bytes([pair[0], pair[1]]) >> 8) as u8).collect();
    }
    if stored != channels {
        bytes = bytes.chunks_exact(stored).flat_map(|pixel| &pixel[..channels]).copied().collect();
    }
    Ok(Picture { height, width, channels, pixels: bytes })
}

fn header(decoder: &dyn ImageDecoder) -> Header {
    let (width, height) = decoder.dimensions();
    let channels = if decoder.color_type().has_color() { 3 } else { 1 };
    Header { height: height as usize, width: width as usize, channels }
}

fn open<'c>(content: &'c [u8], file: &str) -> Result<Box<dyn ImageDecoder + 'c>, DataError> {
    let decoder: ImageResult<Box<dyn ImageDecoder>> = if content.starts_with(PNG) {
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_PIXELS * 8);
        PngDecoder::with_limits(Cursor::new(content), limits).map(|decoder| Box::new(decoder) as _)
    } else if content.starts_with(JPEG) {
        if !is_whole_jpeg(content) {
            return malformed(file, "is truncated: the mark at the end of a JPEG image is missing");
        }
        JpegDecoder::new(Cursor::new(content)).map(|decoder| Box::new(decoder) as _)
    } else if content.is_empty() {
        return malformed(file, "is empty");
    } else {
        return malformed(file, "is no JPEG or PNG image, whatever its name says");
    };
    let decoder = decoder.map_err(|error| failed(&error, file))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || width.max(height) > MAX_SIDE || pixels > MAX_PIXELS {
        let problem = format!("says it has {height}×{width} pixels; 1 to {} million are read", MAX_PIXELS / 1_000_000);
        return malformed(file, problem);
    }
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return malformed(file, "has pixels of a kind that is not known");
    }
    Ok(decoder)
}

/// Whether the mark at the end is there: the decoder takes what is missing for grey.
fn is_whole_jpeg(content: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // The next mark: 0xff and neither a byte of the picture (0) nor a restart (0xd0 to 0xd7) nor filling (0xff).
        let Some(found) = content.get(at..).and_then(|rest| {
            rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff | 1))
        }) else {
            return false;
        };
        at += found + 2;
        if content[at - 1] == 0xd9 {
            return true;
        }
        // All other segments say how long they are; pictures within them (thumbnails) have an end of their own.
        let Some(length) = content.get(at..at + 2) else { return false };
        at += usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
    }
}

fn failed(error: &ImageError, file: &str) -> DataError {
    let problem = match error {
        ImageError::Decoding(_) | ImageError::IoError(_) => format!("is damaged: {error}"),
        ImageError::Limits(_) => "needs too much memory".to_owned(),
        _ => format!("cannot be decoded: {error}"),
    };
    let line: String = problem.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    DataError::Malformed { file: file.to_owned(), problem: line }
}
