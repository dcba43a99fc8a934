//! Extremes over blocks of a line's values: those of any stretch are found without reading all of it.

use std::ops::Range;

/// Values in a block, and blocks in a block of the next level.
const BRANCH: usize = 16;

/// A value is not a number.
pub(super) const NAN: u8 = 1;
/// A value is infinite.
pub(super) const INFINITE: u8 = 2;
/// A value is minus infinite.
pub(super) const MINUS_INFINITE: u8 = 4;

/// What a stretch of values comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    /// The smallest finite value; infinite where there is none.
    pub(super) low: f64,
    /// The largest finite value; minus infinite where there is none.
    pub(super) high: f64,
    /// The smallest finite value above 0, which is the low end on a logarithmic axis; infinite where there is none.
    pub(super) low_positive: f64,
    /// Which values that are not finite there are.
    pub(super) odd: u8,
}

impl Extent {
    /// The extent of no values.
    pub(super) const EMPTY: Self =
        Self { low: f64::INFINITY, high: f64::NEG_INFINITY, low_positive: f64::INFINITY, odd: 0 };

    fn of(value: f64) -> Self {
        if value.is_finite() {
            let low_positive = if value > 0.0 { value } else { f64::INFINITY };
            return Self { low: value, high: value, low_positive, odd: 0 };
        }
        let odd = match value {
            f64::INFINITY => INFINITE,
            f64::NEG_INFINITY => MINUS_INFINITE,
            _ => NAN,
        };
        Self { odd, ..Self::EMPTY }
    }

    /// The extent of both stretches.
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            low_positive: self.low_positive.min(other.low_positive),
            odd: self.odd | other.odd,
        }
    }
}

/// The values of a line, with the extremes of their blocks.
#[derive(Debug, Clone)]
pub(super) struct Values {
    values: Vec<f64>,
    /// The extents of blocks of 16 values, of blocks of 16 such blocks, and so on.
    levels: Vec<Vec<Extent>>,
}

impl Values {
    /// Takes values and finds the extremes of their blocks.
    pub(super) fn new(values: Vec<f64>) -> Self {
        let mut levels: Vec<Vec<Extent>> = Vec::new();
        if values.len() > BRANCH {
            let block = |values: &[f64]| values.iter().fold(Extent::EMPTY, |all, value| all.join(Extent::of(*value)));
            levels.push(values.chunks(BRANCH).map(block).collect());
        }
        while let Some(below) = levels.last().filter(|level| level.len() > BRANCH) {
            let block = |extents: &[Extent]| extents.iter().fold(Extent::EMPTY, |all, extent| all.join(*extent));
            let level = below.chunks(BRANCH).map(block).collect();
            levels.push(level);
        }
        Self { values, levels }
    }

    /// The values.
    pub(super) fn as_slice(&self) -> &[f64] {
        &self.values
    }

    /// The extent of a stretch; what of it is beyond the end does not count.
    pub(super) fn extent(&self, range: Range<usize>) -> Extent {
        let (mut start, mut end) = (range.start, range.end.min(self.values.len()));
        let mut total = Extent::EMPTY;
        for level in 0..=self.levels.len() {
            // Whole blocks are left to the level above, what hangs over at both ends is read here.
            let (above_start, above_end) = (start.div_ceil(BRANCH), end / BRANCH);
            if level == self.levels.len() || above_start >= above_end {
                return total.join(self.read(level, start..end));
            }
            total = total.join(self.read(level, start..above_start * BRANCH));
            total = total.join(self.read(level, above_end * BRANCH..end));
            (start, end) = (above_start, above_end);
        }
        total
    }

    fn read(&self, level: usize, range: Range<usize>) -> Extent {
        match level.checked_sub(1).and_then(|index| self.levels.get(index)) {
            None => self.values.get(range).unwrap_or(&[]).iter().fold(Extent::EMPTY, |all, v| all.join(Extent::of(*v))),
            Some(level) => level.get(range).unwrap_or(&[]).iter().fold(Extent::EMPTY, |all, extent| all.join(*extent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(values: &[f64]) -> Extent {
        values.iter().fold(Extent::EMPTY, |all, value| all.join(Extent::of(*value)))
    }

    proptest! {
        #[test]
        fn a_stretch_has_the_extent_of_its_values(
            values in prop::collection::vec(prop::num::f64::ANY, 0..6000),
            ends in (0usize..7000, 0usize..7000),
        ) {
            let (start, end) = (ends.0.min(ends.1), ends.0.max(ends.1));
            let expected = plain(values.get(start..end.min(values.len())).unwrap_or(&[]));
            prop_assert_eq!(Values::new(values).extent(start..end), expected);
        }
    }

    #[test]
    fn what_is_not_finite_is_told_apart_and_spoils_no_extreme() {
        let extent = plain(&[3.0, f64::NAN, -2.0, f64::INFINITY, 0.5]);
        assert_eq!((extent.low, extent.high, extent.low_positive), (-2.0, 3.0, 0.5));
        assert_eq!(extent.odd, NAN | INFINITE);
        assert_eq!(plain(&[f64::NEG_INFINITY]).odd, MINUS_INFINITE);
    }
}
