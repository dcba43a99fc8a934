//! The command palette: all that can be done here, found by some letters.

use ratatui::buffer::Buffer;
use ratatui::text::{Line, Span};

use super::super::context::Context;
use super::super::input::Input;
use super::super::keys::{self, Binding, Command, Scope};
use super::super::layout::split_top;
use super::super::list::{held, moved};
use super::super::mouse::{Mouse, MouseKind};
use super::super::parts::{self, Cell};
use super::super::theme::Theme;
use super::super::{fuzzy, text};
use super::{Turn, place, popup};

const WIDTH: u16 = 72;
const HEIGHT: u16 = 18;

/// The palette.
#[derive(Debug)]
pub(in super::super) struct Palette {
    lines: Vec<&'static Binding>,
    input: Input,
    /// Places of the lines that fit what is typed, the best first.
    found: Vec<usize>,
    selected: usize,
    offset: usize,
}

impl Palette {
    /// All commands of a view, its own first.
    pub(in super::super) fn new(scope: Scope) -> Self {
        let lines: Vec<&'static Binding> = keys::lines(scope).filter(|line| line.command != Command::Palette).collect();
        let found = (0..lines.len()).collect();
        Self { lines, input: Input::default(), found, selected: 0, offset: 0 }
    }

    fn rows(context: &Context) -> usize {
        usize::from(place(context, WIDTH, HEIGHT).height.saturating_sub(3))
    }

    fn refind(&mut self) {
        self.found = fuzzy::find(&self.input.text(), self.lines.iter().map(|line| line.help));
        (self.selected, self.offset) = (0, 0);
    }

    pub(super) fn type_character(&mut self, character: char) {
        self.input.insert(character);
        self.refind();
    }

    pub(super) fn command(&mut self, command: Command, context: &Context) -> Turn {
        match command {
            Command::Back => return Turn::Close,
            Command::Accept => {
                let chosen = self.found.get(self.selected).map(|place| self.lines[*place].command);
                return chosen.map_or(Turn::Stay, Turn::Do);
            }
            _ if self.input.apply(command) => self.refind(),
            _ => {
                let rows = Self::rows(context);
                self.selected = moved(self.selected, command, rows, self.found.len());
                self.offset = held(self.offset, self.selected, rows, self.found.len());
            }
        }
        Turn::Stay
    }

    pub(super) fn mouse(&mut self, mouse: Mouse, context: &Context) -> Turn {
        let list = split_top(parts::inside(place(context, WIDTH, HEIGHT)), 1).1;
        match mouse.kind {
            MouseKind::WheelUp => self.command(Command::Up, context),
            MouseKind::WheelDown => self.command(Command::Down, context),
            MouseKind::Press => match mouse.row_in(list).map(|row| self.offset + row) {
                Some(line) if line < self.found.len() => {
                    self.selected = line;
                    self.command(Command::Accept, context)
                }
                Some(_) => Turn::Stay,
                None => Turn::Close,
            },
            _ => Turn::Stay,
        }
    }

    pub(super) fn draw(&self, context: &Context, theme: &Theme, buffer: &mut Buffer) {
        let area = popup(context, WIDTH, HEIGHT, buffer);
        let title = Line::styled("Commands", theme.strong);
        let inner = parts::panel(title, Line::default(), true, theme, area, buffer);
        let (line, list) = split_top(inner, 1);
        parts::typed(&self.input, ":", "what do you want to do?", line, theme, buffer);
        let rows = self.found.iter().enumerate().skip(self.offset).zip(list.y..list.bottom());
        for ((index, place), y) in rows {
            let binding = self.lines[*place];
            let keys = binding.keys.iter().map(keys::Key::label).collect::<Vec<_>>().join(" ");
            let row = ratatui::layout::Rect { y, height: 1, ..list };
            let width = usize::from(row.width.saturating_sub(2));
            let keys_width = text::width(&keys).min(width / 2);
            let words = Cell::new(binding.help, theme.text, width.saturating_sub(keys_width + 2), false);
            let keys = Cell { line: Line::from(Span::styled(keys, theme.dim)), width: keys_width, right: true };
            parts::row([words, keys], 2, parts::padded(row), buffer);
            if index == self.selected {
                buffer.set_style(row, theme.selected);
            }
        }
        if self.found.is_empty() {
            parts::message("No command has these letters.", theme.dim, list, buffer);
        }
        parts::scrollbar(self.offset, usize::from(list.height), self.found.len(), theme, area, buffer);
    }
}
