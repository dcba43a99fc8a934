//! Data sets of images, read from the store or from a folder, without libtorch.

mod idx;
mod source;
mod split;

pub use idx::{Images, Labels};
pub use source::{Opened, Source};
pub use split::{Shuffle, Split};

use std::collections::BTreeMap;

use crate::id::Digest;
use crate::store::StoreError;

/// Data that cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There are no files of a format that is known.
    #[error("{place} has no IDX images: expected {expected}, found {found}")]
    NoImages {
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

/// Images with their labels: of training, and of the test where the data has files for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageData {
    /// The images to train on, or all of them.
    pub images: Images,
    /// Their labels.
    pub labels: Labels,
    /// The images and labels of the test.
    pub test: Option<(Images, Labels)>,
    /// How many classes there are: the labels are `0..classes`.
    pub classes: usize,
    /// What was read.
    pub files: Vec<DataFile>,
}

const EXPECTED: &str = "train-images-idx3-ubyte or images-idx3-ubyte, plain or .gz";

impl ImageData {
    /// Reads MNIST's four IDX files, or a pair of images and labels; `place` is the data's path, for errors.
    pub fn read(source: &Source, place: &str) -> Result<Self, DataError> {
        let mut reader = Reader { source, names: source.names()?, files: Vec::new() };
        let Some((images_name, stem)) = ["train-", ""].iter().find_map(|stem| reader.find(stem, "images", 3)) else {
            let found: Vec<_> = reader.names.keys().take(5).map(String::as_str).collect();
            let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
            return Err(DataError::NoImages { place: place.to_owned(), expected: EXPECTED, found });
        };
        let (images, labels) = reader.pair(&images_name, stem)?;
        let test_name = ["t10k-", "test-"].iter().find_map(|stem| reader.find(stem, "images", 3));
        let test = test_name.map(|(name, stem)| reader.pair(&name, stem)).transpose()?;
        let files = reader.files;
        if let Some((test_images, _)) = &test
            && (test_images.height(), test_images.width()) != (images.height(), images.width())
        {
            let problem = format!(
                "has test images of {}×{}, but those to train on are {}×{}",
                test_images.height(),
                test_images.width(),
                images.height(),
                images.width()
            );
            return Err(DataError::Malformed { file: place.to_owned(), problem });
        }
        let classes = count_classes(&labels, test.as_ref().map(|(_, labels)| labels), &files, place)?;
        Ok(Self { images, labels, test, classes, files })
    }

    /// Divides the examples: validation and, where the data has no test files, the test are drawn from each class in
    /// proportion, the same for the same seed.
    pub fn split(&self, validation: f64, test: f64, seed: u64) -> Result<Split, DataError> {
        let test = if self.test.is_some() { 0.0 } else { test };
        let split = Split::stratified(self.labels.values(), self.classes, validation, test, seed);
        let test_len = self.test.as_ref().map_or(split.test.len(), |(_, labels)| labels.values().len());
        let empty = |what: &str, wanted: f64| {
            let problem = format!("{what} has no examples: {wanted} of {} is too little", self.labels.values().len());
            Err(DataError::Split { problem })
        };
        if split.train.is_empty() {
            return empty("training", 1.0 - validation - test);
        }
        if split.validation.is_empty() && validation > 0.0 {
            return empty("the validation", validation);
        }
        if test_len == 0 {
            return empty("the test", test);
        }
        Ok(split)
    }
}

/// The number of classes; every one must be there to be learnt, which also finds bytes that are no labels.
fn count_classes(labels: &Labels, test: Option<&Labels>, files: &[DataFile], place: &str) -> Result<usize, DataError> {
    let fail = |problem: String| {
        let file = files.get(1).map_or(place, |file| file.name.as_str()).to_owned();
        Err(DataError::Malformed { file, problem })
    };
    let Some(largest) = labels.values().iter().max() else { return fail("has no labels".to_owned()) };
    let mut seen = [0_u64; 256];
    labels.values().iter().for_each(|label| seen[usize::from(*label)] += 1);
    if let Some(gap) = seen[..usize::from(*largest)].iter().position(|count| *count == 0) {
        return fail(format!("has labels up to {largest}, but no example has the label {gap}"));
    }
    if *largest == 0 {
        return fail("has one class only: there is nothing to tell apart".to_owned());
    }
    if let Some((index, label)) = test.and_then(|labels| labels.values().iter().enumerate().find(|(_, l)| *l > largest))
    {
        return fail(format!("has labels up to {largest}, but test example {index} has the label {label}"));
    }
    Ok(usize::from(*largest) + 1)
}

struct Reader<'s> {
    source: &'s Source,
    names: BTreeMap<String, u64>,
    files: Vec<DataFile>,
}

impl Reader<'_> {
    /// The file of `what` with this start of its name, in the spellings that are in use, plain before gzip.
    fn find<'t>(&self, stem: &'t str, what: &str, dimensions: usize) -> Option<(String, &'t str)> {
        let spellings = ["-", "."].map(|dash| format!("{stem}{what}{dash}idx{dimensions}-ubyte"));
        let names = spellings.iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
        names.into_iter().find(|name| self.names.contains_key(name)).map(|name| (name, stem))
    }

    fn pair(&mut self, images_name: &str, stem: &str) -> Result<(Images, Labels), DataError> {
        let Some((labels_name, _)) = self.find(stem, "labels", 1) else {
            let file = format!("{stem}labels-idx1-ubyte");
            return Err(DataError::NoLabels { file, other: images_name.to_owned() });
        };
        let images = self.open(images_name, |file, name| Images::read(file, name))?;
        let labels = self.open(&labels_name, |file, name| Labels::read(file, name))?;
        if images.len() != labels.values().len() {
            let problem =
                format!("has {} labels for the {} images of {images_name}", labels.values().len(), images.len());
            return Err(DataError::Malformed { file: labels_name, problem });
        }
        Ok((images, labels))
    }

    fn open<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn std::io::Read, &str) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let mut file = self.source.open(name)?;
        let content = if name.ends_with(".gz") {
            // A gzip file may have several members, as `cat a.gz b.gz` makes.
            read(&mut flate2::read::MultiGzDecoder::new(&mut file), name)
        } else {
            read(&mut file, name)
        }?;
        let (bytes, digest) = file.finish(name)?;
        self.files.push(DataFile { name: name.to_owned(), bytes, digest });
        Ok(content)
    }
}

#[cfg(test)]
mod tests;
