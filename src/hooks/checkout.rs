//! After a checkout or a merge: tracked data in line with the pointers.

use std::collections::BTreeMap;

use super::HookError;
use crate::files::RelPath;
use crate::id::CommitId;
use crate::track::{CheckedOut, CheckoutOptions, Pointer, Progress, State, TrackError, Workspace, last_checked_out};

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
/// from its old pointer is the user's own work and stays. Of the others nothing is looked at.
pub fn after_checkout(
    workspace: &Workspace,
    previous: Option<CommitId>,
    is_whole: bool,
    options: CheckoutOptions,
    progress: &dyn Progress,
) -> Result<Changed, HookError> {
    let mut changed = Changed::default();
    match is_whole {
        true => bring_in_line(workspace, moved_from(workspace, previous)?, options, progress, &mut changed)?,
        false => follow_restored_pointers(workspace, options, progress, &mut changed)?,
    }
    Ok(changed)
}

/// After `git merge` or `git pull`; a squashed merge leaves HEAD where it was.
pub fn after_merge(
    workspace: &Workspace,
    is_squash: bool,
    options: CheckoutOptions,
    progress: &dyn Progress,
) -> Result<Changed, HookError> {
    let resolve = |revision| workspace.repository.resolve(revision).ok();
    let pointers = if is_squash {
        let before = match resolve("HEAD") {
            Some(commit) => workspace.pointers_at(&commit).unwrap_or_default(),
            None => BTreeMap::new(),
        };
        all_against(workspace, before)?
    } else {
        moved_from(workspace, resolve("ORIG_HEAD"))?
    };
    let mut changed = Changed::default();
    bring_in_line(workspace, pointers, options, progress, &mut changed)?;
    Ok(changed)
}

/// Paths of data whose pointers may have changed, with the pointers that they had.
type Moved = BTreeMap<RelPath, Option<Pointer>>;

/// What HEAD's move from a commit changed; everything where that cannot be told, as in a shallow clone.
fn moved_from(workspace: &Workspace, previous: Option<CommitId>) -> Result<Moved, HookError> {
    let head = workspace.repository.head()?.commit;
    let moved = previous.zip(head).and_then(|(old, new)| workspace.pointers_changed(&old, &new).ok());
    moved.map_or_else(|| all_against(workspace, BTreeMap::new()), Ok)
}

fn all_against(workspace: &Workspace, before: BTreeMap<RelPath, Pointer>) -> Result<Moved, HookError> {
    let now = workspace.all_pointers()?.valid;
    let mut moved: Moved = now.keys().map(|path| (path.clone(), None)).collect();
    moved.extend(before.into_iter().map(|(path, pointer)| (path, Some(pointer))));
    Ok(moved)
}

fn bring_in_line(
    workspace: &Workspace,
    moved: Moved,
    options: CheckoutOptions,
    progress: &dyn Progress,
    changed: &mut Changed,
) -> Result<(), HookError> {
    for (path, old) in moved {
        let now = match workspace.pointer(&path) {
            Ok(now) => Some(now),
            Err(TrackError::NotTracked { .. }) => None,
            Err(error) => {
                changed.warnings.push(format!("{path} stays as it is: {error}"));
                continue;
            }
        };
        let Some(pointer) = now else {
            let stands = path.under(workspace.repository.work_dir()?).symlink_metadata().is_ok();
            if old.is_some() && stands && workspace.repository.tracked_below(&path)?.is_empty() {
                changed.warnings.push(format!(
                    "{path} stays where it is, though no pointer names it here: take care not to `git add` it"
                ));
            }
            continue;
        };
        if old.as_ref().is_some_and(|old| old.id == pointer.id) {
            continue;
        }
        match may_be_replaced(workspace, &path, old.as_ref(), &pointer) {
            Ok(true) => check_out(workspace, &path, options, progress, changed),
            Ok(false) => changed.warnings.push(format!(
                "{path} has changes of its own, so it stays as it is; `git ml checkout {path} --force` gives it up"
            )),
            Err(error) => changed.warnings.push(format!("{path} stays as it is: {error}")),
        }
    }
    Ok(())
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
fn follow_restored_pointers(
    workspace: &Workspace,
    options: CheckoutOptions,
    progress: &dyn Progress,
    changed: &mut Changed,
) -> Result<(), HookError> {
    for (path, last) in last_checked_out(workspace.repository.git_dir()) {
        let Ok(pointer) = workspace.pointer(&path) else { continue };
        if last == pointer.id {
            continue;
        }
        let old = Pointer { id: last, ..pointer };
        if workspace.state_against(&path, &old)? == State::Clean {
            check_out(workspace, &path, options, progress, changed);
        }
    }
    Ok(())
}

fn check_out(
    workspace: &Workspace,
    path: &RelPath,
    options: CheckoutOptions,
    progress: &dyn Progress,
    changed: &mut Changed,
) {
    match workspace.checkout(std::slice::from_ref(path), options, progress) {
        Ok(done) => changed.updated.extend(done.artifacts.into_iter().filter(|one| one.written + one.removed > 0)),
        Err(error) => changed.warnings.push(format!("{path} stays as it is: {error}")),
    }
}
