//! The views: each is a state, what keys and the mouse do to it, what it asks for, and how it is drawn.
//!
//! Architecture invariant: a view changes nothing but itself. What else is to happen it returns as steps; what is to be
//! read or changed, as effects. A view draws from its state and the context alone.

pub(super) mod artifacts;
pub(super) mod compare;
pub(super) mod registry;
pub(super) mod run;
pub(super) mod runs;
mod screen;
pub(super) mod sweeps;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::id::RunId;

use super::context::Context;
use super::effects::Effect;
use super::keys::{Command, Scope};
use super::mouse::Mouse;
use super::overlay::{Given, Overlay, Purpose};
use super::theme::Theme;

pub(super) use screen::{draw, tab_at};

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The table of runs.
    Runs,
    /// One run.
    Run,
    /// Runs side by side.
    Compare,
    /// The models.
    Registry,
    /// The tracked artifacts.
    Artifacts,
    /// The searches over parameters.
    Sweeps,
}

impl View {
    /// Those that have a tab, in order, each with the key that leads there.
    pub(super) const TABS: [(Self, &'static str, &'static str); 5] = [
        (Self::Runs, "1", "Runs"),
        (Self::Registry, "2", "Registry"),
        (Self::Compare, "3", "Compare"),
        (Self::Artifacts, "4", "Artifacts"),
        (Self::Sweeps, "5", "Sweeps"),
    ];

    /// The tab that is marked while this view is shown.
    pub(super) fn tab(self) -> Self {
        if self == Self::Run { Self::Runs } else { self }
    }

    /// The view of a tab's word.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::TABS.into_iter().find(|(_, _, name)| *name == word).map(|(view, ..)| view)
    }

    /// The word of its tab.
    pub(super) fn word(self) -> &'static str {
        Self::TABS.into_iter().find(|(view, ..)| *view == self.tab()).map_or("", |(_, _, word)| word)
    }

    /// The tab some steps further on, round and round.
    pub(super) fn beside(self, step: isize) -> Self {
        let place = Self::TABS.iter().position(|(view, ..)| *view == self.tab()).unwrap_or(0);
        let count = Self::TABS.len();
        Self::TABS[(place + count).saturating_add_signed(step) % count].0
    }
}

/// A view, and what it shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// A view as it was left.
    At(View),
    /// A run.
    Run(RunId),
}

/// A word about what was done, or about what could not be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Notice {
    /// It goes with the next key.
    Word(String),
    /// It stays until it is dismissed.
    Error(String),
}

impl Notice {
    /// What it says.
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Word(words) | Self::Error(words) => words,
        }
    }
}

/// What is to happen outside of a view.
#[derive(Debug)]
pub(super) enum Step {
    /// Read or change something.
    Do(Effect),
    /// Show something else; Esc leads back.
    Go(Place),
    /// Go back to where one came from.
    Back,
    /// Say something.
    Say(Notice),
    /// Open something above the view.
    Open(Overlay),
    /// Mark a run for comparison, or unmark it.
    Mark(RunId),
    /// Unmark all runs.
    UnmarkAll,
    /// Show the run beside the one that is shown, as the table of runs has them: `Up` is the one before.
    Neighbour(Command),
}

impl Step {
    /// Says a word that goes with the next key.
    pub(super) fn word(words: impl Into<String>) -> Self {
        Self::Say(Notice::Word(words.into()))
    }

    /// Says what went wrong, until it is dismissed.
    pub(super) fn error(words: impl Into<String>) -> Self {
        Self::Say(Notice::Error(words.into()))
    }

    /// Puts a text into the clipboard.
    pub(super) fn copy(text: String) -> Self {
        Self::Do(Effect::Copy(text))
    }
}

/// What every view can do. Nothing here does input or output or takes long.
pub(super) trait ViewState {
    /// Whose keys count.
    fn scope(&self) -> Scope;

    /// Does what a key or a line of the palette asks for.
    fn command(&mut self, command: Command, context: &Context) -> Vec<Step>;

    /// Takes a character that was typed or pasted, where the scope takes text.
    fn type_character(&mut self, _character: char, _context: &Context) -> Vec<Step> {
        Vec::new()
    }

    /// Takes what was done with the mouse.
    fn mouse(&mut self, _mouse: Mouse, _context: &Context) -> Vec<Step> {
        Vec::new()
    }

    /// Takes what the user gave in an overlay that this view opened.
    fn given(&mut self, _purpose: &Purpose, _given: Given, _context: &Context) -> Vec<Step> {
        Vec::new()
    }

    /// Brings what depends on the screen's size or on what was loaded in line, after every change.
    fn settle(&mut self, _context: &Context) {}

    /// What is shown now and not there yet. It counts as asked for. Called after every change while the view is shown.
    fn wanted(&mut self, _context: &Context) -> Vec<Effect> {
        Vec::new()
    }

    /// The view is not shown any more: what it asked for and nobody waits for is cancelled.
    fn left(&mut self) -> Vec<Effect> {
        Vec::new()
    }

    /// The runs that are to be in [`Context::records`], whole.
    fn needs(&self, _context: &Context) -> Vec<RunId> {
        Vec::new()
    }

    /// Draws it.
    fn draw(&self, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer);
}

/// The states of all views.
#[derive(Debug)]
pub(super) struct Views {
    pub(super) runs: runs::RunsView,
    pub(super) run: run::Detail,
    pub(super) compare: compare::CompareView,
    pub(super) registry: registry::Models,
    pub(super) artifacts: artifacts::ArtifactsView,
    pub(super) sweeps: sweeps::SweepsView,
}

impl Views {
    /// All views before anything is loaded.
    pub(super) fn new() -> Self {
        Self {
            runs: runs::RunsView::new(),
            run: run::Detail::default(),
            compare: compare::CompareView::default(),
            registry: registry::Models::default(),
            artifacts: artifacts::ArtifactsView::default(),
            sweeps: sweeps::SweepsView::default(),
        }
    }

    /// The state of a view.
    pub(super) fn get(&self, view: View) -> &dyn ViewState {
        match view {
            View::Runs => &self.runs,
            View::Run => &self.run,
            View::Compare => &self.compare,
            View::Registry => &self.registry,
            View::Artifacts => &self.artifacts,
            View::Sweeps => &self.sweeps,
        }
    }

    /// The state of a view, to be changed.
    pub(super) fn get_mut(&mut self, view: View) -> &mut dyn ViewState {
        match view {
            View::Runs => &mut self.runs,
            View::Run => &mut self.run,
            View::Compare => &mut self.compare,
            View::Registry => &mut self.registry,
            View::Artifacts => &mut self.artifacts,
            View::Sweeps => &mut self.sweeps,
        }
    }
}
