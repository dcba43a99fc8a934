//! Drawings as PNG, with a font of our own: which fonts a machine has must not change an artifact.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, PremultipliedColorU8, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::drawing::{Drawing, Picture, number};
use crate::failure::{Failure, Result};

const FONT: &[u8] = include_bytes!("../../../../assets/fonts/DejaVuSans-ascii.ttf");
/// Pixels for each unit of the drawing, so that it is sharp on common screens.
const ZOOM: u32 = 2;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Drawing {
    /// The drawing as PNG.
    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        let failed = |what: &str| Failure::new(format!("cannot draw a figure: {what}"));
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        let options = Options { font_family: "DejaVu Sans".to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
        let tree = Tree::from_str(&self.to_svg(), &options).map_err(|error| failed(&error.to_string()))?;
        let zoom = ZOOM as f32;
        let size = tree.size().to_int_size().scale_by(zoom).ok_or_else(|| failed("it has no size"))?;
        let mut pixmap = Pixmap::new(size.width(), size.height()).ok_or_else(|| failed("it is too large"))?;
        resvg::render(&tree, Transform::from_scale(zoom, zoom), &mut pixmap.as_mut());
        self.pictures.iter().for_each(|picture| picture.paint(&mut pixmap));
        pixmap.encode_png().map_err(|error| failed(&error.to_string()))
    }
}

impl Picture {
    /// For an SVG, with the picture itself in it.
    pub(super) fn to_svg(&self) -> String {
        let [x, y, width, height] = [self.x, self.y, self.width, self.height].map(number);
        let png = Pixmap::new(self.columns as u32, self.rows as u32).and_then(|mut pixmap| {
            pixmap.pixels_mut().iter_mut().zip(&self.pixels).for_each(|(place, pixel)| *place = opaque(*pixel));
            pixmap.encode_png().ok()
        });
        // A picture that cannot be written is missing; that is no reason to fail a training.
        let Some(png) = png else { return String::new() };
        format!(
            "  <image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>\n",
            base64(&png)
        )
    }

    /// Into a PNG, which is drawn without a decoder of pictures.
    fn paint(&self, pixmap: &mut Pixmap) {
        let zoom = f64::from(ZOOM);
        let edge = |value: f64| (value * zoom).round().max(0.0) as usize;
        let (left, right) = (edge(self.x), edge(self.x + self.width).min(pixmap.width() as usize));
        let (top, bottom) = (edge(self.y), edge(self.y + self.height).min(pixmap.height() as usize));
        let stride = pixmap.width() as usize;
        let pixels = pixmap.pixels_mut();
        for y in top..bottom {
            let row = (y - top) * self.rows / (bottom - top);
            for x in left..right {
                let column = (x - left) * self.columns / (right - left);
                pixels[y * stride + x] = opaque(self.pixels[row * self.columns + column]);
            }
        }
    }
}

fn opaque([red, green, blue]: [u8; 3]) -> PremultipliedColorU8 {
    PremultipliedColorU8::from_rgba(red, green, blue, 255).unwrap_or(PremultipliedColorU8::TRANSPARENT)
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_base64() {
        let coded = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(coded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
