//! How the files of artifacts are drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::tui::content::highlight::{Ink, InkedLine};
use crate::tui::content::preview::{Content, Preview};
use crate::tui::content::tree::RowKind;
use crate::tui::context::Load;
use crate::tui::parts::{self, Cell, message};
use crate::tui::text;
use crate::tui::theme::{ColorDepth, Theme};
use crate::words;

use super::{FilesPane, Focus, Row};

/// Columns of a size.
const SIZE: usize = 9;

/// Draws the tree and the preview, or the one that has the keys where there is room for one.
pub(in crate::tui) fn draw(
    pane: &FilesPane,
    title: &str,
    active: bool,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let (left, right) = pane.places(area);
    if left.width > 0 {
        tree(pane, title, active && pane.focus == Focus::Tree, theme, left, buffer);
    }
    if right.width > 0 {
        look(pane, active && pane.focus == Focus::Preview, theme, right, buffer);
    }
}

fn tree(pane: &FilesPane, title: &str, active: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let inner =
        parts::panel(Line::styled(title.to_owned(), theme.strong), Line::default(), active, theme, area, buffer);
    let rows = pane.rows();
    let width = usize::from(inner.width.saturating_sub(2));
    for ((index, row), y) in rows.iter().enumerate().skip(pane.offset).zip(inner.y..inner.bottom()) {
        let place = Rect { x: inner.x + 1, y, width: inner.width.saturating_sub(2), height: 1 };
        let name_width = width.saturating_sub(SIZE + 1);
        let cells = match row {
            Row::Root(root, is_open) => {
                let root = &pane.roots[*root];
                let mark = if *is_open { "▾" } else { "▸" };
                let name = text::shorten(&root.name, name_width.saturating_sub(3));
                let what = text::shorten(&root.what, name_width.saturating_sub(text::width(&name) + 4));
                let line = Line::from(vec![
                    Span::styled(format!("{mark} "), theme.dim),
                    Span::styled(name, theme.strong),
                    Span::styled(format!("  {what}"), theme.dim),
                ]);
                let size = root.bytes.map(words::size).unwrap_or_default();
                [Cell { line, width: name_width, right: false }, Cell::new(&size, theme.dim, SIZE, true)]
            }
            Row::Word(_, words) => {
                let line = Line::styled(format!("    {}", text::shorten(words, width.saturating_sub(4))), theme.dim);
                [Cell { line, width, right: false }, Cell::new("", theme.dim, 0, true)]
            }
            Row::Node { name, depth, bytes, kind, .. } => {
                let (mark, style, note) = match kind {
                    RowKind::File(_) => (" ", theme.text, String::new()),
                    RowKind::Folder { is_open: true, .. } => ("▾", theme.accent, String::new()),
                    RowKind::Folder { is_open: false, files } => {
                        ("▸", theme.accent, format!("  {}", words::count(*files as u64, "file")))
                    }
                };
                let margin = " ".repeat((2 + 2 * depth).min(name_width / 2));
                let room = name_width.saturating_sub(text::width(&margin) + 2);
                let name = text::shorten(name, room);
                let note = text::shorten(&note, room.saturating_sub(text::width(&name)));
                let line = Line::from(vec![
                    Span::styled(format!("{margin}{mark} "), theme.dim),
                    Span::styled(name, style),
                    Span::styled(note, theme.dim),
                ]);
                let size = Cell::new(&words::size(*bytes), theme.dim, SIZE, true);
                [Cell { line, width: name_width, right: false }, size]
            }
        };
        parts::row(cells, 1, place, buffer);
        if index == pane.selected {
            buffer.set_style(
                Rect { x: inner.x, y, width: inner.width, height: 1 },
                if active { theme.selected } else { theme.strong },
            );
        }
    }
    parts::scrollbar(pane.offset, usize::from(inner.height), rows.len(), theme, area, buffer);
}

fn look(pane: &FilesPane, active: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let Some((key, preview)) = &pane.preview else {
        let inner = parts::panel(Line::styled("Preview", theme.strong), Line::default(), active, theme, area, buffer);
        return message("Choose a file.", theme.dim, inner, buffer);
    };
    let kind = preview.ready().map_or_else(String::new, |preview| preview.kind.clone());
    let name = key.path.rsplit('/').next().unwrap_or(&key.path);
    let room = usize::from(area.width).saturating_sub(text::width(&kind) + 12);
    let title = Line::styled(text::shorten(name, room), theme.strong);
    let inner = parts::panel(title, Line::styled(kind, theme.dim), active, theme, area, buffer);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    match preview {
        Load::Waiting => message("Loading …", theme.dim, inner, buffer),
        Load::Failed(problem) => message(problem, theme.bad, inner, buffer),
        Load::Ready(preview) => content(preview, pane.scroll, theme, area, inner, buffer),
    }
}

fn content(
    preview: &Preview,
    (row, column): (usize, usize),
    theme: &Theme,
    area: Rect,
    inner: Rect,
    buffer: &mut Buffer,
) {
    let remark = preview.remark.as_deref();
    match &preview.content {
        Content::Nothing => return message(remark.unwrap_or_default(), theme.dim, inner, buffer),
        Content::Picture(picture) if theme.depth == ColorDepth::None => {
            let (width, height) = picture.size;
            let words = format!("A picture of {width}×{height} pixels. It takes colours to draw it, and they are off.");
            return message(&words, theme.dim, inner, buffer);
        }
        Content::Picture(picture) => picture.draw(theme.depth, inner, buffer),
        Content::Table(grid) => {
            grid.draw(row, column, theme, inner, buffer);
            parts::scrollbar(row, usize::from(inner.height), grid.len() + 1, theme, area, buffer);
        }
        Content::Lines(lines) if lines.is_empty() => message("The file is empty.", theme.dim, inner, buffer),
        Content::Lines(lines) => {
            for (line, y) in lines.iter().skip(row).zip(inner.y..inner.bottom()) {
                inked(line, column, theme, Rect { y, height: 1, ..inner }, buffer);
            }
            parts::scrollbar(row, usize::from(inner.height), lines.len(), theme, area, buffer);
        }
    }
    if let Some(remark) = remark
        && area.height > 2
    {
        let words = format!(" {} ", text::shorten(remark, usize::from(area.width).saturating_sub(8)));
        buffer.set_stringn(area.x + 2, area.bottom() - 1, words, usize::from(area.width.saturating_sub(4)), theme.warn);
    }
}

/// A line of a file, from a column on.
fn inked(line: &InkedLine, column: usize, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let mut skip = column;
    let mut x = area.x;
    for (ink, text) in line {
        let before = text::take(text, skip);
        skip = skip.saturating_sub(text::width(text));
        let shown = &text[before.len()..];
        if !shown.is_empty() && x < area.right() {
            x = buffer.set_span(x, area.y, &Span::styled(shown, style_of(*ink, theme)), area.right() - x).0;
        }
    }
}

fn style_of(ink: Ink, theme: &Theme) -> Style {
    match ink {
        Ink::Plain => theme.text,
        Ink::Key => theme.accent,
        Ink::Text => theme.good,
        Ink::Number => theme.lines[1],
        Ink::Comment => theme.dim,
        Ink::Heading => theme.accent.add_modifier(Modifier::BOLD),
    }
}
