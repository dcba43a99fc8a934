//! The registry: models, their numbered versions and the aliases that point to them, in `refs/ml/registry`.
//!
//! Architecture invariant: a version never changes, and every change of the registry is one commit, an event.

mod about;
mod change;
mod data;
mod describe;
mod events;
mod history;
mod merged;
mod names;
mod target;
mod tree;
mod version;

pub use about::{Kind, ModelAbout, VersionAbout};
pub use change::{AliasMove, Details, Registered};
pub use data::{DataFacts, DataValue};
pub use events::{EventKind, Override, RegistryEvent};
pub use history::Renumbered;
pub use merged::{MergeStory, Mover, NotTaken};
pub(crate) use names::parse_number;
pub use names::{check_alias_name, check_model_name, parse_version};
pub use tree::Survey;
pub use version::{Model, Version};
pub(crate) use version::{parse_alias, renumber};

use std::collections::BTreeMap;

use crate::git::{GitError, Identity};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::run::RunError;
use crate::store::StoreError;
use crate::track::{TrackError, Workspace};

use events::Told;
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
    /// The name is one of the other kind.
    #[error("`{name}` is a {}, not a {}", is.as_str(), asked.as_str())]
    WrongKind {
        /// The name.
        name: String,
        /// What it is.
        is: Kind,
        /// What it was taken for.
        asked: Kind,
    },
    /// A version, or all of a model, that aliases point to.
    #[error("`{label}` cannot be deleted: {} to it", points(aliases))]
    InUse {
        /// What was to be deleted.
        label: String,
        /// The aliases.
        aliases: Vec<String>,
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
        now: Box<str>,
        /// Who, and why if they said so.
        by: Box<str>,
        /// When.
        when: Box<str>,
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

/// Which aliases point to something, in words.
fn points(aliases: &[String]) -> String {
    match aliases {
        [one] => format!("the alias {one} points"),
        several => format!("the aliases {} point", several.join(", ")),
    }
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

    /// One model or data set, which has to be of this kind.
    pub fn model_of_kind(&self, name: &str, asked: Kind) -> Result<Model, RegistryError> {
        let model = self.model(name)?;
        match model.about.kind == asked {
            true => Ok(model),
            false => Err(RegistryError::WrongKind { name: model.name, is: model.about.kind, asked }),
        }
    }

    /// What happened to a model, newest first, through merges.
    pub fn history(&self, model: &str) -> Result<Vec<RegistryEvent>, RegistryError> {
        let Some(tree) = self.tree()? else { return Ok(Vec::new()) };
        let told = history::events(&tree)?;
        let is_asked = |told: &Told| told.model_now.as_deref() == Some(model);
        Ok(told.into_iter().filter(is_asked).map(|told| told.event).collect())
    }

    /// What happened to all models, newest first, through merges.
    pub fn events(&self) -> Result<Vec<RegistryEvent>, RegistryError> {
        self.tree()?.map_or_else(|| Ok(Vec::new()), |tree| self.events_at(&tree.tip))
    }

    /// The same in the history of any commit of a registry.
    pub fn events_at(&self, tip: &CommitId) -> Result<Vec<RegistryEvent>, RegistryError> {
        let tree = Tree { repository: &self.workspace.repository, tip: *tip };
        Ok(history::events(&tree)?.into_iter().map(|told| told.event).collect())
    }

    /// Versions that are not what was registered under their number, or are gone.
    pub fn changed_versions(&self) -> Result<Vec<ChangedVersion>, RegistryError> {
        self.tree()?.map_or_else(|| Ok(Vec::new()), |tree| self.changed_versions_at(&tree.tip))
    }

    /// The same in any commit of a registry.
    pub fn changed_versions_at(&self, tip: &CommitId) -> Result<Vec<ChangedVersion>, RegistryError> {
        let now = Tree { repository: &self.workspace.repository, tip: *tip };
        // What was registered and not removed since, by its present name.
        let mut registered: BTreeMap<(String, u64), Told> = BTreeMap::new();
        for told in history::events(&now)?.into_iter().rev() {
            let Some(model) = told.model_now.clone() else { continue };
            match (told.event.kind, told.event.version) {
                (EventKind::Register, Some(version)) => drop(registered.insert((model, version), told)),
                (EventKind::Remove, Some(version)) => drop(registered.remove(&(model, version))),
                (EventKind::RemoveModel, _) => registered.retain(|(other, _), _| *other != model),
                _ => {}
            }
        }
        let mut changed = Vec::new();
        for ((model, version), Told { event, version_then, .. }) in registered {
            let Some(then) = version_then else { continue };
            let at_first = Tree { tip: event.commit.id, ..now };
            let Some(first) = at_first.version_bytes(&event.model, then)? else { continue };
            let current = now.version_bytes(&model, version)?;
            let is_same = match &current {
                Some(current) if event.model == model && then == version => *current == first,
                Some(current) => is_renamed(&first, &event.model, then, current, &model, version),
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

/// Whether two files of a version differ in the model's name and the number alone.
fn is_renamed(first: &[u8], model_then: &str, then: u64, current: &[u8], model: &str, version: u64) -> bool {
    let now = |first| Version { model: model.to_owned(), version, ..first };
    let first = Version::parse(first, model_then, then).map(now).and_then(|first| first.to_toml());
    first.is_ok_and(|first| first.as_bytes() == current)
}

#[cfg(test)]
mod tests;
