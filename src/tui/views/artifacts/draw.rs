//! How the artifacts are drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::files::RelPath;
use crate::track::{Pointer, State};
use crate::tui::context::{Context, Load};
use crate::tui::layout::split_top;
use crate::tui::mouse::Mouse;
use crate::tui::parts::{self, Cell, inside, message, padded};
use crate::tui::theme::Theme;
use crate::tui::{files, text};
use crate::words;

use super::load::{Named, Standing};
use super::state::{ArtifactsView, Part, Places};

/// Spaces between columns.
const GAP: usize = 2;

/// Draws the view.
pub(super) fn draw(view: &ArtifactsView, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (words, style) = match &view.tracked {
        Load::Waiting => ("Looking for artifacts …".to_owned(), theme.dim),
        Load::Failed(problem) => (format!("The artifacts cannot be read: {problem}"), theme.bad),
        Load::Ready(tracked) if tracked.artifacts.is_empty() => match tracked.faulty.first() {
            Some((path, problem)) => (format!("{path}: {problem}"), theme.bad),
            None => ("Nothing is tracked yet: `git ml track PATH` tracks a file or a folder.".to_owned(), theme.dim),
        },
        Load::Ready(_) => {
            let places = view.places(area);
            list(view, theme, places.list, buffer);
            for part in Part::BELOW {
                if places.wide || view.below == part {
                    below(view, part, &places, context, theme, buffer);
                }
            }
            return;
        }
    };
    let inner = parts::panel(Line::styled("Artifacts", theme.strong), Line::default(), true, theme, area, buffer);
    message(&words, style, inner, buffer);
}

fn state_of(standing: Option<&Standing>, theme: &Theme) -> (&'static str, Style) {
    match standing.map(|standing| standing.state) {
        None => ("…", theme.dim),
        Some(State::Clean) => ("clean", theme.good),
        Some(State::Modified) => ("modified", theme.warn),
        Some(State::Missing) => ("missing", theme.warn),
        Some(State::Unstored) => ("unstored", theme.bad),
    }
}

fn list(view: &ArtifactsView, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let artifacts = view.artifacts();
    let active = view.part == Part::List;
    let standings = view.standings.ready();
    let faulty = view.tracked.ready().map_or(&[][..], |tracked| &tracked.faulty);
    let right = match (&view.standings, faulty.first()) {
        (Load::Failed(problem), _) => Line::styled(text::shorten(problem, 50), theme.bad),
        (_, Some((path, problem))) => {
            let more = if faulty.len() > 1 { format!(" and {} more", faulty.len() - 1) } else { String::new() };
            Line::styled(text::shorten(&format!("{path}: {problem}{more}"), 60), theme.bad)
        }
        _ => Line::styled(artifacts.len().to_string(), theme.dim),
    };
    let inner = parts::panel(Line::styled("Artifacts", theme.strong), right, active, theme, area, buffer);
    let (heading, body) = split_top(inner, 1);
    let room = usize::from(inner.width.saturating_sub(2));
    let widest = |text: &dyn Fn(&(RelPath, Pointer)) -> usize, least: usize, most: usize| {
        artifacts.iter().map(text).max().unwrap_or(0).clamp(least, most)
    };
    let path_width = widest(&|(path, _)| text::width(path.as_str()), 8, (room / 3).max(12));
    let type_width = widest(&|(_, pointer)| pointer.artifact_type.as_str().len(), 4, 10);
    let name_width = widest(&|(_, pointer)| text::width(&pointer.name), 4, 20);
    // The columns in the order of what they tell; what has no room goes from the end.
    let mut columns: Vec<(String, usize, bool)> = vec![
        ("state".to_owned(), 8, false),
        ("path".to_owned(), path_width, false),
        ("size".to_owned(), 9, true),
        ("files".to_owned(), 7, true),
        ("stored".to_owned(), 6, false),
    ];
    let remotes = standings.map_or(&[][..], |standings| &standings.remotes);
    columns
        .extend(remotes.iter().map(|remote| (format!("on {remote}"), (text::width(remote) + 3).clamp(7, 16), false)));
    columns.push(("type".to_owned(), type_width, false));
    columns.push(("name".to_owned(), name_width, false));
    columns.push(("id".to_owned(), 8, false));
    let mut used = 0;
    let shown = columns.iter().take_while(|(_, width, _)| {
        used += width + GAP;
        used <= room + GAP
    });
    let shown = shown.count();
    let titles = columns[..shown].iter().map(|(title, width, right)| Cell::new(title, theme.dim, *width, *right));
    parts::row(titles, GAP, padded(heading), buffer);
    for ((index, (path, pointer)), y) in
        artifacts.iter().enumerate().skip(view.choice.offset).zip(body.y..body.bottom())
    {
        let line = Rect { y, height: 1, ..body };
        let standing = standings.and_then(|standings| standings.by_path.get(path));
        let (state, state_style) = state_of(standing, theme);
        let stored = match standing.map(|standing| standing.state) {
            None => ("…", theme.dim),
            Some(State::Unstored) => ("no", theme.bad),
            Some(State::Modified) => ("before", theme.warn),
            Some(State::Clean | State::Missing) => ("yes", theme.text),
        };
        let mut values: Vec<(String, Style)> = vec![
            (state.to_owned(), state_style),
            (path.to_string(), theme.strong),
            (words::size(pointer.bytes), theme.text),
            (pointer.files.to_string(), theme.dim),
            (stored.0.to_owned(), stored.1),
        ];
        for remote in 0..remotes.len() {
            let pushed = standing.and_then(|standing| standing.pushed.get(remote).copied());
            values.push(match pushed {
                None => ("…".to_owned(), theme.dim),
                Some(None) => ("unknown".to_owned(), theme.dim),
                Some(Some(true)) => ("yes".to_owned(), theme.text),
                Some(Some(false)) => ("no".to_owned(), theme.warn),
            });
        }
        values.push((pointer.artifact_type.to_string(), theme.dim));
        values.push((pointer.name.clone(), theme.text));
        values.push((pointer.id.short(), theme.dim));
        let cells = columns[..shown].iter().zip(&values);
        let cells = cells.map(|((_, width, right), (words, style))| Cell::new(words, *style, *width, *right));
        parts::row(cells, GAP, padded(line), buffer);
        if index == view.choice.selected {
            buffer.set_style(line, if active { theme.selected } else { theme.strong });
        }
    }
    parts::scrollbar(view.choice.offset, usize::from(body.height), artifacts.len(), theme, area, buffer);
    note(view, theme, area, buffer);
}

/// What there is to say of the chosen artifact beyond its row, on the border below.
fn note(view: &ArtifactsView, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let Some((path, _)) = view.chosen() else { return };
    let Some(standing) = view.standings.ready().and_then(|standings| standings.by_path.get(path)) else { return };
    let words = match standing.state {
        State::Modified => {
            let files = words::count(standing.differing as u64, "file");
            format!("{files} not as tracked: `git ml track` keeps that, `git ml checkout` undoes it")
        }
        State::Missing => "not in the work tree: `git ml checkout` brings it".to_owned(),
        State::Unstored => "not in this store: `git ml pull` brings it".to_owned(),
        State::Clean if !standing.pointer_in_git => "git does not have the pointer yet: `git add` it".to_owned(),
        State::Clean => return,
    };
    if area.height > 2 {
        let room = usize::from(area.width.saturating_sub(8));
        let words = format!(" {} ", text::shorten(&words, room));
        buffer.set_stringn(area.x + 2, area.bottom() - 1, words, room + 2, theme.warn);
    }
}

/// The names of the parts below the list, where one is shown at a time.
fn part_names(view: &ArtifactsView, theme: &Theme) -> Line<'static> {
    let name = |part: Part| {
        let style = if view.below == part { theme.tab } else { theme.dim };
        [Span::styled(part.title(), style), Span::raw("  ")]
    };
    let mut spans: Vec<Span<'static>> = Part::BELOW.into_iter().flat_map(name).collect();
    spans.pop();
    Line::from(spans)
}

/// The part whose name the mouse is on.
pub(super) fn part_at(view: &ArtifactsView, mouse: &Mouse, places: &Places) -> Option<Part> {
    let area = places.versions;
    if places.wide || mouse.row != area.y || view.below == Part::Files {
        return None;
    }
    let widths = Part::BELOW.map(|part| text::width(part.title()));
    let all: usize = widths.iter().map(|width| width + 2).sum::<usize>() - 2;
    // As the right title of a panel stands: a space, and two columns to the corner.
    let mut x = usize::from(area.right()).checked_sub(all + 3)?;
    for (part, width) in Part::BELOW.into_iter().zip(widths) {
        if (x..x + width).contains(&usize::from(mouse.column)) {
            return Some(part);
        }
        x += width + 2;
    }
    None
}

fn below(view: &ArtifactsView, part: Part, places: &Places, context: &Context, theme: &Theme, buffer: &mut Buffer) {
    let active = view.part == part;
    let names = if places.wide { Line::default() } else { part_names(view, theme) };
    match part {
        Part::List => {}
        Part::Versions => versions(view, names, active, context, theme, places.versions, buffer),
        Part::Names => named_by(view, names, active, context, theme, places.names, buffer),
        Part::Files => {
            let title =
                view.pointer().map_or_else(|| "Files".to_owned(), |pointer| format!("Files of {}", pointer.id.short()));
            files::draw(&view.files, &title, active, theme, places.files, buffer);
        }
    }
}

fn versions(
    view: &ArtifactsView,
    names: Line<'static>,
    active: bool,
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let inner = parts::panel(Line::styled("Versions", theme.strong), names, active, theme, area, buffer);
    let versions = match &view.versions {
        None | Some((_, Load::Waiting)) => return message("Reading the history …", theme.dim, inner, buffer),
        Some((_, Load::Failed(problem))) => return message(problem, theme.bad, inner, buffer),
        Some((_, Load::Ready(versions))) if versions.is_empty() => {
            return message("No commit has its pointer yet.", theme.dim, inner, buffer);
        }
        Some((_, Load::Ready(versions))) => versions,
    };
    let room = usize::from(inner.width.saturating_sub(2));
    let here = view.chosen().map(|(_, pointer)| pointer.id);
    for ((index, version), y) in versions.iter().enumerate().skip(view.version.offset).zip(inner.y..inner.bottom()) {
        let line = Rect { y, height: 1, ..inner };
        let (id, size, style) = match &version.pointer {
            Ok(Some(pointer)) => (pointer.id.short(), words::size(pointer.bytes), theme.text),
            Ok(None) => ("removed".to_owned(), String::new(), theme.warn),
            Err(_) => ("not valid".to_owned(), String::new(), theme.bad),
        };
        let is_here = version.pointer.as_ref().ok().and_then(Option::as_ref).map(|pointer| pointer.id) == here;
        let fixed = 1 + 8 + 9 + 9 + 8 + 5 * GAP;
        let author_width = if room >= fixed + 40 { 14 } else { 0 };
        let subject_width = room.saturating_sub(fixed + if author_width > 0 { author_width + GAP } else { 0 });
        let mut cells = vec![
            Cell::new(if is_here { "●" } else { "" }, theme.good, 1, false),
            Cell::new(&version.commit.id.short(), theme.accent, 8, false),
            Cell::new(version.commit.subject(), theme.text, subject_width, false),
        ];
        if author_width > 0 {
            cells.push(Cell::new(&version.commit.author, theme.dim, author_width, false));
        }
        cells.push(Cell::new(&words::ago(version.commit.time, context.now), theme.dim, 8, true));
        cells.push(Cell::new(&size, theme.text, 9, true));
        cells.push(Cell::new(&id, if is_here { theme.good } else { style }, 9, false));
        parts::row(cells, GAP, padded(line), buffer);
        if index == view.version.selected {
            buffer.set_style(line, if active { theme.selected } else { theme.strong });
        }
    }
    parts::scrollbar(view.version.offset, usize::from(inner.height), versions.len(), theme, area, buffer);
}

fn named_by(
    view: &ArtifactsView,
    names: Line<'static>,
    active: bool,
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let inner = parts::panel(Line::styled("Named by", theme.strong), names, active, theme, area, buffer);
    let found = match &view.names {
        None => return message("This version is not there.", theme.dim, inner, buffer),
        Some((_, Load::Waiting)) => return message("Looking for what names it …", theme.dim, inner, buffer),
        Some((_, Load::Failed(problem))) => return message(problem, theme.bad, inner, buffer),
        Some((_, Load::Ready(names))) if names.all.is_empty() => {
            return message("No run and no registered version.", theme.dim, inner, buffer);
        }
        Some((_, Load::Ready(names))) => names,
    };
    let room = usize::from(inner.width.saturating_sub(2));
    for ((index, named), y) in found.all.iter().enumerate().skip(view.name.offset).zip(inner.y..inner.bottom()) {
        let line = Rect { y, height: 1, ..inner };
        let cells = match named {
            Named::Version(version) => vec![
                Cell::new("◆", theme.best, 1, false),
                Cell::new(version, theme.strong, room.saturating_sub(1 + GAP), false),
            ],
            Named::Run(run) => {
                let what = text::width(&run.what).min(room / 2);
                vec![
                    Cell::new(parts::mark(run.status, context.now), theme.status(run.status), 1, false),
                    Cell::new(&run.name, theme.text, room.saturating_sub(1 + what + 2 * GAP), false),
                    Cell::new(&run.what, theme.dim, what, true),
                ]
            }
        };
        parts::row(cells, GAP, padded(line), buffer);
        if index == view.name.selected && active {
            buffer.set_style(line, theme.selected);
        }
    }
    if found.more > 0 && area.height > 2 {
        let words = format!(" and {} ", words::count(found.more as u64, "run"));
        buffer.set_stringn(area.x + 2, area.bottom() - 1, words, usize::from(area.width.saturating_sub(4)), theme.dim);
    }
    parts::scrollbar(view.name.offset, usize::from(inside(area).height), found.all.len(), theme, area, buffer);
}
