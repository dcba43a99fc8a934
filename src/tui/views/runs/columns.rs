//! Which columns the table of runs has: what is common, what differs, and what fits.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::run::{Run, RunStatus, smaller_is_better};
use crate::words;

use super::super::super::text;

/// What a column shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) enum Kind {
    Status,
    Name,
    Experiment,
    Started,
    Duration,
    Commit,
    /// A sparkline of a metric.
    Spark(String),
    Metric(String),
    Param(String),
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
const SPARK_WIDTH: usize = 12;

impl Column {
    fn new(kind: Kind, title: &str, width: usize) -> Self {
        let right = matches!(kind, Kind::Duration | Kind::Metric(_) | Kind::Started);
        Self { kind, title: title.to_owned(), width, right, decimals: 0, best: None }
    }

    /// The key that the query language sorts by; none where there is nothing to sort by.
    pub(in crate::tui) fn sort_key(&self) -> Option<String> {
        match &self.kind {
            Kind::Status => Some("status".to_owned()),
            Kind::Name => Some("name".to_owned()),
            Kind::Experiment => Some("experiment".to_owned()),
            Kind::Started => Some("started".to_owned()),
            Kind::Duration => Some("duration".to_owned()),
            Kind::Commit | Kind::Spark(_) => None,
            Kind::Metric(name) => Some(format!("metrics.{name}")),
            Kind::Param(name) => Some(format!("params.{name}")),
        }
    }

    /// The cell's text for a run; empty for the status and the sparkline, which are drawn.
    pub(in crate::tui) fn text(&self, run: &Run, now: Timestamp) -> String {
        match &self.kind {
            Kind::Status | Kind::Spark(_) => String::new(),
            Kind::Name => run.name.clone(),
            Kind::Experiment => run.experiment.clone().unwrap_or_default(),
            Kind::Started => words::ago(run.started, now),
            Kind::Duration => words::duration(seconds(run, now)),
            Kind::Commit => run.commit_words(),
            Kind::Metric(name) => match run.metrics.get(name) {
                Some(summary) => text::number(summary.last, self.decimals),
                None => String::new(),
            },
            Kind::Param(name) => run.params.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Whether a run has the column's best value.
    pub(in crate::tui) fn is_best(&self, run: &Run) -> bool {
        let Kind::Metric(name) = &self.kind else { return false };
        self.best.is_some_and(|best| run.metrics.get(name).is_some_and(|summary| summary.last == best))
    }
}

/// How long a run took, or has been at work.
pub(in crate::tui) fn seconds(run: &Run, now: Timestamp) -> f64 {
    match run.duration_s {
        Some(seconds) => seconds,
        None if run.status == RunStatus::Running => now.duration_since(run.started).as_secs_f64().max(0.0),
        None => f64::NAN,
    }
}

/// The columns for these runs in so many places.
pub(in crate::tui) fn choose(runs: &[&Run], width: usize) -> Vec<Column> {
    let metrics = metrics_by_interest(runs);
    let (params, varying) = params_by_interest(runs);
    let longest = |texts: &mut dyn Iterator<Item = &str>, title: &str, limit: usize| {
        texts.map(text::width).max().unwrap_or(0).max(text::width(title)).min(limit)
    };
    let name_limit = if width < NARROW { NARROW_NAME_LIMIT } else { NAME_LIMIT };
    let name = longest(&mut runs.iter().map(|run| run.name.as_str()), "run", name_limit);
    let experiment = longest(&mut runs.iter().filter_map(|run| run.experiment.as_deref()), "experiment", NAME_LIMIT);

    let mut chosen: Vec<Column> = vec![
        Column::new(Kind::Status, "", 1),
        Column::new(Kind::Name, "run", name),
        Column::new(Kind::Started, "started", 8),
        Column::new(Kind::Duration, "time", 7),
    ];
    let mut used: usize = chosen.iter().map(|column| column.width + GAP).sum::<usize>() - GAP;
    let mut add = |chosen: &mut Vec<Column>, column: Option<Column>| {
        if let Some(column) = column.filter(|column| used + GAP + column.width <= width) {
            used += GAP + column.width;
            chosen.push(column);
        }
    };
    let metric = |index: usize| Some(metric_column(runs, metrics.get(index)?));
    let param = |index: usize| {
        let name = params.get(index)?;
        let wanted =
            longest(&mut runs.iter().filter_map(|run| Some(run.params.get(name)?.as_str())), name, VALUE_LIMIT);
        Some(Column::new(Kind::Param(name.clone()), name, wanted))
    };
    // In the order of their worth: what is left over goes to the next that fits.
    add(&mut chosen, metric(0));
    add(&mut chosen, Some(Column::new(Kind::Commit, "commit", 9)));
    add(&mut chosen, metric(1));
    let experiments = runs.iter().any(|run| run.experiment.is_some());
    add(&mut chosen, experiments.then(|| Column::new(Kind::Experiment, "experiment", experiment)));
    add(&mut chosen, param(0));
    let lasting = |name: &&String| runs.iter().any(|run| run.metrics.get(*name).is_some_and(|metric| metric.count > 2));
    let spark = metrics.iter().take(2).find(lasting);
    add(&mut chosen, spark.map(|name| Column::new(Kind::Spark(name.clone()), "", SPARK_WIDTH)));
    for index in 1..varying.max(metrics.len()) {
        add(&mut chosen, param(index).filter(|_| index < varying));
        add(&mut chosen, metric(index + 1));
    }
    for index in varying..params.len() {
        add(&mut chosen, param(index));
    }
    arrange(&mut chosen);
    chosen
}

/// Puts the columns into the order that they are read in; a sparkline stands before its metric's value, under one
/// heading.
fn arrange(columns: &mut [Column]) {
    let mut metrics = 0;
    let places: Vec<(Kind, (usize, usize))> = columns
        .iter()
        .map(|column| {
            let place = match &column.kind {
                Kind::Status => (0, 0),
                Kind::Name => (1, 0),
                Kind::Experiment => (2, 0),
                Kind::Started => (3, 0),
                Kind::Duration => (4, 0),
                Kind::Commit => (5, 0),
                Kind::Param(_) => (6, 0),
                Kind::Spark(_) => (7, 0),
                Kind::Metric(_) => {
                    metrics += 1;
                    (7, 2 * metrics)
                }
            };
            (column.kind.clone(), place)
        })
        .collect();
    let place_of = |kind: &Kind| places.iter().find(|(known, _)| known == kind).map_or((9, 0), |(_, place)| *place);
    columns.sort_by_key(|column| match &column.kind {
        Kind::Spark(metric) => {
            let (group, place) = place_of(&Kind::Metric(metric.clone()));
            (group, place.saturating_sub(1))
        }
        kind => place_of(kind),
    });
}

fn metric_column(runs: &[&Run], name: &str) -> Column {
    let values = || runs.iter().filter_map(|run| Some(run.metrics.get(name)?.last));
    let decimals = text::decimals(values());
    let width = values().map(|value| text::width(&text::number(value, decimals))).max().unwrap_or(0);
    let width = width.max(text::width(name)).min(VALUE_LIMIT);
    let finite = || values().filter(|value| value.is_finite());
    let (low, high) = (finite().reduce(f64::min), finite().reduce(f64::max));
    let best = if smaller_is_better(name) { low } else { high };
    // Where all are alike, or one is alone, there is no best.
    let best = best.filter(|_| low != high);
    Column { decimals, best, ..Column::new(Kind::Metric(name.to_owned()), name, width) }
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
    use super::*;
    use crate::tui::fixture;

    fn titles(width: usize) -> Vec<String> {
        let listing = fixture::runs();
        let runs: Vec<&Run> = listing.iter().collect();
        let columns = choose(&runs, width);
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
        let listing = fixture::runs();
        let runs: Vec<&Run> = listing.iter().collect();
        let best = |name: &str| metric_column(&runs, name).best.unwrap();
        let all = |name: &'static str| {
            let values = runs.iter().filter_map(move |run| Some(run.metrics.get(name)?.last));
            values.filter(|value| value.is_finite())
        };
        assert_eq!(best("val_loss"), all("val_loss").fold(f64::MAX, f64::min));
        assert_eq!(best("val_accuracy"), all("val_accuracy").fold(f64::MIN, f64::max));
        assert_eq!(metric_column(&runs[..1], "val_loss").best, None);
    }
}
