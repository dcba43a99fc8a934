//! What was measured in an epoch.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::failure::Result;
use crate::log::RunLog;
use crate::say;

/// What was measured in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    /// From 1, over all phases.
    pub(crate) epoch: u32,
    /// From 1.
    pub(crate) phase: u32,
    /// The learning rate of its last step.
    pub(crate) lr: f64,
    pub(crate) train_loss: f64,
    pub(crate) train_accuracy: f64,
    pub(crate) val_loss: Option<f64>,
    pub(crate) val_accuracy: Option<f64>,
}

/// A line for people.
pub(super) fn report(measured: &Epoch, epochs: u32) {
    let Epoch { epoch, train_loss, train_accuracy, val_loss, val_accuracy, .. } = *measured;
    let mut line = format!("epoch {epoch}/{epochs}: loss {train_loss:.4}, accuracy {train_accuracy:.4}");
    if let (Some(loss), Some(accuracy)) = (val_loss, val_accuracy) {
        line += &format!("; validation: loss {loss:.4}, accuracy {accuracy:.4}");
    }
    say(&line);
}

/// The metrics of an epoch.
pub(super) fn log_epoch(measured: &Epoch, log: &mut RunLog) -> Result<()> {
    let Epoch { epoch, lr, train_loss, train_accuracy, val_loss, val_accuracy, .. } = *measured;
    let mut metrics = vec![("train_loss", train_loss), ("train_accuracy", train_accuracy), ("learning_rate", lr)];
    if let (Some(loss), Some(accuracy)) = (val_loss, val_accuracy) {
        metrics.extend([("val_loss", loss), ("val_accuracy", accuracy)]);
    }
    log.metrics(Some(epoch.into()), &metrics)
}

/// Sums over the examples of an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    loss: f64,
    right: i64,
    examples: usize,
}

impl Sums {
    pub(super) fn add(&mut self, loss: f64, predicted: &Tensor, labels: &Tensor, examples: usize) {
        self.loss += loss;
        self.right += predicted.eq_tensor(labels).sum(Kind::Int64).int64_value(&[]);
        self.examples += examples;
    }

    pub(super) fn means(&self) -> (f64, f64) {
        (self.loss / self.examples as f64, self.right as f64 / self.examples as f64)
    }
}
