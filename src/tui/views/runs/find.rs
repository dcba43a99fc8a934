//! Finding a run by some letters of its name, as they are typed.

use super::super::super::fuzzy;
use super::super::super::input::Input;

/// What is typed, and the rows whose names have these letters.
#[derive(Debug, Default)]
pub(in crate::tui) struct Find {
    pub(in crate::tui) input: Input,
    /// The best first.
    pub(in crate::tui) found: Vec<usize>,
    /// Which of them is chosen.
    pub(in crate::tui) at: usize,
    /// The line that was chosen before.
    pub(in crate::tui) before: usize,
}

/// Rows that are kept: nobody goes through more.
const KEPT: usize = 1000;

impl Find {
    /// Nothing is typed yet; this line is chosen.
    pub(super) fn new(before: usize) -> Self {
        Self { before, ..Self::default() }
    }

    /// Looks through the names.
    pub(super) fn look<'n>(&mut self, names: impl Iterator<Item = std::borrow::Cow<'n, str>>) {
        let pattern = self.input.text();
        self.at = 0;
        self.found = Vec::new();
        if pattern.trim().is_empty() {
            return;
        }
        let mut scored: Vec<(i64, usize)> =
            names.enumerate().filter_map(|(row, name)| Some((fuzzy::score(&pattern, &name)?, row))).collect();
        scored.sort_by_key(|(score, row)| (-score, *row));
        self.found = scored.into_iter().take(KEPT).map(|(_, row)| row).collect();
    }

    /// The row that is chosen.
    pub(super) fn row(&self) -> Option<usize> {
        self.found.get(self.at).copied()
    }

    /// Goes on to the next one, or back, round and round.
    pub(super) fn step(&mut self, forward: bool) {
        if !self.found.is_empty() {
            self.at = (self.at + if forward { 1 } else { self.found.len() - 1 }) % self.found.len();
        }
    }
}
