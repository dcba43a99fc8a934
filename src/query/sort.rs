//! The order of runs.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::field::{Field, Value};
use super::{QueryError, parse};
use crate::run::Run;

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
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let (text, minus) = match text.trim().strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text.trim(), false),
        };
        let (field, direction) = parse::parse_sort_key(text)?;
        Ok(Self { key: field.to_string(), descending: minus != (direction == Some(true)) })
    }

    /// The field that it sorts by; none for a key that was not parsed.
    pub(crate) fn field(&self) -> Option<Field> {
        parse::parse_sort_key(&self.key).ok().map(|(field, _)| field)
    }
}

/// A value, ready to be compared with others of its field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rank {
    /// Numbers before words, so that the order is one.
    Number(f64),
    Text(String),
    Moment(Timestamp),
    Truth(bool),
    /// What is not a number comes behind all that is, whichever way they are sorted.
    NotANumber,
    /// And behind that what is not there.
    Missing,
}

impl Rank {
    /// The rank of a value.
    pub(crate) fn of(value: Option<Value<'_>>) -> Self {
        match value {
            Some(Value::Number(value)) if value.is_nan() => Self::NotANumber,
            Some(Value::Number(value)) => Self::Number(value),
            Some(Value::Text(text)) => match text.trim().parse::<f64>() {
                Ok(value) if !value.is_nan() => Self::Number(value),
                _ => Self::Text(text.into_owned()),
            },
            Some(Value::Moment(time)) => Self::Moment(time),
            Some(Value::Truth(value)) => Self::Truth(value),
            Some(Value::Items(items)) => match items.first().and_then(|item| item.names.first()) {
                Some(name) => Self::Text(name.clone().into_owned()),
                None => Self::Missing,
            },
            None => Self::Missing,
        }
    }

    /// How two values of a field stand to each other.
    pub(crate) fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let place = |rank: &Self| match rank {
            Self::NotANumber => 1,
            Self::Missing => 2,
            _ => 0,
        };
        let order = match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Moment(a), Self::Moment(b)) => a.cmp(b),
            (Self::Truth(a), Self::Truth(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
            (a, b) => return place(a).cmp(&place(b)),
        };
        if descending { order.reverse() } else { order }
    }
}

/// Sorts runs; those without the key come last, and runs that are equal stay as they were.
pub fn sort(runs: &mut [Run], key: &SortKey) {
    let Some(field) = key.field() else { return };
    runs.sort_by_cached_key(|run| Reversible { rank: Rank::of(field.of(run)), descending: key.descending });
}

/// A rank with a direction, as sorting by a cached key wants it.
#[derive(Debug, PartialEq)]
struct Reversible {
    rank: Rank,
    descending: bool,
}

impl Eq for Reversible {}

impl PartialOrd for Reversible {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reversible {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.compare(&other.rank, self.descending)
    }
}
