//! The calls that change a file system, each made in one place: in tests they are recorded there, and made to fail.
#![allow(clippy::disallowed_methods, reason = "this is the one place that may write files directly")]

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, IoSlice, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::SystemTime;

#[cfg(test)]
use std::os::unix::fs::FileExt;

#[cfg(test)]
use super::trace::{Step, around, node_of, position_of};

/// Does something to the disk. Tests see which step that was, and may have it fail instead.
macro_rules! step {
    ($path:expr, $step:expr, $action:expr) => {{
        #[cfg(test)]
        {
            around($path, $step, || $action)
        }
        #[cfg(not(test))]
        {
            let _ = $path;
            $action
        }
    }};
}

/// Makes a file that is not there yet, for writing and reading.
pub(super) fn create(path: &Path) -> io::Result<File> {
    step!(
        path,
        |file: &File| Step::Create { path: path.to_path_buf(), node: node_of(file) },
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(path)
    )
}

/// Makes a file that is not there yet, for writing by those that `mode` and the umask let.
pub(super) fn create_as(path: &Path, mode: u32) -> io::Result<File> {
    step!(
        path,
        |file: &File| Step::Create { path: path.to_path_buf(), node: node_of(file) },
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
    )
}

/// Opens a file to write behind its end, and makes it if it is not there.
pub(super) fn open_to_append(path: &Path) -> io::Result<File> {
    step!(
        path,
        |file: &File| Step::Open { path: path.to_path_buf(), node: node_of(file) },
        OpenOptions::new().create(true).append(true).open(path)
    )
}

/// Opens a file that is locked rather than read, and makes it if it is not there.
pub(super) fn open_to_lock(path: &Path) -> io::Result<File> {
    step!(
        path,
        |file: &File| Step::Open { path: path.to_path_buf(), node: node_of(file) },
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    )
}

/// Writes bytes where the file stands. `path` is where it was opened.
pub(super) fn write(file: &File, path: &Path, bytes: &[u8]) -> io::Result<usize> {
    let mut target = file;
    step!(
        path,
        |count: &usize| {
            let bytes = bytes[..*count].to_vec();
            Step::Write { node: node_of(file), offset: position_of(file) - bytes.len() as u64, bytes }
        },
        target.write(bytes)
    )
}

/// Writes all of the bytes.
pub(super) fn write_all(file: &File, path: &Path, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(file, path, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes parts, one after the other, at a place in the file, and says how many bytes that were.
pub(super) fn write_at(file: &File, path: &Path, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    step!(
        path,
        |count: &usize| {
            let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            bytes.truncate(*count);
            Step::Write { node: node_of(file), offset, bytes }
        },
        Ok(rustix::io::pwritev(file, parts, offset)?)
    )
}

/// Copies all of `source` to where the file stands, inside of the system where it can do that.
pub(super) fn copy_into(source: &mut File, file: &File, path: &Path) -> io::Result<u64> {
    let mut target = file;
    step!(
        path,
        |count: &u64| {
            let (mut bytes, offset) = (vec![0; *count as usize], position_of(file) - count);
            file.read_exact_at(&mut bytes, offset).unwrap();
            Step::Write { node: node_of(file), offset, bytes }
        },
        io::copy(source, &mut target)
    )
}

/// Lets an empty file share the content of another one, both then of the same blocks of the disk until one is changed.
pub(super) fn share(source: &File, file: &File, path: &Path) -> io::Result<()> {
    step!(
        path,
        |(): &()| {
            let mut bytes = vec![0; source.metadata().unwrap().len() as usize];
            source.read_exact_at(&mut bytes, 0).unwrap();
            Step::Write { node: node_of(file), offset: 0, bytes }
        },
        reflink(source, file)
    )
}

#[cfg(target_os = "linux")]
fn reflink(source: &File, file: &File) -> io::Result<()> {
    Ok(rustix::fs::ioctl_ficlone(file, source)?)
}

#[cfg(not(target_os = "linux"))]
fn reflink(_source: &File, _file: &File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gives a file another length.
pub(super) fn set_len(file: &File, path: &Path, length: u64) -> io::Result<()> {
    step!(path, |(): &()| Step::SetLength { node: node_of(file), length }, file.set_len(length))
}

/// Says when a file was changed last.
pub(super) fn set_modified(file: &File, path: &Path, time: SystemTime) -> io::Result<()> {
    step!(path, |(): &()| Step::Describe { path: path.to_path_buf() }, file.set_modified(time))
}

/// Says who may do what with a file.
pub(super) fn set_permissions(file: &File, path: &Path, permissions: Permissions) -> io::Result<()> {
    step!(path, |(): &()| Step::Describe { path: path.to_path_buf() }, file.set_permissions(permissions))
}

/// Gets a file's content onto the disk, and what the system knows of it.
pub(super) fn sync(file: &File, path: &Path) -> io::Result<()> {
    step!(path, |(): &()| Step::Sync { node: node_of(file) }, file.sync_all())
}

/// Gets a file's content onto the disk.
pub(super) fn sync_data(file: &File, path: &Path) -> io::Result<()> {
    step!(path, |(): &()| Step::Sync { node: node_of(file) }, file.sync_data())
}

/// Gets a folder's names onto the disk.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    let folder = File::open(path)?;
    step!(path, |(): &()| Step::SyncDir { path: path.to_path_buf() }, folder.sync_all())
}

/// Gets a file's content or a folder's names onto the disk, by its path.
pub(super) fn sync_place(path: &Path) -> io::Result<()> {
    let place = File::open(path)?;
    step!(path, |(): &()| Step::SyncPlace { path: path.to_path_buf() }, place.sync_all())
}

/// Gives a file or folder another name, in place of what has that name.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    step!(to, |(): &()| Step::Rename { from: from.to_path_buf(), to: to.to_path_buf() }, fs::rename(from, to))
}

/// Makes a symbolic link that is not there yet.
pub(super) fn symlink(target: &[u8], path: &Path) -> io::Result<()> {
    step!(
        path,
        |(): &()| Step::Symlink { path: path.to_path_buf(), target: target.to_vec() },
        std::os::unix::fs::symlink(OsStr::from_bytes(target), path)
    )
}

/// Makes a folder that is not there yet, in one that is.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    step!(path, |(): &()| Step::CreateDir { path: path.to_path_buf() }, fs::create_dir(path))
}

/// Removes a file or a link.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    step!(path, |(): &()| Step::Remove { path: path.to_path_buf() }, fs::remove_file(path))
}

/// Removes a folder that is empty.
pub(super) fn remove_dir(path: &Path) -> io::Result<()> {
    step!(path, |(): &()| Step::Remove { path: path.to_path_buf() }, fs::remove_dir(path))
}

/// Removes a folder and all that is in it.
pub(super) fn remove_dir_all(path: &Path) -> io::Result<()> {
    step!(path, |(): &()| Step::RemoveAll { path: path.to_path_buf() }, fs::remove_dir_all(path))
}
