//! What is recorded of several runs, row by row.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::run::{Run, smaller_is_better};
use crate::words;

use super::super::super::text;
use super::super::runs::columns;

/// What one run has in a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Value {
    /// Empty where the run has nothing there.
    pub(super) words: String,
    /// How far a metric is from the first run's.
    pub(super) delta: String,
    /// Whether it is the best of the row.
    pub(super) is_best: bool,
    /// Whether it is a number that is not finite.
    pub(super) is_odd: bool,
}

/// A row: what it is about, and a value for each run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) values: Vec<Value>,
    /// Whether the runs differ in it.
    pub(super) differs: bool,
}

/// Rows about one kind of thing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) rows: Vec<Row>,
}

/// All that can be compared; or of that, what differs.
pub(super) fn sections(runs: &[&Run], all: bool, now: Timestamp) -> Vec<Section> {
    let texts = |of: &dyn Fn(&Run) -> BTreeMap<String, String>| {
        let each: Vec<BTreeMap<String, String>> = runs.iter().map(|run| of(run)).collect();
        let names: BTreeSet<&String> = each.iter().flat_map(BTreeMap::keys).collect();
        let row =
            |name: &&String| text_row(name, each.iter().map(|texts| texts.get(*name).cloned().unwrap_or_default()));
        names.iter().map(row).collect::<Vec<_>>()
    };
    let fact = |name: &str, of: &dyn Fn(&Run) -> String| text_row(name, runs.iter().map(|run| of(run)));
    let some = |text: &Option<String>| text.clone().unwrap_or_default();
    let short = |id: String| id.chars().take(8).collect::<String>();
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
    let mut sections = vec![
        Section { title: "Metrics", rows: metrics.into_iter().map(|name| metric_row(name, runs)).collect() },
        Section { title: "Parameters", rows: texts(&|run| run.params.clone()) },
        Section {
            title: "Run",
            rows: vec![
                fact("status", &|run| run.status.as_str().to_owned()),
                fact("experiment", &|run| some(&run.experiment)),
                fact("started", &|run| run.started.strftime("%Y-%m-%d %H:%M").to_string()),
                fact("duration", &|run| words::duration(columns::seconds(run, now))),
                fact("user", &|run| run.user.clone()),
                fact("host", &|run| run.host.clone()),
                fact("note", &|run| some(&run.note)),
                fact("ended by", &|run| some(&run.reason)),
            ],
        },
        Section {
            title: "Code",
            rows: vec![
                fact("commit", &|run| run.commit.map(|commit| short(commit.to_string())).unwrap_or_default()),
                fact("changed files", &|run| if run.dirty { "yes" } else { "no" }.to_owned()),
                fact("branch", &|run| some(&run.branch)),
                fact("command", &|run| run.command.join(" ")),
                fact("seed", &|run| run.seed.map(|seed| seed.to_string()).unwrap_or_default()),
            ],
        },
        Section {
            title: "Inputs",
            rows: texts(&|run| {
                run.inputs.iter().map(|input| (input.path.to_string(), short(input.id.to_string()))).collect()
            }),
        },
        Section {
            title: "Outputs",
            rows: texts(&|run| {
                run.outputs.iter().map(|output| (output.name.clone(), short(output.id.to_string()))).collect()
            }),
        },
        Section { title: "Tags", rows: texts(&|run| run.tags.clone()) },
        Section { title: "Environment", rows: texts(&|run| run.environment.clone()) },
    ];
    if !all {
        sections.iter_mut().for_each(|section| section.rows.retain(|row| row.differs));
    }
    sections.retain(|section| !section.rows.is_empty());
    sections
}

fn text_row(name: &str, texts: impl Iterator<Item = String>) -> Row {
    let values: Vec<Value> = texts.map(|words| Value { words, ..Value::default() }).collect();
    let differs = values.iter().any(|value| value.words != values[0].words);
    Row { name: name.to_owned(), values, differs }
}

/// The last values of a metric, the best of them, and how far each is from the first run's.
fn metric_row(name: &str, runs: &[&Run]) -> Row {
    let lasts: Vec<Option<f64>> = runs.iter().map(|run| run.metrics.get(name).map(|metric| metric.last)).collect();
    let decimals = text::decimals(lasts.iter().flatten().copied());
    let finite = || lasts.iter().flatten().copied().filter(|value| value.is_finite());
    let best = if smaller_is_better(name) { finite().reduce(f64::min) } else { finite().reduce(f64::max) };
    // What all of them have is no achievement, and neither is what the machine does or the recipe sets.
    let is_set = name.starts_with("system") || matches!(name, "epoch" | "learning_rate" | "lr" | "step");
    let is_contest = finite().any(|value| Some(value) != best) && !is_set;
    let first = lasts.first().copied().flatten();
    let value = |(place, last): (usize, &Option<f64>)| {
        let Some(last) = *last else { return Value::default() };
        let delta = match first {
            Some(first) if place > 0 && (last - first).is_finite() && last != first => {
                let sign = if last > first { "+" } else { "" };
                format!("{sign}{}", text::number(last - first, decimals))
            }
            _ => String::new(),
        };
        let is_best = is_contest && Some(last) == best;
        Value { words: text::number(last, decimals), delta, is_best, is_odd: !last.is_finite() }
    };
    let values: Vec<Value> = lasts.iter().enumerate().map(value).collect();
    let same = |one: &Option<f64>, other: &Option<f64>| one.map(f64::to_bits) == other.map(f64::to_bits);
    let differs = lasts.iter().any(|last| !same(last, &lasts[0]));
    Row { name: name.to_owned(), values, differs }
}
