//! What a data set holds, in short, without reading more of it than that takes.

use std::collections::BTreeMap;

use super::classes::Words;
use super::folders::{self, is_picture};
use super::rows::Rows;
use super::source::{Files, Source};
use super::{DataError, Dataset, Inputs, find_format, tables};
use crate::train::recipe::{DataConfig, DataFormat};

/// What a data set holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What its files are, as a recipe calls it: `idx`, `cifar`, `folders`, `table`, `text` or `safetensors`.
    pub format: &'static str,
    /// How many examples there are.
    pub examples: u64,
    /// The classes in the order of their numbers, each with how many examples it has; none where nothing tells them.
    pub classes: Option<Vec<(String, u64)>>,
    /// The shape of an example: channels, height and width, or how many numbers. Empty where they differ, or are texts.
    pub shape: Vec<u64>,
    /// The names of a table's columns.
    pub columns: Vec<String>,
    /// How many examples each part has that the files give: `train`, `validation`, `test`.
    pub splits: BTreeMap<String, u64>,
}

impl Facts {
    /// Reads them. Of folders of images the names are enough, and of tables the rows are counted, whether or not anything
    /// could be trained on them; `label` is the column of a table that has the classes, `label` where it is not given.
    pub fn read(source: &Source, place: &str, label: Option<&str>) -> Result<Self, DataError> {
        let files = Files::new(source, place)?;
        match find_format(&files)? {
            DataFormat::Folders => of_folders(&files),
            DataFormat::Auto | DataFormat::Table | DataFormat::Text => of_tables(files, label.unwrap_or(tables::LABEL)),
            format => of_dataset(source, place, label, format),
        }
    }
}

fn of_folders(files: &Files<'_>) -> Result<Facts, DataError> {
    let pictures: Vec<&str> = files.names.keys().map(String::as_str).filter(|name| is_picture(name)).collect();
    let (names, classes, labels, given) = folders::outline(&pictures)?;
    let splits = given.into_iter().map(|(part, range)| (part, u64::from(range.end - range.start))).collect();
    Ok(Facts {
        format: "folders",
        examples: names.len() as u64,
        classes: Some(counted(classes, &labels)),
        splits,
        ..Facts::default()
    })
}

fn of_tables(mut files: Files<'_>, label: &str) -> Result<Facts, DataError> {
    let parts = files.parts(tables::ENDINGS)?;
    let mut facts = Facts { format: "table", ..Facts::default() };
    let mut words = Words::default();
    let mut has_labels = true;
    for (part, name) in &parts {
        let rows = files.open(name, |input, file| {
            let mut rows = Rows::new(input, file)?;
            let column = rows.columns.iter().position(|column| column == label);
            has_labels &= column.is_some();
            if facts.columns.is_empty() {
                facts.columns.clone_from(&rows.columns);
            }
            let mut number = 0;
            while let Some(row) = rows.next()? {
                number += 1;
                if let Some(column) = column {
                    words.push(row.text(column)?.trim());
                }
            }
            Ok(number)
        })?;
        facts.examples += rows;
        if let (Some(part), true) = (part, parts.len() > 1) {
            facts.splits.insert((*part).to_owned(), rows);
        }
    }
    if facts.columns.iter().any(|column| column == tables::TEXT) {
        facts.format = "text";
    }
    if has_labels {
        let (classes, labels) = words.finish();
        facts.classes = Some(counted(classes, &labels));
    }
    Ok(facts)
}

/// Of formats whose files are as large as what they hold, all of it is read.
fn of_dataset(source: &Source, place: &str, label: Option<&str>, format: DataFormat) -> Result<Facts, DataError> {
    let config = DataConfig {
        data: place.to_owned(),
        format,
        image_size: None,
        input: None,
        label: label.map(str::to_owned),
        validation: 0.0,
        test: 0.0,
        stratify: false,
        splits: BTreeMap::new(),
    };
    let Dataset { inputs, labels, classes, given, .. } = Dataset::read(source, &config)?;
    let shape = match &inputs {
        Inputs::Images(images) => [images.channels(), images.height(), images.width()].map(|size| size as u64).to_vec(),
        Inputs::Numbers { columns, .. } => vec![*columns as u64],
        Inputs::Texts(_) => Vec::new(),
    };
    Ok(Facts {
        format: match format {
            DataFormat::Idx => "idx",
            DataFormat::Cifar => "cifar",
            _ => "safetensors",
        },
        examples: labels.len() as u64,
        classes: Some(counted(classes, &labels)),
        shape,
        columns: Vec::new(),
        splits: given.into_iter().map(|(part, range)| (part, u64::from(range.end - range.start))).collect(),
    })
}

fn counted(classes: Vec<String>, labels: &[u32]) -> Vec<(String, u64)> {
    let mut counts = vec![0_u64; classes.len()];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    classes.into_iter().zip(counts).collect()
}
