//! Which line is which, and its values; never over the lines.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::text;
use super::super::theme::Theme;
use super::draw::{Ink, inks, value, value_span};
use super::grid::{Chart, ChartGrid, ChartLine};
use super::place::LEGEND_ENTRY;

/// The mark of a line.
fn mark(ink: &Ink) -> Span<'static> {
    Span::styled(ink.letter.map_or_else(|| "━".to_owned(), String::from), ink.style)
}

/// What a line is called: the run where there are several, and what it was measured on.
fn name(grid: &ChartGrid, line: &ChartLine) -> String {
    let run = grid.runs.get(line.run).filter(|_| grid.runs.len() > 1).map(|run| run.name.as_str());
    match (run, line.part.as_str()) {
        (Some(run), "") => run.to_owned(),
        (Some(run), part) => format!("{run} {part}"),
        (None, "") => line.metric.clone(),
        (None, part) => part.to_owned(),
    }
}

/// The values of a chart for its title: with what they were measured on where one run is shown, in the runs' colours
/// where several are. Those that have no room are counted.
pub(super) fn title(grid: &ChartGrid, chart: &Chart, inks: &[Ink], width: u16) -> Line<'static> {
    let room =
        usize::from(width.saturating_sub(10)).saturating_sub(text::width(&chart.title).min(usize::from(width) / 2));
    let mut line = Line::default();
    for (place, (shown, ink)) in chart.lines.iter().zip(inks).enumerate() {
        let mut entry = Line::default();
        if place > 0 {
            entry.push_span("  ");
        }
        if grid.runs.len() < 2 && !shown.part.is_empty() {
            entry.push_span(Span::styled(format!("{} ", shown.part), ink.style));
        }
        if let Some(letter) = ink.letter {
            entry.push_span(Span::styled(format!("{letter} "), ink.style));
        }
        entry.push_span(value_span(value(grid, chart, place), ink.style));
        let left = chart.lines.len() - place;
        if line.width() + entry.width() + if left > 1 { 5 } else { 0 } > room {
            line.push_span(format!(" +{left}"));
            break;
        }
        line.extend(entry);
    }
    line
}

/// Draws the legend of the chosen chart: as a table where it fills the area, else in columns.
pub(super) fn draw(grid: &ChartGrid, area: Rect, is_table: bool, theme: &Theme, buffer: &mut Buffer) {
    let Some(chart) = grid.charts.get(grid.selected).filter(|_| !area.is_empty()) else { return };
    let inks = inks(grid, chart, theme);
    if is_table {
        table(grid, chart, &inks, area, theme, buffer)
    } else {
        columns(grid, chart, &inks, area, theme, buffer)
    }
}

fn columns(grid: &ChartGrid, chart: &Chart, inks: &[Ink], area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let across = usize::from((area.width / LEGEND_ENTRY).max(1));
    let room = across * usize::from(area.height);
    // Where some have no room, the last place says how many.
    let shown = if chart.lines.len() > room { room.saturating_sub(1) } else { chart.lines.len() };
    let place_of = |place: usize| {
        let (row, column) = (u16::try_from(place / across).unwrap_or(0), u16::try_from(place % across).unwrap_or(0));
        (area.x + column * LEGEND_ENTRY, area.y + row)
    };
    for (place, (line, ink)) in chart.lines.iter().zip(inks).enumerate().take(shown) {
        let number = value_span(value(grid, chart, place), theme.text);
        let width = usize::from(LEGEND_ENTRY.min(area.width)).saturating_sub(number.width() + 6);
        let words = text::shorten(&name(grid, line), width);
        let line = Line::from(vec![
            Span::raw(" "),
            mark(ink),
            Span::raw(" "),
            Span::styled(words, theme.text),
            Span::raw("  "),
            number,
        ]);
        let (x, y) = place_of(place);
        buffer.set_line(x, y, &line, LEGEND_ENTRY.min(area.right() - x));
    }
    if shown < chart.lines.len() {
        let (x, y) = place_of(shown);
        let words = format!(" and {} more", chart.lines.len() - shown);
        buffer.set_stringn(x, y, words, usize::from(area.right() - x), theme.dim);
    }
}

/// Columns of a number in the table.
const NUMBER: usize = 9;

fn table(grid: &ChartGrid, chart: &Chart, inks: &[Ink], area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let heading = if grid.cross_in(chart).is_some() { "here" } else { "last" };
    let name_width = usize::from(area.width).saturating_sub(3 + 3 * (NUMBER + 1)).max(6);
    let right = |words: &str| format!(" {words:>NUMBER$}");
    let row = |index: usize| area.y + u16::try_from(index).unwrap_or(u16::MAX).min(area.height - 1);
    let titles = format!("   {:name_width$}{}{}{}", "", right(heading), right("min"), right("max"));
    buffer.set_stringn(area.x, area.y, titles, usize::from(area.width), theme.dim);
    let seen = grid.scale_x(chart);
    let rows = usize::from(area.height) - 1;
    let shown = if chart.lines.len() > rows { rows.saturating_sub(1) } else { chart.lines.len() };
    for (place, (line, ink)) in chart.lines.iter().zip(inks).enumerate().take(shown) {
        let extent = grid.line(line).zip(seen.as_ref()).map(|(line, seen)| line.extent(seen));
        let extreme = |value: Option<f64>| {
            value.filter(|value| value.is_finite()).map_or_else(|| "–".to_owned(), text::lone_number)
        };
        let now = value(grid, chart, place).map_or_else(|| "–".to_owned(), text::lone_number);
        let words = text::shorten(&name(grid, line), name_width);
        let gap = " ".repeat(name_width.saturating_sub(text::width(&words)));
        let cells = Line::from(vec![
            mark(ink),
            Span::raw("  "),
            Span::styled(words, theme.text),
            Span::raw(gap),
            Span::styled(right(&now), theme.strong),
            Span::styled(right(&extreme(extent.map(|extent| extent.low))), theme.text),
            Span::styled(right(&extreme(extent.map(|extent| extent.high))), theme.text),
        ]);
        buffer.set_line(area.x, row(place + 1), &cells, area.width);
    }
    if shown < chart.lines.len() {
        let words = format!("   and {} more", chart.lines.len() - shown);
        buffer.set_stringn(area.x, row(shown + 1), words, usize::from(area.width), theme.dim);
    }
}
