//! Dividing examples into those for training, validation and the test.

use std::collections::{BTreeMap, BTreeSet};

use super::{DataError, Dataset};
use crate::id::Digest;
use crate::train::recipe::DataConfig;

/// Parts of a data set by name, as indexes of examples in ascending order. `train` is always there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    parts: BTreeMap<String, Vec<u32>>,
}

/// The part to train on.
pub const TRAIN: &str = "train";
/// The part to watch while training.
pub const VALIDATION: &str = "validation";
/// The part for the end.
pub const TEST: &str = "test";

impl Split {
    /// Divides `data` as `config` says: by the data's own files, by ranges, and what is left by drawing from each class
    /// in proportion.
    pub(super) fn new(data: &Dataset, config: &DataConfig, seed: u64) -> Result<Self, DataError> {
        let mut parts: BTreeMap<String, Vec<u32>> =
            data.given.iter().map(|(name, range)| (name.clone(), range.clone().collect())).collect();
        let given: BTreeSet<u32> =
            parts.iter().filter(|(name, _)| *name != TRAIN).flat_map(|(_, part)| part).copied().collect();
        let free: Vec<u32> = (0..data.len() as u32).filter(|index| !given.contains(index)).collect();
        let test = if parts.contains_key(TEST) { 0.0 } else { config.test };
        let validation = if parts.contains_key(VALIDATION) { 0.0 } else { config.validation };
        let drawn = Self::stratified(&free, &data.labels, data.classes.len(), validation, test, seed);
        for (name, part, wanted) in
            [(TRAIN, drawn.0, 1.0 - validation - test), (VALIDATION, drawn.1, validation), (TEST, drawn.2, test)]
        {
            if part.is_empty() && wanted > 0.0 {
                let problem = format!("`{name}` has no examples: {wanted} of {} is too little", free.len());
                return Err(DataError::Split { problem });
            }
            if !part.is_empty() {
                parts.insert(name.to_owned(), part);
            }
        }
        Ok(Self { parts })
    }

    /// Draws from each class in proportion, so that rare classes are in every part: training, validation, test.
    fn stratified(
        free: &[u32],
        labels: &[u32],
        classes: usize,
        validation: f64,
        test: f64,
        seed: u64,
    ) -> (Vec<u32>, Vec<u32>, Vec<u32>) {
        let mut by_class = vec![Vec::new(); classes];
        for index in free {
            by_class[labels[*index as usize] as usize].push(*index);
        }
        let mut shuffle = Shuffle::new(seed, 0);
        let mut parts = (Vec::new(), Vec::new(), Vec::new());
        for mut members in by_class {
            shuffle.shuffle(&mut members);
            let share = |part: f64| (members.len() as f64 * part).round() as usize;
            let test_len = share(test).min(members.len());
            let validation_len = share(validation).min(members.len() - test_len);
            let (test_members, rest) = members.split_at(test_len);
            let (validation_members, train_members) = rest.split_at(validation_len);
            parts.2.extend(test_members);
            parts.1.extend(validation_members);
            parts.0.extend(train_members);
        }
        for part in [&mut parts.0, &mut parts.1, &mut parts.2] {
            part.sort_unstable();
        }
        parts
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
}

/// A source of shuffles that gives the same for the same seed on every machine and in every version (SplitMix64).
#[derive(Debug, Clone)]
pub struct Shuffle {
    state: u64,
}

impl Shuffle {
    /// The stream number `stream` of `seed`: an epoch's, or 0 for the split.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut own = Self { state: seed };
        own.state = own.next() ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        own
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // The high half of the product is uniform up to a bias far below one in a billion.
            let other = (u128::from(self.next()) * (last as u128 + 1)) >> 64;
            items.swap(last, other as usize);
        }
    }
}
