//! The reliability diagram: how far probabilities can be believed (DeGroot and Fienberg 1983; Guo et al. 2017).

use super::axes::{Field, ticks};
use super::drawing::{Anchor, BLUE, Drawing, FAINT_INK, INK, MARGIN, PAPER, TEXT, TOP, VERMILION};
use super::{subject, text};
use crate::evaluate::Evaluation;

const LEFT: f64 = MARGIN + 46.0;
const SIDE: f64 = 360.0;
/// The height of the plot of how many examples there are.
const LOWER: f64 = 84.0;

/// The drawing: the accuracy of the predictions of each bin beside what their probability promises, and how many there
/// are below.
pub(super) fn reliability(evaluation: &Evaluation) -> Drawing {
    let calibration = &evaluation.report.calibration;
    let subtitle = format!("expected calibration error {:.4} on {}", calibration.ece, subject(evaluation));
    let width = (LEFT + SIDE).max(MARGIN + text::width(&subtitle, TEXT)) + MARGIN;
    let mut drawing = Drawing::new(width, TOP + 22.0 + SIDE + 32.0 + LOWER + 46.0 + MARGIN / 2.0);
    drawing.title("Reliability", &subtitle);
    let unit = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    let field = Field { left: LEFT, top: TOP + 22.0, width: SIDE, height: SIDE, x: (0.0, 1.0), y: (0.0, 1.0) };
    field.rows(&mut drawing, &unit);
    drawing.upward_text(MARGIN + 8.0, field.top + SIDE / 2.0, Anchor::Middle, TEXT, FAINT_INK, "accuracy");

    let total: u64 = calibration.bins.iter().map(|bin| bin.examples).sum();
    let part = |examples: u64| 100.0 * examples as f64 / total as f64;
    let highest = calibration.bins.iter().map(|bin| part(bin.examples)).fold(0.0, f64::max);
    // Rounded up to a number that nothing is above.
    let lower_ticks = [0.0, ticks(0.0, highest, 100.0).last().copied().unwrap_or(100.0)];
    let lower = Field { top: field.bottom() + 32.0, height: LOWER, y: (0.0, lower_ticks[1]), ..field };
    lower.rows(&mut drawing, &lower_ticks);
    lower.columns(&mut drawing, &unit);
    lower.name_columns(&mut drawing, "probability of the prediction");
    let name_y = lower.top + LOWER / 2.0;
    drawing.upward_text(MARGIN + 8.0, name_y, Anchor::Middle, TEXT, FAINT_INK, "% of examples");

    for bin in &calibration.bins {
        let (x, width) = (field.x_of(bin.from) + 1.0, field.width * (bin.to - bin.from) - 2.0);
        let (Some(accuracy), Some(confidence)) = (bin.accuracy, bin.confidence) else { continue };
        let (reached, promised) = (field.y_of(accuracy), field.y_of(confidence));
        drawing.rectangle(x, reached, width, field.bottom() - reached, BLUE);
        promise(&mut drawing, x, promised, width);
        let top = lower.y_of(part(bin.examples));
        drawing.rectangle(x, top, width, lower.bottom() - top, FAINT_INK);
    }
    let corner = |value: f64| (field.x_of(value), field.y_of(value));
    drawing.line(corner(0.0), corner(1.0), INK, 1.0, "4 4");

    drawing.rectangle(LEFT, TOP - 9.0, 12.0, 10.0, BLUE);
    drawing.text(LEFT + 18.0, TOP, Anchor::Start, TEXT, INK, "accuracy");
    let second = LEFT + 18.0 + text::width("accuracy", TEXT) + 18.0;
    promise(&mut drawing, second, TOP - 4.0, 16.0);
    drawing.text(second + 22.0, TOP, Anchor::Start, TEXT, INK, "mean probability");
    drawing
}

/// The mark for what probabilities promise, with a white edge, since it often lies on a bar.
fn promise(drawing: &mut Drawing, x: f64, y: f64, width: f64) {
    drawing.rectangle(x, y - 2.5, width, 5.0, PAPER);
    drawing.rectangle(x, y - 1.5, width, 3.0, VERMILION);
}
