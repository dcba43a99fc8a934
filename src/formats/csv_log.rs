//! Logs as CSV: those of Keras' and Lightning's `CSVLogger`.
//!
//! The first line names the columns. The step of a row is in the column `step`, or else `epoch`, or it is the row's
//! number. Every other cell with a number in it is a value of the metric that the column names; Lightning leaves most
//! cells empty. A log has no times.

use std::collections::BTreeMap;

use super::{Losses, flatten, plain_text};

/// Bytes that a line may have.
const MAX_LINE: usize = 1 << 20;
/// Columns that a log may have.
const MAX_COLUMNS: usize = 10_000;

/// A row with values.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The step.
    pub step: i64,
    /// The values, by metric.
    pub values: Vec<(String, f64)>,
}

/// Reads a log that is fed in pieces.
///
/// Lightning writes its file anew when a column is added: where the file got shorter, or its first line changed, begin
/// with a new reader.
#[derive(Debug, Clone, Default)]
pub struct CsvLog {
    waiting: Vec<u8>,
    is_skipping: bool,
    header: Option<Header>,
    rows: i64,
    fed: u64,
    losses: Losses,
}

#[derive(Debug, Clone)]
struct Header {
    delimiter: u8,
    columns: Vec<String>,
    step: Option<usize>,
}

impl CsvLog {
    /// Nothing was fed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file, and gives out the rows whose lines are whole now.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Row)) {
        self.fed += bytes.len() as u64;
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            if self.is_skipping || self.waiting.len() + line.len() > MAX_LINE {
                self.losses.too_long += 1;
                self.is_skipping = false;
                self.waiting.clear();
            } else if self.waiting.is_empty() {
                self.line(line, each);
            } else {
                let mut waiting = std::mem::take(&mut self.waiting);
                waiting.extend_from_slice(line);
                self.line(&waiting, each);
            }
        }
        self.is_skipping |= self.waiting.len() + rest.len() > MAX_LINE;
        if self.is_skipping {
            self.waiting = Vec::new();
        } else {
            self.waiting.extend_from_slice(rest);
        }
    }

    /// Takes what stands after the last newline for a line: nothing more will come.
    pub fn finish(&mut self, each: &mut dyn FnMut(Row)) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.line(&waiting, each);
        }
    }

    /// Bytes that were fed: what follows them comes next.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// What could not be read.
    pub fn losses(&self) -> Losses {
        self.losses
    }

    fn line(&mut self, line: &[u8], each: &mut dyn FnMut(Row)) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return;
        }
        let Some(header) = &self.header else {
            self.header = Header::parse(line);
            self.losses.lost = self.header.is_none();
            return;
        };
        let row = self.rows;
        self.rows += 1;
        let Some(cells) = cells(line, header.delimiter).filter(|cells| cells.len() == header.columns.len()) else {
            // A log that was torn and went on has half a row in it.
            self.losses.damaged += 1;
            return;
        };
        // Lightning's summary row and Keras' epochs are whole numbers; some write those as 3.0.
        let whole = |text: &str| text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().map(|step| step as i64));
        let step = header.step.and_then(|index| whole(cells.get(index)?.trim())).unwrap_or(row);
        let values: Vec<_> = header
            .columns
            .iter()
            .zip(&cells)
            .enumerate()
            .filter(|(index, _)| Some(*index) != header.step)
            .filter_map(|(_, (name, cell))| Some((name.clone(), cell.trim().parse::<f64>().ok()?)))
            .collect();
        if !values.is_empty() {
            each(Row { step, values });
        }
    }
}

impl Header {
    /// The names of the columns; none where the line is no header.
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        // Keras lets its user choose: the one that there are most of separates.
        let delimiter =
            *[b',', b';', b'\t'].iter().rev().max_by_key(|sign| line.iter().filter(|b| b == sign).count())?;
        let columns = cells(line, delimiter)?;
        let is_header = columns.len() <= MAX_COLUMNS && !columns.iter().any(|name| name.parse::<f64>().is_ok());
        let find = |name: &str| columns.iter().position(|column| column.trim() == name);
        let step = find("step").or_else(|| find("epoch"));
        is_header.then_some(Self { delimiter, step, columns })
    }
}

/// The cells of a line; none where it is no text.
fn cells(line: &[u8], delimiter: u8) -> Option<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).flexible(true).from_reader(line);
    let record = reader.records().next()?.ok()?;
    (record.len() <= MAX_COLUMNS).then(|| record.iter().map(str::to_owned).collect())
}

/// The parameters in a `hparams.yaml`, as Lightning writes it beside its log. Nested ones are joined with `/`.
pub fn parse_hparams(text: &str) -> Result<BTreeMap<String, String>, String> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let value: serde_json::Value = serde_saphyr::from_str(text)
        .map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())?;
    let mut params = BTreeMap::new();
    match &value {
        serde_json::Value::Null => {}
        serde_json::Value::Object(_) => flatten(&value, "/", &mut |name, value| {
            params.insert(name, plain_text(value));
        }),
        _ => return Err("it is no list of parameters".to_owned()),
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(pieces: &[&[u8]]) -> (Vec<Row>, CsvLog) {
        let (mut log, mut rows) = (CsvLog::new(), Vec::new());
        pieces.iter().for_each(|piece| log.feed(piece, &mut |row| rows.push(row)));
        log.finish(&mut |row| rows.push(row));
        (rows, log)
    }

    fn row(step: i64, values: &[(&str, f64)]) -> Row {
        Row { step, values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect() }
    }

    #[test]
    fn a_log_of_keras() {
        let text = "epoch,accuracy,loss,val_loss\r\n0,0.5,1.25,NA\r\n1,0.75,nan,\"[1.0, 2.0]\"\r\n";
        let (found, log) = rows(&[text.as_bytes()]);
        assert_eq!(found[0], row(0, &[("accuracy", 0.5), ("loss", 1.25)]));
        assert_eq!((found[1].step, found[1].values.len()), (1, 2));
        assert!(found[1].values[1].1.is_nan());
        assert_eq!(log.losses(), Losses::default());
        assert_eq!(rows(&[b"epoch;loss\n3;0.5\n"]).0, [row(3, &[("loss", 0.5)])]);
    }

    #[test]
    fn a_log_of_lightning_with_empty_cells() {
        let text = b"epoch,step,train_loss,val_loss\n0,49,0.5,\n0,99,,0.25\n,,,\n1,149,inf,\n";
        let (found, _) = rows(&[text]);
        assert_eq!(
            found,
            [
                row(49, &[("epoch", 0.0), ("train_loss", 0.5)]),
                row(99, &[("epoch", 0.0), ("val_loss", 0.25)]),
                row(149, &[("epoch", 1.0), ("train_loss", f64::INFINITY)]),
            ]
        );
    }

    #[test]
    fn rows_that_do_not_fit_cost_themselves_and_a_file_without_names_gives_nothing() {
        let (found, log) = rows(&[b"epoch,loss\n0,1\n1,2,3\n2\n3,4\n\xff,5\n4,6"]);
        assert_eq!(found, [row(0, &[("loss", 1.0)]), row(3, &[("loss", 4.0)]), row(4, &[("loss", 6.0)])]);
        assert_eq!(log.losses().damaged, 3);
        let (found, log) = rows(&[b"0,1\n1,2\n"]);
        assert!(found.is_empty() && log.losses().lost);
        let long = [b"epoch,loss\n".to_vec(), vec![b'1'; MAX_LINE + 1], b"\n5,6\n".to_vec()].concat();
        let (found, log) = rows(&[&long[..100], &long[100..]]);
        assert_eq!((found, log.losses().too_long), (vec![row(5, &[("loss", 6.0)])], 1));
    }

    #[test]
    fn hyperparameters_of_lightning() {
        let text = "lr: 0.001\nname: null\nmodel:\n  layers: [1, 2]\n  act: relu\nflag: true\n";
        let params = parse_hparams(text).unwrap();
        let words: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(words, ["flag=true", "lr=0.001", "model/act=relu", "model/layers=[1,2]", "name=null"]);
        assert_eq!(parse_hparams("{}\n").unwrap().len(), 0);
        assert_eq!(parse_hparams("").unwrap().len(), 0);
        assert!(parse_hparams("- 1\n").is_err() && parse_hparams("a: [").is_err());
    }

    proptest! {
        #[test]
        fn rows_come_out_however_the_file_is_cut(text in "[a-c0-9,.\\n\"]{0,60}", cut in any::<prop::sample::Index>()) {
            let bytes = format!("epoch,a\n{text}").into_bytes();
            let cut = cut.index(bytes.len());
            let (whole, log) = rows(&[&bytes]);
            let (pieces, cut_log) = rows(&[&bytes[..cut], &bytes[cut..]]);
            prop_assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
            prop_assert_eq!(log.losses(), cut_log.losses());
        }
    }
}
