//! The record of a run, as `run.toml` in `refs/ml/runs` keeps it and `--json` prints it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::name_of;
use super::{Point, RunError, Supervision};
use crate::files::RelPath;
use crate::git::LeftOut;
use crate::id::{ArtifactId, CommitId, RunId};

/// Bytes that a `run.toml` may have.
pub(super) const MAX_RECORD: u64 = 16 << 20;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Its parent is at work.
    Running,
    /// The command ended with 0.
    Finished,
    /// The command ended with another code.
    Failed,
    /// The parent died before it could record the end.
    Crashed,
    /// A signal ended it.
    Killed,
}

impl RunStatus {
    /// The word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Crashed => "crashed",
            Self::Killed => "killed",
        }
    }
}

/// A metric's values in short. NaN values count for `last` only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricSummary {
    /// The value of the largest step; of several, of the latest; of several still, the largest.
    pub last: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The step of the best: of the smallest where the name says loss or error, else of the largest.
    pub best_step: i64,
    /// How many points there are.
    pub count: u64,
    /// The step of the last.
    #[serde(default)]
    pub last_step: i64,
    /// When the last was logged.
    #[serde(default)]
    pub last_time: Timestamp,
}

impl MetricSummary {
    /// The summary of a metric's points, in the order they were logged; none without points.
    pub fn of(name: &str, points: &[Point]) -> Option<Self> {
        let (first, rest) = points.split_first()?;
        let smaller_is_better = smaller_is_better(name);
        let mut summary = Self::first(first);
        rest.iter().for_each(|point| summary.add(point, smaller_is_better));
        Some(summary)
    }

    /// The summary of one point.
    pub(super) fn first(point: &Point) -> Self {
        let &Point { step, time, value } = point;
        Self { last: value, min: value, max: value, best_step: step, count: 1, last_step: step, last_time: time }
    }

    /// Takes one more point in.
    pub(super) fn add(&mut self, point: &Point, smaller_is_better: bool) {
        self.take_if_later(point.step, point.time, point.value);
        self.count += 1;
        if point.value.is_nan() {
            return;
        }
        // The bounds are NaN only as long as every point was.
        let first = self.min.is_nan();
        let best = if smaller_is_better { point.value < self.min } else { point.value > self.max };
        if first || best {
            self.best_step = point.step;
        }
        self.min = if first { point.value } else { self.min.min(point.value) };
        self.max = if first { point.value } else { self.max.max(point.value) };
    }
}

impl MetricSummary {
    /// The order is MLflow's, so that whoever asks through it and whoever asks us gets the same.
    fn take_if_later(&mut self, step: i64, time: Timestamp, value: f64) {
        let order = (step, time).cmp(&(self.last_step, self.last_time));
        if order.is_gt() || order.is_eq() && (value > self.last || self.last.is_nan()) {
            (self.last, self.last_step, self.last_time) = (value, step, time);
        }
    }

    /// Takes in the summary of points that were logged after these.
    pub(super) fn extend(&mut self, more: &Self, smaller_is_better: bool) {
        self.take_if_later(more.last_step, more.last_time, more.last);
        self.count += more.count;
        if more.min.is_nan() {
            return;
        }
        let first = self.min.is_nan();
        let best = if smaller_is_better { more.min < self.min } else { more.max > self.max };
        if first || best {
            self.best_step = more.best_step;
        }
        self.min = if first { more.min } else { self.min.min(more.min) };
        self.max = if first { more.max } else { self.max.max(more.max) };
    }
}

/// Whether a metric's smallest value is its best, as its name tells.
pub fn smaller_is_better(metric: &str) -> bool {
    const PARTS: [&str; 4] = ["loss", "error", "perplexity", "latency"];
    const WORDS: [&str; 17] = [
        "bpb", "bpc", "cer", "cost", "ece", "eer", "err", "fid", "mae", "mape", "mse", "nll", "ppl", "rmse", "seconds",
        "time", "wer",
    ];
    metric
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| WORDS.contains(&word) || PARTS.iter().any(|part| word.contains(part)))
}

/// An artifact that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// Its path in the work tree.
    pub path: RelPath,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: ArtifactId,
}

/// Data that a run read and that is not in the store, as MLflow's clients describe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDataset {
    /// Its name.
    pub name: String,
    /// What tells its content from others, as whoever logged it made it.
    pub digest: String,
    /// Where it comes from: `local`, `http`, `huggingface`, …
    pub source_type: String,
    /// The place, in the form of its type.
    pub source: String,
    /// Its columns, as JSON.
    pub schema: Option<String>,
    /// Its statistics, as JSON.
    pub profile: Option<String>,
    /// What it was used for and more.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// An artifact that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    /// Its name, unique in the run.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub artifact_type: String,
    /// Its id.
    pub id: ArtifactId,
    /// How many files it has.
    pub files: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Where in the work tree the run left it; none where it was not in the work tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RelPath>,
}

/// Places in the work tree that were followed while a run went on: paths from the top on, and `.` for the top.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Followed {
    /// Folders with TensorBoard's event files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tensorboard: Vec<String>,
    /// Folders with logs as CSV, or such logs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub csv_logs: Vec<String>,
}

impl Followed {
    /// The top of the work tree.
    pub(super) const TOP: &str = ".";

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The supervision that follows the same in the work tree at `top`.
    pub fn under(&self, top: &Path) -> Supervision {
        let place = |path: &String| match path.as_str() {
            Self::TOP => Some(top.to_path_buf()),
            path => Some(RelPath::new(path).ok()?.under(top)),
        };
        let places = |paths: &[String]| paths.iter().filter_map(place).collect();
        let (tensorboard, csv_logs) = (places(&self.tensorboard), places(&self.csv_logs));
        Supervision { timeout: None, tensorboard, csv_logs }
    }
}

/// One run, whole, without its series and its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The id.
    pub id: RunId,
    /// The readable name.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// The recipe's name in `ml.toml`, if it was run from one.
    pub experiment: Option<String>,
    /// HEAD when it started; none where a run was not started here, or before the first commit.
    #[serde(default)]
    pub commit: Option<CommitId>,
    /// The commit that holds the code as it ran.
    #[serde(default)]
    pub snapshot: Option<CommitId>,
    /// Whether tracked files differed from HEAD.
    pub dirty: bool,
    /// The branch it started on; none when detached.
    pub branch: Option<String>,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Wall seconds.
    pub duration_s: Option<f64>,
    /// CPU seconds of the command and its children.
    pub cpu_s: Option<f64>,
    /// The exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it: `SIGKILL`.
    pub signal: Option<String>,
    /// Why it failed, in a line, where that is known.
    pub reason: Option<String>,
    /// What somebody wrote about it.
    pub note: Option<String>,
    /// When it was removed from the lists; its record stays.
    pub removed: Option<Timestamp>,
    /// Who ran it.
    pub user: String,
    /// On which machine.
    pub host: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The folder of the work tree that it ran in; none for the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<RelPath>,
    /// The seed, where known.
    #[serde(default, with = "seed")]
    pub seed: Option<u64>,
    /// Parameters, as text.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Metrics, in short.
    #[serde(default)]
    pub metrics: BTreeMap<String, MetricSummary>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// What it read.
    #[serde(default)]
    pub inputs: Vec<RunInput>,
    /// Data that it read and that is not tracked here, as the command described it.
    #[serde(default)]
    pub datasets: Vec<RunDataset>,
    /// What it made.
    #[serde(default)]
    pub outputs: Vec<RunOutput>,
    /// What of the work tree its snapshot does not hold.
    #[serde(default, skip_serializing_if = "LeftOut::is_empty")]
    pub left_out: LeftOut,
    /// What was followed of that which it wrote for other tools.
    #[serde(default, skip_serializing_if = "Followed::is_empty")]
    pub followed: Followed,
    /// Where it ran: `os`, `cpu`, `cores`, `memory_bytes`, `python`, `git_ml`, `libtorch`, …
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Run {
    /// A run that begins, of which nothing more is known; it is called after its id.
    pub fn begun(id: RunId, started: Timestamp) -> Self {
        Self {
            id,
            name: name_of(&id),
            status: RunStatus::Running,
            experiment: None,
            commit: None,
            snapshot: None,
            dirty: false,
            branch: None,
            started,
            ended: None,
            duration_s: None,
            cpu_s: None,
            exit_code: None,
            signal: None,
            reason: None,
            note: None,
            removed: None,
            user: String::new(),
            host: String::new(),
            command: Vec::new(),
            folder: None,
            seed: None,
            params: BTreeMap::new(),
            metrics: BTreeMap::new(),
            tags: BTreeMap::new(),
            inputs: Vec::new(),
            datasets: Vec::new(),
            outputs: Vec::new(),
            left_out: LeftOut::default(),
            followed: Followed::default(),
            environment: BTreeMap::new(),
        }
    }

    /// The commit for people, with a star where the code had changes on top of it.
    pub fn commit_words(&self) -> String {
        let star = if self.dirty { "*" } else { "" };
        self.commit.map(|commit| commit.short() + star).unwrap_or_default()
    }

    /// The record's file.
    pub(super) fn to_toml(&self) -> Result<String, RunError> {
        toml::to_string(self)
            .map_err(|error| RunError::Malformed { id: self.id.to_string(), problem: error.to_string() })
    }

    /// Reads a record's file, which has to be that of the run `run_id`.
    pub(super) fn parse(bytes: &[u8], run_id: &RunId) -> Result<Self, RunError> {
        let fail = |problem: String| RunError::Malformed { id: run_id.to_string(), problem };
        let text = std::str::from_utf8(bytes).map_err(|_| fail("it is not text".to_owned()))?;
        let run: Self = toml::from_str(text).map_err(|error| fail(error.message().to_owned()))?;
        if run.id != *run_id {
            return Err(fail(format!("it says that it is {}", run.id)));
        }
        Ok(run)
    }
}

/// TOML's integers end at 2^63 - 1: larger seeds are kept as text.
mod seed {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Seed {
        Number(i64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(seed: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        seed.map(|seed| i64::try_from(seed).map_or_else(|_| Seed::Text(seed.to_string()), Seed::Number))
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let bad = || D::Error::custom("the seed is not a whole number from 0 to 2^64 - 1");
        match Option::<Seed>::deserialize(deserializer)? {
            None => Ok(None),
            Some(Seed::Number(seed)) => u64::try_from(seed).map(Some).map_err(|_| bad()),
            Some(Seed::Text(seed)) => seed.parse().map(Some).map_err(|_| bad()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A run that has a value in every field.
    pub(crate) fn sample() -> Run {
        let id: RunId = "0192f0c1a2b37def8123456789abcdef".parse().unwrap();
        let commit: CommitId = "0123456789012345678901234567890123456789".parse().unwrap();
        let artifact = ArtifactId::from_bytes([7; 32]);
        let last_time = "2026-11-21T08:00:59Z".parse().unwrap();
        let summary =
            MetricSummary { last: 0.5, min: 0.25, max: f64::INFINITY, best_step: 3, count: 4, last_step: 3, last_time };
        Run {
            id,
            name: "brave-otter-12".to_owned(),
            status: RunStatus::Failed,
            experiment: Some("cnn".to_owned()),
            commit: Some(commit),
            snapshot: Some(commit),
            dirty: true,
            branch: Some("main".to_owned()),
            started: "2026-11-21T08:00:00.5Z".parse().unwrap(),
            ended: Some("2026-11-21T08:01:00Z".parse().unwrap()),
            duration_s: Some(59.5),
            cpu_s: Some(100.25),
            exit_code: Some(3),
            signal: Some("SIGTERM".to_owned()),
            reason: Some("no data".to_owned()),
            note: Some("look at this again".to_owned()),
            removed: Some("2026-11-22T08:00:00Z".parse().unwrap()),
            user: "ada".to_owned(),
            host: "laptop".to_owned(),
            command: vec!["python".to_owned(), "train \"x\".py\u{1b}".to_owned()],
            folder: Some(RelPath::new("src").unwrap()),
            seed: Some(u64::MAX),
            params: BTreeMap::from([("lr".to_owned(), "0.1".to_owned()), ("a b".to_owned(), "two\nlines".to_owned())]),
            metrics: BTreeMap::from([("val/accuracy".to_owned(), summary)]),
            tags: BTreeMap::from([("note".to_owned(), "good".to_owned())]),
            inputs: vec![RunInput { path: RelPath::new("data/x").unwrap(), name: "x".to_owned(), id: artifact }],
            datasets: vec![RunDataset {
                name: "wine".to_owned(),
                digest: "0f1e2d".to_owned(),
                source_type: "http".to_owned(),
                source: "{\"url\": \"https://example.org/wine.csv\"}".to_owned(),
                schema: Some("{}".to_owned()),
                profile: None,
                tags: BTreeMap::from([("mlflow.data.context".to_owned(), "train".to_owned())]),
            }],
            outputs: vec![RunOutput {
                name: "model".to_owned(),
                artifact_type: "model".to_owned(),
                id: artifact,
                files: 2,
                bytes: 3,
                path: Some(RelPath::new("out/model").unwrap()),
            }],
            left_out: Default::default(),
            followed: Default::default(),
            environment: BTreeMap::from([("os".to_owned(), "Debian".to_owned())]),
        }
    }

    fn point(step: i64, value: f64) -> Point {
        Point { step, time: Timestamp::UNIX_EPOCH, value }
    }

    #[test]
    fn a_record_round_trips_whole_and_nearly_empty() {
        let mut run = sample();
        assert_eq!(Run::parse(run.to_toml().unwrap().as_bytes(), &run.id).unwrap(), run);
        run.experiment = None;
        run.branch = None;
        run.ended = None;
        run.duration_s = None;
        run.cpu_s = None;
        run.exit_code = None;
        run.signal = None;
        run.reason = None;
        run.note = None;
        run.removed = None;
        run.commit = None;
        run.snapshot = None;
        run.datasets.clear();
        run.seed = None;
        run.metrics.clear();
        run.inputs.clear();
        run.command.clear();
        run.folder = None;
        run.outputs[0].path = None;
        assert_eq!(Run::parse(run.to_toml().unwrap().as_bytes(), &run.id).unwrap(), run);
    }

    #[test]
    fn a_record_of_another_run_is_refused() {
        let run = sample();
        let error = Run::parse(run.to_toml().unwrap().as_bytes(), &RunId::from_bytes([1; 16])).unwrap_err();
        assert!(error.to_string().contains("it says that it is 0192f0c1"), "{error}");
    }

    #[test]
    fn summaries_pick_the_best_step_by_name_and_leave_nan_out() {
        let points = [point(0, f64::NAN), point(1, 0.5), point(2, 0.25), point(3, 0.75), point(4, f64::NAN)];
        let loss = MetricSummary::of("val_loss", &points).unwrap();
        let accuracy = MetricSummary::of("accuracy", &points).unwrap();
        assert!(loss.last.is_nan());
        assert_eq!((loss.min, loss.max, loss.best_step, loss.count), (0.25, 0.75, 2, 5));
        assert_eq!(accuracy.best_step, 3);
        assert_eq!(MetricSummary::of("loss", &[]), None);
    }

    #[test]
    fn the_last_value_is_that_of_the_largest_step_however_it_was_logged() {
        let at = |step, second, value| Point { step, time: Timestamp::from_second(second).unwrap(), value };
        let last = |points: &[Point]| MetricSummary::of("accuracy", points).unwrap().last;
        assert_eq!(last(&[at(2, 1, 0.2), at(1, 2, 0.9)]), 0.2, "the step counts first");
        assert_eq!(last(&[at(2, 2, 0.2), at(2, 1, 0.9)]), 0.2, "then the time");
        assert_eq!(last(&[at(2, 1, 0.9), at(2, 1, 0.2)]), 0.9, "then the value");
        assert_eq!(last(&[at(2, 1, f64::NAN), at(2, 1, 0.2)]), 0.2);
    }

    #[test]
    fn summaries_of_parts_are_that_of_the_whole() {
        let values = [0.3, f64::NAN, 0.1, 0.7, f64::INFINITY, 0.2];
        let points: Vec<Point> = values.iter().enumerate().map(|(step, value)| point(step as i64, *value)).collect();
        for name in ["loss", "accuracy"] {
            for cut in 1..points.len() {
                let mut summary = MetricSummary::of(name, &points[..cut]).unwrap();
                summary.extend(&MetricSummary::of(name, &points[cut..]).unwrap(), smaller_is_better(name));
                assert_eq!(Some(summary), MetricSummary::of(name, &points), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn names_tell_the_direction() {
        let small = ["loss", "val_loss", "Validation Error", "test/mse", "top1_error", "perplexity", "logloss"];
        let large = ["accuracy", "f1", "losses_won"].map(|name| name.replace("losses_won", "iou"));
        assert!(small.iter().all(|name| smaller_is_better(name)));
        assert!(!large.iter().any(|name| smaller_is_better(name)));
    }
}
