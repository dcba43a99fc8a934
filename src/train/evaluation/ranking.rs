//! What depends on the order of probabilities alone.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Predictions;

/// How often the truth is among the most probable classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopK {
    /// How many classes are looked at: 5 where there are more than 5, else 2.
    pub k: u32,
    /// The part of examples whose truth is among them.
    pub accuracy: f64,
}

impl TopK {
    /// None for two classes, where it would always be 1. Of equally probable classes the last comes first, as in
    /// scikit-learn's `top_k_accuracy_score`.
    pub(super) fn of(predictions: &Predictions) -> Option<Self> {
        let k = match predictions.classes() {
            6.. => 5,
            3..=5 => 2,
            _ => return None,
        };
        let is_found = |position: usize| {
            let truth = predictions.rows()[position].truth as usize;
            let values = predictions.probabilities(position);
            let before =
                |(class, value): (usize, &f32)| *value > values[truth] || *value == values[truth] && class > truth;
            values.iter().enumerate().filter(|pair| before(*pair)).count() < k
        };
        let count = predictions.rows().len();
        let found = (0..count).filter(|position| is_found(*position)).count();
        Some(Self { k: k as u32, accuracy: found as f64 / count as f64 })
    }
}

/// The area under the ROC curve of each class against all others; none where one of the two has no examples.
pub(super) fn roc_auc_by_class(predictions: &Predictions) -> Vec<Option<f64>> {
    (0..predictions.classes()).into_par_iter().map(|class| roc_auc(predictions, class)).collect()
}

/// The probability that an example of the class gets a higher value than one of another class; a tie counts half
/// (Hanley and McNeil 1982).
fn roc_auc(predictions: &Predictions, class: usize) -> Option<f64> {
    // The bits of numbers from 0 up are in the order of the numbers, and whole numbers are sorted faster.
    let keyed =
        predictions.rows().iter().zip(predictions.column(class)).map(|(row, value)| {
            u64::from((value.max(0.0) + 0.0).to_bits()) << 1 | u64::from(row.truth as usize == class)
        });
    let mut keyed: Vec<u64> = keyed.collect();
    keyed.sort_unstable();
    let (mut members_below, mut others_below, mut wins_twice) = (0_u64, 0_u64, 0_u128);
    for tie in keyed.chunk_by(|a, b| a >> 1 == b >> 1) {
        let members = tie.iter().filter(|key| **key & 1 == 1).count() as u64;
        let others = tie.len() as u64 - members;
        wins_twice += u128::from(members) * u128::from(2 * others_below + others);
        members_below += members;
        others_below += others;
    }
    let pairs = u128::from(members_below) * u128::from(others_below);
    (pairs > 0).then(|| wins_twice as f64 / (2 * pairs) as f64)
}
