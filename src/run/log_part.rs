//! Parts of what a run wrote, so that nobody reads the whole of a long log to see one page of it.
//!
//! Places are bytes from the beginning of all that was written. Where the middle of a long log is not kept, the place of
//! what is missing is a part of its own, whose text says how much that is.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::log_text::{self, BOUNDS, Bounds};
use super::{RunError, Runs, ledger, live};
use crate::id::{CommitId, RunId};

/// Which part of a log is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogPlace {
    /// The last.
    End,
    /// The one that ends here.
    Before(u64),
    /// The one that begins here.
    From(u64),
}

/// A part of a log: whole lines, unless a line is longer than what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPart {
    /// Where it begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Where the log ends, so far.
    pub total: u64,
    /// What was written there, or a line about what is missing there.
    pub bytes: Vec<u8>,
}

/// Where a stretch of a log is.
#[derive(Debug)]
enum Place<'l> {
    /// In memory.
    Memory(&'l [u8]),
    /// In a file, from its beginning.
    File(PathBuf),
    /// It is not kept.
    Nowhere,
}

/// A stretch of a log.
#[derive(Debug)]
struct Stretch<'l> {
    start: u64,
    end: u64,
    place: Place<'l>,
}

/// A recorded log that was read last.
#[derive(Debug)]
pub(super) struct KnownLog {
    tip: CommitId,
    run_id: RunId,
    bytes: Vec<u8>,
}

impl Runs<'_> {
    /// A part of what a run wrote to stdout and stderr, of at most `limit` bytes.
    pub fn log_part(&self, run_id: &RunId, place: LogPlace, limit: u64) -> Result<LogPart, RunError> {
        let folder = live::folder_of(self.workspace, run_id);
        if live::read_start(&folder, run_id)?.is_some() {
            let part = stretches(&folder, BOUNDS).and_then(|log| part(&log, place, limit));
            return part.map_err(|source| RunError::Read { path: folder.join(log_text::LOG), source });
        }
        let Some(tip) = ledger::tip(&self.workspace.repository)? else { return Ok(LogPart::nothing(0, 0)) };
        // Whoever asks for one part asks for the next, and each would read the whole file anew.
        let mut known = self.known_log.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| (known.tip, known.run_id) != (tip, *run_id)) {
            let bytes = ledger::read_log(&self.workspace.repository, &tip, run_id)?;
            *known = Some(KnownLog { tip, run_id: *run_id, bytes });
        }
        let bytes = known.as_ref().map_or(&[][..], |known| &known.bytes);
        let whole = Stretch { start: 0, end: bytes.len() as u64, place: Place::Memory(bytes) };
        part(&[whole], place, limit).map_err(|source| RunError::Read { path: PathBuf::from(log_text::LOG), source })
    }
}

impl LogPart {
    fn nothing(at: u64, total: u64) -> Self {
        Self { start: at, end: at, total, bytes: Vec::new() }
    }
}

/// The stretches of the log in a live run's folder, one after the other.
fn stretches(folder: &Path, bounds: Bounds) -> std::io::Result<Vec<Stretch<'static>>> {
    let mut found: Vec<Stretch<'static>> = Vec::new();
    for (start, path) in log_text::files(folder, bounds)? {
        let length = match path.metadata() {
            // It was one of those that go when the log grows.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?.len(),
        };
        let before = found.last().map_or(0, |stretch| stretch.end);
        if before < start {
            found.push(Stretch { start: before, end: start, place: Place::Nowhere });
        }
        found.push(Stretch { start, end: start + length, place: Place::File(path) });
    }
    Ok(found)
}

/// The part of a log that is wanted.
fn part(log: &[Stretch<'_>], wanted: LogPlace, limit: u64) -> std::io::Result<LogPart> {
    let total = log.last().map_or(0, |stretch| stretch.end);
    // The stretch in which the part lies that ends or begins somewhere.
    let ends_in = |end: u64| log.iter().position(|stretch| stretch.start < end && end <= stretch.end);
    let begins_in = |start: u64| log.iter().position(|stretch| stretch.start <= start && start < stretch.end);
    let is_kept = |index: &usize| !matches!(log[*index].place, Place::Nowhere);
    match wanted {
        LogPlace::End | LogPlace::Before(_) => {
            let end = if let LogPlace::Before(end) = wanted { end.min(total) } else { total };
            let Some(last) = ends_in(end) else { return Ok(LogPart::nothing(end, total)) };
            if !is_kept(&last) {
                return Ok(missing(&log[last], total));
            }
            let first = (0..=last).rev().take_while(is_kept).last().unwrap_or(last);
            let earliest = log[first].start;
            let start = end.saturating_sub(limit).max(earliest);
            // One byte more tells whether a line begins at the start.
            let from = start.saturating_sub(1).max(earliest);
            let mut bytes = read(&log[first..=last], from, end)?;
            let line =
                if from == start { 0 } else { bytes.iter().position(|byte| *byte == b'\n').map_or(1, |at| at + 1) };
            let line = if line >= bytes.len() { 1 } else { line };
            bytes.drain(..line.min(bytes.len()));
            Ok(LogPart { start: end - bytes.len() as u64, end, total, bytes })
        }
        LogPlace::From(start) => {
            let Some(first) = begins_in(start) else { return Ok(LogPart::nothing(total, total)) };
            if !is_kept(&first) {
                return Ok(missing(&log[first], total));
            }
            let last = (first..log.len()).take_while(is_kept).last().unwrap_or(first);
            let latest = log[last].end;
            let end = start.saturating_add(limit).min(latest);
            let mut bytes = read(&log[first..=last], start, end)?;
            if end < latest
                && let Some(line) = bytes.iter().rposition(|byte| *byte == b'\n')
            {
                bytes.truncate(line + 1);
            }
            Ok(LogPart { start, end: start + bytes.len() as u64, total, bytes })
        }
    }
}

/// What stands in the place of a stretch that is not kept.
fn missing(stretch: &Stretch<'_>, total: u64) -> LogPart {
    let bytes = format!("[git-ml: {} bytes are cut out here]\n", stretch.end - stretch.start).into_bytes();
    LogPart { start: stretch.start, end: stretch.end, total, bytes }
}

/// The bytes between two places of stretches that follow each other.
fn read(log: &[Stretch<'_>], start: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for stretch in log {
        let (first, last) = (start.max(stretch.start), end.min(stretch.end));
        if first >= last {
            continue;
        }
        let (first, last) = (first - stretch.start, last - stretch.start);
        match &stretch.place {
            Place::Memory(content) => {
                let index = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(content.len());
                bytes.extend_from_slice(&content[index(first)..index(last)]);
            }
            Place::File(path) => {
                let mut file = match File::open(path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    file => file?,
                };
                file.seek(SeekFrom::Start(first))?;
                file.take(last - first).read_to_end(&mut bytes)?;
            }
            Place::Nowhere => {}
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::log_text::LogText;
    use super::*;

    fn in_memory<'l>(parts: &[(&'l str, u64)]) -> Vec<Stretch<'l>> {
        let mut start = 0;
        let stretch = |(text, missing): &(&'l str, u64)| {
            let place = if *missing > 0 { Place::Nowhere } else { Place::Memory(text.as_bytes()) };
            let stretch = Stretch { start, end: start + missing + text.len() as u64, place };
            start = stretch.end;
            stretch
        };
        parts.iter().map(stretch).collect()
    }

    fn ask(log: &[Stretch<'_>], place: LogPlace, limit: u64) -> (u64, u64, String) {
        let part = part(log, place, limit).unwrap();
        (part.start, part.end, String::from_utf8(part.bytes).unwrap())
    }

    fn found(start: u64, end: u64, text: &str) -> (u64, u64, String) {
        (start, end, text.to_owned())
    }

    #[test]
    fn parts_are_whole_lines() {
        let log = in_memory(&[("one\ntwo\nthr", 0), ("ee\nfour\n", 0)]);
        assert_eq!(ask(&log, LogPlace::End, 9), found(14, 19, "four\n"));
        assert_eq!(ask(&log, LogPlace::End, 5), found(14, 19, "four\n"));
        assert_eq!(ask(&log, LogPlace::End, 4), found(15, 19, "our\n"));
        assert_eq!(ask(&log, LogPlace::Before(14), 10), found(4, 14, "two\nthree\n"));
        assert_eq!(ask(&log, LogPlace::Before(4), 10), found(0, 4, "one\n"));
        assert_eq!(ask(&log, LogPlace::Before(0), 10), found(0, 0, ""));
        assert_eq!(ask(&log, LogPlace::From(0), 9), found(0, 8, "one\ntwo\n"));
        assert_eq!(ask(&log, LogPlace::From(8), 2), found(8, 10, "th"));
        assert_eq!(ask(&log, LogPlace::From(8), 100), found(8, 19, "three\nfour\n"));
        assert_eq!(ask(&log, LogPlace::From(99), 5), found(19, 19, ""));
        assert_eq!(ask(&[], LogPlace::End, 5), found(0, 0, ""));
    }

    #[test]
    fn what_is_missing_is_a_part_of_its_own() {
        let log = in_memory(&[("one\n", 0), ("", 20), ("nine\nten\n", 0)]);
        assert_eq!(ask(&log, LogPlace::End, 100), found(24, 33, "nine\nten\n"));
        assert_eq!(ask(&log, LogPlace::Before(24), 3), found(4, 24, "[git-ml: 20 bytes are cut out here]\n"));
        assert_eq!(ask(&log, LogPlace::From(4), 3), found(4, 24, "[git-ml: 20 bytes are cut out here]\n"));
        assert_eq!(ask(&log, LogPlace::Before(4), 100), found(0, 4, "one\n"));
        assert_eq!(ask(&log, LogPlace::From(0), 100), found(0, 4, "one\n"));
    }

    #[test]
    fn the_parts_of_a_live_log_are_found_in_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let mut written = LogText::start(folder.path(), Bounds::SMALL).unwrap();
        written.append(b"0123456789abcdefghijklmnopqrstuvwxyz").unwrap();
        let log = stretches(folder.path(), Bounds::SMALL).unwrap();
        let mut whole = String::new();
        let mut at = 0;
        loop {
            let (start, end, text) = ask(&log, LogPlace::From(at), 100);
            if start == end {
                break;
            }
            assert_eq!(start, at);
            whole.push_str(&text);
            at = end;
        }
        // The pieces that are left begin at byte 26.
        assert_eq!(whole, "0123456789[git-ml: 16 bytes are cut out here]\nqrstuvwxyz");
        assert_eq!(at, 36);
        assert_eq!(ask(&log, LogPlace::End, 4), found(32, 36, "wxyz"));
    }
}
