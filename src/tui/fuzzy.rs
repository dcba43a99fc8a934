//! Finding a line by some of its letters.

/// How well `pattern` fits `text`: higher is better, none where its letters do not stand there in order. Case counts
/// only where the pattern has capitals; spaces part words that may stand in any order.
pub(super) fn score(pattern: &str, text: &str) -> Option<i64> {
    let matters = pattern.chars().any(char::is_uppercase);
    let folded = |c: char| if matters { c } else { c.to_lowercase().next().unwrap_or(c) };
    let text: Vec<char> = text.chars().collect();
    let mut total = 0;
    for word in pattern.split_whitespace() {
        let word: Vec<char> = word.chars().map(folded).collect();
        total += best(&word, &text, &folded)?;
    }
    // Of two that fit alike, the shorter says less beside it.
    Some(total * 64 - i64::try_from(text.len()).unwrap_or(i64::MAX).min(63))
}

/// The best way to find a word's letters in a text, begun at each place where its first letter stands.
fn best(word: &[char], text: &[char], folded: &dyn Fn(char) -> char) -> Option<i64> {
    let first = *word.first()?;
    let starts = (0..text.len()).filter(|&start| folded(text[start]) == first);
    starts.filter_map(|start| from(start, word, text, folded)).max()
}

fn from(start: usize, word: &[char], text: &[char], folded: &dyn Fn(char) -> char) -> Option<i64> {
    let begins = |place: usize| place == 0 || !text[place - 1].is_alphanumeric();
    let mut points = 0;
    let mut place = start;
    let mut before = None;
    for letter in word {
        place = (place..text.len()).find(|&place| folded(text[place]) == *letter)?;
        points += match before {
            Some(before) if before + 1 == place => 4,
            _ if begins(place) => 3,
            _ => 0,
        };
        points += 1;
        before = Some(place);
        place += 1;
    }
    Some(points)
}

/// The places of the texts that fit, the best first; all of them, in their order, where nothing is asked for.
pub(super) fn find<'t>(pattern: &str, texts: impl Iterator<Item = &'t str>) -> Vec<usize> {
    if pattern.trim().is_empty() {
        return (0..texts.count()).collect();
    }
    let mut found: Vec<(i64, usize)> =
        texts.enumerate().filter_map(|(place, text)| Some((score(pattern, text)?, place))).collect();
    found.sort_by_key(|(score, place)| (-score, *place));
    found.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_in_order_and_the_best_comes_first() {
        let texts = ["reverse the sort", "sort by the next column", "show the runs", "quit"];
        let names =
            |pattern| find(pattern, texts.into_iter()).into_iter().map(|place| texts[place]).collect::<Vec<_>>();
        assert_eq!(names("sort"), ["reverse the sort", "sort by the next column"]);
        assert_eq!(
            names("sr"),
            ["show the runs", "reverse the sort", "sort by the next column"],
            "words' beginnings count"
        );
        assert_eq!(names("column sort"), ["sort by the next column"]);
        assert_eq!(names("Q"), Vec::<&str>::new(), "a capital is meant as one");
        assert_eq!(names("  "), texts);
        assert_eq!(score("é", "É"), Some(4 * 64 - 1));
    }
}
