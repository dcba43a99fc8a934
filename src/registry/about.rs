//! What is said about models and versions and may change: descriptions, tags, stages.
//!
//! A version's own file never changes. So what may change is kept beside it, and is absent where nothing was said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What is registered under a name. Names of both kinds are different.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Models.
    #[default]
    Model,
    /// Data sets.
    Dataset,
}

impl Kind {
    /// The word for people, for commands and for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
        }
    }

    fn is_model(&self) -> bool {
        *self == Self::Model
    }
}

/// What `<model>/about.toml` keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelAbout {
    /// What is registered under the name: models, if it is not said.
    #[serde(skip_serializing_if = "Kind::is_model")]
    pub kind: Kind,
    /// When the model was made, where that was before its first version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When something but a new version last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<Timestamp>,
    /// A description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Numbers of versions that were removed. They are not given again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<u64>,
    /// Tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What `<model>/about/<n>.toml` keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VersionAbout {
    /// When something of this last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<Timestamp>,
    /// A description that takes the place of the remark the version was registered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Why it is not to be used any more; none where it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<String>,
    /// The stage of MLflow's older clients: `Staging`, `Production` or `Archived`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// When it came to that stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<Timestamp>,
    /// The run as MLflow's client named it, where it is none of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_run: Option<String>,
    /// A link to that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_link: Option<String>,
    /// The logged model that it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logged_model: Option<String>,
    /// Where its files are, as a URI, if not at its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Reads either of them.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

/// The content of either's file.
pub(super) fn to_toml<T: Serialize>(about: &T) -> Result<Vec<u8>, String> {
    toml::to_string(about).map(String::into_bytes).map_err(|error| error.to_string())
}

/// Where a model's is in the tree.
pub(super) fn model_path(model: &str) -> String {
    format!("{model}/about.toml")
}

/// Where a version's is in the tree.
pub(super) fn version_path(model: &str, version: u64) -> String {
    format!("{model}/about/{version}.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_round_trips_and_nothing_said_is_empty() {
        assert_eq!(to_toml(&ModelAbout::default()).unwrap(), b"");
        let about = ModelAbout {
            kind: Kind::Dataset,
            created: Some("2026-11-21T08:00:00.123Z".parse().unwrap()),
            updated: None,
            description: Some("two\nlines \"quoted\"".to_owned()),
            removed: vec![1, 3],
            tags: BTreeMap::from([("a key".to_owned(), String::new())]),
        };
        assert_eq!(parse::<ModelAbout>(&to_toml(&about).unwrap()).unwrap(), about);
        let about = VersionAbout { stage: Some("Staging".to_owned()), ..VersionAbout::default() };
        assert_eq!(parse::<VersionAbout>(&to_toml(&about).unwrap()).unwrap(), about);
        assert!(parse::<VersionAbout>(b"unknown = 1").is_err());
        assert!(parse::<ModelAbout>(b"\xff").is_err());
    }
}
