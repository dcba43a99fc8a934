//! A folder as a remote: a network drive, a disk, a folder of another user.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;

use super::ObjectError;
use super::objects::{Listed, Objects, Pace};
use crate::files::{self, Draft, Durability, FileError};

/// The age of a draft whose process is surely not at work any more.
const LEFT_OVER: Duration = Duration::from_secs(24 * 3600);

/// A folder whose files are the objects.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn fail(&self, action: &str, name: &str, error: &io::Error) -> ObjectError {
        let (place, action) = (self.describe(), format!("{action} {name}"));
        match error.kind() {
            io::ErrorKind::NotFound => ObjectError::NotFound { place, name: name.to_owned() },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ObjectError::Denied { place, action, problem: error.to_string() }
            }
            _ => ObjectError::Failed { place, action, problem: error.to_string() },
        }
    }

    fn open(&self, name: &str) -> Result<File, ObjectError> {
        File::open(self.path(name)).map_err(|error| self.fail("read", name, &error))
    }

    /// Starts a draft beside the place of an object, in a folder that is made if it is not there.
    fn draft(&self, name: &str) -> Result<(Draft, PathBuf), ObjectError> {
        let place = self.path(name);
        let folder = place.parent().unwrap_or(&self.root);
        let fail = |error: FileError| self.fail("write", name, &error.source);
        if !folder.is_dir() {
            files::create_dir_all(folder).map_err(fail)?;
            folder.parent().map_or(Ok(()), files::sync_dir).map_err(fail)?;
        }
        Ok((Draft::new_in(folder).map_err(fail)?, place))
    }

    /// Removes what pushes that were killed left in a folder.
    fn sweep(&self, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_draft = entry.file_name().to_string_lossy().starts_with(Draft::PREFIX);
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if is_draft && modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LEFT_OVER)) {
                let _ = files::remove_file(&entry.path());
            }
        }
    }
}

impl Objects for Folder {
    fn describe(&self) -> String {
        self.root.display().to_string()
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError> {
        let fail = |error: io::Error| self.fail("list", folder, &error);
        let path = self.path(folder);
        let entries = match fs::read_dir(&path) {
            // A folder that nothing was written to yet is not there; a drive that is not mounted is another matter.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.root.is_dir() => return Ok(Vec::new()),
            entries => entries.map_err(fail)?,
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(fail)?,
            };
            if !metadata.is_file() || name.starts_with(Draft::PREFIX) {
                continue;
            }
            let age = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let modified = age.and_then(|age| i64::try_from(age.as_secs()).ok());
            listed.push(Listed { name: format!("{folder}/{name}"), size: metadata.len(), modified });
        }
        Ok(listed)
    }

    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        match fs::metadata(self.path(name)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.root.is_dir() => Ok(None),
            Err(error) => Err(self.fail("read", name, &error)),
        }
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let fail = |error: io::Error| self.fail("read", name, &error);
        let file = self.open(name)?;
        // The range is believed only as far as the file reaches.
        if range.end > file.metadata().map_err(fail)?.len() {
            return Err(fail(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start).map_err(fail)?;
        Ok(bytes.into())
    }

    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        let (mut draft, place) = self.draft(name)?;
        io::Write::write_all(&mut draft, &content).map_err(|error| self.fail("write", name, &error))?;
        draft.publish(&place, false, Durability::Synced).map_err(|error| self.fail("write", name, &error.source))
    }

    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let (mut draft, place) = self.draft(name)?;
        self.sweep(place.parent().unwrap_or(&self.root));
        let fail = |error: &io::Error| self.fail("write", name, error);
        let mut source = File::open(path).map_err(|error| fail(&error))?;
        let size = source.metadata().map_err(|error| fail(&error))?.len();
        copy(&mut source, size, &mut draft, pace).map_err(|error| fail(&error))?;
        draft.publish(&place, false, Durability::Synced).map_err(|error| fail(&error.source))
    }

    fn fetch(&self, name: &str, size: u64, output: &mut Draft, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let mut source = self.open(name)?;
        copy(&mut source, size, output, pace).map_err(|error| self.fail("read", name, &error))
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        files::remove_file(&self.path(name)).map_err(|error| self.fail("remove", name, &error.source))
    }

    fn gap(&self) -> u64 {
        16 << 10
    }

    fn is_near(&self) -> bool {
        true
    }
}

/// Copies `size` bytes, within the kernel where it can.
fn copy(source: &mut File, size: u64, output: &mut Draft, pace: &Pace<'_>) -> io::Result<()> {
    pace(size);
    match output.copy_from(source)? == size {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_written_read_listed_and_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().to_path_buf());
        assert!(folder.list("packs").unwrap().is_empty());
        assert_eq!(folder.size("packs/a").unwrap(), None);
        assert!(matches!(folder.read("packs/a", 0..1), Err(ObjectError::NotFound { .. })));
        folder.put("packs/a", Bytes::from_static(b"content")).unwrap();
        assert_eq!(&folder.read("packs/a", 3..7).unwrap()[..], b"tent");
        assert!(folder.read("packs/a", 3..8).is_err() && folder.read("packs/a", 0..1 << 60).is_err());
        let large = vec![7; 3 << 20];
        let source = tempfile::NamedTempFile::new().unwrap();
        files::publish(source.path(), &large, Durability::Buffered).unwrap();
        let sent = std::sync::atomic::AtomicU64::new(0);
        let pace = |bytes| {
            sent.fetch_add(bytes, std::sync::atomic::Ordering::SeqCst);
        };
        folder.put_file("packs/b", source.path(), &pace).unwrap();
        let mut names: Vec<_> = folder.list("packs").unwrap().into_iter().map(|at| (at.name, at.size)).collect();
        names.sort();
        assert_eq!(names, [("packs/a".to_owned(), 7), ("packs/b".to_owned(), large.len() as u64)]);
        let mut fetched = Draft::new_in(temporary.path()).unwrap();
        folder.fetch("packs/b", large.len() as u64, &mut fetched, &pace).unwrap();
        assert_eq!(sent.into_inner(), 2 * large.len() as u64);
        assert!(fs::read(fetched.path()).unwrap() == large);
        assert!(folder.fetch("packs/a", 8, &mut fetched, &|_| {}).is_err());
        folder.remove("packs/a").unwrap();
        folder.remove("packs/a").unwrap();
        assert_eq!(folder.size("packs/a").unwrap(), None);
        let gone = Folder::new(temporary.path().join("not mounted"));
        assert!(gone.list("packs").is_err() && gone.size("x").is_err());
    }
}
