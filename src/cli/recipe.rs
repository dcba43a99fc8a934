//! The experiment of a commit: what a run of it is like, and running it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::{Config, FILE_NAME};
use crate::files::RelPath;
use crate::id::{ArtifactId, CommitId};
use crate::reproduce::{Wanted, bring_inputs};
use crate::run::{Ended, Launch, LiveRun, RunInput};
use crate::track::Workspace;
use crate::train::{Machine, Recipe, TrainOptions, machine, train};

use super::inputs::{of_command, registered};
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

/// What an experiment does, but for the content of its data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    experiment: String,
    pub(super) command: Option<Vec<String>>,
    pub(super) params: BTreeMap<String, String>,
    reads: Vec<Reads>,
}

/// Tracked data that an experiment reads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reads {
    /// All there is.
    All,
    /// What is tracked as this path.
    At(RelPath),
    /// What is tracked as this path, or below it.
    Below(RelPath),
    /// What is tracked as this path, or as a folder around it.
    Around(RelPath),
}

impl Settings {
    /// What `ml.toml` says of an experiment; none where it has no such experiment, or none that is valid.
    pub(super) fn of(config: &Config, name: &str, auto: Auto) -> Result<Option<Self>, Failure> {
        let Some(experiment) = config.experiments.get(name) else { return Ok(None) };
        let inputs = experiment.inputs.iter().cloned().map(Reads::Below);
        if experiment.command.is_some() {
            let (params, line) = run_command::recipe_line(name, experiment, &Options::default())?;
            let reads = if experiment.inputs.is_empty() { vec![Reads::All] } else { inputs.collect() };
            return Ok(Some(Self { experiment: name.to_owned(), command: Some(vec![line]), params, reads }));
        }
        let Ok(mut recipe) = Recipe::new(experiment, &[]) else { return Ok(None) };
        if auto == Auto::Settled {
            // Without a worker nothing can be trained, but what was trained already can be found.
            let here = train_command::worker().and_then(|worker| machine(&worker));
            recipe.settle(&here.unwrap_or_else(|_| Machine::here(0)));
        }
        // A model may be made from a file in a tracked folder.
        let data = RelPath::new(recipe.data.data.clone()).ok().map(Reads::At);
        let file = recipe.model.file().and_then(|file| RelPath::new(file).ok()).map(Reads::Around);
        let reads = inputs.chain(data).chain(file).collect();
        Ok(Some(Self { experiment: name.to_owned(), command: None, params: recipe.params(), reads }))
    }

    /// What a run of it with the data of a commit is like.
    pub(super) fn wanted(&self, workspace: &Workspace, commit: &CommitId) -> Result<Wanted, Failure> {
        let mut inputs = BTreeSet::new();
        for reads in &self.reads {
            let pointers = match reads {
                Reads::All => workspace.pointers_at(commit)?,
                Reads::Below(path) => workspace.pointers_at_or_below(commit, path)?,
                Reads::At(path) => {
                    workspace.pointer_at(commit, path)?.into_iter().map(|pointer| (path.clone(), pointer)).collect()
                }
                Reads::Around(path) => {
                    let mut around = BTreeMap::new();
                    let mut folder = Some(path.clone());
                    while let Some(path) = folder {
                        folder = path.parent();
                        around.extend(workspace.pointer_at(commit, &path)?.map(|pointer| (path, pointer)));
                    }
                    around
                }
            };
            inputs.extend(pointers.into_iter().map(|(path, pointer)| (path, pointer.id)));
        }
        let named = self.reads.iter().filter_map(|reads| match reads {
            Reads::At(path) | Reads::Below(path) => Some(path),
            Reads::All | Reads::Around(_) => None,
        });
        inputs.extend(registered(workspace, named)?.into_iter().map(|input| (input.path, input.id)));
        let Self { experiment, command, params, .. } = self.clone();
        Ok(Wanted { commit: *commit, experiment: Some(experiment), command, params, inputs })
    }

    /// Whether it reads the data that is tracked as this path.
    pub(super) fn reads(&self, path: &RelPath) -> bool {
        self.reads.iter().any(|reads| match reads {
            Reads::All => true,
            Reads::At(at) => path == at,
            Reads::Below(folder) => path.starts_with(folder),
            Reads::Around(file) => file.starts_with(path),
        })
    }
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
        let versions = registered(workspace, &experiment.inputs)?;
        launch.inputs = of_command(workspace, &experiment.inputs, &versions)?;
        return supervise(context, workspace, config, launch, watcher);
    }
    let data = Recipe::new(experiment, &[]).ok().and_then(|recipe| RelPath::new(recipe.data.data).ok());
    let options = TrainOptions {
        registered: registered(workspace, data.iter().chain(&experiment.inputs))?,
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
