//! How the table of runs looks.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::catalog::Row;
use crate::query::{Attribute, Field, Value};
use crate::run::Run;
use crate::words;

use super::super::super::context::{Context, Load};
use super::super::super::layout::{split_left, split_top};
use super::super::super::parts::{self, Cell};
use super::super::super::text;
use super::super::super::theme::Theme;
use super::super::run;
use super::RunsView;
use super::columns::{self, Column, GAP, Kind, status_of};
use super::lines::{self, Group};

/// Draws the table, the filter, and the chosen run in short where there is room.
pub(super) fn draw(view: &RunsView, context: &Context, theme: &Theme, buffer: &mut Buffer) {
    let places = view.layout(context);
    table(view, context, theme, places.table, buffer);
    match &view.find {
        Some(find) => {
            let typed = find.input.text();
            let found = match find.found.len() {
                _ if typed.trim().is_empty() => String::new(),
                0 => "no such name".to_owned(),
                count => format!("{} of {count}", find.at + 1),
            };
            parts::typed(&find.input, "name", "letters of a run's name", places.filter, theme, buffer);
            parts::ends(Line::default(), Line::styled(format!("{found} "), theme.dim), places.filter, buffer);
        }
        None => view.filter.draw(theme, places.filter, buffer),
    }
    let Some(area) = places.preview else { return };
    let run = view.selected_row().and_then(|row| context.records.get(&row.id()));
    match run {
        Some(run) => preview(view, run, context, theme, area, buffer),
        None => _ = parts::panel(Line::default(), Line::default(), false, theme, area, buffer),
    }
}

fn table(view: &RunsView, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (shown, all) = view.table().map_or((0, 0), |table| (table.len(), table.known()));
    let count = match view.sheet {
        Load::Ready(_) if shown < all => format!("{shown} of {}", words::count(all as u64, "run")),
        Load::Ready(_) => words::count(all as u64, "run"),
        Load::Waiting | Load::Failed(_) => String::new(),
    };
    let unread = match context.records.problems {
        0 => Span::raw(""),
        problems => Span::styled(format!(" · {problems} unreadable"), theme.warn),
    };
    let right = Line::from(vec![Span::styled(count, theme.dim), unread]);
    let title = match &view.group {
        Some(field) => Line::from(vec![
            Span::styled("Runs", theme.strong),
            Span::styled(format!(" by {}", Kind::Value(field.clone()).title()), theme.dim),
        ]),
        None => Line::styled("Runs", theme.strong),
    };
    let inner = parts::panel(title, right, true, theme, area, buffer);
    match &view.sheet {
        Load::Waiting => return parts::message("Loading the runs …", theme.dim, inner, buffer),
        Load::Failed(problem) => {
            return parts::message(&format!("The runs cannot be read: {problem}"), theme.bad, inner, buffer);
        }
        Load::Ready(_) if all == 0 => {
            let words = "No runs yet. Start one with `git ml run -- COMMAND` or `git ml train`; it will appear here.";
            return parts::message(words, theme.dim, inner, buffer);
        }
        Load::Ready(_) if shown == 0 => {
            return parts::message("No run matches the filter. Esc shows all of them.", theme.dim, inner, buffer);
        }
        Load::Ready(_) => {}
    }
    let (heading, body) = split_top(inner, 1);
    parts::row(
        view.columns.iter().map(|column| heading_cell(view, column, theme)),
        GAP,
        parts::padded(heading),
        buffer,
    );
    let rows = usize::from(body.height);
    for (index, y) in (view.offset..view.lines().count()).zip(body.y..body.bottom()) {
        let line = Rect { y, height: 1, ..body };
        match view.lines().at(index) {
            Some(lines::Line::Group(group)) => group_line(&view.lines().groups()[group], theme, line, buffer),
            Some(lines::Line::Row(_)) | None => {
                if let Some(row) = view.row_at(index) {
                    run_line(view, &row, context, theme, line, buffer);
                }
            }
        }
        if index == view.selected {
            buffer.set_style(line, theme.selected);
        }
    }
    parts::scrollbar(view.offset, rows, view.lines().count(), theme, area, buffer);
}

/// What the runs of a group have in common, as its heading says it.
pub(super) fn group_label(field: &Field, value: Option<Value<'_>>) -> String {
    let words = columns::plain(value, jiff::Timestamp::UNIX_EPOCH);
    match field {
        Field::Attribute(Attribute::Commit | Attribute::Snapshot) => words.chars().take(8).collect(),
        _ => words,
    }
}

fn group_line(group: &Group, theme: &Theme, line: Rect, buffer: &mut Buffer) {
    let mark = if group.is_folded { "▸" } else { "▾" };
    let label = if group.label.is_empty() { "(none)" } else { &group.label };
    let words = Line::from(vec![
        Span::styled(format!(" {mark} "), theme.accent),
        Span::styled(text::clean(label), theme.strong),
        Span::styled(format!("  {}", words::count(group.rows as u64, "run")), theme.dim),
    ]);
    buffer.set_line(line.x, line.y, &words, line.width);
}

fn run_line(view: &RunsView, row: &Row<'_>, context: &Context, theme: &Theme, line: Rect, buffer: &mut Buffer) {
    let cells = view.columns.iter().map(|column| cell(view, column, row, context, theme));
    parts::row(cells, GAP, parts::padded(line), buffer);
    let run_id = row.id();
    if context.marks.contains(&run_id) {
        buffer[(line.x, line.y)].set_symbol("▌").set_style(theme.run(context.color(&run_id)));
    }
}

fn heading_cell(view: &RunsView, column: &Column, theme: &Theme) -> Cell<'static> {
    let sorted = column.sort_key().is_some_and(|key| key == view.sort.key);
    if !sorted {
        return Cell::new(&column.title, theme.dim, column.width, column.right);
    }
    let arrow = if view.sort.descending { "↓" } else { "↑" };
    if column.width <= 1 {
        return Cell::new(arrow, theme.accent, column.width, column.right);
    }
    let title = text::shorten(&column.title, column.width - 1);
    // The arrow stands in the gap's side, so that numbers and their heading stay in line.
    let words = if column.right { format!("{arrow}{title}") } else { format!("{title}{arrow}") };
    Cell::new(&words, theme.accent, column.width, column.right)
}

fn cell(view: &RunsView, column: &Column, row: &Row<'_>, context: &Context, theme: &Theme) -> Cell<'static> {
    let field = match &column.kind {
        Kind::Spark(metric) => {
            let run_id = row.id();
            let spark = parts::sparkline(view.spark(&run_id, metric));
            return Cell::new(&spark, theme.run(context.color(&run_id)), column.width, false);
        }
        Kind::Value(field) => field,
    };
    let words = column.text(row, context.now);
    let style = match field {
        Field::Attribute(Attribute::Status) => {
            let status = status_of(row);
            return Cell::new(parts::mark(status, context.now), theme.status(status), column.width, false);
        }
        Field::Attribute(Attribute::Commit)
            if matches!(row.value(&Field::Attribute(Attribute::Dirty)), Some(Value::Truth(true))) =>
        {
            let line = Line::from(vec![Span::styled(words, theme.dim), Span::styled("*", theme.warn)]);
            return Cell { line, width: column.width, right: false };
        }
        Field::Attribute(Attribute::Name) => Style::new(),
        Field::Attribute(_) => theme.dim,
        Field::Metric(..) => {
            let value = if let Some(Value::Number(value)) = row.value(field) { Some(value) } else { None };
            match value {
                Some(value) if !value.is_finite() => theme.bad,
                value if column.is_best(value) => theme.best,
                _ => theme.text,
            }
        }
        Field::Param(_) | Field::Tag(_) | Field::Fact(_) => theme.text,
    };
    Cell::new(&words, style, column.width, column.right)
}

fn preview(view: &RunsView, run: &Run, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (left, right) = split_left(area, (area.width * 3 / 10).clamp(44, 64));
    run::draw_overview(&view.preview, run, run.name.as_str(), context, theme, left, buffer);
    view.preview.charts.draw(right, false, theme, buffer);
}
