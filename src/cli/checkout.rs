//! `git ml checkout`

use std::path::PathBuf;

use serde::Serialize;

use crate::track::{CheckedOut, CheckoutOptions, Done};
use crate::words::count;

use super::output::{Bar, print_json, print_line};
use super::{Context, Failure};

/// Bring data in line with the pointers
///
/// What is missing is written, what differs is replaced, what does not belong there is removed. Work that is stored
/// nowhere is never overwritten without --force, and then nothing at all is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tracked paths, or folders of them [default: all]
    #[arg(value_name = "ARTIFACT")]
    paths: Vec<PathBuf>,
    /// Overwrite and remove what is stored nowhere
    #[arg(short, long)]
    force: bool,
    /// Share bytes with equal files of this repository's work trees, where the file system can (reflinks)
    #[arg(long)]
    link: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    path: &'a str,
    written: usize,
    removed: usize,
    left: usize,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let paths = workspace.scope(&context.folder, &args.paths)?;
    let settings = CheckoutOptions::from(&context.config(&workspace)?.checkout);
    let options = CheckoutOptions { force: args.force, link: args.link || settings.link, ..settings };
    let Done { artifacts: all, faulty } = workspace.checkout(&paths, options, &Bar::new(context))?;
    if args.json {
        print_json(&all.iter().map(row).collect::<Vec<_>>())?;
        return Failure::of_pointers(faulty);
    }
    for CheckedOut { path, written, removed, left } in &all {
        if written + removed > 0 {
            let (written, removed) = (count(*written as u64, "file"), count(*removed as u64, "file"));
            print_line(&format!("{path}: {written} written, {removed} removed"))?;
        }
        if *left > 0 {
            let left = count(*left as u64, "file");
            context.warn(&format!("{path}: left {left} alone that it does not have: see `git ml status {path}`"));
        }
    }
    Failure::of_pointers(faulty)
}

fn row(checked_out: &CheckedOut) -> Row<'_> {
    let CheckedOut { path, written, removed, left } = checked_out;
    Row { path: path.as_str(), written: *written, removed: *removed, left: *left }
}
