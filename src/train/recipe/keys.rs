//! Reading a recipe's keys, with errors that name the key and what it has to be.

use toml::{Table, Value};

use super::{RecipeError, bad, list};

/// Numbers that a list may have.
const MAX_LIST: usize = 16;

/// A table of keys that are read one after the other: what nobody has asked for in the end is unknown.
pub(super) struct Keys<'v> {
    values: &'v Table,
    /// What stands before a key in errors: `phase1.`.
    prefix: String,
}

impl<'v> Keys<'v> {
    pub(super) fn new(values: &'v Table) -> Self {
        Self { values, prefix: String::new() }
    }

    /// The table under `key`; an empty one where there is none.
    pub(super) fn table(&self, key: &str, empty: &'v Table) -> Result<Self, RecipeError> {
        let prefix = format!("{}.", self.full(key));
        match self.values.get(key) {
            None => Ok(Self { values: empty, prefix }),
            Some(Value::Table(values)) => Ok(Self { values, prefix }),
            Some(other) => Err(self.wrong(key, format!("has to be a table of keys, not {other}"))),
        }
    }

    /// Its keys, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &'v str> {
        self.values.keys().map(String::as_str)
    }

    /// Refuses keys that are not in `known`, with the nearest that is.
    pub(super) fn refuse_others(&self, known: &[&str]) -> Result<(), RecipeError> {
        match self.names().find(|key| !known.contains(key)) {
            None => Ok(()),
            Some(key) => Err(RecipeError::UnknownKey { key: self.full(key), nearest: nearest(key, known) }),
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn optional_text(&self, key: &str) -> Result<Option<String>, RecipeError> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(key, format!("has to be text, not {other}"))),
        }
    }

    /// Text that may look like a number or a list of numbers, such as `7` and `4,7`.
    pub(super) fn joined_text(&self, key: &str) -> Result<Option<String>, RecipeError> {
        match self.values.get(key) {
            Some(Value::Integer(number)) => Ok(Some(number.to_string())),
            Some(Value::Array(items)) => Ok(Some(items.iter().map(Value::to_string).collect::<Vec<_>>().join(","))),
            _ => self.optional_text(key),
        }
    }

    pub(super) fn text(&self, key: &'static str) -> Result<String, RecipeError> {
        self.optional_text(key)?.ok_or(RecipeError::Missing { key })
    }

    /// One of the words `choices`, the first of which is the default.
    pub(super) fn word<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Result<T, RecipeError> {
        let default = choices[0].1;
        self.word_or(key, choices, default)
    }

    pub(super) fn word_or<T: Copy>(&self, key: &str, choices: &[(&str, T)], default: T) -> Result<T, RecipeError> {
        let found = match self.values.get(key) {
            None => return Ok(default),
            Some(Value::String(text)) => text.clone(),
            // `true` and `false` are words too, so that a switch can have a third position.
            Some(other) => other.to_string(),
        };
        let chosen = choices.iter().find(|(word, _)| *word == found).map(|(_, value)| *value);
        chosen.ok_or_else(|| {
            self.wrong(key, format!("has to be {}, not `{found}`", list(choices.iter().map(|(word, _)| *word))))
        })
    }

    pub(super) fn switch(&self, key: &str, default: bool) -> Result<bool, RecipeError> {
        self.word_or(key, &[("true", true), ("false", false)], default)
    }

    pub(super) fn whole(&self, key: &str, default: u64, least: u64, most: u64) -> Result<u64, RecipeError> {
        let Some(value) = self.values.get(key) else { return Ok(default) };
        whole_in(value, least, most).ok_or_else(|| self.whole_problem(key, least, most, value))
    }

    /// A finite number from 0 up.
    pub(super) fn number(&self, key: &str, default: f64) -> Result<f64, RecipeError> {
        match self.values.get(key) {
            None => Ok(default),
            Some(Value::Integer(value)) if *value >= 0 => Ok(*value as f64),
            Some(Value::Float(value)) if value.is_finite() && *value >= 0.0 => Ok(*value),
            Some(other) => Err(self.wrong(key, format!("has to be a number from 0 up, not {other}"))),
        }
    }

    /// A number above 0.
    pub(super) fn positive(&self, key: &str, default: f64) -> Result<f64, RecipeError> {
        let value = self.number(key, default)?;
        if value > 0.0 { Ok(value) } else { Err(self.wrong(key, format!("has to be above 0, not {value}"))) }
    }

    /// A number from 0 and below 1.
    pub(super) fn fraction(&self, key: &str, default: f64) -> Result<f64, RecipeError> {
        let value = self.number(key, default)?;
        if value < 1.0 { Ok(value) } else { Err(self.wrong(key, format!("has to be below 1, not {value}"))) }
    }

    /// A list of whole numbers from 1 to `most`; a number alone is a list of one.
    pub(super) fn sizes(&self, key: &str, default: &[u32], most: u32) -> Result<Vec<u32>, RecipeError> {
        let most = u64::from(most);
        let items = match self.values.get(key) {
            None => return Ok(default.to_vec()),
            Some(Value::Array(items)) if (1..=MAX_LIST).contains(&items.len()) => items.as_slice(),
            Some(single @ Value::Integer(_)) => std::slice::from_ref(single),
            Some(other) => {
                let problem = format!("has to be a list of 1 to {MAX_LIST} numbers like [64, 32], not {other}");
                return Err(self.wrong(key, problem));
            }
        };
        let size = |item| {
            whole_in(item, 1, most).map(|size| size as u32).ok_or_else(|| self.whole_problem(key, 1, most, item))
        };
        items.iter().map(size).collect()
    }

    pub(super) fn wrong(&self, key: &str, problem: impl Into<String>) -> RecipeError {
        bad(&self.full(key), problem)
    }

    fn whole_problem(&self, key: &str, least: u64, most: u64, value: &Value) -> RecipeError {
        self.wrong(key, format!("has to be a whole number from {least} to {most}, not {value}"))
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// The key of `known` that `key` was probably meant to be.
pub(super) fn nearest(key: &str, known: &[&str]) -> Option<String> {
    let nearest = known.iter().map(|name| (strsim::damerau_levenshtein(key, name), name)).min();
    nearest.filter(|(distance, _)| *distance <= 3).map(|(_, name)| (*name).to_owned())
}

fn whole_in(value: &Value, least: u64, most: u64) -> Option<u64> {
    value.as_integer().and_then(|value| u64::try_from(value).ok()).filter(|value| (least..=most).contains(value))
}

/// What `-p key=text` means: a number, a switch, a list of numbers (`16,32` or `[16, 32]`), or else text.
pub(super) fn read_override(text: &str) -> Value {
    let number = |text: &str| {
        let text = text.trim();
        let whole = text.parse().map(Value::Integer).ok();
        whole.or_else(|| text.parse().map(Value::Float).ok())
    };
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if inner.is_some() || text.contains(',') {
        let items = inner.unwrap_or(text).split(',').filter(|item| !item.trim().is_empty());
        if let Some(items) = items.map(number).collect() {
            return Value::Array(items);
        }
    }
    let switch = || text.parse().map(Value::Boolean).ok();
    number(text).or_else(switch).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Sets `key`, which may lead into tables (`phase1.lr`), to what `text` means.
pub(super) fn set_override(values: &mut Table, key: &str, text: &str) {
    match key.split_once('.') {
        None => drop(values.insert(key.to_owned(), read_override(text))),
        Some((table, rest)) => {
            let place = values.entry(table.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if !place.is_table() {
                *place = Value::Table(Table::new());
            }
            if let Value::Table(inner) = place {
                set_override(inner, rest, text);
            }
        }
    }
}
