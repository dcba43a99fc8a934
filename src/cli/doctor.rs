//! `git ml doctor`

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::config::Config;
use crate::files::Draft;
use crate::git;
use crate::hooks::{self, Hook};
use crate::track::Workspace;
use crate::train::find_worker;
use crate::words::{printable, size};

use super::output::{print_json, print_line};
use super::{Context, Failure};

/// Below this much free space a training's outputs may not fit.
const LOW_SPACE: u64 = 1 << 30;

/// Say what works here, what does not, and how to mend it
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 1 says that something is broken.")]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    detail: String,
    hint: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Ok, detail: detail.into(), hint: None }
    }

    fn warning(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Warning, detail: detail.into(), hint: Some(hint.into()) }
    }

    fn broken(name: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name, state: State::Broken, detail: detail.into(), hint: Some(hint.into()) }
    }
}

/// What `git ml doctor --json` prints.
#[derive(Debug, Serialize)]
struct Diagnosis {
    ok: bool,
    checks: Vec<Check>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let mut checks = vec![check_git(), check_command(context)];
    match context.workspace() {
        Ok(workspace) => {
            checks.extend([
                check_repository(&workspace),
                check_identity(&workspace),
                check_store(&workspace),
                check_space(&workspace),
                check_config(context, &workspace),
                check_hooks(&workspace),
            ]);
        }
        Err(failure) => checks.push(no_repository(context, &failure)),
    }
    checks.push(check_worker(context));
    checks.push(check_terminal(context));
    let broken = checks.iter().filter(|check| check.state == State::Broken).count();
    if args.json {
        print_json(&Diagnosis { ok: broken == 0, checks })?;
    } else {
        for check in &checks {
            print_check(context, check)?;
        }
    }
    match broken {
        0 => Ok(()),
        // What is broken and how to mend it was said already.
        _ => Err(Failure::Child(1)),
    }
}

fn print_check(context: &Context, check: &Check) -> Result<(), Failure> {
    let (word, colour) = match check.state {
        State::Ok => ("ok", 32),
        State::Warning => ("warning", 33),
        State::Broken => ("broken", 31),
    };
    let padded = format!("{word:<8}");
    let word = if context.colour { format!("\x1b[{colour}m{padded}\x1b[0m") } else { padded };
    print_line(&format!("{word} {:<11} {}", check.name, printable(&check.detail)))?;
    match &check.hint {
        Some(hint) => print_line(&format!("{:20} hint: {}", "", printable(hint))),
        None => Ok(()),
    }
}

fn check_git() -> Check {
    match git::installed_version() {
        Ok(version) => Check::ok("git", version),
        Err(_) => Check::broken("git", "git cannot be run", "install git, and see that it is on the PATH"),
    }
}

/// Whether git finds us when somebody types `git ml`.
fn check_command(context: &Context) -> Check {
    let name = "git ml";
    let version = env!("CARGO_PKG_VERSION");
    let search_path = context.variable("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search_path).map(|folder| folder.join("git-ml")).find(|path| path.is_file());
    let this = std::env::current_exe().ok();
    match (found, this) {
        (Some(found), Some(this)) if same_file(&found, &this) => {
            Check::ok(name, format!("{version} at {}", found.display()))
        }
        (Some(found), _) => Check::warning(
            name,
            format!("`git ml` runs {}, which is not this program ({version})", found.display()),
            "put the folder of the one you want first in the PATH",
        ),
        (None, this) => {
            let folder = this.as_deref().and_then(Path::parent).map(|folder| folder.display().to_string());
            let hint = format!("add {} to the PATH, or `make install`", folder.unwrap_or("its folder".to_owned()));
            Check::warning(name, "git-ml is not on the PATH, so `git ml` does not work", hint)
        }
    }
}

fn same_file(left: &Path, right: &Path) -> bool {
    left.canonicalize().ok() == right.canonicalize().ok()
}

fn no_repository(context: &Context, failure: &Failure) -> Check {
    let folder = context.folder.display();
    match failure {
        Failure::Track(crate::track::TrackError::Git(git::GitError::NotARepository { .. })) => Check::warning(
            "repository",
            format!("{folder} is not inside a git repository"),
            "`git ml init` makes one here",
        ),
        failure => Check::broken("repository", failure.to_string(), "see what `git status` says here"),
    }
}

fn check_repository(workspace: &Workspace) -> Check {
    let name = "repository";
    let repository = &workspace.repository;
    let place = match repository.work_dir() {
        Ok(work_dir) => work_dir.display().to_string(),
        Err(error) => return Check::broken(name, error.to_string(), "run this in a clone with a work tree"),
    };
    let linked = if repository.git_dir() == repository.common_dir() { "" } else { ", a linked work tree" };
    match repository.head() {
        Err(error) => Check::broken(name, error.to_string(), "`git fsck` says what is wrong"),
        Ok(head) if head.commit.is_none() => Check::warning(
            name,
            format!("{place}{linked} has no commit yet, which runs need"),
            "`git add -A && git commit`",
        ),
        Ok(head) => match head.branch {
            Some(branch) => Check::ok(name, format!("{place}{linked}, on {branch}")),
            None => Check::ok(name, format!("{place}{linked}, at a detached HEAD")),
        },
    }
}

fn check_identity(workspace: &Workspace) -> Check {
    match workspace.repository.identity() {
        Ok(identity) => Check::ok("identity", format!("{} <{}>", identity.name, identity.email)),
        Err(error) => Check::broken(
            "identity",
            error.to_string(),
            "`git config --global user.name NAME` and `git config --global user.email ADDRESS`",
        ),
    }
}

fn check_store(workspace: &Workspace) -> Check {
    let name = "store";
    let root = workspace.store.root();
    // A draft that is dropped at once leaves nothing behind.
    if let Err(error) = Draft::new_in(root) {
        let hint = format!("see that you may write to {} and that the disk is not full", root.display());
        return Check::broken(name, format!("cannot write to {}: {}", root.display(), error.source), hint);
    }
    match workspace.store.packs() {
        Ok(packs) => {
            let bytes = packs.iter().map(|pack| pack.bytes).sum();
            Check::ok(name, format!("{} in {} packs at {}", size(bytes), packs.len(), root.display()))
        }
        Err(error) => Check::broken(name, error.to_string(), "`git ml fsck` mends what can be mended"),
    }
}

fn check_space(workspace: &Workspace) -> Check {
    let name = "free space";
    match rustix::fs::statvfs(workspace.store.root()) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            match free < LOW_SPACE {
                true => Check::warning(name, format!("only {} are left", size(free)), "make room on the disk"),
                false => Check::ok(name, size(free)),
            }
        }
        Err(error) => Check::warning(name, format!("it is not known: {error}"), "look with `df`"),
    }
}

fn check_config(context: &Context, workspace: &Workspace) -> Check {
    let name = "ml.toml";
    let Ok(work_dir) = workspace.repository.work_dir() else {
        return Check::warning(name, "there is no work tree", "run this in a clone with a work tree");
    };
    if !work_dir.join(crate::config::FILE_NAME).exists() {
        return Check::warning(name, "there is none", "`git ml init` writes one");
    }
    let config = match Config::load(work_dir) {
        Ok(config) => config,
        Err(error) => return Check::broken(name, error.to_string(), "correct that line of ml.toml"),
    };
    let experiments = match config.experiments.len() {
        1 => "1 experiment".to_owned(),
        count => format!("{count} experiments"),
    };
    let trusted = context.trust().is_ok_and(|trust| trust.is_trusted(workspace.repository.common_dir(), work_dir));
    match trusted {
        true => Check::ok(name, format!("valid, approved, {experiments}")),
        false => Check::warning(
            name,
            format!("valid, {experiments}, but not approved: what it names is not run"),
            "read ml.toml, then `git ml trust`",
        ),
    }
}

fn check_hooks(workspace: &Workspace) -> Check {
    let name = "hooks";
    let repository = &workspace.repository;
    let folder = match repository.hooks_dir() {
        Ok(folder) => folder.display().to_string(),
        Err(error) => return Check::broken(name, error.to_string(), "see `git config core.hooksPath`"),
    };
    let mut wanting = Vec::new();
    for hook in Hook::ALL {
        match hooks::state(repository, hook) {
            Ok(hooks::State::Current) => {}
            Ok(hooks::State::Absent) => wanting.push(format!("{} is not installed", hook.name())),
            Ok(hooks::State::Outdated) => wanting.push(format!("{} is not up to date", hook.name())),
            Err(error) => wanting.push(format!("{}: {error}", hook.name())),
        }
    }
    let driver = match hooks::driver_state(repository) {
        Ok(hooks::State::Current) => None,
        Ok(hooks::State::Absent) => Some("the merge driver for pointers is not installed".to_owned()),
        Ok(hooks::State::Outdated) => Some("the merge driver for pointers is not up to date".to_owned()),
        Err(error) => Some(format!("the merge driver for pointers: {error}")),
    };
    let hint = "`git ml hook install`";
    match (wanting.as_slice(), driver) {
        ([], None) => Check::ok(name, format!("installed in {folder}, and the merge driver for pointers")),
        ([], Some(driver)) => Check::warning(name, driver, hint),
        (wanting, None) => Check::warning(name, format!("{} in {folder}", wanting.join(", ")), hint),
        (wanting, Some(driver)) => Check::warning(name, format!("{} in {folder}; {driver}", wanting.join(", ")), hint),
    }
}

fn check_worker(context: &Context) -> Check {
    let name = "worker";
    let program = std::env::current_exe().unwrap_or_default();
    let search_path = context.variable("PATH");
    let hint = "`make install` builds and installs it; all but native training works without";
    let Some(worker) = find_worker(&program, search_path.as_deref().map(OsStr::new)) else {
        return Check::warning(name, "git-ml-torch is not beside git-ml nor on the PATH", hint);
    };
    match worker_version(&worker) {
        Ok(version) => Check::ok(name, format!("{version} at {}", worker.display())),
        Err(problem) => Check::broken(
            name,
            format!("{} does not start: {problem}", worker.display()),
            "`make libtorch` fetches the library that it needs, `make install` puts it in place",
        ),
    }
}

fn worker_version(worker: &PathBuf) -> Result<String, String> {
    let output = Command::new(worker).arg("--version").output().map_err(|error| error.to_string())?;
    let first_line = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
    match output.status.success() {
        true => Ok(first_line(&output.stdout)),
        false => Err(first_line(&output.stderr)),
    }
}

fn check_terminal(context: &Context) -> Check {
    let name = "terminal";
    if !std::io::stdout().is_terminal() {
        return Check::ok(name, "stdout is not a terminal: plain text, no dashboard");
    }
    let kind = context.variable("TERM").unwrap_or_else(|| "unknown".to_owned());
    let colour = if context.colour { "colour" } else { "no colour" };
    match crossterm::terminal::size() {
        Ok((columns, rows)) if columns < 80 || rows < 24 => {
            Check::warning(name, format!("{kind}, {columns}×{rows}, {colour}"), "the dashboard wants 80×24")
        }
        Ok((columns, rows)) => Check::ok(name, format!("{kind}, {columns}×{rows}, {colour}")),
        Err(_) => Check::ok(name, format!("{kind}, {colour}")),
    }
}
