//! Pointers: the small TOML files that git tracks in place of the bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::files::RelPath;
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

/// Bytes a pointer may have; ours have a few hundred, and users may add metadata.
pub(super) const MAX_POINTER: u64 = 64 * 1024;

impl Pointer {
    /// The version of the format that this program reads and writes.
    pub const VERSION: u32 = 1;

    /// Reads a pointer; bounded to 64 KiB. git's conflict markers get a message of their own.
    pub fn parse(bytes: &[u8]) -> Result<Self, PointerError> {
        if bytes.len() as u64 > MAX_POINTER {
            return Err(PointerError::new("it is larger than 64 KiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PointerError::new("it is not UTF-8 text"))?;
        if let Some(line) = text.lines().position(|line| line.starts_with("<<<<<<< ")) {
            return Err(PointerError::new(format!("line {} has git's conflict markers", line + 1)));
        }
        let pointer: Self = toml::from_str(text).map_err(|error| PointerError::from_toml(&error, text))?;
        pointer.check()?;
        Ok(pointer)
    }

    /// The file's content, the same for equal pointers.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a pointer has only strings and numbers below 2^63")
    }

    /// Refuses what cannot be an artifact's name. Names end up in paths: of an export, of a downloaded model.
    pub fn check_name(name: &str) -> Result<(), PointerError> {
        match RelPath::new(name) {
            Err(error) => Err(PointerError::new(format!("the name `{}`: {}", error.path, error.reason))),
            Ok(name) if name.parent().is_some() => Err(PointerError::new(format!("the name `{name}` has a `/` in it"))),
            Ok(_) => Ok(()),
        }
    }

    /// A pointer of this version of the format, checked.
    pub(super) fn checked(self) -> Result<Self, PointerError> {
        let pointer = Self { version: Self::VERSION, ..self };
        pointer.check()?;
        Ok(pointer)
    }

    fn check(&self) -> Result<(), PointerError> {
        if self.version != Self::VERSION {
            let known = Self::VERSION;
            let problem = format!("it has version {}, and this git-ml reads version {known}", self.version);
            return Err(PointerError::new(problem));
        }
        Self::check_name(&self.name)?;
        if self.files == 0 || (self.kind == Kind::File && self.files != 1) {
            return Err(PointerError::new(format!("it cannot have {} files", self.files)));
        }
        if self.bytes > i64::MAX as u64 {
            return Err(PointerError::new("its size is beyond what a disk can have"));
        }
        match self.meta.keys().find(|key| key.is_empty() || key.chars().any(char::is_control)) {
            Some(key) => Err(PointerError::new(format!("`{}` cannot be a key of metadata", key.escape_debug()))),
            None => Ok(()),
        }
    }
}

impl PointerError {
    fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into() }
    }

    fn from_toml(error: &toml::de::Error, text: &str) -> Self {
        let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        match line {
            Some(line) => Self::new(format!("line {line}: {message}")),
            None => Self::new(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"version = 1
name = "digits"
type = "dataset"
kind = "folder"
id = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
files = 2
bytes = 345

[meta]
licence = "CC-BY 4.0"
"#;

    #[test]
    fn a_pointer_round_trips_to_the_same_bytes() {
        let pointer = Pointer::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(pointer.to_toml(), TEXT);
        assert_eq!(pointer.meta["licence"], "CC-BY 4.0");
    }

    #[test]
    fn every_fault_is_named_in_one_line() {
        let fault = |from: &str, to: &str| {
            let text = TEXT.replace(from, to);
            assert_ne!(text, TEXT);
            Pointer::parse(text.as_bytes()).unwrap_err().problem
        };
        assert_eq!(fault("\"digits\"", "\"../digits\""), "the name `../digits`: it has `.` or `..` in it");
        assert_eq!(fault("\"digits\"", "\"a/b\""), "the name `a/b` has a `/` in it");
        assert!(fault("kind", "path = \"../../etc\"\nkind").starts_with("line 4: unknown field `path`"));
        assert!(fault("version = 1", "version = 2").contains("version 2"));
        assert!(fault("6437b3", "../../").starts_with("line 5: "));
        assert_eq!(fault("files = 2", "files = 0"), "it cannot have 0 files");
        assert_eq!(fault("folder", "file").as_str(), "it cannot have 2 files");
        assert!(fault("files = 2", "files = -2").starts_with("line 6: "));
        assert_eq!(fault("files = 2", "<<<<<<< HEAD\nfiles = 2"), "line 6 has git's conflict markers");
        for text in ["", "version = 1\n", "\u{0}", "[[["] {
            assert!(!Pointer::parse(text.as_bytes()).unwrap_err().problem.contains('\n'), "{text}");
        }
        assert!(Pointer::parse(&[0xff, 0xfe]).is_err());
        assert!(Pointer::parse(&vec![b'#'; 70_000]).is_err());
    }
}
