//! `git ml rm`

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::id::RunId;
use crate::registry::Registry;
use crate::run::{Run, RunStatus};
use crate::track::Workspace;
use crate::words::count;

use super::output::print_json;
use super::{Context, Failure, runs};

/// Remove runs from the lists, or bring them back
///
/// A removed run is not shown any more. Its record and what it made stay, and --restore brings it back.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The runs: names, ids, unique prefixes of those, or @ for the latest
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<String>,
    /// Bring removed runs back
    #[arg(long)]
    restore: bool,
    /// Remove also runs that registered versions were made by
    #[arg(long, conflicts_with = "restore")]
    force: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let opened = runs::open(context, &workspace)?;
    let mut chosen: Vec<Run> =
        args.runs.iter().map(|wanted| runs::find(&workspace, &opened, wanted)).collect::<Result<_, _>>()?;
    let mut seen = BTreeSet::new();
    chosen.retain(|run| seen.insert(run.id));
    // Nothing is removed unless all can be.
    for run in &chosen {
        if run.status == RunStatus::Running {
            return Err(Failure::User {
                message: format!("run {} is still going", run.name),
                hint: "remove it when it has ended".to_owned(),
            });
        }
        if !args.restore && !args.force {
            refuse_registered(&workspace, run)?;
        }
    }
    let removed = (!args.restore).then(Timestamp::now);
    let verb = if args.restore { "restore" } else { "remove" };
    let mut changed: Vec<Value> = Vec::new();
    let mut count_changed = 0;
    for run in &chosen {
        let mut after = run.clone();
        // One that is removed already stays removed since then.
        if run.removed.is_some() == args.restore {
            after = opened.amend(&run.id, verb, &mut |run| run.removed = removed)?;
            count_changed += 1;
        }
        changed.push(json!({ "id": after.id, "name": after.name, "removed": after.removed }));
    }
    if args.json {
        return print_json(&changed);
    }
    let words = count(count_changed, "run");
    context.say(&match args.restore {
        true => format!("restored {words}"),
        false => format!("removed {words}; `git ml rm --restore` brings them back"),
    });
    Ok(())
}

/// Refuses a run that made a registered version: that would lead to a run that nobody sees.
fn refuse_registered(workspace: &Workspace, run: &Run) -> Result<(), Failure> {
    match version_of(workspace, &run.id)? {
        None => Ok(()),
        Some(version) => Err(Failure::User {
            message: format!("{version} was made by run {}", run.name),
            hint: "`git ml rm --force` removes the run all the same".to_owned(),
        }),
    }
}

fn version_of(workspace: &Workspace, run_id: &RunId) -> Result<Option<String>, Failure> {
    // A version that cannot be read is for `git ml verify` to tell of.
    let models = Registry::new(workspace).survey()?.models;
    let versions = models.iter().flat_map(|model| &model.versions);
    let found = versions.into_iter().find(|version| version.run.as_ref() == Some(run_id));
    Ok(found.map(|version| format!("{}@v{}", version.model, version.version)))
}
