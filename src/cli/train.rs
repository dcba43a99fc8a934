//! `git ml train`

use std::env;
use std::path::{Path, PathBuf};

use crate::config::Experiment;
use crate::files::RelPath;
use crate::id::ArtifactId;
use crate::registry::Registry;
use crate::run::{Run, Runs};
use crate::track::{State, Workspace};
use crate::train::recipe::ModelConfig;
use crate::train::{EvaluateOptions, ModelFile, Recipe, TrainError, TrainOptions, evaluate, find_worker, train};
use crate::words::printable;

use super::inputs::registered;
use super::output::{number, shell_word};
use super::run::Options;
use super::watch::{Watcher, finish};
use super::{Context, Failure, key_value, runs};

/// Train an experiment of ml.toml through libtorch
///
/// The model becomes the run's output `model`: register it with `git ml model register run:@ --name NAME`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml train cnn\n\
\x20 git ml train cnn -p lr=0.003 -p epochs=50\n\
\x20 git ml train --resume @\n\
\x20 git ml train --evaluate digits@production --split validation\n\
\x20 git ml train --evaluate run:@:model --data data/new-digits")]
pub(crate) struct Args {
    /// The experiment [default: the only native one there is]
    experiment: Option<String>,
    /// Go on with this run, which was stopped, from its checkpoint
    #[arg(long, value_name = "RUN", conflicts_with_all = ["experiment", "params"])]
    resume: Option<String>,
    /// Evaluate this model in place of training one: run:@:model, digits@production, a tracked path
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["experiment", "params", "resume"])]
    evaluate: Option<String>,
    /// Evaluate on this data in place of what the model was trained on
    #[arg(long, value_name = "PATH", requires = "evaluate", value_hint = clap::ValueHint::AnyPath)]
    data: Option<PathBuf>,
    /// The part of the data to evaluate on [default: test]
    #[arg(long, value_name = "NAME", requires = "evaluate")]
    split: Option<String>,
    #[command(flatten)]
    options: Options,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    if let Some(run) = &args.resume {
        return resume(context, &workspace, run, &args.options);
    }
    if let Some(target) = &args.evaluate {
        return evaluate_model(context, &workspace, target, args);
    }
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

/// Goes on with a run. It runs what the run's record says, which the user need not have approved: nothing of it is a
/// command.
fn resume(context: &Context, workspace: &Workspace, wanted: &str, options: &Options) -> Result<(), Failure> {
    let runs = Runs::new(workspace);
    let run = runs::find(workspace, &runs, wanted)?;
    let name = run.experiment.clone().unwrap_or_else(|| run.name.clone());
    start_or_resume(context, workspace, &name, &Experiment::default(), options, Some(run))
}

/// Evaluates a model that is there. It runs nothing that `ml.toml` or the model names, but for TorchScript, which is
/// code: that wants the approval of a training.
fn evaluate_model(context: &Context, workspace: &Workspace, target: &str, args: &Args) -> Result<(), Failure> {
    let (model, made_by) = match target.parse::<ArtifactId>() {
        Ok(id) => (id, None),
        Err(_) => {
            let resolved = Registry::new(workspace).resolve(&context.folder, target)?;
            (resolved.id, resolved.run)
        }
    };
    // What is wrong with the model is told by the evaluation itself.
    let is_code = ModelFile::stored(&workspace.store, &model)
        .is_ok_and(|file| matches!(file.architecture, ModelConfig::Torchscript { .. }));
    if is_code {
        context.require_trust(workspace)?;
    }
    let runs = Runs::new(workspace);
    let run = made_by.and_then(|run| runs::find(workspace, &runs, &run.to_string()).ok());
    let path = |path: &Path| Ok::<_, Failure>(workspace.rel_path(&context.folder, path)?);
    let data = args.data.as_deref().map(path).transpose()?;
    let model_path = workspace.rel_path(&context.folder, Path::new(target)).ok();
    let options = EvaluateOptions {
        model,
        target: target.to_owned(),
        model_path: model_path.filter(|path| workspace.pointer(path).is_ok_and(|pointer| pointer.id == model)),
        made_by,
        experiment: run.and_then(|run| run.experiment),
        registered: registered(workspace, &data)?.pop(),
        data,
        split: args.split.clone(),
        name: args.options.name.clone(),
        tags: key_value::map(&args.options.tags),
        worker: worker()?,
        user: context.user(),
        host: context.host(),
    };
    let mut watcher = Watcher::new(context);
    let ended = evaluate(workspace, &options, &mut watcher)?;
    finish(context, watcher, &ended)?;
    let run = printable(&ended.run.name);
    context.say(&format!("next: `git ml show {run}`, `git ml cat run:{run}:evaluation:metrics.json`, `git ml ui`"));
    Ok(())
}

/// The worker's program.
pub(super) fn worker() -> Result<PathBuf, TrainError> {
    let program = env::current_exe().unwrap_or_default();
    find_worker(&program, env::var_os("PATH").as_deref()).ok_or(TrainError::NoWorker)
}

/// Trains a native experiment, which the user has approved.
pub(super) fn start(
    context: &Context,
    workspace: &Workspace,
    name: &str,
    experiment: &Experiment,
    options: &Options,
) -> Result<(), Failure> {
    start_or_resume(context, workspace, name, experiment, options, None)
}

fn start_or_resume(
    context: &Context,
    workspace: &Workspace,
    name: &str,
    experiment: &Experiment,
    options: &Options,
    resume: Option<Run>,
) -> Result<(), Failure> {
    let named = Recipe::new(experiment, &options.params).ok().and_then(|recipe| RelPath::new(recipe.data.data).ok());
    let registered = match &resume {
        None => registered(workspace, named.iter().chain(&experiment.inputs))?,
        Some(_) => Vec::new(),
    };
    let options = TrainOptions {
        registered,
        resume,
        experiment: name.to_owned(),
        overrides: options.params.clone(),
        name: options.name.clone(),
        tags: key_value::map(&options.tags),
        worker: worker()?,
        user: context.user(),
        host: context.host(),
    };
    warn_of_changed_data(context, workspace, experiment, &options);
    let mut watcher = Watcher::new(context);
    let ended = train(workspace, experiment, &options, &mut watcher)?;
    finish(context, watcher, &ended)?;
    context.say(&summary(&ended.run));
    Ok(())
}

/// The training reads what the pointer names: that is what others can get, and what the run's record gives as its
/// input. Who has just changed the files expects otherwise.
fn warn_of_changed_data(context: &Context, workspace: &Workspace, experiment: &Experiment, options: &TrainOptions) {
    // What is wrong with the recipe or the data is told by the training itself.
    let Ok(recipe) = Recipe::new(experiment, &options.overrides) else { return };
    let Ok(path) = RelPath::new(recipe.data.data) else { return };
    let Ok(statuses) = workspace.status(std::slice::from_ref(&path)) else { return };
    if statuses.artifacts.iter().any(|status| status.path == path && status.state == State::Modified) {
        context.warn(&format!("{path} has changes that are not tracked; the training reads it as it was tracked"));
        context.say(&format!("hint: `git ml track {}` tracks it as it is now", shell_word(path.as_str())));
    }
}

/// The results, and what to type next.
fn summary(run: &Run) -> String {
    let shown = |name: &str| Some(format!("{name} {}", number(run.metrics.get(name)?.last)));
    let metrics: Vec<_> = ["test_accuracy", "test_loss", "val_accuracy"].into_iter().filter_map(shown).collect();
    let model = run.experiment.as_deref().unwrap_or("NAME");
    format!(
        "{}\nnext: `git ml show {}`, `git ml model register run:{} --name {model}`, `git ml ui`",
        metrics.join(", "),
        run.name,
        run.name,
    )
}
