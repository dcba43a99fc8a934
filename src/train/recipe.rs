//! Recipes: what a native training does, as `[experiments.<name>]` in `ml.toml` gives it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Experiment;

/// A recipe that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// A key that recipes do not have.
    #[error("there is no key `{key}`{}", nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest right one.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of its range.
    #[error("`{key}` {problem}")]
    BadValue {
        /// The key.
        key: String,
        /// What is wrong: `has to be a number above 0, not -1`.
        problem: String,
    },
    /// A key that is needed.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
}

/// The network, with its own keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "lowercase")]
pub enum ModelConfig {
    /// A multilayer perceptron with ReLU between layers.
    Mlp {
        /// Units of each hidden layer.
        hidden: Vec<u32>,
        /// Probability of dropping a unit after each hidden layer.
        dropout: f64,
    },
    /// Convolutions of 3×3 with ReLU and 2×2 max-pooling, then one hidden layer.
    Cnn {
        /// Filters of each convolution.
        filters: Vec<u32>,
        /// Units of the hidden layer.
        hidden: u32,
        /// Probability of dropping a unit before the last layer.
        dropout: f64,
    },
}

/// Everything that decides a native training. Every value is a parameter of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The network.
    #[serde(flatten)]
    pub model: ModelConfig,
    /// The path of the data in the work tree.
    pub data: String,
    /// Passes over the training examples.
    pub epochs: u32,
    /// Examples in a step.
    pub batch_size: u32,
    /// `adam`, `adamw` or `sgd`.
    pub optimizer: String,
    /// The learning rate.
    pub lr: f64,
    /// Decoupled (`adamw`) or classic weight decay.
    pub weight_decay: f64,
    /// The seed of everything random.
    pub seed: u64,
    /// The part of the training examples kept for validation, in 0..1.
    pub validation: f64,
    /// The part of the examples kept for the test where the data has no test files, in 0..1.
    pub test: f64,
    /// Threads for computing; 0 takes all cores.
    pub threads: u32,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
}

impl Recipe {
    /// Reads an experiment's keys, with `overrides` from the command line taking precedence; the rest is defaults.
    pub fn new(_experiment: &Experiment, _overrides: &[(String, String)]) -> Result<Self, RecipeError> {
        todo!()
    }

    /// Every value as a parameter of the run.
    pub fn params(&self) -> BTreeMap<String, String> {
        todo!()
    }
}
