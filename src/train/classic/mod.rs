//! Models that learn without gradient descent on a network, and without libtorch: over words, over numbers, over
//! descriptions of images.
//!
//! Where scikit-learn has the same model, the numbers are meant to be the same: `scripts/compare-sklearn` compares
//! them. All results are the same bits whatever the number of threads: what runs in parallel is cut in parts that do
//! not depend on it, and the parts are put together in order.

mod images;
mod lbfgs;
mod logistic;
mod matrix;
mod naive_bayes;
mod neighbors;
mod numpy;
mod propagation;
mod saved;
#[cfg(test)]
mod tests;
mod tfidf;
mod words;

use self::logistic::Logistic;
use self::matrix::{Dense, Rows};
use self::naive_bayes::NaiveBayes;
use self::propagation::{Limits, Rule};
use self::tfidf::Tfidf;
use super::data::{DataError, Dataset, Inputs};
use super::recipe::{ModelConfig, NeighborsConfig, TextFeatures};

/// Why nothing can be learnt, or predicted.
#[derive(Debug, thiserror::Error)]
pub enum ClassicError {
    /// The model is one of those that are trained by gradient descent.
    #[error("`{model}` is a network")]
    Network {
        /// Its word in recipes.
        model: &'static str,
    },
    /// Texts for a model of numbers, or the other way round.
    #[error("the model takes {wanted}, and the data has {found}")]
    Inputs {
        /// What it was trained on.
        wanted: &'static str,
        /// What there is.
        found: &'static str,
    },
    /// There is nothing to learn from.
    #[error("there are no examples to train on")]
    NoExamples,
    /// All examples are alike.
    #[error("all examples to train on are of the class `{class}`: there is nothing to tell apart")]
    OneClass {
        /// The class's name.
        class: String,
    },
    /// A class that could never be predicted.
    #[error("the class `{class}` has no example to train on")]
    NoExampleOf {
        /// The class's name.
        class: String,
    },
    /// Texts without words.
    #[error("none of the {texts} texts to train on has a word of two letters or more")]
    NoWords {
        /// How many texts there are.
        texts: usize,
    },
    /// No term is frequent enough and not too frequent.
    #[error("none of the {terms} terms is left with min_df = {min_df} and max_df = {max_df}")]
    NoTerms {
        /// How many terms there are.
        terms: usize,
        /// The recipe's `min_df`.
        min_df: u32,
        /// The recipe's `max_df`.
        max_df: f64,
    },
    /// More neighbours than there are examples.
    #[error("n_neighbors is {wanted}, but there are only {examples} examples to train on")]
    TooFewExamples {
        /// The recipe's `n_neighbors`.
        wanted: u32,
        /// How many there are.
        examples: usize,
    },
    /// A number that is none.
    #[error("example {example} has {value} in column {column}, which is not a finite number")]
    NotFinite {
        /// What the example is called.
        example: String,
        /// The column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A number below 0 where there must not be one.
    #[error("example {example} has {value} in column {column}: naive-bayes needs numbers that are not negative")]
    Negative {
        /// What the example is called.
        example: String,
        /// The column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Examples of another shape than those that were learnt from.
    #[error("an example has {found} numbers, and the model takes {wanted}")]
    Columns {
        /// What the model was trained on.
        wanted: usize,
        /// What there is.
        found: usize,
    },
    /// A file of a model that does not hold what it should.
    #[error("{file} {problem}")]
    Malformed {
        /// The file.
        file: &'static str,
        /// What is wrong, following the name.
        problem: String,
    },
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// A model that has learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    /// How texts become rows; none where the inputs are not texts.
    words: Option<Tfidf>,
    /// How many classes there are.
    classes: usize,
    learned: Learned,
}

/// What a model has learnt.
#[derive(Debug, Clone, PartialEq)]
enum Learned {
    NaiveBayes(NaiveBayes),
    Logistic(Logistic),
    Neighbors(Neighbors),
    /// The part of the examples that each class has.
    Majority(Vec<f64>),
}

/// Examples, and how much each of them is of each class.
#[derive(Debug, Clone, PartialEq)]
struct Neighbors {
    rows: Rows,
    /// `[examples, classes]`
    distributions: Vec<f64>,
    /// Whether each example's label was used.
    is_labeled: Vec<bool>,
    /// How many of the nearest decide.
    count: usize,
}

/// A model, and how its training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub classifier: Classifier,
    /// Whether it ended before the recipe's `max_iter`.
    pub is_converged: bool,
    /// How many labels of the training examples were used.
    pub labeled: usize,
}

/// Learns `model` from the examples of `data` at `train`.
pub fn fit(model: &ModelConfig, data: &Dataset, train: &[u32], seed: u64) -> Result<Fitted, ClassicError> {
    let labels: Vec<u32> = train.iter().map(|index| data.labels[*index as usize]).collect();
    let classes = data.classes.len();
    let parts = check_classes(data, &labels)?;
    let fitted = |words, learned| Fitted {
        classifier: Classifier { words, classes, learned },
        is_converged: true,
        labeled: labels.len(),
    };
    let spread = |config: &NeighborsConfig, rule: Rule| {
        let (words, rows) = rows_to_learn(data, train, &config.features)?;
        let (neighbors, is_converged) = Neighbors::fit(rows, &labels, classes, config, rule, seed)?;
        let labeled = neighbors.is_labeled.iter().filter(|is_labeled| **is_labeled).count();
        Ok(Fitted { is_converged, labeled, ..fitted(words, Learned::Neighbors(neighbors)) })
    };
    match model {
        ModelConfig::NaiveBayes { features, alpha } => {
            check_numbers(
                data,
                train,
                |value| value >= 0.0,
                |example, column, value| ClassicError::Negative { example, column, value },
            )?;
            let (words, rows) = rows_to_learn(data, train, features)?;
            Ok(fitted(words, Learned::NaiveBayes(NaiveBayes::fit(&rows, &labels, classes, *alpha))))
        }
        ModelConfig::LogisticRegression { features, c, max_iter } => {
            let (words, rows) = rows_to_learn(data, train, features)?;
            let (logistic, is_converged) = Logistic::fit(&rows, &labels, classes, *c, *max_iter);
            Ok(Fitted { is_converged, ..fitted(words, Learned::Logistic(logistic)) })
        }
        ModelConfig::LabelPropagation(config) => spread(config, Rule::Propagation),
        ModelConfig::LabelSpreading { neighbors, alpha } => spread(neighbors, Rule::Spreading(*alpha)),
        ModelConfig::Majority => Ok(fitted(None, Learned::Majority(parts))),
        ModelConfig::Mlp { .. }
        | ModelConfig::Cnn { .. }
        | ModelConfig::Resnet18(_)
        | ModelConfig::Resnet50(_)
        | ModelConfig::Torchscript { .. } => Err(ClassicError::Network { model: model.name() }),
    }
}

impl Classifier {
    /// The probability of each class for each of the examples of `data` at `indexes`, `[examples, classes]`.
    pub fn predict(&self, data: &Dataset, indexes: &[u32]) -> Result<Vec<f64>, ClassicError> {
        if let Learned::Majority(parts) = &self.learned {
            return Ok(parts.repeat(indexes.len()));
        }
        let rows = rows(data, indexes, self.words.as_ref())?;
        if rows.columns() != self.columns() {
            return Err(ClassicError::Columns { wanted: self.columns(), found: rows.columns() });
        }
        Ok(match &self.learned {
            Learned::NaiveBayes(model) => model.predict(&rows),
            Learned::Logistic(model) => model.predict(&rows),
            Learned::Neighbors(model) => {
                let nearest = neighbors::nearest(&model.rows, &rows, model.count);
                propagation::predict(&nearest, model.count, &model.distributions, self.classes)
            }
            Learned::Majority(parts) => parts.repeat(indexes.len()),
        })
    }

    /// How many numbers it learnt.
    pub fn parameters(&self) -> u64 {
        let learned = match &self.learned {
            Learned::NaiveBayes(model) => model.log_parts.len() + model.log_priors.len(),
            Learned::Logistic(model) => model.weights.len() + model.intercepts.len(),
            Learned::Neighbors(model) => model.distributions.len(),
            Learned::Majority(parts) => parts.len(),
        };
        (learned + self.words.as_ref().map_or(0, |words| words.idf().len())) as u64
    }

    /// Numbers that an example has.
    fn columns(&self) -> usize {
        match &self.learned {
            Learned::NaiveBayes(model) => model.log_parts.len() / self.classes,
            Learned::Logistic(model) => model.weights.len() / logistic::outputs(self.classes),
            Learned::Neighbors(model) => model.rows.columns(),
            Learned::Majority(_) => 0,
        }
    }
}

impl Neighbors {
    fn fit(
        rows: Rows,
        labels: &[u32],
        classes: usize,
        config: &NeighborsConfig,
        rule: Rule,
        seed: u64,
    ) -> Result<(Self, bool), ClassicError> {
        let count = config.n_neighbors as usize;
        if count > rows.len() {
            return Err(ClassicError::TooFewExamples { wanted: config.n_neighbors, examples: rows.len() });
        }
        let is_labeled = propagation::draw_labeled(labels, classes, config.labeled_ratio, seed);
        let known: Vec<Option<u32>> =
            labels.iter().zip(&is_labeled).map(|(label, is_labeled)| is_labeled.then_some(*label)).collect();
        let limits = Limits { max_iter: config.max_iter, tol: config.tol };
        let nearest = neighbors::nearest(&rows, &rows, count);
        let propagated = propagation::propagate(&nearest, &known, classes, rule, limits);
        Ok((Self { rows, distributions: propagated.distributions, is_labeled, count }, propagated.is_converged))
    }
}

/// The rows of the examples to learn from, and the terms where they are texts.
fn rows_to_learn(
    data: &Dataset,
    train: &[u32],
    features: &TextFeatures,
) -> Result<(Option<Tfidf>, Rows), ClassicError> {
    match &data.inputs {
        Inputs::Texts(texts) => {
            let (words, rows) = Tfidf::fit(&chosen(texts, train), features)?;
            Ok((Some(words), Rows::Sparse(rows)))
        }
        _ => Ok((None, rows(data, train, None)?)),
    }
}

/// The rows of some examples.
fn rows(data: &Dataset, indexes: &[u32], words: Option<&Tfidf>) -> Result<Rows, ClassicError> {
    match (&data.inputs, words) {
        (Inputs::Texts(texts), Some(words)) => Ok(Rows::Sparse(words.rows(&chosen(texts, indexes)))),
        (Inputs::Texts(_), None) => Err(ClassicError::Inputs { wanted: "numbers or images", found: "texts" }),
        (_, Some(_)) => Err(ClassicError::Inputs { wanted: "texts", found: "none" }),
        (Inputs::Images(images), None) => Ok(images::rows(images, indexes)?),
        (Inputs::Numbers { columns, values }, None) => {
            check_numbers(data, indexes, f32::is_finite, |example, column, value| ClassicError::NotFinite {
                example,
                column,
                value,
            })?;
            let row = |index: &u32| &values[*index as usize * columns..][..*columns];
            Ok(Rows::Dense(Dense { columns: *columns, values: indexes.iter().flat_map(row).copied().collect() }))
        }
    }
}

/// From scores to probabilities.
fn softmax(scores: &mut [f64]) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
    let sum: f64 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

fn chosen<'a>(texts: &'a [String], indexes: &[u32]) -> Vec<&'a str> {
    indexes.iter().map(|index| texts[*index as usize].as_str()).collect()
}

/// The part of the examples that each class has: at least two have to have some, and none may have none.
fn check_classes(data: &Dataset, labels: &[u32]) -> Result<Vec<f64>, ClassicError> {
    let mut counts = vec![0_u64; data.classes.len()];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    let some = counts.iter().position(|count| *count > 0).ok_or(ClassicError::NoExamples)?;
    if counts[some] == labels.len() as u64 {
        return Err(ClassicError::OneClass { class: data.classes[some].clone() });
    }
    if let Some(none) = counts.iter().position(|count| *count == 0) {
        return Err(ClassicError::NoExampleOf { class: data.classes[none].clone() });
    }
    Ok(counts.into_iter().map(|count| count as f64 / labels.len() as f64).collect())
}

/// Sees that all numbers of some examples are good; of the first that is not, `error` makes what to say.
fn check_numbers(
    data: &Dataset,
    indexes: &[u32],
    is_good: impl Fn(f32) -> bool,
    error: impl Fn(String, usize, f32) -> ClassicError,
) -> Result<(), ClassicError> {
    let Inputs::Numbers { columns, values } = &data.inputs else { return Ok(()) };
    for index in indexes {
        let row = &values[*index as usize * columns..][..*columns];
        if let Some(column) = row.iter().position(|value| !is_good(*value)) {
            return Err(error(data.name_of(*index), column, row[column]));
        }
    }
    Ok(())
}
