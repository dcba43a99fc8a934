//! Importing: what Git LFS or DVC keep becomes artifacts, and what MLflow, TensorBoard or W&B logged becomes runs.
//!
//! Nothing of theirs is deleted: caches, configuration and every earlier commit stay, so that an old commit is read with
//! the tool that it was made with.
//!
//! A file that is broken costs itself and a word about it. Runs keep their ids, or have one that their source always
//! gives, so that importing again changes nothing.
//!
//! Architecture invariant: a content becomes an artifact only if its bytes have the digest by which the other tool knew
//! it.

mod digest;
mod dvc;
mod dvc_files;
mod error;
mod lfs;
mod mlflow;
mod runs;
mod tensorboard;
mod wandb;

pub use error::ImportError;
pub use runs::{ImportedRun, ImportedRuns, ImportedVersion, LeftOut, Outcome, RunImportOptions};

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::files::{self, Draft, Durability, RelPath, resolve_beneath};
use crate::remote::Environment;
use crate::track::{Progress, TrackError, TrackOptions, Tracked, Workspace};
use digest::Expected;

/// What was imported.
#[derive(Debug, Default)]
pub struct Imported {
    /// The artifacts.
    pub tracked: Vec<Tracked>,
    /// What was left out, and why.
    pub skipped: Vec<(String, &'static str)>,
}

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The git remote whose LFS server has what is not here; none for the one that git fetches from.
    pub git_remote: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Where credentials are found.
    pub environment: Environment,
}

/// A file or folder that becomes one artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    path: RelPath,
    is_folder: bool,
    files: Vec<Wanted>,
}

/// A file of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    path: RelPath,
    content: Expected,
    is_executable: bool,
    /// What may stand in the content's place: the text of a pointer, which is as good as nothing.
    placeholder: Option<Vec<u8>>,
}

/// Where contents are found that are not in the work tree.
trait Contents {
    /// Writes a content to a draft. Whether it has the right digest is checked by whoever asked.
    fn fetch(&self, wanted: &Wanted, draft: &mut Draft) -> Result<(), ImportError>;
}

/// Imports what Git LFS keeps at these paths; all of it where there are none.
pub fn import_lfs(
    workspace: &Workspace,
    paths: &[RelPath],
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<Imported, ImportError> {
    lfs::import(workspace, paths, options, progress)
}

/// Imports what DVC keeps at these paths; all of it where there are none.
pub fn import_dvc(
    workspace: &Workspace,
    paths: &[RelPath],
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<Imported, ImportError> {
    dvc::import(workspace, paths, options, progress)
}

/// Imports the runs and models of an `mlruns` folder of MLflow's, or of its SQLite database.
pub fn import_mlflow(
    workspace: &Workspace,
    source: &Path,
    options: &RunImportOptions,
    progress: &dyn Progress,
) -> Result<ImportedRuns, ImportError> {
    mlflow::import(workspace, source, options, progress)
}

/// Imports event files of TensorBoard's: each folder that has some is a run.
pub fn import_tensorboard(
    workspace: &Workspace,
    source: &Path,
    options: &RunImportOptions,
    progress: &dyn Progress,
) -> Result<ImportedRuns, ImportError> {
    tensorboard::import(workspace, source, options, progress)
}

/// Imports the runs of W&B in a folder, or the one of a `.wandb` file.
pub fn import_wandb(
    workspace: &Workspace,
    source: &Path,
    options: &RunImportOptions,
    progress: &dyn Progress,
) -> Result<ImportedRuns, ImportError> {
    wandb::import(workspace, source, options, progress)
}

impl Target {
    /// Whether one of `paths` is it, or above it.
    fn is_meant(&self, paths: &[RelPath]) -> bool {
        paths.is_empty() || paths.iter().any(|path| self.path == *path || self.path.starts_with(path))
    }

    /// The files that have to be fetched. An error where there is anything else than the other tool says.
    fn lacking(&self, work_dir: &Path) -> Result<Vec<&Wanted>, ImportError> {
        if self.is_folder {
            self.check_folder(work_dir)?;
        }
        let mut lacking = Vec::new();
        for wanted in &self.files {
            let place = resolve_beneath(work_dir, &wanted.path)?;
            let changed = || ImportError::Changed { path: wanted.path.clone() };
            let metadata = match fs::symlink_metadata(&place) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    lacking.push(wanted);
                    continue;
                }
                Err(source) => return Err(ImportError::Read { path: place, source }),
            };
            // Some caches are linked to, and a link into somebody's cache is no content.
            let is_link = metadata.is_symlink();
            let is_placeholder = |place: &Path| {
                wanted.placeholder.as_ref().is_some_and(|text| {
                    metadata.len() == text.len() as u64 && fs::read(place).is_ok_and(|content| content == *text)
                })
            };
            if is_placeholder(&place) {
                lacking.push(wanted);
                continue;
            }
            if !(metadata.is_file() || (is_link && place.is_file())) {
                return Err(changed());
            }
            let mut file = File::open(&place).map_err(|source| ImportError::Read { path: place.clone(), source })?;
            let is_right = wanted.content.is_that_of(&mut file);
            if !is_right.map_err(|source| ImportError::Read { path: place.clone(), source })? {
                return Err(changed());
            }
            if is_link {
                lacking.push(wanted);
            }
        }
        Ok(lacking)
    }

    /// Fails where the folder has a file that the other tool does not know.
    fn check_folder(&self, work_dir: &Path) -> Result<(), ImportError> {
        let known: BTreeSet<PathBuf> = self.files.iter().map(|wanted| wanted.path.under(work_dir)).collect();
        let top = resolve_beneath(work_dir, &self.path)?;
        for entry in walkdir::WalkDir::new(&top).follow_links(false) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) => {
                    continue;
                }
                Err(error) => return Err(ImportError::Read { path: top.clone(), source: error.into() }),
            };
            if !entry.file_type().is_dir() && !known.contains(entry.path()) {
                let extra = entry.path().strip_prefix(work_dir).unwrap_or(entry.path());
                return Err(ImportError::Extra { path: self.path.clone(), extra: extra.to_path_buf() });
            }
        }
        Ok(())
    }
}

/// Puts the contents that are lacking in their places, each of them checked.
fn bring(
    workspace: &Workspace,
    lacking: &[&Wanted],
    contents: &dyn Contents,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let work_dir = workspace.repository.work_dir()?;
    // Drafts that a killed process leaves there are swept, and git does not show them.
    let folder = workspace.repository.git_dir().join("ml");
    files::create_dir_all(&folder)?;
    progress.start("fetching", Some(lacking.iter().filter_map(|wanted| wanted.content.size()).sum()));
    for wanted in lacking {
        let mut draft = Draft::new_in(&folder)?;
        contents.fetch(wanted, &mut draft)?;
        let mut file = File::open(draft.path())
            .map_err(|source| ImportError::Read { path: draft.path().to_path_buf(), source })?;
        let is_right = wanted.content.is_that_of(&mut file);
        if !is_right.map_err(|source| ImportError::Read { path: draft.path().to_path_buf(), source })? {
            return Err(ImportError::Damaged { path: wanted.path.clone(), expected: wanted.content.to_string() });
        }
        let place = resolve_beneath(work_dir, &wanted.path)?;
        if let Some(parent) = place.parent() {
            files::create_dir_all(parent)?;
        }
        draft.publish(&place, wanted.is_executable, Durability::Buffered)?;
        progress.advance(wanted.content.size().unwrap_or_default());
    }
    progress.finish();
    Ok(())
}

/// Tracks a target whose files are all there.
fn track(workspace: &Workspace, target: &Target, progress: &dyn Progress) -> Result<Tracked, TrackError> {
    workspace.track(&target.path, &TrackOptions::default(), progress)
}
