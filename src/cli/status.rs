//! `git ml status`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::id::{ArtifactId, CommitId};
use crate::track::{POINTER_SUFFIX, State, Status};

use super::output::{Align, Table, count, print_json, print_line, printable, size};
use super::{Context, Failure};

/// Show which artifacts changed, are missing or not stored
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
    let statuses = workspace.status(&paths)?;
    if args.json {
        let head = workspace.repository.head()?;
        let artifacts = statuses.iter().map(row).collect();
        return print_json(&Document { artifacts, branch: head.branch, head: head.commit });
    }
    if statuses.is_empty() {
        context.say("nothing is tracked yet: `git ml track PATH`");
        return Ok(());
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
    }
    Ok(())
}

fn row(status: &Status) -> Row<'_> {
    Row {
        path: status.path.as_str(),
        name: &status.pointer.name,
        id: status.pointer.id,
        state: status.state.as_str(),
        files: status.pointer.files,
        bytes: status.pointer.bytes,
        pushed: BTreeMap::new(),
    }
}

/// What there is to say of an artifact beyond its row, with what to type.
fn notes(status: &Status) -> Vec<String> {
    let path = &status.path;
    let mut notes = Vec::new();
    match status.state {
        State::Clean => {}
        State::Modified => {
            let differing = count(status.differing as u64, "file");
            notes.push(format!(
                "{path}: {differing} differ: `git ml track {path}` keeps them, `git ml checkout` does not"
            ));
            notes.extend(status.changes.iter().map(|change| format!("  {change}")));
            let others = status.differing.saturating_sub(status.changes.len());
            if others > 0 {
                notes.push(format!("  and {others} more"));
            }
        }
        State::Missing => notes.push(format!("{path}: not in the work tree: `git ml checkout {path}`")),
        State::Unstored => notes.push(format!("{path}: its content is not in this store")),
    }
    if !status.pointer_in_git {
        notes.push(format!("{path}: git does not have the pointer yet: `git add {path}{POINTER_SUFFIX}`"));
    }
    notes
}
