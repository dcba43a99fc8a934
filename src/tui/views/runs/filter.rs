//! The filter of the table: the query that counts, and the one that is being typed.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::query::{Query, QueryError};

use super::super::super::input::Input;
use super::super::super::layout::split_top;
use super::super::super::theme::Theme;
use super::super::super::{parts, text};
use super::complete::Completion;

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
    /// What it may go on with.
    pub(in crate::tui) completion: Completion,
    /// The candidate that stands there now, while one after the other is tried.
    tried: Option<usize>,
    /// What counted when typing began.
    before: String,
}

impl Filter {
    /// Rows that the filter takes on the screen. While it is typed they stay as many, so that the table does not jump.
    pub(super) fn rows(&self) -> u16 {
        match &self.input {
            None if self.text.is_empty() => 0,
            None => 1,
            Some(_) => 3,
        }
    }

    /// Begins to type.
    pub(super) fn start(&mut self) {
        self.before = self.text.clone();
        self.input = Some(Input::new(&self.text));
        self.tried = None;
    }

    /// Ends typing and gives back what counted when it began.
    pub(super) fn take_back(&mut self) -> String {
        self.input = None;
        self.error = None;
        std::mem::take(&mut self.before)
    }

    /// The text up to the cursor.
    pub(super) fn before_cursor(&self) -> String {
        let Some(input) = &self.input else { return String::new() };
        input.text().chars().take(input.cursor()).collect()
    }

    /// Takes the candidates for what was typed.
    pub(super) fn offer(&mut self, completion: Completion) {
        self.completion = completion;
        self.tried = None;
    }

    /// Puts the next candidate in; says whether there is one.
    pub(super) fn complete(&mut self) -> bool {
        let Some(input) = &mut self.input else { return false };
        let count = self.completion.candidates.len();
        let next = self.tried.map_or(0, |tried| tried + 1);
        let Some(candidate) = self.completion.candidates.get(next % count.max(1)) else { return false };
        let rest: String = input.text().chars().skip(input.cursor()).collect();
        let start: String = input.text().chars().take(self.completion.start).collect();
        *input = Input::new(&format!("{start}{candidate}{rest}"));
        let behind = rest.chars().count();
        input.move_by(-isize::try_from(behind).unwrap_or(0));
        self.tried = Some(next % count);
        true
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

    /// Draws the filter, and below it what it may go on with and what is wrong with it, where the character in question
    /// is marked.
    pub(super) fn draw(&self, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let room = usize::from(area.width).saturating_sub(5);
        let (line, below) = split_top(area, 1);
        let Some(input) = &self.input else {
            buffer.set_stringn(line.x + 1, line.y, "/", 1, theme.accent);
            buffer.set_stringn(line.x + 3, line.y, text::shorten(&self.text, room), room, theme.text);
            return;
        };
        let example = "metrics.val_accuracy > 0.9 and params.lr = '0.01'";
        let typed = parts::typed(input, "/", example, line, theme, buffer);
        let (offers, problem) = split_top(below, 1);
        let mut spans = Vec::new();
        for (index, candidate) in self.completion.candidates.iter().enumerate().take(12) {
            let style = if self.tried == Some(index) { theme.accent } else { theme.dim };
            spans.push(Span::styled(format!("{}  ", text::clean(candidate)), style));
        }
        if !spans.is_empty() && offers.height > 0 {
            spans.insert(0, Span::styled("Tab ", theme.accent));
            buffer.set_line(line.x + 3, offers.y, &Line::from(spans), u16::try_from(room).unwrap_or(0));
        }
        if let Some(error) = self.error.as_ref().filter(|_| problem.height > 0) {
            let place = typed.column(error.column.saturating_sub(1));
            buffer[(place, line.y)].set_style(theme.bad.add_modifier(Modifier::UNDERLINED));
            buffer.set_stringn(line.x + 3, problem.y, text::shorten(&error.problem, room), room, theme.bad);
        }
    }
}
