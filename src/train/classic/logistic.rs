//! Logistic regression with an L2 penalty, with the objective and the solver of scikit-learn's `LogisticRegression`.

use rayon::prelude::*;

use super::lbfgs::{self, Limits};
use super::matrix::Rows;
use super::softmax;

/// Rows whose losses are summed one after the other.
const BLOCK: usize = 1024;
/// scikit-learn's `tol`.
const GRADIENT: f64 = 1e-4;
/// What scikit-learn hands on as `ftol`.
const DECREASE: f64 = 64.0 * f64::EPSILON;

/// A linear function for each class; of two classes, for the second one alone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Logistic {
    /// `[columns, outputs]`
    pub(super) weights: Vec<f64>,
    /// `[outputs]`
    pub(super) intercepts: Vec<f64>,
}

impl Logistic {
    /// Looks for the weights with the least loss; the second value is whether it got there within `max_iter`
    /// iterations.
    ///
    /// The loss is the mean cross-entropy and the squares of the weights, not of the intercepts, over `2 c n`.
    pub(super) fn fit(rows: &Rows, labels: &[u32], classes: usize, c: f64, max_iter: u32) -> (Self, bool) {
        let outputs = outputs(classes);
        let count = labels.len() as f64;
        let penalty = 1.0 / (c * count);
        let by_column = rows.by_column();
        let function = |place: &[f64]| {
            let (weights, intercepts) = place.split_at(place.len() - outputs);
            let mut scores = intercepts.repeat(labels.len());
            rows.add_products(weights, outputs, &mut scores);
            // Each score becomes how the loss changes with it.
            let losses: Vec<f64> = scores
                .par_chunks_mut(BLOCK * outputs)
                .zip(labels.par_chunks(BLOCK))
                .map(|(scores, labels)| {
                    scores.chunks_mut(outputs).zip(labels).map(|(scores, label)| loss(scores, *label)).sum()
                })
                .collect();
            let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
            let value = losses.iter().sum::<f64>() / count + 0.5 * penalty * squares;
            let mut gradient = by_column.sums(&scores, outputs);
            gradient.iter_mut().zip(weights).for_each(|(slope, weight)| *slope = *slope / count + penalty * weight);
            for output in 0..outputs {
                gradient.push(scores.iter().skip(output).step_by(outputs).sum::<f64>() / count);
            }
            (value, gradient)
        };
        let start = vec![0.0; (rows.columns() + 1) * outputs];
        let limits = Limits { iterations: max_iter, gradient: GRADIENT, decrease: DECREASE };
        let mut found = lbfgs::minimize(start, limits, function);
        let intercepts = found.place.split_off(found.place.len() - outputs);
        (Self { weights: found.place, intercepts }, found.is_converged)
    }

    /// The probability of each class for each row, `[rows, classes]`.
    pub(super) fn predict(&self, rows: &Rows) -> Vec<f64> {
        let outputs = self.intercepts.len();
        let mut scores = self.intercepts.repeat(rows.len());
        rows.add_products(&self.weights, outputs, &mut scores);
        if outputs == 1 {
            return scores.into_iter().map(probability).flat_map(|second| [1.0 - second, second]).collect();
        }
        scores.chunks_mut(outputs).for_each(softmax);
        scores
    }
}

/// Linear functions that tell so many classes apart.
pub(super) fn outputs(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// The loss of one row; its scores become the loss's derivatives.
fn loss(scores: &mut [f64], label: u32) -> f64 {
    if let [score] = scores {
        let (raw, truth) = (*score, f64::from(label));
        *score = probability(raw) - truth;
        // ln(1 + e^raw), which does not overflow.
        return raw.max(0.0) + (-raw.abs()).exp().ln_1p() - truth * raw;
    }
    let own = scores[label as usize];
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
    softmax(scores);
    scores[label as usize] -= 1.0;
    total.ln() + largest - own
}

/// The logistic function.
fn probability(score: f64) -> f64 {
    if score >= 0.0 { 1.0 / (1.0 + (-score).exp()) } else { score.exp() / (1.0 + score.exp()) }
}
