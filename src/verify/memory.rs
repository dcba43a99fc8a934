//! What was verified before: a cache, `.git/ml/verified`.
//!
//! A pack is remembered by its size, inode and times, and an artifact by the packs that it lies in: it is whole as long
//! as those are what they were. What is kept in git is remembered by the name of its object. A stat proves something
//! only if it is older than the moment when the bytes were read, git's rule for racily clean entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::files::{self, Durability};
use crate::git::ObjectName;
use crate::id::{ArtifactId, CommitId, Digest, PackId};
use crate::store::Store;

/// The first line of the file.
const FIRST_LINE: &str = "git-ml verified 1";
/// What begins the last line, before the BLAKE3 of all above it.
const LAST_WORD: &str = "sum ";
/// Bytes that the file may have.
const LIMIT: u64 = 256 << 20;
/// The longest step of the clocks that file systems take times from, in nanoseconds.
const TICK: i64 = 20_000_000;
/// The same where times are whole seconds.
const COARSE_TICK: i64 = 2_000_000_000;

/// What the system says of a pack without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    inode: u64,
    /// When the content was changed, in nanoseconds since 1970.
    modified: i64,
    /// When anything about the file was changed. Programs cannot set it back.
    changed: i64,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stat = fs::metadata(path).ok()?;
        let time = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Some(Self {
            size: stat.len(),
            inode: stat.ino(),
            modified: time(stat.mtime(), stat.mtime_nsec()),
            changed: time(stat.ctime(), stat.ctime_nsec()),
        })
    }

    /// Whether the same stamp at another time will prove the same content as was read from `moment` on.
    pub(super) fn is_proof_since(&self, moment: i64) -> bool {
        let is_coarse = self.modified % 1_000_000_000 == 0 && self.changed % 1_000_000_000 == 0;
        let tick = if is_coarse { COARSE_TICK } else { TICK };
        self.changed.saturating_add(tick) < moment
    }
}

/// The moment, in nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// An artifact that was found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) is_single_file: bool,
    /// The packs that it lay in.
    pub(super) packs: BTreeSet<PackId>,
}

/// What was verified before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) packs: BTreeMap<PackId, Stamp>,
    pub(super) artifacts: BTreeMap<ArtifactId, Known>,
    /// The folders of runs whose series, log and inputs are as their records say.
    pub(super) runs: BTreeSet<ObjectName>,
    /// A commit of the runs' ref without fault in it and before.
    pub(super) run_history: Option<CommitId>,
    /// What the file said.
    saved: Option<Digest>,
}

impl Memory {
    /// What the store's file says; nothing where it is missing or not as it was written.
    pub(super) fn load(store: &Store) -> Self {
        let mut text = String::new();
        let read = fs::File::open(place(store)).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
        match read {
            Ok(_) => parse(&text).unwrap_or_default(),
            Err(_) => Self::default(),
        }
    }

    /// Keeps it for the next time. Where it cannot be written, the next time takes longer and is as right.
    pub(super) fn save(&mut self, store: &Store) {
        let (text, digest) = self.to_text();
        if self.saved != Some(digest) && files::publish(&place(store), text.as_bytes(), Durability::Buffered).is_ok() {
            self.saved = Some(digest);
        }
    }

    fn to_text(&self) -> (String, Digest) {
        // Writing to a string does not fail.
        let mut text = format!("{FIRST_LINE}\n");
        let mut numbers: BTreeMap<PackId, usize> = BTreeMap::new();
        for (pack, stamp) in &self.packs {
            let Stamp { size, inode, modified, changed } = stamp;
            let _ = writeln!(text, "pack {pack} {size} {inode} {modified} {changed}");
            numbers.insert(*pack, numbers.len());
        }
        for (artifact, known) in &self.artifacts {
            let Known { files, bytes, is_single_file, packs } = known;
            let packs: Option<Vec<String>> = packs.iter().map(|pack| Some(numbers.get(pack)?.to_string())).collect();
            let Some(packs) = packs else { continue };
            let _ =
                writeln!(text, "artifact {artifact} {files} {bytes} {} {}", u8::from(*is_single_file), packs.join(","));
        }
        for run in &self.runs {
            let _ = writeln!(text, "run {run}");
        }
        if let Some(commit) = self.run_history {
            let _ = writeln!(text, "runs {commit}");
        }
        let digest = Digest::of(text.as_bytes());
        let _ = writeln!(text, "{LAST_WORD}{digest}");
        (text, digest)
    }
}

fn place(store: &Store) -> PathBuf {
    store.root().join("verified")
}

fn parse(text: &str) -> Option<Memory> {
    let (body, sum) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = &text[..=body.len()];
    let digest = Digest::of(body.as_bytes());
    if sum.strip_prefix(LAST_WORD)?.parse() != Ok(digest) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut memory = Memory { saved: Some(digest), ..Memory::default() };
    let mut packs: Vec<PackId> = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields.as_slice() {
            ["pack", id, size, inode, modified, changed] => {
                let stamp = Stamp {
                    size: size.parse().ok()?,
                    inode: inode.parse().ok()?,
                    modified: modified.parse().ok()?,
                    changed: changed.parse().ok()?,
                };
                let id = id.parse().ok()?;
                packs.push(id);
                memory.packs.insert(id, stamp);
            }
            ["artifact", id, files, bytes, is_single_file, numbers] => {
                let pack = |number: &str| packs.get(number.parse::<usize>().ok()?).copied();
                let known = Known {
                    files: files.parse().ok()?,
                    bytes: bytes.parse().ok()?,
                    is_single_file: *is_single_file == "1",
                    packs: numbers.split(',').map(pack).collect::<Option<_>>()?,
                };
                memory.artifacts.insert(id.parse().ok()?, known);
            }
            ["run", folder] => drop(memory.runs.insert(folder.parse().ok()?)),
            ["runs", commit] => memory.run_history = Some(commit.parse().ok()?),
            _ => return None,
        }
    }
    Some(memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Memory {
        let packs: Vec<PackId> = (0..3).map(|number| PackId::from_bytes([number; 32])).collect();
        let stamp = Stamp { size: 7, inode: 9, modified: -1, changed: i64::MAX };
        let known =
            Known { files: 2, bytes: u64::MAX, is_single_file: false, packs: packs[1..].iter().copied().collect() };
        Memory {
            packs: packs.iter().map(|pack| (*pack, stamp)).collect(),
            artifacts: BTreeMap::from([(ArtifactId::from_bytes([8; 32]), known)]),
            runs: BTreeSet::from(["0123456789012345678901234567890123456789".parse().unwrap()]),
            run_history: Some(CommitId::from_bytes([4; 20])),
            saved: None,
        }
    }

    #[test]
    fn what_is_kept_reads_back() {
        let (text, digest) = sample().to_text();
        assert_eq!(parse(&text), Some(Memory { saved: Some(digest), ..sample() }));
        let (empty, digest) = Memory::default().to_text();
        assert_eq!(parse(&empty), Some(Memory { saved: Some(digest), ..Memory::default() }));
    }

    #[test]
    fn one_other_byte_makes_it_worthless() {
        let (text, _) = sample().to_text();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(parse(&changed), None, "byte {place}");
            assert_eq!(parse(&text[..place]), None, "cut at {place}");
        }
    }

    #[test]
    fn a_stamp_of_the_same_tick_proves_nothing() {
        let at = |changed| Stamp { size: 0, inode: 0, modified: 1, changed };
        assert!(at(1_000_000_001).is_proof_since(1_000_000_002 + TICK));
        assert!(!at(1_000_000_001).is_proof_since(1_000_000_001 + TICK));
        let coarse = Stamp { size: 0, inode: 0, modified: 0, changed: 1_000_000_000 };
        assert!(!coarse.is_proof_since(2_500_000_000));
        assert!(coarse.is_proof_since(3_500_000_000));
    }
}
