//! `git ml compare`

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::run::Run;
use crate::words::{duration, printable};

use super::output::{Align, Table, number, print_json, print_line};
use super::{Context, Failure, runs};

/// Show in what runs differ
///
/// Their parameters, metrics, data, code and surroundings: what is the same in all of them is left out.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first run is what the others are compared with: a number after theirs is the difference to it."
)]
pub(crate) struct Args {
    /// The runs: names, ids, unique prefixes of those, or @ for the latest
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    runs: Vec<String>,
    /// Show also what is the same
    #[arg(long)]
    all: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A row of a comparison: what each run has.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    name: String,
    values: Vec<Value>,
    /// The same for people.
    shown: Vec<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let opened = runs::open(context, &workspace)?;
    let compared: Vec<Run> =
        args.runs.iter().map(|wanted| runs::find(&workspace, &opened, wanted)).collect::<Result<_, _>>()?;
    let mut sections = sections(&compared);
    if !args.all {
        sections
            .iter_mut()
            .for_each(|(_, rows)| rows.retain(|row| row.values.iter().any(|value| *value != row.values[0])));
    }
    if args.json {
        return print_json(&document(&compared, &sections));
    }
    sections.retain(|(_, rows)| !rows.is_empty());
    if sections.is_empty() {
        context.say("the runs are the same in all that is recorded of them");
        return Ok(());
    }
    print_line(&table(&compared, &sections).render(context.colour))
}

/// All that can be compared, by what it is about.
fn sections(compared: &[Run]) -> Vec<(&'static str, Vec<Row>)> {
    let fact = |name: &str, value: &dyn Fn(&Run) -> Value| row(name, compared.iter().map(value).collect());
    let texts = |of: &dyn Fn(&Run) -> BTreeMap<String, String>| {
        let all: Vec<BTreeMap<String, String>> = compared.iter().map(of).collect();
        let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
        names.iter().map(|name| row(name, all.iter().map(|texts| json!(texts.get(*name))).collect())).collect()
    };
    let seconds = Row {
        shown: compared.iter().map(|run| run.duration_s.map(duration).unwrap_or_default()).collect(),
        ..fact("duration_s", &|run| json!(run.duration_s))
    };
    let metric_names: BTreeSet<&String> = compared.iter().flat_map(|run| run.metrics.keys()).collect();
    let metrics = metric_names.into_iter().map(|name| metric(name, compared));
    vec![
        (
            "run",
            vec![
                fact("status", &|run| json!(run.status)),
                fact("experiment", &|run| json!(run.experiment)),
                seconds,
                fact("user", &|run| json!(run.user)),
                fact("host", &|run| json!(run.host)),
                fact("note", &|run| json!(run.note)),
            ],
        ),
        (
            "code",
            vec![
                fact("commit", &|run| json!(run.commit)),
                fact("dirty", &|run| json!(run.dirty)),
                fact("snapshot", &|run| json!(run.snapshot)),
                fact("branch", &|run| json!(run.branch)),
                fact("command", &|run| json!(run.command.join(" "))),
                fact("seed", &|run| json!(run.seed)),
            ],
        ),
        ("params", texts(&|run| run.params.clone())),
        ("metrics", metrics.collect()),
        (
            "inputs",
            texts(&|run| run.inputs.iter().map(|input| (input.path.to_string(), input.id.to_string())).collect()),
        ),
        (
            "outputs",
            texts(&|run| run.outputs.iter().map(|output| (output.name.clone(), output.id.to_string())).collect()),
        ),
        ("tags", texts(&|run| run.tags.clone())),
        ("environment", texts(&|run| run.environment.clone())),
    ]
}

fn row(name: &str, values: Vec<Value>) -> Row {
    let is_id = |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = values.iter().map(|value| match value {
        Value::Null => String::new(),
        Value::String(text) if is_id(text) => text[..8].to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    Row { name: name.to_owned(), shown: shown.collect(), values }
}

/// The last values of a metric, with how far they are from the first run's.
fn metric(name: &str, compared: &[Run]) -> Row {
    let last = |run: &Run| run.metrics.get(name).map(|metric| metric.last);
    let first = compared.first().and_then(last);
    let shown = compared.iter().enumerate().map(|(place, run)| match (last(run), first) {
        (None, _) => String::new(),
        (Some(value), Some(first)) if place > 0 && (value - first).is_finite() && value != first => {
            let sign = if value > first { "+" } else { "" };
            format!("{} ({sign}{})", number(value), number(value - first))
        }
        (Some(value), _) => number(value),
    });
    let values = compared.iter().map(|run| last(run).map_or(Value::Null, runs::json_number));
    Row { name: name.to_owned(), shown: shown.collect(), values: values.collect() }
}

fn document(compared: &[Run], sections: &[(&'static str, Vec<Row>)]) -> Value {
    let heads: Vec<Value> = compared.iter().map(|run| json!({ "id": run.id, "name": run.name })).collect();
    let mut document = Map::from_iter([("runs".to_owned(), Value::Array(heads))]);
    for (title, rows) in sections {
        let rows = rows.iter().map(|row| (row.name.clone(), Value::Array(row.values.clone())));
        document.insert((*title).to_owned(), Value::Object(rows.collect()));
    }
    document.into()
}

fn table(compared: &[Run], sections: &[(&'static str, Vec<Row>)]) -> Table {
    // Long texts would push what differs out of sight.
    const WIDTH: usize = 40;
    let heading = ["".to_owned()].into_iter().chain(compared.iter().map(|run| printable(&run.name)));
    let mut table = Table::new(heading.map(|name| (name, Align::Left)));
    for (title, rows) in sections {
        let empty = compared.iter().map(|_| String::new());
        table.row([(*title).to_owned()].into_iter().chain(empty).collect());
        for row in rows {
            let cut = |text: &String| match text.chars().count() > WIDTH {
                true => text.chars().take(WIDTH - 1).chain(['…']).collect(),
                false => text.clone(),
            };
            table.row([format!("  {}", row.name)].into_iter().chain(row.shown.iter().map(cut)).collect());
        }
    }
    table
}
