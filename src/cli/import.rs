//! `git ml import`

use std::path::PathBuf;

use serde_json::json;

use crate::import::{ImportOptions, Imported, import_dvc, import_lfs};
use crate::words::{count, size};

use super::output::{Bar, print_json, print_line};
use super::{Context, Failure};

/// Make artifacts of what Git LFS or DVC keep
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    /// Make artifacts of files that Git LFS keeps
    ///
    /// A folder in which git has nothing but pointers of Git LFS becomes one artifact, any other file one of its own.
    /// What is not here comes from the LFS server. The files leave git's index and pointers take their place: commit
    /// that. Caches and earlier commits stay as they are, so an old commit is still read with Git LFS.
    Lfs(LfsArgs),
    /// Make artifacts of what DVC keeps
    ///
    /// Each output of a .dvc file or a dvc.lock becomes an artifact. What is not in the work tree comes from DVC's cache
    /// or its remote. DVC's files and cache stay as they are, so an old commit is still read with DVC.
    Dvc(DvcArgs),
}

#[derive(Debug, clap::Args)]
struct LfsArgs {
    #[command(flatten)]
    common: Common,
    /// The git remote whose LFS server has what is not here [default: the one that the branch follows]
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
}

#[derive(Debug, clap::Args)]
struct DvcArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Files and folders [default: all that it keeps]
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let (common, git_remote) = match &args.tool {
        Tool::Lfs(args) => (&args.common, args.remote.clone()),
        Tool::Dvc(args) => (&args.common, None),
    };
    let workspace = context.workspace()?;
    let paths = workspace.scope(&context.folder, &common.paths)?;
    let options = ImportOptions { git_remote, dry_run: common.dry_run, environment: context.environment() };
    let bar = Bar::new(context);
    let imported = match &args.tool {
        Tool::Lfs(_) => import_lfs(&workspace, &paths, &options, &bar)?,
        Tool::Dvc(_) => import_dvc(&workspace, &paths, &options, &bar)?,
    };
    report(context, common, &args.tool, &imported)
}

fn report(context: &Context, common: &Common, tool: &Tool, imported: &Imported) -> Result<(), Failure> {
    if common.json {
        let tracked = imported.tracked.iter().map(|tracked| {
            json!({
                "path": tracked.path.as_str(),
                "pointer": tracked.pointer_path.as_str(),
                "id": tracked.pointer.id,
                "files": tracked.pointer.files,
                "bytes": tracked.pointer.bytes,
                "changed": tracked.is_changed,
            })
        });
        let skipped = imported.skipped.iter().map(|(path, reason)| json!({ "path": path, "reason": reason }));
        return print_json(&json!({
            "imported": tracked.collect::<Vec<_>>(),
            "skipped": skipped.collect::<Vec<_>>(),
        }));
    }
    for tracked in &imported.tracked {
        let pointer = &tracked.pointer;
        let done = if tracked.is_changed { "imported" } else { "unchanged" };
        let what = format!("{} of {}", count(pointer.files, "file"), size(pointer.bytes));
        print_line(&format!("{}: {done} as {} {}, {what}", tracked.path, pointer.artifact_type, pointer.id.short()))?;
    }
    for (path, reason) in &imported.skipped {
        print_line(&format!("{path}: left out: {reason}"))?;
    }
    if imported.tracked.iter().any(|tracked| tracked.is_changed) {
        context.say(match tool {
            Tool::Lfs(_) => "next: look at `git status`, then `git commit`",
            Tool::Dvc(_) => "next: `git add` the pointers, then `git commit`; `git rm` the .dvc files when you wish",
        });
    }
    Ok(())
}
