//! What MLflow keeps, in a folder (`mlruns`) or in a SQLite database, as runs and versions of models.
//!
//! Only text, numbers and bytes are taken: a pickled model is stored and never loaded. Of the places of artifacts only
//! those are believed that look as MLflow makes them, since a database may name any folder of this machine.

mod database;
mod file_store;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::formats::moment;
use crate::id::RunId;
use crate::registry::{Model, Registry, RegistryError, Resolved};
use crate::run::RunStatus;
use crate::track::{Progress, Workspace};
use crate::words::error_in_a_line;

use super::ImportError;
use super::runs::{
    ImportedRuns, ImportedVersion, LeftOut, Recorder, RunImportOptions, SourceArtifact, SourceRun, artifacts_in,
    derived_id,
};

/// What this import is called, in records and in ids.
const ORIGIN: &str = "mlflow";

/// Imports the runs and models of an `mlruns` folder or of a database.
pub(super) fn import(
    workspace: &Workspace,
    source: &Path,
    options: &RunImportOptions,
    progress: &dyn Progress,
) -> Result<ImportedRuns, ImportError> {
    let mut recorder = Recorder::new(workspace, ORIGIN, options, progress)?;
    progress.start("importing runs", None);
    let models = match find(source)? {
        Store::Folder(folder) => file_store::read(&folder, &mut recorder, progress)?,
        Store::Database(file) => database::read(&file, &mut recorder, progress)?,
    };
    let mut imported = recorder.finish()?;
    register(workspace, models, options, &mut imported)?;
    Ok(imported)
}

/// Where MLflow keeps its runs.
#[derive(Debug, PartialEq, Eq)]
enum Store {
    Folder(PathBuf),
    Database(PathBuf),
}

/// The folder or the database that a path means: itself, or what is in it under the usual name.
fn find(source: &Path) -> Result<Store, ImportError> {
    let unknown = |problem: &'static str| ImportError::Unknown { path: source.to_path_buf(), tool: "MLflow", problem };
    let metadata =
        fs::metadata(source).map_err(|error| ImportError::Read { path: source.to_path_buf(), source: error })?;
    if metadata.is_file() {
        return match is_database(source) {
            true => Ok(Store::Database(source.to_path_buf())),
            false => Err(unknown("it is no SQLite database")),
        };
    }
    let database = source.join("mlflow.db");
    if file_store::is_one(source) {
        Ok(Store::Folder(source.to_path_buf()))
    } else if is_database(&database) {
        Ok(Store::Database(database))
    } else if file_store::is_one(&source.join("mlruns")) {
        Ok(Store::Folder(source.join("mlruns")))
    } else {
        Err(unknown("it has no experiments"))
    }
}

fn is_database(path: &Path) -> bool {
    let mut head = [0; 16];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"SQLite format 3\0"
}

/// What is said of a run in both kinds of stores.
#[derive(Debug, Default)]
struct Facts {
    id: String,
    name: String,
    status: Option<RunStatus>,
    started: Option<i64>,
    ended: Option<i64>,
    user: String,
    source_name: String,
    is_deleted: bool,
    deleted: Option<i64>,
    experiment: String,
    params: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
}

impl Facts {
    /// The run, without its metrics and artifacts.
    fn into_run(self, first_point: Option<Timestamp>, workspace: &Workspace) -> SourceRun {
        let started = self.started.map(milliseconds).or(first_point).unwrap_or_default();
        let mut source = SourceRun::new(run_id(&self.id, started), started);
        let run = &mut source.run;
        let tag = |name: &str| self.tags.get(name).filter(|value| !value.is_empty()).cloned();
        let non_empty = |text: String| (!text.is_empty()).then_some(text);
        if let Some(name) = non_empty(self.name).or_else(|| tag("mlflow.runName")) {
            run.name = name;
        }
        run.status = self.status.unwrap_or(RunStatus::Running);
        run.experiment = non_empty(self.experiment);
        run.ended = self.ended.map(milliseconds);
        run.user = tag("mlflow.user").or_else(|| non_empty(self.user)).unwrap_or_default();
        run.command = tag("mlflow.source.name").or_else(|| non_empty(self.source_name)).into_iter().collect();
        run.note = tag("mlflow.note.content");
        // A commit that is not here would only look like one that is lost.
        run.commit = tag("mlflow.source.git.commit")
            .and_then(|commit| commit.parse().ok())
            .filter(|commit| workspace.repository.has_commit(commit));
        if self.is_deleted {
            run.removed = Some(self.deleted.map(milliseconds).or(run.ended).unwrap_or(started));
        }
        run.params = self.params;
        run.tags = self.tags;
        source
    }
}

/// MLflow's ids are ours already.
fn run_id(text: &str, started: Timestamp) -> RunId {
    text.parse().unwrap_or_else(|_| derived_id(ORIGIN, &[text.as_bytes()], started))
}

fn milliseconds(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_else(|_| moment(milliseconds as f64 / 1e3))
}

/// The words of a database and the numbers of a folder.
fn status(text: &str) -> Option<RunStatus> {
    match text {
        "RUNNING" | "1" | "SCHEDULED" | "2" => Some(RunStatus::Running),
        "FINISHED" | "3" => Some(RunStatus::Finished),
        "FAILED" | "4" => Some(RunStatus::Failed),
        "KILLED" | "5" => Some(RunStatus::Killed),
        _ => None,
    }
}

/// A folder of artifacts that MLflow names, where it is here and looks as MLflow makes them: it ends with the id that it
/// belongs to, and with `artifacts`. Below that, `rest` may lead on.
fn place_of(uri: &str, id: &str, roots: &[PathBuf]) -> Option<PathBuf> {
    if id.is_empty() || id.contains(['/', '\\']) || id.starts_with('.') {
        return None;
    }
    let path = local_path(uri)?;
    let (above, rest) = path.split_once(&format!("{id}/artifacts"))?;
    let is_good = (above.is_empty() || above.ends_with('/')) && (rest.is_empty() || rest.starts_with('/'));
    if !is_good || path.split('/').any(|name| name == "..") {
        return None;
    }
    let from_root = |root: &PathBuf| root.join(path.trim_start_matches('/'));
    // What a server keeps is named without its folder, and a folder may have been moved with its database.
    let moved = path.trim_start_matches('/');
    let tails = moved.match_indices('/').map(|(index, _)| &moved[index + 1..]);
    let tails: Vec<&str> = tails.filter(|tail| tail.contains(&format!("{id}/artifacts"))).collect();
    let candidates = path
        .starts_with('/')
        .then(|| PathBuf::from(&path))
        .into_iter()
        .chain(roots.iter().map(from_root))
        .chain(roots.iter().flat_map(|root| tails.iter().map(move |tail| root.join(tail))));
    candidates.into_iter().find(|place| fs::symlink_metadata(place).is_ok_and(|metadata| !metadata.is_symlink()))
}

/// The path of a URI that is on this machine, or at a server that keeps its files beside its database.
fn local_path(uri: &str) -> Option<String> {
    let path = match uri.split_once(':') {
        None => uri,
        Some(("file" | "mlflow-artifacts", path)) => match path.strip_prefix("//") {
            Some(rest) => &rest[rest.find('/')?..],
            None => path,
        },
        Some(_) => return None,
    };
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|path| !path.is_empty())
}

/// A model that a run logged since version 3 of MLflow: its files are not among the run's.
#[derive(Debug, Clone)]
struct LoggedModel {
    id: String,
    name: String,
    place: PathBuf,
}

/// The artifacts of a run, and the models that it logged.
fn artifacts(folder: Option<&Path>, models: &[LoggedModel]) -> Vec<SourceArtifact> {
    let mut artifacts = folder.map(|folder| artifacts_in(folder, &[])).unwrap_or_default();
    for model in models.iter().filter(|model| fs::read_dir(&model.place).is_ok_and(|mut files| files.next().is_some()))
    {
        let is_taken = artifacts.iter().any(|artifact| artifact.name == model.name);
        let is_bad = model.name.is_empty() || model.name.contains('/') || model.name.chars().any(char::is_control);
        let name = if is_taken || is_bad { model.id.clone() } else { model.name.clone() };
        artifacts.push(SourceArtifact { name, artifact_type: "model", place: model.place.clone() });
    }
    artifacts
}

/// A registered model.
#[derive(Debug, Default)]
struct SourceModel {
    name: String,
    versions: Vec<SourceVersion>,
    aliases: BTreeMap<String, u64>,
}

/// A version of a registered model.
#[derive(Debug)]
struct SourceVersion {
    number: u64,
    run: Option<String>,
    /// Where its files are; none where they are not here.
    place: Option<PathBuf>,
    note: Option<String>,
}

/// Registers what is not registered yet. Aliases that point elsewhere here stay.
fn register(
    workspace: &Workspace,
    models: Vec<SourceModel>,
    options: &RunImportOptions,
    imported: &mut ImportedRuns,
) -> Result<(), ImportError> {
    let registry = Registry::new(workspace);
    for mut model in models {
        model.versions.sort_by_key(|version| version.number);
        let before = known_model(&registry, &model.name)?;
        let mut numbers = BTreeMap::new();
        for version in &model.versions {
            let label = format!("{} version {}", model.name, version.number);
            match register_version(workspace, &registry, &model.name, version, options.dry_run) {
                Ok((number, is_changed)) => {
                    numbers.insert(version.number, number);
                    imported.versions.push(ImportedVersion {
                        model: model.name.clone(),
                        version: number,
                        source_version: version.number,
                        aliases: Vec::new(),
                        is_changed,
                    });
                }
                Err(why) => imported.left_out.push(LeftOut { what: label, why }),
            }
        }
        for (alias, source_version) in &model.aliases {
            let Some(number) = numbers.get(source_version) else { continue };
            let here = before.as_ref().and_then(|model| model.aliases.get(alias)).copied();
            let mut leave_out = |why: String| {
                imported.left_out.push(LeftOut { what: format!("alias {}@{alias}", model.name), why });
            };
            let is_changed = here.is_none();
            match (here, number) {
                (Some(here), Some(number)) if here != *number => {
                    leave_out(format!("it points to v{here} here"));
                    continue;
                }
                (None, Some(number)) => {
                    if let Err(error) = registry.set_alias(&model.name, alias, *number, None) {
                        leave_out(error_in_a_line(&error));
                        continue;
                    }
                }
                _ => {}
            }
            let imported = imported.versions.iter_mut();
            let version = imported.filter(|version| version.model == model.name);
            for version in version.filter(|version| version.source_version == *source_version) {
                version.aliases.push(alias.clone());
                version.is_changed |= is_changed;
            }
        }
    }
    Ok(())
}

fn known_model(registry: &Registry<'_>, name: &str) -> Result<Option<Model>, ImportError> {
    match registry.model(name) {
        Ok(model) => Ok(Some(model)),
        Err(RegistryError::NoModel { .. } | RegistryError::BadName { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Registers a version: its number here (none in a dry run), and whether it is new.
fn register_version(
    workspace: &Workspace,
    registry: &Registry<'_>,
    model: &str,
    version: &SourceVersion,
    is_dry: bool,
) -> Result<(Option<u64>, bool), String> {
    let place = version.place.as_ref().ok_or("its files are not here")?;
    if is_dry {
        return Ok((None, true));
    }
    let failed = |error: &dyn std::error::Error| error_in_a_line(error);
    let _hold = workspace.store.hold().map_err(|error| failed(&error))?;
    let (id, _, _) = workspace.store_path(place).map_err(|error| failed(&error))?;
    let artifact = Resolved {
        target: place.display().to_string(),
        id,
        name: model.to_owned(),
        artifact_type: "model".to_owned(),
        run: version.run.as_deref().and_then(|run| run.parse().ok()),
        commit: None,
    };
    let registered = registry.register(model, &artifact, version.note.as_deref()).map_err(|error| failed(&error))?;
    Ok((Some(registered.version.version), registered.is_new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests make the folders that MLflow would")]
    fn places_of_artifacts_are_believed_only_if_they_look_as_mlflow_makes_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_path_buf();
        let id = "6e6280f331a94bf388fa9d0de0ecee99";
        let place = root.join(format!("1/{id}/artifacts"));
        fs::create_dir_all(place.join("model")).unwrap();
        let roots = [root.clone()];
        let found = |uri: &str| place_of(uri, id, &roots);
        let absolute = place.display().to_string();
        for uri in [
            absolute.clone(),
            format!("file://{absolute}"),
            format!("file:{absolute}"),
            format!("mlflow-artifacts:/1/{id}/artifacts"),
            format!("mlflow-artifacts://server:5000/1/{id}/artifacts"),
            format!("./1/{id}/artifacts"),
            format!("/home/someone/mlruns/1/{id}/artifacts"),
        ] {
            assert_eq!(found(&uri).map(|found| found.canonicalize().unwrap()), Some(place.clone()), "{uri}");
        }
        assert_eq!(found(&format!("{absolute}/model")), Some(place.join("model")));
        let s3 = format!("s3://bucket/1/{id}/artifacts");
        let climbing = format!("{absolute}/../../../..");
        for uri in ["/etc", "file:///etc", &s3, &climbing, "", &root.display().to_string()] {
            assert_eq!(found(uri), None, "{uri}");
        }
        assert_eq!(place_of(&absolute, "..", &roots), None);
    }

    #[test]
    fn uris_are_decoded() {
        assert_eq!(local_path("file:///a%20b/c").as_deref(), Some("/a b/c"));
        assert_eq!(local_path("file:///a%2").as_deref(), Some("/a%2"));
        assert_eq!(local_path("s3://x/y"), None);
        assert_eq!(local_path("file://host"), None);
    }
}
