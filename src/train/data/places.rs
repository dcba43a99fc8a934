//! Where the examples of files with rows stand.

/// The files and rows of a data set's examples, in their order.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Each file with its first example.
    files: Vec<(String, u32)>,
    /// The line of each example; without lines, its place in its file counts.
    lines: Vec<u64>,
}

impl Places {
    /// What comes next is in `file`, from the example `first` on.
    pub(super) fn begin(&mut self, file: &str, first: u32) {
        self.files.push((file.to_owned(), first));
    }

    /// The next example begins at a line.
    pub(super) fn push(&mut self, line: u64) {
        self.lines.push(line);
    }

    /// The file and the row of an example, for errors.
    pub(super) fn place_of(&self, index: u32) -> String {
        let (file, first) = self.files.iter().rev().find(|(_, first)| *first <= index).map_or(("", 0), |f| (&f.0, f.1));
        match self.lines.get(index as usize) {
            Some(line) => line_of(file, *line),
            None => format!("{file} row {}", index - first),
        }
    }
}

/// A line of a file, for errors.
pub(super) fn line_of(file: &str, line: u64) -> String {
    format!("{file} line {line}")
}
