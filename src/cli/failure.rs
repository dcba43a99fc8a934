//! What a command's failure says, and the exit code it gets.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use rustix::io::Errno;

use crate::config::ConfigError;
use crate::diff::DiffError;
use crate::export::ExportError;
use crate::files::{FileError, LockError, RelPath};
use crate::gate::GateError;
use crate::git::GitError;
use crate::hooks::HookError;
use crate::import::ImportError;
use crate::init::InitError;
use crate::lineage::LineageError;
use crate::mlflow::ServeError;
use crate::query::QueryError;
use crate::reach::ReachError;
use crate::registry::RegistryError;
use crate::remote::{ObjectError, RemoteError};
use crate::report::ReportError;
use crate::reproduce::ReproduceError;
use crate::run::RunError;
use crate::share::ShareError;
use crate::sign::SignError;
use crate::store::StoreError;
use crate::track::{POINTER_SUFFIX, TrackError, Untrackable};
use crate::train::TrainError;
use crate::upkeep::UpkeepError;
use crate::words::printable;

use super::output::shell_word;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The user's problem, with the way out.
    #[error("{message}")]
    User {
        /// What happened, with the names.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The command line is not right.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        hint: String,
    },
    /// A verification or a gate failed; what it found was printed already.
    #[error("verification failed")]
    Verification,
    /// A command that was run ended with this code, and has said why itself.
    #[error("the command ended with {0}")]
    Child(i32),
    /// `ml.toml` is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A query is not valid.
    #[error("the query is not valid")]
    Query(#[from] QueryError),
    /// A gate could not be asked.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A training could not start.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A remote failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Sharing of runs failed.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Signing, or checking signatures, failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A run could not be run again.
    #[error(transparent)]
    Reproduce(#[from] ReproduceError),
    /// There is no report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A repository could not be set up.
    #[error(transparent)]
    Init(#[from] InitError),
    /// A hook failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// An import failed.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// An export failed.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The repository could not be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Versions could not be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A lineage could not be followed.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// Upkeep of the store failed.
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    /// stdout could not be written, other than by a closed pipe.
    #[error("cannot write the output")]
    Output(#[from] std::io::Error),
}

/// The exit code of a bug of ours.
pub(super) const BUG: u8 = 70;

impl Failure {
    /// Prints what happened on stderr, with causes and a hint, and returns the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if self.is_silent() {
            return self.exit_code();
        }
        let mut told = self.to_string();
        eprintln!("error: {}", one_line(&told));
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // A wrapper may say all that the error in it says.
            if !told.contains(&text) {
                eprintln!("caused by: {}", one_line(&text));
            }
            told = text;
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            eprintln!("hint: {hint}");
        }
        self.exit_code()
    }

    /// Tells of pointers that are not valid, when all else is done and said.
    pub(super) fn of_pointers(faulty: Vec<(RelPath, TrackError)>) -> Result<(), Self> {
        let mut failures = faulty.into_iter().map(|(_, error)| Self::from(error));
        let Some(last) = failures.next_back() else { return Ok(()) };
        for failure in failures {
            let _ = failure.report();
        }
        Err(last)
    }

    /// Whether all was said already.
    fn is_silent(&self) -> bool {
        match self {
            Self::Verification | Self::Child(_) => true,
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage { .. } => ExitCode::from(2),
            Self::Verification => ExitCode::from(3),
            Self::Child(code) => ExitCode::from(u8::try_from(*code).unwrap_or(1)),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::User { .. }
            | Self::Config(_)
            | Self::Query(_)
            | Self::Gate(_)
            | Self::Train(_)
            | Self::Registry(_)
            | Self::Remote(_)
            | Self::Run(_)
            | Self::Share(_)
            | Self::Sign(_)
            | Self::Reproduce(_)
            | Self::Report(_)
            | Self::Init(_)
            | Self::Hook(_)
            | Self::Serve(_)
            | Self::Diff(_)
            | Self::Track(_)
            | Self::Store(_)
            | Self::Git(_)
            | Self::File(_)
            | Self::Lock(_)
            | Self::Upkeep(_)
            | Self::Lineage(_)
            | Self::Import(_)
            | Self::Export(_)
            | Self::Output(_) => ExitCode::from(1),
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::User { hint, .. } | Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Verification | Self::Child(_) | Self::Output(_) => None,
            Self::Config(error) => config_hint(error),
            Self::Query(_) => {
                Some("a query looks like \"metrics.val_accuracy > 0.9 and params.lr = '0.1'\"".to_owned())
            }
            Self::Gate(error) => gate_hint(error),
            Self::Train(error) => train_hint(error),
            Self::Registry(error) => registry_hint(error),
            Self::Remote(error) => remote_hint(error),
            Self::Run(error) => run_hint(error),
            Self::Share(error) => share_hint(error),
            Self::Sign(error) => sign_hint(error),
            Self::Reproduce(error) => reproduce_hint(error),
            Self::Report(error) => report_hint(error),
            Self::Init(error) => init_hint(error),
            Self::Hook(error) => hook_hint(error),
            Self::Serve(error) => serve_hint(error),
            Self::Diff(error) => diff_hint(error),
            Self::Import(error) => import_hint(error),
            Self::Export(error) => export_hint(error),
            Self::Track(error) => track_hint(error),
            Self::Store(error) => store_hint(error),
            Self::Git(error) => git_hint(error),
            Self::File(error) => file_hint(error),
            Self::Lock(error) => lock_hint(error),
            Self::Upkeep(error) => upkeep_hint(error),
            Self::Lineage(error) => lineage_hint(error),
        }
    }
}

/// Prints what clap found wrong, or the help or version that was asked for.
pub(super) fn report_usage(error: &clap::Error) -> ExitCode {
    let is_help = !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help {
        // Nothing can be done about a closed stdout or stderr.
        let _ = error.print();
    } else {
        for line in usage_lines(&error.to_string()) {
            eprintln!("{line}");
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What clap found wrong in the form of all our errors: one line of what happened, then what to type.
fn usage_lines(text: &str) -> Vec<String> {
    let (told, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = vec![told.split_whitespace().collect::<Vec<_>>().join(" ")];
    let tips = rest.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    // Who mistypes an option does not want it taken for a value.
    let tips = tips.filter(|tip| !tip.starts_with("to pass "));
    lines.extend(tips.map(|tip| format!("hint: {tip}")));
    let usage = rest.lines().find_map(|line| line.strip_prefix("Usage: "));
    match usage {
        // Who is told the right word needs no more.
        _ if lines.len() > 1 => {}
        Some(usage) => lines.push(format!("hint: usage: {usage}")),
        None => lines.push("hint: `git ml help` lists the commands, `git ml help COMMAND` explains one".to_owned()),
    }
    lines
}

/// Messages of others may have several lines and control characters; the first line is what people need.
fn one_line(text: &str) -> String {
    printable(text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

fn gate_hint(error: &GateError) -> Option<String> {
    match error {
        GateError::Condition { .. } => {
            Some("a condition looks like \"metrics.test_accuracy >= alias.production - 0.005\"".to_owned())
        }
        GateError::Config(error) => config_hint(error),
        GateError::Registry(error) => registry_hint(error),
        GateError::Run(error) => run_hint(error),
        GateError::Git(error) => git_hint(error),
    }
}

fn serve_hint(error: &ServeError) -> Option<String> {
    match error {
        ServeError::Listen { .. } => Some("choose another port, or let the system choose with `--port 0`".to_owned()),
        ServeError::NoToken { .. } => Some("write a token to a file and give that with --token-file".to_owned()),
        ServeError::Start(_) => None,
        ServeError::Track(error) => track_hint(error),
        ServeError::Run(error) => run_hint(error),
    }
}

fn import_hint(error: &ImportError) -> Option<String> {
    match error {
        ImportError::Nothing { .. } | ImportError::NotKept { .. } => {
            Some("`git ml track` makes an artifact of any file or folder".to_owned())
        }
        ImportError::Unknown { tool: "MLflow", .. } => {
            Some("give a folder such as mlruns, a database such as mlflow.db, or sqlite:///mlflow.db".to_owned())
        }
        ImportError::Unknown { tool: "W&B", .. } => {
            Some("give a folder such as wandb, or a file run-….wandb".to_owned())
        }
        ImportError::Unknown { .. } => Some("give a folder with event files".to_owned()),
        ImportError::Database { .. } => Some("`sqlite3 FILE 'pragma integrity_check'` says what is wrong".to_owned()),
        ImportError::Changed { .. } => Some("commit that with the tool, or restore it, and run this again".to_owned()),
        ImportError::Extra { .. } => Some("add it with the tool, or move it away, and run this again".to_owned()),
        ImportError::Missing { .. } => {
            Some("fetch it with the tool (`git lfs fetch`, `dvc pull`), or ask who has it".to_owned())
        }
        ImportError::Damaged { .. } => Some("fetch it once more with the tool, or ask who has it".to_owned()),
        ImportError::Malformed { .. } => Some("the tool itself may say more of it".to_owned()),
        ImportError::Filtered { path } => Some(format!("add `!filter` for {path} to the .gitattributes beside it")),
        ImportError::Read { .. } => Some("check that it is there and that you may read it".to_owned()),
        ImportError::UnsafePath(_) => Some("rename it, so that it is safe on every system".to_owned()),
        ImportError::Object(error) => object_hint(error),
        ImportError::Remote(error) => remote_hint(error),
        ImportError::Track(error) => track_hint(error),
        ImportError::Run(error) => run_hint(error),
        ImportError::Registry(error) => registry_hint(error),
        ImportError::Git(error) => git_hint(error),
        ImportError::File(error) => file_hint(error),
    }
}

fn export_hint(error: &ExportError) -> Option<String> {
    match error {
        ExportError::Table { .. } => None,
        ExportError::Output(_) => Some("check that there is room, and that you may write there".to_owned()),
        ExportError::BadUrl { .. } => Some(
            "give http://HOST:PORT, with the login in MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME".to_owned(),
        ),
        ExportError::Unreachable { .. } => Some("check the address, and that the server runs".to_owned()),
        ExportError::Refused { .. } => {
            Some("what was written before stays; run this again when that is mended".to_owned())
        }
        ExportError::Run(error) => run_hint(error),
        ExportError::Track(error) => track_hint(error),
        ExportError::Store(error) => store_hint(error),
        ExportError::File(error) => file_hint(error),
    }
}

fn config_hint(error: &ConfigError) -> Option<String> {
    match error {
        ConfigError::Read { .. } => None,
        ConfigError::Parse { .. } => Some("correct that line of ml.toml".to_owned()),
        ConfigError::UnknownExperiment { known, .. } if known.is_empty() => {
            Some("add one to ml.toml, or run a command: `git ml run -- COMMAND`".to_owned())
        }
        ConfigError::UnknownExperiment { known, .. } => Some(format!("it has {}", known.join(", "))),
    }
}

fn train_hint(error: &TrainError) -> Option<String> {
    match error {
        TrainError::Recipe { .. } => Some("correct the recipe in ml.toml, or the value given with -p".to_owned()),
        TrainError::NoWorker => Some("install it with `make install`, which builds both programs".to_owned()),
        TrainError::BrokenWorker { .. } => {
            Some("build it again with `make install`; `git ml doctor` says what is missing".to_owned())
        }
        TrainError::NotStored { path } => Some(format!(
            "`git ml pull` fetches them, or `git ml track {}` where the files are",
            shell_word(path.as_str())
        )),
        TrainError::NoFile { path } => {
            Some(format!("put it there, or `git ml pull` where {} is tracked", shell_word(path)))
        }
        TrainError::NoData { .. } => Some("put the data there, and `git ml track` it".to_owned()),
        TrainError::NoCheckpoint { .. } => Some(
            "`git ml train EXPERIMENT` trains from the start; a training leaves checkpoints while it runs".to_owned(),
        ),
        TrainError::NoModel { .. } => {
            Some("name one that `git ml train` made: run:@:model, NAME@production".to_owned())
        }
        TrainError::ModelNotStored { .. } => Some("`git ml pull` fetches it".to_owned()),
        TrainError::Track(error) => track_hint(error),
        TrainError::Run(error) => run_hint(error),
    }
}

fn init_hint(error: &InitError) -> Option<String> {
    match error {
        InitError::UnknownTemplate { .. } => Some("`git ml init --list-templates` says what there is".to_owned()),
        InitError::Conflicts { .. } => Some("move them away, or start in a new folder: nothing was written".to_owned()),
        InitError::UnsafePath(_) => Some("replace the link by a folder".to_owned()),
        InitError::Read { .. } => None,
        InitError::Trust(error) | InitError::File(error) => file_hint(error),
        InitError::Config(error) => config_hint(error),
        InitError::Git(error) => git_hint(error),
        InitError::Track(error) => track_hint(error),
    }
}

/// How to push what the hook refuses, for once.
pub(super) const PUSH_WITHOUT: &str =
    "`git -c ml.prePush=false push` pushes once without it, `git push --no-verify` without any check";

fn hook_hint(error: &HookError) -> Option<String> {
    match error {
        HookError::OutsideRepository { .. } => Some(
            "`git config core.hooksPath .git/hooks` gives this repository hooks of its own; `git ml hook install \
             --force` adds to those of all your repositories"
                .to_owned(),
        ),
        HookError::KeptExists { path } => {
            Some(format!("it would keep the hook that is there now: move {} away", path.display()))
        }
        HookError::Unavailable { remotes, .. } => {
            let way = match remotes.as_slice() {
                [] => "`git ml remote add` says where data goes, and `git push` sends it there".to_owned(),
                [only] => format!("`git ml push {only}` where the data is"),
                several => format!(
                    "say which remote `git push` sends data to, as `remote = \"{}\"` under [hooks.pre-push] in \
                     ml.toml, or `git ml push` where the data is",
                    several[0]
                ),
            };
            let unchecked = "`git push --no-verify` once, or `require-pushed = false` under [hooks] in ml.toml";
            Some(format!("{way}; or push without this check: {unchecked}"))
        }
        HookError::Upload { source, .. } => {
            let pushed = "nothing was pushed; `git push --no-verify` pushes the pointers alone";
            Some(remote_hint(source).map_or_else(|| pushed.to_owned(), |hint| format!("{hint}; {pushed}")))
        }
        HookError::Commit { ways, .. } => Some(format!("{ways}; or `git commit --no-verify` once")),
        HookError::Unapproved { .. } => {
            Some(format!("check out what you push, read ml.toml, then `git ml trust`; {PUSH_WITHOUT}"))
        }
        HookError::NoData { path, .. } => {
            let path = shell_word(path);
            Some(format!("`git ml track {path}`, commit {path}{POINTER_SUFFIX} and push again; {PUSH_WITHOUT}"))
        }
        HookError::Busy { .. } => {
            Some(format!("push again when it has ended, which then uses its result; {PUSH_WITHOUT}"))
        }
        HookError::RunFailed { run, .. } => {
            Some(format!("`git ml show {run} --log` shows what it said; {PUSH_WITHOUT}"))
        }
        HookError::Moved { .. } => Some(format!("leave the work tree as it is until it has begun; {PUSH_WITHOUT}")),
        HookError::UnknownGate { known, .. } => Some(match known.as_slice() {
            [] => "add `require = [\"…\"]` under [gates.NAME] in ml.toml".to_owned(),
            known => format!("its gates are {}", known.join(", ")),
        }),
        HookError::UnknownRemote { .. } => Some("`git ml remote list` lists the remotes".to_owned()),
        HookError::Read { .. } => None,
        HookError::Input { .. } => Some("only git calls this".to_owned()),
        HookError::Config(error) => config_hint(error),
        HookError::File(error) => file_hint(error),
        HookError::Lock(error) => lock_hint(error),
        HookError::Run(error) => run_hint(error),
        HookError::Git(error) => git_hint(error),
        HookError::Remote(error) => remote_hint(error),
        HookError::Track(error) => track_hint(error),
    }
}

fn diff_hint(error: &DiffError) -> Option<String> {
    match error {
        DiffError::Read { .. } => Some("check that it is there and that you may read it".to_owned()),
        DiffError::UnsafePath(_) => Some("rename it, so that it is safe on every system".to_owned()),
        DiffError::Track(error) => track_hint(error),
        DiffError::Store(error) => store_hint(error),
    }
}

fn lineage_hint(error: &LineageError) -> Option<String> {
    match error {
        LineageError::NoRun { .. } => Some("`git ml log` lists the runs".to_owned()),
        LineageError::Run(error) => run_hint(error),
        LineageError::Registry(error) => registry_hint(error),
    }
}

fn registry_hint(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::BadName { .. } => Some("use letters, digits, `.`, `-` and `_`".to_owned()),
        RegistryError::ModelExists { .. } => Some("choose another name".to_owned()),
        RegistryError::NoModel { known, .. } if known.is_empty() => {
            Some("register one: `git ml model register run:@ --name NAME`".to_owned())
        }
        RegistryError::NoModel { known, .. } => Some(format!("there are {}", known.join(", "))),
        RegistryError::NoVersion { model, .. } | RegistryError::NoAlias { model, .. } => {
            Some(format!("`git ml model show {model}` lists what there is"))
        }
        RegistryError::BadTarget { nearest, .. } if !nearest.is_empty() => {
            Some(format!("did you mean {}?", nearest.join(" or ")))
        }
        RegistryError::BadTarget { .. } => {
            Some("a target is a tracked path, NAME@v3, NAME@ALIAS, run:RUN or run:RUN:OUTPUT".to_owned())
        }
        RegistryError::WrongKind { is, .. } => Some(format!("`git ml {}` has the same commands", is.as_str())),
        RegistryError::InUse { label, aliases } => {
            let name = label.split_once('@').map_or(label.as_str(), |(name, _)| name);
            let alias = aliases.first().map(String::as_str).unwrap_or_default();
            Some(format!(
                "point them elsewhere first, or remove them: `git ml model unalias {} {alias}`",
                shell_word(name)
            ))
        }
        RegistryError::NotStored { .. } => Some("`git ml pull` fetches it from a remote".to_owned()),
        RegistryError::BadNote { .. } => Some("give it as plain text".to_owned()),
        RegistryError::AliasMoved { model, .. } => {
            Some(format!("nothing was changed: look at `git ml model history {model}`, then decide again"))
        }
        RegistryError::NothingBefore { model, alias } => {
            Some(format!("`git ml model alias {model} {alias} vN` points it to any version"))
        }
        RegistryError::Malformed { .. } => Some("`git ml verify` says what else is wrong".to_owned()),
        RegistryError::Run(error) => run_hint(error),
        RegistryError::Track(error) => track_hint(error),
        RegistryError::Store(error) => store_hint(error),
        RegistryError::Git(error) => git_hint(error),
    }
}

fn remote_hint(error: &RemoteError) -> Option<String> {
    match error {
        RemoteError::BadName { .. } => Some("use letters, digits, `.`, `-` and `_`".to_owned()),
        RemoteError::BadUrl { .. } => {
            Some("a remote is a folder, s3://BUCKET/FOLDER, gs://…, az://… or https://…".to_owned())
        }
        RemoteError::BadOption { .. } => Some("write it as 500k, 2MiB or a number of bytes a second".to_owned()),
        RemoteError::SecretInUrl { .. } | RemoteError::NoCredentials { .. } => Some(credentials_hint()),
        RemoteError::NoStore { name, .. } => Some(format!(
            "if it should be there, mount the folder or check the URL; `git ml remote add {name} URL` sets it up"
        )),
        RemoteError::UnknownLayout { .. } => Some("install a newer git-ml".to_owned()),
        RemoteError::Missing { .. } => Some("ask who tracked them for `git ml push`".to_owned()),
        RemoteError::Damaged { place, .. } if place.starts_with("the remote") => {
            Some("a `git ml push` from a clone that has the content mends it after `git ml fsck` there".to_owned())
        }
        RemoteError::Damaged { .. } => Some("`git ml fsck` says what else is damaged and mends what it can".to_owned()),
        RemoteError::DamagedIndex { .. } => {
            Some("remove that object, then `git ml push` from a clone that has the content".to_owned())
        }
        RemoteError::Unsteady { .. } => Some("push again when no `git ml gc` is at work there".to_owned()),
        RemoteError::NoTimes { .. } => Some("collect where the objects are, on that machine".to_owned()),
        RemoteError::Unknown { .. } => Some("`git ml remote list` lists them".to_owned()),
        RemoteError::Object(error) => object_hint(error),
        RemoteError::Output(_) => None,
        RemoteError::Store(error) => store_hint(error),
        RemoteError::Config(error) => config_hint(error),
        RemoteError::Git(error) => git_hint(error),
        RemoteError::File(error) => file_hint(error),
    }
}

fn object_hint(error: &ObjectError) -> Option<String> {
    match error {
        ObjectError::NotFound { .. } => Some("run it again: the place has changed meanwhile".to_owned()),
        ObjectError::Denied { place, .. } if place.starts_with("ssh://") => {
            Some("check that the same `ssh` lets you in, and that you may write there".to_owned())
        }
        ObjectError::Denied { place, .. } if place.contains("/info/lfs") => {
            Some("`git credential` has to know a name and a token for it that may write".to_owned())
        }
        ObjectError::Denied { .. } => Some(credentials_hint()),
        ObjectError::Unreachable { .. } => {
            Some("run it again later: what has arrived stays, and it goes on from there".to_owned())
        }
        ObjectError::Output { .. } => Some("check that there is room and that you may write there".to_owned()),
        ObjectError::Failed { .. } => Some("check the URL and its options: `git ml remote list`".to_owned()),
    }
}

fn credentials_hint() -> String {
    "credentials belong in the environment or in the files of the provider's own tools (such as ~/.aws/credentials), \
     never in ml.toml"
        .to_owned()
}

fn run_hint(error: &RunError) -> Option<String> {
    match error {
        RunError::NotFound { .. } => Some("`git ml log` lists the runs".to_owned()),
        RunError::Ambiguous { .. } => Some("give more digits of the id".to_owned()),
        RunError::Malformed { .. } => Some("`git ml verify` says what else is wrong".to_owned()),
        RunError::Spawn { .. } => Some("check that the program is installed and on the PATH".to_owned()),
        RunError::Supervise { .. } => Some("`git ml log` shows what it logged".to_owned()),
        RunError::Unrecorded { source, .. } => {
            let kept = "nothing is lost: the next `git ml log` records it";
            Some(run_hint(source).map_or(kept.to_owned(), |hint| format!("{kept}; {hint}")))
        }
        RunError::NoActiveRun => Some("call it from a script under `git ml run -- SCRIPT`".to_owned()),
        RunError::BadName { .. } => Some("use letters, digits, `.`, `-` and `_`".to_owned()),
        RunError::BadValue { .. } => Some("names have at most 250 bytes, values 8192, in plain text".to_owned()),
        RunError::Read { .. } => Some("check that it is there and that you may read it".to_owned()),
        RunError::File(error) => file_hint(error),
        RunError::Lock(error) => lock_hint(error),
        RunError::Track(error) => track_hint(error),
        RunError::Git(error) => git_hint(error),
    }
}

fn reproduce_hint(error: &ReproduceError) -> Option<String> {
    match error {
        ReproduceError::NoCommand { .. } => Some("it was imported, or logged through a server".to_owned()),
        ReproduceError::Evaluation { command, .. } => Some(format!("`{}` evaluates it again", printable(command))),
        ReproduceError::NoCode { is_uncommitted: true, .. } => {
            Some("ask who ran it to share it: `git config ml.shareSnapshots true`, then `git ml push`".to_owned())
        }
        ReproduceError::NoCode { .. } => Some("`git ml fetch` fetches runs with their code".to_owned()),
        ReproduceError::NoInputs { .. } => Some("ask who tracked them for `git ml push`".to_owned()),
        ReproduceError::NotBefore { .. } => Some("give the good commit first, then the bad one".to_owned()),
        ReproduceError::Stopped => None,
        ReproduceError::UnsafePath(_) => Some("do not trust where this came from".to_owned()),
        ReproduceError::Config(error) => config_hint(error),
        ReproduceError::Diff(error) => diff_hint(error),
        ReproduceError::Remote(error) => remote_hint(error),
        ReproduceError::Run(error) => run_hint(error),
        ReproduceError::Track(error) => track_hint(error),
        ReproduceError::Git(error) => git_hint(error),
        ReproduceError::File(error) => file_hint(error),
        ReproduceError::Lock(error) => lock_hint(error),
    }
}

fn report_hint(error: &ReportError) -> Option<String> {
    match error {
        ReportError::NothingInCommon { is_shallow: true, .. } => Some(
            "this clone is shallow: `git fetch --unshallow`, or in CI check out all of history (fetch-depth: 0)"
                .to_owned(),
        ),
        ReportError::NothingInCommon { .. } => Some("name the branch that this one is to be merged into".to_owned()),
        ReportError::UnknownGate { known, .. } if known.is_empty() => {
            Some("write one: [gates.NAME] with require = [\"metrics.test_accuracy >= 0.97\"]".to_owned())
        }
        ReportError::UnknownGate { known, .. } => Some(format!("there are {}", known.join(", "))),
        ReportError::Config(error) => config_hint(error),
        ReportError::Gate(error) => gate_hint(error),
        ReportError::Diff(error) => diff_hint(error),
        ReportError::Registry(error) => registry_hint(error),
        ReportError::Run(error) => run_hint(error),
        ReportError::Track(error) => track_hint(error),
        ReportError::Git(error) => git_hint(error),
    }
}

fn share_hint(error: &ShareError) -> Option<String> {
    match error {
        ShareError::Undecided { .. } => Some(
            "`git config ml.shareSnapshots true` shares that code too, `false` shares the runs without it; or decide \
             for all, as share_snapshots under [run] in ml.toml"
                .to_owned(),
        ),
        ShareError::Busy { .. } => Some("run it again: nothing is lost".to_owned()),
        ShareError::Refused { remote, .. } => Some(format!("ask who pushed it to {remote}; nothing was changed here")),
        ShareError::Unmergeable { .. } => Some("`git ml verify` says what is wrong with it".to_owned()),
        ShareError::Registry(error) => registry_hint(error),
        ShareError::Run(error) => run_hint(error),
        ShareError::Git(error) => git_hint(error),
    }
}

fn sign_hint(error: &SignError) -> Option<String> {
    match error {
        SignError::NoKey { .. } => Some(
            "`git config gpg.format ssh` and `git config user.signingkey ~/.ssh/id_ed25519.pub`, or name a key: `--key FILE`"
                .to_owned(),
        ),
        SignError::BadKey { .. } => Some(
            "`openssl ecparam -genkey -name prime256v1 -noout -out key.pem` makes a key, `ssh-keygen -t ed25519` an SSH key"
                .to_owned(),
        ),
        SignError::EncryptedKey { path } => Some(format!(
            "open it for this one command, in bash: `--key <(openssl pkey -in {})`",
            shell_word(&path.display().to_string())
        )),
        SignError::NoProgram { .. } => Some("install OpenSSH's client, or check gpg.ssh.program".to_owned()),
        SignError::NotSigned { .. } => Some("`ssh-add -l` lists the keys that the agent has; the file of a private key wants `chmod 600`".to_owned()),
        SignError::NotSignable { .. } => Some("an SSH key signs it in another form: `git ml sign` without --key".to_owned()),
        SignError::NotStored { .. } => Some("`git ml pull` fetches it from a remote".to_owned()),
        SignError::Untrustworthy { key, .. } => Some(format!("correct the file, or `git config {key} FILE`")),
        SignError::NoSignature { .. } => Some("ask who made it for a signature of exactly this artifact".to_owned()),
        SignError::Read { .. } => Some("check that it is there and that you may read it".to_owned()),
        SignError::Run(error) => run_hint(error),
        SignError::Store(error) => store_hint(error),
        SignError::Git(error) => git_hint(error),
        SignError::File(error) => file_hint(error),
    }
}

fn track_hint(error: &TrackError) -> Option<String> {
    match error {
        TrackError::TrackedByGit { path, .. } => {
            Some(format!("take it out of git's index first: `git rm -r --cached {path}`"))
        }
        TrackError::OutsideWorkTree { .. } => Some("copy or move it into the work tree first".to_owned()),
        TrackError::NotTrackable { path, reason } => Some(untrackable_hint(path, reason)),
        TrackError::NotFound { .. } => Some("check the path".to_owned()),
        TrackError::NotTracked { path } => {
            Some(format!("`git ml track {}` tracks it, `git ml status` lists what is", shell_word(path.as_str())))
        }
        TrackError::WouldOverwrite { path, .. } => {
            let word = shell_word(path.as_str());
            Some(format!("keep it with `git ml track {word}`, or lose it with `git ml checkout --force {word}`"))
        }
        TrackError::NotStored { path, .. } => {
            Some(format!("`git ml pull` fetches it from a remote, `git ml status {path}` shows how it stands"))
        }
        TrackError::OneName { .. } => Some(
            "nothing was changed: check it out on a file system that tells them apart, or rename one there".to_owned(),
        ),
        TrackError::Changed { .. } => Some("run it again when nothing writes there".to_owned()),
        TrackError::Pointer { path, .. } => {
            Some(format!("bring back the committed one: `git checkout -- {}`", path.display()))
        }
        TrackError::UnsafePath(error) if error.reason.contains(".git") => Some("leave .git to git".to_owned()),
        TrackError::UnsafePath(error) if error.reason.contains("symbolic link") => {
            Some("name the real folder, or put it in the link's place".to_owned())
        }
        TrackError::UnsafePath(_) => Some("rename it, so that it is safe on every system".to_owned()),
        TrackError::Read { .. } => Some("check that it is there and that you may read it".to_owned()),
        TrackError::File(error) => file_hint(error),
        TrackError::Lock(error) => lock_hint(error),
        TrackError::Store(error) => store_hint(error),
        TrackError::Git(error) => git_hint(error),
    }
}

fn untrackable_hint(path: &Path, reason: &Untrackable) -> String {
    match reason {
        Untrackable::Top => "name a file or a folder in it".to_owned(),
        Untrackable::Pointer => {
            let data = path.to_string_lossy();
            format!("name what it points to: `git ml track {}`", data.strip_suffix(POINTER_SUFFIX).unwrap_or(&data))
        }
        Untrackable::Configuration => format!("`git add {}` tracks it", path.display()),
        Untrackable::EmptyFolder => "put files into it first".to_owned(),
        Untrackable::Link => "track what it points to, or put a copy in its place".to_owned(),
        Untrackable::Special { .. } => "track a file, or a folder of files".to_owned(),
        Untrackable::HoldsSpecial { inner, .. } => format!("remove it, or move it out of the folder: {inner}"),
        Untrackable::HoldsRepository { .. } => "track its folders one by one, or move the repository away".to_owned(),
        Untrackable::InRepository { repository } => format!("track it there: `git ml -C {repository} track …`"),
        Untrackable::HoldsPointer { inner } => {
            let data = inner.strip_suffix(POINTER_SUFFIX).unwrap_or(inner);
            format!("track either the folder or what is in it: `git ml untrack {}`", path.join(data).display())
        }
        Untrackable::InArtifact { artifact } => format!("track the whole again: `git ml track {artifact}`"),
        Untrackable::NotUtf8 { .. } => "rename it".to_owned(),
        Untrackable::PointerIgnored { pointer } => {
            format!("`git check-ignore -v {pointer}` says which rule it is: git has to see the pointer")
        }
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Missing { .. } => Some("`git ml pull` fetches it from a remote".to_owned()),
        StoreError::Damaged { .. } => Some("`git ml verify --deep` says what else is damaged".to_owned()),
        StoreError::Malformed { .. } => Some("`git ml fsck` mends what can be mended".to_owned()),
        StoreError::UnsafePath(_) => Some("do not trust where this came from".to_owned()),
        StoreError::Read { .. } => Some("check that it is there and that you may read it".to_owned()),
        StoreError::File(error) => file_hint(error),
        StoreError::Lock(error) => lock_hint(error),
    }
}

fn upkeep_hint(error: &UpkeepError) -> Option<String> {
    match error {
        UpkeepError::Unreadable { .. } => {
            Some("`git ml fsck --deep --repair` mends what can be mended, `git ml pull` fetches it again".to_owned())
        }
        UpkeepError::Reach(error) => reach_hint(error),
        UpkeepError::Track(error) => track_hint(error),
        UpkeepError::Git(error) => git_hint(error),
        UpkeepError::Remote(error) => remote_hint(error),
        UpkeepError::Store(error) => store_hint(error),
        UpkeepError::File(error) => file_hint(error),
        UpkeepError::Lock(error) => lock_hint(error),
    }
}

fn reach_hint(error: &ReachError) -> Option<String> {
    match error {
        ReachError::Newer { .. } => {
            Some("install the newest git-ml: it may name artifacts that this one cannot see".to_owned())
        }
        ReachError::Read { .. } => Some("check that you may read it: a pointer in it may name anything".to_owned()),
        ReachError::Track(error) => track_hint(error),
        ReachError::Git(error) => git_hint(error),
    }
}

fn git_hint(error: &GitError) -> Option<String> {
    match error {
        GitError::NotARepository { .. } => Some("`git ml init` makes one here".to_owned()),
        GitError::Bare => Some("run this in a clone with a work tree".to_owned()),
        GitError::NoCommit => Some("commit the code first: `git add -A && git commit`".to_owned()),
        GitError::UnknownRevision { .. } => Some("`git log --oneline --all` lists commits".to_owned()),
        GitError::RefMoved { .. } => Some("run it again".to_owned()),
        GitError::NoIdentity => {
            Some("`git config --global user.name NAME` and `git config --global user.email ADDRESS`".to_owned())
        }
        GitError::NotTrusted { path } => {
            Some(format!("if you trust its owner: `git config --global --add safe.directory {}`", path.display()))
        }
        GitError::RefLocked { lock, .. } => {
            Some(format!("if no git command is running, remove it: `rm {}`", lock.display()))
        }
        GitError::Shallow => Some("`git fetch --unshallow` fetches the rest of history".to_owned()),
        GitError::MissingObject { .. } => Some(
            "`git fsck` says what is missing; in a partial clone, `git fetch --refetch --no-filter` fetches it"
                .to_owned(),
        ),
        GitError::UnknownRefStorage => Some("`git refs migrate --ref-format=files` keeps them as files".to_owned()),
        GitError::TooLarge { .. } | GitError::Unsigned { .. } => Some(
            "commit.gpgSign is set: see user.signingKey and gpg.format, or `git -c commit.gpgSign=false ml …` once"
                .to_owned(),
        ),
        GitError::Command { .. } | GitError::Failed { .. } => None,
    }
}

fn file_hint(error: &FileError) -> Option<String> {
    if error.is_full_disk() {
        return Some("the disk is full: make room and run it again; nothing that was stored is lost".to_owned());
    }
    match error.source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("check that you may write there".to_owned())
        }
        _ => match Errno::from_io_error(&error.source) {
            Some(Errno::IO) => {
                Some("the disk may be failing: look at the system's log, and run `git ml fsck`".to_owned())
            }
            Some(Errno::MFILE | Errno::NFILE) => Some("allow more open files: `ulimit -n 4096`".to_owned()),
            _ => None,
        },
    }
}

fn lock_hint(error: &LockError) -> Option<String> {
    match error {
        LockError::Held { .. } => Some("wait until it is done, then run this again".to_owned()),
        LockError::Io { .. } => Some("check that you may write there".to_owned()),
    }
}
