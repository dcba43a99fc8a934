//! Versions and models: the files of the registry's tree.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{ArtifactId, CommitId, RunId};
use crate::run::MetricSummary;

use super::{DataFacts, ModelAbout, VersionAbout};

/// One version of a model: what `<model>/versions/<n>.toml` keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The model.
    pub model: String,
    /// The number, from 1.
    pub version: u64,
    /// The artifact.
    pub id: ArtifactId,
    /// The artifact's type.
    #[serde(rename = "type")]
    pub artifact_type: String,
    /// The run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The commit that holds the code of that run, or HEAD where the artifact was tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// When it was registered.
    pub registered: Timestamp,
    /// By whom: `Name <address>`.
    pub by: String,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where MLflow's client said that it comes from, as a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What was known of its data at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataFacts>,
    /// What the user said of the artifact at that moment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
    /// The run's metrics at that moment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, MetricSummary>,
}

impl Version {
    /// How people name it: `digits@v3`.
    pub fn label(&self) -> String {
        format!("{}@v{}", self.model, self.version)
    }

    /// Reads a version's file, which has to be about `version` of `model`.
    pub(super) fn parse(bytes: &[u8], model: &str, version: u64) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let record: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if record.model != model || record.version != version {
            let place = format!("{}@v{}", super::names::escape(&record.model), record.version);
            return Err(format!("it says that it is {place}"));
        }
        Ok(record)
    }

    /// The file's content.
    pub(super) fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }
}

/// A model with its aliases.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
    /// Its aliases and the versions they point to.
    pub aliases: BTreeMap<String, u64>,
    /// What is said about it.
    pub about: ModelAbout,
    /// What is said about its versions, where something is.
    pub about_versions: BTreeMap<u64, VersionAbout>,
}

impl Model {
    /// The aliases that point to `version`.
    pub fn aliases_of(&self, version: u64) -> Vec<&str> {
        self.aliases.iter().filter(|(_, target)| **target == version).map(|(alias, _)| alias.as_str()).collect()
    }

    /// What is said about a version.
    pub fn about_version(&self, version: u64) -> VersionAbout {
        self.about_versions.get(&version).cloned().unwrap_or_default()
    }

    /// The remark about a version: what was said last.
    pub fn note_of<'a>(&'a self, version: &'a Version) -> Option<&'a str> {
        let said = self.about_versions.get(&version.version).and_then(|about| about.description.as_deref());
        said.or(version.note.as_deref()).filter(|note| !note.is_empty())
    }

    /// The number of the next version.
    pub fn next_number(&self) -> u64 {
        let newest = self.versions.last().map_or(0, |newest| newest.version);
        newest.max(self.about.removed.iter().copied().max().unwrap_or(0)).saturating_add(1)
    }

    /// The version with the highest number.
    pub fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    /// The version with this number.
    pub fn find(&self, version: u64) -> Option<&Version> {
        self.versions.iter().find(|record| record.version == version)
    }
}

/// The file of a version under another number.
pub(crate) fn renumber(bytes: &[u8], model: &str, from: u64, to: u64) -> Result<Vec<u8>, String> {
    let version = Version { version: to, ..Version::parse(bytes, model, from)? };
    version.to_toml().map(String::into_bytes)
}

/// The number in an alias's file, `v3` and a newline.
pub(crate) fn parse_alias(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.strip_suffix('\n').unwrap_or(text).strip_prefix('v')?;
    super::names::parse_number(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Version {
        let summary = MetricSummary {
            last: 0.5,
            min: f64::NAN,
            max: f64::INFINITY,
            best_step: -1,
            count: u64::from(u32::MAX),
            last_step: 7,
            last_time: jiff::Timestamp::UNIX_EPOCH,
        };
        Version {
            model: "digits".to_owned(),
            version: 3,
            id: ArtifactId::from_bytes([7; 32]),
            artifact_type: "model".to_owned(),
            run: Some(RunId::from_bytes([1; 16])),
            commit: None,
            registered: "2026-11-21T08:00:00Z".parse().unwrap(),
            by: "Ada <ada@example.org>".to_owned(),
            note: Some("two\nlines, \"quoted\"".to_owned()),
            source: Some("runs:/0101/model".to_owned()),
            data: Some(DataFacts {
                format: "idx".to_owned(),
                splits: [("test".to_owned(), 3)].into(),
                ..DataFacts::default()
            }),
            meta: BTreeMap::from([("a key".to_owned(), "x".to_owned())]),
            metrics: BTreeMap::from([("val loss/é".to_owned(), summary)]),
        }
    }

    #[test]
    fn a_version_round_trips() {
        let text = example().to_toml().unwrap();
        let read = Version::parse(text.as_bytes(), "digits", 3).unwrap();
        assert!(read.metrics["val loss/é"].min.is_nan());
        assert_eq!(read.to_toml().unwrap(), text);
        assert_eq!((read.note, read.commit), (example().note, None));
    }

    #[test]
    fn a_version_that_is_another_or_nonsense_is_refused() {
        let text = example().to_toml().unwrap();
        assert_eq!(Version::parse(text.as_bytes(), "digits", 4).unwrap_err(), "it says that it is digits@v3");
        assert!(Version::parse(text.as_bytes(), "other", 3).is_err());
        assert!(
            Version::parse(text.replace("version = 3", "version = 18446744073709551616").as_bytes(), "digits", 3)
                .is_err()
        );
        assert!(Version::parse(text.replace("version = 3", "version = -3").as_bytes(), "digits", 3).is_err());
        assert!(Version::parse(b"\xff\xfe", "digits", 3).is_err());
        assert!(Version::parse(format!("unknown = 1\n{text}").as_bytes(), "digits", 3).is_err());
    }

    #[test]
    fn alias_files_have_one_line() {
        assert_eq!(parse_alias(b"v3\n"), Some(3));
        assert_eq!(parse_alias(b"v3"), Some(3));
        for bad in [&b""[..], b"3\n", b"v3\n\n", b"v3 \n", b"v03\n", b"v99999999999999999999\n", b"v\xff\n"] {
            assert_eq!(parse_alias(bad), None, "{bad:?}");
        }
    }
}
