//! What a remote may know of the user's surroundings: handed in, since the library reads none of it itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{Notice, RemoteError, SshProgram};
use crate::git::{GitError, Repository};

/// The variables of the environment and the home folder, where credentials are found, and the folder whose repository
/// says what programs are used.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
    folder: Option<PathBuf>,
    notice: Option<Notice>,
}

impl Environment {
    /// These variables and this home folder.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, home: Option<PathBuf>) -> Self {
        Self { variables: variables.into_iter().collect(), home, folder: None, notice: None }
    }

    /// The same in a folder of a repository: its configuration of git counts.
    #[must_use]
    pub fn in_folder(self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_path_buf()), ..self }
    }

    /// The same where programs that are started may tell the user something.
    #[must_use]
    pub fn with_notice(self, notice: Notice) -> Self {
        Self { notice: Some(notice), ..self }
    }

    /// The repository of the folder.
    pub(super) fn repository(&self) -> Result<Repository, GitError> {
        Repository::discover(self.folder.as_deref().unwrap_or(Path::new("")))
    }

    /// The `ssh` to start: the one that the user's git starts.
    pub fn ssh(&self) -> Result<SshProgram, RemoteError> {
        let configured = || match self.repository() {
            Ok(repository) => repository.config("core.sshCommand"),
            Err(_) => Ok(None),
        };
        let line = match (self.variable("GIT_SSH_COMMAND"), self.variable("GIT_SSH")) {
            (Some(line), _) => Some(line.to_owned()),
            (None, program) => match (configured()?, program) {
                (Some(line), _) => Some(line),
                // This one is a program, which the other two are a line of shell with.
                (None, Some(program)) => Some(format!("'{}'", program.replace('\'', r"'\''"))),
                (None, None) => None,
            },
        };
        Ok(SshProgram { line, notice: self.notice.clone() })
    }

    /// The value of a variable; none if it is not set, or empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables whose names begin so.
    pub(super) fn starting_with(&self, start: &str) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        variables.filter(move |(name, value)| name.starts_with(start) && !value.is_empty())
    }

    /// The home folder.
    pub(super) fn home(&self) -> Option<&PathBuf> {
        self.home.as_ref()
    }
}

impl fmt::Debug for Environment {
    /// Without the values: some are secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Environment").field("home", &self.home).finish_non_exhaustive()
    }
}
