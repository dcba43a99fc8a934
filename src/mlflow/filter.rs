//! MLflow's filters and orders: comparisons joined by AND, and names with a direction.
//!
//! Runs, experiments, models and versions are searched in this language; which names there are, and of what kind, is
//! up to what is searched.

use std::cmp::Ordering;

use super::error::ApiError;
use crate::query::is_like;

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Different,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Like,
    ILike,
    In,
    NotIn,
    IsNull,
    IsNotNull,
}

impl Operator {
    /// As a filter spells it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Different => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::Like => "LIKE",
            Self::ILike => "ILIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
        }
    }
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Text(String),
    Number(f64),
    List(Vec<String>),
    Nothing,
}

/// One comparison of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Comparison {
    /// What stands before the first point, in lower case; empty for an attribute without it.
    pub(super) group: String,
    /// What stands after it.
    pub(super) key: String,
    pub(super) operator: Operator,
    pub(super) operand: Operand,
}

/// One name of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) group: String,
    pub(super) key: String,
    pub(super) is_ascending: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    /// A word with its points; quoted parts are as they are.
    Name(String),
    Text(String),
    Number(f64),
    Sign(&'static str),
}

/// Reads a filter.
pub(super) fn parse(filter: &str) -> Result<Vec<Comparison>, ApiError> {
    let tokens = tokens(filter)?;
    let mut rest = tokens.as_slice();
    let mut comparisons = Vec::new();
    while !rest.is_empty() {
        if !comparisons.is_empty() {
            match rest {
                [Token::Name(word), more @ ..] if word.eq_ignore_ascii_case("and") && !more.is_empty() => rest = more,
                _ => return Err(invalid(filter)),
            }
        }
        let (comparison, more) = comparison(rest).ok_or_else(|| invalid(filter))?;
        comparisons.push(comparison);
        rest = more;
    }
    Ok(comparisons)
}

fn invalid(filter: &str) -> ApiError {
    ApiError::invalid(format!("Invalid clause(s) in filter string: '{filter}'"))
}

fn comparison(tokens: &[Token]) -> Option<(Comparison, &[Token])> {
    let [Token::Name(name), rest @ ..] = tokens else { return None };
    let (group, key) = split(name);
    let word = |at: usize| match rest.get(at) {
        Some(Token::Name(word)) => word.to_ascii_lowercase(),
        _ => String::new(),
    };
    let words = [word(0), word(1), word(2)];
    let words = words.each_ref().map(String::as_str);
    let (operator, used) = match (rest.first()?, words) {
        (Token::Sign("="), _) => (Operator::Equal, 1),
        (Token::Sign("!="), _) => (Operator::Different, 1),
        (Token::Sign("<"), _) => (Operator::Less, 1),
        (Token::Sign("<="), _) => (Operator::AtMost, 1),
        (Token::Sign(">"), _) => (Operator::Greater, 1),
        (Token::Sign(">="), _) => (Operator::AtLeast, 1),
        (_, ["like", ..]) => (Operator::Like, 1),
        (_, ["ilike", ..]) => (Operator::ILike, 1),
        (_, ["in", ..]) => (Operator::In, 1),
        (_, ["not", "in", _]) => (Operator::NotIn, 2),
        (_, ["is", "null", _]) => (Operator::IsNull, 2),
        (_, ["is", "not", "null"]) => (Operator::IsNotNull, 3),
        _ => return None,
    };
    let rest = &rest[used..];
    let (operand, rest) = match operator {
        Operator::IsNull | Operator::IsNotNull => (Operand::Nothing, rest),
        Operator::In | Operator::NotIn => list(rest)?,
        _ => match rest {
            [Token::Text(text), rest @ ..] => (Operand::Text(text.clone()), rest),
            [Token::Number(number), rest @ ..] => (Operand::Number(*number), rest),
            // In double quotes it looks like a name.
            [Token::Name(text), rest @ ..] if text.starts_with('"') => {
                (Operand::Text(text.trim_matches('"').to_owned()), rest)
            }
            _ => return None,
        },
    };
    Some((Comparison { group, key, operator, operand }, rest))
}

fn list(tokens: &[Token]) -> Option<(Operand, &[Token])> {
    let [Token::Sign("("), rest @ ..] = tokens else { return None };
    let mut rest = rest;
    let mut values = Vec::new();
    loop {
        let (value, more) = match rest {
            [Token::Text(text), more @ ..] => (text.clone(), more),
            [Token::Name(text), more @ ..] if text.starts_with('"') => (text.trim_matches('"').to_owned(), more),
            _ => return None,
        };
        values.push(value);
        match more {
            [Token::Sign(","), more @ ..] => rest = more,
            [Token::Sign(")"), more @ ..] => return Some((Operand::List(values), more)),
            _ => return None,
        }
    }
}

/// The group and the key of a name, without quotes.
fn split(name: &str) -> (String, String) {
    let bare = |key: &str| {
        let quoted = |quote: char| key.len() >= 2 && key.starts_with(quote) && key.ends_with(quote);
        if quoted('"') || quoted('`') { key[1..key.len() - 1].to_owned() } else { key.to_owned() }
    };
    match name.split_once('.') {
        Some((group, key)) if !group.starts_with(['"', '`']) => (group.to_ascii_lowercase(), bare(key)),
        _ => (String::new(), bare(name)),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, ApiError> {
    const SIGNS: [&str; 10] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ","];
    let unclosed =
        || ApiError::invalid(format!("Invalid clause(s) in filter string: '{text}' has a quote without an end"));
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(if *sign == "<>" { "!=" } else { sign }));
            rest = &rest[sign.len()..];
        } else if first == '\'' {
            let (value, more) = quoted(&rest[1..], '\'').ok_or_else(unclosed)?;
            tokens.push(Token::Text(value));
            rest = more;
        } else {
            let end = end_of_word(rest).ok_or_else(unclosed)?;
            let word = &rest[..end];
            let number = word
                .parse::<f64>()
                .ok()
                .filter(|_| word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)));
            tokens.push(number.map_or_else(|| Token::Name(word.to_owned()), Token::Number));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// What stands before the closing quote, which is written twice where it is meant, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest.find(quote)?;
        value.push_str(&rest[..end]);
        rest = &rest[end + quote.len_utf8()..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                value.push(quote);
                rest = more;
            }
            None => return Some((value, rest)),
        }
    }
}

/// Where a word ends, which may have quoted parts.
fn end_of_word(text: &str) -> Option<usize> {
    let mut open = None;
    for (at, c) in text.char_indices() {
        match open {
            Some(quote) if c == quote => open = None,
            Some(_) => {}
            None if c == '"' || c == '`' => open = Some(c),
            None if at > 0 && (c.is_whitespace() || "=!<>(),'".contains(c)) => return Some(at),
            None => {}
        }
    }
    open.is_none().then_some(text.len())
}

/// Reads an order: a name, and `ASC` or `DESC`.
pub(super) fn parse_order(text: &str) -> Result<Order, ApiError> {
    let invalid = || ApiError::invalid(format!("Invalid order_by clause '{text}'. Could not be parsed."));
    let trimmed = text.trim();
    let direction = trimmed.rsplit_once(char::is_whitespace).map(|(name, word)| (name, word.to_ascii_lowercase()));
    let (name, is_ascending) = match &direction {
        Some((name, word)) if word == "asc" => (name.trim(), true),
        Some((name, word)) if word == "desc" => (name.trim(), false),
        _ => (trimmed, true),
    };
    if name.is_empty() || end_of_word(name) != Some(name.len()) {
        return Err(invalid());
    }
    let (group, key) = split(name);
    Ok(Order { group, key, is_ascending })
}

impl Comparison {
    fn wrong_operator(&self) -> ApiError {
        ApiError::invalid(format!("Invalid comparator '{}' for '{}'", self.operator.as_str(), self.key))
    }

    /// Checks that this is a comparison of text.
    pub(super) fn check_text(&self, what: &str) -> Result<(), ApiError> {
        match (self.operator, &self.operand) {
            (Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast, _) => {
                Err(self.wrong_operator())
            }
            (_, Operand::Number(number)) => Err(ApiError::invalid(format!(
                "Expected a quoted string value for {what} (e.g. 'my-value'). Got value {number}"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks that this is a comparison of numbers.
    pub(super) fn check_number(&self, what: &str) -> Result<(), ApiError> {
        match (self.operator, &self.operand) {
            (Operator::Like | Operator::ILike | Operator::In | Operator::NotIn, _) => Err(self.wrong_operator()),
            (_, Operand::Text(text)) => {
                Err(ApiError::invalid(format!("Expected numeric value type for {what}. Found '{text}'")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is true of a text; of none, only that there is none.
    pub(super) fn holds_text(&self, text: Option<&str>) -> bool {
        let Some(text) = text else { return self.operator == Operator::IsNull };
        match (self.operator, &self.operand) {
            (Operator::Equal, Operand::Text(wanted)) => text == wanted,
            (Operator::Different, Operand::Text(wanted)) => text != wanted,
            (Operator::Like, Operand::Text(wanted)) => is_like(text, wanted, false),
            (Operator::ILike, Operand::Text(wanted)) => is_like(&text.to_lowercase(), &wanted.to_lowercase(), false),
            (Operator::In, Operand::List(list)) => list.iter().any(|wanted| wanted == text),
            (Operator::NotIn, Operand::List(list)) => !list.iter().any(|wanted| wanted == text),
            (Operator::IsNotNull, _) => true,
            _ => false,
        }
    }

    /// Whether it is true of a number; of none, only that there is none.
    pub(super) fn holds_number(&self, number: Option<f64>) -> bool {
        let Some(number) = number else { return self.operator == Operator::IsNull };
        let Operand::Number(wanted) = self.operand else { return self.operator == Operator::IsNotNull };
        let order = number.partial_cmp(&wanted);
        match self.operator {
            Operator::Equal => order == Some(Ordering::Equal),
            Operator::Different => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Operator::Greater => order == Some(Ordering::Greater),
            Operator::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(filter: &str) -> Comparison {
        let mut found = parse(filter).unwrap();
        assert_eq!(found.len(), 1, "{filter}");
        found.remove(0)
    }

    #[test]
    fn names_may_be_quoted_and_have_points() {
        for (filter, group, key) in [
            ("metrics.loss < 1", "metrics", "loss"),
            ("tags.mlflow.runName = 'x'", "tags", "mlflow.runName"),
            ("tag.`a b` = 'x'", "tag", "a b"),
            ("params.\"a.b c\"='x'", "params", "a.b c"),
            ("status = 'RUNNING'", "", "status"),
            ("METRICS.`x=1` >= -2.5e3", "metrics", "x=1"),
        ] {
            let comparison = only(filter);
            assert_eq!((comparison.group.as_str(), comparison.key.as_str()), (group, key), "{filter}");
        }
    }

    #[test]
    fn values_are_text_numbers_and_lists() {
        assert_eq!(only("a = 'it''s'").operand, Operand::Text("it's".to_owned()));
        assert_eq!(only("a = \"x y\"").operand, Operand::Text("x y".to_owned()));
        assert_eq!(only("a > -.5").operand, Operand::Number(-0.5));
        assert_eq!(only("run_id IN ('a', 'b')").operand, Operand::List(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(only("tags.x IS NOT NULL").operator, Operator::IsNotNull);
        assert_eq!(parse("a = '1' AND b != '2' and c LIKE '%x'").unwrap().len(), 3);
        assert_eq!(parse("  ").unwrap(), []);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            "a",
            "a =",
            "a = b",
            "a = '1' or b = '2'",
            "a = '1' and",
            "and",
            "a = 'x",
            "a IN ()",
            "(a = 1)",
            "a IN ('x'",
        ] {
            assert!(parse(filter).is_err(), "{filter}");
        }
    }

    #[test]
    fn comparisons_are_those_of_sql() {
        let holds = |filter: &str, text: Option<&str>| only(filter).holds_text(text);
        assert!(holds("a LIKE 'x%_z'", Some("xyyz")) && !holds("a LIKE 'X%'", Some("xyz")));
        assert!(holds("a ILIKE 'X%'", Some("xyz")) && !holds("a != 'x'", None) && holds("a IS NULL", None));
        let number = |filter: &str, value| only(filter).holds_number(Some(value));
        assert!(number("m != 1", f64::NAN) && !number("m > 1", f64::NAN) && number("m <= 1", 1.0));
    }

    #[test]
    fn an_order_is_a_name_and_a_direction() {
        let order = |text: &str| parse_order(text).map(|order| (order.group, order.key, order.is_ascending));
        assert_eq!(order("metrics.`a b` DESC"), Ok(("metrics".to_owned(), "a b".to_owned(), false)));
        assert_eq!(order("start_time"), Ok((String::new(), "start_time".to_owned(), true)));
        assert!(order("a b").is_err() && order("").is_err() && order("desc").is_ok());
    }
}
