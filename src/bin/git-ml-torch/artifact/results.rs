//! What a model is worth, as files: the same for every kind of model, and for trainings and evaluations alike.

use std::path::Path;

use git_ml::files;
use git_ml::train::data::Dataset;
use serde_json::{Value, json};

use super::{predictions, publish, to_json};
use crate::evaluate::Evaluation;
use crate::failure::Result;
use crate::figures;
use crate::training::Epoch;

/// What was measured.
pub(crate) struct Results<'t> {
    pub(crate) data: &'t Dataset,
    /// Epoch by epoch; empty where nothing was learnt in steps.
    pub(crate) history: &'t [Epoch],
    /// Whose metrics are told beside.
    pub(crate) validation: Option<&'t Evaluation>,
    /// What predictions and figures are of.
    pub(crate) evaluation: &'t Evaluation,
}

/// Writes `metrics.json`, `history.json`, `predictions.parquet` and `figures/` to `folder`.
pub(crate) fn write(results: &Results<'_>, folder: &Path) -> Result<()> {
    publish(folder, "metrics.json", &to_json(&metrics(results))?)?;
    if !results.history.is_empty() {
        publish(folder, "history.json", &to_json(&json!({ "epochs": results.history }))?)?;
    }
    let Results { data, history, evaluation, .. } = *results;
    publish(folder, "predictions.parquet", &predictions::to_parquet(data, &evaluation.predictions)?)?;
    files::create_dir_all(&folder.join("figures"))?;
    for (name, figure) in figures::all(data, history, evaluation)? {
        publish(folder, &format!("figures/{name}.svg"), figure.to_svg().as_bytes())?;
        publish(folder, &format!("figures/{name}.png"), &figure.to_png()?)?;
    }
    Ok(())
}

fn metrics(results: &Results<'_>) -> Value {
    let parts = results.validation.into_iter().chain([results.evaluation]);
    let parts = parts.map(|evaluation| (evaluation.part.clone(), json!(evaluation.report)));
    let last = results.history.last();
    let train = last.map(|epoch| {
        let (number, accuracy, loss) = (epoch.epoch, epoch.train_accuracy, epoch.train_loss);
        ("train".to_owned(), json!({ "epoch": number, "accuracy": accuracy, "loss": loss }))
    });
    Value::Object(train.into_iter().chain(parts).collect())
}
