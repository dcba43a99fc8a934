//! The model artifact: everything that a training leaves behind.
//!
//! Equal trainings make equal bytes, so that the artifact's id says whether two results are the same: no times, no
//! run, no speed and no place is written.

mod card;
mod module;
mod predictions;
mod results;

pub(crate) use card::class_row;
pub(crate) use results::{Results, write as write_results};

use std::path::Path;

use git_ml::files::{self, Durability};
use git_ml::train::data::{Dataset, Inputs, Split};
use git_ml::train::{
    Channels, DataSource, FileSpec, Job, ModelFile, Normalization, Preprocessing, SplitSpec, TensorSpec, TrainedOn,
    Versions,
};
use serde_json::Value;

use crate::LIBTORCH_VERSION;
use crate::evaluate::Evaluation;
use crate::failure::{Failure, Result};
use crate::models::ModelSource;
use crate::training::Trained;

/// Everything that the artifact tells about.
pub(crate) struct Parts<'t> {
    pub(crate) job: &'t Job,
    pub(crate) data: &'t Dataset,
    pub(crate) split: &'t Split,
    pub(crate) trained: &'t Trained,
    /// The file that the model was made from.
    pub(crate) source: Option<&'t ModelSource>,
    pub(crate) validation: Option<&'t Evaluation>,
    pub(crate) test: &'t Evaluation,
}

/// Makes the job's output folder, which appears whole or not at all.
pub(crate) fn write(parts: &Parts<'_>) -> Result<()> {
    write_folder(&parts.job.output, |folder| {
        parts.trained.weights.save(folder.join("model.safetensors"))?;
        module::write(parts.trained, &folder.join("model.pt"))?;
        let model_file = model_file(parts);
        publish(folder, "model.toml", to_toml(&model_file)?.as_bytes())?;
        publish(folder, "split.json", parts.split.to_json().as_bytes())?;
        publish(folder, "README.md", card::card(parts, &model_file).as_bytes())?;
        let Parts { data, validation, test, .. } = *parts;
        write_results(&Results { data, history: &parts.trained.history, validation, evaluation: test }, folder)
    })
}

/// Makes the folder `output` of what `fill` writes: it appears whole or not at all.
pub(crate) fn write_folder(output: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = output.with_extension("partial");
    files::remove_dir_all(&folder)?;
    files::create_dir_all(&folder)?;
    fill(&folder)?;
    rename(&folder, output)
}

/// Writes a file of the artifact.
pub(crate) fn publish(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    Ok(files::publish(&folder.join(name), bytes, Durability::Buffered)?)
}

/// The text of `model.toml`.
pub(crate) fn to_toml(model_file: &ModelFile) -> Result<String> {
    toml::to_string(model_file).map_err(|error| Failure::new(format!("cannot write model.toml: {error}")))
}

#[allow(clippy::disallowed_methods, reason = "a folder of finished files is published, which `files` has no need of")]
fn rename(folder: &Path, place: &Path) -> Result<()> {
    std::fs::rename(folder, place).map_err(|error| Failure::new(format!("cannot write {}: {error}", place.display())))
}

/// Indented JSON, but a list of plain values on one line: a confusion matrix reads as one.
fn to_json(value: &Value) -> Result<Vec<u8>> {
    let mut text = String::new();
    write_json(value, 0, &mut text).map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn write_json(value: &Value, depth: usize, text: &mut String) -> std::result::Result<(), serde_json::Error> {
    let is_plain = |value: &Value| !value.is_array() && !value.is_object();
    let (open, close, items): (_, _, Vec<(Option<&String>, &Value)>) = match value {
        Value::Object(entries) if !entries.is_empty() => {
            ('{', '}', entries.iter().map(|(key, value)| (Some(key), value)).collect())
        }
        Value::Array(items) if !items.iter().all(is_plain) => {
            ('[', ']', items.iter().map(|item| (None, item)).collect())
        }
        other => {
            *text += &serde_json::to_string(other)?;
            return Ok(());
        }
    };
    text.push(open);
    for (number, (key, value)) in items.into_iter().enumerate() {
        *text += if number > 0 { ",\n" } else { "\n" };
        text.extend(std::iter::repeat_n(' ', 2 * depth + 2));
        if let Some(key) = key {
            *text += &serde_json::to_string(key)?;
            *text += ": ";
        }
        write_json(value, depth + 1, text)?;
    }
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', 2 * depth));
    text.push(close);
    Ok(())
}

fn model_file(parts: &Parts<'_>) -> ModelFile {
    let Parts { job, data, split, trained, .. } = parts;
    let tensor = |name: &str, shape: Vec<i64>, layout: &str| TensorSpec {
        name: name.to_owned(),
        dtype: "float32".to_owned(),
        shape,
        layout: layout.to_owned(),
    };
    let (trained_on, split) = provenance(job, data, split);
    let shape = [&[-1], trained.form.shape.input.as_slice()].concat();
    ModelFile {
        format: 1,
        task: match &data.inputs {
            Inputs::Images(_) => "image-classification",
            _ => "tabular-classification",
        }
        .to_owned(),
        classes: data.classes.clone(),
        parameters: trained.parameters,
        architecture: job.recipe.model.clone(),
        input: match &data.inputs {
            Inputs::Images(_) => tensor("images", shape, "NCHW"),
            _ => tensor("numbers", shape, "NC"),
        },
        output: tensor("logits", vec![-1, trained.form.shape.classes], "NC"),
        preprocessing: preprocessing(job, data, trained.form.scale),
        built_in_normalization: Normalization {
            mean: trained.statistics.mean.clone(),
            deviation: trained.statistics.deviation.clone(),
        },
        made_from: parts.source.map(ModelSource::spec),
        data: trained_on,
        split,
        recipe: job.recipe.clone(),
        versions: versions(),
    }
}

/// What a model was trained on, and how that was divided.
pub(crate) fn provenance(job: &Job, data: &Dataset, split: &Split) -> (TrainedOn, SplitSpec) {
    let file = |file: &git_ml::train::data::DataFile| FileSpec {
        name: file.name.clone(),
        bytes: file.bytes,
        blake3: file.digest,
    };
    let trained_on = TrainedOn {
        path: job.recipe.data.data.clone(),
        artifact: match &job.data {
            DataSource::Artifact(id) => Some(*id),
            DataSource::Path(_) => None,
        },
        files: data.files.iter().map(file).collect(),
    };
    let spec = SplitSpec {
        train: split.train().len() as u64,
        validation: split.validation().len() as u64,
        test: split.test().len() as u64,
        test_from: if data.given.contains_key("test") { "files" } else { "stratified" }.to_owned(),
        digest: split.digest(),
    };
    (trained_on, spec)
}

/// What has to be done to files before the model gets what is in them.
pub(crate) fn preprocessing(job: &Job, data: &Dataset, divide_by: f64) -> Preprocessing {
    Preprocessing {
        channels: match &data.inputs {
            Inputs::Images(images) if images.channels() == 1 => Some(Channels::Grey),
            Inputs::Images(_) => Some(Channels::Rgb),
            _ => None,
        },
        resize: job.recipe.data.image_size,
        divide_by,
    }
}

/// What makes models here.
pub(crate) fn versions() -> Versions {
    Versions { git_ml: env!("CARGO_PKG_VERSION").to_owned(), libtorch: LIBTORCH_VERSION.to_owned() }
}
