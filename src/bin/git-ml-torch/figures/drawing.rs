//! A drawing: shapes, texts and pictures, written as SVG.

use super::text::escape;

/// What fonts an SVG is shown with; the widths of texts are DejaVu's, the widest of these.
const FONT: &str = "'DejaVu Sans', Verdana, Arial, sans-serif";

/// Ink, from texts to lines behind them.
pub(super) const INK: &str = "#1f2937";
pub(super) const FAINT_INK: &str = "#4b5563";
pub(super) const GRID: &str = "#e5e7eb";
pub(super) const PAPER: &str = "#ffffff";
/// Okabe and Ito's colours, which people tell apart who see few colours (Color Universal Design, 2008).
pub(super) const BLUE: &str = "#0072b2";
pub(super) const VERMILION: &str = "#d55e00";
pub(super) const GREEN: &str = "#009e73";

/// Around every drawing.
pub(super) const MARGIN: f64 = 24.0;
/// Where the content below the title begins.
pub(super) const TOP: f64 = 76.0;
/// The sizes of texts.
const TITLE: f64 = 16.0;
pub(super) const TEXT: f64 = 11.0;

/// A drawing.
pub(crate) struct Drawing {
    width: f64,
    height: f64,
    body: String,
    /// Pictures, which are painted into a PNG by themselves.
    pub(super) pictures: Vec<Picture>,
}

/// A picture of square pixels at a place of a drawing.
pub(super) struct Picture {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) columns: usize,
    pub(super) rows: usize,
    /// Red, green and blue, row by row.
    pub(super) pixels: Vec<[u8; 3]>,
}

/// Where a text's position is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width: width.ceil(), height: height.ceil(), body: String::new(), pictures: Vec::new() }
    }

    /// The drawing's title, and what it is of.
    pub(super) fn title(&mut self, title: &str, subtitle: &str) {
        self.text(MARGIN, 34.0, Anchor::Start, TITLE, INK, title);
        self.text(MARGIN, 53.0, Anchor::Start, TEXT, FAINT_INK, subtitle);
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, colour: &str, text: &str) {
        let (x, y) = (number(x), number(y));
        self.any_text(&format!("x=\"{x}\" y=\"{y}\""), anchor, size, colour, text);
    }

    /// Text that reads upwards.
    pub(super) fn upward_text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, colour: &str, text: &str) {
        let (x, y) = (number(x), number(y));
        self.any_text(&format!("transform=\"translate({x} {y}) rotate(-90)\""), anchor, size, colour, text);
    }

    fn any_text(&mut self, place: &str, anchor: Anchor, size: f64, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (size, text) = (number(size), escape(text));
        self.body +=
            &format!("  <text {place} text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{colour}\">{text}</text>\n");
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64, dashes: &str) {
        let [x1, y1, x2, y2, width] = [from.0, from.1, to.0, to.1, width].map(number);
        let dashes = dashes_of(dashes);
        self.body += &format!(
            "  <line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>\n"
        );
    }

    pub(super) fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let [x, y, width, height] = [x, y, width, height].map(number);
        self.body +=
            &format!("  <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>\n");
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dashes: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        let (points, width, dashes) = (points.join(" "), number(width), dashes_of(dashes));
        self.body += &format!(
            "  <polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"{dashes}/>\n"
        );
    }

    /// A mark at a point of a line: full and round, or open and square, so that lines differ without colours too.
    pub(super) fn mark(&mut self, (x, y): (f64, f64), colour: &str, is_open: bool) {
        self.body += &if is_open {
            let (x, y) = (number(x - 2.5), number(y - 2.5));
            format!(
                "  <rect x=\"{x}\" y=\"{y}\" width=\"5\" height=\"5\" fill=\"{PAPER}\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\n"
            )
        } else {
            let (x, y) = (number(x), number(y));
            format!("  <circle cx=\"{x}\" cy=\"{y}\" r=\"2.75\" fill=\"{colour}\"/>\n")
        };
    }

    /// The drawing as SVG.
    pub(crate) fn to_svg(&self) -> String {
        let Self { width, height, body, .. } = self;
        let pictures: String = self.pictures.iter().map(Picture::to_svg).collect();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\n  <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>\n{body}{pictures}</svg>\n"
        )
    }
}

fn dashes_of(dashes: &str) -> String {
    if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") }
}

/// A coordinate: hundredths are enough for everybody.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}
