//! Which git remote runs are shared through.

use crate::git::{GitError, Repository};

/// The git remote that goes with a remote for artifacts, given its name and URL: the one it lies on (`lfs::origin`), or
/// the one that is called like it; else the upstream of the branch, else `origin`, else the only one. None if there is
/// none.
pub fn git_remote_for(repository: &Repository, data_remote: Option<(&str, &str)>) -> Result<Option<String>, GitError> {
    let mut remotes = repository.remotes()?;
    let is_there = |name: &str| remotes.iter().any(|remote| remote == name);
    if let Some((name, url)) = data_remote {
        let on_git = url.strip_prefix("lfs::");
        if let Some(found) = on_git.into_iter().chain([name]).find(|name| is_there(name)) {
            return Ok(Some(found.to_owned()));
        }
    }
    if let Some(branch) = repository.head()?.branch
        && let Some(upstream) = repository.config(&format!("branch.{branch}.remote"))?
        && is_there(&upstream)
    {
        return Ok(Some(upstream));
    }
    if is_there("origin") {
        return Ok(Some("origin".to_owned()));
    }
    Ok(if remotes.len() == 1 { remotes.pop() } else { None })
}
