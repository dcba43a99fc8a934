//! What a model says about examples, and what that is worth.

mod job;
mod saved;

pub(crate) use job::evaluate;

use std::sync::Arc;

use git_ml::train::data::{Dataset, Loader};
use git_ml::train::evaluation::{EvaluationError, Predictions, Report};
use tch::{Kind, Tensor};

use crate::failure::{Failure, Result};
use crate::input::InputForm;
use crate::log::RunLog;
use crate::say;

/// The predictions for one part of the data, and the report on them.
pub(crate) struct Evaluation {
    /// The part's name: `test`.
    pub(crate) part: String,
    pub(crate) predictions: Predictions,
    pub(crate) report: Report,
}

impl Evaluation {
    /// The report on `predictions`, also for the user and for the run's log.
    pub(crate) fn tell(part: &str, data: &Dataset, predictions: Predictions, log: &mut RunLog) -> Result<Self> {
        let evaluation = Self::new(part, data, predictions)?;
        let report = &evaluation.report;
        say(&format!("{part}: loss {:.4}, accuracy {:.4}", report.loss, report.accuracy));
        let metrics = report.metrics(part);
        let metrics: Vec<_> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        log.metrics(None, &metrics)?;
        Ok(evaluation)
    }

    /// The report on `predictions`.
    pub(crate) fn new(part: &str, data: &Dataset, predictions: Predictions) -> Result<Self> {
        let report = Report::new(&data.classes, &predictions)?;
        Ok(Self { part: part.to_owned(), predictions, report })
    }
}

/// What a network predicts for the examples at `indexes`; `watch` sees what is there after each batch.
pub(crate) fn predict(
    forward: &dyn Fn(&Tensor) -> Result<Tensor>,
    form: &InputForm,
    data: &Arc<Dataset>,
    indexes: &[u32],
    mut watch: impl FnMut(&Predictions) -> Result<()>,
) -> Result<Predictions> {
    let classes = data.classes.len();
    let mut predictions = Predictions::new(classes);
    for batch in Loader::new(data, indexes.to_vec(), form.evaluation_batch(), None, 1) {
        let batch = batch?;
        let (inputs, _) = form.tensors(&batch);
        let logits = forward(&inputs)?;
        let wanted = [batch.indexes.len() as i64, classes as i64];
        if logits.size() != wanted {
            let line = format!("the model gives values of shape {:?}, not {wanted:?}", logits.size());
            return Err(Failure::new(line));
        }
        for (index, logits) in batch.indexes.iter().zip(rows(&logits)?.chunks(classes)) {
            predictions.push_logits(*index, data.labels[*index as usize], logits)?;
        }
        watch(&predictions)?;
    }
    Ok(predictions)
}

/// The numbers of a tensor, row by row.
fn rows(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.to_kind(Kind::Float).to_device(tch::Device::Cpu).contiguous().view(-1);
    Ok(Vec::<f32>::try_from(&flat)?)
}

impl From<EvaluationError> for Failure {
    fn from(error: EvaluationError) -> Self {
        Self::new(error.to_string())
    }
}
