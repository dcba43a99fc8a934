//! Dividing examples into those for training, validation and the test.

use crate::id::Digest;

/// Indexes of examples, ascending in each part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// To train on.
    pub train: Vec<u32>,
    /// To watch while training.
    pub validation: Vec<u32>,
    /// For the end; empty where the data has files of its own for it.
    pub test: Vec<u32>,
}

impl Split {
    /// Draws from each class in proportion, so that rare classes are in every part.
    pub fn stratified(labels: &[u8], classes: usize, validation: f64, test: f64, seed: u64) -> Self {
        let mut by_class = vec![Vec::new(); classes];
        for (index, label) in (0_u32..).zip(labels) {
            by_class[usize::from(*label)].push(index);
        }
        let mut shuffle = Shuffle::new(seed, 0);
        let mut split = Self { train: Vec::new(), validation: Vec::new(), test: Vec::new() };
        for mut members in by_class {
            shuffle.shuffle(&mut members);
            let share = |part: f64| (members.len() as f64 * part).round() as usize;
            let test_len = share(test).min(members.len());
            let validation_len = share(validation).min(members.len() - test_len);
            let (test_members, rest) = members.split_at(test_len);
            let (validation_members, train_members) = rest.split_at(validation_len);
            split.test.extend(test_members);
            split.validation.extend(validation_members);
            split.train.extend(train_members);
        }
        for part in [&mut split.train, &mut split.validation, &mut split.test] {
            part.sort_unstable();
        }
        split
    }

    /// The BLAKE3 of which examples are where, to see that two trainings divided their data alike.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        for part in [&self.train, &self.validation, &self.test] {
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
