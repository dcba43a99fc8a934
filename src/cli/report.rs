//! `git ml report`

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::files::{Durability, publish};
use crate::report::{Entry, Question, Report, Standing, gather};
use crate::run::Run;
use crate::words::printable;

use super::output::{Bar, print_json, print_line};
use super::{Context, Failure, runs};

/// Say what a branch did to metrics, parameters, data and the registry
///
/// With --against, of each experiment the run of the newest commit that has one counts, and it is compared with the run on
/// the newest commit of REV from before the branch. A run belongs to the branch if it ran on one of its commits, or on the
/// same files. Without --against, the first RUN is what the others are compared with; by default it is the latest.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml report --against origin/main\n\
\x20 git ml report --against origin/main >> \"$GITHUB_STEP_SUMMARY\"\n\
\x20 git ml report --against main -o report.html\n\
\x20 git ml report brave-otter-12 kind-ferret-125\n\n\
The same repository gives the same bytes. Markdown begins with the line `<!-- git-ml report -->`, by which a program finds \
the comment it wrote before, and fits into a comment on GitHub. docs/ci.md says more.\n\n\
Exit code 3 says that a gate of --gate is not passed; without --gate no gate is asked.")]
pub(crate) struct Args {
    /// The runs: names, ids, unique prefixes of those, or @ for the latest
    #[arg(value_name = "RUN")]
    runs: Vec<String>,
    /// Compare this branch with what it is to be merged into
    #[arg(long, value_name = "REV")]
    against: Option<String>,
    /// Report on this experiment alone; can be given again
    #[arg(long = "experiment", value_name = "NAME")]
    experiments: Vec<String>,
    /// Ask this gate of ml.toml about each run of the report; exit with 3 if one does not pass
    #[arg(long = "gate", value_name = "NAME")]
    gates: Vec<String>,
    /// How to write it; by default as the file's name says, or md
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write it to this file; Markdown gets its picture as SVG beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, conflicts_with_all = ["format", "output"])]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Md,
    Html,
}

impl Format {
    /// As a file's name says.
    fn of(path: &Path) -> Self {
        let is_html = path.extension().is_some_and(|extension| extension == "html" || extension == "htm");
        if is_html { Self::Html } else { Self::Md }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let opened = runs::open(context, &workspace)?;
    let wanted: &[String] = match args.runs.as_slice() {
        [] if args.against.is_none() => &["@".to_owned()],
        wanted => wanted,
    };
    let found = wanted.iter().map(|wanted| runs::find(&workspace, &opened, wanted));
    let question = Question {
        runs: found.collect::<Result<_, _>>()?,
        against: args.against.clone(),
        experiments: args.experiments.clone(),
        gates: args.gates.clone(),
    };
    let report = gather(&workspace, &opened, question, &Bar::new(context))?;
    let format = args.format.or_else(|| args.output.as_deref().map(Format::of)).unwrap_or(Format::Md);
    match &args.output {
        _ if args.json => print_json(&document(&report))?,
        Some(path) => write(context, &report, format, path)?,
        None => {
            let text = match format {
                Format::Md => report.markdown(None),
                Format::Html => report.html(),
            };
            print_line(text.trim_end())?;
        }
    }
    match report.passed() {
        true => Ok(()),
        false => refuse(context, &report),
    }
}

/// Says which conditions keep a gate shut.
fn refuse(context: &Context, report: &Report) -> Result<(), Failure> {
    for judgement in report.gates.iter().filter(|judgement| !judgement.passed()) {
        let gate = printable(&judgement.gate);
        if judgement.outcomes.is_empty() {
            context.refuse(&format!("there is no run that could pass the gate {gate}"));
        }
        for outcome in judgement.outcomes.iter().filter(|outcome| !outcome.passed) {
            context.refuse(&format!("{} does not pass the gate {gate}", printable(&outcome.subject)));
            outcome.failed().for_each(|checked| context.refuse_line(&format!("  {checked}")));
        }
    }
    Err(Failure::Verification)
}

fn write(context: &Context, report: &Report, format: Format, path: &Path) -> Result<(), Failure> {
    let place = context.folder.join(path);
    if place.exists() && !place.is_file() {
        return Err(Failure::User {
            message: format!("{} is not a file", path.display()),
            hint: "give -o a file; without -o the report goes to stdout".to_owned(),
        });
    }
    let mut written = vec![path.display().to_string()];
    let text = match format {
        Format::Html => report.html(),
        Format::Md => {
            let picture = report.picture().filter(|_| place.extension().is_none_or(|extension| extension != "svg"));
            let name = path.with_extension("svg");
            let shown = name.file_name().and_then(|name| name.to_str()).filter(|_| picture.is_some());
            // The picture first, so that the report never names one that is not there.
            if let (Some(picture), Some(_)) = (&picture, shown) {
                publish(&context.folder.join(&name), picture.as_bytes(), Durability::Buffered)?;
                written.push(name.display().to_string());
            }
            report.markdown(shown)
        }
    };
    publish(&place, text.as_bytes(), Durability::Buffered)?;
    context.say(&format!("wrote {}", written.join(" and ")));
    Ok(())
}

fn document(report: &Report) -> Value {
    let against = report.against.as_ref().map(|against| {
        json!({
            "revision": against.revision,
            "base": against.base,
            "tip": against.tip,
            "commits": against.commits,
            "runs": against.runs,
        })
    });
    let data = report.data.iter().map(|change| {
        let version = |version: &Option<crate::diff::Version>| {
            version.as_ref().map(|version| {
                json!({ "id": version.id, "type": version.artifact_type, "files": version.files, "bytes": version.bytes })
            })
        };
        json!({ "path": change.path.as_str(), "before": version(&change.before), "after": version(&change.after) })
    });
    let gates = report.gates.iter().map(
        |judgement| json!({ "gate": judgement.gate, "passed": judgement.passed(), "outcomes": judgement.outcomes }),
    );
    let events = report.events.iter().map(|event| {
        json!({
            "model": event.model,
            "event": event.kind.as_str(),
            "version": event.version,
            "alias": event.alias,
            "by": event.commit.author,
            "note": event.note,
        })
    });
    json!({
        "against": against,
        "entries": report.entries.iter().map(entry).collect::<Vec<_>>(),
        "gates": gates.collect::<Vec<_>>(),
        "data": data.collect::<Vec<_>>(),
        "registry": events.collect::<Vec<_>>(),
    })
}

fn entry(entry: &Entry) -> Value {
    let run = |run: &Run| json!({ "id": run.id, "name": run.name, "status": run.status, "commit": run.commit });
    let number = |value: Option<f64>| value.map_or(Value::Null, runs::json_number);
    let metrics = entry.measurements().into_iter().map(|measurement| {
        let (base, here, change) = (measurement.base, measurement.here, measurement.change());
        let verdict = Some(measurement.verdict.as_str()).filter(|word| !word.is_empty());
        let value = json!({
            "base": number(base), "here": number(here), "change": number(change), "verdict": verdict,
        });
        (measurement.metric, value)
    });
    let params =
        entry.params().into_iter().map(|(name, base, here)| (name.to_owned(), json!({ "base": base, "here": here })));
    let standing = entry.standing.map(|standing| match standing {
        Standing::Newest => "newest",
        Standing::Older(_) => "older",
        Standing::Uncommitted => "uncommitted",
        Standing::Elsewhere => "elsewhere",
    });
    json!({
        "experiment": entry.here.run.experiment,
        "title": entry.title,
        "run": run(&entry.here.run),
        "standing": standing,
        "base": entry.base.as_ref().map(|base| run(&base.run)),
        "metrics": metrics.collect::<serde_json::Map<_, _>>(),
        "params": params.collect::<serde_json::Map<_, _>>(),
        "other_runs": entry.others.iter().map(run).collect::<Vec<_>>(),
        "stale_inputs": entry.stale_inputs,
    })
}
