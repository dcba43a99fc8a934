//! The model artifact: everything that a training leaves behind.
//!
//! Equal trainings make equal bytes, so that the artifact's id says whether two results are the same: no times, no
//! run, no speed and no place is written.

mod card;
mod module;
mod predictions;

use std::path::Path;

use git_ml::files::{self, Durability};
use git_ml::train::data::{Dataset, Inputs, Split};
use git_ml::train::evaluation::{Prediction, Report};
use git_ml::train::{
    DataSource, FileSpec, Job, ModelFile, Normalization, Preprocessing, SplitSpec, TensorSpec, TrainedOn, Versions,
};
use serde::Serialize;
use serde_json::json;

use crate::LIBTORCH_VERSION;
use crate::failure::{Failure, Result};
use crate::figures;
use crate::training::Trained;

/// Everything that the artifact tells about.
pub(crate) struct Parts<'t> {
    pub(crate) job: &'t Job,
    pub(crate) data: &'t Dataset,
    pub(crate) split: &'t Split,
    pub(crate) trained: &'t Trained,
    pub(crate) predictions: &'t [Prediction],
    pub(crate) report: &'t Report,
}

/// Makes the job's output folder, which appears whole or not at all.
pub(crate) fn write(parts: &Parts<'_>) -> Result<()> {
    let output = &parts.job.output;
    let folder = output.with_extension("partial");
    files::remove_dir_all(&folder)?;
    files::create_dir_all(&folder.join("figures"))?;

    parts.trained.weights.save(folder.join("model.safetensors"))?;
    module::write(parts.trained, &folder.join("model.pt"))?;
    let model_file = model_file(parts);
    let model_toml =
        toml::to_string(&model_file).map_err(|error| Failure::new(format!("cannot write model.toml: {error}")))?;
    publish(&folder, "model.toml", model_toml.as_bytes())?;
    publish(&folder, "history.json", &to_json(&json!({ "epochs": parts.trained.history }))?)?;
    publish(&folder, "metrics.json", &to_json(&metrics(parts))?)?;
    publish(&folder, "predictions.parquet", &predictions::to_parquet(parts.predictions)?)?;
    publish(&folder, "README.md", card::card(parts, &model_file).as_bytes())?;
    let curves = figures::curves(&parts.trained.history, parts.report);
    let confusion = figures::confusion(parts.report);
    for (name, figure) in [("curves", curves), ("confusion", confusion)] {
        publish(&folder, &format!("figures/{name}.svg"), figure.as_bytes())?;
        publish(&folder, &format!("figures/{name}.png"), &figures::to_png(&figure)?)?;
    }
    rename(&folder, output)
}

fn publish(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    Ok(files::publish(&folder.join(name), bytes, Durability::Buffered)?)
}

#[allow(clippy::disallowed_methods, reason = "a folder of finished files is published, which `files` has no need of")]
fn rename(folder: &Path, place: &Path) -> Result<()> {
    std::fs::rename(folder, place).map_err(|error| Failure::new(format!("cannot write {}: {error}", place.display())))
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    Ok(format!("{text}\n").into_bytes())
}

fn metrics(parts: &Parts<'_>) -> serde_json::Value {
    let last = parts.trained.history.last();
    json!({
        "test": parts.report,
        "train": last.map(|epoch| json!({ "accuracy": epoch.train_accuracy, "loss": epoch.train_loss })),
        "validation": last.and_then(|epoch| Some(json!({ "accuracy": epoch.val_accuracy?, "loss": epoch.val_loss? }))),
    })
}

fn model_file(parts: &Parts<'_>) -> ModelFile {
    let Parts { job, data, split, trained, .. } = parts;
    let tensor = |name: &str, shape: Vec<i64>, layout: &str| TensorSpec {
        name: name.to_owned(),
        dtype: "float32".to_owned(),
        shape,
        layout: layout.to_owned(),
    };
    let file = |file: &git_ml::train::data::DataFile| FileSpec {
        name: file.name.clone(),
        bytes: file.bytes,
        blake3: file.digest,
    };
    let shape = [&[-1], trained.form.shape.input.as_slice()].concat();
    ModelFile {
        format: 1,
        task: "image-classification".to_owned(),
        classes: data.classes.clone(),
        parameters: trained.parameters,
        architecture: job.recipe.model.clone(),
        input: match &data.inputs {
            Inputs::Images(_) => tensor("images", shape, "NCHW"),
            _ => tensor("numbers", shape, "NC"),
        },
        output: tensor("logits", vec![-1, trained.form.shape.classes], "NC"),
        preprocessing: Preprocessing { divide_by: trained.form.scale },
        built_in_normalization: Normalization {
            mean: trained.statistics.mean.clone(),
            deviation: trained.statistics.deviation.clone(),
        },
        data: TrainedOn {
            path: job.recipe.data.data.clone(),
            artifact: match &job.data {
                DataSource::Artifact(id) => Some(*id),
                DataSource::Path(_) => None,
            },
            files: data.files.iter().map(file).collect(),
        },
        split: SplitSpec {
            train: split.train().len() as u64,
            validation: split.validation().len() as u64,
            test: split.test().len() as u64,
            test_from: if data.given.contains_key("test") { "files" } else { "stratified" }.to_owned(),
            digest: split.digest(),
        },
        recipe: job.recipe.clone(),
        versions: Versions { git_ml: env!("CARGO_PKG_VERSION").to_owned(), libtorch: LIBTORCH_VERSION.to_owned() },
    }
}
