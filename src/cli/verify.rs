//! `git ml verify`

use std::time::Instant;

use clap::ValueEnum;
use jiff::Timestamp;

use crate::git::Repository;
use crate::registry::Registry;
use crate::remote::{Remote, configured};
use crate::run::Run;
use crate::track::Workspace;
use crate::verify::{
    Checked, Depth, Finding, Report, Request, Revisions, Scope, Severity, Suite, to_github, to_junit, to_sarif, verify,
};
use crate::words::{count, printable, size};

use super::approve::mark_of;
use super::output::{Bar, print_json, print_line};
use super::{Context, Failure};

/// Check artifacts, runs, the registry and refs
///
/// Without targets: the pointers in the work tree and at HEAD with the artifacts they name, every run, the registry and
/// the refs below refs/ml. What was verified before and has not changed is not read again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 3 says that something is wrong. docs/findings.md explains each finding.",
    after_long_help = "Examples:\n\
\x20 git ml verify --all\n\
\x20 git ml verify digits@production --deep\n\
\x20 git ml verify --rev origin/main..HEAD --format github\n\
\x20 git ml verify --all --remote origin\n\n\
Exit code 3 says that something is wrong. docs/findings.md explains each finding."
)]
pub(crate) struct Args {
    /// What to check: a path, MODEL@vN, MODEL@ALIAS, run:RUN; everything by default
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Check everything, with the pointers on every local branch
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Check the pointers of a revision, such as HEAD~3, or those that a range brings, such as A..B
    #[arg(long = "rev", value_name = "REV", conflicts_with_all = ["targets", "all"])]
    revisions: Vec<String>,
    /// Read every byte, also what was verified before
    #[arg(long)]
    deep: bool,
    /// Ask a remote too whether it has what pointers and versions name; what it has, need not be here
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print JSON, as with --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON document
    Json,
    /// XML for test reports, as JUnit writes it
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let workspace = context.workspace()?;
    let scope = match (args.targets.as_slice(), args.revisions.as_slice()) {
        ([], []) if args.all => Scope::All,
        ([], []) => Scope::Checkout,
        ([], revisions) => {
            let parse = |text: &String| parse_revisions(&workspace.repository, text);
            Scope::Revisions(revisions.iter().map(parse).collect::<Result<_, _>>()?)
        }
        (targets, _) => {
            let registry = Registry::new(&workspace);
            let resolved = targets.iter().map(|target| registry.resolve(&context.folder, target));
            Scope::Targets(resolved.collect::<Result<_, _>>()?)
        }
    };
    let depth = if args.deep { Depth::Everything } else { Depth::Unproved };
    let remote = args.remote.as_deref().map(|name| open_remote(context, &workspace, name)).transpose()?;
    // Whoever has no place for such notes has started nothing that is known.
    let has_started = context.trust().ok().map(|trust| trust.starts_in(workspace.repository.common_dir()));
    let is_own = |run: &Run| has_started.as_ref().is_some_and(|has_started| has_started(&mark_of(run)));
    let request = Request { scope, depth, remote: remote.as_ref(), is_own: Some(&is_own) };
    let report = verify(&workspace, &request, &Bar::new(context))?;
    match if args.json { Format::Json } else { args.format } {
        Format::Json => print_json(&report)?,
        Format::Sarif => print_json(&to_sarif(&report))?,
        Format::Junit => {
            let suite = Suite { host: &context.host(), started, seconds: clock.elapsed().as_secs_f64() };
            print_line(to_junit(&report, &suite).trim_end())?;
        }
        Format::Github => {
            let lines = to_github(&report);
            if !lines.is_empty() {
                print_line(lines.trim_end())?;
            }
            context.say(&summary(&report));
        }
        Format::Text => {
            print_findings(context, &report.findings)?;
            if !context.quiet {
                print_line(&summary(&report))?;
            }
            if report.elsewhere > 0 {
                let some = count(report.elsewhere, "artifact");
                context.say_more(&format!("{some} of runs or of the remote are not here and need not be"));
            }
        }
    }
    if report.ok { Ok(()) } else { Err(Failure::Verification) }
}

/// The commits that `HEAD~3`, `A..B` or `A...B` mean.
fn parse_revisions(repository: &Repository, text: &str) -> Result<Revisions, Failure> {
    let resolve = |revision: &str| repository.resolve(if revision.is_empty() { "HEAD" } else { revision });
    let label = text.to_owned();
    if let Some((one, other)) = text.split_once("...") {
        let tips = vec![resolve(one)?, resolve(other)?];
        let base = repository.merge_base(&tips[0], &tips[1])?;
        return Ok(Revisions { label, tips, hidden: Some(base.into_iter().collect()) });
    }
    match text.split_once("..") {
        Some((from, to)) => Ok(Revisions { label, tips: vec![resolve(to)?], hidden: Some(vec![resolve(from)?]) }),
        None => Ok(Revisions { label, tips: vec![resolve(text)?], hidden: None }),
    }
}

fn open_remote(context: &Context, workspace: &Workspace, name: &str) -> Result<Remote, Failure> {
    let remotes = configured(workspace)?;
    let on_git = |url: &str| url.strip_prefix("lfs::") == Some(name);
    let found = remotes.iter().find(|remote| remote.name == name);
    let Some(remote) = found.or_else(|| remotes.iter().find(|remote| on_git(&remote.settings.url))) else {
        let known: Vec<&str> = remotes.iter().map(|remote| remote.name.as_str()).collect();
        return Err(Failure::User {
            message: format!("there is no remote `{}` for artifacts", printable(name)),
            hint: match known.as_slice() {
                [] => "`git ml remote add NAME URL` sets one up".to_owned(),
                known => format!("there is {}", known.join(", ")),
            },
        });
    };
    Ok(remote.open(workspace, &context.environment())?)
}

/// One block for each finding, errors first as they come.
pub(super) fn print_findings(context: &Context, findings: &[Finding]) -> Result<(), Failure> {
    for finding in findings {
        let colour = match finding.severity {
            Severity::Error => 31,
            Severity::Warning => 33,
        };
        let word = finding.severity.as_str();
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
    let number = |severity| report.count(severity) as u64;
    text += &match (number(Severity::Error), number(Severity::Warning)) {
        (0, 0) => "all is well".to_owned(),
        (errors, 0) => count(errors, "error"),
        (0, warnings) => count(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    };
    text
}
