//! Merging two versions of a record, field by field.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use toml::{Table, Value};

/// Which of two sides goes before the other where both changed the same field to different values.
pub(super) type Newer<'n> = &'n mut dyn FnMut() -> Ordering;

/// The field that goes with another file, the series: of two it is taken as a whole, as that is.
const WHOLE: &str = "metrics";

/// Merges two versions of a record of which `base` is the last one that both had. None where one of them is not TOML.
///
/// What one side changed is taken; tables, such as tags, are merged key by key, and a key with a value goes before one
/// that was removed; lists are united; for the rest the newer side counts. It makes no difference which side is `ours`.
pub(super) fn merge(base: Option<&[u8]>, ours: &[u8], theirs: &[u8], newer: Newer<'_>) -> Option<Vec<u8>> {
    let parse = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<Table>().ok();
    let base = base.and_then(parse).unwrap_or_default();
    let merged = merge_tables(&base, &parse(ours)?, &parse(theirs)?, false, newer);
    toml::to_string(&merged).ok().map(String::into_bytes)
}

fn merge_tables(base: &Table, ours: &Table, theirs: &Table, is_inner: bool, newer: Newer<'_>) -> Table {
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let mut merged = Table::new();
    for key in keys {
        let is_whole = !is_inner && key == WHOLE;
        let values = [base.get(key), ours.get(key), theirs.get(key)];
        let value = merge_values(values, is_inner, is_whole, newer);
        merged.extend(value.map(|value| (key.clone(), value)));
    }
    merged
}

fn merge_values(
    [base, ours, theirs]: [Option<&Value>; 3],
    is_inner: bool,
    is_whole: bool,
    newer: Newer<'_>,
) -> Option<Value> {
    // Text, since a value that is not a number is not equal to itself.
    let [was, our, their] = [base, ours, theirs].map(|value| value.map(ToString::to_string));
    if our == their || was == their {
        return ours.cloned();
    }
    if was == our {
        return theirs.cloned();
    }
    match (ours, theirs) {
        (Some(Value::Table(ours)), Some(Value::Table(theirs))) if !is_whole => {
            let empty = Table::new();
            let base = base.and_then(Value::as_table).unwrap_or(&empty);
            Some(Value::Table(merge_tables(base, ours, theirs, true, newer)))
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            let (first, second) = if newer() == Ordering::Less { (theirs, ours) } else { (ours, theirs) };
            Some(Value::Array(unite(first, second)))
        }
        (Some(value), None) | (None, Some(value)) if is_inner => Some(value.clone()),
        _ => if newer() == Ordering::Less { theirs } else { ours }.cloned(),
    }
}

/// The elements of `first`, and those of `second` that it does not have. Elements with a name are told by it.
fn unite(first: &[Value], second: &[Value]) -> Vec<Value> {
    let key = |value: &Value| match value.get("name").and_then(Value::as_str) {
        Some(name) => format!("name {name} {}", value.get("path").map(ToString::to_string).unwrap_or_default()),
        None => value.to_string(),
    };
    let known: BTreeSet<String> = first.iter().map(key).collect();
    first.iter().chain(second.iter().filter(|value| !known.contains(&key(value)))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The merge with `ours` newer, which has to be the same with the sides changed over.
    fn merged(base: &str, ours: &str, theirs: &str) -> String {
        let base = (!base.is_empty()).then_some(base.as_bytes());
        let one = merge(base, ours.as_bytes(), theirs.as_bytes(), &mut || Ordering::Greater).unwrap();
        let other = merge(base, theirs.as_bytes(), ours.as_bytes(), &mut || Ordering::Less).unwrap();
        assert_eq!(one, other, "which side is ours makes no difference");
        String::from_utf8(one).unwrap()
    }

    #[test]
    fn what_one_side_changed_is_taken() {
        assert_eq!(merged("a = 1\nb = 1\n", "a = 2\nb = 1\n", "a = 1\nb = 2\n"), "a = 2\nb = 2\n");
        assert_eq!(merged("a = 1\nb = 1\n", "b = 1\n", "a = 1\nb = 2\n"), "b = 2\n");
        assert_eq!(merged("a = nan\n", "a = nan\nb = 1\n", "a = nan\nc = 1\n"), "a = nan\nb = 1\nc = 1\n");
    }

    #[test]
    fn tags_are_united_and_a_value_goes_before_a_removal() {
        let base = "[tags]\na = \"1\"\nb = \"1\"\n";
        let ours = "[tags]\nb = \"2\"\nx = \"1\"\n";
        let theirs = "[tags]\na = \"3\"\nb = \"3\"\ny = \"1\"\n";
        assert_eq!(merged(base, ours, theirs), "[tags]\na = \"3\"\nb = \"2\"\nx = \"1\"\ny = \"1\"\n");
        assert_eq!(merged("", "[tags]\na = \"1\"\n", "[tags]\nb = \"2\"\n"), "[tags]\na = \"1\"\nb = \"2\"\n");
    }

    #[test]
    fn metrics_are_those_of_one_side_as_the_series_is() {
        let ours = "[metrics.loss]\nlast = 1\n[metrics.extra]\nlast = 2\n";
        let theirs = "[metrics.loss]\nlast = 3\n[metrics.other]\nlast = 4\n";
        let taken = "[metrics.loss]\nlast = 1\n\n[metrics.extra]\nlast = 2\n";
        assert_eq!(merged("[metrics.loss]\nlast = 0\n", ours, theirs), taken);
    }

    #[test]
    fn of_two_notes_the_newer_counts_and_so_does_a_newer_removal() {
        assert_eq!(merged("note = \"0\"\n", "note = \"1\"\n", "note = \"2\"\n"), "note = \"1\"\n");
        assert_eq!(merged("removed = \"0\"\n", "", "removed = \"2\"\n"), "");
    }

    #[test]
    fn lists_are_united_by_name() {
        let ours = "[[outputs]]\nname = \"model\"\nid = \"1\"\n";
        let theirs = "[[outputs]]\nname = \"model\"\nid = \"2\"\n[[outputs]]\nname = \"plot\"\nid = \"3\"\n";
        let both = "[[outputs]]\nname = \"model\"\nid = \"1\"\n\n[[outputs]]\nname = \"plot\"\nid = \"3\"\n";
        assert_eq!(merged("outputs = []\n", ours, theirs), both);
    }

    #[test]
    fn what_is_not_toml_is_not_merged() {
        assert_eq!(merge(None, b"a = 1", b"a = = 2", &mut || Ordering::Equal), None);
    }
}
