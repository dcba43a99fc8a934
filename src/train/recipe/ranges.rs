//! Sets of examples as text: `0..4,7,9..12`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Examples by number: single ones and ranges without their ends, ascending, between commas. A range may have no end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ranges {
    /// Beginnings and ends.
    items: Vec<(u32, Option<u32>)>,
}

/// A text that is no set of examples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// A piece that is neither a number nor a range.
    #[error("has to be ranges like 0..8000 or 8000.., not `{0}`")]
    Malformed(String),
    /// A range without an example.
    #[error("has the range `{0}`, which is empty")]
    Empty(String),
    /// A piece that begins before the one before it ends.
    #[error("has `{0}` where ranges have to ascend and not overlap")]
    Order(String),
    /// A range that goes beyond the examples.
    #[error("goes to {end}, but there are {examples} examples")]
    Beyond {
        /// Where it ends.
        end: u32,
        /// How many there are.
        examples: u32,
    },
}

impl Ranges {
    /// The set of `indexes`, which ascend.
    pub fn of(indexes: &[u32]) -> Self {
        let mut items: Vec<(u32, Option<u32>)> = Vec::new();
        for index in indexes {
            match items.last_mut() {
                Some((_, Some(end))) if *end == *index => *end += 1,
                _ => items.push((*index, Some(index + 1))),
            }
        }
        Self { items }
    }

    /// The numbers of the examples, of which there are `examples`.
    pub fn indexes(&self, examples: u32) -> Result<Vec<u32>, RangesError> {
        let mut indexes = Vec::new();
        for (start, end) in &self.items {
            let end = end.unwrap_or(examples);
            if end > examples || *start >= examples {
                return Err(RangesError::Beyond { end: end.max(*start), examples });
            }
            indexes.extend(*start..end);
        }
        Ok(indexes)
    }
}

impl FromStr for Ranges {
    type Err = RangesError;

    fn from_str(text: &str) -> Result<Self, RangesError> {
        let malformed = |piece: &str| RangesError::Malformed(piece.chars().take(40).collect());
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number < u32::MAX);
        let mut items: Vec<(u32, Option<u32>)> = Vec::new();
        for piece in text.split(',') {
            let item = match piece.split_once("..") {
                None => number(piece).map(|number| (number, Some(number + 1))),
                Some((start, end)) if end.trim().is_empty() => number(start).map(|start| (start, None)),
                Some((start, end)) => number(start).zip(number(end)).map(|(start, end)| (start, Some(end))),
            };
            let (start, end) = item.ok_or_else(|| malformed(piece))?;
            if end.is_some_and(|end| end <= start) {
                return Err(RangesError::Empty(piece.trim().to_owned()));
            }
            if items.last().is_some_and(|(_, last)| last.is_none_or(|last| last > start)) {
                return Err(RangesError::Order(piece.trim().to_owned()));
            }
            items.push((start, end));
        }
        Ok(Self { items })
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (start, end)) in self.items.iter().enumerate() {
            if position > 0 {
                formatter.write_str(",")?;
            }
            match end {
                Some(end) if *end == start + 1 => write!(formatter, "{start}")?,
                Some(end) => write!(formatter, "{start}..{end}")?,
                None => write!(formatter, "{start}..")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Ranges {
    type Error = RangesError;

    fn try_from(text: String) -> Result<Self, RangesError> {
        text.parse()
    }
}

impl From<Ranges> for String {
    fn from(ranges: Ranges) -> Self {
        ranges.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn indexes(text: &str) -> Result<Vec<u32>, String> {
        let ranges: Result<Ranges, _> = text.parse();
        ranges.and_then(|ranges| ranges.indexes(10)).map_err(|error| error.to_string())
    }

    #[test]
    fn texts_are_sets_of_examples_or_are_told_in_a_line() {
        assert_eq!(indexes("0..3, 5,8.."), Ok(vec![0, 1, 2, 5, 8, 9]));
        assert_eq!(indexes("0..10").unwrap().len(), 10);
        let told = ["", "a..b", "3..3", "4..2", "0..4,3", "7..,9", "0..11", "10..", "-1..2", "0...5", "4294967295"];
        let told = told.map(|text| indexes(text).unwrap_err());
        insta::assert_snapshot!(told.join("\n"), @"
        has to be ranges like 0..8000 or 8000.., not ``
        has to be ranges like 0..8000 or 8000.., not `a..b`
        has the range `3..3`, which is empty
        has the range `4..2`, which is empty
        has `3` where ranges have to ascend and not overlap
        has `9` where ranges have to ascend and not overlap
        goes to 11, but there are 10 examples
        goes to 10, but there are 10 examples
        has to be ranges like 0..8000 or 8000.., not `-1..2`
        has to be ranges like 0..8000 or 8000.., not `0...5`
        has to be ranges like 0..8000 or 8000.., not `4294967295`
        ");
    }

    proptest! {
        #[test]
        fn every_set_survives_its_text(members in proptest::collection::btree_set(0_u32..300, 0..200)) {
            let members: Vec<u32> = members.into_iter().collect();
            let text = Ranges::of(&members).to_string();
            if !members.is_empty() {
                prop_assert_eq!(text.parse::<Ranges>().unwrap().indexes(300).unwrap(), members);
            }
        }
    }
}
