//! After a checkout or a merge: tracked data in line with the pointers.

use std::collections::BTreeMap;

use super::HookError;
use crate::files::RelPath;
use crate::id::CommitId;
use crate::track::{CheckedOut, Pointer, Progress, State, TrackError, Workspace};

/// What a hook did with the data.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Artifacts that were brought in line.
    pub updated: Vec<CheckedOut>,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// After `git checkout` or `git switch`, as git calls its hook: the commit before, and whether all of the work tree
/// was checked out rather than some files of it.
///
/// Artifacts whose pointers changed are brought in line where they stand as their old pointers said. What differs
/// from its old pointer is the user's own work and stays.
pub fn after_checkout(
    workspace: &Workspace,
    previous: Option<CommitId>,
    is_whole: bool,
    progress: &dyn Progress,
) -> Result<Changed, HookError> {
    match is_whole {
        true => bring_in_line(workspace, previous, progress),
        false => follow_restored_pointers(workspace, progress),
    }
}

/// After `git merge` or `git pull`; a squashed merge leaves HEAD where it was.
pub fn after_merge(workspace: &Workspace, is_squash: bool, progress: &dyn Progress) -> Result<Changed, HookError> {
    let previous = if is_squash { "HEAD" } else { "ORIG_HEAD" };
    bring_in_line(workspace, workspace.repository.resolve(previous).ok(), progress)
}

fn bring_in_line(
    workspace: &Workspace,
    previous: Option<CommitId>,
    progress: &dyn Progress,
) -> Result<Changed, HookError> {
    let before = match previous {
        // A commit that cannot be read, as in a shallow clone, says nothing about what was there.
        Some(commit) => workspace.pointers_at(&commit).unwrap_or_default(),
        None => BTreeMap::new(),
    };
    let now = workspace.pointers()?;
    let mut changed = Changed::default();
    for (path, pointer) in &now {
        let old = before.get(path);
        if old.is_some_and(|old| old.id == pointer.id) {
            continue;
        }
        match may_be_replaced(workspace, path, old, pointer) {
            Ok(true) => check_out(workspace, path, progress, &mut changed),
            Ok(false) => changed.warnings.push(format!(
                "{path} has changes of its own, so it stays as it is; `git ml checkout {path} --force` gives it up"
            )),
            Err(error) => changed.warnings.push(format!("{path} stays as it is: {error}")),
        }
    }
    for path in before.keys().filter(|path| !now.contains_key(path)) {
        let stands = path.under(workspace.repository.work_dir()?).symlink_metadata().is_ok();
        if stands && workspace.repository.tracked_below(path)?.is_empty() {
            changed.warnings.push(format!(
                "{path} stays where it is, though no pointer names it here: take care not to `git add` it"
            ));
        }
    }
    Ok(changed)
}

/// Whether what stands at `path` is nobody's own work: nothing at all, or one of the two versions.
fn may_be_replaced(
    workspace: &Workspace,
    path: &RelPath,
    old: Option<&Pointer>,
    new: &Pointer,
) -> Result<bool, TrackError> {
    match workspace.state_against(path, new)? {
        State::Clean | State::Missing => return Ok(true),
        State::Unstored if path.under(workspace.repository.work_dir()?).symlink_metadata().is_err() => return Ok(true),
        State::Modified | State::Unstored => {}
    }
    match old {
        Some(old) => Ok(workspace.state_against(path, old)? == State::Clean),
        None => Ok(false),
    }
}

/// After `git checkout -- x.mlref`, where git does not say what the pointer was before: artifacts that stand as they
/// were last tracked or checked out follow their pointers. Everything else is left without a word, since most such
/// checkouts have nothing to do with pointers.
fn follow_restored_pointers(workspace: &Workspace, progress: &dyn Progress) -> Result<Changed, HookError> {
    let mut changed = Changed::default();
    for (path, pointer) in workspace.pointers()? {
        let Some(last) = workspace.last_known(&path).filter(|last| *last != pointer.id) else { continue };
        let old = Pointer { id: last, ..pointer };
        if workspace.state_against(&path, &old)? == State::Clean {
            check_out(workspace, &path, progress, &mut changed);
        }
    }
    Ok(changed)
}

fn check_out(workspace: &Workspace, path: &RelPath, progress: &dyn Progress, changed: &mut Changed) {
    match workspace.checkout(std::slice::from_ref(path), false, progress) {
        Ok(done) => changed.updated.extend(done.into_iter().filter(|one| one.written + one.removed > 0)),
        Err(error) => changed.warnings.push(format!("{path} stays as it is: {error}")),
    }
}
