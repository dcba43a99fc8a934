#![allow(clippy::disallowed_methods, reason = "tests make files in folders of their own")]

use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;

mod arrays;
mod loading;
mod pictures;
mod real;
mod splits;
mod text;

fn idx(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&magic).chain(sizes).flat_map(|size| size.to_be_bytes());
    header.chain(body.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images(count: u32) -> Vec<u8> {
    let body: Vec<u8> = (0..count * 6).map(|pixel| (pixel % 17) as u8).collect();
    idx(0x803, &[count, 2, 3], &body)
}

fn labels(values: &[u8]) -> Vec<u8> {
    idx(0x801, &[values.len() as u32], values)
}

fn config(validation: f64, test: f64) -> DataConfig {
    DataConfig { validation, test, ..DataConfig::of("data/x") }
}

fn read(folder: &Path) -> Result<Dataset, String> {
    let source = Source::Path(folder.to_path_buf());
    Dataset::read(&source, &config(0.1, 0.2)).map_err(|error| error.to_string())
}

/// What is told about a folder with these files.
fn told(files: &[(&str, Vec<u8>)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    match read(folder.path()) {
        Ok(data) => {
            format!("{} images, {} classes, test {}", data.len(), data.classes.len(), data.given.contains_key("test"))
        }
        Err(problem) => problem,
    }
}

#[test]
fn plain_and_gzip_pairs_and_the_four_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train-images-idx3-ubyte.gz"), gzip(&images(4))).unwrap();
    fs::write(folder.path().join("train-labels.idx1-ubyte"), labels(&[0, 1, 1, 0])).unwrap();
    fs::write(folder.path().join("t10k-images-idx3-ubyte"), images(2)).unwrap();
    fs::write(folder.path().join("t10k-labels-idx1-ubyte.gz"), gzip(&labels(&[1, 1]))).unwrap();
    let data = read(folder.path()).unwrap();
    let Inputs::Images(pictures) = &data.inputs else { panic!("images are expected") };
    assert_eq!((pictures.len(), pictures.height(), pictures.width(), data.classes.len()), (6, 2, 3, 2));
    let mut pixels = [0; 6];
    pictures.read(1, &mut pixels).unwrap();
    assert_eq!(pixels[..3], [6, 7, 8]);
    assert_eq!((data.labels[4..].to_vec(), data.given["test"].clone()), (vec![1, 1], 4..6));
    let compressed = fs::read(folder.path().join("train-images-idx3-ubyte.gz")).unwrap();
    assert_eq!((data.files[0].bytes, data.files[0].digest), (compressed.len() as u64, Digest::of(&compressed)));

    let pair = [("images-idx3-ubyte", images(3)), ("labels-idx1-ubyte", labels(&[0, 2, 1]))];
    assert_eq!(told(&pair), "3 images, 3 classes, test false");
}

#[test]
fn bad_files_are_told_in_a_line() {
    let pair = |images: Vec<u8>, labels: Vec<u8>| told(&[("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)]);
    let zipped = gzip(&images(400));
    let two = labels(&[0, 1]);
    let mut cut = images(2);
    cut.truncate(20);
    let told = [
        told(&[]),
        told(&[("notes.txt", vec![])]),
        told(&[("images-idx3-ubyte", images(2))]),
        pair(vec![0, 0], two.clone()),
        pair(cut, two.clone()),
        pair([images(2), vec![0]].concat(), two.clone()),
        pair(two.clone(), two.clone()),
        pair(idx(0x803, &[u32::MAX, 1024, 1024], &[]), two.clone()),
        pair(idx(0x803, &[4000, 1024, 1024], &[0]), two.clone()),
        pair(idx(0x803, &[2, 0, 3], &[]), two.clone()),
        pair(images(3), two.clone()),
        pair(images(2), labels(&[0, 200])),
        pair(images(2), labels(&[0, 0])),
        pair(images(0), labels(&[])),
        told(&[("images-idx3-ubyte.gz", zipped[..zipped.len() / 2].to_vec()), ("labels-idx1-ubyte", two.clone())]),
        told(&[("images-idx3-ubyte.gz", b"no gzip at all, really".to_vec()), ("labels-idx1-ubyte", two.clone())]),
        told(&[
            ("images-idx3-ubyte", images(2)),
            ("labels-idx1-ubyte", two.clone()),
            ("t10k-images-idx3-ubyte", images(1)),
            ("t10k-labels-idx1-ubyte", labels(&[2])),
        ]),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    data/x has no data that is known: expected MNIST's or CIFAR's files, folders of images, CSV files or a safetensors file, found nothing
    data/x has no data that is known: expected MNIST's or CIFAR's files, folders of images, CSV files or a safetensors file, found notes.txt
    labels-idx1-ubyte is missing beside images-idx3-ubyte
    images-idx3-ubyte is truncated: it ends within its header
    images-idx3-ubyte is truncated: its header promises 2 images of 2×3, 12 bytes, but 4 are there
    images-idx3-ubyte has more bytes than the 2 images of 2×3 that its header promises
    images-idx3-ubyte is not an IDX file of images: it begins with 00 00 08 01, not 00 00 08 03
    images-idx3-ubyte says it has 4294967295 images of 1024×1024, too much to hold in memory
    images-idx3-ubyte is truncated: its header promises 4000 images of 1024×1024, 4194304000 bytes, but 1 are there
    images-idx3-ubyte has images of 0×3; sides can be 1 to 1024
    labels-idx1-ubyte has 2 labels for the 3 images of images-idx3-ubyte
    labels-idx1-ubyte has labels up to 200, but no example has the label 1
    labels-idx1-ubyte has one class only: there is nothing to tell apart
    labels-idx1-ubyte has no labels
    images-idx3-ubyte.gz is truncated: it ends within its header
    images-idx3-ubyte.gz is damaged: invalid gzip header
    labels-idx1-ubyte has labels up to 1, but test example 0 has the label 2
    ");
}

/// A folder with these files.
fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let place = folder.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }
    folder
}

/// The data of these files, read as the keys say, or what is told about them.
fn read_as(files: &[(&str, Vec<u8>)], config: &DataConfig) -> Result<Dataset, String> {
    let folder = folder(files);
    Dataset::read(&Source::Path(folder.path().to_path_buf()), config).map_err(|error| match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    })
}

/// Rows of one number, their labels.
pub(super) fn numbers(labels: Vec<u32>) -> Dataset {
    Dataset {
        inputs: Inputs::Numbers { columns: 1, values: labels.iter().map(|label| *label as f32).collect() },
        labels,
        classes: vec!["a".to_owned(), "b".to_owned()],
        given: BTreeMap::new(),
        names: None,
        files: Vec::new(),
    }
}
