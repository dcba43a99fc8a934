//! Starting the worker for a recipe, in a run of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::config::Experiment;
use crate::files::{self, Durability, RelPath, UnsafePath};
use crate::id::ArtifactId;
use crate::run::{
    CHECKPOINT, Ended, Launch, LiveRun, Observer, Run, RunError, RunInput, RunStatus, Supervision, capture_environment,
    inputs_from_pointers,
};
use crate::track::{TrackError, Workspace};

use super::{DataSource, FileSource, Job, Machine, ModelFileError, PROTOCOL_VERSION, Recipe, RecipeError};

/// The worker's program.
const WORKER: &str = "git-ml-torch";
/// The name and the type of a training's output, and its folder in the run's scratch folder.
const OUTPUT: &str = "model";

/// The tag with the id of the run that is gone on with.
const RESUMES: &str = "resumes";

/// What can go wrong with a native training before or beside the run itself.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The recipe is not valid.
    #[error("experiment `{experiment}`: {source}")]
    Recipe {
        /// The experiment's name.
        experiment: String,
        /// What is wrong.
        source: RecipeError,
    },
    /// The worker is not installed.
    #[error("the worker git-ml-torch is not beside git-ml nor on the PATH")]
    NoWorker,
    /// The worker is there, but does not start.
    #[error("the worker {} does not start: {problem}", worker.display())]
    BrokenWorker {
        /// Its program.
        worker: PathBuf,
        /// What it or the system said, in a line.
        problem: String,
    },
    /// The recipe's data are neither tracked nor in the work tree.
    #[error("there is no data at {path}")]
    NoData {
        /// As the recipe gives it.
        path: String,
    },
    /// The file that the recipe's model is made from is neither tracked nor in the work tree.
    #[error("there is no file at {path}")]
    NoFile {
        /// As the recipe gives it.
        path: String,
    },
    /// The recipe's data are tracked, but not in this store.
    #[error("the data of {path} are not in this store")]
    NotStored {
        /// The path.
        path: RelPath,
    },
    /// The run that is to be gone on with left no checkpoint.
    #[error("{run} has no checkpoint to go on from{}", if *finished { ": it finished" } else { "" })]
    NoCheckpoint {
        /// The run's name.
        run: String,
        /// Whether it finished.
        finished: bool,
    },
    /// What is to be evaluated is no model.
    #[error("{target} is no model that can be evaluated: {source}")]
    NoModel {
        /// What the user called it.
        target: String,
        /// Why.
        source: ModelFileError,
    },
    /// The model that is to be evaluated is not in this store.
    #[error("{target} is not in this store")]
    ModelNotStored {
        /// What the user called it.
        target: String,
    },
    /// The work tree or the store failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// The run failed before the training started.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A native training to be started.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// The experiment's name.
    pub experiment: String,
    /// Parameters given with `-p`.
    pub overrides: Vec<(String, String)>,
    /// The run's name.
    pub name: Option<String>,
    /// What the recipe names that is registered, in place of a path: `cifar10@v1`. The path of each is that text.
    pub registered: Vec<RunInput>,
    /// The run that was stopped and is gone on with, from its checkpoint, with its parameters and its data.
    pub resume: Option<Run>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The worker's program, from [`find_worker`].
    pub worker: PathBuf,
    /// Who runs it.
    pub user: String,
    /// The machine's name.
    pub host: String,
}

/// The worker: beside `program`, which is git-ml itself, else on `search_path`.
pub fn find_worker(program: &Path, search_path: Option<&OsStr>) -> Option<PathBuf> {
    // git may start git-ml through a link in its own folder; the worker is beside the real one.
    let real = program.canonicalize().ok();
    let beside = [real.as_deref(), Some(program)].into_iter().flatten().filter_map(Path::parent).map(Path::to_path_buf);
    let on_path = search_path.into_iter().flat_map(std::env::split_paths).filter(|folder| folder.is_absolute());
    beside.chain(on_path).map(|folder| folder.join(WORKER)).find(|place| is_program(place))
}

fn is_program(place: &Path) -> bool {
    place.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What the worker says about itself: `git-ml-torch` and `libtorch` with their versions, `cuda-devices` with how many
/// it sees.
pub fn worker_versions(worker: &Path) -> Result<BTreeMap<String, String>, TrainError> {
    let broken = |problem: String| TrainError::BrokenWorker { worker: worker.to_path_buf(), problem };
    let output = Command::new(worker).arg("--version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| broken(error.to_string()))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let first = told.lines().next().map_or_else(|| output.status.to_string(), str::to_owned);
        return Err(broken(first));
    }
    let told = String::from_utf8_lossy(&output.stdout);
    let versions = told.lines().filter_map(|line| line.split_once(' '));
    Ok(versions.map(|(name, version)| (name.to_owned(), version.to_owned())).collect())
}

/// What this machine has, with the devices that the worker sees.
pub fn machine(worker: &Path) -> Result<Machine, TrainError> {
    Ok(machine_of(&worker_versions(worker)?))
}

fn machine_of(versions: &BTreeMap<String, String>) -> Machine {
    Machine::here(versions.get("cuda-devices").and_then(|count| count.parse().ok()).unwrap_or(0))
}

/// Trains a recipe in a run of its own and stores the model as the run's output `model`.
pub fn train(
    workspace: &Workspace,
    experiment: &Experiment,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Ended, TrainError> {
    let wrong = |source| TrainError::Recipe { experiment: options.experiment.clone(), source };
    let mut recipe = match &options.resume {
        None => Recipe::new(experiment, &options.overrides).map_err(wrong)?,
        Some(run) => recorded_recipe(run).map_err(wrong)?,
    };
    let tree_path = |key: &str, path: &str| {
        RelPath::new(path).map_err(|UnsafePath { path, reason }| {
            wrong(RecipeError::BadValue { key: key.to_owned(), problem: format!("cannot be `{path}`: {reason}") })
        })
    };
    let data_path = tree_path("data", &recipe.data.data)?;
    let recorded = options.resume.as_ref().map_or(&options.registered[..], |run| &run.inputs);
    let (data, mut inputs) = find_data(workspace, &data_path, recorded.iter().find(|input| input.path == data_path))?;
    let mut model_file = None;
    if let Some(file) = recipe.model.file() {
        let (source, input) = find_file(workspace, &tree_path(recipe.model.file_key(), file)?, recorded)?;
        inputs.extend(input.filter(|input| input.path != data_path));
        model_file = Some(source);
    }
    let checkpoint = options.resume.as_ref().map(checkpoint_of).transpose()?;
    let versions = worker_versions(&options.worker)?;
    recipe.settle(&machine_of(&versions));
    if !experiment.inputs.is_empty() {
        let is_registered = |path: &RelPath| options.registered.iter().find(|input| input.path == *path);
        let mut others: Vec<RunInput> = experiment.inputs.iter().filter_map(is_registered).cloned().collect();
        let paths: Vec<_> = experiment.inputs.iter().filter(|path| is_registered(path).is_none()).cloned().collect();
        if !paths.is_empty() {
            others.extend(inputs_from_pointers(workspace, &paths)?);
        }
        let new: Vec<_> =
            others.into_iter().filter(|other| inputs.iter().all(|input| input.path != other.path)).collect();
        inputs.extend(new);
    }
    let mut launch = launch(workspace, options, &recipe, inputs)?;
    launch.environment.extend(versions.get("libtorch").map(|version| ("libtorch".to_owned(), version.clone())));
    let live = LiveRun::start(workspace, &launch)?;
    let resume = live.scratch().join("resume");
    if let Some(checkpoint) = &checkpoint {
        workspace.export(checkpoint, &resume)?;
    }
    let job = Job {
        protocol: PROTOCOL_VERSION,
        experiment: options.experiment.clone(),
        recipe,
        store: workspace.store.root().to_path_buf(),
        data,
        model_file,
        checkpoints: live.checkpoint(),
        resume: checkpoint.map(|_| resume),
        output: live.scratch().join(OUTPUT),
    };
    let job_place = live.scratch().join("job.json");
    let job_text = serde_json::to_vec_pretty(&job).map_err(|error| RunError::BadValue { what: error.to_string() })?;
    files::publish(&job_place, &job_text, Durability::Buffered).map_err(RunError::from)?;
    launch.command = vec![shown(&options.worker), "train".to_owned(), shown(&job_place)];
    Ok(live.supervise(workspace, &launch, observer)?)
}

/// The recipe that a run was trained with.
fn recorded_recipe(run: &Run) -> Result<Recipe, RecipeError> {
    let params: Vec<_> = run.params.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Recipe::new(&Experiment::default(), &params)
}

/// The checkpoint that a run left.
fn checkpoint_of(run: &Run) -> Result<ArtifactId, TrainError> {
    let output = run.outputs.iter().find(|output| output.artifact_type == CHECKPOINT);
    output
        .map(|output| output.id)
        .ok_or_else(|| TrainError::NoCheckpoint { run: run.name.clone(), finished: run.status == RunStatus::Finished })
}

fn launch(
    workspace: &Workspace,
    options: &TrainOptions,
    recipe: &Recipe,
    inputs: Vec<RunInput>,
) -> Result<Launch, TrainError> {
    let what = match &options.resume {
        None => vec![options.experiment.clone()],
        Some(run) => vec!["--resume".to_owned(), run.name.clone()],
    };
    let typed = ["git", "ml", "train"].map(str::to_owned).into_iter().chain(what);
    let overrides = options.overrides.iter().flat_map(|(key, value)| ["-p".to_owned(), format!("{key}={value}")]);
    let mut tags = options.tags.clone();
    tags.extend(options.resume.as_ref().map(|run| (RESUMES.to_owned(), run.id.to_string())));
    Ok(Launch {
        command: vec![shown(&options.worker)],
        folder: workspace.repository.work_dir().map_err(RunError::from)?.to_path_buf(),
        shown_command: Some(typed.chain(overrides).collect()),
        variables: thread_variables(recipe.threads),
        experiment: Some(options.experiment.clone()),
        name: options.name.clone(),
        params: recipe.params(),
        tags,
        seed: Some(recipe.seed),
        inputs,
        outputs: vec![(OUTPUT.to_owned(), OUTPUT.to_owned(), PathBuf::from(OUTPUT))],
        user: options.user.clone(),
        host: options.host.clone(),
        environment: capture_environment(),
        untracked: Vec::new(),
        supervision: Supervision::default(),
    })
}

/// Threads that wait by spinning take the cores from everybody else, and from each other when several trainings run at
/// once; threads that sleep at once are late for the next of many short tasks. This many turns, some microseconds, cost
/// nearly nothing on a busy machine, and are nearly as fast as spinning on an idle one. The OpenMP library reads it when it
/// is loaded, so the worker itself could not set it.
pub(super) fn thread_variables(threads: u32) -> Vec<(String, String)> {
    let threads = threads.to_string();
    let variables = [("GOMP_SPINCOUNT", "1000"), ("OMP_NUM_THREADS", &threads)];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// The artifact that was `recorded`; else the tracked one at `path`, as the pointer has it, whatever is checked out;
/// else the untracked files there.
pub(super) fn find_data(
    workspace: &Workspace,
    path: &RelPath,
    recorded: Option<&RunInput>,
) -> Result<(DataSource, Vec<RunInput>), TrainError> {
    if let Some(input) = recorded {
        return match workspace.store.has_artifact(&input.id).map_err(TrackError::from)? {
            true => Ok((DataSource::Artifact(input.id), vec![input.clone()])),
            false => Err(TrainError::NotStored { path: path.clone() }),
        };
    }
    match workspace.pointer(path) {
        Ok(pointer) if workspace.store.has_artifact(&pointer.id).map_err(TrackError::from)? => {
            let input = RunInput { path: path.clone(), name: pointer.name, id: pointer.id };
            Ok((DataSource::Artifact(pointer.id), vec![input]))
        }
        Ok(_) => Err(TrainError::NotStored { path: path.clone() }),
        Err(TrackError::NotTracked { .. }) => {
            let place = path.under(workspace.repository.work_dir().map_err(RunError::from)?);
            if place.exists() {
                Ok((DataSource::Path(place), Vec::new()))
            } else {
                Err(TrainError::NoData { path: path.to_string() })
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// The tracked file at `path`, or a file of the tracked folder around it: as a run had `recorded` it, else as the
/// pointer has it; else the file there.
fn find_file(
    workspace: &Workspace,
    path: &RelPath,
    recorded: &[RunInput],
) -> Result<(FileSource, Option<RunInput>), TrainError> {
    let mut found = recorded.iter().find(|input| path.starts_with(&input.path)).cloned();
    let mut around = Some(path.clone());
    while let (None, Some(tracked)) = (&found, around) {
        match workspace.pointer(&tracked) {
            Ok(pointer) => found = Some(RunInput { path: tracked.clone(), name: pointer.name, id: pointer.id }),
            Err(TrackError::NotTracked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        around = tracked.parent();
    }
    if let Some(input) = found {
        if !workspace.store.has_artifact(&input.id).map_err(TrackError::from)? {
            return Err(TrainError::NotStored { path: input.path });
        }
        // What is left is empty where the artifact is the file itself.
        let inner = path.as_str().strip_prefix(input.path.as_str()).unwrap_or_default().trim_start_matches('/');
        let inner = RelPath::new(inner).ok();
        let manifest = workspace.store.manifest(&input.id).map_err(TrackError::from)?;
        if manifest.entries().iter().all(|entry| entry.path != inner) {
            return Err(TrainError::NoFile { path: path.to_string() });
        }
        return Ok((FileSource::Stored { artifact: input.id, path: inner }, Some(input)));
    }
    let place = path.under(workspace.repository.work_dir().map_err(RunError::from)?);
    if place.is_file() {
        Ok((FileSource::Path(place), None))
    } else {
        Err(TrainError::NoFile { path: path.to_string() })
    }
}

pub(super) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make files in folders of their own")]
mod tests {
    use std::fs;

    use super::*;

    fn program(place: &Path, script: &str) {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn the_worker_is_found_beside_the_program_then_on_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        program(&place("bin/git-ml"), "");
        program(&place("other/git-ml-torch"), "");
        let search_path = std::env::join_paths([place("empty"), place("other")]).unwrap();
        let find = |program: &str| find_worker(&place(program), Some(&search_path));
        assert_eq!(find("bin/git-ml"), Some(place("other/git-ml-torch")));
        program(&place("bin/git-ml-torch"), "");
        assert_eq!(find("bin/git-ml"), Some(place("bin/git-ml-torch")));
        fs::create_dir(place("links")).unwrap();
        std::os::unix::fs::symlink(place("bin/git-ml"), place("links/git-ml")).unwrap();
        assert_eq!(find("links/git-ml"), Some(place("bin/git-ml-torch").canonicalize().unwrap()));
        fs::set_permissions(place("bin/git-ml-torch"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find("bin/git-ml"), Some(place("other/git-ml-torch")));
        assert_eq!(find_worker(&place("bin/git-ml"), None), None);
    }

    #[test]
    fn a_worker_that_does_not_start_is_told_with_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let worker = folder.path().join("git-ml-torch");
        program(&worker, "echo 'git-ml-torch 1.2'; echo 'libtorch 2.13.0'");
        assert_eq!(worker_versions(&worker).unwrap()["libtorch"], "2.13.0");
        program(&worker, "echo 'error while loading shared libraries: libtorch_cpu.so' >&2; echo more >&2; exit 127");
        let told = worker_versions(&worker).unwrap_err().to_string();
        assert!(told.ends_with("does not start: error while loading shared libraries: libtorch_cpu.so"), "{told}");
    }
}
