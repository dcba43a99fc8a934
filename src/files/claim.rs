//! A file that is written under a name which only one process can have, and then takes its place, as git changes refs.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{FileError, disk};

/// A new content for a place, which nobody else can change until this is published or dropped.
#[derive(Debug)]
#[must_use = "a claim that is not published is given up"]
pub struct Claim {
    file: File,
    name: PathBuf,
    is_published: bool,
}

impl Claim {
    /// Claims a place by making the file `name` beside it; none while somebody else has that.
    pub fn try_new(name: &Path) -> Result<Option<Self>, FileError> {
        match disk::create(name) {
            Ok(file) => Ok(Some(Self { file, name: name.to_path_buf(), is_published: false })),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(source) => Err(FileError::new("write", name, source)),
        }
    }

    /// Adds bytes.
    pub fn write(&self, bytes: &[u8]) -> Result<(), FileError> {
        disk::write_all(&self.file, &self.name, bytes).map_err(|source| FileError::new("write", &self.name, source))
    }

    /// Where the content is until it is published.
    pub fn path(&self) -> &Path {
        &self.name
    }

    /// Gives the file its place, whose old content it replaces in one step. That its own content is on the disk by then
    /// is up to [`sync_all`](super::sync_all).
    pub fn publish(mut self, place: &Path) -> Result<(), FileError> {
        disk::rename(&self.name, place).map_err(|source| FileError::new("write", place, source))?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.is_published {
            // One that stays is found by its age.
            let _ = disk::remove_file(&self.name);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make what they compare with")]
mod tests {
    use super::*;

    #[test]
    fn one_has_a_claim_at_a_time_and_a_dropped_one_changes_nothing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (place, name) = (folder.path().join("ref"), folder.path().join("ref.lock"));
        std::fs::write(&place, "old").expect("write");
        let claim = Claim::try_new(&name).expect("claim").expect("free");
        assert!(Claim::try_new(&name).expect("look").is_none());
        claim.write(b"new").expect("write");
        drop(claim);
        assert_eq!(std::fs::read(&place).expect("read"), b"old");
        let claim = Claim::try_new(&name).expect("claim").expect("free again");
        claim.write(b"new").expect("write");
        claim.publish(&place).expect("publish");
        assert_eq!(std::fs::read(&place).expect("read"), b"new");
        assert!(!name.exists());
    }
}
