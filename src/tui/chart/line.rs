//! A line along an axis, and what of it a plot shows: its extremes in every column of dots.

use std::sync::Arc;

use rayon::prelude::*;

use crate::id::RunId;

use super::dots::Dots;
use super::extremes::{Extent, Values};
use super::scale::{Form, Scale, Unit};
use super::smooth::smoothed;
use super::tracks::{Epochs, Track};

/// What runs from left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::tui) enum Axis {
    /// The step that was logged with a point.
    #[default]
    Step,
    /// The time since the run started.
    Elapsed,
    /// The time of the day.
    Clock,
    /// The epoch that the point was logged in; the step where no epochs are known.
    Epoch,
}

impl Axis {
    /// The axis after this one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Step => Self::Elapsed,
            Self::Elapsed => Self::Clock,
            Self::Clock => Self::Epoch,
            Self::Epoch => Self::Step,
        }
    }

    /// What stands below the axis.
    pub(in crate::tui) fn title(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Elapsed => "elapsed",
            Self::Clock => "UTC",
            Self::Epoch => "epoch",
        }
    }

    /// What its numbers are.
    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Step | Self::Epoch => Unit::Number,
            Self::Elapsed => Unit::Duration,
            Self::Clock => Unit::Clock,
        }
    }
}

/// How lines are made of tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::tui) struct Recipe {
    pub(super) axis: Axis,
    /// The weight of what came before, in percent.
    pub(super) smoothing: u8,
}

/// A track that a line is to be made of.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) run_id: RunId,
    pub(super) metric: String,
    pub(super) track: Arc<Track>,
    /// Where its epochs are known from.
    pub(super) epochs: Option<Epochs>,
    /// When the run started, in seconds since 1970.
    pub(super) started: f64,
}

/// Lines that are to be made, away from the keyboard's thread.
#[derive(Debug, Clone)]
pub(in crate::tui) struct LineJob {
    /// The grid that waits for them.
    pub(super) token: Arc<()>,
    pub(super) recipe: Recipe,
    pub(super) parts: Vec<Part>,
}

impl PartialEq for LineJob {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&Part, &Part)| {
            one.run_id == other.run_id && one.metric == other.metric && Arc::ptr_eq(&one.track, &other.track)
        };
        self.recipe == other.recipe
            && self.parts.len() == other.parts.len()
            && self.parts.iter().zip(&other.parts).all(same)
    }
}

/// A line that was made, and of what.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) recipe: Recipe,
    pub(super) track: Arc<Track>,
    pub(super) line: Arc<Line>,
}

/// What came of a [`LineJob`].
#[derive(Debug)]
pub(in crate::tui) struct MadeLines {
    pub(super) token: Arc<()>,
    pub(super) recipe: Recipe,
    pub(super) lines: Vec<((RunId, String), Made)>,
}

/// Makes lines. Takes some milliseconds for a million points.
pub(in crate::tui) fn make_lines(job: LineJob) -> MadeLines {
    let recipe = job.recipe;
    let make = |part: Part| {
        let line = Arc::new(Line::new(&part, recipe));
        ((part.run_id, part.metric), Made { recipe, track: part.track, line })
    };
    MadeLines { token: job.token, recipe, lines: job.parts.into_par_iter().map(make).collect() }
}

/// A line: places along the axis in order, and a value at each.
#[derive(Debug)]
pub(super) struct Line {
    places: Vec<f64>,
    values: Arc<Values>,
    smooth: Option<Values>,
}

/// What a plot shows of a line in one column of dots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Column {
    /// The column, from the left.
    pub(super) place: usize,
    /// What can be drawn; none where nothing there has a place on the axis.
    pub(super) span: Option<Span>,
    /// Which values that are not finite there are.
    pub(super) odd: u8,
    /// Whether there are values that a logarithmic axis has no place for.
    pub(super) is_cut: bool,
}

/// The values of a line in one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub(super) first: f64,
    pub(super) last: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether the line comes from the point before without a gap.
    pub(super) is_joined: bool,
}

/// What a plot shows of a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reduced {
    /// The point before the plot that the line comes from.
    before: Option<(f64, f64)>,
    pub(super) columns: Vec<Column>,
    /// The point after the plot that the line goes to.
    after: Option<(f64, f64)>,
}

impl Line {
    fn new(part: &Part, recipe: Recipe) -> Self {
        let (places, values) = match (recipe.axis, &part.epochs) {
            (Axis::Elapsed, _) => part.track.by_time(part.started),
            (Axis::Clock, _) => part.track.by_time(0.0),
            (Axis::Epoch, Some(Epochs::Values(epochs))) => part.track.by_metric(epochs),
            (Axis::Epoch, Some(Epochs::Steps(epochs))) => part.track.by_steps_of(epochs, part.started),
            (Axis::Epoch, None) | (Axis::Step, _) => part.track.by_step(),
        };
        let weight = f64::from(recipe.smoothing) / 100.0;
        let smooth = (recipe.smoothing > 0).then(|| Values::new(smoothed(&places, values.as_slice(), weight)));
        Self { places, values, smooth }
    }

    /// A line as it is, for tests.
    #[cfg(test)]
    pub(super) fn of(places: Vec<f64>, values: Vec<f64>) -> Self {
        Self { places, values: Arc::new(Values::new(values)), smooth: None }
    }

    /// The first and the last place; on a logarithmic axis the first one above 0.
    pub(super) fn ends(&self, form: Form) -> Option<(f64, f64)> {
        let first = match form {
            Form::Linear => 0,
            Form::Log => self.places.partition_point(|place| *place <= 0.0),
        };
        Some((*self.places.get(first)?, *self.places.last()?))
    }

    /// Whether there is a smoothed line.
    pub(super) fn is_smooth(&self) -> bool {
        self.smooth.is_some()
    }

    /// The values that are drawn.
    fn drawn(&self, smooth: bool) -> &Values {
        self.smooth.as_ref().filter(|_| smooth).unwrap_or(&self.values)
    }

    /// The extent of what lies on a stretch of the axis.
    pub(super) fn extent(&self, x: &Scale) -> Extent {
        let start = self.places.partition_point(|place| *place < x.low);
        let end = self.places.partition_point(|place| *place <= x.high);
        self.values.extent(start..end)
    }

    /// The value at the place nearest to `x`; none beyond the line's ends.
    pub(super) fn value_near(&self, x: f64, smooth: bool) -> Option<f64> {
        let (first, last) = self.ends(Form::Linear)?;
        if !(first..=last).contains(&x) {
            return None;
        }
        let after = self.places.partition_point(|place| *place < x).min(self.places.len() - 1);
        // Of several points at one place the last one counts.
        let last_at = |index: usize| self.places.partition_point(|place| *place <= self.places[index]) - 1;
        let nearest = match after.checked_sub(1) {
            Some(before) if x - self.places[before] < self.places[after] - x => before,
            _ => last_at(after),
        };
        self.drawn(smooth).as_slice().get(nearest).copied()
    }

    /// The first place at or after `x`.
    pub(super) fn place_from(&self, x: f64) -> Option<f64> {
        self.places.get(self.places.partition_point(|place| *place < x)).copied()
    }

    /// The last place at or before `x`.
    pub(super) fn place_until(&self, x: f64) -> Option<f64> {
        self.places.get(self.places.partition_point(|place| *place <= x).checked_sub(1)?).copied()
    }

    /// What a plot of `width` columns of dots shows. Costs a few steps a column, however many points there are.
    pub(super) fn reduced(&self, x: &Scale, form: Form, width: usize, smooth: bool) -> Reduced {
        let values = self.drawn(smooth);
        let points = values.as_slice();
        let has_place = |index: usize| {
            points.get(index).is_some_and(|value| value.is_finite() && (form == Form::Linear || *value > 0.0))
        };
        let across = width.saturating_sub(1) as f64;
        let column_of = |place: f64| (x.place(place).clamp(0.0, 1.0) * across).round() as usize;
        let start = self.places.partition_point(|place| *place < x.low);
        let end = self.places.partition_point(|place| *place <= x.high);
        let outside = |index: Option<usize>| {
            let index = index.filter(|index| has_place(*index))?;
            Some((*self.places.get(index)?, *points.get(index)?))
        };
        let mut reduced =
            Reduced { before: outside(start.checked_sub(1)), after: outside(Some(end)), columns: Vec::new() };
        // The point that a line without a gap would come from.
        let mut previous = start.checked_sub(1);
        let mut from = start;
        while from < end {
            let place = column_of(self.places[from]);
            let until = from + self.places[from..end].partition_point(|other| column_of(*other) <= place);
            let extent = values.extent(from..until);
            let first = (from..until).find(|index| has_place(*index));
            let last = (from..until).rev().find(|index| has_place(*index));
            let span = first.zip(last).map(|(first, last)| Span {
                first: points[first],
                last: points[last],
                low: if form == Form::Log { extent.low_positive } else { extent.low },
                high: extent.high,
                is_joined: first.checked_sub(1).is_some_and(|index| previous == Some(index) && has_place(index)),
            });
            let is_cut = form == Form::Log && extent.low <= 0.0;
            reduced.columns.push(Column { place, span, odd: extent.odd, is_cut });
            previous = last;
            from = until;
        }
        if end.checked_sub(1) != previous && start < end {
            reduced.after = None;
        }
        reduced
    }
}

impl Reduced {
    /// Draws it: a stroke from the lowest to the highest value of each column, and strokes that join the columns.
    pub(super) fn draw(&self, x: &Scale, y: &Scale, line: usize, dots: &mut Dots) {
        let (across, down) = (dots.width().saturating_sub(1) as f64, dots.height().saturating_sub(1) as f64);
        let height = |value: f64| (1.0 - y.place(value)) * down;
        let outside = |(place, value): (f64, f64)| (x.place(place) * across, height(value));
        let mut pen = self.before.map(outside);
        for column in &self.columns {
            let Some(span) = column.span else {
                pen = None;
                continue;
            };
            let place = column.place as f64;
            if let Some(pen) = pen.filter(|_| span.is_joined) {
                dots.stroke(pen, (place, height(span.first)), line);
            }
            dots.stroke((place, height(span.low)), (place, height(span.high)), line);
            pen = Some((place, height(span.last)));
        }
        if let (Some(pen), Some(after)) = (pen, self.after) {
            dots.stroke(pen, outside(after), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::extremes::{INFINITE, NAN};
    use super::*;

    fn linear(low: f64, high: f64) -> Scale {
        Scale::new(low, high, Form::Linear)
    }

    proptest! {
        /// Whatever the line, the window and the size: the highest and the lowest value of every column are drawn.
        #[test]
        fn every_extreme_of_a_column_is_drawn(
            values in prop::collection::vec(prop_oneof![
                20 => -1e3..1e3f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(1e6), 1 => Just(-0.0),
            ], 1..3000),
            gaps in prop::collection::vec(0.0..3.0f64, 3000),
            window in (0.0..1.0f64, 0.0..1.0f64),
            size in (1usize..60, 1usize..12),
            log in any::<bool>(),
        ) {
            let form = if log { Form::Log } else { Form::Linear };
            let places: Vec<f64> = gaps.iter().scan(1.0, |x, gap| { *x += gap; Some(*x) }).take(values.len()).collect();
            let line = Line::of(places.clone(), values.clone());
            let whole = linear(places[0], places[places.len() - 1]);
            let x = whole.part(window.0.min(window.1), window.0.max(window.1));
            let x = linear(x.low, x.high);
            let extent = line.extent(&x);
            let low = if log { extent.low_positive } else { extent.low };
            prop_assume!(low <= extent.high);
            let y = Scale::new(low, extent.high, form);
            let mut dots = Dots::new(size.0, size.1);
            let reduced = line.reduced(&x, form, dots.width(), false);
            reduced.draw(&x, &y, 0, &mut dots);
            let (across, down) = ((dots.width() - 1) as f64, (dots.height() - 1) as f64);
            for (place, value) in places.iter().zip(&values) {
                if *place < x.low || *place > x.high || !value.is_finite() || (log && *value <= 0.0) {
                    continue;
                }
                // This value or one further out in its column: the column's dots reach at least as far.
                let column = (x.place(*place) * across).round() as usize;
                let row = ((1.0 - y.place(*value)) * down).round() as usize;
                prop_assert!((0..=row).any(|row| dots.is_set(column, row)), "nothing above {value} at {place}");
                prop_assert!((row..dots.height()).any(|row| dots.is_set(column, row)), "nothing below {value}");
            }
            for column in &reduced.columns {
                if let Some(span) = column.span {
                    for extreme in [span.low, span.high] {
                        let row = ((1.0 - y.place(extreme)) * down).round() as usize;
                        prop_assert!(dots.is_set(column.place, row), "{extreme} is not drawn");
                    }
                }
            }
        }

        /// A plot of the whole line looks the same whether its columns are found by blocks or point by point.
        #[test]
        fn columns_hold_what_lies_in_them(
            values in prop::collection::vec(prop::num::f64::ANY, 1..2000),
            width in 1usize..300,
        ) {
            let places: Vec<f64> = (0..values.len()).map(|place| place as f64).collect();
            let x = linear(0.0, (values.len() - 1) as f64);
            let reduced = Line::of(places.clone(), values.clone()).reduced(&x, Form::Linear, width, false);
            for column in &reduced.columns {
                let inside = places.iter().zip(&values).filter(|(place, _)| {
                    (x.place(**place) * (width - 1) as f64).round() as usize == column.place
                });
                let finite: Vec<f64> = inside.map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
                let expected = finite.first().map(|first| (
                    *first,
                    finite[finite.len() - 1],
                    finite.iter().copied().fold(f64::INFINITY, f64::min),
                    finite.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                ));
                prop_assert_eq!(column.span.map(|span| (span.first, span.last, span.low, span.high)), expected);
            }
        }
    }

    #[test]
    fn gaps_are_gaps_and_what_is_not_finite_is_told() {
        let values = vec![1.0, 1.0, f64::NAN, 1.0, f64::INFINITY, 1.0];
        let line = Line::of((0..6).map(f64::from).collect(), values);
        let reduced = line.reduced(&linear(0.0, 5.0), Form::Linear, 11, false);
        let joined: Vec<Option<bool>> = reduced.columns.iter().map(|column| Some(column.span?.is_joined)).collect();
        assert_eq!(joined, [Some(false), Some(true), None, Some(false), None, Some(false)]);
        assert_eq!([reduced.columns[2].odd, reduced.columns[4].odd], [NAN, INFINITE]);
        let mut dots = Dots::new(6, 1);
        reduced.draw(&linear(0.0, 5.0), &linear(0.0, 2.0), 0, &mut dots);
        // From 0 to 1 there is a line, from 1 to 3 there is none.
        assert!([0, 1, 2, 6, 10].iter().all(|x| (0..4).any(|y| dots.is_set(*x, y))));
        assert!([3, 4, 5, 7, 8, 9].iter().all(|x| (0..4).all(|y| !dots.is_set(*x, y))));
    }

    #[test]
    fn lines_reach_to_points_outside_of_the_window() {
        let line = Line::of(vec![0.0, 10.0], vec![0.0, 10.0]);
        let x = linear(4.0, 6.0);
        let reduced = line.reduced(&x, Form::Linear, 9, false);
        assert!(reduced.columns.is_empty());
        let mut dots = Dots::new(4, 2);
        reduced.draw(&x, &linear(0.0, 10.0), 0, &mut dots);
        assert!((0..8).all(|x| (0..8).any(|y| dots.is_set(x, y))));
        // Not across a gap.
        let line = Line::of(vec![0.0, 5.0, 10.0], vec![0.0, f64::NAN, 10.0]);
        let mut dots = Dots::new(4, 2);
        line.reduced(&x, Form::Linear, 9, false).draw(&x, &linear(0.0, 10.0), 0, &mut dots);
        assert!((0..8).all(|x| (0..8).all(|y| !dots.is_set(x, y))));
    }

    #[test]
    fn on_a_logarithmic_axis_zero_is_a_gap_that_is_told() {
        let line = Line::of(vec![0.0, 1.0, 2.0], vec![1.0, 0.0, 10.0]);
        let reduced = line.reduced(&linear(0.0, 2.0), Form::Log, 5, false);
        let seen: Vec<(bool, bool)> =
            reduced.columns.iter().map(|column| (column.span.is_some(), column.is_cut)).collect();
        assert_eq!(seen, [(true, false), (false, true), (true, false)]);
        assert!(reduced.columns[2].span.is_some_and(|span| !span.is_joined));
        assert_eq!(line.ends(Form::Log), Some((1.0, 2.0)));
        assert_eq!(Line::of(vec![-1.0, 0.0], vec![1.0, 1.0]).ends(Form::Log), None);
    }

    #[test]
    fn the_value_at_a_place_is_the_nearest() {
        let line = Line::of(vec![1.0, 2.0, 2.0, 4.0], vec![10.0, 20.0, 21.0, 40.0]);
        let at = |x| line.value_near(x, false);
        assert_eq!([at(1.0), at(1.4), at(2.0), at(3.5), at(4.0)], [10.0, 10.0, 21.0, 40.0, 40.0].map(Some));
        assert_eq!([at(0.9), at(4.1)], [None, None]);
        assert_eq!((line.place_from(2.5), line.place_until(2.5)), (Some(4.0), Some(2.0)));
        assert_eq!((line.place_from(5.0), line.place_until(0.0)), (None, None));
    }

    #[test]
    fn a_million_points_are_reduced_to_columns_at_once() {
        let values: Vec<f64> = (0..1_000_000).map(|step| (f64::from(step) * 1e-4).sin()).collect();
        let mut spiked = values;
        spiked[123_456] = 99.0;
        spiked[777_777] = f64::NAN;
        let line = Line::of((0..1_000_000).map(f64::from).collect(), spiked);
        let reduced = line.reduced(&linear(0.0, 999_999.0), Form::Linear, 400, false);
        assert_eq!(reduced.columns.len(), 400);
        assert_eq!(
            reduced.columns.iter().filter(|column| column.span.is_some_and(|span| span.high == 99.0)).count(),
            1
        );
        assert_eq!(reduced.columns.iter().filter(|column| column.odd == NAN).count(), 1);
    }
}
