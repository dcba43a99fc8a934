//! The registry: models, their numbered versions and the aliases that point to them, in `refs/ml/registry`.
//!
//! Architecture invariant: a version never changes, and every change of the registry is one commit, an event.

mod about;
mod change;
mod data;
mod describe;
mod events;
mod names;
mod target;
mod tree;
mod version;

pub use about::{ModelAbout, VersionAbout};
pub use change::{AliasMove, Details, Registered};
pub use data::{DataFacts, DataValue};
pub use events::{EventKind, Override, RegistryEvent};
pub use names::{check_alias_name, check_model_name, parse_version};
pub use tree::Survey;
pub use version::{Model, Version};

use std::collections::BTreeMap;

use crate::git::{GitError, Identity};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::run::RunError;
use crate::store::StoreError;
use crate::track::{TrackError, Workspace};

use tree::Tree;

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
    /// There is a model of that name.
    #[error("there is a model `{model}` already")]
    ModelExists {
        /// Its name.
        model: String,
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
        /// Targets that it may have meant.
        nearest: Vec<String>,
    },
    /// An artifact whose bytes are not in this store.
    #[error("the artifact of `{target}` is not in this store")]
    NotStored {
        /// The target.
        target: String,
    },
    /// A remark that cannot be kept.
    #[error("the note cannot be kept: {reason}")]
    BadNote {
        /// Why.
        reason: &'static str,
    },
    /// Somebody else moved the alias since it was read.
    #[error("`{model}@{alias}` {now} since {when}, moved by {by}")]
    AliasMoved {
        /// The model.
        model: String,
        /// The alias.
        alias: String,
        /// `points to v4`, `is gone`.
        now: String,
        /// Who, and why if they said so.
        by: String,
        /// When.
        when: String,
    },
    /// An alias that has pointed to one version only.
    #[error("`{model}@{alias}` has pointed to nothing else before")]
    NothingBefore {
        /// The model.
        model: String,
        /// The alias.
        alias: String,
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

/// A version that somebody changed after it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedVersion {
    /// `digits@v3`
    pub label: String,
    /// Who registered it.
    pub by: String,
    /// Whether it is not there any more.
    pub is_gone: bool,
}

/// The registry of a repository.
#[derive(Debug)]
pub struct Registry<'w> {
    workspace: &'w Workspace,
    author: Option<Identity>,
}

impl<'w> Registry<'w> {
    /// The registry of a repository.
    pub fn new(workspace: &'w Workspace) -> Self {
        Self { workspace, author: None }
    }

    /// The same, where `author` makes the changes.
    pub fn signed(workspace: &'w Workspace, author: Identity) -> Self {
        Self { workspace, author: Some(author) }
    }

    /// Who makes changes: by default the user that git knows, who has to be known.
    fn author(&self) -> Result<Identity, RegistryError> {
        Ok(self.author.clone().map_or_else(|| self.workspace.repository.identity(), Ok)?)
    }

    /// All models, sorted by name; an error if any is not valid.
    pub fn models(&self) -> Result<Vec<Model>, RegistryError> {
        let survey = self.survey()?;
        match survey.problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => Ok(survey.models),
        }
    }

    /// All that is valid, and what is not.
    pub fn survey(&self) -> Result<Survey, RegistryError> {
        self.tree()?.map_or_else(|| Ok(Survey::default()), |tree| tree.survey())
    }

    /// One model.
    pub fn model(&self, name: &str) -> Result<Model, RegistryError> {
        check_model_name(name)?;
        match self.tree()? {
            None => Err(RegistryError::NoModel { model: name.to_owned(), known: Vec::new() }),
            Some(tree) => tree.model(name)?.ok_or_else(|| tree.no_model(name)),
        }
    }

    /// What happened to a model, newest first.
    pub fn history(&self, model: &str) -> Result<Vec<RegistryEvent>, RegistryError> {
        // Newest first: before it was renamed it had another name.
        let mut name = model.to_owned();
        let mut history = Vec::new();
        for event in self.events()?.into_iter() {
            if event.model == name {
                name = event.renamed_from.clone().unwrap_or(name);
                history.push(event);
            }
        }
        Ok(history)
    }

    /// What happened to all models, newest first.
    pub fn events(&self) -> Result<Vec<RegistryEvent>, RegistryError> {
        let Some(tree) = self.tree()? else {
            return Ok(Vec::new());
        };
        let commits = self.workspace.repository.first_parents(&tree.tip, usize::MAX)?;
        Ok(commits.into_iter().filter_map(events::parse).collect())
    }

    /// Versions that are not what was registered under their number, or are gone.
    pub fn changed_versions(&self) -> Result<Vec<ChangedVersion>, RegistryError> {
        let Some(now) = self.tree()? else {
            return Ok(Vec::new());
        };
        // What was registered and neither removed nor renamed since, by its present name.
        let mut registered: BTreeMap<(String, u64), RegistryEvent> = BTreeMap::new();
        for event in self.events()?.into_iter().rev() {
            match (event.kind, event.version, &event.renamed_from) {
                (EventKind::Register, Some(version), _) => {
                    registered.insert((event.model.clone(), version), event);
                }
                (EventKind::Remove, Some(version), _) => drop(registered.remove(&(event.model, version))),
                (EventKind::RemoveModel, ..) => registered.retain(|(model, _), _| *model != event.model),
                (EventKind::Rename, _, Some(from)) => {
                    let rename = |((model, version), first)| match model == *from {
                        true => ((event.model.clone(), version), first),
                        false => ((model, version), first),
                    };
                    registered = registered.into_iter().map(rename).collect();
                }
                _ => {}
            }
        }
        let mut changed = Vec::new();
        for ((model, version), event) in registered {
            let at_first = Tree { tip: event.commit.id, ..now };
            let Some(first) = at_first.version_bytes(&event.model, version)? else { continue };
            let current = now.version_bytes(&model, version)?;
            let is_same = match &current {
                Some(current) if event.model == model => *current == first,
                Some(current) => is_renamed(&first, &event.model, current, &model, version),
                None => false,
            };
            if !is_same {
                let (label, by) = (format!("{model}@v{version}"), event.commit.author);
                changed.push(ChangedVersion { label, by, is_gone: current.is_none() });
            }
        }
        Ok(changed)
    }

    fn tree(&self) -> Result<Option<Tree<'w>>, RegistryError> {
        let repository = &self.workspace.repository;
        Ok(repository.read_ref(REGISTRY_REF)?.map(|tip| Tree { repository, tip }))
    }
}

/// Whether two files of a version differ in the model's name alone.
fn is_renamed(first: &[u8], first_model: &str, current: &[u8], model: &str, version: u64) -> bool {
    let first = Version::parse(first, first_model, version).map(|first| Version { model: model.to_owned(), ..first });
    let first = first.and_then(|first| first.to_toml());
    first.is_ok_and(|first| first.as_bytes() == current)
}

#[cfg(test)]
mod tests;
