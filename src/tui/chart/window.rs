//! What of the axes is seen: zooming, panning, and the crosshair.

use ratatui::layout::Rect;

use super::extremes::Extent;
use super::grid::{Chart, ChartGrid};
use super::line::Axis;
use super::place::Plot;
use super::scale::{Form, Scale};

/// A part of the horizontal axis, for all charts whose lines have about as much of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// The chart that was zoomed.
    pub(super) chart: String,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// A window is no narrower than this part of the whole axis.
const NARROWEST: f64 = 1e-7;
/// Values that count as far out: this part of the columns at each end.
const OUTLIERS: f64 = 0.05;

impl ChartGrid {
    /// All of a chart's horizontal axis; none where no line has a place on it.
    pub(super) fn full_x(&self, chart: &Chart) -> Option<Scale> {
        let form = self.form_x();
        let ends = chart.lines.iter().filter_map(|line| self.line(line)?.ends(form));
        let (low, high) = ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))?;
        let scale = Scale::new(low, high, form);
        let is_live = chart.lines.iter().any(|line| self.runs.get(line.run).is_some_and(|run| run.is_live));
        Some(if is_live { scale.with_room() } else { scale })
    }

    fn full_of(&self, title: &str) -> Option<Scale> {
        self.full_x(self.charts.iter().find(|chart| chart.title == title)?)
    }

    /// Whether what is said of one chart's horizontal axis holds for another's: they overlap by half. Steps of batches
    /// and steps of epochs do not.
    fn shares_axis(&self, title: &str, chart: &Chart) -> bool {
        if title == chart.title {
            return true;
        }
        let (Some(one), Some(other)) = (self.full_of(title), self.full_x(chart)) else { return false };
        let common = one.high.min(other.high) - one.low.max(other.low);
        let all = one.high.max(other.high) - one.low.min(other.low);
        common >= all * 0.5
    }

    /// What is seen of a chart's horizontal axis.
    pub(super) fn scale_x(&self, chart: &Chart) -> Option<Scale> {
        let full = self.full_x(chart)?;
        match &self.window {
            Some(window) if self.shares_axis(&window.chart, chart) => {
                Some(Scale::new(window.low, window.high, full.form))
            }
            _ => Some(full),
        }
    }

    /// Where the crosshair is in a chart.
    pub(super) fn cross_in(&self, chart: &Chart) -> Option<f64> {
        let (title, x) = self.cross.as_ref()?;
        self.shares_axis(title, chart).then_some(*x)
    }

    /// What is seen of a chart's vertical axis; none where nothing has a place on it.
    pub(super) fn scale_y(&self, chart: &Chart, x: &Scale, plot: &Plot) -> Option<Scale> {
        let form = if self.settings.log_y { Form::Log } else { Form::Linear };
        if let Some((low, high)) = self.heights.get(&chart.title) {
            return Some(Scale::new(*low, *high, form));
        }
        let lines = || chart.lines.iter().filter_map(|line| self.line(line));
        let extent = lines().fold(Extent::EMPTY, |all, line| all.join(line.extent(x)));
        let low = if form == Form::Log { extent.low_positive } else { extent.low };
        if low > extent.high {
            return None;
        }
        let (mut low, mut high) = (low, extent.high);
        if self.settings.without_outliers {
            let smooth = self.drawn.smoothing > 0;
            let columns = lines().flat_map(|line| line.reduced(x, form, plot.dots(), smooth).columns);
            let (mut lows, mut highs): (Vec<f64>, Vec<f64>) =
                columns.filter_map(|column| column.span).map(|span| (span.low, span.high)).unzip();
            lows.sort_by(f64::total_cmp);
            highs.sort_by(|one, other| other.total_cmp(one));
            let place = (lows.len() as f64 * OUTLIERS) as usize;
            if let (Some(inner_low), Some(inner_high)) = (lows.get(place), highs.get(place)) {
                (low, high) = (*inner_low, inner_high.max(*inner_low));
            }
        }
        // Ends between two ticks leave the lines more room than ends at ticks.
        Some(Scale::new(low, high, form).rounded(2 * ticks_y(plot)))
    }

    /// Zooms by a factor around the crosshair, or else the middle of what is seen.
    pub(super) fn zoom_by_key(&mut self, factor: f64) {
        let Some(chart) = self.charts.get(self.selected) else { return };
        let Some(seen) = self.scale_x(chart) else { return };
        let center = self.cross_in(chart).map_or(0.5, |x| seen.place(x)).clamp(0.0, 1.0);
        self.zoom(self.selected, factor, center);
        self.keep_cross_in_sight();
    }

    /// Zooms a chart by a factor; what stands at the place `center` of its axis stays there.
    pub(super) fn zoom(&mut self, chart: usize, factor: f64, center: f64) {
        let Some(chart) = self.charts.get(chart) else { return };
        let Some(seen) = self.scale_x(chart) else { return };
        let title = chart.title.clone();
        self.look_at(title, seen, center - center * factor, center + (1.0 - center) * factor);
    }

    /// Moves what is seen by a part of it.
    pub(super) fn pan(&mut self, part: f64) {
        let Some(window) = &self.window else { return };
        let title = window.chart.clone();
        let seen = self.charts.iter().find(|chart| chart.title == title).and_then(|chart| self.scale_x(chart));
        if let Some(seen) = seen {
            self.look_at(title, seen, part, 1.0 + part);
        }
    }

    /// Makes what is between two places of `seen` the window, as far as the axis has it.
    pub(super) fn look_at(&mut self, title: String, seen: Scale, from: f64, to: f64) {
        let Some(full) = self.full_of(&title) else { return };
        let part = seen.part(from, to);
        // In places of the whole axis, which a logarithmic one has too.
        let place = |value: f64, otherwise: f64| match full.place(value) {
            place if place.is_finite() => place,
            _ => otherwise,
        };
        let (from, to) = (place(part.low, 0.0), place(part.high, 1.0));
        // Two steps fill the plot at most; time has no smallest part.
        let steps = if self.drawn.axis == Axis::Step && full.form == Form::Linear {
            2.0 / (full.high - full.low)
        } else {
            NARROWEST
        };
        let width = (to - from).max(steps.max(NARROWEST)).min(1.0);
        if width >= 1.0 - 1e-9 {
            self.window = None;
            return;
        }
        let middle = f64::midpoint(from, to);
        let from = (middle - width / 2.0).clamp(0.0, 1.0 - width);
        self.window = Some(Window { chart: title, low: full.value_at(from), high: full.value_at(from + width) });
    }

    /// Shows the crosshair in the chosen chart, at the end of what is seen, or hides it.
    pub(super) fn toggle_cross(&mut self) {
        if self.cross.take().is_none() {
            let Some(chart) = self.charts.get(self.selected) else { return };
            let Some(seen) = self.scale_x(chart) else { return };
            let lines = chart.lines.iter().filter_map(|line| self.line(line));
            let last = lines.filter_map(|line| line.place_until(seen.high)).reduce(f64::max);
            self.cross = last.map(|x| (chart.title.clone(), x));
            self.keep_cross_in_sight();
        }
    }

    /// Moves the crosshair to the next point that is at least a column of dots away.
    pub(super) fn move_cross(&mut self, forward: bool, area: Rect) {
        let (Some(chart), Some(plot)) = (self.charts.get(self.selected), self.plot(self.selected, area)) else {
            return;
        };
        let (Some(seen), Some(x)) = (self.scale_x(chart), self.cross_in(chart)) else { return };
        let dot = 1.0 / plot.dots().max(2) as f64;
        let target = seen.value_at(seen.place(x) + if forward { dot } else { -dot });
        let lines = chart.lines.iter().filter_map(|line| self.line(line));
        let next = match forward {
            true => lines.filter_map(|line| line.place_from(target)).reduce(f64::min),
            false => lines.filter_map(|line| line.place_until(target)).reduce(f64::max),
        };
        if let Some(next) = next.filter(|next| seen.form == Form::Linear || *next > 0.0) {
            self.cross = Some((chart.title.clone(), next));
            self.keep_cross_in_sight();
        }
    }

    /// Moves the crosshair to the first or the last point that is seen.
    pub(super) fn cross_to_end(&mut self, last: bool) {
        let Some(chart) = self.charts.get(self.selected) else { return };
        let Some(seen) = self.scale_x(chart) else { return };
        let lines = chart.lines.iter().filter_map(|line| self.line(line));
        let end = match last {
            true => lines.filter_map(|line| line.place_until(seen.high)).reduce(f64::max),
            false => lines.filter_map(|line| line.place_from(seen.low)).reduce(f64::min),
        };
        if let Some(end) = end {
            self.cross = Some((chart.title.clone(), end));
        }
    }

    /// Puts the crosshair at the point that is nearest to a place of a chart's axis.
    pub(super) fn cross_at(&mut self, chart: usize, place: f64) {
        let Some(chart) = self.charts.get(chart) else { return };
        let Some(seen) = self.scale_x(chart) else { return };
        let x = seen.value_at(place);
        let lines = chart.lines.iter().filter_map(|line| self.line(line));
        let around = lines.flat_map(|line| [line.place_until(x), line.place_from(x)]).flatten();
        let in_sight = around.filter(|x| (seen.low..=seen.high).contains(x));
        let nearest = in_sight
            .min_by(|one, other| (seen.place(*one) - place).abs().total_cmp(&(seen.place(*other) - place).abs()));
        if let Some(x) = nearest {
            self.cross = Some((chart.title.clone(), x));
        }
    }

    /// Moves the window where the crosshair has left it.
    fn keep_cross_in_sight(&mut self) {
        let Some((title, x)) = self.cross.clone() else { return };
        let chart = self.charts.iter().find(|chart| chart.title == title);
        let Some(seen) = chart.and_then(|chart| self.scale_x(chart)) else { return };
        let place = seen.place(x);
        if self.window.is_some() && !(0.0..=1.0).contains(&place) && place.is_finite() {
            let shift = if place > 1.0 { place - 0.75 } else { place - 0.25 };
            self.look_at(title, seen, shift, 1.0 + shift);
        }
    }
}

/// About how many ticks a plot has room for on its vertical axis.
pub(super) fn ticks_y(plot: &Plot) -> usize {
    usize::from(plot.lines.height / 3).clamp(2, 8)
}
