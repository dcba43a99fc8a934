//! A long log of which a few pages are in memory: where the reader is, what is loaded around, what was searched for.

use std::collections::VecDeque;
use std::ops::Range;

use crate::run::{LogPart, LogPlace};

use super::ansi::{LogLine, log_lines};

/// Bytes of a log that are read at once.
pub(in crate::tui) const PAGE: u64 = 256 << 10;
/// Bytes that are kept in memory around the place that is shown.
const KEPT: u64 = 4 << 20;
/// Lines that are kept: there may be as many as bytes.
const KEPT_LINES: usize = 200_000;
/// Lines around the screen that are loaded before they are needed, unless they are very long.
const AHEAD: usize = 200;
/// Bytes around the screen that are enough in any case.
const NEAR: u64 = 1 << 20;
/// Hits of a search that are kept.
const MAX_HITS: usize = 100_000;
/// Rows above a hit.
const ABOVE_HIT: isize = 3;

/// Lines that stand together in a log.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::tui) struct LogPage {
    start: u64,
    end: u64,
    /// Where the log ends, so far.
    total: u64,
    lines: Vec<LogLine>,
}

impl LogPage {
    /// The lines of a part of a log.
    pub(in crate::tui) fn of(part: &LogPart) -> Self {
        Self { start: part.start, end: part.end, total: part.total, lines: log_lines(&part.bytes, part.start) }
    }
}

/// What a search came to: where the lines begin that have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::tui) struct LogHits {
    /// In order.
    pub(in crate::tui) lines: Vec<u64>,
    /// How far was searched.
    pub(in crate::tui) end: u64,
    /// Where a later search goes on: a last line without an end may grow.
    resume: u64,
}

/// Looks through a log from `from` on for lines that have `needle`. Pages come from `page`, which reads the part that
/// begins at a place.
pub(in crate::tui) fn search<E>(
    needle: &str,
    from: u64,
    mut page: impl FnMut(u64) -> Result<LogPart, E>,
) -> Result<LogHits, E> {
    let mut hits = LogHits { lines: Vec::new(), end: from, resume: from };
    loop {
        let part = page(hits.end)?;
        if part.end <= hits.end {
            return Ok(hits);
        }
        let lines = LogPage::of(&part).lines;
        hits.resume =
            if part.bytes.ends_with(b"\n") { part.end } else { lines.last().map_or(part.end, |line| line.at) };
        hits.end = part.end;
        let found = lines.into_iter().filter(|line| !matches(&line.text, needle).is_empty());
        let room = MAX_HITS - hits.lines.len();
        hits.lines.extend(found.map(|line| line.at).take(room));
    }
}

/// Where a text has the needle. One without capitals finds any letters.
pub(in crate::tui) fn matches(text: &str, needle: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if needle.is_empty() {
        return found;
    }
    let any_case = !needle.chars().any(char::is_uppercase);
    let same = |one: char, other: char| one == other || any_case && one.to_lowercase().eq(other.to_lowercase());
    let mut start = 0;
    while let Some(c) = text[start..].chars().next() {
        let mut rest = text[start..].char_indices();
        let mut end = start;
        let fits = needle.chars().all(|wanted| {
            let next = rest.next().filter(|(_, c)| same(*c, wanted));
            end = next.map_or(end, |(at, c)| start + at + c.len_utf8());
            next.is_some()
        });
        if fits {
            found.push(start..end);
        }
        start = if fits { end } else { start + c.len_utf8() };
    }
    found
}

/// A row of the screen: a part of a line.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct LogRow<'l> {
    /// The line.
    pub(in crate::tui) line: &'l LogLine,
    /// Which part.
    pub(in crate::tui) part: Range<usize>,
}

/// A step of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Step {
    /// So many rows down, or up where it is negative.
    Rows(isize),
    /// To the first line.
    Start,
    /// To the last line, following what is written from then on.
    End,
}

/// A log that is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::tui) struct LogBook {
    /// Pages that follow each other without a gap.
    pages: VecDeque<LogPage>,
    /// Where the log ends, as far as is known.
    total: u64,
    /// The place of the line at the top, and which of its rows; none follows the end.
    top: Option<(u64, usize)>,
    is_loaded: bool,
    /// What is searched for; empty without a search.
    pub(in crate::tui) needle: String,
    hits: LogHits,
    is_searching: bool,
    /// Whether a hit is to be shown once some are known.
    jump: bool,
    /// The line of the hit that was gone to.
    shown_hit: Option<u64>,
}

impl LogBook {
    /// Whether anything was loaded.
    pub(in crate::tui) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    /// Whether nothing was written.
    pub(in crate::tui) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether the end is shown, whatever is written.
    pub(in crate::tui) fn follows(&self) -> bool {
        self.top.is_none()
    }

    /// How far down the reader is, in hundredths of the log.
    pub(in crate::tui) fn percent(&self) -> u64 {
        let at = self.top.map_or(self.total, |(at, _)| at);
        if self.total == 0 { 100 } else { (u128::from(at) * 100 / u128::from(self.total)).min(100) as u64 }
    }

    /// Whether all of it fits into so many rows.
    pub(in crate::tui) fn is_whole_shown(&self, width: usize, count: usize) -> bool {
        let is_all = self.start() == 0 && self.end() >= self.total;
        is_all && self.lines().flat_map(|line| line.rows(width)).take(count + 1).count() <= count
    }

    fn start(&self) -> u64 {
        self.pages.front().map_or(0, |page| page.start)
    }

    fn end(&self) -> u64 {
        self.pages.back().map_or(0, |page| page.end)
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = &LogLine> {
        self.pages.iter().flat_map(|page| &page.lines)
    }

    /// Takes a page in: it replaces what is known of its place, and all else where it does not touch it.
    pub(in crate::tui) fn take(&mut self, page: LogPage) {
        self.is_loaded = true;
        if page.total < self.total {
            // Another log than before: what is kept of a run at its end may be less than was written.
            *self = Self { needle: std::mem::take(&mut self.needle), is_loaded: true, ..Self::default() };
        }
        self.total = page.total;
        if page.start == page.end {
            return;
        }
        if page.end == self.start() && !self.pages.is_empty() {
            self.pages.push_front(page);
            return self.forget(false);
        }
        if page.start < self.start() || page.start > self.end() {
            self.pages.clear();
        }
        while let Some(last) = self.pages.back_mut()
            && last.end > page.start
        {
            last.lines.retain(|line| line.at < page.start);
            last.end = page.start;
            if last.start >= page.start {
                self.pages.pop_back();
            }
        }
        match self.pages.back_mut() {
            Some(last) if last.end == page.start && page.end - last.start <= PAGE => {
                last.end = page.end;
                last.lines.extend(page.lines);
            }
            _ => self.pages.push_back(page),
        }
        self.forget(true);
    }

    /// Drops pages that are far from what is shown; from the front where the newest stands at the back.
    fn forget(&mut self, from_front: bool) {
        let lines = |pages: &VecDeque<LogPage>| pages.iter().map(|page| page.lines.len()).sum::<usize>();
        while (self.end() - self.start() > KEPT || lines(&self.pages) > KEPT_LINES) && self.pages.len() > 2 {
            let top = self.top.map_or(u64::MAX, |(at, _)| at);
            let first_is_shown = self.pages.front().is_some_and(|page| top < page.end);
            let last_is_shown = self.pages.back().is_some_and(|page| top >= page.start);
            match from_front {
                true if !first_is_shown => drop(self.pages.pop_front()),
                false if !last_is_shown => drop(self.pages.pop_back()),
                _ => return,
            }
        }
    }

    /// The part that is wanted next, on a screen of `rows` rows; `is_due` where a log that grows is to be looked at.
    pub(in crate::tui) fn wanted(&self, rows: usize, is_due: bool) -> Option<LogPlace> {
        if !self.is_loaded {
            return Some(match self.top {
                None => LogPlace::End,
                Some((at, _)) => LogPlace::From(at),
            });
        }
        let has_end = self.end() >= self.total;
        let Some((at, _)) = self.top else {
            return match (has_end, is_due) {
                (false, _) => Some(LogPlace::End),
                (true, true) => Some(self.newest()),
                // The end of a log may be one short page.
                (true, false)
                    if self.start() > 0 && self.count_lines(rows) < rows && self.end() - self.start() < NEAR =>
                {
                    Some(LogPlace::Before(self.start()))
                }
                (true, false) => None,
            };
        };
        if at < self.start() || at > self.end() {
            return Some(LogPlace::From(at));
        }
        let (above, below) = self.lines_around(at);
        if above < AHEAD && self.start() > 0 && at - self.start() < NEAR {
            return Some(LogPlace::Before(self.start()));
        }
        if below < rows + AHEAD && !has_end && self.end() - at < NEAR {
            return Some(LogPlace::From(self.end()));
        }
        (is_due && has_end).then(|| self.newest())
    }

    /// What was written since: from the last line on, which may not have been whole.
    fn newest(&self) -> LogPlace {
        self.lines().next_back().map_or(LogPlace::End, |line| LogPlace::From(line.at))
    }

    /// How many lines are loaded, at most `limit`.
    fn count_lines(&self, limit: usize) -> usize {
        self.lines().take(limit).count()
    }

    /// Lines above and below a place, each at most so many as matter.
    fn lines_around(&self, at: u64) -> (usize, usize) {
        let above = self.pages.iter().map(|page| page.lines.partition_point(|line| line.at < at)).sum();
        let all: usize = self.pages.iter().map(|page| page.lines.len()).sum();
        (above, all - above)
    }

    /// The rows from the reader's place on; fewer than `count` where the log ends, or where more is being loaded.
    pub(in crate::tui) fn rows(&self, width: usize, count: usize) -> Vec<LogRow<'_>> {
        let Some((at, skip)) = self.top else { return self.last_rows(width, count) };
        let from = self.lines().skip_while(|line| line.at < at);
        let rows = from.flat_map(|line| line.rows(width).into_iter().map(move |part| LogRow { line, part }));
        let found: Vec<LogRow<'_>> = rows.skip(skip).take(count).collect();
        // At the end a full screen is better than a few rows at the top.
        if found.len() < count && self.end() >= self.total { self.last_rows(width, count) } else { found }
    }

    fn last_rows(&self, width: usize, count: usize) -> Vec<LogRow<'_>> {
        let mut rows: Vec<LogRow<'_>> = Vec::new();
        for line in self.lines().rev() {
            rows.extend(line.rows(width).into_iter().rev().map(|part| LogRow { line, part }));
            if rows.len() >= count {
                break;
            }
        }
        rows.truncate(count);
        rows.reverse();
        rows
    }

    /// Moves the reader over a screen of this size.
    pub(in crate::tui) fn step(&mut self, step: Step, width: usize, count: usize) {
        match step {
            Step::Start => {
                self.top = Some((0, 0));
                self.reload_unless_here();
            }
            Step::End => self.top = None,
            Step::Rows(by) => {
                let Some((line, skip)) = self.first_shown(width, count) else { return };
                self.top = Some(self.moved((line, skip), by, width));
                let shown = self.rows(width, count);
                let last = shown.last().map(|row| (row.line.at, row.part.end >= row.line.text.len()));
                let newest = self.lines().next_back().map(|line| (line.at, true));
                if by > 0 && self.end() >= self.total && last == newest {
                    self.top = None;
                }
            }
        }
    }

    /// The line and its row at the top of the screen.
    fn first_shown(&self, width: usize, count: usize) -> Option<(u64, usize)> {
        let rows = self.rows(width, count);
        let first = rows.first()?;
        let row = first.line.rows(width).iter().position(|part| *part == first.part).unwrap_or(0);
        Some((first.line.at, row))
    }

    fn moved(&self, (at, row): (u64, usize), by: isize, width: usize) -> (u64, usize) {
        let rows_of = |line: &LogLine| line.rows(width).len();
        let mut place = (at, row);
        let mut left = by.unsigned_abs();
        if by < 0 {
            let mut lines = self.lines().rev().skip_while(|line| line.at > at);
            let Some(_) = lines.next() else { return place };
            while left > place.1 {
                let Some(line) = lines.next() else { return (place.0, 0) };
                left -= place.1 + 1;
                place = (line.at, rows_of(line) - 1);
            }
            return (place.0, place.1 - left);
        }
        let mut lines = self.lines().skip_while(|line| line.at < at);
        let Some(mut line) = lines.next() else { return place };
        loop {
            let below = rows_of(line).saturating_sub(place.1 + 1);
            if left <= below {
                return (place.0, place.1 + left);
            }
            let Some(next) = lines.next() else { return (place.0, place.1 + below) };
            left -= below + 1;
            line = next;
            place = (line.at, 0);
        }
    }

    /// Where the reader is elsewhere than what is loaded, that is dropped.
    fn reload_unless_here(&mut self) {
        if let Some((at, _)) = self.top
            && (at < self.start() || at >= self.end())
        {
            self.pages.clear();
            self.is_loaded = false;
        }
    }

    /// Searches for a text; the empty one ends the search.
    pub(in crate::tui) fn search_for(&mut self, needle: String) {
        if needle != self.needle {
            self.needle = needle;
            self.hits = LogHits::default();
            self.is_searching = false;
            self.shown_hit = None;
        }
        self.jump = !self.needle.is_empty();
    }

    /// What has to be searched, and from which place on; it counts as asked for.
    pub(in crate::tui) fn wanted_search(&mut self) -> Option<(String, u64)> {
        let wants = !self.needle.is_empty() && !self.is_searching && self.hits.end < self.total;
        self.is_searching |= wants;
        wants.then(|| (self.needle.clone(), self.hits.resume))
    }

    /// Takes what a search found, if it is still wanted; shows a hit where the search has just begun.
    pub(in crate::tui) fn take_hits(&mut self, needle: &str, hits: LogHits, width: usize, count: usize) {
        if needle != self.needle {
            return;
        }
        self.is_searching = false;
        let again = self.hits.resume;
        self.hits.lines.retain(|at| *at < again);
        self.hits.lines.extend(hits.lines);
        (self.hits.end, self.hits.resume) = (hits.end, hits.resume);
        if std::mem::take(&mut self.jump) {
            let top = self.first_shown(width, count).map_or(0, |(at, _)| at);
            let next = self.hits.lines.partition_point(|at| *at < top);
            // Below the end there are no more: then the last one, which is the newest.
            let target = self.hits.lines.get(next).or(self.hits.lines.last()).copied();
            target.into_iter().for_each(|target| self.show_hit(target, width));
        }
    }

    /// Goes to the next hit or to the one before, around at the ends. False where there is none.
    pub(in crate::tui) fn next_hit(&mut self, forward: bool, width: usize, count: usize) -> bool {
        let rows = self.rows(width, count);
        let top = rows.first().map_or(0, |row| row.line.at);
        let shown = self.shown_hit.filter(|hit| rows.iter().any(|row| row.line.at == *hit));
        let hits = &self.hits.lines;
        let target = if forward {
            let next =
                shown.map_or_else(|| hits.partition_point(|at| *at < top), |hit| hits.partition_point(|at| *at <= hit));
            hits.get(next).or(hits.first())
        } else {
            let before = hits.partition_point(|at| *at < shown.unwrap_or(top));
            before.checked_sub(1).and_then(|before| hits.get(before)).or(hits.last())
        };
        let Some(target) = target.copied() else { return false };
        self.show_hit(target, width);
        true
    }

    fn show_hit(&mut self, target: u64, width: usize) {
        self.shown_hit = Some(target);
        self.top = Some((target, 0));
        self.reload_unless_here();
        if self.is_loaded {
            self.top = Some(self.moved((target, 0), -ABOVE_HIT, width));
        }
    }

    /// Which of the hits was gone to, from 1, and how many there are so far; none without a search or before it is done.
    pub(in crate::tui) fn hit_number(&self) -> Option<(Option<usize>, usize)> {
        if self.needle.is_empty() || (self.hits.end == 0 && self.total > 0) {
            return None;
        }
        let place = self.shown_hit.and_then(|at| self.hits.lines.binary_search(&at).ok());
        Some((place.map(|place| place + 1), self.hits.lines.len()))
    }

    /// The line of the hit that was gone to.
    pub(in crate::tui) fn shown_hit(&self) -> Option<u64> {
        self.shown_hit
    }
}

#[cfg(test)]
mod tests;
