//! The state of a grid of charts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use ratatui::layout::Rect;

use crate::id::RunId;
use crate::run::{Run, RunStatus};

use super::super::context::Context;
use super::super::keys::Command;
use super::super::overlay::{Item, Overlay, Picker, Purpose};
use super::super::text;
use super::line::{Axis, Line, LineJob, Made, MadeLines, Part, Recipe};
use super::mouse::Drag;
use super::place::{self, Grid, Parts, Plot};
use super::quantity::{Quantity, quantities};
use super::scale::Form;
use super::tracks::{ChartGroup, Tracks};
use super::window::Window;

/// A run whose metrics are shown.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct ChartRun {
    pub(in crate::tui) id: RunId,
    pub(in crate::tui) name: String,
    /// Its colour: see [`Context::color`](super::super::context::Context::color).
    pub(in crate::tui) color: usize,
    pub(in crate::tui) started: Timestamp,
    /// Whether points are still coming.
    pub(in crate::tui) is_live: bool,
}

impl ChartRun {
    /// A run as charts show it.
    pub(in crate::tui) fn of(run: &Run, context: &Context) -> Self {
        Self {
            id: run.id,
            name: run.name.clone(),
            color: context.color(&run.id),
            started: run.started,
            is_live: run.status == RunStatus::Running,
        }
    }
}

/// How charts are shown. Belongs to the user and not to the runs: it stays when others are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::tui) struct ChartSettings {
    pub(in crate::tui) axis: Axis,
    pub(in crate::tui) log_x: bool,
    pub(in crate::tui) log_y: bool,
    /// The weight of what came before, in percent; 0 is no smoothing.
    pub(in crate::tui) smoothing: u8,
    /// Whether training and validation share a chart; by default they do where one run is shown.
    pub(in crate::tui) together: Option<bool>,
    /// Whether the vertical axis leaves out the values furthest out.
    pub(in crate::tui) without_outliers: bool,
}

/// The weights that smoothing can have, in percent.
const SMOOTHINGS: [u8; 9] = [0, 20, 40, 60, 80, 90, 95, 98, 99];

/// A line of a chart: whose it is and which metric.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct ChartLine {
    /// The run, by its place among those that are shown.
    pub(super) run: usize,
    pub(super) metric: String,
    /// `train`, `val`; empty where that is not known.
    pub(super) part: String,
}

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Chart {
    pub(super) title: String,
    pub(super) lines: Vec<ChartLine>,
}

impl ChartGroup {
    /// The chart for those of its metrics that are lines; none where none is.
    fn of(&self, lines: &BTreeSet<&str>) -> Option<Quantity> {
        let metrics: Vec<(String, String)> =
            self.metrics.iter().filter(|(metric, _)| lines.contains(metric.as_str())).cloned().collect();
        (!metrics.is_empty()).then(|| Quantity { title: self.title.clone(), metrics })
    }
}

/// A grid of charts: what is shown, and how.
#[derive(Debug, Default)]
pub(in crate::tui) struct ChartGrid {
    pub(super) runs: Vec<ChartRun>,
    tracks: BTreeMap<RunId, Result<Tracks, String>>,
    /// Tells this grid's jobs from those of others.
    token: Arc<()>,
    pub(in crate::tui) settings: ChartSettings,
    /// The settings that go without saying.
    usual: ChartSettings,
    pub(in crate::tui) charts: Vec<Chart>,
    made: BTreeMap<(RunId, String), Made>,
    /// Whether lines are being made.
    is_making: bool,
    /// How the lines that are drawn were made: the last recipe until those of a new one are there.
    pub(super) drawn: Recipe,
    /// The chart that the keys act on.
    pub(super) selected: usize,
    /// Whether that chart fills the area.
    pub(in crate::tui) is_maximised: bool,
    /// Rows of charts that are scrolled past.
    offset: usize,
    pub(super) window: Option<Window>,
    /// Vertical windows, by the charts' titles.
    pub(super) heights: BTreeMap<String, (f64, f64)>,
    /// Where the crosshair is, on the axis of a chart.
    pub(super) cross: Option<(String, f64)>,
    pub(super) drag: Option<Drag>,
}

impl ChartGrid {
    /// A grid that is shown so until the user wants it otherwise.
    pub(in crate::tui) fn new(usual: ChartSettings) -> Self {
        Self {
            settings: usual,
            usual,
            drawn: Recipe { axis: usual.axis, smoothing: usual.smoothing },
            ..Self::default()
        }
    }

    /// Shows these runs. What was loaded of those that stay is kept.
    pub(in crate::tui) fn show(&mut self, runs: Vec<ChartRun>) {
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let same = ids.iter().eq(self.runs.iter().map(|run| &run.id));
        self.runs = runs;
        if same {
            return;
        }
        self.tracks.retain(|run_id, _| ids.contains(run_id));
        self.made.retain(|(run_id, _), _| ids.contains(run_id));
        self.window = None;
        self.heights.clear();
        self.cross = None;
        self.drag = None;
        self.arrange();
    }

    /// Takes the points of a run, or why there are none.
    pub(in crate::tui) fn take(&mut self, run_id: &RunId, tracks: Result<Tracks, String>) {
        if !self.runs.iter().any(|run| run.id == *run_id) {
            return;
        }
        let before = self.tracks.get(run_id).and_then(|tracks| tracks.as_ref().ok());
        let tracks = tracks.map(|tracks| tracks.after(before));
        self.tracks.insert(*run_id, tracks);
        self.arrange();
    }

    /// Lines to be made away from the keyboard's thread, if there are any and none are being made.
    pub(in crate::tui) fn job(&mut self) -> Option<LineJob> {
        if self.is_making {
            return None;
        }
        let recipe = Recipe { axis: self.settings.axis, smoothing: self.settings.smoothing };
        let mut parts = Vec::new();
        let wanted: BTreeSet<(usize, &str)> =
            self.charts.iter().flat_map(|chart| &chart.lines).map(|line| (line.run, line.metric.as_str())).collect();
        for (place, metric) in wanted {
            let Some((run, tracks)) = self.tracks_of(place) else { continue };
            let Some(track) = tracks.metrics.get(metric) else { continue };
            let made = self.made.get(&(run.id, metric.to_owned()));
            if made.is_some_and(|made| made.recipe == recipe && Arc::ptr_eq(&made.track, track)) {
                continue;
            }
            parts.push(Part {
                run_id: run.id,
                metric: metric.to_owned(),
                track: track.clone(),
                epochs: tracks.epochs().filter(|_| metric != "epoch"),
                started: run.started.as_microsecond() as f64 / 1e6,
            });
        }
        if parts.is_empty() {
            self.drawn = recipe;
            return None;
        }
        self.is_making = true;
        Some(LineJob { token: self.token.clone(), recipe, parts })
    }

    /// Takes lines that were made, if it was for this grid.
    pub(in crate::tui) fn made(&mut self, lines: &MadeLines) {
        if !Arc::ptr_eq(&self.token, &lines.token) {
            return;
        }
        self.is_making = false;
        if self.drawn.axis != lines.recipe.axis {
            // Places on another axis mean nothing on this one.
            self.window = None;
            self.cross = None;
            self.drag = None;
        }
        self.drawn = lines.recipe;
        let here: BTreeSet<RunId> = self.runs.iter().map(|run| run.id).collect();
        self.made.extend(lines.lines.iter().filter(|((run_id, _), _)| here.contains(run_id)).cloned());
    }

    /// The line of a chart as it can be drawn now.
    pub(super) fn line(&self, line: &ChartLine) -> Option<&Line> {
        let run = self.runs.get(line.run)?;
        let made = self.made.get(&(run.id, line.metric.clone()))?;
        (made.recipe.axis == self.drawn.axis).then_some(&made.line)
    }

    /// The value that a line's metric was logged with last.
    pub(super) fn last(&self, line: &ChartLine) -> Option<f64> {
        let (_, tracks) = self.tracks_of(line.run)?;
        tracks.metrics.get(&line.metric).map(|track| track.last)
    }

    fn tracks_of(&self, place: usize) -> Option<(&ChartRun, &Tracks)> {
        let run = self.runs.get(place)?;
        Some((run, self.tracks.get(&run.id)?.as_ref().ok()?))
    }

    /// Why some runs have no lines.
    pub(super) fn problems(&self) -> impl Iterator<Item = (&ChartRun, &str)> {
        self.runs.iter().filter_map(|run| match self.tracks.get(&run.id) {
            Some(Err(problem)) => Some((run, problem.as_str())),
            _ => None,
        })
    }

    /// Whether points of a run are not here yet.
    pub(in crate::tui) fn is_waiting(&self) -> bool {
        self.runs.iter().any(|run| !self.tracks.contains_key(&run.id))
    }

    /// Whether lines for what the user chose are still being made.
    pub(super) fn is_behind(&self) -> bool {
        let chosen = Recipe { axis: self.settings.axis, smoothing: self.settings.smoothing };
        self.is_waiting() || self.is_making && self.drawn != chosen
    }

    /// Metrics that were logged once in all runs.
    pub(in crate::tui) fn singles(&self) -> BTreeMap<&str, f64> {
        (0..self.runs.len())
            .filter_map(|place| self.tracks_of(place))
            .flat_map(|(_, tracks)| tracks.singles())
            .collect()
    }

    /// Whether training and validation share a chart.
    pub(super) fn is_together(&self) -> bool {
        self.settings.together.unwrap_or(self.runs.len() < 2)
    }

    /// Finds out anew which charts there are; the chosen one stays chosen.
    fn arrange(&mut self) {
        let before = self.charts.get(self.selected).map(|chart| chart.title.clone());
        let lines_of = |place: usize| {
            let tracks = self.tracks_of(place).map(|(_, tracks)| &tracks.metrics);
            tracks.into_iter().flatten().filter(|(_, track)| track.len() > 1).map(|(metric, _)| metric.as_str())
        };
        let metrics: BTreeSet<&str> = (0..self.runs.len()).flat_map(lines_of).collect();
        let chart = |quantity: Quantity| {
            let lines = quantity.metrics.iter().flat_map(|(metric, part)| {
                let has = |place: &usize| {
                    self.tracks_of(*place).is_some_and(|(_, tracks)| tracks.metrics.contains_key(metric))
                };
                let line = |place| ChartLine { run: place, metric: metric.clone(), part: part.clone() };
                (0..self.runs.len()).filter(has).map(line).collect::<Vec<_>>()
            });
            Chart { lines: lines.collect(), title: quantity.title }
        };
        let groups = (0..self.runs.len()).find_map(|place| self.tracks_of(place)?.1.groups.as_ref());
        let quantities = match groups {
            Some(groups) => groups.iter().filter_map(|group| group.of(&metrics)).collect(),
            None => quantities(metrics, self.is_together()),
        };
        let charts: Vec<Chart> = quantities.into_iter().map(chart).collect();
        self.charts = charts;
        let found = before.and_then(|title| self.charts.iter().position(|chart| chart.title == title));
        self.selected = found.unwrap_or(self.selected.min(self.charts.len().saturating_sub(1)));
        if self.charts.is_empty() {
            self.is_maximised = false;
        }
    }

    /// What stands below the horizontal axis.
    pub(super) fn axis_title(&self) -> &'static str {
        let knows_epochs =
            || (0..self.runs.len()).any(|run| self.tracks_of(run).is_some_and(|(_, t)| t.epochs().is_some()));
        match self.drawn.axis {
            Axis::Epoch if !knows_epochs() => "step (no epochs)",
            axis => axis.title(),
        }
    }

    /// The form of the horizontal axis.
    pub(super) fn form_x(&self) -> Form {
        if self.settings.log_x && self.drawn.axis != Axis::Clock { Form::Log } else { Form::Linear }
    }

    /// The parts of the area that the charts are drawn in.
    pub(super) fn parts(&self, area: Rect) -> Parts {
        let entries = match self.charts.get(self.selected) {
            Some(chart) if self.is_maximised => chart.lines.len(),
            Some(_) if self.runs.len() > 1 => self.legend_size(),
            _ => 0,
        };
        place::parts(area, entries, self.is_maximised)
    }

    /// Lines in the chart that has most: the legend keeps its size when another chart is chosen.
    fn legend_size(&self) -> usize {
        self.charts.iter().map(|chart| chart.lines.len()).max().unwrap_or(0)
    }

    /// Where each chart is that is seen.
    pub(super) fn places(&self, area: Rect) -> Vec<(usize, Rect)> {
        let charts = self.parts(area).charts;
        if self.is_maximised {
            return vec![(self.selected, charts)];
        }
        let (grid, first) = self.scrolled(charts);
        (first..self.charts.len()).map_while(|chart| Some((chart, grid.place(chart - first)?))).collect()
    }

    /// The grid, and the first chart that is seen.
    fn scrolled(&self, charts: Rect) -> (Grid, usize) {
        let grid = Grid::new(charts, self.charts.len());
        (grid, self.offset.min(grid.stops(self.charts.len())) * grid.columns)
    }

    /// How far the charts are scrolled: rows of charts before, seen, and in all.
    pub(super) fn scroll_state(&self, area: Rect) -> (usize, usize, usize) {
        let grid = Grid::new(self.parts(area).charts, self.charts.len());
        let stops = grid.stops(self.charts.len());
        (self.offset.min(stops), grid.rows, self.charts.len().div_ceil(grid.columns))
    }

    /// The plot of a chart, if it is seen.
    pub(super) fn plot(&self, chart: usize, area: Rect) -> Option<Plot> {
        let (_, place) = self.places(area).into_iter().find(|(index, _)| *index == chart)?;
        Plot::new(place::within(place))
    }

    /// Does what a key asks for; `area` is where the charts are drawn. Says whether there was something to do.
    pub(in crate::tui) fn command(&mut self, command: Command, area: Rect) -> bool {
        let is_crossed = self.cross.is_some();
        match command {
            Command::Left | Command::Right if is_crossed => self.move_cross(command == Command::Right, area),
            Command::First | Command::Last if is_crossed => self.cross_to_end(command == Command::Last),
            Command::Left | Command::Right | Command::Up | Command::Down => self.select_beside(command, area),
            Command::PageUp | Command::PageDown => self.turn_page(command, area),
            Command::First => self.select(0, area),
            Command::Last => self.select(usize::MAX, area),
            Command::Open => self.is_maximised = !self.is_maximised && !self.charts.is_empty(),
            Command::ChartAxis => self.settings.axis = self.settings.axis.next(),
            Command::ChartLogX => self.settings.log_x = !self.settings.log_x,
            Command::ChartLogY => self.settings.log_y = !self.settings.log_y,
            Command::ChartOutliers => self.settings.without_outliers = !self.settings.without_outliers,
            Command::ChartSmoother => self.smooth(true),
            Command::ChartRougher => self.smooth(false),
            Command::ChartTogether => {
                self.settings.together = Some(!self.is_together());
                self.arrange();
            }
            Command::ChartZoomIn => self.zoom_by_key(0.5),
            Command::ChartZoomOut => self.zoom_by_key(2.0),
            Command::ChartPanLeft => self.pan(-0.25),
            Command::ChartPanRight => self.pan(0.25),
            Command::ChartReset => self.reset(),
            Command::ChartCrosshair => self.toggle_cross(),
            Command::Back => return self.leave(),
            _ => return false,
        }
        true
    }

    fn smooth(&mut self, more: bool) {
        let place = SMOOTHINGS.iter().position(|weight| *weight >= self.settings.smoothing).unwrap_or(0);
        let place = if more { (place + 1).min(SMOOTHINGS.len() - 1) } else { place.saturating_sub(1) };
        self.settings.smoothing = SMOOTHINGS[place];
    }

    /// All of the axes is seen again.
    pub(super) fn reset(&mut self) {
        self.window = None;
        self.heights.clear();
    }

    /// Takes back what was opened last; false where there is nothing.
    fn leave(&mut self) -> bool {
        if self.cross.take().is_some() {
            return true;
        }
        if self.window.is_some() || !self.heights.is_empty() {
            self.reset();
            return true;
        }
        std::mem::take(&mut self.is_maximised)
    }

    /// Chooses a chart and scrolls to it.
    pub(super) fn select(&mut self, chart: usize, area: Rect) {
        self.selected = chart.min(self.charts.len().saturating_sub(1));
        let grid = Grid::new(self.parts(area).charts, self.charts.len());
        let row = self.selected / grid.columns;
        self.offset = self.offset.clamp((row + 1).saturating_sub(grid.rows), row);
    }

    /// Asks which chart to look at; none where there is no choice. The answer is for [`Self::choose`].
    pub(in crate::tui) fn ask_for_chart(&self) -> Option<Overlay> {
        let item = |(place, chart): (usize, &Chart)| Item {
            key: chart.title.clone(),
            label: text::clean(&chart.title),
            note: String::new(),
            is_chosen: place == self.selected,
        };
        let items: Vec<Item> = self.charts.iter().enumerate().map(item).collect();
        (items.len() > 1).then(|| Overlay::Picker(Picker::one(Purpose::Chart, "Find a chart".to_owned(), items)))
    }

    /// Chooses the chart that the user found.
    pub(in crate::tui) fn choose(&mut self, title: &str, area: Rect) {
        if let Some(chart) = self.charts.iter().position(|chart| chart.title == title) {
            self.select(chart, area);
        }
    }

    fn select_beside(&mut self, command: Command, area: Rect) {
        // Where one chart fills the area, the others are passed one after another.
        let columns = if self.is_maximised { 1 } else { Grid::new(self.parts(area).charts, self.charts.len()).columns };
        let chart = match command {
            Command::Left => self.selected.saturating_sub(1),
            Command::Right => self.selected + 1,
            Command::Up => self.selected.checked_sub(columns).unwrap_or(self.selected),
            _ if self.selected + columns < self.charts.len() => self.selected + columns,
            // From above a gap in the last row to its end.
            _ if self.selected / columns < self.charts.len().saturating_sub(1) / columns => usize::MAX,
            _ => self.selected,
        };
        self.select(chart, area);
    }

    fn turn_page(&mut self, command: Command, area: Rect) {
        let grid = Grid::new(self.parts(area).charts, self.charts.len());
        let page = if self.is_maximised { 1 } else { grid.rows * grid.columns };
        let chart = if command == Command::PageUp { self.selected.saturating_sub(page) } else { self.selected + page };
        self.select(chart, area);
    }

    /// How the charts are shown, where that is not as usual.
    pub(in crate::tui) fn status(&self) -> Option<String> {
        let settings = &self.settings;
        let mut words = Vec::new();
        if settings.axis != self.usual.axis {
            words.push(format!("x: {}", settings.axis.title()));
        }
        let flags = [
            (settings.log_x != self.usual.log_x, if settings.log_x { "log x" } else { "linear x" }),
            (settings.log_y != self.usual.log_y, if settings.log_y { "log y" } else { "linear y" }),
            (settings.without_outliers, "outliers cut"),
            (self.window.is_some() || !self.heights.is_empty(), "zoomed"),
        ];
        words.extend(flags.iter().filter(|(is_on, _)| *is_on).map(|(_, word)| (*word).to_owned()));
        if settings.smoothing > 0 {
            words.push(format!("smoothing 0.{:02}", settings.smoothing).trim_end_matches('0').to_owned());
        }
        (!words.is_empty()).then(|| words.join(" · "))
    }
}
