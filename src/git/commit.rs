//! Commits on refs of ours, made beside the index.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::OrFailed;
use super::repository::{from_bytes, to_git2};
use super::{GitError, Identity, Repository};
use crate::files::{FileLock, Wait};
use crate::id::CommitId;

/// How long a ref may stay locked by others before it is an error.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

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
    /// The changes to the tip's tree; of several to one path the last counts.
    pub edits: Vec<TreeEdit>,
    /// The message.
    pub message: &'a str,
    /// Parents after the previous tip.
    pub extra_parents: Vec<CommitId>,
    /// Who makes it.
    pub author: &'a Identity,
}

impl Repository {
    /// Makes a commit on a ref of ours and moves the ref to it, if it is still where it was expected.
    pub fn commit_to_ref(&self, commit: &RefCommit<'_>) -> Result<CommitId, GitError> {
        let reference = commit.reference;
        let action = || format!("cannot commit to {reference}");
        let repository = self.git2()?;
        let expected = commit.expected.as_ref().map(to_git2).transpose()?;
        if repository.refname_to_id(reference).ok() != expected {
            return Err(GitError::RefMoved { reference: reference.to_owned() });
        }

        let tip = expected.map(|id| repository.find_commit(id)).transpose().or_failed(action)?;
        let base = match &tip {
            Some(tip) => tip.tree(),
            None => {
                repository.treebuilder(None).and_then(|empty| empty.write()).and_then(|id| repository.find_tree(id))
            }
        };
        let tree = edit_tree(&repository, &base.or_failed(action)?, &commit.edits).or_failed(action)?;
        let mut parents: Vec<git2::Commit<'_>> = tip.into_iter().collect();
        for parent in &commit.extra_parents {
            parents.push(repository.find_commit(to_git2(parent)?).or_failed(action)?);
        }
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let author = commit.author.signature()?;
        // Everything is written before the ref is locked, so that it is locked for an instant only.
        let id = repository.commit(None, &author, &author, commit.message, &tree, &parents).or_failed(action)?;
        let log_line = commit.message.lines().next().unwrap_or_default();
        let id = from_bytes(id.as_bytes())?;
        self.move_ref(reference, commit.expected.as_ref(), &id, commit.author, log_line)?;
        Ok(id)
    }

    /// Moves a ref of ours, if it is still where it was expected; none means that there was no such ref.
    pub fn move_ref(
        &self,
        reference: &str,
        expected: Option<&CommitId>,
        target: &CommitId,
        author: &Identity,
        log_line: &str,
    ) -> Result<(), GitError> {
        let action = || format!("cannot move {reference}");
        let repository = self.git2()?;
        let mut transaction = repository.transaction().or_failed(action)?;
        self.lock_ref(&mut transaction, reference)?;
        if repository.refname_to_id(reference).ok() != expected.map(to_git2).transpose()? {
            return Err(GitError::RefMoved { reference: reference.to_owned() });
        }
        transaction
            .set_target(reference, to_git2(target)?, Some(&author.signature()?), log_line)
            .and_then(|()| transaction.commit())
            .or_failed(action)
    }

    /// Points a ref of ours to a commit, so that `git gc` keeps it.
    pub fn hold(&self, reference: &str, commit: &CommitId) -> Result<(), GitError> {
        let repository = self.git2()?;
        let log_line = "hold a snapshot";
        let held = repository.reference(reference, to_git2(commit)?, true, log_line);
        held.map(drop).or_failed(|| format!("cannot write {reference}"))
    }

    /// Removes a ref of ours; fine if there is none.
    pub fn release(&self, reference: &str) -> Result<(), GitError> {
        let action = || format!("cannot remove {reference}");
        match self.git2()?.find_reference(reference) {
            Ok(mut found) => found.delete().or_failed(action),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error).or_failed(action),
        }
    }

    /// Locks a ref, waiting for others.
    ///
    /// git's lock is a file, which a killed process leaves behind, and nobody holds one for seconds: the same file
    /// still there after all our patience is a dead one, and is removed.
    fn lock_ref(&self, transaction: &mut git2::Transaction<'_>, reference: &str) -> Result<(), GitError> {
        let lock = self.common_dir().join(format!("{reference}.lock"));
        let deadline = Instant::now() + LOCK_PATIENCE;
        let action = || format!("cannot lock {reference}");
        let mut seen = None;
        loop {
            match transaction.lock_ref(reference) {
                Err(error) if error.code() == git2::ErrorCode::Locked => {}
                result => return result.or_failed(action),
            }
            let first = *seen.get_or_insert_with(|| LockFile::at(&lock));
            if Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            // Only one process may decide that the lock is dead: a second one would remove the first one's new lock.
            crate::files::create_dir_all(&self.common_dir().join("ml")).or_failed(action)?;
            let _alone =
                FileLock::exclusive(&self.common_dir().join("ml/ref-repair.lock"), Wait::Forever).or_failed(action)?;
            if first.is_none() || LockFile::at(&lock) != first {
                return Err(GitError::RefLocked { reference: reference.to_owned(), lock });
            }
            crate::files::remove_file(&lock).or_failed(action)?;
            return transaction.lock_ref(reference).or_failed(action);
        }
    }
}

/// Which file a lock is: another lock at the same place is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LockFile {
    inode: u64,
    modified: (i64, i64),
}

impl LockFile {
    fn at(place: &Path) -> Option<Self> {
        let metadata = place.symlink_metadata().ok()?;
        Some(Self { inode: metadata.ino(), modified: (metadata.mtime(), metadata.mtime_nsec()) })
    }
}

/// The tree with the edits made to it.
fn edit_tree<'a>(
    repository: &'a git2::Repository,
    base: &git2::Tree<'a>,
    edits: &[TreeEdit],
) -> Result<git2::Tree<'a>, git2::Error> {
    let last_edits: BTreeMap<&str, &TreeEdit> = edits.iter().map(|edit| (edit.path.as_str(), edit)).collect();
    let mut update = git2::build::TreeUpdateBuilder::new();
    for (path, edit) in last_edits {
        if path.contains('\0') {
            return Err(git2::Error::from_str("a path has a NUL in it"));
        }
        match &edit.content {
            Some(content) => {
                update.upsert(path, repository.blob(content)?, git2::FileMode::Blob);
            }
            // git2 makes it an error to remove what is not there.
            None if base.get_path(Path::new(path)).is_ok() => {
                update.remove(path);
            }
            None => {}
        }
    }
    let id = update.create_updated(repository, base)?;
    repository.find_tree(id)
}
