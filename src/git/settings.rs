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

    /// The values of git's configuration whose keys begin with `prefix` and a point, the last one of a key last: the rest
    /// of the key, in small letters, and the value. No process is started for it.
    pub fn config_below(&self, prefix: &str) -> Vec<(String, String)> {
        let (section, subsection) = prefix.split_once('.').unwrap_or((prefix, ""));
        let repository = self.gix();
        let snapshot = repository.config_snapshot();
        let mut values = Vec::new();
        for found in snapshot.plumbing().sections_by_name(section).into_iter().flatten() {
            let below =
                found.header().subsection_name().map(|name| name.to_str_lossy().into_owned()).unwrap_or_default();
            let Some(rest) = below.strip_prefix(subsection) else { continue };
            let start = match rest.strip_prefix('.') {
                Some(rest) => format!("{rest}."),
                None if rest.is_empty() => String::new(),
                None => continue,
            };
            for name in found.value_names() {
                if let Some(value) = found.value(&name) {
                    values.push((format!("{start}{name}").to_lowercase(), value.to_str_lossy().into_owned()));
                }
            }
        }
        values
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
