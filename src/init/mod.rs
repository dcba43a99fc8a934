//! Setting up a repository: the store, `ml.toml`, and templates of whole projects.
//!
//! What is there already stays as it is: a file that differs from what would be written is a conflict, and all
//! conflicts are found before anything is written.

mod ci;
mod template;

pub use ci::{Forge, Workflow, write_workflow};
pub use template::{Template, find_template, templates};

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::trust::TrustStore;
use crate::config::{self, ConfigError};
use crate::files::{Draft, Durability, FileError, RelPath, UnsafePath, create_dir_all, resolve_beneath};
use crate::git::{GitError, Repository};
use crate::track::{Progress, TrackError, TrackOptions, Tracked, Workspace};

/// The `ml.toml` of a repository without a template: comments only.
const PLAIN_CONFIG: &[u8] = include_bytes!("../../templates/ml.toml");

/// What can go wrong when a repository is set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is no such template.
    #[error("there is no template `{name}`; there is {}", known.join(", "))]
    UnknownTemplate {
        /// As it was asked for.
        name: String,
        /// Those there are.
        known: Vec<&'static str>,
    },
    /// Files that would have to be overwritten.
    #[error("the template would overwrite {}", paths.join(", "))]
    Conflicts {
        /// Their paths in the work tree.
        paths: Vec<String>,
    },
    /// A folder that is to be written to is a symbolic link.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The approval of what was written could not be kept.
    #[error("cannot approve ml.toml")]
    Trust(#[source] FileError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// `ml.toml` is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The data could not be tracked.
    #[error(transparent)]
    Track(#[from] TrackError),
}

/// What was set up.
#[derive(Debug)]
pub struct Done {
    /// The repository with its store.
    pub workspace: Workspace,
    /// Whether git had no repository here before.
    pub is_new: bool,
    /// Files that were written.
    pub written: Vec<RelPath>,
    /// Files of the template that were left as they are, since a project has its own.
    pub left: Vec<RelPath>,
    /// Artifacts that were tracked.
    pub tracked: Vec<Tracked>,
}

/// Sets up the repository around `folder`, or a new one in it, and writes what the template has.
///
/// Whoever runs this approves the `ml.toml` that it writes.
pub fn init(
    folder: &Path,
    template: Option<&Template>,
    trust: Option<&TrustStore>,
    progress: &dyn Progress,
) -> Result<Done, InitError> {
    let found = match Repository::discover(folder) {
        Ok(repository) => Some(repository),
        Err(GitError::NotARepository { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let work_dir = match &found {
        Some(repository) => repository.work_dir()?,
        None => folder,
    };
    let plan = plan(work_dir, template)?;

    let is_new = found.is_none();
    Repository::init(folder)?;
    let workspace = Workspace::discover(folder)?;
    let work_dir = workspace.repository.work_dir()?;
    let mut written = Vec::new();
    for (path, content) in plan.write {
        let place = resolve_beneath(work_dir, &path)?;
        if let Some(parent) = place.parent() {
            create_dir_all(parent)?;
        }
        write(&place, content)?;
        written.push(path);
    }
    if let (Some(trust), Some(content)) = (trust, config::read(work_dir)?)
        && content == plan.config
    {
        trust.approve(workspace.repository.common_dir(), &content).map_err(InitError::Trust)?;
    }
    let mut tracked = Vec::new();
    for data in template.map_or(&[][..], |template| template.data) {
        let options = TrackOptions { meta: data.meta(), ..TrackOptions::default() };
        tracked.push(workspace.track(&RelPath::new(data.path)?, &options, progress)?);
    }
    Ok(Done { workspace, is_new, written, left: plan.left, tracked })
}

/// Writes a file of a template, one that can be run if it is a script.
fn write(place: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut draft = Draft::new_in(place.parent().unwrap_or(place))?;
    draft.write_all(content).map_err(|source| FileError::new("write", place, source))?;
    draft.publish(place, content.starts_with(b"#!"), Durability::Synced)
}

/// What is to be written, and what is left as it is.
struct Plan {
    write: Vec<(RelPath, &'static [u8])>,
    left: Vec<RelPath>,
    /// The content of the `ml.toml` that we write.
    config: &'static [u8],
}

/// Compares what would be written with what is there.
fn plan(work_dir: &Path, template: Option<&Template>) -> Result<Plan, InitError> {
    let plain = [(config::FILE_NAME, PLAIN_CONFIG)];
    let files = template.map_or(&plain[..], |template| template.files);
    let config = files.iter().find(|(path, _)| *path == config::FILE_NAME).map_or(PLAIN_CONFIG, |(_, content)| content);
    let mut plan = Plan { write: Vec::new(), left: Vec::new(), config };
    let mut conflicts = Vec::new();
    for (path, content) in files {
        let path = RelPath::new(*path)?;
        let place = resolve_beneath(work_dir, &path)?;
        // What a project has of its own, with or without us.
        let is_own = template.is_none() || template.is_some_and(|template| template.optional.contains(&path.as_str()));
        match look(&place)? {
            Standing::Nothing => plan.write.push((path, content)),
            Standing::File(there) if there == *content => {}
            Standing::File(there) if path.as_str() == config::FILE_NAME && there == PLAIN_CONFIG => {
                plan.write.push((path, content));
            }
            Standing::File(_) if is_own => plan.left.push(path),
            Standing::File(_) | Standing::Other => conflicts.push(path.to_string()),
        }
    }
    match conflicts.is_empty() {
        true => Ok(plan),
        false => Err(InitError::Conflicts { paths: conflicts }),
    }
}

/// What stands at a place.
enum Standing {
    Nothing,
    File(Vec<u8>),
    /// A folder, a link, or a file that is far larger than any of ours.
    Other,
}

/// Bytes that a file of a template has at most.
const MAX_FILE: u64 = 1 << 20;

fn look(place: &Path) -> Result<Standing, InitError> {
    let fail = |source| InitError::Read { path: place.to_path_buf(), source };
    match place.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Standing::Nothing),
        // A file stands where a folder has to be.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(Standing::Other),
        Err(error) => Err(fail(error)),
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_FILE => {
            std::fs::read(place).map(Standing::File).map_err(fail)
        }
        Ok(_) => Ok(Standing::Other),
    }
}

#[cfg(test)]
mod tests;
