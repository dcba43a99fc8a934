//! What the commands about runs share: opening them, and their JSON.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use rayon::prelude::*;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::id::{CommitId, RunId};
use crate::run::{MetricSummary, Run, RunError, RunInput, RunOutput, RunStatus, Runs};
use crate::track::Workspace;
use crate::words::{printable, with_causes};

use super::output::print_line;
use super::{Context, Failure};

/// Records that cannot be read and are named; the rest is counted.
const MAX_NAMED: usize = 3;

/// The runs of a repository, those whose parent died recorded first.
pub(super) fn open<'w>(context: &Context, workspace: &'w Workspace) -> Result<Runs<'w>, Failure> {
    let runs = Runs::new(workspace);
    let (recovered, errors) = runs.recover()?;
    for run in recovered {
        context.say(&format!("recorded run {} as {}: its git-ml was ended", run.name, run.status.as_str()));
    }
    for error in errors {
        context.warn(&format!("a run cannot be recorded yet: {}", printable(&with_causes(&error))));
    }
    Ok(runs)
}

/// Warns of runs that cannot be read.
pub(super) fn warn_of(context: &Context, errors: &[RunError]) {
    for error in errors.iter().take(MAX_NAMED) {
        context.warn(&printable(&with_causes(error)));
    }
    if errors.len() > MAX_NAMED {
        context.warn(&format!("{} more runs cannot be read", errors.len() - MAX_NAMED));
    }
}

/// The run that a user means.
pub(super) fn find(workspace: &Workspace, runs: &Runs<'_>, wanted: &str) -> Result<Run, Failure> {
    Ok(Catalog::open(workspace).find(runs, wanted)?)
}

/// A number as JSON; what JSON has no number for is text.
pub(super) fn json_number(value: f64) -> Value {
    match value {
        value if value.is_finite() => json!(value),
        value if value.is_nan() => json!("NaN"),
        value if value > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    }
}

/// A run as `git ml log --json` has it.
#[derive(Debug, Serialize)]
struct Summary<'r> {
    id: &'r RunId,
    name: &'r str,
    status: RunStatus,
    experiment: &'r Option<String>,
    commit: &'r Option<CommitId>,
    snapshot: &'r Option<CommitId>,
    dirty: bool,
    started: Timestamp,
    ended: Option<Timestamp>,
    duration_s: Option<f64>,
    params: &'r BTreeMap<String, String>,
    metrics: Metrics<'r>,
    tags: &'r BTreeMap<String, String>,
    inputs: &'r [RunInput],
    outputs: &'r [RunOutput],
    exit_code: Option<i32>,
    signal: &'r Option<String>,
    user: &'r str,
    host: &'r str,
}

/// Metrics in short. Made of a run's own maps, since thousands of runs are printed at once.
#[derive(Debug)]
struct Metrics<'r>(&'r BTreeMap<String, MetricSummary>);

#[derive(Debug, Serialize)]
struct Metric {
    last: Number,
    min: Number,
    max: Number,
    best_step: i64,
}

#[derive(Debug)]
struct Number(f64);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, metric)| {
            let MetricSummary { last, min, max, best_step, .. } = *metric;
            (name, Metric { last: Number(last), min: Number(min), max: Number(max), best_step })
        }))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.is_finite() {
            true => serializer.serialize_f64(self.0),
            false => json_number(self.0).serialize(serializer),
        }
    }
}

fn summary(run: &Run) -> Summary<'_> {
    Summary {
        id: &run.id,
        name: &run.name,
        status: run.status,
        experiment: &run.experiment,
        commit: &run.commit,
        snapshot: &run.snapshot,
        dirty: run.dirty,
        started: run.started,
        ended: run.ended,
        duration_s: run.duration_s,
        params: &run.params,
        metrics: Metrics(&run.metrics),
        tags: &run.tags,
        inputs: &run.inputs,
        outputs: &run.outputs,
        exit_code: run.exit_code,
        signal: &run.signal,
        user: &run.user,
        host: &run.host,
    }
}

/// Metrics in short, as every document has them.
pub(super) fn json_metrics(metrics: &BTreeMap<String, MetricSummary>) -> Value {
    serde_json::to_value(Metrics(metrics)).unwrap_or_default()
}

/// Prints runs as `git ml log --json` does.
pub(super) fn print_summaries(runs: &[Run]) -> Result<(), Failure> {
    // A document of thousands of runs is made by all cores; each run is a document of its own, moved to the right.
    let documents: Vec<String> = runs
        .par_iter()
        .map(|run| serde_json::to_string_pretty(&summary(run)).map(|text| text.replace('\n', "\n  ")))
        .collect::<Result<_, _>>()
        .map_err(io::Error::other)?;
    match documents.is_empty() {
        true => print_line("[]"),
        false => print_line(&format!("[\n  {}\n]", documents.join(",\n  "))),
    }
}

/// A run as `git ml show --json` has it: the summary and what else there is.
pub(super) fn whole(run: &Run) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(summary(run)).map_err(io::Error::other)?;
    let more = json!({
        "environment": run.environment,
        "command": run.command,
        "folder": run.folder,
        "branch": run.branch,
        "seed": run.seed,
        "cpu_s": run.cpu_s,
        "reason": run.reason,
        "note": run.note,
        "removed": run.removed,
        "datasets": run.datasets,
        "left_out": {
            "untracked": run.left_out.untracked,
            "more": run.left_out.more,
            "submodules": run.left_out.submodules,
        },
        "followed": { "tensorboard": run.followed.tensorboard, "csv_logs": run.followed.csv_logs },
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    Ok(value)
}
