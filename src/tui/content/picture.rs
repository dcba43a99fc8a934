//! Pictures, drawn with half blocks: each character shows two pixels, one above the other.

use std::io::Cursor;

use image::{DynamicImage, GenericImageView, ImageFormat, ImageReader, Limits};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::theme::ColorDepth;

use super::colors;

/// Bytes that a picture's file may have.
pub(in crate::tui) const MAX_FILE: u64 = 32 << 20;
/// Pixels across or down that a picture may have.
const MAX_SIDE: u32 = 20_000;
/// Pixels that a picture may have in all: a small file can claim any number of them.
const MAX_PIXELS: u64 = 24_000_000;
/// Bytes that decoding may take.
const MAX_MEMORY: u64 = 128 << 20;
/// How many times a small picture is enlarged at most: digits of 28×28 fill a screen with less.
const MAX_ENLARGED: u32 = 8;

/// A picture, made ready for so many characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct Picture {
    /// What it is: `PNG`.
    pub(in crate::tui) format: &'static str,
    /// Its own pixels across and down.
    pub(in crate::tui) size: (u32, u32),
    /// Pixels across as it is drawn.
    columns: u32,
    /// The pixels as they are drawn, row by row.
    pixels: Vec<[u8; 3]>,
}

/// Whether a file begins as a picture that can be drawn.
pub(in crate::tui) fn is_picture(start: &[u8]) -> bool {
    format_of(start).is_some()
}

fn format_of(start: &[u8]) -> Option<(ImageFormat, &'static str)> {
    match start {
        [0x89, b'P', b'N', b'G', ..] => Some((ImageFormat::Png, "PNG")),
        [0xff, 0xd8, 0xff, ..] => Some((ImageFormat::Jpeg, "JPEG")),
        _ => None,
    }
}

/// Decodes a picture and makes it ready for an area of so many columns and rows.
pub(in crate::tui) fn decode(bytes: &[u8], (columns, rows): (u16, u16)) -> Result<Picture, String> {
    let (format, name) = format_of(bytes).ok_or_else(|| "it is neither PNG nor JPEG".to_owned())?;
    let broken = |error: image::ImageError| format!("it cannot be decoded: {error}");
    let reader = || {
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_MEMORY);
        reader.limits(limits);
        reader
    };
    let (width, height) = reader().into_dimensions().map_err(broken)?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!("its {width}×{height} pixels are more than are decoded here"));
    }
    let image = reader().decode().map_err(broken)?;
    let (across, down) = fitted((width, height), (u32::from(columns), u32::from(rows) * 2));
    Ok(Picture { format: name, size: (width, height), columns: across, pixels: pixels(&image, across, down) })
}

/// The pixels that a picture is drawn with: as large as it can be, its shape kept, enlarged by whole numbers only.
fn fitted((width, height): (u32, u32), (across, down): (u32, u32)) -> (u32, u32) {
    let (width, height, across, down) = (width.max(1), height.max(1), across.max(1), down.max(1));
    if width <= across && height <= down {
        let times = (across / width).min(down / height).clamp(1, MAX_ENLARGED);
        return (width * times, height * times);
    }
    let by_width = u64::from(height) * u64::from(across) / u64::from(width);
    if by_width <= u64::from(down) {
        return (across, u32::try_from(by_width).unwrap_or(down).max(1));
    }
    let by_height = u64::from(width) * u64::from(down) / u64::from(height);
    (u32::try_from(by_height).unwrap_or(across).max(1), down)
}

fn pixels(image: &DynamicImage, across: u32, down: u32) -> Vec<[u8; 3]> {
    let (width, height) = image.dimensions();
    // What is made smaller is averaged; of what is made larger each pixel stays a square.
    let small = if across < width || down < height { Some(image.thumbnail_exact(across, down)) } else { None };
    let source = small.as_ref().unwrap_or(image).to_rgba8();
    let (source_width, source_height) = source.dimensions();
    let mut pixels = Vec::with_capacity((across * down) as usize);
    for y in 0..down {
        for x in 0..across {
            let image::Rgba([red, green, blue, alpha]) =
                *source.get_pixel(x * source_width / across, y * source_height / down);
            // Transparent pictures are made to be seen on paper.
            let over_white = |value: u8| {
                let mixed = u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha));
                u8::try_from(mixed / 255).unwrap_or(u8::MAX)
            };
            pixels.push([over_white(red), over_white(green), over_white(blue)]);
        }
    }
    pixels
}

impl Picture {
    /// Characters across and down that it takes.
    pub(in crate::tui) fn cells(&self) -> (u16, u16) {
        let across = u16::try_from(self.columns).unwrap_or(u16::MAX);
        (across, u16::try_from(self.rows().div_ceil(2)).unwrap_or(u16::MAX))
    }

    fn rows(&self) -> usize {
        self.pixels.len() / self.columns.max(1) as usize
    }

    /// Draws it in the middle of an area. Without colours there is nothing to draw with, and nothing is.
    pub(in crate::tui) fn draw(&self, depth: ColorDepth, area: Rect, buffer: &mut Buffer) {
        if depth == ColorDepth::None {
            return;
        }
        let (across, down) = self.cells();
        let (left, top) = (area.width.saturating_sub(across) / 2, area.height.saturating_sub(down) / 2);
        for row in 0..down.min(area.height) {
            for column in 0..across.min(area.width) {
                let color = |half: u16| self.color((column, row * 2 + half), depth);
                let mut style = Style::new();
                style.fg = color(0);
                style.bg = color(1);
                buffer[(area.x + left + column, area.y + top + row)].reset();
                buffer[(area.x + left + column, area.y + top + row)].set_symbol("▀").set_style(style);
            }
        }
    }

    fn color(&self, (x, y): (u16, u16), depth: ColorDepth) -> Option<ratatui::style::Color> {
        let mut rgb = *self.pixels.get(usize::from(y) * self.columns as usize + usize::from(x))?;
        if depth == ColorDepth::Sixteen {
            // So few colours show shades only beside each other: Bayer's matrix, 4×4.
            const BAYER: [[i16; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
            let shift = (BAYER[usize::from(y % 4)][usize::from(x % 4)] * 2 - 15) * 4;
            rgb = rgb.map(|value| u8::try_from((i16::from(value) + shift).clamp(0, 255)).unwrap_or(value));
        }
        colors::of_rgb(rgb, depth)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::*;

    fn png(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
        let image = image::RgbaImage::from_fn(width, height, |x, y| image::Rgba(pixel(x, y)));
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    #[test]
    fn each_character_has_two_pixels() {
        let bytes = png(2, 3, |x, y| [u8::try_from(x * 100).unwrap(), u8::try_from(y * 50).unwrap(), 0, 255]);
        let picture = decode(&bytes, (2, 2)).unwrap();
        assert_eq!((picture.size, picture.cells(), picture.format), ((2, 3), (2, 2), "PNG"));
        let area = Rect::new(0, 0, 4, 2);
        let mut buffer = Buffer::empty(area);
        picture.draw(ColorDepth::True, area, &mut buffer);
        assert_eq!(
            (buffer[(1, 0)].symbol(), buffer[(1, 0)].fg, buffer[(1, 0)].bg),
            ("▀", Color::Rgb(0, 0, 0), Color::Rgb(0, 50, 0))
        );
        assert_eq!((buffer[(2, 1)].fg, buffer[(2, 1)].bg), (Color::Rgb(100, 100, 0), Color::Reset));
        assert_eq!(buffer[(0, 0)].symbol(), " ");
        let mut plain = Buffer::empty(area);
        picture.draw(ColorDepth::None, area, &mut plain);
        assert_eq!(plain, Buffer::empty(area));
    }

    #[test]
    fn pictures_fit_and_keep_their_shape() {
        assert_eq!(fitted((28, 28), (100, 80)), (56, 56));
        assert_eq!(fitted((28, 28), (1000, 800)), (224, 224));
        assert_eq!(fitted((4000, 2000), (100, 80)), (100, 50));
        assert_eq!(fitted((2000, 4000), (100, 80)), (40, 80));
        assert_eq!(fitted((20_000, 1), (100, 80)), (100, 1));
        assert_eq!(fitted((1, 1), (0, 0)), (1, 1));
        let picture = decode(&png(200, 100, |_, _| [255, 0, 0, 0]), (20, 20)).unwrap();
        assert_eq!(picture.cells(), (20, 5));
        assert!(picture.pixels.iter().all(|pixel| *pixel == [255; 3]), "transparent is white");
    }

    #[test]
    fn few_colours_show_shades_beside_each_other() {
        let picture = decode(&png(8, 8, |_, _| [170, 170, 170, 255]), (8, 4)).unwrap();
        let area = Rect::new(0, 0, 8, 4);
        let mut buffer = Buffer::empty(area);
        picture.draw(ColorDepth::Sixteen, area, &mut buffer);
        let mut used: Vec<String> = buffer.content.iter().map(|cell| format!("{:?}", cell.fg)).collect();
        used.sort();
        used.dedup();
        assert_eq!(used, ["DarkGray", "Gray"]);
    }

    #[test]
    fn what_claims_too_much_or_is_cut_is_refused() {
        let mut bomb = png(1, 1, |_, _| [0; 4]);
        // The width and the height stand behind the signature and the head of the first chunk.
        bomb[16..20].copy_from_slice(&19_000u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&19_000u32.to_be_bytes());
        let crc = crc32fast::hash(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(&bomb, (10, 10)).unwrap_err(), "its 19000×19000 pixels are more than are decoded here");
        bomb[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
        let crc = crc32fast::hash(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(decode(&bomb, (10, 10)).is_err());
        let whole = png(64, 64, |x, y| [u8::try_from(x * y % 256).unwrap(), 0, 0, 255]);
        assert!(decode(&whole[..whole.len() / 2], (10, 10)).is_err());
        assert!(decode(b"\xff\xd8\xff\xe0 no jpeg", (10, 10)).is_err());
        assert!(decode(b"GIF89a", (10, 10)).is_err());
    }
}
