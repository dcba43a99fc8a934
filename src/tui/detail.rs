//! One run in detail: which pane the keys act on, how far each is scrolled, and what was loaded for it.

use jiff::{SignedDuration, Timestamp};

use crate::git::CommitInfo;
use crate::id::RunId;
use crate::run::RunStatus;

use super::app::Load;
use super::keys::Command;
use super::layout;
use super::runs::{Stamp, moved};
use super::series::Charts;
use super::source::Problem;
use super::text;

/// The log of a live run is read this often.
const LOG_REFRESH: SignedDuration = SignedDuration::from_millis(500);

/// A part of the view of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    /// What is recorded of it.
    Overview,
    /// Its metrics over its steps.
    Charts,
    /// What it wrote to stdout and stderr.
    Log,
}

impl Pane {
    /// All of them, in order.
    pub(super) const ALL: [Self; 3] = [Self::Overview, Self::Charts, Self::Log];

    /// The pane's name.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Charts => "Charts",
            Self::Log => "Log",
        }
    }

    /// The pane after this one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Overview => Self::Charts,
            Self::Charts => Self::Log,
            Self::Log => Self::Overview,
        }
    }

    /// The pane before this one.
    pub(super) fn previous(self) -> Self {
        self.next().next()
    }
}

/// What is shown of one run.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) run_id: Option<RunId>,
    pub(super) pane: Pane,
    pub(super) charts: Load<Charts>,
    pub(super) commit: Load<CommitInfo>,
    pub(super) log: Load<Vec<String>>,
    /// Lines that the overview is scrolled by.
    pub(super) overview_offset: usize,
    /// Rows that the charts are scrolled by.
    pub(super) charts_offset: usize,
    /// Rows between the end of the log and the last one shown; 0 follows.
    pub(super) log_back: usize,
    charts_asked: Option<Stamp>,
    charts_pending: bool,
    log_asked: Option<(RunStatus, Timestamp)>,
    log_pending: bool,
}

impl Default for Detail {
    fn default() -> Self {
        Self {
            run_id: None,
            pane: Pane::Charts,
            charts: Load::Waiting,
            commit: Load::Waiting,
            log: Load::Waiting,
            overview_offset: 0,
            charts_offset: 0,
            log_back: 0,
            charts_asked: None,
            charts_pending: false,
            log_asked: None,
            log_pending: false,
        }
    }
}

impl Detail {
    /// Shows a run; what was loaded of another one is dropped, the pane stays.
    pub(super) fn show(&mut self, run_id: RunId) {
        if self.run_id != Some(run_id) {
            *self = Self { run_id: Some(run_id), pane: self.pane, ..Self::default() };
        }
    }

    /// Whether the charts are to be loaded now; if so, they count as asked for.
    pub(super) fn wants_charts(&mut self, stamp: Stamp) -> bool {
        let wants = !self.charts_pending && self.charts_asked != Some(stamp);
        if wants {
            self.charts_pending = true;
            self.charts_asked = Some(stamp);
        }
        wants
    }

    /// Whether the log is to be loaded now; if so, it counts as asked for. It is read while the run is live, and once
    /// more when it has ended.
    pub(super) fn wants_log(&mut self, stamp: Stamp, now: Timestamp) -> bool {
        let due = match self.log_asked {
            None => true,
            Some((status, _)) if status != stamp.status => true,
            Some((RunStatus::Running, asked)) => now.duration_since(asked) >= LOG_REFRESH,
            Some(_) => false,
        };
        let wants = due && !self.log_pending;
        if wants {
            self.log_pending = true;
            self.log_asked = Some((stamp.status, now));
        }
        wants
    }

    /// Takes the charts and the commit of a run, if it is still the one that is shown.
    pub(super) fn loaded(
        &mut self,
        run_id: &RunId,
        charts: Result<Charts, Problem>,
        commit: Option<Result<CommitInfo, Problem>>,
    ) {
        if self.run_id == Some(*run_id) {
            self.charts_pending = false;
            self.charts = charts.into();
            self.commit = commit.map_or(Load::Waiting, Load::from);
        }
    }

    /// Takes the log of a run, if it is still the one that is shown. Who reads further up stays there.
    pub(super) fn log_loaded(&mut self, run_id: &RunId, result: Result<Vec<String>, Problem>) {
        if self.run_id == Some(*run_id) {
            self.log_pending = false;
            if let (true, Some(before), Ok(lines)) = (self.log_back > 0, self.log.ready(), &result) {
                self.log_back += lines.len().saturating_sub(before.len());
            }
            self.log = result.into();
        }
    }

    /// Scrolls the pane that the keys act on; `overview` is how many lines that pane has.
    pub(super) fn scroll(&mut self, command: Command, size: (u16, u16), overview: usize) {
        let places = layout::run(size);
        match self.pane {
            Pane::Overview => {
                let rows = usize::from(places.overview.height.saturating_sub(2));
                self.overview_offset = moved(self.overview_offset, command, rows, (overview + 1).saturating_sub(rows));
            }
            Pane::Charts => {
                let charts = self.charts.ready().map_or(0, |charts| charts.charts.len());
                let grid = layout::grid(places.charts, charts);
                let stops = (grid.all_rows(charts) + 1).saturating_sub(grid.rows);
                self.charts_offset = moved(self.charts_offset, command, grid.rows, stops);
            }
            Pane::Log => {
                let rows = usize::from(places.log.height.saturating_sub(2));
                let lines = self.log_rows(usize::from(places.log.width.saturating_sub(4))).len();
                // Counted from the end, so up is down.
                let mirrored = match command {
                    Command::Up => Command::Down,
                    Command::Down => Command::Up,
                    Command::PageUp => Command::PageDown,
                    Command::PageDown => Command::PageUp,
                    Command::First => Command::Last,
                    Command::Last => Command::First,
                    other => other,
                };
                self.log_back = moved(self.log_back, mirrored, rows, (lines + 1).saturating_sub(rows));
            }
        }
    }

    /// The log's lines, broken where they are wider than `width`.
    pub(super) fn log_rows(&self, width: usize) -> Vec<&str> {
        let mut rows = Vec::new();
        for line in self.log.ready().into_iter().flatten() {
            let mut rest = line.as_str();
            loop {
                let part = text::take(rest, width.max(1));
                rows.push(part);
                rest = &rest[part.len()..];
                // A character wider than the pane would never be taken.
                if rest.is_empty() || part.is_empty() {
                    break;
                }
            }
        }
        rows
    }
}
