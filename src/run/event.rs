//! Lines of the event logs: what a script writes to the file named by `GIT_ML_LOG`, and what git-ml itself notes.
//!
//! A line is a JSON object. `step`, `time`, `metrics`, `params`, `tags`, `progress` and `failure` mean something; any
//! other key with a number is a metric: `{"step": 3, "loss": 0.4}`. The tokens `NaN`, `Infinity` and `-Infinity`, as
//! Python's json writes them, are numbers. git-ml's own lines may also have the key `git_ml`.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{RunChange, RunOutput, RunStatus, plain};

/// Bytes a line may have.
pub(super) const MAX_LINE: usize = 1 << 20;
/// Bytes the name of a metric, parameter or tag may have.
const MAX_NAME: usize = 250;
/// Bytes the value of a parameter or tag may have.
const MAX_VALUE: usize = 8192;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// git-ml, in `events.jsonl`.
    Ours,
    /// The run's command, in the file named by `GIT_ML_LOG`.
    Command,
}

/// How the command ended, as its parent saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct End {
    /// When.
    pub(super) time: Timestamp,
    /// The code it exited with.
    pub(super) exit_code: Option<i32>,
    /// The signal that ended it.
    pub(super) signal: Option<String>,
    /// CPU seconds.
    pub(super) cpu_s: Option<f64>,
    /// How it ended, where somebody says so and no process was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<RunStatus>,
    /// Why it was ended, where git-ml did that.
    #[serde(default)]
    pub(super) reason: Option<String>,
}

/// How far a followed file was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Taken {
    /// An event file: so many bytes.
    Bytes(u64),
    /// A CSV log: so many rows after those that were there before the run.
    Rows(usize),
}

/// What only git-ml's own lines say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Note {
    /// An artifact that was stored for the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<RunOutput>,
    /// The command's log had so many bytes at that time: lines without a time of their own get it from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<(u64, Timestamp)>,
    /// How far a file that the command writes for another tool was taken, with what this line says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) taken: Option<(String, Taken)>,
    /// The command ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
    /// What somebody else than the command adds or changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) change: Option<Box<RunChange>>,
}

/// A line, read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) step: Option<i64>,
    pub(super) time: Option<Timestamp>,
    pub(super) metrics: Vec<(Cow<'a, str>, f64)>,
    pub(super) params: Vec<(String, String)>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) failure: Option<String>,
    pub(super) note: Option<Note>,
}

/// A line as git-ml writes it.
#[derive(Debug, Default, Serialize)]
pub(super) struct OwnLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub(super) metrics: Vec<(String, Value)>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub(super) params: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub(super) tags: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) git_ml: Option<Note>,
}

/// A number that JSON can carry whatever it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Finite(f64),
    Other(&'static str),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        match value {
            value if value.is_finite() => Self::Finite(value),
            value if value.is_nan() => Self::Other("NaN"),
            value if value > 0.0 => Self::Other("Infinity"),
            _ => Self::Other("-Infinity"),
        }
    }
}

fn as_map<V: Serialize, S: serde::Serializer>(pairs: &[(String, V)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

/// What is wrong with the name of a metric, parameter or tag.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("has an empty name"),
        _ if name.len() > MAX_NAME => Some("has a name of more than 250 bytes"),
        _ if name.chars().any(char::is_control) => Some("has a control character in its name"),
        _ => None,
    }
}

/// What is wrong with the value of a parameter or tag.
pub(super) fn value_fault(value: &str) -> Option<&'static str> {
    (value.len() > MAX_VALUE).then_some("has a value of more than 8192 bytes")
}

/// Reads a line; `Err` says what is wrong with it.
pub(super) fn parse(line: &[u8], source: Source) -> Result<Line<'_>, String> {
    if let Some(line) = plain::parse(line) {
        return Ok(line);
    }
    match parse_json(line, source) {
        Err(problem) => match quote_tokens(line) {
            // Names that borrow from the rewritten line have to be copied.
            Some(rewritten) => parse_json(&rewritten, source).map(Line::into_owned),
            None => Err(problem),
        },
        line => line,
    }
}

/// The moment that is so many seconds, or milliseconds, after 1970.
pub(super) fn time_of(number: f64) -> Option<Timestamp> {
    // In seconds, 10^11 is the year 5138; in milliseconds, 1973.
    let micros = if number.abs() < 1e11 { number * 1e6 } else { number * 1e3 };
    if micros.abs() < 9e18 { Timestamp::from_microsecond(micros.round() as i64).ok() } else { None }
}

pub(super) fn parse_json(line: &[u8], source: Source) -> Result<Line<'_>, String> {
    let mut reader = serde_json::Deserializer::from_slice(line);
    let line = LineSeed(source).deserialize(&mut reader).and_then(|line| reader.end().map(|()| line));
    line.map_err(|error| {
        let text = error.to_string();
        // The place is of no use to whoever wrote a single line.
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })
}

impl Line<'_> {
    fn into_owned(self) -> Line<'static> {
        let metrics = self.metrics.into_iter().map(|(name, value)| (Cow::Owned(name.into_owned()), value)).collect();
        Line { metrics, ..Line { metrics: Vec::new(), ..self } }
    }
}

/// The line with bare `NaN`, `Infinity` and `-Infinity` put in quotes; none if it has none.
fn quote_tokens(line: &[u8]) -> Option<Vec<u8>> {
    const TOKENS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut rewritten = Vec::with_capacity(line.len() + 16);
    let (mut in_string, mut found, mut at) = (false, false, 0);
    while at < line.len() {
        let token = TOKENS.iter().find(|token| !in_string && line[at..].starts_with(token));
        if let Some(token) = token {
            found = true;
            rewritten.push(b'"');
            rewritten.extend_from_slice(token);
            rewritten.push(b'"');
            at += token.len();
            continue;
        }
        if in_string && line[at] == b'\\' && at + 1 < line.len() {
            rewritten.push(line[at]);
            at += 1;
        } else if line[at] == b'"' {
            in_string = !in_string;
        }
        rewritten.push(line[at]);
        at += 1;
    }
    found.then_some(rewritten)
}

struct LineSeed(Source);

impl<'de> DeserializeSeed<'de> for LineSeed {
    type Value = Line<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed {
    type Value = Line<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        let mut line = Line::default();
        while let Some(Text(key)) = map.next_key()? {
            match key.as_ref() {
                "step" => line.step = Some(map.next_value::<Scalar<'_>>()?.step().ok_or_else(|| bad("`step`"))?),
                "time" => line.time = Some(map.next_value::<Scalar<'_>>()?.time().ok_or_else(|| bad("`time`"))?),
                "metrics" => map.next_value_seed(Numbers(&mut line.metrics))?,
                "params" => map.next_value_seed(Texts(&mut line.params))?,
                "tags" => map.next_value_seed(Texts(&mut line.tags))?,
                "failure" => line.failure = map.next_value::<Scalar<'_>>()?.text(),
                "progress" => drop(map.next_value::<IgnoredAny>()?),
                "git_ml" if self.0 == Source::Ours => line.note = Some(map.next_value()?),
                _ => {
                    if let Some(value) = map.next_value::<Scalar<'_>>()?.number() {
                        line.metrics.push((checked::<A::Error>(key)?, value));
                    }
                }
            }
        }
        Ok(line)
    }
}

fn bad<E: Error>(what: &str) -> E {
    E::custom(format_args!("{what} is not valid"))
}

fn checked<E: Error>(name: Cow<'_, str>) -> Result<Cow<'_, str>, E> {
    match name_fault(&name) {
        None => Ok(name),
        Some(fault) => Err(E::custom(format_args!("a value {fault}"))),
    }
}

/// The object under `metrics`: every value has to be a number.
struct Numbers<'l, 'de>(&'l mut Vec<(Cow<'de, str>, f64)>);

impl<'de> DeserializeSeed<'de> for Numbers<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Numbers<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of numbers under `metrics`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            let name = checked::<A::Error>(name)?;
            match map.next_value::<Scalar<'_>>()?.number() {
                Some(value) => self.0.push((name, value)),
                None => return Err(A::Error::custom(format_args!("metric `{name}` is not a number"))),
            }
        }
        Ok(())
    }
}

/// The object under `params` or `tags`: every value becomes text, and null is left out.
struct Texts<'l>(&'l mut Vec<(String, String)>);

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of values under `params` or `tags`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            let name = checked::<A::Error>(name)?.into_owned();
            // A list or an object, as configurations have them, is kept as its JSON.
            let text = match map.next_value::<serde_json::Value>()? {
                serde_json::Value::Null => continue,
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            if let Some(fault) = value_fault(&text) {
                return Err(A::Error::custom(format_args!("`{name}` {fault}")));
            }
            self.0.push((name, text));
        }
        Ok(())
    }
}

/// A string that borrows from the line where it can.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a key is not text")),
        }
    }
}

/// Any value, of which only numbers and text are kept.
enum Scalar<'de> {
    Number(f64),
    Whole(i64),
    Text(Cow<'de, str>),
    Other,
}

impl Scalar<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Whole(value) => Some(*value as f64),
            Self::Text(text) => match text.as_ref() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            },
            Self::Other => None,
        }
    }

    fn step(&self) -> Option<i64> {
        match self {
            Self::Whole(step) => Some(*step),
            Self::Number(step) if step.fract() == 0.0 && step.abs() < 9e15 => Some(*step as i64),
            _ => None,
        }
    }

    /// Seconds or milliseconds since 1970, or RFC 3339.
    fn time(&self) -> Option<Timestamp> {
        let seconds = match self {
            Self::Text(text) => return text.parse().ok(),
            Self::Other => return None,
            Self::Number(value) => *value,
            Self::Whole(value) => *value as f64,
        };
        time_of(seconds)
    }

    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;

        impl<'de> Visitor<'de> for AnyScalar {
            type Value = Scalar<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a value")
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Number(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Whole(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Whole))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_bool<E: Error>(self, _value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Scalar::Other)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                IgnoredAny.visit_seq(list).map(|_| Scalar::Other)
            }
        }

        deserializer.deserialize_any(AnyScalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Line<'_> {
        parse(line.as_bytes(), Source::Command).unwrap()
    }

    fn metrics(line: &str) -> Vec<(String, f64)> {
        parsed(line).metrics.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }

    #[test]
    fn numbers_under_any_key_are_metrics() {
        let line = parsed(r#"{"step": 3, "loss": 0.4, "n": 7, "msg": "hi", "ok": true, "x": null, "l": [1, {}]}"#);
        assert_eq!(line.step, Some(3));
        assert_eq!(line.metrics, [("loss".into(), 0.4), ("n".into(), 7.0)]);
    }

    #[test]
    fn groups_times_and_failures_are_read() {
        let line = parsed(
            r#"{"time": 1763712000.25, "metrics": {"a\u0062": 1}, "params": {"lr": 0.1, "opt": "adam", "none": null,
               "layers": [1, 2]}, "tags": {"good": true}, "progress": {"epoch": 1}, "failure": "no data"}"#,
        );
        assert_eq!(line.time.unwrap().to_string(), "2025-11-21T08:00:00.25Z");
        assert_eq!(line.metrics, [("ab".into(), 1.0)]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(line.params, [pair("lr", "0.1"), pair("opt", "adam"), pair("layers", "[1,2]")]);
        assert_eq!(line.tags, [pair("good", "true")]);
        assert_eq!(line.failure.as_deref(), Some("no data"));
        let times = [r#"{"time": 1763712000250}"#, r#"{"time": "2025-11-21T08:00:00.25Z"}"#];
        assert!(times.iter().all(|other| parsed(other).time == line.time));
    }

    #[test]
    fn pythons_tokens_are_numbers_outside_of_strings() {
        let found = metrics(r#"{"a": NaN, "b": Infinity, "c": -Infinity, "d \" NaN": 1, "metrics": {"e": NaN}}"#);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d \" NaN", "e"]);
        assert!(found[0].1.is_nan() && found[4].1.is_nan());
        assert_eq!((found[1].1, found[2].1, found[3].1), (f64::INFINITY, f64::NEG_INFINITY, 1.0));
    }

    #[test]
    fn lines_that_are_not_right_are_errors_in_few_words() {
        let error = |line: &str| parse(line.as_bytes(), Source::Command).unwrap_err();
        assert_eq!(error("[1]"), "invalid type: sequence, expected a JSON object");
        assert_eq!(error(r#"{"step": "x"}"#), "`step` is not valid");
        assert_eq!(error(r#"{"metrics": {"a": "high"}}"#), "metric `a` is not a number");
        assert_eq!(error(r#"{"a\nb": 1}"#), "a value has a control character in its name");
        assert!(error(&format!("{{\"{}\": 1}}", "x".repeat(251))).contains("250 bytes"));
        assert!(error(r#"{"loss": 1"#).starts_with("EOF while parsing"));
        assert!(error(&"[".repeat(100_000)).len() < 200);
        assert!(parse(b"{\"\xff\": 1}", Source::Command).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "\\", "NaN", "-Infinity", "1e999", "-1", "0.5", "\"step\"", "\"time\"", "\"metrics\"",
            "\"params\"", "\"git_ml\"", "\"mark\"", "null", "true", " ", "\u{e9}", "\\ud800", "99999999999999999999",
        ]), 0..30)) {
            let line = pieces.concat();
            let _ = parse(line.as_bytes(), Source::Ours);
            let _ = parse(format!("{{{line}}}").as_bytes(), Source::Command);
        }
    }

    #[test]
    fn a_command_cannot_write_our_notes() {
        let line = serde_json::to_string(&OwnLine {
            metrics: vec![("a".to_owned(), f64::NAN.into())],
            git_ml: Some(Note { mark: Some((7, Timestamp::UNIX_EPOCH)), ..Note::default() }),
            ..OwnLine::default()
        });
        let line = line.unwrap();
        let ours = parse(line.as_bytes(), Source::Ours).unwrap();
        assert_eq!(ours.note.unwrap().mark, Some((7, Timestamp::UNIX_EPOCH)));
        assert!(ours.metrics[0].1.is_nan());
        assert_eq!(parse(line.as_bytes(), Source::Command).unwrap().note, None);
    }
}
