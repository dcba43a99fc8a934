//! Where data comes from: an artifact in the store, or files that are not tracked.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::RelPath;
use crate::id::{ArtifactId, Digest};
use crate::store::{FileReader, Manifest, Mode, Store};

use super::{DataError, DataFile, malformed};

/// The files of a data set. Clones share what it needs.
#[derive(Debug, Clone)]
pub enum Source {
    /// An artifact, whose bytes are checked while they are read.
    Artifact {
        /// The store it is in.
        store: Arc<Store>,
        /// Its files.
        manifest: Arc<Manifest>,
    },
    /// A folder or a single file that is not tracked.
    Path(PathBuf),
}

impl Source {
    /// The artifact `id` of `store`.
    pub fn artifact(store: Store, id: &ArtifactId) -> Result<Self, DataError> {
        let manifest = store.manifest(id)?;
        Ok(Self::Artifact { store: Arc::new(store), manifest: Arc::new(manifest) })
    }

    /// The paths, with `/` between their parts, and the sizes of all files but hidden ones. A source that is a single
    /// file has that one, called as `place` ends, which is the data's path in the recipe.
    pub fn files(&self, place: &str) -> Result<BTreeMap<String, u64>, DataError> {
        let mut files = BTreeMap::new();
        let single = || place.rsplit('/').next().unwrap_or(place).to_owned();
        match self {
            Self::Artifact { manifest, .. } if manifest.is_single_file() => {
                files.extend(manifest.entries().iter().map(|entry| (single(), entry.size)));
            }
            Self::Artifact { manifest, .. } => {
                let entries = manifest.entries().iter().filter(|entry| entry.mode != Mode::Symlink);
                let entries = entries.filter(|entry| !entry.path_text().split('/').any(is_hidden));
                files.extend(entries.map(|entry| (entry.path_text().to_owned(), entry.size)));
            }
            Self::Path(root) if root.is_file() => {
                let size = fs::metadata(root).map_err(|source| read_failed(place, source))?.len();
                files.insert(single(), size);
            }
            Self::Path(root) => walk(root, place, &mut files)?,
        }
        Ok(files)
    }

    /// Opens the file called `name`.
    pub fn open(&self, name: &str) -> Result<Opened<'_>, DataError> {
        let input = match self {
            Self::Artifact { store, .. } => Input::Stored(Box::new(store.read(&self.digest(name)?)?)),
            Self::Path(root) => Input::File(File::open(place_of(root, name)).map_err(|e| read_failed(name, e))?),
        };
        Ok(Opened { input, hasher: blake3::Hasher::new(), bytes: 0 })
    }

    /// The content and the digest of the file called `name`, which may have up to `limit` bytes.
    pub(super) fn load(&self, name: &str, limit: u64) -> Result<(Vec<u8>, Digest), DataError> {
        let too_long = |size: u64| malformed(name, format!("has {size} bytes; {limit} are the most that are read"));
        match self {
            Self::Artifact { store, .. } => {
                let digest = self.digest(name)?;
                let size = store.read(&digest)?.size();
                if size > limit {
                    return too_long(size);
                }
                Ok((store.read_to_vec(&digest, limit)?, digest))
            }
            Self::Path(root) => {
                let mut content = Vec::new();
                let file = File::open(place_of(root, name)).map_err(|error| read_failed(name, error))?;
                let size = file.take(limit + 1).read_to_end(&mut content).map_err(|error| read_failed(name, error))?;
                if size as u64 > limit {
                    return too_long(size as u64);
                }
                let digest = Digest::of(&content);
                Ok((content, digest))
            }
        }
    }

    fn digest(&self, name: &str) -> Result<Digest, DataError> {
        let Self::Artifact { manifest, .. } = self else {
            return Err(read_failed(name, io::ErrorKind::NotFound.into()));
        };
        let entry = match manifest.entries() {
            [only] if manifest.is_single_file() => Some(only),
            _ => RelPath::new(name.to_owned()).ok().and_then(|path| manifest.find(&path)),
        };
        entry.map(|entry| entry.digest).ok_or_else(|| read_failed(name, io::ErrorKind::NotFound.into()))
    }
}

/// Where the file called `name` is: the root itself where that is a file.
fn place_of(root: &Path, name: &str) -> PathBuf {
    if root.is_file() { root.to_path_buf() } else { root.join(name) }
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.')
}

/// The files below `root`, also behind links. Only ordinary ones: opening a named pipe would wait for ever.
fn walk(root: &Path, place: &str, files: &mut BTreeMap<String, u64>) -> Result<(), DataError> {
    let visible =
        |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    for entry in walkdir::WalkDir::new(root).follow_links(true).into_iter().filter_entry(visible) {
        let entry = entry.map_err(|error| {
            let file = error.path().unwrap_or(root).display().to_string();
            read_failed(&file, error.into())
        })?;
        if !entry.file_type().is_file() {
            continue;
        }
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let Some(name) = relative.to_str() else {
            return malformed(&relative.display().to_string(), format!("in {place} has a name that is not UTF-8"));
        };
        let size = entry.metadata().map_err(|error| read_failed(name, error.into()))?.len();
        files.insert(name.to_owned(), size);
    }
    Ok(())
}

/// A file that is being read, and hashed on the way.
#[derive(Debug)]
pub struct Opened<'s> {
    input: Input<'s>,
    hasher: blake3::Hasher,
    bytes: u64,
}

#[derive(Debug)]
enum Input<'s> {
    Stored(Box<FileReader<'s>>),
    File(File),
}

impl Opened<'_> {
    /// Reads what is left, and returns the size and the digest of the whole.
    pub fn finish(mut self, name: &str) -> Result<(u64, Digest), DataError> {
        io::copy(&mut self, &mut io::sink()).map_err(|source| DataError::Read { file: name.to_owned(), source })?;
        Ok((self.bytes, Digest::from_bytes(*self.hasher.finalize().as_bytes())))
    }
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.input {
            Input::Stored(reader) => reader.read(buffer),
            Input::File(file) => file.read(buffer),
        }?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

/// The files of a source while a format reads them: which there are, and which were read.
#[derive(Debug)]
pub(super) struct Files<'s> {
    pub(super) source: &'s Source,
    /// The data's path in the recipe, for errors.
    pub(super) place: &'s str,
    /// The files by their paths, without the folders that all of them are in.
    pub(super) names: BTreeMap<String, u64>,
    /// Those folders, with a `/` at the end.
    prefix: String,
    pub(super) read: Vec<DataFile>,
}

impl<'s> Files<'s> {
    /// The files of `source`.
    ///
    /// Archives have a folder with everything in it, such as `cifar-10-batches-bin`, so folders that all files are in
    /// count for nothing; but `train` does.
    pub(super) fn new(source: &'s Source, place: &'s str) -> Result<Self, DataError> {
        let mut names = source.files(place)?;
        let mut prefix = String::new();
        loop {
            let top = names.first_key_value().and_then(|(name, _)| Some(name.split_once('/')?.0.to_owned()));
            let Some(top) = top.filter(|top| part_of(top).is_none()) else { break };
            let inside = format!("{top}/");
            // A folder of images alone is a class, and only that it is one says so.
            if !names.keys().all(|name| name.starts_with(&inside))
                || names.keys().any(|name| is_class_of(name, &inside))
            {
                break;
            }
            names = names.into_iter().map(|(name, size)| (name[inside.len()..].to_owned(), size)).collect();
            prefix += &inside;
        }
        Ok(Self { source, place, names, prefix, read: Vec::new() })
    }

    /// The name in the source.
    pub(super) fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Reads a file, unpacked where its name ends with `.gz`, and notes that it was read.
    pub(super) fn open<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read, &str) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let full = self.full_name(name);
        let mut file = self.source.open(&full)?;
        let content = if name.ends_with(".gz") {
            // A gzip file may have several members, as `cat a.gz b.gz` makes.
            read(&mut flate2::read::MultiGzDecoder::new(&mut file), name)
        } else {
            read(&mut file, name)
        }?;
        let (bytes, digest) = file.finish(name)?;
        self.read.push(DataFile { name: full, bytes, digest });
        Ok(content)
    }

    /// The files with one of `endings` that give parts by their names, `train.csv` and `test.csv`, training first; or
    /// the only one, which gives no part.
    pub(super) fn parts(&self, endings: &[&str]) -> Result<Vec<(Option<&'static str>, String)>, DataError> {
        let stem = |name: &'_ str| endings.iter().find_map(|ending| name.strip_suffix(ending).map(str::to_owned));
        let stems: Vec<_> = self.names.keys().filter_map(|name| Some((name, stem(&name.to_lowercase())?))).collect();
        let mut parts: Vec<(Option<&'static str>, String)> =
            stems.iter().filter_map(|(name, stem)| Some((Some(part_of(stem)?), (*name).clone()))).collect();
        parts.sort_by_key(|(part, _)| PARTS.iter().position(|(name, _)| Some(*name) == *part));
        if let Some([(Some(part), one), (_, other)]) = parts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return malformed(other, format!("and {one} are both `{part}`"));
        }
        match (&parts[..], &stems[..]) {
            ([(Some(super::TRAIN), _), ..], _) => Ok(parts),
            ([], [(only, _)]) => Ok(vec![(None, (*only).clone())]),
            ([], []) => Err(self.unknown(&format!("a file that ends with {}", endings[0]))),
            ([], [(one, _), (other, _), ..]) => {
                malformed(self.place, format!("has {one} and {other}, and none of them is called train"))
            }
            ([(_, other), ..], _) => malformed(self.place, format!("has {other}, but no file called train")),
        }
    }

    /// There is nothing of what was expected.
    pub(super) fn unknown(&self, expected: &str) -> DataError {
        let mut found: Vec<_> = self.names.keys().take(5).map(String::as_str).collect();
        if self.names.len() > found.len() {
            found.push("…");
        }
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        DataError::Unknown { place: self.place.to_owned(), expected: expected.to_owned(), found }
    }
}

/// The parts that names of files and folders stand for.
const PARTS: [(&str, &[&str]); 3] = [
    (super::TRAIN, &["train", "training"]),
    (super::VALIDATION, &["validation", "val", "valid", "dev"]),
    (super::TEST, &["test", "testing"]),
];

/// The part that a file's or a folder's name stands for.
pub(super) fn part_of(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    PARTS.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(part, _)| *part)
}

/// Whether `name` is a picture that lies in the folder `inside` itself.
fn is_class_of(name: &str, inside: &str) -> bool {
    name.strip_prefix(inside).is_some_and(|rest| !rest.contains('/') && super::folders::is_picture(rest))
}

/// A file that could not be read, or that its decompressor does not understand.
pub(super) fn read_failed(file: &str, source: io::Error) -> DataError {
    match source.kind() {
        // What the decompressor says about bytes that are not gzip's.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            DataError::Malformed { file: file.to_owned(), problem: format!("is damaged: {source}") }
        }
        _ => DataError::Read { file: file.to_owned(), source },
    }
}
