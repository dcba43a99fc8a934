//! The registry: versions, aliases and the runs they come from.

use std::collections::BTreeMap;

use crate::id::{CommitId, RunId};
use crate::registry::{ChangedVersion, Model, REGISTRY_REF, Registry, RegistryError, Version};
use crate::run::Run;
use crate::words::error_in_a_line;

use super::runs::Checked;
use super::{Code, Inspection, Role};

/// What the folder of a model has.
const PARTS: [&str; 4] = ["versions", "aliases", "about", "about.toml"];
/// Files that are named where a model has many that do not belong there.
const MAX_FOREIGN: usize = 20;

impl Inspection<'_> {
    /// Checks every version and alias against the runs, and returns the models that can be read.
    pub(super) fn check_registry(&mut self, runs: &BTreeMap<RunId, Checked>) -> Vec<Model> {
        let tip = match self.workspace.repository.read_ref(REGISTRY_REF) {
            Ok(Some(tip)) => tip,
            Ok(None) => return Vec::new(),
            Err(error) => {
                self.unreadable_ref(REGISTRY_REF, &error_in_a_line(&error));
                return Vec::new();
            }
        };
        let registry = Registry::new(self.workspace);
        let survey = match registry.survey() {
            Ok(survey) => survey,
            Err(error) => {
                self.unreadable_ref(REGISTRY_REF, &error_in_a_line(&error));
                return Vec::new();
            }
        };
        for problem in survey.problems {
            let target = match &problem {
                RegistryError::Malformed { place, .. } => format!("{REGISTRY_REF}:{place}"),
                _ => REGISTRY_REF.to_owned(),
            };
            self.report(Code::MalformedRegistry, target, error_in_a_line(&problem), who());
        }
        for model in &survey.models {
            self.check_parts(&tip, model);
            self.check_numbers(model);
            self.check_aliases(model);
            for version in &model.versions {
                self.checked.versions += 1;
                self.add_use(version.id, version.label(), Role::Version, None);
                self.check_origin(version, runs);
            }
        }
        let history = self.check_history(&registry).and_then(|()| self.check_events(&tip, &survey.models));
        if let Err(error) = history {
            self.unreadable_ref(REGISTRY_REF, &error_in_a_line(&error));
        }
        survey.models
    }

    /// The folder of a model has nothing but what the registry keeps there.
    fn check_parts(&mut self, tip: &CommitId, model: &Model) {
        let parts = self.workspace.repository.list_at(tip, &model.name).unwrap_or_default();
        let foreign = parts.into_iter().filter(|part| !PARTS.contains(&part.name.as_str()));
        for part in foreign.take(MAX_FOREIGN) {
            self.foreign_file(REGISTRY_REF, &format!("{}/{}", model.name, part.name));
        }
    }

    fn check_numbers(&mut self, model: &Model) {
        let mut expected = 1;
        for version in &model.versions {
            while model.about.removed.contains(&expected) {
                expected += 1;
            }
            if version.version > expected {
                let missing = match version.version - expected {
                    1 => format!("v{expected} is"),
                    _ => format!("v{expected} to v{} are", version.version - 1),
                };
                let message = format!("{missing} not there, but {} is", version.label());
                self.report(Code::VersionGap, &model.name, message, who());
            }
            expected = version.version + 1;
        }
    }

    fn check_aliases(&mut self, model: &Model) {
        for (alias, version) in &model.aliases {
            if model.find(*version).is_none() {
                let name = &model.name;
                let message = format!("{name}@{alias} points to v{version}, which is not there");
                let hint = format!("point it to one that is: `git ml model alias {name} {alias} vN`");
                self.report(Code::DanglingAlias, format!("{name}@{alias}"), message, hint);
            }
        }
    }

    fn check_origin(&mut self, version: &Version, runs: &BTreeMap<RunId, Checked>) {
        let label = version.label();
        if let Some(id) = version.run {
            match runs.get(&id) {
                None => {
                    let message = format!("{label} says that run {id} made it, and there is no such run");
                    self.report(Code::MissingRun, &label, message, "fetch refs/ml/runs from a clone that has it");
                }
                Some(Checked { run, .. }) if run.outputs.iter().all(|output| output.id != version.id) => {
                    let artifact = version.id;
                    let message = format!("{label} is artifact {artifact}, which run {} did not make", run.name);
                    self.report(Code::VersionNotRunOutput, &label, message, who());
                }
                Some(Checked { run, .. }) => self.check_code(version, run),
            }
        }
        let is_missing = |commit: &CommitId| !self.is_shallow() && !self.workspace.repository.has_commit(commit);
        // The code of a run that is missing was told of with the run.
        let of_run = version.run.and_then(|id| runs.get(&id)?.run.snapshot);
        if let Some(commit) = version.commit.filter(|commit| Some(*commit) != of_run && is_missing(commit)) {
            let message = format!("{label} names commit {commit}, which is not there");
            self.report(Code::MissingCommit, &label, message, "fetch the branch it is on");
        }
    }

    /// The code that a version names is that of its run.
    fn check_code(&mut self, version: &Version, run: &Run) {
        let (Some(commit), Some(snapshot)) = (version.commit, run.snapshot) else { return };
        if commit != snapshot && Some(commit) != run.commit && self.workspace.repository.has_commit(&commit) {
            let (label, name) = (version.label(), &run.name);
            let message = format!("{label} names commit {commit}, and its run {name} ran commit {snapshot}");
            self.report(Code::VersionCommitMismatch, &label, message, who());
        }
    }

    /// A version must be to this day what it was when it was registered.
    fn check_history(&mut self, registry: &Registry<'_>) -> Result<(), RegistryError> {
        for ChangedVersion { label, by, is_gone } in registry.changed_versions()? {
            let (code, message) = match is_gone {
                true => (Code::RemovedVersion, format!("{label} was registered by {by} and is gone")),
                false => (Code::ChangedVersion, format!("{label} is not what was registered by {by}")),
            };
            self.report(code, label, message, who());
        }
        Ok(())
    }
}

pub(super) fn who() -> String {
    format!("`git log -p --first-parent {REGISTRY_REF}` shows who changed it")
}
