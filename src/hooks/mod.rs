//! Git hooks: installing them, and what each does.
//!
//! Architecture invariant: a hook that runs after git has done its work never fails git, and no hook ever overwrites
//! or removes data that is stored nowhere.

mod checkout;
mod commit;
mod driver;
mod install;
mod merge;
mod push;
mod training;

pub use checkout::{Changed, after_checkout, after_merge};
pub use commit::{Finding, before_commit};
pub use driver::{driver_state, install_driver, uninstall_driver};
pub use install::{Installed, Outcome, State, install, state, uninstall};
pub use merge::{Changes, Conflict, Merged, Side, merge_pointers, with_marks};
pub use push::{PushedRef, Unavailable, Uploaded, before_push, parse_push};
pub use training::{Code, known_run, shows};

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::files::{FileError, LockError};
use crate::git::GitError;
use crate::remote::RemoteError;
use crate::run::RunError;
use crate::track::TrackError;

/// A hook of git that git ml has something to do in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// After a checkout, a switch of branches, a clone or a new work tree.
    PostCheckout,
    /// After a merge or a pull.
    PostMerge,
    /// Before a commit; it can refuse it.
    PreCommit,
    /// Before a push; it can refuse it.
    PrePush,
}

impl Hook {
    /// All that are installed.
    pub const ALL: [Hook; 4] = [Hook::PostCheckout, Hook::PostMerge, Hook::PreCommit, Hook::PrePush];

    /// The name git has for it.
    pub fn name(self) -> &'static str {
        match self {
            Hook::PostCheckout => "post-checkout",
            Hook::PostMerge => "post-merge",
            Hook::PreCommit => "pre-commit",
            Hook::PrePush => "pre-push",
        }
    }
}

/// What can go wrong with hooks.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// git runs hooks from a folder that other repositories use too.
    #[error("git runs hooks from {}, which is outside of this repository", folder.display())]
    OutsideRepository {
        /// What `core.hooksPath` names.
        folder: PathBuf,
    },
    /// The name under which an existing hook would be kept is taken.
    #[error("{} is there already", path.display())]
    KeptExists {
        /// The file.
        path: PathBuf,
    },
    /// A hook could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// git gave the hook something it does not understand.
    #[error("git said `{line}` to the {hook} hook, which is not understood")]
    Input {
        /// The hook.
        hook: &'static str,
        /// The line.
        line: String,
    },
    /// Pointers would be pushed whose bytes are on no remote.
    #[error("nobody else can get the data that the pointers pushed name: {}", describe(artifacts))]
    Unavailable {
        /// The artifacts.
        artifacts: Vec<Unavailable>,
        /// The remotes that there are.
        remotes: Vec<String>,
    },
    /// Bytes could not be sent to where others would get them.
    #[error("git does not push: the data that the pointers pushed name could not be sent to the remote `{remote}`")]
    Upload {
        /// The remote.
        remote: String,
        /// What went wrong.
        source: RemoteError,
    },
    /// The configuration names a remote that is not there.
    #[error("[hooks.pre-push] in ml.toml names the remote `{name}`, which is not there")]
    UnknownRemote {
        /// The name.
        name: String,
    },
    /// A commit that leaves data behind, or has what does not belong into git.
    #[error("git does not commit: {problems}")]
    Commit {
        /// What is wrong, for people.
        problems: String,
        /// What to do about each.
        ways: String,
    },
    /// There is no run of what is pushed, and what would have to run has not been approved.
    #[error(
        "git does not push: `{experiment}` has to run for {target}, and the ml.toml that is pushed has not been approved"
    )]
    Unapproved {
        /// The experiment.
        experiment: String,
        /// The branch that is pushed to.
        target: String,
    },
    /// The data of a training is not a part of the commit that is pushed.
    #[error("git does not push: the data of `{experiment}` at {path} is not in what is pushed")]
    NoData {
        /// The experiment.
        experiment: String,
        /// As the recipe gives it.
        path: String,
    },
    /// Another push trains at this moment.
    #[error("git does not push: another push is running `{experiment}` at this moment{}", run.as_ref().map(|run| format!(", as run {run}")).unwrap_or_default())]
    Busy {
        /// The experiment that this push needs.
        experiment: String,
        /// The run of the other push, where it has begun.
        run: Option<String>,
    },
    /// The run that was made for a push did not come to a good end.
    #[error("git does not push: run {run} of `{experiment}` {status}")]
    RunFailed {
        /// The experiment.
        experiment: String,
        /// The run's name.
        run: String,
        /// How it ended.
        status: &'static str,
    },
    /// What was run is not what is pushed.
    #[error("git does not push: the files changed when run {run} began, so it was not of what is pushed")]
    Moved {
        /// The run's name.
        run: String,
    },
    /// `[hooks.pre-push]` names a gate that is not there.
    #[error("[hooks.pre-push] in ml.toml names the gate `{name}`, which is not there")]
    UnknownGate {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// A lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// `ml.toml` is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The remotes are not configured well.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
}

/// The first few artifacts, for people.
fn describe(artifacts: &[Unavailable]) -> String {
    let mut names: Vec<String> =
        artifacts.iter().take(5).map(|artifact| format!("{} ({})", artifact.path, artifact.id.short())).collect();
    if artifacts.len() > names.len() {
        names.push(format!("{} more", artifacts.len() - names.len()));
    }
    names.join(", ")
}
