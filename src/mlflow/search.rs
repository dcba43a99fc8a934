//! Runs found by a filter, in an order, a page at a time.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Server;
use super::error::ApiError;
use super::filter::{self, Comparison};
use super::form::{ExperimentForm, RunForm, artifact_uri, millis, status_word, tag_value};
use super::http::{Call, Reply};
use super::message::{Kind, ViewType, Whole, optional, or_default};
use super::paging::Page;
use super::runs::name_in_runs;
use crate::query::Query;
use crate::run::{Run, RunDataset};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SearchMessage {
    #[serde(deserialize_with = "or_default")]
    experiment_ids: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    filter: String,
    #[serde(deserialize_with = "or_default")]
    run_view_type: ViewType,
    max_results: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    order_by: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    page_token: String,
}

pub(super) fn search(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    #[derive(Serialize)]
    struct Found<'r> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        runs: Vec<RunForm<'r>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_page_token: Option<String>,
    }
    let fields = [
        optional("experiment_ids", Kind::Texts),
        optional("filter", Kind::Text),
        optional("max_results", Kind::Whole),
        optional("order_by", Kind::Texts),
    ];
    let message: SearchMessage = call.message(&fields)?;
    let count = message.max_results.map_or(1000, |count| count.0);
    if count > 50_000 {
        return Err(ApiError::invalid(format!(
            "Invalid value {count} for parameter 'max_results' supplied:  Hint: Value was of type 'int'. See the API docs \
             for more information about request parameters."
        )));
    }
    let page = Page::new(count, &message.page_token)?;
    let condition = Condition::parse(&message.filter)?;
    let orders = message.order_by.iter().map(|text| SortKey::parse(text)).collect::<Result<Vec<_>, _>>()?;

    let experiments = wanted_experiments(server, &message.experiment_ids)?;
    let mut found: Vec<Entry> = Vec::new();
    for run in server.tracking.all()? {
        let Some(experiment) = experiments.get(&run.experiment.as_deref()) else { continue };
        let is_removed = run.removed.is_some() || experiment.lifecycle_stage != "active";
        if message.run_view_type.shows(is_removed) && condition.holds(&run, experiment) {
            found.push(Entry { keys: orders.iter().map(|order| order.key(&run, experiment)).collect(), run });
        }
    }
    found.sort_unstable_by(|a, b| {
        let by_key = |(order, (a, b)): (&SortKey, (&Key, &Key))| order.compare(a, b);
        let first = orders.iter().zip(a.keys.iter().zip(&b.keys)).map(by_key).find(|order| order.is_ne());
        let newest_first = || b.run.started.cmp(&a.run.started).then_with(|| a.run.id.cmp(&b.run.id));
        first.unwrap_or_else(newest_first)
    });
    let next_page_token = page.cut(&mut found);
    let uses = server.model_uses()?;
    let form = |entry| {
        let Entry { run, .. }: &Entry = entry;
        Some(RunForm::new(run, experiments.get(&run.experiment.as_deref())?, &uses))
    };
    let runs = found.iter().filter_map(form).collect();
    Ok(Reply::json(&Found { runs, next_page_token }))
}

/// A run that was found, with what it is sorted by.
struct Entry {
    keys: Vec<Key>,
    run: Arc<Run>,
}

/// The experiments with these ids, by the name that runs have of them. What is not there has no runs.
fn wanted_experiments(server: &Server, ids: &[String]) -> Result<Names, ApiError> {
    let mut names = Names::default();
    for id in ids {
        match server.experiments.get(&server.tracking, id) {
            Ok(experiment) => {
                let form = ExperimentForm::new(&experiment);
                match name_in_runs(&experiment) {
                    Some(name) => drop(names.named.insert(name.to_owned(), form)),
                    None => names.default = Some(form),
                }
            }
            Err(error) if error.code == super::error::Code::ResourceDoesNotExist => {}
            Err(error) => return Err(error),
        }
    }
    Ok(names)
}

#[derive(Debug, Default)]
struct Names {
    default: Option<ExperimentForm>,
    named: HashMap<String, ExperimentForm>,
}

impl Names {
    fn get(&self, name: &Option<&str>) -> Option<&ExperimentForm> {
        match name {
            Some(name) => self.named.get(*name),
            None => self.default.as_ref(),
        }
    }
}

/// What a filter asks of a run.
enum Condition {
    /// In MLflow's own language.
    All(Vec<(Subject, Comparison)>),
    /// In ours, which has more to it.
    Query(Box<Query>),
}

impl Condition {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let own = || -> Result<Self, ApiError> {
            let comparisons = filter::parse(text)?.into_iter().map(|comparison| {
                let subject = Subject::named(&comparison.group, &comparison.key)?;
                subject.check(&comparison)?;
                Ok((subject, comparison))
            });
            Ok(Self::All(comparisons.collect::<Result<_, ApiError>>()?))
        };
        own().or_else(|error| match Query::parse(text) {
            Ok(query) => Ok(Self::Query(Box::new(query))),
            Err(_) => Err(error),
        })
    }

    fn holds(&self, run: &Run, experiment: &ExperimentForm) -> bool {
        match self {
            Self::All(list) => list.iter().all(|(subject, comparison)| subject.holds(comparison, run, experiment)),
            Self::Query(query) => query.matches(run),
        }
    }
}

/// What of a run is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subject {
    Metric(String),
    Param(String),
    Tag(String),
    DatasetName,
    DatasetDigest,
    DatasetContext,
    RunId,
    RunName,
    ExperimentId,
    Status,
    UserId,
    ArtifactUri,
    Stage,
    StartTime,
    EndTime,
    Duration,
}

impl Subject {
    fn named(group: &str, key: &str) -> Result<Self, ApiError> {
        let key_of = || key.to_owned();
        match group {
            "metric" | "metrics" => Ok(Self::Metric(key_of())),
            "param" | "params" | "parameter" | "parameters" => Ok(Self::Param(key_of())),
            "tag" | "tags" => Ok(Self::Tag(key_of())),
            "dataset" | "datasets" => match key {
                "name" => Ok(Self::DatasetName),
                "digest" => Ok(Self::DatasetDigest),
                "context" => Ok(Self::DatasetContext),
                _ => Err(ApiError::invalid(format!(
                    "Invalid dataset key '{key}' specified. Valid keys are '{{'name', 'digest', 'context'}}'"
                ))),
            },
            "" | "attribute" | "attributes" | "attr" | "run" => match key {
                "run_id" => Ok(Self::RunId),
                "run_name" | "run name" | "Run name" | "Run Name" => Ok(Self::RunName),
                "experiment_id" => Ok(Self::ExperimentId),
                "status" => Ok(Self::Status),
                "user_id" => Ok(Self::UserId),
                "artifact_uri" => Ok(Self::ArtifactUri),
                "lifecycle_stage" => Ok(Self::Stage),
                "start_time" | "created" | "Created" => Ok(Self::StartTime),
                "end_time" => Ok(Self::EndTime),
                "duration" => Ok(Self::Duration),
                _ => Err(ApiError::invalid(format!(
                    "Invalid attribute key '{key}' specified. Valid keys are '{{'artifact_uri', 'end_time', 'run_id', \
                     'run_name', 'start_time', 'status', 'user_id'}}'"
                ))),
            },
            _ => Err(ApiError::invalid(format!(
                "Invalid entity type '{group}'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"
            ))),
        }
    }

    fn check(&self, comparison: &Comparison) -> Result<(), ApiError> {
        match self {
            Self::Metric(_) => comparison.check_number("metric"),
            Self::StartTime | Self::EndTime | Self::Duration => comparison.check_number("attribute"),
            Self::Param(_) => comparison.check_text("param"),
            Self::Tag(_) => comparison.check_text("tag"),
            _ => comparison.check_text("attribute"),
        }
    }

    fn holds(&self, comparison: &Comparison, run: &Run, experiment: &ExperimentForm) -> bool {
        let any = |value: fn(&RunDataset) -> Option<&str>| {
            run.datasets.iter().any(|dataset| comparison.holds_text(value(dataset)))
        };
        match self {
            Self::DatasetName => any(|dataset| Some(&dataset.name)),
            Self::DatasetDigest => any(|dataset| Some(&dataset.digest)),
            Self::DatasetContext => any(|dataset| dataset.tags.get("mlflow.data.context").map(String::as_str)),
            _ => match self.value(run, experiment) {
                Value::Number(number) => comparison.holds_number(Some(number)),
                Value::Text(text) => comparison.holds_text(Some(&text)),
                Value::Nothing => comparison.holds_text(None),
            },
        }
    }

    fn value<'r>(&self, run: &'r Run, experiment: &'r ExperimentForm) -> Value<'r> {
        let text = |text: Option<&'r str>| text.map_or(Value::Nothing, |text| Value::Text(Cow::Borrowed(text)));
        let number = |number: Option<i64>| number.map_or(Value::Nothing, |number| Value::Number(number as f64));
        match self {
            Self::Metric(key) => run.metrics.get(key).map_or(Value::Nothing, |metric| Value::Number(metric.last)),
            Self::Param(key) => text(run.params.get(key).map(String::as_str)),
            Self::Tag(key) => tag_value(run, key).map_or(Value::Nothing, Value::Text),
            Self::DatasetName => text(run.datasets.first().map(|dataset| dataset.name.as_str())),
            Self::DatasetDigest => text(run.datasets.first().map(|dataset| dataset.digest.as_str())),
            Self::DatasetContext => Value::Nothing,
            Self::RunId => Value::Text(Cow::Owned(run.id.to_string())),
            Self::RunName => text(Some(&run.name)),
            Self::ExperimentId => text(Some(&experiment.experiment_id)),
            Self::Status => text(Some(status_word(run.status))),
            Self::UserId => text(Some(&run.user)),
            Self::ArtifactUri => Value::Text(Cow::Owned(artifact_uri(run, experiment))),
            Self::Stage => text(Some(super::form::stage(run.removed.is_some()))),
            Self::StartTime => number(Some(millis(run.started))),
            Self::EndTime => number(run.ended.map(millis)),
            Self::Duration => number(run.ended.map(|ended| millis(ended) - millis(run.started))),
        }
    }
}

enum Value<'r> {
    Number(f64),
    Text(Cow<'r, str>),
    Nothing,
}

/// One name of an order.
struct SortKey {
    subject: Subject,
    is_ascending: bool,
}

/// What a run is sorted by: first whether it has it at all.
enum Key {
    Number(f64),
    Text(String),
    NotANumber,
    Nothing,
}

impl SortKey {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let order = filter::parse_order(text)?;
        Ok(Self { subject: Subject::named(&order.group, &order.key)?, is_ascending: order.is_ascending })
    }

    fn key(&self, run: &Run, experiment: &ExperimentForm) -> Key {
        match self.subject.value(run, experiment) {
            Value::Number(number) if number.is_nan() => Key::NotANumber,
            Value::Number(number) => Key::Number(number),
            Value::Text(text) => Key::Text(text.into_owned()),
            Value::Nothing => Key::Nothing,
        }
    }

    /// Runs without the value come last in either direction.
    fn compare(&self, a: &Key, b: &Key) -> Ordering {
        let rank = |key: &Key| match key {
            Key::Number(_) | Key::Text(_) => 0,
            Key::NotANumber => 1,
            Key::Nothing => 2,
        };
        let order = match (a, b) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            _ => return rank(a).cmp(&rank(b)),
        };
        if self.is_ascending { order } else { order.reverse() }
    }
}
