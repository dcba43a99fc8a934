//! What a classifier is worth: computed from the probabilities it gives, without libtorch.
//!
//! The definitions are scikit-learn's. `docs/evaluation.md` has the formulas and their sources.

mod calibration;
mod ranking;
mod report;

pub use calibration::{BINS, Calibration, CalibrationBin};
pub use ranking::TopK;
pub use report::{Averages, ClassReport, Report, Scores};

/// Predictions that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// There are none.
    #[error("there are no examples to evaluate the model on")]
    Empty,
    /// A model gives another number of values than there are classes.
    #[error("the model gives {found} values for an example, and there are {expected} classes")]
    WrongCount {
        /// How many it gives.
        found: usize,
        /// How many there have to be.
        expected: usize,
    },
    /// A model gives what is no number.
    #[error("the model gives a value for the example {index} that is not a finite number")]
    NotFinite {
        /// The example.
        index: u32,
    },
}

/// What was predicted for one example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The example's index in its data set.
    pub index: u32,
    /// Its label.
    pub truth: u32,
    /// The predicted label: the most probable one, the first of several.
    pub prediction: u32,
    /// The probability that the model gives to its prediction.
    pub probability: f32,
    /// The cross-entropy: how surprised the model is by the truth, in nats.
    pub loss: f64,
}

/// What a classifier said about some examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    classes: usize,
    rows: Vec<Prediction>,
    /// `[N, classes]`
    probabilities: Vec<f32>,
}

impl Predictions {
    /// None yet, over so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, rows: Vec::new(), probabilities: Vec::new() }
    }

    /// Adds an example for which the model gives logits, one a class.
    pub fn push_logits(&mut self, index: u32, truth: u32, logits: &[f32]) -> Result<(), EvaluationError> {
        self.check(index, logits)?;
        let most = logits.iter().fold(f64::NEG_INFINITY, |most, logit| most.max(f64::from(*logit)));
        let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - most).exp()).sum();
        self.probabilities.extend(logits.iter().map(|logit| ((f64::from(*logit) - most).exp() / sum) as f32));
        // Logits have more to say than probabilities: far apart, those become 0, whose logarithm is infinite.
        let loss = sum.ln() - (f64::from(logits[truth as usize]) - most);
        self.add(index, truth, first_of_the_largest(logits), loss);
        Ok(())
    }

    /// Adds an example for which the model gives probabilities, one a class.
    pub fn push<P: Copy + Into<f64> + PartialOrd>(
        &mut self,
        index: u32,
        truth: u32,
        probabilities: &[P],
    ) -> Result<(), EvaluationError> {
        self.check(index, probabilities)?;
        self.probabilities.extend(probabilities.iter().map(|probability| (*probability).into() as f32));
        let loss = log_loss(probabilities[truth as usize].into());
        self.add(index, truth, first_of_the_largest(probabilities), loss);
        Ok(())
    }

    fn check<P: Copy + Into<f64>>(&self, index: u32, values: &[P]) -> Result<(), EvaluationError> {
        if values.len() != self.classes || values.is_empty() {
            return Err(EvaluationError::WrongCount { found: values.len(), expected: self.classes });
        }
        if values.iter().any(|value| !(*value).into().is_finite()) {
            return Err(EvaluationError::NotFinite { index });
        }
        Ok(())
    }

    fn add(&mut self, index: u32, truth: u32, prediction: u32, loss: f64) {
        let probability = self.probabilities[self.rows.len() * self.classes + prediction as usize];
        self.rows.push(Prediction { index, truth, prediction, probability, loss });
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Each example.
    pub fn rows(&self) -> &[Prediction] {
        &self.rows
    }

    /// The probabilities of all classes for the example at `position` of [`Self::rows`].
    pub fn probabilities(&self, position: usize) -> &[f32] {
        &self.probabilities[position * self.classes..][..self.classes]
    }

    /// The positions of the examples that are predicted wrongly, those with the highest loss first.
    pub fn worst_mistakes(&self) -> Vec<usize> {
        let mut wrong: Vec<usize> =
            (0..self.rows.len()).filter(|row| self.rows[*row].truth != self.rows[*row].prediction).collect();
        wrong.sort_by(|a, b| self.rows[*b].loss.total_cmp(&self.rows[*a].loss).then(a.cmp(b)));
        wrong
    }

    /// The probabilities of one class, example by example.
    fn column(&self, class: usize) -> impl Iterator<Item = f32> {
        self.probabilities.iter().skip(class).step_by(self.classes).copied()
    }
}

/// `-ln(p)`, with the probability kept away from 0 and 1 as scikit-learn's `log_loss` keeps those of 32 bits.
fn log_loss(probability: f64) -> f64 {
    let least = f64::from(f32::EPSILON);
    -probability.clamp(least, 1.0 - least).ln()
}

fn first_of_the_largest<P: PartialOrd>(values: &[P]) -> u32 {
    (1..values.len()).fold(0, |best, next| if values[next] > values[best] { next } else { best }) as u32
}

#[cfg(test)]
mod tests;
