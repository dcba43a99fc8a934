//! Inputs that are registered, and named as `cifar10@v1` where a path could stand.

use crate::files::RelPath;
use crate::registry::Registry;
use crate::run::{RunInput, inputs_from_pointers};
use crate::track::Workspace;

use super::Failure;

/// Those of `paths` that name a registered version: they have an `@`, and there is no such path. Each is an input with
/// that text for its path.
pub(super) fn registered<'p>(
    workspace: &Workspace,
    paths: impl IntoIterator<Item = &'p RelPath>,
) -> Result<Vec<RunInput>, Failure> {
    let work_dir = workspace.repository.work_dir()?;
    let is_path = |path: &RelPath| path.under(work_dir).symlink_metadata().is_ok() || workspace.pointer(path).is_ok();
    let mut found = Vec::new();
    for path in paths {
        if path.as_str().contains('@') && !is_path(path) {
            let resolved = Registry::new(workspace).resolve(work_dir, path.as_str())?;
            found.push(RunInput { path: path.clone(), name: resolved.name, id: resolved.id });
        }
    }
    Ok(found)
}

/// The inputs of a command of which `ml.toml` names these; those of all pointers where it names none.
pub(super) fn of_command(
    workspace: &Workspace,
    paths: &[RelPath],
    registered: &[RunInput],
) -> Result<Vec<RunInput>, crate::run::RunError> {
    let is_path = |path: &&RelPath| registered.iter().all(|input| input.path != **path);
    let tracked: Vec<RelPath> = paths.iter().filter(is_path).cloned().collect();
    let mut inputs = match registered.is_empty() || !tracked.is_empty() {
        true => inputs_from_pointers(workspace, &tracked)?,
        false => Vec::new(),
    };
    inputs.extend(registered.iter().cloned());
    Ok(inputs)
}
