//! Loss and accuracy by epoch.

use git_ml::train::evaluation::Report;

use super::{Anchor, Drawing, FAINT_INK, GRID, INK};
use crate::training::Epoch;

const TRAIN: &str = "#2563eb";
const VALIDATION: &str = "#ea580c";
const TEST: &str = "#059669";

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 58.0;
const TOP: f64 = 64.0;
const PLOT_WIDTH: f64 = WIDTH - LEFT - 18.0;
const PLOT_HEIGHT: f64 = HEIGHT - TOP - 48.0;
/// Above so many epochs, single points are not marked.
const MAX_DOTS: usize = 30;

struct Line<'t> {
    name: &'t str,
    colour: &'t str,
    values: Vec<Option<f64>>,
}

/// The drawing: one panel for the loss, one for the accuracy, each with the test's result as a level.
pub(super) fn curves(history: &[Epoch], report: &Report) -> Drawing {
    let mut drawing = Drawing::new(2.0 * WIDTH, HEIGHT);
    let line = |name, colour, value: &dyn Fn(&Epoch) -> Option<f64>| Line {
        name,
        colour,
        values: history.iter().map(value).collect(),
    };
    let loss = [
        line("training", TRAIN, &|epoch| Some(epoch.train_loss)),
        line("validation", VALIDATION, &|epoch| epoch.val_loss),
    ];
    let accuracy = [
        line("training", TRAIN, &|epoch| Some(epoch.train_accuracy)),
        line("validation", VALIDATION, &|epoch| epoch.val_accuracy),
    ];
    panel(&mut drawing, 0.0, "Loss", &loss, report.loss, f64::INFINITY);
    panel(&mut drawing, WIDTH, "Accuracy", &accuracy, report.accuracy, 1.0);
    drawing
}

fn panel(drawing: &mut Drawing, start: f64, title: &str, lines: &[Line<'_>], test: f64, most: f64) {
    let left = start + LEFT;
    let epochs = lines[0].values.len();
    let values = lines.iter().flat_map(|line| line.values.iter().flatten().copied()).chain([test]);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let ticks = ticks(low, high, most);
    let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
    let x = |epoch: f64| {
        let span = (epochs.max(2) - 1) as f64;
        left + if epochs == 1 { 0.5 } else { (epoch - 1.0) / span } * PLOT_WIDTH
    };
    let y = |value: f64| TOP + (high - value) / (high - low) * PLOT_HEIGHT;

    drawing.text(left, 26.0, Anchor::Start, 15.0, INK, title);
    let decimals = decimals(ticks[1] - ticks[0]);
    for tick in &ticks {
        drawing.line((left, y(*tick)), (left + PLOT_WIDTH, y(*tick)), GRID, false);
        drawing.text(left - 8.0, y(*tick) + 4.0, Anchor::End, 11.0, FAINT_INK, &format!("{tick:.decimals$}"));
    }
    for epoch in epoch_ticks(epochs) {
        drawing.text(x(epoch as f64), TOP + PLOT_HEIGHT + 18.0, Anchor::Middle, 11.0, FAINT_INK, &epoch.to_string());
    }
    drawing.text(left + PLOT_WIDTH / 2.0, HEIGHT - 10.0, Anchor::Middle, 12.0, FAINT_INK, "epoch");

    drawing.line((left, y(test)), (left + PLOT_WIDTH, y(test)), TEST, true);
    let mut legend = left;
    let mut entry = |drawing: &mut Drawing, colour: &str, name: &str| {
        drawing.rectangle(legend, 41.0, 12.0, 4.0, colour);
        drawing.text(legend + 18.0, 47.0, Anchor::Start, 11.0, INK, name);
        legend += 32.0 + 6.6 * name.len() as f64;
    };
    for line in lines.iter().filter(|line| line.values.iter().any(Option::is_some)) {
        let points: Vec<_> =
            (1..).zip(&line.values).filter_map(|(epoch, value)| Some((x(f64::from(epoch)), y((*value)?)))).collect();
        drawing.path(&points, line.colour);
        if points.len() <= MAX_DOTS {
            points.iter().for_each(|point| drawing.dot(*point, line.colour));
        }
        entry(drawing, line.colour, line.name);
    }
    entry(drawing, TEST, &format!("test {test:.4}"));
}

/// Four to seven round numbers that enclose the values, and do not go beyond `most`, which is one itself.
fn ticks(low: f64, high: f64, most: f64) -> Vec<f64> {
    let span = (high - low).max(0.01);
    let rough = span / 5.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * magnitude);
    let first = (low / step).floor();
    let last = (high.min(most) / step).ceil().max(first + 1.0);
    let count = (last - first).round() as u32;
    (0..=count).map(|index| (first + f64::from(index)) * step).collect()
}

fn decimals(step: f64) -> usize {
    (-step.log10() + 1e-9).ceil().clamp(0.0, 6.0) as usize
}

/// Up to about eight epochs to write below the axis.
fn epoch_ticks(epochs: usize) -> Vec<usize> {
    let rough = epochs.div_ceil(8);
    let step =
        [1, 2, 5].iter().cycle().zip((0..).map(|index| 10_usize.pow(index / 3))).map(|(base, power)| base * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(epochs);
    if step == 1 { (1..=epochs).collect() } else { (step..=epochs).step_by(step).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_enclose_the_values() {
        assert_eq!(ticks(0.02, 0.97, 1.0).len(), 6);
        for (low, high) in [(0.9012, 0.9987), (0.0, 0.0), (1.0, 1.0), (0.03, 2.31), (1e-6, 2e-6), (12.0, 4000.0)] {
            let ticks = ticks(low, high, f64::INFINITY);
            assert!(ticks[0] <= low + 1e-12 && ticks[ticks.len() - 1] >= high - 1e-12, "{low} {high} {ticks:?}");
            assert!((2..=8).contains(&ticks.len()), "{ticks:?}");
        }
        assert_eq!(epoch_ticks(3), [1, 2, 3]);
        assert_eq!(epoch_ticks(30), [5, 10, 15, 20, 25, 30]);
        assert_eq!(epoch_ticks(1000).len(), 5);
    }
}
