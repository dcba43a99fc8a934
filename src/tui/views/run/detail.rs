//! One run in detail: which pane the keys act on, and what was loaded for it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::git::CommitInfo;
use crate::id::RunId;
use crate::run::Run;
use crate::tui::chart::{ChartGrid, ChartRun};
use crate::tui::context::{Context, Load};
use crate::tui::effects::{Change, Effect};
use crate::tui::files::{self, FilesPane, Focus, Root};
use crate::tui::keys::{Command, Scope};
use crate::tui::lend::Errand;
use crate::tui::list::moved;
use crate::tui::mouse::{Mouse, MouseKind};
use crate::tui::overlay::{Given, Overlay, Prompt, Purpose};
use crate::tui::theme::Theme;
use crate::tui::views::runs::{Stamp, stamp};
use crate::tui::views::{Step, ViewState};
use crate::tui::{layout, text};
use crate::words;

use super::code::CodePane;
use super::load::{Answer, LOG, Request, SERIES};
use super::log::LogPane;
use super::{overview, panes, system};

/// A part of the view of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::tui) enum Pane {
    /// What is recorded of it; on a large screen its charts and its log beside that.
    #[default]
    Overview,
    /// Its metrics over its steps.
    Charts,
    /// What it wrote to stdout and stderr.
    Log,
    /// The files that it made and read.
    Files,
    /// What it took of the machine.
    System,
    /// Its code against other code.
    Code,
}

impl Pane {
    /// All of them, in order.
    pub(in crate::tui) const ALL: [Self; 6] =
        [Self::Overview, Self::Charts, Self::Log, Self::Files, Self::System, Self::Code];

    /// The pane's name.
    pub(in crate::tui) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Charts => "Charts",
            Self::Log => "Log",
            Self::Files => "Files",
            Self::System => "System",
            Self::Code => "Code",
        }
    }

    /// The pane some steps further on, round and round.
    fn beside(self, step: isize) -> Self {
        let place = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL[(place + Self::ALL.len()).saturating_add_signed(step) % Self::ALL.len()]
    }
}

/// What is shown of one run.
#[derive(Debug)]
pub(in crate::tui) struct Detail {
    pub(in crate::tui) run_id: Option<RunId>,
    pub(in crate::tui) pane: Pane,
    pub(in crate::tui) charts: ChartGrid,
    pub(in crate::tui) commit: Load<CommitInfo>,
    /// The registered versions that it made, for people.
    pub(in crate::tui) versions: Load<Vec<String>>,
    pub(in crate::tui) log: LogPane,
    pub(in crate::tui) files: FilesPane,
    pub(in crate::tui) code: CodePane,
    pub(in crate::tui) system: ChartGrid,
    /// Lines that the overview is scrolled by.
    pub(in crate::tui) overview_offset: usize,
    charts_asked: Option<Stamp>,
    charts_pending: bool,
    versions_asked: bool,
}

impl Default for Detail {
    fn default() -> Self {
        Self {
            run_id: None,
            pane: Pane::default(),
            charts: ChartGrid::default(),
            commit: Load::Waiting,
            versions: Load::Waiting,
            log: LogPane::default(),
            files: FilesPane::default(),
            code: CodePane::default(),
            system: system::grid(),
            overview_offset: 0,
            charts_asked: None,
            charts_pending: false,
            versions_asked: false,
        }
    }
}

impl Detail {
    /// Shows a run; what was loaded of another one is dropped, the pane stays.
    pub(in crate::tui) fn show(&mut self, run_id: RunId) {
        if self.run_id != Some(run_id) {
            // How charts are shown belongs to the user and stays.
            let (charts, system) = (std::mem::take(&mut self.charts), std::mem::take(&mut self.system));
            *self = Self { run_id: Some(run_id), pane: self.pane, charts, system, ..Self::default() };
        }
    }

    /// The run, if it is still there.
    pub(in crate::tui) fn run<'c>(&self, context: &'c Context) -> Option<&'c Run> {
        context.records.get(&self.run_id?)
    }

    /// Asks for the points and the commit where they are missing or out of date, and for lines to be made of them; they
    /// count as asked for then.
    pub(in crate::tui) fn wanted_charts(&mut self, context: &Context) -> Vec<Effect> {
        let Some(run) = self.run(context) else { return Vec::new() };
        let (stamp, run_id, commit, shown) = (stamp(run), run.id, run.commit, ChartRun::of(run, context));
        self.charts.show(vec![shown.clone()]);
        self.system.show(vec![shown]);
        let mut requests = Vec::new();
        if !self.charts_pending && self.charts_asked != Some(stamp) {
            self.charts_pending = true;
            self.charts_asked = Some(stamp);
            requests.push(Request::Series(run_id, commit));
        }
        requests.extend(self.charts.job().map(|job| Request::Lines(run_id, job)));
        if self.pane == Pane::System {
            requests.extend(self.system.job().map(|job| Request::Lines(run_id, job)));
        }
        requests.into_iter().map(Effect::Run).collect()
    }

    /// Takes what was asked for, if it is of the run that is still shown.
    pub(in crate::tui) fn loaded(&mut self, answer: &Answer, context: &Context) {
        if let Answer::Lines(_, made) = answer {
            // Each grid knows which lines it waits for, whichever run is shown by now.
            self.charts.made(made);
            return self.system.made(made);
        }
        if self.run_id != Some(answer.run_id()) {
            return;
        }
        match answer {
            Answer::Series(_, charts, commit) => {
                self.charts_pending = false;
                let run_id = answer.run_id();
                self.charts.take(&run_id, charts.clone().map(|(own, _)| own));
                self.system.take(&run_id, charts.clone().map(|(_, machine)| machine));
                self.commit = commit.clone().map_or(Load::Waiting, Load::from);
            }
            Answer::Lines(..) | Answer::WholeLog(..) => {}
            Answer::Versions(_, versions) => self.versions = versions.clone().into(),
            Answer::Log(_, page) => self.log.loaded(page),
            Answer::Search(_, needle, hits) => self.log.searched(needle, hits, self.log_area(context)),
            Answer::Code(_, base, diff) => self.code.loaded(*base, diff),
            Answer::Patch(_, file, patch) => self.code.patch_loaded(file, patch),
        }
    }

    /// Whether the overview has the charts and the log beside it.
    pub(super) fn is_composite(&self, context: &Context) -> bool {
        self.pane == Pane::Overview && layout::run(context.body()).wide
    }

    /// The area of a pane that has all of the room.
    pub(super) fn area(context: &Context) -> Rect {
        layout::split_top(context.body(), 1).1
    }

    /// Where the log stands.
    pub(super) fn log_area(&self, context: &Context) -> Rect {
        if self.is_composite(context) { layout::run(context.body()).log } else { Self::area(context) }
    }

    fn scroll(&mut self, command: Command, context: &Context) {
        let Some(run) = self.run(context) else { return };
        let rows = usize::from(layout::run(context.body()).overview.height.saturating_sub(2));
        let stops = (overview::line_count(run, self, context) + 1).saturating_sub(rows);
        self.overview_offset = moved(self.overview_offset, command, rows, stops);
    }

    /// The charts that the keys act on, if they act on any.
    fn grid(&mut self) -> Option<&mut ChartGrid> {
        match self.pane {
            Pane::Charts => Some(&mut self.charts),
            Pane::System => Some(&mut self.system),
            Pane::Overview | Pane::Log | Pane::Files | Pane::Code => None,
        }
    }

    /// What a key asks the pane for; false where it means nothing there.
    fn pane_command(&mut self, command: Command, context: &Context) -> (bool, Vec<Step>) {
        let area = Self::area(context);
        match self.pane {
            Pane::Log => {
                if matches!(command, Command::Left | Command::Right | Command::Open) {
                    return (false, Vec::new());
                }
                let word = self.log.command(command, area);
                (true, word.map(Step::word).into_iter().collect())
            }
            Pane::Files => (self.files.command(command, area), Vec::new()),
            Pane::Code => {
                let Some(run) = self.run(context).cloned() else { return (false, Vec::new()) };
                (self.code.command(command, &run, area), Vec::new())
            }
            Pane::Charts | Pane::System => {
                if command == Command::Filter {
                    let steps = self.grid().and_then(|grid| grid.ask_for_chart()).map(Step::Open);
                    return (true, steps.into_iter().collect());
                }
                let area = Self::area(context);
                (self.grid().is_some_and(|grid| grid.command(command, area)), Vec::new())
            }
            Pane::Overview => {
                let is_scroll = !matches!(command, Command::Left | Command::Right | Command::Open);
                if is_scroll {
                    self.scroll(command, context);
                }
                (is_scroll, Vec::new())
            }
        }
    }

    fn back(&mut self, context: &Context) -> Vec<Step> {
        // Out of what is looked into first, and out of the view then.
        let area = Self::area(context);
        if self.grid().is_some_and(|grid| grid.command(Command::Back, area)) {
            return Vec::new();
        }
        if self.pane == Pane::Files && self.files.focus == Focus::Preview {
            self.files.focus = Focus::Tree;
            return Vec::new();
        }
        if self.pane == Pane::Log && self.log.drop_search() {
            return Vec::new();
        }
        vec![Step::Back]
    }
}

impl ViewState for Detail {
    fn scope(&self) -> Scope {
        match self.pane {
            Pane::Log if self.log.input.is_some() => Scope::Typing,
            Pane::Log => Scope::RunLog,
            Pane::Files => Scope::RunFiles,
            Pane::Code => Scope::RunCode,
            Pane::Charts | Pane::System => Scope::RunCharts,
            Pane::Overview => Scope::RunText,
        }
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        match command {
            Command::Back => return self.back(context),
            Command::NextPane => self.pane = self.pane.beside(1),
            Command::PreviousPane => self.pane = self.pane.beside(-1),
            Command::ShowOverview => self.pane = Pane::Overview,
            Command::ShowCharts => self.pane = Pane::Charts,
            Command::ShowLog => self.pane = Pane::Log,
            Command::ShowFiles => self.pane = Pane::Files,
            Command::ShowSystem => self.pane = Pane::System,
            Command::ShowCode => self.pane = Pane::Code,
            Command::NextRun => return vec![Step::Neighbour(Command::Down)],
            Command::PreviousRun => return vec![Step::Neighbour(Command::Up)],
            Command::Mark => return self.run_id.map(Step::Mark).into_iter().collect(),
            Command::CopyId => return self.run_id.map(|id| Step::copy(id.to_string())).into_iter().collect(),
            Command::CopyCommit => {
                let commit = self.run(context).and_then(|run| run.commit);
                return commit.map(|commit| Step::copy(commit.to_string())).into_iter().collect();
            }
            Command::Edit => {
                let request = match self.pane {
                    Pane::Files => self.files.edit(Self::area(context)).map(Effect::Files),
                    _ => self.run_id.map(Request::WholeLog).map(Effect::Run),
                };
                return request.map(Step::Do).into_iter().collect();
            }
            Command::ShowCommit => return self.run(context).map(show_commit).into_iter().collect(),
            Command::Note => return self.run(context).map(ask_for_note).into_iter().collect(),
            _ => {
                let (is_done, steps) = self.pane_command(command, context);
                match command {
                    _ if is_done => {}
                    Command::Left => self.pane = self.pane.beside(-1),
                    Command::Right => self.pane = self.pane.beside(1),
                    _ => {}
                }
                return steps;
            }
        }
        Vec::new()
    }

    fn type_character(&mut self, character: char, _context: &Context) -> Vec<Step> {
        self.log.input.iter_mut().for_each(|input| input.insert(character));
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let is_press = matches!(mouse.kind, MouseKind::Press | MouseKind::DoublePress);
        if let Some(pane) = panes::pane_at(&mouse, context).filter(|_| is_press) {
            self.pane = pane;
            return Vec::new();
        }
        let places = layout::run(context.body());
        if self.is_composite(context) && is_press {
            let beside = [(Pane::Charts, places.charts), (Pane::Log, places.log)];
            self.pane = beside.into_iter().find(|(_, area)| mouse.is_in(*area)).map_or(self.pane, |(pane, _)| pane);
            return Vec::new();
        }
        let area = Self::area(context);
        if self.grid().is_some_and(|grid| grid.mouse(&mouse, area)) {
            return Vec::new();
        }
        match self.pane {
            Pane::Files => self.files.mouse(mouse, area),
            Pane::Code => {
                let run = self.run(context).cloned();
                run.into_iter().for_each(|run| self.code.mouse(mouse, &run, area));
            }
            Pane::Overview | Pane::Charts | Pane::Log | Pane::System => {
                let command = match mouse.kind {
                    MouseKind::WheelUp => Command::Up,
                    MouseKind::WheelDown => Command::Down,
                    _ => return Vec::new(),
                };
                let is_log = self.is_composite(context) && mouse.is_in(places.log);
                for _ in 0..3 {
                    match is_log {
                        true => _ = self.log.command(command, places.log),
                        false => _ = self.pane_command(command, context),
                    }
                }
            }
        }
        Vec::new()
    }

    fn given(&mut self, purpose: &Purpose, given: Given, context: &Context) -> Vec<Step> {
        if let (Purpose::Chart, Given::Chosen(titles)) = (purpose, &given) {
            let area = Self::area(context);
            self.grid().into_iter().for_each(|grid| titles.iter().for_each(|title| grid.choose(title, area)));
            return Vec::new();
        }
        noted(purpose, given)
    }

    fn settle(&mut self, context: &Context) {
        let area = Self::area(context);
        if let Some(run) = self.run(context) {
            self.files.show(roots(run));
        }
        self.files.settle(area);
        self.code.settle(area);
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        let mut effects = self.wanted_charts(context);
        let Some(run) = self.run(context).cloned() else { return effects };
        let area = Self::area(context);
        if !std::mem::replace(&mut self.versions_asked, true) {
            effects.push(Effect::Run(Request::Versions(run.id)));
        }
        if self.pane == Pane::Log || self.is_composite(context) {
            let requests = self.log.wanted(run.id, run.status, context.now, self.log_area(context));
            effects.extend(requests.into_iter().map(Effect::Run));
        }
        match self.pane {
            Pane::Files => effects.extend(self.files.wanted(area).into_iter().map(Effect::Files)),
            Pane::Code => effects.extend(self.code.wanted(&run).into_iter().map(Effect::Run)),
            Pane::Overview | Pane::Charts | Pane::Log | Pane::System => {}
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
        if self.log.forget_asked() {
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

impl Detail {
    /// Takes what the files were asked for.
    pub(in crate::tui) fn files_loaded(&mut self, answer: &files::Answer) {
        self.files.loaded(answer);
    }
}

/// The artifacts of a run: what it made, then what it read.
fn roots(run: &Run) -> Vec<Root> {
    let outputs = run.outputs.iter().map(|output| {
        let files = words::count(output.files, "file");
        let what = format!("{}, {files}", output.artifact_type);
        Root { name: output.name.clone(), what, id: output.id, bytes: Some(output.bytes) }
    });
    let input = |input: &crate::run::RunInput| Root {
        name: input.path.to_string(),
        what: "input".to_owned(),
        id: input.id,
        bytes: None,
    };
    outputs.chain(run.inputs.iter().map(input)).collect()
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
