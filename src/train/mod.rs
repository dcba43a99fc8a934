//! Native training without libtorch: recipes, the protocol with the worker, and starting it.
//!
//! Architecture invariant: nothing here names tch; the worker (`src/bin/git-ml-torch`) does, and nothing else.

mod protocol;
mod recipe;

pub use protocol::{DataSource, Job, PROTOCOL_VERSION, Progress};
pub use recipe::{ModelConfig, Recipe, RecipeError};

use std::path::{Path, PathBuf};

use crate::config::Experiment;
use crate::run::{Ended, Observer, RunError};
use crate::track::Workspace;

/// What can go wrong with a native training before or beside the run itself.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The recipe is not valid.
    #[error("experiment `{experiment}`: {source}")]
    Recipe {
        /// The experiment's name.
        experiment: String,
        /// What is wrong.
        source: RecipeError,
    },
    /// The worker is not installed.
    #[error("the worker git-ml-torch is not beside git-ml nor on the PATH")]
    NoWorker,
    /// The recipe's data are neither tracked nor in the work tree.
    #[error("there is no data at {path}")]
    NoData {
        /// As the recipe gives it.
        path: String,
    },
    /// The run failed before the training started.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A native training to be started.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// The experiment's name.
    pub experiment: String,
    /// Parameters given with `-p`.
    pub overrides: Vec<(String, String)>,
    /// The run's name.
    pub name: Option<String>,
    /// Tags.
    pub tags: std::collections::BTreeMap<String, String>,
    /// The worker's program, from [`find_worker`].
    pub worker: PathBuf,
    /// Who runs it, and on which machine.
    pub user: String,
    /// The machine's name.
    pub host: String,
}

/// The worker: beside this program, else on `search_path`.
pub fn find_worker(_program: &Path, _search_path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    todo!()
}

/// Trains a recipe in a run of its own and stores the model as the run's output `model`.
pub fn train(
    _workspace: &Workspace,
    _experiment: &Experiment,
    _options: &TrainOptions,
    _observer: &mut dyn Observer,
) -> Result<Ended, TrainError> {
    todo!()
}
