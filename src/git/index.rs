//! What git tracks.

use std::collections::BTreeSet;

use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::{GitError, Repository};
use crate::files::RelPath;

impl Repository {
    /// The paths in the index that equal `path` or lie below it.
    ///
    /// A path that a [`RelPath`] cannot hold is given as the nearest folder above it that one can.
    pub fn tracked_below(&self, path: &RelPath) -> Result<Vec<RelPath>, GitError> {
        let index = self.read_index()?;
        let below = |entry: &[u8]| {
            entry.strip_prefix(path.as_str().as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        let found: BTreeSet<RelPath> = index
            .entries()
            .iter()
            .map(|entry| entry.path(&index))
            .filter(|entry| below(entry))
            .map(|entry| nearest_rel_path(entry).unwrap_or_else(|| path.clone()))
            .collect();
        Ok(found.into_iter().collect())
    }

    /// The paths in the index that end with `suffix`, sorted; those that a [`RelPath`] cannot hold are left out.
    pub fn tracked_with_suffix(&self, suffix: &str) -> Result<Vec<RelPath>, GitError> {
        let index = self.read_index()?;
        let found: BTreeSet<RelPath> = index
            .entries()
            .iter()
            .map(|entry| entry.path(&index))
            .filter(|path| path.ends_with(suffix.as_bytes()))
            .filter_map(|path| RelPath::new(path.to_str().ok()?).ok())
            .collect();
        Ok(found.into_iter().collect())
    }

    /// Whether git ignores a file at `path`, which need not be there. A file that git tracks is not ignored.
    pub fn is_ignored(&self, path: &RelPath) -> Result<bool, GitError> {
        let arguments = ["check-ignore", "--quiet", "--", path.as_str()];
        self.git().run_with_codes(&arguments, &[1]).map(|(code, _)| code == 0)
    }

    /// The index as it is on the disk now; empty where there is none.
    ///
    /// It is read from its ordinary place: while git runs a hook, `GIT_INDEX_FILE` may name a temporary one.
    fn read_index(&self) -> Result<gix::index::File, GitError> {
        let place = self.git_dir().join("index");
        gix::index::File::at_or_default(place, gix::hash::Kind::Sha1, false, gix::index::decode::Options::default())
            .or_failed(|| "cannot read git's index")
    }
}

/// The path itself or the nearest folder above it that is valid UTF-8 without odd names.
fn nearest_rel_path(path: &[u8]) -> Option<RelPath> {
    let text = match path.to_str() {
        Ok(text) => text,
        Err(error) => path[..error.valid_up_to()].to_str().ok()?.rsplit_once('/')?.0,
    };
    let mut text = text;
    loop {
        match RelPath::new(text) {
            Ok(path) => return Some(path),
            Err(_) => text = text.rsplit_once('/')?.0,
        }
    }
}
