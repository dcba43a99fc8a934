//! The training loop, once for all models.

use std::time::Instant;

use git_ml::train::data::{ImageData, Images, Labels, Shuffle, Split};
use git_ml::train::evaluation::Prediction;
use git_ml::train::{Progress, Recipe};
use serde::Serialize;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use crate::failure::{Failure, Result};
use crate::log::RunLog;
use crate::models::{Model, Shape, count_parameters, scaled};
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

/// Examples as tensors: pixels stay bytes, a quarter of the memory that numbers would take.
pub(crate) struct Examples {
    pixels: Tensor,
    labels: Tensor,
    scale: f64,
    device: Device,
}

impl Examples {
    fn new(images: &Images, labels: &Labels, scale: f64, device: Device) -> Self {
        let size = [images.len() as i64, 1, images.height() as i64, images.width() as i64];
        let pixels = Tensor::from_slice(images.pixels()).view(size).to_device(device);
        let labels = Tensor::from_slice(labels.values()).to_kind(Kind::Int64).to_device(device);
        Self { pixels, labels, scale, device }
    }

    /// The images, as the model wants them, and the labels of the examples at `indexes`.
    fn batch(&self, indexes: &[u32]) -> (Tensor, Tensor) {
        let indexes: Vec<i64> = indexes.iter().map(|index| i64::from(*index)).collect();
        let indexes = Tensor::from_slice(&indexes).to_device(self.device);
        (scaled(&self.pixels.index_select(0, &indexes), self.scale), self.labels.index_select(0, &indexes))
    }
}

/// A model that was trained, with its weights in memory of the CPU.
pub(crate) struct Trained {
    pub(crate) weights: nn::VarStore,
    pub(crate) model: Model,
    pub(crate) shape: Shape,
    /// How many numbers it learnt.
    pub(crate) parameters: u64,
    /// What pixels are divided by before the model sees them.
    pub(crate) scale: f64,
    /// The mean and the standard deviation of the pixels that it was trained on, after that.
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
    pub(crate) history: Vec<Epoch>,
}

/// Trains a new model on the data.
pub(crate) fn train(
    recipe: &Recipe,
    data: &ImageData,
    split: &Split,
    device: Device,
    log: &mut RunLog,
) -> Result<Trained> {
    tch::set_num_threads(recipe.threads as i32);
    tch::manual_seed(recipe.seed as i64);

    let scale = pixel_scale(data);
    let (mean, deviation) = pixel_statistics(&data.images, &split.train, scale)?;
    let shape =
        Shape { height: data.images.height() as i64, width: data.images.width() as i64, classes: data.classes as i64 };
    let mut weights = nn::VarStore::new(device);
    let model = Model::new(&weights.root(), &recipe.model, shape, mean, deviation)?;
    let examples = Examples::new(&data.images, &data.labels, scale, device);
    let mut optimizer = optimizer(recipe, &weights)?;

    let mut history = Vec::new();
    let mut clock = Clock::start(recipe, split.train.len());
    for epoch in 1..=recipe.epochs {
        let (train_loss, train_accuracy) =
            train_epoch(epoch, recipe, &model, &examples, &split.train, &mut optimizer, &mut clock, log)?;
        let validation = if split.validation.is_empty() {
            None
        } else {
            let (loss, accuracy) = evaluate(&model, &examples, &split.validation);
            if !loss.is_finite() {
                return Err(diverged(recipe, format!("the validation loss became {loss} in epoch {epoch}")));
            }
            Some((loss, accuracy))
        };
        let (val_loss, val_accuracy) = (validation.map(|(loss, _)| loss), validation.map(|(_, accuracy)| accuracy));
        let measured = Epoch { epoch, train_loss, train_accuracy, val_loss, val_accuracy };
        report(&measured, recipe.epochs, log)?;
        history.push(measured);
    }
    let parameters = count_parameters(&weights);
    // What follows is for everywhere: weights that sit on a GPU could not even be loaded elsewhere.
    weights.set_device(Device::Cpu);
    let (mean, deviation) = (f64::from(mean as f32), f64::from(deviation as f32));
    Ok(Trained { weights, model, shape, parameters, scale, mean, deviation, history })
}

fn optimizer(recipe: &Recipe, weights: &nn::VarStore) -> Result<nn::Optimizer> {
    let decay = recipe.weight_decay;
    Ok(match recipe.optimizer.as_str() {
        "adam" => nn::Adam::default().wd(decay).build(weights, recipe.lr),
        "adamw" => nn::AdamW::default().wd(decay).build(weights, recipe.lr),
        _ => nn::Sgd { momentum: 0.9, wd: decay, ..nn::Sgd::default() }.build(weights, recipe.lr),
    }?)
}

#[allow(clippy::too_many_arguments, reason = "the loop is the one place where all of them meet")]
fn train_epoch(
    epoch: u32,
    recipe: &Recipe,
    model: &Model,
    examples: &Examples,
    train: &[u32],
    optimizer: &mut nn::Optimizer,
    clock: &mut Clock,
    log: &mut RunLog,
) -> Result<(f64, f64)> {
    let mut order = train.to_vec();
    Shuffle::new(recipe.seed, FIRST_STREAM + u64::from(epoch - 1)).shuffle(&mut order);
    let mut sums = Sums::default();
    let steps = order.len().div_ceil(recipe.batch_size as usize) as u64;
    for (step, indexes) in (1..).zip(order.chunks(recipe.batch_size as usize)) {
        let (images, labels) = examples.batch(indexes);
        let logits = model.forward(&images, true);
        let loss = cross_entropy(&logits, &labels, Reduction::Mean);
        let value = loss.double_value(&[]);
        if !value.is_finite() {
            return Err(diverged(recipe, format!("the loss became {value} in epoch {epoch}, step {step}")));
        }
        optimizer.backward_step(&loss);
        sums.add(value * indexes.len() as f64, &no_grad(|| logits.argmax(-1, false)), &labels, indexes.len());
        clock.count(indexes.len());
        if step % steps.div_ceil(LOGGED_STEPS) == 0 {
            log.metrics(Some(u64::from(epoch - 1) * steps + step), &[("batch_loss", value)])?;
        }
        log.progress(|| clock.progress(epoch, step, steps, &sums))?;
    }
    Ok(sums.means())
}

fn diverged(recipe: &Recipe, line: String) -> Failure {
    Failure::new(line).hint(format!("try a learning rate (lr) below {}", recipe.lr))
}

/// The mean loss and the accuracy on the examples at `indexes`.
fn evaluate(model: &Model, examples: &Examples, indexes: &[u32]) -> (f64, f64) {
    let mut sums = Sums::default();
    no_grad(|| {
        for indexes in indexes.chunks(EVALUATION_BATCH) {
            let (images, labels) = examples.batch(indexes);
            let logits = model.forward(&images, false);
            let loss = cross_entropy(&logits, &labels, Reduction::Sum).double_value(&[]);
            sums.add(loss, &logits.argmax(-1, false), &labels, indexes.len());
        }
    });
    sums.means()
}

/// What the model predicts for the test, and the mean loss.
pub(crate) fn test(trained: &Trained, data: &ImageData, split: &Split) -> (Vec<Prediction>, f64) {
    let (images, labels, indexes) = match &data.test {
        Some((images, labels)) => (images, labels, (0..images.len() as u32).collect()),
        None => (&data.images, &data.labels, split.test.clone()),
    };
    let examples = Examples::new(images, labels, trained.scale, Device::Cpu);
    let mut predictions = Vec::with_capacity(indexes.len());
    let mut loss = 0.0;
    no_grad(|| {
        for indexes in indexes.chunks(EVALUATION_BATCH) {
            let (images, truth) = examples.batch(indexes);
            let logits = trained.model.forward(&images, false);
            loss += cross_entropy(&logits, &truth, Reduction::Sum).double_value(&[]);
            let (probabilities, classes) = logits.softmax(-1, Kind::Float).max_dim(-1, false);
            for (position, index) in (0_i64..).zip(indexes) {
                predictions.push(Prediction {
                    index: *index,
                    truth: labels.values()[*index as usize],
                    prediction: classes.int64_value(&[position]) as u8,
                    probability: probabilities.double_value(&[position]) as f32,
                });
            }
        }
    });
    let mean = loss / predictions.len() as f64;
    (predictions, mean)
}

fn cross_entropy(logits: &Tensor, labels: &Tensor, reduction: Reduction) -> Tensor {
    logits.cross_entropy_loss::<Tensor>(labels, None, reduction, -100, 0.0)
}

/// What pixels have to be divided by to be in 0..=1: the largest value of the kind, 16 (as in scikit-learn's digits)
/// or 255.
fn pixel_scale(data: &ImageData) -> f64 {
    let largest = data.images.pixels().iter().max().copied().unwrap_or_default();
    if largest <= 16 { 16.0 } else { 255.0 }
}

/// The mean and the standard deviation of the pixels of the examples at `indexes`, after scaling.
fn pixel_statistics(images: &Images, indexes: &[u32], scale: f64) -> Result<(f64, f64)> {
    let size = images.height() * images.width();
    let mut counts = [0_u64; 256];
    for index in indexes {
        let start = *index as usize * size;
        images.pixels()[start..start + size].iter().for_each(|pixel| counts[usize::from(*pixel)] += 1);
    }
    let total = (indexes.len() * size) as f64;
    let mean = |value: &dyn Fn(f64) -> f64| {
        let weighted = (0_u32..).zip(counts).map(|(pixel, count)| value(f64::from(pixel) / scale) * count as f64);
        weighted.sum::<f64>() / total
    };
    let average = mean(&|pixel| pixel);
    let deviation = mean(&|pixel| (pixel - average).powi(2)).sqrt();
    if deviation == 0.0 {
        return Err(Failure::new("all pixels of the images to train on are the same"));
    }
    Ok((average, deviation))
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
    fn start(recipe: &Recipe, examples: usize) -> Self {
        let total = u64::from(recipe.epochs) * examples as u64;
        Self { started: Instant::now(), epochs: recipe.epochs, done: 0, total }
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
