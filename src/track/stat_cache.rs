//! What is known of files in the work tree without reading them again, by what the system says of them.
//!
//! For every artifact it keeps the files of the version that was last brought in line with the work tree: their
//! digests, and their stats at a moment when their content was known. Where a walk finds the same files with the same
//! stats, the work tree holds exactly that version, and neither manifest nor content has to be read.
//!
//! It is a cache: one that is missing, damaged or of another version costs time and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::files::{self, Durability, FileError, RelPath};
use crate::id::{ArtifactId, Digest};
use crate::store::Mode;

use super::scan::{Found, Stat, What};
use super::workspace::WorktreeLock;

const MAGIC: &[u8; 8] = b"GMLSTAT1";

/// File systems that count in nanoseconds take the time from a clock that ticks every 1 to 10 ms.
const TICK: i64 = 20_000_000;
/// Others count in whole or even in two seconds.
const COARSE_TICK: i64 = 2_000_000_000;

/// A file whose content was known at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KnownFile {
    /// The path in the artifact; empty for an artifact that is a single file.
    pub(super) path: String,
    /// How it is made.
    pub(super) mode: Mode,
    /// What the system said of it.
    pub(super) stat: Stat,
    /// BLAKE3 of its content.
    pub(super) digest: Digest,
    /// When the content was read, or just before, in nanoseconds since 1970.
    pub(super) checked_at: i64,
}

impl KnownFile {
    /// Whether the file that was found still has the content that was known.
    ///
    /// A file that was changed in the very tick of the clock in which its content was read may have the same stat as
    /// before, so a stat proves something only once it is older than that: git's rule for racily clean entries.
    pub(super) fn still_describes(&self, found: &Found) -> bool {
        found.what == What::Content(self.mode) && found.stat == self.stat && !self.is_racy()
    }

    fn is_racy(&self) -> bool {
        let Stat { modified, changed, .. } = self.stat;
        let coarse = modified % 1_000_000_000 == 0 && changed % 1_000_000_000 == 0;
        let tick = if coarse { COARSE_TICK } else { TICK };
        modified.saturating_add(tick) >= self.checked_at
    }
}

/// The moment, as [`KnownFile::checked_at`] counts.
pub(super) fn now() -> i64 {
    nanoseconds(SystemTime::now())
}

/// A time in nanoseconds since 1970.
pub(super) fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What is known of one artifact's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// The version that these are the files of: all of them, and no others.
    pub(super) artifact_id: ArtifactId,
    /// The files, sorted by path as bytes.
    pub(super) files: Vec<KnownFile>,
}

/// What is known of all artifacts' files in one work tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct StatCache {
    place: PathBuf,
    sections: BTreeMap<RelPath, Section>,
}

impl StatCache {
    /// Reads the one in a work tree's own git folder.
    pub(super) fn load(git_dir: &Path) -> Self {
        let place = git_dir.join("ml").join("stat-cache");
        let sections = std::fs::read(&place).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default();
        Self { place, sections }
    }

    /// What is known of the artifact at `path`.
    pub(super) fn section(&self, path: &RelPath) -> Option<&Section> {
        self.sections.get(path)
    }

    /// Replaces what is known of the artifact at `path`.
    pub(super) fn set(&mut self, path: &RelPath, section: Section) {
        self.sections.insert(path.clone(), section);
    }

    /// Forgets the artifact at `path`.
    pub(super) fn forget(&mut self, path: &RelPath) {
        self.sections.remove(path);
    }

    /// Writes it. Nobody else can have written it since it was read, if it was read under the same lock.
    pub(super) fn save(&self, _lock: &WorktreeLock) -> Result<(), FileError> {
        files::publish(&self.place, &encode(&self.sections), Durability::Buffered)
    }
}

fn encode(sections: &BTreeMap<RelPath, Section>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let number = |bytes: &mut Vec<u8>, value: u64| bytes.extend_from_slice(&value.to_le_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        number(bytes, text.len() as u64);
        bytes.extend_from_slice(text.as_bytes());
    };
    number(&mut bytes, sections.len() as u64);
    for (path, section) in sections {
        text(&mut bytes, path.as_str());
        bytes.extend_from_slice(section.artifact_id.as_bytes());
        number(&mut bytes, section.files.len() as u64);
        for file in &section.files {
            text(&mut bytes, &file.path);
            bytes.push(match file.mode {
                Mode::File => 0,
                Mode::Executable => 1,
                Mode::Symlink => 2,
            });
            number(&mut bytes, file.stat.size);
            for time in [file.stat.modified, file.stat.changed, file.checked_at] {
                bytes.extend_from_slice(&time.to_le_bytes());
            }
            number(&mut bytes, file.stat.inode);
            bytes.extend_from_slice(file.digest.as_bytes());
        }
    }
    let check = Digest::of(&bytes);
    bytes.extend_from_slice(check.as_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<RelPath, Section>> {
    let (body, check) = bytes.split_last_chunk::<32>()?;
    if Digest::of(body).as_bytes() != check {
        return None;
    }
    let mut input = Input(body.strip_prefix(MAGIC)?);
    let mut sections = BTreeMap::new();
    for _ in 0..input.number()? {
        let path = RelPath::new(input.text()?).ok()?;
        let artifact_id = ArtifactId::from_bytes(input.array()?);
        let mut files = Vec::new();
        for _ in 0..input.number()? {
            let path = input.text()?.to_owned();
            let mode = match input.array::<1>()? {
                [0] => Mode::File,
                [1] => Mode::Executable,
                [2] => Mode::Symlink,
                _ => return None,
            };
            let size = input.number()?;
            let [modified, changed, checked_at] = [input.time()?, input.time()?, input.time()?];
            let stat = Stat { size, modified, changed, inode: input.number()? };
            files.push(KnownFile { path, mode, stat, digest: Digest::from_bytes(input.array()?), checked_at });
        }
        sections.insert(path, Section { artifact_id, files });
    }
    input.0.is_empty().then_some(sections)
}

/// What is left to decode.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    const SECOND: i64 = 1_000_000_000;

    fn known(path: &str, modified: i64, checked_at: i64) -> KnownFile {
        let stat = Stat { size: 3, modified, changed: 9 * SECOND, inode: 7 };
        KnownFile { path: path.to_owned(), mode: Mode::File, stat, digest: Digest::of(b"abc"), checked_at }
    }

    #[test]
    fn what_is_written_is_read_and_any_damage_reads_as_nothing() {
        let section = Section { artifact_id: ArtifactId::from_bytes([9; 32]), files: vec![known("a/ü", 5, 6)] };
        let sections = BTreeMap::from([(RelPath::new("data/x").unwrap(), section)]);
        let bytes = encode(&sections);
        assert_eq!(decode(&bytes), Some(sections));
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {index}");
            assert_eq!(decode(&bytes[..index]), None, "length {index}");
        }
    }

    #[test]
    fn a_stat_proves_nothing_before_the_clock_has_ticked() {
        let describes = |file: &KnownFile| {
            let found = Found { path: OsString::from("a"), what: What::Content(Mode::File), stat: file.stat };
            file.still_describes(&found)
        };
        assert!(describes(&known("a", 5 * SECOND + 1, 6 * SECOND)));
        assert!(!describes(&known("a", 5 * SECOND + 1, 5 * SECOND + TICK)));
        assert!(!describes(&known("a", 5 * SECOND + 1, 4 * SECOND)));
        // A file system that counts in seconds.
        assert!(!describes(&known("a", 5 * SECOND, 6 * SECOND)));
        assert!(describes(&known("a", 5 * SECOND, 8 * SECOND)));
    }
}
