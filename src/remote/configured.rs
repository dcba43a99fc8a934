//! The remotes of a repository: the team's in `ml.toml`, and the user's own beside the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Environment, Remote, RemoteError, check_name};
use crate::config::{self, Config, edit};
use crate::files::{Durability, publish};
use crate::git::GitError;
use crate::track::Workspace;

/// Who a remote is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everybody: it is in `ml.toml`.
    Team,
    /// This clone: it is in `.git/ml/remotes.toml`, and goes before the team's of the same name.
    Local,
}

/// A remote as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// Its name.
    pub name: String,
    /// Where it is, and how to get there.
    pub settings: config::Remote,
    /// Who it is for.
    pub scope: Scope,
}

impl Configured {
    /// Opens it.
    pub fn open(&self, workspace: &Workspace, environment: &Environment) -> Result<Remote, RemoteError> {
        Remote::open(&self.name, &self.settings, &workspace.store, environment)
    }

    /// Opens what is known of it here, without using a network. A folder is looked at.
    pub fn recall(&self, workspace: &Workspace, environment: &Environment) -> Result<Remote, RemoteError> {
        Remote::recall(&self.name, &self.settings, &workspace.store, environment)
    }
}

/// The remotes of a repository, sorted by name.
pub fn configured(workspace: &Workspace) -> Result<Vec<Configured>, RemoteError> {
    let mut remotes = BTreeMap::new();
    for scope in [Scope::Team, Scope::Local] {
        let Some(path) = file_of(workspace, scope)? else { continue };
        for (name, settings) in read(&path)?.1.remotes {
            check_name(&name)?;
            remotes.insert(name.clone(), Configured { name, settings, scope });
        }
    }
    Ok(remotes.into_values().collect())
}

/// Adds a remote to the configuration, or changes it; with none, removes it. Whether it was there before.
pub fn configure(
    workspace: &Workspace,
    scope: Scope,
    name: &str,
    settings: Option<&config::Remote>,
) -> Result<bool, RemoteError> {
    check_name(name)?;
    let path = file_of(workspace, scope)?.ok_or(GitError::Bare)?;
    let (text, config) = read(&path)?;
    let was_there = config.remotes.contains_key(name);
    if settings.is_some() || was_there {
        let text = edit::set_remote(&text, &path, name, settings)?;
        Config::parse(&text, &path)?;
        publish(&path, text.as_bytes(), Durability::Synced)?;
    }
    Ok(was_there)
}

fn file_of(workspace: &Workspace, scope: Scope) -> Result<Option<PathBuf>, RemoteError> {
    match scope {
        Scope::Local => Ok(Some(workspace.store.root().join("remotes.toml"))),
        Scope::Team => match workspace.repository.work_dir() {
            Ok(work_dir) => Ok(Some(work_dir.join(config::FILE_NAME))),
            Err(GitError::Bare) => Ok(None),
            Err(error) => Err(error.into()),
        },
    }
}

fn read(path: &Path) -> Result<(String, Config), RemoteError> {
    let Some(content) = config::read_file(path)? else { return Ok((String::new(), Config::default())) };
    let config = Config::parse_bytes(&content, path)?;
    Ok((String::from_utf8_lossy(&content).into_owned(), config))
}
