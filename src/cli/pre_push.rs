//! The run that has to be there before a push: found, or made, and judged.

use std::collections::BTreeSet;
use std::path::Path;

use crate::catalog::Catalog;
use crate::config::{Config, FILE_NAME, PushGates};
use crate::files::{FileLock, LockError, RelPath, Wait};
use crate::gate::{Candidate, Gate, Keeper, Outcome};
use crate::git::Patterns;
use crate::hooks::{Code, HookError, PushedRef, known_run, shows};
use crate::id::CommitId;
use crate::registry::Registry;
use crate::reproduce::{Scratch, Wanted};
use crate::run::{Ended, Run, RunStatus, Runs, inputs_from_pointers};
use crate::track::{State, Workspace};
use crate::train::{Recipe, TrainError};
use crate::words::{count, printable};

use super::failure::PUSH_WITHOUT;
use super::recipe::{self, Auto, Settings};
use super::reproduce::Stop;
use super::watch::{Watcher, finish};
use super::{Context, Failure, runs};

/// What switches all of this off in git's configuration: `git -c ml.prePush=false push`.
const SETTING: &str = "ml.prePush";
/// The tag of runs that were made for a push: the branch that was pushed to.
const TAG: &str = "pre-push";
/// The lock of whoever trains for a push, in the store's folder.
const LOCK: &str = "pre-push.lock";

/// What has to be shown of a commit before it goes to a branch.
struct Demand<'p> {
    pushed: &'p PushedRef,
    branch: &'p str,
    /// The `ml.toml` of the commit.
    content: Vec<u8>,
    config: Config,
    commit: CommitId,
    experiment: String,
    settings: Settings,
    code: Code,
}

/// Finds or makes the run that the pushed commits ask for, and fails where a push has to be refused.
pub(super) fn check(context: &Context, workspace: &Workspace, remote: &str, refs: &[PushedRef]) -> Result<(), Failure> {
    let mut demands = Vec::new();
    for pushed in refs {
        demands.extend(demand(workspace, pushed)?);
    }
    if demands.is_empty() {
        return Ok(());
    }
    if is_off(workspace)? {
        context.say(&format!("{SETTING} is off: no run is asked for"));
        return Ok(());
    }
    for demand in &demands {
        match news(workspace, remote, demand)? {
            None => context.say_more(&format!("{}: the remote has all that matters to it", demand.experiment)),
            Some(reason) => meet(context, workspace, demand, &reason)?,
        }
    }
    Ok(())
}

fn is_off(workspace: &Workspace) -> Result<bool, Failure> {
    let value = workspace.repository.config(SETTING)?.unwrap_or_default().to_ascii_lowercase();
    Ok(["false", "no", "off", "0"].contains(&value.as_str()))
}

/// What a pushed ref asks for; none where it is no branch, is deleted, or asks for nothing.
fn demand<'p>(workspace: &Workspace, pushed: &'p PushedRef) -> Result<Option<Demand<'p>>, Failure> {
    let (Some(commit), Some(branch)) = (pushed.local, pushed.branch()) else { return Ok(None) };
    let Some(content) = recipe::content_at(workspace, &commit)? else { return Ok(None) };
    let config = match recipe::parse(&content) {
        Ok(config) => config,
        // A file that may ask for a run and cannot be read asks for one.
        Err(error) if content.windows(8).any(|words| words == b"pre-push") => return Err(error),
        Err(_) => return Ok(None),
    };
    let settings = &config.hooks.pre_push;
    let Some(experiment) = settings.experiment.clone() else { return Ok(None) };
    if settings.branches.as_ref().is_some_and(|branches| !patterns(branches).matches(branch)) {
        return Ok(None);
    }
    let recipe = config.experiment(&experiment)?;
    let code = match (&settings.paths, &recipe.command) {
        (Some(paths), _) => Code::Matching(patterns(paths)),
        (None, Some(_)) => Code::All,
        (None, None) => Code::Matching(Patterns::default()),
    };
    let code = if recipe.command.is_some() { code } else { with_own_files(&config, &experiment, code)? };
    // A command always has a line, and a recipe that is not valid is an error by now.
    let Some(settings) = Settings::of(&config, &experiment, Auto::AsWritten)? else { return Ok(None) };
    Ok(Some(Demand { pushed, branch, content, commit, experiment, settings, code, config }))
}

fn patterns(texts: &[String]) -> Patterns {
    Patterns::new(texts.iter().map(String::as_str))
}

/// What a native training reads where git itself tracks it: code as any other.
fn with_own_files(config: &Config, name: &str, code: Code) -> Result<Code, Failure> {
    let recipe = valid_recipe(config, name)?;
    let Code::Matching(mut patterns) = code else { return Ok(code) };
    for path in [Some(recipe.data.data.as_str()), recipe.model.file()].into_iter().flatten() {
        patterns = patterns.with_path(path);
    }
    Ok(Code::Matching(patterns))
}

fn valid_recipe(config: &Config, name: &str) -> Result<Recipe, Failure> {
    let recipe = Recipe::new(config.experiment(name)?, &[]);
    Ok(recipe.map_err(|source| TrainError::Recipe { experiment: name.to_owned(), source })?)
}

/// Fails where the data of a native training is in nothing that is pushed.
fn require_data(workspace: &Workspace, demand: &Demand<'_>, wanted: &Wanted) -> Result<(), Failure> {
    if demand.settings.command.is_some() {
        return Ok(());
    }
    let recipe = valid_recipe(&demand.config, &demand.experiment)?;
    for path in [Some(recipe.data.data.as_str()), recipe.model.file()].into_iter().flatten() {
        let place = RelPath::new(path).ok();
        let is_input = place.is_some_and(|place| wanted.inputs.iter().any(|(input, _)| place.starts_with(input)));
        if !is_input && !workspace.repository.has_path(&demand.commit, path)? {
            return Err(HookError::NoData { experiment: demand.experiment.clone(), path: path.to_owned() }.into());
        }
    }
    Ok(())
}

/// What the push brings that matters; none where the remote has a commit that is the same in all of it.
fn news(workspace: &Workspace, remote: &str, demand: &Demand<'_>) -> Result<Option<String>, Failure> {
    let repository = &workspace.repository;
    let known = demand.pushed.remote.filter(|commit| repository.has_commit(commit));
    let bases: BTreeSet<CommitId> = match known {
        Some(commit) => [commit].into(),
        // A new branch is compared with what the remote has of others.
        None => {
            let tracked = repository.refs(&format!("refs/remotes/{remote}/")).unwrap_or_default();
            tracked.into_iter().map(|(_, commit)| commit).collect()
        }
    };
    let mut reason = None;
    for base in bases {
        match change_since(workspace, &base, demand)? {
            None => return Ok(None),
            change => reason = change.filter(|_| known.is_some()),
        }
    }
    Ok(Some(reason.unwrap_or_else(|| "it is new there".to_owned())))
}

/// What changed since a commit that the remote has, in words; none where nothing that matters did. What is the same in both
/// is not read.
fn change_since(workspace: &Workspace, base: &CommitId, demand: &Demand<'_>) -> Result<Option<String>, Failure> {
    let after = &demand.settings;
    if *base == demand.commit {
        return Ok(None);
    }
    let before = || -> Option<Settings> {
        let config = recipe::parse(&recipe::content_at(workspace, base).ok()??).ok()?;
        // What was not asked for then was never shown.
        let is_asked = config.hooks.pre_push.experiment.as_ref() == Some(&demand.experiment);
        Settings::of(&config, &demand.experiment, Auto::AsWritten).ok()?.filter(|_| is_asked)
    };
    let Some(before) = before() else { return Ok(Some("nothing asked for it before".to_owned())) };
    let data = workspace.pointers_changed(base, &demand.commit)?;
    if let Some(path) = data.keys().find(|path| after.reads(path)) {
        return Ok(Some(format!("the data at {path} changed")));
    }
    let names = before.params.keys().chain(after.params.keys());
    if let Some(name) = names.into_iter().find(|name| before.params.get(*name) != after.params.get(*name)) {
        return Ok(Some(format!("its parameter {name} changed")));
    }
    if before.command != after.command {
        return Ok(Some("its command changed".to_owned()));
    }
    if before != *after {
        return Ok(Some("its inputs changed".to_owned()));
    }
    let path = demand.code.first_difference(&workspace.repository, base, &demand.commit)?;
    Ok(path.map(|path| format!("{path} changed")))
}

/// Finds or makes the run, and judges it.
fn meet(context: &Context, workspace: &Workspace, demand: &Demand<'_>, reason: &str) -> Result<(), Failure> {
    // A gate that cannot be read is told before anything is trained.
    let gate = gate(demand)?;
    let wanted = &demand.settings.wanted(workspace, &demand.commit)?;
    require_data(workspace, demand, wanted)?;
    let runs = runs::open(context, workspace)?;
    let catalog = Catalog::open(workspace);
    let find = || -> Result<Option<(Run, Option<Outcome>)>, Failure> {
        let Some(run) = known_run(workspace, &catalog, &runs, wanted, &demand.code)? else { return Ok(None) };
        let outcome = ask(workspace, demand, gate.as_ref(), &run)?;
        // What a gate holds against code that was not committed yet is mended by running it as it is pushed.
        let is_of_use = !run.dirty || outcome.as_ref().is_none_or(|outcome| outcome.passed);
        Ok(is_of_use.then_some((run, outcome)))
    };
    if let Some((run, outcome)) = find()? {
        return tell(context, demand, &run, outcome.as_ref(), "has the result already");
    }
    let trust = context.trust()?;
    if !trust.is_approved(workspace.repository.common_dir(), &demand.content) {
        let (experiment, target) = (demand.experiment.clone(), demand.branch.to_owned());
        return Err(HookError::Unapproved { experiment, target }.into());
    }
    let _turn = take_turn(workspace, &runs, demand)?;
    // Whoever had the turn before may have run just that.
    let (run, outcome) = match find()? {
        Some(found) => found,
        None => {
            let run = train(context, workspace, demand, wanted, reason)?;
            let outcome = ask(workspace, demand, gate.as_ref(), &run)?;
            (run, outcome)
        }
    };
    tell(context, demand, &run, outcome.as_ref(), "has the result")
}

fn take_turn(workspace: &Workspace, runs: &Runs<'_>, demand: &Demand<'_>) -> Result<FileLock, Failure> {
    match FileLock::exclusive(&workspace.store.root().join(LOCK), Wait::No) {
        Ok(lock) => Ok(lock),
        Err(LockError::Held { .. }) => {
            let (live, _) = runs.list_live()?;
            let run = live.into_iter().find(|run| run.tags.contains_key(TAG)).map(|run| run.name);
            Err(HookError::Busy { experiment: demand.experiment.clone(), run }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs the experiment with the code of the pushed commit.
fn train(
    context: &Context,
    workspace: &Workspace,
    demand: &Demand<'_>,
    wanted: &Wanted,
    reason: &str,
) -> Result<Run, Failure> {
    let Demand { experiment, branch, config, commit, .. } = demand;
    let stop = Stop::listen()?;
    context.say(&format!("{experiment} has to run before {} is pushed: {}", printable(branch), printable(reason)));
    context.say(&format!(
        "(Ctrl-C stops it and the push; `git push --no-verify` or `git -c {SETTING}=false push` pushes without it)"
    ));
    let tags = [(TAG.to_owned(), (*branch).to_owned())];
    let run_in = |workspace: &Workspace| -> Result<(Ended, Result<(), Failure>), Failure> {
        let mut watcher = Watcher::new(context).with_all_on_stderr();
        let ended = recipe::run_experiment(context, workspace, config, experiment, &tags, &mut watcher)?;
        let told = finish(context, watcher, &ended);
        Ok((ended, told))
    };
    let (ended, told) = if stands_here(workspace, demand, wanted)? {
        run_in(workspace)?
    } else {
        context.say(&format!("in a work tree of its own, since yours is not what is pushed ({})", commit.short()));
        let scratch = Scratch::new(workspace, commit, commit)?;
        stop.check()?;
        recipe::bring_data(context, scratch.workspace(), wanted)?;
        stop.check()?;
        run_in(scratch.workspace())?
    };
    let Ended { run, exit_code, .. } = &ended;
    if told.is_err() {
        // Whoever pressed Ctrl-C, or closed the terminal, does not want the push.
        if run.status == RunStatus::Killed {
            context.say("nothing was pushed");
            return Err(Failure::Child(*exit_code));
        }
        let (experiment, run) = (experiment.clone(), run.clone());
        return Err(HookError::RunFailed { experiment, run: run.name, status: run.status.as_str() }.into());
    }
    stop.check()?;
    // What was run is looked at as any other run is: the user may have changed a file at that moment.
    match shows(&workspace.repository, run, wanted, &demand.code)? {
        true => Ok(run.clone()),
        false => Err(HookError::Moved { run: run.name.clone() }.into()),
    }
}

/// Whether the user's work tree is what is pushed, in all that the experiment may read. Files that git ignores are no part
/// of any commit, as the programs of the machine are not.
fn stands_here(workspace: &Workspace, demand: &Demand<'_>, wanted: &Wanted) -> Result<bool, Failure> {
    let repository = &workspace.repository;
    let commit = &demand.commit;
    let Some(head) = repository.head()?.commit else { return Ok(false) };
    if repository.work_dir().is_err() || repository.tree_of(&head)? != repository.tree_of(commit)? {
        return Ok(false);
    }
    let (is_clean, untracked) = repository.is_clean_beside()?;
    if !is_clean || untracked.iter().any(|path| demand.code.may_have(path)) {
        return Ok(false);
    }
    if wanted.command.is_none() {
        // A native training reads the store.
        return Ok(true);
    }
    // A pointer that git does not have yet would be one more input.
    let experiment = demand.config.experiment(&demand.experiment)?;
    let inputs = inputs_from_pointers(workspace, &experiment.inputs)?;
    if wanted.inputs != inputs.into_iter().map(|input| (input.path, input.id)).collect() {
        return Ok(false);
    }
    let paths: Vec<RelPath> = wanted.inputs.iter().map(|(path, _)| path.clone()).collect();
    if paths.is_empty() {
        return Ok(true);
    }
    let statuses = workspace.status(&paths)?;
    Ok(statuses.artifacts.iter().all(|status| status.state == State::Clean))
}

/// What the run has to pass; none where nothing is asked for.
fn gate(demand: &Demand<'_>) -> Result<Option<Gate>, Failure> {
    let file = (Path::new(FILE_NAME), demand.content.as_slice());
    let gates = &demand.config.hooks.pre_push.gates;
    let name = match gates {
        Some(PushGates::Conditions(conditions)) => {
            let keys = ["hooks", "pre-push", "gates"];
            return Ok(Some(Gate::in_content(file, &keys, "hooks.pre-push", conditions.clone())?));
        }
        Some(PushGates::Named(name)) => name.as_str(),
        None => PushGates::DEFAULT,
    };
    match demand.config.gates.get(name) {
        Some(gate) => Ok(Some(Gate::in_content(file, &["gates", name, "require"], name, gate.require.clone())?)),
        None if gates.is_none() => Ok(None),
        None => {
            let known = demand.config.gates.keys().cloned().collect();
            Err(HookError::UnknownGate { name: name.to_owned(), known }.into())
        }
    }
}

/// What the gate says of a run; none where there is no gate.
fn ask(workspace: &Workspace, demand: &Demand<'_>, gate: Option<&Gate>, run: &Run) -> Result<Option<Outcome>, Failure> {
    let Some(gate) = gate else { return Ok(None) };
    let keeper = Keeper { workspace };
    let model = demand.config.hooks.pre_push.model.clone().or_else(|| {
        // A model that is called like its experiment needs no word.
        Registry::new(workspace).model(&demand.experiment).ok().map(|model| model.name)
    });
    Ok(Some(gate.check(&Candidate::run(workspace, &keeper, run, model.as_deref())?)?))
}

/// Lets the push go, or not, and says why.
fn tell(
    context: &Context,
    demand: &Demand<'_>,
    run: &Run,
    outcome: Option<&Outcome>,
    known: &str,
) -> Result<(), Failure> {
    let (experiment, name, branch) = (&demand.experiment, &run.name, printable(demand.branch));
    match outcome {
        None => context.say(&format!("{branch}: run {name} of {experiment} {known}")),
        Some(Outcome { gate, passed: true, conditions, .. }) => {
            let number = count(conditions.len() as u64, "condition");
            context.say(&format!("{branch}: run {name} of {experiment} {known}, and passes the gate {gate}: {number}"));
            conditions.iter().for_each(|checked| context.say_more(&format!("  {checked}")));
        }
        Some(outcome) => {
            let gate = &outcome.gate;
            context.refuse(&format!(
                "git does not push to {branch}: run {name} of {experiment} does not pass the gate {gate}"
            ));
            outcome.failed().for_each(|checked| context.refuse_line(&format!("  {checked}")));
            context.refuse_line(&format!("hint: `git ml show {name}` shows the run; {PUSH_WITHOUT}"));
            return Err(Failure::Verification);
        }
    }
    Ok(())
}
