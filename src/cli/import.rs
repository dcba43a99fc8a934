//! `git ml import`

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::import::{
    ImportError, ImportOptions, Imported, ImportedRuns, Outcome, RunImportOptions, import_dvc, import_lfs,
    import_mlflow, import_tensorboard, import_wandb,
};
use crate::track::{Progress, Workspace};
use crate::words::{count, printable, size};

use super::output::{Align, Bar, Table, print_json, print_line};
use super::{Context, Failure};

/// Things that are left out and named; the rest is counted.
const MAX_NAMED: usize = 10;
/// Runs that are listed; `git ml log` lists them all.
const MAX_LISTED: usize = 20;

/// Make artifacts or runs of what other tools keep
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
    /// Import runs and models from MLflow
    ///
    /// From a folder such as mlruns, or a SQLite database such as mlflow.db. Runs keep their ids, and bring their
    /// parameters, metrics, tags, data sets and artifacts, registered models their versions and aliases. Importing
    /// again adds what is new.
    Mlflow(RunArgs),
    /// Import runs from event files of TensorBoard
    ///
    /// Each folder that has event files is a run, with its scalars and hyperparameters. Importing again adds what is new.
    Tensorboard(RunArgs),
    /// Import runs that W&B logged offline
    ///
    /// From a folder such as wandb, or a file run-….wandb: the configuration, history, summary, output and saved files.
    /// Importing again adds what is new.
    Wandb(RunArgs),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The folder or file
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    source: PathBuf,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Imports runs.
type ImportRuns = fn(&Workspace, &Path, &RunImportOptions, &dyn Progress) -> Result<ImportedRuns, ImportError>;

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
    match &args.tool {
        Tool::Lfs(lfs) => artifacts(context, &args.tool, &lfs.common, lfs.remote.clone()),
        Tool::Dvc(dvc) => artifacts(context, &args.tool, &dvc.common, None),
        Tool::Mlflow(args) => runs(context, args, import_mlflow),
        Tool::Tensorboard(args) => runs(context, args, import_tensorboard),
        Tool::Wandb(args) => runs(context, args, import_wandb),
    }
}

fn artifacts(context: &Context, tool: &Tool, common: &Common, git_remote: Option<String>) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let paths = workspace.scope(&context.folder, &common.paths)?;
    let options = ImportOptions { git_remote, dry_run: common.dry_run, environment: context.environment() };
    let bar = Bar::new(context);
    let imported = match tool {
        Tool::Lfs(_) => import_lfs(&workspace, &paths, &options, &bar)?,
        _ => import_dvc(&workspace, &paths, &options, &bar)?,
    };
    report(context, common, tool, &imported)
}

fn runs(context: &Context, args: &RunArgs, import: ImportRuns) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let source = context.folder.join(path_of(&args.source));
    let options = RunImportOptions { dry_run: args.dry_run, user: context.user(), host: context.host() };
    let imported = import(&workspace, &source, &options, &Bar::new(context))?;
    if args.json {
        return print_json(&json_of_runs(&imported));
    }
    if !imported.runs.is_empty() {
        print_line(&table_of_runs(&imported).render(context.colour))?;
    }
    for version in imported.versions.iter().filter(|version| version.is_changed) {
        let label =
            version.version.map_or_else(|| version.model.clone(), |number| format!("{}@v{number}", version.model));
        let aliases =
            if version.aliases.is_empty() { String::new() } else { format!(" ({})", version.aliases.join(", ")) };
        print_line(&printable(&format!("{label}{aliases}: version {} of the model", version.source_version)))?;
    }
    let (named, more) = imported.left_out.split_at(imported.left_out.len().min(MAX_NAMED));
    for left_out in named {
        context.warn(&printable(&format!("{}: {}", left_out.what, left_out.why)));
    }
    if !more.is_empty() {
        context.warn(&format!("{} more are left out; --json names them all", more.len()));
    }
    let how_many = |outcome| imported.runs.iter().filter(|run| run.outcome == outcome).count() as u64;
    let [new, changed, same] = [Outcome::New, Outcome::Changed, Outcome::Unchanged].map(how_many);
    let would = if args.dry_run { "would be " } else { "" };
    context.say(&format!("{} {would}imported, {changed} {would}updated, {same} unchanged", count(new, "run")));
    Ok(())
}

/// MLflow names a database by a URI, and any file by another.
fn path_of(source: &Path) -> PathBuf {
    let Some(text) = source.to_str() else { return source.to_path_buf() };
    // `sqlite:///x.db` is relative, `sqlite:////x.db` is not; `file:///x` is absolute.
    let path =
        text.strip_prefix("sqlite:///").or_else(|| text.strip_prefix("file://")).or_else(|| text.strip_prefix("file:"));
    match path {
        Some(path) => PathBuf::from(path.split('?').next().unwrap_or(path)),
        None => source.to_path_buf(),
    }
}

fn table_of_runs(imported: &ImportedRuns) -> Table {
    let numbers = ["params", "metrics", "points", "artifacts"].map(|name| (name, Align::Right));
    let words = ["run", "name", "experiment", "status"].map(|name| (name, Align::Left));
    let mut table = Table::new(words.into_iter().chain(numbers).chain([("", Align::Left)]));
    for run in imported.runs.iter().take(MAX_LISTED) {
        table.row(vec![
            run.id.short(),
            run.name.clone(),
            run.experiment.clone().unwrap_or_default(),
            run.status.as_str().to_owned(),
            run.params.to_string(),
            run.metrics.to_string(),
            run.points.to_string(),
            run.outputs.to_string(),
            run.outcome.as_str().to_owned(),
        ]);
    }
    table
}

fn json_of_runs(imported: &ImportedRuns) -> serde_json::Value {
    let runs = imported.runs.iter().map(|run| {
        json!({
            "id": run.id,
            "name": run.name,
            "experiment": run.experiment,
            "status": run.status,
            "outcome": run.outcome.as_str(),
            "params": run.params,
            "metrics": run.metrics,
            "points": run.points,
            "outputs": run.outputs,
        })
    });
    let versions = imported.versions.iter().map(|version| {
        json!({
            "model": version.model,
            "version": version.version,
            "source_version": version.source_version,
            "aliases": version.aliases,
            "changed": version.is_changed,
        })
    });
    let left_out = imported.left_out.iter().map(|left_out| json!({ "what": left_out.what, "why": left_out.why }));
    json!({
        "runs": runs.collect::<Vec<_>>(),
        "versions": versions.collect::<Vec<_>>(),
        "left_out": left_out.collect::<Vec<_>>(),
    })
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
            _ => "next: `git add` the pointers, then `git commit`; `git rm` the .dvc files when you wish",
        });
    }
    Ok(())
}
