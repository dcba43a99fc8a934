//! The installed `git`.

use std::path::Path;

use super::{GitError, command};

/// What the user's `git` says of itself, such as `git version 2.47.1`.
pub fn installed_version() -> Result<String, GitError> {
    let output = command::Git::at(Path::new("/")).run(&["--version"])?;
    Ok(String::from_utf8_lossy(&output).trim().to_owned())
}
