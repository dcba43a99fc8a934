//! Multinomial naive Bayes, with the numbers of scikit-learn's `MultinomialNB`.

use super::matrix::Rows;
use super::softmax;

/// How probable each column is in each class, and each class on its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NaiveBayes {
    /// The logarithm of each column's smoothed part of a class, `[columns, classes]`.
    pub(super) log_parts: Vec<f64>,
    /// The logarithm of each class's part of the examples, `[classes]`.
    pub(super) log_priors: Vec<f64>,
}

impl NaiveBayes {
    /// Counts what each class has of each column, and adds `alpha` to each count.
    pub(super) fn fit(rows: &Rows, labels: &[u32], classes: usize, alpha: f64) -> Self {
        let mut is_of = vec![0.0; labels.len() * classes];
        let mut examples = vec![0.0_f64; classes];
        for (row, label) in labels.iter().enumerate() {
            is_of[row * classes + *label as usize] = 1.0;
            examples[*label as usize] += 1.0;
        }
        let mut log_parts = rows.by_column().sums(&is_of, classes);
        let mut totals = vec![0.0_f64; classes];
        for column in log_parts.chunks_mut(classes) {
            for (count, total) in column.iter_mut().zip(&mut totals) {
                *count += alpha;
                *total += *count;
            }
        }
        for column in log_parts.chunks_mut(classes) {
            column.iter_mut().zip(&totals).for_each(|(count, total)| *count = count.ln() - total.ln());
        }
        let log_all = (labels.len() as f64).ln();
        Self { log_parts, log_priors: examples.into_iter().map(|count| count.ln() - log_all).collect() }
    }

    /// The probability of each class for each row, `[rows, classes]`.
    pub(super) fn predict(&self, rows: &Rows) -> Vec<f64> {
        let mut scores = self.log_priors.repeat(rows.len());
        rows.add_products(&self.log_parts, self.log_priors.len(), &mut scores);
        scores.chunks_mut(self.log_priors.len()).for_each(softmax);
        scores
    }
}
