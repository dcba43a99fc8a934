//! The part of the stat cache that is about one artifact, used as it lies on the disk: nothing is copied out of it.
//!
//! Files stand in the order of their paths as bytes. Those that follow each other in one folder are a run, which has
//! the folder's path once; within it are the names alone. All stats lie together and all digests do, since who finds
//! that nothing changed needs no digest.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::time::SystemTime;

use crate::id::{ArtifactId, Digest};
use crate::store::Mode;

use super::scan::{Stat, What};

/// File systems that count in nanoseconds take the time from a clock that ticks every 1 to 10 ms.
const TICK: i64 = 20_000_000;
/// Others count in whole or even in two seconds.
const COARSE_TICK: i64 = 2_000_000_000;

/// Bytes of a run: how many files it has, the length of its folder's path and of its names.
const RUN: usize = 8 + 4 + 8;
/// Bytes of a stat: flags, size, both times and the inode.
const STAT: usize = 1 + 8 + 8 + 8 + 8;
const DIGEST: usize = 32;

const MODE_BITS: u8 = 0b011;
/// The stat is older than the moment when the content was read.
const IS_PROOF: u8 = 0b100;

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
    /// Whether the same stat at another time will prove the same content.
    ///
    /// A file that was changed in the very tick of the clock in which its content was read may have the same stat as
    /// before, so a stat proves something only if it is older than that: git's rule for racily clean entries.
    fn is_proof(&self) -> bool {
        let Stat { modified, changed, .. } = self.stat;
        let coarse = modified % 1_000_000_000 == 0 && changed % 1_000_000_000 == 0;
        let tick = if coarse { COARSE_TICK } else { TICK };
        modified.saturating_add(tick) < self.checked_at
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

/// What is known of one artifact's files: those of one version, all of them and no others.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// That version.
    pub(super) artifact_id: ArtifactId,
    runs: Vec<Run<'a>>,
    /// The runs' numbers, sorted by folder and then as they stand.
    by_folder: Vec<u32>,
    stats: &'a [[u8; STAT]],
    digests: &'a [[u8; DIGEST]],
}

/// Files of one folder that follow each other.
#[derive(Debug, Clone, Copy)]
struct Run<'a> {
    folder: &'a str,
    /// Each with a NUL behind it.
    names: &'a str,
    first: u32,
}

impl<'a> Section<'a> {
    /// Reads the bytes that a [`Builder`] made; none if it did not.
    pub(super) fn parse(artifact_id: ArtifactId, body: &'a [u8]) -> Option<Self> {
        let mut input = Input(body);
        let count = usize::try_from(input.number()?).ok()?;
        let run_count = usize::try_from(input.number()?).ok()?;
        let mut table = Input(input.bytes(run_count.checked_mul(RUN)?)?);
        let mut runs = Vec::with_capacity(run_count);
        let mut first = 0u32;
        let mut lengths = Vec::with_capacity(run_count);
        for _ in 0..run_count {
            let files = u32::try_from(table.number()?).ok()?;
            let folder = u32::from_le_bytes(table.array()?) as usize;
            lengths.push((first, files, folder, usize::try_from(table.number()?).ok()?));
            first = first.checked_add(files)?;
        }
        for (first, files, folder, names) in lengths {
            let folder = std::str::from_utf8(input.bytes(folder)?).ok()?;
            let names = std::str::from_utf8(input.bytes(names)?).ok()?;
            if names.bytes().filter(|byte| *byte == 0).count() != files as usize || !names.ends_with('\0') {
                return None;
            }
            runs.push(Run { folder, names, first });
        }
        let (stats, _) = input.bytes(count.checked_mul(STAT)?)?.as_chunks();
        let (digests, _) = input.bytes(count.checked_mul(DIGEST)?)?.as_chunks();
        if first as usize != count || !input.0.is_empty() {
            return None;
        }
        let mut by_folder: Vec<u32> = (0..u32::try_from(run_count).ok()?).collect();
        by_folder.sort_by_key(|number| runs[*number as usize].folder);
        Some(Self { artifact_id, runs, by_folder, stats, digests })
    }

    /// How many files it has.
    pub(super) fn len(&self) -> usize {
        self.stats.len()
    }

    /// Bytes in all files.
    pub(super) fn total_size(&self) -> u64 {
        (0..self.len() as u32).map(|number| self.stat(number).size).fold(0, u64::saturating_add)
    }

    /// How a file is made.
    pub(super) fn mode(&self, number: u32) -> Mode {
        match self.stats[number as usize][0] & MODE_BITS {
            0 => Mode::File,
            1 => Mode::Executable,
            _ => Mode::Symlink,
        }
    }

    /// What the system said of a file.
    pub(super) fn stat(&self, number: u32) -> Stat {
        let mut input = Input(&self.stats[number as usize][1..]);
        let mut next = || input.number().unwrap_or_default();
        Stat { size: next(), modified: next() as i64, changed: next() as i64, inode: next() }
    }

    /// BLAKE3 of a file's content.
    pub(super) fn digest(&self, number: u32) -> Digest {
        Digest::from_bytes(self.digests[number as usize])
    }

    /// Whether a file's stat proves its content.
    pub(super) fn is_proof(&self, number: u32) -> bool {
        self.stats[number as usize][0] & IS_PROOF != 0
    }

    /// Whether a file that looks like this has the content that was known.
    pub(super) fn describes(&self, number: u32, stat: &Stat, what: What) -> bool {
        self.is_proof(number) && what == What::Content(self.mode(number)) && self.stat(number) == *stat
    }

    /// The files right in a folder: their numbers and names.
    pub(super) fn files_in(&self, folder: &[u8]) -> Vec<(u32, &'a CStr)> {
        let runs = &self.by_folder;
        let folder_of = |number: &u32| self.runs[*number as usize].folder.as_bytes();
        let start = runs.partition_point(|number| folder_of(number) < folder);
        let runs = runs[start..].iter().take_while(|number| folder_of(number) == folder);
        let mut files = Vec::new();
        for run in runs.map(|number| self.runs[*number as usize]) {
            let names = run.names.as_bytes().split_inclusive(|byte| *byte == 0);
            files.extend((run.first..).zip(names.filter_map(|name| CStr::from_bytes_with_nul(name).ok())));
        }
        files
    }

    /// The numbers of the files that are right in a folder for which `is_inside` does not hold.
    pub(super) fn files_outside(&self, is_inside: impl Fn(&str) -> bool) -> Vec<u32> {
        let ends = self.runs.iter().skip(1).map(|run| run.first).chain([self.len() as u32]);
        let runs = self.runs.iter().zip(ends).filter(|(run, _)| !is_inside(run.folder));
        runs.flat_map(|(run, end)| run.first..end).collect()
    }

    /// All files, one after the other.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        let mut cursor =
            Cursor { runs: &self.runs, names: "", number: 0, path: String::new(), folder: 0, ended: false };
        cursor.settle();
        cursor
    }

    /// The stat and digest as they lie on the disk.
    fn raw(&self, number: u32) -> (&[u8], &[u8]) {
        (&self.stats[number as usize], &self.digests[number as usize])
    }
}

/// A place among the files of a section.
#[derive(Debug)]
pub(super) struct Cursor<'s> {
    runs: &'s [Run<'s>],
    /// Names of the first run that come after this file's.
    names: &'s str,
    number: u32,
    path: String,
    /// How much of `path` is the folder.
    folder: usize,
    ended: bool,
}

impl Cursor<'_> {
    /// The file's path in the artifact; none after the last.
    pub(super) fn path(&self) -> Option<&str> {
        if self.ended { None } else { Some(&self.path) }
    }

    /// The file's number.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Goes on to the next file.
    pub(super) fn advance(&mut self) {
        self.number += 1;
        self.take_name();
    }

    /// Goes on to a file that is here or further on; its path.
    pub(super) fn advance_to(&mut self, number: u32) -> &str {
        while self.number < number && !self.ended {
            self.advance();
        }
        &self.path
    }

    /// Begins with the first of `runs`.
    fn settle(&mut self) {
        let Some(run) = self.runs.first() else {
            self.ended = true;
            return;
        };
        self.names = run.names;
        self.path.clear();
        self.path.push_str(run.folder);
        if !run.folder.is_empty() {
            self.path.push('/');
        }
        self.folder = self.path.len();
        self.take_name();
    }

    fn take_name(&mut self) {
        match self.names.split_once('\0') {
            Some((name, rest)) => {
                self.path.truncate(self.folder);
                self.path.push_str(name);
                self.names = rest;
            }
            None => {
                self.runs = self.runs.get(1..).unwrap_or_default();
                self.settle();
            }
        }
    }
}

/// Makes the bytes of a section of files that are given in order.
#[derive(Debug, Default)]
pub(super) struct Builder {
    table: Vec<u8>,
    texts: String,
    /// Names of the last run, and how many.
    names: String,
    files: u64,
    folder: Option<String>,
    stats: Vec<u8>,
    digests: Vec<u8>,
}

impl Builder {
    /// The files of `section` but for the numbers in `dropped`, and those in `added`. Numbers and paths are in order.
    pub(super) fn merge(section: Option<&Section<'_>>, dropped: &[u32], added: &[KnownFile]) -> Vec<u8> {
        let mut builder = Self::default();
        let mut added = added.iter().peekable();
        let mut dropped = dropped.iter().copied().peekable();
        if let Some(section) = section {
            builder.stats.reserve(section.stats.len() * STAT);
            builder.digests.reserve(section.digests.len() * DIGEST);
            let mut cursor = section.cursor();
            while let Some(path) = cursor.path() {
                while let Some(file) = added.next_if(|file| compare(&file.path, path) == Ordering::Less) {
                    builder.push_known(file);
                }
                if dropped.next_if_eq(&cursor.number()).is_none() {
                    let (stat, digest) = section.raw(cursor.number());
                    builder.push(path, stat, digest);
                }
                cursor.advance();
            }
        }
        added.for_each(|file| builder.push_known(file));
        builder.finish()
    }

    fn push_known(&mut self, file: &KnownFile) {
        let mode = match file.mode {
            Mode::File => 0,
            Mode::Executable => 1,
            Mode::Symlink => 2,
        };
        let mut stat = [0; STAT];
        stat[0] = mode | if file.is_proof() { IS_PROOF } else { 0 };
        let Stat { size, modified, changed, inode } = file.stat;
        for (place, value) in [size, modified as u64, changed as u64, inode].into_iter().enumerate() {
            stat[1 + place * 8..9 + place * 8].copy_from_slice(&value.to_le_bytes());
        }
        self.push(&file.path, &stat, file.digest.as_bytes());
    }

    fn push(&mut self, path: &str, stat: &[u8], digest: &[u8]) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if self.folder.as_deref() != Some(folder) {
            self.end_run();
            self.folder = Some(folder.to_owned());
        }
        self.files += 1;
        self.names.push_str(name);
        self.names.push('\0');
        self.stats.extend_from_slice(stat);
        self.digests.extend_from_slice(digest);
    }

    fn end_run(&mut self) {
        let Some(folder) = self.folder.take() else { return };
        self.table.extend_from_slice(&self.files.to_le_bytes());
        self.table.extend_from_slice(&(folder.len() as u32).to_le_bytes());
        self.table.extend_from_slice(&(self.names.len() as u64).to_le_bytes());
        self.texts.push_str(&folder);
        self.texts.push_str(&self.names);
        self.names.clear();
        self.files = 0;
    }

    fn finish(mut self) -> Vec<u8> {
        self.end_run();
        let count = (self.stats.len() / STAT) as u64;
        let runs = (self.table.len() / RUN) as u64;
        let texts = self.texts.as_bytes();
        [&count.to_le_bytes()[..], &runs.to_le_bytes(), &self.table, texts, &self.stats, &self.digests].concat()
    }
}

/// The order of paths in a section and in a manifest.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    left.as_bytes().cmp(right.as_bytes())
}

/// What is left to decode.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    pub(in crate::track) fn known(path: &str, modified: i64, checked_at: i64) -> KnownFile {
        let stat = Stat { size: path.len() as u64, modified, changed: 9 * SECOND, inode: 7 };
        let digest = Digest::of(path.as_bytes());
        KnownFile { path: path.to_owned(), mode: Mode::Executable, stat, digest, checked_at }
    }

    /// The bytes of a section of `files`, which are in order.
    pub(in crate::track) fn body_of(files: &[KnownFile]) -> Vec<u8> {
        Builder::merge(None, &[], files)
    }

    fn parse(body: &[u8]) -> Section<'_> {
        Section::parse(ArtifactId::from_bytes([9; 32]), body).unwrap()
    }

    fn paths(section: &Section<'_>) -> Vec<String> {
        let (mut paths, mut cursor) = (Vec::new(), section.cursor());
        while let Some(path) = cursor.path() {
            assert_eq!(cursor.number() as usize, paths.len());
            paths.push(path.to_owned());
            cursor.advance();
        }
        paths
    }

    #[test]
    fn a_stat_proves_nothing_before_the_clock_has_ticked() {
        let describes = |modified, checked_at| {
            let file = known("a", modified, checked_at);
            let body = body_of(std::slice::from_ref(&file));
            parse(&body).describes(0, &file.stat, What::Content(file.mode))
        };
        assert!(describes(5 * SECOND + 1, 6 * SECOND));
        assert!(!describes(5 * SECOND + 1, 5 * SECOND + TICK));
        assert!(!describes(5 * SECOND + 1, 4 * SECOND));
        // A file system that counts in seconds.
        assert!(!describes(5 * SECOND, 6 * SECOND));
        assert!(describes(5 * SECOND, 8 * SECOND));
    }

    #[test]
    fn any_difference_is_seen() {
        let file = known("a", 1, SECOND);
        let body = body_of(std::slice::from_ref(&file));
        let section = parse(&body);
        let (stat, what) = (file.stat, What::Content(file.mode));
        assert!(section.describes(0, &stat, what));
        assert!(!section.describes(0, &Stat { size: 2, ..stat }, what));
        assert!(!section.describes(0, &Stat { modified: 2, ..stat }, what));
        assert!(!section.describes(0, &Stat { changed: 2, ..stat }, what));
        assert!(!section.describes(0, &Stat { inode: 2, ..stat }, what));
        assert!(!section.describes(0, &stat, What::Content(Mode::File)));
        assert!(!section.describes(0, &stat, What::Special("socket")));
    }

    #[test]
    fn files_are_found_by_their_folder_also_where_others_stand_between_them() {
        let names = ["a-b", "a/x", "a0", "b/c/d", "b/e"];
        let body = body_of(&names.map(|path| known(path, 1, SECOND)));
        let section = parse(&body);
        let found = |folder: &str| -> Vec<(u32, String)> {
            let files = section.files_in(folder.as_bytes()).into_iter();
            files.map(|(number, name)| (number, name.to_str().unwrap().to_owned())).collect()
        };
        assert_eq!(found(""), [(0, "a-b".to_owned()), (2, "a0".to_owned())]);
        assert_eq!(found("b/c"), [(3, "d".to_owned())]);
        assert_eq!(found("b"), [(4, "e".to_owned())]);
        assert!(found("c").is_empty());
        assert_eq!(section.cursor().advance_to(3), "b/c/d");
        assert_eq!((section.len(), section.total_size()), (5, 16));
        // An artifact that is a single file.
        let body = body_of(&[known("", 1, SECOND)]);
        assert_eq!((paths(&parse(&body)), parse(&body).files_in(b"").len()), (vec![String::new()], 1));
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_without_panic() {
        let body = body_of(&["a", "b/c", "b/ü"].map(|path| known(path, 1, SECOND)));
        for index in 0..body.len() {
            assert!(Section::parse(ArtifactId::from_bytes([9; 32]), &body[..index]).is_none(), "length {index}");
            let mut damaged = body.clone();
            damaged[index] ^= 0x41;
            if let Some(section) = Section::parse(ArtifactId::from_bytes([9; 32]), &damaged) {
                let _ = (section.cursor().advance_to(9).len(), section.files_in(b"b"), section.total_size());
            }
        }
    }

    proptest! {
        /// Against a model: some files go, others come or replace those that went.
        #[test]
        fn merging_is_that_of_maps(
            old in proptest::collection::btree_map("[a-c]{1,2}(/[a-c.]{1,2}){0,2}", any::<bool>(), 0..20),
            new in proptest::collection::btree_set("[a-c]{1,2}(/[a-c.]{1,2}){0,2}", 0..20),
        ) {
            let files: Vec<_> = old.keys().map(|path| known(path, 1, SECOND)).collect();
            let body = body_of(&files);
            let section = parse(&body);
            let goes = |path: &String, drop: bool| drop || new.contains(path);
            let dropped: Vec<u32> =
                (0..).zip(&old).filter(|(_, (path, drop))| goes(path, **drop)).map(|(number, _)| number).collect();
            let added: Vec<_> = new.iter().map(|path| known(path, 2, SECOND)).collect();
            let mut expected: std::collections::BTreeMap<_, i64> =
                old.iter().filter(|(path, drop)| !goes(path, **drop)).map(|(path, _)| (path.clone(), 1)).collect();
            expected.extend(new.iter().map(|path| (path.clone(), 2)));
            let merged = Builder::merge(Some(&section), &dropped, &added);
            let merged = parse(&merged);
            prop_assert_eq!(paths(&merged), expected.keys().cloned().collect::<Vec<_>>());
            for (number, (path, modified)) in (0..).zip(&expected) {
                prop_assert_eq!(merged.stat(number).modified, *modified);
                prop_assert_eq!(merged.digest(number), Digest::of(path.as_bytes()));
                prop_assert_eq!(merged.mode(number), Mode::Executable);
            }
        }
    }
}
