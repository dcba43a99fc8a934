//! Collecting on a remote what nobody names.

use crate::git::Repository;
use crate::id::ArtifactId;
use crate::reach::Reach;
use crate::remote::{Remote, RemoteCollected, RemoteOptions};
use crate::track::{Progress, Workspace};

use super::UpkeepError;

/// Collects on a remote what nothing names: nothing here, and nothing on any remote of git's, which are asked first.
pub fn collect_remote(
    workspace: &Workspace,
    remote: &Remote,
    options: &RemoteOptions,
    progress: &dyn Progress,
) -> Result<RemoteCollected, UpkeepError> {
    progress.start("fetching what others name", None);
    fetch_names(&workspace.repository)?;
    let reach = Reach::of(workspace)?;
    progress.finish();
    let artifacts: Vec<ArtifactId> = reach.artifacts().keys().copied().collect();
    Ok(remote.collect(&workspace.store, &artifacts, options, progress)?)
}

/// Fetches every branch and tag and all refs of ours, whatever is configured: a clone may follow one branch only. What
/// is gone there stays known here, so at worst too much is kept.
fn fetch_names(repository: &Repository) -> Result<(), UpkeepError> {
    let remotes = String::from_utf8_lossy(&repository.run_git(&["remote"])?).into_owned();
    for remote in remotes.lines().filter(|remote| !remote.is_empty()) {
        let branches = format!("+refs/heads/*:refs/remotes/{remote}/*");
        let own = |kind: &str, place: &str| format!("+refs/{kind}/*:refs/ml/remotes/{remote}/{place}*");
        let (tags, ours) = (own("tags", "tags/"), own("ml", ""));
        // What others fetched from others is theirs.
        let theirs = "^refs/ml/remotes/*";
        let arguments =
            ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, &branches, &tags, &ours, theirs];
        repository.run_git(&arguments)?;
    }
    Ok(())
}
