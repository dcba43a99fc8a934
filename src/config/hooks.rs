//! `[hooks]` of `ml.toml`: what git's hooks check.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::words::parse_size;

/// What git's hooks check.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Hooks {
    /// Whether post-checkout and post-merge bring the data in line with the pointers; they do by default.
    pub checkout: Option<bool>,
    /// Whether pre-push refuses pointers whose bytes are on no remote; it does by default.
    pub require_pushed: Option<bool>,
    /// What pre-commit looks at.
    pub pre_commit: PreCommit,
    /// What pre-push does and asks for.
    pub pre_push: PrePush,
}

/// What has to be right before git commits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PreCommit {
    /// What becomes of a commit beside data whose changes it does not have; it is refused by default.
    pub changed_data: Option<ChangedData>,
    /// Bytes that a file may have which git itself is to keep: [`PreCommit::MAX_FILE_SIZE`] by default.
    #[serde(deserialize_with = "size")]
    pub max_file_size: Option<u64>,
}

impl PreCommit {
    /// The size from which on a file belongs into the store, where `ml.toml` says nothing: 10 MiB.
    pub const MAX_FILE_SIZE: u64 = 10 << 20;
}

/// What becomes of a commit beside data whose changes it does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangedData {
    /// It is refused.
    #[default]
    Refuse,
    /// It is made, with a warning.
    Warn,
    /// Nobody looks.
    Ignore,
}

impl ChangedData {
    /// What a text says, as git's configuration has it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "refuse" => Some(Self::Refuse),
            "warn" => Some(Self::Warn),
            "ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// What happens before git pushes: the bytes of pointers are sent, and an experiment has to have run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct PrePush {
    /// Whether bytes that others cannot get yet are sent; they are by default.
    pub upload: Option<bool>,
    /// The remote that gets them; by default the one that is called like git's remote, or the only one.
    pub remote: Option<String>,
    /// The experiment of which there has to be a run of what is pushed.
    pub experiment: Option<String>,
    /// The code that matters to it: patterns as `.gitignore` has them, from the top on. By default all of it, and of a
    /// native training, which reads none, nothing.
    pub paths: Option<Vec<String>>,
    /// The branches of the remote for which it has to have run: patterns; by default all.
    pub branches: Option<Vec<String>>,
    /// The model whose aliases the conditions mean; by default the one that is called like the experiment, or the only
    /// one.
    pub model: Option<String>,
    /// What has to hold for the run; by default what `[gates.push]` says, if there is that.
    pub gates: Option<PushGates>,
}

/// The conditions for a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushGates {
    /// Those of `[gates.<name>]`.
    Named(String),
    /// These.
    Conditions(Vec<String>),
}

impl PushGates {
    /// The name of the gate that holds for pushes where none is named.
    pub const DEFAULT: &str = "push";
}

impl<'de> Deserialize<'de> for PushGates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Name(String),
            Conditions(Vec<String>),
        }
        let wrong = |_| D::Error::custom("it has to be the name of a gate, or a list of conditions");
        Ok(match Written::deserialize(deserializer).map_err(wrong)? {
            Written::Name(name) => Self::Named(name),
            Written::Conditions(conditions) => Self::Conditions(conditions),
        })
    }
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Bytes(u64),
        Text(String),
    }
    let wrong = || D::Error::custom("write it as 500k, 10MiB or a number of bytes");
    match Written::deserialize(deserializer).map_err(|_| wrong())? {
        Written::Bytes(bytes) => Ok(Some(bytes)),
        Written::Text(text) => parse_size(&text).map(Some).ok_or_else(wrong),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn hooks(text: &str) -> Result<Hooks, String> {
        Config::parse(text, Path::new("ml.toml")).map(|config| config.hooks).map_err(|error| error.to_string())
    }

    #[test]
    fn what_hooks_ask_for_is_read() {
        let text = "[hooks.pre-push]\nexperiment = \"cnn\"\npaths = [\"src/**\"]\nbranches = [\"main\"]\ngates = \"push\"\n\
                    [hooks.pre-commit]\nchanged-data = \"warn\"\nmax-file-size = \"2MiB\"\n";
        let Hooks { pre_push, pre_commit, .. } = hooks(text).unwrap();
        assert_eq!(pre_push.experiment.as_deref(), Some("cnn"));
        assert_eq!(pre_push.gates, Some(PushGates::Named("push".to_owned())));
        assert_eq!(pre_push.paths.unwrap(), ["src/**"]);
        let wanted = PreCommit { changed_data: Some(ChangedData::Warn), max_file_size: Some(2 << 20) };
        assert_eq!(pre_commit, wanted);
        let gates = hooks("[hooks.pre-push]\ngates = [\"metrics.loss < 1\"]\n").unwrap().pre_push.gates;
        assert_eq!(gates, Some(PushGates::Conditions(vec!["metrics.loss < 1".to_owned()])));
        assert_eq!(hooks("").unwrap(), Hooks::default());
    }

    #[test]
    fn what_makes_no_sense_is_told_in_a_line() {
        let cases = [
            ("[hooks.pre-push]\ngates = 3\n", "line 2: it has to be the name of a gate, or a list of conditions"),
            ("[hooks.pre-push]\npath = [\"src\"]\n", "line 2: there is no key `path`; did you mean `paths`?"),
            ("[hooks.pre-commit]\nmax-file-size = \"big\"\n", "line 2: write it as 500k, 10MiB or a number of bytes"),
            ("[hooks.pre-commit]\nchanged-data = \"no\"\n", "line 2: unknown variant `no`"),
        ];
        for (text, wanted) in cases {
            let told = hooks(text).unwrap_err();
            assert!(told.contains(wanted), "{told}");
        }
    }
}
