//! Targets: what users name where an artifact is asked for.

use std::path::Path;

use crate::files::RelPath;
use crate::id::ArtifactId;
use crate::run::{Run, RunOutput, Runs};
use crate::track::{POINTER_SUFFIX, Pointer, TrackError};

use super::names::{Selector, check_model_name, escape, nearest};
use super::{Model, Registry, RegistryError, Resolved, Version};

/// The type of an artifact of which nothing but the id is known.
pub(super) const UNKNOWN_TYPE: &str = "artifact";

impl Registry<'_> {
    /// The version that `name@v3` or `name@production` names; a plain `name` or `name@latest` is its newest version.
    pub fn version(&self, text: &str) -> Result<(Model, Version), RegistryError> {
        let (name, selector) = match text.split_once('@') {
            None => (text, Selector::Newest),
            Some((name, after)) => (name, Selector::parse(after).map_err(|problem| bad(text, problem))?),
        };
        let model = self.model(name)?;
        let version = match &selector {
            Selector::Newest => model.newest(),
            Selector::Number(number) => {
                Some(model.find(*number).ok_or_else(|| super::change::no_version(&model, *number))?)
            }
            Selector::Alias(alias) => match model.aliases.get(alias) {
                Some(number) => Some(model.find(*number).ok_or_else(|| super::change::no_version(&model, *number))?),
                None => return Err(RegistryError::NoAlias { model: model.name, alias: alias.clone() }),
            },
        };
        match version.cloned() {
            Some(version) => Ok((model, version)),
            None => Err(bad(text, "has no version")),
        }
    }

    /// Finds what a target names: `data/x` (a path with a pointer, relative to `current`), `name@v3`,
    /// `name@production`, `name` (its newest version), `run:<run>` (its only output, or its model),
    /// `run:<run>:<output>`, or the whole id of an artifact in the store.
    ///
    /// A path with a pointer comes first, so a file name with `@` or `:` in it can be named too.
    pub fn resolve(&self, current: &Path, target: &str) -> Result<Resolved, RegistryError> {
        if let Some((path, pointer)) = self.find_pointer(current, target)? {
            return self.of_pointer(target, &path, pointer);
        }
        if let Some(rest) = target.strip_prefix("run:") {
            return self.of_run(target, rest);
        }
        if let Ok(id) = target.parse::<ArtifactId>() {
            return self.of_store(target, id);
        }
        let name = target.split_once('@').map_or(target, |(name, _)| name);
        if check_model_name(name).is_err() {
            let problem = if name.is_empty() || target.chars().any(char::is_control) {
                "is not a target"
            } else {
                "is not tracked by git ml"
            };
            return Err(self.unknown(target, problem));
        }
        match self.version(target) {
            Ok((_, version)) => Ok(of_version(target, version)),
            Err(RegistryError::NoModel { .. }) => Err(self.unknown(target, "is neither a tracked path nor a model")),
            Err(error) => Err(error),
        }
    }

    /// The pointer of what `target` names, if it names a path that has one.
    fn find_pointer(&self, current: &Path, target: &str) -> Result<Option<(RelPath, Pointer)>, RegistryError> {
        let Ok(path) = self.workspace.rel_path(current, Path::new(target)) else {
            return Ok(None);
        };
        // The pointer's own name is as good.
        let data = path.as_str().strip_suffix(POINTER_SUFFIX).and_then(|data| RelPath::new(data).ok());
        for path in data.into_iter().chain([path]) {
            match self.workspace.pointer(&path) {
                Ok(pointer) => return Ok(Some((path, pointer))),
                Err(TrackError::NotTracked { .. } | TrackError::NotFound { .. } | TrackError::UnsafePath(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn of_pointer(&self, target: &str, path: &RelPath, pointer: Pointer) -> Result<Resolved, RegistryError> {
        // HEAD is the artifact's commit only if it has this very pointer.
        let repository = &self.workspace.repository;
        let mut commit = repository.head()?.commit;
        if let Some(head) = commit {
            let committed = repository.read_at(&head, &format!("{path}{POINTER_SUFFIX}"), 64 * 1024).ok().flatten();
            let committed = committed.and_then(|bytes| Pointer::parse(&bytes).ok());
            commit = committed.filter(|committed| committed.id == pointer.id).map(|_| head);
        }
        Ok(Resolved {
            target: target.to_owned(),
            id: pointer.id,
            name: pointer.name,
            artifact_type: pointer.artifact_type.as_str().to_owned(),
            run: None,
            commit,
        })
    }

    /// An artifact of the store by its id, of which nothing else is known.
    fn of_store(&self, target: &str, id: ArtifactId) -> Result<Resolved, RegistryError> {
        if !self.workspace.store.has_artifact(&id)? {
            return Err(RegistryError::NotStored { target: target.to_owned() });
        }
        let (name, artifact_type) = (target.chars().take(12).collect(), UNKNOWN_TYPE.to_owned());
        Ok(Resolved { target: target.to_owned(), id, name, artifact_type, run: None, commit: None })
    }

    fn of_run(&self, target: &str, rest: &str) -> Result<Resolved, RegistryError> {
        let (wanted, output) = match rest.split_once(':') {
            Some((wanted, output)) => (wanted, Some(output)),
            None => (rest, None),
        };
        let run = Runs::new(self.workspace).find(wanted)?;
        let output = choose_output(target, &run, output)?;
        Ok(Resolved {
            target: target.to_owned(),
            id: output.id,
            name: output.name.clone(),
            artifact_type: output.artifact_type.clone(),
            run: Some(run.id),
            commit: run.snapshot,
        })
    }

    /// The error for a target that names nothing, with what it may have meant.
    fn unknown(&self, target: &str, problem: &str) -> RegistryError {
        let mut known: Vec<String> = Vec::new();
        if let Ok(survey) = self.survey() {
            for model in survey.models {
                known.extend(model.aliases.keys().map(|alias| format!("{}@{alias}", model.name)));
                known.push(model.name);
            }
        }
        if let Ok(pointers) = self.workspace.pointers() {
            known.extend(pointers.keys().map(RelPath::to_string));
        }
        let nearest = nearest(target, known.iter().map(String::as_str));
        RegistryError::BadTarget { target: escape(target), problem: problem.to_owned(), nearest }
    }
}

fn bad(target: &str, problem: &str) -> RegistryError {
    RegistryError::BadTarget { target: escape(target), problem: problem.to_owned(), nearest: Vec::new() }
}

impl From<Version> for Resolved {
    fn from(version: Version) -> Self {
        of_version(&version.label(), version)
    }
}

fn of_version(target: &str, version: Version) -> Resolved {
    Resolved {
        target: target.to_owned(),
        id: version.id,
        name: version.model,
        artifact_type: version.artifact_type,
        run: version.run,
        commit: version.commit,
    }
}

/// The output that is meant: the one with this name, else the only one, else the only model.
fn choose_output<'r>(target: &str, run: &'r Run, wanted: Option<&str>) -> Result<&'r RunOutput, RegistryError> {
    let names = || run.outputs.iter().map(|output| output.name.as_str());
    let fail =
        |problem: String, nearest: Vec<String>| RegistryError::BadTarget { target: escape(target), problem, nearest };
    let with_outputs = || names().take(10).map(|name| format!("run:{}:{}", run.name, escape(name))).collect();
    if let Some(wanted) = wanted {
        let found = run.outputs.iter().find(|output| output.name == wanted);
        return found.ok_or_else(|| fail(format!("names no output of run {}", escape(&run.name)), with_outputs()));
    }
    let mut models = run.outputs.iter().filter(|output| output.artifact_type == "model");
    match (run.outputs.as_slice(), models.next(), models.next()) {
        ([], _, _) => Err(fail(format!("names run {}, which has no outputs", escape(&run.name)), Vec::new())),
        ([only], _, _) => Ok(only),
        (_, Some(model), None) => Ok(model),
        _ => Err(fail(format!("names run {}, which has several outputs", escape(&run.name)), with_outputs())),
    }
}
