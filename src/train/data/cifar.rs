//! The binary files of CIFAR-10 and CIFAR-100: labels, then 32×32 red, green and blue bytes, without a header
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::collections::BTreeMap;
use std::io::Read;

use super::source::{Files, read_failed};
use super::{DataError, Dataset, Images, Inputs, TEST, TRAIN, malformed};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const PIXELS: usize = 3 * PLANE;
/// Bytes that a file may have: a million images.
const MAX_FILE: u64 = 1_000_000 * (PIXELS as u64 + 2);

const EXPECTED: &str = "data_batch_1.bin to data_batch_5.bin and test_batch.bin, or train.bin and test.bin";
/// Label bytes of CIFAR-100's records in order: the rough class, and the exact one.
const LEVELS: [&str; 2] = ["coarse", "fine"];

/// Whether a file of this name is one of CIFAR's.
pub(super) fn is_cifar(name: &str) -> bool {
    is_batch(name) || matches!(name, "test_batch.bin" | "train.bin")
}

fn is_batch(name: &str) -> bool {
    name.starts_with("data_batch_") && name.ends_with(".bin")
}

/// Reads the files; `level` is which of CIFAR-100's labels counts, `fine` where it is not given.
pub(super) fn read(mut files: Files<'_>, level: Option<&str>) -> Result<Dataset, DataError> {
    let batches: Vec<String> = files.names.keys().filter(|name| is_batch(name)).cloned().collect();
    let two_labels = batches.is_empty();
    let (train, test) =
        if two_labels { (vec!["train.bin".to_owned()], "test.bin") } else { (batches, "test_batch.bin") };
    if !files.names.contains_key(&train[0]) {
        return Err(files.unknown(EXPECTED));
    }
    let level = match (two_labels, level) {
        (false, None) => 0,
        (true, level) if LEVELS.contains(&level.unwrap_or(LEVELS[1])) => usize::from(level != Some(LEVELS[0])),
        (true, _) => return malformed(files.place, "has CIFAR-100's labels: `label` can be `coarse` or `fine`"),
        (false, Some(_)) => return malformed(files.place, "has CIFAR-10's files, in which labels have no name"),
    };
    let names_file =
        if two_labels { format!("{}_label_names.txt", LEVELS[level]) } else { "batches.meta.txt".to_owned() };
    let classes = match files.names.contains_key(&names_file) {
        true => Some(files.open(&names_file, read_names)?),
        false => None,
    };
    let most = match (&classes, two_labels) {
        (Some(classes), _) => classes.len(),
        (None, true) => [20, 100][level],
        (None, false) => 10,
    };

    let mut records =
        Records { label_bytes: if two_labels { 2 } else { 1 }, level, most, labels: vec![], pixels: vec![] };
    for name in &train {
        files.open(name, |input, file| records.read(input, file))?;
    }
    let count = records.labels.len() as u32;
    let mut given = BTreeMap::new();
    if files.names.contains_key(test) {
        files.open(test, |input, file| records.read(input, file))?;
        let (train_labels, test_labels) = records.labels.split_at(count as usize);
        if let Some(record) = test_labels.iter().position(|label| !train_labels.contains(label)) {
            let class = match &classes {
                Some(classes) => classes[test_labels[record] as usize].clone(),
                None => test_labels[record].to_string(),
            };
            return Err(DataError::Unseen { place: format!("{test} record {record}"), class });
        }
        given.insert(TRAIN.to_owned(), 0..count);
        given.insert(TEST.to_owned(), count..records.labels.len() as u32);
    }
    let highest = records.labels.iter().max().map_or(0, |label| *label as usize + 1);
    let classes = classes.unwrap_or_else(|| (0..highest).map(|class| class.to_string()).collect());
    let inputs = Inputs::Images(Images::new(SIDE, SIDE, 3, 255.0, records.pixels));
    Ok(Dataset { inputs, labels: records.labels, classes, given, names: None, files: files.read })
}

/// The names of the classes, one a line.
fn read_names(input: &mut dyn Read, file: &str) -> Result<Vec<String>, DataError> {
    let mut text = String::new();
    input.take(1 << 16).read_to_string(&mut text).map_err(|error| read_failed(file, error))?;
    let names: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if names.is_empty() {
        return malformed(file, "has no names of classes");
    }
    Ok(names)
}

/// What was read so far.
struct Records {
    /// Labels of one record, and which of them counts.
    label_bytes: usize,
    level: usize,
    /// How many classes there are.
    most: usize,
    labels: Vec<u32>,
    /// `[N, H, W, C]`
    pixels: Vec<u8>,
}

impl Records {
    fn read(&mut self, input: &mut dyn Read, file: &str) -> Result<(), DataError> {
        let mut content = Vec::new();
        input.take(MAX_FILE + 1).read_to_end(&mut content).map_err(|error| read_failed(file, error))?;
        if content.len() as u64 > MAX_FILE {
            return malformed(file, "has more than a million images, too much to hold in memory");
        }
        let size = self.label_bytes + PIXELS;
        if content.is_empty() || content.len() % size != 0 {
            let problem = format!("is truncated: {} bytes are not a number of records of {size}", content.len());
            return malformed(file, problem);
        }
        self.pixels.reserve(content.len() / size * PIXELS);
        for (record, bytes) in content.chunks_exact(size).enumerate() {
            let (labels, planes) = bytes.split_at(self.label_bytes);
            let label = labels[self.level];
            if usize::from(label) >= self.most {
                let problem = format!("has the label {label} in record {record}; the last class is {}", self.most - 1);
                return malformed(file, problem);
            }
            self.labels.push(u32::from(label));
            let (red, rest) = planes.split_at(PLANE);
            let (green, blue) = rest.split_at(PLANE);
            self.pixels.extend(red.iter().zip(green).zip(blue).flat_map(|((red, green), blue)| [*red, *green, *blue]));
        }
        Ok(())
    }
}
