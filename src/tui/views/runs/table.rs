//! The table of runs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::run::Run;
use crate::words;

use super::super::super::context::{Context, Load};
use super::super::super::layout::{split_left, split_top};
use super::super::super::parts::{self, Cell};
use super::super::super::text;
use super::super::super::theme::Theme;
use super::super::run;
use super::RunsView;
use super::columns::{Column, GAP, Kind};

/// Draws the table, the filter, and the chosen run in short where there is room.
pub(super) fn draw(view: &RunsView, context: &Context, theme: &Theme, buffer: &mut Buffer) {
    let places = view.layout(context);
    table(view, context, theme, places.table, buffer);
    view.filter.draw(theme, places.filter, buffer);
    if let (Some(area), Some(run)) = (places.preview, view.selected_run(context)) {
        preview(view, run, context, theme, area, buffer);
    } else if let Some(area) = places.preview {
        parts::panel(Line::default(), Line::default(), false, theme, area, buffer);
    }
}

fn table(view: &RunsView, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let records = &context.records;
    let (shown, all) = (view.shown(context).len(), records.all().len());
    let count = match records.state {
        Load::Ready(()) if shown < all => format!("{shown} of {}", words::count(all as u64, "run")),
        Load::Ready(()) => words::count(all as u64, "run"),
        Load::Waiting | Load::Failed(_) => String::new(),
    };
    let unread = match records.problems.len() {
        0 => Span::raw(""),
        problems => Span::styled(format!(" · {} unreadable", problems), theme.warn),
    };
    let right = Line::from(vec![Span::styled(count, theme.dim), unread]);
    let inner = parts::panel(Line::styled("Runs", theme.strong), right, true, theme, area, buffer);
    match &records.state {
        Load::Waiting => return parts::message("Loading the runs …", theme.dim, inner, buffer),
        Load::Failed(problem) => {
            return parts::message(&format!("The runs cannot be read: {problem}"), theme.bad, inner, buffer);
        }
        Load::Ready(()) if all == 0 => {
            let words = "No runs yet. Start one with `git ml run -- COMMAND` or `git ml train`; it will appear here.";
            return parts::message(words, theme.dim, inner, buffer);
        }
        Load::Ready(()) if shown == 0 => {
            return parts::message("No run matches the filter. Esc shows all of them.", theme.dim, inner, buffer);
        }
        Load::Ready(()) => {}
    }
    let (heading, body) = split_top(inner, 1);
    parts::row(
        view.columns.iter().map(|column| heading_cell(view, column, theme)),
        GAP,
        parts::padded(heading),
        buffer,
    );
    let rows = usize::from(body.height);
    let runs = view.shown(context).enumerate().skip(view.offset);
    for ((index, run), y) in runs.zip(body.y..body.bottom()) {
        let line = Rect { y, height: 1, ..body };
        let cells = view.columns.iter().map(|column| cell(view, column, run, context, theme));
        parts::row(cells, GAP, parts::padded(line), buffer);
        if context.marks.contains(&run.id) {
            buffer[(line.x, y)].set_symbol("▌").set_style(theme.run(context.color(&run.id)));
        }
        if index == view.selected {
            buffer.set_style(line, theme.selected);
        }
    }
    parts::scrollbar(view.offset, rows, shown, theme, area, buffer);
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

fn cell(view: &RunsView, column: &Column, run: &Run, context: &Context, theme: &Theme) -> Cell<'static> {
    let words = column.text(run, context.now);
    let style = match &column.kind {
        Kind::Status => {
            return Cell::new(parts::mark(run.status, context.now), theme.status(run.status), column.width, false);
        }
        Kind::Spark(_) => {
            let spark = parts::sparkline(view.spark(&run.id));
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

fn preview(view: &RunsView, run: &Run, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (left, right) = split_left(area, (area.width * 3 / 10).clamp(44, 64));
    run::draw_overview(&view.preview, run, run.name.as_str(), context, theme, left, buffer);
    run::draw_charts(&view.preview, false, theme, right, buffer);
}
