//! The conditions of gates, judged with the reasons.

use jiff::Timestamp;

use super::parse::{self, Claim, Condition, Operator};
use super::{Field, QueryError, Value, test_holds};

/// How far two numbers may be apart, in proportion, and still be equal where one of them was calculated: 0.975 - 0.005
/// is not quite 0.97 in binary.
const ROUNDING: f64 = 1e-12;

/// The condition of a gate, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    condition: Condition,
    text: String,
}

/// What a condition comes down to.
///
/// What is not known is neither true nor false, and stays so under `not`: a gate opens for what is known alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds.
    Holds,
    /// It compares with what an alias points to, and the alias does not exist yet.
    Vacuous,
    /// It cannot be told.
    Unknown,
    /// It does not hold.
    Fails,
}

impl Verdict {
    fn of(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }

    fn not(self) -> Self {
        match self {
            Self::Holds => Self::Fails,
            Self::Fails => Self::Holds,
            other => other,
        }
    }

    /// Of `and` the worst counts, of `or` the best.
    fn rank(self) -> u8 {
        match self {
            Self::Fails => 0,
            Self::Unknown => 1,
            Self::Vacuous => 2,
            Self::Holds => 3,
        }
    }
}

/// What somebody who knows the subject says of one of its fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found<O> {
    /// What was asked for, as the condition spells it.
    pub(crate) what: String,
    /// The value; none where there is none.
    pub(crate) value: Option<Value<'static>>,
    /// Where it came from.
    pub(crate) origin: O,
    /// Why there is no value, or what is to be said of it.
    pub(crate) reason: Option<String>,
}

/// What an alias has to compare with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reference<O> {
    /// The value of the version that it points to, if that has one.
    There(Found<O>),
    /// It does not exist yet.
    Absent(Found<O>),
}

/// What a gate is asked about.
pub(crate) trait Subject {
    /// Where a value came from.
    type Origin;

    /// A field's value.
    fn field(&self, field: &Field) -> Found<Self::Origin>;
    /// The field's value of the version that an alias points to.
    fn reference(&self, alias: &str, field: &Field) -> Reference<Self::Origin>;
    /// Whether a claim is true.
    fn claim(&self, claim: Claim) -> Found<Self::Origin>;
}

impl Requirement {
    /// Parses a condition, which must ask for something.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.trim().is_empty() {
            return Err(QueryError { problem: "the condition is empty".to_owned(), column: 1 });
        }
        let condition = parse::parse_gate(text, Timestamp::now())?;
        Ok(Self { condition, text: text.to_owned() })
    }

    /// The condition as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Looks up the commits that ranges such as `main..HEAD` stand for. Until then no commit is in them.
    pub fn resolve(&mut self, repository: &crate::git::Repository) -> Result<(), crate::git::GitError> {
        super::resolve(&mut self.condition, repository)
    }

    /// What it comes down to for a subject, and all that was looked at, in the order of the text.
    pub(crate) fn judge<S: Subject>(&self, subject: &S) -> (Verdict, Vec<Found<S::Origin>>) {
        let mut found = Vec::new();
        let verdict = judge(&self.condition, subject, &mut found);
        (verdict, found)
    }
}

fn judge<S: Subject>(condition: &Condition, subject: &S, found: &mut Vec<Found<S::Origin>>) -> Verdict {
    match condition {
        // All parts are looked at, so that all that is wrong is told at once.
        Condition::All(parts) => {
            let verdicts = parts.iter().map(|part| judge(part, subject, found));
            verdicts.min_by_key(|verdict| verdict.rank()).unwrap_or(Verdict::Holds)
        }
        Condition::Any(parts) => {
            let verdicts = parts.iter().map(|part| judge(part, subject, found));
            verdicts.max_by_key(|verdict| verdict.rank()).unwrap_or(Verdict::Fails)
        }
        Condition::Not(inner) => judge(inner, subject, found).not(),
        Condition::Null { field, negated } => {
            let value = subject.field(field);
            let is_null = value.value.as_ref().is_none_or(Value::is_null);
            found.push(value);
            Verdict::of(is_null != *negated)
        }
        Condition::Test { field, test } => {
            let mut value = subject.field(field);
            let verdict = match known(&mut value) {
                Some(known) => Verdict::of(test_holds(test, known)),
                None => Verdict::Unknown,
            };
            found.push(value);
            verdict
        }
        Condition::Asked(claim) => {
            let value = subject.claim(*claim);
            let verdict = match value.value {
                Some(Value::Truth(holds)) => Verdict::of(holds),
                _ => Verdict::Unknown,
            };
            found.push(value);
            verdict
        }
        Condition::Relative { field, operator, reference } => {
            let mut own = subject.field(field);
            let value = known(&mut own).and_then(number);
            found.push(own);
            let (bound, is_absent) = match subject.reference(&reference.alias, field) {
                Reference::There(mut other) => {
                    let bound = known(&mut other).and_then(number);
                    found.push(other);
                    (bound, false)
                }
                Reference::Absent(other) => {
                    found.push(other);
                    (None, true)
                }
            };
            match (value, bound) {
                (Some(value), Some(bound)) => Verdict::of(compare(value, *operator, reference.of(bound))),
                (Some(_), None) if is_absent => Verdict::Vacuous,
                _ => Verdict::Unknown,
            }
        }
    }
}

/// The value, unless there is none or it is no number although it should be one.
fn known<O>(found: &mut Found<O>) -> Option<&Value<'static>> {
    if matches!(found.value, Some(Value::Number(value)) if value.is_nan()) {
        found.reason.get_or_insert_with(|| format!("{} is not a number", found.what));
        return None;
    }
    found.value.as_ref()
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(value) => Some(*value),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn compare(number: f64, operator: Operator, bound: f64) -> bool {
    let is_near = (number - bound).abs() <= ROUNDING * number.abs().max(bound.abs());
    operator.holds(if is_near { Some(std::cmp::Ordering::Equal) } else { number.partial_cmp(&bound) })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    /// A version with `metrics.a` 0.97, `metrics.nan`, `tags.t` `x` and `dirty` false, which is verified and of which
    /// nobody knows whether it is signed; `alias.old` has `metrics.a` 0.975 and nothing else.
    struct Example;

    impl Subject for Example {
        type Origin = ();

        fn field(&self, field: &Field) -> Found<()> {
            let value = match field.to_string().as_str() {
                "metrics.a" => Some(Value::Number(0.97)),
                "metrics.nan" => Some(Value::Number(f64::NAN)),
                "tags.t" => Some(Value::Text(Cow::Borrowed("x"))),
                "dirty" => Some(Value::Truth(false)),
                "data.examples" => Some(Value::Number(100.0)),
                _ => None,
            };
            Found { what: field.to_string(), value, origin: (), reason: None }
        }

        fn reference(&self, alias: &str, field: &Field) -> Reference<()> {
            let value = (field.to_string() == "metrics.a").then_some(Value::Number(0.975));
            let found = Found { what: alias.to_owned(), value, origin: (), reason: None };
            if alias == "old" { Reference::There(found) } else { Reference::Absent(Found { value: None, ..found }) }
        }

        fn claim(&self, claim: Claim) -> Found<()> {
            let value = (claim == Claim::Verified).then_some(Value::Truth(true));
            Found { what: claim.as_str().to_owned(), value, origin: (), reason: None }
        }
    }

    fn verdict(text: &str) -> Verdict {
        Requirement::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).judge(&Example).0
    }

    #[test]
    fn what_is_known_is_compared() {
        for holds in [
            "metrics.a >= 0.97",
            "not dirty",
            "tags.t = 'x' and metrics.a < 1",
            "metrics.a >= 2 or tags.t = 'x'",
            "metrics.a >= alias.old - 0.005",
            "metrics.a >= alias.old -0.005",
            "metrics.a = alias.old - 0.005",
            "metrics.a >= alias.old * 0.99",
            "metrics.a < alias.old",
            "metrics.a <= alias.\"old\" + 0",
            "verified",
            "verified = true and not verified = false",
            "metrics.b is null",
            "data.examples > 99",
        ] {
            assert_eq!(verdict(holds), Verdict::Holds, "{holds}");
        }
        for fails in
            ["metrics.a > 0.97", "dirty", "metrics.a >= alias.old", "not verified", "metrics.a > alias.old / 0.5"]
        {
            assert_eq!(verdict(fails), Verdict::Fails, "{fails}");
        }
    }

    #[test]
    fn what_is_not_known_opens_no_gate_in_any_disguise() {
        for unknown in [
            "metrics.b > 0",
            "not metrics.b > 0",
            "metrics.nan > 0",
            "not metrics.nan > 0",
            "signed",
            "not signed",
            "signed = false",
            "metrics.b >= alias.old",
            "metrics.b >= alias.new",
            "verified and signed",
            "dirty or signed",
            "tags.none != 'x'",
        ] {
            assert_eq!(verdict(unknown), Verdict::Unknown, "{unknown}");
        }
        assert_eq!(verdict("verified or signed"), Verdict::Holds);
        assert_eq!(verdict("dirty and signed"), Verdict::Fails);
    }

    #[test]
    fn nothing_to_compare_with_is_no_obstacle() {
        for vacuous in
            ["metrics.a >= alias.new", "not metrics.a >= alias.new", "verified and metrics.a > alias.new + 1"]
        {
            assert_eq!(verdict(vacuous), Verdict::Vacuous, "{vacuous}");
        }
        assert_eq!(verdict("metrics.a >= alias.new and dirty"), Verdict::Fails);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let error = |text: &str| Requirement::parse(text).expect_err(text).to_string();
        assert_eq!(error(""), "the condition is empty at column 1");
        assert_eq!(error("metrics.a >= alias."), "`alias.` needs the name of an alias after the point at column 14");
        assert_eq!(error("metrics.a >= alias.old -"), "expected a number, found the end at column 25");
        assert_eq!(error("metrics.a >= alias.old / 0"), "expected a number, found `0` at column 26");
        assert_eq!(error("tags.t = alias.old"), "`tags.t` is not a number, as what an alias has must be at column 10");
        assert_eq!(error("verifed"), "there is no attribute `verifed`, did you mean `verified`, at column 1");
        assert_eq!(error("signed > 3"), "`signed` can only be compared with `=` and `!=` at column 8");
        // What only gates ask is no query over runs.
        assert!(super::super::Query::parse("verified").is_err());
        assert!(super::super::Query::parse("metrics.a >= alias.old").is_err());
        assert!(super::super::Query::parse("data.examples > 3").is_err());
        assert!(super::super::Query::parse_versions("data.examples > 3 and alias = production").is_ok());
    }
}
