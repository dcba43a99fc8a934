//! Git: the only place that names git2 or gix, or starts the user's `git`.
//!
//! gix reads (objects, refs, the index), git2 writes what gix cannot (commits made beside the index, ref
//! transactions), and the user's own `git` makes snapshots (its filters decide what is committed) and talks to the
//! network.
//!
//! Architecture invariant: no type of git2 or gix is in this module's API, and HEAD, the user's index and the work
//! tree stay as they are.

use std::path::{Path, PathBuf};

use crate::files::RelPath;
use crate::id::CommitId;

/// A repository, opened.
#[derive(Debug)]
pub struct Repository {
    _private: (),
}

/// What can go wrong with git.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No repository at or above this folder.
    #[error("{} is not inside a git repository", start.display())]
    NotARepository {
        /// Where the search began.
        start: PathBuf,
    },
    /// A bare repository has no work tree.
    #[error("this is a bare repository: it has no work tree")]
    Bare,
    /// HEAD has no commit.
    #[error("this repository has no commit yet")]
    NoCommit,
    /// A revision that git does not know.
    #[error("`{revision}` is not a revision of this repository")]
    UnknownRevision {
        /// As it was given.
        revision: String,
    },
    /// A ref moved between reading and writing it.
    #[error("{reference} was changed by somebody else meanwhile")]
    RefMoved {
        /// The whole name of the ref.
        reference: String,
    },
    /// Neither `user.name` and `user.email` nor the environment says who the author is.
    #[error("git does not know who you are")]
    NoIdentity,
    /// A `git` that was started failed.
    #[error("`git {command}` failed: {message}")]
    Command {
        /// The arguments.
        command: String,
        /// The last lines of what it said.
        message: String,
    },
    /// Anything else that git2, gix or the system reports.
    #[error("{action}")]
    Failed {
        /// What was tried: `cannot read refs/ml/runs`.
        action: String,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Where HEAD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch's short name; none when detached.
    pub branch: Option<String>,
    /// The commit; none before the first.
    pub commit: Option<CommitId>,
}

/// A commit, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// Its first parent and the others.
    pub parents: Vec<CommitId>,
    /// The whole message.
    pub message: String,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// When it was committed.
    pub time: jiff::Timestamp,
}

impl CommitInfo {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// A person, as git's configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `user.name`
    pub name: String,
    /// `user.email`
    pub email: String,
}

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

/// A change to the tree of a ref of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEdit {
    /// The path in the tree.
    pub path: String,
    /// The new content; none removes the file.
    pub content: Option<Vec<u8>>,
}

/// A commit to be made on a ref of ours.
#[derive(Debug, Clone)]
pub struct RefCommit<'a> {
    /// The whole name: `refs/ml/runs`.
    pub reference: &'a str,
    /// What the ref pointed to when `edits` were decided: the commit is refused with [`GitError::RefMoved`] if it
    /// has moved since. None means that the ref did not exist.
    pub expected: Option<CommitId>,
    /// The changes to the tip's tree.
    pub edits: Vec<TreeEdit>,
    /// The message.
    pub message: &'a str,
    /// Parents after the previous tip.
    pub extra_parents: Vec<CommitId>,
}

/// One name in a folder of a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeEntry {
    /// The name.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Repository {
    /// Opens the repository that `start` lies in: a work tree, a linked one, a `.git` folder or a bare repository.
    pub fn discover(_start: &Path) -> Result<Self, GitError> {
        todo!()
    }

    /// Makes a repository at `path` unless it lies in one already.
    pub fn init(_path: &Path) -> Result<Self, GitError> {
        todo!()
    }

    /// The work tree's top folder.
    pub fn work_dir(&self) -> Result<&Path, GitError> {
        todo!()
    }

    /// This work tree's own git folder: `.git`, or `.git/worktrees/<name>`.
    pub fn git_dir(&self) -> &Path {
        todo!()
    }

    /// The git folder that linked work trees share.
    pub fn common_dir(&self) -> &Path {
        todo!()
    }

    /// Where HEAD is.
    pub fn head(&self) -> Result<Head, GitError> {
        todo!()
    }

    /// Whether tracked files differ from HEAD, staged or not. Untracked files do not count.
    pub fn is_dirty(&self) -> Result<bool, GitError> {
        todo!()
    }

    /// The paths in the index that equal `path` or lie below it.
    pub fn tracked_below(&self, _path: &RelPath) -> Result<Vec<RelPath>, GitError> {
        todo!()
    }

    /// The paths in the index that end with `suffix`.
    pub fn tracked_with_suffix(&self, _suffix: &str) -> Result<Vec<RelPath>, GitError> {
        todo!()
    }

    /// The commit that `revision` names.
    pub fn resolve(&self, _revision: &str) -> Result<CommitId, GitError> {
        todo!()
    }

    /// What a commit says of itself.
    pub fn commit(&self, _id: &CommitId) -> Result<CommitInfo, GitError> {
        todo!()
    }

    /// The content of a file in a commit's tree; none if there is no such file. Refused above `limit` bytes.
    pub fn read_at(&self, _commit: &CommitId, _path: &str, _limit: u64) -> Result<Option<Vec<u8>>, GitError> {
        todo!()
    }

    /// The names in a folder of a commit's tree (`""` is the root), sorted; empty if there is no such folder.
    pub fn list_at(&self, _commit: &CommitId, _folder: &str) -> Result<Vec<TreeEntry>, GitError> {
        todo!()
    }

    /// All files in a commit's tree whose path ends with `suffix`, sorted.
    pub fn find_at(&self, _commit: &CommitId, _suffix: &str) -> Result<Vec<String>, GitError> {
        todo!()
    }

    /// The commit a ref points to, by its whole name; none if there is no such ref.
    pub fn read_ref(&self, _reference: &str) -> Result<Option<CommitId>, GitError> {
        todo!()
    }

    /// The refs whose whole names start with `prefix`, sorted.
    pub fn refs(&self, _prefix: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        todo!()
    }

    /// The first-parent history of a commit, newest first, at most `limit` long.
    pub fn first_parents(&self, _tip: &CommitId, _limit: usize) -> Result<Vec<CommitInfo>, GitError> {
        todo!()
    }

    /// The commits that `tips` reach and `hidden` do not, newest first.
    pub fn reachable(&self, _tips: &[CommitId], _hidden: &[CommitId]) -> Result<Vec<CommitId>, GitError> {
        todo!()
    }

    /// Makes a commit on a ref of ours and moves the ref to it, if it is still where it was expected.
    pub fn commit_to_ref(&self, _commit: &RefCommit<'_>) -> Result<CommitId, GitError> {
        todo!()
    }

    /// A commit with the tracked files as they are now; HEAD, the index and the work tree stay byte for byte.
    pub fn snapshot(&self, _message: &str) -> Result<Snapshot, GitError> {
        todo!()
    }

    /// Who commits, from git's configuration and environment.
    pub fn identity(&self) -> Result<Identity, GitError> {
        todo!()
    }

    /// One value of git's configuration, as `git config --get` finds it.
    pub fn config(&self, _key: &str) -> Result<Option<String>, GitError> {
        todo!()
    }

    /// Sets a value in the repository's own configuration.
    pub fn set_config(&self, _key: &str, _value: &str) -> Result<(), GitError> {
        todo!()
    }

    /// The folder that git runs hooks from, `core.hooksPath` respected.
    pub fn hooks_dir(&self) -> Result<PathBuf, GitError> {
        todo!()
    }

    /// The names of the configured git remotes.
    pub fn remotes(&self) -> Result<Vec<String>, GitError> {
        todo!()
    }

    /// Runs the user's `git` in this repository, its stdout returned.
    pub fn run_git(&self, _arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        todo!()
    }
}
