//! Commits with the code as it is, beside HEAD, the index and the work tree.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::changes::{Changes, NamesOf};
use super::error::OrFailed;
use super::{GitError, Identity, Repository, Submodule, Untracked};
use crate::files::{Draft, create_dir_all};
use crate::id::CommitId;

/// Untracked files that are named; the rest is counted.
const NAMED: usize = 50;
/// Bytes that an untracked file may have to get into a snapshot: data belongs into the store.
const MAX_UNTRACKED: u64 = 10 << 20;
/// What the names of files with secrets begin or end with, or are. A pattern takes none of them.
const SECRETS: [&str; 14] = [
    ".env",
    ".env.*",
    "*.env",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_rsa*",
    "id_ed25519*",
    "id_ecdsa*",
    ".netrc",
    ".npmrc",
    ".pypirc",
    "*credentials*",
];

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
    /// Whether tracked files differed from HEAD, or untracked ones were taken in.
    pub dirty: bool,
    /// What of the work tree it does not hold.
    pub left_out: LeftOut,
}

/// What of a work tree a snapshot does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// How many untracked files and folders there were beside those that are named.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: u64,
    /// Untracked files and folders, folders first, then the largest first. What git ignores is none of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub untracked: Vec<Untracked>,
    /// Repositories in it, of which the snapshot names the commits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub submodules: Vec<Submodule>,
}

impl LeftOut {
    /// Whether it holds all there was.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Serde's way to ask.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is given")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Repository {
    /// A commit with the tracked files as they are now; HEAD, the index and the work tree stay byte for byte.
    ///
    /// Untracked files come in where one of the patterns `untracked` matches, which are those of `.gitignore` from the top
    /// on: no ignored ones, none of more than 10 MiB, and what is called like a file with secrets only by its whole path.
    ///
    /// No ref points to it: whoever wants to keep it makes it the parent of a commit on a ref. It survives a power cut.
    pub fn snapshot(
        &self,
        message: &str,
        untracked: &[String],
        author: impl FnOnce() -> Identity,
    ) -> Result<Snapshot, GitError> {
        let top = self.work_dir()?;
        let head = self.head()?.commit.ok_or(GitError::NoCommit)?;
        let mut changes = self.changes(if untracked.is_empty() { NamesOf::Folders } else { NamesOf::Files })?;
        let mut taken = Vec::new();
        if !untracked.is_empty() && !changes.untracked.is_empty() {
            let is_taken = |path: &String| {
                let size = top.join(path).symlink_metadata().map(|metadata| metadata.len());
                let is_allowed = !looks_secret(path) || untracked.contains(path);
                is_allowed && !path.ends_with('/') && size.is_ok_and(|size| size <= MAX_UNTRACKED)
            };
            taken = self.untracked_matching(untracked)?.into_iter().filter(is_taken).collect();
            let known: BTreeSet<&String> = taken.iter().collect();
            changes.untracked.retain(|path| !known.contains(path));
        }
        let clean = |left_out| Snapshot { head, commit: head, dirty: false, left_out };
        if !changes.is_dirty && taken.is_empty() {
            return Ok(clean(self.left_out(changes, &self.git_dir().join("index"))?));
        }
        let action = || "cannot make a snapshot of the code";
        let (tree, left_out) = self.write_work_tree(changes, &taken)?;
        let tree = gix::ObjectId::from_hex(tree.as_bytes()).or_failed(action)?;
        if self.tree_id_of(&head)? == tree {
            // Only what git does not commit differs, as line endings that it normalises.
            return Ok(clean(left_out));
        }
        Ok(Snapshot { head, commit: self.commit_tree(tree, &head, &author(), message)?, dirty: true, left_out })
    }

    /// Writes the tracked files and those in `taken` as they are now into the object database: the id of their tree, and
    /// what is not in it.
    fn write_work_tree(&self, changes: Changes, taken: &[String]) -> Result<(String, LeftOut), GitError> {
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
        if !taken.is_empty() {
            // Their names are from the top on, and mean nothing but themselves.
            let top = super::command::Git::at(self.work_dir()?).env("GIT_INDEX_FILE", copy.path());
            let names = taken.iter().flat_map(|path| [path.as_bytes(), b"\0"].concat()).collect();
            let arguments = ["--literal-pathspecs", "add", "--pathspec-from-file=-", "--pathspec-file-nul"];
            top.input(names).run(&with_settings(&arguments))?;
        }
        let tree = git().run(&with_settings(&["write-tree"]))?;
        Ok((String::from_utf8_lossy(&tree).trim().to_owned(), self.left_out(changes, copy.path())?))
    }

    /// What a snapshot with that index does not hold.
    fn left_out(&self, changes: Changes, index: &Path) -> Result<LeftOut, GitError> {
        let top = self.work_dir()?;
        let submodule = |(path, commit)| {
            let dirty = changes.dirty_submodules.contains(&path);
            Submodule { path, commit, dirty }
        };
        let submodules = self.submodules_in(index)?.into_iter().map(submodule).collect();
        let file = |path: String| {
            let size = top.join(&path).symlink_metadata().ok().map(|metadata| metadata.len());
            Untracked { bytes: size.filter(|_| !path.ends_with('/')), path }
        };
        let mut untracked: Vec<Untracked> = changes.untracked.into_iter().map(file).collect();
        untracked.sort_by_key(|file| std::cmp::Reverse(file.bytes.unwrap_or(u64::MAX)));
        let more = untracked.len().saturating_sub(NAMED) as u64;
        untracked.truncate(NAMED);
        Ok(LeftOut { more, untracked, submodules })
    }
}

/// Whether a file is called like one with secrets.
fn looks_secret(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    SECRETS.iter().any(|known| match (known.strip_prefix('*'), known.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(known.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == *known,
    })
}

/// An index of version 2 without entries, with its SHA-1.
const EMPTY_INDEX: [u8; 32] = *b"DIRC\x00\x00\x00\x02\x00\x00\x00\x00\
    \x39\xd8\x90\x13\x9e\xe5\x35\x6c\x7e\xf5\x72\x21\x6c\xeb\xcd\x27\xaa\x41\xf9\xdf";
