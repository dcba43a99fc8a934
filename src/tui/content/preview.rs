//! What a file looks like: text in colours, JSON made readable, tables, pictures, tensors; of all else its bytes.
//!
//! At most a bounded part of a file is read, whatever it claims to be, and what does not parse is shown as it is.

use std::io::Read;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use crate::run::read_parquet;
use crate::tui::text;
use crate::words;

use super::grid::Grid;
use super::highlight::{Ink, InkedLine, inked, language_of};
use super::picture::{self, Picture};

/// Bytes of a text that are read.
const MAX_TEXT: u64 = 512 << 10;
/// Bytes of a JSON document that is made readable, of which all is needed.
const MAX_JSON: u64 = 4 << 20;
/// Bytes of a Parquet file, whose end says what is in it.
const MAX_PARQUET: u64 = 32 << 20;
/// Bytes that the first rows of a Parquet file may expand to.
const MAX_EXPANDED: u64 = 128 << 20;
/// Bytes of the list of a file's tensors.
const MAX_TENSOR_LIST: u64 = 8 << 20;
/// Lines, and rows of a table.
const MAX_LINES: usize = 20_000;
const MAX_ROWS: usize = 2_000;
/// Columns of a table.
const MAX_COLUMNS: usize = 256;
/// Characters of a line.
const MAX_LINE: usize = 2_000;
/// Bytes that are shown of what is no text.
const MAX_BYTES: usize = 4096;
/// Bytes that tell what a file is.
const SNIFFED: u64 = 8192;

/// A file made ready to be looked at.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Preview {
    /// What it is: `TOML`, `PNG, 640×480`.
    pub(in crate::tui) kind: String,
    /// What it looks like.
    pub(in crate::tui) content: Content,
    /// What is not shown, or why it looks as it does.
    pub(in crate::tui) remark: Option<String>,
}

/// What a file looks like.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Content {
    /// Lines.
    Lines(Vec<InkedLine>),
    /// A table.
    Table(Grid),
    /// A picture.
    Picture(Picture),
    /// Nothing but what the remark says.
    Nothing,
}

/// Looks at a file of `size` bytes called `name`; a picture is made ready for an area of `room`.
pub(in crate::tui) fn preview(
    name: &str,
    size: u64,
    input: &mut dyn Read,
    room: (u16, u16),
) -> Result<Preview, String> {
    let mut source = Source { input, bytes: Vec::new(), size };
    source.read_to(SNIFFED)?;
    if picture::is_picture(&source.bytes) {
        return picture_of(source, room);
    }
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix).to_ascii_lowercase();
    if suffix == "safetensors" {
        return tensors_of(source);
    }
    if source.bytes.starts_with(b"PAR1") {
        return parquet_of(source);
    }
    if !is_text(&source.bytes) {
        return Ok(bytes_of(&source));
    }
    match suffix.as_str() {
        "json" | "ipynb" => json_of(source, name),
        "csv" | "tsv" => table_of(source, &suffix),
        _ => text_of(source, name, None),
    }
}

/// A file of which a part was read.
struct Source<'i> {
    input: &'i mut dyn Read,
    bytes: Vec<u8>,
    size: u64,
}

impl Source<'_> {
    /// Reads until so many bytes are there, or all.
    fn read_to(&mut self, length: u64) -> Result<(), String> {
        let missing = length.saturating_sub(self.bytes.len() as u64);
        let read = (&mut self.input).take(missing).read_to_end(&mut self.bytes);
        read.map(drop).map_err(|error| error.to_string())
    }

    fn is_whole(&self) -> bool {
        self.bytes.len() as u64 >= self.size
    }

    /// What is left out, if anything is.
    fn rest(&self) -> Option<String> {
        let shown = words::size(self.bytes.len() as u64);
        (!self.is_whole()).then(|| format!("the first {shown} of {}", words::size(self.size)))
    }

    /// Leaves out the line that was cut where reading ended.
    fn drop_cut_line(&mut self) {
        if !self.is_whole()
            && let Some(end) = self.bytes.iter().rposition(|byte| *byte == b'\n')
        {
            self.bytes.truncate(end + 1);
        }
    }
}

/// Text has no NUL and is UTF-8, but for a character that is cut at the end.
fn is_text(bytes: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !bytes.contains(&0)
}

fn lines_of(text: &str, name: &str) -> (Vec<InkedLine>, bool) {
    let language = language_of(name);
    let mut lines = text.lines();
    let line = |line: &str| {
        let cut: String = line.replace('\t', "    ").chars().take(MAX_LINE).collect();
        inked(&text::clean(&cut), language)
    };
    let shown = lines.by_ref().take(MAX_LINES).map(line).collect();
    (shown, lines.next().is_some())
}

fn text_of(mut source: Source<'_>, name: &str, remark: Option<String>) -> Result<Preview, String> {
    source.read_to(MAX_TEXT)?;
    source.drop_cut_line();
    let (lines, is_cut) = lines_of(&String::from_utf8_lossy(&source.bytes), name);
    let too_many = is_cut.then(|| format!("the first {MAX_LINES} lines"));
    let remark = remark.or(too_many).or_else(|| source.rest());
    Ok(Preview { kind: language_of(name).name.to_owned(), content: Content::Lines(lines), remark })
}

fn json_of(mut source: Source<'_>, name: &str) -> Result<Preview, String> {
    if source.size > MAX_JSON {
        return text_of(source, name, None);
    }
    source.read_to(MAX_JSON)?;
    let pretty = serde_json::from_slice::<Value>(&source.bytes).and_then(|value| serde_json::to_string_pretty(&value));
    match pretty {
        Ok(pretty) => {
            let (lines, is_cut) = lines_of(&pretty, name);
            let remark = is_cut.then(|| format!("the first {MAX_LINES} lines"));
            Ok(Preview { kind: "JSON".to_owned(), content: Content::Lines(lines), remark })
        }
        Err(error) => text_of(source, name, Some(format!("as it is, since it is not JSON: {error}"))),
    }
}

fn table_of(mut source: Source<'_>, suffix: &str) -> Result<Preview, String> {
    source.read_to(MAX_TEXT)?;
    source.drop_cut_line();
    let first = source.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| first.iter().filter(|byte| **byte == delimiter).count();
    let delimiter = match suffix {
        "tsv" => b'\t',
        // Of several the first, since `max_by_key` takes the last.
        _ => [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b','),
    };
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(&source.bytes[..]);
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut more_columns = 0;
    let mut records = reader.byte_records();
    for record in records.by_ref().take(MAX_ROWS + 1) {
        let record = record.map_err(|error| error.to_string())?;
        more_columns = more_columns.max(record.len().saturating_sub(MAX_COLUMNS));
        let cell = |cell: &[u8]| String::from_utf8_lossy(cell).chars().take(MAX_LINE).collect();
        rows.push(record.iter().take(MAX_COLUMNS).map(cell).collect());
    }
    let has_more_rows = records.next().is_some();
    let is_number = |cell: &String| cell.trim().parse::<f64>().is_ok();
    let has_heading = rows.first().is_some_and(|row| !row.iter().any(is_number));
    let heading = if has_heading { rows.remove(0) } else { Vec::new() };
    let columns = rows.first().unwrap_or(&heading).len() + more_columns;
    let remark = match (has_more_rows, more_columns) {
        (true, _) => Some(format!("the first {} rows", rows.len())),
        (false, 0) => source.rest(),
        (false, _) => Some(format!("the first {MAX_COLUMNS} columns")),
    };
    let kind = format!("{}, {}", suffix.to_uppercase(), words::count(columns as u64, "column"));
    Ok(Preview { kind, content: Content::Table(Grid::new(heading, rows)), remark })
}

fn picture_of(mut source: Source<'_>, room: (u16, u16)) -> Result<Preview, String> {
    if source.size > picture::MAX_FILE {
        return Ok(nothing("picture", format!("its {} are more than are decoded here", words::size(source.size))));
    }
    source.read_to(picture::MAX_FILE)?;
    Ok(match picture::decode(&source.bytes, room) {
        Ok(picture) => Preview {
            kind: format!("{}, {}×{}", picture.format, picture.size.0, picture.size.1),
            content: Content::Picture(picture),
            remark: None,
        },
        Err(problem) => nothing("picture", problem),
    })
}

fn nothing(kind: &str, remark: String) -> Preview {
    Preview { kind: kind.to_owned(), content: Content::Nothing, remark: Some(remark) }
}

/// The list at the start of a file of tensors: its length (u64), then JSON.
fn tensors_of(mut source: Source<'_>) -> Result<Preview, String> {
    let length = source.bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    let Some(length) = length.filter(|length| *length <= MAX_TENSOR_LIST) else { return Ok(bytes_of(&source)) };
    source.read_to(8 + length)?;
    let end = usize::try_from(8 + length).unwrap_or(usize::MAX);
    let list: Option<serde_json::Map<String, Value>> =
        source.bytes.get(8..end).and_then(|list| serde_json::from_slice(list).ok());
    let Some(list) = list else { return Ok(bytes_of(&source)) };
    let mut numbers = 0u64;
    let tensor = |(name, facts): (&String, &Value)| {
        let shape: Vec<u64> = facts.get("shape")?.as_array()?.iter().filter_map(Value::as_u64).collect();
        let count = shape.iter().try_fold(1u64, |product, length| product.checked_mul(*length)).unwrap_or(u64::MAX);
        numbers = numbers.saturating_add(count);
        let shape = shape.iter().map(u64::to_string).collect::<Vec<_>>().join("×");
        Some(vec![name.clone(), facts.get("dtype")?.as_str()?.to_owned(), shape, count.to_string()])
    };
    let rows: Vec<Vec<String>> = list.iter().filter_map(tensor).take(MAX_LINES).collect();
    let kind = format!("{}, {numbers} numbers", words::count(rows.len() as u64, "tensor"));
    let heading = ["tensor", "type", "shape", "numbers"].map(str::to_owned).to_vec();
    Ok(Preview { kind, content: Content::Table(Grid::new(heading, rows)), remark: None })
}

fn parquet_of(mut source: Source<'_>) -> Result<Preview, String> {
    if source.size > MAX_PARQUET {
        return Ok(nothing("Parquet", format!("its {} are more than are read here", words::size(source.size))));
    }
    source.read_to(MAX_PARQUET)?;
    let bytes = Bytes::from(source.bytes);
    Ok(match read_parquet(|| parquet_rows(bytes)) {
        Ok((grid, rows)) => {
            let columns = words::count(grid.columns() as u64, "column");
            let shown = grid.len() as u64;
            let remark = (shown < rows).then(|| format!("the first {shown} rows"));
            let kind = format!("Parquet, {columns}, {}", words::count(rows, "row"));
            Preview { kind, content: Content::Table(grid), remark }
        }
        Err(problem) => nothing("Parquet", format!("it cannot be read: {problem}")),
    })
}

/// The first rows of a Parquet file, and how many there are.
fn parquet_rows(bytes: Bytes) -> Result<(Grid, u64), ParquetError> {
    let reader = SerializedFileReader::new(bytes)?;
    // A small file can hold any number of repetitions.
    let expands = reader.metadata().row_groups().first().map_or(0, |group| group.total_byte_size());
    if u64::try_from(expands).unwrap_or(u64::MAX) > MAX_EXPANDED {
        return Err(ParquetError::General("its rows take more memory than is given to them here".to_owned()));
    }
    let facts = reader.metadata().file_metadata();
    let heading: Vec<String> = facts.schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let count = u64::try_from(facts.num_rows()).unwrap_or(0);
    let mut rows = Vec::new();
    for row in reader.get_row_iter(None)?.take(MAX_ROWS / 4) {
        let row = row?;
        let cell = |(_, field): (&String, &parquet::record::Field)| field.to_string().trim_matches('"').to_owned();
        rows.push(row.get_column_iter().take(MAX_COLUMNS).map(cell).collect());
    }
    Ok((Grid::new(heading, rows), count))
}

/// Bytes as such, sixteen a line, with what of them is text.
fn bytes_of(source: &Source<'_>) -> Preview {
    let line = |(index, bytes): (usize, &[u8])| {
        let digits: String = (0..16)
            .map(|place| {
                let gap = if place == 8 { " " } else { "" };
                bytes.get(place).map_or_else(|| format!("{gap}   "), |byte| format!("{gap}{byte:02x} "))
            })
            .collect();
        let letters = bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '·' }).collect();
        vec![(Ink::Comment, format!("{:08x}  ", index * 16)), (Ink::Plain, digits), (Ink::Text, letters)]
    };
    let shown = &source.bytes[..source.bytes.len().min(MAX_BYTES)];
    let lines = shown.chunks(16).enumerate().map(line).collect();
    let is_cut = source.size > shown.len() as u64;
    let remark =
        is_cut.then(|| format!("the first {} of {}", words::size(shown.len() as u64), words::size(source.size)));
    Preview { kind: "binary".to_owned(), content: Content::Lines(lines), remark }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(name: &str, bytes: &[u8]) -> Preview {
        preview(name, bytes.len() as u64, &mut &bytes[..], (20, 10)).unwrap()
    }

    fn texts(preview: &Preview) -> Vec<String> {
        let Content::Lines(lines) = &preview.content else { panic!("no lines: {preview:?}") };
        lines.iter().map(|line| line.iter().map(|(_, text)| text.as_str()).collect()).collect()
    }

    fn cells(preview: &Preview, width: u16, height: u16) -> Vec<String> {
        use crate::tui::theme::{Background, ColorDepth, Theme};
        use ratatui::{buffer::Buffer, layout::Rect};
        let Content::Table(grid) = &preview.content else { panic!("no table: {preview:?}") };
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        grid.draw(0, 0, &Theme::new(ColorDepth::None, Background::Dark), area, &mut buffer);
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect()
    }

    #[test]
    fn text_and_json_are_lines() {
        let json = look("metrics.json", br#"{"b":{"loss":1.0,"x":[]},"a":"\u001b[2J"}"#);
        assert_eq!(json.kind, "JSON");
        assert_eq!(
            texts(&json),
            ["{", "  \"b\": {", "    \"loss\": 1.0,", "    \"x\": []", "  },", "  \"a\": \"\\u001b[2J\"", "}"]
        );
        let broken = look("x.json", b"{\"a\": NaN}\n");
        assert_eq!(texts(&broken), ["{\"a\": NaN}"]);
        assert_eq!(broken.remark.unwrap(), "as it is, since it is not JSON: expected value at line 1 column 7");
        let deep = look("deep.json", "[".repeat(100_000).as_bytes());
        assert!(deep.remark.unwrap().contains("recursion limit"));
        let text = look("train.py", "\tx = 1\x1b[31m\n\u{202e}ä".as_bytes());
        assert_eq!(texts(&text), ["    x = 1\u{fffd}[31m", "\u{fffd}ä"]);
        assert_eq!(texts(&look("empty", b"")), Vec::<String>::new());
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let long = look("long.txt", &b"0123456789\n".repeat(100_000));
        assert_eq!(long.remark.as_deref(), Some("the first 20000 lines"));
        let wide = look("wide.txt", &[b'x'; 1 << 20]);
        assert_eq!((texts(&wide)[0].len(), wide.remark.as_deref()), (MAX_LINE, Some("the first 512.0 KiB of 1.0 MiB")));
        let rows = look("rows.csv", &b"a,b\n1,2\n".repeat(5000));
        assert_eq!(rows.remark.as_deref(), Some("the first 2000 rows"));
        // A character that is cut where sniffing ended is text all the same.
        assert_eq!(look("x", &"ä".repeat(10_001).as_bytes()[1..]).kind, "binary");
        assert_eq!(look("x", format!("a{}", "ä".repeat(10_000)).as_bytes()).kind, "text");
    }

    #[test]
    fn separated_values_are_a_table() {
        let table = look("scores.csv", b"name,score\n\"a, b\",0.5\nlong name,12.25,extra\n");
        assert_eq!(table.kind, "CSV, 2 columns");
        assert_eq!(cells(&table, 30, 3), ["name       score", "a, b         0.5", "long name  12.25  extra"]);
        assert_eq!(cells(&look("x.tsv", b"1\t2\n3\t4\n"), 10, 2), ["1  2", "3  4"]);
        assert_eq!(cells(&look("x.csv", b"a;b\n1;2\n"), 10, 2), ["a  b", "1  2"]);
        assert_eq!(cells(&table, 8, 1), ["name"]);
        assert_eq!(look("empty.csv", b"").kind, "CSV, 0 columns");
    }

    #[test]
    fn tensors_are_listed_without_their_numbers() {
        let list = br#"{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
        let file = [&(list.len() as u64).to_le_bytes()[..], list, &[0; 24]].concat();
        let tensors = look("model.safetensors", &file);
        assert_eq!(tensors.kind, "1 tensor, 6 numbers");
        assert_eq!(cells(&tensors, 40, 2), ["tensor  type  shape  numbers", "w       F32   2×3          6"]);
        assert_eq!(look("x.safetensors", &[0xff; 20]).kind, "binary");
        assert_eq!(look("x.safetensors", b"abc").kind, "binary");
    }

    #[test]
    fn other_bytes_are_shown_as_such() {
        let binary = look("x.bin", b"\0AB\xff0123456789abcdef");
        assert_eq!(
            texts(&binary),
            [
                "00000000  00 41 42 ff 30 31 32 33  34 35 36 37 38 39 61 62 ·AB·0123456789ab",
                "00000010  63 64 65 66                                      cdef",
            ]
        );
        let damaged = look("x.parquet", b"PAR1 and nothing of it PAR1");
        assert!(damaged.remark.unwrap().starts_with("it cannot be read: "));
        let picture = look("x.png", b"\x89PNG no");
        assert!(picture.content == Content::Nothing && picture.remark.is_some());
    }
}
