//! How the code of two runs differs: the files, and one of them line by line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::git::{ChangedFile, CodeChanges, FileChange, FilePatch, PatchLine, PatchLineKind};
use crate::id::CommitId;
use crate::words;

use super::super::super::context::Load;
use super::super::super::effects::Effect;
use super::super::super::keys::Command;
use super::super::super::layout::{split_left, split_top};
use super::super::super::list::moved;
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::parts;
use super::super::super::source::Problem;
use super::super::super::text;
use super::super::super::theme::Theme;
use super::load::Request;

/// The code of two commits.
#[derive(Debug)]
pub(super) struct Code {
    /// The commits that are compared.
    pub(super) pair: Option<(CommitId, CommitId)>,
    pub(super) changes: Load<CodeChanges>,
    selected: usize,
    /// Whether the keys scroll the file's lines and not the list of files.
    in_lines: bool,
    /// The file whose lines were asked for.
    asked: Option<String>,
    patch: Load<FilePatch>,
    offset: usize,
}

impl Default for Code {
    fn default() -> Self {
        Self {
            pair: None,
            changes: Load::Waiting,
            selected: 0,
            in_lines: false,
            asked: None,
            patch: Load::Waiting,
            offset: 0,
        }
    }
}

impl Code {
    /// What is missing for these commits; it counts as asked for then.
    pub(super) fn wanted(&mut self, pair: Option<(CommitId, CommitId)>) -> Option<Effect> {
        if self.pair != pair {
            *self = Self { pair, ..Self::default() };
            let (old, new) = pair.filter(|(old, new)| old != new)?;
            return Some(Effect::Compare(Request::Code(old, new)));
        }
        let (old, new) = pair?;
        let file = self.file()?;
        if self.asked.as_deref() == Some(&file.path) {
            return None;
        }
        let effect = Effect::Compare(Request::Patch(old, new, file.clone()));
        self.asked = Some(file.path.clone());
        self.patch = Load::Waiting;
        self.offset = 0;
        Some(effect)
    }

    fn file(&self) -> Option<&ChangedFile> {
        self.changes.ready()?.files.get(self.selected)
    }

    /// Takes the files, if they are of the commits that are still compared.
    pub(super) fn loaded(&mut self, pair: (CommitId, CommitId), changes: Result<CodeChanges, Problem>) {
        if self.pair == Some(pair) {
            self.changes = changes.into();
        }
    }

    /// Takes the lines of a file, if it is still the one that is shown.
    pub(super) fn patch_loaded(&mut self, path: &str, patch: Result<FilePatch, Problem>) {
        if self.asked.as_deref() == Some(path) {
            self.patch = patch.into();
        }
    }

    /// Nobody waits for what was asked for and has not come: it is asked for again when the code is shown again.
    pub(super) fn left(&mut self) {
        if matches!(self.changes, Load::Waiting) {
            self.pair = None;
        }
        if matches!(self.patch, Load::Waiting) {
            self.asked = None;
        }
    }

    /// Moves in the list of files or in the lines of one.
    pub(super) fn command(&mut self, command: Command, area: Rect) {
        let files = self.changes.ready().map_or(0, |changes| changes.files.len());
        let (list, lines) = areas(area, files);
        match command {
            Command::Left => self.in_lines = false,
            Command::Right | Command::Open => self.in_lines = files > 0,
            _ if self.in_lines => {
                let rows = usize::from(lines.height.saturating_sub(2));
                let count = match &self.patch {
                    Load::Ready(FilePatch::Lines { lines, .. }) => lines.len(),
                    _ => 0,
                };
                self.offset = moved(self.offset, command, rows, (count + 1).saturating_sub(rows));
            }
            _ => self.selected = moved(self.selected, command, usize::from(list.height.saturating_sub(2)), files),
        }
    }

    /// Chooses a file, or scrolls what the mouse is over.
    pub(super) fn mouse(&mut self, mouse: &Mouse, area: Rect) {
        let files = self.changes.ready().map_or(0, |changes| changes.files.len());
        let (list, lines) = areas(area, files);
        self.in_lines = mouse.is_in(lines);
        match mouse.kind {
            MouseKind::WheelUp => self.command(Command::Up, area),
            MouseKind::WheelDown => self.command(Command::Down, area),
            MouseKind::Press => {
                let first = self.first(list);
                if let Some(row) = mouse.row_in(parts::inside(list)).filter(|row| first + row < files) {
                    self.selected = first + row;
                }
            }
            _ => {}
        }
    }

    /// The first file of the list that is seen.
    fn first(&self, list: Rect) -> usize {
        let rows = usize::from(list.height.saturating_sub(2)).max(1);
        (self.selected + 1).saturating_sub(rows)
    }

    /// Draws the list of files and the lines of the chosen one.
    pub(super) fn draw(&self, area: Rect, theme: &Theme, buffer: &mut Buffer) {
        let whole = |words: &str, style: Style, buffer: &mut Buffer| {
            let inner = parts::panel(Line::styled("Code", theme.strong), Line::default(), true, theme, area, buffer);
            parts::message(words, style, inner, buffer);
        };
        let Some((old, new)) = self.pair else {
            return whole("One of the runs has no commit, so its code is not known.", theme.dim, buffer);
        };
        if old == new {
            return whole("Both runs had the same code.", theme.dim, buffer);
        }
        let changes = match &self.changes {
            Load::Waiting => return whole("Comparing the code …", theme.dim, buffer),
            Load::Failed(problem) => return whole(problem, theme.bad, buffer),
            Load::Ready(changes) if changes.files.is_empty() => {
                return whole("The commits differ, and their files are the same.", theme.dim, buffer);
            }
            Load::Ready(changes) => changes,
        };
        let (list, lines) = areas(area, changes.files.len());
        self.draw_list(changes, list, theme, buffer);
        self.draw_lines(lines, theme, buffer);
    }

    fn draw_list(&self, changes: &CodeChanges, area: Rect, theme: &Theme, buffer: &mut Buffer) {
        let count = words::count((changes.files.len() + changes.more) as u64, "file");
        let right = Line::styled(count, theme.dim);
        let inner = parts::panel(Line::styled("Code", theme.strong), right, !self.in_lines, theme, area, buffer);
        let first = self.first(area);
        for (place, (file, y)) in changes
            .files
            .iter()
            .enumerate()
            .skip(first)
            .zip(inner.y..inner.bottom())
            .map(|((place, file), y)| (place, (file, y)))
        {
            let (mark, style) = match file.change {
                FileChange::Added => ("A", theme.good),
                FileChange::Removed => ("D", theme.bad),
                FileChange::Modified => ("M", theme.warn),
                FileChange::Renamed { .. } => ("R", theme.live),
                FileChange::Retyped => ("T", theme.warn),
            };
            let counts = match file.lines {
                Some((added, removed)) => {
                    vec![
                        Span::styled(format!("+{added}"), theme.good),
                        Span::styled(format!(" -{removed} "), theme.bad),
                    ]
                }
                None => vec![Span::styled("no text ", theme.dim)],
            };
            let counts = Line::from(counts);
            let room = usize::from(inner.width).saturating_sub(counts.width() + 5);
            let name = Line::from(vec![
                Span::styled(format!(" {mark} "), style),
                Span::styled(text::shorten(&file.path, room), theme.text),
            ]);
            let line = Rect { y, height: 1, ..inner };
            parts::ends(name, counts, line, buffer);
            if place == self.selected {
                buffer.set_style(line, theme.selected);
            }
        }
        parts::scrollbar(first, usize::from(inner.height), changes.files.len(), theme, area, buffer);
    }

    fn draw_lines(&self, area: Rect, theme: &Theme, buffer: &mut Buffer) {
        let Some(file) = self.file() else { return };
        let title = match &file.change {
            FileChange::Renamed { from } => format!("{from} → {}", file.path),
            _ => file.path.clone(),
        };
        let title = Line::styled(text::clean(&title), theme.strong);
        let inner = parts::panel(title, Line::default(), self.in_lines, theme, area, buffer);
        let say = |words: &str, style: Style, buffer: &mut Buffer| parts::message(words, style, inner, buffer);
        let sizes = |old: &u64, new: &u64| format!("{} → {}", words::size(*old), words::size(*new));
        let (lines, is_cut) = match &self.patch {
            Load::Waiting => return say("Comparing the file …", theme.dim, buffer),
            Load::Failed(problem) => return say(problem, theme.bad, buffer),
            Load::Ready(FilePatch::Binary { old, new }) => {
                return say(&format!("This is no text: {}.", sizes(old, new)), theme.dim, buffer);
            }
            Load::Ready(FilePatch::TooLarge { old, new }) => {
                return say(&format!("This is too large to be compared: {}.", sizes(old, new)), theme.dim, buffer);
            }
            Load::Ready(FilePatch::Lines { lines, .. }) if lines.is_empty() => {
                return say("Only its name or its mode differs.", theme.dim, buffer);
            }
            Load::Ready(FilePatch::Lines { lines, is_cut }) => (lines, *is_cut),
        };
        let rows = usize::from(inner.height);
        let offset = self.offset.min(lines.len().saturating_sub(rows));
        for (line, y) in lines.iter().skip(offset).zip(inner.y..inner.bottom()) {
            patch_line(line, Rect { y, height: 1, ..inner }, theme, buffer);
        }
        if is_cut && offset + rows >= lines.len() && inner.height > 0 {
            let words = "The rest is left out.";
            buffer.set_stringn(inner.x + 1, inner.bottom() - 1, words, usize::from(inner.width - 1), theme.warn);
        }
        parts::scrollbar(offset, rows, lines.len(), theme, area, buffer);
    }
}

fn patch_line(line: &PatchLine, area: Rect, theme: &Theme, buffer: &mut Buffer) {
    let (sign, style) = match line.kind {
        PatchLineKind::Hunk => ("", theme.accent),
        PatchLineKind::Context => (" ", theme.dim),
        PatchLineKind::Added => ("+", theme.good),
        PatchLineKind::Removed => ("-", theme.bad),
        PatchLineKind::Remark => ("", theme.warn),
    };
    let number = line.new.or(line.old).map_or_else(String::new, |number| number.to_string());
    let words = text::clean(&line.text.replace('\t', "    "));
    let gutter = if matches!(line.kind, PatchLineKind::Hunk) { String::new() } else { format!("{number:>5} ") };
    let shown = Line::from(vec![Span::styled(gutter, theme.border), Span::styled(format!("{sign}{words}"), style)]);
    buffer.set_line(area.x, area.y, &shown, area.width);
}

/// The list of files, and the lines of one of them: beside each other where there is room.
fn areas(area: Rect, files: usize) -> (Rect, Rect) {
    if area.width >= 110 {
        return split_left(area, (area.width / 3).clamp(36, 60));
    }
    let wanted = u16::try_from(files).unwrap_or(u16::MAX).saturating_add(2);
    split_top(area, wanted.min(area.height / 3).max(3))
}
