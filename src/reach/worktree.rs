//! The pointers that stand in a work tree, whether git knows them or not.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::track::POINTER_SUFFIX;

use super::candidate::Candidate;
use super::{Gathered, LIMIT, ReachError};

/// Looks at every pointer below `top`. Other repositories and the data that pointers stand for are left out.
pub(super) fn look(top: &Path, suffix: &str, gathered: &mut Gathered<'_>) -> Result<(), ReachError> {
    let mut pending = vec![top.to_path_buf()];
    while let Some(folder) = pending.pop() {
        let (files, folders) = match list(&folder) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            // What this user may not read, this user's pointers are not in.
            Err(ReachError::Read { source, .. })
                if folder != top && source.kind() == io::ErrorKind::PermissionDenied =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        // Any folder but the top that has a `.git` is another repository, which has a store of its own.
        if folder != top && folder.join(".git").symlink_metadata().is_ok() {
            continue;
        }
        for path in &files {
            let shown = path.strip_prefix(top).unwrap_or(path).display().to_string();
            let fail = |source| ReachError::Read { path: path.clone(), source };
            let content = match path.metadata().map(|metadata| metadata.len()) {
                Ok(bytes) if bytes > LIMIT => None,
                _ => match fs::read(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    content => Some(content.map_err(fail)?),
                },
            };
            gathered.take(&format!("{shown}{suffix}"), Candidate::Pointer, content.as_deref());
        }
        let is_data = |folder: &PathBuf| {
            let pointer = [folder.as_os_str().as_bytes(), POINTER_SUFFIX.as_bytes()].concat();
            files.iter().any(|file| file.as_os_str().as_bytes() == pointer)
        };
        pending.extend(folders.into_iter().filter(|folder| !is_data(folder)));
    }
    Ok(())
}

/// The pointers and the folders in a folder; none if it is gone.
#[allow(clippy::type_complexity, reason = "a pair of lists")]
fn list(folder: &Path) -> Result<Option<(Vec<PathBuf>, Vec<PathBuf>)>, ReachError> {
    let fail = |source| ReachError::Read { path: folder.to_path_buf(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        entries => entries.map_err(fail)?,
    };
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() && entry.file_name() != ".git" {
            folders.push(entry.path());
        } else if kind.is_file() && entry.file_name().as_bytes().ends_with(POINTER_SUFFIX.as_bytes()) {
            files.push(entry.path());
        }
    }
    Ok(Some((files, folders)))
}
