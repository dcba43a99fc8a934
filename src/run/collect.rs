//! What the logs of a live run say so far: read once, then only what was added.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::event::{self, End, Line, MAX_LINE, Source, Taken};
use super::record::{MetricSummary, smaller_is_better};
use super::series::MAX_POINTS;
use super::served_change::LoggedPoint;
use super::{Point, RunChange, RunDataset, RunError, RunOutput, RunStatus, Series};

/// The file that git-ml logs to.
pub(super) const EVENTS: &str = "events.jsonl";
/// The file that `GIT_ML_LOG` names.
pub(super) const COMMAND_LOG: &str = "log.jsonl";

/// Bytes that a line of git-ml's own may have: what one request to a server adds is one line.
const MAX_OWN_LINE: usize = 64 << 20;
/// Bytes read at once.
const PIECE: usize = 1 << 20;
/// Names that metrics, parameters, tags and outputs may have, each.
const MAX_NAMES: usize = 10_000;
/// Warnings that are kept; the rest is counted.
const MAX_WARNINGS: usize = 5;

/// Takes the lines of a log: the offset of a line's end, its number, and the line, unless it is too long.
type Each<'e> = &'e mut dyn FnMut(u64, u64, Option<&[u8]>);

/// A file of lines that grows.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    /// Bytes that were read, the rest of a line included.
    offset: u64,
    /// Lines that were given out.
    lines: u64,
    /// The start of a line whose end is not there yet.
    rest: Vec<u8>,
    /// Whether the line is too long and its remainder is thrown away.
    skipping: bool,
    /// Bytes that a line may have.
    longest: usize,
}

impl Tail {
    fn new(path: PathBuf, longest: usize) -> Self {
        Self { path, offset: 0, lines: 0, rest: Vec::new(), skipping: false, longest }
    }

    /// Whether the file is not as long as it was when it was read last.
    fn has_changed(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata.len() != self.offset,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Gives out the whole lines that were added, each with the offset of its end; none for a line that is too long.
    fn advance(&mut self, each: Each<'_>) -> std::io::Result<()> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let length = file.metadata()?.len();
        if length < self.offset {
            // The script opened it for writing once more: what was read counts, and so does what follows.
            self.offset = 0;
            self.rest.clear();
            self.skipping = false;
        }
        if length == self.offset {
            return Ok(());
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut piece = vec![0; PIECE.min(usize::try_from(length - self.offset).unwrap_or(PIECE))];
        loop {
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Ok(());
            }
            self.take(&piece[..count], each);
        }
    }

    fn take(&mut self, mut piece: &[u8], each: Each<'_>) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.offset += end as u64 + 1;
            self.lines += 1;
            let too_long = self.skipping || self.rest.len() + end > self.longest;
            if too_long {
                each(self.offset, self.lines, None);
            } else if self.rest.is_empty() {
                each(self.offset, self.lines, Some(&piece[..end]));
            } else {
                self.rest.extend_from_slice(&piece[..end]);
                each(self.offset, self.lines, Some(&self.rest));
            }
            self.rest.clear();
            self.skipping = false;
            piece = &piece[end + 1..];
        }
        self.offset += piece.len() as u64;
        self.skipping |= self.rest.len() + piece.len() > self.longest;
        if self.skipping {
            self.rest.clear();
        } else {
            self.rest.extend_from_slice(piece);
        }
    }

    /// Gives out what stands after the last newline: a line that its writer did not end, or could not.
    fn finish(&mut self, each: &mut dyn FnMut(u64, u64, &[u8])) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            self.lines += 1;
            each(self.offset, self.lines, &rest);
        }
    }
}

/// One metric as it was logged.
#[derive(Debug, Default)]
struct Metric {
    points: Vec<Point>,
    last_step: Option<i64>,
    summary: Option<MetricSummary>,
    smaller_is_better: bool,
    from_ours: bool,
    from_command: bool,
}

/// The content of a live run's logs.
#[derive(Debug)]
pub(super) struct Collector {
    events: Tail,
    command_log: Tail,
    /// Times at which the command's log had a length, in order; used up from the front.
    marks: Vec<(u64, Timestamp)>,
    next_mark: usize,
    content: Content,
}

/// What the lines said.
#[derive(Debug, Default)]
pub(super) struct Content {
    metrics: BTreeMap<String, Metric>,
    /// Whether the points are left out, and only their summaries kept.
    is_short: bool,
    points: usize,
    bad_lines: u64,
    pub(super) params: BTreeMap<String, String>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) outputs: Vec<RunOutput>,
    pub(super) failure: Option<String>,
    pub(super) end: Option<End>,
    /// Whether a run that had ended was opened again, after its last end.
    pub(super) is_resumed: bool,
    /// What of the record itself was changed.
    pub(super) changed: Changed,
    /// How far followed files were taken.
    pub(super) taken: BTreeMap<String, Taken>,
    /// The first event file of which something was taken.
    pub(super) first_events: Option<String>,
    warnings: Vec<String>,
}

/// Changes of a run's record; of several to one field the last counts.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) untagged: BTreeSet<String>,
    pub(super) datasets: Vec<RunDataset>,
    pub(super) name: Option<String>,
    pub(super) note: Option<String>,
    pub(super) experiment: Option<String>,
    pub(super) user: Option<String>,
    /// When it was hidden; none where it is shown again.
    pub(super) removed: Option<Option<Timestamp>>,
}

impl Collector {
    /// The logs in a live run's folder, nothing read yet.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            events: Tail::new(folder.join(EVENTS), MAX_OWN_LINE),
            command_log: Tail::new(folder.join(COMMAND_LOG), MAX_LINE),
            marks: Vec::new(),
            next_mark: 0,
            content: Content::default(),
        }
    }

    /// The same, of which only the summaries of metrics are kept: points fill the memory.
    pub(super) fn short(folder: &Path) -> Self {
        let mut collector = Self::new(folder);
        collector.content.is_short = true;
        collector
    }

    /// Reads what was added, and gives the lines of the command's log to `watch`.
    pub(super) fn advance(&mut self, watch: &mut dyn FnMut(&str)) -> Result<(), RunError> {
        let Self { events, command_log, marks, next_mark, content } = self;
        if events.has_changed() {
            let seen = modified(&events.path);
            let result = events.advance(&mut |_, number, line| {
                if let Some(mark) = content.take_line(Source::Ours, number, line, seen) {
                    marks.push(mark);
                }
            });
            result.map_err(|source| RunError::Read { path: events.path.clone(), source })?;
        }
        if !command_log.has_changed() {
            return Ok(());
        }
        let seen = modified(&command_log.path);
        let result = command_log.advance(&mut |end, number, line| {
            content.take_line(Source::Command, number, line, time_at(marks, next_mark, end).unwrap_or(seen));
            if let Some(text) = line.and_then(|line| std::str::from_utf8(line).ok()) {
                watch(text);
            }
        });
        result.map_err(|source| RunError::Read { path: command_log.path.clone(), source })
    }

    /// Bytes of the command's log that were read.
    pub(super) fn command_log_offset(&self) -> u64 {
        self.command_log.offset
    }

    /// Reads what was added and the last lines too, whether or not they end with a newline.
    pub(super) fn finish(mut self, watch: &mut dyn FnMut(&str)) -> Result<Content, RunError> {
        self.advance(watch)?;
        let Self { mut events, mut command_log, marks, mut next_mark, mut content } = self;
        let seen = modified(&events.path);
        events.finish(&mut |_, _, line| content.take_last(Source::Ours, line, seen));
        let seen = modified(&command_log.path);
        command_log.finish(&mut |end, _, line| {
            let time = time_at(&marks, &mut next_mark, end).unwrap_or(seen);
            content.take_last(Source::Command, line, time);
        });
        content.order();
        Ok(content)
    }

    /// What is known so far.
    pub(super) fn content(&self) -> &Content {
        &self.content
    }
}

/// When the line that ends at `end` was first seen, as the marks tell.
fn time_at(marks: &[(u64, Timestamp)], next: &mut usize, end: u64) -> Option<Timestamp> {
    while marks.get(*next).is_some_and(|(offset, _)| *offset < end) {
        *next += 1;
    }
    marks.get(*next).map(|(_, time)| *time)
}

fn modified(path: &Path) -> Timestamp {
    let time = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    time.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_else(Timestamp::now)
}

impl Content {
    fn take_line(
        &mut self,
        source: Source,
        number: u64,
        line: Option<&[u8]>,
        seen: Timestamp,
    ) -> Option<(u64, Timestamp)> {
        let parsed = match line {
            None => Err("it is longer than 1 MiB".to_owned()),
            Some(line) if line.trim_ascii().is_empty() => return None,
            Some(line) => event::parse(line, source),
        };
        match parsed {
            Ok(line) => self.apply(line, source, seen),
            Err(problem) => {
                self.bad_lines += 1;
                let log = if source == Source::Ours { "the event log" } else { "GIT_ML_LOG" };
                self.warn(format!("line {number} of {log} is left out: {problem}"));
                None
            }
        }
    }

    /// The last line of a log may be torn: then it is left out, without a word if its writer was cut off.
    fn take_last(&mut self, source: Source, line: &[u8], seen: Timestamp) {
        if let Ok(line) = event::parse(line, source) {
            self.apply(line, source, seen);
        }
    }

    fn apply(&mut self, line: Line<'_>, source: Source, seen: Timestamp) -> Option<(u64, Timestamp)> {
        let time = line.time.unwrap_or(seen);
        for (name, value) in line.metrics {
            self.add_point(&name, line.step, time, value, source);
        }
        self.set_params(line.params);
        self.set_tags(line.tags);
        if let Some(failure) = line.failure {
            self.failure = Some(first_line(&failure));
        }
        let note = line.note?;
        if let Some(output) = note.output {
            self.outputs.retain(|known| known.name != output.name);
            self.outputs.push(output);
        }
        if let Some(change) = note.change {
            self.change(*change, time);
        }
        if let Some((path, taken)) = note.taken {
            if matches!(taken, Taken::Bytes(_)) {
                self.first_events.get_or_insert_with(|| path.clone());
            }
            self.taken.insert(path, taken);
        }
        if note.end.is_some() {
            self.end = note.end;
            self.is_resumed = false;
        }
        note.mark
    }

    /// Takes what somebody else than the command adds or changes.
    fn change(&mut self, change: RunChange, time: Timestamp) {
        let RunChange { params, tags, untagged, points, datasets, name, note, experiment, user, .. } = change;
        self.set_params(params);
        for name in untagged {
            self.tags.remove(&name);
            self.changed.untagged.insert(name);
        }
        self.set_tags(tags);
        for (metric, points) in points {
            for LoggedPoint(Point { step, time, value }) in points {
                self.add_point(&metric, Some(step), time, value, Source::Ours);
            }
        }
        for dataset in datasets {
            let is_same = |known: &RunDataset| known.name == dataset.name && known.digest == dataset.digest;
            self.changed.datasets.retain(|known| !is_same(known));
            self.changed.datasets.push(dataset);
        }
        let changed = &mut self.changed;
        changed.name = name.or(changed.name.take());
        changed.note = note.or(changed.note.take());
        changed.experiment = experiment.or(changed.experiment.take());
        changed.user = user.or(changed.user.take());
        if let Some(removed) = change.removed {
            changed.removed = Some(removed.then_some(time));
        }
        if let Some(reason) = change.reason {
            self.failure = Some(first_line(&reason));
        }
        match change.status {
            Some(RunStatus::Running) => (self.end, self.is_resumed) = (None, true),
            Some(status) => {
                let time = change.ended.unwrap_or(time);
                self.end =
                    Some(End { time, exit_code: None, signal: None, cpu_s: None, status: Some(status), reason: None });
                self.is_resumed = false;
            }
            None => {}
        }
    }

    fn set_params(&mut self, params: Vec<(String, String)>) {
        for (name, value) in params {
            if self.params.len() < MAX_NAMES || self.params.contains_key(&name) {
                self.params.insert(name, value);
            } else {
                self.warn(format!("parameter `{name}` is left out: a run has at most {MAX_NAMES}"));
            }
        }
    }

    fn set_tags(&mut self, tags: Vec<(String, String)>) {
        for (name, value) in tags {
            if self.tags.len() < MAX_NAMES || self.tags.contains_key(&name) {
                self.tags.insert(name, value);
            } else {
                self.warn(format!("tag `{name}` is left out: a run has at most {MAX_NAMES}"));
            }
        }
    }

    fn add_point(&mut self, name: &str, step: Option<i64>, time: Timestamp, value: f64, source: Source) {
        if self.points >= MAX_POINTS {
            return self.warn(format!("points are left out: a run has at most {MAX_POINTS}"));
        }
        if !self.metrics.contains_key(name) {
            if self.metrics.len() >= MAX_NAMES {
                return self.warn(format!("metric `{name}` is left out: a run has at most {MAX_NAMES}"));
            }
            let metric = Metric { smaller_is_better: smaller_is_better(name), ..Metric::default() };
            self.metrics.insert(name.to_owned(), metric);
        }
        let Some(metric) = self.metrics.get_mut(name) else { return };
        let step = step.unwrap_or_else(|| metric.last_step.map_or(0, |last| last.saturating_add(1)));
        metric.last_step = Some(step);
        let point = Point { step, time, value };
        match &mut metric.summary {
            Some(summary) => summary.add(&point, metric.smaller_is_better),
            None => metric.summary = Some(MetricSummary::first(&point)),
        }
        if !self.is_short {
            metric.points.push(point);
        }
        metric.from_ours |= source == Source::Ours;
        metric.from_command |= source == Source::Command;
        self.points += 1;
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    /// Metrics that were logged in both ways are put in the order of their times.
    fn order(&mut self) {
        for (name, metric) in &mut self.metrics {
            if metric.from_ours && metric.from_command {
                metric.points.sort_by_key(|point| point.time);
                metric.summary = MetricSummary::of(name, &metric.points);
            }
        }
    }

    /// All metrics in short.
    pub(super) fn summaries(&self) -> BTreeMap<String, MetricSummary> {
        self.metrics.iter().filter_map(|(name, metric)| Some((name.clone(), metric.summary?))).collect()
    }

    /// How many points there are.
    pub(super) fn count(&self) -> usize {
        self.points
    }

    /// The points of a metric, in order.
    pub(super) fn points_of(&self, name: &str) -> Vec<Point> {
        let Some(metric) = self.metrics.get(name) else { return Vec::new() };
        let mut points = metric.points.clone();
        if metric.from_ours && metric.from_command {
            points.sort_by_key(|point| point.time);
        }
        points
    }

    /// All points.
    pub(super) fn series(&self) -> Series {
        self.metrics.iter().map(|(name, metric)| (name.clone(), metric.points.clone())).collect()
    }

    /// All points, without a copy.
    pub(super) fn take_series(&mut self) -> Series {
        std::mem::take(&mut self.metrics).into_iter().map(|(name, metric)| (name, metric.points)).collect()
    }

    /// Lines that could not be used, for people.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.warnings.clone();
        let untold = self.bad_lines.saturating_sub(warnings.len() as u64);
        if untold > 0 {
            warnings.push(format!("{untold} more lines of the run's log are left out"));
        }
        warnings
    }
}

/// The first line of a text, for a place that has room for one.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(500).collect()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write the logs that scripts would")]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn collected(folder: &Path) -> Content {
        Collector::new(folder).finish(&mut |_| ()).unwrap()
    }

    fn steps(content: &Content, metric: &str) -> Vec<i64> {
        content.series()[metric].iter().map(|point| point.step).collect()
    }

    #[test]
    fn steps_are_counted_for_each_metric_where_there_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "{\"a\": 1}\n{\"a\": 2, \"b\": 3}\n{\"step\": 10, \"a\": 3}\n{\"a\": 4}\n";
        fs::write(folder.path().join(COMMAND_LOG), lines).unwrap();
        let content = collected(folder.path());
        assert_eq!(steps(&content, "a"), [0, 1, 10, 11]);
        assert_eq!(steps(&content, "b"), [0]);
        assert_eq!(content.summaries()["a"].best_step, 11);
    }

    #[test]
    fn a_bad_line_costs_that_line_and_a_torn_end_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "{\"a\": 1}\n{\"a\": 2, oops}\n\n{\"a\": 3}\n{\"a\": 4";
        fs::write(folder.path().join(COMMAND_LOG), lines).unwrap();
        let content = collected(folder.path());
        assert_eq!(content.summaries()["a"].count, 2);
        let warnings = content.warnings();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("line 2 of GIT_ML_LOG is left out: "), "{warnings:?}");
    }

    #[test]
    fn a_log_is_followed_as_it_grows_even_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = fs::File::create(folder.path().join(COMMAND_LOG)).unwrap();
        let mut collector = Collector::new(folder.path());
        let mut watched = Vec::new();
        for piece in ["{\"a\": 1}\n{\"a\"", ": 2", "}\n{\"progress\": {}}\n{\"a\": 3}"] {
            log.write_all(piece.as_bytes()).unwrap();
            collector.advance(&mut |line| watched.push(line.to_owned())).unwrap();
        }
        assert_eq!(watched, ["{\"a\": 1}", "{\"a\": 2}", "{\"progress\": {}}"]);
        assert_eq!(collector.content().summaries()["a"].last, 2.0);
        assert_eq!(collector.finish(&mut |_| ()).unwrap().summaries()["a"].last, 3.0);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_without_being_kept() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{{\"x\": \"{}\"}}\n{{\"a\": 1}}\n", "x".repeat(3 * MAX_LINE));
        fs::write(folder.path().join(COMMAND_LOG), long).unwrap();
        let content = collected(folder.path());
        assert_eq!(content.summaries()["a"].count, 1);
        assert_eq!(content.warnings(), ["line 1 of GIT_ML_LOG is left out: it is longer than 1 MiB"]);
    }

    #[test]
    fn lines_without_a_time_get_it_from_the_marks() {
        let folder = tempfile::tempdir().unwrap();
        let line = "{\"a\": 1}\n";
        fs::write(folder.path().join(COMMAND_LOG), line.repeat(3)).unwrap();
        let mark =
            |lines: usize, time: &str| format!("{{\"git_ml\":{{\"mark\":[{},\"{time}\"]}}}}\n", lines * line.len());
        let marks = mark(1, "2026-01-01T00:00:01Z") + &mark(2, "2026-01-01T00:00:02Z");
        fs::write(folder.path().join(EVENTS), marks).unwrap();
        let times: Vec<_> = collected(folder.path()).series()["a"].iter().map(|point| point.time.to_string()).collect();
        assert_eq!(times[..2], ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"]);
        assert!(times[2] > times[1]);
    }

    #[test]
    fn values_of_both_logs_are_ordered_by_time() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(EVENTS), "{\"time\": 20, \"a\": 2, \"step\": 2}\n").unwrap();
        let lines = "{\"time\": 10, \"a\": 1, \"step\": 1}\n{\"time\": 30, \"a\": 3, \"step\": 3}\n";
        fs::write(folder.path().join(COMMAND_LOG), lines).unwrap();
        let content = collected(folder.path());
        assert_eq!(steps(&content, "a"), [1, 2, 3]);
        assert_eq!(content.summaries()["a"].last, 3.0);
    }
}
