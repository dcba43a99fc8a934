//! F1 by class.

use std::cmp::Ordering;

use git_ml::train::evaluation::ClassReport;

use super::axes::Field;
use super::drawing::{Anchor, BLUE, Drawing, FAINT_INK, GRID, INK, MARGIN, TEXT, TOP, VERMILION};
use super::{subject, text};
use crate::evaluate::Evaluation;

/// Bars at most: of more classes the lowest are shown.
const MAX_BARS: usize = 100;
const MAX_NAME: f64 = 190.0;
const PLOT_WIDTH: f64 = 380.0;
/// For the value and the number of examples beside a bar.
const VALUES: f64 = 52.0;

/// The drawing: a bar for each class, the best first, with the mean as a line.
pub(super) fn f1_by_class(evaluation: &Evaluation) -> Drawing {
    let report = &evaluation.report;
    let mut classes: Vec<&ClassReport> = report.classes.iter().collect();
    classes.sort_by(|a, b| match (a.f1, b.f1) {
        (Some(a), Some(b)) => b.total_cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    let left_out = classes.len().saturating_sub(MAX_BARS);
    let classes = &classes[left_out..];
    let pitch = if classes.len() > 30 { 15.0 } else { 22.0 };
    let size = if classes.len() > 30 { 9.5 } else { TEXT };

    let names: Vec<_> = classes.iter().map(|class| text::shorten(&class.name, size, MAX_NAME)).collect();
    let left = MARGIN + text::widest(names.iter().map(String::as_str), size).max(30.0) + 8.0;
    let mut subtitle = format!("mean (macro) {:.4} on {}", report.averages.r#macro.f1, subject(evaluation));
    if left_out > 0 {
        subtitle += &format!("; the {MAX_BARS} lowest of {} classes", text::count(report.classes.len() as u64));
    }
    let width = (left + PLOT_WIDTH + 2.0 * VALUES).max(MARGIN + text::width(&subtitle, TEXT)) + MARGIN;
    let height = pitch * classes.len() as f64;
    let mut drawing = Drawing::new(width, TOP + 16.0 + height + 24.0 + MARGIN);
    drawing.title("F1 by class", &subtitle);

    let field =
        Field { left, top: TOP + 16.0, width: PLOT_WIDTH, height, x: (0.0, 1.0), y: (classes.len() as f64, 0.0) };
    let ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
    for tick in ticks {
        let x = field.x_of(tick);
        drawing.line((x, field.top), (x, field.bottom()), GRID, 1.0, "");
    }
    field.columns(&mut drawing, &ticks);
    let (values, examples) = (field.right() + VALUES - 4.0, field.right() + 2.0 * VALUES - 4.0);
    drawing.text(values, field.top - 8.0, Anchor::End, 9.5, FAINT_INK, "F1");
    drawing.text(examples, field.top - 8.0, Anchor::End, 9.5, FAINT_INK, "examples");
    for (row, (class, name)) in classes.iter().zip(&names).enumerate() {
        let top = field.top + pitch * row as f64;
        let text_y = top + pitch / 2.0 + size * 0.36;
        drawing.text(left - 7.0, text_y, Anchor::End, size, INK, name);
        let value = class.f1.map_or_else(|| "-".to_owned(), |f1| format!("{f1:.3}"));
        if let Some(f1) = class.f1 {
            drawing.rectangle(left, top + pitch * 0.16, f1 * PLOT_WIDTH, pitch * 0.68, BLUE);
        }
        drawing.text(values, text_y, Anchor::End, size, INK, &value);
        drawing.text(examples, text_y, Anchor::End, size, FAINT_INK, &text::count(class.support));
    }
    let mean = field.x_of(report.averages.r#macro.f1);
    drawing.line((mean, field.top - 4.0), (mean, field.bottom()), VERMILION, 1.5, "6 4");
    drawing.text(mean, field.top - 8.0, Anchor::Middle, 9.5, FAINT_INK, "mean");
    drawing
}
