//! Where the dashboard's data comes from: a repository, or a made-up one in tests.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::git::CommitInfo;
use crate::id::{CommitId, RunId};
use crate::registry::{Model, REGISTRY_REF, Registry, RegistryEvent};
use crate::run::{RUNS_REF, Run, RunError, Runs, Series};
use crate::track::Workspace;
use crate::words::with_causes;

/// What could not be loaded and why, in a line.
pub(super) type Problem = String;

/// All runs, newest first, and the records that could not be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Listing {
    pub(super) runs: Vec<Run>,
    pub(super) problems: Vec<Problem>,
}

/// What the dashboard reads. Its calls may be slow: they are made on threads of their own.
pub(super) trait Source {
    /// All runs; none if they are as they were at the last call.
    fn runs(&mut self) -> Result<Option<Listing>, Problem>;
    /// The points of a run.
    fn series(&mut self, run_id: &RunId) -> Result<Series, Problem>;
    /// The end of a run's log: at most `limit` bytes.
    fn log_tail(&mut self, run_id: &RunId, limit: u64) -> Result<Vec<u8>, Problem>;
    /// What a commit says of itself.
    fn commit(&mut self, commit_id: &CommitId) -> Result<CommitInfo, Problem>;
    /// The models; none if they are as they were at the last call.
    fn models(&mut self) -> Result<Option<Vec<Model>>, Problem>;
    /// What happened to a model, newest first.
    fn history(&mut self, model: &str) -> Result<Vec<RegistryEvent>, Problem>;
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
}
