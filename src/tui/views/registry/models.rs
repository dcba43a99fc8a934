//! The registry: which model and which version is chosen.

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::id::RunId;
use crate::registry::{EventKind, Model, RegistryEvent, Version};

use super::super::super::context::{Context, Load};
use super::super::super::effects::{Change, Effect};
use super::super::super::keys::{Command, Scope};
use super::super::super::layout::{self, split_top};
use super::super::super::list::{held, moved};
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::overlay::{Given, Purpose};
use super::super::super::parts;
use super::super::super::source::Problem;
use super::super::super::theme::Theme;
use super::super::{Notice, Place, Step, ViewState};
use super::lists;
use super::load::{Answer, Consider, Origin, Request};
use super::moves::{self, Asked};

/// The registry is looked at this often while it is shown.
const REFRESH: SignedDuration = SignedDuration::from_secs(2);

/// Versions of a model whose runs are called by their names; of those before them the ids are shown.
const MOST_RUNS: usize = 200;

/// Where the keys act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Focus {
    /// On the list of models.
    Models,
    /// On the versions of the chosen one.
    Versions,
}

/// What stands below the versions, where there is not room for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Lower {
    /// What happened to the model.
    History,
    /// What the chosen version came from.
    Origin,
}

/// The models.
#[derive(Debug)]
pub(in crate::tui) struct Models {
    pub(in crate::tui) models: Load<Vec<Model>>,
    pub(in crate::tui) focus: Focus,
    pub(in crate::tui) selected: usize,
    pub(in crate::tui) offset: usize,
    /// The chosen version, counted from the newest.
    pub(in crate::tui) selected_version: usize,
    pub(in crate::tui) version_offset: usize,
    /// What happened to the chosen model.
    pub(in crate::tui) history: Load<Vec<RegistryEvent>>,
    history_of: Option<String>,
    /// The alias whose history is shown; none for all of it.
    history_alias: Option<String>,
    pub(super) lower: Lower,
    /// What the chosen version came from.
    origin: Load<Box<Origin>>,
    origin_of: Option<(String, u64)>,
    asked: Option<Timestamp>,
    pending: bool,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            models: Load::Waiting,
            focus: Focus::Models,
            selected: 0,
            offset: 0,
            selected_version: 0,
            version_offset: 0,
            history: Load::Waiting,
            history_of: None,
            history_alias: None,
            lower: Lower::History,
            origin: Load::Waiting,
            origin_of: None,
            asked: None,
            pending: false,
        }
    }
}

impl Models {
    /// The chosen model.
    pub(in crate::tui) fn model(&self) -> Option<&Model> {
        self.models.ready()?.get(self.selected)
    }

    /// The versions of the chosen model, the newest first.
    pub(in crate::tui) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.model().into_iter().flat_map(|model| model.versions.iter().rev())
    }

    /// The chosen version.
    pub(in crate::tui) fn version(&self) -> Option<&Version> {
        self.versions().nth(self.selected_version)
    }

    /// Asks for the models, unless they are asked for already.
    pub(in crate::tui) fn ask(&mut self, context: &Context) -> Option<Effect> {
        if std::mem::replace(&mut self.pending, true) {
            return None;
        }
        self.asked = Some(context.now);
        Some(Effect::Registry(Request::Models))
    }

    /// What the chosen version came from.
    pub(in crate::tui) fn origin(&self) -> &Load<Box<Origin>> {
        &self.origin
    }

    /// The alias whose history is shown; none for all of it.
    pub(in crate::tui) fn history_alias(&self) -> Option<&str> {
        self.history_alias.as_deref()
    }

    /// Takes what was asked for, and asks the user what there is to ask.
    pub(in crate::tui) fn loaded(&mut self, answer: Answer, context: &Context) -> Vec<Step> {
        match answer {
            Answer::Origin { model, version, origin } => {
                if self.origin_of == Some((model, version)) {
                    self.origin = origin.into();
                }
            }
            Answer::Considered(Ok(considered)) => {
                let model = self.find(&considered.wanted.model);
                return vec![moves::ask_move(*considered, model, context)];
            }
            Answer::Registered(_, Ok(Some(run))) => return vec![moves::ask_output(*run, self.known())],
            Answer::Registered(run_id, Ok(None)) => {
                return vec![Step::word(format!("run {} is not in this repository", run_id.short()))];
            }
            Answer::Considered(Err(problem)) | Answer::Registered(_, Err(problem)) => {
                return vec![Step::Say(Notice::Error(problem))];
            }
            Answer::Models(result) => {
                self.pending = false;
                self.models_loaded(result);
            }
            // A history counts if its model is still the chosen one.
            Answer::History(model, result) if self.history_of.as_ref() == Some(&model) => self.history = result.into(),
            Answer::History(..) => {}
        }
        Vec::new()
    }

    fn find(&self, name: &str) -> Option<&Model> {
        self.models.ready()?.iter().find(|model| model.name == name)
    }

    fn known(&self) -> &[Model] {
        self.models.ready().map(Vec::as_slice).unwrap_or_default()
    }

    /// Asks what to register as the chosen model's next version.
    pub(in crate::tui) fn ask_to_register(&self) -> Step {
        match self.model() {
            Some(model) => moves::ask_target(model.name.clone()),
            None => Step::word("choose a run in the table of runs, and press `R` there"),
        }
    }

    /// Asks which alias to move, for a kind of move.
    fn ask_alias(&self, kind: EventKind) -> Vec<Step> {
        let Some(model) = self.model() else { return Vec::new() };
        let to_version = matches!(kind, EventKind::Promote | EventKind::Alias);
        match (to_version, self.version()) {
            (true, None) => vec![Step::word(format!("{} has no version yet", model.name))],
            (true, Some(version)) => vec![moves::ask_alias(kind, model, Some(version.version))],
            (false, _) => vec![moves::ask_alias(kind, model, None)],
        }
    }

    /// Shows the history of one alias, then that of the next, then all of it.
    fn filter_history(&mut self) {
        let aliases: Vec<String> =
            self.model().map(|model| model.aliases.keys().cloned().collect()).unwrap_or_default();
        let next = match &self.history_alias {
            None => 0,
            Some(shown) => aliases.iter().position(|alias| alias == shown).map_or(aliases.len(), |place| place + 1),
        };
        self.history_alias = aliases.get(next).cloned();
        self.lower = Lower::History;
    }

    /// The version whose origin is to be loaded now, if any; it counts as asked for.
    fn wanted_origin(&mut self) -> Option<Version> {
        let version = self.version()?.clone();
        let key = (version.model.clone(), version.version);
        if self.origin_of.as_ref() == Some(&key) {
            return None;
        }
        self.origin_of = Some(key);
        self.origin = Load::Waiting;
        Some(version)
    }

    /// Takes the models; the chosen one stays chosen.
    fn models_loaded(&mut self, result: Result<Option<Vec<Model>>, Problem>) {
        match result {
            Ok(Some(models)) => {
                let chosen = self.model().map(|model| model.name.clone());
                let place = models.iter().position(|model| Some(&model.name) == chosen.as_ref());
                self.selected = place.unwrap_or(self.selected).min(models.len().saturating_sub(1));
                self.models = Load::Ready(models);
                // Whatever changed may be in the history too.
                self.history_of = None;
            }
            Ok(None) => {}
            Err(problem) => self.models = Load::Failed(problem),
        }
    }

    /// The model whose history is to be loaded now, if any; it counts as asked for.
    fn wanted_history(&mut self) -> Option<String> {
        let name = self.model()?.name.clone();
        if self.history_of.as_ref() == Some(&name) {
            return None;
        }
        self.history_of = Some(name.clone());
        Some(name)
    }

    /// Lets the keys act on the versions, if there are any.
    fn focus_versions(&mut self) {
        if self.versions().next().is_some() {
            self.focus = Focus::Versions;
        }
    }

    /// Moves the choice.
    fn move_by(&mut self, command: Command, body: Rect) {
        let places = layout::registry(body);
        match self.focus {
            Focus::Models => {
                let rows = usize::from(places.models.height.saturating_sub(2));
                let count = self.models.ready().map_or(0, Vec::len);
                self.choose(moved(self.selected, command, rows, count));
            }
            Focus::Versions => {
                let rows = layout::table_rows(places.versions);
                let count = self.versions().count();
                self.selected_version = moved(self.selected_version, command, rows, count);
            }
        }
    }

    fn choose(&mut self, model: usize) {
        if model != self.selected {
            (self.selected, self.selected_version, self.version_offset) = (model, 0, 0);
            self.history = Load::Waiting;
            self.history_alias = None;
        }
    }

    fn open_run(&self, context: &Context) -> Vec<Step> {
        match self.version().map(|version| version.run) {
            Some(Some(run_id)) if context.records.is_gone(&run_id) => {
                vec![Step::word(format!("run {} is not in this repository", run_id.short()))]
            }
            Some(Some(run_id)) => vec![Step::Go(Place::Run(run_id))],
            Some(None) => vec![Step::word("this version was not made by a run")],
            None => Vec::new(),
        }
    }
}

impl ViewState for Models {
    fn scope(&self) -> Scope {
        Scope::Registry
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        match command {
            Command::Back if self.focus == Focus::Versions => self.focus = Focus::Models,
            Command::Back => return vec![Step::Back],
            Command::Left => self.focus = Focus::Models,
            Command::Right => self.focus_versions(),
            Command::Open if self.focus == Focus::Models => self.focus_versions(),
            Command::Open => return self.open_run(context),
            Command::Promote => return self.ask_alias(EventKind::Promote),
            Command::PointAlias => return self.ask_alias(EventKind::Alias),
            Command::RollBack => return self.ask_alias(EventKind::Rollback),
            Command::RemoveAlias => return self.ask_alias(EventKind::Unalias),
            Command::FilterHistory => self.filter_history(),
            Command::ShowOrigin => {
                self.lower = if self.lower == Lower::History { Lower::Origin } else { Lower::History };
            }
            _ => self.move_by(command, context.body()),
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let places = layout::registry(context.body());
        let models = parts::inside(places.models);
        let versions = split_top(parts::inside(places.versions), 1).1;
        match mouse.kind {
            MouseKind::WheelUp => return self.command(Command::Up, context),
            MouseKind::WheelDown => return self.command(Command::Down, context),
            MouseKind::Press | MouseKind::DoublePress => {
                if let Some(row) = mouse.row_in(models).map(|row| self.offset + row) {
                    self.focus = Focus::Models;
                    if row < self.models.ready().map_or(0, Vec::len) {
                        self.choose(row);
                    }
                } else if let Some(row) = mouse.row_in(versions).map(|row| self.version_offset + row) {
                    self.focus_versions();
                    if row < self.versions().count() {
                        self.selected_version = row;
                        if mouse.kind == MouseKind::DoublePress {
                            return self.open_run(context);
                        }
                    }
                }
            }
            MouseKind::Drag | MouseKind::Release => {}
        }
        Vec::new()
    }

    fn given(&mut self, purpose: &Purpose, given: Given, _context: &Context) -> Vec<Step> {
        let Purpose::Registry(asked) = purpose else { return Vec::new() };
        let consider = |kind: EventKind, model: &str, alias: &str, version: Option<u64>| {
            let (model, alias) = (model.to_owned(), alias.trim().to_owned());
            let request = Request::Consider(Consider { kind, model, alias, version });
            vec![Step::word("looking at what speaks for it …"), Step::Do(Effect::Registry(request))]
        };
        let change = |change: Change| vec![Step::Do(Effect::Change(change))];
        match (asked.clone(), given) {
            (Asked::Alias { kind, model, version }, Given::Chosen(chosen)) => match chosen.first() {
                Some(alias) if moves::is_another(alias) => vec![moves::ask_new_alias(kind, model, version)],
                Some(alias) => consider(kind, &model, alias, version),
                None => Vec::new(),
            },
            (Asked::NewAlias { kind, model, version }, Given::Text(alias)) => consider(kind, &model, &alias, version),
            (Asked::Move(wanted), Given::Yes) => change(Change::MoveAlias(wanted, None)),
            (Asked::Override(wanted), Given::Yes) => vec![moves::ask_reason(wanted)],
            (Asked::Reason(_), Given::Text(reason)) if reason.trim().is_empty() => {
                vec![Step::word("nothing was moved: a gate is overridden only for a reason")]
            }
            (Asked::Reason(wanted), Given::Text(reason)) => {
                change(Change::MoveAlias(wanted, Some(reason.trim().to_owned())))
            }
            (Asked::Output(run), Given::Chosen(chosen)) => {
                let ask = |output: &String| moves::ask_name(&run, output, self.known());
                chosen.first().map(ask).into_iter().collect()
            }
            (Asked::Name(target), Given::Text(model)) => {
                change(Change::Register { target, model: model.trim().to_owned() })
            }
            (Asked::Target(model), Given::Text(target)) => {
                change(Change::Register { target: target.trim().to_owned(), model })
            }
            _ => Vec::new(),
        }
    }

    fn settle(&mut self, context: &Context) {
        let places = layout::registry(context.body());
        let models = self.models.ready().map_or(0, Vec::len);
        let versions = self.versions().count();
        self.selected_version = self.selected_version.min(versions.saturating_sub(1));
        let model_rows = usize::from(places.models.height.saturating_sub(2));
        self.offset = held(self.offset, self.selected, model_rows, models);
        let version_rows = layout::table_rows(places.versions);
        self.version_offset = held(self.version_offset, self.selected_version, version_rows, versions);
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        let is_due = self.asked.is_none_or(|asked| context.now.duration_since(asked) >= REFRESH);
        let models = if is_due { self.ask(context) } else { None };
        let history = self.wanted_history().map(|model| Effect::Registry(Request::History(model)));
        let is_origin_shown = self.lower == Lower::Origin || layout::registry(context.body()).origin.is_some();
        let origin = if is_origin_shown { self.wanted_origin() } else { None };
        let origin = origin.map(|version| Effect::Registry(Request::Origin(Box::new(version))));
        models.into_iter().chain(history).chain(origin).collect()
    }

    fn needs(&self, _context: &Context) -> Vec<RunId> {
        self.versions().filter_map(|version| version.run).take(MOST_RUNS).collect()
    }

    fn draw(&self, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        lists::draw(self, context, theme, area, buffer);
    }
}
