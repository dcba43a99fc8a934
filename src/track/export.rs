//! Writing artifacts' files out of the store.

use std::io;
use std::path::Path;

use crate::files::{self, FileError};
use crate::id::ArtifactId;

use super::twins::Twins;
use super::write::{FileWriter, ToWrite};
use super::{Silent, TrackError, Workspace};

impl Workspace {
    /// Writes an artifact's files into the folder (or, for a single file, to the file) `place`, which must not exist.
    pub fn export(&self, artifact: &ArtifactId, place: &Path) -> Result<(), TrackError> {
        if place.symlink_metadata().is_ok() {
            return Err(FileError::new("write", place, io::ErrorKind::AlreadyExists.into()).into());
        }
        let manifest = self.store.manifest(artifact)?;
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        files::create_dir_all(folder)?;
        let is_single = manifest.is_single_file();
        let mut write: Vec<ToWrite> = manifest.entries().iter().map(|entry| (entry.clone(), None)).collect();
        drop(manifest);
        let place_of_folder =
            |folder: &str| Ok(if folder.is_empty() { place.to_path_buf() } else { place.join(folder) });
        let writer = FileWriter {
            store: &self.store,
            place_of_folder: &place_of_folder,
            read_only: false,
            twins: Twins::default(),
            progress: &Silent,
        };
        let written = match write.as_slice() {
            [file] if is_single => writer.write_single(file, place).map(drop),
            _ => writer.write_all(&mut write).map(drop),
        };
        if written.is_err() {
            // It was not there before.
            let _ = if is_single { files::remove_file(place) } else { files::remove_dir_all(place) };
        }
        written
    }
}
