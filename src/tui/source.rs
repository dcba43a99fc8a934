//! Where the dashboard's data comes from: a repository, or a made-up one in tests.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::diff::{self, ArtifactChange};
use crate::files::RelPath;
use crate::git::{ChangedFile, CodeChanges, CommitInfo, FilePatch};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::registry::{Model, REGISTRY_REF, Registry, RegistryEvent};
use crate::run::{RUNS_REF, Run, RunError, Runs, Series};
use crate::track::{Silent, Workspace};
use crate::words::with_causes;

/// What could not be loaded and why, in a line.
pub(super) type Problem = String;

/// All runs, newest first, and the records that could not be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Listing {
    pub(super) runs: Vec<Run>,
    pub(super) problems: Vec<Problem>,
}

/// What the dashboard reads, and what it changes. Its calls may be slow: they are made on threads of their own.
///
/// What a source does not have fails with [`Source::problem`].
pub(super) trait Source {
    /// Why there is nothing to be had.
    fn problem(&self) -> Problem;
    /// All runs; none if they are as they were at the last call.
    fn runs(&mut self) -> Result<Option<Listing>, Problem> {
        Err(self.problem())
    }
    /// The points of a run.
    fn series(&mut self, _run_id: &RunId) -> Result<Series, Problem> {
        Err(self.problem())
    }
    /// The end of a run's log: at most `limit` bytes.
    fn log_tail(&mut self, _run_id: &RunId, _limit: u64) -> Result<Vec<u8>, Problem> {
        Err(self.problem())
    }
    /// What a commit says of itself.
    fn commit(&mut self, _commit_id: &CommitId) -> Result<CommitInfo, Problem> {
        Err(self.problem())
    }
    /// The models; none if they are as they were at the last call.
    fn models(&mut self) -> Result<Option<Vec<Model>>, Problem> {
        Err(self.problem())
    }
    /// What happened to a model, newest first.
    fn history(&mut self, _model: &str) -> Result<Vec<RegistryEvent>, Problem> {
        Err(self.problem())
    }
    /// The files that two commits do not have alike, at most `limit` of them.
    fn code_changes(&mut self, _old: &CommitId, _new: &CommitId, _limit: usize) -> Result<CodeChanges, Problem> {
        Err(self.problem())
    }
    /// How a file differs between two commits, in at most `limit` lines.
    fn file_patch(
        &mut self,
        _old: &CommitId,
        _new: &CommitId,
        _file: &ChangedFile,
        _limit: usize,
    ) -> Result<FilePatch, Problem> {
        Err(self.problem())
    }
    /// How two versions of an artifact differ; none where they do not.
    fn artifact_change(
        &mut self,
        _path: &RelPath,
        _before: &ArtifactId,
        _after: &ArtifactId,
    ) -> Result<Option<ArtifactChange>, Problem> {
        Err(self.problem())
    }
    /// The content of a file of an artifact, where it has such a file of at most `limit` bytes.
    fn artifact_file(&mut self, _artifact: &ArtifactId, _path: &str, _limit: u64) -> Result<Option<Vec<u8>>, Problem> {
        Err(self.problem())
    }
    /// Writes a note on a run, or removes it where the text is empty, and says so in a few words.
    fn set_note(&mut self, _run_id: &RunId, _text: &str) -> Result<String, Problem> {
        Err(self.problem())
    }
    /// Removes a run from the lists, and says so in a few words.
    fn remove_run(&mut self, _run_id: &RunId) -> Result<String, Problem> {
        Err(self.problem())
    }
}

/// A repository that could not be opened, and why.
#[derive(Debug)]
pub(super) struct Closed(pub(super) Problem);

impl Source for Closed {
    fn problem(&self) -> Problem {
        self.0.clone()
    }
}

/// How often crashed runs are looked for.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// A repository.
#[derive(Debug)]
pub(super) struct RepositorySource<'w> {
    workspace: &'w Workspace,
    /// Remembers how far it read the logs of live runs.
    runs: Runs<'w>,
    /// The recorded runs, and where the ref pointed when they were read: they change only with it.
    recorded: Option<(Option<CommitId>, Listing)>,
    /// Whether the last listing is still all that there is to say.
    settled: bool,
    seen_models: Option<Option<CommitId>>,
    recovered: Option<Instant>,
}

impl<'w> RepositorySource<'w> {
    /// A repository that is open.
    pub(super) fn new(workspace: &'w Workspace) -> Self {
        let runs = Runs::new(workspace);
        Self { workspace, runs, recorded: None, settled: false, seen_models: None, recovered: None }
    }

    /// Records runs whose parent died, so that they do not stand there as running forever. What cannot be recorded
    /// now is tried again, and listed as it is until then.
    fn recover(&mut self) {
        if self.recovered.is_none_or(|last| last.elapsed() >= RECOVERY_INTERVAL) {
            self.recovered = Some(Instant::now());
            let _ = self.runs.recover();
        }
    }

    fn read_ref(&self, reference: &str) -> Result<Option<CommitId>, Problem> {
        self.workspace.repository.read_ref(reference).map_err(|error| with_causes(&error))
    }
}

fn listing((runs, errors): (Vec<Run>, Vec<RunError>)) -> Listing {
    Listing { runs, problems: errors.iter().map(|error| with_causes(error)).collect() }
}

impl Source for RepositorySource<'_> {
    fn problem(&self) -> Problem {
        "this is not to be had from a repository".to_owned()
    }

    fn runs(&mut self) -> Result<Option<Listing>, Problem> {
        // Live ones first: a run that is recorded meanwhile is then seen twice rather than not at all.
        let live = self.runs.list_live().map_err(|error| with_causes(&error))?;
        if !live.0.is_empty() {
            self.recover();
        }
        let tip = self.read_ref(RUNS_REF)?;
        let known = self.recorded.as_ref().is_some_and(|(seen, _)| *seen == tip);
        if !known {
            let recorded = self.runs.list_recorded().map_err(|error| with_causes(&error))?;
            self.recorded = Some((tip, listing(recorded)));
        } else if live.0.is_empty() && live.1.is_empty() && self.settled {
            return Ok(None);
        }
        // What was live has to be gone from a listing before there is nothing new to say.
        self.settled = live.0.is_empty() && live.1.is_empty();
        let mut all = listing(live);
        if let Some((_, recorded)) = &self.recorded {
            let ids: BTreeSet<RunId> = recorded.runs.iter().map(|run| run.id).collect();
            all.runs.retain(|run| !ids.contains(&run.id));
            all.runs.extend(recorded.runs.iter().cloned());
            all.runs.retain(|run| run.removed.is_none());
            all.runs.sort_by_key(|run| Reverse((run.started, run.id)));
            all.problems.extend(recorded.problems.iter().cloned());
        }
        Ok(Some(all))
    }

    fn series(&mut self, run_id: &RunId) -> Result<Series, Problem> {
        self.runs.series(run_id).map_err(|error| with_causes(&error))
    }

    fn log_tail(&mut self, run_id: &RunId, limit: u64) -> Result<Vec<u8>, Problem> {
        self.runs.log_tail(run_id, limit).map_err(|error| with_causes(&error))
    }

    fn commit(&mut self, commit_id: &CommitId) -> Result<CommitInfo, Problem> {
        self.workspace.repository.commit(commit_id).map_err(|error| with_causes(&error))
    }

    fn models(&mut self) -> Result<Option<Vec<Model>>, Problem> {
        let tip = self.read_ref(REGISTRY_REF)?;
        if self.seen_models == Some(tip) {
            return Ok(None);
        }
        // What is not valid is left out here; `git ml verify` names it.
        let survey = Registry::new(self.workspace).survey().map_err(|error| with_causes(&error))?;
        self.seen_models = Some(tip);
        Ok(Some(survey.models))
    }

    fn history(&mut self, model: &str) -> Result<Vec<RegistryEvent>, Problem> {
        Registry::new(self.workspace).history(model).map_err(|error| with_causes(&error))
    }
    fn code_changes(&mut self, old: &CommitId, new: &CommitId, limit: usize) -> Result<CodeChanges, Problem> {
        self.workspace.repository.code_changes(old, new, limit).map_err(|error| with_causes(&error))
    }

    fn file_patch(
        &mut self,
        old: &CommitId,
        new: &CommitId,
        file: &ChangedFile,
        limit: usize,
    ) -> Result<FilePatch, Problem> {
        self.workspace.repository.file_patch(old, new, file, limit).map_err(|error| with_causes(&error))
    }

    fn artifact_change(
        &mut self,
        path: &RelPath,
        before: &ArtifactId,
        after: &ArtifactId,
    ) -> Result<Option<ArtifactChange>, Problem> {
        let store = &self.workspace.store;
        let version = |id: &ArtifactId| {
            // What is not here is said by the comparison itself.
            let manifest = store.manifest(id).ok();
            diff::Version {
                id: *id,
                artifact_type: "dataset".to_owned(),
                files: manifest.as_ref().map_or(0, |manifest| manifest.entries().len() as u64),
                bytes: manifest.as_ref().map_or(0, |manifest| manifest.total_size()),
                is_listed: manifest.is_some(),
            }
        };
        let versions = [version(before), version(after)];
        diff::compare_versions(store, path, versions, &Silent).map_err(|error| with_causes(&error))
    }

    fn artifact_file(&mut self, artifact: &ArtifactId, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Problem> {
        let store = &self.workspace.store;
        let manifest = store.manifest(artifact).map_err(|error| with_causes(&error))?;
        let entry = RelPath::new(path).ok().and_then(|path| manifest.find(&path).cloned());
        let Some(entry) = entry.filter(|entry| entry.size <= limit) else { return Ok(None) };
        store.read_to_vec(&entry.digest, limit).map(Some).map_err(|error| with_causes(&error))
    }

    fn set_note(&mut self, run_id: &RunId, text: &str) -> Result<String, Problem> {
        let run = self.runs.get(run_id).map_err(|error| with_causes(&error))?;
        let run = run.ok_or_else(|| format!("run {} is not in this repository", run_id.short()))?;
        self.runs.set_note(&run, text.trim()).map_err(|error| with_causes(&error))?;
        let what = if text.trim().is_empty() { "removed the note on" } else { "noted on" };
        Ok(format!("{what} {}", run.name))
    }
    fn remove_run(&mut self, run_id: &RunId) -> Result<String, Problem> {
        let now = Timestamp::now();
        let remove = &mut |run: &mut Run| run.removed = run.removed.or(Some(now));
        let run = self.runs.amend(run_id, "removed", remove).map_err(|error| with_causes(&error))?;
        Ok(format!("removed {} from the lists; its record stays in git", run.name))
    }
}
