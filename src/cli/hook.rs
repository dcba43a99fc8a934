//! `git ml hook`

use std::io::Read;
use std::path::PathBuf;

use clap::Subcommand;

use crate::config::Config;
use crate::git::Repository;
use crate::hooks::{self, Changed, Installed, Outcome, Uploaded};
use crate::id::CommitId;
use crate::track::{CheckoutOptions, Workspace};
use crate::words::{count, size};

use super::output::{Bar, print_line};
use super::{Context, Failure, merge_pointer, pre_commit, pre_push};

/// Bytes that git may say to the hook before a push.
const MAX_INPUT: u64 = 64 << 20;

/// Install git's hooks and the merge driver for pointers, or run one
///
/// Hooks that are there already are kept, and run as before. Without git-ml on the PATH the hooks do nothing.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add git ml to this repository's hooks; safe to repeat
    Install {
        /// Also where core.hooksPath names a folder outside of the repository, for all that use it
        #[arg(long)]
        force: bool,
    },
    /// Take git ml out of this repository's hooks again
    Uninstall {
        /// Also where core.hooksPath names a folder outside of the repository
        #[arg(long)]
        force: bool,
    },
    /// What git runs after a checkout
    PostCheckout {
        /// HEAD before
        previous: String,
        /// HEAD now
        current: String,
        /// 1 for a branch, 0 for files
        flag: String,
    },
    /// What git runs after a merge
    PostMerge {
        /// 1 if the merge was squashed
        squash: String,
    },
    /// What git runs before a commit: looks for data that it leaves behind, and for files too large for git
    ///
    /// `[hooks.pre-commit]` in ml.toml says what is refused; `git config ml.changedData warn` says it for you alone.
    PreCommit,
    /// What git runs to merge two versions of a pointer
    ///
    /// What one side alone changed is taken. Where both changed the data it says what each did, and leaves a conflict:
    /// `git checkout --ours FILE` or `--theirs` chooses, `git add FILE` settles it.
    MergePointer {
        /// The version that both sides began with
        base: PathBuf,
        /// Our version, which becomes the merged one
        ours: PathBuf,
        /// Their version
        theirs: PathBuf,
        /// How long the marks of a conflict are
        marks: usize,
        /// The pointer's path
        path: String,
    },
    /// What git runs before a push: sends the data, and runs what has to have run; reads the refs from stdin
    ///
    /// `[hooks.pre-push]` in ml.toml names an experiment, the code that matters to it and a gate. A run that is there
    /// already counts; else the experiment runs now, with the code of the pushed commit. `git -c ml.prePush=false push`
    /// pushes once without it, `git push --no-verify` without any check.
    PrePush {
        /// The remote's name
        remote: String,
        /// Its address
        url: String,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Install { force } => {
            let repository = repository(context)?;
            // The driver is of this repository alone, wherever its hooks are.
            let driver = hooks::install_driver(&repository)?;
            report(context, &hooks::install(&repository, *force)?, &driver)
        }
        Command::Uninstall { force } => {
            let repository = repository(context)?;
            let driver = hooks::uninstall_driver(&repository)?;
            report(context, &hooks::uninstall(&repository, *force)?, &driver)
        }
        Command::PreCommit => pre_commit::check(context),
        Command::MergePointer { base, ours, theirs, marks, path } => {
            merge_pointer::merge(context, [base, ours, theirs], *marks, path)
        }
        Command::PostCheckout { previous, flag, .. } => {
            let previous = previous.parse::<CommitId>().ok().filter(|id| *id.as_bytes() != [0; 20]);
            after(context, &|workspace, options, bar| {
                hooks::after_checkout(workspace, previous, flag == "1", options, bar)
            })
        }
        Command::PostMerge { squash } => {
            after(context, &|workspace, options, bar| hooks::after_merge(workspace, squash == "1", options, bar))
        }
        Command::PrePush { remote, url: _ } => {
            let mut input = String::new();
            std::io::stdin().take(MAX_INPUT).read_to_string(&mut input)?;
            let workspace = context.workspace()?;
            // A bare repository has no ml.toml, and the check stands.
            let work_dir = workspace.repository.work_dir().ok();
            let config = work_dir.map_or_else(|| Ok(Config::default()), Config::load)?;
            let refs = hooks::parse_push(&input)?;
            let sent =
                hooks::before_push(&workspace, &config, &context.environment(), remote, &refs, &Bar::new(context))?;
            if let Some(Uploaded { remote, transferred }) = sent {
                let artifacts = count(transferred.artifacts as u64, "artifact");
                context.say(&format!("sent {artifacts} to the remote {remote}, {}", size(transferred.bytes)));
            }
            pre_push::check(context, &workspace, remote, &refs)
        }
    }
}

fn repository(context: &Context) -> Result<Repository, Failure> {
    Ok(Repository::discover(&context.folder)?)
}

fn report(context: &Context, hooks: &[Installed], driver: &Outcome) -> Result<(), Failure> {
    let shown = |path: &std::path::Path| path.strip_prefix(&context.folder).unwrap_or(path).display().to_string();
    let told = |what: String, outcome: &Outcome| {
        print_line(&match outcome {
            Outcome::Created => format!("{what}: installed"),
            Outcome::Added => format!("{what}: added to what was there"),
            Outcome::Chained(kept) => format!("{what}: installed, and runs {}", shown(kept)),
            Outcome::Unchanged => format!("{what}: as it should be"),
            Outcome::Removed => format!("{what}: as it was before"),
            Outcome::Absent => format!("{what}: had nothing of git ml"),
        })
    };
    hooks.iter().try_for_each(|Installed { path, outcome, .. }| told(shown(path), outcome))?;
    told("merge driver for pointers".to_owned(), driver)
}

/// A hook for which git's work is done.
type AfterGit<'a> = dyn Fn(&Workspace, CheckoutOptions, &Bar) -> Result<Changed, hooks::HookError> + 'a;

/// Runs a hook for which git's work is done: whatever goes wrong is a warning.
fn after(context: &Context, hook: &AfterGit<'_>) -> Result<(), Failure> {
    if let Err(failure) = try_after(context, hook) {
        context.warn(&format!("tracked data stays as it is: {failure}"));
    }
    Ok(())
}

fn try_after(context: &Context, hook: &AfterGit<'_>) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let config = context.config(&workspace)?;
    if config.hooks.checkout == Some(false) {
        return Ok(());
    }
    let options = CheckoutOptions::from(&config.checkout);
    let Changed { updated, warnings } = hook(&workspace, options, &Bar::new(context))?;
    for done in updated {
        let (written, removed) = (count(done.written as u64, "file"), count(done.removed as u64, "file"));
        context.say(&match (done.written, done.removed) {
            (_, 0) => format!("{}: {written} written", done.path),
            (0, _) => format!("{}: {removed} removed", done.path),
            _ => format!("{}: {written} written, {removed} removed", done.path),
        });
    }
    for warning in warnings {
        context.warn(&warning);
    }
    Ok(())
}
