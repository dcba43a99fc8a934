//! One run in detail: which pane the keys act on, how far each is scrolled, and what was loaded for it.

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::git::CommitInfo;
use crate::id::RunId;
use crate::run::{Run, RunStatus};

use super::super::super::context::{Context, Load};
use super::super::super::effects::{Change, Effect};
use super::super::super::keys::{Command, Scope};
use super::super::super::lend::Errand;
use super::super::super::list::moved;
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::overlay::{Given, Overlay, Prompt, Purpose};
use super::super::super::series::Charts;
use super::super::super::theme::Theme;
use super::super::super::{layout, text};
use super::super::runs::{Stamp, stamp};
use super::super::{Step, ViewState};
use super::load::{Answer, LOG, Request, SERIES};
use super::{overview, panes};

/// The log of a live run is read this often.
const LOG_REFRESH: SignedDuration = SignedDuration::from_millis(500);

/// A part of the view of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Pane {
    /// What is recorded of it.
    Overview,
    /// Its metrics over its steps.
    Charts,
    /// What it wrote to stdout and stderr.
    Log,
}

impl Pane {
    /// All of them, in order.
    pub(in crate::tui) const ALL: [Self; 3] = [Self::Overview, Self::Charts, Self::Log];

    /// The pane's name.
    pub(in crate::tui) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Charts => "Charts",
            Self::Log => "Log",
        }
    }

    /// The pane after this one.
    pub(in crate::tui) fn next(self) -> Self {
        match self {
            Self::Overview => Self::Charts,
            Self::Charts => Self::Log,
            Self::Log => Self::Overview,
        }
    }

    /// The pane before this one.
    pub(in crate::tui) fn previous(self) -> Self {
        self.next().next()
    }
}

/// What is shown of one run.
#[derive(Debug)]
pub(in crate::tui) struct Detail {
    pub(in crate::tui) run_id: Option<RunId>,
    pub(in crate::tui) pane: Pane,
    pub(in crate::tui) charts: Load<Charts>,
    pub(in crate::tui) commit: Load<CommitInfo>,
    pub(in crate::tui) log: Load<Vec<String>>,
    /// Lines that the overview is scrolled by.
    pub(in crate::tui) overview_offset: usize,
    /// Rows that the charts are scrolled by.
    pub(in crate::tui) charts_offset: usize,
    /// Rows between the end of the log and the last one shown; 0 follows.
    pub(in crate::tui) log_back: usize,
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
    pub(in crate::tui) fn show(&mut self, run_id: RunId) {
        if self.run_id != Some(run_id) {
            *self = Self { run_id: Some(run_id), pane: self.pane, ..Self::default() };
        }
    }

    /// The run, if it is still there.
    pub(in crate::tui) fn run<'c>(&self, context: &'c Context) -> Option<&'c Run> {
        context.records.get(&self.run_id?)
    }

    /// Asks for the charts and the commit where they are missing or out of date; they count as asked for then.
    pub(in crate::tui) fn wanted_series(&mut self, context: &Context) -> Option<Effect> {
        let run = self.run(context)?;
        let (stamp, run_id, commit) = (stamp(run), run.id, run.commit);
        let wants = !self.charts_pending && self.charts_asked != Some(stamp);
        if wants {
            self.charts_pending = true;
            self.charts_asked = Some(stamp);
        }
        wants.then_some(Effect::Run(Request::Series(run_id, commit)))
    }

    /// Whether the log is to be loaded now; if so, it counts as asked for. It is read while the run is live, and once
    /// more when it has ended.
    pub(in crate::tui) fn wants_log(&mut self, stamp: Stamp, now: Timestamp) -> bool {
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

    /// Takes what was asked for, if it is of the run that is still shown. Who reads further up in a log stays there.
    pub(in crate::tui) fn loaded(&mut self, answer: &Answer) {
        if self.run_id != Some(answer.run_id()) {
            return;
        }
        match answer {
            Answer::Series(_, charts, commit) => {
                self.charts_pending = false;
                self.charts = charts.clone().into();
                self.commit = commit.clone().map_or(Load::Waiting, Load::from);
            }
            Answer::Log(_, result) => {
                self.log_pending = false;
                if let (true, Some(before), Ok(lines)) = (self.log_back > 0, self.log.ready(), result) {
                    self.log_back += lines.len().saturating_sub(before.len());
                }
                self.log = result.clone().into();
            }
        }
    }

    /// Scrolls the pane that the keys act on; `overview` is how many lines that pane has.
    fn scroll(&mut self, command: Command, body: Rect, overview: usize) {
        let places = layout::run(body);
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
    pub(in crate::tui) fn log_rows(&self, width: usize) -> Vec<&str> {
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

impl ViewState for Detail {
    fn scope(&self) -> Scope {
        Scope::Run
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        match command {
            Command::Back => return vec![Step::Back],
            Command::NextPane => self.pane = self.pane.next(),
            Command::PreviousPane => self.pane = self.pane.previous(),
            Command::NextRun => return vec![Step::Neighbour(Command::Down)],
            Command::PreviousRun => return vec![Step::Neighbour(Command::Up)],
            Command::Mark => return self.run_id.map(Step::Mark).into_iter().collect(),
            Command::CopyId => return self.run_id.map(|id| Step::copy(id.to_string())).into_iter().collect(),
            Command::CopyCommit => {
                let commit = self.run(context).and_then(|run| run.commit);
                return commit.map(|commit| Step::copy(commit.to_string())).into_iter().collect();
            }
            Command::ShowCommit => return self.run(context).map(show_commit).into_iter().collect(),
            Command::Note => return self.run(context).map(ask_for_note).into_iter().collect(),
            _ => {
                let Some(run) = self.run(context) else { return Vec::new() };
                let overview = overview::line_count(run, self, context);
                self.scroll(command, context.body(), overview);
            }
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let places = layout::run(context.body());
        let areas = [(Pane::Overview, places.overview), (Pane::Charts, places.charts), (Pane::Log, places.log)];
        if let Some((pane, _)) = areas.into_iter().find(|(_, area)| places.wide && mouse.is_in(*area)) {
            self.pane = pane;
        }
        match mouse.kind {
            MouseKind::WheelUp => self.command(Command::Up, context),
            MouseKind::WheelDown => self.command(Command::Down, context),
            _ => Vec::new(),
        }
    }

    fn given(&mut self, purpose: &Purpose, given: Given, _context: &Context) -> Vec<Step> {
        noted(purpose, given)
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        let mut effects: Vec<Effect> = self.wanted_series(context).into_iter().collect();
        let Some(run) = self.run(context) else { return effects };
        if self.wants_log(stamp(run), context.now) {
            effects.push(Effect::Run(Request::Log(run.id)));
        }
        effects
    }

    fn left(&mut self) -> Vec<Effect> {
        // What is cancelled gives no answer, so it is asked for again when the run is shown again.
        let mut effects = Vec::new();
        if std::mem::take(&mut self.charts_pending) {
            self.charts_asked = None;
            effects.push(Effect::Cancel(SERIES));
        }
        if std::mem::take(&mut self.log_pending) {
            self.log_asked = None;
            effects.push(Effect::Cancel(LOG));
        }
        effects
    }

    fn needs(&self, _context: &Context) -> Vec<RunId> {
        self.run_id.into_iter().collect()
    }

    fn draw(&self, context: &Context, theme: &Theme, _area: Rect, buffer: &mut Buffer) {
        panes::draw(self, context, theme, buffer);
    }
}

/// Asks for a note on a run.
pub(in crate::tui) fn ask_for_note(run: &Run) -> Step {
    let text = run.note.clone().unwrap_or_default();
    let title = format!("Note on {}", text::clean(&run.name));
    let prompt = Prompt::new(Purpose::Note(run.id), title, &text, "what to remember of this run; nothing removes it");
    Step::Open(Overlay::Prompt(prompt))
}

/// Writes the note that was asked for.
pub(in crate::tui) fn noted(purpose: &Purpose, given: Given) -> Vec<Step> {
    match (purpose, given) {
        (Purpose::Note(run_id), Given::Text(text)) => vec![Step::Do(Effect::Change(Change::Note(*run_id, text)))],
        _ => Vec::new(),
    }
}

/// Shows the run's commit in git's pager: its snapshot where the work tree had changes.
pub(in crate::tui) fn show_commit(run: &Run) -> Step {
    match run.snapshot.filter(|_| run.dirty).or(run.commit) {
        Some(commit) => Step::Do(Effect::Lend(Errand::ShowCommit(commit))),
        None => Step::word("this run has no commit"),
    }
}
