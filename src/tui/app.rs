//! The dashboard's state, and how it changes.
//!
//! Architecture invariant: [`App::update`] does no input or output and reads no clock; what is to be done is returned
//! as effects, and their results come back as actions.

use jiff::{SignedDuration, Timestamp};

use crate::id::RunId;
use crate::run::Run;

use super::detail::{Detail, Pane};
use super::effects::{Answer, Effect};
use super::keys::{Command, Key, Scope, command};
use super::models::{Focus, Models};
use super::runs::RunTable;

/// Runs are looked at this often, unless that takes long.
const REFRESH: SignedDuration = SignedDuration::from_millis(500);
/// The registry is looked at this often while it is shown.
const REGISTRY_REFRESH: SignedDuration = SignedDuration::from_secs(2);

/// Something that happened.
#[derive(Debug)]
pub(super) enum Action {
    /// A key was pressed.
    Press(Key),
    /// Text was pasted.
    Paste(String),
    /// The screen has this size now.
    Resize(u16, u16),
    /// It is this late.
    Tick(Timestamp),
    /// An effect's result.
    Loaded(Answer),
}

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The table of runs.
    Runs,
    /// One run.
    Run,
    /// The models.
    Registry,
}

/// Something that is loaded.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Load<T> {
    /// Not there yet.
    Waiting,
    /// There.
    Ready(T),
    /// It could not be loaded.
    Failed(String),
}

impl<T> Load<T> {
    /// What was loaded.
    pub(super) fn ready(&self) -> Option<&T> {
        match self {
            Self::Ready(value) => Some(value),
            Self::Waiting | Self::Failed(_) => None,
        }
    }
}

impl<T> From<Result<T, String>> for Load<T> {
    fn from(result: Result<T, String>) -> Self {
        result.map_or_else(Self::Failed, Self::Ready)
    }
}

/// The state.
#[derive(Debug)]
pub(super) struct App {
    /// The repository's name, and its branch.
    pub(super) place: String,
    pub(super) now: Timestamp,
    pub(super) size: (u16, u16),
    pub(super) view: View,
    /// Lines that the help is scrolled by, while it is shown.
    pub(super) help: Option<usize>,
    pub(super) table: RunTable,
    pub(super) detail: Detail,
    pub(super) models: Models,
    /// Where Esc in a run leads.
    came_from: View,
    /// A word about the last key.
    pub(super) notice: Option<String>,
    runs_asked: Option<Timestamp>,
    runs_pause: SignedDuration,
    runs_pending: bool,
    models_asked: Option<Timestamp>,
    models_pending: bool,
}

impl App {
    /// The state at the start.
    pub(super) fn new(place: String, size: (u16, u16), now: Timestamp) -> Self {
        Self {
            place,
            now,
            size,
            view: View::Runs,
            help: None,
            table: RunTable::new(now),
            detail: Detail::default(),
            models: Models::default(),
            came_from: View::Runs,
            notice: None,
            runs_asked: None,
            runs_pause: REFRESH,
            runs_pending: false,
            models_asked: None,
            models_pending: false,
        }
    }

    /// What to load first.
    pub(super) fn start(&mut self) -> Vec<Effect> {
        let mut effects = self.ask_for_runs();
        effects.extend(self.ask_for_models());
        effects
    }

    /// Whose keys count.
    pub(super) fn scope(&self) -> Scope {
        match self.view {
            _ if self.help.is_some() => Scope::Help,
            View::Runs if self.table.filter.input.is_some() => Scope::Input,
            View::Runs => Scope::Runs,
            View::Run => Scope::Run,
            View::Registry => Scope::Registry,
        }
    }

    /// The run that is shown in detail: the open one, or the chosen one where the table has room to show it.
    pub(super) fn current_run(&self) -> Option<&Run> {
        match self.view {
            View::Run => self.table.run(&self.detail.run_id?),
            View::Runs => self.table.selected_run(),
            View::Registry => None,
        }
    }

    /// Changes the state and says what is to be done.
    pub(super) fn update(&mut self, action: Action) -> Vec<Effect> {
        let mut effects = match action {
            Action::Press(key) => self.press(key),
            Action::Paste(text) => {
                text.chars().for_each(|character| self.table.type_character(character));
                Vec::new()
            }
            Action::Resize(width, height) => {
                self.size = (width, height);
                Vec::new()
            }
            Action::Tick(now) => {
                self.now = now;
                self.table.now = now;
                self.tick()
            }
            Action::Loaded(answer) => self.loaded(answer),
        };
        self.table.settle(self.size);
        self.models.settle(self.size);
        effects.extend(self.follow_up());
        effects
    }

    fn press(&mut self, key: Key) -> Vec<Effect> {
        self.notice = None;
        let scope = self.scope();
        match command(scope, key) {
            Some(command) => self.command(scope, command),
            None => {
                if let (Scope::Input, Some(character)) = (scope, key.character()) {
                    self.table.type_character(character);
                }
                Vec::new()
            }
        }
    }

    fn command(&mut self, scope: Scope, command: Command) -> Vec<Effect> {
        match command {
            Command::Quit => return vec![Effect::Quit],
            Command::Suspend => return vec![Effect::Suspend],
            Command::Redraw => return vec![Effect::Redraw],
            Command::Help => self.help = Some(0),
            Command::ShowRuns => self.view = View::Runs,
            Command::ShowRegistry => {
                self.view = View::Registry;
                return self.ask_for_models();
            }
            _ => match scope {
                Scope::Help => self.help_command(command),
                Scope::Input => self.table.input_command(command),
                Scope::Runs => self.runs_command(command),
                Scope::Run => self.run_command(command),
                Scope::Registry => self.registry_command(command),
                Scope::Anywhere => {}
            },
        }
        Vec::new()
    }

    fn help_command(&mut self, command: Command) {
        let Some(line) = self.help else { return };
        self.help = match command {
            Command::Back => None,
            Command::Up => Some(line.saturating_sub(1)),
            Command::Down => Some((line + 1).min(super::views::help::scroll_limit(self.size))),
            _ => Some(line),
        };
    }

    fn runs_command(&mut self, command: Command) {
        match command {
            Command::Open => {
                if let Some(run_id) = self.table.selected_run().map(|run| run.id) {
                    self.open(run_id, View::Runs);
                }
            }
            Command::Filter => self.table.start_input(),
            Command::Back => self.table.drop_filter(),
            Command::Sort => self.table.sort_by_next(),
            Command::ReverseSort => self.table.reverse(),
            _ => self.table.move_by(command, self.size),
        }
    }

    fn open(&mut self, run_id: RunId, from: View) {
        self.detail.show(run_id);
        self.came_from = from;
        self.view = View::Run;
    }

    fn run_command(&mut self, command: Command) {
        match command {
            Command::Back => self.view = self.came_from,
            Command::NextPane => self.detail.pane = self.detail.pane.next(),
            Command::PreviousPane => self.detail.pane = self.detail.pane.previous(),
            Command::Left | Command::Right => {
                let step = if command == Command::Left { Command::Up } else { Command::Down };
                if let Some(run_id) = self.detail.run_id {
                    self.table.select(&run_id);
                }
                self.table.move_by(step, self.size);
                if let Some(run_id) = self.table.selected_run().map(|run| run.id) {
                    self.detail.show(run_id);
                }
            }
            _ => {
                let (size, now) = (self.size, self.now);
                let Some(run) = self.detail.run_id.and_then(|run_id| self.table.run(&run_id)) else { return };
                let overview = super::views::overview::line_count(run, &self.detail, size, now);
                self.detail.scroll(command, size, overview);
            }
        }
    }

    fn registry_command(&mut self, command: Command) {
        match command {
            Command::Back if self.models.focus == Focus::Versions => self.models.focus = Focus::Models,
            Command::Back => self.view = View::Runs,
            Command::Left => self.models.focus = Focus::Models,
            Command::Right => self.models.focus_versions(),
            Command::Open if self.models.focus == Focus::Models => self.models.focus_versions(),
            Command::Open => match self.models.version().map(|version| version.run) {
                Some(Some(run_id)) if self.table.run(&run_id).is_some() => self.open(run_id, View::Registry),
                Some(Some(run_id)) => {
                    self.notice = Some(format!("run {} is not in this repository", run_id.short()));
                }
                Some(None) => self.notice = Some("this version was not made by a run".to_owned()),
                None => {}
            },
            _ => self.models.move_by(command, self.size),
        }
    }

    fn tick(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        let due = |asked: Option<Timestamp>, pause| asked.is_none_or(|asked| self.now.duration_since(asked) >= pause);
        let (runs_due, models_due) = (due(self.runs_asked, self.runs_pause), due(self.models_asked, REGISTRY_REFRESH));
        if runs_due {
            effects.extend(self.ask_for_runs());
        }
        if models_due && self.view == View::Registry {
            effects.extend(self.ask_for_models());
        }
        effects
    }

    fn ask_for_runs(&mut self) -> Vec<Effect> {
        if std::mem::replace(&mut self.runs_pending, true) {
            return Vec::new();
        }
        self.runs_asked = Some(self.now);
        vec![Effect::LoadRuns]
    }

    fn ask_for_models(&mut self) -> Vec<Effect> {
        if std::mem::replace(&mut self.models_pending, true) {
            return Vec::new();
        }
        self.models_asked = Some(self.now);
        vec![Effect::LoadModels]
    }

    fn loaded(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::Runs(result) => {
                self.runs_pending = false;
                // A listing that takes long is asked for less often, so that at most a fifth of a core goes into it.
                let took = self.runs_asked.map_or(SignedDuration::ZERO, |asked| self.now.duration_since(asked));
                self.runs_pause = REFRESH.max(took.saturating_mul(5));
                self.table.loaded(result);
            }
            Answer::Models(result) => {
                self.models_pending = false;
                self.models.loaded(result);
            }
            Answer::History(model, result) => self.models.history_loaded(&model, result),
            Answer::Detail(run_id, charts, commit) => self.detail.loaded(&run_id, charts, commit),
            Answer::Log(run_id, result) => self.detail.log_loaded(&run_id, result),
            Answer::Sparks(metric, sparks) => self.table.sparks_loaded(&metric, sparks),
        }
        Vec::new()
    }

    /// What the state now shows and does not have yet.
    fn follow_up(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.view == View::Registry {
            effects.extend(self.models.wanted_history().map(Effect::LoadHistory));
        }
        if self.view == View::Runs {
            effects.extend(self.table.wanted_sparks(self.size));
            let preview = self.table.layout(self.size).preview.is_some();
            match self.table.selected_run().map(|run| run.id) {
                Some(run_id) if preview => self.detail.show(run_id),
                _ => return effects,
            }
        }
        let Some(run) = self.current_run() else { return effects };
        let (stamp, id, commit) = (super::runs::stamp(run), run.id, run.commit);
        if self.detail.wants_charts(stamp) {
            effects.push(Effect::LoadDetail(id, commit));
        }
        if self.view == View::Run && self.detail.wants_log(stamp, self.now) {
            effects.push(Effect::LoadLog(id));
        }
        effects
    }

    /// Whether a pane of the run is the one that keys act on.
    pub(super) fn is_active(&self, pane: Pane) -> bool {
        self.view == View::Run && self.detail.pane == pane
    }
}
