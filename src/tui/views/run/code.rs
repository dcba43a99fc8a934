//! The code of a run against other code: the files that differ, and how.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::git::{
    ChangedFile, CodeChanges, CommitInfo, FileChange, FilePatch, GitError, PatchLine, PatchLineKind, Repository,
};
use crate::id::CommitId;
use crate::run::Run;
use crate::tui::context::Load;
use crate::tui::keys::Command;
use crate::tui::layout::{split_left, split_top};
use crate::tui::list::{held, moved};
use crate::tui::mouse::{Mouse, MouseKind};
use crate::tui::parts::{self, Cell, message, padded};
use crate::tui::source::Problem;
use crate::tui::text;
use crate::tui::theme::Theme;
use crate::words::{self, with_causes};

use super::load::Request;

/// Columns from which on the files stand beside the changes.
const WIDE: u16 = 90;
/// Files that are listed.
const MAX_FILES: usize = 2000;
/// Lines of one file that are shown.
pub(super) const MAX_LINES: usize = 20_000;
/// Columns of a line's number.
const NUMBER: usize = 5;
/// Columns that a step to the right goes.
const STEP: usize = 8;

/// What the code of a run is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Base {
    /// The commit that was checked out when it started: what was not committed.
    Commit,
    /// HEAD as it is now.
    Head,
    /// The commit where the run's branch left the trunk.
    BranchPoint,
}

impl Base {
    fn next(self) -> Self {
        match self {
            Self::Commit => Self::Head,
            Self::Head => Self::BranchPoint,
            Self::BranchPoint => Self::Commit,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Commit => "its commit",
            Self::Head => "HEAD",
            Self::BranchPoint => "the branch point",
        }
    }
}

/// The commit that a run's code is held against, and what differs.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct CodeDiff {
    pub(in crate::tui) old: CommitInfo,
    pub(in crate::tui) changes: CodeChanges,
}

/// What differs between the code of a run, which began at `commit` as `snapshot`, and other code.
pub(in crate::tui) fn code_of(
    repository: &Repository,
    base: Base,
    commit: &CommitId,
    snapshot: &CommitId,
) -> Result<CodeDiff, Problem> {
    let fail = |error: GitError| with_causes(&error);
    let head = || repository.head().map_err(fail)?.commit.ok_or_else(|| "this repository has no commit yet".to_owned());
    let old = match base {
        Base::Commit => *commit,
        Base::Head => head()?,
        Base::BranchPoint => {
            let trunk = match repository.trunk().map_err(fail)? {
                Some(trunk) => trunk,
                None => head()?,
            };
            let point = repository.merge_base(&trunk, commit).map_err(fail)?;
            point.ok_or_else(|| "its commit and the trunk have nothing in common".to_owned())?
        }
    };
    let changes = repository.code_changes(&old, snapshot, MAX_FILES).map_err(fail)?;
    Ok(CodeDiff { old: repository.commit(&old).map_err(fail)?, changes })
}

/// The state.
#[derive(Debug)]
pub(in crate::tui) struct CodePane {
    /// What the user chose; without it what tells most of the run.
    base: Option<Base>,
    asked: Option<(CommitId, Base)>,
    diff: Load<CodeDiff>,
    pub(in crate::tui) selected: usize,
    offset: usize,
    patch: Option<(ChangedFile, Load<FilePatch>)>,
    /// Lines and columns that the changes are scrolled by.
    scroll: (usize, usize),
}

impl Default for CodePane {
    fn default() -> Self {
        Self { base: None, asked: None, diff: Load::Waiting, selected: 0, offset: 0, patch: None, scroll: (0, 0) }
    }
}

impl CodePane {
    fn base(&self, run: &Run) -> Base {
        self.base.unwrap_or(if run.dirty { Base::Commit } else { Base::Head })
    }

    fn files(&self) -> &[ChangedFile] {
        self.diff.ready().map_or(&[], |diff| &diff.changes.files)
    }

    /// What is shown and not there yet; it counts as asked for.
    pub(super) fn wanted(&mut self, run: &Run) -> Vec<Request> {
        let (Some(commit), Some(snapshot)) = (run.commit, run.snapshot.or(run.commit)) else { return Vec::new() };
        let base = self.base(run);
        if self.asked != Some((snapshot, base)) {
            *self = Self { base: self.base, asked: Some((snapshot, base)), ..Self::default() };
            return vec![Request::Code { run_id: run.id, base, commit, snapshot }];
        }
        let Some(file) = self.files().get(self.selected).cloned() else { return Vec::new() };
        let Some(old) = self.diff.ready().map(|diff| diff.old.id) else { return Vec::new() };
        if self.patch.as_ref().is_some_and(|(known, _)| *known == file) {
            return Vec::new();
        }
        self.patch = Some((file.clone(), Load::Waiting));
        self.scroll = (0, 0);
        vec![Request::Patch { run_id: run.id, old, new: snapshot, file }]
    }

    /// Takes what differs from a base, if that is still wanted.
    pub(super) fn loaded(&mut self, base: Base, result: &Result<CodeDiff, Problem>) {
        if self.asked.is_some_and(|(_, asked)| asked == base) {
            self.diff = result.clone().into();
        }
    }

    /// Takes how a file differs, if that is still wanted.
    pub(super) fn patch_loaded(&mut self, file: &ChangedFile, result: &Result<FilePatch, Problem>) {
        if let Some((wanted, patch)) = &mut self.patch
            && wanted == file
        {
            *patch = result.clone().into();
        }
    }

    /// The areas of the files and of the changes.
    fn places(&self, area: Rect) -> (Rect, Rect) {
        if area.width >= WIDE {
            return split_left(area, (area.width / 3).clamp(30, 56));
        }
        let rows = u16::try_from(self.files().len().max(1)).unwrap_or(u16::MAX);
        split_top(area, rows.saturating_add(2).min(area.height / 3).max(3))
    }

    fn lines(&self) -> &[PatchLine] {
        match self.patch.as_ref().and_then(|(_, patch)| patch.ready()) {
            Some(FilePatch::Lines { lines, .. }) => lines,
            _ => &[],
        }
    }

    /// Does what a key asks for; false where it means nothing here.
    pub(super) fn command(&mut self, command: Command, run: &Run, area: Rect) -> bool {
        let count = self.files().len();
        match command {
            Command::SwitchBase => self.base = Some(self.base(run).next()),
            Command::Next => self.selected = moved(self.selected, Command::Down, 1, count),
            Command::Previous => self.selected = moved(self.selected, Command::Up, 1, count),
            Command::Left if self.scroll.1 == 0 => return false,
            Command::Left => self.scroll.1 -= STEP.min(self.scroll.1),
            Command::Right => {
                let widest =
                    self.lines().iter().skip(self.scroll.0).take(200).map(|line| text::width(&line.text)).max();
                let room = usize::from(self.places(area).1.width.saturating_sub(4));
                if widest.unwrap_or(0) + 2 * NUMBER < self.scroll.1 + room {
                    return false;
                }
                self.scroll.1 += STEP;
            }
            Command::Up | Command::Down | Command::PageUp | Command::PageDown | Command::First | Command::Last => {
                let page = usize::from(self.places(area).1.height.saturating_sub(3)).max(1);
                let stops = (self.lines().len() + 1).saturating_sub(page).max(1);
                self.scroll.0 = moved(self.scroll.0, command, page, stops);
            }
            _ => return false,
        }
        true
    }

    /// Takes what was done with the mouse.
    pub(super) fn mouse(&mut self, mouse: Mouse, run: &Run, area: Rect) {
        let (files, _) = self.places(area);
        let step = match mouse.kind {
            MouseKind::WheelUp => Command::Up,
            MouseKind::WheelDown => Command::Down,
            MouseKind::Press | MouseKind::DoublePress => {
                let row = mouse.row_in(parts::inside(files)).map(|row| row + self.offset);
                self.selected = row.filter(|row| *row < self.files().len()).unwrap_or(self.selected);
                return;
            }
            MouseKind::Drag | MouseKind::Release => return,
        };
        if mouse.is_in(files) {
            self.selected = moved(self.selected, step, 1, self.files().len());
        } else {
            (0..3).for_each(|_| _ = self.command(step, run, area));
        }
    }

    /// Keeps the chosen file on the screen.
    pub(super) fn settle(&mut self, area: Rect) {
        let count = self.files().len();
        self.selected = self.selected.min(count.saturating_sub(1));
        let rows = usize::from(self.places(area).0.height.saturating_sub(2));
        self.offset = held(self.offset, self.selected, rows, count);
    }

    /// Draws it.
    pub(super) fn draw(&self, run: &Run, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let against = Line::styled(format!("against {}", self.base(run).words()), theme.dim);
        let whole = |words: &str, style: Style, buffer: &mut Buffer| {
            let inner = parts::panel(Line::styled("Code", theme.strong), against.clone(), true, theme, area, buffer);
            message(words, style, inner, buffer);
        };
        if run.commit.is_none() {
            return whole("No commit is known of this run: it was not started here.", theme.dim, buffer);
        }
        let diff = match &self.diff {
            Load::Waiting => return whole("Comparing …", theme.dim, buffer),
            Load::Failed(problem) => return whole(problem, theme.bad, buffer),
            Load::Ready(diff) => diff,
        };
        if diff.changes.files.is_empty() {
            let old = format!("{} {}", diff.old.id.short(), text::clean(diff.old.subject()));
            let words = format!(
                "The code is the same as in {}, {old}. `b` compares with another commit.",
                self.base(run).words()
            );
            return whole(&words, theme.dim, buffer);
        }
        let (left, right) = self.places(area);
        self.draw_files(diff, run, theme, left, buffer);
        self.draw_patch(diff, run, theme, right, buffer);
    }

    fn draw_files(&self, diff: &CodeDiff, run: &Run, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let count = diff.changes.files.len() + diff.changes.more;
        let right = Line::styled(words::count(count as u64, "file"), theme.dim);
        let title = Line::styled(format!("Code against {}", self.base(run).words()), theme.strong);
        let inner = parts::panel(title, right, false, theme, area, buffer);
        let width = usize::from(inner.width.saturating_sub(2));
        for ((index, file), y) in diff.changes.files.iter().enumerate().skip(self.offset).zip(inner.y..inner.bottom()) {
            let line = Rect { y, height: 1, ..inner };
            let (mark, style) = mark_of(&file.change, theme);
            let (added, removed) = match file.lines {
                Some((added, removed)) => (format!("+{added}"), format!("-{removed}")),
                None => (String::new(), "binary".to_owned()),
            };
            let counts = Line::from(vec![
                Span::styled(added, theme.good),
                Span::raw(" "),
                Span::styled(removed, if file.lines.is_some() { theme.bad } else { theme.dim }),
            ]);
            let room = width.saturating_sub(counts.width() + 4);
            let cells = [
                Cell::new(mark, style, 1, false),
                Cell::new(&shortened_path(&file.path, room), theme.text, room, false),
                Cell { width: counts.width(), line: counts, right: true },
            ];
            parts::row(cells, 1, padded(line), buffer);
            if index == self.selected {
                buffer.set_style(line, theme.selected);
            }
        }
        parts::scrollbar(self.offset, usize::from(inner.height), diff.changes.files.len(), theme, area, buffer);
    }

    fn draw_patch(&self, diff: &CodeDiff, run: &Run, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let old = format!("{} {}", diff.old.id.short(), text::clean(diff.old.subject()));
        let Some((file, patch)) = &self.patch else { return };
        let room = usize::from(area.width.saturating_sub(8));
        let name = match &file.change {
            FileChange::Renamed { from } => format!("{from} → {}", file.path),
            _ => file.path.clone(),
        };
        let title = Line::styled(shortened_path(&name, room), theme.strong);
        let right = Line::styled(text::shorten(&old, room.saturating_sub(title.width() + 4)), theme.dim);
        let inner = parts::panel(title, right, true, theme, area, buffer);
        let words = match patch {
            Load::Waiting => return message("Comparing …", theme.dim, inner, buffer),
            Load::Failed(problem) => return message(problem, theme.bad, inner, buffer),
            Load::Ready(FilePatch::Lines { lines, is_cut }) => {
                self.draw_lines(lines, theme, inner, buffer);
                if *is_cut && area.height > 2 {
                    let words = format!(" the first {} lines ", lines.len());
                    buffer.set_stringn(area.x + 2, area.bottom() - 1, words, room, theme.warn);
                }
                parts::scrollbar(self.scroll.0, usize::from(inner.height), lines.len(), theme, area, buffer);
                if !lines.is_empty() {
                    return;
                }
                "Only its mode or its name differs.".to_owned()
            }
            Load::Ready(FilePatch::Binary { old, new }) => {
                format!("No text: {} before, {} in the run's code.", words::size(*old), words::size(*new))
            }
            Load::Ready(FilePatch::TooLarge { old, new }) => {
                let sizes = format!("{} before, {} in the run's code", words::size(*old), words::size(*new));
                let snapshot = run.snapshot.or(run.commit).map_or_else(String::new, |commit| commit.short());
                format!("Too large to be compared here ({sizes}): `git diff {} {snapshot}` does.", diff.old.id.short())
            }
        };
        message(&words, theme.dim, inner, buffer);
    }

    fn draw_lines(&self, lines: &[PatchLine], theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let has_numbers = area.width >= 60;
        for (line, y) in lines.iter().skip(self.scroll.0).zip(area.y..area.bottom()) {
            let (sign, style) = match line.kind {
                PatchLineKind::Hunk => ("", theme.accent),
                PatchLineKind::Context => (" ", theme.text),
                PatchLineKind::Added => ("+", theme.good),
                PatchLineKind::Removed => ("-", theme.bad),
                PatchLineKind::Remark => ("", theme.dim),
            };
            let mut x = area.x + 1;
            if has_numbers && line.kind != PatchLineKind::Hunk {
                for number in [line.old, line.new] {
                    let number = number.map_or_else(String::new, |number| number.to_string());
                    let words = format!("{number:>width$} ", width = NUMBER - 1);
                    x = buffer.set_stringn(x, y, words, usize::from(area.right().saturating_sub(x)), theme.dim).0;
                }
            }
            let shown = text::clean(&line.text.replace('\t', "    "));
            let skipped = text::take(&shown, self.scroll.1).len();
            let words = format!("{sign}{}", &shown[skipped..]);
            buffer.set_stringn(x, y, words, usize::from(area.right().saturating_sub(x)), style);
        }
    }
}

fn mark_of(change: &FileChange, theme: &Theme) -> (&'static str, Style) {
    match change {
        FileChange::Added => ("A", theme.good),
        FileChange::Removed => ("D", theme.bad),
        FileChange::Modified => ("M", theme.warn),
        FileChange::Renamed { .. } => ("R", theme.live),
        FileChange::Retyped => ("T", theme.warn),
    }
}

/// A path with its end, which tells most, where it does not fit.
fn shortened_path(path: &str, room: usize) -> String {
    let path = text::clean(path);
    let width = text::width(&path);
    if width <= room || room == 0 {
        return text::shorten(&path, room);
    }
    let mut skipped = text::take(&path, width + 1 - room).len();
    while skipped < path.len() && text::width(&path[skipped..]) + 1 > room {
        skipped += path[skipped..].chars().next().map_or(1, char::len_utf8);
    }
    format!("…{}", &path[skipped..])
}
