//! How the sweeps are drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::run::Objective;
use crate::tui::chart::{Dots, Form, Scale, Unit};
use crate::tui::content::colors::shade;
use crate::tui::context::{Context, Load};
use crate::tui::mouse::Mouse;
use crate::tui::parts::{self, Cell, message, padded};
use crate::tui::text;
use crate::tui::theme::Theme;
use crate::words;

use super::axes::Axis;
use super::importance::FEWEST_TRIALS;
use super::state::{Part, SweepsView, running};
use super::trials::Sweep;

/// Spaces between columns.
const GAP: usize = 2;
/// Columns between the axes of parallel coordinates at least.
const AXIS_ROOM: usize = 14;
/// Trials that parallel coordinates draw at most.
const MOST_LINES: usize = 500;

/// Draws the view.
pub(super) fn draw(view: &SweepsView, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (words, style) = match &view.sweeps {
        Load::Waiting => ("Looking for sweeps …".to_owned(), theme.dim),
        Load::Failed(problem) => (format!("The sweeps cannot be read: {problem}"), theme.bad),
        Load::Ready(sweeps) if sweeps.is_empty() => {
            let words = "No sweeps yet. Runs with the same tag `sweep` are trials of one: \
                         `git ml run --tag sweep=lr -p lr=0.1 -- python train.py`.";
            (words.to_owned(), theme.dim)
        }
        Load::Ready(_) => return sweep(view, context, theme, area, buffer),
    };
    let inner = parts::panel(Line::styled("Sweeps", theme.strong), Line::default(), true, theme, area, buffer);
    message(&words, style, inner, buffer);
}

fn sweep(view: &SweepsView, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let places = view.places(area);
    let Some(sweep) = view.sweep() else { return };
    let objective = view.objective();
    title(view, sweep, objective.as_ref(), places.wide, theme, places.title, buffer);
    if places.sweeps.width > 0 {
        list(view, theme, places.sweeps, buffer);
    }
    let is_shown = |part: Part| places.wide || view.part == part;
    if is_shown(Part::Trials) {
        table(view, sweep, objective.as_ref(), context, theme, places.trials, buffer);
    }
    if is_shown(Part::Best) {
        best(view, sweep, objective.as_ref(), theme, places.best, buffer);
    }
    if is_shown(Part::Importance) {
        importance(view, sweep, theme, places.importance, buffer);
    }
    if is_shown(Part::Parallel) {
        parallel(view, sweep, objective.as_ref(), theme, places.parallel, buffer);
    }
}

/// The names of the parts as they stand at the right of the title, each with its width.
fn part_names(view: &SweepsView, theme: &Theme) -> Vec<Span<'static>> {
    let name = |part: Part| Span::styled(part.title(), if view.part == part { theme.tab } else { theme.dim });
    Part::ALL.into_iter().flat_map(|part| [name(part), Span::raw("  ")]).collect()
}

/// The part whose name the mouse is on.
pub(super) fn part_at(view: &SweepsView, mouse: &Mouse, body: Rect) -> Option<Part> {
    let places = view.places(body);
    mouse.row_in(places.title).filter(|_| !places.wide)?;
    let widths = Part::ALL.map(|part| text::width(part.title()));
    let all = widths.iter().map(|width| width + 2).sum::<usize>();
    let mut x = usize::from(places.title.right()).checked_sub(all)?;
    for (part, width) in Part::ALL.into_iter().zip(widths) {
        if (x..x + width).contains(&usize::from(mouse.column)) {
            return Some(part);
        }
        x += width + 2;
    }
    None
}

/// The sweep in a line.
fn title(
    view: &SweepsView,
    sweep: &Sweep,
    objective: Option<&Objective>,
    wide: bool,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let right = if wide { Line::default() } else { Line::from(part_names(view, theme)) };
    let count = view.sweeps.ready().map_or(0, Vec::len);
    let room = usize::from(area.width).saturating_sub(right.width() + 2);
    let mut spans = vec![Span::styled(format!(" {}", text::shorten(&sweep.name, room.min(30))), theme.strong)];
    if count > 1 {
        spans.push(Span::styled(format!("  {} of {count}", view.place() + 1), theme.dim));
    }
    spans.push(Span::styled(format!("  {}", words::count(sweep.trials.len() as u64, "trial")), theme.text));
    if running(sweep) > 0 {
        spans.push(Span::styled(format!("  {} running", running(sweep)), theme.live));
    }
    if let Some(objective) = objective
        && let Some(best) = sweep.best(objective)
        && let Some(value) = sweep.trials[best].value(objective)
    {
        let way = if objective.is_minimized { "least" } else { "most" };
        spans.push(Span::styled(format!("  {way} {} ", text::clean(&objective.metric)), theme.dim));
        spans.push(Span::styled(text::lone_number(value), theme.best));
        spans.push(Span::styled(format!(" by {}", text::clean(&sweep.trials[best].name)), theme.dim));
    }
    // What has no room goes from the end.
    while spans.iter().map(Span::width).sum::<usize>() > room && spans.len() > 1 {
        spans.pop();
    }
    parts::ends(Line::from(spans), right, area, buffer);
}

fn list(view: &SweepsView, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let sweeps = view.sweeps.ready().map_or(&[][..], Vec::as_slice);
    let right = Line::styled(sweeps.len().to_string(), theme.dim);
    let inner = parts::panel(Line::styled("Sweeps", theme.strong), right, false, theme, area, buffer);
    let rows = usize::from(inner.height);
    let first = view.place().saturating_sub(rows.saturating_sub(1));
    for ((index, sweep), y) in sweeps.iter().enumerate().skip(first).zip(inner.y..inner.bottom()) {
        let line = Rect { y, height: 1, ..inner };
        let width = usize::from(inner.width.saturating_sub(2));
        let count = Cell::new(&sweep.trials.len().to_string(), theme.dim, 5, true);
        parts::row(
            [Cell::new(&sweep.name, theme.text, width.saturating_sub(6), false), count],
            1,
            padded(line),
            buffer,
        );
        if index == view.place() {
            buffer.set_style(line, theme.selected);
        }
    }
}

fn table(
    view: &SweepsView,
    sweep: &Sweep,
    objective: Option<&Objective>,
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let order = view.order();
    let how = if view.by_time || objective.is_none() { "newest first" } else { "best first" };
    let right = Line::styled(how, theme.dim);
    let inner = parts::panel(Line::styled("Trials", theme.strong), right, true, theme, area, buffer);
    let (heading, body) = crate::tui::layout::split_top(inner, 1);
    let names = view.parameters();
    let name_width = sweep.trials.iter().map(|trial| text::width(&trial.name)).max().unwrap_or(4).clamp(5, 24);
    let value_title = objective.map_or(String::new(), |objective| objective.metric.clone());
    let value_width = text::width(&value_title).clamp(9, 16);
    let mut fixed = vec![("", 1, false), ("trial", name_width, false), (value_title.as_str(), value_width, true)];
    let mut used: usize = fixed.iter().map(|(_, width, _)| width + GAP).sum();
    let room = usize::from(inner.width.saturating_sub(2));
    // As many parameters as fit, the most important first; the duration where there is room still.
    let mut columns: Vec<(&String, usize)> = Vec::new();
    for name in &names {
        let value =
            |trial: &super::trials::Trial| trial.params.get(name).map_or(0, |value| text::width(&text::clean(value)));
        let width = sweep.trials.iter().take(500).map(value).max().unwrap_or(0).max(text::width(name)).clamp(2, 18);
        if used + width <= room {
            used += width + GAP;
            columns.push((name, width));
        }
    }
    let has_time = used + 8 <= room;
    fixed.extend(columns.iter().map(|(name, width)| (name.as_str(), *width, true)));
    if has_time {
        fixed.push(("time", 8, true));
    }
    parts::row(
        fixed.iter().map(|(name, width, right)| Cell::new(name, theme.dim, *width, *right)),
        GAP,
        padded(heading),
        buffer,
    );
    let best = objective.and_then(|objective| sweep.best(objective));
    let values = || order.iter().filter_map(|place| sweep.trials[*place].value(objective?));
    let decimals = text::decimals(values());
    for ((row, place), y) in order.iter().enumerate().skip(view.offset).zip(body.y..body.bottom()) {
        let trial = &sweep.trials[*place];
        let line = Rect { y, height: 1, ..body };
        let metric = objective.and_then(|objective| trial.metrics.get(&objective.metric));
        let (value, style) = match metric {
            Some(metric) if !metric.last.is_finite() => (text::number(metric.last, decimals), theme.bad),
            Some(metric) if best == Some(*place) => (text::number(metric.last, decimals), theme.best),
            Some(metric) => (text::number(metric.last, decimals), theme.text),
            None => (String::new(), theme.text),
        };
        let is_marked = context.marks.contains(&trial.run_id);
        let name_style = if is_marked { theme.run(context.color(&trial.run_id)) } else { theme.strong };
        let mark = if is_marked { "●" } else { parts::mark(trial.status, context.now) };
        let mut cells = vec![
            Cell::new(mark, if is_marked { name_style } else { theme.status(trial.status) }, 1, false),
            Cell::new(&trial.name, name_style, name_width, false),
            Cell::new(&value, style, value_width, true),
        ];
        let parameter = |(name, width): &(&String, usize)| {
            Cell::new(trial.params.get(*name).map_or("", String::as_str), theme.text, *width, true)
        };
        cells.extend(columns.iter().map(parameter));
        if has_time {
            cells.push(Cell::new(&trial.seconds.map(words::duration).unwrap_or_default(), theme.dim, 8, true));
        }
        parts::row(cells, GAP, padded(line), buffer);
        if row == view.selected {
            buffer.set_style(line, theme.selected);
        }
    }
    parts::scrollbar(view.offset, usize::from(body.height), order.len(), theme, area, buffer);
}

fn best(
    view: &SweepsView,
    sweep: &Sweep,
    objective: Option<&Objective>,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let name = objective.map_or("", |objective| objective.metric.as_str());
    let right = Line::styled(text::shorten(name, 30), theme.dim);
    let inner =
        parts::panel(Line::styled("Best so far", theme.strong), right, view.part == Part::Best, theme, area, buffer);
    let values: Vec<Option<f64>> =
        sweep.trials.iter().map(|trial| objective.and_then(|objective| trial.value(objective))).collect();
    let known = || values.iter().flatten().copied();
    let (low, high) =
        known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let Some(objective) = objective.filter(|_| low <= high) else {
        return message("No trial has reached anything yet.", theme.dim, inner, buffer);
    };
    if inner.height < 3 || inner.width < 16 {
        return;
    }
    let plot_height = inner.height - 1;
    let count = usize::from(plot_height / 3).clamp(1, 6);
    let scale = Scale::new(low, high, Form::Linear).rounded(count);
    let labels = scale.ticks(count, Unit::Number);
    let label_width = labels.iter().map(|tick| text::width(&tick.label)).max().unwrap_or(0);
    let label_width = u16::try_from(label_width).unwrap_or(0).min(inner.width / 2);
    let left = inner.x + label_width + 2;
    let plot = Rect { x: left, y: inner.y, width: inner.right().saturating_sub(left + 1), height: plot_height };
    let mut dots = Dots::new(usize::from(plot.width), usize::from(plot.height));
    let (width, height) = (dots.width(), dots.height());
    if width == 0 || height == 0 {
        return;
    }
    let last = values.len().saturating_sub(1).max(1);
    let across = |index: usize| (index * (width - 1) / last) as f64;
    let down = |value: f64| ((1.0 - scale.place(value)) * (height - 1) as f64).round();
    let mut strokes = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if let Some(value) = value {
            strokes.push(((across(index), down(*value)), (across(index), down(*value)), 0));
        }
    }
    // A better value counts from its own trial on, so the line is of steps.
    let reached = sweep.best_so_far(objective);
    for (index, pair) in reached.windows(2).enumerate() {
        if let [Some(before), Some(after)] = pair {
            let corner = (across(index + 1), down(*before));
            strokes.push(((across(index), down(*before)), corner, 1));
            strokes.push((corner, (across(index + 1), down(*after)), 1));
        }
    }
    strokes.into_iter().for_each(|(from, to, line)| dots.stroke(from, to, line));
    for tick in &labels {
        let y = plot.y + (down(tick.value).clamp(0.0, (height - 1) as f64) / 4.0) as u16;
        let margin = label_width.saturating_sub(u16::try_from(text::width(&tick.label)).unwrap_or(0));
        buffer.set_stringn(inner.x + 1 + margin, y, &tick.label, usize::from(label_width), theme.dim);
    }
    paint(&dots, plot, buffer, |line| if line == 1 { theme.best } else { theme.dim });
    let end = words::count(values.len() as u64, "trial");
    buffer.set_stringn(plot.x, plot.bottom(), "1", 1, theme.dim);
    let width = u16::try_from(text::width(&end)).unwrap_or(0);
    if width + 2 < plot.width {
        buffer.set_stringn(plot.right() - width, plot.bottom(), &end, usize::from(width), theme.dim);
    }
}

fn paint(dots: &Dots, plot: Rect, buffer: &mut Buffer, style: impl Fn(usize) -> Style) {
    for (row, y) in (plot.y..plot.bottom()).enumerate() {
        for (column, x) in (plot.x..plot.right()).enumerate() {
            if let Some((character, line)) = dots.character(column, row) {
                buffer[(x, y)].set_char(character).set_style(style(line));
            }
        }
    }
}

fn importance(view: &SweepsView, sweep: &Sweep, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let title = Line::styled("Importance", theme.strong);
    let found = view.importances();
    let right = match found {
        Some(Load::Ready(Some(found))) => {
            let percent = (found.explained.max(0.0) * 100.0).round();
            let style = if found.explained < 0.2 { theme.warn } else { theme.dim };
            Line::styled(format!("explain {percent:.0} % of the rank"), style)
        }
        _ => Line::default(),
    };
    let inner = parts::panel(title, right, view.part == Part::Importance, theme, area, buffer);
    let found = match found {
        None | Some(Load::Waiting) => return message("Computing …", theme.dim, inner, buffer),
        Some(Load::Failed(problem)) => return message(problem, theme.bad, inner, buffer),
        Some(Load::Ready(None)) => {
            let words = if sweep.varied().is_empty() {
                "All trials have the same parameters.".to_owned()
            } else {
                format!("It takes {FEWEST_TRIALS} trials with different results to tell what matters.")
            };
            return message(&words, theme.dim, inner, buffer);
        }
        Some(Load::Ready(Some(found))) => found,
    };
    let width = usize::from(inner.width.saturating_sub(2));
    let longest = found.parameters.iter().map(|parameter| text::width(&parameter.name)).max().unwrap_or(4);
    let (number, correlation) = (5, 12);
    let name_width = longest.clamp(4, (width / 3).max(8));
    let bar_width = width.saturating_sub(name_width + number + correlation + 3 * GAP).max(1);
    for (parameter, y) in found.parameters.iter().zip(inner.y..inner.bottom()) {
        let filled = (parameter.share * bar_width as f64 * 8.0).round() as usize;
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let bar = format!("{}{}", "█".repeat(filled / 8), EIGHTHS[filled % 8]);
        let word = match parameter.correlation {
            None => "words".to_owned(),
            Some(value) if value.abs() < 0.1 => format!("· {value:+.2}"),
            Some(value) => format!("{} {value:+.2}", if value > 0.0 { "↗" } else { "↘" }),
        };
        let cells = [
            Cell::new(&parameter.name, theme.text, name_width, false),
            Cell::new(&bar, theme.lines[0], bar_width, false),
            Cell::new(&format!("{:.0} %", parameter.share * 100.0), theme.text, number, true),
            Cell::new(&word, theme.dim, correlation, false),
        ];
        parts::row(cells, GAP, padded(Rect { y, height: 1, ..inner }), buffer);
    }
}

fn parallel(
    view: &SweepsView,
    sweep: &Sweep,
    objective: Option<&Objective>,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let active = view.part == Part::Parallel;
    let panel = |right: String, buffer: &mut Buffer| {
        let title = Line::styled("Parallel coordinates", theme.strong);
        parts::panel(title, Line::styled(right, theme.dim), active, theme, area, buffer)
    };
    let names = view.parameters();
    let room = (usize::from(area.width.saturating_sub(4)) / AXIS_ROOM).max(2);
    let shown = names.len().min(room - 1);
    let Some(objective) = objective.filter(|_| shown > 0) else {
        let inner = panel(String::new(), buffer);
        return message("There is nothing that differs between the trials.", theme.dim, inner, buffer);
    };
    let axes: Vec<Axis> = names[..shown].iter().map(|name| Axis::of_parameter(sweep, name)).collect();
    let last = Axis::of_objective(sweep, objective);
    // The worst first, so that the best are drawn over them; of very many a sample, evenly by rank.
    let mut order = view.order_by_value();
    order.retain(|place| sweep.trials[*place].value(objective).is_some());
    let count = order.len();
    let step = count.div_ceil(MOST_LINES).max(1);
    let drawn: Vec<usize> = (0..count).rev().filter(|rank| rank % step == 0).collect();
    let right = match (names.len() - shown, step) {
        (0, 1) => String::new(),
        (more, 1) => format!("and {}", words::count(more as u64, "parameter")),
        _ => format!("{} of {count} trials", drawn.len()),
    };
    let inner = panel(right, buffer);
    if inner.height < 5 || inner.width < 20 {
        return;
    }
    // Values at the top, names and values below.
    let plot = Rect { x: inner.x + 1, y: inner.y + 1, width: inner.width - 2, height: inner.height - 3 };
    let mut dots = Dots::new(usize::from(plot.width), usize::from(plot.height));
    let (width, height) = (dots.width(), dots.height());
    // The first and the last axis stand so far from the borders that their labels fit.
    let margin = AXIS_ROOM / 2;
    let column =
        |axis: usize| margin + axis * (usize::from(plot.width).saturating_sub(2 * margin + 1)) / axes.len().max(1);
    let x_of = |axis: usize| (column(axis) * 2 + 1).min(width - 1) as f64;
    let y_of = |place: f64| ((1.0 - place) * (height - 1) as f64).round();
    let chosen = view.trial().map(|trial| trial.run_id);
    let chosen_rank = order.iter().position(|place| Some(sweep.trials[*place].run_id) == chosen);
    for rank in drawn.into_iter().chain(chosen_rank) {
        let trial = &sweep.trials[order[rank]];
        let value = trial.value(objective).and_then(|value| last.place_of(value));
        let places = axes.iter().map(|axis| axis.place(trial)).chain([value]);
        let mut before: Option<(f64, f64)> = None;
        for (axis, place) in places.enumerate() {
            // A line is broken where a trial has no such parameter.
            let here = place.map(|place| (x_of(axis), y_of(place)));
            if let (Some(from), Some(to)) = (before, here) {
                dots.stroke(from, to, rank);
            }
            before = here;
        }
    }
    let style = |rank: usize| {
        if Some(rank) == chosen_rank {
            return theme.strong;
        }
        if rank == 0 {
            return shade(1.0, theme).patch(theme.best);
        }
        shade(1.0 - rank as f64 / (count - 1).max(1) as f64, theme)
    };
    for axis in 0..=axes.len() {
        let x = plot.x + u16::try_from(column(axis)).unwrap_or(0);
        for y in plot.y..plot.bottom() {
            if x < plot.right() {
                buffer[(x, y)].set_symbol("│").set_style(theme.border);
            }
        }
    }
    paint(&dots, plot, buffer, style);
    for (index, axis) in axes.iter().chain([&last]).enumerate() {
        let (low, high) = axis.ends();
        let middle = usize::from(plot.x) + column(index);
        let is_last = index == axes.len();
        let name_style = if is_last { theme.accent } else { theme.text };
        centred(&high, middle, inner.y, inner, theme.dim, buffer);
        centred(&low, middle, plot.bottom(), inner, theme.dim, buffer);
        centred(&axis.name, middle, plot.bottom() + 1, inner, name_style, buffer);
    }
}

/// Words around a column, within an area.
fn centred(words: &str, middle: usize, y: u16, area: Rect, style: Style, buffer: &mut Buffer) {
    let words = text::shorten(words, AXIS_ROOM - 1);
    let width = text::width(&words);
    let latest = usize::from(area.right()).saturating_sub(width);
    let x = middle.saturating_sub(width / 2).clamp(usize::from(area.x), latest.max(usize::from(area.x)));
    if let Ok(x) = u16::try_from(x)
        && y < area.bottom()
    {
        buffer.set_stringn(x, y, &words, usize::from(area.right().saturating_sub(x)), style);
    }
}
