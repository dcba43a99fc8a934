//! `git ml push`, `git ml pull` and `git ml fetch`

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::json;

use crate::files::RelPath;
use crate::git::{GitError, Repository};
use crate::id::ArtifactId;
use crate::registry::Registry;
use crate::remote::{Configured, Remote, RemoteError, Transferred, configured, parse_rate};
use crate::run::Runs;
use crate::share::git_remote_for;
use crate::track::{CheckoutOptions, Done, TrackError, Workspace};
use crate::words::{count, size};

use super::output::{Bar, print_json, print_line};
use super::share::{self, Shared, Way};
use super::{Context, Failure};

/// Send tracked artifacts, registered versions and runs to a remote
///
/// What is sent are the artifacts that pointers in the work tree and on local branches name, and those of all
/// registered versions; then runs and the registry, through the git remote that goes with it. Push before `git push`,
/// so that nobody fetches a pointer without its bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// The remote; may be left out where there is one
    remote: Option<String>,
    /// Also send what runs made
    #[arg(long, conflicts_with = "runs_only")]
    outputs: bool,
    #[command(flatten)]
    common: Common,
}

/// Fetch artifacts and runs from a remote, then bring the data in line with the pointers
///
/// Without paths: all that pointers in the work tree and registered versions name, and everybody's runs. With paths:
/// those artifacts alone.
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

/// Fetch artifacts and runs from a remote and leave the work tree as it is
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
    /// Leave runs and the registry as they are
    #[arg(long, conflicts_with = "runs_only")]
    no_runs: bool,
    /// Runs and the registry alone, no artifacts
    #[arg(long)]
    runs_only: bool,
    /// Bytes a second that the transfer may take: 500k, 2MiB
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_rate: Option<u64>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn push(context: &Context, args: &PushArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let ends = ends(&workspace, args.remote.as_deref(), &args.common)?;
    let mut transferred = None;
    if let Some(remote) = &ends.data {
        let mut wanted = pointed_to(&workspace)?;
        wanted.extend(branches(&workspace)?);
        wanted.extend(registered(&workspace)?);
        if args.outputs {
            wanted.extend(outputs(&workspace)?);
        }
        let wanted: Vec<ArtifactId> = wanted.into_iter().collect();
        let opened = open(context, &workspace, remote, &args.common)?;
        transferred = Some(opened.push(&workspace.store, &wanted, &Bar::new(context))?);
    }
    // A record names artifacts, so it goes after them.
    let shared = match &ends.git {
        Some(git) => Some(share::exchange(context, &workspace, git, Way::Push)?),
        None => None,
    };
    report(&args.common, "pushed", &ends, transferred.as_ref(), shared.as_ref())?;
    shared.map_or(Ok(()), |shared| shared.tell(context, Way::Push, args.common.json))
}

pub(crate) fn pull(context: &Context, args: &PullArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    workspace.repository.work_dir()?;
    let (transferred, paths) = fetch_into(context, &workspace, &args.from, &args.common, "pulled")?;
    let Some(transferred) = transferred else { return Ok(()) };
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

/// Fetches what is meant. Says what came of artifacts, unless they were not meant, and which paths those are; none for
/// all.
fn fetch_into(
    context: &Context,
    workspace: &Workspace,
    from: &Which,
    common: &Common,
    verb: &str,
) -> Result<(Option<Transferred>, Vec<RelPath>), Failure> {
    let (ends, paths) = choose_with_paths(context, workspace, from, common)?;
    let mut shared = None;
    if let Some(git) = &ends.git {
        match share::exchange(context, workspace, git, Way::Fetch) {
            Ok(done) => shared = Some(done),
            // Whoever wants data gets it, also where git's remote is out of reach.
            Err(failure) if ends.data.is_some() => {
                context.warn(&format!("runs of {git} were not fetched: {failure}"));
            }
            Err(failure) => return Err(failure),
        }
    }
    let mut transferred = None;
    if let Some(remote) = &ends.data {
        let mut wanted: BTreeSet<ArtifactId>;
        if paths.is_empty() {
            // What the registry names by now, if it was fetched as well.
            wanted = pointed_to(workspace)?;
            wanted.extend(registered(workspace)?);
        } else {
            let pointers = workspace.selected_pointers(&paths)?;
            wanted = pointers.into_values().map(|pointer| pointer.id).collect();
        }
        let wanted: Vec<ArtifactId> = wanted.into_iter().collect();
        let opened = open(context, workspace, remote, common)?;
        transferred = Some(opened.pull(&workspace.store, &wanted, &Bar::new(context))?);
    }
    report(common, verb, &ends, transferred.as_ref(), shared.as_ref())?;
    if let Some(shared) = &shared {
        shared.tell(context, Way::Fetch, common.json)?;
    }
    Ok((transferred, paths))
}

/// Where a transfer goes to, or comes from.
#[derive(Debug)]
struct Ends {
    /// The remote for artifacts; none where there is none, or where they are not meant.
    data: Option<Configured>,
    /// The git remote for runs, in the same way.
    git: Option<String>,
}

/// The remotes that are meant: a remote for artifacts and the git remote that goes with it, or what there is of them.
fn ends(workspace: &Workspace, name: Option<&str>, common: &Common) -> Result<Ends, Failure> {
    let repository = &workspace.repository;
    let remotes = configured(workspace)?;
    let named = name.and_then(|name| remotes.iter().find(|remote| remote.name == name));
    let mut ends = match (name, named) {
        (Some(name), None) if repository.remotes()?.iter().any(|remote| remote == name) => {
            let on_it = remotes.iter().find(|remote| remote.settings.url.strip_prefix("lfs::") == Some(name));
            let only = (remotes.len() == 1).then(|| &remotes[0]);
            Ends { data: on_it.or(only).cloned(), git: Some(name.to_owned()) }
        }
        (Some(_), _) => with_git(repository, choose(workspace, name)?)?,
        (None, _) if remotes.is_empty() || common.runs_only && remotes.len() > 1 => {
            Ends { data: None, git: git_remote_for(repository, None)? }
        }
        (None, _) => with_git(repository, choose(workspace, None)?)?,
    };
    if common.no_runs {
        ends.git = None;
    }
    if common.runs_only {
        ends.data = None;
        if ends.git.is_none() {
            return Err(Failure::User {
                message: "there is no git remote to share runs through".to_owned(),
                hint: "`git remote add origin URL` adds one".to_owned(),
            });
        }
    }
    if ends.data.is_none() && ends.git.is_none() {
        // Says that there is none.
        ends.data = Some(choose(workspace, None)?);
    }
    Ok(ends)
}

fn with_git(repository: &Repository, data: Configured) -> Result<Ends, Failure> {
    let git = git_remote_for(repository, Some((&data.name, &data.settings.url)))?;
    Ok(Ends { data: Some(data), git })
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
    common: &Common,
) -> Result<(Ends, Vec<RelPath>), Failure> {
    let is_remote = |name: &str| {
        let is_ours = configured(workspace)?.iter().any(|remote| remote.name == name);
        Ok::<_, Failure>(is_ours || workspace.repository.remotes()?.iter().any(|remote| remote == name))
    };
    let mut paths = from.paths.clone();
    let remote = match from.remote.as_deref() {
        Some(first) if !is_remote(first)? && is_tracked(context, workspace, first) => {
            paths.insert(0, PathBuf::from(first));
            None
        }
        first => first,
    };
    let paths = workspace.scope(&context.folder, &paths)?;
    let mut ends = ends(workspace, remote, common)?;
    if !paths.is_empty() {
        // Who names data means those data.
        ends.git = None;
        if ends.data.is_none() {
            ends.data = Some(choose(workspace, None)?);
        }
    }
    Ok((ends, paths))
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

/// What the runs that were not removed made, as far as it is here.
fn outputs(workspace: &Workspace) -> Result<BTreeSet<ArtifactId>, Failure> {
    let (runs, _) = Runs::new(workspace).list()?;
    let mut artifacts = BTreeSet::new();
    for output in runs.into_iter().filter(|run| run.removed.is_none()).flat_map(|run| run.outputs) {
        if workspace.store.has_artifact(&output.id)? {
            artifacts.insert(output.id);
        }
    }
    Ok(artifacts)
}

fn report(
    common: &Common,
    verb: &str,
    ends: &Ends,
    transferred: Option<&Transferred>,
    shared: Option<&Shared>,
) -> Result<(), Failure> {
    let Transferred { artifacts, packs, bytes } = transferred.copied().unwrap_or_default();
    if common.json {
        return print_json(&json!({
            "remote": ends.data.as_ref().map(|remote| &remote.name),
            "artifacts": artifacts,
            "packs": packs,
            "bytes": bytes,
            "runs": shared.map(Shared::json),
        }));
    }
    // The runs are told of by themselves; what has nothing new of anything is told of once.
    let place = match (&ends.data, shared) {
        (Some(remote), _) => &remote.name,
        (None, Some(shared)) if shared.is_nothing() && verb == "pushed" => shared.remote(),
        (None, Some(shared)) if shared.is_nothing() => "this clone",
        (None, _) => return Ok(()),
    };
    match artifacts {
        0 => print_line(&format!("{} has everything already", if verb == "pushed" { place } else { "this clone" })),
        _ => print_line(&format!(
            "{verb} {} in {}, {}",
            count(artifacts as u64, "artifact"),
            count(packs as u64, "pack"),
            size(bytes)
        )),
    }
}
