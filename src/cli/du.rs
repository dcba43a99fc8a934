//! `git ml du`

use serde::Serialize;

use crate::id::ArtifactId;
use crate::track::Pointer;
use crate::upkeep::{stored_bytes, usage};
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
    /// With what it shares with others; none if it cannot be read.
    stored_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct StoreSize {
    packs: usize,
    bytes: u64,
    /// Of entries that something names; none where it cannot be known what is named.
    used_bytes: Option<u64>,
    unused_bytes: Option<u64>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let pointers = workspace.pointers()?;
    let packs = workspace.store.packs()?;
    let usage = match usage(&workspace) {
        Ok(usage) => Some(usage),
        Err(error) => {
            context.warn(&format!("what is in use cannot be told: {error}"));
            None
        }
    };
    let store = StoreSize {
        packs: packs.len(),
        bytes: packs.iter().map(|pack| pack.bytes).sum(),
        used_bytes: usage.map(|usage| usage.used),
        unused_bytes: usage.map(|usage| usage.unused),
    };
    if args.json {
        let rows = pointers.iter().map(|(path, pointer)| {
            let Pointer { name, id, files, bytes, .. } = pointer;
            let stored_bytes = stored_bytes(&workspace, id).ok();
            Row { path: path.as_str(), name, id: *id, files: *files, bytes: *bytes, stored_bytes }
        });
        return print_json(&Document { artifacts: rows.collect(), store });
    }
    if !pointers.is_empty() {
        let mut table = Table::new([
            ("PATH", Align::Left),
            ("FILES", Align::Right),
            ("SIZE", Align::Right),
            ("STORED", Align::Right),
        ]);
        for (path, pointer) in &pointers {
            let stored = stored_bytes(&workspace, &pointer.id).map_or_else(|_| "-".to_owned(), size);
            table.row(vec![path.to_string(), pointer.files.to_string(), size(pointer.bytes), stored]);
        }
        print_line(&table.render(context.colour))?;
    }
    // Other versions are in the store too, and what versions share is in it once.
    if let Some(usage) = usage {
        let artifacts = count(usage.artifacts as u64, "artifact");
        print_line(&format!("in use: {} for {artifacts} of all commits, runs and versions", size(usage.used)))?;
        if usage.unused > 0 {
            print_line(&format!("not in use: {}; `git ml gc --dry-run` says more", size(usage.unused)))?;
        }
    }
    print_line(&format!("the store: {} in {}", size(store.bytes), count(store.packs as u64, "pack")))
}
