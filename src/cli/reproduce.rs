//! `git ml reproduce`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::config::Config;
use crate::id::CommitId;
use crate::reproduce::{
    Again, Comparison, Difference, Now, OutputChange, ReproduceError, Scratch, Verdict, bring_inputs, check_repeatable,
    compare, differences, may_come_from_here, plan,
};
use crate::run::{Ended, LiveRun, Run, RunStatus, capture_environment};
use crate::track::Workspace;
use crate::train::{TrainOptions, train};
use crate::words::{count, printable};

use super::approve::require_approval;
use super::output::{Bar, number, print_json, print_line};
use super::watch::Watcher;
use super::{Context, Failure, run as run_command, runs, train as train_command};

/// Metrics, outputs and facts that are named; the rest is counted.
const NAMED: usize = 10;

/// Run a recorded run once more, and say whether it comes out the same
///
/// In a work tree of its own, with the run's code and inputs, its command, parameters and seed: your files stay as they
/// are. The new run is recorded and tagged `reproduces=ID`. Ends with 0 where it is identical or within the tolerance,
/// with 3 where it is different, and with 1 where it could not be run.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml reproduce @\n\
\x20 git ml reproduce brave-otter-12 --tolerance 0.001\n\n\
A tolerance is a difference of a metric's last value, for values above 1 a part of them. Metrics of speed and\n\
resources (system.*, seconds, samples_per_second, …) are left out.")]
pub(crate) struct Args {
    /// The run: its name, id, a unique prefix of that, or @ for the latest
    #[arg(value_name = "RUN")]
    run: String,
    /// How far metrics may be apart
    #[arg(long, value_name = "X", value_parser = tolerance)]
    tolerance: Option<f64>,
    /// Keep the work tree that it was run in
    #[arg(long)]
    keep: bool,
    /// Run the command of a run that somebody else started
    #[arg(long)]
    yes: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "it is a number of at least 0".to_owned())
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let runs = runs::open(context, &workspace)?;
    let before = runs.find(&args.run)?;
    if before.status == RunStatus::Running {
        return Err(Failure::User {
            message: format!("run {} is still going", before.name),
            hint: "reproduce it when it has ended".to_owned(),
        });
    }
    check_repeatable(&before)?;
    let (commit, code) = code_of(&workspace, &before)?;
    require_approval(context, &workspace, &before, args.yes)?;
    if let Ok(work_dir) = workspace.repository.work_dir() {
        for word in may_come_from_here(&before, work_dir) {
            context.warn(&format!("the command names {}, which is what stands there now", printable(word)));
        }
    }

    let stop = Stop::listen()?;
    let mut scratch = Scratch::new(&workspace, &commit, &code)?;
    stop.check()?;
    bring_inputs(scratch.workspace(), &before.inputs, &context.environment(), &Bar::new(context))?;
    stop.check()?;
    let mut environment = capture_environment();
    environment.extend(super::capture::variables(context));
    let tags = [("reproduces".to_owned(), before.id.to_string())].into();
    let now = Now { user: context.user(), host: context.host(), environment, tags };
    let Ended { run: after, warnings, .. } = run_again(context, &before, &scratch, &now)?;
    for warning in &warnings {
        context.warn(&printable(warning));
    }
    if args.keep {
        scratch.keep();
        context.say(&format!("it ran in {}; `git worktree remove --force` removes that", scratch.place().display()));
    }
    drop(scratch);
    if !ended_alike(&before, &after) {
        return Err(could_not(&before, &after));
    }
    let series = [runs.series(&before.id)?, runs.series(&after.id)?];
    let comparison =
        compare((&before, &series[0]), (&after, &series[1]), args.tolerance, &workspace.store, &Bar::new(context))?;
    if args.json {
        print_json(&document(&before, &after, &comparison, args.tolerance))?;
    } else {
        print_line(&text(&before, &after, &comparison))?;
    }
    match comparison.verdict {
        Verdict::Identical | Verdict::WithinTolerance => Ok(()),
        Verdict::Different => Err(Failure::Verification),
    }
}

/// HEAD when the run started, and the commit with its code.
fn code_of(workspace: &Workspace, run: &Run) -> Result<(CommitId, CommitId), ReproduceError> {
    let has = |commit: &CommitId| workspace.repository.has_commit(commit);
    let code = run.snapshot.filter(has);
    let code = code.ok_or_else(|| ReproduceError::NoCode { run: run.name.clone(), is_uncommitted: run.dirty })?;
    Ok((run.commit.filter(has).unwrap_or(code), code))
}

fn run_again(context: &Context, run: &Run, scratch: &Scratch, now: &Now) -> Result<Ended, Failure> {
    let workspace = scratch.workspace();
    let mut watcher = Watcher::new(context).with_all_on_stderr();
    let again = plan(run, scratch, now)?;
    context.say(&format!("running {} again", run.name));
    let ended = match again {
        Again::Command(mut launch) => {
            let config = Config::load(scratch.place()).unwrap_or_default();
            run_command::apply_settings(context, workspace, &config, &mut launch);
            let live = LiveRun::start(workspace, &launch)?;
            run_command::supervise(context, workspace, live, &launch, &mut watcher)?
        }
        Again::Training { name, experiment, overrides } => {
            let options = TrainOptions {
                registered: Vec::new(),
                resume: None,
                experiment: name,
                overrides,
                name: None,
                tags: now.tags.clone(),
                worker: train_command::worker()?,
                user: now.user.clone(),
                host: now.host.clone(),
            };
            train(workspace, &experiment, &options, &mut watcher)?
        }
    };
    Ok(ended)
}

/// Whether there is something to compare: a run that failed is reproduced where it fails in the same way.
fn ended_alike(before: &Run, after: &Run) -> bool {
    after.status == RunStatus::Finished
        || after.status == RunStatus::Failed
            && before.status == RunStatus::Failed
            && before.exit_code == after.exit_code
}

fn could_not(before: &Run, after: &Run) -> Failure {
    let how = match (&after.signal, after.exit_code) {
        (Some(signal), _) => format!("was ended by {signal}"),
        (None, Some(code)) => format!("ended with {code}"),
        (None, None) => "did not end".to_owned(),
    };
    Failure::User {
        message: format!("run {} could not be reproduced: this time it {how}", before.name),
        hint: format!(
            "`git ml show {} --log` shows what it said; files that neither git nor git ml tracks were not there",
            after.name
        ),
    }
}

fn text(before: &Run, after: &Run, comparison: &Comparison) -> String {
    let Comparison { verdict, metrics, left_out, different, outputs, exit_codes } = comparison;
    let mut lines = Vec::new();
    let compared = format!(
        "{} and {}",
        count(*metrics as u64, "metric"),
        count(before.outputs.len().max(after.outputs.len()) as u64, "output")
    );
    lines.push(match verdict {
        Verdict::Identical => format!("identical: {compared} are as in run {}", before.name),
        Verdict::WithinTolerance => format!("within tolerance: {compared} compared with run {}", before.name),
        Verdict::Different => format!("different from run {}", before.name),
    });
    if let Some([old, new]) = exit_codes {
        let code = |code: &Option<i32>| code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        lines.push(format!("  exit code: {} before, {} now", code(old), code(new)));
    }
    for (index, difference) in different.iter().take(NAMED).enumerate() {
        lines.push(format!("  {}", metric_line(difference, index == 0)));
    }
    if different.len() > NAMED {
        lines.push(format!("  {} more metrics differ", different.len() - NAMED));
    }
    lines.extend(outputs.iter().take(NAMED).map(|output| format!("  {}", output_line(output))));
    if outputs.len() > NAMED {
        lines.push(format!("  {} more outputs differ", outputs.len() - NAMED));
    }
    if !left_out.is_empty() {
        lines.push(format!("  left out, as metrics of speed: {}", printable(&left_out.join(", "))));
    }
    let elsewhere = differences(before, after);
    if !elsewhere.is_empty() {
        lines.push("where it ran is not the same, which can change what comes out:".to_owned());
        let known = |value: &Option<String>| value.as_deref().map_or_else(|| "unknown".to_owned(), printable);
        for (name, old, new) in elsewhere.iter().take(NAMED) {
            lines.push(format!("  {}: {} before, {} now", printable(name), known(old), known(new)));
        }
        if elsewhere.len() > NAMED {
            lines.push(format!("  {} more", elsewhere.len() - NAMED));
        }
    }
    lines.push(format!("recorded as run {}", after.name));
    lines.join("\n")
}

fn metric_line(difference: &Difference, is_first: bool) -> String {
    let Difference { metric, step, values, last, is_within } = difference;
    let shown = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), exact);
    let name = printable(metric);
    let at = step.map(|step| format!(" at step {step}")).unwrap_or_default();
    let mut line = match is_first {
        true => format!("{name} differs first{at}: {} before, {} now", shown(values[0]), shown(values[1])),
        false => format!("{name} differs{at}: {} before, {} now", shown(values[0]), shown(values[1])),
    };
    if last != values {
        line += &format!("; at the end {} and {}", shown(last[0]), shown(last[1]));
    }
    if let [Some(one), Some(other)] = last {
        let within = if *is_within { ", within the tolerance" } else { "" };
        line += &format!(" ({} apart{within})", number((one - other).abs()));
    }
    line
}

/// A value with all its digits: two that are nearly the same are to be told apart.
fn exact(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { number(value) }
}

fn output_line(output: &OutputChange) -> String {
    let name = printable(&output.name);
    match &output.outputs {
        [Some(_), None] => return format!("output {name} is missing now"),
        [None, Some(_)] => return format!("output {name} is new"),
        _ => {}
    }
    let mut line = format!("output {name} differs");
    let Some(files) = first_file(output) else { return line };
    line += &format!(", {} first", printable(&files));
    if let Some((tensor, apart)) = first_tensor(output) {
        let apart = apart.map(|apart| format!(" (at most {} apart)", number(apart))).unwrap_or_default();
        line += &format!(", in it tensor {}{apart}", printable(&tensor));
    }
    line
}

/// The first file in which an output differs.
fn first_file(output: &OutputChange) -> Option<String> {
    let change = output.change.as_ref()?;
    let files = change.files.as_ref()?;
    let changed = files.changed.iter().map(|(_, new)| new);
    let all = changed.chain(&files.added).chain(&files.removed);
    all.map(|entry| entry.path.as_ref().unwrap_or(&change.path).to_string()).min()
}

/// The first tensor that differs, and how far.
fn first_tensor(output: &OutputChange) -> Option<(String, Option<f64>)> {
    let (_, tensors) = output.change.as_ref()?.tensors.first()?;
    let tensor = tensors.changed.first()?;
    Some((tensor.before.name.clone(), tensor.max_abs))
}

fn document(before: &Run, after: &Run, comparison: &Comparison, tolerance: Option<f64>) -> Value {
    let value = |value: Option<f64>| value.map(runs::json_number);
    let metrics = comparison.different.iter().map(|difference| {
        json!({
            "metric": difference.metric,
            "step": difference.step,
            "before": value(difference.values[0]),
            "after": value(difference.values[1]),
            "last_before": value(difference.last[0]),
            "last_after": value(difference.last[1]),
            "within_tolerance": difference.is_within,
        })
    });
    let outputs = comparison.outputs.iter().map(|output| {
        let ids = output.outputs.each_ref().map(|output| output.as_ref().map(|output| output.id));
        let tensor = first_tensor(output);
        json!({
            "name": output.name,
            "before": ids[0],
            "after": ids[1],
            "first_file": first_file(output),
            "first_tensor": tensor.as_ref().map(|(name, _)| name),
            "max_abs": tensor.and_then(|(_, apart)| apart).map(runs::json_number),
        })
    });
    let environment = differences(before, after).into_iter();
    let environment = environment.map(|(name, old, new)| json!({ "name": name, "before": old, "after": new }));
    json!({
        "run": before.id,
        "reproduction": after.id,
        "verdict": comparison.verdict.as_str(),
        "tolerance": tolerance,
        "metrics_compared": comparison.metrics,
        "metrics_left_out": comparison.left_out,
        "metrics": metrics.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
        "environment": environment.collect::<Vec<_>>(),
    })
}

/// Whether somebody asked to stop. What was begun is cleared away then, which dying at once would not do.
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    /// Fails once somebody did.
    pub(super) fn check(&self) -> Result<(), ReproduceError> {
        if self.0.load(Ordering::Relaxed) { Err(ReproduceError::Stopped) } else { Ok(()) }
    }
}
