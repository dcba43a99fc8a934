//! Where the dashboard's data comes from: a repository, or a made-up one in tests.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;

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
