//! `git ml log`

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::query::{self, Query, SortKey};
use crate::run::Run;
use crate::words::{ago, duration};

use super::output::{Align, Table, number, print_json, print_line};
use super::{Context, Failure, runs};

/// Metrics that a table shows where none are asked for.
const METRICS: usize = 3;

/// List runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "A query looks like \"metrics.val_accuracy > 0.9 and params.optimizer = 'adam'\", \
    \"status != 'finished'\", \"dirty and started > 2 days ago\".")]
pub(crate) struct Args {
    /// Show at most so many
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<usize>,
    /// Only runs that match the query
    #[arg(long = "where", value_name = "QUERY")]
    condition: Option<String>,
    /// Sort by a key such as metrics.val_loss; -KEY is largest first
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    sort: Option<String>,
    /// What to show, such as name,status,params.lr,metrics.val_loss
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Print one JSON document
    #[arg(long, conflicts_with = "columns")]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let condition = args.condition.as_deref().map(Query::parse).transpose()?;
    let sort = args.sort.as_deref().map(SortKey::parse).transpose()?;
    for column in &args.columns {
        SortKey::parse(column)?;
    }
    let workspace = context.workspace()?;
    let mut list = runs::list(context, &runs::open(context, &workspace)?)?;
    let is_empty = list.is_empty();
    if let Some(condition) = condition {
        list.retain(|run| condition.matches(run));
    }
    if let Some(key) = sort {
        query::sort(&mut list, &key);
    }
    list.truncate(args.limit.unwrap_or(usize::MAX));
    if args.json {
        return print_json(&list.iter().map(runs::summary).collect::<Vec<Value>>());
    }
    if list.is_empty() {
        context.say(if is_empty { "no runs yet: `git ml run -- COMMAND` makes one" } else { "no run matches" });
        return Ok(());
    }
    print_line(&table(&list, &args.columns, Timestamp::now()).render(context.colour))
}

/// The runs as a table; without columns asked for, with those that say something.
fn table(list: &[Run], columns: &[String], now: Timestamp) -> Table {
    let keys: Vec<String> = if columns.is_empty() { default_columns(list) } else { columns.to_vec() };
    let is_number = |key: &str| key.starts_with("metric") || key == "duration";
    let heading = keys.iter().map(|key| {
        let title = key.strip_prefix("metrics.").or(key.strip_prefix("params.")).unwrap_or(key).trim_matches('"');
        (title.to_owned(), if is_number(key) { Align::Right } else { Align::Left })
    });
    let mut table = Table::new(heading);
    for run in list {
        table.row(keys.iter().map(|key| cell(run, key, now).unwrap_or_default()).collect());
    }
    table
}

fn default_columns(list: &[Run]) -> Vec<String> {
    let mut columns = vec!["name", "status"];
    if list.iter().any(|run| run.experiment.is_some()) {
        columns.push("experiment");
    }
    columns.extend(["started", "duration", "commit"]);
    let mut columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
    columns
        .extend(common_metrics(list).into_iter().map(|metric| format!("metrics.\"{}\"", metric.replace('"', "\"\""))));
    columns
}

/// The metrics that most runs have; of those that as many have, the ones of the test and the validation first.
fn common_metrics(list: &[Run]) -> Vec<&str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in list.iter().flat_map(|run| run.metrics.keys()).filter(|name| !name.starts_with("system.")) {
        *counts.entry(name).or_default() += 1;
    }
    let rank =
        |name: &str| ["test", "val", "accuracy", "loss"].iter().position(|word| name.contains(word)).unwrap_or(4);
    let mut metrics: Vec<_> = counts.into_iter().collect();
    metrics.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), rank(name)));
    metrics.into_iter().take(METRICS).map(|(name, _)| name).collect()
}

fn cell(run: &Run, key: &str, now: Timestamp) -> Option<String> {
    Some(match key {
        "started" => ago(run.started, now),
        "ended" => ago(run.ended?, now),
        "duration" => duration(run.duration_s?),
        "commit" => run.commit_words(),
        _ => match query::column(run, key)? {
            text if key.starts_with("metric") => text.parse().map(number).unwrap_or(text),
            text => text,
        },
    })
}
