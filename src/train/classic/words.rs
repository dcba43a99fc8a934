//! Words of a text and sequences of them, as scikit-learn's vectorizers find them by default.

use unicode_normalization::char::is_combining_mark;

/// What a word is, in Python's regular expressions: two or more letters, digits or `_` in a row.
pub(super) const TOKEN_PATTERN: &str = r"(?u)\b\w\w+\b";

/// Calls `each` with every term of `text`: its words in lower case, and the sequences of `shortest` to `longest` of
/// them, joined by a blank.
pub(super) fn terms(text: &str, [shortest, longest]: [usize; 2], mut each: impl FnMut(&str)) {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c| !is_word(c)).filter(|word| word.chars().nth(1).is_some()).collect();
    let mut term = String::new();
    for length in shortest..=longest {
        for sequence in words.windows(length) {
            if let [word] = sequence {
                each(word);
                continue;
            }
            term.clear();
            for word in sequence {
                if !term.is_empty() {
                    term.push(' ');
                }
                term.push_str(word);
            }
            each(&term);
        }
    }
}

/// Python's `\w`: what `str.isalnum` says, and `_`.
fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    // Unicode's alphabetic characters are more: signs that are written above or below letters, and letters in circles
    // and boxes. To Python those end a word, so a word of Hindi is several.
    c.is_alphanumeric() && !is_combining_mark(c) && !is_enclosed_letter(c)
}

fn is_enclosed_letter(c: char) -> bool {
    matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f149}' | '\u{1f150}'..='\u{1f169}' | '\u{1f170}'..='\u{1f189}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, ngrams: [usize; 2]) -> Vec<String> {
        let mut found = Vec::new();
        terms(text, ngrams, |term| found.push(term.to_owned()));
        found
    }

    #[test]
    fn words_are_those_of_pythons_pattern() {
        // Each as `re.findall(r"(?u)\b\w\w+\b", text.lower())` has it in Python 3.11.
        assert_eq!(all("It's A re-make, i_x 42 x", [1, 1]), ["it", "re", "make", "i_x", "42"]);
        assert_eq!(all("ΟΔΟΣ ΣΑΣ Σ İzmir STRASSE ﬁn", [1, 1]), ["οδος", "σας", "zmir", "strasse", "ﬁn"]);
        assert_eq!(all("हिन्दी का सिनेमा", [1, 1]), Vec::<String>::new());
        assert_eq!(all("très 電影院 好 ½½ ①② ⒶⒷ x²", [1, 1]), ["très", "電影院", "½½", "①②", "x²"]);
        assert_eq!(all(" .. a b c", [1, 2]), Vec::<String>::new());
    }

    #[test]
    fn sequences_follow_the_single_words() {
        assert_eq!(
            all("so very, very good", [1, 2]),
            ["so", "very", "very", "good", "so very", "very very", "very good"]
        );
        assert_eq!(all("so very good", [2, 3]), ["so very", "very good", "so very good"]);
        assert_eq!(all("so good", [3, 4]), Vec::<String>::new());
    }
}
