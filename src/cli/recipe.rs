//! The experiment of a commit: what a run of it is like, and running it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{Config, FILE_NAME};
use crate::files::RelPath;
use crate::id::{ArtifactId, CommitId};
use crate::reproduce::{Wanted, bring_inputs};
use crate::run::{Ended, Launch, LiveRun, RunInput, inputs_from_pointers};
use crate::track::Workspace;
use crate::train::{Machine, Recipe, TrainOptions, machine, train};

use super::output::Bar;
use super::run::Options;
use super::watch::Watcher;
use super::{Context, Failure, key_value, run as run_command, train as train_command};

/// Bytes that an `ml.toml` of a commit may have.
pub(super) const MAX_CONFIG: u64 = 1 << 20;

/// What stands for what the recipe leaves to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auto {
    /// What this machine decides.
    Settled,
    /// The word itself.
    AsWritten,
}

/// The content of the `ml.toml` of a commit; none if it has none.
pub(super) fn content_at(workspace: &Workspace, commit: &CommitId) -> Result<Option<Vec<u8>>, Failure> {
    Ok(workspace.repository.read_at(commit, FILE_NAME, MAX_CONFIG)?)
}

/// What a run of a commit's experiment is like; none where the commit has no such experiment, or none that is valid.
pub(super) fn wanted(
    workspace: &Workspace,
    commit: &CommitId,
    config: &Config,
    name: &str,
    auto: Auto,
) -> Result<Option<Wanted>, Failure> {
    let Some(experiment) = config.experiments.get(name) else { return Ok(None) };
    let like = |command, params, inputs| {
        let experiment = Some(name.to_owned());
        Ok(Some(Wanted { commit: *commit, experiment, command, params, inputs }))
    };
    if experiment.command.is_some() {
        let (params, line) = run_command::recipe_line(name, experiment, &Options::default())?;
        return like(Some(vec![line]), params, inputs_below(workspace, commit, &experiment.inputs)?);
    }
    let Ok(mut recipe) = Recipe::new(experiment, &[]) else { return Ok(None) };
    if auto == Auto::Settled {
        // Without a worker nothing can be trained, but what was trained already can be found.
        let here = train_command::worker().and_then(|worker| machine(&worker)).unwrap_or_else(|_| Machine::here(0));
        recipe.settle(&here);
    }
    let all = inputs_below(workspace, commit, &[])?;
    let is_wanted = |path: &RelPath| {
        let is_input = experiment.inputs.iter().any(|wanted| path.starts_with(wanted));
        // A model may be made from a file in a tracked folder.
        let has_file =
            recipe.model.file().is_some_and(|file| RelPath::new(file).is_ok_and(|file| file.starts_with(path)));
        is_input || has_file || path.as_str() == recipe.data.data
    };
    like(None, recipe.params(), all.into_iter().filter(|(path, _)| is_wanted(path)).collect())
}

/// The artifacts that a commit's pointers name at or below these paths, or all of them.
pub(super) fn inputs_below(
    workspace: &Workspace,
    commit: &CommitId,
    paths: &[RelPath],
) -> Result<BTreeSet<(RelPath, ArtifactId)>, Failure> {
    let all = workspace.pointers_at(commit)?.into_iter().map(|(path, pointer)| (path, pointer.id));
    Ok(all.filter(|(path, _)| paths.is_empty() || paths.iter().any(|wanted| path.starts_with(wanted))).collect())
}

/// Checks the data of a run out in the work tree that it is going to run in.
pub(super) fn bring_data(context: &Context, workspace: &Workspace, wanted: &Wanted) -> Result<(), Failure> {
    let named = |(path, id): &(RelPath, ArtifactId)| {
        let name = workspace.pointer(path).map_or_else(|_| path.to_string(), |pointer| pointer.name);
        RunInput { path: path.clone(), name, id: *id }
    };
    let inputs: Vec<RunInput> = wanted.inputs.iter().map(named).collect();
    Ok(bring_inputs(workspace, &inputs, &context.environment(), &Bar::new(context))?)
}

/// Runs an experiment in a work tree as `git ml run` does, with its data where the command expects it.
pub(super) fn run_experiment(
    context: &Context,
    workspace: &Workspace,
    config: &Config,
    name: &str,
    tags: &[(String, String)],
    watcher: &mut Watcher,
) -> Result<Ended, Failure> {
    let experiment = config.experiment(name)?;
    let options = Options { tags: tags.to_vec(), ..Options::default() };
    if experiment.command.is_some() {
        let mut launch = run_command::recipe_launch(context, workspace, name, experiment, &options)?;
        launch.inputs = inputs_from_pointers(workspace, &experiment.inputs)?;
        return supervise(context, workspace, config, launch, watcher);
    }
    let options = TrainOptions {
        resume: None,
        experiment: name.to_owned(),
        overrides: Vec::new(),
        name: None,
        tags: key_value::map(tags),
        worker: train_command::worker()?,
        user: context.user(),
        host: context.host(),
    };
    Ok(train(workspace, experiment, &options, watcher)?)
}

/// Runs a command to its end, with what `[run]` of `ml.toml` says of all runs.
pub(super) fn supervise(
    context: &Context,
    workspace: &Workspace,
    config: &Config,
    mut launch: Launch,
    watcher: &mut Watcher,
) -> Result<Ended, Failure> {
    run_command::apply_settings(context, workspace, config, &mut launch);
    let live = LiveRun::start(workspace, &launch)?;
    Ok(run_command::supervise(context, workspace, live, &launch, watcher)?)
}

/// The `ml.toml` of a commit as it is read there; errors name it as the user does.
pub(super) fn parse(content: &[u8]) -> Result<Config, Failure> {
    Ok(Config::parse_bytes(content, Path::new(FILE_NAME))?)
}
