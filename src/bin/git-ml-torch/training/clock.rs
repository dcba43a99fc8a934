//! How fast a training is. Nothing here reaches the model artifact.

use std::time::{Duration, Instant};

use git_ml::train::Progress;
use git_ml::train::recipe::TrainingConfig;

use super::Sums;

/// Measures steps, validations and the wait for data, and says how long the rest takes.
pub(super) struct Clock {
    epochs: u32,
    steps_per_epoch: u64,
    /// Steps that this process did, and the time that they took with their data.
    steps: u64,
    stepping: Duration,
    examples: usize,
    /// Validations that this process did, and their time.
    validations: u32,
    validating: Duration,
    lap: Instant,
    epoch: Lap,
}

/// Where the clock stood at the start of an epoch.
#[derive(Debug, Clone, Copy, Default)]
struct Lap {
    examples: usize,
    stepping: Duration,
}

/// What an epoch took.
#[derive(Debug, Clone, Copy)]
pub(super) struct EpochTime {
    pub(super) samples_per_second: f64,
    pub(super) data_seconds: f64,
    pub(super) compute_seconds: f64,
}

impl Clock {
    pub(super) fn new(training: &TrainingConfig, steps_per_epoch: u64) -> Self {
        Self {
            epochs: training.epochs(),
            steps_per_epoch,
            steps: 0,
            stepping: Duration::ZERO,
            examples: 0,
            validations: 0,
            validating: Duration::ZERO,
            lap: Instant::now(),
            epoch: Lap::default(),
        }
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.lap, now)
    }

    /// An epoch begins.
    pub(super) fn begin_epoch(&mut self) {
        self.lap();
        self.epoch = Lap { examples: self.examples, stepping: self.stepping };
    }

    /// A step with so many examples is done, its wait for them included.
    pub(super) fn step_done(&mut self, examples: usize) {
        let took = self.lap();
        self.stepping += took;
        self.steps += 1;
        self.examples += examples;
    }

    /// The steps of an epoch are done; so long they waited for data.
    pub(super) fn epoch_time(&self, waited: Duration) -> EpochTime {
        let all = (self.stepping - self.epoch.stepping).as_secs_f64();
        let data = waited.as_secs_f64();
        let examples = (self.examples - self.epoch.examples) as f64;
        EpochTime {
            samples_per_second: examples / all.max(1e-9),
            data_seconds: data,
            compute_seconds: (all - data).max(0.0),
        }
    }

    /// A validation is done.
    pub(super) fn validated(&mut self) {
        let took = self.lap();
        self.validating += took;
        self.validations += 1;
    }

    /// How far the training is: in epoch `epoch` (from 1) with `step` steps done.
    pub(super) fn progress(&self, epoch: u32, step: u64, sums: &Sums) -> Progress {
        let step_time = self.stepping.as_secs_f64() / self.steps.max(1) as f64;
        let steps_left = u64::from(self.epochs.saturating_sub(epoch)) * self.steps_per_epoch
            + self.steps_per_epoch.saturating_sub(step);
        // Until there was one, a validation is taken to be a tenth of an epoch: it has a tenth of the examples.
        let validation_time = match self.validations {
            0 => step_time * self.steps_per_epoch as f64 / 10.0,
            count => self.validating.as_secs_f64() / f64::from(count),
        };
        let validations_left = f64::from(self.epochs.saturating_sub(epoch) + 1);
        let (loss, accuracy) = sums.means();
        Progress {
            epoch,
            epochs: self.epochs,
            step,
            steps: self.steps_per_epoch,
            loss,
            accuracy,
            samples_per_second: self.examples as f64 / self.stepping.as_secs_f64().max(1e-9),
            seconds_left: steps_left as f64 * step_time + validations_left * validation_time,
        }
    }
}
