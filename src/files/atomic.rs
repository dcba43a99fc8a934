//! Writing files so that a reader, a crash or a full disk never sees half of one.

use std::fs::{File, Permissions};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Access, disk};

/// A file could not be written, made or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was tried: `write`, `create the folder`, `remove`, …
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// An error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_path_buf(), source }
    }

    /// Whether the disk, the quota or the inodes are used up.
    pub fn is_full_disk(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// How far a write must have got before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The file and its folder are on the disk: it survives a power cut.
    Synced,
    /// The system has it: it survives a kill of this process. For caches and for what can be made again.
    Buffered,
}

/// A file in the making: written beside its final place and invisible until [`Draft::publish`].
///
/// Dropping a draft removes it. Drafts that a killed process left are named `.tmp-git-ml-*`.
#[derive(Debug)]
#[must_use = "a draft that is not published is removed"]
pub struct Draft {
    file: File,
    path: DraftPath,
}

/// Where a draft is. Dropping it removes what is there.
#[derive(Debug)]
pub(super) struct DraftPath {
    path: PathBuf,
    is_published: bool,
}

impl DraftPath {
    /// A name in `folder` that `make` could make something under.
    pub(super) fn new_in<T>(folder: &Path, mut make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<(T, Self)> {
        let mut code = None;
        let make = |path: &Path| make(path).inspect_err(|error| code = error.raw_os_error());
        let named = tempfile::Builder::new().prefix(Draft::PREFIX).make_in(folder, make);
        // The error comes back with the name that was tried, and without what the system called it.
        let named = named.map_err(|error| code.map_or(error, io::Error::from_raw_os_error))?;
        let (made, path) = named.into_parts();
        let path = path.keep().map_err(|error| error.error)?;
        Ok((made, Self { path, is_published: false }))
    }

    /// Leaves what was made to whoever asks for its place.
    pub(super) fn keep(mut self) -> PathBuf {
        self.is_published = true;
        self.path.clone()
    }

    fn publish(mut self, place: &Path) -> io::Result<()> {
        disk::rename(&self.path, place)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for DraftPath {
    fn drop(&mut self) {
        if !self.is_published {
            // What cannot be removed now is found by whoever sweeps the folder.
            let _ = disk::remove_file(&self.path);
        }
    }
}

/// A draft that gets its content from the start, in order or all at once.
pub trait WritableDraft: Write + Send {
    /// Lets the draft, empty so far, share the content of another file on the disk, where the file system can.
    fn share(&mut self, source: &File) -> io::Result<()>;

    /// Makes it empty again.
    fn clear(&mut self) -> io::Result<()>;
}

impl WritableDraft for Draft {
    fn share(&mut self, source: &File) -> io::Result<()> {
        disk::share(source, &self.file, self.path())
    }

    fn clear(&mut self) -> io::Result<()> {
        disk::set_len(&self.file, self.path(), 0)
    }
}

impl Draft {
    /// The start of the names of drafts.
    pub const PREFIX: &str = ".tmp-git-ml-";

    /// Starts a draft in `folder`, which must exist and be on the final place's file system.
    pub fn new_in(folder: &Path) -> Result<Self, FileError> {
        DraftPath::new_in(folder, disk::create)
            .map(|(file, path)| Self { file, path })
            .map_err(|source| FileError::new("write in", folder, source))
    }

    /// The file, to be read. It is written through the draft.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The place the draft is at until it is published.
    pub fn path(&self) -> &Path {
        &self.path.path
    }

    /// Writes `parts`, one after the other, at `start`. Several threads may write at different places at once.
    pub fn write_all_at(&self, parts: &mut [IoSlice<'_>], start: u64) -> Result<(), FileError> {
        /// Parts that Linux takes in one call.
        const MOST_PARTS: usize = 1024;
        let (mut parts, mut position) = (parts, start);
        // What is empty is no part: a call that writes nothing would look like a full disk.
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let now = &parts[..parts.len().min(MOST_PARTS)];
            let count = match disk::write_at(&self.file, self.path(), now, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                result => result,
            };
            let count = count.map_err(|source| FileError::new("write", self.path(), source))?;
            IoSlice::advance_slices(&mut parts, count);
            position += count as u64;
        }
        Ok(())
    }

    /// Writes all that is left of `source`.
    pub fn copy_from(&mut self, source: &mut File) -> io::Result<u64> {
        disk::copy_into(source, &self.file, &self.path.path)
    }

    /// Says when the file was changed last. Writing to it afterwards changes that again.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        disk::set_modified(&self.file, self.path(), time)
    }

    /// Moves the draft to `place` in one step, replacing a file there; `executable` lets it be run.
    pub fn publish(self, place: &Path, executable: bool, durability: Durability) -> Result<(), FileError> {
        self.publish_as(place, Access { executable, read_only: false }, durability)
    }

    /// Moves the draft to `place` in one step, replacing a file there, for those who have `access`.
    pub fn publish_as(self, place: &Path, access: Access, durability: Durability) -> Result<(), FileError> {
        let fail = |source| FileError::new("write", place, source);
        if access != Access::default() {
            self.restrict(access).map_err(fail)?;
        }
        if durability == Durability::Synced {
            disk::sync(&self.file, self.path()).map_err(fail)?;
        }
        self.path.publish(place).map_err(fail)?;
        match (durability, place.parent()) {
            (Durability::Synced, Some(folder)) => sync_dir(folder),
            _ => Ok(()),
        }
    }

    /// Closes the file, complete, and leaves publishing it for later: many sealed drafts need no open file each.
    pub fn seal(self, durability: Durability) -> Result<SealedDraft, FileError> {
        if durability == Durability::Synced {
            let synced = disk::sync(&self.file, self.path());
            synced.map_err(|source| FileError::new("write", self.path(), source))?;
        }
        Ok(SealedDraft { path: self.path })
    }

    /// Lets those run the file who may read it, and nobody write it, as far as `access` says so.
    fn restrict(&self, access: Access) -> io::Result<()> {
        let mode = self.file.metadata()?.permissions().mode();
        let mode = if access.executable { mode | (mode & 0o444) >> 2 } else { mode };
        let mode = if access.read_only { mode & !0o222 } else { mode };
        disk::set_permissions(&self.file, self.path(), Permissions::from_mode(mode))
    }
}

/// A draft that is complete and closed. Dropping it removes it.
#[derive(Debug)]
#[must_use = "a draft that is not published is removed"]
pub struct SealedDraft {
    path: DraftPath,
}

impl SealedDraft {
    /// The place the draft is at until it is published.
    pub fn path(&self) -> &Path {
        &self.path.path
    }

    /// Moves the draft to `place` in one step, replacing a file there. That this survives a power cut is up to
    /// [`sync_dir`], once for many.
    pub fn publish(self, place: &Path) -> Result<(), FileError> {
        self.path.publish(place).map_err(|source| FileError::new("write", place, source))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        disk::write(&self.file, &self.path.path, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `bytes` to `place` in one step: a reader sees the old content or the new.
pub fn publish(place: &Path, bytes: &[u8], durability: Durability) -> Result<(), FileError> {
    publish_from(place.parent().unwrap_or(Path::new(".")), place, bytes, durability)
}

/// Does the same with a draft in another folder of that file system: in one that is swept.
pub fn publish_from(folder: &Path, place: &Path, bytes: &[u8], durability: Durability) -> Result<(), FileError> {
    let mut draft = Draft::new_in(folder)?;
    draft.write_all(bytes).map_err(|source| FileError::new("write", place, source))?;
    draft.publish(place, false, durability)
}

/// Puts a symbolic link with the text `target` at `place` in one step, replacing a file or link there.
pub fn publish_link(place: &Path, target: &[u8]) -> Result<(), FileError> {
    let fail = |source| FileError::new("write", place, source);
    let folder = place.parent().unwrap_or(Path::new("."));
    let ((), draft) = DraftPath::new_in(folder, |path| disk::symlink(target, path)).map_err(fail)?;
    draft.publish(place).map_err(fail)
}

/// Makes what was renamed or created in `folder` survive a power cut.
pub fn sync_dir(folder: &Path) -> Result<(), FileError> {
    disk::sync_dir(folder).map_err(|source| FileError::new("sync the folder", folder, source))
}

/// Makes files and the names in folders survive a power cut, all at once: the disk does together what takes as long one
/// by one. What is not there is passed over.
pub fn sync_all(places: &[PathBuf]) -> Result<(), FileError> {
    /// Places that are under way at once.
    const AT_ONCE: usize = 16;
    let sync = |place: &PathBuf| match disk::sync_place(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| FileError::new("sync", place, source)),
    };
    std::thread::scope(|scope| {
        let share = places.len().div_ceil(AT_ONCE).max(1);
        let mut shares = places.chunks(share);
        // The first share is done here: a single place needs no thread.
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares.map(|share| scope.spawn(move || share.iter().try_for_each(sync))).collect();
        let mut result = own.iter().try_for_each(sync);
        for other in others {
            // A thread that panicked has synced nothing.
            let other = other.join().unwrap_or_else(|_| {
                Err(FileError::new("sync", &places[0], io::Error::other("a thread of this program failed")))
            });
            result = result.and(other);
        }
        result
    })
}

/// Creates `folder` and what is missing above it.
pub fn create_dir_all(folder: &Path) -> Result<(), FileError> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_dir_all(parent)?;
    }
    ensure_dir(folder)
}

/// Creates `folder` itself, unless it is there; its parent has to be.
pub fn ensure_dir(folder: &Path) -> Result<(), FileError> {
    match disk::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        result => result.map_err(|source| FileError::new("create the folder", folder, source)),
    }
}

/// Gives the folder `from` the name `to`, which must not be in use, in one step.
pub fn move_dir(from: &Path, to: &Path) -> Result<(), FileError> {
    disk::rename(from, to).map_err(|source| FileError::new("move a folder to", to, source))
}

/// Reads until the buffer is full or the input ends.
pub fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Gives a file the present time, as if it had been written now; fine if there is none.
pub fn freshen(path: &Path) -> Result<(), FileError> {
    match File::open(path).and_then(|file| file.set_modified(SystemTime::now())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| FileError::new("write", path, source)),
    }
}

/// Removes a file or a symbolic link; fine if there is none.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    match disk::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| FileError::new("remove", path, source)),
    }
}

/// Removes a folder that is empty; fine if there is none.
pub fn remove_empty_dir(path: &Path) -> Result<(), FileError> {
    match disk::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| FileError::new("remove", path, source)),
    }
}

/// Moves a file or a symbolic link to another name in its folder, which has to be free.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    if to.symlink_metadata().is_ok() {
        return Err(FileError::new("rename to", to, io::Error::from(io::ErrorKind::AlreadyExists)));
    }
    disk::rename(from, to).map_err(|source| FileError::new("rename", from, source))?;
    to.parent().map_or(Ok(()), sync_dir)
}

/// Removes a folder with all that is in it; fine if there is none. Symbolic links are removed, not followed.
pub fn remove_dir_all(path: &Path) -> Result<(), FileError> {
    match disk::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(|source| FileError::new("remove", path, source)),
    }
}

/// A file that only grows. Each append is one `write` call, so lines of several processes never mix.
#[derive(Debug)]
pub struct Appender {
    file: File,
    path: PathBuf,
}

impl Appender {
    /// Opens `path`, creating it if it is not there.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        disk::open_to_append(path)
            .map(|file| Self { file, path: path.to_path_buf() })
            .map_err(|source| FileError::new("write", path, source))
    }

    /// Appends `bytes`, which should end with a newline.
    pub fn append(&self, bytes: &[u8]) -> Result<(), FileError> {
        disk::write_all(&self.file, &self.path, bytes).map_err(|source| FileError::new("write", &self.path, source))
    }

    /// Makes all that was appended survive a power cut.
    pub fn sync(&self) -> Result<(), FileError> {
        disk::sync_data(&self.file, &self.path).map_err(|source| FileError::new("write", &self.path, source))
    }
}

/// Appends whole lines to `path`, creating the file if it is not there.
///
/// Where the last line is torn, as a disk that was full leaves it, they begin on a line of their own.
pub fn append_lines(path: &Path, lines: &str) -> Result<(), FileError> {
    let log = Appender::open(path)?;
    let is_torn = ends_within_a_line(path).map_err(|source| FileError::new("read", path, source))?;
    let begin = if is_torn { "\n" } else { "" };
    log.append(format!("{begin}{lines}").as_bytes())
}

fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    // A file that was cut meanwhile ends nowhere.
    Ok(file.read_at(&mut byte, last)? == 1 && byte[0] != b'\n')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn publish_replaces_in_one_step_and_leaves_no_draft() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let place = folder.path().join("a file");
        publish(&place, b"old", Durability::Synced).expect("first");
        publish(&place, b"new", Durability::Buffered).expect("second");
        assert_eq!(fs::read(&place).expect("read"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_draft_that_is_dropped_is_gone() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut draft = Draft::new_in(folder.path()).expect("draft");
        draft.write_all(b"half").expect("write");
        drop(draft);
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0);
    }

    #[test]
    fn an_error_names_the_file() {
        let error = publish(Path::new("/nonexistent/folder/file"), b"", Durability::Buffered).expect_err("no folder");
        assert_eq!(error.to_string(), "cannot write in /nonexistent/folder");
    }
}
