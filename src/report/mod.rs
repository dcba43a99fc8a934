//! Reports: what a branch did to metrics, parameters, data and the registry, for a pull request.
//!
//! [`gather`] collects the facts, [`Report::markdown`] and [`Report::html`] write them, and [`Report::picture`] draws the
//! curves. All three are functions of what the repository holds: no time of now, no order of a map, nothing of the
//! machine. So a program may write the same comment again and again.
//!
//! Architecture invariant: names, values and notes come from anybody. They reach a page through `page::Span::Code` only,
//! which each writer escapes in one place; a page links to nothing, loads nothing and runs nothing.

mod choose;
mod compose;
mod curves;
mod html;
mod markdown;
mod measure;
mod page;
mod picture;

pub use choose::Standing;
pub use curves::Curve;
pub use markdown::{MARKER, MAX_BYTES};
pub use measure::{Direction, Measurement, Verdict, direction};

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Search};
use crate::config::{Config, ConfigError};
use crate::diff::{self, ArtifactChange, DiffError, Question as DiffQuestion, Side};
use crate::gate::{Candidate, Gate, GateError, Keeper, Outcome};
use crate::git::GitError;
use crate::id::{CommitId, RunId};
use crate::registry::{EventKind, Registry, RegistryError, RegistryEvent};
use crate::run::{Run, RunError, Runs, Series};
use crate::track::{Progress, TrackError, Workspace};

use choose::{Branch, History};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The branch and what it is compared with have no commit in common, or none that is here.
    #[error("HEAD and `{revision}` have no commit in common here")]
    NothingInCommon {
        /// As it was asked for.
        revision: String,
        /// Whether history is cut off in this clone.
        is_shallow: bool,
    },
    /// `ml.toml` has no such gate.
    #[error("ml.toml has no gate `{name}`")]
    UnknownGate {
        /// As it was asked for.
        name: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// `ml.toml` could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A gate could not be asked.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Versions of data could not be compared.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// The registry could not be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Runs could not be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The runs to report on. Without any, those that belong to the branch.
    pub runs: Vec<Run>,
    /// The revision that HEAD is compared with: what this branch is to be merged into. Without one, the first of `runs`
    /// is what the others are compared with.
    pub against: Option<String>,
    /// Experiments to report on; without any, all.
    pub experiments: Vec<String>,
    /// Gates of `ml.toml` that every run of the report has to pass.
    pub gates: Vec<String>,
}

/// The facts of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What HEAD was compared with.
    pub against: Option<Against>,
    /// What was measured: an entry for each experiment, or for each run that was asked for.
    pub entries: Vec<Entry>,
    /// What came of the gates that were asked, in the order they were asked for.
    pub gates: Vec<Judgement>,
    /// Data that differs.
    pub data: Vec<ArtifactChange>,
    /// What happened to versions that come from here, the oldest first.
    pub events: Vec<RegistryEvent>,
    /// Runs whose records cannot be read.
    pub unreadable: usize,
}

/// What came of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The gate.
    pub gate: String,
    /// What came of it for the run of each entry.
    pub outcomes: Vec<Outcome>,
}

impl Judgement {
    /// Whether every run passes. Where nothing was measured, nothing passes.
    pub fn passed(&self) -> bool {
        !self.outcomes.is_empty() && self.outcomes.iter().all(|outcome| outcome.passed)
    }
}

/// What a branch is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// The revision, as it was asked for.
    pub revision: String,
    /// Where the branch left it.
    pub base: CommitId,
    /// The branch's newest commit. Where HEAD is the merge that a forge made for a pull request, its second parent.
    pub tip: CommitId,
    /// How many commits the branch has of its own.
    pub commits: usize,
    /// How many runs belong to it.
    pub runs: usize,
}

/// What one experiment came to, or one run that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The experiment; without one the command, as far as runs of the same program share it.
    pub title: String,
    /// The run that counts.
    pub here: Measured,
    /// How its code stands to the branch; none where no branch was asked about.
    pub standing: Option<Standing>,
    /// What it is compared with.
    pub base: Option<Measured>,
    /// Other runs of the branch, newest first.
    pub others: Vec<Run>,
    /// Inputs that were read in another version than the branch has: their paths.
    pub stale_inputs: Vec<String>,
}

/// A run with the curves of its main metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The record.
    pub run: Run,
    /// Its curves by metric, thinned out for a drawing.
    pub curves: BTreeMap<String, Curve>,
}

impl Entry {
    /// What was measured, those of the test first.
    pub fn measurements(&self) -> Vec<Measurement> {
        measure::measurements(&self.here.run, self.base.as_ref().map(|base| &base.run))
    }

    /// Parameters that differ, or without a base all: name, before, now.
    pub fn params(&self) -> Vec<(&str, Option<&str>, Option<&str>)> {
        measure::params(&self.here.run, self.base.as_ref().map(|base| &base.run))
    }
}

impl Report {
    /// Whether every gate that was asked is passed.
    pub fn passed(&self) -> bool {
        self.gates.iter().all(Judgement::passed)
    }

    /// The report as Markdown for GitHub and GitLab, at most [`MAX_BYTES`] long: what does not fit is counted.
    ///
    /// `picture` is where the reader finds [`Report::picture`], relative to the report.
    pub fn markdown(&self, picture: Option<&str>) -> String {
        markdown::write(self, picture)
    }

    /// The report as one HTML file that needs nothing else.
    pub fn html(&self) -> String {
        html::write(self)
    }

    /// The curves of the main metrics as SVG, which is legible on light and dark pages; none without curves.
    pub fn picture(&self) -> Option<String> {
        picture::draw(&self.entries)
    }
}

/// Collects the facts.
pub fn gather(
    workspace: &Workspace,
    runs: &Runs<'_>,
    question: Question,
    progress: &dyn Progress,
) -> Result<Report, ReportError> {
    let Question { runs: asked, against, experiments, gates } = question;
    let is_wanted =
        |run: &Run| experiments.is_empty() || run.experiment.as_ref().is_some_and(|name| experiments.contains(name));
    let Some(revision) = against else {
        let entries = without_branch(runs, asked.into_iter().filter(is_wanted).collect())?;
        let gates = judge(workspace, &gates, &entries)?;
        return Ok(Report { against: None, entries, gates, data: Vec::new(), events: Vec::new(), unreadable: 0 });
    };
    let repository = &workspace.repository;
    let branch = Branch::find(repository, &revision)?;
    let found = Catalog::open(workspace).search(runs, &Search::default())?;
    let history = History::of(repository, branch.base)?;

    let own = branch.runs(&found.runs);
    let chosen = match asked.is_empty() {
        true => choose::by_experiment(&own),
        false => asked.into_iter().map(|run| (run, Vec::new())).collect(),
    };
    let excluded: BTreeSet<RunId> = own.iter().map(|(run, _)| run.id).collect();
    let pointers = workspace.pointers_at(&branch.tip)?;
    let mut entries = Vec::new();
    for (run, others) in chosen.into_iter().filter(|(run, _)| is_wanted(run)) {
        let base = history.base_for(repository, &run, &found.runs, &excluded);
        let read_otherwise =
            |input: &&crate::run::RunInput| pointers.get(&input.path).is_some_and(|pointer| pointer.id != input.id);
        let stale_inputs = run.inputs.iter().filter(read_otherwise).map(|input| input.path.to_string()).collect();
        let standing = Some(branch.standing(&run));
        let title = choose::title(&run);
        let base = base.map(|base| measured(runs, base)).transpose()?;
        entries.push(Entry { title, here: measured(runs, run)?, standing, base, others, stale_inputs });
    }

    let (before, after) = (Side::Commit(branch.base), Side::Commit(branch.tip));
    let asked = DiffQuestion { before, after, paths: Vec::new(), names_only: false };
    let data = diff::compare(workspace, &asked, progress)?;
    let here: BTreeSet<RunId> = excluded.into_iter().chain(entries.iter().map(|entry| entry.here.run.id)).collect();
    let events = events(workspace, &branch, &here)?;
    let gates = judge(workspace, &gates, &entries)?;
    let against =
        Against { revision, base: branch.base, tip: branch.tip, commits: branch.commits.len(), runs: here.len() };
    Ok(Report { against: Some(against), entries, gates, data, events, unreadable: found.problems.len() })
}

/// Runs by themselves; the first is what the others are compared with.
fn without_branch(runs: &Runs<'_>, asked: Vec<Run>) -> Result<Vec<Entry>, ReportError> {
    let first = asked.first().cloned();
    let mut entries = Vec::new();
    for run in asked {
        let base = first.as_ref().filter(|first| first.id != run.id).cloned();
        let base = base.map(|base| measured(runs, base)).transpose()?;
        let (title, others) = (choose::title(&run), Vec::new());
        let here = measured(runs, run)?;
        entries.push(Entry { title, here, standing: None, base, others, stale_inputs: Vec::new() });
    }
    Ok(entries)
}

/// Asks each gate about the run of each entry.
fn judge(workspace: &Workspace, names: &[String], entries: &[Entry]) -> Result<Vec<Judgement>, ReportError> {
    let mut judgements = Vec::new();
    for name in names {
        let work_dir = workspace.repository.work_dir()?;
        let Some(gate) = Gate::load(work_dir, name)? else {
            let known = Config::load(work_dir)?.gates.into_keys().collect();
            return Err(ReportError::UnknownGate { name: name.clone(), known });
        };
        let keeper = Keeper { workspace };
        let check = |entry: &Entry| gate.check(&Candidate::run(workspace, &keeper, &entry.here.run, None)?);
        let outcomes = entries.iter().map(check).collect::<Result<_, _>>()?;
        judgements.push(Judgement { gate: name.clone(), outcomes });
    }
    Ok(judgements)
}

/// A run with its curves. A series that cannot be read costs the curves and nothing else.
fn measured(runs: &Runs<'_>, run: Run) -> Result<Measured, ReportError> {
    let series = match runs.series(&run.id) {
        Ok(series) => series,
        Err(RunError::Malformed { .. }) => Series::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Measured { curves: curves::of(&series), run })
}

/// What happened in the registry to versions that were made by these runs or of commits of the branch.
fn events(
    workspace: &Workspace,
    branch: &Branch<'_>,
    own: &BTreeSet<RunId>,
) -> Result<Vec<RegistryEvent>, ReportError> {
    let registry = Registry::new(workspace);
    let survey = registry.survey()?;
    let versions = survey.models.iter().flat_map(|model| &model.versions);
    let from_here = versions.filter(|version| {
        version.run.is_some_and(|run| own.contains(&run)) || version.commit.is_some_and(|commit| branch.holds(&commit))
    });
    let from_here: BTreeSet<(&str, u64)> = from_here.map(|version| (version.model.as_str(), version.version)).collect();
    if from_here.is_empty() {
        return Ok(Vec::new());
    }
    let told = [EventKind::Register, EventKind::Alias, EventKind::Promote, EventKind::Rollback];
    let is_told = |event: &RegistryEvent| {
        told.contains(&event.kind)
            && event.version.is_some_and(|version| from_here.contains(&(event.model.as_str(), version)))
    };
    let mut events: Vec<RegistryEvent> = registry.events()?.into_iter().filter(is_told).collect();
    events.reverse();
    Ok(events)
}

#[cfg(test)]
mod tests;
