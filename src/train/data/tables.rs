//! CSV files of texts or of numbers, with a column of labels.

use std::collections::BTreeMap;

use super::classes::Words;
use super::places::Places;
use super::rows::{Row, Rows, counted};
use super::source::Files;
use super::{DataError, Dataset, Inputs, malformed};
use crate::train::recipe::{DataConfig, DataFormat};

pub(super) const ENDINGS: &[&str] = &[".csv", ".tsv", ".csv.gz", ".tsv.gz"];
/// The columns that are looked for where the recipe names none.
pub(super) const TEXT: &str = "text";
pub(super) const LABEL: &str = "label";
/// What stands for a value that nobody knows, in small letters.
const MISSING: &[&str] = &["", "na", "n/a", "nan", "null", "none", "?"];

/// Whether a file of this name is a table.
pub(super) fn is_table(name: &str) -> bool {
    let name = name.to_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Reads the tables of a data set: one alone, or `train.csv` with `validation.csv` and `test.csv`.
pub(super) fn read(
    mut files: Files<'_>,
    config: &DataConfig,
    format: DataFormat,
) -> Result<(Dataset, Places), DataError> {
    let parts = files.parts(ENDINGS)?;
    let mut table = Table {
        label: config.label.as_deref().unwrap_or(LABEL),
        input: config.input.as_deref(),
        form: format,
        columns: None,
        words: Words::default(),
        texts: Vec::new(),
        values: Vec::new(),
        places: Places::default(),
    };
    let mut given = BTreeMap::new();
    for (part, name) in &parts {
        let first = table.words.len() as u32;
        table.places.begin(name, first);
        files.open(name, |input, file| table.read(Rows::new(input, file)?, file))?;
        let end = u32::try_from(table.words.len()).unwrap_or(u32::MAX);
        if let (Some(part), true) = (part, parts.len() > 1) {
            if end == first {
                return malformed(name, "has no examples");
            }
            given.insert((*part).to_owned(), first..end);
        }
    }
    table.check_labels(files.place)?;
    let inputs = match table.columns {
        Some(columns) if table.form == DataFormat::Table => {
            Inputs::Numbers { columns: columns.len(), values: table.values }
        }
        _ => Inputs::Texts(table.texts),
    };
    let (classes, labels) = table.words.finish();
    Ok((Dataset { inputs, labels, classes, given, names: None, files: files.read }, table.places))
}

/// What was read of all files so far.
struct Table<'c> {
    label: &'c str,
    input: Option<&'c str>,
    form: DataFormat,
    /// The names of the columns with inputs, as the first file has them.
    columns: Option<Vec<String>>,
    words: Words,
    texts: Vec<String>,
    values: Vec<f32>,
    places: Places,
}

impl Table<'_> {
    fn read(&mut self, mut rows: Rows<'_>, file: &str) -> Result<(), DataError> {
        let header = rows.columns.clone();
        let label = find(&header, self.label, "label", file)?;
        if let Some(twice) = header.iter().enumerate().find(|(at, name)| header[..*at].contains(name)).map(|(_, n)| n) {
            return malformed(file, format!("has two columns called `{twice}`"));
        }
        let mut inputs = Vec::new();
        while let Some(row) = rows.next()? {
            if inputs.is_empty() {
                inputs = self.find_inputs(&header, label, &row, file)?;
            }
            self.push(&row, &inputs, label, &header)?;
        }
        Ok(())
    }

    /// Finds the columns with inputs, and by the first row whether they are texts or numbers.
    fn find_inputs(
        &mut self,
        header: &[String],
        label: usize,
        row: &Row<'_>,
        file: &str,
    ) -> Result<Vec<usize>, DataError> {
        if self.form == DataFormat::Auto {
            let is_text = match self.input {
                Some(name) => {
                    let column = header.iter().position(|column| column == name);
                    column.map(|column| row.text(column)).transpose()?.is_some_and(|text| number(text).is_none())
                }
                None => header.iter().any(|column| column == TEXT),
            };
            self.form = if is_text { DataFormat::Text } else { DataFormat::Table };
        }
        if self.form == DataFormat::Text {
            return Ok(vec![find(header, self.input.unwrap_or(TEXT), "input", file)?]);
        }
        let inputs: Vec<usize> = match (&self.columns, self.input) {
            // Those of the first file, wherever they stand in this one.
            (Some(names), _) => names.iter().map(|name| find(header, name, "input", file)).collect::<Result<_, _>>()?,
            (None, Some(names)) => {
                let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
                names.map(|name| find(header, name, "input", file)).collect::<Result<_, _>>()?
            }
            (None, None) => (0..header.len()).filter(|column| *column != label).collect(),
        };
        if inputs.is_empty() {
            return malformed(file, format!("has no columns to learn from beside `{}`", self.label));
        }
        if inputs.contains(&label) {
            return malformed(file, format!("has the labels in `{}`, which cannot be learnt from", self.label));
        }
        self.columns.get_or_insert_with(|| inputs.iter().map(|column| header[*column].clone()).collect());
        Ok(inputs)
    }

    fn push(&mut self, row: &Row<'_>, inputs: &[usize], label: usize, header: &[String]) -> Result<(), DataError> {
        let word = row.text(label)?;
        if word.trim().is_empty() {
            return Err(DataError::NoValue { file: row.place(), column: header[label].clone() });
        }
        if self.form == DataFormat::Text {
            self.texts.push(row.text(inputs[0])?.to_owned());
        } else {
            for column in inputs {
                let (text, name) = (row.text(*column)?, &header[*column]);
                match number(text) {
                    Some(number) => self.values.push(number),
                    None if MISSING.contains(&text.trim().to_lowercase().as_str()) => {
                        return Err(DataError::NoValue { file: row.place(), column: name.clone() });
                    }
                    None => {
                        let value = text.chars().take(40).collect();
                        return Err(DataError::NoNumber { file: row.place(), value, column: name.clone() });
                    }
                }
            }
        }
        self.words.push(word);
        self.places.push(row.line());
        if u32::try_from(self.words.len()).is_err() {
            return malformed(&row.place(), "is one example too many: 4,294,967,295 are possible");
        }
        Ok(())
    }

    /// Values that are all different are no classes, but prices, times or ids.
    fn check_labels(&self, place: &str) -> Result<(), DataError> {
        let (classes, examples) = (self.words.classes(), self.words.len());
        if classes > 2 && classes == examples {
            let examples = counted(examples, "example");
            return malformed(place, format!("has a class of its own in `{}` for each of {examples}", self.label));
        }
        Ok(())
    }
}

fn find(header: &[String], name: &str, key: &'static str, file: &str) -> Result<usize, DataError> {
    header.iter().position(|column| column == name).ok_or_else(|| {
        let mut found: Vec<_> = header.iter().take(8).map(|column| format!("`{column}`")).collect();
        if header.len() > found.len() {
            found.push("…".to_owned());
        }
        DataError::NoColumn {
            file: file.to_owned(),
            what: "column",
            name: name.to_owned(),
            found: found.join(", "),
            key,
        }
    })
}

/// A finite number of 32 bits.
fn number(text: &str) -> Option<f32> {
    text.trim().parse().ok().filter(|number: &f32| number.is_finite())
}
