//! The query language: MLflow's search syntax over runs.
//!
//! ```text
//! metrics.val_accuracy > 0.9 and params.optimizer = 'adam' and status != 'failed'
//! ```
//!
//! What MLflow accepts means the same here: `metrics.`, `params.`, `tags.` and `attributes.` with their other spellings,
//! quoted keys, `=`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE`, `ILIKE`, `IN`, `IS NULL`, `AND`. Beyond that there are `OR`,
//! `NOT`, parentheses, a bare `dirty`, lengths of time (`duration > 1h`) and moments (`started > 2 days ago`).
//!
//! Architecture invariant: this module only reads, and no text makes it panic or recurse without bound.

mod field;
mod lex;
mod parse;
mod time;

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::run::Run;

use field::{Field, Found};
use parse::{Condition, Operator, Test};

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at column {column}")]
pub struct QueryError {
    /// What is wrong.
    pub problem: String,
    /// Where, counted in characters from 1.
    pub column: usize,
}

/// A query, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    condition: Condition,
}

impl Query {
    /// Parses a query; the empty one matches all.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Self::parse_at(text, Timestamp::now())
    }

    /// Parses a query in which `2 days ago` is counted back from `now`.
    pub fn parse_at(text: &str, now: Timestamp) -> Result<Self, QueryError> {
        parse::parse(text, now).map(|condition| Self { condition })
    }

    /// Whether a run matches.
    pub fn matches(&self, run: &Run) -> bool {
        holds(&self.condition, run)
    }
}

fn holds(condition: &Condition, run: &Run) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, run)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, run)),
        Condition::Not(inner) => !holds(inner, run),
        Condition::Null { field, negated } => field.of(run).is_none() != *negated,
        // As in SQL, nothing is known of a value that is not there: only `IS NULL` is true of it.
        Condition::Test { field, test } => field.of(run).is_some_and(|found| test_holds(test, &found)),
    }
}

fn test_holds(test: &Test, found: &Found<'_>) -> bool {
    match (test, found) {
        (Test::Number(operator, wanted), Found::Number(value)) => operator.holds(value.partial_cmp(wanted)),
        (Test::Number(operator, wanted), Found::Text(text)) => {
            text.trim().parse::<f64>().is_ok_and(|value| operator.holds(value.partial_cmp(wanted)))
        }
        (Test::Moment(operator, wanted), Found::Moment(time)) => operator.holds(Some(time.cmp(wanted))),
        (Test::Truth(wanted), Found::Truth(value)) => value == wanted,
        (Test::Text(operator, wanted), Found::Text(text)) => {
            // `params.epochs > '9'` means the number, where both are numbers; MLflow has no such comparison.
            let as_numbers = || Some((text.trim().parse::<f64>().ok()?, wanted.trim().parse::<f64>().ok()?));
            match operator.is_equality() {
                true => operator.holds(Some(text.as_ref().cmp(wanted.as_str()))),
                false => match as_numbers() {
                    Some((value, wanted)) => operator.holds(value.partial_cmp(&wanted)),
                    None => operator.holds(Some(text.as_ref().cmp(wanted.as_str()))),
                },
            }
        }
        (Test::Prefix { wanted, negated }, Found::Text(text)) => text.starts_with(wanted.as_str()) != *negated,
        (Test::Like { pattern, ignore_case, negated }, Found::Text(text)) => {
            is_like(text, pattern, *ignore_case) != *negated
        }
        (Test::In { values, negated }, Found::Text(text)) => {
            values.iter().any(|value| value == text.as_ref()) != *negated
        }
        // The parser pairs tests with the kind of the field.
        _ => false,
    }
}

impl Operator {
    /// Whether the operator holds for two values that compare so; NaN compares with nothing and differs from all.
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::Different => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::AtMost => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::AtLeast => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// SQL's LIKE: `%` is any text, `_` any character. Time is bounded by the product of the lengths.
fn is_like(text: &str, pattern: &str, ignore_case: bool) -> bool {
    let prepare = |text: &str| -> Vec<char> {
        if ignore_case { text.chars().flat_map(char::to_lowercase).collect() } else { text.chars().collect() }
    };
    let (text, pattern) = (prepare(text), prepare(pattern));
    let (mut at, mut wanted) = (0, 0);
    // Where to go on when what follows the last `%` does not fit: that `%` then takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(wanted) {
            Some('%') => {
                retry = Some((wanted + 1, at));
                wanted += 1;
            }
            Some(c) if *c == '_' || *c == text[at] => {
                at += 1;
                wanted += 1;
            }
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    at = *from;
                    wanted = *after;
                }
                None => return false,
            },
        }
    }
    pattern[wanted..].iter().all(|c| *c == '%')
}

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
}

/// Sorts runs; those without the key come last, and runs that are equal stay as they were.
pub fn sort(runs: &mut [Run], key: &SortKey) {
    let Ok((field, _)) = parse::parse_sort_key(&key.key) else { return };
    runs.sort_by(|a, b| {
        let (a, b) = (field.of(a).filter(Found::is_comparable), field.of(b).filter(Found::is_comparable));
        match (a, b) {
            (Some(a), Some(b)) if key.descending => compare(&b, &a),
            (Some(a), Some(b)) => compare(&a, &b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    });
}

fn compare(a: &Found<'_>, b: &Found<'_>) -> Ordering {
    match (a, b) {
        (Found::Number(a), Found::Number(b)) => a.total_cmp(b),
        (Found::Moment(a), Found::Moment(b)) => a.cmp(b),
        (Found::Truth(a), Found::Truth(b)) => a.cmp(b),
        (Found::Text(a), Found::Text(b)) => match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            // Numbers before words, so that the order is one.
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        },
        _ => Ordering::Equal,
    }
}

/// A run's value for a column, as text for people: `id`, `name`, `status`, `experiment`, `commit`, `started`,
/// `duration`, `metrics.x` (the last value), `params.x`, `tags.x`.
pub fn column(run: &Run, key: &str) -> Option<String> {
    let (field, _) = parse::parse_sort_key(key).ok()?;
    let found = field.of(run)?;
    Some(match (&field, found) {
        (Field::Commit | Field::Snapshot, Found::Text(text)) => text.chars().take(8).collect(),
        (Field::Duration | Field::CpuSeconds, Found::Number(seconds)) => format!("{seconds:.1}s"),
        (_, Found::Number(value)) => short_number(value),
        (_, Found::Moment(time)) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        (_, Found::Truth(value)) => if value { "yes" } else { "no" }.to_owned(),
        (_, Found::Text(text)) => text.into_owned(),
    })
}

/// Up to six significant digits, without needless zeros.
fn short_number(value: f64) -> String {
    let exact = value.to_string();
    if exact.len() <= 8 {
        return exact.replace("inf", "Infinity");
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..15.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (5.0 - magnitude).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests;
