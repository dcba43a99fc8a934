//! How charts look.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};

use crate::words;

use super::super::theme::Theme;
use super::super::{parts, text};
use super::dots::Dots;
use super::extremes::{INFINITE, MINUS_INFINITE, NAN};
use super::grid::{Chart, ChartGrid};
use super::legend;
use super::line::{Axis, Reduced};
use super::mouse::Drag;
use super::place::Plot;
use super::scale::{Form, Scale, Unit};
use super::window::ticks_y;

impl ChartGrid {
    /// Draws the charts; `is_active` where the keys act on them.
    pub(in crate::tui) fn draw(&self, area: Rect, is_active: bool, theme: &Theme, buffer: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        let parts = self.parts(area);
        if self.charts.is_empty() {
            return self.draw_nothing(area, is_active, theme, buffer);
        }
        for (index, place) in self.places(area) {
            draw_chart(self, index, place, is_active, theme, buffer);
        }
        let (before, rows, all) = self.scroll_state(area);
        if !self.is_maximised {
            parts::scrollbar(before, rows, all, theme, parts.charts, buffer);
        }
        legend::draw(self, parts.legend, self.is_maximised, theme, buffer);
    }

    /// Says why there are no charts.
    fn draw_nothing(&self, area: Rect, is_active: bool, theme: &Theme, buffer: &mut Buffer) {
        let inner =
            parts::panel(TextLine::styled("Charts", theme.strong), TextLine::default(), is_active, theme, area, buffer);
        let problem = self.problems().next().map(|(run, problem)| format!("{}: {problem}", run.name));
        let (words, style) = match problem {
            Some(problem) => (problem, theme.bad),
            None if self.is_waiting() => ("Loading the metrics …".to_owned(), theme.dim),
            None if self.singles().is_empty() => ("No metrics were logged.".to_owned(), theme.dim),
            None => ("Each metric was logged once; the overview has the values.".to_owned(), theme.dim),
        };
        parts::message(&words, style, inner, buffer);
    }
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ink {
    pub(super) style: Style,
    /// Drawn along the line where colours do not tell it apart.
    pub(super) letter: Option<char>,
}

/// What the lines of a chart look like: a run has its colour, and the lines of one run have one each. Where there are
/// not enough colours, letters tell them apart.
pub(super) fn inks(grid: &ChartGrid, chart: &Chart, theme: &Theme) -> Vec<Ink> {
    let several = grid.runs.len() > 1;
    let has_parts = chart.lines.iter().any(|line| !matches!(line.part.as_str(), "train" | ""));
    let mut inks: Vec<Ink> = Vec::new();
    for (place, line) in chart.lines.iter().enumerate() {
        let is_behind = several && has_parts && line.part == "train";
        let style = match grid.runs.get(line.run).filter(|_| several) {
            Some(run) if is_behind => faint(theme.run(run.color), theme),
            Some(run) => theme.run(run.color),
            None => theme.lines[place % theme.lines.len()],
        };
        let number = u32::try_from(if several { line.run } else { place } % 26).unwrap_or(0);
        let letter = char::from_u32(u32::from(if is_behind { 'a' } else { 'A' }) + number);
        inks.push(Ink { style, letter });
    }
    // Bold and dim are no colours: they hardly show in dots.
    let same =
        |one: &Ink, other: &Ink| one.style.fg == other.style.fg && (several || one.style.fg == Some(Color::Reset));
    let is_clear =
        |place: usize| inks.iter().enumerate().all(|(other, ink)| other == place || !same(ink, &inks[place]));
    let needed = inks.len() > 1 && !(0..inks.len()).all(is_clear);
    if !needed {
        inks.iter_mut().for_each(|ink| ink.letter = None);
    }
    inks
}

/// A colour nearer to that of borders, which holds back on any ground.
fn faint(style: Style, theme: &Theme) -> Style {
    match (style.fg, theme.border.fg) {
        (Some(Color::Rgb(r, g, b)), Some(Color::Rgb(border_r, border_g, border_b))) => {
            let mix = |one: u8, other: u8| u8::try_from((u16::from(one) * 2 + u16::from(other) * 3) / 5).unwrap_or(one);
            Style::new().fg(Color::Rgb(mix(r, border_r), mix(g, border_g), mix(b, border_b)))
        }
        _ => style.add_modifier(Modifier::DIM),
    }
}

/// A chart that is being drawn.
struct Shown<'a> {
    grid: &'a ChartGrid,
    chart: &'a Chart,
    inks: Vec<Ink>,
    plot: Plot,
    theme: &'a Theme,
}

fn draw_chart(grid: &ChartGrid, index: usize, area: Rect, is_active: bool, theme: &Theme, buffer: &mut Buffer) {
    let Some(chart) = grid.charts.get(index) else { return };
    let inks = inks(grid, chart, theme);
    let values = if grid.is_maximised { TextLine::default() } else { legend::title(grid, chart, &inks, area.width) };
    let room = usize::from(area.width.saturating_sub(8)).saturating_sub(values.width());
    let title = TextLine::styled(text::shorten(&chart.title, room.max(8)), theme.strong);
    let is_chosen = index == grid.selected;
    let inner = parts::panel(title, values, is_active && is_chosen, theme, area, buffer);
    if is_chosen {
        status(grid, area, theme, buffer);
    }
    let Some(plot) = Plot::new(inner) else { return };
    let Some(x) = grid.scale_x(chart) else {
        let words = if grid.form_x() == Form::Log && !grid.is_behind() { "Nothing is above 0." } else { "Loading …" };
        return parts::message(words, theme.dim, inner, buffer);
    };
    let y = grid.scale_y(chart, &x, &plot);
    let shown = Shown { grid, chart, inks, plot, theme };
    shown.axis_y(y.as_ref(), buffer);
    shown.axis_x(&x, buffer);
    let dragged = grid.drag.as_ref().and_then(|drag| match drag {
        Drag::Choose { chart, from, to } if *chart == index && from != to => Some((from.0.min(to.0), from.0.max(to.0))),
        _ => None,
    });
    let cross = grid.cross_in(chart).filter(|_| dragged.is_none());
    let cross = cross.map(|cross| (cross, x.place(cross))).filter(|(_, place)| (0.0..=1.0).contains(place));
    let cross = cross.map(|(cross, place)| (cross, plot.column(place)));
    if let Some((_, column)) = cross {
        for row in plot.lines.y..plot.lines.bottom() {
            buffer[(column, row)].set_symbol("│").set_style(theme.dim);
        }
    }
    match &y {
        Some(y) => shown.lines(&x, y, buffer),
        None => {
            let words = if grid.settings.log_y { "Nothing is above 0 here." } else { "No finite values here." };
            buffer.set_stringn(plot.lines.x + 1, plot.lines.y, words, usize::from(plot.lines.width) - 1, theme.bad);
        }
    }
    shown.marks(&x, buffer);
    if let Some((cross, column)) = cross {
        shown.cross_label(cross, column, buffer);
    }
    if let Some((left, right)) = dragged {
        let chosen = Rect { x: left, width: right - left + 1, ..plot.lines };
        buffer.set_style(chosen.intersection(plot.lines), theme.selected);
    }
}

/// Says on the lower border how the charts are shown, where that is not as usual. It takes no room from the lines, so
/// that these stay where they are when it comes and goes.
fn status(grid: &ChartGrid, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let behind = if grid.is_behind() { " …" } else { "" };
    let Some(status) = grid.status().filter(|_| area.height > 1 && area.width > 8) else { return };
    let room = usize::from(area.width) - 4;
    let words = text::shorten(&format!(" {status}{behind} "), room);
    buffer.set_stringn(area.x + 2, area.bottom() - 1, words, room, theme.accent);
}

impl Shown<'_> {
    /// The vertical axis with its labels.
    fn axis_y(&self, y: Option<&Scale>, buffer: &mut Buffer) {
        let Plot { lines, gutter, axis_x, axis_y, .. } = self.plot;
        for row in lines.y..lines.bottom() {
            buffer[(axis_x, row)].set_symbol("│").set_style(self.theme.border);
        }
        buffer[(axis_x, axis_y)].set_symbol("╰").set_style(self.theme.border);
        let Some(y) = y else { return };
        let down = f64::from(lines.height) * 4.0 - 1.0;
        let mut free = lines.bottom();
        for tick in y.ticks(ticks_y(&self.plot), Unit::Number) {
            let row = (((1.0 - y.place(tick.value)) * down).round() / 4.0).floor();
            if !(0.0..f64::from(lines.height)).contains(&row) {
                continue;
            }
            // From the bottom upwards, each label in a row of its own.
            let row = lines.y + row as u16;
            if row >= free {
                continue;
            }
            free = row;
            let room = usize::from(gutter.width);
            let margin = room.saturating_sub(text::width(&tick.label));
            let start = gutter.x + u16::try_from(margin).unwrap_or(0);
            buffer.set_stringn(start, row, text::shorten(&tick.label, room), room, self.theme.dim);
            buffer[(axis_x, row)].set_symbol("┤").set_style(self.theme.border);
        }
    }

    /// The horizontal axis with its labels and its name.
    fn axis_x(&self, x: &Scale, buffer: &mut Buffer) {
        let Plot { lines, gutter, axis_y, labels_y, .. } = self.plot;
        for column in lines.x..lines.right() {
            buffer[(column, axis_y)].set_symbol("─").set_style(self.theme.border);
        }
        let axis = self.grid.drawn.axis;
        let title = self.grid.axis_title();
        let title_width = u16::try_from(title.len()).unwrap_or(0);
        // The name of the axis stands at the right end, where no label goes.
        let mut end = lines.right();
        if lines.width > title_width + 16 {
            end = lines.right() - title_width - 1;
            buffer.set_stringn(end + 1, labels_y, title, usize::from(title_width), self.theme.border);
        }
        let mut free = gutter.x;
        let apart = if axis == Axis::Clock { 12 } else { 9 };
        for tick in x.ticks(usize::from(lines.width / apart).clamp(1, 12), axis.unit()) {
            let place = x.place(tick.value);
            if !(0.0..=1.0).contains(&place) {
                continue;
            }
            let column = self.plot.column(place);
            let width = u16::try_from(text::width(&tick.label)).unwrap_or(u16::MAX);
            let start = column.saturating_sub(width / 2).max(gutter.x);
            if start < free || start.saturating_add(width) > end {
                continue;
            }
            buffer.set_stringn(start, labels_y, &tick.label, usize::from(width), self.theme.dim);
            buffer[(column, axis_y)].set_symbol("┬").set_style(self.theme.border);
            free = start + width + 1;
        }
    }

    /// The lines in dots; where a smoothed line is drawn, the line itself lies faint behind it.
    fn lines(&self, x: &Scale, y: &Scale, buffer: &mut Buffer) {
        let lines = self.plot.lines;
        let mut behind = Dots::new(usize::from(lines.width), usize::from(lines.height));
        let mut front = behind.clone();
        let mut reduced: Vec<(usize, Reduced)> = Vec::new();
        // The first line last, so that it lies on top.
        for (place, line) in self.chart.lines.iter().enumerate().rev() {
            let Some(line) = self.grid.line(line) else { continue };
            let whole = line.reduced(x, y.form, front.width(), false);
            if line.is_smooth() {
                whole.draw(x, y, place, &mut behind);
                line.reduced(x, y.form, front.width(), true).draw(x, y, place, &mut front);
            } else {
                whole.draw(x, y, place, &mut front);
            }
            reduced.push((place, whole));
        }
        for (row, screen_row) in (lines.y..lines.bottom()).enumerate() {
            for (column, screen_column) in (lines.x..lines.right()).enumerate() {
                let drawn = match front.character(column, row) {
                    Some((character, line)) => Some((character, self.inks[line].style)),
                    None => behind
                        .character(column, row)
                        .map(|(character, line)| (character, faint(self.inks[line].style, self.theme))),
                };
                if let Some((character, style)) = drawn {
                    buffer[(screen_column, screen_row)].set_char(character).set_style(style);
                }
            }
        }
        self.letters(&front, buffer);
        self.out_of_sight(&reduced, y, buffer);
    }

    /// Marks at the upper and the lower edge where values lie beyond it: what is cut off is not hidden.
    fn out_of_sight(&self, reduced: &[(usize, Reduced)], y: &Scale, buffer: &mut Buffer) {
        // A value at the very edge is in sight, whatever the last bit says.
        const EDGE: f64 = 1e-9;
        let lines = self.plot.lines;
        for (line, columns) in reduced {
            for column in &columns.columns {
                let Some(span) = column.span else { continue };
                let screen_column = self.plot.column_of_dot(column.place);
                if y.place(span.high) > 1.0 + EDGE {
                    buffer[(screen_column, lines.y)].set_symbol("▴").set_style(self.inks[*line].style);
                }
                if y.place(span.low) < -EDGE {
                    buffer[(screen_column, lines.bottom() - 1)].set_symbol("▾").set_style(self.inks[*line].style);
                }
            }
        }
    }

    /// The letters of the lines, here and there along them, where they have some.
    fn letters(&self, dots: &Dots, buffer: &mut Buffer) {
        const APART: usize = 14;
        let lines = self.plot.lines;
        for (line, ink) in self.inks.iter().enumerate() {
            let Some(letter) = ink.letter else { continue };
            // Each line has columns of its own, so that letters do not meet.
            for column in (0..lines.width).filter(|column| usize::from(*column) % APART == (line * 4 + 3) % APART) {
                let is_ours = |row: &u16| {
                    dots.character(usize::from(column), usize::from(*row)).is_some_and(|(_, owner)| owner == line)
                };
                if let Some(row) = (0..lines.height).find(is_ours) {
                    buffer[(lines.x + column, lines.y + row)].set_char(letter).set_style(ink.style);
                }
            }
        }
    }

    /// Marks on the horizontal axis where a value is not finite, or has no place on a logarithmic axis.
    fn marks(&self, x: &Scale, buffer: &mut Buffer) {
        let form = if self.grid.settings.log_y { Form::Log } else { Form::Linear };
        for (place, line) in self.chart.lines.iter().enumerate() {
            let Some(line) = self.grid.line(line) else { continue };
            let extent = line.extent(x);
            if extent.odd == 0 && (form == Form::Linear || extent.low > 0.0) {
                continue;
            }
            // Of several lines, the colour says which one it is.
            let is_alone = self.chart.lines.len() == 1;
            let style = if is_alone { self.theme.bad } else { self.inks[place].style.add_modifier(Modifier::BOLD) };
            for column in line.reduced(x, form, self.plot.dots(), false).columns {
                let symbol = match column.odd {
                    odd if odd & NAN != 0 => "×",
                    odd if odd & INFINITE != 0 => "▲",
                    odd if odd & MINUS_INFINITE != 0 => "▼",
                    _ if column.is_cut => "▽",
                    _ => continue,
                };
                buffer[(self.plot.column_of_dot(column.place), self.plot.axis_y)].set_symbol(symbol).set_style(style);
            }
        }
    }

    /// Where the crosshair is, below it.
    fn cross_label(&self, x: f64, column: u16, buffer: &mut Buffer) {
        let Plot { lines, gutter, axis_y, labels_y, .. } = self.plot;
        buffer[(column, axis_y)].set_symbol("┴").set_style(self.theme.accent);
        let label = format!(" {} ", place_label(self.grid.drawn.axis, x));
        let width = u16::try_from(text::width(&label)).unwrap_or(0);
        let last = lines.right().saturating_sub(width);
        let start = column.saturating_sub(width / 2).min(last).max(gutter.x);
        let style = self.theme.accent.add_modifier(Modifier::REVERSED);
        let title = u16::try_from(self.grid.axis_title().len()).unwrap_or(0);
        if start + width + title >= lines.right() {
            // Half a name says nothing.
            for column in start..lines.right() {
                buffer[(column, labels_y)].reset();
            }
        }
        buffer.set_stringn(start, labels_y, &label, usize::from(lines.right() - start), style);
    }
}

/// A place on the horizontal axis, exactly.
pub(super) fn place_label(axis: Axis, x: f64) -> String {
    match axis {
        Axis::Step | Axis::Epoch if x.fract() == 0.0 => format!("{x:.0}"),
        Axis::Step | Axis::Epoch => text::lone_number(x),
        Axis::Elapsed if x < 0.0 => format!("-{}", words::duration(-x)),
        Axis::Elapsed => words::duration(x),
        Axis::Clock => match jiff::Timestamp::from_second(x.round() as i64) {
            Ok(time) => time.strftime("%d %b %H:%M:%S").to_string(),
            Err(_) => String::new(),
        },
    }
}

/// The value of a line, at the crosshair where there is one.
pub(super) fn value(grid: &ChartGrid, chart: &Chart, line: usize) -> Option<f64> {
    let line = chart.lines.get(line)?;
    match grid.cross_in(chart) {
        Some(x) => grid.line(line)?.value_near(x, grid.drawn.smoothing > 0),
        None => grid.last(line),
    }
}

/// A value in a legend, in a span.
pub(super) fn value_span(value: Option<f64>, style: Style) -> Span<'static> {
    Span::styled(value.map_or_else(|| "–".to_owned(), text::lone_number), style)
}
