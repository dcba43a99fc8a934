//! The curves of the main metrics as SVG: each run beside its base.
//!
//! A forge shows the file as an image, where the page's own colours are not known. So it has a ground of its own and
//! goes by what the reader's system prefers, light or dark. The two lines differ in dashes, ends and words, not in colour
//! alone.

use std::fmt::Write;

use super::compose::run_name;
use super::curves::Curve;
use super::html::escape;
use super::measure::rank;
use super::page::Span;
use super::{Entry, Measured};
use crate::words::number;

/// Entries that are drawn.
const MAX_ENTRIES: usize = 6;
/// Metrics of an entry that are drawn.
const MAX_PANELS: usize = 4;
const WIDTH: f64 = 800.0;
const MARGIN: f64 = 20.0;
const PANEL: (f64, f64) = (372.0, 190.0);
const GAP: f64 = 16.0;
/// Room above the panels of an entry, for its name and what the lines are.
const HEAD: f64 = 56.0;
/// Characters of a name that have room.
const NAME: usize = 34;

const STYLE: &str = "\
.ground{fill:#fff;stroke:#d1d9e0}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#dfe3e8}\
.base{stroke:#6e7781;stroke-width:2;stroke-dasharray:6 4;fill:none}.base-end{stroke:#6e7781;stroke-width:2;fill:#fff}\
.here{stroke:#0550ae;stroke-width:2.4;fill:none}.here-end{fill:#0550ae}\
@media (prefers-color-scheme:dark){.ground{fill:#0d1117;stroke:#3d444d}.ink{fill:#f0f6fc}.soft{fill:#9198a1}\
.grid{stroke:#2a313c}.base{stroke:#b1bac4}.base-end{stroke:#b1bac4;fill:#0d1117}.here{stroke:#58a6ff}\
.here-end{fill:#58a6ff}}";

/// Draws the entries that have curves; none where none has.
pub(super) fn draw(entries: &[Entry]) -> Option<String> {
    let mut body = String::new();
    let mut top = MARGIN;
    let drawn = entries.iter().map(|entry| (entry, metrics(entry))).filter(|(_, metrics)| !metrics.is_empty());
    for (entry, metrics) in drawn.take(MAX_ENTRIES) {
        head(&mut body, entry, top);
        top += HEAD;
        for (index, metric) in metrics.iter().enumerate() {
            let left = MARGIN + (index % 2) as f64 * (PANEL.0 + GAP);
            panel(&mut body, entry, metric, (left, top));
            if index % 2 == 1 || index + 1 == metrics.len() {
                top += PANEL.1 + GAP;
            }
        }
    }
    if body.is_empty() {
        return None;
    }
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" viewBox=\"0 0 {WIDTH} {top}\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" role=\"img\">\n\
         <title>Curves of the main metrics</title>\n<style>{STYLE}</style>\n"
    );
    let _ = writeln!(
        svg,
        "<rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
        WIDTH - 1.0,
        top - 1.0
    );
    svg.push_str(&body);
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The metrics that are drawn, the telling ones first.
fn metrics(entry: &Entry) -> Vec<&String> {
    let mut metrics: Vec<&String> = curves_of(entry).flat_map(|measured| measured.curves.keys()).collect();
    metrics.sort_by_key(|name| (rank(name), *name));
    metrics.dedup();
    metrics.truncate(MAX_PANELS);
    metrics
}

fn curves_of(entry: &Entry) -> impl Iterator<Item = &Measured> {
    std::iter::once(&entry.here).chain(&entry.base)
}

/// The name of the experiment, and which line is which run.
fn head(body: &mut String, entry: &Entry, top: f64) {
    let title = if entry.title.is_empty() { &entry.here.run.name } else { &entry.title };
    text(body, (MARGIN, top + 14.0), "ink", "font-size=\"16\" font-weight=\"600\"", &shown(title, 80));
    let y = top + 36.0;
    let mut x = MARGIN;
    let mut entry_of = |class: &str, word: &str, measured: &Measured| {
        let _ = writeln!(body, "<path class=\"{class}\" d=\"M{} {}h34\"/>", place(x), place(y - 4.0));
        end(body, class, (x + 34.0, y - 4.0));
        let label = format!("{word} {}", cut(&run_name(measured), NAME));
        text(body, (x + 46.0, y), "ink", "font-size=\"13\"", &label);
        x += PANEL.0 + GAP;
    };
    entry_of("here", "here:", &entry.here);
    if let Some(base) = &entry.base {
        entry_of("base", "base:", base);
    }
}

/// One metric: its name, where both lines end, and the lines.
fn panel(body: &mut String, entry: &Entry, metric: &str, (left, top): (f64, f64)) {
    let curve = |measured: &Measured| measured.curves.get(metric).cloned();
    let (here, base) = (curve(&entry.here), entry.base.as_ref().and_then(curve));
    let points: Vec<(i64, f64)> = here.iter().chain(&base).flat_map(|curve| curve.points.clone()).collect();
    let ticks = ticks(points.iter().map(|(_, value)| *value));
    let steps = points.iter().fold((i64::MAX, i64::MIN), |(low, high), (step, _)| (low.min(*step), high.max(*step)));
    let field =
        Field { left: left + 58.0, top: top + 28.0, width: PANEL.0 - 72.0, height: PANEL.1 - 60.0, steps, ticks };

    text(body, (left, top + 13.0), "ink", "font-size=\"13\" font-weight=\"600\"", &shown(metric, NAME));
    let last = |curve: &Option<Curve>| curve.as_ref().and_then(|curve| curve.points.last()).map(|(_, value)| *value);
    let ends = match (last(&base), last(&here)) {
        (Some(base), Some(here)) => format!("{} → {}", number(base), number(here)),
        (Some(base), None) => format!("base {}", number(base)),
        (None, here) => here.map(number).unwrap_or_default(),
    };
    let right = left + PANEL.0 - 14.0;
    text(body, (right, top + 13.0), "soft", "font-size=\"12\" text-anchor=\"end\"", &ends);
    field.scales(body);
    // What is new lies on top.
    for (class, curve) in [("base", &base), ("here", &here)] {
        if let Some(curve) = curve {
            field.line(body, class, curve);
        }
    }
}

/// A part of the drawing in which steps and values have places.
struct Field {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    steps: (i64, i64),
    ticks: Vec<f64>,
}

impl Field {
    fn x(&self, step: i64) -> f64 {
        let (first, last) = self.steps;
        let (first, last) = (first as f64, last as f64);
        self.left + (step as f64 - first) / (last - first) * self.width
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        // Halves, since the difference of two numbers need not be one.
        let share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        self.top + (1.0 - share.clamp(0.0, 1.0)) * self.height
    }

    fn scales(&self, body: &mut String) {
        let label = "font-size=\"11\" text-anchor=\"end\"";
        for tick in &self.ticks {
            let y = self.y(*tick);
            let (left, right) = (place(self.left), place(self.left + self.width));
            let _ = writeln!(body, "<path class=\"grid\" d=\"M{left} {y}H{right}\"/>", y = place(y));
            text(body, (self.left - 8.0, y + 4.0), "soft", label, &number(*tick));
        }
        let y = self.top + self.height + 18.0;
        let (first, last) = self.steps;
        text(body, (self.left, y), "soft", "font-size=\"11\"", &format!("step {first}"));
        text(body, (self.left + self.width, y), "soft", label, &last.to_string());
    }

    fn line(&self, body: &mut String, class: &str, curve: &Curve) {
        let mut path = String::new();
        for (index, (step, value)) in curve.points.iter().enumerate() {
            let sign = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{sign}{} {}", place(self.x(*step)), place(self.y(*value)));
        }
        let _ = writeln!(body, "<path class=\"{class}\" stroke-linejoin=\"round\" d=\"{path}\"/>");
        if let Some((step, value)) = curve.points.last() {
            end(body, class, (self.x(*step), self.y(*value)));
        }
    }
}

/// The end of a line: a ring for the base, a disc for what is new.
fn end(body: &mut String, class: &str, (x, y): (f64, f64)) {
    // Where both end in one place, the ring is around the disc.
    let radius = if class == "base" { 6 } else { 4 };
    let _ = writeln!(body, "<circle class=\"{class}-end\" cx=\"{}\" cy=\"{}\" r=\"{radius}\"/>", place(x), place(y));
}

fn text(body: &mut String, (x, y): (f64, f64), class: &str, manner: &str, words: &str) {
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{}\" y=\"{}\" {manner}>{}</text>",
        place(x),
        place(y),
        escape(words)
    );
}

/// Somebody else's words, made visible and cut.
fn shown(text: &str, length: usize) -> String {
    match Span::code(text) {
        Span::Code(text) => cut(&text, length),
        _ => String::new(),
    }
}

fn cut(text: &str, length: usize) -> String {
    match text.chars().count() > length {
        true => text.chars().take(length - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A coordinate: tenths are enough.
fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Three to six round numbers that enclose the values.
fn ticks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let span = high / 4.0 - low / 4.0;
    if !span.is_finite() || span <= f64::MIN_POSITIVE * 1e20 || span <= high.abs().max(low.abs()) * 1e-12 {
        // All the same, as far as numbers tell.
        let room = if high == 0.0 { 1.0 } else { high.abs() * 0.1 };
        if !high.is_finite() {
            return vec![0.0, 1.0];
        }
        return vec![(high - room).max(f64::MIN), high, (high + room).min(f64::MAX)];
    }
    let magnitude = 10_f64.powf(span.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= span);
    let step = step.unwrap_or(10.0 * magnitude);
    let (first, last) = ((low / step).floor(), (high / step).ceil());
    let ticks: Vec<f64> = (0..=6).map(|index| first + f64::from(index)).take_while(|tick| *tick <= last).collect();
    let ticks: Vec<f64> = ticks.into_iter().map(|tick| tick * step).filter(|tick| tick.is_finite()).collect();
    if ticks.len() < 2 { vec![low, high] } else { ticks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        let shown: Vec<String> = ticks([0.91, 0.99].into_iter()).into_iter().map(number).collect();
        assert_eq!(shown, ["0.9", "0.92", "0.94", "0.96", "0.98", "1"]);
        assert_eq!(ticks([5.0, 5.0].into_iter()), [4.5, 5.0, 5.5]);
        for values in [
            [0.0, 0.0],
            [-3.0, 12_345.0],
            [1e-300, 2e-300],
            [f64::MIN, f64::MAX],
            [1.0, 1.0 + f64::EPSILON],
            [f64::MAX, f64::MAX],
        ] {
            let ticks = ticks(values.into_iter());
            assert!((2..=7).contains(&ticks.len()), "{values:?}: {ticks:?}");
            assert!(ticks.is_sorted() && ticks.first() < ticks.last(), "{values:?}: {ticks:?}");
        }
    }
}
