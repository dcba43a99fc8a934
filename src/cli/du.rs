//! `git ml du`

use serde::Serialize;

use crate::id::ArtifactId;
use crate::track::Pointer;
use crate::words::{count, size};

use super::output::{Align, Table, print_json, print_line};
use super::{Context, Failure};

/// Show how much the artifacts and the store take
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    artifacts: Vec<Row<'a>>,
    store: StoreSize,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    path: &'a str,
    name: &'a str,
    id: ArtifactId,
    files: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct StoreSize {
    packs: usize,
    bytes: u64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let pointers = workspace.pointers()?;
    let packs = workspace.store.packs()?;
    let store = StoreSize { packs: packs.len(), bytes: packs.iter().map(|pack| pack.bytes).sum() };
    if args.json {
        let rows = pointers.iter().map(|(path, pointer)| {
            let Pointer { name, id, files, bytes, .. } = pointer;
            Row { path: path.as_str(), name, id: *id, files: *files, bytes: *bytes }
        });
        return print_json(&Document { artifacts: rows.collect(), store });
    }
    if !pointers.is_empty() {
        let mut table = Table::new([("PATH", Align::Left), ("FILES", Align::Right), ("SIZE", Align::Right)]);
        for (path, pointer) in &pointers {
            table.row(vec![path.to_string(), pointer.files.to_string(), size(pointer.bytes)]);
        }
        print_line(&table.render(context.colour))?;
    }
    // Other versions are in the store too, and what versions share is in it once.
    print_line(&format!("the store: {} in {}", size(store.bytes), count(store.packs as u64, "pack")))
}
