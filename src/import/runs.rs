//! What imports of runs share: recording those that are new, and those that have grown.
//!
//! A run that is imported has the digest of what its source says in its record. So importing again makes no commit, even
//! where somebody has tagged the run here since; and where the source says more by now, that alone is taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::git::Identity;
use crate::id::RunId;
use crate::run::{MetricSummary, Point, Run, RunOutput, RunStatus, Runs, Series, WholeRun};
use crate::track::{Progress, TrackError, Workspace};
use crate::words::error_in_a_line;

use super::ImportError;

/// The entry of a run's environment that says where it comes from.
const ORIGIN: &str = "imported_from";
/// The entry that has the digest of what the source said.
const DIGEST: &str = "imported_digest";
/// Runs that are recorded at once.
const BATCH: usize = 500;
/// Points that are held until they are recorded.
const BATCH_POINTS: usize = 2_000_000;
/// Points that one run may have.
const MAX_POINTS: usize = 50_000_000;
/// Bytes that the name of a metric may have, as when it is logged here.
const MAX_NAME: usize = 250;

/// Whether a run was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new here.
    New,
    /// It was here, and its source says more by now.
    Changed,
    /// Nothing changed.
    Unchanged,
}

impl Outcome {
    /// The word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "imported",
            Self::Changed => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A run that was imported.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedRun {
    /// Its id here.
    pub id: RunId,
    /// Its name.
    pub name: String,
    /// Its experiment.
    pub experiment: Option<String>,
    /// How it stands.
    pub status: RunStatus,
    /// Whether it was recorded.
    pub outcome: Outcome,
    /// How many parameters it has.
    pub params: usize,
    /// How many metrics.
    pub metrics: usize,
    /// How many points these have together.
    pub points: usize,
    /// How many artifacts.
    pub outputs: usize,
}

/// A version of a model that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedVersion {
    /// The model.
    pub model: String,
    /// The version here; none in a dry run.
    pub version: Option<u64>,
    /// The version there.
    pub source_version: u64,
    /// Aliases that point to it.
    pub aliases: Vec<String>,
    /// Whether anything was changed.
    pub is_changed: bool,
}

/// What was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// What: a file, a run, a model.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What came of an import of runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportedRuns {
    /// The runs, in the order of their source.
    pub runs: Vec<ImportedRun>,
    /// Versions of models.
    pub versions: Vec<ImportedVersion>,
    /// What was left out.
    pub left_out: Vec<LeftOut>,
}

/// How to import runs.
#[derive(Debug, Clone, Default)]
pub struct RunImportOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Who imports.
    pub user: String,
    /// On which machine.
    pub host: String,
}

/// An artifact of a run, where its source keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceArtifact {
    pub(super) name: String,
    pub(super) artifact_type: &'static str,
    pub(super) place: PathBuf,
}

/// A run as its source has it.
#[derive(Debug, Clone)]
pub(super) struct SourceRun {
    /// The record, without metrics and outputs.
    pub(super) run: Run,
    pub(super) series: Series,
    pub(super) log: Vec<u8>,
    pub(super) artifacts: Vec<SourceArtifact>,
}

impl SourceRun {
    /// A run of which nothing more is known.
    pub(super) fn new(id: RunId, started: Timestamp) -> Self {
        let run = Run { status: RunStatus::Finished, ..Run::begun(id, started) };
        Self { run, series: Series::new(), log: Vec::new(), artifacts: Vec::new() }
    }

    /// Adds a point, unless there are too many.
    pub(super) fn add_point(&mut self, metric: &str, point: Point) {
        match self.series.get_mut(metric) {
            Some(points) if points.len() < MAX_POINTS => points.push(point),
            Some(_) => {}
            None => drop(self.series.insert(metric.to_owned(), vec![point])),
        }
    }

    /// The digest of what the source says, artifacts aside.
    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        let run = &self.run;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let facts = serde_json::json!([
            run.name,
            run.status,
            run.experiment,
            run.started,
            run.ended,
            run.exit_code,
            run.note,
            run.removed.is_some(),
            run.user,
            run.host,
            run.command,
            run.params,
            run.tags,
            run.datasets,
            text(&run.reason),
        ]);
        add(facts.to_string().as_bytes());
        add(&self.log);
        for (metric, points) in &self.series {
            add(metric.as_bytes());
            for Point { step, time, value } in points {
                add(&step.to_le_bytes());
                add(&time.as_microsecond().to_le_bytes());
                add(&value.to_bits().to_le_bytes());
            }
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// Records runs as their sources give them.
pub(super) struct Recorder<'w> {
    workspace: &'w Workspace,
    runs: Runs<'w>,
    known: BTreeMap<RunId, Run>,
    author: Identity,
    origin: &'static str,
    is_dry: bool,
    progress: &'w dyn Progress,
    batch: Vec<SourceRun>,
    batch_points: usize,
    seen: BTreeSet<RunId>,
    imported: ImportedRuns,
}

impl<'w> Recorder<'w> {
    /// Begins an import from `origin`.
    pub(super) fn new(
        workspace: &'w Workspace,
        origin: &'static str,
        options: &RunImportOptions,
        progress: &'w dyn Progress,
    ) -> Result<Self, ImportError> {
        let runs = Runs::new(workspace);
        // One that does not read is there all the same: recording it anew does nothing.
        let (known, _) = runs.list_recorded()?;
        Ok(Self {
            workspace,
            runs,
            known: known.into_iter().map(|run| (run.id, run)).collect(),
            author: workspace.repository.identity_or_host(&options.user, &options.host),
            origin,
            is_dry: options.dry_run,
            progress,
            batch: Vec::new(),
            batch_points: 0,
            seen: BTreeSet::new(),
            imported: ImportedRuns::default(),
        })
    }

    /// Notes that something is left out.
    pub(super) fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.imported.left_out.push(LeftOut { what: what.into(), why: why.into() });
    }

    /// Where runs are imported to.
    pub(super) fn workspace(&self) -> &'w Workspace {
        self.workspace
    }

    /// Takes a run. It is recorded with others.
    pub(super) fn take(&mut self, mut source: SourceRun) -> Result<(), ImportError> {
        let name = source.run.name.clone();
        if !self.seen.insert(source.run.id) {
            self.leave_out(name, format!("the run {} is there twice", source.run.id));
            return Ok(());
        }
        let is_good = |name: &str| !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
        let (good, bad): (Series, Series) =
            std::mem::take(&mut source.series).into_iter().partition(|(n, _)| is_good(n));
        for metric in bad.keys() {
            self.leave_out(
                format!("{name}: metric {metric}"),
                "its name is empty, too long, or has a control character",
            );
        }
        source.series = good;
        self.batch_points += source.series.values().map(Vec::len).sum::<usize>();
        self.batch.push(source);
        if self.batch.len() >= BATCH || self.batch_points >= BATCH_POINTS {
            self.flush()?;
        }
        Ok(())
    }

    /// Records what was taken.
    pub(super) fn flush(&mut self) -> Result<(), ImportError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_points = 0;
        // Until the records name them, artifacts must not be collected.
        let _hold = (!self.is_dry).then(|| self.workspace.store.hold()).transpose().map_err(TrackError::from)?;
        let outputs = self.store_artifacts(&batch)?;
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (source, outputs) in batch.into_iter().zip(outputs) {
            let digest = source.digest();
            let known = self.known.get(&source.run.id);
            let artifacts = source.artifacts.len();
            let outcome = match known {
                None => Outcome::New,
                Some(known) if self.is_as_known(known, &source, &digest, &outputs) => Outcome::Unchanged,
                Some(_) => Outcome::Changed,
            };
            let SourceRun { run, series, log, .. } = source;
            self.imported.runs.push(ImportedRun {
                id: run.id,
                name: run.name.clone(),
                experiment: run.experiment.clone(),
                status: run.status,
                outcome,
                params: run.params.len(),
                metrics: series.len(),
                points: series.values().map(Vec::len).sum(),
                outputs: if self.is_dry { artifacts } else { outputs.len() },
            });
            let run = self.complete(run, &series, outputs, &digest);
            match outcome {
                Outcome::New => new.push(WholeRun { run, series, log }),
                Outcome::Changed => changed.push(WholeRun { run, series, log }),
                Outcome::Unchanged => {}
            }
        }
        if self.is_dry {
            return Ok(());
        }
        self.runs.record_all(new, &self.author)?;
        Ok(self.runs.replace_all(&changed, &self.author)?)
    }

    /// Records what is left, and says what came of it all.
    pub(super) fn finish(mut self) -> Result<ImportedRuns, ImportError> {
        self.flush()?;
        self.progress.finish();
        Ok(self.imported)
    }

    /// Stores the artifacts of runs; in a dry run, none.
    fn store_artifacts(&mut self, batch: &[SourceRun]) -> Result<Vec<Vec<RunOutput>>, ImportError> {
        let artifacts =
            batch.iter().enumerate().flat_map(|(run, source)| source.artifacts.iter().map(move |a| (run, a)));
        let artifacts: Vec<(usize, &SourceArtifact)> = artifacts.collect();
        let mut outputs = vec![Vec::new(); batch.len()];
        if self.is_dry || artifacts.is_empty() {
            return Ok(outputs);
        }
        let places: Vec<PathBuf> = artifacts.iter().map(|(_, artifact)| artifact.place.clone()).collect();
        let stored = self.workspace.store_paths(&places)?;
        for ((run, artifact), stored) in artifacts.into_iter().zip(stored) {
            match stored {
                Ok((id, manifest)) => outputs[run].push(RunOutput {
                    name: artifact.name.clone(),
                    artifact_type: artifact.artifact_type.to_owned(),
                    id,
                    files: manifest.entries().len() as u64,
                    bytes: manifest.total_size(),
                    path: None,
                }),
                Err(error) => self.leave_out(artifact.place.display().to_string(), error_in_a_line(&error)),
            }
        }
        Ok(outputs)
    }

    /// Whether a record has all that the source says.
    fn is_as_known(&self, known: &Run, source: &SourceRun, digest: &str, outputs: &[RunOutput]) -> bool {
        // What ran here and was exported is known better here.
        if !known.environment.contains_key(ORIGIN) {
            return true;
        }
        let has = |output: &RunOutput| known.outputs.iter().any(|old| old.name == output.name && old.id == output.id);
        let has_name = |name: &str| known.outputs.iter().any(|old| old.name == name);
        let has_outputs = match self.is_dry {
            true => source.artifacts.iter().all(|artifact| has_name(&artifact.name)),
            false => outputs.iter().all(has),
        };
        known.environment.get(DIGEST).is_some_and(|known| known == digest) && has_outputs
    }

    /// The record to keep: what the source says, and what was added here.
    fn complete(&self, mut run: Run, series: &Series, outputs: Vec<RunOutput>, digest: &str) -> Run {
        run.metrics =
            series.iter().filter_map(|(name, points)| Some((name.clone(), MetricSummary::of(name, points)?))).collect();
        run.outputs = outputs;
        run.duration_s = run.duration_s.or_else(|| {
            let seconds = run.ended?.duration_since(run.started).as_secs_f64();
            Some(seconds.max(0.0))
        });
        run.environment.insert(ORIGIN.to_owned(), self.origin.to_owned());
        run.environment.insert(DIGEST.to_owned(), digest.to_owned());
        if let Some(known) = self.known.get(&run.id) {
            for (name, value) in &known.tags {
                run.tags.entry(name.clone()).or_insert_with(|| value.clone());
            }
            run.note = run.note.or_else(|| known.note.clone());
            run.removed = run.removed.or(known.removed);
            for output in &known.outputs {
                if !run.outputs.iter().any(|own| own.name == output.name) {
                    run.outputs.push(output.clone());
                }
            }
        }
        run
    }
}

/// An id that a source's own identity always gives. As all our ids do, it begins with the time.
pub(super) fn derived_id(origin: &str, identity: &[&[u8]], started: Timestamp) -> RunId {
    let mut hasher = blake3::Hasher::new();
    for part in [origin.as_bytes()].iter().chain(identity) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    let milliseconds = u64::try_from(started.as_millisecond()).unwrap_or_default().to_be_bytes();
    bytes[..6].copy_from_slice(&milliseconds[2..]);
    // The marks of a UUID of version 7.
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    RunId::from_bytes(bytes)
}

/// The artifacts in a folder: each entry of it is one.
pub(super) fn artifacts_in(folder: &Path, skip: &[&str]) -> Vec<SourceArtifact> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut artifacts: Vec<SourceArtifact> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let is_good = name.len() <= MAX_NAME && !name.chars().any(char::is_control);
            let is_content = entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_file());
            (is_good && is_content && !skip.contains(&name.as_str())).then(|| SourceArtifact {
                artifact_type: type_of(&entry.path(), &name),
                place: entry.path(),
                name,
            })
        })
        .collect();
    artifacts.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    artifacts
}

/// What an artifact is: a model, where MLflow or a framework says so by the names of its files.
pub(super) fn type_of(place: &Path, name: &str) -> &'static str {
    let is_model = match place.is_dir() {
        true => place.join("MLmodel").is_file(),
        false => crate::track::is_model_file(name),
    };
    if is_model { "model" } else { "output" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_always_the_same_and_sort_by_time() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let id = derived_id("x", &[b"a", b"b"], at(1_700_000_000));
        assert_eq!(id.to_string(), "018bcfe568007df1862e2e9212c54f5e");
        assert_eq!(id, derived_id("x", &[b"a", b"b"], at(1_700_000_000)));
        assert_ne!(id, derived_id("x", &[b"ab", b""], at(1_700_000_000)));
        assert!(id < derived_id("x", &[b"a", b"b"], at(1_700_000_001)));
    }
}
