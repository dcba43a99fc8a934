//! Starting the worker to evaluate a model that is there, in a run of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::files::{self, Durability, RelPath};
use crate::id::{ArtifactId, RunId};
use crate::run::{Ended, Launch, LiveRun, Observer, RunError, RunInput, Supervision, capture_environment};
use crate::store::{Store, StoreError};
use crate::track::{TrackError, Workspace};

use super::launch::{find_data, shown, thread_variables, worker_versions};
use super::{DataSource, EvaluateJob, ModelFile, PROTOCOL_VERSION, TrainError};

/// The name and the type of an evaluation's output, and its folder in the run's scratch folder.
const OUTPUT: &str = "evaluation";
/// The tag with the id of the run that made the model, or the model's own id.
const EVALUATES: &str = "evaluates";
/// Bytes that a `model.toml` may have.
const MAX_MODEL_FILE: u64 = 1 << 24;
/// The file that makes an artifact a model of ours.
const MODEL_FILE: &str = "model.toml";

/// An evaluation to be started.
#[derive(Debug, Clone)]
pub struct EvaluateOptions {
    /// The model.
    pub model: ArtifactId,
    /// What the user called it.
    pub target: String,
    /// Where it is tracked in the work tree, if it is.
    pub model_path: Option<RelPath>,
    /// The run that made it, where known.
    pub made_by: Option<RunId>,
    /// The experiment it belongs to, where known.
    pub experiment: Option<String>,
    /// Other data than the model's own, as a path in the work tree.
    pub data: Option<RelPath>,
    /// The version that the path of that data names, where it is no path: `cifar10@v1`.
    pub registered: Option<RunInput>,
    /// The part of the data; by default the test, or all of other data that has none.
    pub split: Option<String>,
    /// The run's name.
    pub name: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// The worker's program, from [`super::find_worker`].
    pub worker: PathBuf,
    /// Who runs it.
    pub user: String,
    /// The machine's name.
    pub host: String,
}

/// Why an artifact cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// It has no `model.toml`.
    #[error("it has no {MODEL_FILE}")]
    Missing,
    /// Its `model.toml` cannot be read.
    #[error("its {MODEL_FILE} {problem}")]
    Malformed {
        /// What is wrong, in a line.
        problem: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ModelFile {
    /// The `model.toml` of the artifact `id`.
    pub fn stored(store: &Store, id: &ArtifactId) -> Result<Self, ModelFileError> {
        let manifest = store.manifest(id)?;
        let is_it = |path: &Option<RelPath>| path.as_ref().is_some_and(|path| path.as_str() == MODEL_FILE);
        let entry = manifest.entries().iter().find(|entry| is_it(&entry.path)).ok_or(ModelFileError::Missing)?;
        if entry.size > MAX_MODEL_FILE {
            return Err(ModelFileError::Malformed { problem: format!("has {} bytes", entry.size) });
        }
        let bytes = store.read_to_vec(&entry.digest, MAX_MODEL_FILE)?;
        let text =
            String::from_utf8(bytes).map_err(|_| ModelFileError::Malformed { problem: "is not text".to_owned() })?;
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let problem = format!("is not one of a model: {}", error.message().lines().next().unwrap_or_default());
            ModelFileError::Malformed { problem }
        })
    }
}

/// Evaluates a model in a run of its own and stores what comes out as the run's output `evaluation`.
pub fn evaluate(
    workspace: &Workspace,
    options: &EvaluateOptions,
    observer: &mut dyn Observer,
) -> Result<Ended, TrainError> {
    let target = || options.target.clone();
    if !workspace.store.has_artifact(&options.model).map_err(TrackError::from)? {
        return Err(TrainError::ModelNotStored { target: target() });
    }
    let model = ModelFile::stored(&workspace.store, &options.model)
        .map_err(|source| TrainError::NoModel { target: target(), source })?;
    let versions = worker_versions(&options.worker)?;
    let own_path = RelPath::new(&model.data.path).map_err(TrackError::from)?;
    let own_input = model.data.artifact.map(|id| {
        let name = own_path.as_str().rsplit('/').next().unwrap_or_default().to_owned();
        RunInput { path: own_path.clone(), name, id }
    });
    let (path, recorded) = match &options.data {
        None => (&own_path, own_input.as_ref()),
        Some(path) => (path, options.registered.as_ref()),
    };
    let (data, mut inputs) = find_data(workspace, path, recorded)?;
    let is_own = match (&data, &own_input) {
        (DataSource::Artifact(id), Some(own)) => *id == own.id,
        (DataSource::Path(_), None) => *path == own_path,
        _ => false,
    };
    inputs.push(RunInput {
        path: model_path(options)?,
        name: options.model_path.as_ref().map_or("model", RelPath::as_str).to_owned(),
        id: options.model,
    });

    let mut launch = launch(workspace, options, &model, path, inputs)?;
    launch.environment.extend(versions.get("libtorch").map(|version| ("libtorch".to_owned(), version.clone())));
    let live = LiveRun::start(workspace, &launch)?;
    let job = EvaluateJob {
        protocol: PROTOCOL_VERSION,
        store: workspace.store.root().to_path_buf(),
        model: options.model,
        data,
        data_path: path.to_string(),
        is_own,
        split: options.split.clone(),
        output: live.scratch().join(OUTPUT),
    };
    let job_place = live.scratch().join("job.json");
    let job_text = serde_json::to_vec_pretty(&job).map_err(|error| RunError::BadValue { what: error.to_string() })?;
    files::publish(&job_place, &job_text, Durability::Buffered).map_err(RunError::from)?;
    launch.command = vec![shown(&options.worker), "evaluate".to_owned(), shown(&job_place)];
    Ok(live.supervise(workspace, &launch, observer)?)
}

/// Where the model is as an input of the run: its own place, or one where nothing else is.
fn model_path(options: &EvaluateOptions) -> Result<RelPath, TrainError> {
    match &options.model_path {
        Some(path) => Ok(path.clone()),
        None => Ok(RelPath::new(format!("models/{}", options.model)).map_err(TrackError::from)?),
    }
}

fn launch(
    workspace: &Workspace,
    options: &EvaluateOptions,
    model: &ModelFile,
    data: &RelPath,
    inputs: Vec<RunInput>,
) -> Result<Launch, TrainError> {
    let typed = ["git", "ml", "train", "--evaluate", &options.target].map(str::to_owned).into_iter();
    let given = [("--data", options.data.as_ref().map(RelPath::as_str)), ("--split", options.split.as_deref())];
    let given = given.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?.to_owned()]));
    let typed = typed.chain(given.flatten());
    let mut tags = options.tags.clone();
    let made_by = options.made_by.map_or_else(|| options.model.to_string(), |run| run.to_string());
    tags.insert(EVALUATES.to_owned(), made_by);
    let mut params = BTreeMap::new();
    params.insert("model".to_owned(), model.recipe.model.name().to_owned());
    params.insert("data".to_owned(), data.to_string());
    params.extend(options.split.clone().map(|split| ("split".to_owned(), split)));
    Ok(Launch {
        command: vec![shown(&options.worker)],
        folder: workspace.repository.work_dir().map_err(RunError::from)?.to_path_buf(),
        shown_command: Some(typed.collect()),
        // The same number of threads gives the same bits.
        variables: thread_variables(model.recipe.threads.max(1)),
        experiment: options.experiment.clone(),
        name: options.name.clone(),
        params,
        tags,
        seed: Some(model.recipe.seed),
        inputs,
        outputs: vec![(OUTPUT.to_owned(), OUTPUT.to_owned(), PathBuf::from(OUTPUT))],
        user: options.user.clone(),
        host: options.host.clone(),
        environment: capture_environment(),
        untracked: Vec::new(),
        supervision: Supervision::default(),
    })
}
