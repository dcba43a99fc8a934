//! The registry: models at the left, the versions of the chosen one at the right, below them what happened to it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::registry::{Model, RegistryEvent, Version};
use crate::words;

use super::super::super::context::{Context, Load};
use super::super::super::layout::{self, split_top};
use super::super::super::parts::{self, Cell, message, padded};
use super::super::super::text;
use super::super::super::theme::Theme;
use super::models::{Focus, Lower, Models};
use super::origin;

const GAP: usize = 2;

/// Draws the registry.
pub(super) fn draw(view: &Models, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let models = match &view.models {
        Load::Ready(models) if !models.is_empty() => models,
        other => {
            let inner = parts::panel(Line::styled("Models", theme.strong), Line::default(), true, theme, area, buffer);
            let (words, style) = match other {
                Load::Waiting => ("Loading the registry …".to_owned(), theme.dim),
                Load::Failed(problem) => (format!("The registry cannot be read: {problem}"), theme.bad),
                Load::Ready(_) => {
                    let words = "No models yet. `R` registers a run's model, here or in the table of runs.";
                    (words.to_owned(), theme.dim)
                }
            };
            return message(&words, style, inner, buffer);
        }
    };
    let places = layout::registry(area);
    list(view, models, theme, places.models, buffer);
    versions(view, context, theme, places.versions, buffer);
    let (history_area, origin_area) = match (places.origin, view.lower) {
        (Some(origin), _) => (Some(places.history), Some(origin)),
        (None, Lower::History) => (Some(places.history), None),
        (None, Lower::Origin) => (None, Some(places.history)),
    };
    if let Some(area) = history_area {
        history(view, context, theme, area, buffer);
    }
    if let Some(area) = origin_area {
        origin::draw(view, context, theme, area, buffer);
    }
}

fn list(view: &Models, models: &[Model], theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let active = view.focus == Focus::Models;
    let right = Line::styled(models.len().to_string(), theme.dim);
    let inner = parts::panel(Line::styled("Models", theme.strong), right, active, theme, area, buffer);
    let rows = models.iter().enumerate().skip(view.offset).zip(inner.y..inner.bottom());
    for ((index, model), y) in rows {
        let line = Rect { y, height: 1, ..inner };
        let newest = model.versions.last().map_or_else(String::new, |version| format!("v{}", version.version));
        let width = usize::from(inner.width.saturating_sub(2));
        let name = Cell::new(&model.name, theme.text, width.saturating_sub(6), false);
        let newest = Cell::new(&newest, theme.dim, 5, true);
        parts::row([name, newest], 1, padded(line), buffer);
        if index == view.selected {
            buffer.set_style(line, if active { theme.selected } else { theme.strong });
        }
    }
    parts::scrollbar(view.offset, usize::from(inner.height), models.len(), theme, area, buffer);
}

/// What the table of versions has besides the number and the aliases.
enum Column {
    Metric(String),
    Run,
    Commit,
    Registered,
    By,
    Note,
}

/// The names of the versions' metrics, those that tell most about a version first.
pub(super) fn metric_names<'v>(versions: impl Iterator<Item = &'v Version>) -> Vec<&'v String> {
    let mut names: Vec<&String> = versions.flat_map(|version| version.metrics.keys()).collect();
    names.sort();
    names.dedup();
    // Test metrics tell most about a version, then those of the validation.
    names.sort_by_key(|name| match name.as_str() {
        "test_accuracy" => 0,
        "val_accuracy" => 1,
        "test_loss" => 2,
        "val_loss" => 3,
        name if name.starts_with("test") => 4,
        name if name.starts_with("val") => 5,
        name if name.starts_with("train") || name.starts_with("system") => 7,
        _ => 6,
    });
    names
}

/// The columns that fit, in order, with their widths.
fn columns(context: &Context, versions: &[&Version], room: usize) -> Vec<(Column, usize)> {
    let names = metric_names(versions.iter().copied());
    let mut metrics = names.into_iter().map(|name| (Column::Metric(name.clone()), text::width(name).clamp(8, 14)));
    let run_width =
        versions.iter().map(|version| text::width(&run_name(context, version))).max().unwrap_or(0).clamp(3, 20);
    let mut wanted: Vec<Option<(Column, usize)>> = vec![metrics.next(), Some((Column::Run, run_width))];
    wanted.push(Some((Column::Registered, 10)));
    wanted.push(Some((Column::Commit, 8)));
    wanted.push(metrics.next());
    wanted.push(metrics.next());
    let note = versions.iter().filter_map(|version| version.note.as_deref()).map(text::width).max().unwrap_or(0);
    wanted.push((note > 0).then_some((Column::Note, note.clamp(4, 32))));
    wanted.push(Some((Column::By, 16)));
    let mut used = 0;
    let mut columns: Vec<(Column, usize)> = Vec::new();
    for (column, width) in wanted.into_iter().flatten() {
        if used + GAP + width <= room {
            used += GAP + width;
            columns.push((column, width));
        }
    }
    columns.sort_by_key(|(column, _)| match column {
        Column::Metric(_) => 0,
        Column::Run => 1,
        Column::Commit => 2,
        Column::Registered => 3,
        Column::By => 4,
        Column::Note => 5,
    });
    columns
}

fn run_name(context: &Context, version: &Version) -> String {
    match &version.run {
        Some(run_id) => context.records.get(run_id).map_or_else(|| run_id.short(), |run| run.name.clone()),
        None => String::new(),
    }
}

fn versions(view: &Models, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let Some(model) = view.model() else { return };
    let active = view.focus == Focus::Versions;
    let versions: Vec<&Version> = view.versions().collect();
    let right = Line::styled(words::count(versions.len() as u64, "version"), theme.dim);
    let room = usize::from(area.width.saturating_sub(20));
    let title = Line::styled(text::shorten(&model.name, room), theme.strong);
    let inner = parts::panel(title, right, active, theme, area, buffer);
    let aliases = |version: &Version| model.aliases_of(version.version).join(" ");
    let alias_width = versions.iter().map(|version| text::width(&aliases(version))).max().unwrap_or(0).clamp(7, 24);
    let number_width = versions.first().map_or(2, |version| format!("v{}", version.version).len()).max(2);
    let room = usize::from(inner.width.saturating_sub(2)).saturating_sub(number_width + GAP + alias_width);
    let columns = columns(context, &versions, room);
    let (heading, body) = split_top(inner, 1);
    let titles = columns.iter().map(|(column, width)| {
        let (title, right) = match column {
            Column::Metric(name) => (name.as_str(), true),
            Column::Run => ("run", false),
            Column::Commit => ("commit", false),
            Column::Registered => ("registered", true),
            Column::By => ("by", false),
            Column::Note => ("note", false),
        };
        Cell::new(title, theme.dim, *width, right)
    });
    let first = [Cell::new("", theme.dim, number_width, true), Cell::new("aliases", theme.dim, alias_width, false)];
    parts::row(first.into_iter().chain(titles), GAP, padded(heading), buffer);
    let rows = versions.iter().enumerate().skip(view.version_offset).zip(body.y..body.bottom());
    for ((index, version), y) in rows {
        let line = Rect { y, height: 1, ..body };
        let first = [
            Cell::new(&format!("v{}", version.version), theme.strong, number_width, true),
            Cell::new(&aliases(version), theme.good, alias_width, false),
        ];
        let cells =
            columns.iter().map(|(column, width)| version_cell(context, &versions, version, column, *width, theme));
        parts::row(first.into_iter().chain(cells), GAP, padded(line), buffer);
        if active && index == view.selected_version {
            buffer.set_style(line, theme.selected);
        }
    }
    parts::scrollbar(view.version_offset, usize::from(body.height), versions.len(), theme, area, buffer);
}

fn version_cell(
    context: &Context,
    versions: &[&Version],
    version: &Version,
    column: &Column,
    width: usize,
    theme: &Theme,
) -> Cell<'static> {
    match column {
        Column::Metric(name) => {
            let values = versions.iter().filter_map(|version| Some(version.metrics.get(name)?.last));
            let decimals = text::decimals(values);
            let value = version.metrics.get(name).map(|metric| text::number(metric.last, decimals));
            Cell::new(&value.unwrap_or_default(), theme.text, width, true)
        }
        Column::Run => Cell::new(&run_name(context, version), theme.text, width, false),
        Column::Commit => {
            let commit = version.commit.map_or_else(String::new, |commit| commit.short());
            Cell::new(&commit, theme.dim, width, false)
        }
        Column::Registered => Cell::new(&words::ago(version.registered, context.now), theme.dim, width, true),
        Column::By => {
            let name = version.by.split('<').next().unwrap_or_default().trim();
            Cell::new(name, theme.dim, width, false)
        }
        Column::Note => Cell::new(version.note.as_deref().unwrap_or_default(), theme.text, width, false),
    }
}

fn history(view: &Models, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let of = view.history_alias().map_or_else(String::new, |alias| format!(" of {alias}"));
    let title = Line::styled(format!("History{of}"), theme.strong);
    let inner = parts::panel(title, Line::default(), false, theme, area, buffer);
    let events = match &view.history {
        Load::Waiting => return message("Loading the history …", theme.dim, inner, buffer),
        Load::Failed(problem) => return message(problem, theme.bad, inner, buffer),
        Load::Ready(events) => events,
    };
    let width = usize::from(inner.width.saturating_sub(2));
    let is_shown =
        |event: &&RegistryEvent| view.history_alias().is_none_or(|alias| event.alias.as_deref() == Some(alias));
    for (event, y) in events.iter().filter(is_shown).zip(inner.y..inner.bottom()) {
        let when = Cell::new(&words::ago(event.commit.time, context.now), theme.dim, 8, true);
        let author = text::shorten(&event.commit.author, 20);
        let room = width.saturating_sub(8 + GAP);
        let why = event.note.as_ref().map_or_else(String::new, |note| format!(": {note}"));
        let past = event.overridden.as_ref().map_or_else(String::new, |why| format!(", past its gate: {why}"));
        let what = text::shorten(&format!("{}{why}{past}", event.what), room);
        let by = format!("  by {author}");
        let mut spans = vec![Span::styled(what.clone(), theme.text)];
        if text::width(&what) + text::width(&by) <= room {
            spans.push(Span::styled(by, theme.dim));
        }
        let what = Cell { line: Line::from(spans), width: room, right: false };
        parts::row([when, what], GAP, padded(Rect { y, height: 1, ..inner }), buffer);
    }
}
