//! Dividing examples into those for training, validation and the test.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, Shuffle};
use crate::id::Digest;
use crate::train::recipe::{DataConfig, Ranges};

/// Parts of a data set by name, as indexes of examples in ascending order. `train` is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    examples: u32,
    parts: BTreeMap<String, Vec<u32>>,
}

/// The part to train on.
pub const TRAIN: &str = "train";
/// The part to watch while training.
pub const VALIDATION: &str = "validation";
/// The part for the end.
pub const TEST: &str = "test";

/// The version of [`Split::to_json`].
const FORMAT: u32 = 1;

/// A split as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitFile {
    format: u32,
    examples: u32,
    parts: BTreeMap<String, String>,
}

impl Split {
    /// Divides `data` as `config` says: by the data's own files, by ranges, and what is left by drawing.
    pub(super) fn new(data: &Dataset, config: &DataConfig, seed: u64) -> Result<Self, DataError> {
        let examples = data.len() as u32;
        let mut parts: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (name, range) in data.given.iter().filter(|(name, _)| *name != TRAIN) {
            parts.insert(name.clone(), range.clone().collect());
        }
        let named = Self::named(data, config)?;
        let mut is_held_out = vec![false; data.len()];
        named.values().flatten().for_each(|index| is_held_out[*index as usize] = true);
        if let (Some(rest), false) = (parts.get_mut(TEST), named.is_empty()) {
            rest.retain(|index| !is_held_out[*index as usize]);
            if rest.is_empty() && !named.contains_key(TEST) {
                let problem = "`test` has no examples: the ranges in `splits` take all that the data gives for it";
                return Err(DataError::Split { problem: problem.to_owned() });
            }
        }
        for range in data.given.iter().filter(|(name, _)| *name != TRAIN).map(|(_, range)| range) {
            is_held_out[range.start as usize..range.end as usize].fill(true);
        }
        parts.extend(named);

        let free: Vec<u32> = (0..examples).filter(|index| !is_held_out[*index as usize]).collect();
        let test = if parts.contains_key(TEST) { 0.0 } else { config.test };
        let validation = if parts.contains_key(VALIDATION) { 0.0 } else { config.validation };
        let drawn = if config.stratify {
            Self::stratified(&free, data, validation, test, seed)
        } else {
            let mut members = free.clone();
            Shuffle::new(seed, 0).shuffle(&mut members);
            Drawn::default().with(&members, validation, test, 0)
        };
        for (name, mut part, wanted) in [
            (TRAIN, drawn.train, 1.0 - validation - test),
            (VALIDATION, drawn.validation, validation),
            (TEST, drawn.test, test),
        ] {
            if part.is_empty() && wanted > 0.0 {
                let problem = match free.len() {
                    0 => format!("`{name}` has no examples: nothing is left for it"),
                    count => format!("`{name}` has no examples: {wanted} of {count} is too little"),
                };
                return Err(DataError::Split { problem });
            }
            if !part.is_empty() {
                part.sort_unstable();
                parts.insert(name.to_owned(), part);
            }
        }
        let own = Self { examples, parts };
        own.check_classes(data)?;
        Ok(own)
    }

    /// The parts that the recipe gives as ranges: of the test examples where the data gives them, else of all.
    fn named(data: &Dataset, config: &DataConfig) -> Result<BTreeMap<String, Vec<u32>>, DataError> {
        let base = data.given.get(TEST).cloned().unwrap_or(0..data.len() as u32);
        let what = if data.given.contains_key(TEST) { "test examples" } else { "examples" };
        let mut named: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let count = base.end - base.start;
        let mut owners: Vec<Option<&str>> = vec![None; count as usize];
        for (name, ranges) in &config.splits {
            let found = ranges.indexes(count).map_err(|_| DataError::Split {
                problem: format!("`splits.{name}` is `{ranges}`, which goes beyond the {count} {what}"),
            })?;
            for index in &found {
                if let Some(other) = owners[*index as usize].replace(name) {
                    let problem = format!("`splits.{name}` and `splits.{other}` both have the example {index}");
                    return Err(DataError::Split { problem });
                }
            }
            named.insert(name.clone(), found.into_iter().map(|index| base.start + index).collect());
        }
        Ok(named)
    }

    /// Draws from each class in proportion, so that rare classes are in every part, and first of all to train on.
    fn stratified(free: &[u32], data: &Dataset, validation: f64, test: f64, seed: u64) -> Drawn {
        let mut by_class = vec![Vec::new(); data.classes.len()];
        for index in free {
            by_class[data.labels[*index as usize] as usize].push(*index);
        }
        let mut shuffle = Shuffle::new(seed, 0);
        by_class.into_iter().fold(Drawn::default(), |drawn, mut members| {
            shuffle.shuffle(&mut members);
            drawn.with(&members, validation, test, 1)
        })
    }

    /// A class that is in no training example cannot be learnt.
    fn check_classes(&self, data: &Dataset) -> Result<(), DataError> {
        let mut seen = vec![false; data.classes.len()];
        self.train().iter().for_each(|index| seen[data.labels[*index as usize] as usize] = true);
        for (name, part) in self.parts() {
            if let Some(index) = part.iter().find(|index| !seen[data.labels[**index as usize] as usize]) {
                let class = data.classes[data.labels[*index as usize] as usize].clone();
                let place = format!("`{name}`: {}", data.place_of(*index));
                return Err(DataError::Unseen { place, class });
            }
        }
        Ok(())
    }

    /// The examples of a part; none where there is no such part.
    pub fn part(&self, name: &str) -> &[u32] {
        self.parts.get(name).map_or(&[], Vec::as_slice)
    }

    /// All parts by name.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &[u32])> {
        self.parts.iter().map(|(name, part)| (name.as_str(), part.as_slice()))
    }

    /// The examples to train on.
    pub fn train(&self) -> &[u32] {
        self.part(TRAIN)
    }

    /// The examples to watch while training.
    pub fn validation(&self) -> &[u32] {
        self.part(VALIDATION)
    }

    /// The examples for the end.
    pub fn test(&self) -> &[u32] {
        self.part(TEST)
    }

    /// The BLAKE3 of which examples are where, to see that two trainings divided their data alike.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for (name, part) in self.parts() {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(&(part.len() as u64).to_le_bytes());
            for index in part {
                hasher.update(&index.to_le_bytes());
            }
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }

    /// The split as `split.json` of a model artifact has it: how many examples the data has, and those of each part by
    /// number, as [`Ranges`]. Numbers count the data set's examples in the order of docs/data.md, from 0.
    ///
    /// ```json
    /// { "format": 1, "examples": 13, "parts": { "test": "0..4,7", "train": "4..7,8..13" } }
    /// ```
    pub fn to_json(&self) -> String {
        let parts = self.parts.iter().map(|(name, part)| (name.clone(), Ranges::of(part).to_string())).collect();
        let file = SplitFile { format: FORMAT, examples: self.examples, parts };
        // Numbers and texts can always be written.
        let text = serde_json::to_string_pretty(&file).unwrap_or_default();
        text + "\n"
    }

    /// Reads what [`Split::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self, DataError> {
        let wrong = |problem: String| DataError::Malformed { file: "split.json".to_owned(), problem };
        let file: SplitFile = serde_json::from_str(text).map_err(|error| wrong(format!("is no split: {error}")))?;
        if file.format != FORMAT {
            return Err(wrong(format!("has the format {}, not {FORMAT}", file.format)));
        }
        let mut seen = BTreeSet::new();
        let mut parts = BTreeMap::new();
        for (name, text) in file.parts {
            let ranges: Result<Ranges, _> = text.parse();
            let found = ranges.and_then(|ranges| ranges.indexes(file.examples));
            let found = found.map_err(|error| wrong(format!("is damaged: `{name}` {error}")))?;
            if let Some(index) = found.iter().find(|index| !seen.insert(**index)) {
                return Err(wrong(format!("has the example {index} twice")));
            }
            parts.insert(name, found);
        }
        if !parts.contains_key(TRAIN) {
            return Err(wrong("has no part to train on".to_owned()));
        }
        Ok(Self { examples: file.examples, parts })
    }
}

/// Examples that were drawn for each part, in no order.
#[derive(Debug, Default)]
struct Drawn {
    train: Vec<u32>,
    validation: Vec<u32>,
    test: Vec<u32>,
}

impl Drawn {
    /// Divides shuffled `members`, of which at least `kept` are trained on.
    fn with(mut self, members: &[u32], validation: f64, test: f64, kept: usize) -> Self {
        let most = members.len().saturating_sub(kept);
        let share = |part: f64| (members.len() as f64 * part).round() as usize;
        let test_len = share(test).min(most);
        let validation_len = share(validation).min(most - test_len);
        let (test_members, rest) = members.split_at(test_len);
        let (validation_members, train_members) = rest.split_at(validation_len);
        self.test.extend(test_members);
        self.validation.extend(validation_members);
        self.train.extend(train_members);
        self
    }
}
