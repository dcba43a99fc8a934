//! Which artifacts were checked out so shortly before a power cut that their files may be torn.
//!
//! A checkout does not wait until its files are on the disk: that would take longer than writing them. So a power cut
//! may leave files that are cut off, or zeros in places. They look like work of the user that is stored nowhere, and
//! must not keep the next checkout from putting them right. What was checked out is noted before its first file is
//! written, with the system's boot: after another boot, and only then, a file may be replaced that has nothing but
//! bytes of the file that was being written, and zeros.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::files::{Durability, FileError, RelPath, fill};
use crate::id::{ArtifactId, Digest};
use crate::store::{Manifest, Mode, Store};

use super::scan::{Found, place_of};
use super::workspace::WorktreeLock;

/// The system has written everything to the disk after so many seconds: by default it does after 35.
const SETTLED: u64 = 600;
/// Bytes that a note may have: one of a hundred thousand artifacts.
const LIMIT: u64 = 32 << 20;
/// Disks keep at least so many bytes together.
const SECTOR: usize = 512;

/// An artifact that was checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    /// The system's boot in which that was.
    boot: String,
    /// When, in seconds since 1970.
    at: u64,
    artifact_id: ArtifactId,
    path: RelPath,
}

/// The artifacts that were checked out of late.
#[derive(Debug)]
pub(super) struct Unsettled {
    place: PathBuf,
    boot: String,
    notes: Vec<Note>,
}

impl Unsettled {
    /// Reads what was noted. Notes that are damaged are none: then a torn file takes `--force`.
    pub(super) fn load(git_dir: &Path) -> Self {
        let place = git_dir.join("ml/checked-out");
        let mut text = String::new();
        let file = File::open(&place).map(|file| file.take(LIMIT));
        let notes = match file.and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => text.lines().filter_map(parse).collect(),
            Err(_) => Vec::new(),
        };
        Self { place, boot: current_boot(), notes }
    }

    /// Notes artifacts whose files are about to be written, and forgets what is on the disk by now.
    pub(super) fn note(
        &mut self,
        artifacts: impl Iterator<Item = (RelPath, ArtifactId)>,
        lock: &WorktreeLock,
    ) -> Result<(), FileError> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let boot = &self.boot;
        let news: Vec<Note> =
            artifacts.map(|(path, artifact_id)| Note { boot: boot.clone(), at, artifact_id, path }).collect();
        if news.is_empty() {
            return Ok(());
        }
        // One of another boot stays until its files are put right.
        self.notes.retain(|note| {
            let is_settled = note.boot == *boot && note.at + SETTLED < at;
            let is_same =
                |new: &Note| (&new.boot, &new.path, new.artifact_id) == (&note.boot, &note.path, note.artifact_id);
            !is_settled && !news.iter().any(is_same)
        });
        self.notes.extend(news);
        self.save(lock, Durability::Synced)
    }

    /// Forgets what was noted of artifacts before the system's last boot: their files are as they should be.
    pub(super) fn put_right<'a>(
        &mut self,
        paths: impl Iterator<Item = &'a RelPath>,
        lock: &WorktreeLock,
    ) -> Result<(), FileError> {
        let paths: HashSet<&RelPath> = paths.collect();
        let before = self.notes.len();
        self.notes.retain(|note| note.boot == self.boot || !paths.contains(&note.path));
        if self.notes.len() == before { Ok(()) } else { self.save(lock, Durability::Buffered) }
    }

    fn save(&self, lock: &WorktreeLock, durability: Durability) -> Result<(), FileError> {
        let line = |note: &Note| format!("{} {} {} {}\n", note.boot, note.at, note.artifact_id, note.path);
        lock.publish(&self.place, self.notes.iter().map(line).collect::<String>().as_bytes(), durability)
    }

    /// What was being checked out at `path` when the power may have been cut.
    pub(super) fn torn<'s>(&self, store: &'s Store, path: &RelPath) -> Torn<'s> {
        let is_torn = |note: &&Note| note.path == *path && (note.boot.is_empty() || note.boot != self.boot);
        let notes = self.notes.iter().filter(is_torn);
        // Where its manifest is gone, a torn file cannot be told from the user's.
        Torn { store, manifests: notes.filter_map(|note| store.manifest(&note.artifact_id).ok()).collect() }
    }
}

/// Artifacts whose files at one place may be torn.
pub(super) struct Torn<'s> {
    store: &'s Store,
    manifests: Vec<Manifest>,
}

impl Torn<'_> {
    /// Whether one of them has a file of that path.
    pub(super) fn names(&self, found: &Found) -> bool {
        self.digests(found).next().is_some()
    }

    /// Whether a file at `place` is what a power cut left of one of theirs.
    pub(super) fn has(&self, place: &Path, found: &Found) -> bool {
        let is_file = matches!(found.mode(), Some(Mode::File | Mode::Executable));
        let is_torn = |digest| is_torn_copy(self.store, &digest, &place_of(place, &found.path));
        is_file && self.digests(found).any(is_torn)
    }

    /// What they have under a file's path.
    fn digests<'a>(&'a self, found: &'a Found) -> impl Iterator<Item = Digest> + 'a {
        self.manifests.iter().filter_map(|manifest| match found.path.to_str()? {
            "" => manifest.entries().first().filter(|_| manifest.is_single_file()).map(|entry| entry.digest),
            name => manifest.find(&RelPath::new(name).ok()?).map(|entry| entry.digest),
        })
    }
}

fn parse(line: &str) -> Option<Note> {
    let mut fields = line.splitn(4, ' ');
    let mut next = || fields.next();
    let (boot, at, artifact_id, path) = (next()?, next()?, next()?, next()?);
    let (at, artifact_id) = (at.parse().ok()?, artifact_id.parse().ok()?);
    Some(Note { boot: boot.to_owned(), at, artifact_id, path: RelPath::new(path).ok()? })
}

/// What tells the time since the system was started from all times before; empty where that is not known.
fn current_boot() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Whether a file is all that a power cut left of one with the content `whole`: nothing is in it but that, and zeros.
fn is_torn_copy(store: &Store, whole: &Digest, place: &Path) -> bool {
    let compare = || -> io::Result<bool> {
        let mut content = store.read(whole).map_err(io::Error::other)?;
        let mut file = io::BufReader::new(File::open(place)?);
        loop {
            let (mut found, mut expected) = ([0; SECTOR], [0; SECTOR]);
            let count = fill(&mut file, &mut found)?;
            if count == 0 {
                return Ok(true);
            }
            let reached = fill(&mut content, &mut expected[..count])?;
            let is_zero = found.iter().all(|byte| *byte == 0);
            if reached < count || !(is_zero || found[..count] == expected[..count]) {
                return Ok(false);
            }
        }
    };
    compare().unwrap_or(false)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make the files that they look at")]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_left_of_the_content_is_a_torn_copy() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let whole: Vec<u8> = (0..5000u32).flat_map(|number| number.to_le_bytes()).collect();
        let writer = store.writer().unwrap();
        let (digest, _) = writer.add(&mut &whole[..], "it").unwrap();
        writer.finish().unwrap();
        let place = folder.path().join("file");
        let is_torn = |bytes: &[u8]| {
            fs::write(&place, bytes).unwrap();
            is_torn_copy(&store, &digest, &place)
        };
        let with = |range: std::ops::Range<usize>, byte: u8| {
            let mut bytes = whole.clone();
            bytes[range].fill(byte);
            bytes
        };
        for torn in [&whole[..0], &whole[..1], &whole[..4097], &whole, &with(4096..8192, 0), &with(0..20_000, 0)] {
            assert!(is_torn(torn));
        }
        let longer = [&whole[..], &[0]].concat();
        for work in [&with(4096..4098, 9), &with(700..702, 0), &longer, &b"words of the user's".to_vec()] {
            assert!(!is_torn(work));
        }
    }
}
