//! `git ml untrack`

use std::path::PathBuf;

use super::output::print_line;
use super::{Context, Failure};

/// Stop tracking; the data stays where it is
///
/// The pointer and the rule in .gitignore go. What is stored stays stored.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tracked paths, or their pointers
    #[arg(required = true, value_name = "ARTIFACT")]
    paths: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let mut paths = Vec::new();
    for path in &args.paths {
        let path = workspace.rel_path(&context.folder, path)?;
        workspace.check_tracked(&path)?;
        paths.push(path);
    }
    for path in &paths {
        workspace.untrack(path)?;
        print_line(&format!("{path}: no longer tracked; its files stay in the work tree and in the store"))?;
    }
    Ok(())
}
