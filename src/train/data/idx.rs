//! The IDX format of MNIST: a magic number, sizes as big-endian `u32`, then bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::source::{Files, read_failed};
use super::{DataError, Dataset, Images, Inputs, malformed};

/// Pixels that one file may have: enough for a million images of 64×64, and no more memory than most machines have.
const MAX_PIXELS: u64 = 1 << 32;
/// The longest side of an image.
const MAX_SIDE: u32 = 1024;

const EXPECTED: &str = "train-images-idx3-ubyte or images-idx3-ubyte, plain or .gz";

/// Whether a file of this name is an IDX file.
pub(super) fn is_idx(name: &str) -> bool {
    name.trim_end_matches(".gz").ends_with("-ubyte")
}

/// Reads MNIST's four IDX files, or a pair of images and labels.
pub(super) fn read(files: Files<'_>) -> Result<Dataset, DataError> {
    let place = files.place;
    let mut reader = Reader { files };
    let Some((images_name, stem)) = ["train-", ""].iter().find_map(|stem| reader.find(stem, "images", 3)) else {
        return Err(reader.files.unknown(EXPECTED));
    };
    let (images, labels) = reader.pair(&images_name, stem)?;
    let labels_name = reader.files.read[1].name.clone();
    let count = labels.len() as u32;
    let mut data = Dataset {
        classes: classes(&labels, &labels_name)?,
        labels: labels.iter().map(|label| u32::from(*label)).collect(),
        inputs: Inputs::Texts(Vec::new()),
        given: BTreeMap::new(),
        names: None,
        files: Vec::new(),
    };
    let Pixels { height, width, mut pixels } = images;
    if let Some((name, stem)) = ["t10k-", "test-"].iter().find_map(|stem| reader.find(stem, "images", 3)) {
        let (more, labels) = reader.pair(&name, stem)?;
        if (more.height, more.width) != (height, width) {
            let problem = format!(
                "has test images of {}×{}, but those to train on are {height}×{width}",
                more.height, more.width
            );
            return malformed(place, problem);
        }
        let known = data.classes.len();
        if let Some((index, label)) = labels.iter().enumerate().find(|(_, label)| usize::from(**label) >= known) {
            let problem = format!("has labels up to {}, but test example {index} has the label {label}", known - 1);
            return malformed(&labels_name, problem);
        }
        pixels.extend(more.pixels);
        data.labels.extend(labels.iter().map(|label| u32::from(*label)));
        data.given =
            BTreeMap::from([("train".to_owned(), 0..count), ("test".to_owned(), count..count + labels.len() as u32)]);
    }
    // scikit-learn's digits have 17 shades.
    let scale = if pixels.iter().all(|pixel| *pixel <= 16) { 16.0 } else { 255.0 };
    data.inputs = Inputs::Images(Images::new(height, width, 1, scale, pixels));
    data.files = reader.files.read;
    Ok(data)
}

/// The names of the classes; every one must be there to be learnt, which also finds bytes that are no labels.
fn classes(labels: &[u8], file: &str) -> Result<Vec<String>, DataError> {
    let Some(largest) = labels.iter().max() else { return malformed(file, "has no labels".to_owned()) };
    let mut seen = [0_u64; 256];
    labels.iter().for_each(|label| seen[usize::from(*label)] += 1);
    if let Some(gap) = seen[..usize::from(*largest)].iter().position(|count| *count == 0) {
        return malformed(file, format!("has labels up to {largest}, but no example has the label {gap}"));
    }
    if *largest == 0 {
        return malformed(file, "has one class only: there is nothing to tell apart".to_owned());
    }
    Ok((0..=*largest).map(|class| class.to_string()).collect())
}

struct Reader<'s> {
    files: Files<'s>,
}

impl Reader<'_> {
    /// The file of `what` with this start of its name, in the spellings that are in use, plain before gzip.
    fn find<'t>(&self, stem: &'t str, what: &str, dimensions: usize) -> Option<(String, &'t str)> {
        let spellings = ["-", "."].map(|dash| format!("{stem}{what}{dash}idx{dimensions}-ubyte"));
        let names = spellings.iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
        names.into_iter().find(|name| self.files.names.contains_key(name)).map(|name| (name, stem))
    }

    fn pair(&mut self, images_name: &str, stem: &str) -> Result<(Pixels, Vec<u8>), DataError> {
        let Some((labels_name, _)) = self.find(stem, "labels", 1) else {
            let file = format!("{stem}labels-idx1-ubyte");
            return Err(DataError::NoLabels { file, other: images_name.to_owned() });
        };
        let images = self.files.open(images_name, Pixels::read)?;
        let labels = self.files.open(&labels_name, read_labels)?;
        let count = images.pixels.len() / (images.height * images.width);
        if count != labels.len() {
            let problem = format!("has {} labels for the {count} images of {images_name}", labels.len());
            return malformed(&labels_name, problem);
        }
        Ok((images, labels))
    }
}

/// A file of grey images.
struct Pixels {
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Pixels {
    /// Reads a whole file of images; `file` is its name, for errors.
    fn read(input: &mut dyn Read, file: &str) -> Result<Self, DataError> {
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
        Ok(Self { height: height as usize, width: width as usize, pixels })
    }
}

/// Reads a whole file of labels; `file` is its name, for errors.
fn read_labels(input: &mut dyn Read, file: &str) -> Result<Vec<u8>, DataError> {
    let [count] = read_header(input, file, "labels", [0, 0, 8, 1])?;
    read_body(input, file, u64::from(count), &format!("{count} labels"))
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
