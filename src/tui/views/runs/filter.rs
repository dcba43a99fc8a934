//! The filter of the table: the query that counts, and the one that is being typed.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use crate::query::{Query, QueryError};

use super::super::super::input::Input;
use super::super::super::layout::split_top;
use super::super::super::theme::Theme;
use super::super::super::{parts, text};

/// The filter: what counts, and what is being typed.
#[derive(Debug, Default)]
pub(in crate::tui) struct Filter {
    /// The text of the query that counts.
    pub(in crate::tui) text: String,
    pub(super) query: Option<Query>,
    /// The line that is being typed.
    pub(in crate::tui) input: Option<Input>,
    /// What is wrong with it.
    pub(in crate::tui) error: Option<QueryError>,
    /// What counted when typing began.
    before: String,
}

impl Filter {
    /// Rows that the filter takes on the screen.
    pub(super) fn rows(&self) -> u16 {
        match (&self.input, &self.error) {
            (None, _) if self.text.is_empty() => 0,
            (Some(_), Some(_)) => 2,
            _ => 1,
        }
    }

    /// Begins to type.
    pub(super) fn start(&mut self) {
        self.before = self.text.clone();
        self.input = Some(Input::new(&self.text));
    }

    /// Ends typing and gives back what counted when it began.
    pub(super) fn take_back(&mut self) -> String {
        self.input = None;
        self.error = None;
        std::mem::take(&mut self.before)
    }

    /// Makes `text` the query that counts, if it is one.
    pub(super) fn apply(&mut self, text: &str, now: Timestamp) {
        let parsed = if text.trim().is_empty() { Ok(None) } else { Query::parse_at(text, now).map(Some) };
        match parsed {
            Ok(query) => {
                self.query = query;
                self.text = text.trim().to_owned();
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Draws the filter, and below it what is wrong with it, where the character in question is marked.
    pub(super) fn draw(&self, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let (line, below) = split_top(area, 1);
        let Some(input) = &self.input else {
            let room = usize::from(area.width).saturating_sub(5);
            buffer.set_stringn(line.x + 1, line.y, "/", 1, theme.accent);
            buffer.set_stringn(line.x + 3, line.y, text::shorten(&self.text, room), room, theme.text);
            return;
        };
        let example = "metrics.val_accuracy > 0.9 and params.lr = '0.01'";
        let typed = parts::typed(input, "/", example, line, theme, buffer);
        if let Some(error) = self.error.as_ref().filter(|_| below.height > 0) {
            let place = typed.column(error.column.saturating_sub(1));
            // The cursor stays what it is where it stands on the character in question.
            buffer[(place, line.y)].set_style(theme.bad.add_modifier(Modifier::UNDERLINED));
            let room = usize::from(area.width).saturating_sub(5);
            buffer.set_stringn(line.x + 3, below.y, text::shorten(&error.problem, room), room, theme.bad);
        }
    }
}
