//! `git ml push`, `git ml pull` and `git ml fetch`

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use crate::files::RelPath;
use crate::git::GitError;
use crate::id::ArtifactId;
use crate::registry::Registry;
use crate::remote::{Configured, Remote, RemoteError, Transferred, configured, parse_rate};
use crate::track::{CheckoutOptions, Done, TrackError, Workspace};
use crate::words::{count, size};

use super::output::{Bar, print_json, print_line};
use super::{Context, Failure};

/// Send tracked artifacts and registered versions to a remote
///
/// What is sent are the artifacts that pointers in the work tree and on local branches name, and those of all
/// registered versions. Push before `git push`, so that nobody fetches a pointer without its bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// The remote; may be left out where there is one
    remote: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Fetch artifacts from a remote, then bring the data in line with the pointers
///
/// Without paths: all that pointers in the work tree and registered versions name. With paths: those artifacts alone.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml pull\n\
\x20 git ml pull data/digits\n\
\x20 git ml pull share data/digits data/tables")]
pub(crate) struct PullArgs {
    #[command(flatten)]
    from: Which,
    #[command(flatten)]
    common: Common,
}

/// Fetch artifacts from a remote and leave the work tree as it is
#[derive(Debug, clap::Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    from: Which,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The remote; may be left out where there is one
    remote: Option<String>,
    /// Tracked paths, or folders of them [default: all]
    #[arg(value_name = "ARTIFACT")]
    paths: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Bytes a second that the transfer may take: 500k, 2MiB
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_rate: Option<u64>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn push(context: &Context, args: &PushArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let remote = choose(&workspace, args.remote.as_deref())?;
    let mut wanted = pointed_to(&workspace)?;
    wanted.extend(branches(&workspace)?);
    wanted.extend(registered(&workspace)?);
    let wanted: Vec<ArtifactId> = wanted.into_iter().collect();
    let transferred =
        open(context, &workspace, &remote, &args.common)?.push(&workspace.store, &wanted, &Bar::new(context))?;
    report(&args.common, "pushed", &remote, &transferred)
}

pub(crate) fn pull(context: &Context, args: &PullArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    workspace.repository.work_dir()?;
    let (transferred, paths) = fetch_into(context, &workspace, &args.from, &args.common, "pulled")?;
    let options = CheckoutOptions::from(&context.config(&workspace)?.checkout);
    let Done { artifacts: changed, faulty } = workspace.checkout(&paths, options, &Bar::new(context))?;
    if transferred.artifacts == 0 && changed.is_empty() {
        context.say("the data is as the pointers say");
    }
    for artifact in changed {
        context.say(&format!("{}: {} written", artifact.path, count(artifact.written as u64, "file")));
    }
    Failure::of_pointers(faulty)
}

pub(crate) fn fetch(context: &Context, args: &FetchArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    fetch_into(context, &workspace, &args.from, &args.common, "fetched")?;
    Ok(())
}

/// Fetches what is meant, and says which paths those are; none for all.
fn fetch_into(
    context: &Context,
    workspace: &Workspace,
    from: &Which,
    common: &Common,
    verb: &str,
) -> Result<(Transferred, Vec<RelPath>), Failure> {
    let (remote, paths) = choose_with_paths(context, workspace, from)?;
    let mut wanted: BTreeSet<ArtifactId>;
    if paths.is_empty() {
        wanted = pointed_to(workspace)?;
        wanted.extend(registered(workspace)?);
    } else {
        let pointers = workspace.selected_pointers(&paths)?;
        wanted = pointers.into_values().map(|pointer| pointer.id).collect();
    }
    let wanted: Vec<ArtifactId> = wanted.into_iter().collect();
    let transferred = open(context, workspace, &remote, common)?.pull(&workspace.store, &wanted, &Bar::new(context))?;
    report(common, verb, &remote, &transferred)?;
    Ok((transferred, paths))
}

/// Opens a remote, with the rate that was asked for.
fn open(context: &Context, workspace: &Workspace, remote: &Configured, common: &Common) -> Result<Remote, Failure> {
    let mut opened = remote.open(workspace, &context.environment())?;
    if let Some(rate) = common.limit_rate {
        opened.limit_rate(rate);
    }
    Ok(opened)
}

fn rate(text: &str) -> Result<u64, String> {
    parse_rate(text).ok_or_else(|| "write it as 500k, 2MiB or a number of bytes a second".to_owned())
}

/// The remote and the paths that are meant. The first word is a remote if there is one of that name.
fn choose_with_paths(
    context: &Context,
    workspace: &Workspace,
    from: &Which,
) -> Result<(Configured, Vec<RelPath>), Failure> {
    let is_remote = |name: &str| Ok::<_, Failure>(configured(workspace)?.iter().any(|remote| remote.name == name));
    let mut paths = from.paths.clone();
    let remote = match from.remote.as_deref() {
        Some(first) if !is_remote(first)? && is_tracked(context, workspace, first) => {
            paths.insert(0, PathBuf::from(first));
            None
        }
        first => first,
    };
    let remote = choose(workspace, remote)?;
    Ok((remote, workspace.scope(&context.folder, &paths)?))
}

/// Whether a word names tracked data. One that names neither a remote nor data is taken for a remote if it could be one.
fn is_tracked(context: &Context, workspace: &Workspace, word: &str) -> bool {
    let path = PathBuf::from(word);
    let scope = workspace.scope(&context.folder, std::slice::from_ref(&path));
    let names_data = |scope: &[RelPath]| scope.is_empty() || workspace.selected_pointers(scope).is_ok();
    word.contains('/') || scope.is_ok_and(|scope| names_data(&scope))
}

/// The remote that is meant: the one named, or the only one there is.
pub(super) fn choose(workspace: &Workspace, name: Option<&str>) -> Result<Configured, Failure> {
    let mut remotes = configured(workspace)?;
    match name {
        Some(name) => match remotes.into_iter().find(|remote| remote.name == name) {
            Some(remote) => Ok(remote),
            None => Err(RemoteError::Unknown { name: name.to_owned() }.into()),
        },
        None if remotes.len() == 1 => Ok(remotes.remove(0)),
        None if remotes.is_empty() => Err(Failure::User {
            message: "there is no remote for artifacts".to_owned(),
            hint: "`git ml remote add NAME URL` adds one".to_owned(),
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
