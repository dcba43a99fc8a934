//! The help: the table of keys, as it is.

use ratatui::buffer::Buffer;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::super::app::App;
use super::super::keys::{BINDINGS, Key, Scope};
use super::super::theme::{Background, ColorDepth, Theme};
use super::super::{layout, text};
use super::parts;

const SECTIONS: [Scope; 5] = [Scope::Runs, Scope::Run, Scope::Registry, Scope::Input, Scope::Anywhere];
const KEYS: usize = 22;
/// Columns that a section needs.
const WIDTH: u16 = 76;

/// How far the help can be scrolled on a screen of this size.
pub(in super::super) fn scroll_limit(size: (u16, u16)) -> usize {
    let theme = Theme::new(ColorDepth::None, Background::Dark);
    let body = layout::parts(size).body;
    let longest = columns(&theme, body.width).iter().map(Vec::len).max().unwrap_or(0);
    longest.saturating_sub(usize::from(body.height.saturating_sub(2)))
}

fn section(scope: Scope, theme: &Theme) -> Vec<Line<'static>> {
    let heading = Line::styled(scope.title(), theme.accent.add_modifier(Modifier::BOLD));
    let lines = BINDINGS.iter().filter(|line| line.scope == scope).map(|binding| {
        let keys = binding.keys.iter().map(Key::label).collect::<Vec<_>>().join(" ");
        let margin = " ".repeat(KEYS.saturating_sub(text::width(&keys)).max(1));
        Line::from(vec![Span::styled(format!("{keys}{margin}"), theme.strong), Span::styled(binding.help, theme.text)])
    });
    std::iter::once(heading).chain(lines).chain([Line::default()]).collect()
}

/// The sections in one column, or in two where there is room.
fn columns(theme: &Theme, width: u16) -> Vec<Vec<Line<'static>>> {
    let (first, second) = SECTIONS.split_at(if width >= 2 * WIDTH { 3 } else { SECTIONS.len() });
    let column = |scopes: &[Scope]| {
        let mut lines: Vec<Line<'static>> = scopes.iter().flat_map(|scope| section(*scope, theme)).collect();
        lines.pop();
        lines
    };
    [first, second].into_iter().filter(|scopes| !scopes.is_empty()).map(column).collect()
}

/// Draws the help in place of the view, scrolled by `offset` lines.
pub(super) fn draw(app: &App, offset: usize, theme: &Theme, buffer: &mut Buffer) {
    let area = layout::parts(app.size).body;
    let inner = parts::panel(Line::styled("Keys", theme.strong), Line::default(), true, theme, area, buffer);
    let columns = columns(theme, area.width);
    let offset = offset.min(scroll_limit(app.size));
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
