//! Comparing what stands in the work tree with what should.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;

use crate::files::RelPath;
use crate::id::Digest;
use crate::store::{Entry, Manifest};

use super::TrackError;
use super::content;
use super::scan::{Found, Scan, What};
use super::section::{KnownFile, Section};

/// A file that is not as it should be.
#[derive(Debug)]
pub(super) struct Changed<'a> {
    pub(super) found: Found,
    pub(super) wanted: Cow<'a, Entry>,
    /// Its content; none where it differs so plainly that nobody looked.
    pub(super) digest: Option<Digest>,
}

/// A file that should not be there.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) found: Found,
    pub(super) origin: Origin,
}

/// Where a file comes from that should not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The user made it.
    User,
    /// It was part of the artifact, or may have been, with this content if it is still as it was.
    Artifact(Option<Digest>),
}

/// How what stands there compares with what should.
#[derive(Debug, Default)]
pub(super) struct Comparison<'a> {
    /// Files that are not as they should be.
    pub(super) changed: Vec<Changed<'a>>,
    /// Files that should not be there.
    pub(super) added: Vec<Added>,
    /// Files that are not there.
    pub(super) missing: Vec<Cow<'a, Entry>>,
    /// The files that were read and are as they should be, sorted by path.
    pub(super) read: Vec<KnownFile>,
    /// The numbers of known files that are not there or not as they should be: what is known of the others stays so.
    pub(super) dropped: Vec<u32>,
    /// How many files had to be read.
    pub(super) hashed: usize,
}

/// A file that stands where one should, of the right kind and size.
struct Candidate<'a> {
    found: Found,
    wanted: Cow<'a, Entry>,
}

impl<'a> Comparison<'a> {
    /// Compares with the version that `section` knows, which `scan` was made with. Files whose content it does not
    /// tell are read.
    pub(super) fn with_section(place: &Path, scan: &Scan, section: &Section<'_>) -> Result<Self, TrackError> {
        let mut comparison = Self { dropped: scan.stale.clone(), ..Self::default() };
        let mut candidates = Vec::new();
        let mut files = scan.files.iter().peekable();
        let mut cursor = section.cursor();
        for number in &scan.stale {
            let path = cursor.advance_to(*number);
            let is_before = |found: &&Found| found.path.as_bytes() < path.as_bytes();
            comparison.added.extend(std::iter::from_fn(|| files.next_if(is_before)).map(of_user));
            let wanted = Cow::Owned(entry(section, *number, path)?);
            match files.next_if(|found| found.path.as_bytes() == path.as_bytes()) {
                Some(found) => comparison.put(found, wanted, &mut candidates),
                None => comparison.missing.push(wanted),
            }
        }
        comparison.added.extend(files.map(of_user));
        comparison.read(place, candidates)
    }

    /// Compares with a manifest. `scan` was made with `section`, which may know of another version.
    pub(super) fn with_manifest(
        place: &Path,
        scan: &Scan,
        section: Option<&Section<'_>>,
        manifest: &'a Manifest,
    ) -> Result<Self, TrackError> {
        let mut comparison = Self::default();
        let mut candidates = Vec::new();
        let mut files = scan.files.iter().peekable();
        let mut wanted = manifest.entries().iter().peekable();
        let mut stale = scan.stale.iter().copied().peekable();
        let mut cursor = section.map(Section::cursor);
        loop {
            let known = cursor.as_ref().and_then(|cursor| cursor.path());
            let paths = [
                known.map(str::as_bytes),
                files.peek().map(|found| found.path.as_bytes()),
                wanted.peek().map(|entry| path_of(entry).as_bytes()),
            ];
            let Some(first) = paths.into_iter().flatten().min() else { break };
            let [is_known, is_found, is_wanted] = paths.map(|path| path == Some(first));
            let known = cursor.as_ref().zip(section).filter(|_| is_known);
            let number = known.map(|(cursor, _)| cursor.number());
            // Known files stand there as they were known, but for those that the walk found stale.
            let holds = known.filter(|_| stale.next_if(|stale| Some(*stale) == number).is_none());
            let entry = wanted.next_if(|_| is_wanted);
            let found = files.next_if(|_| is_found);
            let is_same = match (holds, entry) {
                (Some((cursor, section)), Some(entry)) => {
                    let number = cursor.number();
                    (section.digest(number), section.mode(number)) == (entry.digest, entry.mode)
                }
                _ => false,
            };
            if !is_same {
                comparison.dropped.extend(number);
                let held = holds.and_then(|(cursor, section)| {
                    let number = cursor.number();
                    Some((found_of(section, number, cursor.path()?), section.digest(number)))
                });
                match (held, found, entry) {
                    (Some((found, digest)), _, Some(entry)) => {
                        let (wanted, digest) = (Cow::Borrowed(entry), Some(digest));
                        comparison.changed.push(Changed { found, wanted, digest });
                    }
                    (Some((found, digest)), _, None) => {
                        comparison.added.push(Added { found, origin: Origin::Artifact(Some(digest)) });
                    }
                    (None, Some(found), Some(entry)) => comparison.put(found, Cow::Borrowed(entry), &mut candidates),
                    (None, Some(found), None) => {
                        // Where nothing is known at all, it may well have been a part.
                        let is_ours = is_known || section.is_none();
                        let origin = if is_ours { Origin::Artifact(None) } else { Origin::User };
                        comparison.added.push(Added { found: found.clone(), origin });
                    }
                    (None, None, Some(entry)) => comparison.missing.push(Cow::Borrowed(entry)),
                    (None, None, None) => {}
                }
            }
            if let Some(cursor) = cursor.as_mut().filter(|_| is_known) {
                cursor.advance();
            }
        }
        comparison.read(place, candidates)
    }

    /// Whether all is as it should be.
    pub(super) fn is_clean(&self) -> bool {
        self.differing() == 0
    }

    /// How many files are not as they should be.
    pub(super) fn differing(&self) -> usize {
        self.changed.len() + self.added.len() + self.missing.len()
    }

    /// Files a file of which nothing is known where one should be.
    fn put(&mut self, found: &Found, wanted: Cow<'a, Entry>, candidates: &mut Vec<Candidate<'a>>) {
        let found = found.clone();
        if found.mode() == Some(wanted.mode) && found.stat.size == wanted.size {
            candidates.push(Candidate { found, wanted });
        } else {
            self.changed.push(Changed { found, wanted, digest: None });
        }
    }

    /// Reads the files of which only the content can tell.
    fn read(mut self, place: &Path, candidates: Vec<Candidate<'a>>) -> Result<Self, TrackError> {
        self.hashed = candidates.len();
        let read: Result<Vec<_>, TrackError> = candidates
            .into_par_iter()
            .map(|candidate| match content::hash(place, &candidate.found) {
                Ok(known) => Ok((candidate, Some(known))),
                // It is being written: it is not what it should be.
                Err(TrackError::Changed { .. }) => Ok((candidate, None)),
                Err(error) => Err(error),
            })
            .collect();
        for (Candidate { found, wanted }, known) in read? {
            match known {
                Some(known) if (known.digest, known.mode) == (wanted.digest, wanted.mode) => self.read.push(known),
                known => {
                    let digest = known.map(|known| known.digest);
                    self.changed.push(Changed { found, wanted, digest });
                }
            }
        }
        self.changed.sort_unstable_by(|left, right| left.found.path.cmp(&right.found.path));
        Ok(self)
    }
}

/// A file that no version of the artifact that is known has.
fn of_user(found: &Found) -> Added {
    Added { found: found.clone(), origin: Origin::User }
}

/// The path in the artifact; empty for an artifact that is a single file.
pub(super) fn path_of(entry: &Entry) -> &str {
    entry.path.as_ref().map_or("", RelPath::as_str)
}

/// A file as the section knows it.
pub(super) fn entry(section: &Section<'_>, number: u32, path: &str) -> Result<Entry, TrackError> {
    let path = if path.is_empty() { None } else { Some(RelPath::new(path)?) };
    let (mode, size) = (section.mode(number), section.stat(number).size);
    Ok(Entry { path, mode, size, digest: section.digest(number) })
}

/// A file that stands as the section knows it.
pub(super) fn found_of(section: &Section<'_>, number: u32, path: &str) -> Found {
    Found { path: OsString::from(path), what: What::Content(section.mode(number)), stat: section.stat(number) }
}

/// The order of paths as bytes, for what is to be sorted.
pub(super) fn by_path(left: &KnownFile, right: &KnownFile) -> Ordering {
    left.path.as_bytes().cmp(right.path.as_bytes())
}
