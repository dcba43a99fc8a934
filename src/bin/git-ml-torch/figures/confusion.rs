//! The confusion matrix.

use git_ml::train::evaluation::Report;

use super::{Anchor, Drawing, FAINT_INK, INK};

const LEFT: f64 = 76.0;
const TOP: f64 = 92.0;
/// Above so many classes the cells are too small for numbers, and for every name.
const MAX_NUMBERED: usize = 20;
const MAX_NAMED: usize = 40;

/// The drawing: a row for each truth, a column for each prediction, darker where a larger part of the row is.
pub(super) fn confusion(report: &Report) -> Drawing {
    let count = report.classes.len();
    let cell = (480.0 / count as f64).clamp(6.0, 96.0);
    let side = cell * count as f64;
    let mut drawing = Drawing::new((LEFT + side + 24.0).max(320.0).round(), (TOP + side + 24.0).round());
    drawing.text(LEFT, 26.0, Anchor::Start, 15.0, INK, "Confusion matrix");
    let summary = format!("accuracy {:.4} on {} test images", report.accuracy, report.examples);
    drawing.text(LEFT, 44.0, Anchor::Start, 11.0, FAINT_INK, &summary);
    drawing.text(LEFT + side / 2.0, TOP - 24.0, Anchor::Middle, 12.0, FAINT_INK, "predicted");
    drawing.upward_text(LEFT - 46.0, TOP + side / 2.0, 12.0, FAINT_INK, "true");

    for (truth, row) in report.confusion.iter().enumerate() {
        let total: u64 = row.iter().sum();
        for (prediction, number) in row.iter().enumerate() {
            let part = if total > 0 { *number as f64 / total as f64 } else { 0.0 };
            let (x, y) = (LEFT + cell * prediction as f64, TOP + cell * truth as f64);
            drawing.rectangle(x + 0.5, y + 0.5, cell - 1.0, cell - 1.0, &shade(part));
            if count <= MAX_NUMBERED && *number > 0 {
                let colour = if part > 0.5 { "#ffffff" } else { INK };
                let size = (cell * 0.3).clamp(7.0, 14.0);
                drawing.text(
                    x + cell / 2.0,
                    y + cell / 2.0 + size * 0.36,
                    Anchor::Middle,
                    size,
                    colour,
                    &number.to_string(),
                );
            }
        }
    }
    for (class, report) in report.classes.iter().enumerate().filter(|(class, _)| count <= MAX_NAMED || class % 10 == 0)
    {
        let middle = cell * (class as f64 + 0.5);
        let name: String = report.name.chars().take(6).collect();
        drawing.text(LEFT + middle, TOP - 7.0, Anchor::Middle, 11.0, INK, &name);
        drawing.text(LEFT - 8.0, TOP + middle + 4.0, Anchor::End, 11.0, INK, &name);
    }
    drawing
}

/// From almost white to blue. The root makes rare mistakes visible beside the diagonal.
fn shade(part: f64) -> String {
    let mix = |from: f64, to: f64| (from + (to - from) * part.sqrt()).round() as u8;
    format!("#{:02x}{:02x}{:02x}", mix(243.0, 29.0), mix(246.0, 78.0), mix(250.0, 216.0))
}
