//! The grammar: `or` binds weaker than `and`, `and` weaker than `not`.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::QueryError;
use super::fact::Fact;
use super::field::{Aspect, Attribute, Field, FieldKind};
use super::lex::{Kind, Token, tokens};
use super::nearest::{nearest, shown as shown_word};
use super::time;

/// How deep parentheses and `not` may be nested.
const MAX_DEPTH: usize = 100;
/// The words for a run's status.
const STATUSES: [&str; 5] = ["running", "finished", "failed", "crashed", "killed"];

/// A query as a tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Null {
        field: Field,
        negated: bool,
    },
    Test {
        field: Field,
        test: Test,
    },
    /// `verified`, in gates.
    Asked(Claim),
    /// `metrics.x >= alias.production - 0.005`, in gates.
    Relative {
        field: Field,
        operator: Operator,
        reference: Reference,
    },
}

/// What somebody else has to say of a version, in a word of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// All of it is as it was registered.
    Verified,
    /// Somebody who is trusted signed it.
    Signed,
}

impl Claim {
    const ALL: [Self; 2] = [Self::Verified, Self::Signed];

    /// The word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Signed => "signed",
        }
    }
}

/// The same field of the version that an alias points to, changed by a constant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference {
    /// `production`, or `digits@production`.
    pub(super) alias: String,
    pub(super) change: Option<(Arithmetic, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Plus,
    Minus,
    Times,
    Over,
}

impl Reference {
    /// The number that something is compared with, given the field's value.
    pub(super) fn of(&self, value: f64) -> f64 {
        match self.change {
            None => value,
            Some((Arithmetic::Plus, by)) => value + by,
            Some((Arithmetic::Minus, by)) => value - by,
            Some((Arithmetic::Times, by)) => value * by,
            Some((Arithmetic::Over, by)) => value / by,
        }
    }
}

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// What runs have.
    Runs,
    /// What versions have too.
    Versions,
    /// That, and what only gates ask.
    Gates,
}

/// What a field's value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Number(Operator, f64),
    Text(Operator, String),
    Moment(Operator, Timestamp),
    Truth(bool),
    Prefix {
        wanted: String,
        negated: bool,
    },
    Prefixes {
        values: Vec<String>,
        negated: bool,
    },
    /// A range of commits, and which those are once it is resolved.
    Range {
        range: String,
        commits: Arc<HashSet<String>>,
        negated: bool,
    },
    Like {
        pattern: String,
        ignore_case: bool,
        negated: bool,
    },
    In {
        values: Vec<String>,
        negated: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Different,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Operator {
    fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" | "==" => Self::Equal,
            "!=" | "<>" => Self::Different,
            "<" => Self::Less,
            "<=" => Self::AtMost,
            ">" => Self::Greater,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }

    pub(super) fn is_equality(self) -> bool {
        matches!(self, Self::Equal | Self::Different)
    }
}

/// Parses a whole query over runs.
pub(super) fn parse(text: &str, now: Timestamp) -> Result<Condition, QueryError> {
    parse_by(text, now, Rules::Runs)
}

/// Parses a whole query over versions of the registry.
pub(super) fn parse_versions(text: &str, now: Timestamp) -> Result<Condition, QueryError> {
    parse_by(text, now, Rules::Versions)
}

/// Parses the condition of a gate.
pub(super) fn parse_gate(text: &str, now: Timestamp) -> Result<Condition, QueryError> {
    parse_by(text, now, Rules::Gates)
}

fn parse_by(text: &str, now: Timestamp, rules: Rules) -> Result<Condition, QueryError> {
    let mut parser = Parser::new(text, now, rules)?;
    if parser.tokens.is_empty() {
        return Ok(Condition::All(Vec::new()));
    }
    let condition = parser.any(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(parser.fail(token.column, unexpected("`and` or `or`", Some(token), &["and", "or"]))),
    }
}

/// Parses `metrics.loss`, `metrics.loss desc` or `metrics.loss asc`; the second value says whether it is `desc`.
pub(super) fn parse_sort_key(text: &str) -> Result<(Field, Option<bool>), QueryError> {
    let mut parser = Parser::new(text, Timestamp::UNIX_EPOCH, Rules::Runs)?;
    let field = parser.field()?;
    let direction = if parser.word("desc") {
        Some(true)
    } else if parser.word("asc") {
        Some(false)
    } else {
        None
    };
    match parser.peek() {
        None => Ok((field, direction)),
        Some(token) => Err(parser.fail(token.column, unexpected("`asc` or `desc`", Some(token), &["asc", "desc"]))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    /// The column after the last character.
    end: usize,
    now: Timestamp,
    rules: Rules,
}

impl Parser {
    fn new(text: &str, now: Timestamp, rules: Rules) -> Result<Self, QueryError> {
        Ok(Self { tokens: tokens(text)?, at: 0, end: text.chars().count() + 1, now, rules })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn column(&self) -> usize {
        self.peek().map_or(self.end, |token| token.column)
    }

    fn fail(&self, column: usize, problem: impl Into<String>) -> QueryError {
        QueryError { problem: problem.into(), column }
    }

    /// An error at the next token, which is not what was expected.
    fn expected(&self, what: &str) -> QueryError {
        self.expected_one_of(what, &[])
    }

    /// The same, where some words would be right.
    fn expected_one_of(&self, what: &str, words: &[&str]) -> QueryError {
        self.fail(self.column(), unexpected(what, self.peek(), words))
    }

    /// Takes the next token if it is this word, whatever its case.
    fn word(&mut self, wanted: &str) -> bool {
        let fits = self.is_word(0, wanted);
        self.at += usize::from(fits);
        fits
    }

    fn is_word(&self, ahead: usize, wanted: &str) -> bool {
        let token = self.tokens.get(self.at + ahead);
        matches!(token, Some(Token { kind: Kind::Word(word, None), .. }) if word.eq_ignore_ascii_case(wanted))
    }

    /// Takes the next token if it is this sign.
    fn sign(&mut self, wanted: &str) -> bool {
        let fits = matches!(self.peek(), Some(Token { kind: Kind::Sign(sign), .. }) if *sign == wanted);
        self.at += usize::from(fits);
        fits
    }

    fn any(&mut self, depth: usize) -> Result<Condition, QueryError> {
        let first = self.all(depth)?;
        let mut parts = vec![first];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Condition, QueryError> {
        let first = self.one(depth)?;
        let mut parts = vec![first];
        while self.word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self, depth: usize) -> Result<Condition, QueryError> {
        if depth > MAX_DEPTH {
            return Err(self.fail(self.column(), "the query is nested too deeply"));
        }
        if self.word("not") {
            return Ok(Condition::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.sign("(") {
            let inner = self.any(depth + 1)?;
            return if self.sign(")") { Ok(inner) } else { Err(self.expected("`)`")) };
        }
        self.comparison()
    }

    fn field(&mut self) -> Result<Field, QueryError> {
        let Some(Token { kind: Kind::Word(word, quoted), column }) = self.peek() else {
            return Err(self.expected("metrics.…, params.…, tags.… or an attribute"));
        };
        let is_call = matches!(self.tokens.get(self.at + 1), Some(Token { kind: Kind::Sign("("), .. }));
        if let Some(aspect) = Aspect::named(word).filter(|_| is_call && quoted.is_none()) {
            return self.aspect(aspect);
        }
        let fact = match self.rules {
            Rules::Runs => None,
            Rules::Versions | Rules::Gates => Fact::named(word, quoted.as_deref()),
        };
        let field = match fact {
            Some(fact) => Ok(Field::Fact(fact)),
            None => Field::named(word, quoted.as_deref()).map_err(|problem| self.near_claim(word).unwrap_or(problem)),
        };
        let field = field.map_err(|problem| self.fail(*column, problem))?;
        self.at += 1;
        Ok(field)
    }

    /// What to say of a word that looks like one of those that only gates have.
    fn near_claim(&self, word: &str) -> Option<String> {
        let near = nearest(word, &Claim::ALL.map(Claim::as_str)).filter(|_| self.rules == Rules::Gates)?;
        Some(format!("there is no attribute `{}`, did you mean `{near}`,", shown_word(word)))
    }

    /// `verified`, or `verified = true`.
    fn claim(&mut self) -> Result<Option<Condition>, QueryError> {
        if self.rules != Rules::Gates {
            return Ok(None);
        }
        let Some(claim) = Claim::ALL.into_iter().find(|claim| self.is_word(0, claim.as_str())) else { return Ok(None) };
        self.at += 1;
        let column = self.column();
        let Some(operator) = self.operator() else { return Ok(Some(Condition::Asked(claim))) };
        if !operator.is_equality() {
            let problem = format!("`{}` can only be compared with `=` and `!=`", claim.as_str());
            return Err(self.fail(column, problem));
        }
        let is_wanted = self.truth(claim.as_str())? == (operator == Operator::Equal);
        let asked = Condition::Asked(claim);
        Ok(Some(if is_wanted { asked } else { Condition::Not(Box::new(asked)) }))
    }

    /// `alias.production - 0.005`, where a gate has that in place of a number.
    fn reference(&mut self) -> Result<Option<Reference>, QueryError> {
        let alias = match self.peek() {
            Some(Token { kind: Kind::Word(word, quoted), .. }) if self.rules == Rules::Gates => {
                let beginning = word.get(..6).filter(|beginning| beginning.eq_ignore_ascii_case("alias."));
                beginning.map(|_| format!("{}{}", &word[6..], quoted.as_deref().unwrap_or_default()))
            }
            _ => None,
        };
        let Some(alias) = alias else { return Ok(None) };
        if alias.is_empty() {
            return Err(self.fail(self.column(), "`alias.` needs the name of an alias after the point"));
        }
        self.at += 1;
        Ok(Some(Reference { alias, change: self.change()? }))
    }

    /// A sign and a number, also where they stand together.
    fn change(&mut self) -> Result<Option<(Arithmetic, f64)>, QueryError> {
        let sign = match self.peek() {
            Some(Token { kind: Kind::Quantity(text), .. }) if text.starts_with(['+', '-']) => {
                match text.parse::<f64>() {
                    Ok(number) if number.is_finite() => {
                        self.at += 1;
                        return Ok(Some((Arithmetic::Plus, number)));
                    }
                    _ => return Err(self.expected("a number")),
                }
            }
            Some(Token { kind: Kind::Sign("+"), .. }) => Arithmetic::Plus,
            Some(Token { kind: Kind::Sign("-"), .. }) => Arithmetic::Minus,
            Some(Token { kind: Kind::Sign("*"), .. }) => Arithmetic::Times,
            Some(Token { kind: Kind::Sign("/"), .. }) => Arithmetic::Over,
            _ => return Ok(None),
        };
        self.at += 1;
        let number = match self.peek() {
            Some(Token { kind: Kind::Quantity(text), .. }) => text.parse::<f64>().ok(),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite() && (sign != Arithmetic::Over || *number != 0.0));
        let number = number.ok_or_else(|| self.expected("a number"))?;
        self.at += 1;
        Ok(Some((sign, number)))
    }

    /// `max(metrics.x)`, from the word on.
    fn aspect(&mut self, aspect: Aspect) -> Result<Field, QueryError> {
        self.at += 2;
        let column = self.column();
        let Some(Token { kind: Kind::Word(word, quoted), .. }) = self.peek() else {
            return Err(self.expected("a metric, as metrics.…"));
        };
        let field = match Field::named(word, quoted.as_deref()) {
            Ok(Field::Metric(key, _)) => Field::Metric(key, aspect),
            Ok(other) => return Err(self.fail(column, format!("`{other}` is not a metric"))),
            Err(problem) => return Err(self.fail(column, problem)),
        };
        self.at += 1;
        if self.sign(")") { Ok(field) } else { Err(self.expected("`)`")) }
    }

    fn comparison(&mut self) -> Result<Condition, QueryError> {
        if let Some(claim) = self.claim()? {
            return Ok(claim);
        }
        let field = self.field()?;
        let column = self.column();
        if self.word("is") {
            let negated = self.word("not");
            return match self.word("null") {
                true => Ok(Condition::Null { field, negated }),
                false => Err(self.expected_one_of("`null`", &["null"])),
            };
        }
        let negated = self.is_word(0, "not") && ["in", "like", "ilike"].iter().any(|word| self.is_word(1, word));
        self.at += usize::from(negated);
        let ignore_case = self.is_word(0, "ilike");
        let test = if self.word("in") {
            self.list(&field, negated)?
        } else if self.word("like") || self.word("ilike") {
            if !field.kind().is_text() {
                return Err(self.fail(column, format!("`{field}` is not text, so `like` cannot be used")));
            }
            let pattern = self.text(&field)?;
            Test::Like { pattern, ignore_case, negated }
        } else if let Some(operator) = self.operator() {
            let place = self.column();
            if let Some(reference) = self.reference()? {
                return match field.kind() {
                    FieldKind::Number | FieldKind::Seconds => Ok(Condition::Relative { field, operator, reference }),
                    _ => Err(self.fail(place, format!("`{field}` is not a number, as what an alias has must be"))),
                };
            }
            self.value(&field, operator, column)?
        } else if field.kind() == FieldKind::Truth {
            Test::Truth(true)
        } else {
            return Err(self.expected_one_of("an operator", &["like", "ilike", "in", "not", "is"]));
        };
        Ok(match field.kind() {
            FieldKind::Artifacts => test.of_artifacts(field),
            _ => Condition::Test { field, test },
        })
    }

    fn operator(&mut self) -> Option<Operator> {
        let Some(Token { kind: Kind::Sign(sign), .. }) = self.peek() else { return None };
        let operator = Operator::of(sign)?;
        self.at += 1;
        Some(operator)
    }

    fn value(&mut self, field: &Field, operator: Operator, column: usize) -> Result<Test, QueryError> {
        let only_equality = || match operator.is_equality() {
            true => Ok(()),
            false => Err(self.fail(column, format!("`{field}` can only be compared with `=` and `!=`"))),
        };
        Ok(match field.kind() {
            FieldKind::Number => Test::Number(operator, self.number(field)?),
            FieldKind::Seconds => Test::Number(operator, self.seconds(field)?),
            FieldKind::Moment => Test::Moment(operator, self.moment(field)?),
            FieldKind::Truth => {
                only_equality()?;
                Test::Truth(self.truth(&field.to_string())? == (operator == Operator::Equal))
            }
            FieldKind::Status => {
                only_equality()?;
                let words = self.status()?;
                Test::In { values: words, negated: operator == Operator::Different }
            }
            FieldKind::Artifacts | FieldKind::Texts => {
                only_equality()?;
                Test::Text(operator, self.text(field)?)
            }
            FieldKind::Hash | FieldKind::Commit => {
                only_equality()?;
                Test::Prefix { wanted: self.text(field)?.to_lowercase(), negated: operator == Operator::Different }
            }
            FieldKind::Text => match self.peek() {
                Some(Token { kind: Kind::Quantity(text), .. }) => match text.parse::<f64>() {
                    // `params.lr = 0.1` means the number, however it was written.
                    Ok(number) => {
                        self.at += 1;
                        Test::Number(operator, number)
                    }
                    Err(_) => Test::Text(operator, self.text(field)?),
                },
                _ => Test::Text(operator, self.text(field)?),
            },
        })
    }

    fn number(&mut self, field: &Field) -> Result<f64, QueryError> {
        let number = match self.peek() {
            Some(Token { kind: Kind::Quantity(text) | Kind::Text(text), .. }) => text.trim().parse::<f64>().ok(),
            _ => None,
        };
        match number.filter(|number| !number.is_nan()) {
            Some(number) => {
                self.at += 1;
                Ok(number)
            }
            None => Err(self.expected(&format!("a number, which `{field}` is"))),
        }
    }

    /// `90`, `1h30m`, `'1h'`, `2 hours`.
    fn seconds(&mut self, field: &Field) -> Result<f64, QueryError> {
        let length = match self.peek() {
            Some(Token { kind: Kind::Quantity(text) | Kind::Text(text), .. }) => self.length(text),
            _ => None,
        };
        let Some((seconds, tokens)) = length else {
            return Err(self.expected(&format!("a length of time such as `90s` or `2 hours`, which `{field}` is")));
        };
        self.at += tokens;
        Ok(seconds)
    }

    /// The length that `text` and perhaps the word after it make, and how many tokens that are.
    fn length(&self, text: &str) -> Option<(f64, usize)> {
        let next = match self.tokens.get(self.at + 1) {
            Some(Token { kind: Kind::Word(word, None), .. }) => Some(word),
            _ => None,
        };
        let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0);
        match (number, next.and_then(|word| time::unit(word))) {
            (Some(number), Some(unit)) => Some((number * unit, 2)),
            _ => Some((time::seconds(text)?, 1)),
        }
    }

    /// `'2026-11-01'`, `2026-11-01T10:00:00Z`, `2 days ago`, `yesterday`.
    fn moment(&mut self, field: &Field) -> Result<Timestamp, QueryError> {
        let found = match self.peek() {
            Some(Token { kind: Kind::Quantity(text), .. }) => {
                let length = self.length(text).filter(|(_, tokens)| self.is_word(*tokens, "ago"));
                match length {
                    Some((seconds, tokens)) => time::before(self.now, seconds).map(|time| (time, tokens + 1)),
                    None => time::moment(text, self.now).map(|time| (time, 1)),
                }
            }
            Some(Token { kind: Kind::Text(text) | Kind::Word(text, None), .. }) => {
                time::moment(text, self.now).map(|time| (time, 1))
            }
            _ => None,
        };
        let Some((time, tokens)) = found else {
            return Err(self.expected(&format!("a time such as '2026-11-01' or `2 days ago`, which `{field}` is")));
        };
        self.at += tokens;
        Ok(time)
    }

    fn truth(&mut self, field: &str) -> Result<bool, QueryError> {
        let truth = match self.peek() {
            Some(Token { kind: Kind::Word(text, None) | Kind::Text(text) | Kind::Quantity(text), .. }) => {
                match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "1" => Some(true),
                    "false" | "no" | "0" => Some(false),
                    _ => None,
                }
            }
            _ => None,
        };
        let truth = truth.ok_or_else(|| self.expected(&format!("`true` or `false`, which `{field}` is")))?;
        self.at += 1;
        Ok(truth)
    }

    /// Text in quotes; where no other word can follow, also without.
    fn text(&mut self, field: &Field) -> Result<String, QueryError> {
        let kind = field.kind();
        let text = match self.peek() {
            Some(Token { kind: Kind::Text(text), .. }) => Some(text.clone()),
            Some(Token { kind: Kind::Quantity(text), .. }) => Some(text.clone()),
            Some(Token { kind: Kind::Word(text, None), .. }) if kind != FieldKind::Text => Some(text.clone()),
            _ => None,
        };
        let text = text.ok_or_else(|| self.expected("text in quotes"))?;
        self.at += 1;
        Ok(if kind == FieldKind::Status { text.to_lowercase() } else { text })
    }

    /// A word for a status; those that it stands for.
    fn status(&mut self) -> Result<Vec<String>, QueryError> {
        let column = self.column();
        let is_mlflows = match self.peek() {
            Some(Token { kind: Kind::Text(text) | Kind::Word(text, None), .. }) => {
                text.chars().all(|c| c.is_ascii_uppercase())
            }
            _ => false,
        };
        let word = self.text(&Field::Attribute(Attribute::Status))?;
        // MLflow, which writes its words in capitals, knows no crash, and runs that wait.
        match word.as_str() {
            "failed" if is_mlflows => return Ok(vec![word, "crashed".to_owned()]),
            "scheduled" => return Ok(vec![word]),
            _ => {}
        }
        if STATUSES.contains(&word.as_str()) {
            return Ok(vec![word]);
        }
        let shown = shown_word(&word);
        let problem = match nearest(&word, &STATUSES) {
            Some(near) => format!("there is no status `{shown}`, did you mean `{near}`,"),
            None => format!("there is no status `{shown}` (there are {})", STATUSES.join(", ")),
        };
        Err(self.fail(column, problem))
    }

    fn list(&mut self, field: &Field, negated: bool) -> Result<Test, QueryError> {
        let kind = field.kind();
        if !kind.is_text() {
            return Err(self.fail(self.column(), format!("`{field}` is not text, so `in` cannot be used")));
        }
        if !self.sign("(") {
            return if kind == FieldKind::Commit { self.range(negated) } else { Err(self.expected("`(`")) };
        }
        let mut values = Vec::new();
        loop {
            match kind {
                FieldKind::Status => values.extend(self.status()?),
                FieldKind::Hash | FieldKind::Commit => values.push(self.text(field)?.to_lowercase()),
                _ => values.push(self.text(field)?),
            }
            if !self.sign(",") {
                break;
            }
        }
        if !self.sign(")") {
            return Err(self.expected("`,` or `)`"));
        }
        Ok(match kind {
            FieldKind::Hash | FieldKind::Commit => Test::Prefixes { values, negated },
            _ => Test::In { values, negated },
        })
    }

    /// `main..HEAD`, which means what it means to git.
    fn range(&mut self, negated: bool) -> Result<Test, QueryError> {
        let range = match self.peek() {
            Some(Token { kind: Kind::Text(text) | Kind::Word(text, None) | Kind::Quantity(text), .. }) => text.clone(),
            _ => return Err(self.expected("commits such as main..HEAD, or `(` and some ids")),
        };
        self.at += 1;
        Ok(Test::Range { range, commits: Arc::default(), negated })
    }
}

impl FieldKind {
    /// Whether its values can be compared with patterns and lists.
    fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Hash | Self::Commit | Self::Status | Self::Artifacts | Self::Texts)
    }
}

impl Test {
    /// The test of a run's artifacts, which say something also where there are none: a run without inputs did not read
    /// `data/x`.
    fn of_artifacts(self, field: Field) -> Condition {
        let (test, negated) = match self {
            Self::Text(Operator::Different, wanted) => (Self::Text(Operator::Equal, wanted), true),
            Self::In { values, negated } => (Self::In { values, negated: false }, negated),
            Self::Like { pattern, ignore_case, negated } => {
                (Self::Like { pattern, ignore_case, negated: false }, negated)
            }
            test => (test, false),
        };
        let condition = Condition::Test { field, test };
        if negated { Condition::Not(Box::new(condition)) } else { condition }
    }
}

/// What an error says of a token that is not what was expected.
fn unexpected(what: &str, token: Option<&Token>, words: &[&str]) -> String {
    let found = token.map_or("the end".to_owned(), shown);
    let word = match token {
        Some(Token { kind: Kind::Word(word, None), .. }) => word,
        _ => return format!("expected {what}, found {found}"),
    };
    match nearest(word, words) {
        Some(near) => format!("expected {what}, found {found}, did you mean `{near}`,"),
        None => format!("expected {what}, found {found}"),
    }
}

/// A token as an error names it.
fn shown(token: &Token) -> String {
    let short = |text: &str| text.escape_debug().take(40).collect::<String>();
    match &token.kind {
        Kind::Word(word, None) | Kind::Quantity(word) => format!("`{}`", short(word)),
        Kind::Word(word, Some(key)) => format!("`{}\"{}\"`", short(word), short(key)),
        Kind::Text(text) => format!("'{}'", short(text)),
        Kind::Sign(sign) => format!("`{sign}`"),
    }
}
