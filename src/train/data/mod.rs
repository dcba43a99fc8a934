//! Data sets, read from the store or from a folder, without libtorch.

mod idx;
mod images;
mod loader;
mod source;
mod split;

pub use images::Images;
pub use loader::{Batch, BatchInputs, Loader, Variation};
pub use source::{Opened, Source};
pub use split::{Shuffle, Split, TEST, TRAIN, VALIDATION};

use std::collections::BTreeMap;
use std::ops::Range;

use super::recipe::{DataConfig, DataFormat};
use crate::id::Digest;
use crate::store::StoreError;

/// Data that cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There are no files of a format that is known.
    #[error("{place} has no data that is known: expected {expected}, found {found}")]
    Unknown {
        /// The data's path as the recipe gives it.
        place: String,
        /// The names that would do.
        expected: &'static str,
        /// Some of the names that are there.
        found: String,
    },
    /// Images without labels, or test images without test labels.
    #[error("{file} is missing beside {other}")]
    NoLabels {
        /// The file that is missing.
        file: String,
        /// The one it belongs to.
        other: String,
    },
    /// A file that does not hold what its header says.
    #[error("{file} {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, following the name: `is truncated: …`.
        problem: String,
    },
    /// The examples cannot be divided as the recipe wants.
    #[error("{problem}")]
    Split {
        /// What is wrong, whole.
        problem: String,
    },
    /// A file could not be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its name in the artifact.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its content.
    pub digest: Digest,
}

/// All examples of a data set in one list, whatever files they come from.
#[derive(Debug)]
pub struct Dataset {
    /// What the model gets.
    pub inputs: Inputs,
    /// The class of each example, below `classes.len()`.
    pub labels: Vec<u32>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// The parts that the data's own files give, as examples: `train`, `validation` and `test`. What none of them has
    /// belongs to `train`.
    pub given: BTreeMap<String, Range<u32>>,
    /// What each example is called, such as its file; without it an example is called by its number.
    pub names: Option<Vec<String>>,
    /// What was read.
    pub files: Vec<DataFile>,
}

/// What a model gets of each example.
#[derive(Debug)]
pub enum Inputs {
    /// Images of one size.
    Images(Images),
    /// Numbers, as many for each example.
    Numbers {
        /// How many an example has.
        columns: usize,
        /// Example by example.
        values: Vec<f32>,
    },
    /// Texts.
    Texts(Vec<String>),
}

impl Dataset {
    /// Reads the data that `config` describes.
    pub fn read(source: &Source, config: &DataConfig) -> Result<Self, DataError> {
        match config.format {
            DataFormat::Auto | DataFormat::Idx => idx::read(source, &config.data),
            other => Err(DataError::Split { problem: format!("{other:?} cannot be read yet") }),
        }
    }

    /// How many examples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// What the example at `index` is called.
    pub fn name_of(&self, index: u32) -> String {
        match &self.names {
            Some(names) => names[index as usize].clone(),
            None => {
                let part = self.given.values().find(|range| range.contains(&index));
                (index - part.map_or(0, |range| range.start)).to_string()
            }
        }
    }

    /// Divides the examples, the same for the same seed.
    pub fn split(&self, config: &DataConfig, seed: u64) -> Result<Split, DataError> {
        Split::new(self, config, seed)
    }
}

#[cfg(test)]
mod tests;
