//! What a query may go on with where the cursor is.

use crate::catalog::Names;
use crate::query::{Attribute, Field, SortKey};

/// Attributes that people ask for, before the rarer ones.
const COMMON: [&str; 8] = ["status", "experiment", "started", "duration", "name", "branch", "user", "commit"];
const WORDS: [&str; 3] = ["and", "or", "not"];
const STATUSES: [&str; 5] = ["running", "finished", "failed", "crashed", "killed"];

/// What can stand where the cursor is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::tui) struct Completion {
    /// The first character that a candidate takes the place of.
    pub(in crate::tui) start: usize,
    /// The candidates, the likeliest first.
    pub(in crate::tui) candidates: Vec<String>,
}

/// The candidates behind `before`, the text up to the cursor. `values` knows the values of a field.
pub(in crate::tui) fn complete(
    before: &str,
    names: Option<&Names>,
    values: &dyn Fn(&Field) -> Vec<String>,
) -> Completion {
    let characters: Vec<char> = before.chars().collect();
    // An open quote is a value.
    if let Some(open) = open_quote(&characters) {
        let begun: String = characters[open + 1..].iter().collect();
        let field = field_before(&characters[..open]);
        let known = match &field {
            Some(Field::Attribute(Attribute::Status)) => STATUSES.map(str::to_owned).to_vec(),
            Some(field) => values(field),
            None => Vec::new(),
        };
        let candidates = fitting(&begun, known.into_iter());
        return Completion { start: open + 1, candidates: candidates.into_iter().map(|word| word + "'").collect() };
    }
    let start = characters.iter().rposition(|c| !is_part(*c)).map_or(0, |last| last + 1);
    let begun: String = characters[start..].iter().collect();
    if begun.is_empty() && !characters[..start].iter().all(|c| c.is_whitespace() || *c == '(') {
        return Completion::default();
    }
    let group = |prefix: &'static str, names: Option<&std::collections::BTreeSet<String>>| {
        let field = |name: &String| match prefix {
            "metrics" => Field::Metric(name.clone(), crate::query::Aspect::Last).to_string(),
            "params" => Field::Param(name.clone()).to_string(),
            _ => Field::Tag(name.clone()).to_string(),
        };
        names.into_iter().flatten().map(field).collect::<Vec<_>>()
    };
    let metrics = group("metrics", names.map(|names| &names.metrics));
    let params = group("params", names.map(|names| &names.params));
    let tags = group("tags", names.map(|names| &names.tags));
    let rest = Attribute::all().map(Attribute::name).filter(|name| !COMMON.contains(name));
    let attributes = COMMON.into_iter().chain(rest).map(str::to_owned);
    let words = WORDS.into_iter().map(str::to_owned);
    let all = metrics.into_iter().chain(params).chain(attributes).chain(tags).chain(words);
    Completion { start, candidates: fitting(&begun, all) }
}

/// Where the quote is that was opened and not closed.
fn open_quote(characters: &[char]) -> Option<usize> {
    let mut open = None;
    for (place, character) in characters.iter().enumerate() {
        match (character, open) {
            ('\'', None) => open = Some(place),
            ('\'', Some(_)) => open = None,
            _ => {}
        }
    }
    open
}

/// The field that an operator and a value stand behind.
fn field_before(characters: &[char]) -> Option<Field> {
    let end = characters.iter().rposition(|c| is_part(*c))? + 1;
    let operators = ["like", "ilike", "in", "not"];
    let mut rest: String = characters[..end].iter().collect();
    loop {
        let word = rest.rsplit(|c: char| !is_part(c)).next()?.to_owned();
        if !operators.contains(&word.to_lowercase().as_str()) {
            return SortKey::parse(&word).ok()?.field();
        }
        rest = rest[..rest.len() - word.len()].trim_end().to_owned();
    }
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || "._/:-\"".contains(c)
}

/// Those that begin with what was typed, then those that have it in them; not what is there already.
fn fitting(begun: &str, all: impl Iterator<Item = String>) -> Vec<String> {
    let plain = |text: &str| text.replace('"', "").to_lowercase();
    let begun = plain(begun);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for word in all {
        let lower = plain(&word);
        if lower == begun {
            continue;
        }
        if lower.starts_with(&begun) {
            first.push(word);
        } else if begun.len() > 1 && lower.contains(&begun) {
            second.push(word);
        }
    }
    first.extend(second);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { metrics: texts(&["loss", "val_loss"]), params: texts(&["lr", "a b"]), tags: texts(&["team"]) }
    }

    fn candidates(before: &str) -> Vec<String> {
        let values = |field: &Field| match field {
            Field::Param(name) if name == "lr" => vec!["0.1".to_owned(), "0.01".to_owned()],
            _ => Vec::new(),
        };
        complete(before, Some(&names()), &values).candidates
    }

    #[test]
    fn names_values_and_words_are_offered_where_they_can_stand() {
        assert_eq!(candidates("met"), ["metrics.loss", "metrics.val_loss"]);
        assert_eq!(candidates("metrics.loss > 3 an")[..1], ["and"]);
        assert_eq!(candidates("val")[..1], ["metrics.val_loss"]);
        assert_eq!(candidates("params.lr = '0.0"), ["0.01'"]);
        assert_eq!(candidates("params.lr not in ('"), ["0.1'", "0.01'"]);
        assert_eq!(candidates("status = 'f"), ["finished'", "failed'"]);
        assert_eq!(candidates("params.a")[..1], ["params.\"a b\""]);
        assert_eq!(candidates("metrics.loss > "), Vec::<String>::new(), "a number is not guessed");
        assert_eq!(complete("status = 'x' and lo", Some(&names()), &|_| Vec::new()).start, 17);
    }
}
