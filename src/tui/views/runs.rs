//! The table of runs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::run::Run;
use crate::words;

use super::super::app::{App, Load};
use super::super::columns::{Column, GAP, Kind};
use super::super::layout::{split_left, split_top};
use super::super::text;
use super::super::theme::Theme;
use super::parts::{self, Cell};
use super::{chart, message, overview};

/// Draws the table, the filter, and the chosen run in short where there is room.
pub(super) fn draw(app: &App, theme: &Theme, buffer: &mut Buffer) {
    let places = app.table.layout(app.size);
    table(app, theme, places.table, buffer);
    filter(app, theme, places.filter, buffer);
    if let (Some(area), Some(run)) = (places.preview, app.table.selected_run()) {
        preview(app, run, theme, area, buffer);
    } else if let Some(area) = places.preview {
        parts::panel(Line::default(), Line::default(), false, theme, area, buffer);
    }
}

fn table(app: &App, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let table = &app.table;
    let (shown, all) = (table.shown().len(), table.all().len());
    let count = match table.state {
        Load::Ready(()) if shown < all => format!("{shown} of {}", words::count(all as u64, "run")),
        Load::Ready(()) => words::count(all as u64, "run"),
        Load::Waiting | Load::Failed(_) => String::new(),
    };
    let unread = match table.problems.len() {
        0 => Span::raw(""),
        problems => Span::styled(format!(" · {} unreadable", problems), theme.warn),
    };
    let right = Line::from(vec![Span::styled(count, theme.dim), unread]);
    let inner = parts::panel(Line::styled("Runs", theme.strong), right, true, theme, area, buffer);
    match &table.state {
        Load::Waiting => return message("Loading the runs …", theme.dim, inner, buffer),
        Load::Failed(problem) => {
            return message(&format!("The runs cannot be read: {problem}"), theme.bad, inner, buffer);
        }
        Load::Ready(()) if all == 0 => {
            let words = "No runs yet. Start one with `git ml run -- COMMAND` or `git ml train`; it will appear here.";
            return message(words, theme.dim, inner, buffer);
        }
        Load::Ready(()) if shown == 0 => {
            return message("No run matches the filter. Esc shows all of them.", theme.dim, inner, buffer);
        }
        Load::Ready(()) => {}
    }
    let (heading, body) = split_top(inner, 1);
    parts::row(table.columns.iter().map(|column| heading_cell(app, column, theme)), GAP, padded(heading), buffer);
    let rows = usize::from(body.height);
    for (index, (run, y)) in
        table.shown().enumerate().skip(table.offset).zip(body.y..body.bottom()).map(|((i, r), y)| (i, (r, y)))
    {
        let line = Rect { y, height: 1, ..body };
        parts::row(table.columns.iter().map(|column| cell(app, column, run, theme)), GAP, padded(line), buffer);
        if index == table.selected {
            buffer.set_style(line, theme.selected);
        }
    }
    parts::scrollbar(table.offset, rows, shown, theme, area, buffer);
}

fn padded(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

fn heading_cell(app: &App, column: &Column, theme: &Theme) -> Cell<'static> {
    let sorted = column.sort_key().is_some_and(|key| key == app.table.sort.key);
    if !sorted {
        return Cell::new(&column.title, theme.dim, column.width, column.right);
    }
    let arrow = if app.table.sort.descending { "↓" } else { "↑" };
    if column.width <= 1 {
        return Cell::new(arrow, theme.accent, column.width, column.right);
    }
    let title = text::shorten(&column.title, column.width - 1);
    // The arrow stands in the gap's side, so that numbers and their heading stay in line.
    let words = if column.right { format!("{arrow}{title}") } else { format!("{title}{arrow}") };
    Cell::new(&words, theme.accent, column.width, column.right)
}

fn cell(app: &App, column: &Column, run: &Run, theme: &Theme) -> Cell<'static> {
    let words = column.text(run, app.now);
    let style = match &column.kind {
        Kind::Status => {
            return Cell::new(parts::mark(run.status, app.now), theme.status(run.status), column.width, false);
        }
        Kind::Spark(_) => {
            let spark = parts::sparkline(app.table.spark(&run.id));
            return Cell::new(&spark, theme.lines[0], column.width, false);
        }
        Kind::Commit if run.dirty => {
            let commit = words.trim_end_matches('*').to_owned();
            let line = Line::from(vec![Span::styled(commit, theme.dim), Span::styled("*", theme.warn)]);
            return Cell { line, width: column.width, right: false };
        }
        Kind::Name => Style::new(),
        Kind::Metric(_) if column.is_best(run) => theme.best,
        Kind::Metric(name) if run.metrics.get(name).is_some_and(|metric| !metric.last.is_finite()) => theme.bad,
        Kind::Metric(_) | Kind::Param(_) => theme.text,
        Kind::Experiment | Kind::Started | Kind::Duration | Kind::Commit => theme.dim,
    };
    Cell::new(&words, style, column.width, column.right)
}

/// The filter, and below it what is wrong with it, where the character in question is marked.
fn filter(app: &App, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let filter = &app.table.filter;
    let prompt = " / ";
    let room = usize::from(area.width).saturating_sub(prompt.len() + 2);
    let (line, below) = split_top(area, 1);
    buffer.set_stringn(line.x, line.y, prompt, prompt.len(), theme.accent);
    let x = line.x + 3;
    let Some(input) = &filter.input else {
        buffer.set_stringn(x, line.y, text::shorten(&filter.text, room), room, theme.text);
        return;
    };
    // Scrolled so that the cursor is on the screen; each character of a query takes at least a column.
    let characters: Vec<char> = input.text().chars().collect();
    let width = |characters: &[char]| text::width(&characters.iter().collect::<String>());
    let mut first = 0;
    while width(&characters[first..input.cursor()]) >= room && first < input.cursor() {
        first += 1;
    }
    let visible: String = characters[first..].iter().collect();
    buffer.set_stringn(x, line.y, text::clean(&visible), room, theme.text);
    if visible.is_empty() {
        let example = "metrics.val_accuracy > 0.9 and params.lr = '0.01'";
        buffer.set_stringn(x, line.y, text::shorten(example, room), room, theme.dim);
    }
    let column = |character: usize| {
        let before = width(&characters[first..character.clamp(first, characters.len())]);
        x + u16::try_from(before.min(room)).unwrap_or(0)
    };
    if let Some(error) = filter.error.as_ref().filter(|_| below.height > 0) {
        let place = column(error.column.saturating_sub(1));
        buffer[(place, line.y)].set_style(theme.bad.add_modifier(Modifier::UNDERLINED));
        buffer.set_stringn(x, below.y, text::shorten(&error.problem, room), room, theme.bad);
    }
    buffer[(column(input.cursor()), line.y)].set_style(Style::new().add_modifier(Modifier::REVERSED));
}

fn preview(app: &App, run: &Run, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (left, right) = split_left(area, (area.width * 3 / 10).clamp(44, 64));
    overview::draw(app, run, left, 0, false, theme, buffer);
    chart::draw_grid(app, right, 0, false, theme, buffer);
}
