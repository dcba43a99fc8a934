//! Pointers: the small TOML files that git tracks in place of the bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::ArtifactId;

/// What a pointer's name ends with: `data/cifar10.mlref` for `data/cifar10`.
pub const POINTER_SUFFIX: &str = ".mlref";

/// A pointer that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid pointer: {problem}")]
pub struct PointerError {
    /// What is wrong, with the line where known.
    pub problem: String,
}

/// What an artifact is: `dataset`, `model`, or any other word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactType(String);

impl ArtifactType {
    /// A dataset.
    pub fn dataset() -> Self {
        Self("dataset".to_owned())
    }

    /// A model.
    pub fn model() -> Self {
        Self("model".to_owned())
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ArtifactType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ArtifactType {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for ArtifactType {
    type Error = PointerError;

    fn try_from(text: String) -> Result<Self, PointerError> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > 64 || !text.chars().all(is_word) {
            let problem = "a type is a word of letters, digits, `-` and `_`".to_owned();
            return Err(PointerError { problem });
        }
        Ok(Self(text))
    }
}

impl From<ArtifactType> for String {
    fn from(artifact_type: ArtifactType) -> Self {
        artifact_type.0
    }
}

/// Whether an artifact is one file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One file.
    File,
    /// A folder with all that is in it.
    Folder,
}

/// The content of a pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    /// The format's version: 1.
    pub version: u32,
    /// The artifact's name.
    pub name: String,
    /// The artifact's type.
    #[serde(rename = "type")]
    pub artifact_type: ArtifactType,
    /// One file or a folder.
    pub kind: Kind,
    /// The artifact's id.
    pub id: ArtifactId,
    /// How many files it has.
    pub files: u64,
    /// Bytes of content in all of them.
    pub bytes: u64,
    /// What users added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

impl Pointer {
    /// Reads a pointer; bounded to 64 KiB. git's conflict markers get a message of their own.
    pub fn parse(_bytes: &[u8]) -> Result<Self, PointerError> {
        todo!()
    }

    /// The file's content, the same for equal pointers.
    pub fn to_toml(&self) -> String {
        todo!()
    }
}
