//! Refs that survive a power cut, and code that does. git does not wait for the disk by default, and a record of ours is
//! the last copy of what a run logged.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gix::ObjectId;

use super::error::OrFailed;
use super::repository::to_gix;
use super::write::places_of;
use super::{GitError, Repository};
use crate::files::{self, Claim, FileLock, Wait};
use crate::id::CommitId;

/// How long a ref may stay locked by others before it is an error.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

impl Repository {
    /// Makes a commit survive a power cut, with all that its first parent does not have.
    pub(super) fn sync_commit(&self, commit: &CommitId) -> Result<(), GitError> {
        let action = || format!("cannot read commit {commit}");
        let repository = self.gix();
        let commit = repository.find_commit(to_gix(commit)).or_failed(action)?;
        let parent = commit.parent_ids().next().and_then(|parent| parent.object().ok()?.into_commit().tree_id().ok());
        let mut made = vec![commit.id];
        let tree = commit.tree_id().or_failed(action)?.detach();
        new_objects(&repository, tree, parent.map(gix::Id::detach), &mut made).or_failed(action)?;
        files::sync_all(&places_of(self, &made)).or_failed(|| format!("cannot keep commit {}", commit.id))
    }

    /// Locks a ref as git does, waiting for others.
    ///
    /// The lock is a file, which a killed process leaves behind, and nobody holds one for seconds: the same file still
    /// there after all our patience is a dead one, and is removed.
    pub(super) fn lock_ref(&self, reference: &str) -> Result<Claim, GitError> {
        let lock = self.common_dir().join(format!("{reference}.lock"));
        let deadline = Instant::now() + LOCK_PATIENCE;
        let action = || format!("cannot lock {reference}");
        let claim = || {
            files::create_dir_all(lock.parent().unwrap_or(self.common_dir())).or_failed(action)?;
            Claim::try_new(&lock).or_failed(action)
        };
        let mut seen = None;
        loop {
            if let Some(claim) = claim()? {
                return Ok(claim);
            }
            let first = *seen.get_or_insert_with(|| LockFile::at(&lock));
            if Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            // Only one process may decide that the lock is dead: a second one would remove the first one's new lock.
            files::create_dir_all(&self.common_dir().join("ml")).or_failed(action)?;
            let _alone =
                FileLock::exclusive(&self.common_dir().join("ml/ref-repair.lock"), Wait::Forever).or_failed(action)?;
            let locked = || GitError::RefLocked { reference: reference.to_owned(), lock: lock.clone() };
            if first.is_none() || LockFile::at(&lock) != first {
                return Err(locked());
            }
            files::remove_file(&lock).or_failed(action)?;
            return claim()?.ok_or_else(locked);
        }
    }

    /// Gives a ref the content that was claimed for it, which is on the disk, and makes its name survive a power cut.
    pub(super) fn publish_ref(&self, claim: Claim, reference: &str) -> Result<(), GitError> {
        let action = || format!("cannot write {reference}");
        claim.publish(&self.common_dir().join(reference)).or_failed(action)?;
        let folders = Path::new(reference).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        let folders: Vec<PathBuf> = folders.map(|folder| self.common_dir().join(folder)).collect();
        files::sync_all(&folders).or_failed(action)
    }
}

/// Adds the ids of all that a tree has and `base` does not have at the same place.
fn new_objects(
    repository: &gix::Repository,
    tree: ObjectId,
    base: Option<ObjectId>,
    found: &mut Vec<ObjectId>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if base == Some(tree) {
        return Ok(());
    }
    found.push(tree);
    let tree = repository.find_tree(tree)?;
    let base = base.and_then(|base| repository.find_tree(base).ok());
    let before = |name: &[u8]| {
        let entry = base.as_ref()?.iter().flatten().find(|entry| entry.filename() == name)?;
        Some(entry.object_id())
    };
    for entry in tree.iter() {
        let entry = entry?;
        let known = before(entry.filename());
        if known == Some(entry.object_id()) {
            continue;
        }
        match entry.kind() {
            gix::objs::tree::EntryKind::Tree => new_objects(repository, entry.object_id(), known, found)?,
            // The commit of a submodule is in a repository of its own.
            gix::objs::tree::EntryKind::Commit => {}
            _ => found.push(entry.object_id()),
        }
    }
    Ok(())
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
