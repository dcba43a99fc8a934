//! The training loop, once for all models.
//!
//! A training is a pure function of recipe, data and machine: what is random comes from the recipe's seed and from how
//! far it is, so that it can go on from a checkpoint as if it had never stopped.

mod checkpoint;
mod clock;
mod epoch;
mod optimizer;
mod schedule;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use git_ml::train::Recipe;
use git_ml::train::data::{Batch, Dataset, Loader, Shuffle, Split, Variation, step_seed};
use git_ml::train::recipe::{Choice, ClassWeights, Keep, Normalize, Phase, Precision, TrainingConfig};
use tch::{Device, Kind, Reduction, Tensor, nn, no_grad};

use crate::failure::{Failure, Result};
use crate::input::{InputForm, statistics};
use crate::log::RunLog;
use crate::models::{Mode, Model, ModelSource, Statistics, parameters, unfreeze};
use crate::native::{self, Autocast};
use crate::say;
use crate::stop::Stop;

pub(crate) use epoch::Epoch;

use checkpoint::{Checkpoints, Saved, State};
use clock::Clock;
use epoch::{Sums, log_epoch, report};
use optimizer::Optimizer;

/// Points of `batch_loss` in an epoch, so that a long epoch shows how it goes, and leaves that if it is cut short.
const LOGGED_STEPS: u64 = 20;
/// The stream of shuffles of the first epoch; 0 is the split's.
const FIRST_STREAM: u64 = 1;
/// The factor of the loss in float16 at first, and the good steps after which it doubles, as PyTorch's GradScaler has it.
const FIRST_SCALE: f64 = 65_536.0;
const SCALE_STEPS: u32 = 2_000;
/// Below this factor the gradients themselves are not finite.
const LEAST_SCALE: f64 = 1e-3;

/// A model that was trained, with its weights in memory of the CPU.
pub(crate) struct Trained {
    pub(crate) weights: nn::VarStore,
    pub(crate) model: Model,
    pub(crate) form: InputForm,
    /// How many numbers it has learnt, or could.
    pub(crate) parameters: u64,
    /// What the model does to its inputs first of all.
    pub(crate) statistics: Statistics,
    pub(crate) history: Vec<Epoch>,
}

/// What a training is made of.
pub(crate) struct Task<'t> {
    pub(crate) recipe: &'t Recipe,
    pub(crate) training: &'t TrainingConfig,
    pub(crate) data: &'t Arc<Dataset>,
    pub(crate) split: &'t Split,
    pub(crate) device: Device,
    /// The file that the model is made from.
    pub(crate) source: Option<&'t ModelSource>,
    /// The folder for checkpoints.
    pub(crate) checkpoints: &'t Path,
    /// The folder with the checkpoint to go on from.
    pub(crate) resume: Option<&'t Path>,
}

/// Trains a model; none if it was asked to stop, and left a checkpoint.
pub(crate) fn train(task: &Task<'_>, stop: &Stop, log: &mut RunLog) -> Result<Option<Trained>> {
    let mut session = Session::begin(task, log)?;
    while session.state.phase < task.training.phases.len() {
        if !session.phase(stop, log)? {
            return Ok(None);
        }
        session.state.phase += 1;
        session.state.phase_epoch = 0;
        session.state.optimizer_steps = 0;
    }
    Ok(Some(session.finish()?))
}

/// A training in progress.
struct Session<'t> {
    task: &'t Task<'t>,
    form: InputForm,
    weights: nn::VarStore,
    model: Model,
    parameters: Vec<(String, Tensor)>,
    statistics: Statistics,
    class_weights: Option<Tensor>,
    state: State,
    /// The optimizer's state of the checkpoint, until the phase has its optimizer.
    saved: Option<Saved>,
    best: Option<Vec<(String, Tensor)>>,
    checkpoints: Checkpoints,
    clock: Clock,
    steps_per_epoch: u64,
}

impl<'t> Session<'t> {
    fn begin(task: &'t Task<'t>, log: &mut RunLog) -> Result<Self> {
        let Task { recipe, training, data, split, device, .. } = *task;
        tch::set_num_threads(recipe.threads as i32);
        tch::manual_seed(recipe.seed as i64);
        native::be_deterministic()?;

        let form = InputForm::new(data, device, training.channels_last == Choice::Yes)?;
        let statistics = match training.normalize {
            Normalize::Data => statistics(data, split.train())?,
            Normalize::Imagenet => Statistics::imagenet(&form.shape)?,
            Normalize::None => Statistics::none(),
        };
        let weights = nn::VarStore::new(device);
        let model = Model::new(&weights, &recipe.model, &form.shape, &statistics, task.source)?;
        let steps_per_epoch = split.train().len().div_ceil(training.batch_size as usize) as u64;
        let mut session = Self {
            task,
            class_weights: class_weights(training.class_weights, data, split.train())
                .map(|weights| Tensor::from_slice(&weights).to_device(device)),
            form,
            parameters: parameters(&weights),
            weights,
            model,
            statistics,
            state: State {
                recipe: recipe.clone(),
                split: split.digest(),
                phase: 0,
                phase_epoch: 0,
                step: 0,
                total_steps: 0,
                optimizer_steps: 0,
                sums: Sums::default(),
                history: Vec::new(),
                scale: (FIRST_SCALE, 0),
            },
            saved: None,
            best: None,
            checkpoints: Checkpoints::new(task.checkpoints)?,
            clock: Clock::new(training, steps_per_epoch),
            steps_per_epoch,
        };
        if let Some(folder) = task.resume {
            session.resume(folder, log)?;
        }
        if session.form.channels_last {
            lay_out(&session.weights, true)?;
        }
        Ok(session)
    }

    /// Takes everything over from a checkpoint.
    fn resume(&mut self, folder: &Path, log: &mut RunLog) -> Result<()> {
        let mut saved = Saved::read(folder)?;
        if saved.state.recipe != self.state.recipe {
            return Err(Failure::new("the checkpoint is of a training with other parameters"));
        }
        if saved.state.split != self.state.split {
            return Err(Failure::new("the checkpoint is of a training on other examples"));
        }
        saved.restore(&self.weights)?;
        self.best = saved.best();
        self.state = saved.state.clone();
        self.saved = Some(saved);
        let epoch = self.state.history.len() + 1;
        say(&format!("goes on in epoch {epoch} after {} of {} steps", self.state.step, self.steps_per_epoch));
        for measured in &self.state.history {
            log_epoch(measured, log)?;
        }
        Ok(())
    }

    /// Trains a phase; whether it came to its end.
    fn phase(&mut self, stop: &Stop, log: &mut RunLog) -> Result<bool> {
        let phase = &self.task.training.phases[self.state.phase];
        let frozen = unfreeze(&self.parameters, &self.model.layers(), phase)?;
        let learning = self.parameters.iter().filter(|(_, own)| own.requires_grad());
        let learning = learning.map(|(name, own)| (name.clone(), own.shallow_clone())).collect();
        let mut optimizer = Optimizer::new(phase.optimizer, learning);
        if let Some(saved) = self.saved.take() {
            optimizer.restore(self.state.optimizer_steps, |name| saved.optimizer(name))?;
        }
        if self.checkpoints.is_due(true) {
            self.save(&optimizer)?;
        }
        while self.state.phase_epoch < phase.epochs && !self.has_stalled() {
            if !self.epoch(phase, frozen, &mut optimizer, stop, log)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Trains an epoch, or what is left of it; whether it came to its end.
    fn epoch(
        &mut self,
        phase: &Phase,
        frozen: usize,
        optimizer: &mut Optimizer,
        stop: &Stop,
        log: &mut RunLog,
    ) -> Result<bool> {
        let Task { recipe, training, data, split, .. } = *self.task;
        let number = self.state.history.len() as u32 + 1;
        let mut order = split.train().to_vec();
        Shuffle::new(recipe.seed, FIRST_STREAM + u64::from(number - 1)).shuffle(&mut order);
        let done = self.state.step as usize * training.batch_size as usize;
        let order = order.split_off(done.min(order.len()));
        let variation = Variation { augment: training.augment, seed: recipe.seed, epoch: number };
        let variation = (!training.augment.is_none()).then_some(variation);
        let mut batches = Loader::new(data, order, training.batch_size as usize, variation, recipe.threads as usize);
        let losses: Vec<f64> = self.phase_losses().collect();
        let mut rate = phase.lr;
        self.clock.begin_epoch();
        for batch in batches.by_ref() {
            let batch = batch?;
            let phase_step = u64::from(self.state.phase_epoch) * self.steps_per_epoch + self.state.step;
            rate = schedule::rate(phase, phase_step, self.steps_per_epoch, &losses);
            let loss = self.step(phase, rate, &batch, Mode { train: true, frozen }, optimizer)?;
            self.clock.step_done(batch.labels.len());
            if self.state.step.is_multiple_of(self.steps_per_epoch.div_ceil(LOGGED_STEPS)) {
                let step = u64::from(number - 1) * self.steps_per_epoch + self.state.step;
                log.metrics(Some(step), &[("batch_loss", loss)])?;
            }
            log.progress(|| self.clock.progress(number, self.state.step, &self.state.sums))?;
            let stops = stop.is_wanted();
            if stops || self.checkpoints.is_due(false) {
                self.save(optimizer)?;
            }
            if stops {
                say(&format!("stopped in epoch {number} after {} of {} steps", self.state.step, self.steps_per_epoch));
                return Ok(false);
            }
        }
        self.end_epoch(phase, rate, batches.waited(), log)?;
        let stops = stop.is_wanted();
        if stops || self.checkpoints.is_due(true) {
            self.save(optimizer)?;
        }
        if stops {
            say(&format!("stopped after epoch {number}"));
        }
        Ok(!stops)
    }

    /// Learns from a batch; its loss.
    fn step(&mut self, phase: &Phase, rate: f64, batch: &Batch, mode: Mode, optimizer: &mut Optimizer) -> Result<f64> {
        let training = self.task.training;
        let count = batch.labels.len();
        // What dropout draws depends on nothing but the step.
        tch::manual_seed(step_seed(self.task.recipe.seed, self.state.total_steps) as i64);
        let (inputs, labels) = self.form.tensors(batch);
        let logits = self.forward(&inputs, mode)?;
        let smoothing = training.label_smoothing;
        let loss = logits.cross_entropy_loss(&labels, self.class_weights.as_ref(), Reduction::Mean, -100, smoothing);
        let value = loss.double_value(&[]);
        if !value.is_finite() {
            let (epoch, step) = (self.state.history.len() + 1, self.state.step + 1);
            return Err(diverged(phase, format!("the loss became {value} in epoch {epoch}, step {step}")));
        }
        optimizer.zero_gradients()?;
        let is_half = training.precision == Precision::Fp16;
        let fits = if is_half {
            let (scale, _) = self.state.scale;
            (loss * scale).backward();
            optimizer.unscale(1.0 / scale)?
        } else {
            loss.backward();
            true
        };
        if fits {
            if training.clip > 0.0 {
                optimizer.clip(training.clip)?;
            }
            optimizer.step(phase, rate)?;
        }
        if is_half {
            self.state.scale = next_scale(self.state.scale, fits);
            if self.state.scale.0 < LEAST_SCALE {
                return Err(diverged(phase, "the gradients are not finite, whatever the loss is scaled by".to_owned()));
            }
        }
        self.state.sums.add(value * count as f64, &no_grad(|| logits.argmax(-1, false)), &labels, count);
        self.state.step += 1;
        self.state.total_steps += 1;
        self.state.optimizer_steps = optimizer.done();
        Ok(value)
    }

    /// The logits in 32 bits, computed in the recipe's precision.
    fn forward(&self, inputs: &Tensor, mode: Mode) -> Result<Tensor> {
        let half = match self.task.training.precision {
            Precision::Auto | Precision::Fp32 => return Ok(self.model.forward(inputs, mode)),
            Precision::Bf16 => false,
            Precision::Fp16 => true,
        };
        let _autocast = Autocast::begin(self.form.device != Device::Cpu, half)?;
        Ok(self.model.forward(inputs, mode).to_kind(Kind::Float))
    }

    /// Validates, and notes what the epoch was like.
    fn end_epoch(&mut self, phase: &Phase, rate: f64, waited: Duration, log: &mut RunLog) -> Result<()> {
        let Task { training, split, .. } = *self.task;
        let number = self.state.history.len() as u32 + 1;
        let time = self.clock.epoch_time(waited);
        let (train_loss, train_accuracy) = self.state.sums.means();
        let validation = if split.validation().is_empty() { None } else { Some(self.validate()?) };
        if let Some((loss, _)) = validation
            && !loss.is_finite()
        {
            return Err(diverged(phase, format!("the validation loss became {loss} in epoch {number}")));
        }
        let measured = Epoch {
            epoch: number,
            phase: self.state.phase as u32 + 1,
            lr: rate,
            train_loss,
            train_accuracy,
            val_loss: validation.map(|(loss, _)| loss),
            val_accuracy: validation.map(|(_, accuracy)| accuracy),
        };
        report(&measured, training.epochs());
        log_epoch(&measured, log)?;
        log.metrics(
            Some(number.into()),
            &[
                ("samples_per_second", time.samples_per_second),
                ("data_seconds", time.data_seconds),
                ("compute_seconds", time.compute_seconds),
            ],
        )?;
        self.state.history.push(measured);
        self.state.sums = Sums::default();
        self.state.step = 0;
        self.state.phase_epoch += 1;
        if checkpoint::best(&self.state.history).is_some_and(|(best, _)| best == number) {
            self.best = Some(copies(&self.weights));
        }
        Ok(())
    }

    /// The mean loss and the accuracy on the validation's examples.
    fn validate(&mut self) -> Result<(f64, f64)> {
        let mut sums = Sums::default();
        let part = self.task.split.validation().to_vec();
        for batch in
            Loader::new(self.task.data, part, self.form.evaluation_batch(), None, self.task.recipe.threads as usize)
        {
            let batch = batch?;
            let (inputs, labels) = self.form.tensors(&batch);
            let logits = no_grad(|| self.forward(&inputs, Mode::EVALUATE))?;
            let loss = cross_entropy(&logits, &labels).double_value(&[]);
            sums.add(loss, &logits.argmax(-1, false), &labels, batch.labels.len());
        }
        self.clock.validated();
        Ok(sums.means())
    }

    /// The validation losses of this phase's epochs.
    fn phase_losses(&self) -> impl Iterator<Item = f64> {
        let phase = self.state.phase as u32 + 1;
        self.state.history.iter().filter(move |epoch| epoch.phase == phase).filter_map(|epoch| epoch.val_loss)
    }

    /// Whether the validation loss has not fallen for as many epochs as the recipe bears.
    fn has_stalled(&self) -> bool {
        let patience = self.task.training.early_stopping as usize;
        let losses: Vec<f64> = self.phase_losses().collect();
        let best = losses.iter().enumerate().min_by(|(_, one), (_, other)| one.total_cmp(other));
        patience > 0 && best.is_some_and(|(index, _)| losses.len() - index > patience)
    }

    /// Keeps what is needed to go on from here.
    fn save(&mut self, optimizer: &Optimizer) -> Result<()> {
        self.checkpoints.save(&self.state, &self.weights, &optimizer.state(), self.best.as_deref())
    }

    fn finish(mut self) -> Result<Trained> {
        if self.task.training.keep == Keep::Best
            && let Some(best) = &self.best
        {
            for (name, mut own) in self.weights.variables() {
                if let Some((_, saved)) = best.iter().find(|(other, _)| *other == name) {
                    no_grad(|| own.f_copy_(saved))?;
                }
            }
        }
        let parameters = self.parameters.iter().map(|(_, own)| own.numel() as u64).sum();
        lay_out(&self.weights, false)?;
        // What follows is for everywhere: weights that sit on a GPU could not even be loaded elsewhere.
        self.weights.set_device(Device::Cpu);
        self.weights.freeze();
        self.form.device = Device::Cpu;
        self.form.channels_last = false;
        self.checkpoints.remove()?;
        Ok(Trained {
            weights: self.weights,
            model: self.model,
            form: self.form,
            parameters,
            statistics: self.statistics,
            history: self.state.history,
        })
    }
}

/// Copies of all variables.
fn copies(weights: &nn::VarStore) -> Vec<(String, Tensor)> {
    weights.variables().into_iter().map(|(name, own)| (name, own.detach().copy())).collect()
}

/// Lays weights of convolutions out as `[O, H, W, I]` in memory, or as `[O, I, H, W]`; their values stay.
fn lay_out(weights: &nn::VarStore, channels_last: bool) -> Result<()> {
    for (_, mut own) in weights.variables() {
        let [outputs, inputs, height, width] = own.size()[..] else { continue };
        let strides = match channels_last {
            true => [height * width * inputs, 1, width * inputs, inputs],
            false => [inputs * height * width, height * width, width, 1],
        };
        let options = (own.kind(), own.device());
        let mut other = Tensor::f_empty_strided([outputs, inputs, height, width], strides, options)?;
        no_grad(|| other.f_copy_(&own))?;
        own.f_set_data(&other)?;
    }
    Ok(())
}

/// What an example of each class counts.
fn class_weights(kind: ClassWeights, data: &Dataset, train: &[u32]) -> Option<Vec<f32>> {
    if kind == ClassWeights::None {
        return None;
    }
    let mut counts = vec![0_u32; data.classes.len()];
    train.iter().for_each(|index| counts[data.labels[*index as usize] as usize] += 1);
    let (examples, classes) = (train.len() as f32, counts.len() as f32);
    // A class without an example is in no loss.
    Some(counts.into_iter().map(|count| examples / (classes * count.max(1) as f32)).collect())
}

fn next_scale((scale, good): (f64, u32), fits: bool) -> (f64, u32) {
    match (fits, good + 1) {
        (false, _) => (scale / 2.0, 0),
        (true, SCALE_STEPS) => (scale * 2.0, 0),
        (true, good) => (scale, good),
    }
}

fn diverged(phase: &Phase, line: String) -> Failure {
    Failure::new(line).hint(format!("try a learning rate (lr) below {}", phase.lr))
}

/// The sum of the cross-entropies.
fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    logits.cross_entropy_loss::<Tensor>(labels, None, Reduction::Sum, -100, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_values_in_another_layout() {
        let weights = nn::VarStore::new(Device::Cpu);
        let own = weights.root().randn_standard("w", &[4, 3, 2, 5]);
        let before = own.copy();
        lay_out(&weights, true).unwrap();
        assert_eq!(own.stride(), [30, 1, 15, 3]);
        assert_eq!(own, before);
        assert!(own.requires_grad());
        lay_out(&weights, false).unwrap();
        assert!(own.is_contiguous() && own == before);
    }

    #[test]
    fn the_scale_halves_at_once_and_doubles_after_many_good_steps() {
        assert_eq!(next_scale((8.0, 5), false), (4.0, 0));
        assert_eq!(next_scale((8.0, 5), true), (8.0, 6));
        assert_eq!(next_scale((8.0, SCALE_STEPS - 1), true), (16.0, 0));
    }
}
