//! Random numbers that are the same for the same seed on every machine and in every version (SplitMix64: Steele, Lea
//! and Flood 2014, doi:10.1145/2660193.2660195).

/// The distance of two states: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(state: u64) -> u64 {
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Uniform below `bound`, up to a bias far below one in a billion: the high half of the product.
fn below(number: u64, bound: u64) -> u64 {
    ((u128::from(number) * u128::from(bound)) >> 64) as u64
}

/// A seed for step `step` of a training, unlike those of other steps and of other seeds.
pub fn step_seed(seed: u64, step: u64) -> u64 {
    mix(seed ^ step.wrapping_add(1).wrapping_mul(STEP))
}

/// A source of shuffles.
#[derive(Debug, Clone)]
pub struct Shuffle {
    state: u64,
}

impl Shuffle {
    /// The stream number `stream` of `seed`: an epoch's, or 0 for the split.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut own = Self { state: seed };
        own.state = own.next() ^ stream.wrapping_mul(STEP);
        own
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, below(self.next(), last as u64 + 1) as usize);
        }
    }
}

/// The random numbers of one example in one epoch, by number: in whatever order and thread they are drawn, they are the
/// same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draws {
    key: u64,
}

impl Draws {
    pub(super) fn new(seed: u64, epoch: u32, example: u32) -> Self {
        let key = mix(seed.wrapping_add(STEP)) ^ u64::from(epoch) << 32 ^ u64::from(example);
        Self { key: mix(key.wrapping_add(STEP)) }
    }

    /// Draw `number`, a whole number below `bound`.
    pub(super) fn below(self, number: u64, bound: u64) -> u64 {
        below(self.draw(number), bound)
    }

    /// Draw `number`, in `least..most`.
    pub(super) fn between(self, number: u64, least: f64, most: f64) -> f64 {
        // As many bits as a number of 64 bits has behind its point.
        least + (self.draw(number) >> 11) as f64 / (1_u64 << 53) as f64 * (most - least)
    }

    fn draw(self, number: u64) -> u64 {
        mix(self.key.wrapping_add(STEP.wrapping_mul(number + 1)))
    }
}
