//! What a query can ask of a run.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;

use crate::run::Run;

/// A value of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Field {
    Metric(String),
    Param(String),
    Tag(String),
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
    Dirty,
    Started,
    Ended,
    Duration,
    CpuSeconds,
    ExitCode,
    Seed,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    Number,
    /// Text that may be a number, as parameters are.
    Text,
    /// Text of which a beginning is enough.
    Hash,
    /// One of the words for a run's status.
    Status,
    Seconds,
    Moment,
    Truth,
}

/// A run's value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found<'r> {
    Number(f64),
    Text(Cow<'r, str>),
    Moment(Timestamp),
    Truth(bool),
}

impl Found<'_> {
    pub(super) fn is_comparable(&self) -> bool {
        !matches!(self, Self::Number(value) if value.is_nan())
    }
}

/// Every attribute's name, ours first, MLflow's after it.
const ATTRIBUTES: [(&str, Field); 26] = [
    ("id", Field::Id),
    ("run_id", Field::Id),
    ("name", Field::Name),
    ("run_name", Field::Name),
    ("status", Field::Status),
    ("experiment", Field::Experiment),
    ("user", Field::User),
    ("user_id", Field::User),
    ("host", Field::Host),
    ("branch", Field::Branch),
    ("commit", Field::Commit),
    ("snapshot", Field::Snapshot),
    ("command", Field::Command),
    ("signal", Field::Signal),
    ("reason", Field::Reason),
    ("dirty", Field::Dirty),
    ("started", Field::Started),
    ("start_time", Field::Started),
    ("created", Field::Started),
    ("ended", Field::Ended),
    ("end_time", Field::Ended),
    ("duration", Field::Duration),
    ("duration_s", Field::Duration),
    ("cpu_s", Field::CpuSeconds),
    ("exit_code", Field::ExitCode),
    ("seed", Field::Seed),
];

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
            "metric" | "metrics" => Ok(Self::Metric(key)),
            "param" | "params" | "parameter" | "parameters" => Ok(Self::Param(key)),
            "tag" | "tags" => Ok(Self::Tag(key)),
            "attribute" | "attributes" | "attr" | "run" => attribute(&key),
            _ => Err(format!("there is no `{group}.`: use metrics., params., tags. or attributes.")),
        }
    }

    pub(super) fn kind(&self) -> FieldKind {
        match self {
            Self::Metric(_) | Self::ExitCode | Self::Seed => FieldKind::Number,
            Self::Param(_)
            | Self::Tag(_)
            | Self::Name
            | Self::Experiment
            | Self::User
            | Self::Host
            | Self::Branch
            | Self::Command
            | Self::Signal
            | Self::Reason => FieldKind::Text,
            Self::Id | Self::Commit | Self::Snapshot => FieldKind::Hash,
            Self::Status => FieldKind::Status,
            Self::Dirty => FieldKind::Truth,
            Self::Started | Self::Ended => FieldKind::Moment,
            Self::Duration | Self::CpuSeconds => FieldKind::Seconds,
        }
    }

    /// The run's value; none where it has none.
    pub(super) fn of<'r>(&self, run: &'r Run) -> Option<Found<'r>> {
        let text = |text: &'r str| Some(Found::Text(Cow::Borrowed(text)));
        let owned = |text: String| Some(Found::Text(Cow::Owned(text)));
        match self {
            Self::Metric(key) => run.metrics.get(key).map(|metric| Found::Number(metric.last)),
            Self::Param(key) => text(run.params.get(key)?),
            Self::Tag(key) => text(run.tags.get(key)?),
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
            Self::Dirty => Some(Found::Truth(run.dirty)),
            Self::Started => Some(Found::Moment(run.started)),
            Self::Ended => run.ended.map(Found::Moment),
            Self::Duration => run.duration_s.map(Found::Number),
            Self::CpuSeconds => run.cpu_s.map(Found::Number),
            Self::ExitCode => run.exit_code.map(|code| Found::Number(code.into())),
            Self::Seed => run.seed.map(|seed| Found::Number(seed as f64)),
        }
    }
}

fn attribute(word: &str) -> Result<Field, String> {
    let word_is = |name: &str| name.eq_ignore_ascii_case(word);
    if let Some((_, field)) = ATTRIBUTES.iter().find(|(name, _)| word_is(name)) {
        return Ok(field.clone());
    }
    let shown: String = word.escape_debug().take(60).collect();
    let distance = |name: &str| strsim::damerau_levenshtein(&word.to_ascii_lowercase(), name);
    match ATTRIBUTES.iter().map(|(name, _)| (distance(name), name)).min() {
        Some((distance, name)) if distance <= 2 && word.len() < 20 => {
            Err(format!("there is no attribute `{shown}`, did you mean `{name}`,"))
        }
        _ => {
            Err(format!("there is no attribute `{shown}` (metrics are `metrics.{shown}`, parameters `params.{shown}`)"))
        }
    }
}

/// As a query spells it: what this prints, [`Field::named`] reads.
impl fmt::Display for Field {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, key) = match self {
            Self::Metric(key) => ("metrics", key),
            Self::Param(key) => ("params", key),
            Self::Tag(key) => ("tags", key),
            attribute => {
                let name = ATTRIBUTES.iter().find(|(_, field)| field == attribute).map(|(name, _)| *name);
                return formatter.write_str(name.unwrap_or_default());
            }
        };
        let plain = |c: char| c.is_alphanumeric() || "._/:-".contains(c);
        match key.chars().all(plain) {
            true => write!(formatter, "{group}.{key}"),
            false => write!(formatter, "{group}.\"{}\"", key.replace('"', "\"\"")),
        }
    }
}
