//! Where something stands in the text of an `ml.toml`, for errors that are found after it was read.

use toml_edit::{Document, Item, Value};

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

/// Where the text stands that is the element `index` of the list under these keys; none if it is not there.
///
/// The place is that of the first character in the quotes. Where a text has escapes, what follows them is further to
/// the right than in what the text says.
pub fn place_of_element(text: &str, keys: &[&str], index: usize) -> Option<Place> {
    let document = Document::parse(text).ok()?;
    let mut item: &Item = document.as_item();
    for key in keys {
        item = item.get(key)?;
    }
    let span = item.as_array()?.get(index).map(Value::span)??;
    let quotes = text.get(span.clone())?.chars().take_while(|c| matches!(c, '"' | '\'')).count();
    // `""` is a text of its own, not an opening quote of three.
    let quotes = if quotes >= 3 { 3 } else { quotes.min(1) };
    let before = text.get(..span.start)?;
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let column = before[line_start..].chars().count() + quotes + 1;
    Some(Place { line: before.matches('\n').count() + 1, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_any_layout() {
        let text = "# ü\n[gates.a]\nrequire = [\"x\", 'ü',\n  \"\"\"z\"\"\", \"\"]\n[gates]\nb.require = ['y']\n";
        let place =
            |gate, index| place_of_element(text, &["gates", gate, "require"], index).map(|at| (at.line, at.column));
        assert_eq!(place("a", 0), Some((3, 13)));
        assert_eq!(place("a", 1), Some((3, 18)));
        assert_eq!(place("a", 2), Some((4, 6)));
        assert_eq!(place("a", 3), Some((4, 13)));
        assert_eq!((place("a", 4), place("c", 0)), (None, None));
        assert_eq!(
            place_of_element("gates = { a = { require = ['x'] } }", &["gates", "a", "require"], 0),
            Some(Place { line: 1, column: 29 })
        );
        assert_eq!(place_of_element("= 3", &["gates"], 0), None);
    }
}
