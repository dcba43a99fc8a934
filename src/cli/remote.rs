//! `git ml remote`

use crate::config;
use crate::remote::{Remote, RemoteError, Scope, check_settings, configure, configured};
use crate::track::Workspace;

use super::output::{Align, Table, print_json, print_line};
use super::{Context, Failure};

/// Say where artifacts are pushed to and pulled from
///
/// A remote is a place that others reach too: a folder on a network drive (`git ml remote add share /mnt/team/store`),
/// a bucket (s3://, gs://, az://), a folder that ssh reaches (ssh://), the LFS server that the host of a git repository
/// has (`git ml remote add hub lfs::origin`), or for reading a folder behind a web server (https://). Credentials come
/// from the environment, from ssh and git, or from the files of the provider's own tools, never from ml.toml.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Add a remote, and set it up if that was not done yet
    Add(AddArgs),
    /// List the remotes
    List {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove a remote from the configuration; what is stored there stays
    Remove {
        /// Its name
        name: String,
    },
}

#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml remote add share /mnt/team/store\n\
\x20 git ml remote add cloud s3://bucket/folder --region eu-central-1\n\
\x20 git ml remote add lab s3://bucket --endpoint https://minio.example.org\n\
\x20 git ml remote add group ssh://ada@host/srv/store\n\
\x20 git ml remote add hub lfs::origin\n\
\x20 git ml remote add public https://example.org/store")]
struct AddArgs {
    /// A name for it
    name: String,
    /// Where it is: a folder, s3://bucket/folder, gs://bucket/folder, az://account/container/folder, ssh://host/folder,
    /// lfs::REMOTE (a git remote's LFS server), https://host/folder
    url: String,
    /// For this clone only: not in ml.toml
    #[arg(long)]
    local: bool,
    /// The server of a bucket that is not the provider's own
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The region of a bucket
    #[arg(long)]
    region: Option<String>,
    /// Bytes a second that transfers may take: 500k, 2MiB
    #[arg(long, value_name = "RATE")]
    limit_rate: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    match &args.verb {
        Verb::Add(args) => add(context, &workspace, args),
        Verb::List { json } => list(context, &workspace, *json),
        Verb::Remove { name } => remove(context, &workspace, name),
    }
}

fn add(context: &Context, workspace: &Workspace, args: &AddArgs) -> Result<(), Failure> {
    let AddArgs { name, url, local, endpoint, region, limit_rate } = args;
    let settings = config::Remote {
        endpoint: endpoint.clone(),
        region: region.clone(),
        limit_rate: limit_rate.clone(),
        ..config::Remote::at(&absolute(context, url))
    };
    let scope = if *local { Scope::Local } else { Scope::Team };
    check_settings(name, &settings)?;
    let known = configured(workspace)?.into_iter().find(|remote| remote.name == *name && remote.scope == scope);
    if known.as_ref().is_some_and(|known| known.settings.url != settings.url) {
        return Err(Failure::User {
            message: format!("there is a remote `{name}` already"),
            hint: format!("`git ml remote remove {name}` first, or give it another name"),
        });
    }
    Remote::create(name, &settings, &workspace.store, &context.environment())?;
    change(context, workspace, scope, name, Some(&settings))?;
    let place = if *local { "for this clone" } else { "in ml.toml: commit that" };
    let verb = if known.is_some() { "set up" } else { "added" };
    print_line(&format!("{verb} the remote {name} ({}), {place}", settings.url))?;
    context.say(&format!("next: `git ml push {name}`"));
    Ok(())
}

fn list(context: &Context, workspace: &Workspace, json: bool) -> Result<(), Failure> {
    let remotes = configured(workspace)?;
    if json {
        let rows = remotes.iter().map(|remote| {
            let config::Remote { url, endpoint, region, .. } = &remote.settings;
            let local = remote.scope == Scope::Local;
            serde_json::json!({
                "name": remote.name, "url": url, "local": local, "endpoint": endpoint, "region": region,
            })
        });
        return print_json(&rows.collect::<Vec<_>>());
    }
    if remotes.is_empty() {
        context.say("there are no remotes; `git ml remote add NAME URL` adds one");
        return Ok(());
    }
    let mut table = Table::new([("name", Align::Left), ("url", Align::Left), ("for", Align::Left)]);
    for remote in remotes {
        let scope = if remote.scope == Scope::Local { "this clone" } else { "everybody" };
        let url = match &remote.settings.endpoint {
            Some(endpoint) => format!("{} at {endpoint}", remote.settings.url),
            None => remote.settings.url,
        };
        table.row(vec![remote.name, url, scope.to_owned()]);
    }
    print_line(&table.render(context.colour))
}

fn remove(context: &Context, workspace: &Workspace, name: &str) -> Result<(), Failure> {
    let known = configured(workspace)?.into_iter().find(|remote| remote.name == name);
    let remote = known.ok_or_else(|| RemoteError::Unknown { name: name.to_owned() })?;
    change(context, workspace, remote.scope, name, None)?;
    print_line(&format!("removed the remote {name}; what is stored in {} stays", remote.settings.url))
}

/// Changes the configuration; an approval of what `ml.toml` may run holds on, since no command changes.
fn change(
    context: &Context,
    workspace: &Workspace,
    scope: Scope,
    name: &str,
    settings: Option<&config::Remote>,
) -> Result<(), Failure> {
    if scope == Scope::Local {
        configure(workspace, scope, name, settings)?;
        return Ok(());
    }
    let (common_dir, work_dir) = (workspace.repository.common_dir(), workspace.repository.work_dir()?);
    let trust = context.trust()?;
    let was_trusted = trust.is_trusted(common_dir, work_dir);
    configure(workspace, scope, name, settings)?;
    if let (true, Some(content)) = (was_trusted, config::read(work_dir)?) {
        trust.approve(common_dir, &content)?;
    }
    Ok(())
}

/// A plain path is meant from the folder that the user is in; a URL says so to others.
fn absolute(context: &Context, url: &str) -> String {
    // What has a colon before any slash is on another machine, as for git and scp.
    let is_elsewhere = url.split('/').next().is_some_and(|start| start.contains(':'));
    if url.is_empty() || is_elsewhere {
        return url.to_owned();
    }
    let folder = context.folder.join(url);
    // Without `..` where that can be told, so that it reads well.
    let parent = folder.parent().and_then(|parent| parent.canonicalize().ok());
    let folder = folder.canonicalize().ok().or_else(|| Some(parent?.join(folder.file_name()?))).unwrap_or(folder);
    format!("file://{}", folder.display())
}
