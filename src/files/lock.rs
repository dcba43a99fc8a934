//! Advisory locks on files, held by a value and let go when it is dropped, or when the process dies.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::disk;

/// A lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it.
    #[error("{} is held by another git-ml{}", path.display(), holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, as far as is known.
        holder: Option<u32>,
    },
    /// The lock file could not be opened or locked.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How long to wait for a lock that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// As long as it takes.
    Forever,
    /// At most this long.
    UpTo(Duration),
}

/// A lock that is held: the file stays, the lock goes when this is dropped.
#[derive(Debug)]
#[must_use = "the lock is let go as soon as this is dropped"]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes `path` for this process alone, and writes the process id into it for others to see.
    pub fn exclusive(path: &Path, wait: Wait) -> Result<Self, LockError> {
        let mut file = acquire(path, wait, File::try_lock, File::lock)?;
        // On a full disk the mark is lost and the lock is as good.
        let _ = mark(&mut file, path);
        Ok(Self { _file: file })
    }

    /// Takes `path` together with others that take it shared, while nobody has it exclusively.
    pub fn shared(path: &Path, wait: Wait) -> Result<Self, LockError> {
        acquire(path, wait, File::try_lock_shared, File::lock_shared).map(|file| Self { _file: file })
    }
}

fn mark(file: &mut File, path: &Path) -> io::Result<()> {
    disk::set_len(file, path, 0)?;
    file.rewind()?;
    disk::write_all(file, path, std::process::id().to_string().as_bytes())
}

type TryLock = fn(&File) -> Result<(), TryLockError>;
type Lock = fn(&File) -> io::Result<()>;

fn acquire(path: &Path, wait: Wait, try_lock: TryLock, lock: Lock) -> Result<File, LockError> {
    let fail = |source| LockError::Io { path: path.to_path_buf(), source };
    let mut file = disk::open_to_lock(path).map_err(fail)?;
    if wait == Wait::Forever {
        lock(&file).map_err(fail)?;
        return Ok(file);
    }
    let deadline = match wait {
        Wait::UpTo(time) => Instant::now() + time,
        _ => Instant::now(),
    };
    loop {
        match try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(LockError::Held { path: path.to_path_buf(), holder: text.trim().parse().ok() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusive_excludes_and_names_the_holder() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("lock");
        let held = FileLock::exclusive(&path, Wait::No).expect("free");
        match FileLock::shared(&path, Wait::UpTo(Duration::from_millis(30))) {
            Err(LockError::Held { holder, .. }) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(held);
        // A child that another test is just starting holds a copy of the file until it is its own program.
        let first = FileLock::shared(&path, Wait::UpTo(Duration::from_secs(5))).expect("shared");
        let second = FileLock::shared(&path, Wait::Forever).expect("shared too");
        assert!(FileLock::exclusive(&path, Wait::No).is_err());
        drop((first, second));
    }
}
