//! `git ml run`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{Config, Experiment, RunSettings, parse_interval};
use crate::files::RelPath;
use crate::git::{LeftOut, Untracked};
use crate::run::{Ended, Launch, LiveRun, RunError, Supervision, capture_environment};
use crate::track::{Workspace, output_type};
use crate::words::{printable, size};

use super::capture::{allowed_variables, params_from_args, python, variables};
use super::inputs::{of_command, registered};
use super::output::shell_word;
use super::watch::{Watcher, finish};
use super::{Context, Failure, key_value, mlflow, train};

/// Files outside of a snapshot that are named; the rest is counted.
const NAMED: usize = 3;

/// Run a command, or an experiment of ml.toml, as a tracked run
///
/// The run keeps the exact code, also where it is not committed; parameters, tracked data, output and exit code; and
/// what the command logs: through `git ml metric`, or as lines of JSON in the file named by GIT_ML_LOG.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml run -- python train.py --lr 0.1\n\
\x20 git ml run baseline -p lr=0.01 --tag why=overfits\n\
\x20 git ml run --name first-try -o out/model -- ./train.sh")]
pub(crate) struct Args {
    /// An experiment of ml.toml
    #[arg(required_unless_present = "command", conflicts_with = "command")]
    experiment: Option<String>,
    #[command(flatten)]
    options: Options,
    /// Store this file or folder as an output when the command ends
    #[arg(short, long = "output", value_name = "PATH", value_hint = clap::ValueHint::AnyPath, conflicts_with = "experiment")]
    outputs: Vec<PathBuf>,
    /// End the command when it has taken this long: 30s, 5m, 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    timeout: Option<Duration>,
    /// Take arguments of the command such as lr=0.1, --depth 3 and --flag for parameters
    #[arg(long)]
    params_from_args: bool,
    /// Follow TensorBoard's event files in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    tensorboard: Vec<PathBuf>,
    /// Follow CSV logs, as Keras and Lightning write them, in this folder
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::AnyPath)]
    csv_logs: Vec<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

/// What every way to start a run takes.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// A parameter of the run
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = key_value::parse)]
    pub(crate) params: Vec<(String, String)>,
    /// The run's name [default: a readable one, such as brave-otter-12]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A tag of the run
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = key_value::parse)]
    pub(crate) tags: Vec<(String, String)>,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    parse_interval(text).ok_or("write it as 30s, 5m or 2h, at most a week")
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    if let Some(name) = &args.experiment {
        let config = context.config(&workspace)?;
        let experiment = config.experiment(name)?;
        context.require_trust(&workspace)?;
        return match &experiment.command {
            Some(_) => run_recipe(context, &workspace, &config, name, args),
            None => train::start(context, &workspace, name, experiment, &args.options),
        };
    }
    // A command that needs nothing of ml.toml runs also where that is wrong.
    let config = context.config(&workspace).unwrap_or_else(|failure| {
        context.warn(&format!("[run] of ml.toml is not used: {failure}"));
        Config::default()
    });
    let mut launch = launch(context, &args.options, args.command.clone(), context.folder.clone());
    watch(context, &workspace, &config, args, &mut launch);
    if args.params_from_args || config.run.params_from_args {
        launch.params = params_from_args(&args.command);
    }
    launch.params.extend(key_value::map(&args.options.params));
    launch.seed = launch.params.get("seed").and_then(|seed| seed.parse().ok());
    launch.outputs = args.outputs.iter().map(|path| output(&context.folder.join(path))).collect();
    follow(context, &workspace, &launch, &[])
}

/// Runs a command that `ml.toml` names, at the top of the work tree.
fn run_recipe(
    context: &Context,
    workspace: &Workspace,
    config: &Config,
    name: &str,
    args: &Args,
) -> Result<(), Failure> {
    let experiment = config.experiment(name)?;
    let mut launch = recipe_launch(context, workspace, name, experiment, &args.options)?;
    watch(context, workspace, config, args, &mut launch);
    follow(context, workspace, &launch, &experiment.inputs)
}

/// A recipe's parameters, and its command line with them.
pub(super) fn recipe_line(
    name: &str,
    experiment: &Experiment,
    options: &Options,
) -> Result<(BTreeMap<String, String>, String), Failure> {
    let params = recipe_params(name, experiment, options)?;
    let command = experiment.command.as_deref().unwrap_or_default();
    let line = fill_in(command, &params).map_err(|(message, hint)| Failure::User { message, hint })?;
    Ok((params, line))
}

/// How a command that `ml.toml` names is run, at the top of the work tree.
pub(super) fn recipe_launch(
    context: &Context,
    workspace: &Workspace,
    name: &str,
    experiment: &Experiment,
    options: &Options,
) -> Result<Launch, Failure> {
    let (params, line) = recipe_line(name, experiment, options)?;
    let top = workspace.repository.work_dir()?;
    let shell = ["sh", "-c", line.as_str()].map(str::to_owned).to_vec();
    let mut launch = launch(context, options, shell, top.to_path_buf());
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    launch.environment.extend(python(context, &words, top));
    launch.shown_command = Some(vec![line]);
    launch.experiment = Some(name.to_owned());
    launch.seed = params.get("seed").and_then(|seed| seed.parse().ok());
    launch.outputs = experiment.outputs.iter().map(|path| output(&path.under(top))).collect();
    launch.params = params;
    let supervision = &mut launch.supervision;
    supervision.timeout = experiment.timeout;
    supervision.tensorboard = experiment.tensorboard.iter().map(|path| path.under(top)).collect();
    supervision.csv_logs = experiment.csv_logs.iter().map(|path| path.under(top)).collect();
    Ok(launch)
}

/// The recipe's parameters, those of the command line in place of the defaults.
fn recipe_params(name: &str, experiment: &Experiment, options: &Options) -> Result<BTreeMap<String, String>, Failure> {
    let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut params: BTreeMap<_, _> =
        experiment.params.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    for (param, value) in &options.params {
        if params.insert(param.clone(), value.clone()).is_none() {
            let known: Vec<_> = experiment.params.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Failure::User {
                message: format!("experiment `{name}` has no parameter `{param}`"),
                hint: format!("its parameters are {known}; `params` in ml.toml adds one"),
            });
        }
    }
    Ok(params)
}

/// The command line with `{name}` replaced by the parameter, quoted for the shell. Other braces stay, as in `${HOME}`
/// and `awk '{print}'`; an error names what to do.
fn fill_in(command: &str, params: &BTreeMap<String, String>) -> Result<String, (String, String)> {
    let mut line = String::new();
    let mut rest = command;
    while let Some(start) = rest.find('{') {
        line.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let end = after.find(|c: char| !c.is_alphanumeric() && !"_-.".contains(c)).unwrap_or(after.len());
        let name = &after[..end];
        let is_place = !line.ends_with('$') && after[end..].starts_with('}') && !name.is_empty();
        match params.get(name).filter(|_| is_place) {
            Some(value) if value.contains('\0') => {
                return Err((format!("parameter `{name}` has a NUL"), "give it without".to_owned()));
            }
            Some(value) => {
                line.push_str(&shell_word(value));
                rest = &after[end + 1..];
            }
            None if is_place => {
                let hint = format!("add `{name}` to its `params` in ml.toml");
                return Err((format!("the command uses {{{name}}}, which is not a parameter"), hint));
            }
            None => {
                line.push('{');
                rest = after;
            }
        }
    }
    line.push_str(rest);
    Ok(line)
}

/// An output at a place: named after it, a model where its name says so.
fn output(place: &Path) -> (String, String, PathBuf) {
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let artifact_type = output_type(&name).to_owned();
    (name, artifact_type, place.to_path_buf())
}

/// How a command is run, with nothing known of its inputs yet.
pub(super) fn launch(context: &Context, options: &Options, command: Vec<String>, folder: PathBuf) -> Launch {
    let mut environment = capture_environment();
    environment.extend(python(context, &command, &folder));
    environment.extend(variables(context));
    // Python keeps what it prints to a pipe for long, and it is to be shown live.
    let unbuffered = context.variable("PYTHONUNBUFFERED").is_none();
    let variables = unbuffered.then(|| ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()));
    Launch {
        command,
        folder,
        shown_command: None,
        variables: variables.into_iter().collect(),
        experiment: None,
        name: options.name.clone(),
        params: BTreeMap::new(),
        tags: key_value::map(&options.tags),
        seed: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        user: context.user(),
        host: context.host(),
        environment,
        untracked: Vec::new(),
        supervision: Supervision::default(),
    }
}

/// Adds what `ml.toml` says of all runs, and what the command line says of this one.
fn watch(context: &Context, workspace: &Workspace, config: &Config, args: &Args, launch: &mut Launch) {
    apply_settings(context, workspace, config, launch);
    let place = |path: &PathBuf| context.folder.join(path);
    let supervision = &mut launch.supervision;
    supervision.timeout = args.timeout.or(supervision.timeout);
    supervision.tensorboard.extend(args.tensorboard.iter().map(place));
    supervision.csv_logs.extend(args.csv_logs.iter().map(place));
}

/// Adds what `[run]` of `ml.toml` says of all runs.
pub(super) fn apply_settings(context: &Context, workspace: &Workspace, config: &Config, launch: &mut Launch) {
    let RunSettings { environment, untracked, .. } = &config.run;
    // Whether the user approved of the lists matters only where there is one.
    let is_trusted = (!environment.is_empty() || !untracked.is_empty()) && context.require_trust(workspace).is_ok();
    launch.environment.extend(allowed_variables(environment, is_trusted));
    match untracked.as_slice() {
        [] => {}
        patterns if is_trusted => launch.untracked = patterns.to_vec(),
        // It comes with a clone, and snapshots are shared.
        _ => context.warn("`untracked` of [run] is not used: ml.toml has not been approved"),
    }
}

fn follow(context: &Context, workspace: &Workspace, launch: &Launch, inputs: &[RelPath]) -> Result<(), Failure> {
    // What is registered is looked up before anything begins; what is tracked is read while the run begins.
    let registered = registered(workspace, inputs)?;
    let live = LiveRun::start_with(workspace, launch, || of_command(workspace, inputs, &registered))?;
    context.say(&format!("run {} started", live.name()));
    if let Some(words) = left_out(live.left_out()) {
        context.warn(&words);
    }
    let mut watcher = Watcher::new(context);
    let ended = supervise(context, workspace, live, launch, &mut watcher)?;
    finish(context, watcher, &ended)
}

/// Runs the command of a run that has just begun to its end, with a port for what it logs through MLflow.
pub(super) fn supervise(
    context: &Context,
    workspace: &Workspace,
    live: LiveRun,
    launch: &Launch,
    watcher: &mut Watcher,
) -> Result<Ended, RunError> {
    let (launch, serving) = mlflow::serve_run(context, workspace, &live, launch);
    let ended = live.supervise(workspace, &launch, watcher);
    mlflow::stop_serving(context, serving, ended.as_ref().ok());
    ended
}

/// What a snapshot does not hold, in a line; none where it holds all.
fn left_out(left_out: &LeftOut) -> Option<String> {
    let LeftOut { more, untracked, submodules } = left_out;
    let mut words = Vec::new();
    if !untracked.is_empty() {
        let name = |file: &Untracked| match file.bytes {
            Some(bytes) => format!("{} ({})", printable(&file.path), size(bytes)),
            None => printable(&file.path),
        };
        let names: Vec<String> = untracked.iter().take(NAMED).map(name).collect();
        let more = *more as usize + untracked.len() - names.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        words.push(format!("{}{more}, which git does not track", names.join(", ")));
    }
    let dirty: Vec<String> =
        submodules.iter().filter(|module| module.dirty).map(|module| printable(&module.path)).collect();
    if !dirty.is_empty() {
        words.push(format!("changes in {}, which are not committed there", dirty.join(", ")));
    }
    (!words.is_empty()).then(|| format!("not in the run's snapshot: {}", words.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_in_as_words_of_the_shell() {
        let params = [("lr", "0.1"), ("name", "it's; rm -rf $HOME"), ("empty", "")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let filled = |command| fill_in(command, &params).unwrap();
        assert_eq!(filled("train --lr {lr} --name={name}"), r"train --lr 0.1 --name='it'\''s; rm -rf $HOME'");
        assert_eq!(filled("x {empty}{lr}"), "x ''0.1");
        assert_eq!(filled("echo ${lr} ${HOME} | awk '{ print $1 }' {"), "echo ${lr} ${HOME} | awk '{ print $1 }' {");
        let (message, hint) = fill_in("train {epochs}", &params).unwrap_err();
        assert_eq!(message, "the command uses {epochs}, which is not a parameter");
        assert_eq!(hint, "add `epochs` to its `params` in ml.toml");
    }

    #[test]
    fn values_are_not_filled_in_twice() {
        let params = [("a", "{b}"), ("b", "x")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(fill_in("{a} {b}", &params).unwrap(), "'{b}' x");
    }

    #[test]
    fn outputs_are_models_where_their_names_say_so() {
        let kind = |place: &str| output(Path::new(place)).1;
        assert_eq!([kind("out/model"), kind("x.safetensors"), kind("plots")], ["model", "model", "output"]);
    }
}
