//! What of a work tree differs from HEAD, and what git does not keep of it.

use std::collections::BTreeSet;

use gix::bstr::ByteSlice;
use serde::{Deserialize, Serialize};

use super::error::OrFailed;
use super::repository::from_bytes;
use super::{GitError, Repository};
use crate::id::CommitId;

/// A repository inside of the work tree. A commit names the commit that is checked out there, and has none of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submodule {
    /// Its path.
    pub path: String,
    /// The commit that is checked out there.
    pub commit: CommitId,
    /// Whether there are changes in it that are not committed, which nobody else has.
    #[serde(default)]
    pub dirty: bool,
}

/// A file that git does not track and does not ignore, or a folder of such, whose path ends with a `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Untracked {
    /// Its path.
    pub path: String,
    /// Bytes of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What is named of that which is not tracked.
#[derive(Debug, Clone, Copy)]
pub(super) enum NamesOf {
    /// Each file.
    Files,
    /// A folder in the place of all that is in it, where nothing of it is tracked.
    Folders,
}

/// The state of a work tree.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Whether tracked files differ from HEAD, staged or not. Of a submodule only the commit that is checked out counts.
    pub(super) is_dirty: bool,
    /// What is not tracked, sorted by path.
    pub(super) untracked: Vec<String>,
    /// The paths of submodules in which something is not committed.
    pub(super) dirty_submodules: BTreeSet<String>,
}

impl Repository {
    /// Looks at the work tree.
    pub(super) fn changes(&self, untracked: NamesOf) -> Result<Changes, GitError> {
        self.work_dir()?;
        let untracked = match untracked {
            NamesOf::Folders => "--untracked-files=normal",
            NamesOf::Files => "--untracked-files=all",
        };
        let arguments = ["status", "--porcelain=v2", "-z", untracked, "--no-renames", "--ignore-submodules=none"];
        Ok(parse(&self.run_git(&arguments)?))
    }

    /// Whether tracked files differ from HEAD, staged or not. Untracked files do not count, and of a submodule only
    /// the commit that is checked out.
    pub fn is_dirty(&self) -> Result<bool, GitError> {
        self.changes(NamesOf::Folders).map(|changes| changes.is_dirty)
    }

    /// Whether the tracked files are those of HEAD, and the paths that git neither tracks nor ignores, folders with a `/`
    /// behind.
    pub fn is_clean_beside(&self) -> Result<(bool, Vec<String>), GitError> {
        self.changes(NamesOf::Folders)
            .map(|changes| (!changes.is_dirty && changes.dirty_submodules.is_empty(), changes.untracked))
    }

    /// The untracked files that match one of some patterns, as `.gitignore` has those from the top on, sorted.
    pub(super) fn untracked_matching(&self, patterns: &[String]) -> Result<Vec<String>, GitError> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| format!(":(top,glob){pattern}")).collect();
        let mut arguments = vec!["ls-files", "-z", "--others", "--exclude-standard", "--full-name", "--"];
        arguments.extend(patterns.iter().map(String::as_str));
        let top = self.work_dir()?.to_path_buf();
        let output = super::command::Git::at(&top).run(&arguments)?;
        Ok(fields(&output).map(|path| path.to_str_lossy().into_owned()).collect())
    }

    /// The submodules in an index, with the commits that it has of them.
    pub(super) fn submodules_in(&self, index: &std::path::Path) -> Result<Vec<(String, CommitId)>, GitError> {
        if !self.work_dir()?.join(".gitmodules").exists() {
            return Ok(Vec::new());
        }
        let options = gix::index::decode::Options::default();
        let index = gix::index::File::at_or_default(index, gix::hash::Kind::Sha1, false, options)
            .or_failed(|| "cannot read git's index")?;
        let entries = index.entries().iter().filter(|entry| entry.mode == gix::index::entry::Mode::COMMIT);
        entries
            .map(|entry| Ok((entry.path(&index).to_str_lossy().into_owned(), from_bytes(entry.id.as_bytes())?)))
            .collect()
    }
}

fn fields(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

/// Reads what `git status --porcelain=v2 -z` says.
fn parse(output: &[u8]) -> Changes {
    let mut changes = Changes::default();
    for line in fields(output) {
        let line = line.to_str_lossy();
        match line.split_at_checked(2) {
            Some(("? ", path)) => changes.untracked.push(path.to_owned()),
            Some(("1 ", rest)) => {
                // What changed, of a submodule `S<commit><files><untracked>`, three modes, two objects, and the path.
                let words: Vec<&str> = rest.splitn(8, ' ').collect();
                let [what, submodule, .., path] = words.as_slice() else { continue };
                let flags = submodule.strip_prefix('S').unwrap_or_default().as_bytes();
                if flags.iter().skip(1).any(|flag| *flag != b'.') {
                    changes.dirty_submodules.insert((*path).to_owned());
                }
                let is_inside_only = flags.first() == Some(&b'.') && what.starts_with('.');
                changes.is_dirty |= !is_inside_only;
            }
            _ => changes.is_dirty = true,
        }
    }
    changes
}
