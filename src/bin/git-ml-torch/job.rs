//! One training from the job file to the model artifact.

use std::path::Path;

use git_ml::store::Store;
use git_ml::train::data::{ImageData, Source};
use git_ml::train::evaluation::Report;
use git_ml::train::{DataSource, Job, PROTOCOL_VERSION};
use tch::{Cuda, Device};

use crate::artifact::{self, Parts};
use crate::failure::{Failure, Result};
use crate::log::RunLog;
use crate::{say, training};

/// Bytes that a job file may have.
const MAX_JOB: u64 = 1 << 20;

/// Does what the job file says.
pub(crate) fn train(place: &Path, log: &mut RunLog) -> Result<()> {
    let job = read_job(place)?;
    let recipe = &job.recipe;
    let device = device(&recipe.device)?;
    let data = ImageData::read(&source(&job)?, &recipe.data)?;
    let split = data.split(recipe.validation, recipe.test, recipe.seed)?;
    let tested = data.test.as_ref().map_or(split.test.len(), |(images, _)| images.len());
    say(&format!(
        "{}: {} images of {}×{} in {} classes, {} to train on, {} for validation, {tested} for the test",
        recipe.data,
        data.images.len() + data.test.as_ref().map_or(0, |(images, _)| images.len()),
        data.images.height(),
        data.images.width(),
        data.classes,
        split.train.len(),
        split.validation.len(),
    ));

    let mut trained = training::train(recipe, &data, &split, device, log)?;
    trained.weights.freeze();
    let (predictions, loss) = training::test(&trained, &data, &split);
    let classes: Vec<String> = (0..data.classes).map(|class| class.to_string()).collect();
    let report = Report::new(&classes, &predictions, loss);
    say(&format!("test: loss {:.4}, accuracy {:.4}", report.loss, report.accuracy));
    log.metrics(None, &[("test_loss", report.loss), ("test_accuracy", report.accuracy)])?;
    artifact::write(&Parts {
        job: &job,
        data: &data,
        split: &split,
        classes: &classes,
        trained: &trained,
        predictions: &predictions,
        report: &report,
    })
}

fn read_job(place: &Path) -> Result<Job> {
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

fn source(job: &Job) -> Result<Source> {
    Ok(match &job.data {
        DataSource::Artifact(id) => Source::artifact(Store::open(&job.store)?, id)?,
        DataSource::Path(place) => Source::Folder(place.clone()),
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
