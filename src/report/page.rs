//! A page as blocks of text, before it is written in a language.
//!
//! Words are ours. What others chose (names, values, notes, paths) is [`Span::Code`]: it is bounded and made visible
//! here, and each writer escapes it in one place. In a code span neither GitHub nor GitLab looks for mentions, links or
//! markup.

use super::Verdict;

/// Characters of a name or value that are shown.
const MAX_CODE: usize = 120;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Span {
    /// Our own words, without any sign that means something in Markdown.
    Words(String),
    /// The same, in bold.
    Strong(String),
    /// Somebody else's, see [`Span::code`].
    Code(String),
    /// A judgement, in a word and a sign, so that no colour is needed to see it.
    Verdict(Verdict),
}

impl Span {
    /// What somebody else chose: cut to a bound, with all that cannot be seen spelled out.
    pub(super) fn code(text: &str) -> Self {
        let mut shown = String::new();
        for (index, character) in text.chars().enumerate() {
            if index == MAX_CODE {
                shown.push('…');
                break;
            }
            match is_visible(character) {
                true => shown.push(character),
                false => shown.extend(character.escape_default()),
            }
        }
        Self::Code(shown)
    }
}

impl From<&str> for Span {
    fn from(words: &str) -> Self {
        Self::Words(words.to_owned())
    }
}

impl From<String> for Span {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

/// Whether a character can be seen and moves no other: no control, no change of direction, nothing of no width, nothing
/// that XML cannot hold.
fn is_visible(character: char) -> bool {
    let is_hidden = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    let is_no_character = u32::from(character) & 0xfffe == 0xfffe;
    !character.is_control() && !is_hidden && !is_no_character
}

/// A line.
pub(super) type Line = Vec<Span>;

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading of a level, 2 or 3.
    Heading(u8, Line),
    Paragraph(Line),
    /// What a reader should know before relying on what follows.
    Caution(Line),
    Table {
        columns: Vec<(&'static str, Align)>,
        rows: Vec<Vec<Line>>,
    },
    List(Vec<Line>),
    /// What is shown on demand, below our words.
    Details(String, Vec<Block>),
    /// Where the picture goes.
    Picture,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_spelled_out_and_what_is_long_is_cut() {
        let shown = |text: &str| match Span::code(text) {
            Span::Code(shown) => shown,
            other => panic!("{other:?}"),
        };
        assert_eq!(shown("a\nb\u{1b}[2J\u{202e}x\u{200b}\u{ffff}"), "a\\nb\\u{1b}[2J\\u{202e}x\\u{200b}\\u{ffff}");
        assert_eq!(shown("Zürich 🦦"), "Zürich 🦦");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), MAX_CODE + 1);
    }
}
