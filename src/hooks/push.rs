//! Before a push: the bytes of the pointers go where others can get them.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::HookError;
use crate::config::Config;
use crate::id::{ArtifactId, CommitId};
use crate::remote::{Configured, Environment, Remote, RemoteError, Transferred, configured};
use crate::track::{POINTER_SUFFIX, Pointer, Progress, Workspace};

/// Bytes that a pointer may have.
const MAX_POINTER: u64 = 64 << 10;

/// A ref that git is about to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// The ref on the remote: `refs/heads/main`.
    pub target: String,
    /// What is pushed; none where the remote's ref is deleted.
    pub local: Option<CommitId>,
    /// What the remote's ref points to now; none where it is new.
    pub remote: Option<CommitId>,
}

impl PushedRef {
    /// The branch on the remote; none where it is something else, as a tag.
    pub fn branch(&self) -> Option<&str> {
        self.target.strip_prefix("refs/heads/")
    }
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
        let [_, local, target, remote] = words[..] else { return Err(not_understood(line)) };
        refs.push(PushedRef { target: target.to_owned(), local: id(local, line)?, remote: id(remote, line)? });
    }
    Ok(refs)
}

/// What was sent before a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// The remote that has it now.
    pub remote: String,
    /// What it got.
    pub transferred: Transferred,
}

/// Sends the bytes that the push would give others only pointers to, and fails if they cannot get them all then.
///
/// Only what git's `remote` does not have yet is looked at. A file that merely looks like a pointer is no reason to
/// refuse a push.
pub fn before_push(
    workspace: &Workspace,
    config: &Config,
    environment: &Environment,
    remote: &str,
    refs: &[PushedRef],
    progress: &dyn Progress,
) -> Result<Option<Uploaded>, HookError> {
    if config.hooks.require_pushed == Some(false) {
        return Ok(None);
    }
    let wanted = published(workspace, remote, refs)?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let remotes = configured(workspace)?;
    let chosen = choose(&remotes, remote, config)?;
    // A remote that is out of reach matters only if nobody else has the bytes.
    let (target, unreachable) = match chosen.map(|chosen| (chosen, chosen.open(workspace, environment))) {
        Some((_, Ok(target))) => (Some(target), None),
        Some((chosen, Err(error))) => (None, Some((chosen.name.clone(), error))),
        None => (None, None),
    };
    let store = &workspace.store;
    let others = LazyCell::new(|| {
        let others = remotes.iter().filter(|other| Some(*other) != chosen);
        others.filter_map(|other| other.open(workspace, environment).ok()).collect::<Vec<Remote>>()
    });
    // One that cannot tell has nothing.
    let has = |remote: &Remote, id: &ArtifactId| remote.has(store, id).unwrap_or(false);
    let (mut to_send, mut unavailable) = (Vec::new(), BTreeSet::new());
    for (id, path) in wanted {
        if target.as_ref().is_some_and(|target| has(target, &id)) {
            continue;
        }
        if target.is_some() && store.has_artifact(&id).map_err(RemoteError::from)? {
            to_send.push(id);
        } else if !others.iter().any(|other| has(other, &id)) {
            unavailable.insert(Unavailable { path, id });
        }
    }
    if !unavailable.is_empty() {
        return Err(match unreachable {
            Some((remote, source)) => HookError::Upload { remote, source },
            None => {
                let remotes = remotes.into_iter().map(|remote| remote.name).collect();
                HookError::Unavailable { artifacts: unavailable.into_iter().collect(), remotes }
            }
        });
    }
    match target {
        Some(target) if !to_send.is_empty() => {
            let remote = target.name().to_owned();
            match target.push(store, &to_send, progress) {
                Ok(transferred) => Ok(Some(Uploaded { remote, transferred })),
                Err(source) => Err(HookError::Upload { remote, source }),
            }
        }
        _ => Ok(None),
    }
}

/// The artifacts whose pointers the push brings to git's `remote`, each with a path that names it.
fn published(
    workspace: &Workspace,
    remote: &str,
    refs: &[PushedRef],
) -> Result<BTreeMap<ArtifactId, String>, HookError> {
    let repository = &workspace.repository;
    let tips: Vec<CommitId> = refs.iter().filter_map(|pushed| pushed.local).collect();
    let mut hidden: Vec<CommitId> = refs.iter().filter_map(|pushed| pushed.remote).collect();
    for (_, commit) in repository.refs(&format!("refs/remotes/{remote}/")).unwrap_or_default() {
        hidden.push(commit);
    }
    let mut wanted = BTreeMap::new();
    for file in repository.added_files(&tips, &hidden, POINTER_SUFFIX, MAX_POINTER)? {
        let Some(pointer) = file.content.and_then(|content| Pointer::parse(&content).ok()) else { continue };
        let path = file.path.strip_suffix(POINTER_SUFFIX).unwrap_or(&file.path).to_owned();
        wanted.insert(pointer.id, path);
    }
    Ok(wanted)
}

/// The remote that bytes are sent to: the one that the configuration names, the one that is called like git's, or the
/// only one.
fn choose<'r>(
    remotes: &'r [Configured],
    git_remote: &str,
    config: &Config,
) -> Result<Option<&'r Configured>, HookError> {
    let called = |name: &str| remotes.iter().find(|remote| remote.name == name);
    match (&config.hooks.pre_push.remote, remotes) {
        _ if config.hooks.pre_push.upload == Some(false) => Ok(None),
        (Some(name), _) => match called(name) {
            Some(remote) => Ok(Some(remote)),
            None => Err(HookError::UnknownRemote { name: name.clone() }),
        },
        (None, [only]) => Ok(Some(only)),
        (None, _) => Ok(called(git_remote)),
    }
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
        assert_eq!(
            refs.iter().map(|pushed| (pushed.local, pushed.remote)).collect::<Vec<_>>(),
            [(id, None), (None, id)]
        );
        assert_eq!(refs.iter().map(PushedRef::branch).collect::<Vec<_>>(), [Some("main"), Some("old")]);
        let tag = parse_push(&format!("refs/tags/v1 {one} refs/tags/v1 {zero}\n")).unwrap();
        assert_eq!(tag[0].branch(), None);
        assert!(parse_push("").unwrap().is_empty());
        for bad in ["x", "a b c d", "a b c d e", &format!("refs/heads/main {one} refs/heads/main")] {
            assert!(matches!(parse_push(bad), Err(HookError::Input { .. })), "{bad}");
        }
    }
}
