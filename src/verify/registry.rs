//! The registry: versions, aliases and the runs they come from.

use std::collections::BTreeMap;

use crate::id::RunId;
use crate::registry::{ChangedVersion, Model, REGISTRY_REF, Registry, RegistryError, Version};
use crate::run::Run;

use super::{Code, Inspection, Role};
use crate::words::error_in_a_line;

impl Inspection<'_> {
    /// Checks every version and alias against the runs.
    pub(super) fn check_registry(&mut self, runs: &BTreeMap<RunId, Run>) {
        let registry = Registry::new(self.workspace);
        let survey = match registry.survey() {
            Ok(survey) => survey,
            Err(error) => return self.unreadable_ref(REGISTRY_REF, &error_in_a_line(&error)),
        };
        for problem in survey.problems {
            let target = match &problem {
                RegistryError::Malformed { place, .. } => format!("{REGISTRY_REF}:{place}"),
                _ => REGISTRY_REF.to_owned(),
            };
            self.report(Code::MalformedRegistry, target, error_in_a_line(&problem), who());
        }
        for model in &survey.models {
            self.check_numbers(model);
            self.check_aliases(model);
            for version in &model.versions {
                self.checked.versions += 1;
                self.add_use(version.id, version.label(), Role::Version, None);
                self.check_origin(version, runs);
            }
        }
        if let Err(error) = self.check_history(&registry) {
            self.unreadable_ref(REGISTRY_REF, &error_in_a_line(&error));
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

    fn check_origin(&mut self, version: &Version, runs: &BTreeMap<RunId, Run>) {
        let label = version.label();
        if let Some(id) = version.run {
            match runs.get(&id) {
                None => {
                    let message = format!("{label} says that run {id} made it, and there is no such run");
                    self.report(Code::MissingRun, &label, message, "fetch refs/ml/runs from a clone that has it");
                }
                Some(run) if run.outputs.iter().all(|output| output.id != version.id) => {
                    let artifact = version.id;
                    let message = format!("{label} is artifact {artifact}, which run {} did not make", run.name);
                    self.report(Code::VersionNotRunOutput, &label, message, who());
                }
                Some(_) => {}
            }
        }
        if let Some(commit) = version.commit.filter(|commit| !self.workspace.repository.has_commit(commit)) {
            let message = format!("{label} names commit {commit}, which is not there");
            self.report(Code::MissingCommit, &label, message, "fetch the branch it is on");
        }
    }

    /// A version must be to this day what it was when it was registered.
    fn check_history(&mut self, registry: &Registry<'_>) -> Result<(), RegistryError> {
        for ChangedVersion { label, by, is_gone } in registry.changed_versions()? {
            let message = match is_gone {
                true => format!("{label} was registered by {by} and is gone"),
                false => format!("{label} is not what was registered by {by}"),
            };
            self.report(Code::ChangedVersion, label, message, who());
        }
        Ok(())
    }
}

fn who() -> String {
    format!("`git log -p --first-parent {REGISTRY_REF}` shows who changed it")
}
