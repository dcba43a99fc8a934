//! How two files of tensors differ: names, shapes, types, and how far apart the numbers are.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use super::content::{Content, Cursor, Fault};
use super::numbers::{Distance, Kind};

/// Bytes of a header that are read: the names and shapes of some hundred thousand tensors.
const MAX_HEADER: u64 = 32 << 20;
/// Read at once; whole numbers of any width.
const BLOCK: usize = 256 << 10;

/// How tensors are kept in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    SafeTensors,
    NumPy,
}

/// A tensor, without its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name; empty for the one array of a NumPy file.
    pub name: String,
    /// The type of its numbers, as the file writes it.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<u64>,
}

/// A tensor that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorChange {
    /// The tensor before.
    pub before: TensorInfo,
    /// The tensor after, of the same name.
    pub after: TensorInfo,
    /// The largest absolute difference; none where shape or type differ, or no number that is finite.
    pub max_abs: Option<f64>,
    /// The length of the difference over the length of the tensor before.
    pub relative_l2: Option<f64>,
    /// Numbers that differ and are not finite before or after.
    pub not_finite: u64,
}

/// How a file of tensors changed, each list by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TensorsChange {
    /// Tensors that are new.
    pub added: Vec<TensorInfo>,
    /// Tensors that are gone.
    pub removed: Vec<TensorInfo>,
    /// Tensors that differ.
    pub changed: Vec<TensorChange>,
    /// How many tensors are the same.
    pub same: u64,
}

/// A tensor and where its numbers are.
struct Tensor {
    info: TensorInfo,
    /// None for a type that we know nothing of.
    kind: Option<Kind>,
    is_little_endian: bool,
    /// Whether the first index runs fastest.
    is_fortran: bool,
    start: u64,
    bytes: u64,
}

/// Compares the tensors of two files.
pub(super) fn compare(before: &Content<'_>, after: &Content<'_>, format: Format) -> Result<TensorsChange, Fault> {
    let mut change = TensorsChange::default();
    let [old, mut new] = [tensors(before, format)?, tensors(after, format)?];
    let mut pairs = Vec::new();
    for (name, old) in old {
        match new.remove(&name) {
            None => change.removed.push(old.info),
            Some(new) => pairs.push((old, new)),
        }
    }
    change.added = new.into_values().map(|tensor| tensor.info).collect();
    // In the order in which the files have them, so that they are read once, from the beginning to the end.
    pairs.sort_by_key(|(old, _)| old.start);
    let (mut old_numbers, mut new_numbers) = (Cursor::new(before)?, Cursor::new(after)?);
    for (old, new) in pairs {
        let is_alike = old.info == new.info
            && (old.is_fortran, old.is_little_endian, old.bytes) == (new.is_fortran, new.is_little_endian, new.bytes);
        let distance = match is_alike {
            true => Some(distance(&old, &new, &mut old_numbers, &mut new_numbers)?),
            false => None,
        };
        if distance.is_some_and(|distance| !distance.differs) {
            change.same += 1;
            continue;
        }
        let known = distance.filter(|_| old.kind.is_some());
        change.changed.push(TensorChange {
            before: old.info,
            after: new.info,
            max_abs: known.map(|distance| distance.max_abs),
            relative_l2: known.and_then(|distance| distance.relative_l2()),
            not_finite: known.map_or(0, |distance| distance.not_finite),
        });
    }
    change.changed.sort_by(|left, right| left.before.name.cmp(&right.before.name));
    Ok(change)
}

fn distance(
    old: &Tensor,
    new: &Tensor,
    old_numbers: &mut Cursor<'_, '_>,
    new_numbers: &mut Cursor<'_, '_>,
) -> Result<Distance, Fault> {
    let mut distance = Distance::default();
    old_numbers.go_to(old.start)?;
    new_numbers.go_to(new.start)?;
    let mut left = old.bytes;
    let mut buffers = [vec![0; BLOCK], vec![0; BLOCK]];
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let [before, after] = buffers.each_mut().map(|buffer| &mut buffer[..count]);
        old_numbers.fill(before)?;
        new_numbers.fill(after)?;
        match old.kind {
            Some(kind) => distance.add(kind, old.is_little_endian, before, after),
            None => distance.differs |= before != after,
        }
        left -= count as u64;
    }
    Ok(distance)
}

/// The tensors of a file by name.
fn tensors(content: &Content<'_>, format: Format) -> Result<BTreeMap<String, Tensor>, Fault> {
    let mut reader = content.open()?;
    let mut read = |count: u64| -> Result<Vec<u8>, Fault> {
        if count > MAX_HEADER {
            return Err(Fault::Unclear(format!("its header says that it has {count} bytes")));
        }
        let mut bytes = Vec::new();
        (&mut reader).take(count).read_to_end(&mut bytes).map_err(|error| content.fault(error))?;
        match bytes.len() as u64 == count {
            true => Ok(bytes),
            false => Err(content.fault(std::io::ErrorKind::UnexpectedEof.into())),
        }
    };
    let found = match format {
        Format::SafeTensors => safetensors(&mut read)?,
        Format::NumPy => numpy(&mut read)?,
    };
    let fits = |tensor: &Tensor| tensor.start.checked_add(tensor.bytes).is_some_and(|end| end <= content.entry.size);
    match found.iter().all(fits) {
        true => Ok(found.into_iter().map(|tensor| (tensor.info.name.clone(), tensor)).collect()),
        false => Err(Fault::Unclear("its header names bytes beyond its end".to_owned())),
    }
}

type Take<'r> = &'r mut dyn FnMut(u64) -> Result<Vec<u8>, Fault>;

/// Length of the header (u64), header as JSON, numbers.
fn safetensors(read: Take<'_>) -> Result<Vec<Tensor>, Fault> {
    let length: [u8; 8] = read(8)?.try_into().unwrap_or_default();
    let length = u64::from_le_bytes(length);
    let header = read(length)?;
    let unclear = || Fault::Unclear("it is no safetensors file".to_owned());
    let Ok(Value::Object(header)) = serde_json::from_slice(&header) else { return Err(unclear()) };
    let mut tensors = Vec::new();
    for (name, value) in header.into_iter().filter(|(name, _)| name != "__metadata__") {
        let numbers = |value: &Value| -> Option<Vec<u64>> { value.as_array()?.iter().map(Value::as_u64).collect() };
        let (dtype, shape) = (value["dtype"].as_str(), numbers(&value["shape"]));
        let offsets = numbers(&value["data_offsets"]).and_then(|offsets| <[u64; 2]>::try_from(offsets).ok());
        let (Some(dtype), Some(shape), Some([from, to])) = (dtype, shape, offsets) else { return Err(unclear()) };
        let (Some(bytes), Some(start)) = (to.checked_sub(from), from.checked_add(8 + length)) else {
            return Err(unclear());
        };
        let kind = match dtype {
            "F64" => Some(Kind::F64),
            "F32" => Some(Kind::F32),
            "F16" => Some(Kind::F16),
            "BF16" => Some(Kind::BF16),
            "I64" => Some(Kind::I64),
            "I32" => Some(Kind::I32),
            "I16" => Some(Kind::I16),
            "I8" => Some(Kind::I8),
            "U64" => Some(Kind::U64),
            "U32" => Some(Kind::U32),
            "U16" => Some(Kind::U16),
            "U8" | "BOOL" => Some(Kind::U8),
            _ => None,
        };
        let info = TensorInfo { name, dtype: dtype.to_owned(), shape };
        if kind.is_some_and(|kind| bytes_of(&info.shape, kind) != Some(bytes)) {
            return Err(Fault::Unclear(format!("the shape of {} is not that of its bytes", info.name)));
        }
        tensors.push(Tensor { info, kind, is_little_endian: true, is_fortran: false, start, bytes });
    }
    Ok(tensors)
}

/// `\x93NUMPY`, version, length of the header, a Python dictionary, numbers.
fn numpy(read: Take<'_>) -> Result<Vec<Tensor>, Fault> {
    let unclear = || Fault::Unclear("it is no NumPy array of numbers".to_owned());
    let start = read(8)?;
    let Some([major, _]) = start.strip_prefix(b"\x93NUMPY") else { return Err(unclear()) };
    let width = if *major == 1 { 2 } else { 4 };
    let length = read(width)?.iter().rev().fold(0u64, |length, byte| length << 8 | u64::from(*byte));
    let header = String::from_utf8(read(length)?).map_err(|_| unclear())?;
    let after = |key: &str| Some(header.split_once(&format!("'{key}':"))?.1.trim_start());
    let descr = after("descr").and_then(|rest| rest.strip_prefix('\'')?.split_once('\'')).map(|(descr, _)| descr);
    let shape = after("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).and_then(|(shape, _)| {
        let words = shape.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(|word| word.parse().ok()).collect::<Option<Vec<u64>>>()
    });
    let is_fortran = after("fortran_order").is_some_and(|rest| rest.starts_with("True"));
    let (Some(descr), Some(shape)) = (descr, shape) else { return Err(unclear()) };
    let kind = match descr.trim_start_matches(['<', '>', '|', '=']) {
        "f8" => Kind::F64,
        "f4" => Kind::F32,
        "f2" => Kind::F16,
        "i8" => Kind::I64,
        "i4" => Kind::I32,
        "i2" => Kind::I16,
        "i1" => Kind::I8,
        "u8" => Kind::U64,
        "u4" => Kind::U32,
        "u2" => Kind::U16,
        "u1" | "b1" => Kind::U8,
        _ => return Err(unclear()),
    };
    let bytes = bytes_of(&shape, kind).ok_or_else(unclear)?;
    let is_little_endian = !descr.starts_with('>');
    let info = TensorInfo { name: String::new(), dtype: descr.to_owned(), shape };
    Ok(vec![Tensor { info, kind: Some(kind), is_little_endian, is_fortran, start: 8 + width + length, bytes }])
}

fn bytes_of(shape: &[u64], kind: Kind) -> Option<u64> {
    shape.iter().try_fold(kind.width() as u64, |bytes, side| bytes.checked_mul(*side))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write the files that they compare")]
mod tests {
    use std::fs;

    use super::super::content::Origin;
    use super::*;
    use crate::id::Digest;
    use crate::store::{Entry, Mode};
    use crate::track::Silent;

    fn compared(before: &[u8], after: &[u8], format: Format) -> Result<TensorsChange, String> {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            Origin::Place(path)
        };
        let origins = [place("before", before), place("after", after)];
        let entry = |size| Entry { path: None, mode: Mode::File, size, digest: Digest::of(b"") };
        let entries = [entry(before.len() as u64), entry(after.len() as u64)];
        let content = |side: usize| Content { origin: &origins[side], entry: &entries[side], progress: &Silent };
        compare(&content(0), &content(1), format).map_err(|fault| match fault {
            Fault::Unclear(problem) => problem,
            Fault::Failed(error) => error.to_string(),
        })
    }

    fn file(tensors: &[(&str, &[f32])]) -> Vec<u8> {
        let (mut header, mut numbers) = (Vec::new(), Vec::new());
        for (name, values) in tensors {
            let from = numbers.len();
            numbers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let (count, to) = (values.len(), numbers.len());
            header.push(format!(r#""{name}":{{"dtype":"F32","shape":[{count}],"data_offsets":[{from},{to}]}}"#));
        }
        let header = format!("{{{}}}", header.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &numbers].concat()
    }

    #[test]
    fn tensors_are_compared_by_name_wherever_they_stand() {
        let before = file(&[("a", &[1.0, 2.0]), ("b", &[3.0]), ("gone", &[0.0]), ("wide", &[0.0, 1.0])]);
        let after = file(&[("b", &[3.0]), ("new", &[1.0]), ("wide", &[0.0]), ("a", &[1.0, 2.5])]);
        let change = compared(&before, &after, Format::SafeTensors).unwrap();
        let names = |list: &[TensorInfo]| list.iter().map(|info| info.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&change.added), names(&change.removed)), (vec!["new".to_owned()], vec!["gone".to_owned()]));
        assert_eq!(change.same, 1);
        let [a, wide] = &change.changed[..] else { panic!("{change:?}") };
        assert_eq!((a.max_abs, a.relative_l2), (Some(0.5), Some((0.25f64 / 5.0).sqrt())));
        assert_eq!((wide.max_abs, &wide.before.shape[..], &wide.after.shape[..]), (None, &[2][..], &[1][..]));
    }

    #[test]
    fn large_tensors_are_read_in_blocks() {
        let values: Vec<f32> = (0..200_000).map(|i| i as f32).collect();
        let mut changed = values.clone();
        changed[199_999] += 8.0;
        let change = compared(&file(&[("x", &values)]), &file(&[("x", &changed)]), Format::SafeTensors).unwrap();
        assert_eq!(change.changed[0].max_abs, Some(8.0));
    }

    #[test]
    fn arrays_of_numpy_are_compared() {
        let file = |values: [i16; 2], descr: &str| {
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.as_bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            bytes
        };
        let change = compared(&file([1, 2], "<i2"), &file([1, -5], "<i2"), Format::NumPy).unwrap();
        assert_eq!(change.changed[0].max_abs, Some(7.0));
        let change = compared(&file([1, 2], "<i2"), &file([1, 2], "<f2"), Format::NumPy).unwrap();
        assert_eq!(change.changed[0].after.dtype, "<f2");
        assert!(compared(&file([1, 2], "<i2"), &file([1, 2], "|O"), Format::NumPy).is_err(), "pickles are not read");
    }

    #[test]
    fn headers_that_lie_are_said_and_take_no_memory() {
        let good = file(&[("a", &[1.0])]);
        let with = |header: &str| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
        let lies = [
            u64::MAX.to_le_bytes().to_vec(),
            1000u64.to_le_bytes().to_vec(),
            b"short".to_vec(),
            with("[]"),
            with(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#),
            with(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#),
            with(r#"{"a":{"dtype":"F32","shape":[18446744073709551615,3],"data_offsets":[0,8]}}"#),
            with(r#"{"a":{"dtype":"??","shape":[],"data_offsets":[18446744073709551614,18446744073709551615]}}"#),
        ];
        for lie in lies {
            assert!(compared(&good, &lie, Format::SafeTensors).is_err(), "{:?}", String::from_utf8_lossy(&lie));
        }
    }
}
