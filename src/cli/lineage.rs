//! `git ml lineage`

use std::path::Path;

use clap::ValueEnum;

use crate::catalog::{Catalog, Removed, Search};
use crate::id::{ArtifactId, RunId};
use crate::lineage::{Part, RunSource, Start, to_dot, to_mermaid, to_text, trace};
use crate::query::Query;
use crate::registry::Registry;
use crate::run::{Run, RunError, Runs};
use crate::track::Workspace;

use super::output::{print_json, print_line};
use super::{Context, Failure, runs};

/// Show what something came from and what came from it
///
/// Rows, data, commits, runs, versions and aliases, as far as they are known here. The runs are asked through the catalog,
/// so the size of the repository makes little difference.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n\
\x20 git ml lineage digits@production\n\
\x20 git ml lineage data/digits --format mermaid\n\
\x20 git ml lineage run:@ --format dot | dot -Tsvg -o lineage.svg")]
pub(crate) struct Args {
    /// A tracked path, MODEL@vN, MODEL@ALIAS, run:RUN or run:RUN:OUTPUT
    #[arg(value_name = "TARGET")]
    target: String,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print JSON: the nodes and the edges
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For Markdown on GitHub and GitLab
    Mermaid,
    /// For Graphviz
    Dot,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let runs = runs::open(context, &workspace)?;
    let start = start(context, &workspace, &runs, &args.target)?;
    let source = CatalogedRuns { catalog: Catalog::open(&workspace), runs: &runs };
    let graph = trace(&workspace, &source, &start)?;
    match args.format {
        _ if args.json => print_json(&graph),
        Format::Text => print_line(to_text(&graph).trim_end()),
        Format::Mermaid => print_line(to_mermaid(&graph).trim_end()),
        Format::Dot => print_line(to_dot(&graph).trim_end()),
    }
}

/// What a target is: a run as a whole, a version, else an artifact.
fn start(context: &Context, workspace: &Workspace, runs: &Runs<'_>, target: &str) -> Result<Start, Failure> {
    if let Some(wanted) = target.strip_prefix("run:").filter(|rest| !rest.contains(':')) {
        return Ok(Start::Run(runs::find(workspace, runs, wanted)?.id));
    }
    let registry = Registry::new(workspace);
    let resolved = registry.resolve(&context.folder, target)?;
    // As for every target, a path comes first.
    let is_path = workspace
        .rel_path(&context.folder, Path::new(target))
        .is_ok_and(|path| workspace.pointer(&path).is_ok_and(|pointer| pointer.id == resolved.id));
    if !is_path
        && let Ok((_, version)) = registry.version(target)
        && version.id == resolved.id
    {
        return Ok(Start::Version(Box::new(version)));
    }
    Ok(Start::Artifact { id: resolved.id, name: target.to_owned() })
}

/// Runs as the catalog knows them.
struct CatalogedRuns<'r> {
    catalog: Catalog,
    runs: &'r Runs<'r>,
}

impl RunSource for CatalogedRuns<'_> {
    fn run(&self, run_id: &RunId) -> Result<Option<Run>, RunError> {
        self.runs.get(run_id)
    }

    fn runs_with(&self, artifact: &ArtifactId, part: Part, limit: usize) -> Result<(Vec<Run>, usize), RunError> {
        let field = match part {
            Part::Output => "output",
            Part::Input => "input",
        };
        // An id in hexadecimal digits is a query whatever it is.
        let Ok(query) = Query::parse(&format!("{field} = '{artifact}'")) else {
            return Ok((Vec::new(), 0));
        };
        let search = Search { query: Some(&query), removed: Removed::Shown, limit: Some(limit), ..Search::default() };
        let found = self.catalog.search(self.runs, &search)?;
        Ok((found.runs, found.total))
    }
}
