//! The dashboard's state, and how it changes.
//!
//! Architecture invariant: [`App::update`] does no input or output and reads no clock; what is to be done is returned
//! as effects, and their results come back as actions.

use jiff::Timestamp;

use crate::id::RunId;

use super::context::Context;
use super::effects::{Answer, Effect};
use super::files;
use super::keys::{Command, Key, Scope, command};
use super::lend::Errand;
use super::memory::Memory;
use super::mouse::{Mouse, MouseKind};
use super::overlay::{Help, Overlay, Palette, Purpose, Turn};
use super::views::{Notice, Place, Step, View, ViewState, Views, registry, run, runs, tab_at};

/// Places that Esc leads back through.
const TRAIL: usize = 50;

/// Something that happened.
#[derive(Debug)]
pub(super) enum Action {
    /// A key was pressed.
    Press(Key),
    /// Something was done with the mouse.
    Mouse(Mouse),
    /// Text was pasted.
    Paste(String),
    /// The screen has this size now.
    Resize(u16, u16),
    /// It is this late.
    Tick(Timestamp),
    /// An effect's result.
    Loaded(Box<Answer>),
    /// The terminal is back, and this went wrong while it was lent out.
    Failed(String),
}

/// The state.
#[derive(Debug)]
pub(super) struct App {
    /// What all views look at.
    pub(super) context: Context,
    pub(super) view: View,
    pub(super) views: Views,
    /// What is open above the view; the last one has the keys.
    pub(super) overlays: Vec<Overlay>,
    /// Where Esc leads, the last one first.
    trail: Vec<(View, Option<RunId>)>,
    pub(super) notice: Option<Notice>,
    /// What is remembered of this repository; none before it was read.
    memory: Option<Memory>,
}

impl App {
    /// The state at the start.
    pub(super) fn new(place: String, size: (u16, u16), now: Timestamp) -> Self {
        Self {
            context: Context::new(place, size, now),
            view: View::Runs,
            views: Views::new(),
            overlays: Vec::new(),
            trail: Vec::new(),
            notice: None,
            memory: None,
        }
    }

    /// What to load first.
    pub(super) fn start(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::Recall];
        effects.extend(self.views.registry.ask(&self.context));
        effects
    }

    /// Whose keys count.
    pub(super) fn scope(&self) -> Scope {
        self.overlays.last().map_or_else(|| self.views.get(self.view).scope(), Overlay::scope)
    }

    /// Changes the state and says what is to be done.
    pub(super) fn update(&mut self, action: Action) -> Vec<Effect> {
        let before = self.view;
        let mut effects = match action {
            Action::Press(key) => self.press(key),
            Action::Mouse(mouse) => self.mouse(mouse),
            Action::Paste(text) => text.chars().flat_map(|character| self.type_character(character)).collect(),
            Action::Resize(width, height) => {
                self.context.size = (width, height);
                Vec::new()
            }
            Action::Tick(now) => {
                self.context.now = now;
                self.remember().into_iter().collect()
            }
            Action::Loaded(answer) => self.loaded(*answer),
            Action::Failed(problem) => {
                self.notice = Some(Notice::Error(problem));
                Vec::new()
            }
        };
        if before != self.view {
            effects.extend(self.views.get_mut(before).left());
        }
        if self.memory.is_some() {
            effects.extend(self.views.runs.refresh(&self.context));
        }
        self.views.get_mut(self.view).settle(&self.context);
        let needed = self.views.get(self.view).needs(&self.context);
        let missing = self.context.records.wanted(&needed);
        if !missing.is_empty() {
            effects.push(Effect::LoadRecords(missing));
        }
        effects.extend(self.views.get_mut(self.view).wanted(&self.context));
        effects
    }

    fn press(&mut self, key: Key) -> Vec<Effect> {
        let scope = self.scope();
        let asked = command(scope, key);
        if let Some(Notice::Error(_)) = self.notice {
            // An error that has been read goes before anything else does.
            if matches!(asked, Some(Command::Back | Command::InputCancel)) {
                self.notice = None;
                return Vec::new();
            }
        } else {
            self.notice = None;
        }
        match (asked, key.character()) {
            (Some(command), _) => self.command(command),
            (None, Some(character)) if scope.takes_text() => self.type_character(character),
            (None, _) => Vec::new(),
        }
    }

    fn type_character(&mut self, character: char) -> Vec<Effect> {
        if let Some(overlay) = self.overlays.last_mut() {
            overlay.type_character(character);
            return Vec::new();
        }
        if !self.scope().takes_text() {
            return Vec::new();
        }
        let steps = self.views.get_mut(self.view).type_character(character, &self.context);
        self.take(steps)
    }

    fn mouse(&mut self, mouse: Mouse) -> Vec<Effect> {
        if let Some(overlay) = self.overlays.last_mut() {
            let turn = overlay.mouse(mouse, &self.context);
            return self.turn(turn);
        }
        if let (MouseKind::Press, Some(view)) = (mouse.kind, tab_at(self, &mouse)) {
            return self.take(vec![Step::Go(Place::At(view))]);
        }
        let steps = self.views.get_mut(self.view).mouse(mouse, &self.context);
        self.take(steps)
    }

    fn command(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Quit => return self.remember().into_iter().chain([Effect::Quit]).collect(),
            Command::Suspend => return vec![Effect::Suspend],
            Command::Redraw => return vec![Effect::Redraw],
            _ => {}
        }
        if let Some(overlay) = self.overlays.last_mut() {
            let turn = overlay.command(command, &self.context);
            return self.turn(turn);
        }
        let scope = self.scope();
        let steps = match command {
            Command::Help => vec![Step::Open(Overlay::Help(Help::new(scope)))],
            Command::Palette => vec![Step::Open(Overlay::Palette(Palette::new(scope)))],
            Command::ShowRuns => vec![Step::Go(Place::At(View::Runs))],
            Command::ShowRegistry => vec![Step::Go(Place::At(View::Registry))],
            Command::ShowCompare => vec![Step::Go(Place::At(View::Compare))],
            Command::ShowArtifacts => vec![Step::Go(Place::At(View::Artifacts))],
            Command::ShowSweeps => vec![Step::Go(Place::At(View::Sweeps))],
            Command::NextView => vec![Step::Go(Place::At(self.view.beside(1)))],
            Command::PreviousView => vec![Step::Go(Place::At(self.view.beside(-1)))],
            Command::UnmarkAll => vec![Step::UnmarkAll],
            Command::Register => vec![self.register()],
            _ => self.views.get_mut(self.view).command(command, &self.context),
        };
        self.take(steps)
    }

    /// Asks how to register what is looked at.
    fn register(&self) -> Step {
        self.looked_at().map_or_else(
            || self.views.registry.ask_to_register(),
            |run_id| Step::Do(Effect::Registry(registry::Request::Registered(run_id))),
        )
    }

    /// The run that is looked at.
    fn looked_at(&self) -> Option<RunId> {
        match self.view {
            View::Runs => self.views.runs.selected_row().map(|row| row.id()),
            View::Run => self.views.run.run_id,
            _ => None,
        }
    }

    fn turn(&mut self, turn: Turn) -> Vec<Effect> {
        if turn != Turn::Stay {
            self.overlays.pop();
        }
        match turn {
            Turn::Stay | Turn::Close => Vec::new(),
            Turn::Give(purpose, given) => {
                let view: &mut dyn ViewState = match purpose {
                    Purpose::Registry(_) => &mut self.views.registry,
                    _ => self.views.get_mut(self.view),
                };
                let steps = view.given(&purpose, given, &self.context);
                self.take(steps)
            }
            Turn::Do(command) => self.command(command),
        }
    }

    fn take(&mut self, steps: Vec<Step>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for step in steps {
            match step {
                Step::Do(effect) => {
                    if let Effect::Copy(text) = &effect {
                        self.notice = Some(Notice::Word(format!("copied {text}")));
                    }
                    effects.push(effect);
                }
                Step::Go(place) => self.go(place),
                Step::Back => self.go_back(),
                Step::Say(notice) => self.notice = Some(notice),
                Step::Open(overlay) => {
                    // What was said about waiting for it is over.
                    self.notice = None;
                    self.overlays.push(overlay);
                }
                Step::Mark(run_id) => self.context.marks.toggle(run_id),
                Step::UnmarkAll => self.context.marks.clear(),
                Step::Neighbour(step) => self.show_neighbour(step),
            }
        }
        effects
    }

    fn go(&mut self, place: Place) {
        let left = (self.view, self.views.run.run_id);
        let view = match place {
            Place::At(view) => view,
            Place::Run(run_id) => {
                self.views.run.show(run_id);
                View::Run
            }
        };
        if view == left.0 && self.views.run.run_id == left.1 {
            return;
        }
        self.view = view;
        // The tabs are places of their own: Esc there leads to the runs, not through all that was looked at.
        match view {
            View::Run => self.trail.push(left),
            _ => self.trail = if view == View::Runs { Vec::new() } else { vec![(View::Runs, None)] },
        }
        if self.trail.len() > TRAIL {
            self.trail.remove(0);
        }
    }

    fn go_back(&mut self) {
        let (view, run_id) = self.trail.pop().unwrap_or((View::Runs, None));
        self.view = view;
        if let (View::Run, Some(run_id)) = (view, run_id) {
            self.views.run.show(run_id);
        }
    }

    fn show_neighbour(&mut self, step: Command) {
        let Some(run_id) = self.views.run.run_id else { return };
        if let Some(next) = self.views.runs.neighbour(&run_id, step) {
            self.views.run.show(next);
        }
    }

    /// Remembers where the user is, if that is not what is remembered already.
    fn remember(&mut self) -> Option<Effect> {
        let known = self.memory.as_ref()?;
        let mut memory = Memory { view: self.view.word().to_owned(), ..known.clone() };
        self.views.runs.remember(&mut memory);
        if *known == memory {
            return None;
        }
        self.memory = Some(memory.clone());
        Some(Effect::Remember(memory))
    }

    fn recall(&mut self, memory: Memory) {
        self.views.runs.recall(&memory, self.context.now);
        if let Some(view) = View::named(&memory.view) {
            self.go(Place::At(view));
        }
        // As it is remembered now: what is understood differently than it was written is not written anew for that.
        let mut known = memory;
        known.view = self.view.word().to_owned();
        self.views.runs.remember(&mut known);
        self.memory = Some(known);
    }

    fn loaded(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::Recalled(memory) => self.recall(memory),
            Answer::Records(asked, result) => {
                let (found, problem) = match result {
                    Ok(found) => (found, None),
                    Err(problem) => (Vec::new(), Some(problem)),
                };
                self.context.records.loaded(&asked, found);
                self.notice = problem.map(Notice::Error).or(self.notice.take());
            }
            Answer::Runs(answer) => {
                if let runs::Answer::Table(_, Ok(Some(sheet))) = &answer {
                    self.context.records.listed(&sheet.table);
                }
                let steps = self.views.runs.loaded(answer, &self.context);
                return self.take(steps);
            }
            Answer::Files(files::Answer::Read(Ok((name, content)))) => {
                return vec![Effect::Lend(Errand::Read(name, content))];
            }
            Answer::Files(files::Answer::Read(Err(problem))) | Answer::Run(run::Answer::WholeLog(_, Err(problem))) => {
                self.notice = Some(Notice::Error(problem));
            }
            Answer::Run(run::Answer::WholeLog(run_id, Ok(content))) => {
                return vec![Effect::Lend(Errand::Read(format!("{}.log", run_id.short()), content))];
            }
            Answer::Run(answer) => {
                self.views.runs.preview.loaded(&answer, &self.context);
                self.views.run.loaded(&answer, &self.context);
            }
            Answer::Compare(answer) => self.views.compare.loaded(answer),
            Answer::Registry(answer) => {
                // A question that nobody waits for any more would take the keys of something else.
                let is_awaited = match &answer {
                    registry::Answer::Registered(run_id, _) => self.looked_at() == Some(*run_id),
                    _ => self.view == View::Registry,
                };
                let steps = self.views.registry.loaded(answer, &self.context);
                return if is_awaited { self.take(steps) } else { Vec::new() };
            }
            Answer::Artifacts(answer) => self.views.artifacts.loaded(answer, &self.context),
            Answer::Sweeps(answer) => self.views.sweeps.loaded(answer),
            Answer::Files(answer) => {
                self.views.run.files_loaded(&answer);
                self.views.artifacts.files_loaded(&answer);
            }
            Answer::Changed(Ok(words)) => {
                self.notice = Some(Notice::Word(words));
                let mut effects = vec![self.views.runs.reload(&self.context)];
                effects.extend(self.views.registry.ask(&self.context));
                return effects;
            }
            Answer::Changed(Err(problem)) => self.notice = Some(Notice::Error(problem)),
        }
        Vec::new()
    }
}
