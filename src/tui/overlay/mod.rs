//! What opens above a view and takes the keys until it closes: the help, the palette, and questions of the views.
//!
//! A view opens one with [`Step::Open`](super::views::Step::Open). What the user gives comes back to it as
//! [`ViewState::given`](super::views::ViewState::given), with the purpose that the view named.

mod confirm;
pub(super) mod help;
mod palette;
mod picker;
mod prompt;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use crate::id::RunId;

use super::context::Context;
use super::keys::{Command, Scope};
use super::mouse::Mouse;
use super::theme::Theme;
use super::views::registry::Asked;

pub(super) use confirm::{Confirm, Tone};
pub(super) use help::Help;
pub(super) use palette::Palette;
pub(super) use picker::{Item, Picker};
pub(super) use prompt::Prompt;

/// Something above the view.
#[derive(Debug)]
pub(super) enum Overlay {
    /// The keys.
    Help(Help),
    /// All commands, to be found by their words.
    Palette(Palette),
    /// A line of text is asked for.
    Prompt(Prompt),
    /// A yes or no is asked for.
    Confirm(Confirm),
    /// One or several of a list are asked for.
    Picker(Picker),
}

/// What a view asks for: it gets this back with what the user gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Purpose {
    /// A note on a run.
    Note(RunId),
    /// Whether to remove a run from the lists.
    Remove(RunId),
    /// The column to sort the runs by.
    SortBy,
    /// The chart to look at.
    Chart,
    /// What to group the runs by.
    GroupBy,
    /// The columns of the table of runs.
    Columns,
    /// Something of the registry, which gets the answer whatever is shown.
    Registry(Asked),
}

/// What the user gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// A line of text.
    Text(String),
    /// The keys of what was chosen, in order.
    Chosen(Vec<String>),
    /// A yes.
    Yes,
}

/// What becomes of an overlay after a key.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// It stays.
    Stay,
    /// It closes, and nothing else happens.
    Close,
    /// It closes, and the view gets this.
    Give(Purpose, Given),
    /// It closes, and the view does this.
    Do(Command),
}

impl Overlay {
    /// Whose keys count while it is open.
    pub(super) fn scope(&self) -> Scope {
        match self {
            Self::Help(_) => Scope::Help,
            Self::Palette(_) => Scope::Palette,
            Self::Prompt(_) => Scope::Typing,
            Self::Confirm(_) => Scope::Confirm,
            Self::Picker(_) => Scope::Picker,
        }
    }

    /// Does what a key asks for.
    pub(super) fn command(&mut self, command: Command, context: &Context) -> Turn {
        match self {
            Self::Help(help) => help.command(command, context),
            Self::Palette(palette) => palette.command(command, context),
            Self::Prompt(prompt) => prompt.command(command),
            Self::Confirm(confirm) => confirm.command(command, context),
            Self::Picker(picker) => picker.command(command, context),
        }
    }

    /// Takes a character that was typed.
    pub(super) fn type_character(&mut self, character: char) {
        match self {
            Self::Palette(palette) => palette.type_character(character),
            Self::Prompt(prompt) => prompt.type_character(character),
            Self::Picker(picker) => picker.type_character(character),
            Self::Help(_) | Self::Confirm(_) => {}
        }
    }

    /// Takes what was done with the mouse.
    pub(super) fn mouse(&mut self, mouse: Mouse, context: &Context) -> Turn {
        match self {
            Self::Help(help) => help.mouse(mouse, context),
            Self::Palette(palette) => palette.mouse(mouse, context),
            Self::Picker(picker) => picker.mouse(mouse, context),
            Self::Prompt(_) | Self::Confirm(_) => Turn::Stay,
        }
    }

    /// Draws it over the view.
    pub(super) fn draw(&self, context: &Context, theme: &Theme, buffer: &mut Buffer) {
        match self {
            Self::Help(help) => help.draw(context, theme, buffer),
            Self::Palette(palette) => palette.draw(context, theme, buffer),
            Self::Prompt(prompt) => prompt.draw(context, theme, buffer),
            Self::Confirm(confirm) => confirm.draw(context, theme, buffer),
            Self::Picker(picker) => picker.draw(context, theme, buffer),
        }
    }
}

/// An emptied area in the upper half of the view, at most as large as asked for.
fn popup(context: &Context, width: u16, height: u16, buffer: &mut Buffer) -> Rect {
    let area = place(context, width, height);
    Clear.render(area, buffer);
    area
}

/// Where [`popup`] is.
fn place(context: &Context, width: u16, height: u16) -> Rect {
    let body = context.body();
    let width = width.min(body.width.saturating_sub(4));
    let height = height.min(body.height.saturating_sub(2));
    let top = (body.height - height) / 3;
    Rect { x: body.x + (body.width - width) / 2, y: body.y + top, width, height }
}
