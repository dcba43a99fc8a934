//! Bringing what a run read into a work tree.

use super::ReproduceError;
use crate::config::Config;
use crate::files::{Durability, publish, resolve_beneath};
use crate::remote::{Environment, configured};
use crate::run::RunInput;
use crate::store::{Entry, StoreError};
use crate::track::{ArtifactType, CheckoutOptions, Kind, POINTER_SUFFIX, Pointer, Progress, TrackError, Workspace};

/// Checks the inputs out in the work tree; those that the store does not have are fetched from the remotes first.
pub fn bring_inputs(
    workspace: &Workspace,
    inputs: &[RunInput],
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<(), ReproduceError> {
    fetch(workspace, inputs, environment, progress)?;
    let work_dir = workspace.repository.work_dir()?;
    let mut paths = Vec::new();
    for input in inputs {
        // A pointer that was never committed is in no snapshot.
        let has_pointer = workspace.pointer(&input.path).is_ok_and(|pointer| pointer.id == input.id);
        if !has_pointer {
            let pointer = pointer_of(workspace, input)?;
            let path = input.path.with_suffix(POINTER_SUFFIX)?;
            publish(&resolve_beneath(work_dir, &path)?, pointer.to_toml().as_bytes(), Durability::Buffered)?;
        }
        paths.push(input.path.clone());
    }
    if paths.is_empty() {
        return Ok(());
    }
    let settings = Config::load(work_dir).unwrap_or_default().checkout;
    let options = CheckoutOptions { force: true, ..CheckoutOptions::from(&settings) };
    let done = workspace.checkout(&paths, options, progress)?;
    match done.faulty.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => Ok(()),
    }
}

/// Fetches what the store lacks, from whichever remotes have it.
fn fetch(
    workspace: &Workspace,
    inputs: &[RunInput],
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<(), ReproduceError> {
    let store = &workspace.store;
    let lacks = |input: &&RunInput| Ok::<_, StoreError>(!store.has_artifact(&input.id)?);
    let missing = |inputs: &[RunInput]| -> Result<Vec<RunInput>, TrackError> {
        let mut missing = Vec::new();
        for input in inputs {
            if lacks(&input)? {
                missing.push(input.clone());
            }
        }
        Ok(missing)
    };
    let mut wanted = missing(inputs)?;
    if wanted.is_empty() {
        return Ok(());
    }
    let mut failure = None;
    for remote in configured(workspace)? {
        let fetched = remote.open(workspace, environment).and_then(|opened| {
            let mut there = Vec::new();
            for input in &wanted {
                if opened.has(store, &input.id)? {
                    there.push(input.id);
                }
            }
            opened.pull(store, &there, progress)
        });
        // Another remote may have it all.
        failure = fetched.err().or(failure);
        wanted = missing(&wanted)?;
        if wanted.is_empty() {
            return Ok(());
        }
    }
    match (failure, wanted.first()) {
        (Some(error), _) => Err(error.into()),
        (None, Some(first)) => {
            let (path, id) = (first.path.to_string(), first.id);
            Err(ReproduceError::NoInputs { missing: wanted.len(), path, id })
        }
        (None, None) => Ok(()),
    }
}

fn pointer_of(workspace: &Workspace, input: &RunInput) -> Result<Pointer, ReproduceError> {
    let manifest = workspace.store.manifest(&input.id).map_err(TrackError::from)?;
    let entries: &[Entry] = manifest.entries();
    Ok(Pointer {
        version: Pointer::VERSION,
        name: input.name.clone(),
        artifact_type: ArtifactType::dataset(),
        kind: if manifest.is_single_file() { Kind::File } else { Kind::Folder },
        id: input.id,
        files: entries.len() as u64,
        bytes: manifest.total_size(),
        meta: std::collections::BTreeMap::new(),
    })
}
