//! `ml.toml`, the team's configuration, and the user's approval of it.
//!
//! Architecture invariant: nothing that `ml.toml` names is run unless [`trust`] says that the user approved exactly
//! this content, as direnv does.

pub mod edit;
mod hooks;
mod parse;
mod place;
pub mod trust;

pub use hooks::{ChangedData, Hooks, PreCommit, PrePush, PushGates};
pub use parse::is_plain_name;
pub use place::{Place, place_of_element};

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::files::RelPath;

/// The name of the file at the work tree's top.
pub const FILE_NAME: &str = "ml.toml";

/// Bytes that an `ml.toml` may have.
const MAX_BYTES: u64 = 1 << 20;

/// `ml.toml` could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML, or has a key or value that is not known.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong and where: line, key, and the nearest right key.
        message: String,
    },
    /// It does not have the experiment.
    #[error("ml.toml has no experiment `{name}`")]
    UnknownExperiment {
        /// As it was asked for.
        name: String,
        /// Those it has.
        known: Vec<String>,
    },
}

/// The content of `ml.toml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Recipes by name.
    pub experiments: BTreeMap<String, Experiment>,
    /// Where artifacts are pushed to, by name.
    pub remotes: BTreeMap<String, Remote>,
    /// What git's hooks check.
    pub hooks: Hooks,
    /// How data is written to the work tree.
    pub checkout: Checkout,
    /// What holds for all runs.
    pub run: RunSettings,
    /// Conditions for promotions, by alias, and for pushes.
    pub gates: BTreeMap<String, Gate>,
}

/// A recipe: either a command or a native training. Keys beside the common ones are a native recipe's, which
/// `train` reads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Experiment {
    /// What it is for, in a line.
    #[serde(default)]
    pub description: Option<String>,
    /// A shell command; `{name}` is replaced by the parameter, quoted. None for a native training.
    #[serde(default)]
    pub command: Option<String>,
    /// A command's parameters with their defaults.
    #[serde(default)]
    pub params: BTreeMap<String, toml::Value>,
    /// Tracked paths it reads.
    #[serde(default)]
    pub inputs: Vec<RelPath>,
    /// Paths it writes, stored as outputs when it ends.
    #[serde(default)]
    pub outputs: Vec<RelPath>,
    /// Folders in which it writes TensorBoard's event files.
    #[serde(default)]
    pub tensorboard: Vec<RelPath>,
    /// Folders in which it writes logs as CSV, or such logs.
    #[serde(default)]
    pub csv_logs: Vec<RelPath>,
    /// How long it may take: `2h`; then it is ended.
    #[serde(default, deserialize_with = "interval")]
    pub timeout: Option<Duration>,
    /// The native recipe's own keys (`model`, `data`, `epochs`, …), read by `train`.
    #[serde(flatten)]
    pub recipe: toml::Table,
}

/// Where artifacts are pushed to. Credentials are never part of it: they come from where each kind of place has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Remote {
    /// `file:///mnt/share/store`, `s3://bucket/folder`, …: what other clones reach too.
    pub url: String,
    /// The server of a bucket, where it is not the provider's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The region of a bucket.
    #[serde(default)]
    pub region: Option<String>,
    /// Bytes a second that a transfer may take: `2MiB`, or a number.
    #[serde(default)]
    pub limit_rate: Option<String>,
    /// Whether an endpoint off this machine may be unencrypted.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether the bucket is a part of its server's name, rather than of the path.
    #[serde(default)]
    pub virtual_hosted: bool,
}

impl Remote {
    /// A remote of which only the URL is given.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }
}

/// How data is written to the work tree.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Checkout {
    /// Whether the files that are written cannot be written to any more.
    pub read_only: bool,
    /// Whether files share their bytes with equal ones of the repository's work trees, where the file system can.
    pub link: bool,
}

/// What holds for all runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunSettings {
    /// Whether code that is not committed is shared together with the runs that had it; by default it is asked.
    #[serde(alias = "share-snapshots")]
    pub share_snapshots: Option<ShareSnapshots>,
    /// How often a run that is still going is shared: `5m`; by default it is shared when it has ended.
    #[serde(alias = "share-every", deserialize_with = "interval")]
    pub share_every: Option<Duration>,
    /// Variables of the environment that records keep: names, or beginnings with a `*` behind.
    pub environment: Vec<String>,
    /// Whether arguments of commands such as `lr=0.1` and `--depth 3` are parameters of the run.
    #[serde(alias = "params-from-args")]
    pub params_from_args: bool,
    /// Untracked files that snapshots hold too: patterns as `.gitignore` has them, from the top on.
    pub untracked: Vec<String>,
}

/// Whether code that is not committed is shared together with the runs that had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareSnapshots {
    /// It is.
    Yes,
    /// It stays here, and the runs are shared without it.
    No,
    /// The user is asked.
    Ask,
}

impl ShareSnapshots {
    /// What a text says, as git's configuration and `ml.toml` have it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(Self::Yes),
            "false" | "no" | "off" | "0" => Some(Self::No),
            "ask" => Some(Self::Ask),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for ShareSnapshots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Truth(bool),
            Word(String),
        }
        let wrong = || D::Error::custom("it has to be true, false or \"ask\"");
        match Written::deserialize(deserializer).map_err(|_| wrong())? {
            Written::Truth(true) => Ok(Self::Yes),
            Written::Truth(false) => Ok(Self::No),
            Written::Word(word) => Self::parse(&word).ok_or_else(wrong),
        }
    }
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_interval(&text).map(Some).ok_or_else(|| D::Error::custom("write it as 30s, 5m or 1h, at least 1s"))
}

/// A time such as `30s`, `5m` or `1h`, of at least a second and at most a week.
pub fn parse_interval(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, seconds) = match text.char_indices().last()? {
        (end, 's') => (&text[..end], 1),
        (end, 'm') => (&text[..end], 60),
        (end, 'h') => (&text[..end], 3600),
        _ => return None,
    };
    let seconds = number.trim().parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=7 * 24 * 3600).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// Conditions, all of which must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Conditions in the query language.
    pub require: Vec<String>,
}

impl Config {
    /// Reads `ml.toml` in `work_dir`; the empty configuration if there is none.
    pub fn load(work_dir: &Path) -> Result<Self, ConfigError> {
        match read(work_dir)? {
            Some(content) => Self::parse_bytes(&content, &work_dir.join(FILE_NAME)),
            None => Ok(Self::default()),
        }
    }

    /// Reads the text of an `ml.toml`; `path` is for errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        parse::parse(text).map_err(|message| ConfigError::Parse { path: path.to_path_buf(), message })
    }

    /// Reads the content of an `ml.toml`; `path` is for errors.
    pub fn parse_bytes(content: &[u8], path: &Path) -> Result<Self, ConfigError> {
        match std::str::from_utf8(content) {
            Ok(text) => Self::parse(text, path),
            Err(_) => Err(ConfigError::Parse { path: path.to_path_buf(), message: "it is not UTF-8".to_owned() }),
        }
    }

    /// The experiment called `name`.
    pub fn experiment(&self, name: &str) -> Result<&Experiment, ConfigError> {
        self.experiments.get(name).ok_or_else(|| ConfigError::UnknownExperiment {
            name: name.to_owned(),
            known: self.experiments.keys().cloned().collect(),
        })
    }
}

/// The content of the `ml.toml` in `work_dir`; none if there is no such file.
pub fn read(work_dir: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    read_file(&work_dir.join(FILE_NAME))
}

/// The content of a configuration file; none if there is no such file.
///
/// Others may have written it: it has to be an ordinary file of a bounded size.
pub fn read_file(path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    let fail = |source| ConfigError::Read { path: path.to_path_buf(), source };
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
        Ok(_) if !path.is_file() => return Err(fail(io::Error::other("it is not an ordinary file"))),
        Ok(_) => {}
    }
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(fail)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(fail)?;
    match content.len() as u64 > MAX_BYTES {
        true => Err(fail(io::Error::other("it is larger than 1 MiB"))),
        false => Ok(Some(content)),
    }
}
