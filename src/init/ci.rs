//! What a forge's CI needs: a workflow that verifies every push and reports on pull requests.

use crate::config::Config;
use crate::files::{RelPath, create_dir_all, resolve_beneath};
use crate::track::Workspace;

use super::{InitError, Standing, look, write};

const GITHUB: &str = include_str!("../../templates/ci/github.yml");
const GITLAB: &str = include_str!("../../templates/ci/gitlab.yml");
/// Stands in a template where the name of the remote goes.
const REMOTE: &str = "@REMOTE@";

/// The file that GitLab begins with, and what it has to say for ours to be read.
const GITLAB_FIRST: &str = ".gitlab-ci.yml";
const GITLAB_INCLUDE: &str = "include:\n  - local: .gitlab/git-ml.yml\n";

/// Whose CI it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
}

impl Forge {
    /// Where the workflow goes.
    pub fn path(self) -> &'static str {
        match self {
            Self::GitHub => ".github/workflows/git-ml.yml",
            Self::GitLab => ".gitlab/git-ml.yml",
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::GitHub => GITHUB,
            Self::GitLab => GITLAB,
        }
    }

    /// The workflow that asks `remote` for the data.
    fn workflow(self, remote: &str) -> String {
        self.template().replace(REMOTE, remote)
    }

    /// Whether a file is this workflow, whichever remote it names.
    fn is_own(self, text: &str) -> bool {
        let Some((before, rest)) = self.template().split_once(REMOTE) else { return false };
        let remote = text.strip_prefix(before).and_then(|text| text.strip_suffix(rest));
        remote.is_some_and(|remote| !remote.contains(['"', '\n']))
    }
}

/// What was done for CI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Where the workflow is.
    pub path: &'static str,
    /// The remote whose data it asks for: the only one of `ml.toml`.
    pub remote: Option<String>,
    /// What was written.
    pub written: Vec<RelPath>,
    /// A file that is not ours, and the lines that it lacks.
    pub missing: Option<(&'static str, &'static str)>,
}

/// Writes the workflow for a forge. One that is there already stays as it is, with the remote that it names; a file of
/// that name that is none of ours is a conflict.
pub fn write_workflow(workspace: &Workspace, forge: Forge) -> Result<Workflow, InitError> {
    let work_dir = workspace.repository.work_dir()?;
    let remotes = Config::load(work_dir)?.remotes;
    let remote = if remotes.len() == 1 { remotes.into_keys().next() } else { None };
    let mut workflow = Workflow { path: forge.path(), remote, written: Vec::new(), missing: None };
    let text = forge.workflow(workflow.remote.as_deref().unwrap_or_default());

    let mut plan = Vec::new();
    let mut conflicts = Vec::new();
    let path = RelPath::new(forge.path())?;
    match look(&resolve_beneath(work_dir, &path)?)? {
        Standing::Nothing => plan.push((path, text)),
        Standing::File(there) if std::str::from_utf8(&there).is_ok_and(|text| forge.is_own(text)) => {}
        Standing::File(_) | Standing::Other => conflicts.push(path.to_string()),
    }
    if forge == Forge::GitLab {
        let path = RelPath::new(GITLAB_FIRST)?;
        match look(&resolve_beneath(work_dir, &path)?)? {
            Standing::Nothing => plan.push((path, GITLAB_INCLUDE.to_owned())),
            Standing::File(there) if String::from_utf8_lossy(&there).contains(forge.path()) => {}
            Standing::File(_) => workflow.missing = Some((GITLAB_FIRST, GITLAB_INCLUDE)),
            Standing::Other => conflicts.push(path.to_string()),
        }
    }
    if !conflicts.is_empty() {
        return Err(InitError::Conflicts { paths: conflicts });
    }
    for (path, text) in plan {
        let place = resolve_beneath(work_dir, &path)?;
        if let Some(parent) = place.parent() {
            create_dir_all(parent)?;
        }
        write(&place, text.as_bytes())?;
        workflow.written.push(path);
    }
    Ok(workflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_is_known_whichever_remote_it_names() {
        for forge in [Forge::GitHub, Forge::GitLab] {
            assert_eq!(forge.template().matches(REMOTE).count(), 1);
            assert!(forge.is_own(&forge.workflow("")) && forge.is_own(&forge.workflow("share")));
            assert!(!forge.is_own(&forge.workflow("share").replace("--all", "")));
            assert!(!forge.is_own("name: mine\n"));
        }
    }
}
