//! What came of a gate, as data and in words.

use std::fmt;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::query::{Found, Value};
use crate::words::printable;

/// What came of a gate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The gate.
    pub gate: String,
    /// What it was asked about: `digits@v3`, or a run's name.
    pub subject: String,
    /// Whether every condition holds.
    pub passed: bool,
    /// The conditions, in the order of `ml.toml`.
    pub conditions: Vec<Checked>,
}

/// A condition, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// The condition as it was written.
    pub condition: String,
    /// Whether it holds.
    pub passed: bool,
    /// Whether that is known; what is not known does not pass.
    pub known: bool,
    /// What was looked at for it.
    pub looked: Vec<Looked>,
}

/// One thing that a condition asks for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Looked {
    /// What it is: `metrics.test_accuracy`, `alias.production`, `verified`.
    pub what: String,
    /// Its value: a number, a truth, a text or a list of names; null where there is none.
    pub value: Json,
    /// Where the value came from.
    pub origin: Origin,
    /// Why there is no value, or what else is to be said of it.
    pub reason: Option<String>,
}

/// Where a value came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The run's name.
    pub run: Option<String>,
    /// The version: `digits@v3`.
    pub version: Option<String>,
    /// The file that has it, as git names it: `refs/ml/registry:digits/versions/3.toml`.
    pub file: Option<String>,
}

impl Outcome {
    /// The conditions that do not hold.
    pub fn failed(&self) -> impl Iterator<Item = &Checked> {
        self.conditions.iter().filter(|checked| !checked.passed)
    }
}

impl From<Found<Origin>> for Looked {
    fn from(found: Found<Origin>) -> Self {
        let Found { what, value, origin, reason } = found;
        Self { what, value: value.as_ref().map_or(Json::Null, json_of), origin, reason }
    }
}

impl Looked {
    /// Something of which nothing is known.
    pub(super) fn unknown(what: &str, reason: &str) -> Self {
        let reason = Some(reason.to_owned());
        Self { what: what.to_owned(), value: Json::Null, origin: Origin::default(), reason }
    }
}

fn json_of(value: &Value<'_>) -> Json {
    match value {
        // What JSON has no number for is text.
        Value::Number(value) if !value.is_finite() => json!(value.to_string().replace("inf", "Infinity")),
        Value::Number(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::Moment(time) => json!(time),
        Value::Truth(truth) => json!(truth),
        Value::Items(items) => json!(items.iter().filter_map(|item| item.names.first()).collect::<Vec<_>>()),
    }
}

/// The condition, what was found and where: `metrics.a >= 0.97: metrics.a is 0.95 (digits@v3, run brave-otter-12)`.
impl fmt::Display for Checked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", printable(&self.condition))?;
        for (index, looked) in self.looked.iter().enumerate() {
            write!(formatter, "{} {looked}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Looked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = printable(&self.what);
        match (&self.value, &self.reason) {
            (Json::Null, Some(reason)) => return write!(formatter, "{}", printable(reason)),
            (Json::Null, None) => write!(formatter, "there is no {what}")?,
            (Json::Bool(true), None) => write!(formatter, "it is {what}")?,
            (Json::Bool(false), None) => write!(formatter, "it is not {what}")?,
            (Json::Bool(_), Some(reason)) => return write!(formatter, "{}", printable(reason)),
            (Json::String(text), _) => write!(formatter, "{what} is {}", printable(text))?,
            (value, _) => write!(formatter, "{what} is {value}")?,
        }
        let Origin { run, version, file } = &self.origin;
        let run = run.as_ref().map(|run| format!("run {}", printable(run)));
        let places: Vec<String> = version.iter().cloned().chain(run).chain(file.iter().cloned()).collect();
        match places.as_slice() {
            [] => Ok(()),
            places => write!(formatter, " ({})", places.join(", ")),
        }
    }
}
