//! `git ml push`, `git ml pull` and `git ml fetch`

use std::collections::BTreeSet;

use serde_json::json;

use crate::git::GitError;
use crate::id::ArtifactId;
use crate::registry::Registry;
use crate::remote::{Configured, RemoteError, Transferred, configured};
use crate::track::{TrackError, Workspace};
use crate::words::{count, size};

use super::output::{Bar, print_json, print_line};
use super::{Context, Failure};

/// Send tracked artifacts and registered versions to a remote
///
/// What is sent are the artifacts that pointers in the work tree and on local branches name, and those of all
/// registered versions. Push before `git push`, so that nobody fetches a pointer without its bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    common: Common,
}

/// Fetch artifacts from a remote, then bring the data in line with the pointers
#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    common: Common,
}

/// Fetch artifacts from a remote and leave the work tree as it is
#[derive(Debug, clap::Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The remote; may be left out where there is one
    remote: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn push(context: &Context, args: &PushArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let remote = choose(&workspace, args.common.remote.as_deref())?;
    let mut wanted = pointed_to(&workspace)?;
    wanted.extend(branches(&workspace)?);
    wanted.extend(registered(&workspace)?);
    let wanted: Vec<ArtifactId> = wanted.into_iter().collect();
    let transferred = remote.open()?.push(&workspace.store, &wanted, &Bar::new(context))?;
    report(&args.common, "pushed", &remote, &transferred)
}

pub(crate) fn pull(context: &Context, args: &PullArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    workspace.repository.work_dir()?;
    let transferred = fetch_into(context, &workspace, &args.common, "pulled")?;
    let changed = workspace.checkout(&[], false, &Bar::new(context))?;
    if transferred.artifacts == 0 && changed.is_empty() {
        context.say("the data is as the pointers say");
    }
    for artifact in changed {
        context.say(&format!("{}: {} written", artifact.path, count(artifact.written as u64, "file")));
    }
    Ok(())
}

pub(crate) fn fetch(context: &Context, args: &FetchArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    fetch_into(context, &workspace, &args.common, "fetched")?;
    Ok(())
}

fn fetch_into(context: &Context, workspace: &Workspace, common: &Common, verb: &str) -> Result<Transferred, Failure> {
    let remote = choose(workspace, common.remote.as_deref())?;
    let mut wanted = pointed_to(workspace)?;
    wanted.extend(registered(workspace)?);
    let wanted: Vec<ArtifactId> = wanted.into_iter().collect();
    let transferred = remote.open()?.pull(&workspace.store, &wanted, &Bar::new(context))?;
    report(common, verb, &remote, &transferred)?;
    Ok(transferred)
}

/// The remote that is meant: the one named, or the only one there is.
fn choose(workspace: &Workspace, name: Option<&str>) -> Result<Configured, Failure> {
    let mut remotes = configured(workspace)?;
    match name {
        Some(name) => match remotes.into_iter().find(|remote| remote.name == name) {
            Some(remote) => Ok(remote),
            None => Err(RemoteError::Unknown { name: name.to_owned() }.into()),
        },
        None if remotes.len() == 1 => Ok(remotes.remove(0)),
        None if remotes.is_empty() => Err(Failure::User {
            message: "there is no remote for artifacts".to_owned(),
            hint: "`git ml remote add NAME FOLDER` adds one".to_owned(),
        }),
        None => {
            let names: Vec<String> = remotes.into_iter().map(|remote| remote.name).collect();
            Err(Failure::User {
                message: "there are several remotes".to_owned(),
                hint: format!("name one of {}", names.join(", ")),
            })
        }
    }
}

/// What the pointers in the work tree name, or in a bare repository those at HEAD.
fn pointed_to(workspace: &Workspace) -> Result<BTreeSet<ArtifactId>, Failure> {
    let pointers = match workspace.pointers() {
        Err(TrackError::Git(GitError::Bare)) => match workspace.repository.head()?.commit {
            Some(commit) => workspace.pointers_at(&commit)?,
            None => return Ok(BTreeSet::new()),
        },
        pointers => pointers?,
    };
    Ok(pointers.into_values().map(|pointer| pointer.id).collect())
}

/// What the pointers on local branches name. An artifact that was never in this store is none of ours to send.
fn branches(workspace: &Workspace) -> Result<BTreeSet<ArtifactId>, Failure> {
    let mut artifacts = BTreeSet::new();
    for (_, commit) in workspace.repository.refs("refs/heads/")? {
        for pointer in workspace.pointers_at(&commit)?.into_values() {
            if workspace.store.has_artifact(&pointer.id)? {
                artifacts.insert(pointer.id);
            }
        }
    }
    Ok(artifacts)
}

/// What registered versions name.
fn registered(workspace: &Workspace) -> Result<BTreeSet<ArtifactId>, Failure> {
    let models = Registry::new(workspace).models()?;
    Ok(models.into_iter().flat_map(|model| model.versions).map(|version| version.id).collect())
}

fn report(common: &Common, verb: &str, remote: &Configured, transferred: &Transferred) -> Result<(), Failure> {
    let Transferred { artifacts, packs, bytes } = *transferred;
    if common.json {
        return print_json(&json!({ "remote": remote.name, "artifacts": artifacts, "packs": packs, "bytes": bytes }));
    }
    match artifacts {
        0 => print_line(&format!(
            "{} has everything already",
            if verb == "pushed" { &remote.name } else { "this clone" }
        )),
        _ => print_line(&format!(
            "{verb} {} in {}, {}",
            count(artifacts as u64, "artifact"),
            count(packs as u64, "pack"),
            size(bytes)
        )),
    }
}
