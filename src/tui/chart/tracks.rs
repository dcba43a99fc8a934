//! The points of a run made ready for charts, away from the keyboard's thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::run::{Point, Series};

use super::extremes::Values;

/// One metric of one run, in the order of its steps.
#[derive(Debug)]
pub(in crate::tui) struct Track {
    steps: Vec<f64>,
    /// Seconds since 1970.
    times: Vec<f64>,
    values: Arc<Values>,
    /// The value that was logged last.
    pub(super) last: f64,
    is_in_order_of_time: bool,
    /// Whether each step is one more than the one before.
    counts: bool,
}

/// The metrics of a run.
#[derive(Debug, Default, Clone)]
pub(in crate::tui) struct Tracks {
    pub(super) metrics: BTreeMap<String, Arc<Track>>,
    /// Which metrics share a chart, where that does not follow from their names.
    pub(super) groups: Option<Vec<ChartGroup>>,
}

/// Where a run's epochs are known from.
#[derive(Debug, Clone)]
pub(super) enum Epochs {
    /// A metric with the epoch as its value.
    Values(Arc<Track>),
    /// A metric that was logged once an epoch, with the epoch as its step.
    Steps(Arc<Track>),
}

/// Metrics that share a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct ChartGroup {
    /// What the chart is called.
    pub(in crate::tui) title: String,
    /// Its metrics, each with what it is called in the legend.
    pub(in crate::tui) metrics: Vec<(String, String)>,
}

/// Sorts a run's points and finds their extremes.
pub(in crate::tui) fn tracks(series: Series) -> Tracks {
    let some = series.into_iter().filter(|(_, points)| !points.is_empty());
    let metrics = some.map(|(metric, points)| (metric, Arc::new(Track::new(&points)))).collect();
    Tracks { metrics, groups: None }
}

impl Tracks {
    /// These tracks with charts of their own choice, in this order.
    pub(in crate::tui) fn grouped(mut self, groups: Vec<ChartGroup>) -> Self {
        self.groups = Some(groups);
        self
    }

    /// The charts of their own choice.
    #[cfg(test)]
    pub(in crate::tui) fn groups(&self) -> &[ChartGroup] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// The run's epochs: the metric `epoch`, else the steps of what is measured once an epoch, as our own trainings do;
    /// none where neither says anything.
    pub(super) fn epochs(&self) -> Option<Epochs> {
        const ONCE_AN_EPOCH: [&str; 4] = ["val_loss", "val_accuracy", "train_loss", "train_accuracy"];
        if let Some(epochs) = self.metrics.get("epoch") {
            return Some(Epochs::Values(epochs.clone()));
        }
        let track = ONCE_AN_EPOCH.iter().find_map(|metric| self.metrics.get(*metric).filter(|track| track.counts))?;
        Some(Epochs::Steps(track.clone()))
    }

    /// Metrics that were logged once, which makes no line.
    pub(in crate::tui) fn singles(&self) -> impl Iterator<Item = (&str, f64)> {
        self.metrics.iter().filter(|(_, track)| track.len() == 1).map(|(metric, track)| (metric.as_str(), track.last))
    }

    /// These tracks, where a metric has not changed as the very one that was there before: what was made of it holds.
    pub(super) fn after(mut self, before: Option<&Self>) -> Self {
        for (metric, track) in &mut self.metrics {
            let old = before.and_then(|before| before.metrics.get(metric));
            if let Some(old) = old.filter(|old| old.is_same(track)) {
                *track = old.clone();
            }
        }
        self
    }
}

fn seconds(point: &Point) -> f64 {
    point.time.as_second() as f64 + f64::from(point.time.subsec_nanosecond()) * 1e-9
}

impl Track {
    fn new(points: &[Point]) -> Self {
        let sorted;
        let in_order = if points.is_sorted_by_key(|point| point.step) {
            points
        } else {
            let mut copy = points.to_vec();
            copy.sort_by_key(|point| point.step);
            sorted = copy;
            &sorted
        };
        let times: Vec<f64> = in_order.iter().map(seconds).collect();
        Self {
            steps: in_order.iter().map(|point| point.step as f64).collect(),
            is_in_order_of_time: times.is_sorted(),
            counts: in_order.len() > 1
                && in_order.windows(2).all(|pair| pair[0].step.checked_add(1) == Some(pair[1].step)),
            times,
            values: Arc::new(Values::new(in_order.iter().map(|point| point.value).collect())),
            last: points.last().map_or(f64::NAN, |point| point.value),
        }
    }

    /// How many points there are.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// A log only grows, so that tracks of the same length are the same; the last point is looked at for those that
    /// were made anew.
    fn is_same(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.times.last() == other.times.last()
            && self.last.total_cmp(&other.last).is_eq()
            && self.steps.first() == other.steps.first()
    }

    /// Places along the step axis, in order.
    pub(super) fn by_step(&self) -> (Vec<f64>, Arc<Values>) {
        (self.steps.clone(), self.values.clone())
    }

    /// Places along an axis of time in seconds after `origin`, in order.
    pub(super) fn by_time(&self, origin: f64) -> (Vec<f64>, Arc<Values>) {
        let places = self.times.iter().map(|time| time - origin).collect();
        if self.is_in_order_of_time { (places, self.values.clone()) } else { in_order(places, &self.values) }
    }

    /// Places along an axis of another metric's values, in order: the one that was logged at the point's step, or at the
    /// last step before it. Points before its first value are left out.
    pub(super) fn by_metric(&self, other: &Self) -> (Vec<f64>, Arc<Values>) {
        let (mut places, mut values) = (Vec::new(), Vec::new());
        let mut next = 0;
        let marks = other.values.as_slice();
        for (step, value) in self.steps.iter().zip(self.values.as_slice()) {
            while other.steps.get(next).is_some_and(|mark| mark <= step) {
                next += 1;
            }
            let Some(place) = next.checked_sub(1).and_then(|index| marks.get(index)).filter(|mark| mark.is_finite())
            else {
                continue;
            };
            places.push(*place);
            values.push(*value);
        }
        let values = Values::new(values);
        if places.is_sorted() { (places, Arc::new(values)) } else { in_order(places, &values) }
    }
}

impl Track {
    /// Places along an axis of another metric's steps, in order: between two of its points as far as the time between
    /// them has gone by, `started` being when its first step began.
    pub(super) fn by_steps_of(&self, other: &Self, started: f64) -> (Vec<f64>, Arc<Values>) {
        let (Some(first), Some(last)) = (other.steps.first(), other.steps.last()) else { return self.by_step() };
        let ends: Vec<(f64, f64)> = std::iter::once((started, first - 1.0))
            .chain(other.times.iter().copied().zip(other.steps.iter().copied()))
            .collect();
        let place = |time: &f64| {
            let after = ends.partition_point(|(end, _)| end < time);
            match (after.checked_sub(1).and_then(|before| ends.get(before)), ends.get(after)) {
                (Some((from, step)), Some((to, next))) if to > from => {
                    step + (time - from) / (to - from) * (next - step)
                }
                (_, Some((_, next))) => *next,
                // What comes after the last epoch was over belongs to it.
                (_, None) => *last,
            }
        };
        let places: Vec<f64> = self.times.iter().map(place).collect();
        if places.is_sorted() { (places, self.values.clone()) } else { in_order(places, &self.values) }
    }
}

/// Places and their values in the order of the places.
fn in_order(places: Vec<f64>, values: &Values) -> (Vec<f64>, Arc<Values>) {
    let mut pairs: Vec<(f64, f64)> = places.into_iter().zip(values.as_slice().iter().copied()).collect();
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (places, values) = pairs.into_iter().unzip();
    (places, Arc::new(Values::new(values)))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn point(step: i64, second: i64, value: f64) -> Point {
        Point { step, time: Timestamp::from_second(second).unwrap(), value }
    }

    fn pairs((places, values): (Vec<f64>, Arc<Values>)) -> Vec<(f64, f64)> {
        places.into_iter().zip(values.as_slice().iter().copied()).collect()
    }

    #[test]
    fn points_are_in_the_order_of_each_axis() {
        let track = Track::new(&[point(2, 10, 0.2), point(1, 20, 0.1), point(3, 30, 0.3)]);
        assert_eq!(pairs(track.by_step()), [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]);
        assert_eq!(pairs(track.by_time(10.0)), [(0.0, 0.2), (10.0, 0.1), (20.0, 0.3)]);
        assert_eq!(track.last, 0.3);
    }

    #[test]
    fn epochs_come_from_the_metric_of_that_name() {
        let epochs = Track::new(&[point(10, 0, 1.0), point(20, 0, 2.0)]);
        let loss = Track::new(&[point(5, 0, 9.0), point(10, 0, 5.0), point(15, 0, 4.0), point(25, 0, 3.0)]);
        assert_eq!(pairs(loss.by_metric(&epochs)), [(1.0, 5.0), (1.0, 4.0), (2.0, 3.0)]);
        let back = Track::new(&[point(10, 0, 2.0), point(20, 0, 1.0)]);
        assert_eq!(pairs(loss.by_metric(&back)), [(1.0, 3.0), (2.0, 5.0), (2.0, 4.0)]);
    }

    #[test]
    fn without_that_metric_epochs_come_from_what_is_measured_once_an_epoch() {
        let per_epoch = vec![point(1, 100, 0.9), point(2, 200, 0.8)];
        let batches = vec![point(10, 50, 5.0), point(20, 100, 4.0), point(30, 150, 3.0), point(40, 230, 2.0)];
        let of = |name: &str, points: &[Point]| (name.to_owned(), points.to_vec());
        let run = tracks(BTreeMap::from([of("val_loss", &per_epoch), of("batch_loss", &batches)]));
        let Some(Epochs::Steps(epochs)) = run.epochs() else { panic!("no epochs") };
        let made = run.metrics["batch_loss"].by_steps_of(&epochs, 0.0);
        assert_eq!(pairs(made), [(0.5, 5.0), (1.0, 4.0), (1.5, 3.0), (2.0, 2.0)]);
        assert_eq!(pairs(epochs.by_steps_of(&epochs, 0.0)), [(1.0, 0.9), (2.0, 0.8)]);
        // Steps that are far apart are no epochs.
        let sparse = [point(500, 0, 1.0), point(1000, 0, 1.0)];
        assert!(tracks(BTreeMap::from([of("val_loss", &sparse)])).epochs().is_none());
        assert!(matches!(tracks(BTreeMap::from([of("epoch", &sparse)])).epochs(), Some(Epochs::Values(_))));
    }

    #[test]
    fn what_did_not_change_stays_the_very_same() {
        let series = |points: i64| -> Series {
            let line = (0..points).map(|step| point(step, step, step as f64)).collect();
            BTreeMap::from([("grows".to_owned(), line), ("rests".to_owned(), vec![point(0, 0, 1.0)])])
        };
        let before = tracks(series(3));
        let after = tracks(series(4)).after(Some(&before));
        assert!(Arc::ptr_eq(&before.metrics["rests"], &after.metrics["rests"]));
        assert!(!Arc::ptr_eq(&before.metrics["grows"], &after.metrics["grows"]));
        assert_eq!(after.singles().collect::<Vec<_>>(), [("rests", 1.0)]);
    }
}
