//! Colours for the text of files: what is a name, a text, a number, a remark. One line at a time, so it is cheap, and
//! wrong only where a text spans several.

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Ink {
    /// Anything else.
    Plain,
    /// A name that something is set for.
    Key,
    /// A text in quotes.
    Text,
    /// A number, or a word that stands for a value.
    Number,
    /// A remark.
    Comment,
    /// A heading.
    Heading,
}

/// A line in pieces.
pub(in crate::tui) type InkedLine = Vec<(Ink, String)>;

/// How a kind of file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Language {
    /// Its name.
    pub(super) name: &'static str,
    /// What begins a remark; empty where there are none.
    comment: &'static str,
    /// What stands behind a name; a space where names have no colour.
    separator: char,
    /// Whether a line that begins with this is a heading; a space where there are none.
    heading: char,
    /// Whether texts and numbers are told from the rest.
    has_values: bool,
}

const PLAIN: Language = Language { name: "text", comment: "", separator: ' ', heading: ' ', has_values: false };

/// The language of a file by its name.
pub(super) fn language_of(name: &str) -> Language {
    let with =
        |name, comment, separator, heading, has_values| Language { name, comment, separator, heading, has_values };
    let (stem, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    match suffix.to_ascii_lowercase().as_str() {
        "json" | "ipynb" | "jsonl" | "ndjson" => with("JSON", "", ':', ' ', true),
        "toml" | "lock" | "mlref" => with("TOML", "#", '=', '[', true),
        "ini" | "cfg" => with("INI", ";", '=', '[', true),
        "yaml" | "yml" => with("YAML", "#", ':', ' ', true),
        "md" | "markdown" => with("Markdown", "", ' ', '#', false),
        "py" | "pyi" => with("Python", "#", ' ', ' ', true),
        "sh" | "bash" => with("shell", "#", ' ', ' ', true),
        "rs" => with("Rust", "//", ' ', ' ', true),
        "c" | "h" | "cc" | "cpp" | "hpp" | "cu" | "js" | "ts" | "java" | "go" => with("code", "//", ' ', ' ', true),
        "svg" | "xml" | "html" => with("XML", "", ' ', ' ', true),
        "gitignore" | "env" => with("text", "#", ' ', ' ', false),
        _ if matches!(stem, "Makefile" | "Dockerfile" | "requirements") => with("text", "#", ' ', ' ', false),
        _ => PLAIN,
    }
}

/// A line in colours.
pub(super) fn inked(line: &str, language: Language) -> InkedLine {
    let start = line.trim_start();
    if language.heading != ' ' && start.starts_with(language.heading) {
        return vec![(Ink::Heading, line.to_owned())];
    }
    if !language.has_values && language.comment.is_empty() {
        return vec![(Ink::Plain, line.to_owned())];
    }
    let mut pieces = InkedLine::new();
    let mut rest = line;
    let mut add = |ink: Ink, text: &str| match pieces.last_mut() {
        Some((last, end)) if *last == ink => end.push_str(text),
        _ => pieces.push((ink, text.to_owned())),
    };
    // A name stands at the start of a line, or before its separator.
    let mut names_are_due = language.separator != ' ';
    while let Some(c) = rest.chars().next() {
        if !language.comment.is_empty() && rest.starts_with(language.comment) {
            add(Ink::Comment, rest);
            break;
        }
        let length = match c {
            '"' | '\'' if language.has_values => quoted(rest, c),
            c if c.is_alphanumeric()
                || c == '_'
                || (c == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) =>
            {
                rest[c.len_utf8()..]
                    .find(|c: char| !(c.is_alphanumeric() || "_.-+".contains(c)))
                    .map_or(rest.len(), |end| end + c.len_utf8())
            }
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        let is_name = names_are_due && after.trim_start().starts_with(language.separator) && !c.is_whitespace();
        let ink = match c {
            _ if is_name && (c.is_alphanumeric() || "_\"'".contains(c)) => Ink::Key,
            '"' | '\'' if language.has_values => Ink::Text,
            _ if language.has_values && is_value(word) => Ink::Number,
            _ => Ink::Plain,
        };
        if ink == Ink::Key && language.separator != ':' {
            names_are_due = false;
        }
        add(ink, word);
        rest = after;
    }
    pieces
}

/// Bytes of the text in quotes at the start of `rest`; one that does not end goes to the end of the line.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_value(word: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "True", "False", "None", "nan", "NaN", "Infinity"];
    let is_number = || {
        let digits = word.trim_start_matches('-');
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits
                .chars()
                .all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | '_' | '-' | '+' | 'x' | 'o' | ':' | 'T' | 'Z'))
    };
    WORDS.contains(&word) || is_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, name: &str) -> String {
        let pieces = inked(line, language_of(name));
        let whole: String = pieces.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(whole, line, "all of the line is there");
        let letter = |ink: &Ink| match ink {
            Ink::Plain => 'p',
            Ink::Key => 'k',
            Ink::Text => 't',
            Ink::Number => 'n',
            Ink::Comment => 'c',
            Ink::Heading => 'h',
        };
        pieces.iter().map(|(ink, text)| format!("{}[{text}]", letter(ink))).collect()
    }

    #[test]
    fn names_texts_and_numbers_have_their_colours() {
        assert_eq!(
            shown(r#"  "lr": 0.01, "a\"b": ["x", null]"#, "x.json"),
            r#"p[  ]k["lr"]p[: ]n[0.01]p[, ]k["a\"b"]p[: []t["x"]p[, ]n[null]p[]]"#
        );
        assert_eq!(shown("batch_size = 64 # per step", "x.toml"), "k[batch_size]p[ = ]n[64]p[ ]c[# per step]");
        assert_eq!(shown("[experiments.cnn]", "x.toml"), "h[[experiments.cnn]]");
        assert_eq!(shown("name: 'x' # y", "x.yml"), "k[name]p[: ]t['x']p[ ]c[# y]");
        assert_eq!(shown("# Title", "README.md"), "h[# Title]");
        assert_eq!(
            shown("x = f(-1.5e-3, \"a # b\")  # why", "x.py"),
            "p[x = f(]n[-1.5e-3]p[, ]t[\"a # b\"]p[)  ]c[# why]"
        );
        assert_eq!(shown("10 Äpfel, \"never ended", "notes"), "p[10 Äpfel, \"never ended]");
        assert_eq!(shown("ä = \"never ended", "x.toml"), "k[ä]p[ = ]t[\"never ended]");
        assert_eq!(shown("", "x.toml"), "");
    }
}
