//! git's configuration.

use std::path::PathBuf;

use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::{GitError, Repository};

impl Repository {
    /// One value of git's configuration, as `git config --get` finds it.
    pub fn config(&self, key: &str) -> Result<Option<String>, GitError> {
        // Exit code 1 says that there is no such key.
        let (code, output) = self.git().run_with_codes(&["config", "--null", "--get", key], &[1])?;
        let value = output.strip_suffix(b"\0").unwrap_or(&output);
        Ok((code == 0).then(|| value.to_str_lossy().into_owned()))
    }

    /// The same for a value that names a file: `~/keys` begins with the user's home folder.
    pub fn config_path(&self, key: &str) -> Result<Option<PathBuf>, GitError> {
        let (code, output) = self.git().run_with_codes(&["config", "--null", "--type=path", "--get", key], &[1])?;
        let value = output.strip_suffix(b"\0").unwrap_or(&output);
        let path = value.to_path().or_failed(|| format!("the value of {key} is no path"))?;
        Ok((code == 0).then(|| path.to_path_buf()))
    }

    /// Sets a value in the repository's own configuration.
    pub fn set_config(&self, key: &str, value: &str) -> Result<(), GitError> {
        self.run_git(&["config", "--local", key, value]).map(|_| ())
    }

    /// Removes a value from the repository's own configuration; fine if there is none.
    pub fn unset_config(&self, key: &str) -> Result<(), GitError> {
        // Exit code 5 says that there is no such key.
        self.git().run_with_codes(&["config", "--local", "--unset-all", key], &[5]).map(|_| ())
    }

    /// The folder that git runs hooks from, `core.hooksPath` respected.
    pub fn hooks_dir(&self) -> Result<PathBuf, GitError> {
        let output = self.run_git(&["rev-parse", "--git-path", "hooks"])?;
        let path = output.strip_suffix(b"\n").unwrap_or(&output);
        let path = path.to_path().or_failed(|| "the name of the hooks folder is not valid")?;
        // It is relative to where that git ran.
        Ok(self.work_dir().unwrap_or(self.git_dir()).join(path))
    }

    /// The names of the configured git remotes.
    pub fn remotes(&self) -> Result<Vec<String>, GitError> {
        let output = self.run_git(&["remote"])?;
        Ok(output.lines().map(|name| name.to_str_lossy().into_owned()).collect())
    }
}
