//! A question before something is changed: what will be done, then yes or no.

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::context::Context;
use super::super::keys::Command;
use super::super::list::moved;
use super::super::theme::Theme;
use super::super::{layout, parts, text};
use super::{Given, Purpose, Turn, place, popup};

const WIDTH: u16 = 100;

/// How a line of a question is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Tone {
    Plain,
    Strong,
    Dim,
    /// It speaks for the change.
    Good,
    /// It speaks against it.
    Bad,
}

impl Tone {
    fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Plain => theme.text,
            Self::Strong => theme.strong,
            Self::Dim => theme.dim,
            Self::Good => theme.good,
            Self::Bad => theme.bad,
        }
    }
}

/// A question.
#[derive(Debug)]
pub(in super::super) struct Confirm {
    purpose: Purpose,
    title: String,
    /// What will be done, and what speaks for it and against it.
    lines: Vec<(Tone, String)>,
    offset: usize,
}

impl Confirm {
    /// A question with its title and all that one has to know before saying yes.
    pub(in super::super) fn new(purpose: Purpose, title: String, lines: Vec<(Tone, String)>) -> Self {
        Self { purpose, title, lines, offset: 0 }
    }

    /// The lines, those that are too long cut into several.
    fn wrapped(&self, context: &Context) -> Vec<(Tone, String)> {
        let width = usize::from(place(context, WIDTH, u16::MAX).width.saturating_sub(4));
        let wrap = |(tone, words): &(Tone, String)| match text::width(words) <= width {
            true => vec![(*tone, words.clone())],
            false => parts::wrapped(words, width).into_iter().map(|line| (*tone, line)).collect(),
        };
        self.lines.iter().flat_map(wrap).collect()
    }

    fn height(lines: usize) -> u16 {
        u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(4)
    }

    pub(super) fn command(&mut self, command: Command, context: &Context) -> Turn {
        match command {
            Command::Accept => Turn::Give(self.purpose.clone(), Given::Yes),
            Command::Back => Turn::Close,
            _ => {
                let lines = self.wrapped(context).len();
                let rows = usize::from(place(context, WIDTH, Self::height(lines)).height.saturating_sub(4));
                self.offset = moved(self.offset, command, rows, (lines + 1).saturating_sub(rows));
                Turn::Stay
            }
        }
    }

    pub(super) fn draw(&self, context: &Context, theme: &Theme, buffer: &mut Buffer) {
        let lines = self.wrapped(context);
        let area = popup(context, WIDTH, Self::height(lines.len()), buffer);
        let title = Line::styled(text::shorten(&self.title, usize::from(area.width)), theme.strong);
        let inner = parts::panel(title, Line::default(), true, theme, area, buffer);
        let (list, question) = layout::split_bottom(inner, 2);
        let width = usize::from(list.width.saturating_sub(2));
        for ((tone, words), y) in lines.iter().skip(self.offset).zip(list.y..list.bottom()) {
            buffer.set_stringn(list.x + 1, y, text::shorten(words, width), width, tone.style(theme));
        }
        parts::scrollbar(self.offset, usize::from(list.height), lines.len(), theme, area, buffer);
        if question.height > 0 {
            let words = "Enter or y: do it   Esc or n: leave it";
            let y = question.bottom() - 1;
            buffer.set_stringn(question.x + 1, y, words, usize::from(question.width.saturating_sub(2)), theme.accent);
        }
    }
}
