//! The rows of a CSV file (RFC 4180), bounded and strict.

use std::io::{self, Cursor, Read};

use super::places::line_of;
use super::source::read_failed;
use super::{DataError, malformed};

/// Bytes that a row may have.
const MAX_ROW: u64 = 16 << 20;
/// Bytes that a file may have, unpacked.
const MAX_FILE: u64 = 4 << 30;
/// A row of our own after the last one: a quote that is never closed swallows it, which nothing else would show.
const END: &[u8] = b"\n\x1egit-ml end of file\x1e\n";

/// Reads a CSV file row by row.
pub(super) struct Rows<'r> {
    reader: csv::Reader<Bounded<'r>>,
    row: csv::ByteRecord,
    file: &'r str,
    /// The names of the columns.
    pub(super) columns: Vec<String>,
}

/// One row.
pub(super) struct Row<'r> {
    fields: &'r csv::ByteRecord,
    line: u64,
    file: &'r str,
}

impl<'r> Rows<'r> {
    /// Reads the header of a file; `file` is its name, for errors.
    pub(super) fn new(input: &'r mut dyn Read, file: &'r str) -> Result<Self, DataError> {
        let bounded = Bounded { input, end: Cursor::new(END), row_left: 0, left: MAX_FILE };
        let delimiter = if file.trim_end_matches(".gz").to_lowercase().ends_with(".tsv") { b'\t' } else { b',' };
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(delimiter).buffer_capacity(1 << 16);
        let mut own =
            Self { reader: builder.from_reader(bounded), row: csv::ByteRecord::new(), file, columns: Vec::new() };
        let mut columns = Vec::new();
        match own.read()? {
            None => return malformed(file, "is empty: the first line has to name the columns"),
            Some(row) => {
                for index in 0..row.fields.len() {
                    columns.push(row.text(index)?.trim().to_owned());
                }
            }
        }
        own.columns = columns;
        Ok(own)
    }

    /// The next row; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, DataError> {
        let (columns, file) = (self.columns.len(), self.file);
        match self.read()? {
            Some(row) if row.fields.len() != columns => {
                let problem = format!("has {}, but the first line has {columns}", counted(row.fields.len(), "column"));
                malformed(&row.place(), problem)
            }
            row => Ok(row.map(|row| Row { file, ..row })),
        }
    }

    fn read(&mut self) -> Result<Option<Row<'_>>, DataError> {
        let line = self.reader.position().line();
        self.reader.get_mut().row_left = MAX_ROW;
        match self.reader.read_byte_record(&mut self.row) {
            Ok(true) => {}
            Ok(false) => return malformed(&self.place(line), UNCLOSED),
            Err(error) => {
                let place = self.place(line);
                return Err(match error.into_kind() {
                    csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                        DataError::Malformed { file: place, problem: error.to_string() }
                    }
                    csv::ErrorKind::Io(error) => read_failed(self.file, error),
                    other => DataError::Malformed { file: place, problem: format!("cannot be read: {other:?}") },
                });
            }
        }
        let line = self.row.position().map_or(line, csv::Position::line);
        let end = END.trim_ascii();
        if self.row.len() == 1 && self.row.get(0) == Some(end) && self.reader.get_ref().is_at_end() {
            return Ok(None);
        }
        if self.reader.get_ref().is_at_end() && self.row.iter().any(|field| field.ends_with(END)) {
            return malformed(&self.place(line), UNCLOSED);
        }
        Ok(Some(Row { fields: &self.row, line, file: self.file }))
    }

    fn place(&self, line: u64) -> String {
        line_of(self.file, line)
    }
}

const UNCLOSED: &str = "opens a quote that is never closed";

impl Row<'_> {
    /// The text of a column.
    pub(super) fn text(&self, column: usize) -> Result<&str, DataError> {
        match std::str::from_utf8(&self.fields[column]) {
            Ok(text) => Ok(text),
            Err(_) => malformed(&self.place(), "has bytes that are not UTF-8"),
        }
    }

    /// The file and the line, for errors.
    pub(super) fn place(&self) -> String {
        line_of(self.file, self.line)
    }

    /// The line where it begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }
}

/// A number of things in words.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A file with [`END`] after it, of which no row and not the whole is longer than may be.
struct Bounded<'r> {
    input: &'r mut dyn Read,
    end: Cursor<&'static [u8]>,
    row_left: u64,
    left: u64,
}

impl Bounded<'_> {
    fn is_at_end(&self) -> bool {
        self.end.position() as usize == END.len()
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let too_long = |problem: String| Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
        if self.row_left == 0 {
            return too_long(format!("is longer than {} MiB; is a quote not closed?", MAX_ROW >> 20));
        }
        if self.left == 0 {
            return too_long(format!("is where {} GiB end, the most that are read", MAX_FILE >> 30));
        }
        let most = self.row_left.min(self.left).min(buffer.len() as u64) as usize;
        let count = match self.input.read(&mut buffer[..most])? {
            0 => self.end.read(buffer)?,
            count => count,
        };
        self.row_left = self.row_left.saturating_sub(count as u64);
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
