//! A question before something is changed: what will be done, then yes or no.

use ratatui::buffer::Buffer;
use ratatui::text::Line;

use super::super::context::Context;
use super::super::keys::Command;
use super::super::list::moved;
use super::super::parts;
use super::super::theme::Theme;
use super::{Given, Purpose, Turn, place, popup};

const WIDTH: u16 = 76;

/// A question.
#[derive(Debug)]
pub(in super::super) struct Confirm {
    purpose: Purpose,
    title: String,
    /// What will be done, and what speaks for it and against it.
    lines: Vec<Line<'static>>,
    offset: usize,
}

impl Confirm {
    /// A question with its title and all that one has to know before saying yes.
    pub(in super::super) fn new(purpose: Purpose, title: String, lines: Vec<Line<'static>>) -> Self {
        Self { purpose, title, lines, offset: 0 }
    }

    fn height(&self) -> u16 {
        u16::try_from(self.lines.len()).unwrap_or(u16::MAX).saturating_add(4)
    }

    pub(super) fn command(&mut self, command: Command, context: &Context) -> Turn {
        match command {
            Command::Accept => Turn::Give(self.purpose.clone(), Given::Yes),
            Command::Back => Turn::Close,
            _ => {
                let rows = usize::from(place(context, WIDTH, self.height()).height.saturating_sub(4));
                self.offset = moved(self.offset, command, rows, (self.lines.len() + 1).saturating_sub(rows));
                Turn::Stay
            }
        }
    }

    pub(super) fn draw(&self, context: &Context, theme: &Theme, buffer: &mut Buffer) {
        let area = popup(context, WIDTH, self.height(), buffer);
        let title = Line::styled(crate::tui::text::shorten(&self.title, usize::from(area.width)), theme.strong);
        let inner = parts::panel(title, Line::default(), true, theme, area, buffer);
        let (list, question) = crate::tui::layout::split_bottom(inner, 2);
        for (line, y) in self.lines.iter().skip(self.offset).zip(list.y..list.bottom()) {
            buffer.set_line(list.x + 1, y, line, list.width.saturating_sub(2));
        }
        parts::scrollbar(self.offset, usize::from(list.height), self.lines.len(), theme, area, buffer);
        if question.height > 0 {
            let words = "Enter or y: do it   Esc or n: leave it";
            let y = question.bottom() - 1;
            buffer.set_stringn(question.x + 1, y, words, usize::from(question.width.saturating_sub(2)), theme.accent);
        }
    }
}
