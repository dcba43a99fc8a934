//! The query language: MLflow's search syntax over runs.
//!
//! ```text
//! metrics.val_accuracy > 0.9 and params.optimizer = 'adam' and status != 'failed'
//! ```
//!
//! What MLflow accepts means the same here: `metrics.`, `params.`, `tags.`, `attributes.` and `dataset.` with their other
//! spellings, quoted keys, `=`, `!=`, `<`, `<=`, `>`, `>=`, `LIKE`, `ILIKE`, `IN`, `IS NULL`, `AND`. Beyond that there are
//! `OR`, `NOT`, parentheses, a bare `dirty`, lengths of time (`duration > 1h`), moments (`started > 2 days ago`), commits
//! (`commit in main..HEAD`), artifacts (`input = data/digits`) and other numbers of a metric (`max(metrics.accuracy)`).
//!
//! Versions of the registry can also be asked for what only those have (`data.examples > 1000`), and the conditions of
//! gates may compare with the version that an alias points to (`metrics.loss <= alias.production + 0.01`) and ask what
//! others have to say (`verified`, `signed`).
//!
//! Architecture invariant: this module only reads, and no text makes it panic or recurse without bound.

mod fact;
mod field;
mod lex;
mod nearest;
mod parse;
mod require;
mod sort;
mod time;

pub(crate) use fact::Fact;
pub(crate) use field::{Aspect, Attribute, Field, Item, Value};
pub(crate) use parse::Claim;
pub use require::Requirement;
pub(crate) use require::{Found, Reference, Subject, Verdict};
pub(crate) use sort::Rank;
pub use sort::{SortKey, sort};

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::git::{GitError, Repository};
use crate::id::CommitId;
use crate::run::Run;

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

    /// Parses a query over versions of the registry, which may also ask for what only those have.
    pub fn parse_versions(text: &str) -> Result<Self, QueryError> {
        parse::parse_versions(text, Timestamp::now()).map(|condition| Self { condition })
    }

    /// Parses a query in which `2 days ago` is counted back from `now`.
    pub fn parse_at(text: &str, now: Timestamp) -> Result<Self, QueryError> {
        parse::parse(text, now).map(|condition| Self { condition })
    }

    /// Looks up the commits that ranges such as `main..HEAD` stand for. Until then no commit is in them.
    pub fn resolve(&mut self, repository: &Repository) -> Result<(), GitError> {
        resolve(&mut self.condition, repository)
    }

    /// Whether a run matches.
    pub fn matches(&self, run: &Run) -> bool {
        self.holds(&mut |field| field.of(run))
    }

    /// Whether it holds for a run that has these values.
    pub(crate) fn holds<'v>(&self, value_of: &mut dyn FnMut(&Field) -> Option<Value<'v>>) -> bool {
        holds(&self.condition, value_of)
    }

    /// The fields that it asks for, in the order of the query; one may come more than once.
    pub(crate) fn fields(&self) -> Vec<&Field> {
        let mut fields = Vec::new();
        gather(&self.condition, &mut fields);
        fields
    }
}

fn gather<'c>(condition: &'c Condition, fields: &mut Vec<&'c Field>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().for_each(|part| gather(part, fields)),
        Condition::Not(inner) => gather(inner, fields),
        Condition::Null { field, .. } | Condition::Test { field, .. } | Condition::Relative { field, .. } => {
            fields.push(field);
        }
        Condition::Asked(_) => {}
    }
}

fn resolve(condition: &mut Condition, repository: &Repository) -> Result<(), GitError> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter_mut().try_for_each(|part| resolve(part, repository))
        }
        Condition::Not(inner) => resolve(inner, repository),
        Condition::Test { test: Test::Range { range, commits, .. }, .. } => {
            *commits = Arc::new(commits_in(repository, range)?);
            Ok(())
        }
        Condition::Null { .. } | Condition::Test { .. } | Condition::Asked(_) | Condition::Relative { .. } => Ok(()),
    }
}

/// The commits of `A..B`, `A...B`, or all that lead to `B`, as git takes them.
fn commits_in(repository: &Repository, range: &str) -> Result<HashSet<String>, GitError> {
    let side = |name: &str| repository.resolve(if name.is_empty() { "HEAD" } else { name });
    let reachable = |from: CommitId, hidden: &[CommitId]| repository.reachable(&[from], hidden);
    let commits = if let Some((left, right)) = range.split_once("...") {
        let (left, right) = (side(left)?, side(right)?);
        [reachable(left, &[right])?, reachable(right, &[left])?].concat()
    } else if let Some((left, right)) = range.split_once("..") {
        let (left, right) = (side(left)?, side(right)?);
        reachable(right, &[left])?
    } else {
        reachable(side(range)?, &[])?
    };
    Ok(commits.iter().map(CommitId::to_string).collect())
}

fn holds<'v>(condition: &Condition, value_of: &mut dyn FnMut(&Field) -> Option<Value<'v>>) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, value_of)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, value_of)),
        Condition::Not(inner) => !holds(inner, value_of),
        Condition::Null { field, negated } => value_of(field).is_none_or(|value| value.is_null()) != *negated,
        // As in SQL, nothing is known of a value that is not there: only `IS NULL` is true of it.
        Condition::Test { field, test } => value_of(field).is_some_and(|value| test_holds(test, &value)),
        // Only gates have these, which are judged in another way.
        Condition::Asked(_) | Condition::Relative { .. } => false,
    }
}

fn test_holds(test: &Test, value: &Value<'_>) -> bool {
    match (test, value) {
        (Test::Number(operator, wanted), Value::Number(value)) => operator.holds(value.partial_cmp(wanted)),
        (Test::Number(operator, wanted), Value::Text(text)) => {
            text.trim().parse::<f64>().is_ok_and(|value| operator.holds(value.partial_cmp(wanted)))
        }
        (Test::Moment(operator, wanted), Value::Moment(time)) => operator.holds(Some(time.cmp(wanted))),
        (Test::Truth(wanted), Value::Truth(value)) => value == wanted,
        (Test::Text(operator, wanted), Value::Text(text)) => {
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
        (Test::Prefix { wanted, negated }, Value::Text(text)) => is_prefix(wanted, text) != *negated,
        (Test::Range { commits, negated, .. }, Value::Text(text)) => commits.contains(text.as_ref()) != *negated,
        (Test::Like { pattern, ignore_case, negated }, Value::Text(text)) => {
            is_like(text, pattern, *ignore_case) != *negated
        }
        (Test::In { values, negated }, Value::Text(text)) => {
            values.iter().any(|value| value == text.as_ref()) != *negated
        }
        (Test::Prefixes { values, negated }, Value::Text(text)) => {
            values.iter().any(|wanted| is_prefix(wanted, text)) != *negated
        }
        // As MLflow does, which asks whether there is a data set that fits, also where it is to be different.
        (test, Value::Items(items)) => items.iter().any(|item| match test {
            Test::Text(operator, wanted) => item.is_called(wanted) == (*operator == Operator::Equal),
            Test::In { values, negated } => values.iter().any(|wanted| item.is_called(wanted)) != *negated,
            Test::Like { pattern, ignore_case, negated } => {
                item.names.iter().any(|name| is_like(name, pattern, *ignore_case)) != *negated
            }
            _ => false,
        }),
        // The parser pairs tests with the kind of the field.
        _ => false,
    }
}

/// Whether an id begins like this; none begins with nothing.
fn is_prefix(wanted: &str, id: &str) -> bool {
    !wanted.is_empty() && id.starts_with(wanted)
}

impl Item<'_> {
    /// Whether it has this name, or its id begins like that.
    fn is_called(&self, wanted: &str) -> bool {
        const MIN_PREFIX: usize = 4;
        self.names.iter().any(|name| name == wanted)
            || wanted.len() >= MIN_PREFIX && is_prefix(&wanted.to_ascii_lowercase(), &self.id)
    }
}

impl Operator {
    /// Whether the operator holds for two values that compare so; NaN compares with nothing and differs from all.
    pub(super) fn holds(self, ordering: Option<Ordering>) -> bool {
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
pub fn is_like(text: &str, pattern: &str, ignore_case: bool) -> bool {
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

/// A run's value for a column, as text for people: `id`, `name`, `status`, `experiment`, `commit`, `started`,
/// `duration`, `metrics.x` (the last value), `params.x`, `tags.x`.
pub fn column(run: &Run, key: &str) -> Option<String> {
    let (field, _) = parse::parse_sort_key(key).ok()?;
    let value = field.of(run)?;
    Some(match (&field, value) {
        (Field::Attribute(Attribute::Commit | Attribute::Snapshot), Value::Text(text)) => {
            text.chars().take(8).collect()
        }
        (Field::Attribute(Attribute::Duration | Attribute::CpuSeconds), Value::Number(seconds)) => {
            format!("{seconds:.1}s")
        }
        (_, Value::Number(value)) => short_number(value),
        (_, Value::Moment(time)) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        (_, Value::Truth(value)) => if value { "yes" } else { "no" }.to_owned(),
        (_, Value::Text(text)) => text.into_owned(),
        (_, Value::Items(items)) => {
            let names = items.iter().filter_map(|item| item.names.first());
            names.map(|name| name.as_ref()).collect::<Vec<_>>().join(", ")
        }
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
