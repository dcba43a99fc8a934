//! A list to choose from, one or several, found by some letters.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::context::Context;
use super::super::input::Input;
use super::super::keys::Command;
use super::super::layout::split_top;
use super::super::list::{held, moved};
use super::super::mouse::{Mouse, MouseKind};
use super::super::parts::{self, Cell};
use super::super::theme::Theme;
use super::super::{fuzzy, text};
use super::{Given, Purpose, Turn, place, popup};

const WIDTH: u16 = 72;
const HEIGHT: u16 = 24;

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Item {
    /// What the view gets when it is chosen.
    pub(in super::super) key: String,
    /// What is shown, and searched.
    pub(in super::super) label: String,
    /// What stands at the right.
    pub(in super::super) note: String,
    /// Whether it is chosen, where several can be.
    pub(in super::super) is_chosen: bool,
}

/// The list.
#[derive(Debug)]
pub(in super::super) struct Picker {
    purpose: Purpose,
    title: String,
    items: Vec<Item>,
    /// Whether several can be chosen, and put into an order.
    many: bool,
    input: Input,
    found: Vec<usize>,
    selected: usize,
    offset: usize,
}

impl Picker {
    /// A list of which one is chosen.
    pub(in super::super) fn one(purpose: Purpose, title: String, items: Vec<Item>) -> Self {
        let selected = items.iter().position(|item| item.is_chosen).unwrap_or(0);
        Self { selected, ..Self::new(purpose, title, items, false) }
    }

    /// A list of which several are chosen, and put into an order: Space chooses, Ctrl with ↑ and ↓ moves.
    pub(in super::super) fn many(purpose: Purpose, title: String, items: Vec<Item>) -> Self {
        Self::new(purpose, title, items, true)
    }

    fn new(purpose: Purpose, title: String, items: Vec<Item>, many: bool) -> Self {
        let found = (0..items.len()).collect();
        Self { purpose, title, items, many, input: Input::default(), found, selected: 0, offset: 0 }
    }

    fn area(context: &Context) -> Rect {
        place(context, WIDTH, HEIGHT)
    }

    fn refind(&mut self) {
        self.found = fuzzy::find(&self.input.text(), self.items.iter().map(|item| item.label.as_str()));
        (self.selected, self.offset) = (0, 0);
    }

    pub(super) fn type_character(&mut self, character: char) {
        self.input.insert(character);
        self.refind();
    }

    /// Moves the chosen line beside its neighbour; only in the whole list an order can be seen.
    fn shift(&mut self, command: Command) {
        if !self.many || self.found.len() != self.items.len() || !self.input.text().trim().is_empty() {
            return;
        }
        let step = if command == Command::MoveUp { Command::Up } else { Command::Down };
        let to = moved(self.selected, step, 1, self.items.len());
        if to != self.selected {
            self.items.swap(to, self.selected);
            self.selected = to;
        }
    }

    pub(super) fn command(&mut self, command: Command, context: &Context) -> Turn {
        let rows = usize::from(Self::area(context).height.saturating_sub(3));
        match command {
            Command::Back => return Turn::Close,
            Command::Accept if self.many => {
                let chosen = self.items.iter().filter(|item| item.is_chosen).map(|item| item.key.clone()).collect();
                return Turn::Give(self.purpose.clone(), Given::Chosen(chosen));
            }
            Command::Accept => {
                let Some(place) = self.found.get(self.selected) else { return Turn::Stay };
                let chosen = vec![self.items[*place].key.clone()];
                return Turn::Give(self.purpose.clone(), Given::Chosen(chosen));
            }
            Command::Toggle if self.many => {
                if let Some(place) = self.found.get(self.selected) {
                    self.items[*place].is_chosen ^= true;
                }
            }
            // Where one is chosen, a space is a character as others are.
            Command::Toggle => self.type_character(' '),
            Command::MoveUp | Command::MoveDown => self.shift(command),
            _ if self.input.apply(command) => self.refind(),
            _ => self.selected = moved(self.selected, command, rows, self.found.len()),
        }
        self.offset = held(self.offset, self.selected, rows, self.found.len());
        Turn::Stay
    }

    pub(super) fn mouse(&mut self, mouse: Mouse, context: &Context) -> Turn {
        let list = split_top(parts::inside(Self::area(context)), 1).1;
        match mouse.kind {
            MouseKind::WheelUp => self.command(Command::Up, context),
            MouseKind::WheelDown => self.command(Command::Down, context),
            MouseKind::Press | MouseKind::DoublePress => match mouse.row_in(list).map(|row| self.offset + row) {
                Some(line) if line < self.found.len() => {
                    self.selected = line;
                    self.command(if self.many { Command::Toggle } else { Command::Accept }, context)
                }
                Some(_) => Turn::Stay,
                None => Turn::Close,
            },
            _ => Turn::Stay,
        }
    }

    pub(super) fn draw(&self, context: &Context, theme: &Theme, buffer: &mut Buffer) {
        let area = popup(context, WIDTH, HEIGHT, buffer);
        let words = if self.many { "Space on or off, Ctrl-↑↓ move" } else { "" };
        let title = Line::styled(self.title.as_str(), theme.strong);
        let inner = parts::panel(title, Line::styled(words, theme.dim), true, theme, area, buffer);
        let (line, list) = split_top(inner, 1);
        parts::typed(&self.input, "", "type to find", line, theme, buffer);
        for ((index, place), y) in self.found.iter().enumerate().skip(self.offset).zip(list.y..list.bottom()) {
            let item = &self.items[*place];
            let row = Rect { y, height: 1, ..list };
            let width = usize::from(row.width.saturating_sub(2));
            let mark = match (self.many, item.is_chosen) {
                (true, true) => "[x] ",
                (true, false) => "[ ] ",
                (false, _) => "",
            };
            let note_width = text::width(&item.note).min(width / 2);
            let style = if item.is_chosen { theme.strong } else { theme.text };
            let label = format!("{mark}{}", item.label);
            let cells = [
                Cell::new(&label, style, width.saturating_sub(note_width + 2), false),
                Cell::new(&item.note, theme.dim, note_width, true),
            ];
            parts::row(cells, 2, parts::padded(row), buffer);
            if index == self.selected {
                buffer.set_style(row, theme.selected);
            }
        }
        if self.found.is_empty() {
            parts::message("Nothing has these letters.", theme.dim, list, buffer);
        }
        parts::scrollbar(self.offset, usize::from(list.height), self.found.len(), theme, area, buffer);
    }
}
