//! The record of a run, as `run.toml` in `refs/ml/runs` keeps it and `--json` prints it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::RelPath;
use crate::id::{ArtifactId, CommitId, RunId};

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
    /// The value logged last.
    pub last: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The step of the best: of the smallest where the name says loss or error, else of the largest.
    pub best_step: i64,
    /// How many points there are.
    pub count: u64,
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
    /// HEAD when it started.
    pub commit: CommitId,
    /// The commit that holds the code as it ran.
    pub snapshot: CommitId,
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
    /// Who ran it.
    pub user: String,
    /// On which machine.
    pub host: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The seed, where known.
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
    /// What it made.
    #[serde(default)]
    pub outputs: Vec<RunOutput>,
    /// Where it ran: `os`, `cpu`, `cores`, `memory_bytes`, `python`, `git_ml`, `libtorch`, …
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}
