//! A run's points made ready for charts: train and validation of one quantity together, and thinned so that drawing
//! costs the same for a hundred points and for ten million.

use crate::run::{Point, Series};

/// Buckets that a line is thinned to. Twice the dots of the widest screens, so that nothing seems to be missing.
const BUCKETS: usize = 2048;

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    /// What it shows: `loss`.
    pub(super) title: String,
    /// Its lines: `train`, `val`.
    pub(super) lines: Vec<ChartLine>,
}

/// One metric in a chart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChartLine {
    /// What sets it apart in its chart; empty where it is alone.
    pub(super) label: String,
    /// Step and value, by step; thinned, the extremes kept.
    pub(super) points: Vec<(f64, f64)>,
    /// The value logged last.
    pub(super) last: f64,
}

/// What a run's points come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Charts {
    /// Metrics with several points.
    pub(super) charts: Vec<Chart>,
    /// Metrics logged once.
    pub(super) singles: Vec<(String, f64)>,
}

/// Prefixes that tell the splits of one quantity apart, and what they are called in a legend.
const SPLITS: [(&str, &str); 5] =
    [("train", "train"), ("val", "val"), ("valid", "val"), ("validation", "val"), ("eval", "eval")];

/// The split and the quantity of a metric's name: `val_loss` and `val/loss` are `loss` of `val`.
fn split_of(metric: &str) -> Option<(&'static str, &str)> {
    SPLITS.iter().find_map(|(prefix, label)| {
        let quantity = metric.strip_prefix(prefix)?.strip_prefix(['_', '/', '.', '-'])?;
        (!quantity.is_empty()).then_some((*label, quantity))
    })
}

/// The charts of a run: what was trained for first, the system's own figures last.
pub(super) fn charts(series: &Series) -> Charts {
    let mut result = Charts::default();
    for (metric, points) in series {
        let Some(last) = points.last() else { continue };
        if points.len() == 1 {
            result.singles.push((metric.clone(), last.value));
            continue;
        }
        let (label, title) = split_of(metric).unwrap_or(("", metric.as_str()));
        let line = ChartLine { label: label.to_owned(), points: thin(points), last: last.value };
        match result.charts.iter_mut().find(|chart| chart.title == title) {
            Some(chart) => chart.lines.push(line),
            None => result.charts.push(Chart { title: title.to_owned(), lines: vec![line] }),
        }
    }
    result.charts.sort_by_key(|chart| (rank(&chart.title), chart.title.clone()));
    for chart in &mut result.charts {
        // `train` in the first colour everywhere, whatever the alphabet says.
        chart.lines.sort_by_key(|line| SPLITS.iter().position(|(_, label)| *label == line.label));
    }
    result
}

fn rank(title: &str) -> u8 {
    match title {
        "loss" => 0,
        "accuracy" => 1,
        _ if title.starts_with("system.") || title.starts_with("system/") => 3,
        _ => 2,
    }
}

/// Points by step, at most a few in each bucket: the first, the smallest, the largest and the last. A value that is
/// not finite is kept, one a bucket, so that a chart can show that it was there.
fn thin(points: &[Point]) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(f64, f64)> = points.iter().map(|point| (point.step as f64, point.value)).collect();
    if !sorted.is_sorted_by(|a, b| a.0 <= b.0) {
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    if sorted.len() <= 4 * BUCKETS {
        return sorted;
    }
    let size = sorted.len().div_ceil(BUCKETS);
    sorted.chunks(size).flat_map(extremes).collect()
}

/// The points of a bucket that its look depends on, in their order.
fn extremes(bucket: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> {
    let by_value = |a: &usize, b: &usize| bucket[*a].1.total_cmp(&bucket[*b].1);
    let finite = || (0..bucket.len()).filter(|&index| bucket[index].1.is_finite());
    let odd = (0..bucket.len()).find(|&index| !bucket[index].1.is_finite());
    let mut kept: Vec<usize> =
        [Some(0), finite().min_by(by_value), finite().max_by(by_value), odd, bucket.len().checked_sub(1)]
            .into_iter()
            .flatten()
            .collect();
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| bucket[index]).collect::<Vec<_>>().into_iter()
}

/// A metric's values for a sparkline of at most `width` places, from the first to the last.
pub(super) fn spark(points: &[Point], width: usize) -> Vec<f64> {
    if width == 0 || points.is_empty() {
        return Vec::new();
    }
    let places = width.min(points.len());
    let last = points.len() - 1;
    // Where there is one place, it shows the last value.
    (0..places).map(|place| points[if places == 1 { last } else { place * last / (places - 1) }].value).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn points(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
        let point = |(step, value)| Point { step: i64::try_from(step).unwrap(), time: Timestamp::UNIX_EPOCH, value };
        values.into_iter().enumerate().map(point).collect()
    }

    #[test]
    fn splits_share_a_chart_and_single_values_have_none() {
        let names = ["val_loss", "train_loss", "train/accuracy", "system.memory", "lr", "validation"];
        let mut series: Series = names.iter().map(|name| ((*name).to_owned(), points([1.0, 0.5]))).collect();
        series.insert("test_accuracy".to_owned(), points([0.9]));
        series.insert("empty".to_owned(), Vec::new());
        let made = charts(&series);
        let summary: Vec<(&str, Vec<&str>)> = made
            .charts
            .iter()
            .map(|chart| (chart.title.as_str(), chart.lines.iter().map(|line| line.label.as_str()).collect()))
            .collect();
        assert_eq!(
            summary,
            [
                ("loss", vec!["train", "val"]),
                ("accuracy", vec!["train"]),
                ("lr", vec![""]),
                ("validation", vec![""]),
                ("system.memory", vec![""]),
            ]
        );
        assert_eq!(made.singles, [("test_accuracy".to_owned(), 0.9)]);
    }

    #[test]
    fn thinning_keeps_the_extremes_and_what_is_not_finite() {
        let mut values: Vec<f64> = (0..1_000_000).map(|step| f64::from(step).sin()).collect();
        values[123_456] = 99.0;
        values[654_321] = -99.0;
        values[777_777] = f64::NAN;
        let thinned = thin(&points(values));
        assert!(thinned.len() <= 5 * BUCKETS, "{}", thinned.len());
        assert!(thinned.contains(&(123_456.0, 99.0)) && thinned.contains(&(654_321.0, -99.0)));
        assert!(thinned.iter().any(|(step, value)| *step == 777_777.0 && value.is_nan()));
        assert_eq!((thinned[0].0, thinned[thinned.len() - 1].0), (0.0, 999_999.0));
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn sparks_reach_from_the_first_to_the_last_value() {
        assert_eq!(spark(&points([1.0, 2.0, 3.0, 4.0]), 2), [1.0, 4.0]);
        assert_eq!(spark(&points([1.0, 2.0, 3.0, 4.0, 5.0]), 3), [1.0, 3.0, 5.0]);
        assert_eq!(spark(&points([1.0, 2.0]), 1), [2.0]);
        assert_eq!(spark(&points([1.0]), 8), [1.0]);
        assert_eq!(spark(&[], 8), Vec::<f64>::new());
    }
}
