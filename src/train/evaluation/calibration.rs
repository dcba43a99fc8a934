//! How far the probabilities of predictions can be believed.

use serde::{Deserialize, Serialize};

use super::Predictions;

/// How many bins there are (Guo et al. 2017).
pub const BINS: usize = 15;

/// Predictions by their probability, in bins of equal width (Guo et al. 2017, arXiv:1706.04599).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The expected calibration error: the mean over all examples of how far accuracy and mean probability of their bin
    /// are apart.
    pub ece: f64,
    /// The bins, from 0 to 1.
    pub bins: Vec<CalibrationBin>,
}

/// The predictions whose probability is above `from` and at most `to`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How many predictions there are.
    pub examples: u64,
    /// Their mean probability; none where there are none.
    pub confidence: Option<f64>,
    /// The part of them that are right; none where there are none.
    pub accuracy: Option<f64>,
}

impl Calibration {
    pub(super) fn of(predictions: &Predictions) -> Self {
        let edge = |bin: usize| bin as f64 / BINS as f64;
        let mut sums = [(0_u64, 0_u64, 0.0); BINS];
        for row in predictions.rows() {
            let probability = f64::from(row.probability);
            let bin = (1..BINS).find(|bin| probability <= edge(*bin)).unwrap_or(BINS) - 1;
            let (examples, right, sum) = &mut sums[bin];
            *examples += 1;
            *right += u64::from(row.truth == row.prediction);
            *sum += probability;
        }
        let total = predictions.rows().len() as f64;
        let gaps = sums.iter().map(|(_, right, sum)| (*right as f64 - sum).abs() / total);
        let ece = gaps.sum();
        let bins = sums.iter().enumerate().map(|(bin, (examples, right, sum))| {
            let mean = |sum: f64| (*examples > 0).then(|| sum / *examples as f64);
            CalibrationBin {
                from: edge(bin),
                to: edge(bin + 1),
                examples: *examples,
                confidence: mean(*sum),
                accuracy: mean(*right as f64),
            }
        });
        Self { ece, bins: bins.collect() }
    }
}
