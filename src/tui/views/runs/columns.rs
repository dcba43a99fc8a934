//! Which columns the table of runs has: what is common, what differs, and what fits.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::catalog::{Row, Table};
use crate::query::{Aspect, Attribute, Field, SortKey, Value};
use crate::run::{Run, RunStatus, smaller_is_better};
use crate::words;

use super::super::super::text;

/// What a column shows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Kind {
    /// A value.
    Value(Field),
    /// A sparkline of a metric.
    Spark(String),
}

/// What stands before a metric's name in the key of its sparkline.
const SPARK: &str = "spark:";

impl Kind {
    /// A value that every run has, or may have.
    pub(in crate::tui) fn attribute(attribute: Attribute) -> Self {
        Self::Value(Field::Attribute(attribute))
    }

    /// A metric's last value.
    pub(in crate::tui) fn metric(name: &str) -> Self {
        Self::Value(Field::Metric(name.to_owned(), Aspect::Last))
    }

    /// The column by its name, as a query spells it: what this gives, [`Kind::parse`] takes.
    pub(in crate::tui) fn key(&self) -> String {
        match self {
            Self::Value(field) => field.to_string(),
            Self::Spark(metric) => format!("{SPARK}{metric}"),
        }
    }

    /// The column of a name; none where it is not one.
    pub(in crate::tui) fn parse(key: &str) -> Option<Self> {
        match key.strip_prefix(SPARK) {
            Some(metric) => Some(Self::Spark(metric.to_owned())),
            None => SortKey::parse(key).ok()?.field().map(Self::Value),
        }
    }

    /// What is written above the column.
    pub(in crate::tui) fn title(&self) -> String {
        match self {
            Self::Spark(_) => String::new(),
            Self::Value(Field::Metric(name, Aspect::Last) | Field::Param(name) | Field::Tag(name)) => name.clone(),
            Self::Value(field @ (Field::Metric(..) | Field::Fact(_))) => field.to_string().replace("metrics.", ""),
            Self::Value(Field::Attribute(attribute)) => match attribute {
                Attribute::Status => String::new(),
                Attribute::Name => "run".to_owned(),
                Attribute::Duration => "time".to_owned(),
                other => other.name().replace('_', " "),
            },
        }
    }

    /// The fields that the column needs.
    pub(in crate::tui) fn fields(&self) -> Vec<Field> {
        match self {
            Self::Spark(metric) => vec![Field::Metric(metric.clone(), Aspect::Last)],
            Self::Value(Field::Attribute(Attribute::Commit)) => {
                vec![Field::Attribute(Attribute::Commit), Field::Attribute(Attribute::Dirty)]
            }
            Self::Value(field) => vec![field.clone()],
        }
    }
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Column {
    pub(in crate::tui) kind: Kind,
    pub(in crate::tui) title: String,
    pub(in crate::tui) width: usize,
    /// Numbers stand at the right.
    pub(in crate::tui) right: bool,
    /// Decimals of a metric.
    pub(in crate::tui) decimals: usize,
    /// The best value of a metric, where runs differ.
    pub(in crate::tui) best: Option<f64>,
}

/// Spaces between columns.
pub(in crate::tui) const GAP: usize = 2;
const NAME_LIMIT: usize = 24;
/// On narrow screens a second metric is worth more than the end of a name.
const NARROW: usize = 100;
const NARROW_NAME_LIMIT: usize = 18;
const VALUE_LIMIT: usize = 14;
const TEXT_LIMIT: usize = 32;
const SPARK_WIDTH: usize = 12;
/// Rows that are looked at for how wide a column has to be.
const MEASURED: usize = 400;
/// Columns that are chosen by themselves.
const SUGGESTIONS: usize = 18;

const STATUSES: [RunStatus; 5] =
    [RunStatus::Running, RunStatus::Finished, RunStatus::Failed, RunStatus::Crashed, RunStatus::Killed];

impl Column {
    /// The column, as wide as the values of a table want it.
    fn measured(kind: Kind, table: &Table, width: usize, now: Timestamp) -> Self {
        let title = kind.title();
        let column = |width: usize, right: bool| {
            let title = title.clone();
            Self { kind: kind.clone(), title, width, right, decimals: 0, best: None }
        };
        let field = match &kind {
            Kind::Spark(_) => return column(SPARK_WIDTH, false),
            Kind::Value(field) => field.clone(),
        };
        match field {
            Field::Attribute(Attribute::Status) => column(1, false),
            Field::Attribute(Attribute::Started | Attribute::Ended) => column(8, true),
            Field::Attribute(Attribute::Duration | Attribute::CpuSeconds) => column(7, true),
            Field::Attribute(Attribute::Commit | Attribute::Snapshot | Attribute::Id) => column(9, false),
            Field::Metric(ref name, aspect) => {
                let values = || number_sample(table, &field);
                let decimals = if aspect == Aspect::Count { 0 } else { text::decimals(values()) };
                let widest = values().map(|value| text::width(&text::number(value, decimals))).max().unwrap_or(0);
                let best = if aspect == Aspect::Last { best(table, &field, name) } else { None };
                let width = widest.max(text::width(&title)).min(VALUE_LIMIT);
                Self { decimals, best, ..column(width, true) }
            }
            ref field => {
                let limit = match field {
                    Field::Attribute(Attribute::Name) if width < NARROW => NARROW_NAME_LIMIT,
                    Field::Attribute(Attribute::Name | Attribute::Experiment) => NAME_LIMIT,
                    Field::Attribute(_) => TEXT_LIMIT,
                    _ => VALUE_LIMIT,
                };
                let words = table.rows_from(0).take(MEASURED).map(|row| plain(row.value(field), now));
                let widest = words.map(|words| text::width(&words)).max().unwrap_or(0);
                column(widest.max(text::width(&title)).min(limit), false)
            }
        }
    }

    /// The key that the query language sorts by; none where there is nothing to sort by.
    pub(in crate::tui) fn sort_key(&self) -> Option<String> {
        match &self.kind {
            Kind::Value(Field::Attribute(Attribute::Commit | Attribute::Snapshot)) | Kind::Spark(_) => None,
            Kind::Value(field) => Some(field.to_string()),
        }
    }

    /// The cell's text for a run; empty for the status and the sparkline, which are drawn.
    pub(in crate::tui) fn text(&self, row: &Row<'_>, now: Timestamp) -> String {
        let Kind::Value(field) = &self.kind else { return String::new() };
        match field {
            Field::Attribute(Attribute::Status) => String::new(),
            Field::Attribute(Attribute::Duration) => words::duration(seconds_of(row, now)),
            Field::Attribute(Attribute::CpuSeconds) => match row.value(field) {
                Some(Value::Number(seconds)) => words::duration(seconds),
                _ => String::new(),
            },
            Field::Attribute(Attribute::Commit | Attribute::Snapshot | Attribute::Id) => {
                plain(row.value(field), now).chars().take(8).collect()
            }
            Field::Metric(..) => match row.value(field) {
                Some(Value::Number(value)) => text::number(value, self.decimals),
                _ => String::new(),
            },
            field => plain(row.value(field), now),
        }
    }

    /// Whether a value is the column's best.
    pub(in crate::tui) fn is_best(&self, value: Option<f64>) -> bool {
        self.best.is_some() && self.best == value
    }
}

/// A value as people read it.
pub(in crate::tui) fn plain(value: Option<Value<'_>>, now: Timestamp) -> String {
    match value {
        None => String::new(),
        Some(Value::Number(value)) => text::lone_number(value),
        Some(Value::Text(text)) => text.into_owned(),
        Some(Value::Moment(time)) => words::ago(time, now),
        Some(Value::Truth(value)) => if value { "yes" } else { "" }.to_owned(),
        Some(Value::Items(items)) => {
            let names: Vec<&str> = items.iter().filter_map(|item| Some(&**item.names.last()?)).collect();
            names.join(", ")
        }
    }
}

/// A run's status.
pub(in crate::tui) fn status_of(row: &Row<'_>) -> RunStatus {
    match row {
        Row::Live(run) => run.status,
        Row::Recorded(_) => match row.value(&Field::Attribute(Attribute::Status)) {
            Some(Value::Text(word)) => {
                STATUSES.into_iter().find(|status| status.as_str() == word).unwrap_or(RunStatus::Crashed)
            }
            _ => RunStatus::Crashed,
        },
    }
}

/// How long a run took, or has been at work.
pub(in crate::tui) fn seconds(run: &Run, now: Timestamp) -> f64 {
    seconds_of(&Row::Live(run), now)
}

fn seconds_of(row: &Row<'_>, now: Timestamp) -> f64 {
    match row.value(&Field::Attribute(Attribute::Duration)) {
        Some(Value::Number(seconds)) => seconds,
        _ if status_of(row) == RunStatus::Running => now.duration_since(row.started()).as_secs_f64().max(0.0),
        _ => f64::NAN,
    }
}

fn number_sample<'t>(table: &'t Table, field: &'t Field) -> impl Iterator<Item = f64> {
    table.rows_from(0).take(MEASURED).filter_map(|row| match row.value(field) {
        Some(Value::Number(value)) => Some(value),
        _ => None,
    })
}

/// The best value of a metric. Where all are alike, or one is alone, there is no best.
fn best(table: &Table, field: &Field, name: &str) -> Option<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in table.numbers(field).filter(|value| value.is_finite()) {
        (low, high) = (low.min(value), high.max(value));
    }
    let best = if smaller_is_better(name) { low } else { high };
    (low < high).then_some(best)
}

/// The fields that every table has: what rows are known by, and drawn with.
pub(in crate::tui) fn base_fields() -> Vec<Field> {
    let attributes = [
        Attribute::Name,
        Attribute::Status,
        Attribute::Started,
        Attribute::Duration,
        Attribute::Commit,
        Attribute::Dirty,
        Attribute::Experiment,
    ];
    attributes.map(Field::Attribute).to_vec()
}

/// The columns that suit some runs, in the order of their worth.
pub(in crate::tui) fn suggest(runs: &[Run]) -> Vec<Kind> {
    let runs: Vec<&Run> = runs.iter().collect();
    let metrics = metrics_by_interest(&runs);
    let (params, varying) = params_by_interest(&runs);
    let metric = |index: usize| metrics.get(index).map(|name| Kind::metric(name));
    let param = |index: usize| params.get(index).map(|name| Kind::Value(Field::Param(name.clone())));
    let mut kinds: Vec<Kind> =
        [Attribute::Status, Attribute::Name, Attribute::Started, Attribute::Duration].map(Kind::attribute).to_vec();
    kinds.extend(metric(0));
    kinds.push(Kind::attribute(Attribute::Commit));
    kinds.extend(metric(1));
    kinds.extend(runs.iter().any(|run| run.experiment.is_some()).then(|| Kind::attribute(Attribute::Experiment)));
    kinds.extend(param(0));
    let lasting = |name: &&String| runs.iter().any(|run| run.metrics.get(*name).is_some_and(|metric| metric.count > 2));
    kinds.extend(metrics.iter().take(2).find(lasting).map(|name| Kind::Spark(name.clone())));
    for index in 1..varying.max(metrics.len()) {
        kinds.extend(param(index).filter(|_| index < varying));
        kinds.extend(metric(index + 1));
    }
    kinds.extend((varying..params.len()).filter_map(param));
    kinds.truncate(SUGGESTIONS);
    kinds
}

/// Those of the suggested columns that fit into so many places, in the order that they are read in.
pub(in crate::tui) fn choose(suggested: &[Kind], table: &Table, width: usize, now: Timestamp) -> Vec<Column> {
    let mut chosen: Vec<Column> = Vec::new();
    let mut used = 0;
    for (index, kind) in suggested.iter().enumerate() {
        let column = Column::measured(kind.clone(), table, width, now);
        let needed = column.width + if chosen.is_empty() { 0 } else { GAP };
        // What is left over goes to the next that fits; the first four are always there.
        if index < 4 || used + needed <= width {
            used += needed;
            chosen.push(column);
        }
    }
    arrange(&mut chosen);
    chosen
}

/// The columns that the user chose, in that order, as many as fit; the status stands before them all.
pub(in crate::tui) fn chosen(kinds: &[Kind], table: &Table, width: usize, now: Timestamp) -> Vec<Column> {
    let mut used = 0;
    let fits = |column: &Column| {
        used += column.width + GAP;
        used - GAP <= width
    };
    kinds.iter().map(|kind| Column::measured(kind.clone(), table, width, now)).take_while(fits).collect()
}

/// Puts the columns into the order that they are read in; a sparkline stands before its metric's value, under one
/// heading.
fn arrange(columns: &mut [Column]) {
    let metrics: Vec<Kind> = columns
        .iter()
        .filter(|column| matches!(column.kind, Kind::Value(Field::Metric(..))))
        .map(|column| column.kind.clone())
        .collect();
    let place_of = |kind: &Kind| metrics.iter().position(|known| known == kind).map_or(0, |place| 2 * place + 1);
    columns.sort_by_key(|column| match &column.kind {
        Kind::Value(Field::Attribute(attribute)) => match attribute {
            Attribute::Status => (0, 0),
            Attribute::Name => (1, 0),
            Attribute::Experiment => (2, 0),
            Attribute::Started => (3, 0),
            Attribute::Duration => (4, 0),
            _ => (5, 0),
        },
        Kind::Value(Field::Param(_) | Field::Tag(_) | Field::Fact(_)) => (6, 0),
        Kind::Value(Field::Metric(..)) => (7, place_of(&column.kind)),
        Kind::Spark(metric) => (7, place_of(&Kind::metric(metric)).saturating_sub(1)),
    });
}

/// Metrics, those that people compare runs by first.
pub(in crate::tui) fn metrics_by_interest(runs: &[&Run]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in runs.iter().flat_map(|run| run.metrics.keys()) {
        *counts.entry(name).or_default() += 1;
    }
    let mut ranked: Vec<(f64, &str)> = counts
        .into_iter()
        .filter(|(name, _)| !name.starts_with("system.") && !name.starts_with("system/"))
        .map(|(name, count)| (count as f64 / runs.len() as f64 + worth(name), name))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    ranked.into_iter().map(|(_, name)| name.to_owned()).collect()
}

fn worth(metric: &str) -> f64 {
    match metric {
        "val_accuracy" => 0.8,
        "test_accuracy" => 0.6,
        "val_loss" => 0.5,
        "accuracy" => 0.45,
        "loss" => 0.4,
        "test_loss" => 0.35,
        "train_loss" => 0.3,
        _ if ["val_", "val/", "valid_", "eval_", "eval/", "test_"].iter().any(|start| metric.starts_with(start)) => 0.3,
        _ => 0.0,
    }
}

/// Parameters that differ most between runs first, then those that most runs have; and how many of them differ.
fn params_by_interest(runs: &[&Run]) -> (Vec<String>, usize) {
    let mut seen: BTreeMap<&str, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for (name, value) in runs.iter().flat_map(|run| &run.params) {
        let (values, count) = seen.entry(name).or_default();
        *count += 1;
        values.insert(value);
    }
    let mut ranked: Vec<(usize, usize, &str)> =
        seen.into_iter().map(|(name, (values, count))| (values.len(), count, name)).collect();
    ranked.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)).then(a.2.cmp(b.2)));
    let varying = ranked.iter().filter(|(values, _, _)| *values > 1).count();
    (ranked.into_iter().map(|(_, _, name)| name.to_owned()).collect(), varying)
}

#[cfg(test)]
mod tests {
    use crate::catalog::TableSpec;
    use crate::tui::fixture;

    use super::*;

    fn table(runs: Vec<Run>) -> (Table, Vec<Kind>) {
        let suggested = suggest(&runs);
        let fields = base_fields().into_iter().chain(suggested.iter().flat_map(Kind::fields)).collect();
        (Table::of_runs(runs, &TableSpec { fields, ..TableSpec::default() }, &|_| Vec::new()), suggested)
    }

    fn titles(width: usize) -> Vec<String> {
        let (table, suggested) = table(fixture::runs());
        let columns = choose(&suggested, &table, width, fixture::now());
        let used = columns.iter().map(|column| column.width).sum::<usize>() + GAP * (columns.len() - 1);
        assert!(used <= width.max(44), "{used} of {width}");
        columns.into_iter().map(|column| column.title).collect()
    }

    #[test]
    fn more_room_shows_more() {
        insta::assert_snapshot!(titles(56).join(" | "), @" | run | started | time | val_accuracy");
        insta::assert_snapshot!(titles(78).join(" | "), @" | run | started | time | commit | seed | val_accuracy | val_loss");
        insta::assert_snapshot!(titles(196).join(" | "), @" | run | experiment | started | time | commit | lr | batch_size | epochs | model | seed |  | val_accuracy | val_loss | train_loss | test_accuracy | train_accuracy");
    }

    #[test]
    fn the_best_is_the_smallest_loss_and_the_largest_accuracy() {
        let runs = fixture::runs();
        let all = |name: &'static str| {
            let values = runs.iter().filter_map(move |run| Some(run.metrics.get(name)?.last));
            values.filter(|value| value.is_finite())
        };
        let best_of = |table: &Table, name: &str| Column::measured(Kind::metric(name), table, 100, fixture::now()).best;
        let (whole, _) = table(fixture::runs());
        assert_eq!(best_of(&whole, "val_loss"), Some(all("val_loss").fold(f64::MAX, f64::min)));
        assert_eq!(best_of(&whole, "val_accuracy"), Some(all("val_accuracy").fold(f64::MIN, f64::max)));
        let (one, _) = table(fixture::runs()[..1].to_vec());
        assert_eq!(best_of(&one, "val_loss"), None);
    }

    #[test]
    fn columns_have_names_that_lead_back_to_them() {
        let kinds = [Kind::metric("val loss"), Kind::Spark("a/b".to_owned()), Kind::attribute(Attribute::CpuSeconds)];
        for kind in kinds {
            assert_eq!(Kind::parse(&kind.key()), Some(kind));
        }
        assert_eq!(Kind::parse("no such thing"), None);
    }
}
