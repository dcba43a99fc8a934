//! Reading the registry's tree, which may come from anybody.

use std::collections::BTreeMap;

use crate::git::{GitError, ObjectName, PartKind, Repository, TreePart};
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

/// Reads the bytes of a numbered file.
type Parse<'p, T> = &'p dyn Fn(&[u8], u64) -> Result<T, String>;

/// The registry as it is in one commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree<'r> {
    pub(super) repository: &'r Repository,
    pub(super) tip: CommitId,
}

impl Tree<'_> {
    /// The names of the models.
    pub(super) fn names(&self, problems: &mut Vec<RegistryError>) -> Result<Vec<String>, RegistryError> {
        Ok(self.models(problems)?.into_iter().map(|part| part.name).collect())
    }

    /// The models' folders.
    fn models(&self, problems: &mut Vec<RegistryError>) -> Result<Vec<TreePart>, RegistryError> {
        let root = self.repository.tree_of(&self.tip)?;
        let mut models = Vec::new();
        for part in self.parts(&root, "")? {
            match check_model_name(&part.name) {
                Ok(()) if part.kind == PartKind::Folder => models.push(part),
                Ok(()) => problems.push(malformed(&part.name, "it is a file where only models are")),
                Err(_) => problems.push(malformed(&part.name, "it is not the name of a model")),
            }
        }
        Ok(models)
    }

    /// Every model.
    pub(super) fn survey(&self) -> Result<Survey, RegistryError> {
        let mut survey = Survey::default();
        let mut files = 0;
        for part in self.models(&mut survey.problems)? {
            let model = match self.read(&part.name, &part.id, &mut survey.problems) {
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
        let models = self.models(&mut Vec::new())?;
        let Some(part) = models.iter().find(|part| part.name == name) else { return Ok(None) };
        let mut problems = Vec::new();
        let model = self.read(name, &part.id, &mut problems)?;
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

    fn read(&self, name: &str, folder: &ObjectName, problems: &mut Vec<RegistryError>) -> Result<Model, RegistryError> {
        let mut model = Model {
            name: name.to_owned(),
            versions: Vec::new(),
            aliases: BTreeMap::new(),
            about: about::ModelAbout::default(),
            about_versions: BTreeMap::new(),
        };
        for part in self.parts(folder, name)? {
            let place = format!("{name}/{}", part.name);
            match (part.name.as_str(), part.kind) {
                ("versions", PartKind::Folder) => {
                    let parse = |bytes: &[u8], number| Version::parse(bytes, name, number);
                    let wrong = "it is not a version: those are 1.toml, 2.toml, …";
                    let versions = self.numbered(&part.id, &place, wrong, &parse, problems)?;
                    model.versions = versions.into_values().collect();
                }
                ("about", PartKind::Folder) => {
                    let parse = |bytes: &[u8], _| about::parse(bytes);
                    let wrong = "it is not about a version: that is 1.toml, 2.toml, …";
                    model.about_versions = self.numbered(&part.id, &place, wrong, &parse, problems)?;
                }
                ("aliases", PartKind::Folder) => model.aliases = self.aliases(&part.id, &place, problems)?,
                ("about.toml", _) => match self.file(&part).and_then(|bytes| about::parse(&bytes)) {
                    Ok(about) => model.about = about,
                    Err(problem) => problems.push(malformed(&place, &problem)),
                },
                _ => {}
            }
        }
        Ok(model)
    }

    /// The files `1.toml`, `2.toml`, … of a folder, read.
    fn numbered<T>(
        &self,
        folder: &ObjectName,
        place: &str,
        wrong: &str,
        parse: Parse<'_, T>,
        problems: &mut Vec<RegistryError>,
    ) -> Result<BTreeMap<u64, T>, RegistryError> {
        let mut found = BTreeMap::new();
        for part in self.parts(folder, place)? {
            let place = format!("{place}/{}", part.name);
            let is_folder = part.kind == PartKind::Folder;
            let number = part.name.strip_suffix(".toml").filter(|_| !is_folder).and_then(parse_number);
            let Some(number) = number else {
                problems.push(malformed(&place, wrong));
                continue;
            };
            match self.file(&part).and_then(|bytes| parse(&bytes, number)) {
                Ok(value) => drop(found.insert(number, value)),
                Err(problem) => problems.push(malformed(&place, &problem)),
            }
            if problems.len() > MAX_PROBLEMS {
                break;
            }
        }
        Ok(found)
    }

    fn aliases(
        &self,
        folder: &ObjectName,
        place: &str,
        problems: &mut Vec<RegistryError>,
    ) -> Result<BTreeMap<String, u64>, RegistryError> {
        let mut aliases = BTreeMap::new();
        for part in self.parts(folder, place)? {
            let place = format!("{place}/{}", part.name);
            if part.kind == PartKind::Folder || check_alias_name(&part.name).is_err() {
                problems.push(malformed(&place, "it is not an alias"));
                continue;
            }
            match self.file(&part).map(|bytes| parse_alias(&bytes)) {
                Ok(Some(version)) => drop(aliases.insert(part.name, version)),
                Ok(None) => problems.push(malformed(&place, "it does not hold a version such as v3")),
                Err(problem) => problems.push(malformed(&place, &problem)),
            }
        }
        Ok(aliases)
    }

    /// What is in a folder, of a number that somebody can mean.
    fn parts(&self, folder: &ObjectName, place: &str) -> Result<Vec<TreePart>, RegistryError> {
        let too_many = || malformed(place, "it has more than 100,000 names");
        match self.repository.parts_of(folder) {
            Ok(parts) if parts.len() > MAX_NAMES => Err(too_many()),
            Err(GitError::TooLarge { .. }) => Err(too_many()),
            parts => Ok(parts?),
        }
    }

    fn file(&self, part: &TreePart) -> Result<Vec<u8>, String> {
        if part.kind != PartKind::File {
            return Err("it is not a file".to_owned());
        }
        match self.repository.read_file(&part.id, MAX_FILE) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err("it is larger than 1 MiB".to_owned()),
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
