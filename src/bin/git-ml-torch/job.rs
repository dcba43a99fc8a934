//! One training from the job file to the model artifact.

use std::path::Path;
use std::sync::Arc;

use git_ml::store::Store;
use git_ml::train::data::{Dataset, Inputs, Source, Split, TEST, VALIDATION};
use git_ml::train::{DataSource, Job, PROTOCOL_VERSION};
use serde::de::DeserializeOwned;
use tch::{Cuda, Device, Tensor, no_grad};

use crate::artifact::{self, Parts};
use crate::evaluate::Evaluation;
use crate::failure::{Failure, Result};
use crate::log::RunLog;
use crate::models::{Mode, ModelSource};
use crate::stop::Stop;
use crate::training::{self, Task};
use crate::{classic, evaluate, say};

/// Bytes that a job file may have.
const MAX_JOB: u64 = 1 << 20;

/// Does what the job file says.
pub(crate) fn train(place: &Path, log: &mut RunLog) -> Result<()> {
    let job: Job = read_job(place)?;
    let recipe = &job.recipe;
    let Some(training) = &recipe.training else {
        let (data, split) = read_data(&job)?;
        return classic::train(&job, &data, &split, log);
    };
    let device = device(&training.device)?;
    let source = ModelSource::find(&job)?;
    let (data, split) = read_data(&job)?;
    let stop = Stop::listen()?;
    let task = Task {
        recipe,
        training,
        data: &data,
        split: &split,
        device,
        checkpoints: &job.checkpoints,
        source: source.as_ref(),
        resume: job.resume.as_deref(),
    };
    let Some(trained) = training::train(&task, &stop, log)? else {
        stop.obey();
        return Ok(());
    };
    let forward = |inputs: &Tensor| Ok(no_grad(|| trained.model.forward(inputs, Mode::EVALUATE)));
    let predict = |indexes: &[u32]| evaluate::predict(&forward, &trained.form, &data, indexes, |_| Ok(()));
    let validation = match split.validation() {
        [] => None,
        indexes => Some(Evaluation::new(VALIDATION, &data, predict(indexes)?)?),
    };
    let test = Evaluation::tell(TEST, &data, predict(split.test())?, log)?;
    artifact::write(&Parts {
        job: &job,
        data: &data,
        split: &split,
        trained: &trained,
        source: source.as_ref(),
        validation: validation.as_ref(),
        test: &test,
    })
}

/// The data, and how it is divided.
fn read_data(job: &Job) -> Result<(Arc<Dataset>, Split)> {
    let recipe = &job.recipe;
    let data = Arc::new(Dataset::read(&data_source(&job.store, &job.data)?, &recipe.data)?);
    let split = data.split(&recipe.data, recipe.seed)?;
    say(&format!(
        "{}: {} {} in {} classes, {} to train on, {} for validation, {} for the test",
        recipe.data.data,
        data.len(),
        what(&data.inputs),
        data.classes.len(),
        split.train().len(),
        split.validation().len(),
        split.test().len(),
    ));
    Ok((data, split))
}

/// What a data set has, in words.
pub(crate) fn what(inputs: &Inputs) -> String {
    match inputs {
        Inputs::Images(images) => format!("images of {}×{}", images.height(), images.width()),
        Inputs::Numbers { columns, .. } => format!("rows of {columns} numbers"),
        Inputs::Texts(_) => "texts".to_owned(),
    }
}

/// A job of this version of the protocol.
pub(crate) fn read_job<T: DeserializeOwned>(place: &Path) -> Result<T> {
    let fail = |problem: String| Failure::new(format!("cannot read the job {}: {problem}", place.display()));
    let size = place.metadata().map_err(|error| fail(error.to_string()))?.len();
    if size > MAX_JOB {
        return Err(fail(format!("it has {size} bytes, at most {MAX_JOB} are possible")));
    }
    let text = std::fs::read_to_string(place).map_err(|error| fail(error.to_string()))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
    let protocol = value.get("protocol").and_then(serde_json::Value::as_u64);
    if protocol != Some(u64::from(PROTOCOL_VERSION)) {
        let line = "git-ml and git-ml-torch are of different versions and do not understand each other";
        return Err(Failure::new(line).hint("install both from the same build: `make install`"));
    }
    serde_json::from_value(value).map_err(|error| fail(error.to_string()))
}

/// Where a job's data is read from.
pub(crate) fn data_source(store: &Path, data: &DataSource) -> Result<Source> {
    Ok(match data {
        DataSource::Artifact(id) => Source::artifact(Store::open(store)?, id)?,
        DataSource::Path(place) => Source::Path(place.clone()),
    })
}

/// The device that the recipe means.
fn device(name: &str) -> Result<Device> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let count = if Cuda::is_available() { Cuda::device_count() } else { 0 };
    let wanted = match name {
        "auto" if count == 0 => return Ok(Device::Cpu),
        "auto" | "cuda" => 0,
        other => other.trim_start_matches("cuda:").parse().unwrap_or(i64::MAX),
    };
    match usize::try_from(wanted) {
        Ok(index) if wanted < count => Ok(Device::Cuda(index)),
        _ => {
            let line = format!("there is no device {name} here: libtorch sees {count} CUDA devices");
            Err(Failure::new(line).hint("use `-p device=cpu`"))
        }
    }
}
