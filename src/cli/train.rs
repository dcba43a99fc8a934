//! `git ml train`

use std::env;

use crate::config::Experiment;
use crate::track::Workspace;
use crate::train::{TrainError, TrainOptions, find_worker, train};

use super::run::Options;
use super::watch::{Watcher, finish};
use super::{Context, Failure, key_value};

/// Train an experiment of ml.toml through libtorch
///
/// The model becomes the run's output `model`: register it with `git ml model register run:@ --name NAME`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The experiment [default: the only native one there is]
    experiment: Option<String>,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let config = context.config(&workspace)?;
    let mut native = config.experiments.iter().filter(|(_, experiment)| experiment.command.is_none());
    let name = match (&args.experiment, native.next(), native.next()) {
        (Some(name), _, _) => name,
        (None, Some((name, _)), None) => name,
        (None, first, second) => {
            let names: Vec<_> = first.into_iter().chain(second).chain(native).map(|(name, _)| name.as_str()).collect();
            return Err(Failure::Usage {
                message: "which experiment is to be trained?".to_owned(),
                hint: match names[..] {
                    [] => "add one to ml.toml, or `git ml init --template digits`".to_owned(),
                    _ => format!("`git ml train EXPERIMENT`, one of {}", names.join(", ")),
                },
            });
        }
    };
    let experiment = config.experiment(name)?;
    if experiment.command.is_some() {
        return Err(Failure::User {
            message: format!("experiment `{name}` is a command, not a native training"),
            hint: format!("`git ml run {name}`"),
        });
    }
    context.require_trust(&workspace)?;
    start(context, &workspace, name, experiment, &args.options)
}

/// Trains a native experiment, which the user has approved.
pub(super) fn start(
    context: &Context,
    workspace: &Workspace,
    name: &str,
    experiment: &Experiment,
    options: &Options,
) -> Result<(), Failure> {
    let program = env::current_exe().unwrap_or_default();
    let worker = find_worker(&program, env::var_os("PATH").as_deref()).ok_or(TrainError::NoWorker)?;
    let options = TrainOptions {
        experiment: name.to_owned(),
        overrides: options.params.clone(),
        name: options.name.clone(),
        tags: key_value::map(&options.tags),
        worker,
        user: context.user(),
        host: context.host(),
    };
    let mut watcher = Watcher::new(context);
    let ended = train(workspace, experiment, &options, &mut watcher)?;
    finish(context, watcher, &ended)
}
