//! `git ml mlflow`

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::id::Digest;
use crate::mlflow::{Options, Serving};
use crate::run::{DEFAULT_EXPERIMENT, Ended, Launch, LiveRun, RunStatus, experiment_id};
use crate::track::Workspace;

use super::output::print_line;
use super::{Context, Failure};

/// Serve this repository to MLflow's clients
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Serve(ServeArgs),
}

/// Offer MLflow's tracking and registry API over this repository
///
/// Prints the URL for MLFLOW_TRACKING_URI and serves until it is stopped. Only this machine is served, unless another
/// address is given: then clients have to show a token, as MLFLOW_TRACKING_TOKEN.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml mlflow serve --port 5000\n\
\x20 MLFLOW_TRACKING_URI=http://127.0.0.1:5000 python train.py")]
struct ServeArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port; with 0, a free one
    #[arg(long, default_value_t = 5000)]
    port: u16,
    /// A file with the token that clients have to show [default: a new one, where others reach the address]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.action {
        Action::Serve(args) => serve(context, args),
    }
}

fn serve(context: &Context, args: &ServeArgs) -> Result<(), Failure> {
    // Signals are listened to first: one that comes right after the start is not lost.
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let token = match &args.token_file {
        Some(path) => Some(read_token(&context.folder.join(path))?),
        None if args.host.is_loopback() => None,
        None => Some(new_token()?),
    };
    let is_new = token.is_some() && args.token_file.is_none();
    let shown = token.clone().filter(|_| is_new);
    let serving = Serving::start(Options {
        folder: context.folder.clone(),
        host: args.host,
        port: args.port,
        token,
        user: context.user(),
        machine: context.host(),
        inside: None,
    })?;
    print_line(&serving.url())?;
    std::io::stdout().flush()?;
    if let Some(token) = shown {
        // Without it nobody gets in, so it is said even when quiet.
        eprintln!("MLFLOW_TRACKING_TOKEN={token}");
    }
    context.say("serving; Ctrl-C stops");
    signals.forever().next();
    context.say("stopping");
    // No command of ours is served, so none left anything open.
    Ok(serving.stop(RunStatus::Finished)?)
}

/// Opens a port for the command of a run, and tells the command of it: a script that uses MLflow then logs to the run
/// it is in. Without the port the run goes on.
pub(super) fn serve_run(
    context: &Context,
    workspace: &Workspace,
    live: &LiveRun,
    launch: &Launch,
) -> (Launch, Option<Serving>) {
    let mut launch = launch.clone();
    let serving = Serving::start(Options {
        folder: workspace.repository.work_dir().unwrap_or(&context.folder).to_path_buf(),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        token: None,
        user: launch.user.clone(),
        machine: launch.host.clone(),
        inside: Some(live.id()),
    });
    let serving = match serving {
        Ok(serving) => serving,
        Err(error) => {
            context.warn(&format!("what the command logs through MLflow is not kept: {error}"));
            return (launch, None);
        }
    };
    let experiment = experiment_id(launch.experiment.as_deref().unwrap_or(DEFAULT_EXPERIMENT));
    let variables = [
        ("MLFLOW_TRACKING_URI", serving.url()),
        ("MLFLOW_RUN_ID", live.id().to_string()),
        ("MLFLOW_EXPERIMENT_ID", experiment),
    ];
    launch.variables.extend(variables.map(|(name, value)| (name.to_owned(), value)));
    (launch, Some(serving))
}

/// Ends what was opened for a command that ended.
pub(super) fn stop_serving(context: &Context, serving: Option<Serving>, ended: Option<&Ended>) {
    let status = ended.map_or(RunStatus::Failed, |ended| ended.run.status);
    if let Some(Err(error)) = serving.map(|serving| serving.stop(status)) {
        context.warn(&format!("a run that the command began is not recorded yet: {error}"));
    }
}

fn read_token(path: &Path) -> Result<String, Failure> {
    let token = fs::read_to_string(path).map_err(|error| Failure::User {
        message: format!("cannot read the token in {}: {error}", path.display()),
        hint: "write one to it, such as what `openssl rand -hex 32` prints".to_owned(),
    })?;
    let token = token.trim();
    let is_usable = token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic());
    match is_usable {
        true => Ok(token.to_owned()),
        false => Err(Failure::User {
            message: format!("the token in {} is not one", path.display()),
            hint: "use at least 16 letters and digits, such as what `openssl rand -hex 32` prints".to_owned(),
        }),
    }
}

/// 256 bits that nobody can guess.
fn new_token() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes))?;
    Ok(Digest::from_bytes(bytes).to_string())
}
