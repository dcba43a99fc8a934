//! Reading the registry's tree, which may come from anybody.

use std::collections::BTreeMap;

use crate::git::{GitError, Repository};
use crate::id::CommitId;

use super::about;
use super::names::{check_alias_name, check_model_name, escape, nearest, parse_number};
use super::version::parse_alias;
use super::{Model, RegistryError, Version};

/// Bytes a file in the tree may have.
pub(super) const MAX_FILE: u64 = 1 << 20;
/// Names a folder in the tree may have.
const MAX_NAMES: usize = 100_000;
/// Files of the tree that a survey reads: one tree may stand in another many times, so a small repository can name more
/// than anybody could ever read.
const MAX_FILES: usize = 1_000_000;
/// Problems that a survey tells of each; the rest is counted.
const MAX_PROBLEMS: usize = 1000;

/// All that could be read, and what could not.
#[derive(Debug, Default)]
pub struct Survey {
    /// The models, sorted by name.
    pub models: Vec<Model>,
    /// A [`RegistryError::Malformed`] for each place that is not valid.
    pub problems: Vec<RegistryError>,
}

/// The registry as it is in one commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree<'r> {
    pub(super) repository: &'r Repository,
    pub(super) tip: CommitId,
}

impl Tree<'_> {
    /// The names of the models.
    pub(super) fn names(&self, problems: &mut Vec<RegistryError>) -> Result<Vec<String>, RegistryError> {
        let mut names = Vec::new();
        for (name, is_folder) in self.list("")? {
            match check_model_name(&name) {
                Ok(()) if is_folder => names.push(name),
                Ok(()) => problems.push(malformed(&name, "it is a file where only models are")),
                Err(_) => problems.push(malformed(&name, "it is not the name of a model")),
            }
        }
        Ok(names)
    }

    /// Every model.
    pub(super) fn survey(&self) -> Result<Survey, RegistryError> {
        let mut survey = Survey::default();
        let mut files = 0;
        for name in self.names(&mut survey.problems)? {
            let model = match self.read(&name, &mut survey.problems) {
                Err(problem @ RegistryError::Malformed { .. }) => {
                    survey.problems.push(problem);
                    continue;
                }
                model => model?,
            };
            files += model.versions.len() + model.aliases.len() + model.about_versions.len();
            survey.models.push(model);
            if files > MAX_FILES {
                survey.problems.push(malformed("", "it has more than a million files, and the rest is not read"));
                break;
            }
            if survey.problems.len() > MAX_PROBLEMS {
                survey.problems.truncate(MAX_PROBLEMS);
                survey.problems.push(malformed("", "it has more than a thousand problems, and the rest is not read"));
                break;
            }
        }
        Ok(survey)
    }

    /// One model, all of which must be valid; none if there is no such model.
    pub(super) fn model(&self, name: &str) -> Result<Option<Model>, RegistryError> {
        let mut problems = Vec::new();
        let model = self.read(name, &mut problems)?;
        match problems.into_iter().next() {
            Some(problem) => Err(problem),
            // A model without versions says at least when it was made.
            None => Ok((!model.versions.is_empty() || model.about != about::ModelAbout::default()).then_some(model)),
        }
    }

    /// What is wrong with a model that is not there.
    pub(super) fn no_model(&self, name: &str) -> RegistryError {
        let mut known = self.names(&mut Vec::new()).unwrap_or_default();
        let near = nearest(name, known.iter().map(String::as_str));
        if !near.is_empty() {
            known = near;
        }
        known.truncate(10);
        RegistryError::NoModel { model: escape(name), known }
    }

    /// A version's file as it is here.
    pub(super) fn version_bytes(&self, model: &str, version: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        Ok(self.repository.read_at(&self.tip, &version_path(model, version), MAX_FILE)?)
    }

    fn read(&self, name: &str, problems: &mut Vec<RegistryError>) -> Result<Model, RegistryError> {
        let mut model = Model {
            name: name.to_owned(),
            versions: Vec::new(),
            aliases: BTreeMap::new(),
            about: about::ModelAbout::default(),
            about_versions: BTreeMap::new(),
        };
        for (file, is_folder) in self.list(&format!("{name}/versions"))? {
            let place = format!("{name}/versions/{file}");
            let number = file.strip_suffix(".toml").filter(|_| !is_folder).and_then(parse_number);
            let Some(number) = number else {
                problems.push(malformed(&place, "it is not a version: those are 1.toml, 2.toml, …"));
                continue;
            };
            match self.file(&place).and_then(|bytes| Version::parse(&bytes, name, number)) {
                Ok(version) => model.versions.push(version),
                Err(problem) => problems.push(malformed(&place, &problem)),
            }
        }
        model.versions.sort_by_key(|version| version.version);
        for (alias, is_folder) in self.list(&format!("{name}/aliases"))? {
            let place = format!("{name}/aliases/{alias}");
            if is_folder || check_alias_name(&alias).is_err() {
                problems.push(malformed(&place, "it is not an alias"));
                continue;
            }
            match self.file(&place).map(|bytes| parse_alias(&bytes)) {
                Ok(Some(version)) => drop(model.aliases.insert(alias, version)),
                Ok(None) => problems.push(malformed(&place, "it does not hold a version such as v3")),
                Err(problem) => problems.push(malformed(&place, &problem)),
            }
        }
        self.read_about(&mut model, problems)?;
        Ok(model)
    }

    fn read_about(&self, model: &mut Model, problems: &mut Vec<RegistryError>) -> Result<(), RegistryError> {
        let place = about::model_path(&model.name);
        if let Some(bytes) = self.repository.read_at(&self.tip, &place, MAX_FILE)? {
            match about::parse(&bytes) {
                Ok(about) => model.about = about,
                Err(problem) => problems.push(malformed(&place, &problem)),
            }
        }
        for (file, is_folder) in self.list(&format!("{}/about", model.name))? {
            let place = format!("{}/about/{file}", model.name);
            let Some(number) = file.strip_suffix(".toml").filter(|_| !is_folder).and_then(parse_number) else {
                problems.push(malformed(&place, "it is not about a version: that is 1.toml, 2.toml, …"));
                continue;
            };
            match self.file(&place).and_then(|bytes| about::parse(&bytes)) {
                Ok(about) => drop(model.about_versions.insert(number, about)),
                Err(problem) => problems.push(malformed(&place, &problem)),
            }
        }
        Ok(())
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, bool)>, RegistryError> {
        let entries = match self.repository.list_at(&self.tip, folder) {
            Err(GitError::TooLarge { .. }) => return Err(malformed(folder, "it has more names than are read")),
            entries => entries?,
        };
        if entries.len() > MAX_NAMES {
            return Err(malformed(folder, "it has more than 100,000 names"));
        }
        Ok(entries.into_iter().map(|entry| (entry.name, entry.is_folder)).collect())
    }

    fn file(&self, place: &str) -> Result<Vec<u8>, String> {
        match self.repository.read_at(&self.tip, place, MAX_FILE) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err("it is not a file".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn malformed(place: &str, problem: &str) -> RegistryError {
    let place = if place.is_empty() { "the tree".to_owned() } else { escape(place) };
    RegistryError::Malformed { place, problem: escape(problem) }
}

/// Where a version is in the tree.
pub(super) fn version_path(model: &str, version: u64) -> String {
    format!("{model}/versions/{version}.toml")
}

/// Where an alias is in the tree.
pub(super) fn alias_path(model: &str, alias: &str) -> String {
    format!("{model}/aliases/{alias}")
}
