//! Running what was run once more: a recorded run, or the commits among which one broke a metric.
//!
//! Everything happens in a work tree of its own, which goes when it is over: HEAD, the index and the files of the user's
//! work tree stay.

mod again;
mod bisect;
mod equal;
mod inputs;
mod scratch;
mod verdict;

pub use again::{Again, Now, check_repeatable, differences, may_come_from_here, plan};
pub use bisect::{Judge, Limit, Searched, Tried, search};
pub use equal::{Wanted, equal_run};
pub use inputs::bring_inputs;
pub use scratch::Scratch;
pub use verdict::{Comparison, Difference, OutputChange, Verdict, compare};

use crate::config::ConfigError;
use crate::diff::DiffError;
use crate::files::{FileError, LockError, UnsafePath};
use crate::git::GitError;
use crate::id::ArtifactId;
use crate::remote::RemoteError;
use crate::run::RunError;
use crate::track::TrackError;

/// What can go wrong when something is run again.
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// A run that has no command.
    #[error("run {run} has no command that could be run again")]
    NoCommand {
        /// Its name.
        run: String,
    },
    /// A run that is no training but the evaluation of a model.
    #[error("run {run} evaluates a model, which is not reproduced")]
    Evaluation {
        /// Its name.
        run: String,
        /// Its command.
        command: String,
    },
    /// A run whose code is not here.
    #[error("the code of run {run} is not here{}", if *.is_uncommitted { ": it was not committed, and was not shared" } else { "" })]
    NoCode {
        /// Its name.
        run: String,
        /// Whether it had changes that were not committed.
        is_uncommitted: bool,
    },
    /// Inputs that neither the store nor a remote has.
    #[error("{missing} of its inputs are neither here nor on a remote, the first is {path} ({id})")]
    NoInputs {
        /// How many.
        missing: usize,
        /// The path of one.
        path: String,
        /// Its id.
        id: ArtifactId,
    },
    /// The first bad commit does not come after the good one.
    #[error("{good} does not come before {bad}")]
    NotBefore {
        /// The good one.
        good: String,
        /// The bad one.
        bad: String,
    },
    /// The search was stopped.
    #[error("stopped")]
    Stopped,
    /// A path that must not be used.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// The configuration of the run's code is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Outputs could not be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// A remote failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The work tree or the store failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
}
