//! Arguments of the form `KEY=VALUE`.

use std::collections::BTreeMap;

/// Reads one argument; for clap, which puts the message after the argument's name.
pub(crate) fn parse(argument: &str) -> Result<(String, String), String> {
    match argument.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        Some(_) => Err("there is no name before the `=`".to_owned()),
        None => Err("it has no `=`: write NAME=VALUE".to_owned()),
    }
}

/// Reads an argument whose value is a number; `nan` and `inf` are numbers too.
pub(crate) fn parse_number(argument: &str) -> Result<(String, f64), String> {
    let (key, value) = parse(argument)?;
    match value.trim().parse() {
        Ok(number) => Ok((key, number)),
        Err(_) => Err(format!("`{value}` is not a number")),
    }
}

/// The arguments as a map; of several with one key the last counts.
pub(crate) fn map<V: Clone>(pairs: &[(String, V)]) -> BTreeMap<String, V> {
    pairs.iter().cloned().collect()
}
