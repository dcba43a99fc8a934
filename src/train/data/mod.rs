//! Data sets, read from the store or from a folder, without libtorch.

mod arrays;
mod augment;
mod cifar;
mod classes;
mod facts;
mod folders;
mod idx;
mod images;
mod loader;
mod picture;
mod places;
mod random;
mod resize;
mod rows;
mod source;
mod split;
mod statistics;
mod tables;

pub use facts::Facts;
pub use images::Images;
pub use loader::{Batch, BatchInputs, Loader, Variation};
pub use random::{Shuffle, step_seed};
pub use source::{Opened, Source};
pub use split::{Split, TEST, TRAIN, VALIDATION};
pub use statistics::Moments;

use std::collections::BTreeMap;
use std::ops::Range;

use super::recipe::{DataConfig, DataFormat};
use crate::id::Digest;
use crate::store::StoreError;

use source::Files;

/// Data that cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There are no files of a format that is known.
    #[error("{place} has no data that is known: expected {expected}, found {found}")]
    Unknown {
        /// The data's path as the recipe gives it.
        place: String,
        /// What would do.
        expected: String,
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
        /// The file, and the line where there are lines.
        file: String,
        /// What is wrong, following the name: `is truncated: …`.
        problem: String,
    },
    /// A column or an array that is not there.
    #[error("{file} has no {what} `{name}`; it has {found}")]
    NoColumn {
        /// The file.
        file: String,
        /// `column` or `array`.
        what: &'static str,
        /// What it is to be called.
        name: String,
        /// Those that are there.
        found: String,
        /// The key of the recipe that names it.
        key: &'static str,
    },
    /// A text in a column of numbers.
    #[error("{file} has `{value}` in the column `{column}`, which is no finite number of 32 bits")]
    NoNumber {
        /// The file and the line.
        file: String,
        /// The beginning of the text.
        value: String,
        /// The column.
        column: String,
    },
    /// A number that is not there.
    #[error("{file} has no value in the column `{column}`")]
    NoValue {
        /// The file and the line.
        file: String,
        /// The column.
        column: String,
    },
    /// Images of different sizes.
    #[error("{file} is {}×{}, but {other} is {}×{}", size.0, size.1, other_size.0, other_size.1)]
    Sizes {
        /// An image.
        file: String,
        /// Its height and width.
        size: (usize, usize),
        /// Another one.
        other: String,
        /// Its height and width.
        other_size: (usize, usize),
    },
    /// A class that nothing could be learnt about.
    #[error("{place} has the class `{class}`, of which there is no example to train on")]
    Unseen {
        /// The example: a file, or a file and its line.
        place: String,
        /// The class.
        class: String,
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

impl DataError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoColumn { what, key, .. } => format!("name the {what} in the recipe: `{key} = \"…\"`"),
            Self::NoNumber { column, .. } => {
                format!("if the column has texts to learn from, say so: `format = \"text\"` and `input = \"{column}\"`")
            }
            Self::NoValue { .. } => {
                "fill it in, remove the line, or name the columns to learn from: `input = \"a, b\"`".to_owned()
            }
            Self::Sizes { .. } => "set a size for all images in the recipe, such as `image_size = 96`".to_owned(),
            _ => return None,
        })
    }
}

fn malformed<T>(file: &str, problem: impl Into<String>) -> Result<T, DataError> {
    Err(DataError::Malformed { file: file.to_owned(), problem: problem.into() })
}

/// One file that was read, or a folder of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Its name in the artifact; `.` for all images of an artifact, which would be too many to list.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its content; of images that of their manifest, as `git ml manifest` writes it.
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
    /// Reads the data that `config` describes. Images that fit in memory are decoded at once, in parallel.
    pub fn read(source: &Source, config: &DataConfig) -> Result<Self, DataError> {
        let files = Files::new(source, &config.data)?;
        let format = match config.format {
            DataFormat::Auto => find_format(&files)?,
            given => given,
        };
        let size = config.image_size.map(|[height, width]| (height as usize, width as usize));
        let mut places = None;
        let mut data = match format {
            DataFormat::Idx => idx::read(files)?,
            DataFormat::Cifar => cifar::read(files, config.label.as_deref())?,
            DataFormat::Folders => folders::read(files, size)?,
            DataFormat::Auto | DataFormat::Text | DataFormat::Table => {
                let (data, found) = tables::read(files, config, format)?;
                places = Some(found);
                data
            }
            DataFormat::Safetensors => {
                let (data, found) = arrays::read(files, config)?;
                places = Some(found);
                data
            }
        };
        if data.is_empty() {
            return malformed(&config.data, "has no examples");
        }
        let place_of = |index: u32| match &places {
            Some(places) => places.place_of(index),
            None => data.place_of(index),
        };
        data.check_classes(&config.data, place_of)?;
        match (&mut data.inputs, size) {
            (Inputs::Images(images), Some(size)) => images.scale_to(size),
            (Inputs::Images(_), None) => {}
            (_, Some(_)) => return malformed(&config.data, "has no images, so `image_size` has no meaning"),
            _ => {}
        }
        Ok(data)
    }

    /// A class that is in no training example cannot be learnt, and one class alone need not be.
    fn check_classes(&self, place: &str, place_of: impl Fn(u32) -> String) -> Result<(), DataError> {
        let held_out: Vec<_> = self.given.iter().filter(|(part, _)| *part != TRAIN).map(|(_, range)| range).collect();
        let is_held_out = |index: &u32| held_out.iter().any(|range| range.contains(index));
        let mut seen = vec![false; self.classes.len()];
        for index in (0..self.labels.len() as u32).filter(|index| !is_held_out(index)) {
            seen[self.labels[index as usize] as usize] = true;
        }
        let is_unseen = |index: &u32| !seen[self.labels[*index as usize] as usize];
        if let Some(index) = held_out.iter().flat_map(|range| (*range).clone()).find(is_unseen) {
            let class = self.classes[self.labels[index as usize] as usize].clone();
            return Err(DataError::Unseen { place: place_of(index), class });
        }
        match seen.iter().filter(|seen| **seen).count() {
            0 => malformed(place, "has no examples to train on"),
            1 => malformed(place, "has one class only: there is nothing to tell apart"),
            _ => Ok(()),
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

    /// Where the example at `index` is, for errors.
    fn place_of(&self, index: u32) -> String {
        let name = self.name_of(index);
        let part = self.given.iter().find(|(_, range)| range.contains(&index));
        match (&self.names, part) {
            (Some(_), _) => name,
            (None, Some((part, _))) => format!("the {part} example {name}"),
            (None, None) => format!("the example {name}"),
        }
    }

    /// Divides the examples, the same for the same seed.
    pub fn split(&self, config: &DataConfig, seed: u64) -> Result<Split, DataError> {
        Split::new(self, config, seed)
    }
}

/// Tells the format by the files.
fn find_format(files: &Files<'_>) -> Result<DataFormat, DataError> {
    let has = |is: fn(&str) -> bool| files.names.keys().any(|name| is(name));
    Ok(if has(idx::is_idx) {
        DataFormat::Idx
    } else if has(cifar::is_cifar) {
        DataFormat::Cifar
    } else if has(|name| name.contains('/') && folders::is_picture(name)) {
        DataFormat::Folders
    } else if has(|name| !name.contains('/') && name.ends_with(".safetensors")) {
        DataFormat::Safetensors
    } else if has(|name| !name.contains('/') && tables::is_table(name)) {
        // Which of the two it is decides the column with the inputs.
        DataFormat::Auto
    } else {
        return Err(files.unknown("MNIST's or CIFAR's files, folders of images, CSV files or a safetensors file"));
    })
}

#[cfg(test)]
mod tests;
