//! Files of other tools: readers of what they log to, which take bytes and give values.
//!
//! None of them opens a file. A reader is fed a file's bytes in pieces, as the file grows, and remembers where it is: a
//! record whose end is not there yet waits for it, and is no error. What is damaged costs itself.
//!
//! Architecture invariant: whatever the bytes are, a reader ends, does not panic, and holds no more than a record's bound.

pub mod csv_log;
pub mod tensorboard;
pub mod tfrecord;
pub mod wandb;
mod wire;

use jiff::Timestamp;

/// Bytes that a record may have; a longer one is passed over.
pub const MAX_RECORD: usize = 16 << 20;
/// Names of metrics that a reader remembers.
const MAX_NAMES: usize = 10_000;

/// What a reader found, beside what it gave out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records whose checksum is wrong, or that do not decode.
    pub damaged: u64,
    /// Records that are longer than [`MAX_RECORD`].
    pub too_long: u64,
    /// Whether the rest of the file cannot be read, because where a record begins is not known any more.
    pub lost: bool,
}

impl Losses {
    /// What was lost, in words; none where nothing was.
    pub fn words(&self) -> Option<String> {
        let records = |number| match number {
            1 => "1 record is".to_owned(),
            number => format!("{number} records are"),
        };
        let mut words = Vec::new();
        if self.damaged > 0 {
            words.push(format!("{} damaged", records(self.damaged)));
        }
        if self.too_long > 0 {
            words.push(format!("{} too long", records(self.too_long)));
        }
        if self.lost {
            words.push("the rest does not read".to_owned());
        }
        (!words.is_empty()).then(|| words.join(", "))
    }
}

/// The moment that is so many seconds after 1970, to the microsecond; the nearest that there is.
pub fn moment(seconds: f64) -> Timestamp {
    // The conversion of NaN gives 0, and bounds what is too large.
    let microseconds = (seconds * 1e6).round() as i64;
    Timestamp::from_microsecond(microseconds).unwrap_or(if seconds > 0.0 { Timestamp::MAX } else { Timestamp::MIN })
}

/// How JSON and YAML values read as parameters: text as it is, the rest as JSON.
pub fn plain_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The leaves of nested objects, by their keys with `separator` between them. Lists are leaves.
pub fn flatten(value: &serde_json::Value, separator: &str, each: &mut dyn FnMut(String, &serde_json::Value)) {
    fn go(value: &serde_json::Value, path: &str, separator: &str, each: &mut dyn FnMut(String, &serde_json::Value)) {
        match value {
            serde_json::Value::Object(members) if path.is_empty() || !members.is_empty() => {
                for (key, member) in members {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}{separator}{key}") };
                    go(member, &path, separator, each);
                }
            }
            leaf => each(path.to_owned(), leaf),
        }
    }
    go(value, "", separator, each);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_exact_to_the_microsecond_and_never_out_of_bounds() {
        assert_eq!(moment(1_585_769_947.25).to_string(), "2020-04-01T19:39:07.25Z");
        assert_eq!(moment(f64::NAN), Timestamp::UNIX_EPOCH);
        assert_eq!((moment(1e300), moment(-1e300)), (Timestamp::MAX, Timestamp::MIN));
    }

    #[test]
    fn nested_values_are_flattened() {
        let value = serde_json::json!({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}], "f": "text", "g": null});
        let mut leaves = Vec::new();
        flatten(&value, "/", &mut |name, value| leaves.push(format!("{name}={}", plain_text(value))));
        assert_eq!(leaves, ["a/b=1", "a/c={}", "d=[1,{\"e\":2}]", "f=text", "g=null"]);
    }
}
