//! What a classifier is worth: computed from its predictions, without libtorch.

use serde::{Deserialize, Serialize};

/// What was predicted for one example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The example's index in its file.
    pub index: u32,
    /// Its label.
    pub truth: u32,
    /// The predicted label.
    pub prediction: u32,
    /// The probability that the model gives to its prediction.
    pub probability: f32,
}

/// How well one class is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    /// The class's name.
    pub name: String,
    /// The part of its predictions that are right; none where it was never predicted.
    pub precision: Option<f64>,
    /// The part of its examples that are found; none where there are no examples.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// How many examples there are.
    pub support: u64,
}

/// How well a classifier does on some examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How many examples there are.
    pub examples: u64,
    /// The part of them that are predicted rightly.
    pub accuracy: f64,
    /// The mean cross-entropy.
    pub loss: f64,
    /// Each class by its label.
    pub classes: Vec<ClassReport>,
    /// How often each truth (row) was predicted as each class (column).
    pub confusion: Vec<Vec<u64>>,
}

impl Report {
    /// The report on `predictions`, whose mean loss is `loss`.
    pub fn new(names: &[String], predictions: &[Prediction], loss: f64) -> Self {
        let mut confusion = vec![vec![0_u64; names.len()]; names.len()];
        for prediction in predictions {
            confusion[prediction.truth as usize][prediction.prediction as usize] += 1;
        }
        let right: u64 = (0..names.len()).map(|class| confusion[class][class]).sum();
        let classes = names.iter().enumerate().map(|(class, name)| {
            let right = confusion[class][class];
            let support: u64 = confusion[class].iter().sum();
            let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
            ClassReport {
                name: name.clone(),
                precision: ratio(right, predicted),
                recall: ratio(right, support),
                f1: ratio(2 * right, support + predicted),
                support,
            }
        });
        let classes = classes.collect();
        let examples = predictions.len() as u64;
        Self { examples, accuracy: ratio(right, examples).unwrap_or(0.0), loss, classes, confusion }
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_what_is_right_for_each_class() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let pairs = [(0, 0), (0, 0), (0, 1), (1, 1)];
        let predictions = pairs.map(|(truth, prediction)| Prediction { index: 0, truth, prediction, probability: 0.5 });
        let report = Report::new(&names, &predictions, 0.3);
        assert_eq!(report.accuracy, 0.75);
        assert_eq!(report.confusion, [[2, 1, 0], [0, 1, 0], [0, 0, 0]]);
        assert_eq!((report.classes[0].precision, report.classes[0].recall), (Some(1.0), Some(2.0 / 3.0)));
        assert_eq!((report.classes[1].precision, report.classes[1].f1), (Some(0.5), Some(2.0 / 3.0)));
        assert_eq!((report.classes[2].precision, report.classes[2].recall, report.classes[2].f1), (None, None, None));
    }
}
