//! Charts: one for each quantity, in a grid.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::super::braille::{Dots, Scale};
use super::super::super::context::Load;
use super::super::super::parts::{self, message};
use super::super::super::series::{Chart, ChartLine};
use super::super::super::theme::Theme;
use super::super::super::{layout, text};
use super::Detail;

/// Draws the charts of a run in detail.
pub(in crate::tui) fn draw(detail: &Detail, active: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let empty = |words: &str, style, buffer: &mut Buffer| {
        let inner = parts::panel(Line::styled("Charts", theme.strong), Line::default(), active, theme, area, buffer);
        message(words, style, inner, buffer);
    };
    let charts = match &detail.charts {
        Load::Waiting => return empty("Loading the metrics …", theme.dim, buffer),
        Load::Failed(problem) => return empty(problem, theme.bad, buffer),
        Load::Ready(charts) => charts,
    };
    if charts.charts.is_empty() {
        let words = if charts.singles.is_empty() {
            "No metrics were logged."
        } else {
            "Each metric was logged once; the overview has the values."
        };
        return empty(words, theme.dim, buffer);
    }
    let count = charts.charts.len();
    let grid = layout::grid(area, count);
    let last_offset = grid.all_rows(count).saturating_sub(grid.rows);
    let first = detail.charts_offset.min(last_offset) * grid.columns;
    for (index, chart) in charts.charts.iter().skip(first).enumerate() {
        let Some(place) = grid.place(area, index) else { break };
        draw_chart(chart, place, active, theme, buffer);
    }
}

/// Draws one chart.
fn draw_chart(chart: &Chart, area: Rect, active: bool, theme: &Theme, buffer: &mut Buffer) {
    let legend = chart.lines.iter().enumerate().flat_map(|(index, line)| {
        let label = if line.label.is_empty() { String::new() } else { format!("{} ", line.label) };
        let gap = if index == 0 { "" } else { "  " };
        let style = theme.lines[index % theme.lines.len()];
        [Span::styled(format!("{gap}{label}"), style), Span::styled(text::lone_number(line.last), style)]
    });
    let legend = Line::from_iter(legend);
    let room = usize::from(area.width.saturating_sub(10)).saturating_sub(legend.width());
    let title = Line::styled(text::shorten(&chart.title, room.max(8)), theme.strong);
    let inner = parts::panel(title, legend, active, theme, area, buffer);
    if inner.height < 3 || inner.width < 16 {
        return;
    }
    let points = || chart.lines.iter().flat_map(|line| line.points.iter().copied());
    let values = || points().map(|(_, value)| value).filter(|value| value.is_finite());
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return message("No finite values.", theme.bad, inner, buffer);
    }
    let first = points().map(|(step, _)| step).fold(f64::INFINITY, f64::min);
    let last = points().map(|(step, _)| step).fold(f64::NEG_INFINITY, f64::max);

    let rows = inner.height - 1;
    let scale = Scale::over(low, high, usize::from(rows / 3).clamp(1, 6));
    let ticks: Vec<(u16, String)> =
        scale.ticks().into_iter().map(|tick| (row_of(&scale, tick, rows), scale.label(tick))).collect();
    let label_width = ticks.iter().map(|(_, label)| text::width(label)).max().unwrap_or(0);
    let label_width = u16::try_from(label_width).unwrap_or(0).min(inner.width / 2);
    let axis = inner.x + 1 + label_width + 1;
    let plot = Rect { x: axis + 1, y: inner.y, width: inner.right().saturating_sub(axis + 2), height: rows };

    for y in plot.y..plot.bottom() {
        buffer[(axis, y)].set_symbol("│").set_style(theme.border);
    }
    for (row, label) in &ticks {
        let y = plot.y + row;
        let margin = label_width.saturating_sub(u16::try_from(text::width(label)).unwrap_or(0));
        buffer.set_stringn(inner.x + 1 + margin, y, label, usize::from(label_width), theme.dim);
        buffer[(axis, y)].set_symbol("┤").set_style(theme.border);
    }
    steps(first, last, Rect { y: plot.bottom(), height: 1, ..plot }, theme, buffer);
    plot_lines(&chart.lines, (first, last), &scale, plot, theme, buffer);
}

/// The row of a value, counted from the top.
fn row_of(scale: &Scale, value: f64, rows: u16) -> u16 {
    let dots = f64::from(rows) * 4.0 - 1.0;
    (((1.0 - scale.place(value)) * dots).round() / 4.0).floor() as u16
}

/// The first and the last step below the plot, and between them what they are.
fn steps(first: f64, last: f64, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let (start, end) = (step_label(first), step_label(last));
    buffer.set_stringn(area.x, area.y, &start, usize::from(area.width), theme.dim);
    let width = |words: &str| u16::try_from(text::width(words)).unwrap_or(u16::MAX);
    if width(&start) + width(&end) + 2 <= area.width && start != end {
        buffer.set_stringn(area.right() - width(&end), area.y, &end, usize::from(width(&end)), theme.dim);
    }
    if width(&start) + width(&end) + 16 <= area.width {
        buffer.set_stringn(area.x + area.width / 2 - 2, area.y, "step", 4, theme.border);
    }
}

fn step_label(step: f64) -> String {
    match step.abs() {
        1e9.. => format!("{:.1}G", step / 1e9),
        1e6.. => format!("{:.1}M", step / 1e6),
        1e4.. => format!("{:.1}k", step / 1e3),
        _ => format!("{step:.0}"),
    }
}

fn plot_lines(
    lines: &[ChartLine],
    (first, last): (f64, f64),
    scale: &Scale,
    plot: Rect,
    theme: &Theme,
    buffer: &mut Buffer,
) {
    let mut dots = Dots::new(usize::from(plot.width), usize::from(plot.height));
    if dots.width() == 0 || dots.height() == 0 {
        return;
    }
    let across = (dots.width() - 1) as f64;
    let down = (dots.height() - 1) as f64;
    let x_of = |step: f64| if last > first { ((step - first) / (last - first) * across).round() as usize } else { 0 };
    let y_of = |value: f64| ((1.0 - scale.place(value)) * down).round() as usize;
    let mut broken: Vec<usize> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let mut before: Option<(usize, usize)> = None;
        for &(step, value) in &line.points {
            if !value.is_finite() {
                // The line is broken where there is no value, and the place is marked at the bottom.
                before = None;
                broken.push(x_of(step) / 2);
                continue;
            }
            let here = (x_of(step), y_of(value));
            dots.stroke(before.unwrap_or(here), here, index);
            before = Some(here);
        }
    }
    for (row, y) in (plot.y..plot.bottom()).enumerate() {
        for (column, x) in (plot.x..plot.right()).enumerate() {
            if let Some((character, line)) = dots.character(column, row) {
                buffer[(x, y)].set_char(character).set_style(theme.lines[line % theme.lines.len()]);
            }
        }
    }
    for column in broken {
        if let Ok(column) = u16::try_from(column) {
            buffer[(plot.x + column.min(plot.width - 1), plot.bottom() - 1)].set_symbol("×").set_style(theme.bad);
        }
    }
}
