//! The registry: models, their numbered versions and the aliases that point to them, in `refs/ml/registry`.
//!
//! Architecture invariant: a version never changes, and every change of the registry is one commit, an event.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::git::{CommitInfo, GitError};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::run::{MetricSummary, RunError};
use crate::store::StoreError;
use crate::track::{TrackError, Workspace};

/// The ref that keeps the registry.
pub const REGISTRY_REF: &str = "refs/ml/registry";

/// What can go wrong with the registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A name that a model or alias cannot have.
    #[error("`{name}` cannot be the name of {what}: {reason}")]
    BadName {
        /// As it was given, escaped.
        name: String,
        /// `a model`, `an alias`.
        what: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// There is no such model.
    #[error("there is no model `{model}`")]
    NoModel {
        /// As it was asked for.
        model: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// There is no such version.
    #[error("the model `{model}` has no version v{version}")]
    NoVersion {
        /// The model.
        model: String,
        /// The version.
        version: u64,
    },
    /// There is no such alias.
    #[error("the model `{model}` has no alias `{alias}`")]
    NoAlias {
        /// The model.
        model: String,
        /// The alias.
        alias: String,
    },
    /// A target that cannot be read, or that names nothing.
    #[error("`{target}` {problem}")]
    BadTarget {
        /// As it was given.
        target: String,
        /// `is not a target`, `has no output `x``, …
        problem: String,
    },
    /// A record that is not valid.
    #[error("{place} in refs/ml/registry is not valid: {problem}")]
    Malformed {
        /// The path in the tree.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

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
    pub run: Option<RunId>,
    /// The commit that holds the code of that run, or HEAD where the artifact was tracked.
    pub commit: Option<CommitId>,
    /// The run's metrics at that moment.
    #[serde(default)]
    pub metrics: std::collections::BTreeMap<String, MetricSummary>,
    /// When it was registered.
    pub registered: Timestamp,
    /// By whom: `Name <address>`.
    pub by: String,
    /// A remark.
    pub note: Option<String>,
}

/// A model with its aliases.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
    /// Its aliases and the versions they point to.
    pub aliases: std::collections::BTreeMap<String, u64>,
}

impl Model {
    /// The aliases that point to `version`.
    pub fn aliases_of(&self, _version: u64) -> Vec<&str> {
        todo!()
    }
}

/// One event of a model's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEvent {
    /// The commit.
    pub commit: CommitInfo,
    /// The model.
    pub model: String,
    /// What happened: `registered v3`, `production: v2 -> v3`.
    pub what: String,
}

/// What a user names where a target is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The target as it was given.
    pub target: String,
    /// The artifact.
    pub id: ArtifactId,
    /// Its name.
    pub name: String,
    /// Its type.
    pub artifact_type: String,
    /// The run that made it, where known.
    pub run: Option<RunId>,
    /// The commit it belongs to, where known.
    pub commit: Option<CommitId>,
}

/// The registry of a repository.
#[derive(Debug)]
pub struct Registry<'w> {
    _workspace: &'w Workspace,
}

impl<'w> Registry<'w> {
    /// The registry of a repository.
    pub fn new(_workspace: &'w Workspace) -> Self {
        Self { _workspace }
    }

    /// All models, sorted by name.
    pub fn models(&self) -> Result<Vec<Model>, RegistryError> {
        todo!()
    }

    /// One model.
    pub fn model(&self, _name: &str) -> Result<Model, RegistryError> {
        todo!()
    }

    /// Registers an artifact as the model's next version, or returns the version that has it from the same run.
    pub fn register(&self, _model: &str, _artifact: &Resolved, _note: Option<&str>) -> Result<Version, RegistryError> {
        todo!()
    }

    /// Points an alias to a version; returns what it pointed to before.
    pub fn set_alias(&self, _model: &str, _alias: &str, _version: u64) -> Result<Option<u64>, RegistryError> {
        todo!()
    }

    /// The version that `name@v3` or `name@production` names; a plain `name` is its newest version.
    pub fn version(&self, _text: &str) -> Result<(Model, Version), RegistryError> {
        todo!()
    }

    /// What happened to a model, newest first.
    pub fn history(&self, _model: &str) -> Result<Vec<RegistryEvent>, RegistryError> {
        todo!()
    }

    /// Finds what a target names: `data/x` (a path with a pointer, relative to `current`), `name@v3`,
    /// `name@production`, `run:<run>` (its only output, or its model) or `run:<run>:<output>`.
    pub fn resolve(&self, _current: &std::path::Path, _target: &str) -> Result<Resolved, RegistryError> {
        todo!()
    }
}
