//! The whole report on a classifier's predictions.

use serde::{Deserialize, Serialize};

use super::{Calibration, EvaluationError, Predictions, TopK, log_loss, ranking};

/// How well one class is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// The class's name.
    pub name: String,
    /// The part of its predictions that are right; none where it was never predicted.
    pub precision: Option<f64>,
    /// The part of its examples that are found; none where there are no examples.
    pub recall: Option<f64>,
    /// The harmonic mean of both; none where it was neither predicted nor is there an example.
    pub f1: Option<f64>,
    /// The area under the ROC curve of this class against all others; none where one of the two has no examples.
    pub roc_auc: Option<f64>,
    /// How many examples there are.
    pub support: u64,
}

/// Precision, recall and F1 over several classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The part of predictions that are right.
    pub precision: f64,
    /// The part of examples that are found.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// The three ways to average over classes. A value that a class lacks counts as 0, and a class that is neither
/// predicted nor has an example does not count, as scikit-learn does by default.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Averages {
    /// Each class counts the same.
    pub r#macro: Scores,
    /// Each class counts by its examples.
    pub weighted: Scores,
    /// Over all examples whatever their class; with one label an example, all three are the accuracy.
    pub micro: Scores,
}

/// How well a classifier does on some examples. What is not defined is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How many examples there are.
    pub examples: u64,
    /// The part of them that are predicted rightly.
    pub accuracy: f64,
    /// The part whose truth is among the most probable classes; none for two classes.
    pub top_k: Option<TopK>,
    /// The mean cross-entropy, in nats.
    pub loss: f64,
    /// The same from the probabilities as they are written, none below 1.2e-7.
    pub log_loss: f64,
    /// Precision, recall and F1 averaged over classes.
    pub averages: Averages,
    /// The correlation of truth and prediction (Matthews 1975; Gorodkin 2004 for several classes), in -1..=1; none where
    /// all examples or all predictions are of one class.
    pub matthews: Option<f64>,
    /// The area under the ROC curve: of the second class of two, else the mean over each class against all others; none
    /// where a class has no examples.
    pub roc_auc: Option<f64>,
    /// How far probabilities can be believed.
    pub calibration: Calibration,
    /// Each class by its label.
    pub classes: Vec<ClassReport>,
    /// How often each truth (row) was predicted as each class (column).
    pub confusion: Vec<Vec<u64>>,
}

impl Report {
    /// The report on `predictions`, with the classes' names by label.
    pub fn new(names: &[String], predictions: &Predictions) -> Result<Self, EvaluationError> {
        let rows = predictions.rows();
        if rows.is_empty() {
            return Err(EvaluationError::Empty);
        }
        if names.len() != predictions.classes() {
            return Err(EvaluationError::WrongCount { found: predictions.classes(), expected: names.len() });
        }
        let mut confusion = vec![vec![0_u64; names.len()]; names.len()];
        for row in rows {
            confusion[row.truth as usize][row.prediction as usize] += 1;
        }
        let counts = Counts::of(&confusion);
        let areas = ranking::roc_auc_by_class(predictions);
        let classes = names.iter().zip(counts.iter().zip(&areas)).map(|(name, (count, area))| ClassReport {
            name: name.clone(),
            precision: ratio(count.right, count.predicted),
            recall: ratio(count.right, count.support),
            f1: ratio(2 * count.right, count.support + count.predicted),
            roc_auc: *area,
            support: count.support,
        });
        let classes: Vec<_> = classes.collect();
        let examples = rows.len() as f64;
        let right: u64 = counts.iter().map(|count| count.right).sum();
        let accuracy = right as f64 / examples;
        let written = (0..rows.len())
            .map(|position| log_loss(predictions.probabilities(position)[rows[position].truth as usize].into()));
        Ok(Self {
            examples: rows.len() as u64,
            accuracy,
            top_k: TopK::of(predictions),
            loss: rows.iter().map(|row| row.loss).sum::<f64>() / examples,
            log_loss: written.sum::<f64>() / examples,
            averages: averages(&classes, &counts, accuracy),
            matthews: matthews(&counts, right, rows.len() as u64),
            roc_auc: match areas[..] {
                [_, second] => second,
                _ => mean_of_all(&areas),
            },
            calibration: Calibration::of(predictions),
            classes,
            confusion,
        })
    }

    /// The figures for a run's log, named after the part of the data: `test_accuracy`.
    pub fn metrics(&self, part: &str) -> Vec<(String, f64)> {
        let top_k = self.top_k.map(|top| (format!("top{}_accuracy", top.k), top.accuracy));
        let always = [
            ("loss", self.loss),
            ("accuracy", self.accuracy),
            ("precision", self.averages.r#macro.precision),
            ("recall", self.averages.r#macro.recall),
            ("f1", self.averages.r#macro.f1),
            ("ece", self.calibration.ece),
        ];
        let always = always.into_iter().map(|(name, value)| (name.to_owned(), value));
        let area = self.roc_auc.map(|area| ("auc".to_owned(), area));
        let matthews = self.matthews.map(|matthews| ("mcc".to_owned(), matthews));
        let all = always.chain(top_k).chain(area).chain(matthews);
        all.map(|(name, value)| (format!("{part}_{name}"), value)).collect()
    }
}

/// How often a class was right, was the truth, and was predicted.
struct Counts {
    right: u64,
    support: u64,
    predicted: u64,
}

impl Counts {
    fn of(confusion: &[Vec<u64>]) -> Vec<Self> {
        let mut predicted = vec![0; confusion.len()];
        for row in confusion {
            predicted.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
        }
        let by_class = confusion.iter().zip(predicted).enumerate();
        by_class
            .map(|(class, (row, predicted))| Self { right: row[class], support: row.iter().sum(), predicted })
            .collect()
    }
}

fn averages(classes: &[ClassReport], counts: &[Counts], accuracy: f64) -> Averages {
    let average = |weight: &dyn Fn(&Counts) -> f64| {
        let total: f64 = counts.iter().map(weight).sum();
        let mean = |value: &dyn Fn(&ClassReport) -> Option<f64>| {
            let weighted = classes.iter().zip(counts).map(|(class, count)| value(class).unwrap_or(0.0) * weight(count));
            weighted.sum::<f64>() / total
        };
        Scores {
            precision: mean(&|class| class.precision),
            recall: mean(&|class| class.recall),
            f1: mean(&|class| class.f1),
        }
    };
    Averages {
        r#macro: average(&|count| if count.support + count.predicted > 0 { 1.0 } else { 0.0 }),
        weighted: average(&|count| count.support as f64),
        micro: Scores { precision: accuracy, recall: accuracy, f1: accuracy },
    }
}

fn matthews(counts: &[Counts], right: u64, examples: u64) -> Option<f64> {
    let product = |left: fn(&Counts) -> u64, right: fn(&Counts) -> u64| -> f64 {
        counts.iter().map(|count| left(count) as f64 * right(count) as f64).sum()
    };
    let all = examples as f64 * examples as f64;
    let truths = all - product(|count| count.support, |count| count.support);
    let predictions = all - product(|count| count.predicted, |count| count.predicted);
    let both = right as f64 * examples as f64 - product(|count| count.support, |count| count.predicted);
    (truths > 0.0 && predictions > 0.0).then(|| both / (truths * predictions).sqrt())
}

fn mean_of_all(values: &[Option<f64>]) -> Option<f64> {
    let sum: Option<f64> = values.iter().copied().sum();
    sum.filter(|_| values.len() > 1).map(|sum| sum / values.len() as f64)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
