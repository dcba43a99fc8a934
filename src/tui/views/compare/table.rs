//! The table of what differs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::super::keys::Command;
use super::super::super::list::moved;
use super::super::super::parts::{self, Cell};
use super::super::super::text;
use super::super::super::theme::Theme;
use super::rows::{Row, Section};

/// Columns of a run: at least, and at most.
const WIDTHS: (usize, usize) = (17, 30);
/// Columns between two runs.
const GAP: usize = 2;

/// How far the table is scrolled.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Rows that are scrolled away.
    offset: usize,
    /// Runs after the first one that are scrolled away at the left.
    column: usize,
}

/// A run in the table's heading.
pub(super) struct Head {
    pub(super) name: String,
    pub(super) color: usize,
}

fn name_width(area: Rect) -> usize {
    (usize::from(area.width) / 4).clamp(14, 32)
}

/// Runs that have room beside the names of the rows, and the columns of each.
fn room(area: Rect, runs: usize) -> (usize, usize) {
    let columns = usize::from(area.width).saturating_sub(2 + name_width(area));
    let room = (columns / (WIDTHS.0 + GAP)).clamp(1, runs.max(1));
    (room, (columns / room).saturating_sub(GAP).clamp(WIDTHS.0, WIDTHS.1))
}

fn line_count(sections: &[Section]) -> usize {
    sections.iter().map(|section| section.rows.len() + 2).sum::<usize>().saturating_sub(1)
}

impl Table {
    /// Scrolls; `area` is the table's with its border, and there are `runs` runs.
    pub(super) fn command(&mut self, command: Command, sections: &[Section], runs: usize, area: Rect) {
        let stops = runs.saturating_sub(room(parts::inside(area), runs).0);
        match command {
            Command::Left => self.column = self.column.min(stops).saturating_sub(1),
            Command::Right => self.column = (self.column + 1).min(stops),
            _ => {
                let rows = usize::from(area.height.saturating_sub(3));
                self.offset = moved(self.offset, command, rows, (line_count(sections) + 1).saturating_sub(rows));
            }
        }
    }

    /// Draws the rows below the names of the runs. The first run stays where it is: the others are compared with it.
    pub(super) fn draw(&self, heads: &[Head], sections: &[Section], area: Rect, theme: &Theme, buffer: &mut Buffer) {
        let title = Line::styled("What differs", theme.strong);
        let inner = parts::panel(title, Line::default(), true, theme, area, buffer);
        if inner.height < 2 {
            return;
        }
        let (room, width) = room(inner, heads.len());
        let column = self.column.min(heads.len().saturating_sub(room));
        let seen: Vec<usize> = std::iter::once(0).chain(1 + column..heads.len()).take(room.min(heads.len())).collect();
        let names = name_width(inner);
        let line = |y: u16| parts::padded(Rect { y, height: 1, ..inner });
        let hidden = heads.len() - seen.len();
        let more = if hidden > 0 { format!("← → {hidden} more") } else { String::new() };
        let head = |place: &usize| Cell::new(&heads[*place].name, theme.run(heads[*place].color), width, false);
        let corner = Cell::new(&more, theme.dim, names, false);
        parts::row(std::iter::once(corner).chain(seen.iter().map(head)), GAP, line(inner.y), buffer);
        if sections.is_empty() {
            let words = "The runs are the same in all that is recorded of them. `a` shows what that is.";
            let below = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
            return parts::message(words, theme.dim, below, buffer);
        }
        let rows = usize::from(inner.height - 1);
        let count = line_count(sections);
        let offset = self.offset.min(count.saturating_sub(rows));
        let lines = sections.iter().enumerate().flat_map(|(index, section)| {
            let gap = (index > 0).then_some(None);
            let heading = Some(Some(Err(section.title)));
            gap.into_iter().chain(heading).chain(section.rows.iter().map(|row| Some(Ok(row))))
        });
        for (shown, y) in lines.skip(offset).zip(inner.y + 1..inner.bottom()) {
            match shown {
                None => {}
                Some(Err(title)) => {
                    buffer.set_stringn(inner.x + 1, y, title, usize::from(inner.width - 1), theme.strong);
                }
                Some(Ok(row)) => {
                    let name = Cell::new(&format!("  {}", row.name), theme.dim, names, false);
                    let cells = seen.iter().map(|place| cell(row, *place, width, theme));
                    parts::row(std::iter::once(name).chain(cells), GAP, line(y), buffer);
                }
            }
        }
        parts::scrollbar(offset, rows, count, theme, area, buffer);
    }
}

fn cell(row: &Row, place: usize, width: usize, theme: &Theme) -> Cell<'static> {
    let value = &row.values[place];
    let style = match value {
        value if value.is_best => theme.best,
        value if value.is_odd => theme.bad,
        // What is the same as in the first run is less of note.
        value if place > 0 && value.words == row.values[0].words => theme.dim,
        _ => theme.text,
    };
    let words = if value.words.is_empty() { "–" } else { &value.words };
    let delta = if value.delta.is_empty() { 0 } else { text::width(&value.delta) + 1 };
    let mut line = Line::from(Span::styled(text::shorten(words, width.saturating_sub(delta)), style));
    if delta > 0 {
        line.push_span(Span::styled(format!(" {}", value.delta), theme.dim));
    }
    Cell { line, width, right: false }
}
