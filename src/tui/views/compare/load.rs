//! What the comparison asks for.

use crate::diff::ArtifactChange;
use crate::files::RelPath;
use crate::git::{ChangedFile, CodeChanges, FilePatch};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::run::RunInput;

use super::super::super::chart::{LineJob, MadeLines, Tracks, make_lines, tracks};
use super::super::super::effects::{Kind, Lane};
use super::super::super::source::{Problem, Source};

/// Files that differ between two commits, of which so many are listed.
const MAX_FILES: usize = 2000;
/// Lines of one file's patch.
const MAX_LINES: usize = 20_000;

/// Of the requests of one pane only the last counts.
pub(super) const CODE: Kind = "compared code";
/// See [`CODE`].
pub(super) const PATCH: Kind = "compared file";
/// See [`CODE`].
pub(super) const DATA: Kind = "compared data";

/// Something that the comparison asks for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// A run's points.
    Series(RunId),
    /// Lines for the charts.
    Lines(LineJob),
    /// The files that two commits do not have alike.
    Code(CommitId, CommitId),
    /// How one file differs between two commits.
    Patch(CommitId, CommitId, ChangedFile),
    /// How the inputs of two runs differ.
    Data(Vec<RunInput>, Vec<RunInput>),
    /// What a run's models and evaluations say of its mistakes: the artifacts, those that count first.
    Evaluation(RunId, Vec<ArtifactId>),
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    Series(RunId, Result<Tracks, Problem>),
    Lines(MadeLines),
    Code(CommitId, CommitId, Result<CodeChanges, Problem>),
    Patch(String, Result<FilePatch, Problem>),
    Data(Vec<RunInput>, Vec<RunInput>, Vec<DataChange>),
    Evaluation(RunId, Result<Vec<Evaluation>, Problem>),
}

/// How an input of two runs differs.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum DataChange {
    /// Both read the same.
    Same(RelPath),
    /// The first run did not read it.
    Added(RelPath, ArtifactId),
    /// Only the first run read it.
    Removed(RelPath, ArtifactId),
    /// They read different versions.
    Changed(Box<ArtifactChange>),
    /// They read different versions, and how these differ cannot be said.
    Unclear(RelPath, [ArtifactId; 2], Problem),
}

/// What a model did on a part of its data.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Evaluation {
    /// The part: `test`, `validation`.
    pub(in crate::tui) part: String,
    /// The classes' names.
    pub(in crate::tui) classes: Vec<String>,
    /// A row for each true class, a column for each predicted one: how many examples.
    pub(in crate::tui) counts: Vec<Vec<u64>>,
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        match self {
            Self::Series(_) | Self::Lines(_) => Lane::Detail,
            Self::Code(..) | Self::Patch(..) | Self::Data(..) | Self::Evaluation(..) => Lane::Files,
        }
    }

    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Code(..) => Some(CODE),
            Self::Patch(..) => Some(PATCH),
            Self::Data(..) => Some(DATA),
            // One for each run: all of them count.
            Self::Series(_) | Self::Lines(_) | Self::Evaluation(..) => None,
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source) -> Answer {
        match self {
            Self::Series(run_id) => Answer::Series(run_id, source.series(&run_id).map(tracks)),
            Self::Lines(job) => Answer::Lines(make_lines(job)),
            Self::Code(old, new) => Answer::Code(old, new, source.code_changes(&old, &new, MAX_FILES)),
            Self::Patch(old, new, file) => {
                let patch = source.file_patch(&old, &new, &file, MAX_LINES);
                Answer::Patch(file.path, patch)
            }
            Self::Data(before, after) => {
                let changes = data_changes(source, &before, &after);
                Answer::Data(before, after, changes)
            }
            Self::Evaluation(run_id, artifacts) => Answer::Evaluation(run_id, evaluations(source, &artifacts)),
        }
    }
}

fn data_changes(source: &mut dyn Source, before: &[RunInput], after: &[RunInput]) -> Vec<DataChange> {
    let mut paths: Vec<&RelPath> = before.iter().chain(after).map(|input| &input.path).collect();
    paths.sort();
    paths.dedup();
    let of =
        |inputs: &[RunInput], path: &RelPath| inputs.iter().find(|input| input.path == *path).map(|input| input.id);
    let change = |path: &RelPath| match (of(before, path), of(after, path)) {
        (Some(old), Some(new)) if old == new => Some(DataChange::Same(path.clone())),
        (Some(old), Some(new)) => Some(match source.artifact_change(path, &old, &new) {
            Ok(Some(change)) => DataChange::Changed(Box::new(change)),
            Ok(None) => DataChange::Same(path.clone()),
            Err(problem) => DataChange::Unclear(path.clone(), [old, new], problem),
        }),
        (None, Some(new)) => Some(DataChange::Added(path.clone(), new)),
        (Some(old), None) => Some(DataChange::Removed(path.clone(), old)),
        (None, None) => None,
    };
    paths.into_iter().filter_map(change).collect()
}

/// The file of an evaluation, and the bytes that it may have: a thousand classes take some megabytes.
const METRICS_FILE: &str = "metrics.json";
const MAX_METRICS: u64 = 64 << 20;

/// The parts that were evaluated, from the first artifact that says anything; none where none does.
fn evaluations(source: &mut dyn Source, artifacts: &[ArtifactId]) -> Result<Vec<Evaluation>, Problem> {
    for artifact_id in artifacts {
        let Some(bytes) = source.artifact_file(artifact_id, METRICS_FILE, MAX_METRICS)? else { continue };
        let found = parse_evaluations(&bytes);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// The parts of a `metrics.json` that have a confusion matrix, the test first. What has another form is left out.
pub(super) fn parse_evaluations(bytes: &[u8]) -> Vec<Evaluation> {
    #[derive(serde::Deserialize)]
    struct Class {
        name: String,
    }
    #[derive(serde::Deserialize)]
    struct Part {
        classes: Vec<Class>,
        confusion: Vec<Vec<u64>>,
    }
    let Ok(parts) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes) else {
        return Vec::new();
    };
    let evaluation = |(part, value): (String, serde_json::Value)| {
        let Part { classes, confusion } = serde_json::from_value(value).ok()?;
        let is_square = confusion.len() == classes.len() && confusion.iter().all(|row| row.len() == classes.len());
        let classes: Vec<String> = classes.into_iter().map(|class| class.name).collect();
        (is_square && !classes.is_empty()).then_some(Evaluation { part, classes, counts: confusion })
    };
    let mut found: Vec<Evaluation> = parts.into_iter().filter_map(evaluation).collect();
    found.sort_by_key(|evaluation| (evaluation.part != "test", evaluation.part.clone()));
    found
}
