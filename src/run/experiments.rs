//! Experiments as MLflow has them: a name for a group of runs, with tags. Kept beside the runs, in the tree of
//! `refs/ml/runs`, as `experiments/<id>.toml`.
//!
//! Most experiments need no file: a run says the name of its own, and the id is made of the name, so that two clones
//! agree on it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RunError, ledger};
use crate::git::{Identity, TreeEdit};
use crate::id::RunId;
use crate::track::Workspace;

/// The folder in the tree.
const FOLDER: &str = "experiments";
/// Bytes that a file may have.
const MAX_FILE: u64 = 16 << 20;
/// What the digits of an id stay below.
const BOUND: u64 = 1_000_000_000_000_000_000;

/// The experiment of runs that name none.
pub const DEFAULT_EXPERIMENT: &str = "Default";

/// A group of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experiment {
    /// The id, a number in decimal digits.
    pub id: String,
    /// The name.
    pub name: String,
    /// Where whoever made it wants its artifacts; none for the repository itself.
    pub artifact_location: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// When it was removed.
    pub removed: Option<Timestamp>,
    /// Tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// The id of an experiment with this name, where nobody had that before.
pub fn experiment_id(name: &str) -> String {
    match name {
        DEFAULT_EXPERIMENT => "0".to_owned(),
        _ => number_of(name, 0).to_string(),
    }
}

/// The number of a name; a renamed experiment keeps its number, and the next of its old name takes another `turn`.
fn number_of(name: &str, turn: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_bytes());
    if turn > 0 {
        hasher.update(&turn.to_le_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    // 0 is the default one, and small numbers are those of MLflow's own servers.
    (u64::from_le_bytes(first) % BOUND).max(1)
}

impl Experiment {
    /// A new one, whose id none of `known` has.
    pub fn new(name: &str, known: &dyn Fn(&str) -> bool) -> Self {
        let mut id = experiment_id(name);
        let mut turn = 0;
        while known(&id) {
            turn += 1;
            id = number_of(name, turn).to_string();
        }
        let now = Timestamp::now();
        let artifact_location = None;
        Self {
            id,
            name: name.to_owned(),
            artifact_location,
            created: now,
            updated: now,
            removed: None,
            tags: BTreeMap::new(),
        }
    }

    /// The experiments that have a file.
    pub fn all(workspace: &Workspace) -> Result<Vec<Self>, RunError> {
        let repository = &workspace.repository;
        let Some(tip) = ledger::tip(repository)? else { return Ok(Vec::new()) };
        let mut experiments = Vec::new();
        for entry in repository.list_at(&tip, FOLDER)? {
            let path = format!("{FOLDER}/{}", entry.name);
            let Some(bytes) = repository.read_at(&tip, &path, MAX_FILE)? else { continue };
            // One that cannot be read is not in the way of the others.
            let parsed = std::str::from_utf8(&bytes).ok().and_then(|text| toml::from_str::<Self>(text).ok());
            experiments.extend(parsed.filter(|experiment| path == experiment.path()));
        }
        Ok(experiments)
    }

    fn path(&self) -> String {
        format!("{FOLDER}/{}.toml", self.id)
    }

    /// Writes the experiment's file. `runs` get its name, if that is another than they have.
    pub fn keep(&self, workspace: &Workspace, author: &Identity, what: &str, runs: &[RunId]) -> Result<(), RunError> {
        let malformed = |problem: String| RunError::Malformed { id: self.path(), problem };
        let text = toml::to_string(self).map_err(|error| malformed(error.to_string()))?;
        let subject: String = format!("{}: {what}", self.name).chars().filter(|c| !c.is_control()).collect();
        let name = (self.name != DEFAULT_EXPERIMENT).then(|| self.name.clone());
        let edits = [TreeEdit { path: self.path(), content: Some(text.into_bytes()) }];
        let message = format!("{subject}\n\nexperiment {}\n", self.id);
        ledger::commit_with_runs(workspace, author, &message, &edits, runs, &mut |run| {
            run.experiment.clone_from(&name);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_the_name_unless_it_is_taken() {
        assert_eq!(experiment_id("Default"), "0");
        let first = Experiment::new("digits", &|_| false);
        assert_eq!(first.id, experiment_id("digits"));
        assert!(first.id.parse::<u64>().unwrap() < BOUND);
        let second = Experiment::new("digits", &|id| id == first.id);
        assert_ne!(second.id, first.id);
        assert_eq!(second.id, Experiment::new("digits", &|id| id == first.id).id);
    }
}
