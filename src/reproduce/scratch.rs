//! A work tree for one purpose, below `.git/ml/scratch`.

use std::fs;
use std::path::{Path, PathBuf};

use super::ReproduceError;
use crate::files::{FileLock, Wait, create_dir_all, remove_file};
use crate::git::Repository;
use crate::id::{CommitId, RunId};
use crate::track::Workspace;

/// What the name of a lock beside a work tree ends with.
const LOCK: &str = ".lock";

/// A work tree that goes when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    repository: Repository,
    place: PathBuf,
    workspace: Workspace,
    is_kept: bool,
    lock: PathBuf,
    /// Held as long as the work tree is in use: one whose lock is free was left by a process that was killed.
    _lock: FileLock,
}

impl Scratch {
    /// Makes one with HEAD at `commit` and the files of `code`, and removes those that killed processes left.
    pub fn new(workspace: &Workspace, commit: &CommitId, code: &CommitId) -> Result<Self, ReproduceError> {
        let folder = workspace.store.root().join("scratch");
        create_dir_all(&folder)?;
        let repository = Repository::discover(workspace.repository.common_dir())?;
        sweep(&repository, &folder);
        let id = RunId::generate().to_string();
        let place = folder.join(format!("again-{}", &id[20..]));
        let lock = folder.join(format!("again-{}{LOCK}", &id[20..]));
        let held = FileLock::exclusive(&lock, Wait::No)?;
        let made = repository.add_worktree(&place, commit, code).map_err(ReproduceError::from);
        let opened = made.and_then(|()| Ok(Workspace::discover(&place)?));
        match opened {
            Ok(workspace) => Ok(Self { repository, place, workspace, is_kept: false, lock, _lock: held }),
            Err(error) => {
                clear(&repository, &place, &lock);
                Err(error)
            }
        }
    }

    /// The work tree, with the store that all work trees share.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Its top.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Leaves the work tree where it is, as one of git's own: `git worktree remove` removes it.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_kept {
            // Without a lock beside it nobody sweeps it.
            let _ = remove_file(&self.lock);
        } else {
            clear(&self.repository, &self.place, &self.lock);
        }
    }
}

fn clear(repository: &Repository, place: &Path, lock: &Path) {
    // What cannot be removed now is found by the next one.
    if repository.remove_worktree(place).is_ok() {
        let _ = remove_file(lock);
    }
}

/// Removes the work trees that killed processes left.
fn sweep(repository: &Repository, folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(LOCK) else { continue };
        if let Ok(_held) = FileLock::exclusive(&entry.path(), Wait::No) {
            clear(repository, &folder.join(stem), &entry.path());
        }
    }
}
