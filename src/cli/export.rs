//! `git ml export`

use std::io::{BufWriter, IsTerminal};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::catalog::{Catalog, Search};
use crate::export::{
    BillOf, ExportError, Login, MlflowOptions, TableFormat, bill_of_materials, to_mlflow_folder, to_mlflow_server,
    write_points, write_runs,
};
use crate::files::{self, Draft, Durability};
use crate::query::Query;
use crate::registry::Registry;
use crate::run::{Run, Runs};
use crate::track::Workspace;
use crate::words::{count, printable};

use super::attest::source;
use super::output::{Bar, print_json};
use super::{Context, Failure, runs, sign};

/// Things that are left out and named; the rest is counted.
const MAX_NAMED: usize = 10;

/// Write runs as tables or as MLflow keeps them, models as bills of materials, signatures as files
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    to: To,
}

#[derive(Debug, clap::Subcommand)]
enum To {
    /// Write runs as comma-separated values
    ///
    /// The table `runs` has a row for each run, with columns such as params.lr, metrics.val_loss (the last value) and
    /// tags.note. The table `points` has a row for each logged value: run, name, metric, step, time, value.
    Csv(TableArgs),
    /// Write runs as Parquet, for pandas, DuckDB and Polars
    ///
    /// The table `runs` has a row for each run, with columns such as params.lr, metrics.val_loss (the last value) and
    /// tags.note. The table `points` has a row for each logged value: run, name, metric, step, time, value.
    Parquet(TableArgs),
    /// Write runs to a folder such as mlruns, or to an MLflow server
    ///
    /// In a folder runs keep their ids. A server gives out ids of its own, and the tag git_ml.run names ours. Runs that
    /// are there already stay as they are. The login is in MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and
    /// MLFLOW_TRACKING_PASSWORD, as for MLflow's own client.
    Mlflow(MlflowArgs),
    /// Write a model's version as a bill of materials: CycloneDX 1.6 with a model card
    ///
    /// It has the files with their digests, metrics, parameters, data, the packages of the run's environment and the
    /// commit. The same version gives the same document.
    Sbom(SbomArgs),
    /// Write signatures and attestations as files that other tools read
    Signatures(SignaturesArgs),
}

#[derive(Debug, clap::Args)]
struct Selection {
    /// Only runs that match the query
    #[arg(long = "where", value_name = "QUERY")]
    condition: Option<String>,
    /// At most so many, the newest
    #[arg(short = 'n', long = "limit", value_name = "N")]
    limit: Option<usize>,
}

#[derive(Debug, clap::Args)]
struct TableArgs {
    #[command(flatten)]
    selection: Selection,
    /// Which table to write
    #[arg(long, value_name = "TABLE", default_value = "runs")]
    table: TableName,
    /// The file to write; a folder gets both tables [default: stdout]
    #[arg(short, long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum TableName {
    Runs,
    Points,
}

#[derive(Debug, clap::Args)]
struct MlflowArgs {
    /// A folder, or the URL of a server
    #[arg(value_name = "PLACE", value_hint = clap::ValueHint::AnyPath)]
    place: String,
    #[command(flatten)]
    selection: Selection,
    /// Leave the artifacts out
    #[arg(long)]
    without_artifacts: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct SbomArgs {
    /// NAME@v3, NAME@ALIAS, or NAME for its newest version
    #[arg(value_name = "VERSION")]
    version: String,
    /// The file to write [default: stdout]
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct SignaturesArgs {
    /// A tracked path, NAME@v3, NAME@ALIAS, run:RUN or run:RUN:OUTPUT
    #[arg(value_name = "TARGET")]
    target: String,
    /// The folder to write them to
    #[arg(short, long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    output: PathBuf,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    match &args.to {
        To::Csv(args) => table(context, args, TableFormat::Csv),
        To::Parquet(args) => table(context, args, TableFormat::Parquet),
        To::Mlflow(args) => mlflow(context, args),
        To::Sbom(args) => sbom(context, args),
        To::Signatures(args) => signatures(context, args),
    }
}

/// The runs that are meant, newest first.
fn selected(
    context: &Context,
    workspace: &Workspace,
    store: &Runs<'_>,
    selection: &Selection,
) -> Result<Vec<Run>, Failure> {
    let mut condition = selection.condition.as_deref().map(Query::parse).transpose()?;
    if let Some(condition) = &mut condition {
        condition.resolve(&workspace.repository)?;
    }
    let search = Search { query: condition.as_ref(), limit: selection.limit, ..Search::default() };
    let found = Catalog::open(workspace).search(store, &search)?;
    runs::warn_of(context, &found.problems);
    Ok(found.runs)
}

fn table(context: &Context, args: &TableArgs, format: TableFormat) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let store = runs::open(context, &workspace)?;
    let list = selected(context, &workspace, &store, &args.selection)?;
    let Some(output) = &args.output else {
        if format == TableFormat::Parquet && std::io::stdout().is_terminal() {
            return Err(Failure::Usage {
                message: "Parquet is not for a terminal".to_owned(),
                hint: "`--output FILE` writes it to a file".to_owned(),
            });
        }
        let stdout = BufWriter::new(std::io::stdout());
        return match args.table {
            TableName::Runs => write_runs(&list, format, stdout),
            TableName::Points => write_points(&store, &list, format, stdout),
        }
        .map_err(of_output);
    };
    let place = context.folder.join(output);
    let is_file = place.extension().is_some_and(|suffix| suffix == format.suffix()) && !place.is_dir();
    if is_file {
        write_file(&store, &list, args.table, format, &place)?;
    } else {
        files::create_dir_all(&place)?;
        for (table, name) in [(TableName::Runs, "runs"), (TableName::Points, "points")] {
            write_file(&store, &list, table, format, &place.join(format!("{name}.{}", format.suffix())))?;
        }
    }
    context.say(&format!("{} exported", count(list.len() as u64, "run")));
    Ok(())
}

fn write_file(
    store: &Runs<'_>,
    list: &[Run],
    table: TableName,
    format: TableFormat,
    place: &Path,
) -> Result<(), Failure> {
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft = Draft::new_in(folder)?;
    {
        let buffered = BufWriter::new(&mut draft);
        match table {
            TableName::Runs => write_runs(list, format, buffered)?,
            TableName::Points => write_points(store, list, format, buffered)?,
        }
    }
    Ok(draft.publish(place, false, Durability::Buffered)?)
}

/// A pipe that was closed is nobody's fault.
fn of_output(error: ExportError) -> Failure {
    match error {
        ExportError::Output(source) => Failure::Output(source),
        other => other.into(),
    }
}

fn mlflow(context: &Context, args: &MlflowArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let store = runs::open(context, &workspace)?;
    let list = selected(context, &workspace, &store, &args.selection)?;
    let options = MlflowOptions { without_artifacts: args.without_artifacts };
    let bar = Bar::new(context);
    let exported = if args.place.contains("://") && !args.place.starts_with("file://") {
        to_mlflow_server(&workspace, &store, &list, &args.place, login(context), options, &bar)?
    } else {
        let place = args.place.strip_prefix("file://").unwrap_or(&args.place);
        to_mlflow_folder(&workspace, &store, &list, &context.folder.join(place), options, &bar)?
    };
    if args.json {
        let left_out = exported.left_out.iter().map(|(what, why)| json!({ "what": what, "why": why }));
        return print_json(&json!({
            "exported": exported.exported,
            "present": exported.present,
            "left_out": left_out.collect::<Vec<_>>(),
        }));
    }
    let (named, more) = exported.left_out.split_at(exported.left_out.len().min(MAX_NAMED));
    for (what, why) in named {
        context.warn(&printable(&format!("{what}: {why}")));
    }
    if !more.is_empty() {
        context.warn(&format!("{} more are left out; --json names them all", more.len()));
    }
    let runs = count(exported.exported as u64, "run");
    context.say(&format!("{runs} exported, {} there already", exported.present));
    Ok(())
}

/// As MLflow's own client has it.
fn login(context: &Context) -> Login {
    let variable = |name| context.variable(name);
    match (variable("MLFLOW_TRACKING_TOKEN"), variable("MLFLOW_TRACKING_USERNAME")) {
        (Some(token), _) => Login::Token(token),
        (None, Some(user)) => Login::Password(user, variable("MLFLOW_TRACKING_PASSWORD").unwrap_or_default()),
        (None, None) => Login::None,
    }
}

fn sbom(context: &Context, args: &SbomArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let (model, version) = Registry::new(&workspace).version(&args.version)?;
    let run = version.run.map(|run| Runs::new(&workspace).get(&run)).transpose()?.flatten();
    let source = source(&workspace)?;
    let about = BillOf { model: &model, version: &version, run: run.as_ref(), source: source.as_deref() };
    let document = bill_of_materials(&workspace, &about, &Bar::new(context))?;
    let Some(output) = &args.output else { return print_json(&document) };
    let text = serde_json::to_string_pretty(&document).map_err(std::io::Error::other)? + "\n";
    Ok(files::publish(&context.folder.join(output), text.as_bytes(), Durability::Buffered)?)
}

fn signatures(context: &Context, args: &SignaturesArgs) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let resolved = Registry::new(&workspace).resolve(&context.folder, &args.target)?;
    let folder = context.folder.join(&args.output);
    files::create_dir_all(&folder)?;
    let kept = sign::signatures(&workspace, &resolved)?;
    for signature in &kept {
        sign::write(&workspace, signature, &folder.join(signature.place.file_name()))?;
    }
    context.say(&format!("{} exported", count(kept.len() as u64, "signature")));
    Ok(())
}
