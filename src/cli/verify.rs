//! `git ml verify`

use clap::ValueEnum;

use crate::registry::Registry;
use crate::verify::{Checked, Finding, Report, Scope, Severity, verify};
use crate::words::{count, printable, size};

use super::output::{Bar, print_json, print_line};
use super::{Context, Failure};

/// Check artifacts, runs, the registry and refs
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 3 says that something is wrong. docs/findings.md explains each finding.")]
pub(crate) struct Args {
    /// What to check: a path, MODEL@vN, MODEL@ALIAS, run:RUN; everything by default
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Check everything
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Read every byte, not only the store's index
    #[arg(long)]
    deep: bool,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print JSON, as with --format json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let scope = match args.targets.as_slice() {
        [] => Scope::All,
        targets => {
            let registry = Registry::new(&workspace);
            let resolved = targets.iter().map(|target| registry.resolve(&context.folder, target));
            Scope::Targets(resolved.collect::<Result<_, _>>()?)
        }
    };
    let report = verify(&workspace, &scope, args.deep, &Bar::new(context))?;
    if args.json || args.format == Format::Json {
        print_json(&report)?;
    } else {
        print_findings(context, &report.findings)?;
        if !context.quiet {
            print_line(&summary(&report))?;
        }
        if report.ok && !args.deep {
            context.say_more("--deep reads every byte too");
        }
    }
    if report.ok { Ok(()) } else { Err(Failure::Verification) }
}

/// One block for each finding, errors first as they come.
pub(super) fn print_findings(context: &Context, findings: &[Finding]) -> Result<(), Failure> {
    for finding in findings {
        let (word, colour) = match finding.severity {
            Severity::Error => ("error", 31),
            Severity::Warning => ("warning", 33),
        };
        let word = if context.colour { format!("\x1b[1;{colour}m{word}\x1b[0m") } else { word.to_owned() };
        print_line(&format!("{word}[{}]: {}", finding.code.as_str(), printable(&finding.message)))?;
        print_line(&format!("  hint: {}", printable(&finding.hint)))?;
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let Checked { artifacts, files, bytes, runs, versions, .. } = report.checked;
    let mut text = format!(
        "checked {} ({}, {}), {}, {}: ",
        count(artifacts, "artifact"),
        count(files, "file"),
        size(bytes),
        count(runs, "run"),
        count(versions, "version"),
    );
    let number = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    text += &match (number(Severity::Error), number(Severity::Warning)) {
        (0, 0) => "all is well".to_owned(),
        (errors, 0) => count(errors, "error"),
        (0, warnings) => count(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    text
}
