//! Tables: columns of one kind each.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::run::{Point, Run};

/// The values of a column, a row each.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Column {
    Text(Vec<Option<String>>),
    Number(Vec<Option<f64>>),
    Whole(Vec<Option<i64>>),
    Truth(Vec<Option<bool>>),
    Time(Vec<Option<Timestamp>>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Whole(values) => values.len(),
            Self::Truth(values) => values.len(),
            Self::Time(values) => values.len(),
        }
    }
}

/// Columns of the same length, by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub(super) columns: Vec<(String, Column)>,
}

impl Table {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// The runs, a row each. Names are as pandas has them from MLflow: `params.lr`, `metrics.loss`, `tags.note`.
    pub(super) fn of_runs(runs: &[Run]) -> Self {
        let text = |value: &dyn Fn(&Run) -> Option<String>| Column::Text(runs.iter().map(value).collect());
        let mut columns: Vec<(String, Column)> = vec![
            ("id".to_owned(), text(&|run| Some(run.id.to_string()))),
            ("name".to_owned(), text(&|run| Some(run.name.clone()))),
            ("status".to_owned(), text(&|run| Some(run.status.as_str().to_owned()))),
            ("experiment".to_owned(), text(&|run| run.experiment.clone())),
            ("started".to_owned(), Column::Time(runs.iter().map(|run| Some(run.started)).collect())),
            ("ended".to_owned(), Column::Time(runs.iter().map(|run| run.ended).collect())),
            ("duration_s".to_owned(), Column::Number(runs.iter().map(|run| run.duration_s).collect())),
            ("cpu_s".to_owned(), Column::Number(runs.iter().map(|run| run.cpu_s).collect())),
            ("exit_code".to_owned(), Column::Whole(runs.iter().map(|run| run.exit_code.map(i64::from)).collect())),
            ("signal".to_owned(), text(&|run| run.signal.clone())),
            ("reason".to_owned(), text(&|run| run.reason.clone())),
            ("commit".to_owned(), text(&|run| run.commit.map(|commit| commit.to_string()))),
            ("snapshot".to_owned(), text(&|run| run.snapshot.map(|commit| commit.to_string()))),
            ("dirty".to_owned(), Column::Truth(runs.iter().map(|run| Some(run.dirty)).collect())),
            ("branch".to_owned(), text(&|run| run.branch.clone())),
            ("user".to_owned(), text(&|run| Some(run.user.clone()))),
            ("host".to_owned(), text(&|run| Some(run.host.clone()))),
            ("command".to_owned(), text(&|run| Some(run.command.join(" ")))),
            ("seed".to_owned(), text(&|run| run.seed.map(|seed| seed.to_string()))),
            ("note".to_owned(), text(&|run| run.note.clone())),
            ("inputs".to_owned(), text(&|run| list(run.inputs.iter().map(|input| (input.name.as_str(), input.id))))),
            (
                "outputs".to_owned(),
                text(&|run| list(run.outputs.iter().map(|output| (output.name.as_str(), output.id)))),
            ),
        ];
        let names = |of: &dyn Fn(&Run) -> Vec<String>| runs.iter().flat_map(of).collect::<BTreeSet<String>>();
        for name in names(&|run| run.params.keys().cloned().collect()) {
            columns.push((format!("params.{name}"), text(&|run| run.params.get(&name).cloned())));
        }
        for name in names(&|run| run.metrics.keys().cloned().collect()) {
            let values = runs.iter().map(|run| run.metrics.get(&name).map(|metric| metric.last));
            columns.push((format!("metrics.{name}"), Column::Number(values.collect())));
        }
        for name in names(&|run| run.tags.keys().cloned().collect()) {
            columns.push((format!("tags.{name}"), text(&|run| run.tags.get(&name).cloned())));
        }
        Self { columns }
    }

    /// A table of points without any.
    pub(super) fn of_points() -> Self {
        let columns = vec![
            ("run".to_owned(), Column::Text(Vec::new())),
            ("name".to_owned(), Column::Text(Vec::new())),
            ("metric".to_owned(), Column::Text(Vec::new())),
            ("step".to_owned(), Column::Whole(Vec::new())),
            ("time".to_owned(), Column::Time(Vec::new())),
            ("value".to_owned(), Column::Number(Vec::new())),
        ];
        Self { columns }
    }

    /// Adds points of a metric to a table of points.
    pub(super) fn add_points(&mut self, run: &Run, metric: &str, points: &[Point]) {
        let id = run.id.to_string();
        for (name, column) in &mut self.columns {
            match (column, name.as_str()) {
                (Column::Text(values), "run") => values.extend(points.iter().map(|_| Some(id.clone()))),
                (Column::Text(values), "name") => values.extend(points.iter().map(|_| Some(run.name.clone()))),
                (Column::Text(values), _) => values.extend(points.iter().map(|_| Some(metric.to_owned()))),
                (Column::Whole(values), _) => values.extend(points.iter().map(|point| Some(point.step))),
                (Column::Time(values), _) => values.extend(points.iter().map(|point| Some(point.time))),
                (Column::Number(values), _) => values.extend(points.iter().map(|point| Some(point.value))),
                (Column::Truth(_), _) => {}
            }
        }
    }
}

/// Artifacts in one cell: names with ids, as JSON.
fn list<'r, I: std::fmt::Display>(artifacts: impl Iterator<Item = (&'r str, I)>) -> Option<String> {
    let members: serde_json::Map<String, serde_json::Value> =
        artifacts.map(|(name, id)| (name.to_owned(), id.to_string().into())).collect();
    (!members.is_empty()).then(|| serde_json::Value::Object(members).to_string())
}
