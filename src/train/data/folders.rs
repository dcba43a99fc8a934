//! Folders of images: a folder for each class, below `train`, `validation` and `test` or without those.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::classes::Words;
use super::images::{fit, scaled};
use super::picture::{self, Picture};
use super::source::{Files, part_of};
use super::{DataError, DataFile, Dataset, Images, Inputs, TEST, TRAIN, VALIDATION, malformed};
use crate::files::RelPath;
use crate::id::Digest;
use crate::store::{Entry, Manifest, Mode};

/// Images that are decoded before they are put in their places.
const BATCH: usize = 256;
/// The parts, as their examples follow each other.
const ORDER: [&str; 3] = [TRAIN, VALIDATION, TEST];
/// What other kinds of images end with: they must not be missing silently.
const OTHERS: &[&str] = &[".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif", ".jp2"];

/// Whether a file of this name is an image that can be decoded.
pub(super) fn is_picture(name: &str) -> bool {
    ends_with(name, &[".jpg", ".jpeg", ".png"])
}

fn ends_with(name: &str, endings: &[&str]) -> bool {
    let name = name.to_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Reads the images of all classes; with a `size` they are scaled to that height and width.
pub(super) fn read(files: Files<'_>, size: Option<(usize, usize)>) -> Result<Dataset, DataError> {
    if let Some(name) = files.names.keys().find(|name| ends_with(name, OTHERS)) {
        return malformed(name, "is an image of a kind that is not read; JPEG and PNG are");
    }
    let pictures: Vec<&str> = files.names.keys().map(String::as_str).filter(|name| is_picture(name)).collect();
    if pictures.is_empty() {
        return Err(files.unknown("JPEG or PNG images in a folder for each class"));
    }
    let Sorted { names, given, words } = sort(&pictures)?;
    let (classes, labels) = words.finish();
    let full: Vec<String> = names.iter().map(|name| files.full_name(name)).collect();
    let Loaded { images, manifest } = load(&files, &full, size)?;
    Ok(Dataset { inputs: Inputs::Images(images), labels, classes, given, names: Some(names), files: vec![manifest] })
}

/// The images in the order of their parts, the classes, the class of each, and the parts: what the names alone say.
#[allow(clippy::type_complexity, reason = "it is taken apart at once, and only in one place")]
pub(super) fn outline(
    pictures: &[&str],
) -> Result<(Vec<String>, Vec<String>, Vec<u32>, BTreeMap<String, std::ops::Range<u32>>), DataError> {
    let Sorted { names, given, words } = sort(pictures)?;
    let (classes, labels) = words.finish();
    Ok((names, classes, labels, given))
}

/// The images in the order of their parts.
struct Sorted {
    names: Vec<String>,
    given: BTreeMap<String, std::ops::Range<u32>>,
    words: Words,
}

/// Finds the part and the class of each image by its folders.
fn sort(pictures: &[&str]) -> Result<Sorted, DataError> {
    let top = |name: &str| name.split_once('/').and_then(|(top, _)| part_of(top));
    let has_parts = pictures.iter().any(|name| top(name) == Some(TRAIN));
    let mut parts: [Vec<(&str, &str)>; ORDER.len()] = Default::default();
    for name in pictures {
        let (part, rest) = match name.split_once('/') {
            Some((folder, rest)) if has_parts => match part_of(folder) {
                Some(part) => (part, rest),
                None => return malformed(name, "is in no part: beside `train` can be `validation` and `test`"),
            },
            None if has_parts => return malformed(name, "is in no part and no class"),
            _ => (TRAIN, *name),
        };
        let Some((class, _)) = rest.split_once('/') else {
            return malformed(name, "is in no class: images belong in a folder that is called like their class");
        };
        let place = ORDER.iter().position(|known| *known == part).unwrap_or_default();
        parts[place].push((name, class));
    }
    let mut sorted =
        Sorted { names: Vec::with_capacity(pictures.len()), given: BTreeMap::new(), words: Words::default() };
    // Only `train` divides nothing.
    let divides = parts.iter().filter(|members| !members.is_empty()).count() > 1;
    for (part, members) in ORDER.into_iter().zip(parts).filter(|(_, members)| !members.is_empty()) {
        let first = sorted.names.len() as u32;
        for (name, class) in members {
            sorted.names.push(name.to_owned());
            sorted.words.push(class);
        }
        if divides {
            sorted.given.insert(part.to_owned(), first..sorted.names.len() as u32);
        }
    }
    Ok(sorted)
}

struct Loaded {
    images: Images,
    manifest: DataFile,
}

/// Reads the images called `names`, in any number of threads, and decodes them if all of them fit in memory.
fn load(files: &Files<'_>, names: &[String], size: Option<(usize, usize)>) -> Result<Loaded, DataError> {
    let source = files.source;
    let header = |name: &str| picture::read_header(&source.load(name, picture::MAX_FILE)?.0, name);
    let first = header(&names[0])?;
    let size_of_all = size.unwrap_or((first.height, first.width));
    let in_memory = fit(names.len(), size_of_all.0 * size_of_all.1 * 3);
    let mut entries = Vec::with_capacity(names.len());
    let mut channels = 1;
    let mut pixels = Vec::new();
    for batch in names.chunks(BATCH) {
        let read = |name: &String| {
            let (content, digest) = source.load(name, picture::MAX_FILE)?;
            let (found, image) = if in_memory {
                let image = picture::decode(&content, name)?;
                ((image.height, image.width, image.channels), Some(image))
            } else {
                let header = picture::read_header(&content, name)?;
                ((header.height, header.width, header.channels), None)
            };
            let (height, width, channels) = found;
            if size.is_none() && (height, width) != size_of_all {
                let (other, other_size) = (names[0].clone(), size_of_all);
                return Err(DataError::Sizes { file: name.clone(), size: (height, width), other, other_size });
            }
            let image = image.map(|image| scaled(image, size_of_all));
            Ok((entry(name, content.len(), digest)?, channels, image))
        };
        // All are awaited, so that the first one that is wrong is the one that is told, whatever the threads do.
        let all: Vec<_> = batch.par_iter().map(read).collect();
        for found in all {
            let (entry, own_channels, image) = found?;
            if own_channels > channels {
                channels = own_channels;
                pixels = in_color(&pixels);
            }
            entries.push(entry);
            if let Some(Picture { pixels: own, .. }) = image {
                if own_channels < channels { pixels.extend(in_color(&own)) } else { pixels.extend(own) }
            }
        }
    }
    let images = if in_memory {
        Images::new(size_of_all.0, size_of_all.1, channels, 255.0, pixels)
    } else {
        Images::from_files(size_of_all, channels, source.clone(), names.to_vec())
    };
    let manifest = Manifest::new(entries)?;
    let digest = Digest::of(&manifest.to_bytes());
    Ok(Loaded { images, manifest: DataFile { name: ".".to_owned(), bytes: manifest.total_size(), digest } })
}

fn entry(name: &str, size: usize, digest: Digest) -> Result<Entry, DataError> {
    match RelPath::new(name.to_owned()) {
        Ok(path) => Ok(Entry { path: Some(path), mode: Mode::File, size: size as u64, digest }),
        Err(unsafe_path) => malformed(name, format!("has a name that cannot be: {}", unsafe_path.reason)),
    }
}

/// Grey pixels as red, green and blue.
fn in_color(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|shade| [*shade; 3]).collect()
}
