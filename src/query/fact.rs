//! What a query can ask of a version of the registry, beside what it can ask of the run that made it.

use std::fmt;

use super::field::{FieldKind, spelled};

/// A value that a version may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fact {
    /// The name it is registered under.
    Name,
    /// Its number.
    Version,
    /// When it was registered.
    Registered,
    /// Who registered it.
    By,
    /// The artifact's type.
    Type,
    /// The aliases that point to it.
    Aliases,
    /// Whether it is not to be used any more.
    Deprecated,
    /// The run that made it.
    Run,
    /// What is known of its data: `data.examples`, `data.split.train`, `data.class.cat`.
    Data(String),
    /// What a user said of the artifact with `--meta`.
    Meta(String),
}

const NAMES: [(&str, Fact); 10] = [
    ("model", Fact::Name),
    ("dataset", Fact::Name),
    ("version", Fact::Version),
    ("registered", Fact::Registered),
    ("by", Fact::By),
    ("type", Fact::Type),
    ("alias", Fact::Aliases),
    ("aliases", Fact::Aliases),
    ("deprecated", Fact::Deprecated),
    ("run", Fact::Run),
];

impl Fact {
    /// The fact that a word names, with the key where that was quoted; none where it is another field's.
    pub(super) fn named(word: &str, quoted: Option<&str>) -> Option<Self> {
        if let Some((group, key)) = word.split_once('.') {
            let key = format!("{key}{}", quoted.unwrap_or_default());
            return match group.to_ascii_lowercase().as_str() {
                _ if key.is_empty() => None,
                "data" => Some(Self::Data(key)),
                "meta" => Some(Self::Meta(key)),
                _ => None,
            };
        }
        NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, fact)| fact.clone())
    }

    pub(super) fn kind(&self) -> FieldKind {
        match self {
            Self::Version => FieldKind::Number,
            Self::Registered => FieldKind::Moment,
            Self::Name | Self::By | Self::Type | Self::Data(_) | Self::Meta(_) => FieldKind::Text,
            Self::Aliases => FieldKind::Artifacts,
            Self::Deprecated => FieldKind::Truth,
            Self::Run => FieldKind::Hash,
        }
    }
}

/// As a query spells it.
impl fmt::Display for Fact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(key) => formatter.write_str(&spelled("data", key)),
            Self::Meta(key) => formatter.write_str(&spelled("meta", key)),
            fact => {
                let name = NAMES.iter().find(|(_, known)| known == fact).map(|(name, _)| *name);
                formatter.write_str(name.unwrap_or_default())
            }
        }
    }
}
