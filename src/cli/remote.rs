//! `git ml remote`

use crate::config;
use crate::remote::{Remote, RemoteError, Scope, configure, configured, folder_of};
use crate::track::Workspace;

use super::output::{Align, Table, print_json, print_line};
use super::{Context, Failure};

/// Say where artifacts are pushed to and pulled from
///
/// A remote is a folder that others reach too, as on a network drive: `git ml remote add share /mnt/team/store`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Add a remote, and make its folder if it is not there
    Add {
        /// A name for it
        name: String,
        /// Its folder: file:///a/folder, or a path
        url: String,
        /// For this clone only: not in ml.toml
        #[arg(long)]
        local: bool,
    },
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

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    match &args.verb {
        Verb::Add { name, url, local } => add(context, &workspace, name, url, *local),
        Verb::List { json } => list(context, &workspace, *json),
        Verb::Remove { name } => remove(context, &workspace, name),
    }
}

fn add(context: &Context, workspace: &Workspace, name: &str, url: &str, local: bool) -> Result<(), Failure> {
    let url = absolute(context, url);
    let scope = if local { Scope::Local } else { Scope::Team };
    folder_of(&url)?;
    if configured(workspace)?.iter().any(|remote| remote.name == name && remote.scope == scope) {
        return Err(Failure::User {
            message: format!("there is a remote `{name}` already"),
            hint: format!("`git ml remote remove {name}` first, or give it another name"),
        });
    }
    Remote::create(name, &url)?;
    change(context, workspace, scope, name, Some(&url))?;
    let place = if local { "for this clone" } else { "in ml.toml: commit that" };
    print_line(&format!("added the remote {name} ({url}), {place}"))?;
    context.say(&format!("next: `git ml push {name}`"));
    Ok(())
}

fn list(context: &Context, workspace: &Workspace, json: bool) -> Result<(), Failure> {
    let remotes = configured(workspace)?;
    if json {
        let rows = remotes.iter().map(|remote| {
            serde_json::json!({ "name": remote.name, "url": remote.url, "local": remote.scope == Scope::Local })
        });
        return print_json(&rows.collect::<Vec<_>>());
    }
    if remotes.is_empty() {
        context.say("there are no remotes; `git ml remote add NAME FOLDER` adds one");
        return Ok(());
    }
    let mut table = Table::new([("name", Align::Left), ("url", Align::Left), ("for", Align::Left)]);
    for remote in remotes {
        let scope = if remote.scope == Scope::Local { "this clone" } else { "everybody" };
        table.row(vec![remote.name, remote.url, scope.to_owned()]);
    }
    print_line(&table.render(context.colour))
}

fn remove(context: &Context, workspace: &Workspace, name: &str) -> Result<(), Failure> {
    let known = configured(workspace)?.into_iter().find(|remote| remote.name == name);
    let remote = known.ok_or_else(|| RemoteError::Unknown { name: name.to_owned() })?;
    change(context, workspace, remote.scope, name, None)?;
    print_line(&format!("removed the remote {name}; what is stored in {} stays", remote.url))
}

/// Changes the configuration; an approval of what `ml.toml` may run holds on, since no command changes.
fn change(
    context: &Context,
    workspace: &Workspace,
    scope: Scope,
    name: &str,
    url: Option<&str>,
) -> Result<(), Failure> {
    if scope == Scope::Local {
        configure(workspace, scope, name, url)?;
        return Ok(());
    }
    let (common_dir, work_dir) = (workspace.repository.common_dir(), workspace.repository.work_dir()?);
    let trust = context.trust()?;
    let was_trusted = trust.is_trusted(common_dir, work_dir);
    configure(workspace, scope, name, url)?;
    if let (true, Some(content)) = (was_trusted, config::read(work_dir)?) {
        trust.approve(common_dir, &content)?;
    }
    Ok(())
}

/// A plain path is meant from the folder that the user is in; a URL says so to others.
fn absolute(context: &Context, url: &str) -> String {
    if url.is_empty() || url.contains("://") {
        return url.to_owned();
    }
    let folder = context.folder.join(url);
    // Without `..` where that can be told, so that it reads well.
    let parent = folder.parent().and_then(|parent| parent.canonicalize().ok());
    let folder = folder.canonicalize().ok().or_else(|| Some(parent?.join(folder.file_name()?))).unwrap_or(folder);
    format!("file://{}", folder.display())
}
