//! The IDX format of MNIST: a magic number, sizes as big-endian `u32`, then bytes.

use std::io::{self, Read};

use super::DataError;

/// Pixels that one file may have: enough for a million images of 64×64, and no more memory than most machines have.
const MAX_PIXELS: u64 = 1 << 32;
/// The longest side of an image.
const MAX_SIDE: u32 = 1024;

/// Grey images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    count: usize,
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Images {
    /// Reads a whole file of images; `file` is its name, for errors.
    pub fn read(input: &mut dyn Read, file: &str) -> Result<Self, DataError> {
        let [count, height, width] = read_header(input, file, "images", [0, 0, 8, 3])?;
        if height == 0 || width == 0 || height > MAX_SIDE || width > MAX_SIDE {
            return malformed(file, format!("has images of {height}×{width}; sides can be 1 to {MAX_SIDE}"));
        }
        let total = u64::from(count) * u64::from(height) * u64::from(width);
        if total > MAX_PIXELS {
            return malformed(
                file,
                format!("says it has {count} images of {height}×{width}, too much to hold in memory"),
            );
        }
        let pixels = read_body(input, file, total, &format!("{count} images of {height}×{width}"))?;
        Ok(Self { count: count as usize, height: height as usize, width: width as usize, pixels })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Rows of each.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of each.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The pixels, image by image and row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// A label for each image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    values: Vec<u8>,
}

impl Labels {
    /// Reads a whole file of labels; `file` is its name, for errors.
    pub fn read(input: &mut dyn Read, file: &str) -> Result<Self, DataError> {
        let [count] = read_header(input, file, "labels", [0, 0, 8, 1])?;
        Ok(Self { values: read_body(input, file, u64::from(count), &format!("{count} labels"))? })
    }

    /// The labels.
    pub fn values(&self) -> &[u8] {
        &self.values
    }
}

fn read_header<const N: usize>(
    input: &mut dyn Read,
    file: &str,
    what: &str,
    magic: [u8; 4],
) -> Result<[u32; N], DataError> {
    let mut found = [0; 4];
    fill(input, file, &mut found)?;
    if found != magic {
        let hex = |bytes: [u8; 4]| bytes.map(|byte| format!("{byte:02x}")).join(" ");
        return malformed(
            file,
            format!("is not an IDX file of {what}: it begins with {}, not {}", hex(found), hex(magic)),
        );
    }
    let mut sizes = [0; N];
    for size in &mut sizes {
        let mut bytes = [0; 4];
        fill(input, file, &mut bytes)?;
        *size = u32::from_be_bytes(bytes);
    }
    Ok(sizes)
}

fn fill(input: &mut dyn Read, file: &str, bytes: &mut [u8]) -> Result<(), DataError> {
    match input.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            malformed(file, "is truncated: it ends within its header".to_owned())
        }
        result => result.map_err(|error| read_failed(file, error)),
    }
}

/// Reads exactly `total` bytes up to the end of the file. Memory grows with what is really there, whatever the header
/// promised.
fn read_body(input: &mut dyn Read, file: &str, total: u64, promised: &str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let truncated = |there: usize| {
        let problem = format!("is truncated: its header promises {promised}, {total} bytes, but {there} are there");
        malformed(file, problem)
    };
    match input.take(total).read_to_end(&mut bytes) {
        // A gzip stream that is cut off ends like this.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return truncated(bytes.len()),
        Err(error) => return Err(read_failed(file, error)),
        Ok(_) if (bytes.len() as u64) < total => return truncated(bytes.len()),
        Ok(_) => {}
    }
    match input.read(&mut [0]) {
        Ok(0) => Ok(bytes),
        Ok(_) => malformed(file, format!("has more bytes than the {promised} that its header promises")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => truncated(bytes.len()),
        Err(error) => Err(read_failed(file, error)),
    }
}

fn malformed<T>(file: &str, problem: String) -> Result<T, DataError> {
    Err(DataError::Malformed { file: file.to_owned(), problem })
}

fn read_failed(file: &str, source: io::Error) -> DataError {
    match source.kind() {
        // What the decompressor says about bytes that are not gzip's.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            DataError::Malformed { file: file.to_owned(), problem: format!("is damaged: {source}") }
        }
        _ => DataError::Read { file: file.to_owned(), source },
    }
}
