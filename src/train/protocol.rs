//! What git-ml and its worker tell each other.
//!
//! `git-ml` writes a [`Job`] as JSON and starts `git-ml-torch train JOB`, or an [`EvaluateJob`] for `evaluate`. The worker logs metrics and [`Progress`] as
//! JSON lines to the file named by `GIT_ML_LOG`, as any script may, and makes the job's output folder. On a problem
//! of the user's it prints one line on stderr, logs `{"failure": "the line"}` and exits with 1.
//! `git-ml-torch --version` prints its own version and that of libtorch and the number of CUDA devices, a line each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Recipe;
use crate::files::RelPath;
use crate::id::ArtifactId;

/// The version of this protocol; the worker refuses others.
pub const PROTOCOL_VERSION: u32 = 2;

/// Where a job's data is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// An artifact in the store: no checkout is needed.
    Artifact(ArtifactId),
    /// A file or folder that is not tracked.
    Path(PathBuf),
}

/// Where the file is that a model is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSource {
    /// A file of an artifact in the store: no checkout is needed.
    Stored {
        /// The artifact.
        artifact: ArtifactId,
        /// The file's path in it; none where the artifact is a single file.
        path: Option<RelPath>,
    },
    /// A file of the work tree that git-ml does not track.
    Path(PathBuf),
}

/// What the worker is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The experiment's name.
    pub experiment: String,
    /// What to train.
    pub recipe: Recipe,
    /// The store's folder.
    pub store: PathBuf,
    /// The data.
    pub data: DataSource,
    /// The folder for checkpoints, which is removed when the model is there.
    pub checkpoints: PathBuf,
    /// The folder with the checkpoint of a training to go on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<PathBuf>,
    /// The weights or the module that the model is made from, where the recipe names a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_file: Option<FileSource>,
    /// The folder to make with the model artifact's files; it appears whole, or not at all.
    pub output: PathBuf,
}

/// What the worker is to evaluate: `git-ml-torch evaluate JOB`. It makes the output folder as for a [`Job`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluateJob {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// The store's folder.
    pub store: PathBuf,
    /// The model's artifact.
    pub model: ArtifactId,
    /// The data.
    pub data: DataSource,
    /// Its path in the work tree.
    pub data_path: String,
    /// Whether it is what the model was trained on, so that it is divided as it was then.
    pub is_own: bool,
    /// The part of it; none means the test, or all where other data has no test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The folder to make; it appears whole, or not at all.
    pub output: PathBuf,
}

/// How far a training is: the value of `progress` in a line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Of how many.
    pub epochs: u32,
    /// Steps done in this epoch.
    pub step: u64,
    /// Of how many.
    pub steps: u64,
    /// The mean training loss of this epoch so far.
    pub loss: f64,
    /// The training accuracy of this epoch so far, in 0..=1.
    pub accuracy: f64,
    /// Training examples a second.
    pub samples_per_second: f64,
    /// Seconds left of the whole training.
    pub seconds_left: f64,
}
