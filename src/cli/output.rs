//! Printing: tables, JSON, sizes, times and progress.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::track::Progress;
use crate::words::printable;

pub(crate) use crate::words::number;

use super::{Context, Failure};

/// Writes `text` and a newline to stdout.
pub(crate) fn print_line(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.write_all(b"\n")?;
    Ok(())
}

/// Writes one JSON document to stdout.
pub(crate) fn print_json<T: Serialize + ?Sized>(document: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document).map_err(io::Error::other)?;
    print_line(&text)
}

/// How a column of a table stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table of text with a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        Self { columns: columns.into_iter().map(|(name, align)| (name.into(), align)).collect(), rows: Vec::new() }
    }

    /// Adds a row, which has a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// The table as lines; the heading is bold where there is colour.
    pub(crate) fn render(&self, colour: bool) -> String {
        let width = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].chars().count());
            cells.max().unwrap_or(0).max(self.columns[index].0.chars().count())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded = cells.zip(&self.columns).zip(&widths).map(|((cell, (_, align)), width)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let heading = line(&mut self.columns.iter().map(|(name, _)| name.as_str()));
        let heading = if colour { format!("\x1b[1m{heading}\x1b[0m") } else { heading };
        let rows = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
        std::iter::once(heading).chain(rows).collect::<Vec<_>>().join("\n")
    }
}

/// A word that a shell takes as exactly this text.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Progress of long work on a terminal: it shows after half a second, and goes when the work is over.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    started: std::time::Instant,
}

impl Bar {
    /// A bar that is shown where the context allows.
    pub(crate) fn new(context: &Context) -> Self {
        let bar = ProgressBar::hidden();
        if context.shows_progress {
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        Self { bar, started: std::time::Instant::now() }
    }
}

impl Progress for Bar {
    fn start(&self, what: &str, bytes: Option<u64>) {
        let (template, length) = match bytes {
            Some(bytes) => ("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}", bytes),
            None => ("{msg} {bytes} {bytes_per_sec}", 0),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_length(length);
        self.bar.set_message(what.to_owned());
    }

    fn advance(&self, bytes: u64) {
        // A bar that flashes up for short work is only noise.
        if self.started.elapsed() > Duration::from_millis(500) {
            self.bar.inc(bytes);
        } else {
            self.bar.update(|state| state.set_pos(state.pos() + bytes));
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_and_escape() {
        let mut table = Table::new([("name", Align::Left), ("loss", Align::Right)]);
        table.row(vec!["a\x1b[2J".to_owned(), "1".to_owned()]);
        assert_eq!(table.render(false), "name        loss\na\\u{1b}[2J     1");
    }
}
