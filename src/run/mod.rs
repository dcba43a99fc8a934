//! Runs: their records, event logs, supervision, and recovery.
//!
//! Architecture invariant: the event log only grows, a run's snapshot is made before its command starts, and a torn
//! last line costs that line alone.

mod record;

pub use record::{MetricSummary, Run, RunInput, RunOutput, RunStatus};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::files::{FileError, LockError, RelPath};
use crate::git::{GitError, Repository};
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
    #[error("`{wanted}` matches {} runs: {}", matches.len(), matches.join(", "))]
    Ambiguous {
        /// As it was asked for.
        wanted: String,
        /// Names and short ids of some.
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
}

/// What a supervised command does while it runs, told to whoever shows it.
pub trait Observer: Send {
    /// Bytes that the command wrote to stdout or stderr.
    fn output(&mut self, _stderr: bool, _bytes: &[u8]) {}
    /// A whole line that it wrote to the file named by `GIT_ML_LOG`, such as progress.
    fn logged(&mut self, _line: &str) {}
}

/// A run in progress: its folder under `.git/ml/live`, which is the truth until the run is recorded.
#[derive(Debug)]
pub struct LiveRun {
    _folder: PathBuf,
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

impl LiveRun {
    /// Makes the snapshot and the run's folder and locks it.
    pub fn start(_workspace: &Workspace, _launch: &Launch) -> Result<Self, RunError> {
        todo!()
    }

    /// The id.
    pub fn id(&self) -> RunId {
        todo!()
    }

    /// The folder that the run may fill and that goes when it is recorded.
    pub fn scratch(&self) -> PathBuf {
        todo!()
    }

    /// Runs the command to its end, passing signals on, then records the run.
    pub fn supervise(
        self,
        _workspace: &Workspace,
        _launch: &Launch,
        _observer: &mut dyn Observer,
    ) -> Result<Ended, RunError> {
        todo!()
    }
}

/// The folder of the live run that a command inside of it logs to (the variable `GIT_ML_RUN_DIR`).
#[derive(Debug, Clone)]
pub struct ActiveRun {
    _folder: PathBuf,
}

impl ActiveRun {
    /// The run in `folder`.
    pub fn open(_folder: &Path) -> Result<Self, RunError> {
        todo!()
    }

    /// Logs metrics.
    pub fn metrics(&self, _values: &BTreeMap<String, f64>, _step: Option<i64>) -> Result<(), RunError> {
        todo!()
    }

    /// Logs parameters.
    pub fn params(&self, _values: &BTreeMap<String, String>) -> Result<(), RunError> {
        todo!()
    }

    /// Stores a file or folder at once and logs it as an output.
    pub fn output(
        &self,
        _workspace: &Workspace,
        _path: &Path,
        _name: Option<&str>,
        _artifact_type: &str,
    ) -> Result<RunOutput, RunError> {
        todo!()
    }
}

/// The recorded and the live runs of a repository.
#[derive(Debug)]
pub struct Runs<'w> {
    _workspace: &'w Workspace,
}

impl<'w> Runs<'w> {
    /// The runs of a repository.
    pub fn new(_workspace: &'w Workspace) -> Self {
        Self { _workspace }
    }

    /// Records as `crashed` the runs whose parent died, and returns them.
    pub fn recover(&self) -> Result<Vec<Run>, RunError> {
        todo!()
    }

    /// All runs, newest first, live ones with what they logged so far. A record that cannot be read is left out and
    /// returned as an error of its own.
    pub fn list(&self) -> Result<(Vec<Run>, Vec<RunError>), RunError> {
        todo!()
    }

    /// The run that a user means: an id, a unique prefix of at least four digits, a name, `@` or `@~1`.
    pub fn find(&self, _wanted: &str) -> Result<Run, RunError> {
        todo!()
    }

    /// The points of a run.
    pub fn series(&self, _run: &RunId) -> Result<Series, RunError> {
        todo!()
    }

    /// The last `limit` bytes of what a run wrote to stdout and stderr.
    pub fn log_tail(&self, _run: &RunId, _limit: u64) -> Result<Vec<u8>, RunError> {
        todo!()
    }

    /// Changes a recorded run (tags, a note) in a commit of its own.
    pub fn amend(&self, _run: &RunId, _subject: &str, _change: &mut dyn FnMut(&mut Run)) -> Result<Run, RunError> {
        todo!()
    }
}

/// What this machine is: `os`, `kernel`, `cpu`, `cores`, `memory_bytes`, `git_ml`, and what `variables` allows.
pub fn capture_environment(_repository: &Repository) -> BTreeMap<String, String> {
    todo!()
}

/// The inputs that pointers name: those at `paths`, or every tracked artifact that is in the work tree.
pub fn inputs_from_pointers(_workspace: &Workspace, _paths: &[RelPath]) -> Result<Vec<RunInput>, RunError> {
    todo!()
}

/// Whether `id` is the output of some run, and of which.
pub fn producer_of(_runs: &[Run], _id: &ArtifactId) -> Option<RunId> {
    todo!()
}
