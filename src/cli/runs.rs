//! What the commands about runs share: opening them, and their JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::run::{MetricSummary, Run, Runs};
use crate::track::Workspace;
use crate::words::printable;

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

/// All runs, newest first, with a warning for those that cannot be read.
pub(super) fn list(context: &Context, runs: &Runs<'_>) -> Result<Vec<Run>, Failure> {
    let (list, errors) = runs.list()?;
    for error in errors.iter().take(MAX_NAMED) {
        context.warn(&printable(&with_causes(error)));
    }
    if errors.len() > MAX_NAMED {
        context.warn(&format!("{} more runs cannot be read", errors.len() - MAX_NAMED));
    }
    Ok(list)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text += &format!(": {more}");
        }
        cause = error.source();
    }
    text
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

/// Metrics in short, as every document has them.
pub(super) fn json_metrics(metrics: &BTreeMap<String, MetricSummary>) -> Value {
    let short = |metric: &MetricSummary| {
        json!({
            "last": json_number(metric.last),
            "min": json_number(metric.min),
            "max": json_number(metric.max),
            "best_step": metric.best_step,
        })
    };
    metrics.iter().map(|(name, metric)| (name.clone(), short(metric))).collect::<serde_json::Map<_, _>>().into()
}

/// A run as `git ml log --json` has it.
pub(super) fn summary(run: &Run) -> Value {
    json!({
        "id": run.id,
        "name": run.name,
        "status": run.status,
        "experiment": run.experiment,
        "commit": run.commit,
        "snapshot": run.snapshot,
        "dirty": run.dirty,
        "started": run.started,
        "ended": run.ended,
        "duration_s": run.duration_s,
        "params": run.params,
        "metrics": json_metrics(&run.metrics),
        "tags": run.tags,
        "inputs": run.inputs,
        "outputs": run.outputs,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "user": run.user,
        "host": run.host,
    })
}

/// A run as `git ml show --json` has it: the summary and what else there is.
pub(super) fn whole(run: &Run) -> Value {
    let mut value = summary(run);
    let more = json!({
        "environment": run.environment,
        "command": run.command,
        "branch": run.branch,
        "seed": run.seed,
        "cpu_s": run.cpu_s,
        "reason": run.reason,
        "note": run.note,
        "removed": run.removed,
        "datasets": run.datasets,
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    value
}
