//! `git ml log`

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::catalog::{Catalog, Removed, Search};
use crate::query::{self, Query, SortKey};
use crate::run::Run;
use crate::words::{ago, duration};

use super::output::{Align, Table, number, print_line};
use super::{Context, Failure, log_graph, runs};

/// Metrics that a table shows where none are asked for.
const METRICS: usize = 3;

/// List runs, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "A query looks like \"metrics.val_accuracy > 0.9 and params.optimizer = 'adam'\", \
    \"status != 'finished'\", \"commit in main..HEAD\", \"input = data/digits\", \"dirty and started > 2 days ago\".")]
pub(crate) struct Args {
    /// Show at most so many
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<usize>,
    /// Only runs that match the query
    #[arg(long = "where", value_name = "QUERY")]
    condition: Option<String>,
    /// Sort by keys such as metrics.val_loss; -KEY is largest first
    #[arg(long, value_name = "KEY,…", value_delimiter = ',', allow_hyphen_values = true)]
    sort: Vec<String>,
    /// What to show, such as name,status,params.lr,metrics.val_loss
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Show the runs below the commits that they ran on
    #[arg(long, conflicts_with_all = ["sort", "json"])]
    graph: bool,
    /// Show removed runs, and no others
    #[arg(long)]
    removed: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with = "columns")]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let mut condition = args.condition.as_deref().map(Query::parse).transpose()?;
    let sort = args.sort.iter().map(|key| SortKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
    for column in &args.columns {
        SortKey::parse(column)?;
    }
    let workspace = context.workspace()?;
    if let Some(condition) = &mut condition {
        condition.resolve(&workspace.repository)?;
    }
    let search = Search {
        query: condition.as_ref(),
        sort: &sort,
        removed: if args.removed { Removed::Only } else { Removed::Hidden },
        limit: args.limit,
        ..Search::default()
    };
    let found = Catalog::open(&workspace).search(&runs::open(context, &workspace)?, &search)?;
    runs::warn_of(context, &found.problems);
    if args.json {
        return runs::print_summaries(&found.runs);
    }
    if found.total == 0 {
        let is_empty = found.known == 0;
        context.say(if is_empty { "no runs yet: `git ml run -- COMMAND` makes one" } else { "no run matches" });
        return Ok(());
    }
    let columns = if args.columns.is_empty() { default_columns(&found.runs) } else { args.columns.clone() };
    if args.graph {
        return log_graph::print(context, &workspace, &found.runs, &columns);
    }
    print_line(&table(&found.runs, &columns, Timestamp::now()).render(context.colour))
}

fn table(list: &[Run], columns: &[String], now: Timestamp) -> Table {
    let is_number = |key: &str| key.starts_with("metric") || key == "duration" || key.contains("(metric");
    let align = |key: &str| if is_number(key) { Align::Right } else { Align::Left };
    let mut table = Table::new(columns.iter().map(|key| (title(key), align(key))));
    for run in list {
        table.row(columns.iter().map(|key| cell(run, key, now).unwrap_or_default()).collect());
    }
    table
}

/// What stands above a column.
pub(super) fn title(key: &str) -> String {
    key.strip_prefix("metrics.").or(key.strip_prefix("params.")).unwrap_or(key).trim_matches('"').to_owned()
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

/// What a run has in a column, for people.
pub(super) fn cell(run: &Run, key: &str, now: Timestamp) -> Option<String> {
    Some(match key {
        "started" => ago(run.started, now),
        "ended" => ago(run.ended?, now),
        "removed" => ago(run.removed?, now),
        "duration" => duration(run.duration_s?),
        "commit" => run.commit_words(),
        _ => match query::column(run, key)? {
            text if key.contains("metric") => text.parse().map(number).unwrap_or(text),
            text => text,
        },
    })
}
