//! Runs: their records, event logs, supervision, and recovery.
//!
//! Architecture invariant: the event log only grows, a run's snapshot is made before its command starts, and a torn
//! last line costs that line alone.

mod collect;
mod companion;
mod environment;
mod event;
mod experiments;
mod find;
mod follow;
mod ledger;
mod live;
mod log_part;
mod log_text;
mod models;
mod names;
mod plain;
mod python;
mod record;
mod recover;
mod resources;
mod runs;
mod series;
mod served;
mod served_change;
mod shared;
mod supervise;
mod trial;
mod uploads;

pub use environment::capture_environment;
pub use experiments::{DEFAULT_EXPERIMENT, Experiment, experiment_id};
pub use find::Wanted;
pub use live::{ActiveRun, CHECKPOINT, LiveRun};
pub use log_part::{LogPart, LogPlace};
pub use models::{
    COMMIT_LINE, LoggedModel, LoggedModels, MAX_MODEL_RECORD, MODEL_RECORD, MODELS_FOLDER, ModelFiles, ModelMetric,
    ModelStatus, ModelUse,
};
pub use names::name_of;
pub use python::capture_python;
pub use record::{Followed, MetricSummary, Run, RunDataset, RunInput, RunOutput, RunStatus, smaller_is_better};
pub use runs::{ChangedRecord, Runs};
pub use series::{panic_is_caught, read_parquet};
pub use served::{Added, ServedRun};
pub use served_change::{LoggedPoint, RunChange};
pub use shared::{RECORD_NAME, RunFolder, file_limit, folder_in_tree};
pub use trial::{OBJECTIVE_TAG, Objective, SWEEP_TAGS};
pub use uploads::{Content, Owner, Uploaded, Uploads, add_output};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::files::{FileError, LockError, RelPath};
use crate::git::GitError;
use crate::id::{ArtifactId, RunId};
use crate::track::{TrackError, Workspace};

/// The ref that keeps the recorded runs.
pub const RUNS_REF: &str = "refs/ml/runs";

/// What can go wrong with runs.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No run matches.
    #[error("no run matches `{wanted}`")]
    NotFound {
        /// As it was asked for.
        wanted: String,
    },
    /// Several runs match.
    #[error("`{wanted}` matches {count} runs: {}{}", matches.join(", "), if *.count > matches.len() { ", …" } else { "" })]
    Ambiguous {
        /// As it was asked for.
        wanted: String,
        /// How many.
        count: usize,
        /// The ids of some.
        matches: Vec<String>,
    },
    /// A record that is not valid.
    #[error("the record of run {id} is not valid: {problem}")]
    Malformed {
        /// The run, or its place in the tree.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// The command could not be started.
    #[error("cannot run `{command}`")]
    Spawn {
        /// The program.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The command ran, but how it ended is not known.
    #[error("lost sight of `{command}`")]
    Supervise {
        /// The program.
        command: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A run ended, and its record could not be written. Its live folder has everything still.
    #[error("run {name} ended but could not be recorded")]
    Unrecorded {
        /// The run's name.
        name: String,
        /// Why.
        source: Box<RunError>,
    },
    /// A name that a run cannot have.
    #[error("a run cannot be called `{name}`: {problem}")]
    BadName {
        /// The name, shortened and with control characters escaped.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name or value that a metric, parameter or tag cannot have.
    #[error("{what}")]
    BadValue {
        /// What is wrong, whole.
        what: String,
    },
    /// The command is outside of a run.
    #[error("there is no run here to log to")]
    NoActiveRun,
    /// A file of the run could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store or the work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// One logged value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The step; counted per metric where the script gave none.
    pub step: i64,
    /// When it was logged.
    pub time: Timestamp,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

/// All points of a run, by metric, in the order they were logged.
pub type Series = BTreeMap<String, Vec<Point>>;

/// A run that ended, with all that is kept of it, for recording it as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeRun {
    /// The record.
    pub run: Run,
    /// Its points.
    pub series: Series,
    /// What it wrote to stdout and stderr.
    pub log: Vec<u8>,
}

/// What to run and how.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program and its arguments, run in `folder`.
    pub command: Vec<String>,
    /// The folder to run it in.
    pub folder: PathBuf,
    /// What the record gives as the command; by default `command`.
    pub shown_command: Option<Vec<String>>,
    /// Variables to set for it.
    pub variables: Vec<(String, String)>,
    /// The recipe's name.
    pub experiment: Option<String>,
    /// The run's name; by default a new readable one.
    pub name: Option<String>,
    /// Parameters.
    pub params: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The seed, where known.
    pub seed: Option<u64>,
    /// What it reads.
    pub inputs: Vec<RunInput>,
    /// Paths to store as outputs when it ends: name, type, and the place, which may be missing after a failure.
    /// A relative place is in the run's own scratch folder (see [`LiveRun::scratch`]).
    pub outputs: Vec<(String, String, PathBuf)>,
    /// Who runs it, and on which machine.
    pub user: String,
    /// The machine's name.
    pub host: String,
    /// The environment as it was captured.
    pub environment: BTreeMap<String, String>,
    /// Patterns of untracked files that the snapshot holds too.
    pub untracked: Vec<String>,
    /// How it is supervised.
    pub supervision: Supervision,
}

/// How a command is supervised, beside what holds for all.
#[derive(Debug, Clone, Default)]
pub struct Supervision {
    /// How long it may take: then it is told to end, and killed if it does not.
    pub timeout: Option<std::time::Duration>,
    /// Folders in which it writes TensorBoard's event files.
    pub tensorboard: Vec<PathBuf>,
    /// Folders in which it writes logs as CSV, or such logs.
    pub csv_logs: Vec<PathBuf>,
}

/// What a supervised command does while it runs, told to whoever shows it.
pub trait Observer: Send {
    /// The command has started, as a part of this run.
    fn started(&mut self, _run: &Run) {}
    /// Bytes that the command wrote to stdout or stderr.
    fn output(&mut self, _stderr: bool, _bytes: &[u8]) {}
    /// A whole line that it wrote to the file named by `GIT_ML_LOG`, such as progress.
    fn logged(&mut self, _line: &str) {}
}

/// A run that ended, with what the caller passes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The record.
    pub run: Run,
    /// The exit code for the caller: the command's own, or 128 + the signal.
    pub exit_code: i32,
    /// Lines that could not be used, for people.
    pub warnings: Vec<String>,
}

/// The inputs that pointers name: those at or below `paths`, or every tracked artifact that is in the work tree.
///
/// The pointers are believed: nothing is hashed.
pub fn inputs_from_pointers(workspace: &Workspace, paths: &[RelPath]) -> Result<Vec<RunInput>, RunError> {
    let root = workspace.repository.work_dir()?;
    let wanted = |path: &RelPath| match paths {
        [] => path.under(root).exists(),
        paths => paths.iter().any(|wanted| path.starts_with(wanted)),
    };
    let pointers = workspace.pointers()?.into_iter().filter(|(path, _)| wanted(path));
    Ok(pointers.map(|(path, pointer)| RunInput { path, name: pointer.name, id: pointer.id }).collect())
}

/// What the two logs in a live run's folder say: its points, and lines that could not be used, for people.
pub fn read_logs(folder: &Path) -> Result<(Series, Vec<String>), RunError> {
    let mut content = collect::Collector::new(folder).finish(&mut |_| ())?;
    Ok((content.take_series(), content.warnings()))
}

/// The first of `runs` that made the artifact.
pub fn producer_of(runs: &[Run], id: &ArtifactId) -> Option<RunId> {
    runs.iter().find(|run| run.outputs.iter().any(|output| output.id == *id)).map(|run| run.id)
}
