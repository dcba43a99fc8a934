//! What somebody else adds to a run or changes in it, such as a client of a server, as a line of the event log.

use jiff::Timestamp;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

use super::{Point, RunDataset, RunStatus};

/// What is added to a run, or changed in it, in one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunChange {
    /// Parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<(String, String)>,
    /// Tags that are set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// Tags that are taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untagged: Vec<String>,
    /// Points of metrics, each metric's in the order in which they were logged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<(String, Vec<LoggedPoint>)>,
    /// Data that the run read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<RunDataset>,
    /// Another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another note; an empty one takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The experiment it belongs to from now on; empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How it stands from now on. `Running` opens a run again that had ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// When it ended, with a status that is an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Whether it is hidden from the lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<bool>,
    /// Why it failed, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A point as a line of the event log has it: step, microseconds since 1970, and the value as text, since that is read
/// to the last bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedPoint(pub Point);

impl Serialize for LoggedPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Shown(f64);

        impl Serialize for Shown {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // The shortest text that is read as the same number.
                serializer.collect_str(&format_args!("{:?}", self.0))
            }
        }

        let Point { step, time, value } = self.0;
        (step, time.as_microsecond(), Shown(value)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LoggedPoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (step, time, value) = <(i64, i64, &str)>::deserialize(deserializer)?;
        let time = Timestamp::from_microsecond(time).map_err(D::Error::custom)?;
        let value = value.parse().map_err(D::Error::custom)?;
        Ok(Self(Point { step, time, value }))
    }
}

impl RunChange {
    /// Adds a point; points of one metric that follow each other are kept together.
    pub fn add_point(&mut self, metric: &str, point: Point) {
        match self.points.last_mut() {
            Some((name, points)) if name == metric => points.push(LoggedPoint(point)),
            _ => self.points.push((metric.to_owned(), vec![LoggedPoint(point)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_was_written_to_the_last_bit() {
        let mut change = RunChange { name: Some("ä \"b\"".to_owned()), removed: Some(false), ..RunChange::default() };
        change.tags.push(("a".to_owned(), "b\nc".to_owned()));
        for (step, value) in [0.1 + 0.2, 1e-310, f64::MAX, -0.0, f64::INFINITY, f64::NEG_INFINITY].iter().enumerate() {
            let time = Timestamp::from_microsecond(1_763_712_000_123_456).unwrap();
            change.add_point("loss", Point { step: step as i64, time, value: *value });
        }
        change.add_point("accuracy", Point { step: -1, time: Timestamp::UNIX_EPOCH, value: 0.5 });
        let line = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<RunChange>(&line).unwrap(), change);
        assert!(line.contains(r#"["accuracy",[[-1,0,"0.5"]]]"#), "{line}");
        let nan: RunChange = serde_json::from_str(r#"{"points": [["a", [[0, 0, "NaN"]]]]}"#).unwrap();
        assert!(nan.points[0].1[0].0.value.is_nan());
    }
}
