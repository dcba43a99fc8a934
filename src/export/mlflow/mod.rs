//! Runs as MLflow keeps them: in a folder, or at a server.

mod folder;
mod server;

pub use folder::to_mlflow_folder;
pub use server::{Login, to_mlflow_server};

use std::collections::BTreeMap;

use crate::id::Digest;
use crate::run::{Run, RunStatus};

/// The experiment of runs that have none.
const DEFAULT: &str = "Default";
/// The tag that names a run at a server, which gives out ids of its own.
const RUN_TAG: &str = "git_ml.run";

/// How to export to MLflow.
#[derive(Debug, Clone, Copy, Default)]
pub struct MlflowOptions {
    /// Leave the artifacts out.
    pub without_artifacts: bool,
}

/// What came of an export to MLflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportedRuns {
    /// Runs that were written.
    pub exported: usize,
    /// Runs that were there already.
    pub present: usize,
    /// What was left out, and why.
    pub left_out: Vec<(String, String)>,
}

/// MLflow's words for how a run stands. What crashed has failed, there.
fn status_words(status: RunStatus) -> (&'static str, u8) {
    match status {
        RunStatus::Running => ("RUNNING", 1),
        RunStatus::Finished => ("FINISHED", 3),
        RunStatus::Failed | RunStatus::Crashed => ("FAILED", 4),
        RunStatus::Killed => ("KILLED", 5),
    }
}

/// A run's tags, and those in which MLflow has what our records have in fields.
fn tags_of(run: &Run) -> BTreeMap<String, String> {
    let mut tags = run.tags.clone();
    let command = run.command.join(" ");
    let own = [
        ("mlflow.runName", Some(run.name.clone())),
        ("mlflow.user", Some(run.user.clone())),
        ("mlflow.note.content", run.note.clone()),
        ("mlflow.source.name", Some(command)),
        ("mlflow.source.git.commit", run.commit.map(|commit| commit.to_string())),
    ];
    for (name, value) in own {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            // What was noted here is newer than what came with an import.
            tags.insert(name.to_owned(), value);
        }
    }
    tags
}

fn experiment_of(run: &Run) -> &str {
    run.experiment.as_deref().filter(|name| !name.is_empty()).unwrap_or(DEFAULT)
}

/// The number of an experiment, which its name always gives.
fn experiment_id(name: &str) -> String {
    if name == DEFAULT {
        return "0".to_owned();
    }
    let digest = Digest::of(name.as_bytes());
    let number = digest.as_bytes()[..8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    // Of 18 digits, as MLflow's own are.
    (100_000_000_000_000_000 + number % 900_000_000_000_000_000).to_string()
}
