//! Safetensors files (<https://huggingface.co/docs/safetensors>): an array of images or of rows of numbers, and one of
//! labels.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::classes::Words;
use super::places::Places;
use super::rows::counted;
use super::source::{Files, read_failed};
use super::{DataError, Dataset, Images, Inputs, malformed};
use crate::train::recipe::DataConfig;

/// Bytes that a file may have.
const MAX_FILE: u64 = 4 << 30;
/// What the arrays are called where the recipe does not say.
const INPUTS: &[&str] = &["images", "inputs", "features", "data", "x", "X"];
const LABELS: &[&str] = &["labels", "label", "targets", "y"];

/// Reads a file alone, or `train.safetensors` with `validation.safetensors` and `test.safetensors`.
pub(super) fn read(mut files: Files<'_>, config: &DataConfig) -> Result<(Dataset, Places), DataError> {
    let parts = files.parts(&[".safetensors"])?;
    let mut arrays = Arrays { config, form: None, pixels: Vec::new(), values: Vec::new(), words: Words::default() };
    let (mut given, mut places) = (BTreeMap::new(), Places::default());
    for (part, name) in &parts {
        let first = arrays.words.len() as u32;
        places.begin(name, first);
        files.open(name, |input, file| arrays.read(input, file))?;
        let Ok(end) = u32::try_from(arrays.words.len()) else { return malformed(name, "has too many examples") };
        if let (Some(part), true) = (part, parts.len() > 1) {
            if end == first {
                return malformed(name, "has no examples");
            }
            given.insert((*part).to_owned(), first..end);
        }
    }
    let inputs = match arrays.form {
        Some(Form::Numbers { columns }) => Inputs::Numbers { columns, values: arrays.values },
        Some(Form::Images { height, width, channels }) => {
            Inputs::Images(Images::new(height, width, channels, 255.0, arrays.pixels))
        }
        None => return malformed(files.place, "has no examples"),
    };
    let (classes, labels) = arrays.words.finish();
    Ok((Dataset { inputs, labels, classes, given, names: None, files: files.read }, places))
}

/// What an example is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Images { height: usize, width: usize, channels: usize },
    Numbers { columns: usize },
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images { height, width, channels: 1 } => write!(formatter, "grey images of {height}×{width}"),
            Self::Images { height, width, .. } => write!(formatter, "coloured images of {height}×{width}"),
            Self::Numbers { columns } => formatter.write_str(&counted(*columns, "number")),
        }
    }
}

/// What was read of all files so far.
struct Arrays<'c> {
    config: &'c DataConfig,
    form: Option<Form>,
    /// `[N, H, W, C]`
    pixels: Vec<u8>,
    values: Vec<f32>,
    words: Words,
}

impl Arrays<'_> {
    fn read(&mut self, input: &mut dyn Read, file: &str) -> Result<(), DataError> {
        let mut content = Vec::new();
        input.take(MAX_FILE + 1).read_to_end(&mut content).map_err(|error| read_failed(file, error))?;
        if content.len() as u64 > MAX_FILE {
            return malformed(file, format!("has more than {} GiB, too much to hold in memory", MAX_FILE >> 30));
        }
        let tensors = match SafeTensors::deserialize(&content) {
            Ok(tensors) => tensors,
            Err(error) => return malformed(file, format!("is truncated or no safetensors file: {error}")),
        };
        let (input, inputs) = find(&tensors, self.config.input.as_deref(), INPUTS, "input", file)?;
        let (label, labels) = find(&tensors, self.config.label.as_deref(), LABELS, "label", file)?;
        let count = self.labels(&labels, &label, file)?;
        match inputs.shape().first() {
            Some(rows) if *rows == count => {}
            _ => {
                let problem = format!("has {count} labels in `{label}` for `{input}` of {:?}", inputs.shape());
                return malformed(file, problem);
            }
        }
        let form = self.inputs(&inputs, &input, file)?;
        match self.form.replace(form) {
            Some(other) if other != form => {
                malformed(file, format!("has other inputs than the first file: {form}, not {other}"))
            }
            _ => Ok(()),
        }
    }

    fn labels(&mut self, labels: &TensorView<'_>, name: &str, file: &str) -> Result<usize, DataError> {
        let count = match labels.shape() {
            [count] | [count, 1] => *count,
            other => return malformed(file, format!("has labels `{name}` of {other:?}; a list of them is read")),
        };
        let Some(whole) = whole_numbers(labels) else {
            let problem = format!("has labels `{name}` of the type {:?}; whole numbers are read", labels.dtype());
            return malformed(file, problem);
        };
        whole.for_each(|label| self.words.push(&label.to_string()));
        Ok(count)
    }

    fn inputs(&mut self, inputs: &TensorView<'_>, name: &str, file: &str) -> Result<Form, DataError> {
        if let [rows, columns] = *inputs.shape() {
            if columns == 0 {
                return malformed(file, format!("has no columns in `{name}`"));
            }
            self.values.reserve(rows * columns);
            let Some(numbers) = numbers(inputs) else {
                return malformed(file, format!("has `{name}` of the type {:?}, which is not read", inputs.dtype()));
            };
            for (place, number) in numbers.enumerate() {
                if !number.is_finite() {
                    let (row, column) = (place / columns, place % columns);
                    return malformed(file, format!("has no finite number in row {row}, column {column} of `{name}`"));
                }
                self.values.push(number);
            }
            return Ok(Form::Numbers { columns });
        }
        let (height, width, channels, is_planar) = match *inputs.shape() {
            [_, height, width] => (height, width, 1, false),
            [_, height, width, channels @ (1 | 3)] => (height, width, channels, false),
            [_, channels @ (1 | 3), height, width] => (height, width, channels, true),
            ref other => {
                let problem = format!(
                    "has `{name}` of {other:?}; images are [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels, \
                     numbers [N, F]"
                );
                return malformed(file, problem);
            }
        };
        if inputs.dtype() != Dtype::U8 {
            return malformed(
                file,
                format!("has images `{name}` of the type {:?}; bytes (U8) are read", inputs.dtype()),
            );
        }
        let plane = height * width;
        if plane == 0 {
            return malformed(file, format!("has images of {height}×{width} in `{name}`"));
        }
        if is_planar && channels > 1 {
            self.pixels.reserve(inputs.data().len());
            for image in inputs.data().chunks_exact(channels * plane) {
                self.pixels.extend((0..plane * channels).map(|at| image[at % channels * plane + at / channels]));
            }
        } else {
            self.pixels.extend_from_slice(inputs.data());
        }
        Ok(Form::Images { height, width, channels })
    }
}

/// The array that the recipe names, or the first of the usual names.
fn find<'t>(
    tensors: &SafeTensors<'t>,
    given: Option<&str>,
    usual: &[&str],
    key: &'static str,
    file: &str,
) -> Result<(String, TensorView<'t>), DataError> {
    let names: Vec<&str> = given.map_or_else(|| usual.to_vec(), |name| vec![name]);
    let found = names.iter().find_map(|name| Some(((*name).to_owned(), tensors.tensor(name).ok()?)));
    found.ok_or_else(|| {
        let mut there = tensors.names();
        there.sort_unstable();
        let found = there.iter().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        DataError::NoColumn { file: file.to_owned(), what: "array", name: names[0].to_owned(), found, key }
    })
}

/// The whole numbers of an array; none where it has others.
fn whole_numbers<'t>(array: &TensorView<'t>) -> Option<Box<dyn Iterator<Item = i128> + 't>> {
    let data = array.data();
    Some(match array.dtype() {
        Dtype::BOOL | Dtype::U8 => Box::new(data.iter().map(|byte| i128::from(*byte))),
        Dtype::I8 => Box::new(data.iter().map(|byte| i128::from(byte.cast_signed()))),
        Dtype::U16 => Box::new(each(data).map(|bytes| i128::from(u16::from_le_bytes(bytes)))),
        Dtype::I16 => Box::new(each(data).map(|bytes| i128::from(i16::from_le_bytes(bytes)))),
        Dtype::U32 => Box::new(each(data).map(|bytes| i128::from(u32::from_le_bytes(bytes)))),
        Dtype::I32 => Box::new(each(data).map(|bytes| i128::from(i32::from_le_bytes(bytes)))),
        Dtype::U64 => Box::new(each(data).map(|bytes| i128::from(u64::from_le_bytes(bytes)))),
        Dtype::I64 => Box::new(each(data).map(|bytes| i128::from(i64::from_le_bytes(bytes)))),
        _ => return None,
    })
}

/// The numbers of an array, rounded to 32 bits; none where it has others.
fn numbers<'t>(array: &TensorView<'t>) -> Option<Box<dyn Iterator<Item = f32> + 't>> {
    let data = array.data();
    Some(match array.dtype() {
        Dtype::F32 => Box::new(each(data).map(f32::from_le_bytes)),
        Dtype::F64 => Box::new(each(data).map(|bytes| f64::from_le_bytes(bytes) as f32)),
        // The upper half of a number of 32 bits.
        Dtype::BF16 => Box::new(each(data).map(|[low, high]| f32::from_le_bytes([0, 0, low, high]))),
        _ => return whole_numbers(array).map(|numbers| Box::new(numbers.map(|number| number as f32)) as _),
    })
}

fn each<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}
