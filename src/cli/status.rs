//! `git ml status`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::id::{ArtifactId, CommitId};
use crate::remote::{Configured, Remote, configured};
use crate::track::{POINTER_SUFFIX, State, Status, Statuses, Workspace};
use crate::words::{printable, size};

use super::output::{Align, Table, print_json, print_line, shell_word};
use super::{Context, Failure};

/// Show which artifacts changed, are missing or not stored
///
/// clean: as the pointer says, and stored. modified: it differs from the pointer. missing: the store has it, the work
/// tree does not. unstored: it has to be pulled. Nothing changed is told without reading the files again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tracked paths, or folders of them [default: all]
    #[arg(value_name = "ARTIFACT")]
    paths: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    artifacts: Vec<Row<'a>>,
    branch: Option<String>,
    head: Option<CommitId>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    path: &'a str,
    name: &'a str,
    id: ArtifactId,
    state: &'static str,
    files: u64,
    bytes: u64,
    pushed: BTreeMap<&'a str, bool>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let paths = workspace.scope(&context.folder, &args.paths)?;
    let Statuses { artifacts: statuses, faulty } = workspace.status(&paths)?;
    let remotes = remotes(context, &workspace);
    if args.json {
        let head = workspace.repository.head()?;
        let mut artifacts = Vec::new();
        for status in &statuses {
            artifacts.push(row(&workspace, status, &remotes)?);
        }
        print_json(&Document { artifacts, branch: head.branch, head: head.commit })?;
        return Failure::of_pointers(faulty);
    }
    if statuses.is_empty() {
        if faulty.is_empty() {
            context.say("nothing is tracked yet: `git ml track PATH`");
        }
        return Failure::of_pointers(faulty);
    }
    let columns = [
        ("STATE", Align::Left),
        ("PATH", Align::Left),
        ("FILES", Align::Right),
        ("SIZE", Align::Right),
        ("ID", Align::Left),
    ];
    let mut table = Table::new(columns);
    for Status { path, pointer, state, .. } in &statuses {
        table.row(vec![
            state.as_str().to_owned(),
            path.to_string(),
            pointer.files.to_string(),
            size(pointer.bytes),
            pointer.id.short(),
        ]);
    }
    print_line(&table.render(context.colour))?;
    for status in &statuses {
        for line in notes(status) {
            print_line(&printable(&line))?;
        }
        for (remote, _) in pushed(&workspace, status, &remotes)?.into_iter().filter(|(_, pushed)| !pushed) {
            print_line(&format!("{}: not on the remote {remote}: `git ml push {remote}`", status.path))?;
        }
    }
    Failure::of_pointers(faulty)
}

/// The remotes that can be reached.
fn remotes(context: &Context, workspace: &Workspace) -> Vec<Remote> {
    let configured = configured(workspace).unwrap_or_else(|error| {
        context.warn(&error.to_string());
        Vec::new()
    });
    let environment = context.environment();
    let open = |remote: &Configured| {
        remote.recall(workspace, &environment).map_err(|error| context.warn(&error.to_string())).ok()
    };
    configured.iter().filter_map(open).collect()
}

/// Which remotes have an artifact.
fn pushed<'a>(
    workspace: &Workspace,
    status: &Status,
    remotes: &'a [Remote],
) -> Result<BTreeMap<&'a str, bool>, Failure> {
    let mut pushed = BTreeMap::new();
    for remote in remotes {
        pushed.insert(remote.name(), remote.has(&workspace.store, &status.pointer.id)?);
    }
    Ok(pushed)
}

fn row<'a>(workspace: &Workspace, status: &'a Status, remotes: &'a [Remote]) -> Result<Row<'a>, Failure> {
    Ok(Row {
        path: status.path.as_str(),
        name: &status.pointer.name,
        id: status.pointer.id,
        state: status.state.as_str(),
        files: status.pointer.files,
        bytes: status.pointer.bytes,
        pushed: pushed(workspace, status, remotes)?,
    })
}

/// What there is to say of an artifact beyond its row, with what to type.
fn notes(status: &Status) -> Vec<String> {
    let path = &status.path;
    let mut notes = Vec::new();
    match status.state {
        State::Clean => {}
        State::Modified => {
            let differing = match status.differing {
                1 => "1 file differs".to_owned(),
                others => format!("{others} files differ"),
            };
            let word = shell_word(path.as_str());
            let ways = format!("`git ml track {word}` keeps that, `git ml checkout {word}` undoes it");
            notes.push(format!("{path}: {differing}; {ways}"));
            notes.extend(status.changes.iter().map(|change| format!("  {change}")));
            let others = status.differing.saturating_sub(status.changes.len());
            if others > 0 {
                notes.push(format!("  and {others} more"));
            }
        }
        State::Missing => {
            let word = shell_word(path.as_str());
            notes.push(format!("{path}: not in the work tree: `git ml checkout {word}`"));
        }
        State::Unstored => notes.push(format!("{path}: its content is not in this store: `git ml pull`")),
    }
    if !status.pointer_in_git {
        notes.push(format!("{path}: git does not have the pointer yet: `git add {path}{POINTER_SUFFIX}`"));
    }
    notes
}
