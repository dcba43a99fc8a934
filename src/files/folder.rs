//! Folders that appear with all their files at once.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::atomic::DraftPath;
use super::{FileError, WritableDraft, disk};

/// A folder in the making: filled beside its final place and invisible until [`DraftFolder::publish`].
///
/// Its files need no names of their own for the time until they are complete, which spares a rename for each. Dropping
/// it removes it. What a killed process left is named as a [`Draft`](super::Draft) is.
#[derive(Debug)]
#[must_use = "a draft that is not published is removed"]
pub struct DraftFolder {
    path: PathBuf,
    is_published: bool,
}

/// Who may do what with a new file, before the user's umask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Access {
    /// It can be run.
    pub executable: bool,
    /// It cannot be written any more.
    pub read_only: bool,
}

impl Access {
    fn mode(self) -> u32 {
        (if self.executable { 0o777 } else { 0o666 }) & if self.read_only { 0o555 } else { 0o777 }
    }
}

impl DraftFolder {
    /// Starts one in `parent`, which must exist and be on the final place's file system.
    pub fn new_in(parent: &Path) -> Result<Self, FileError> {
        DraftPath::new_in(parent, disk::create_dir)
            .map(|((), path)| Self { path: path.keep(), is_published: false })
            .map_err(|source| FileError::new("create a folder in", parent, source))
    }

    /// Makes the file `name` right in it, to be written.
    pub fn create(&self, name: &str, access: Access) -> io::Result<DraftFile> {
        let path = self.place(name);
        Ok(DraftFile { file: disk::create_as(&path, access.mode())?, path })
    }

    /// Removes the file `name` from it.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        disk::remove_file(&self.place(name))
    }

    /// Makes the symbolic link `name` right in it, with the text `target`.
    pub fn link(&self, name: &str, target: &[u8]) -> io::Result<()> {
        disk::symlink(target, &self.place(name))
    }

    /// Where `name` is until the folder is published.
    pub fn place(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Moves the folder to `place`, where nothing is, in one step. That it survives a power cut is not waited for.
    pub fn publish(mut self, place: &Path) -> Result<(), FileError> {
        let fail = |source| FileError::new("write", place, source);
        // Where an empty folder is, a rename would replace it, and whoever made it would be in a folder that is gone.
        if place.symlink_metadata().is_ok() {
            return Err(fail(io::ErrorKind::AlreadyExists.into()));
        }
        disk::rename(&self.path, place).map_err(fail)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for DraftFolder {
    fn drop(&mut self) {
        if !self.is_published {
            // What cannot be removed now is found by whoever sweeps the folder.
            let _ = disk::remove_dir_all(&self.path);
        }
    }
}

/// A file in a folder that is not published yet.
#[derive(Debug)]
pub struct DraftFile {
    file: File,
    path: PathBuf,
}

impl DraftFile {
    /// The file, to be looked at.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Says when the file was changed last. Writing to it afterwards changes that again.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        disk::set_modified(&self.file, &self.path, time)
    }
}

impl WritableDraft for DraftFile {
    fn share(&mut self, source: &File) -> io::Result<()> {
        disk::share(source, &self.file, &self.path)
    }

    fn clear(&mut self) -> io::Result<()> {
        disk::set_len(&self.file, &self.path, 0)
    }
}

impl Write for DraftFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        disk::write(&self.file, &self.path, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make what they compare with")]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const PLAIN: Access = Access { executable: false, read_only: false };

    #[test]
    fn it_appears_as_a_whole_or_not_at_all() {
        let root = tempfile::tempdir().expect("temporary folder");
        let place = root.path().join("a folder");
        let draft = DraftFolder::new_in(root.path()).expect("draft");
        draft.create("x", PLAIN).expect("file").write_all(b"content").expect("write");
        assert!(draft.create("x", PLAIN).is_err(), "it is there");
        draft.link("link", b"x").expect("link");
        assert!(!place.exists());
        draft.publish(&place).expect("publish");
        assert_eq!(fs::read(place.join("link")).expect("read"), b"content");

        let second = DraftFolder::new_in(root.path()).expect("draft");
        second.create("y", PLAIN).expect("file");
        assert!(second.publish(&place).is_err(), "something is there");
        drop(DraftFolder::new_in(root.path()).expect("draft"));
        assert_eq!(fs::read_dir(root.path()).expect("list").count(), 1, "no draft is left");
    }

    #[test]
    fn files_and_folders_are_for_those_that_the_umask_lets() {
        let root = tempfile::tempdir().expect("temporary folder");
        let usual = root.path().join("usual");
        fs::create_dir(&usual).expect("folder");
        fs::write(usual.join("file"), "").expect("file");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let draft = DraftFolder::new_in(root.path()).expect("draft");
        assert_eq!(mode(&draft.path), mode(&usual));
        for executable in [false, true] {
            for read_only in [false, true] {
                let name = format!("{executable} {read_only}");
                draft.create(&name, Access { executable, read_only }).expect("file");
                let usual = mode(&usual.join("file"));
                let expected = if executable { usual | (usual & 0o444) >> 2 } else { usual };
                assert_eq!(mode(&draft.place(&name)), if read_only { expected & 0o555 } else { expected });
            }
        }
    }
}
