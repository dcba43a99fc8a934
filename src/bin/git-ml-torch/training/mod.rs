//! The training loop, once for all models.

use std::sync::Arc;
use std::time::Instant;

use git_ml::train::data::{Dataset, Loader, Shuffle, Split, Variation};
use git_ml::train::recipe::{Choice, Normalize, OptimizerKind, Phase, TrainingConfig};
use git_ml::train::{Progress, Recipe};
use serde::Serialize;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use crate::failure::{Failure, Result};
use crate::input::{InputForm, statistics};
use crate::log::RunLog;
use crate::models::{Mode, Model, Statistics, count_parameters};
use crate::say;

/// Examples at a time where nothing is learnt; it decides no result.
const EVALUATION_BATCH: usize = 500;
/// Points of `batch_loss` in an epoch, so that a long epoch shows how it goes, and leaves that if it is cut short.
const LOGGED_STEPS: u64 = 20;
/// The stream of shuffles of the first epoch; 0 is the split's.
const FIRST_STREAM: u64 = 1;

/// What was measured in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Epoch {
    pub(crate) epoch: u32,
    pub(crate) train_loss: f64,
    pub(crate) train_accuracy: f64,
    pub(crate) val_loss: Option<f64>,
    pub(crate) val_accuracy: Option<f64>,
}

/// A model that was trained, with its weights in memory of the CPU.
pub(crate) struct Trained {
    pub(crate) weights: nn::VarStore,
    pub(crate) model: Model,
    pub(crate) form: InputForm,
    /// How many numbers it learnt.
    pub(crate) parameters: u64,
    /// What the model does to its inputs first of all.
    pub(crate) statistics: Statistics,
    pub(crate) history: Vec<Epoch>,
}

/// Trains a new model on the data.
pub(crate) fn train(
    recipe: &Recipe,
    training: &TrainingConfig,
    data: &Arc<Dataset>,
    split: &Split,
    device: Device,
    log: &mut RunLog,
) -> Result<Trained> {
    tch::set_num_threads(recipe.threads as i32);
    tch::manual_seed(recipe.seed as i64);

    let mut form = InputForm::new(data, device, training.channels_last == Choice::Yes)?;
    let statistics = match training.normalize {
        Normalize::Data => statistics(data, split.train())?,
        _ => Statistics { mean: vec![0.0], deviation: vec![1.0] },
    };
    let mut weights = nn::VarStore::new(device);
    let model = Model::new(&weights.root(), &recipe.model, &form.shape, &statistics)?;
    let phase = &training.phases[0];
    let mut optimizer = optimizer(phase, &weights)?;

    let mut history = Vec::new();
    let mut clock = Clock::start(training, split.train().len());
    for epoch in 1..=training.epochs() {
        let mut order = split.train().to_vec();
        Shuffle::new(recipe.seed, FIRST_STREAM + u64::from(epoch - 1)).shuffle(&mut order);
        let variation = Variation { augment: training.augment, seed: recipe.seed, epoch };
        let batches = Loader::new(data, order, training.batch_size as usize, Some(variation), recipe.threads as usize);
        let steps = split.train().len().div_ceil(training.batch_size as usize) as u64;
        let mut sums = Sums::default();
        for (step, batch) in (1..).zip(batches) {
            let (inputs, labels) = form.tensors(&batch?);
            let count = labels.size()[0] as usize;
            let logits = model.forward(&inputs, Mode { train: true, frozen: 0 });
            let loss = cross_entropy(&logits, &labels, Reduction::Mean);
            let value = loss.double_value(&[]);
            if !value.is_finite() {
                return Err(diverged(phase, format!("the loss became {value} in epoch {epoch}, step {step}")));
            }
            optimizer.backward_step(&loss);
            sums.add(value * count as f64, &no_grad(|| logits.argmax(-1, false)), &labels, count);
            clock.count(count);
            if step % steps.div_ceil(LOGGED_STEPS) == 0 {
                log.metrics(Some(u64::from(epoch - 1) * steps + step), &[("batch_loss", value)])?;
            }
            log.progress(|| clock.progress(epoch, step, steps, &sums))?;
        }
        let (train_loss, train_accuracy) = sums.means();
        let validation = if split.validation().is_empty() {
            None
        } else {
            let (loss, accuracy) = validate(&model, &form, data, split.validation())?;
            if !loss.is_finite() {
                return Err(diverged(phase, format!("the validation loss became {loss} in epoch {epoch}")));
            }
            Some((loss, accuracy))
        };
        let (val_loss, val_accuracy) = (validation.map(|(loss, _)| loss), validation.map(|(_, accuracy)| accuracy));
        let measured = Epoch { epoch, train_loss, train_accuracy, val_loss, val_accuracy };
        report(&measured, training.epochs(), log)?;
        history.push(measured);
    }
    let parameters = count_parameters(&weights);
    // What follows is for everywhere: weights that sit on a GPU could not even be loaded elsewhere.
    weights.set_device(Device::Cpu);
    form.device = Device::Cpu;
    Ok(Trained { weights, model, form, parameters, statistics, history })
}

fn optimizer(phase: &Phase, weights: &nn::VarStore) -> Result<nn::Optimizer> {
    let decay = phase.weight_decay;
    Ok(match phase.optimizer {
        OptimizerKind::Adam => nn::Adam::default().wd(decay).build(weights, phase.lr),
        OptimizerKind::Adamw => nn::AdamW::default().wd(decay).build(weights, phase.lr),
        OptimizerKind::Sgd => {
            nn::Sgd { momentum: phase.momentum, wd: decay, ..nn::Sgd::default() }.build(weights, phase.lr)
        }
    }?)
}

fn diverged(phase: &Phase, line: String) -> Failure {
    Failure::new(line).hint(format!("try a learning rate (lr) below {}", phase.lr))
}

/// The mean loss and the accuracy on the examples at `indexes`.
fn validate(model: &Model, form: &InputForm, data: &Arc<Dataset>, indexes: &[u32]) -> Result<(f64, f64)> {
    let mut sums = Sums::default();
    for batch in Loader::new(data, indexes.to_vec(), EVALUATION_BATCH, None, 1) {
        let (inputs, labels) = form.tensors(&batch?);
        let count = labels.size()[0] as usize;
        let logits = no_grad(|| model.forward(&inputs, Mode::EVALUATE));
        let loss = cross_entropy(&logits, &labels, Reduction::Sum).double_value(&[]);
        sums.add(loss, &logits.argmax(-1, false), &labels, count);
    }
    Ok(sums.means())
}

fn cross_entropy(logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Tensor {
    logits.cross_entropy_loss::<Tensor>(labels, None, reduction, -100, 0.0)
}

fn report(measured: &Epoch, epochs: u32, log: &mut RunLog) -> Result<()> {
    let Epoch { epoch, train_loss, train_accuracy, val_loss, val_accuracy } = *measured;
    let mut metrics = vec![("train_loss", train_loss), ("train_accuracy", train_accuracy)];
    let mut line = format!("epoch {epoch}/{epochs}: loss {train_loss:.4}, accuracy {train_accuracy:.4}");
    if let (Some(loss), Some(accuracy)) = (val_loss, val_accuracy) {
        metrics.extend([("val_loss", loss), ("val_accuracy", accuracy)]);
        line += &format!("; validation: loss {loss:.4}, accuracy {accuracy:.4}");
    }
    say(&line);
    log.metrics(Some(epoch.into()), &metrics)
}

/// Sums over the examples of an epoch.
#[derive(Debug, Default)]
struct Sums {
    loss: f64,
    right: i64,
    examples: usize,
}

impl Sums {
    fn add(&mut self, loss: f64, predicted: &Tensor, labels: &Tensor, examples: usize) {
        self.loss += loss;
        self.right += predicted.eq_tensor(labels).sum(Kind::Int64).int64_value(&[]);
        self.examples += examples;
    }

    fn means(&self) -> (f64, f64) {
        (self.loss / self.examples as f64, self.right as f64 / self.examples as f64)
    }
}

/// How fast the training is. Nothing here reaches the model artifact.
struct Clock {
    started: Instant,
    epochs: u32,
    done: u64,
    total: u64,
}

impl Clock {
    fn start(training: &TrainingConfig, examples: usize) -> Self {
        let total = u64::from(training.epochs()) * examples as u64;
        Self { started: Instant::now(), epochs: training.epochs(), done: 0, total }
    }

    fn count(&mut self, examples: usize) {
        self.done += examples as u64;
    }

    fn progress(&self, epoch: u32, step: u64, steps: u64, sums: &Sums) -> Progress {
        let speed = self.done as f64 / self.started.elapsed().as_secs_f64().max(1e-6);
        let (loss, accuracy) = sums.means();
        let seconds_left = (self.total - self.done) as f64 / speed;
        Progress { epoch, epochs: self.epochs, step, steps, loss, accuracy, samples_per_second: speed, seconds_left }
    }
}
