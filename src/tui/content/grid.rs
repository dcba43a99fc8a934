//! A table of others: columns as wide as they need, scrolled both ways, its heading always in sight.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::tui::text;
use crate::tui::theme::Theme;

/// Columns of the screen that a cell may take.
const MAX_WIDTH: usize = 40;
/// Spaces between columns.
const GAP: usize = 2;

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::tui) struct Grid {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
    /// Whether a column has nothing but numbers, which stand at the right.
    is_number: Vec<bool>,
}

impl Grid {
    /// A table of these rows; rows may have more or fewer cells than the heading.
    pub(in crate::tui) fn new(heading: Vec<String>, rows: Vec<Vec<String>>) -> Self {
        let columns = rows.iter().map(Vec::len).chain([heading.len()]).max().unwrap_or(0);
        let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| text::width(&text::clean(cell)));
        let width = |column: usize| {
            let widest = rows.iter().chain([&heading]).map(|row| cell(row, column)).max().unwrap_or(0);
            widest.clamp(1, MAX_WIDTH)
        };
        let is_number = |column: usize| {
            let cells = || rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty());
            cells().next().is_some() && cells().all(|cell| cell.trim().parse::<f64>().is_ok())
        };
        let widths = (0..columns).map(width).collect();
        let is_number = (0..columns).map(is_number).collect();
        Self { heading, rows, widths, is_number }
    }

    /// How many rows there are, without the heading.
    pub(in crate::tui) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many columns there are.
    pub(in crate::tui) fn columns(&self) -> usize {
        self.widths.len()
    }

    /// Draws it, scrolled by rows and by columns.
    pub(in crate::tui) fn draw(&self, row: usize, column: usize, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let has_heading = self.heading.iter().any(|name| !name.is_empty());
        let mut y = area.y;
        if has_heading && area.height > 0 {
            self.line(&self.heading, column, theme.accent, Rect { height: 1, ..area }, buffer);
            y += 1;
        }
        for cells in self.rows.iter().skip(row) {
            if y >= area.bottom() {
                break;
            }
            self.line(cells, column, theme.text, Rect { y, height: 1, ..area }, buffer);
            y += 1;
        }
    }

    fn line(&self, cells: &[String], first: usize, style: Style, area: Rect, buffer: &mut Buffer) {
        let mut x = usize::from(area.x);
        for (column, width) in self.widths.iter().enumerate().skip(first) {
            let room = usize::from(area.right()).saturating_sub(x);
            if room == 0 {
                break;
            }
            let words = text::shorten(cells.get(column).map_or("", String::as_str), (*width).min(room));
            let margin = if self.is_number[column] { width.saturating_sub(text::width(&words)) } else { 0 };
            let place = u16::try_from(x + margin).unwrap_or(u16::MAX);
            if place < area.right() {
                buffer.set_span(place, area.y, &Span::styled(words, style), area.right() - place);
            }
            x += width + GAP;
        }
    }
}
