//! `git ml share-live`: the companion of a run that shares it while it goes on (`run.share_every`).
//!
//! It is a process of its own, so that a run notices nothing of a network that is slow or gone. Its stdin is a pipe from
//! the run's supervisor, and ends with it, however that ends.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::config::{Config, ShareSnapshots};
use crate::git::{Manner, Repository};
use crate::id::RunId;
use crate::run::Runs;
use crate::share::{Exchange, git_remote_for, share_live};
use crate::track::Workspace;

use super::{Context, Failure, share};

/// How long one fetch or push may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Share a run while it goes on: `git ml run` starts this where ml.toml has `run.share_every`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    run: RunId,
    /// Seconds between two times
    #[arg(long)]
    every: u64,
}

/// Starts the companion of a run where one is asked for. Whatever is in its way is no reason to disturb the run.
pub(super) fn start(repository: &Repository, run_id: &RunId) -> Option<Child> {
    let top = repository.work_dir().ok()?;
    let every = Config::load(top).ok()?.run.share_every?;
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.arg("-C").arg(top).args(["share-live", &run_id.to_string(), "--every", &every.as_secs().to_string()]);
    // A group of its own: Ctrl-C is meant for the run, and this shares how it ended.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let (sender, ended) = channel::<()>();
    thread::spawn(move || {
        // Nothing is ever written to it.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(sender);
    });
    let mut is_shared = false;
    loop {
        let is_over = match ended.recv_timeout(Duration::from_secs(args.every)) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        };
        if is_over && !is_shared {
            // A short run is shared with the others, when the user says so.
            return Ok(());
        }
        match share_once(context, &workspace, &args.run) {
            Ok(()) => is_shared = true,
            // The next time, or the next push, may find the network again.
            Err(failure) => context.say_more(&failure.to_string()),
        }
        if is_over {
            return Ok(());
        }
    }
}

fn share_once(context: &Context, workspace: &Workspace, run_id: &RunId) -> Result<(), Failure> {
    let Some(remote) = git_remote_for(&workspace.repository, None)? else { return Ok(()) };
    let author = workspace.repository.identity_or_host(&context.user(), &context.host());
    let manner = Manner::Unattended(PATIENCE);
    let exchange = Exchange { workspace, remote: &remote, author: &author, manner };
    let with_code = share::policy(workspace)? == ShareSnapshots::Yes;
    share_live(&exchange, &Runs::new(workspace), run_id, with_code)?;
    Ok(())
}
