//! What a query can ask of a run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::fact::Fact;
use super::nearest::{nearest, shown};
use crate::run::{MetricSummary, Run, smaller_is_better};

/// A value of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Field {
    /// A metric, by its name, and which number of it.
    Metric(String, Aspect),
    Param(String),
    Tag(String),
    Attribute(Attribute),
    /// What only a version of the registry has.
    Fact(Fact),
}

/// A number that a metric's points come down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Aspect {
    Last,
    Min,
    Max,
    /// The smallest or the largest, as the metric's name tells.
    Best,
    BestStep,
    Count,
}

/// A value that every run has, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Attribute {
    Id,
    Name,
    Status,
    Experiment,
    User,
    Host,
    Branch,
    Commit,
    Snapshot,
    Command,
    Signal,
    Reason,
    Note,
    Dirty,
    Started,
    Ended,
    Removed,
    Duration,
    CpuSeconds,
    ExitCode,
    Seed,
    Input,
    Output,
    DatasetName,
    DatasetDigest,
    DatasetContext,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    Number,
    /// Text that may be a number, as parameters are.
    Text,
    /// Text of which a beginning is enough.
    Hash,
    /// The id of a commit, which can also be in a range of them.
    Commit,
    /// One of the words for a run's status.
    Status,
    Seconds,
    Moment,
    Truth,
    /// Several artifacts, each with a path or name, and an id.
    Artifacts,
    /// Texts of several data sets.
    Texts,
}

/// A run's value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'r> {
    Number(f64),
    Text(Cow<'r, str>),
    Moment(Timestamp),
    Truth(bool),
    /// Several things, each of which may fit.
    Items(Vec<Item<'r>>),
}

/// One of several things that a run has of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item<'r> {
    /// What it is called.
    pub(crate) names: Vec<Cow<'r, str>>,
    /// Its id, of which a beginning is enough; empty where it has none.
    pub(crate) id: Cow<'r, str>,
}

impl Value<'_> {
    /// Whether it counts as no value.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Items(items) if items.is_empty())
    }

    /// The same, borrowed from nothing.
    pub(crate) fn into_owned(self) -> Value<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Number(value) => Value::Number(value),
            Self::Text(text) => Value::Text(owned(text)),
            Self::Moment(time) => Value::Moment(time),
            Self::Truth(value) => Value::Truth(value),
            Self::Items(items) => {
                let item =
                    |item: Item<'_>| Item { names: item.names.into_iter().map(owned).collect(), id: owned(item.id) };
                Value::Items(items.into_iter().map(item).collect())
            }
        }
    }
}

/// Every attribute's name, ours first, MLflow's after it.
const ATTRIBUTES: [(&str, Attribute); 37] = [
    ("id", Attribute::Id),
    ("run_id", Attribute::Id),
    ("name", Attribute::Name),
    ("run_name", Attribute::Name),
    ("status", Attribute::Status),
    ("experiment", Attribute::Experiment),
    ("user", Attribute::User),
    ("user_id", Attribute::User),
    ("author", Attribute::User),
    ("host", Attribute::Host),
    ("branch", Attribute::Branch),
    ("commit", Attribute::Commit),
    ("snapshot", Attribute::Snapshot),
    ("command", Attribute::Command),
    ("signal", Attribute::Signal),
    ("reason", Attribute::Reason),
    ("note", Attribute::Note),
    ("dirty", Attribute::Dirty),
    ("started", Attribute::Started),
    ("start_time", Attribute::Started),
    ("created", Attribute::Started),
    ("ended", Attribute::Ended),
    ("end_time", Attribute::Ended),
    ("removed", Attribute::Removed),
    ("duration", Attribute::Duration),
    ("duration_s", Attribute::Duration),
    ("cpu_s", Attribute::CpuSeconds),
    ("exit_code", Attribute::ExitCode),
    ("seed", Attribute::Seed),
    ("input", Attribute::Input),
    ("inputs", Attribute::Input),
    ("output", Attribute::Output),
    ("outputs", Attribute::Output),
    ("dataset.name", Attribute::DatasetName),
    ("dataset.digest", Attribute::DatasetDigest),
    ("dataset.context", Attribute::DatasetContext),
    ("dataset", Attribute::DatasetName),
];

/// What may stand before a point.
const GROUPS: [&str; 4] = ["metrics", "params", "tags", "attributes"];

/// What a data set is used for, in a tag that MLflow's clients set.
const CONTEXT: &str = "mlflow.data.context";

/// The numbers of a metric that a query asks for as `max(metrics.x)`.
const ASPECTS: [(&str, Aspect); 6] = [
    ("last", Aspect::Last),
    ("min", Aspect::Min),
    ("max", Aspect::Max),
    ("best", Aspect::Best),
    ("best_step", Aspect::BestStep),
    ("count", Aspect::Count),
];

impl Aspect {
    /// The number that a word asks for.
    pub(super) fn named(word: &str) -> Option<Self> {
        ASPECTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, aspect)| *aspect)
    }

    fn of(self, name: &str, metric: &MetricSummary) -> f64 {
        match self {
            Self::Last => metric.last,
            Self::Min => metric.min,
            Self::Max => metric.max,
            Self::Best if smaller_is_better(name) => metric.min,
            Self::Best => metric.max,
            Self::BestStep => metric.best_step as f64,
            Self::Count => metric.count as f64,
        }
    }
}

impl Attribute {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let first = |at: usize| ATTRIBUTES[..at].iter().all(|(_, attribute)| *attribute != ATTRIBUTES[at].1);
        (0..ATTRIBUTES.len()).filter(move |at| first(*at)).map(|at| ATTRIBUTES[at].1)
    }

    /// The name that we give it.
    pub(crate) fn name(self) -> &'static str {
        ATTRIBUTES.iter().find(|(_, attribute)| *attribute == self).map(|(name, _)| *name).unwrap_or_default()
    }

    /// The run's value; none where it has none.
    pub(crate) fn of(self, run: &Run) -> Option<Value<'_>> {
        fn text(text: &str) -> Option<Value<'_>> {
            Some(Value::Text(Cow::Borrowed(text)))
        }
        let owned = |text: String| Some(Value::Text(Cow::Owned(text)));
        let texts = |text: &dyn Fn(&crate::run::RunDataset) -> Option<String>| {
            let item = |text: String| Item { names: vec![Cow::Owned(text)], id: Cow::Borrowed("") };
            let items: Vec<Item<'_>> = run.datasets.iter().filter_map(text).map(item).collect();
            (!items.is_empty()).then_some(Value::Items(items))
        };
        match self {
            Self::Id => owned(run.id.to_string()),
            Self::Name => text(&run.name),
            Self::Status => text(run.status.as_str()),
            Self::Experiment => text(run.experiment.as_deref()?),
            Self::User => text(&run.user),
            Self::Host => text(&run.host),
            Self::Branch => text(run.branch.as_deref()?),
            Self::Commit => owned(run.commit?.to_string()),
            Self::Snapshot => owned(run.snapshot?.to_string()),
            Self::Command => owned(run.command.join(" ")),
            Self::Signal => text(run.signal.as_deref()?),
            Self::Reason => text(run.reason.as_deref()?),
            Self::Note => text(run.note.as_deref()?),
            Self::Dirty => Some(Value::Truth(run.dirty)),
            Self::Started => Some(Value::Moment(run.started)),
            Self::Ended => run.ended.map(Value::Moment),
            Self::Removed => run.removed.map(Value::Moment),
            Self::Duration => run.duration_s.map(Value::Number),
            Self::CpuSeconds => run.cpu_s.map(Value::Number),
            Self::ExitCode => run.exit_code.map(|code| Value::Number(code.into())),
            Self::Seed => run.seed.map(|seed| Value::Number(seed as f64)),
            Self::Input => {
                let item = |input: &crate::run::RunInput| Item {
                    names: vec![Cow::Owned(input.path.to_string()), Cow::Owned(input.name.clone())],
                    id: Cow::Owned(input.id.to_string()),
                };
                Some(Value::Items(run.inputs.iter().map(item).collect())).filter(|items| !items.is_null())
            }
            Self::Output => {
                let item = |output: &crate::run::RunOutput| Item {
                    names: vec![Cow::Owned(output.name.clone())],
                    id: Cow::Owned(output.id.to_string()),
                };
                Some(Value::Items(run.outputs.iter().map(item).collect())).filter(|items| !items.is_null())
            }
            Self::DatasetName => texts(&|dataset| Some(dataset.name.clone())),
            Self::DatasetDigest => texts(&|dataset| Some(dataset.digest.clone())),
            Self::DatasetContext => texts(&|dataset| dataset.tags.get(CONTEXT).cloned()),
        }
    }
}

impl Field {
    /// The field that a word names, with the key where that was quoted; or what is wrong.
    pub(super) fn named(word: &str, quoted: Option<&str>) -> Result<Self, String> {
        let Some((group, key)) = word.split_once('.') else {
            return attribute(word);
        };
        // `metrics.a."b c"` is the key `a.b c`.
        let key = format!("{key}{}", quoted.unwrap_or_default());
        if key.is_empty() {
            return Err(format!("`{group}.` needs a name after the point"));
        }
        match group.to_ascii_lowercase().as_str() {
            "metric" | "metrics" => Ok(Self::Metric(key, Aspect::Last)),
            "param" | "params" | "parameter" | "parameters" => Ok(Self::Param(key)),
            "tag" | "tags" => Ok(Self::Tag(key)),
            "attribute" | "attributes" | "attr" | "run" => attribute(&key),
            "dataset" | "datasets" => match key.to_ascii_lowercase().as_str() {
                "name" => Ok(Self::Attribute(Attribute::DatasetName)),
                "digest" => Ok(Self::Attribute(Attribute::DatasetDigest)),
                "context" => Ok(Self::Attribute(Attribute::DatasetContext)),
                _ => Err("of a data set there are `dataset.name`, `dataset.digest` and `dataset.context`".to_owned()),
            },
            group => Err(match nearest(group, &GROUPS) {
                Some(near) => format!("there is no `{}.`, did you mean `{near}.`,", shown(group)),
                None => format!("there is no `{}.`: use metrics., params., tags. or attributes.", shown(group)),
            }),
        }
    }

    pub(super) fn kind(&self) -> FieldKind {
        let attribute = match self {
            Self::Metric(..) => return FieldKind::Number,
            Self::Param(_) | Self::Tag(_) => return FieldKind::Text,
            Self::Fact(fact) => return fact.kind(),
            Self::Attribute(attribute) => attribute,
        };
        match attribute {
            Attribute::ExitCode | Attribute::Seed => FieldKind::Number,
            Attribute::Name
            | Attribute::Experiment
            | Attribute::User
            | Attribute::Host
            | Attribute::Branch
            | Attribute::Command
            | Attribute::Signal
            | Attribute::Reason
            | Attribute::Note => FieldKind::Text,
            Attribute::Id => FieldKind::Hash,
            Attribute::Commit | Attribute::Snapshot => FieldKind::Commit,
            Attribute::Status => FieldKind::Status,
            Attribute::Dirty => FieldKind::Truth,
            Attribute::Started | Attribute::Ended | Attribute::Removed => FieldKind::Moment,
            Attribute::Duration | Attribute::CpuSeconds => FieldKind::Seconds,
            Attribute::Input | Attribute::Output => FieldKind::Artifacts,
            Attribute::DatasetName | Attribute::DatasetDigest | Attribute::DatasetContext => FieldKind::Texts,
        }
    }

    /// The number of a metric that a version was registered with; none for other fields, and where it has no such metric.
    pub(crate) fn of_metrics(&self, metrics: &BTreeMap<String, MetricSummary>) -> Option<Value<'static>> {
        match self {
            Self::Metric(key, aspect) => metrics.get(key).map(|metric| Value::Number(aspect.of(key, metric))),
            _ => None,
        }
    }

    /// Whether a run that has none of them is still known to have none.
    pub(crate) fn is_of_artifacts(&self) -> bool {
        self.kind() == FieldKind::Artifacts
    }

    /// The run's value; none where it has none.
    pub(crate) fn of<'r>(&self, run: &'r Run) -> Option<Value<'r>> {
        match self {
            Self::Metric(key, aspect) => run.metrics.get(key).map(|metric| Value::Number(aspect.of(key, metric))),
            Self::Param(key) => run.params.get(key).map(|text| Value::Text(Cow::Borrowed(text))),
            Self::Tag(key) => run.tags.get(key).map(|text| Value::Text(Cow::Borrowed(text))),
            Self::Attribute(attribute) => attribute.of(run),
            Self::Fact(_) => None,
        }
    }
}

fn attribute(word: &str) -> Result<Field, String> {
    // MLflow's own columns are called `Run Name` and `Created`.
    let name = word.replace(' ', "_").to_ascii_lowercase();
    if let Some((_, attribute)) = ATTRIBUTES.iter().find(|(known, _)| *known == name) {
        return Ok(Field::Attribute(*attribute));
    }
    let shown = shown(word);
    match nearest(word, &ATTRIBUTES.map(|(name, _)| name)) {
        Some(near) => Err(format!("there is no attribute `{shown}`, did you mean `{near}`,")),
        None => {
            Err(format!("there is no attribute `{shown}` (metrics are `metrics.{shown}`, parameters `params.{shown}`)"))
        }
    }
}

/// As a query spells it: what this prints, [`Field::named`] reads.
impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(key, Aspect::Last) => formatter.write_str(&spelled("metrics", key)),
            Self::Metric(key, aspect) => {
                let name = ASPECTS.iter().find(|(_, known)| known == aspect).map(|(name, _)| *name);
                write!(formatter, "{}({})", name.unwrap_or_default(), spelled("metrics", key))
            }
            Self::Param(key) => formatter.write_str(&spelled("params", key)),
            Self::Tag(key) => formatter.write_str(&spelled("tags", key)),
            Self::Attribute(attribute) => formatter.write_str(attribute.name()),
            Self::Fact(fact) => fact.fmt(formatter),
        }
    }
}

/// A key of a group as a query spells it, in quotes where that is needed.
pub(super) fn spelled(group: &str, key: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._/:-".contains(c);
    match key.chars().all(plain) {
        true => format!("{group}.{key}"),
        false => format!("{group}.\"{}\"", key.replace('"', "\"\"")),
    }
}
