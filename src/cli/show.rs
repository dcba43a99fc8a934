//! `git ml show`

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::git::LeftOut;
use crate::run::{Point, Run, Runs};
use crate::words::{ago, count, duration, printable, size};

use super::output::{Align, Table, number, print_json, print_line};
use super::{Context, Failure, runs};

/// Show runs
///
/// Their code, parameters, metrics, inputs and outputs, and where they ran.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml show                            the latest run\n\
\x20 git ml show brave-otter-12 --log\n\
\x20 git ml show @~1 --metric val_loss      its points")]
pub(crate) struct Args {
    /// The run: its name, id, a unique prefix of that, or @ for the latest; several are shown one after the other
    #[arg(value_name = "RUN", default_value = "@")]
    runs: Vec<String>,
    /// Print what it wrote to stdout and stderr
    #[arg(long, conflicts_with_all = ["metric", "json"])]
    log: bool,
    /// Print the points of a metric
    #[arg(long, value_name = "METRIC")]
    metric: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let opened = runs::open(context, &workspace)?;
    let chosen: Vec<Run> =
        args.runs.iter().map(|wanted| runs::find(&workspace, &opened, wanted)).collect::<Result<_, _>>()?;
    let only = || match chosen.as_slice() {
        [run] => Ok(run),
        _ => Err(Failure::Usage {
            message: "the log and the points of one run can be printed at a time".to_owned(),
            hint: "`git ml show RUN --log`, `git ml show RUN --metric METRIC`".to_owned(),
        }),
    };
    if args.log {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(&opened.log_tail(&only()?.id, u64::MAX)?)?;
        return Ok(stdout.flush()?);
    }
    if let Some(metric) = &args.metric {
        return print_metric(context, &opened, only()?, metric, args.json);
    }
    if args.json {
        let mut documents = chosen.iter().map(runs::whole).collect::<Result<Vec<Value>, _>>()?;
        return if documents.len() == 1 { print_json(&documents.remove(0)) } else { print_json(&documents) };
    }
    print_line(&chosen.iter().map(|run| text(context, run)).collect::<Vec<_>>().join("\n\n"))
}

fn print_metric(context: &Context, runs: &Runs<'_>, run: &Run, metric: &str, json: bool) -> Result<(), Failure> {
    let series = runs.series(&run.id)?;
    let points = series.get(metric).ok_or_else(|| {
        let known: Vec<_> = series.keys().map(|name| printable(name)).collect();
        Failure::User {
            message: format!("run {} has no metric `{}`", run.name, printable(metric)),
            hint: if known.is_empty() { "it logged none".to_owned() } else { format!("it has {}", known.join(", ")) },
        }
    })?;
    if json {
        let points = points.iter().map(
            |Point { step, time, value }| json!({ "step": step, "time": time, "value": runs::json_number(*value) }),
        );
        return print_json(&points.collect::<Vec<Value>>());
    }
    let mut table = Table::new([("step", Align::Right), ("time", Align::Left), ("value", Align::Right)]);
    for Point { step, time, value } in points {
        table.row(vec![step.to_string(), time.strftime("%Y-%m-%d %H:%M:%S").to_string(), number(*value)]);
    }
    print_line(&table.render(context.colour))
}

/// The record for people.
fn text(context: &Context, run: &Run) -> String {
    let mut lines = vec![format!("{} {}", run.name, run.status.as_str())];
    let mut fact = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("  {name:<11} {}", printable(&value))));
    };
    fact("id", Some(run.id.to_string()));
    fact("experiment", run.experiment.clone());
    fact("command", (!run.command.is_empty()).then(|| run.command.join(" ")));
    fact("folder", run.folder.as_ref().map(ToString::to_string));
    let branch = run.branch.as_ref().map(|branch| format!(" on {branch}")).unwrap_or_default();
    fact("commit", run.commit.map(|commit| format!("{commit}{branch}")));
    let snapshot = run.snapshot.filter(|_| run.dirty);
    fact("code", snapshot.map(|snapshot| format!("{snapshot}, with changes that are not committed")));
    fact("started", Some(run.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()));
    fact("last sign", run.last_sign().map(|time| ago(time, Timestamp::now())));
    let cpu = run.cpu_s.map(|seconds| format!(" ({} of CPU time)", duration(seconds))).unwrap_or_default();
    fact("duration", run.duration_s.map(|seconds| format!("{}{cpu}", duration(seconds))));
    fact("exit code", run.exit_code.filter(|code| *code != 0).map(|code| code.to_string()));
    fact("signal", run.signal.clone());
    fact("reason", run.reason.clone());
    fact("note", run.note.clone());
    let removed = run.removed.map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    fact("removed", removed.map(|time| format!("{time}; `git ml rm --restore` brings it back")));
    fact("by", Some(format!("{} on {}", run.user, run.host)));
    let mut section = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            lines.push(format!("\n{title}"));
            lines.extend(rows.iter().map(|row| format!("  {row}")));
        }
    };
    let pairs = |pairs: &std::collections::BTreeMap<String, String>| {
        let pairs = pairs.iter().map(|(name, value)| format!("{} = {}", printable(name), printable(value)));
        pairs.collect::<Vec<_>>()
    };
    section("parameters", pairs(&run.params));
    section("metrics", metrics(run));
    section("tags", pairs(&run.tags));
    let inputs = run.inputs.iter().map(|input| format!("{} {}", input.path, input.id.short()));
    section("inputs", inputs.collect());
    let datasets =
        run.datasets.iter().map(|dataset| format!("{} {}", printable(&dataset.name), printable(&dataset.digest)));
    section("data sets", datasets.collect());
    let outputs = run.outputs.iter().map(|output| {
        let what = format!("{}, {}", count(output.files, "file"), size(output.bytes));
        format!("{} {} {}, {what}", printable(&output.name), output.artifact_type, output.id.short())
    });
    section("outputs", outputs.collect());
    let LeftOut { more, untracked, submodules } = &run.left_out;
    let untracked = untracked.iter().map(|file| match file.bytes {
        Some(bytes) => format!("{}, {}", printable(&file.path), size(bytes)),
        None => printable(&file.path),
    });
    let more = (*more > 0).then(|| format!("{more} more"));
    section("not tracked, and not in the snapshot", untracked.chain(more).collect());
    let submodules = submodules.iter().map(|module| {
        let changes = if module.dirty { ", with changes that are not committed" } else { "" };
        format!("{} {}{changes}", printable(&module.path), module.commit.short())
    });
    section("submodules", submodules.collect());
    if context.verbose {
        section("environment", pairs(&run.environment));
    }
    lines.join("\n")
}

fn metrics(run: &Run) -> Vec<String> {
    if run.metrics.is_empty() {
        return Vec::new();
    }
    let names = ["name", "last", "min", "max", "best step", "points"];
    let align = |name: &str| if name == "name" { Align::Left } else { Align::Right };
    let mut table = Table::new(names.map(|name| (name, align(name))));
    for (name, metric) in &run.metrics {
        table.row(vec![
            name.clone(),
            number(metric.last),
            number(metric.min),
            number(metric.max),
            metric.best_step.to_string(),
            metric.count.to_string(),
        ]);
    }
    table.render(false).lines().map(str::to_owned).collect()
}
