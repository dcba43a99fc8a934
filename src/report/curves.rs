//! Curves of metrics, thinned out for a drawing.

use std::collections::BTreeMap;

use super::measure::{is_own, rank};
use crate::run::{Point, Series};

/// Metrics of a run whose curves are kept: the telling ones.
const MAX_CURVES: usize = 8;
/// Columns of a drawing: each shows the smallest and the largest value in it.
const COLUMNS: usize = 240;
/// Signs of a curve in text.
const SPARKS: usize = 12;

/// A curve: steps that grow, and values that are numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// Step and value; at least two different steps.
    pub points: Vec<(i64, f64)>,
}

/// The curves of the main metrics. A metric that was logged once has none.
pub(super) fn of(series: &Series) -> BTreeMap<String, Curve> {
    let mut metrics: Vec<&String> = series.keys().filter(|name| is_own(name)).collect();
    metrics.sort_by_key(|name| (rank(name), *name));
    let curves = metrics.into_iter().filter_map(|name| Some((name.clone(), curve(&series[name])?)));
    curves.take(MAX_CURVES).collect()
}

fn curve(points: &[Point]) -> Option<Curve> {
    let mut points: Vec<(i64, f64)> =
        points.iter().filter(|point| point.value.is_finite()).map(|point| (point.step, point.value)).collect();
    points.sort_by_key(|(step, _)| *step);
    let (first, last) = (points.first()?.0, points.last()?.0);
    if first == last {
        return None;
    }
    if points.len() <= 2 * COLUMNS {
        return Some(Curve { points });
    }
    // In 128 bits, since steps may be anywhere in 64.
    let width = i128::from(last) - i128::from(first) + 1;
    let column = |step: i64| (i128::from(step) - i128::from(first)) * COLUMNS as i128 / width;
    let by_column = points.chunk_by(|(left, _), (right, _)| column(*left) == column(*right));
    let extremes = by_column.flat_map(|points| {
        let by_value = |(_, left): &&(i64, f64), (_, right): &&(i64, f64)| left.total_cmp(right);
        let low = points.iter().min_by(by_value);
        let high = points.iter().max_by(by_value);
        let mut kept: Vec<(i64, f64)> = low.into_iter().chain(high).copied().collect();
        kept.sort_by_key(|(step, _)| *step);
        kept.dedup();
        kept
    });
    let mut thinned: Vec<(i64, f64)> = extremes.collect();
    // Where a curve ends is what a reader looks for.
    thinned.extend(points.last().filter(|last| thinned.last() != Some(last)));
    Some(Curve { points: thinned })
}

impl Curve {
    /// The curve in one line of text: `▁▄▆▇█`.
    pub(super) fn spark(&self) -> String {
        const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let values: Vec<f64> = self.points.iter().map(|(_, value)| *value).collect();
        let signs = SPARKS.min(values.len());
        let (low, high) =
            values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        let level = |value: f64| {
            // Halves, since the difference of two numbers need not be one.
            let share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
            if share.is_finite() { LEVELS[((share * 7.0).round() as usize).min(7)] } else { LEVELS[3] }
        };
        let sign = |index: usize| {
            let part = &values[index * values.len() / signs..(index + 1) * values.len() / signs];
            level(part.iter().map(|value| value / part.len() as f64).sum())
        };
        (0..signs).map(sign).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn points(values: impl IntoIterator<Item = (i64, f64)>) -> Vec<Point> {
        values.into_iter().map(|(step, value)| Point { step, time: Timestamp::UNIX_EPOCH, value }).collect()
    }

    #[test]
    fn thinning_keeps_peaks_and_the_end() {
        let spike = |step: i64| if step == 77_777 { 1e6 } else { (step % 10) as f64 };
        let long = points((0..100_000).map(|step| (step, spike(step))));
        let thinned = curve(&long).unwrap();
        assert!(thinned.points.len() <= 2 * COLUMNS + 1, "{}", thinned.points.len());
        assert!(thinned.points.contains(&(77_777, 1e6)));
        assert_eq!(thinned.points.last(), Some(&(99_999, 9.0)));
        assert!(thinned.points.is_sorted_by_key(|(step, _)| *step));
    }

    #[test]
    fn what_is_no_curve_has_none() {
        assert_eq!(curve(&points([(3, 0.5)])), None);
        assert_eq!(curve(&points([(3, 0.5), (3, 0.6)])), None, "one step");
        assert_eq!(curve(&points([(1, 0.5), (2, f64::NAN)])), None, "one number");
        let widest = curve(&points((0..1000).map(|step| (if step == 0 { i64::MIN } else { i64::MAX - step }, 1.0))));
        assert!(widest.is_some());
    }

    #[test]
    fn a_curve_reads_in_one_line() {
        let rising = curve(&points((0..100).map(|step| (step, step as f64)))).unwrap();
        assert_eq!(rising.spark(), "▁▂▂▃▄▄▅▅▆▇▇█".chars().collect::<String>());
        assert_eq!(curve(&points([(0, 5.0), (1, 5.0)])).unwrap().spark(), "▄▄");
        assert_eq!(curve(&points([(0, f64::MIN), (1, f64::MAX)])).unwrap().spark(), "▁█");
    }
}
