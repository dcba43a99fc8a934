//! The run's log: JSON lines in the file named by `GIT_ML_LOG`, as any script may write them.

use std::path::Path;
use std::time::{Duration, Instant};

use git_ml::files::Appender;
use git_ml::train::Progress;
use rustix::process::{Pid, getppid};
use serde_json::{Value, json};

use crate::failure::{Failure, Result};

/// The least time between two lines of progress: more often nobody can see it.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Where metrics go; nowhere outside of a run.
pub(crate) struct RunLog {
    file: Option<Appender>,
    parent: Option<Pid>,
    shown: Option<Instant>,
}

impl RunLog {
    /// The log that the environment names.
    pub(crate) fn from_environment() -> Self {
        let place = std::env::var_os("GIT_ML_LOG");
        // A training without its log is still a training, and the run's parent says that the log is missing.
        let file = place.and_then(|place| Appender::open(Path::new(&place)).ok());
        let parent = file.is_some().then(getppid).flatten();
        Self { file, parent, shown: None }
    }

    fn line(&mut self, line: &Value) -> Result<()> {
        match &mut self.file {
            Some(file) => Ok(file.append(format!("{line}\n").as_bytes())?),
            None => Ok(()),
        }
    }

    /// Logs metrics, at a step or for the whole run.
    pub(crate) fn metrics(&mut self, step: Option<u64>, values: &[(&str, f64)]) -> Result<()> {
        let metrics: serde_json::Map<_, _> =
            values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let line = match step {
            Some(step) => json!({ "step": step, "metrics": metrics }),
            None => json!({ "metrics": metrics }),
        };
        self.line(&line)
    }

    /// Logs how far the training is, unless that was logged a moment ago.
    pub(crate) fn progress(&mut self, progress: impl FnOnce() -> Progress) -> Result<()> {
        if self.shown.is_some_and(|shown| shown.elapsed() < PROGRESS_INTERVAL) {
            return Ok(());
        }
        if self.parent.is_some() && self.parent != getppid() {
            return Err(Failure::new("the git-ml that started this training is gone"));
        }
        self.shown = Some(Instant::now());
        self.line(&json!({ "progress": progress() }))
    }

    /// Logs why the training stops.
    pub(crate) fn failure(&mut self, line: &str) {
        // There is nobody left to tell when this fails.
        let _ = self.line(&json!({ "failure": line }));
    }
}
