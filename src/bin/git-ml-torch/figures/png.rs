//! SVG to PNG, with a font of our own: which fonts a machine has must not change an artifact.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::Drawing;
use crate::failure::{Failure, Result};

const FONT: &[u8] = include_bytes!("../../../../assets/fonts/DejaVuSans-ascii.ttf");
/// Pixels for each unit of the drawing, so that it is sharp on common screens.
const ZOOM: f32 = 2.0;

impl Drawing {
    /// The drawing as PNG.
    pub(crate) fn to_png(&self) -> Result<Vec<u8>> {
        let svg = self.to_svg();
        let failed = |what: &str| Failure::new(format!("cannot draw a figure: {what}"));
        let mut fonts = fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        let options = Options { font_family: "DejaVu Sans".to_owned(), fontdb: Arc::new(fonts), ..Options::default() };
        let tree = Tree::from_str(&svg, &options).map_err(|error| failed(&error.to_string()))?;
        let size = tree.size().to_int_size().scale_by(ZOOM).ok_or_else(|| failed("it has no size"))?;
        let mut pixmap = Pixmap::new(size.width(), size.height()).ok_or_else(|| failed("it is too large"))?;
        resvg::render(&tree, Transform::from_scale(ZOOM, ZOOM), &mut pixmap.as_mut());
        pixmap.encode_png().map_err(|error| failed(&error.to_string()))
    }
}
