//! Reading a GraphQL query: its fields, with fragments put in their places.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How deep anything in a query may be nested.
const MAX_NESTING: usize = 40;
/// Fields that a query may have with all its fragments put in.
const MAX_FIELDS: usize = 10_000;

/// A field that is asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Field {
    pub(super) alias: Option<String>,
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
    pub(super) fields: Vec<Field>,
}

impl Field {
    /// The name under which the answer has it.
    pub(super) fn shown_name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// What stands between two braces.
#[derive(Debug, Clone)]
enum Selection {
    Field(Field, Vec<Selection>),
    Fragment(String),
    Inline(Vec<Selection>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(f64, String),
    Sign(char),
    Spread,
}

/// Reads a query, and gives the fields of the operation that is meant.
pub(super) fn parse(text: &str, operation: &str, variables: &Map<String, Value>) -> Result<Vec<Field>, String> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, variables, defaults: Map::new() };
    let mut operations: Vec<(String, Vec<Selection>)> = Vec::new();
    let mut fragments = BTreeMap::new();
    while reader.at < reader.tokens.len() {
        if reader.tokens[reader.at] == Token::Sign('{') {
            operations.push((String::new(), reader.selections(0)?));
            continue;
        }
        match reader.name()?.as_str() {
            "query" | "mutation" => {
                let name = if matches!(reader.peek(), Some(Token::Name(_))) { reader.name()? } else { String::new() };
                reader.variable_definitions()?;
                reader.directives()?;
                operations.push((name, reader.selections(0)?));
            }
            "fragment" => {
                let name = reader.name()?;
                // `on TYPE`
                reader.name()?;
                reader.name()?;
                reader.directives()?;
                let selections = reader.selections(0)?;
                fragments.insert(name, selections);
            }
            other => return Err(format!("Syntax Error: Unexpected Name '{other}'.")),
        }
    }
    let wanted = operations.iter().find(|(name, _)| operation.is_empty() || name == operation);
    let (_, selections) = wanted.ok_or_else(|| format!("Unknown operation named '{operation}'."))?;
    let mut count = 0;
    expand(selections, &fragments, 0, &mut count)
}

/// The fields of selections, with those of fragments in their places.
fn expand(
    selections: &[Selection],
    fragments: &BTreeMap<String, Vec<Selection>>,
    depth: usize,
    count: &mut usize,
) -> Result<Vec<Field>, String> {
    if depth > MAX_NESTING {
        return Err("Query exceeds maximum depth of 10".to_owned());
    }
    let mut fields = Vec::new();
    for selection in selections {
        *count += 1;
        if *count > MAX_FIELDS {
            return Err("Query exceeds maximum total selections of 1000".to_owned());
        }
        match selection {
            Selection::Field(field, inner) => {
                let inner = expand(inner, fragments, depth + 1, count)?;
                fields.push(Field { fields: inner, ..field.clone() });
            }
            Selection::Inline(inner) => fields.extend(expand(inner, fragments, depth + 1, count)?),
            Selection::Fragment(name) => {
                let inner = fragments.get(name).ok_or_else(|| format!("Unknown fragment '{name}'."))?;
                fields.extend(expand(inner, fragments, depth + 1, count)?);
            }
        }
    }
    Ok(fields)
}

struct Reader<'q> {
    tokens: Vec<Token>,
    at: usize,
    variables: &'q Map<String, Value>,
    /// The values of variables that are not given.
    defaults: Map<String, Value>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token.ok_or_else(|| "Syntax Error: Unexpected <EOF>.".to_owned())
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Name(name) => Ok(name),
            other => Err(format!("Syntax Error: Expected Name, found {other:?}.")),
        }
    }

    fn takes(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("Syntax Error: Expected '{sign}'.")) }
    }

    fn variable_definitions(&mut self) -> Result<(), String> {
        if !self.takes('(') {
            return Ok(());
        }
        while !self.takes(')') {
            self.expect('$')?;
            let name = self.name()?;
            self.expect(':')?;
            while self.takes('[') {}
            self.name()?;
            while self.takes('!') || self.takes(']') {}
            if self.takes('=') {
                let value = self.value(0)?;
                self.defaults.insert(name, value);
            }
        }
        Ok(())
    }

    fn directives(&mut self) -> Result<(), String> {
        while self.takes('@') {
            self.name()?;
            self.arguments()?;
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<Map<String, Value>, String> {
        let mut arguments = Map::new();
        if self.takes('(') {
            while !self.takes(')') {
                let name = self.name()?;
                self.expect(':')?;
                let value = self.value(0)?;
                arguments.insert(name, value);
            }
        }
        Ok(arguments)
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_NESTING {
            return Err("Syntax Error: a value is nested too deep.".to_owned());
        }
        match self.next()? {
            Token::Text(text) => Ok(text.into()),
            Token::Number(number, text) => Ok(text.parse::<i64>().map_or_else(|_| Value::from(number), Value::from)),
            Token::Name(name) => Ok(match name.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                "null" => Value::Null,
                // A word of an enumeration.
                _ => name.into(),
            }),
            Token::Sign('$') => {
                let name = self.name()?;
                Ok(self.variables.get(&name).or(self.defaults.get(&name)).cloned().unwrap_or_default())
            }
            Token::Sign('[') => {
                let mut list = Vec::new();
                while !self.takes(']') {
                    list.push(self.value(depth + 1)?);
                }
                Ok(list.into())
            }
            Token::Sign('{') => {
                let mut fields = Map::new();
                while !self.takes('}') {
                    let name = self.name()?;
                    self.expect(':')?;
                    let value = self.value(depth + 1)?;
                    fields.insert(name, value);
                }
                Ok(fields.into())
            }
            other => Err(format!("Syntax Error: Unexpected {other:?}.")),
        }
    }

    fn selections(&mut self, depth: usize) -> Result<Vec<Selection>, String> {
        if depth > MAX_NESTING {
            return Err("Query exceeds maximum depth of 10".to_owned());
        }
        self.expect('{')?;
        let mut selections = Vec::new();
        while !self.takes('}') {
            if self.peek() == Some(&Token::Spread) {
                self.at += 1;
                let name = if matches!(self.peek(), Some(Token::Name(_))) { Some(self.name()?) } else { None };
                match name.as_deref() {
                    Some("on") => drop(self.name()?),
                    Some(name) => {
                        selections.push(Selection::Fragment(name.to_owned()));
                        self.directives()?;
                        continue;
                    }
                    None => {}
                }
                self.directives()?;
                selections.push(Selection::Inline(self.selections(depth + 1)?));
                continue;
            }
            let first = self.name()?;
            let (alias, name) = if self.takes(':') { (Some(first), self.name()?) } else { (None, first) };
            let arguments = self.arguments()?;
            self.directives()?;
            let inner = if self.peek() == Some(&Token::Sign('{')) { self.selections(depth + 1)? } else { Vec::new() };
            selections.push(Selection::Field(Field { alias, name, arguments, fields: Vec::new() }, inner));
        }
        Ok(selections)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    // Commas mean nothing.
    while let Some(first) = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',').chars().next() {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if first == '#' {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(after) = rest.strip_prefix("...") {
            tokens.push(Token::Spread);
            rest = after;
        } else if first == '"' {
            let end = end_of_text(rest).ok_or("Syntax Error: Unterminated string.")?;
            // Its escapes are those of JSON.
            let value = serde_json::from_str(&rest[..end]).map_err(|_| "Syntax Error: Invalid string.")?;
            tokens.push(Token::Text(value));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if first.is_ascii_digit() || first == '-' {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let number = rest[..end].parse().map_err(|_| "Syntax Error: Invalid number.")?;
            tokens.push(Token::Number(number, rest[..end].to_owned()));
            rest = &rest[end..];
        } else if "{}()[]:$=!@".contains(first) {
            tokens.push(Token::Sign(first));
            rest = &rest[1..];
        } else {
            return Err(format!("Syntax Error: Unexpected character: {:?}.", first));
        }
    }
    Ok(tokens)
}

/// Where a text in quotes ends.
fn end_of_text(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\\' if !is_escaped => is_escaped = true,
            '"' if !is_escaped => return Some(at + 1),
            _ => is_escaped = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Vec<Field>, String> {
        parse(text, "", json!({ "id": "7" }).as_object().unwrap())
    }

    #[test]
    fn fields_have_aliases_arguments_and_fragments() {
        let query = r#"
            query Q($id: String!, $n: [Int!] = [1, -2.5e3]) @component(name: "X") { # a comment
                run: getRun(input: {runId: $id, numbers: $n, word: ACTIVE, deep: {text: "a\"bé", yes: true}}) {
                    info { ...Info ... on Run { end } }
                }
            }
            fragment Info on RunInfo { status }"#;
        let fields = read(query).unwrap();
        assert_eq!((fields.len(), fields[0].shown_name(), fields[0].name.as_str()), (1, "run", "getRun"));
        let input = json!({
            "runId": "7", "numbers": [1, -2500.0], "word": "ACTIVE", "deep": { "text": "a\"bé", "yes": true }
        });
        assert_eq!(fields[0].arguments["input"], input);
        let names: Vec<_> = fields[0].fields[0].fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["status", "end"]);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let deep = "{a".repeat(100_000);
        let list = format!("{{a(b: {}", "[".repeat(100_000));
        let cycle = "{...A} fragment A on X {...B} fragment B on X {...A}";
        for bad in [
            "",
            "{",
            "{a",
            "}",
            "query",
            "{a(b:)}",
            "{a(b: \"x)}",
            "{...Missing}",
            "{a ü}",
            "{a: }",
            cycle,
            &deep,
            &list,
        ] {
            assert!(read(bad).is_err(), "{}", bad.chars().take(40).collect::<String>());
        }
        let wide = format!(
            "{{...F0}} {}",
            (0..30).map(|n| format!("fragment F{n} on X {{ ...F{0} ...F{0} }} ", n + 1)).collect::<String>()
        );
        assert!(read(&wide).is_err(), "fragments of fragments must not grow without bound");
    }
}
