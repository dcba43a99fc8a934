//! What a remote may know of the user's surroundings: handed in, since the library reads none of it itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The variables of the environment and the home folder, where credentials are found.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    home: Option<PathBuf>,
}

impl Environment {
    /// These variables and this home folder.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, home: Option<PathBuf>) -> Self {
        Self { variables: variables.into_iter().collect(), home }
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
