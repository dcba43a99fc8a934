//! The files of an artifact as other tools sign them: their names, and the SHA-256 of their contents.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::SignError;
use super::keys::hex;
use crate::files::RelPath;
use crate::id::Digest;
use crate::store::{Entry, Manifest, Mode, Proof, Store, StoreError, copy};
use crate::track::Progress;

/// Bytes that the target of a symbolic link may have.
const MAX_LINK: u64 = 4096;
/// How many links may lead to a file, one to the next.
const MAX_LINKS: usize = 40;
/// The name of a file that is an artifact by itself, as in manifests.
const SINGLE: &str = ".";

/// A SHA-256.
pub(super) type Sha = [u8; 32];

/// A file of an artifact as whoever walks through the folder finds it: behind symbolic links too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Its path in the artifact.
    pub(super) name: String,
    /// The BLAKE3 of its content.
    pub(super) digest: Digest,
    /// Its size.
    pub(super) bytes: u64,
}

/// The files of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// Sorted by the parts of their paths, as OpenSSF Model Signing sorts them.
    pub(super) files: Vec<Named>,
    /// Whether any is behind a symbolic link.
    pub(super) has_links: bool,
}

impl Listing {
    /// The files of a manifest. A link that leads to no file or folder of the artifact is refused: what it stands for is
    /// not in the artifact.
    pub(super) fn of(store: &Store, manifest: &Manifest) -> Result<Self, SignError> {
        let by_name: BTreeMap<&str, usize> =
            manifest.entries().iter().enumerate().map(|(number, entry)| (entry.path_text(), number)).collect();
        let mut listing = Self { files: Vec::with_capacity(by_name.len()), has_links: false };
        for entry in manifest.entries() {
            let mut end = entry;
            let mut name = entry.path_text().to_owned();
            let mut is_folder = false;
            for _ in 0..MAX_LINKS {
                if end.mode != Mode::Symlink {
                    break;
                }
                listing.has_links = true;
                let target = store.read_to_vec(&end.digest, MAX_LINK)?;
                let next = std::str::from_utf8(&target).ok().and_then(|target| follow(&name, target));
                let Some(next) = next else { return Err(leads_out(entry.path_text())) };
                match by_name.get(next.as_str()) {
                    Some(number) => end = &manifest.entries()[*number],
                    None => {
                        is_folder = is_a_folder(&by_name, &next);
                        break;
                    }
                }
                name = next;
            }
            match end.mode {
                // Whoever walks through the folder does not go through links to folders.
                Mode::Symlink if is_folder => {}
                Mode::Symlink => return Err(leads_out(entry.path_text())),
                Mode::File | Mode::Executable => {
                    let name = entry.path_text().to_owned();
                    listing.files.push(Named { name, digest: end.digest, bytes: end.size });
                }
            }
        }
        listing.files.sort_by(|left, right| left.name.split('/').cmp(right.name.split('/')));
        Ok(listing)
    }
}

fn leads_out(path: &str) -> SignError {
    let problem = "it has a symbolic link that leads to none of its files";
    SignError::NotSignable { what: path.to_owned(), problem: problem.to_owned() }
}

/// Where a link at `name` leads to, in the artifact; none where it leaves it.
fn follow(name: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether any file lies below `path`.
fn is_a_folder(files: &BTreeMap<&str, usize>, path: &str) -> bool {
    let below = format!("{path}/");
    path.is_empty() || files.range(below.as_str()..).next().is_some_and(|(name, _)| name.starts_with(&below))
}

/// Whether a name that somebody else wrote can be that of a file in an artifact.
pub(super) fn is_a_name(name: &str) -> bool {
    name == SINGLE || RelPath::new(name).is_ok()
}

/// The SHA-256 of contents, by their BLAKE3; with `shard`, of each so many bytes of them. Each is read once, verified,
/// and none is in memory as a whole.
pub(super) fn sha256_of(
    store: &Store,
    files: &[Named],
    shard: Option<u64>,
    progress: &dyn Progress,
) -> Result<HashMap<Digest, Vec<Sha>>, StoreError> {
    let contents: BTreeMap<Digest, u64> = files.iter().map(|file| (file.digest, file.bytes)).collect();
    progress.start("hashing", Some(contents.values().sum()));
    let hashed = contents.into_par_iter().map(|(digest, bytes)| {
        let mut hasher = Hasher { shard: shard.unwrap_or(u64::MAX), filled: 0, sha: Sha256::new(), done: Vec::new() };
        copy(store, &digest, Proof::Chunks, &mut hasher)?;
        progress.advance(bytes);
        Ok((digest, hasher.finish(shard.is_none())))
    });
    let hashed = hashed.collect();
    progress.finish();
    hashed
}

/// A file of an artifact with its digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigests {
    /// Its path in the artifact; none for an artifact that is a single file.
    pub path: Option<RelPath>,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
    /// BLAKE3 of its content.
    pub blake3: Digest,
}

/// The files of an artifact in the order of its manifest, without symbolic links. Their contents are read from the store.
pub fn file_digests(
    store: &Store,
    manifest: &Manifest,
    progress: &dyn Progress,
) -> Result<Vec<FileDigests>, StoreError> {
    let entries = || manifest.entries().iter().filter(|entry| entry.mode != Mode::Symlink);
    let named = |entry: &Entry| Named { name: entry.path_text().to_owned(), digest: entry.digest, bytes: entry.size };
    let hashes = sha256_of(store, &entries().map(named).collect::<Vec<_>>(), None, progress)?;
    let digests = entries().map(|entry| FileDigests {
        path: entry.path.clone(),
        bytes: entry.size,
        sha256: hashes.get(&entry.digest).and_then(|shas| shas.first()).map(|sha| hex(sha)).unwrap_or_default(),
        blake3: entry.digest,
    });
    Ok(digests.collect())
}

/// Hashes what is written to it, shard by shard.
struct Hasher {
    shard: u64,
    filled: u64,
    sha: Sha256,
    done: Vec<Sha>,
}

impl Hasher {
    /// The digests. A content of no bytes is one shard where it is not cut, and none where it is.
    fn finish(mut self, is_whole: bool) -> Vec<Sha> {
        if self.filled > 0 || is_whole {
            self.done.push(self.sha.finalize().into());
        }
        self.done
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.shard - self.filled).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        self.sha.update(bytes);
        self.filled += bytes.len() as u64;
        if self.filled == self.shard {
            self.done.push(std::mem::take(&mut self.sha).finalize().into());
            self.filled = 0;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_artifact_only() {
        for (name, target, end) in [
            ("a/link", "b", Some("a/b")),
            ("a/link", "../b/./c", Some("b/c")),
            ("link", "a//b", Some("a/b")),
            ("a/link", "..", Some("")),
            ("link", "../b", None),
            ("a/link", "../../b", None),
            ("link", "/etc/passwd", None),
        ] {
            assert_eq!(follow(name, target).as_deref(), end, "{name} -> {target}");
        }
    }

    #[test]
    fn shards_are_hashed_one_by_one() {
        let hash = |shard: Option<u64>, writes: &[&[u8]]| {
            let mut hasher =
                Hasher { shard: shard.unwrap_or(u64::MAX), filled: 0, sha: Sha256::new(), done: Vec::new() };
            writes.iter().for_each(|bytes| hasher.write_all(bytes).unwrap());
            hasher.finish(shard.is_none())
        };
        let sha = |bytes: &[u8]| -> Sha { Sha256::digest(bytes).into() };
        assert_eq!(hash(None, &[b"abc", b"de"]), [sha(b"abcde")]);
        assert_eq!(hash(Some(2), &[b"abc", b"de"]), [sha(b"ab"), sha(b"cd"), sha(b"e")]);
        assert_eq!(hash(Some(5), &[b"abc", b"de"]), [sha(b"abcde")]);
        assert_eq!(hash(None, &[]), [sha(b"")]);
        assert_eq!(hash(Some(2), &[]), Vec::<Sha>::new());
    }
}
