//! The confusion matrix.

use super::drawing::{Anchor, Drawing, FAINT_INK, GRID, INK, MARGIN, PAPER, TEXT, TOP};
use super::{subject, text};
use crate::evaluate::Evaluation;

/// The widest a class's name is written.
const MAX_NAME: f64 = 150.0;
/// Above so many classes neither counts nor all names are written.
const MAX_NAMED: usize = 100;
/// The side of the matrix where it has very many classes.
const SIDE: f64 = 1200.0;
/// From few to many, lighter to darker: ColorBrewer's YlGnBu (Brewer, Hatchard and Harrower 2003), which reads without
/// colours too.
const SHADES: [[f64; 3]; 9] = [
    [255.0, 255.0, 217.0],
    [237.0, 248.0, 177.0],
    [199.0, 233.0, 180.0],
    [127.0, 205.0, 187.0],
    [65.0, 182.0, 196.0],
    [29.0, 145.0, 192.0],
    [34.0, 94.0, 168.0],
    [37.0, 52.0, 148.0],
    [8.0, 29.0, 88.0],
];
const NONE: &str = "#f3f4f6";

/// The drawing: a row for each truth, a column for each prediction, darker where a larger part of the row is.
pub(super) fn confusion(evaluation: &Evaluation) -> Drawing {
    let report = &evaluation.report;
    let count = report.classes.len();
    let cell = match count {
        0..=4 => 72.0,
        5..=12 => 52.0,
        13..=24 => 36.0,
        25..=48 => 22.0,
        49..=MAX_NAMED => 15.0,
        _ => SIDE / count as f64,
    };
    let side = cell * count as f64;
    let size = (cell * 0.62).clamp(7.5, TEXT);
    let named = if count <= MAX_NAMED { 1 } else { count.div_ceil(60) };
    let names: Vec<_> = report.classes.iter().map(|class| text::shorten(&class.name, size, MAX_NAME)).collect();
    let widest = text::widest(names.iter().map(String::as_str), size);
    // Names below the columns lie where they fit, else they stand.
    let lying = widest <= cell - 6.0;
    let below = if lying { size + 8.0 } else { widest + 12.0 };
    let left = MARGIN + 22.0 + widest + 8.0;
    let subtitle = format!("accuracy {:.4} on {}", report.accuracy, subject(evaluation));
    let width = (left + side + 66.0).max(2.0 * MARGIN + text::width(&subtitle, TEXT)) + MARGIN;
    let mut drawing = Drawing::new(width, TOP + side + below + 26.0 + MARGIN);
    drawing.title("Confusion matrix", &subtitle);

    drawing.rectangle(left, TOP, side, side, NONE);
    let gap = if cell >= 10.0 { 0.5 } else { 0.0 };
    let most = report.confusion.iter().flatten().max().copied().unwrap_or(0).to_string();
    let counts = (cell * 0.36).min(cell * 0.84 / text::width(&most, 1.0)).min(14.0);
    for (truth, row) in report.confusion.iter().enumerate() {
        let total: u64 = row.iter().sum();
        for (prediction, number) in row.iter().enumerate().filter(|(_, number)| **number > 0) {
            let part = *number as f64 / total as f64;
            let (x, y) = (left + cell * prediction as f64, TOP + cell * truth as f64);
            let (colour, is_dark) = shade(part);
            // A cell of a very large matrix would not be seen.
            let shown = (cell - 2.0 * gap).max(2.5);
            let offset = (cell - shown) / 2.0;
            drawing.rectangle(x + offset, y + offset, shown, shown, &colour);
            if count <= MAX_NAMED {
                let ink = if is_dark { PAPER } else { INK };
                let (x, y) = (x + cell / 2.0, y + cell / 2.0 + counts * 0.36);
                drawing.text(x, y, Anchor::Middle, counts, ink, &number.to_string());
            }
        }
    }
    if gap > 0.0 {
        for line in 1..count {
            let at = cell * line as f64;
            drawing.line((left + at, TOP), (left + at, TOP + side), PAPER, 1.0, "");
            drawing.line((left, TOP + at), (left + side, TOP + at), PAPER, 1.0, "");
        }
    }
    for (class, name) in names.iter().enumerate().step_by(named) {
        let middle = cell * (class as f64 + 0.5);
        drawing.text(left - 7.0, TOP + middle + size * 0.36, Anchor::End, size, INK, name);
        if lying {
            drawing.text(left + middle, TOP + side + size + 6.0, Anchor::Middle, size, INK, name);
        } else {
            drawing.upward_text(left + middle + size * 0.36, TOP + side + 7.0, Anchor::End, size, INK, name);
        }
    }
    drawing.text(left + side / 2.0, TOP + side + below + 16.0, Anchor::Middle, TEXT, FAINT_INK, "predicted");
    drawing.upward_text(MARGIN + 10.0, TOP + side / 2.0, Anchor::Middle, TEXT, FAINT_INK, "true");
    scale(&mut drawing, left + side + 20.0, side.min(240.0));
    drawing
}

/// What the shades mean.
fn scale(drawing: &mut Drawing, left: f64, height: f64) {
    const STEPS: u32 = 48;
    let y_of = |part: f64| TOP + height * (1.0 - part.sqrt());
    for step in 0..STEPS {
        let at = f64::from(step) / f64::from(STEPS);
        let part = (at + 0.5 / f64::from(STEPS)).powi(2);
        let step_height = height / f64::from(STEPS);
        let y = TOP + height * (1.0 - at) - step_height;
        // A little longer than it is, or the edges would show.
        let overlap = if step == 0 { 0.0 } else { 0.5 };
        drawing.rectangle(left, y, 12.0, step_height + overlap, &shade(part).0);
    }
    for (part, label) in [(0.0, "0 %"), (0.05, "5"), (0.2, "20"), (0.5, "50"), (1.0, "100 %")] {
        let y = y_of(part);
        drawing.line((left + 12.0, y), (left + 15.0, y), GRID, 1.0, "");
        drawing.text(left + 18.0, y + 3.5, Anchor::Start, 9.5, FAINT_INK, label);
    }
}

/// The colour for a part of a row, and whether it is dark. The root makes rare mistakes visible beside the diagonal.
fn shade(part: f64) -> (String, bool) {
    let place = part.sqrt() * (SHADES.len() - 1) as f64;
    let below = (place as usize).min(SHADES.len() - 2);
    let mix = |channel: usize| {
        let (from, to) = (SHADES[below][channel], SHADES[below + 1][channel]);
        from + (to - from) * (place - below as f64)
    };
    let [red, green, blue] = [mix(0), mix(1), mix(2)];
    let light = 0.299 * red + 0.587 * green + 0.114 * blue;
    (format!("#{:02x}{:02x}{:02x}", red.round() as u8, green.round() as u8, blue.round() as u8), light < 140.0)
}
