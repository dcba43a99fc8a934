//! A record of every step that this program took on the disk, for tests that cut the power or have a step fail.
#![allow(clippy::disallowed_methods, reason = "a test changes files as a user does")]

use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Something that was done to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new, empty file.
    Create { path: PathBuf, node: u64 },
    /// A file was opened to be written, and made where it was not there.
    Open { path: PathBuf, node: u64 },
    /// Bytes of an open file.
    Write { node: u64, offset: u64, bytes: Vec<u8> },
    /// An open file's length.
    SetLength { node: u64, length: u64 },
    /// A file's mode or times, which no test looks at.
    Describe { path: PathBuf },
    /// All that was written to the file before is on the disk.
    Sync { node: u64 },
    /// A symbolic link.
    Symlink { path: PathBuf, target: Vec<u8> },
    /// A new folder.
    CreateDir { path: PathBuf },
    /// Another name.
    Rename { from: PathBuf, to: PathBuf },
    /// A file, a link or an empty folder is gone.
    Remove { path: PathBuf },
    /// A folder is gone with all that was in it.
    RemoveAll { path: PathBuf },
    /// All that was done to the folder's names before is on the disk.
    SyncDir { path: PathBuf },
    /// All that was done to a file or folder before is on the disk.
    SyncPlace { path: PathBuf },
    /// The user wrote a file, or removed it, and waited until that was on the disk.
    User { path: PathBuf, bytes: Option<Vec<u8>> },
    /// What the test noted.
    Mark(usize),
}

/// A step, and how many had been taken when it began: what a sync covers.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) step: Step,
    pub(crate) began: usize,
}

/// A step that is to fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// Which one, counted from 0.
    pub(crate) at: usize,
    /// Whether all that follow fail too, as on a disk that stays full.
    pub(crate) lasts: bool,
    /// The system's number for the error.
    pub(crate) errno: i32,
}

/// Records the steps below a folder while it lives.
#[derive(Debug)]
pub(crate) struct Trace {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<Taken>,
    /// Steps that were tried, those that failed included.
    tried: usize,
    fault: Option<Fault>,
}

static TRACES: RwLock<Vec<Arc<Shared>>> = RwLock::new(Vec::new());

impl Trace {
    /// Records what is done below `root`, by any thread.
    pub(crate) fn start(root: &Path) -> Self {
        let shared = Arc::new(Shared { root: root.to_path_buf(), state: Mutex::default() });
        TRACES.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shared));
        Self { shared }
    }

    /// The steps so far.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.shared.state().taken.clone()
    }

    /// How many steps were tried so far.
    pub(crate) fn tried(&self) -> usize {
        self.shared.state().tried
    }

    /// Notes a moment.
    pub(crate) fn mark(&self, number: usize) {
        self.shared.push(Step::Mark(number), None);
    }

    /// Has a step fail from now on; none lets all succeed again. The counting begins anew.
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        let mut state = self.shared.state();
        state.fault = fault;
        state.tried = 0;
    }

    /// Writes a file as a user does, or removes it, and waits until that is on the disk.
    pub(crate) fn change_as_user(&self, path: &Path, bytes: Option<&[u8]>) {
        change(path, bytes);
        self.shared.push(Step::User { path: path.to_path_buf(), bytes: bytes.map(<[u8]>::to_vec) }, None);
    }
}

/// Writes a file, or removes it.
pub(crate) fn change(path: &Path, bytes: Option<&[u8]>) {
    // Another file of that name, as most editors make one.
    fs::remove_file(path).unwrap_or_default();
    if let Some(bytes) = bytes {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let mut traces = TRACES.write().unwrap_or_else(PoisonError::into_inner);
        traces.retain(|shared| !Arc::ptr_eq(shared, &self.shared));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, step: Step, began: Option<usize>) {
        let mut state = self.state();
        let began = began.unwrap_or(state.taken.len());
        state.taken.push(Taken { step, began });
    }

    /// Counts a step that is about to be taken; the number of those taken before, or the error it is to fail with.
    fn begin(&self) -> io::Result<usize> {
        let mut state = self.state();
        let number = state.tried;
        state.tried += 1;
        match state.fault {
            Some(fault) if number == fault.at || (fault.lasts && number > fault.at) => {
                Err(io::Error::from_raw_os_error(fault.errno))
            }
            _ => Ok(state.taken.len()),
        }
    }
}

/// Takes a step, and records it if somebody watches its place.
pub(super) fn around<T>(
    path: &Path,
    step: impl FnOnce(&T) -> Step,
    action: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let watching = |shared: &&Arc<Shared>| path.starts_with(&shared.root);
    let found = TRACES.read().unwrap_or_else(PoisonError::into_inner).iter().find(watching).cloned();
    let Some(shared) = found else { return action() };
    let began = shared.begin()?;
    let value = action()?;
    shared.push(step(&value), Some(began));
    Ok(value)
}

/// What tells an open file from all others while it is there.
pub(super) fn node_of(file: &File) -> u64 {
    file.metadata().unwrap().ino()
}

/// Where an open file stands.
pub(super) fn position_of(mut file: &File) -> u64 {
    file.stream_position().unwrap()
}
