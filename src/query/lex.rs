//! Words, numbers, strings and signs of a query.

use super::QueryError;

/// Bytes that a query may have.
const MAX_QUERY: usize = 64 << 10;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A keyword or an identifier, as written: `and`, `metrics.loss`. After a point it may have a quoted part, which is
    /// the key: `metrics."a b"`.
    Word(String, Option<String>),
    /// What begins like a number: `0.9`, `1h`, `2026-11-01`.
    Quantity(String),
    /// Text in quotes, without them.
    Text(String),
    /// An operator, a parenthesis or a comma.
    Sign(&'static str),
}

/// A token with the column it begins at.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) column: usize,
}

/// Longer signs before their beginnings.
const SIGNS: [&str; 15] = ["!=", "<>", ">=", "<=", "==", "=", ">", "<", "(", ")", ",", "+", "-", "*", "/"];

/// Cuts a query into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    if text.len() > MAX_QUERY {
        return Err(QueryError { problem: "the query is too long".to_owned(), column: 1 });
    }
    let characters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { characters: &characters, at: 0 };
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        let token = if begins_range(&tokens) { lexer.range()? } else { lexer.next()? };
        let Some(token) = token else { return Ok(tokens) };
        tokens.push(token);
    }
}

/// Whether a range of commits may follow, which git writes with signs that mean nothing here: `HEAD~5..v1^{}`.
fn begins_range(before: &[Token]) -> bool {
    let is = |token: &Token, names: &[&str]| match &token.kind {
        Kind::Word(word, None) => names.iter().any(|name| name.eq_ignore_ascii_case(word)),
        _ => false,
    };
    const FIELDS: [&str; 4] = ["commit", "snapshot", "attributes.commit", "attributes.snapshot"];
    match before {
        [.., field, not, last] if is(last, &["in"]) && is(not, &["not"]) => is(field, &FIELDS),
        [.., field, last] if is(last, &["in"]) => is(field, &FIELDS),
        _ => false,
    }
}

struct Lexer<'c> {
    characters: &'c [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn skip_space(&mut self) {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// What stands up to the next space or parenthesis; a list or text in quotes as anywhere else.
    fn range(&mut self) -> Result<Option<Token>, QueryError> {
        self.skip_space();
        if self.peek(0).is_none_or(|c| "('\"`),".contains(c)) {
            return self.next();
        }
        let column = self.at + 1;
        let text = self.take_while(|c| !c.is_whitespace() && c != ')');
        Ok(Some(Token { kind: Kind::Word(text, None), column }))
    }

    fn next(&mut self) -> Result<Option<Token>, QueryError> {
        self.skip_space();
        let column = self.at + 1;
        let Some(first) = self.peek(0) else { return Ok(None) };
        let kind = match first {
            '\'' | '"' => Kind::Text(self.quoted(first)?),
            '`' => Kind::Word(self.quoted(first)?, None),
            _ if self.begins_quantity() => {
                Kind::Quantity(self.take_while(|c| c.is_alphanumeric() || "._:+-".contains(c)))
            }
            _ if first.is_alphabetic() || first == '_' => {
                let word = self.take_while(|c| c.is_alphanumeric() || "._/:@-".contains(c));
                match self.peek(0) {
                    Some(quote @ ('"' | '`')) if word.ends_with('.') => Kind::Word(word, Some(self.quoted(quote)?)),
                    _ => Kind::Word(word, None),
                }
            }
            _ => Kind::Sign(self.sign(first)?),
        };
        Ok(Some(Token { kind, column }))
    }

    fn begins_quantity(&self) -> bool {
        let digit = |ahead| self.peek(ahead).is_some_and(|c| c.is_ascii_digit());
        match self.peek(0) {
            Some('-' | '+') => digit(1) || self.peek(1) == Some('.') && digit(2),
            Some('.') => digit(1),
            _ => digit(0),
        }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let start = self.at;
        self.at += 1;
        while self.peek(0).is_some_and(&fits) {
            self.at += 1;
        }
        self.characters[start..self.at].iter().collect()
    }

    /// Text up to the closing quote, which stands for itself where it is doubled.
    fn quoted(&mut self, quote: char) -> Result<String, QueryError> {
        let column = self.at + 1;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek(0) {
                None => {
                    let problem = format!("the {quote} is never closed, opened");
                    return Err(QueryError { problem, column });
                }
                Some(c) if c == quote && self.peek(1) == Some(quote) => {
                    text.push(quote);
                    self.at += 2;
                }
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
    }

    fn sign(&mut self, first: char) -> Result<&'static str, QueryError> {
        let fits = |sign: &&str| sign.chars().enumerate().all(|(ahead, c)| self.peek(ahead) == Some(c));
        match SIGNS.into_iter().find(fits) {
            Some(sign) => {
                self.at += sign.len();
                Ok(sign)
            }
            None => {
                let problem = format!("unexpected `{}`", first.escape_debug());
                Err(QueryError { problem, column: self.at + 1 })
            }
        }
    }
}
