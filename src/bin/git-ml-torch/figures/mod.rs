//! The figures of a model artifact, drawn as SVG and from there as PNG.

mod confusion;
mod curves;
mod png;

use git_ml::train::data::Dataset;

use crate::evaluate::Evaluation;
use crate::training::Epoch;

/// All figures, by the names of their files.
pub(crate) fn all(_data: &Dataset, history: &[Epoch], evaluation: &Evaluation) -> Vec<(&'static str, Drawing)> {
    let curves = (!history.is_empty()).then(|| ("curves", curves::curves(history, &evaluation.report)));
    curves.into_iter().chain([("confusion", confusion::confusion(&evaluation.report))]).collect()
}

const FONT: &str = "'DejaVu Sans', Verdana, Arial, sans-serif";
const INK: &str = "#1f2937";
const FAINT_INK: &str = "#6b7280";
const GRID: &str = "#e5e7eb";

/// A drawing.
pub(crate) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text's position is.
#[derive(Debug, Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    fn text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (number(x), number(y), escape(text));
        self.body += &format!(
            "  <text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{colour}\">{text}</text>\n"
        );
    }

    /// Text that reads upwards, centred at a place.
    fn upward_text(&mut self, x: f64, y: f64, size: f64, colour: &str, text: &str) {
        let (x, y, text) = (number(x), number(y), escape(text));
        self.body += &format!(
            "  <text transform=\"translate({x} {y}) rotate(-90)\" text-anchor=\"middle\" font-size=\"{size}\" fill=\"{colour}\">{text}</text>\n"
        );
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, dashed: bool) {
        let dashes = if dashed { " stroke-dasharray=\"5 4\"" } else { "" };
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
        self.body +=
            &format!("  <line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{colour}\"{dashes}/>\n");
    }

    fn rectangle(&mut self, x: f64, y: f64, width: f64, height: f64, colour: &str) {
        let [x, y, width, height] = [x, y, width, height].map(number);
        self.body +=
            &format!("  <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>\n");
    }

    fn path(&mut self, points: &[(f64, f64)], colour: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{},{}", number(*x), number(*y))).collect();
        let points = points.join(" ");
        self.body += &format!(
            "  <polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n"
        );
    }

    fn dot(&mut self, (x, y): (f64, f64), colour: &str) {
        let (x, y) = (number(x), number(y));
        self.body += &format!("  <circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\" fill=\"{colour}\"/>\n");
    }

    /// The drawing as SVG.
    pub(crate) fn to_svg(&self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\n  <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
        )
    }
}

/// A coordinate: hundredths are enough for everybody.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
