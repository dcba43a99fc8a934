//! `git ml bisect`

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::config::Config;
use crate::id::CommitId;
use crate::reproduce::{Limit, ReproduceError, Scratch, Searched, Tried, Wanted, equal_run, search};
use crate::run::{Ended, Run, RunStatus, inputs_from_pointers};
use crate::track::Workspace;
use crate::words::{count, printable};

use super::ask::ask;
use super::output::{number, print_json, print_line, shell_word};
use super::recipe::{self, Auto, Settings};
use super::reproduce::Stop;
use super::run::Options;
use super::watch::Watcher;
use super::{Context, Failure, run as run_command, runs};

/// Find the commit that broke a metric
///
/// Goes through the commits between a good and a bad one as `git bisect` does, in a work tree of its own. Runs that exist
/// are used: those of the same code, inputs, parameters and command. What is missing is run, and recorded, so a search
/// that was stopped goes on from there. Commits whose run fails are skipped.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("bound").required(true)), after_long_help = "Examples:\n\
\x20 git ml bisect --metric val_accuracy --below 0.9 v1.0 HEAD --experiment cnn\n\
\x20 git ml bisect --metric loss --above 0.5 HEAD~20 HEAD -- python train.py --epochs 2")]
pub(crate) struct Args {
    /// The metric; its last value counts
    #[arg(long, value_name = "METRIC")]
    metric: String,
    /// It is broken where it is below this
    #[arg(long, value_name = "X", group = "bound", allow_negative_numbers = true)]
    below: Option<f64>,
    /// It is broken where it is above this
    #[arg(long, value_name = "X", group = "bound", allow_negative_numbers = true)]
    above: Option<f64>,
    /// A commit where it is as it should be
    good: String,
    /// A commit after that, where it is broken
    bad: String,
    /// The experiment of ml.toml to run, as each commit has it [default: the only one there is]
    #[arg(long, value_name = "EXPERIMENT", conflicts_with = "command")]
    experiment: Option<String>,
    /// Run experiments as ml.toml of those commits names them, whoever wrote it
    #[arg(long)]
    yes: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// The command and its arguments, run at the top of the work tree
    #[arg(last = true, value_name = "COMMAND", value_hint = clap::ValueHint::CommandWithArguments)]
    command: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    workspace.repository.work_dir()?;
    let [good, bad] = [&args.good, &args.bad].map(|revision| workspace.repository.resolve(revision));
    let (good, bad) = (good?, bad?);
    if good == bad || !workspace.repository.is_ancestor(&good, &bad)? {
        return Err(ReproduceError::NotBefore { good: args.good.clone(), bad: args.bad.clone() }.into());
    }
    let limit = Limit { bound: args.below.or(args.above).unwrap_or_default(), is_below: args.below.is_some() };
    let what = match args.command.as_slice() {
        [] => What::Experiment(experiment(context, &workspace, args)?),
        command => What::Command(command.to_vec()),
    };
    if let What::Experiment(name) = &what {
        require_approval(context, &workspace, name, [&good, &bad], args.yes)?;
    }
    let (known, _) = runs::open(context, &workspace)?.list()?;
    let scratch = Scratch::new(&workspace, &bad, &bad)?;
    let mut bench = Bench {
        context,
        metric: &args.metric,
        what,
        runs: known,
        stop: Stop::listen()?,
        kept: BTreeSet::new(),
        trained: 0,
    };
    let ends = [(&good, "good", false), (&bad, "bad", true)];
    let mut sides = Vec::new();
    for (commit, word, is_bad) in ends {
        let tried = bench.judge(&scratch, commit)?;
        match tried.value {
            Some(value) if limit.is_bad(value) == is_bad => sides.push(tried),
            _ => return Err(wrong_side(&workspace, args, &limit, &tried, word)?),
        }
    }
    let searched = search(&scratch, &limit, [&good, &bad], &mut |scratch, commit| bench.judge(scratch, commit))?;
    sides.extend(searched.tried.iter().cloned());
    tell(&workspace, args, &searched, &sides, bench.trained)
}

/// The experiment that is meant: the one named, or the only one.
fn experiment(context: &Context, workspace: &Workspace, args: &Args) -> Result<String, Failure> {
    if let Some(name) = &args.experiment {
        return Ok(name.clone());
    }
    let names: Vec<String> = context.config(workspace)?.experiments.into_keys().collect();
    match names.as_slice() {
        [only] => Ok(only.clone()),
        names => Err(Failure::Usage {
            message: "what is to be run at each commit?".to_owned(),
            hint: match names {
                [] => "give a command after `--`".to_owned(),
                _ => format!("--experiment, one of {}, or a command after `--`", names.join(", ")),
            },
        }),
    }
}

/// Fails unless the user approved what the experiment is in each of the commits, or approves it now.
fn require_approval(
    context: &Context,
    workspace: &Workspace,
    name: &str,
    [good, bad]: [&CommitId; 2],
    is_approved: bool,
) -> Result<(), Failure> {
    let repository = &workspace.repository;
    let trust = context.trust()?;
    let mut commits = repository.reachable(&[*bad], &[*good])?;
    commits.push(*good);
    let mut seen = BTreeSet::new();
    let mut commands = BTreeSet::new();
    for commit in commits {
        let Some(content) = recipe::content_at(workspace, &commit)? else { continue };
        if !seen.insert(content.clone()) || trust.is_approved(repository.common_dir(), &content) {
            continue;
        }
        let experiment = recipe::parse(&content).ok().and_then(|mut config| config.experiments.remove(name));
        // A native training runs nothing that the file names.
        commands.extend(experiment.and_then(|experiment| experiment.command));
    }
    if commands.is_empty() || is_approved {
        return Ok(());
    }
    context.say(&format!("in these commits the experiment {name} runs, which has not been approved:"));
    for command in &commands {
        context.say(&format!("  $ {}", printable(command)));
    }
    match ask("Run that?") {
        Some(true) => Ok(()),
        _ => Err(Failure::User {
            message: format!("what experiment `{name}` runs in these commits has not been approved"),
            hint: "read it, then approve it with --yes".to_owned(),
        }),
    }
}

/// What is run at each commit.
enum What {
    Experiment(String),
    Command(Vec<String>),
}

/// Runs the code of commits, or finds the runs that did.
struct Bench<'b> {
    context: &'b Context,
    metric: &'b str,
    what: What,
    runs: Vec<Run>,
    stop: Stop,
    /// Data that is in the work tree already, and need not be checked out again for the next commit.
    kept: BTreeSet<String>,
    trained: usize,
}

impl Bench<'_> {
    fn judge(&mut self, scratch: &Scratch, commit: &CommitId) -> Result<Tried, Failure> {
        self.stop.check()?;
        let Some(wanted) = self.wanted(scratch.workspace(), commit)? else {
            self.context.say(&format!("{}: it has nothing to run, and is skipped", commit.short()));
            return Ok(Tried { commit: *commit, run: None, value: None });
        };
        let known = equal_run(&scratch.workspace().repository, &self.runs, &wanted)?.cloned();
        let (run, word) = match known {
            Some(run) => (run, "known from"),
            None => (self.run(scratch, &wanted)?, "from"),
        };
        let value = run.metrics.get(self.metric).map(|metric| metric.last);
        let value = value.filter(|_| run.status == RunStatus::Finished);
        let told = match value {
            Some(value) => format!("{} {}, {word} run {}", self.metric, number(value), run.name),
            None if run.status == RunStatus::Finished => format!("run {} has no {}", run.name, self.metric),
            None => format!("run {} {}", run.name, run.status.as_str()),
        };
        self.context.say(&format!("{}: {}", commit.short(), printable(&told)));
        Ok(Tried { commit: *commit, run: Some((run.id, run.name)), value })
    }

    /// What a run of a commit is like; none where the commit has nothing to run.
    fn wanted(&self, workspace: &Workspace, commit: &CommitId) -> Result<Option<Wanted>, Failure> {
        match &self.what {
            What::Command(command) => Ok(Some(Wanted {
                commit: *commit,
                experiment: None,
                command: Some(command.clone()),
                params: BTreeMap::new(),
                inputs: workspace.pointers_at(commit)?.into_iter().map(|(path, pointer)| (path, pointer.id)).collect(),
            })),
            What::Experiment(name) => {
                let content = recipe::content_at(workspace, commit)?.unwrap_or_default();
                let config = recipe::parse(&content).unwrap_or_default();
                let settings = Settings::of(&config, name, Auto::Settled)?;
                settings.map(|settings| settings.wanted(workspace, commit)).transpose()
            }
        }
    }

    /// Runs the code of a commit in the scratch work tree.
    fn run(&mut self, scratch: &Scratch, wanted: &Wanted) -> Result<Run, Failure> {
        let workspace = scratch.workspace();
        let repository = &workspace.repository;
        repository.switch_to(&wanted.commit)?;
        // What the run before left there is not a part of this commit.
        repository.clean(&self.kept.iter().cloned().collect::<Vec<_>>())?;
        recipe::bring_data(self.context, workspace, wanted)?;
        self.kept.extend(wanted.inputs.iter().map(|(path, _)| path.to_string()));
        self.stop.check()?;
        let mut watcher = Watcher::new(self.context).with_all_on_stderr();
        let Ended { run, exit_code, warnings } = match &self.what {
            What::Command(command) => {
                let top = repository.work_dir()?.to_path_buf();
                // A command that needs nothing of ml.toml runs also where that is wrong.
                let config = Config::load(scratch.place()).unwrap_or_default();
                let mut launch = run_command::launch(self.context, &Options::default(), command.clone(), top);
                launch.inputs = inputs_from_pointers(workspace, &[])?;
                recipe::supervise(self.context, workspace, &config, launch, &mut watcher)?
            }
            What::Experiment(name) => {
                let config = Config::load(scratch.place())?;
                recipe::run_experiment(self.context, workspace, &config, name, &[], &mut watcher)?
            }
        };
        drop(watcher);
        for warning in warnings {
            self.context.warn(&printable(&warning));
        }
        self.trained += 1;
        if run.status == RunStatus::Killed {
            // Whoever stops a run means all of it. What was run is recorded, and is not run again.
            return Err(Failure::Child(exit_code));
        }
        self.runs.insert(0, run.clone());
        Ok(run)
    }
}

/// Says that the good or the bad commit is none.
fn wrong_side(
    workspace: &Workspace,
    args: &Args,
    limit: &Limit,
    tried: &Tried,
    word: &str,
) -> Result<Failure, Failure> {
    let commit = workspace.repository.commit(&tried.commit)?;
    let place = format!("{} ({})", tried.commit.short(), printable(commit.subject()));
    let side = if limit.is_below { "below" } else { "above" };
    let metric = printable(&args.metric);
    let message = match (tried.value, word) {
        (None, _) => format!("{metric} of the {word} commit {place} is not known: its run failed or did not log it"),
        (Some(value), "good") => {
            format!("the good commit {place} is bad: {metric} is {}, {side} {}", number(value), limit.bound)
        }
        (Some(value), _) => {
            format!("the bad commit {place} is good: {metric} is {}, not {side} {}", number(value), limit.bound)
        }
    };
    let hint = match &tried.run {
        Some((_, name)) => format!("`git ml show {name} --log` shows what its run said"),
        None => "give another commit, or another experiment".to_owned(),
    };
    Ok(Failure::User { message, hint })
}

/// Says what was found.
fn tell(
    workspace: &Workspace,
    args: &Args,
    searched: &Searched,
    tried: &[Tried],
    trained: usize,
) -> Result<(), Failure> {
    let repository = &workspace.repository;
    let find = |commit: &CommitId| tried.iter().find(|tried| tried.commit == *commit);
    let shown = |tried: Option<&Tried>| {
        let (value, run) = tried.map(|tried| (tried.value, tried.run.as_ref())).unwrap_or_default();
        let run = run.map_or_else(|| "no run".to_owned(), |(_, name)| format!("run {name}"));
        let value = value.map_or_else(|| "not known".to_owned(), number);
        format!("{value} ({run})")
    };
    if args.json {
        let entry = |commit: &CommitId| -> Result<Value, Failure> {
            let tried = find(commit);
            let run = tried.and_then(|tried| tried.run.as_ref());
            Ok(json!({
                "commit": commit,
                "subject": repository.commit(commit)?.subject(),
                "value": tried.and_then(|tried| tried.value).map(runs::json_number),
                "run": run.map(|(run_id, _)| run_id),
                "run_name": run.map(|(_, name)| name),
            }))
        };
        let first_bad = searched.first_bad.iter().map(&entry).collect::<Result<Vec<_>, _>>()?;
        let parent = match searched.first_bad.as_slice() {
            [only] => repository.commit(only)?.parents.first().map(&entry).transpose()?,
            _ => None,
        };
        let tried = tried.iter().map(|tried| entry(&tried.commit)).collect::<Result<Vec<_>, _>>()?;
        let is_found = searched.first_bad.len() == 1;
        print_json(&json!({
            "metric": args.metric,
            "below": args.below,
            "above": args.above,
            "found": is_found,
            "first_bad": first_bad,
            "parent": parent,
            "tried": tried,
            "trained": trained,
        }))?;
    } else {
        let metric = printable(&args.metric);
        match searched.first_bad.as_slice() {
            [only] => {
                let commit = repository.commit(only)?;
                print_line(&format!("{only} is the first bad commit: {}", printable(commit.subject())))?;
                print_line(&format!("  by {}", printable(&commit.author)))?;
                print_line(&format!("  {metric} {}", shown(find(only))))?;
                if let Some(parent) = commit.parents.first() {
                    print_line(&format!("  {metric} {} at its parent {}", shown(find(parent)), parent.short()))?;
                }
            }
            several => {
                print_line(&format!("the first bad commit is one of {}:", count(several.len() as u64, "commit")))?;
                for commit in several {
                    let subject = repository.commit(commit)?.subject().to_owned();
                    print_line(&format!("  {commit} {}, {metric} {}", printable(&subject), shown(find(commit))))?;
                }
            }
        }
    }
    match searched.first_bad.len() {
        1 => Ok(()),
        _ => Err(Failure::User {
            message: "the runs of some commits failed, so nothing more can be told".to_owned(),
            hint: format!("`git ml log --where {}` lists them", shell_word("status = 'failed'")),
        }),
    }
}
