//! What of a record tells how to run it once more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ReproduceError, Scratch};
use crate::config::{Config, Experiment};
use crate::run::{Launch, Run, Supervision};
use crate::track::output_type;

/// Variables that change what a training computes and that a run is given again. None of them names a program or a
/// place, since records come from anybody.
const VARIABLES: [&str; 8] = [
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "TF_DETERMINISTIC_OPS",
];

/// Facts of an environment that differ between any two runs.
const ALWAYS_DIFFERENT: [&str; 4] = ["SLURM_JOB_ID", "time", "pid", "uptime"];

/// How a run is run again.
#[derive(Debug)]
pub enum Again {
    /// By its command.
    Command(Box<Launch>),
    /// As a native training of this experiment, with these settings.
    Training {
        /// The experiment's name.
        name: String,
        /// The experiment, as the run's code has it.
        experiment: Box<Experiment>,
        /// What is set other than in the recipe.
        overrides: Vec<(String, String)>,
    },
}

/// What is known of who runs it now.
#[derive(Debug, Clone)]
pub struct Now {
    /// Who.
    pub user: String,
    /// On which machine.
    pub host: String,
    /// The environment as it was captured.
    pub environment: BTreeMap<String, String>,
    /// Tags of the new run.
    pub tags: BTreeMap<String, String>,
}

/// Refuses what is not run again: evaluations of models.
pub fn check_repeatable(run: &Run) -> Result<(), ReproduceError> {
    match words(run).as_slice() {
        ["git", "ml", "train", "--evaluate", ..] => {
            Err(ReproduceError::Evaluation { run: run.name.clone(), command: run.command.join(" ") })
        }
        _ => Ok(()),
    }
}

/// How `run` is run again, with what its record and its recipe say of that, in a work tree that has its code.
pub fn plan(run: &Run, scratch: &Scratch, now: &Now) -> Result<Again, ReproduceError> {
    let config = Config::load(scratch.place());
    if let (Some(name), ["git", "ml", "train", ..]) = (&run.experiment, words(run).as_slice()) {
        let experiment = Box::new(config?.experiment(name)?.clone());
        let overrides = overrides(run);
        return Ok(Again::Training { name: name.clone(), experiment, overrides });
    }
    if run.command.is_empty() {
        return Err(ReproduceError::NoCommand { run: run.name.clone() });
    }
    // A recipe's command is a line of shell, and is recorded as one word.
    let command = match (&run.experiment, run.command.as_slice()) {
        (Some(_), [line]) => ["sh", "-c", line].map(str::to_owned).to_vec(),
        (_, command) => command.to_vec(),
    };
    let mut variables: Vec<(String, String)> =
        VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), run.environment.get(*name)?.clone()))).collect();
    variables.push(("PYTHONUNBUFFERED".to_owned(), "1".to_owned()));
    let folder =
        run.folder.as_ref().map_or_else(|| scratch.place().to_path_buf(), |folder| folder.under(scratch.place()));
    crate::files::create_dir_all(&folder)?;
    let recipe = config.as_ref().ok().zip(run.experiment.as_ref());
    let recipe = recipe.and_then(|(config, name)| config.experiments.get(name));
    let timeout = recipe.and_then(|recipe| recipe.timeout);
    let supervision = Supervision { timeout, ..run.followed.under(scratch.place()) };
    Ok(Again::Command(Box::new(Launch {
        command,
        folder,
        shown_command: Some(run.command.clone()),
        variables,
        experiment: run.experiment.clone(),
        name: None,
        params: run.params.clone(),
        tags: now.tags.clone(),
        seed: run.seed,
        inputs: run.inputs.clone(),
        outputs: outputs(run, config.ok().as_ref(), scratch.place()),
        user: now.user.clone(),
        host: now.host.clone(),
        environment: now.environment.clone(),
        untracked: Vec::new(),
        supervision,
    })))
}

fn words(run: &Run) -> Vec<&str> {
    run.command.iter().map(String::as_str).collect()
}

/// What a native training was given: on its command line, and the number of threads, which may follow from the machine.
fn overrides(run: &Run) -> Vec<(String, String)> {
    let given = run.command.windows(2).filter(|pair| pair[0] == "-p").filter_map(|pair| pair[1].split_once('='));
    let mut overrides: Vec<(String, String)> =
        given.map(|(key, value)| (key.to_owned(), value.to_owned())).filter(|(key, _)| key != "threads").collect();
    overrides.extend(run.params.get("threads").map(|threads| ("threads".to_owned(), threads.clone())));
    overrides
}

/// What the run left in the work tree: as it is recorded, and as its recipe declares.
fn outputs(run: &Run, config: Option<&Config>, top: &Path) -> Vec<(String, String, PathBuf)> {
    let mut outputs: Vec<(String, String, PathBuf)> = Vec::new();
    for output in &run.outputs {
        if let Some(path) = &output.path {
            outputs.push((output.name.clone(), output.artifact_type.clone(), path.under(top)));
        }
    }
    let recipe = config.zip(run.experiment.as_ref()).and_then(|(config, name)| config.experiments.get(name));
    for path in recipe.into_iter().flat_map(|recipe| &recipe.outputs) {
        let place = path.under(top);
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !outputs.iter().any(|(known, _, _)| *known == name) {
            let artifact_type = output_type(&name).to_owned();
            outputs.push((name, artifact_type, place));
        }
    }
    outputs
}

/// What is not the same of where two runs ran: name, then the value of each; none where it is not known.
pub fn differences(before: &Run, after: &Run) -> Vec<(String, Option<String>, Option<String>)> {
    let mut differences = Vec::new();
    if before.host != after.host {
        differences.push(("host".to_owned(), Some(before.host.clone()), Some(after.host.clone())));
    }
    let names: std::collections::BTreeSet<&String> =
        before.environment.keys().chain(after.environment.keys()).collect();
    for name in names {
        let [old, new] = [before, after].map(|run| run.environment.get(name));
        if old != new && !ALWAYS_DIFFERENT.contains(&name.as_str()) {
            differences.push((name.clone(), old.cloned(), new.cloned()));
        }
    }
    differences
}

/// The words of a command that name a place in the user's own work tree: the run would read there what is there now.
pub fn may_come_from_here<'r>(run: &'r Run, work_dir: &Path) -> Vec<&'r str> {
    let Some(work_dir) = work_dir.to_str() else { return Vec::new() };
    run.command.iter().map(String::as_str).filter(|word| word.contains(work_dir)).collect()
}
