//! Before a push: are the bytes of the pointers where others can get them?

use std::collections::BTreeSet;

use super::HookError;
use crate::config::Config;
use crate::id::{ArtifactId, CommitId};
use crate::remote::{Environment, configured};
use crate::track::{POINTER_SUFFIX, Pointer, Workspace};

/// Bytes that a pointer may have.
const MAX_POINTER: u64 = 64 << 10;

/// A ref that git is about to push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushedRef {
    /// What is pushed; none where the remote's ref is deleted.
    pub local: Option<CommitId>,
    /// What the remote's ref points to now; none where it is new.
    pub remote: Option<CommitId>,
}

/// An artifact that a pushed pointer names and that others cannot get.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unavailable {
    /// The pointer's path without its suffix.
    pub path: String,
    /// The artifact.
    pub id: ArtifactId,
}

/// Reads what git gives the hook on stdin: lines `<local ref> <local id> <remote ref> <remote id>`.
pub fn parse_push(input: &str) -> Result<Vec<PushedRef>, HookError> {
    let not_understood = |line: &str| HookError::Input { hook: "pre-push", line: line.to_owned() };
    let id = |text: &str, line: &str| match text.bytes().all(|byte| byte == b'0') {
        true => Ok(None),
        false => text.parse().map(Some).map_err(|_| not_understood(line)),
    };
    let mut refs = Vec::new();
    for line in input.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, local, _, remote] = words[..] else { return Err(not_understood(line)) };
        refs.push(PushedRef { local: id(local, line)?, remote: id(remote, line)? });
    }
    Ok(refs)
}

/// Fails if the push would give others pointers without the bytes.
///
/// Only what the remote does not have yet is looked at. A file that merely looks like a pointer is no reason to
/// refuse a push.
pub fn before_push(
    workspace: &Workspace,
    config: &Config,
    environment: &Environment,
    remote: &str,
    refs: &[PushedRef],
) -> Result<(), HookError> {
    let repository = &workspace.repository;
    if config.hooks.require_pushed == Some(false) {
        return Ok(());
    }
    let tips: Vec<CommitId> = refs.iter().filter_map(|pushed| pushed.local).collect();
    let mut hidden: Vec<CommitId> = refs.iter().filter_map(|pushed| pushed.remote).collect();
    for (_, commit) in repository.refs(&format!("refs/remotes/{remote}/")).unwrap_or_default() {
        hidden.push(commit);
    }
    let mut unavailable = BTreeSet::new();
    for file in repository.added_files(&tips, &hidden, POINTER_SUFFIX, MAX_POINTER)? {
        let Some(pointer) = file.content.and_then(|content| Pointer::parse(&content).ok()) else { continue };
        if !is_available_elsewhere(workspace, environment, &pointer.id)? {
            let path = file.path.strip_suffix(POINTER_SUFFIX).unwrap_or(&file.path).to_owned();
            unavailable.insert(Unavailable { path, id: pointer.id });
        }
    }
    match unavailable.is_empty() {
        true => Ok(()),
        false => Err(HookError::Unavailable { artifacts: unavailable.into_iter().collect() }),
    }
}

/// Whether others can get all of an artifact's bytes: whether a remote has them. One that is out of reach has nothing.
pub fn is_available_elsewhere(
    workspace: &Workspace,
    environment: &Environment,
    artifact: &ArtifactId,
) -> Result<bool, HookError> {
    for remote in configured(workspace)? {
        if remote
            .open(workspace, environment)
            .is_ok_and(|remote| remote.has(&workspace.store, artifact).unwrap_or(false))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_read() {
        let one = "1111111111111111111111111111111111111111";
        let zero = "0000000000000000000000000000000000000000";
        let input = format!("refs/heads/main {one} refs/heads/main {zero}\n(delete) {zero} refs/heads/old {one}\n\n");
        let refs = parse_push(&input).unwrap();
        let id = Some(one.parse().unwrap());
        assert_eq!(refs, [PushedRef { local: id, remote: None }, PushedRef { local: None, remote: id }]);
        assert!(parse_push("").unwrap().is_empty());
        for bad in ["x", "a b c d", "a b c d e", &format!("refs/heads/main {one} refs/heads/main")] {
            assert!(matches!(parse_push(bad), Err(HookError::Input { .. })), "{bad}");
        }
    }
}
