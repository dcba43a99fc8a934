//! Files of the repository's work trees that have the content of a file that is to be written: where the file system
//! can, both share it on the disk (a reflink), until one of them is changed.
//!
//! That a file has the content, its stat proves, as everywhere: nothing is read. It is looked at before and after.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode as Permissions, OFlags, open};

use crate::files::WritableDraft;
use crate::id::Digest;
use crate::store::Mode;

use super::scan::{Stat, What, place_of};
use super::stat_cache::StatCache;
use super::{TrackError, Workspace};

/// Below so many bytes writing a file costs no more than sharing one.
const WORTH_IT: u64 = 64 << 10;
/// Places of the same content that are kept.
const ENOUGH: usize = 4;

/// What other files share with those that are to be written.
#[derive(Debug, Default)]
pub(super) struct Twins {
    places: HashMap<Digest, Vec<Twin>>,
}

/// A file with a content that is wanted, as it stood when that was known.
#[derive(Debug)]
struct Twin {
    place: PathBuf,
    mode: Mode,
    stat: Stat,
}

impl Workspace {
    /// The files of all work trees that have one of the contents `wanted`, which are given with their sizes.
    pub(super) fn twins(&self, wanted: impl Iterator<Item = (Digest, u64)>) -> Result<Twins, TrackError> {
        let wanted: HashSet<Digest> = wanted.filter(|(_, size)| *size >= WORTH_IT).map(|(digest, _)| digest).collect();
        let mut places: HashMap<Digest, Vec<Twin>> = HashMap::new();
        if wanted.is_empty() {
            return Ok(Twins { places });
        }
        for worktree in self.repository.worktrees()? {
            let Some(top) = worktree.top else { continue };
            let cache = StatCache::load(&worktree.git_dir);
            for path in cache.paths() {
                let Some(section) = cache.section(path) else { continue };
                let mut cursor = section.cursor();
                while let Some(name) = cursor.path() {
                    let (number, digest) = (cursor.number(), section.digest(cursor.number()));
                    if wanted.contains(&digest) && section.is_proof(number) && section.mode(number) != Mode::Symlink {
                        let twins = places.entry(digest).or_default();
                        if twins.len() < ENOUGH {
                            let place = place_of(&path.under(&top), name.as_ref());
                            twins.push(Twin { place, mode: section.mode(number), stat: section.stat(number) });
                        }
                    }
                    cursor.advance();
                }
            }
        }
        Ok(Twins { places })
    }
}

impl Twins {
    /// Lets an empty draft share the content of a file that has it; false if there is none, or the file system cannot.
    pub(super) fn share(&self, digest: &Digest, draft: &mut dyn WritableDraft) -> bool {
        let mut twins = self.places.get(digest).into_iter().flatten();
        // What cannot be shared is written.
        twins.any(|twin| twin.share_with(draft).unwrap_or(false))
    }
}

impl Twin {
    fn share_with(&self, draft: &mut dyn WritableDraft) -> io::Result<bool> {
        let file = open_file(&self.place)?;
        let stands = || Ok::<_, io::Error>(Stat::of(&file)? == (self.stat, What::Content(self.mode)));
        if !stands()? {
            return Ok(false);
        }
        draft.share(&file)?;
        if stands()? {
            return Ok(true);
        }
        // It was changed in between: what the draft got is nothing that is known.
        draft.clear()?;
        Ok(false)
    }
}

/// Opens a file to read it; a symbolic link in its place is none.
fn open_file(place: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(open(place, flags, Permissions::empty())?))
}
