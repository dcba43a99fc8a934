//! The query language: MLflow's search syntax over runs.
//!
//! ```text
//! metrics.val_accuracy > 0.9 and params.optimizer = 'adam' and status != 'failed'
//! ```
//!
//! Architecture invariant: this module only reads.

use crate::run::Run;

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at column {column}")]
pub struct QueryError {
    /// What is wrong.
    pub problem: String,
    /// Where, counted in characters from 1.
    pub column: usize,
}

/// A query, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    _conditions: (),
}

impl Query {
    /// Parses a query; the empty one matches all.
    pub fn parse(_text: &str) -> Result<Self, QueryError> {
        todo!()
    }

    /// Whether a run matches.
    pub fn matches(&self, _run: &Run) -> bool {
        todo!()
    }
}

/// What a table of runs is sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// `metrics.x`, `params.x`, `tags.x`, or an attribute such as `started`.
    pub key: String,
    /// Largest first.
    pub descending: bool,
}

impl SortKey {
    /// Parses `metrics.loss`, `metrics.loss desc` or `-metrics.loss`.
    pub fn parse(_text: &str) -> Result<Self, QueryError> {
        todo!()
    }
}

/// Sorts runs; those without the key come last.
pub fn sort(_runs: &mut [Run], _key: &SortKey) {
    todo!()
}

/// A run's value for a column, as text for people: `id`, `name`, `status`, `experiment`, `commit`, `started`,
/// `duration`, `metrics.x` (the last value), `params.x`, `tags.x`.
pub fn column(_run: &Run, _key: &str) -> Option<String> {
    todo!()
}
