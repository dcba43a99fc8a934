//! Native training without libtorch: recipes, data, the protocol with the worker, and starting it.
//!
//! Architecture invariant: nothing here names tch; the worker (`src/bin/git-ml-torch`) does, and nothing else.

pub mod classic;
pub mod data;
mod evaluate;
pub mod evaluation;
mod launch;
mod model_file;
mod protocol;
pub mod recipe;

pub use evaluate::{EvaluateOptions, ModelFileError, evaluate};
pub use launch::{TrainError, TrainOptions, find_worker, machine, train, worker_versions};
pub use model_file::{
    Channels, FileSpec, ModelFile, Normalization, Preprocessing, SplitSpec, TensorSpec, TrainedOn, Versions,
};
pub use protocol::{DataSource, EvaluateJob, FileSource, Job, PROTOCOL_VERSION, Progress};
pub use recipe::{Machine, Recipe, RecipeError};
