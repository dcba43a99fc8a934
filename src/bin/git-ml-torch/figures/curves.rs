//! Loss and accuracy by epoch.

use super::axes::{Field, ticks, whole_ticks};
use super::drawing::{Anchor, BLUE, Drawing, FAINT_INK, GREEN, INK, MARGIN, TEXT, TOP, VERMILION};
use super::text;
use crate::evaluate::Evaluation;
use crate::training::Epoch;

const PLOT: (f64, f64) = (340.0, 240.0);
const LEFT: f64 = 46.0;
/// Between the two plots, with room for the numbers of the second.
const BETWEEN: f64 = 84.0;
/// Above so many epochs, single points are not marked.
const MAX_MARKS: usize = 40;

struct Line {
    name: String,
    colour: &'static str,
    is_open: bool,
    values: Vec<Option<f64>>,
}

/// The drawing: one plot for the loss, one for the accuracy, each with the result of the test as a level.
pub(super) fn curves(history: &[Epoch], evaluation: &Evaluation) -> Drawing {
    let rates: Vec<f64> = history.iter().map(|epoch| epoch.lr).collect();
    // A rate that stays the same has nothing to show.
    let rates = if rates.iter().any(|rate| *rate != rates[0]) { rates } else { Vec::new() };
    let top = TOP + if rates.is_empty() { 8.0 } else { 26.0 };
    let width = MARGIN + LEFT + PLOT.0 + BETWEEN + PLOT.0 + MARGIN;
    let mut drawing = Drawing::new(width, top + PLOT.1 + 46.0 + MARGIN / 2.0);
    let lines = |train: fn(&Epoch) -> Option<f64>, validation: fn(&Epoch) -> Option<f64>| {
        let line = |name: &str, colour, is_open, value: fn(&Epoch) -> Option<f64>| Line {
            name: name.to_owned(),
            colour,
            is_open,
            values: history.iter().map(value).collect(),
        };
        [line("training", BLUE, false, train), line("validation", VERMILION, true, validation)]
    };
    let (part, report) = (evaluation.part.as_str(), &evaluation.report);
    let loss = lines(|epoch| Some(epoch.train_loss), |epoch| epoch.val_loss);
    let accuracy = lines(|epoch| Some(epoch.train_accuracy), |epoch| epoch.val_accuracy);
    let first = MARGIN + LEFT;
    let second = first + PLOT.0 + BETWEEN;
    for (left, title, lines, level, most) in
        [(first, "Loss", &loss, report.loss, f64::INFINITY), (second, "Accuracy", &accuracy, report.accuracy, 1.0)]
    {
        let field = plot(&mut drawing, (left, top), title, lines, (part, level), most);
        if left == first && !rates.is_empty() {
            learning_rate(&mut drawing, &field, &rates);
        }
    }
    drawing
}

/// A thin line from 0 at the bottom to the highest rate at the top.
fn learning_rate(drawing: &mut Drawing, field: &Field, rates: &[f64]) {
    let highest = rates.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let field = Field { y: (0.0, highest), ..*field };
    let points = (1..).zip(rates).map(|(epoch, rate)| (field.x_of(f64::from(epoch)), field.y_of(*rate)));
    drawing.path(&points.collect::<Vec<_>>(), FAINT_INK, 1.0, "1 3");
    drawing.line((field.left, TOP - 1.0), (field.left + 22.0, TOP - 1.0), FAINT_INK, 1.0, "1 3");
    let name = format!("learning rate, 0 to {}", significant(highest));
    drawing.text(field.left + 28.0, TOP + 3.0, Anchor::Start, TEXT, INK, &name);
}

/// A number with three digits that count.
fn significant(value: f64) -> String {
    let decimals = (2 - value.log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn plot(
    drawing: &mut Drawing,
    (left, top): (f64, f64),
    title: &str,
    lines: &[Line],
    (part, level): (&str, f64),
    most: f64,
) -> Field {
    let epochs = lines[0].values.len();
    let values = lines.iter().flat_map(|line| line.values.iter().flatten().copied()).chain([level]);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let y_ticks = ticks(low, high, most);
    let y = (y_ticks[0], y_ticks[y_ticks.len() - 1]);
    // One epoch alone stands in the middle.
    let x = if epochs == 1 { (0.5, 1.5) } else { (1.0, epochs as f64) };
    let field = Field { left, top, width: PLOT.0, height: PLOT.1, x, y };
    drawing.text(left, 34.0, Anchor::Start, 16.0, INK, title);
    field.rows(drawing, &y_ticks);
    field.columns(drawing, &whole_ticks(epochs));
    field.name_columns(drawing, "epoch");

    let mut key = left;
    let mut name = |drawing: &mut Drawing, draw: &dyn Fn(&mut Drawing, f64, f64), name: &str| {
        draw(drawing, key, TOP - 19.0);
        drawing.text(key + 28.0, TOP - 15.0, Anchor::Start, TEXT, INK, name);
        key += 28.0 + text::width(name, TEXT) + 18.0;
    };
    let level_y = field.y_of(level);
    drawing.line((field.left, level_y), (field.right(), level_y), GREEN, 1.5, "6 4");
    for line in lines.iter().filter(|line| line.values.iter().any(Option::is_some)) {
        let points = (1..).zip(&line.values).filter_map(|(epoch, value)| Some((f64::from(epoch), (*value)?)));
        let points: Vec<_> = points.map(|(epoch, value)| (field.x_of(epoch), field.y_of(value))).collect();
        drawing.path(&points, line.colour, 2.0, "");
        if points.len() <= MAX_MARKS {
            points.iter().for_each(|point| drawing.mark(*point, line.colour, line.is_open));
        }
        let sample = |drawing: &mut Drawing, x: f64, y: f64| {
            drawing.line((x, y), (x + 22.0, y), line.colour, 2.0, "");
            drawing.mark((x + 11.0, y), line.colour, line.is_open);
        };
        name(drawing, &sample, &line.name);
    }
    let sample = |drawing: &mut Drawing, x: f64, y: f64| drawing.line((x, y), (x + 22.0, y), GREEN, 1.5, "6 4");
    name(drawing, &sample, &format!("{part} {level:.4}"));
    field
}
