//! Comparing what stands in the work tree with what should.

use std::cmp::Ordering;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;

use crate::id::Digest;
use crate::store::{Manifest, Mode};

use super::TrackError;
use super::content;
use super::scan::{Found, Scan};
use super::stat_cache::{KnownFile, Section};

/// A file as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// The path in the artifact; empty for an artifact that is a single file.
    pub(super) path: &'a str,
    pub(super) mode: Mode,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// The files of a manifest.
pub(super) fn wanted_by(manifest: &Manifest) -> Vec<Wanted<'_>> {
    let wanted = manifest.entries().iter().map(|entry| Wanted {
        path: entry.path.as_ref().map_or("", |path| path.as_str()),
        mode: entry.mode,
        size: entry.size,
        digest: entry.digest,
    });
    wanted.collect()
}

/// The files of the version that the section knows.
pub(super) fn wanted_by_section(section: &Section) -> Vec<Wanted<'_>> {
    let wanted = section.files.iter().map(|file| Wanted {
        path: &file.path,
        mode: file.mode,
        size: file.stat.size,
        digest: file.digest,
    });
    wanted.collect()
}

/// A file that stands where one should, with its content where that is known.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) found: &'a Found,
    pub(super) wanted: Wanted<'a>,
    /// What is known of it; none where it differs so plainly that nobody looked.
    pub(super) known: Option<KnownFile>,
}

/// How what stands there compares with what should.
#[derive(Debug, Default)]
pub(super) struct Comparison<'a> {
    /// Files that are as they should be.
    pub(super) same: Vec<Pair<'a>>,
    /// Files that are not.
    pub(super) changed: Vec<Pair<'a>>,
    /// Files that should not be there.
    pub(super) added: Vec<&'a Found>,
    /// Files that are not there.
    pub(super) missing: Vec<Wanted<'a>>,
    /// How many files had to be read.
    pub(super) hashed: usize,
}

impl Comparison<'_> {
    /// Whether all is as it should be.
    pub(super) fn is_clean(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.missing.is_empty()
    }
}

/// Compares; both `scan` and `wanted` are sorted by path as bytes. `place` is the artifact's, and files whose content
/// `section` does not tell are read where that can make a difference.
pub(super) fn compare<'a>(
    place: &Path,
    scan: &'a Scan,
    wanted: Vec<Wanted<'a>>,
    section: Option<&Section>,
) -> Result<Comparison<'a>, TrackError> {
    let mut comparison = Comparison::default();
    let mut unknown = Vec::new();
    let mut lookup = Lookup::new(section);
    let mut found = scan.files.iter().peekable();
    let mut wanted = wanted.into_iter().peekable();
    loop {
        let order = match (found.peek(), wanted.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(found), Some(wanted)) => found.path.as_bytes().cmp(wanted.path.as_bytes()),
        };
        match order {
            Ordering::Less => comparison.added.extend(found.next()),
            Ordering::Greater => comparison.missing.extend(wanted.next()),
            Ordering::Equal => {
                let (Some(found), Some(wanted)) = (found.next(), wanted.next()) else { break };
                let known = lookup.find(found);
                match known {
                    Some(known) if known.digest == wanted.digest && known.mode == wanted.mode => {
                        comparison.same.push(Pair { found, wanted, known: Some(known.clone()) });
                    }
                    Some(known) => comparison.changed.push(Pair { found, wanted, known: Some(known.clone()) }),
                    None if found.mode() != Some(wanted.mode) || found.stat.size != wanted.size => {
                        comparison.changed.push(Pair { found, wanted, known: None });
                    }
                    None => unknown.push(Pair { found, wanted, known: None }),
                }
            }
        }
    }
    comparison.hashed = unknown.len();
    let hashed: Result<Vec<Pair<'a>>, TrackError> = unknown
        .into_par_iter()
        .map(|pair| match content::hash(place, pair.found) {
            Ok(known) => Ok(Pair { known: Some(known), ..pair }),
            // It is being written: it is not what it should be.
            Err(TrackError::Changed { .. }) => Ok(pair),
            Err(error) => Err(error),
        })
        .collect();
    for pair in hashed? {
        let wanted = (pair.wanted.digest, pair.wanted.mode);
        match pair.known.as_ref().map(|known| (known.digest, known.mode)) {
            Some(known) if known == wanted => comparison.same.push(pair),
            _ => comparison.changed.push(pair),
        }
    }
    if comparison.hashed > 0 {
        comparison.same.sort_unstable_by(|left, right| left.wanted.path.cmp(right.wanted.path));
        comparison.changed.sort_unstable_by(|left, right| left.wanted.path.cmp(right.wanted.path));
    }
    Ok(comparison)
}

/// Finds what a section knows of files that are asked for in order.
pub(super) struct Lookup<'s> {
    rest: &'s [KnownFile],
}

impl<'s> Lookup<'s> {
    /// Over what is known, if anything is.
    pub(super) fn new(section: Option<&'s Section>) -> Self {
        Self { rest: section.map_or(&[], |section| &section.files) }
    }

    /// What is known of `found` that still holds. Files have to be asked for in the order of their paths.
    pub(super) fn find(&mut self, found: &Found) -> Option<&'s KnownFile> {
        while let Some((first, rest)) = self.rest.split_first() {
            match first.path.as_bytes().cmp(found.path.as_bytes()) {
                Ordering::Less => self.rest = rest,
                Ordering::Equal => return Some(first).filter(|known| known.still_describes(found)),
                Ordering::Greater => return None,
            }
        }
        None
    }
}
