//! Commits with the code as it is, beside HEAD, the index and the work tree.

use std::io::Write;

use super::error::OrFailed;
use super::{GitError, Identity, Repository};
use crate::files::{Draft, create_dir_all};
use crate::id::CommitId;

/// Settings under which a snapshot is made: nobody's hooks run, and nothing of the user's is refused or rewritten.
/// Objects get their names when they are on the disk, all of a command with one wait.
const SETTINGS: [&str; 10] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.safecrlf=false",
    "-c",
    "core.splitIndex=false",
    "-c",
    "core.fsync=loose-object",
    "-c",
    "core.fsyncMethod=batch",
];

/// The commit that holds the code as it was when a run started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// HEAD at that moment.
    pub head: CommitId,
    /// The commit with the code: HEAD itself when the work tree is clean.
    pub commit: CommitId,
    /// Whether tracked files differed from HEAD.
    pub dirty: bool,
}

impl Repository {
    /// A commit with the tracked files as they are now; HEAD, the index and the work tree stay byte for byte.
    ///
    /// No ref points to it: whoever wants to keep it makes it the parent of a commit on a ref. It survives a power cut.
    pub fn snapshot(&self, message: &str, author: impl FnOnce() -> Identity) -> Result<Snapshot, GitError> {
        self.work_dir()?;
        let head = self.head()?.commit.ok_or(GitError::NoCommit)?;
        let clean = Snapshot { head, commit: head, dirty: false };
        if !self.is_dirty()? {
            return Ok(clean);
        }
        let action = || "cannot make a snapshot of the code";
        let tree = gix::ObjectId::from_hex(self.write_work_tree()?.as_bytes()).or_failed(action)?;
        if self.tree_id_of(&head)? == tree {
            // Only what git does not commit differs, as line endings that it normalises.
            return Ok(clean);
        }
        Ok(Snapshot { head, commit: self.commit_tree(tree, &head, &author(), message)?, dirty: true })
    }

    /// Writes the tracked files as they are now into the object database: the id of their tree.
    fn write_work_tree(&self) -> Result<String, GitError> {
        let action = || "cannot copy git's index";
        let folder = self.git_dir().join("ml");
        create_dir_all(&folder).or_failed(action)?;
        let mut copy = Draft::new_in(&folder).or_failed(action)?;
        let index = match std::fs::read(self.git_dir().join("index")) {
            Ok(index) => index,
            // No index is an empty one, but git takes an empty file for a damaged one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => EMPTY_INDEX.to_vec(),
            Err(error) => return Err(error).or_failed(action),
        };
        copy.write_all(&index).and_then(|()| copy.flush()).or_failed(action)?;
        let git = || self.git().env("GIT_INDEX_FILE", copy.path());
        let with_settings = |arguments: &[&'static str]| [&SETTINGS[..], arguments].concat();
        git().run(&with_settings(&["add", "--update"]))?;
        let tree = git().run(&with_settings(&["write-tree"]))?;
        Ok(String::from_utf8_lossy(&tree).trim().to_owned())
    }
}

/// An index of version 2 without entries, with its SHA-1.
const EMPTY_INDEX: [u8; 32] = *b"DIRC\x00\x00\x00\x02\x00\x00\x00\x00\
    \x39\xd8\x90\x13\x9e\xe5\x35\x6c\x7e\xf5\x72\x21\x6c\xeb\xcd\x27\xaa\x41\xf9\xdf";
