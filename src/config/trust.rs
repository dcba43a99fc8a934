//! The user's approval of what an `ml.toml` may run.
//!
//! An approval is an empty file in the user's own data folder, named by the BLAKE3 of the repository's place and the
//! file's content, so that neither a clone nor an archive can bring one along and any edit asks again.

use std::path::{Path, PathBuf};

use crate::files::FileError;

/// The approvals of one user.
#[derive(Debug, Clone)]
pub struct TrustStore {
    _folder: PathBuf,
}

impl TrustStore {
    /// The approvals kept in `folder`, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { _folder: folder }
    }

    /// Whether this content of the repository's `ml.toml` was approved. No file is always fine.
    pub fn is_trusted(&self, _common_dir: &Path, _work_dir: &Path) -> bool {
        todo!()
    }

    /// Approves the content as it is now.
    pub fn approve(&self, _common_dir: &Path, _work_dir: &Path) -> Result<(), FileError> {
        todo!()
    }

    /// Takes the approval back.
    pub fn revoke(&self, _common_dir: &Path, _work_dir: &Path) -> Result<(), FileError> {
        todo!()
    }
}
