//! What a run wrote: a pane that follows it, goes back page by page, and searches.

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use crate::id::RunId;
use crate::run::RunStatus;
use crate::tui::content::colors::adapted;
use crate::tui::content::log::{LogBook, LogHits, LogPage, LogRow, Step as LogStep, matches};
use crate::tui::input::Input;
use crate::tui::keys::Command;
use crate::tui::layout::split_bottom;
use crate::tui::parts::{self, inside, message};
use crate::tui::source::Problem;
use crate::tui::text;
use crate::tui::theme::Theme;

use super::load::Request;

/// The log of a live run is read this often, and one that could not be read is tried again as often.
const REFRESH: SignedDuration = SignedDuration::from_millis(500);

/// The state.
#[derive(Debug, Default)]
pub(in crate::tui) struct LogPane {
    pub(in crate::tui) book: LogBook,
    problem: Option<Problem>,
    /// The text that is being typed to be searched for.
    pub(in crate::tui) input: Option<Input>,
    asked: Option<(RunStatus, Timestamp)>,
    is_pending: bool,
}

/// Columns and rows of the text in the pane's area.
fn room(area: Rect) -> (usize, usize) {
    (usize::from(area.width.saturating_sub(4)).max(1), usize::from(area.height.saturating_sub(2)))
}

impl LogPane {
    /// What is shown and not there yet; it counts as asked for. The log is read while the run is live, and once more when
    /// it has ended.
    pub(super) fn wanted(&mut self, run_id: RunId, status: RunStatus, now: Timestamp, area: Rect) -> Vec<Request> {
        let mut requests = Vec::new();
        let waited = |asked: Timestamp| now.duration_since(asked) >= REFRESH;
        let is_due = match self.asked {
            None => false,
            Some((before, asked)) => before != status || (status == RunStatus::Running && waited(asked)),
        };
        let may_ask = self.problem.is_none() || self.asked.is_none_or(|(_, asked)| waited(asked));
        if !self.is_pending
            && may_ask
            && let Some(place) = self.book.wanted(room(area).1, is_due)
        {
            (self.is_pending, self.asked) = (true, Some((status, now)));
            requests.push(Request::Log(run_id, place));
        }
        if let Some((needle, from)) = self.book.wanted_search() {
            requests.push(Request::Search(run_id, needle, from));
        }
        requests
    }

    /// Takes a page.
    pub(super) fn loaded(&mut self, result: &Result<LogPage, Problem>) {
        self.is_pending = false;
        match result {
            Ok(page) => {
                self.problem = None;
                self.book.take(page.clone());
            }
            Err(problem) => self.problem = Some(problem.clone()),
        }
    }

    /// Takes what a search found.
    pub(super) fn searched(&mut self, needle: &str, result: &Result<LogHits, Problem>, area: Rect) {
        let (width, rows) = room(area);
        match result {
            Ok(hits) => self.book.take_hits(needle, hits.clone(), width, rows),
            Err(problem) => self.problem = Some(problem.clone()),
        }
    }

    /// Does what a key asks for; a word about it where nothing could be done.
    pub(super) fn command(&mut self, command: Command, area: Rect) -> Option<String> {
        if let Some(input) = &mut self.input {
            if !input.apply(command) {
                self.end_input(command);
            }
            return None;
        }
        let (width, rows) = room(area);
        let page = isize::try_from(rows.saturating_sub(1)).unwrap_or(1).max(1);
        let step = match command {
            Command::Up => LogStep::Rows(-1),
            Command::Down => LogStep::Rows(1),
            Command::PageUp => LogStep::Rows(-page),
            Command::PageDown => LogStep::Rows(page),
            Command::First => LogStep::Start,
            Command::Last => LogStep::End,
            Command::Filter => {
                self.input = Some(Input::new(&self.book.needle));
                return None;
            }
            Command::Next | Command::Previous => {
                if self.book.needle.is_empty() {
                    return Some("nothing was searched for: `/` does".to_owned());
                }
                let found = self.book.next_hit(command == Command::Next, width, rows);
                return (!found).then(|| format!("`{}` is not in this log", text::clean(&self.book.needle)));
            }
            _ => return None,
        };
        self.book.step(step, width, rows);
        None
    }

    fn end_input(&mut self, command: Command) {
        match command {
            Command::InputAccept => {
                let needle = self.input.take().map(|input| input.text()).unwrap_or_default();
                self.book.search_for(needle);
            }
            Command::InputCancel => self.input = None,
            _ => {}
        }
    }

    /// Forgets what was asked for, if anything was, as it is about to be cancelled.
    pub(super) fn forget_asked(&mut self) -> bool {
        std::mem::take(&mut self.is_pending)
    }

    /// Ends the search, if there is one.
    pub(super) fn drop_search(&mut self) -> bool {
        let has_one = !self.book.needle.is_empty();
        self.book.search_for(String::new());
        has_one
    }

    /// Draws it.
    pub(super) fn draw(&self, status: RunStatus, active: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let right = Line::from(self.words(status, theme));
        let inner = parts::panel(Line::styled("Log", theme.strong), right, active, theme, area, buffer);
        match &self.problem {
            Some(problem) if !self.book.is_loaded() => return message(problem, theme.bad, inner, buffer),
            _ if !self.book.is_loaded() => message("Loading the log …", theme.dim, inner, buffer),
            _ if self.book.is_empty() => message("Nothing was written.", theme.dim, inner, buffer),
            _ => {
                let (width, count) = room(area);
                for (row, y) in self.book.rows(width, count).iter().zip(inner.y..inner.bottom()) {
                    let place = Rect { x: inner.x + 1, y, width: inner.width.saturating_sub(2), height: 1 };
                    self.row(row, theme, place, buffer);
                }
                let percent = usize::try_from(self.book.percent()).unwrap_or(100);
                if !self.book.is_whole_shown(width, count) {
                    // A log of unknown length: the mark stands where the reader is in its bytes.
                    parts::scrollbar(percent, 10, 110, theme, area, buffer);
                }
            }
        }
        if let Some(input) = &self.input {
            let (_, line) = split_bottom(inside(area), 1);
            buffer.set_style(line, theme.text);
            (line.x..line.right()).for_each(|x| buffer[(x, line.y)].reset());
            parts::typed(input, "/", "text to find; small letters find any", line, theme, buffer);
        }
    }

    /// Where the reader is, and what was found.
    fn words(&self, status: RunStatus, theme: &Theme) -> Vec<Span<'static>> {
        let mut words = Vec::new();
        if !self.book.needle.is_empty() {
            let needle = text::shorten(&self.book.needle, 20);
            words.push(match self.book.hit_number() {
                None => Span::styled(format!("looking for {needle} …"), theme.dim),
                Some((_, 0)) => Span::styled(format!("no {needle}"), theme.warn),
                Some((None, count)) => Span::styled(format!("{needle}: {count}"), theme.accent),
                Some((Some(place), count)) => Span::styled(format!("{needle}: {place} of {count}"), theme.accent),
            });
        }
        let place = match (self.book.follows(), status, &self.problem) {
            (_, _, Some(problem)) if self.book.is_loaded() => Span::styled(text::shorten(problem, 40), theme.bad),
            (true, RunStatus::Running, _) => Span::styled("following", theme.live),
            (true, _, _) => return words,
            (false, _, _) => Span::styled(format!("{} %", self.book.percent()), theme.dim),
        };
        if !words.is_empty() {
            words.push(Span::raw("  "));
        }
        words.push(place);
        words
    }

    fn row(&self, row: &LogRow<'_>, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let spans = row.line.spans(row.part.clone()).into_iter();
        let spans = spans.map(|span| Span::styled(span.content, theme.text.patch(adapted(span.style, theme.depth))));
        buffer.set_line(area.x, area.y, &Line::from_iter(spans), area.width);
        let is_shown_hit = self.book.shown_hit() == Some(row.line.at);
        for hit in matches(&row.line.text, &self.book.needle) {
            let (start, end) = (hit.start.max(row.part.start), hit.end.min(row.part.end));
            if start >= end {
                continue;
            }
            let columns = |from: usize, to: usize| text::width(row.line.text.get(from..to).unwrap_or_default());
            let x = area.x + u16::try_from(columns(row.part.start, start)).unwrap_or(u16::MAX).min(area.width);
            let width = u16::try_from(columns(start, end)).unwrap_or(0).min(area.right().saturating_sub(x));
            let style = Style::new().add_modifier(Modifier::REVERSED);
            let style = if is_shown_hit { style.patch(theme.accent).add_modifier(Modifier::BOLD) } else { style };
            buffer.set_style(Rect { x, y: area.y, width, height: 1 }, style);
        }
    }
}
