//! One line of text that is typed.

use super::keys::Command;

/// The text and where the next character goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Input {
    characters: Vec<char>,
    cursor: usize,
}

impl Input {
    /// A line with `text`, the cursor at its end.
    pub(super) fn new(text: &str) -> Self {
        let characters: Vec<char> = text.chars().collect();
        Self { cursor: characters.len(), characters }
    }

    /// The text.
    pub(super) fn text(&self) -> String {
        self.characters.iter().collect()
    }

    /// Characters before the cursor.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts a character in; control characters are not text.
    pub(super) fn insert(&mut self, character: char) {
        if !character.is_control() {
            self.characters.insert(self.cursor, character);
            self.cursor += 1;
        }
    }

    /// Erases the character before the cursor.
    pub(super) fn erase(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.characters.remove(self.cursor);
        }
    }

    /// Erases the character at the cursor.
    pub(super) fn delete(&mut self) {
        if self.cursor < self.characters.len() {
            self.characters.remove(self.cursor);
        }
    }

    /// Erases the word before the cursor.
    pub(super) fn erase_word(&mut self) {
        let before = &self.characters[..self.cursor];
        let word_end = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |last| last + 1);
        let word_start = before[..word_end].iter().rposition(|c| c.is_whitespace()).map_or(0, |space| space + 1);
        self.characters.drain(word_start..self.cursor);
        self.cursor = word_start;
    }

    /// Erases everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Does what a key asks for, if it is about text; says whether it was.
    pub(super) fn apply(&mut self, command: Command) -> bool {
        match command {
            Command::InputErase => self.erase(),
            Command::InputDelete => self.delete(),
            Command::InputEraseWord => self.erase_word(),
            Command::InputClear => self.clear(),
            Command::InputLeft => self.move_by(-1),
            Command::InputRight => self.move_by(1),
            Command::InputStart => self.move_by(isize::MIN),
            Command::InputEnd => self.move_by(isize::MAX),
            _ => return false,
        }
        true
    }

    /// Moves the cursor by some characters.
    pub(super) fn move_by(&mut self, step: isize) {
        self.cursor = self.cursor.saturating_add_signed(step).min(self.characters.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_keeps_the_cursor_in_the_text() {
        let mut line = Input::new("lr > é");
        line.erase();
        line.insert('0');
        line.insert('\n');
        assert_eq!((line.text().as_str(), line.cursor()), ("lr > 0", 6));
        line.move_by(-100);
        line.erase();
        line.delete();
        line.insert('L');
        assert_eq!((line.text().as_str(), line.cursor()), ("Lr > 0", 1));
        line.move_by(isize::MAX);
        line.delete();
        line.erase_word();
        line.erase_word();
        assert_eq!(line.text(), "Lr ");
        line.erase_word();
        line.erase_word();
        assert_eq!((line.text().as_str(), line.cursor()), ("", 0));
    }
}
