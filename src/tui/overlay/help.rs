//! The help: the table of keys, as it is.

use ratatui::buffer::Buffer;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::super::bindings::BINDINGS;
use super::super::context::Context;
use super::super::keys::{Command, Key, Scope};
use super::super::list::moved;
use super::super::mouse::{Mouse, MouseKind};
use super::super::theme::{Background, ColorDepth, Theme};
use super::super::{layout, parts, text};
use super::Turn;

const KEYS: usize = 22;
/// Columns that a section needs.
const WIDTH: u16 = 76;

/// The help, scrolled by some lines.
#[derive(Debug)]
pub(in super::super) struct Help {
    /// The view whose keys come first.
    scope: Scope,
    pub(in super::super) offset: usize,
}

impl Help {
    /// The help, the keys of a view first.
    pub(in super::super) fn new(scope: Scope) -> Self {
        Self { scope, offset: 0 }
    }

    /// How far it can be scrolled.
    pub(in super::super) fn scroll_limit(&self, context: &Context) -> usize {
        let theme = Theme::new(ColorDepth::None, Background::Dark);
        let body = context.body();
        let longest = self.columns(&theme, body.width).iter().map(Vec::len).max().unwrap_or(0);
        longest.saturating_sub(usize::from(body.height.saturating_sub(2)))
    }

    pub(super) fn command(&mut self, command: Command, context: &Context) -> Turn {
        if command == Command::Back {
            return Turn::Close;
        }
        let page = usize::from(context.body().height.saturating_sub(2));
        self.offset = moved(self.offset, command, page, self.scroll_limit(context) + 1);
        Turn::Stay
    }

    pub(super) fn mouse(&mut self, mouse: Mouse, context: &Context) -> Turn {
        match mouse.kind {
            MouseKind::WheelUp => self.command(Command::Up, context),
            MouseKind::WheelDown => self.command(Command::Down, context),
            _ => Turn::Stay,
        }
    }

    fn sections(&self) -> Vec<Scope> {
        let here = self.scope.chain().iter().copied();
        let rest = Scope::ALL.into_iter().filter(|scope| !self.scope.chain().contains(scope));
        let has_keys = |scope: &Scope| BINDINGS.iter().any(|line| line.scope == *scope && !line.keys.is_empty());
        here.chain(rest).filter(has_keys).collect()
    }

    /// The sections in one column, or in two where there is room.
    fn columns(&self, theme: &Theme, width: u16) -> Vec<Vec<Line<'static>>> {
        let sections: Vec<Vec<Line<'static>>> =
            self.sections().into_iter().map(|scope| section(scope, theme)).collect();
        let all: usize = sections.iter().map(Vec::len).sum();
        let mut columns = vec![Vec::new()];
        for lines in sections {
            let wants_another =
                width >= 2 * WIDTH && columns.len() == 1 && columns[0].len() + lines.len() > all / 2 + 4;
            if wants_another {
                columns.push(Vec::new());
            }
            if let Some(column) = columns.last_mut() {
                column.extend(lines);
            }
        }
        columns.iter_mut().for_each(|column| drop(column.pop()));
        columns
    }

    pub(super) fn draw(&self, context: &Context, theme: &Theme, buffer: &mut Buffer) {
        let area = context.body();
        Clear.render(area, buffer);
        let inner = parts::panel(Line::styled("Keys", theme.strong), Line::default(), true, theme, area, buffer);
        let columns = self.columns(theme, area.width);
        let offset = self.offset.min(self.scroll_limit(context));
        let mut rest = inner;
        for lines in &columns {
            let (place, after) = layout::split_left(rest, inner.width / u16::try_from(columns.len()).unwrap_or(1));
            for (line, y) in lines.iter().skip(offset).zip(place.y..place.bottom()) {
                buffer.set_line(place.x + 1, y, line, place.width.saturating_sub(2));
            }
            rest = after;
        }
        let longest = columns.iter().map(Vec::len).max().unwrap_or(0);
        parts::scrollbar(offset, usize::from(inner.height), longest, theme, area, buffer);
    }
}

fn section(scope: Scope, theme: &Theme) -> Vec<Line<'static>> {
    let heading = Line::styled(scope.title(), theme.accent.add_modifier(Modifier::BOLD));
    let bindings = BINDINGS.iter().filter(|line| line.scope == scope && !line.keys.is_empty());
    let lines = bindings.map(|binding| {
        let keys = binding.keys.iter().map(Key::label).collect::<Vec<_>>().join(" ");
        let margin = " ".repeat(KEYS.saturating_sub(text::width(&keys)).max(1));
        Line::from(vec![Span::styled(format!("{keys}{margin}"), theme.strong), Span::styled(binding.help, theme.text)])
    });
    std::iter::once(heading).chain(lines).chain([Line::default()]).collect()
}
