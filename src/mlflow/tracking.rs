//! The runs of the repository as the endpoints see them: those in progress, which may be written to, and the recorded
//! ones, kept in memory since clients ask for them again and again.
//!
//! What is acknowledged is on the disk: a request appends a line to the run's event log and waits until that is synced.
//! Requests to one run share a sync, and the disk does those of several runs together.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::error::ApiError;
use crate::id::{CommitId, RunId};
use crate::run::{
    Added, COMMIT_LINE, DEFAULT_EXPERIMENT, Point, RUNS_REF, Run, RunChange, RunError, RunStatus, Runs, ServedRun,
};
use crate::track::Workspace;

/// How long a run that ended is kept open for what its client adds right after the end.
const LINGER: Duration = Duration::from_secs(1);
/// How old the last look at what others log and record may be for a list of runs. Whoever asks for one run gets it as
/// it is.
const STALE: Duration = Duration::from_secs(1);
/// Runs in progress whose points are kept in memory.
const MAX_WATCHED: usize = 4;
/// Recorded changes that are read one by one; after more, all runs are read.
const MAX_STEPS: usize = 2000;

/// The runs of a repository.
#[derive(Debug)]
pub(super) struct Tracking {
    workspace: Arc<Workspace>,
    /// The run whose command is served: it ends with its process, whatever a client says.
    inside: Option<RunId>,
    /// Whether a client has begun to log to that one.
    is_taken: AtomicBool,
    live: RwLock<LiveRuns>,
    recorded: RwLock<Recorded>,
    /// Runs that ended, and when they are to be recorded.
    ending: Mutex<Ending>,
    wake: Condvar,
    /// Runs in progress whose points are in memory, the last one that was asked for last.
    watched: Mutex<VecDeque<RunId>>,
}

#[derive(Debug, Default)]
struct LiveRuns {
    runs: HashMap<RunId, Arc<LiveEntry>>,
    /// When the folder of live runs was looked at last.
    looked: Option<Instant>,
}

#[derive(Debug, Default)]
struct Recorded {
    runs: HashMap<RunId, Arc<Run>>,
    /// The commit that this is as new as; none before the first look.
    tip: Option<CommitId>,
    /// When that was; none before the first look.
    looked: Option<Instant>,
}

#[derive(Debug, Default)]
struct Ending {
    runs: BTreeMap<RunId, Instant>,
    is_over: bool,
}

/// A run in progress.
#[derive(Debug)]
struct LiveEntry {
    state: Mutex<LiveState>,
    /// The run as it was when its logs were looked at last.
    shown: RwLock<Arc<Run>>,
    /// How many changes were written.
    written: AtomicU64,
    /// How many of those are on the disk.
    synced: Mutex<u64>,
}

#[derive(Debug)]
struct LiveState {
    served: ServedRun,
    looked: Instant,
    /// What a client said of the end of a run that ends with its process.
    claimed: Option<RunStatus>,
}

/// Whether a look at what others do was a moment ago.
fn is_fresh(looked: Option<Instant>) -> bool {
    looked.is_some_and(|looked| looked.elapsed() < STALE)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveEntry {
    fn new(mut served: ServedRun) -> Result<Self, RunError> {
        let shown = RwLock::new(Arc::new(served.current()?));
        let state = Mutex::new(LiveState { served, looked: Instant::now(), claimed: None });
        Ok(Self { state, shown, written: AtomicU64::new(0), synced: Mutex::new(0) })
    }

    /// The run as it was when its logs were looked at last.
    fn shown(&self) -> Arc<Run> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The run with all that was logged by now.
    fn look(&self, state: &mut LiveState) -> Result<Arc<Run>, RunError> {
        let mut run = state.served.current()?;
        state.looked = Instant::now();
        if let Some(claimed) = state.claimed.filter(|_| run.status == RunStatus::Running) {
            run.status = claimed;
        }
        let run = Arc::new(run);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&run);
        Ok(run)
    }

    /// The run as of a moment ago, without waiting for somebody who writes to it or records it.
    fn glance(&self) -> Result<Arc<Run>, RunError> {
        if let Ok(mut state) = self.state.try_lock()
            && state.looked.elapsed() > STALE
            && state.served.is_there()
        {
            return self.look(&mut state);
        }
        Ok(self.shown())
    }

    /// Waits until the first `count` changes are on the disk.
    fn sync(&self, added: &Added, count: u64) -> Result<(), RunError> {
        let mut synced = lock(&self.synced);
        if *synced >= count {
            // Whoever synced meanwhile has synced this too.
            return Ok(());
        }
        let written = self.written.load(Ordering::SeqCst);
        added.sync()?;
        *synced = written;
        Ok(())
    }
}

impl Tracking {
    pub(super) fn new(workspace: Arc<Workspace>, inside: Option<RunId>) -> Self {
        Self {
            workspace,
            inside,
            is_taken: AtomicBool::new(false),
            live: RwLock::default(),
            recorded: RwLock::default(),
            ending: Mutex::default(),
            wake: Condvar::new(),
            watched: Mutex::default(),
        }
    }

    /// The run with this id, with all that was logged by now.
    pub(super) fn get(&self, run_id: &str) -> Result<Arc<Run>, ApiError> {
        let not_found = || ApiError::missing(format!("Run with id={run_id} not found"));
        let id: RunId = run_id.parse().map_err(|_| not_found())?;
        if let Some(entry) = self.live_entry(&id)? {
            let mut state = lock(&entry.state);
            if state.served.is_there() {
                return Ok(entry.look(&mut state)?);
            }
        }
        self.recorded_run(&id)?.ok_or_else(not_found)
    }

    /// All runs, in no order, as of a moment ago.
    pub(super) fn all(&self) -> Result<Vec<Arc<Run>>, ApiError> {
        // Live ones first: a run that is recorded meanwhile is then seen twice rather than not at all.
        self.look_for_live_runs()?;
        let entries: Vec<(RunId, Arc<LiveEntry>)> = {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            live.runs.iter().map(|(id, entry)| (*id, Arc::clone(entry))).collect()
        };
        let mut all = HashMap::with_capacity(entries.len());
        for (run_id, entry) in entries {
            all.insert(run_id, entry.glance()?);
        }
        self.look_for_recorded_runs()?;
        let recorded = self.recorded.read().unwrap_or_else(PoisonError::into_inner);
        let mut runs: Vec<Arc<Run>> = all.values().cloned().collect();
        runs.extend(
            recorded.runs.iter().filter(|(run_id, _)| !all.contains_key(run_id)).map(|(_, run)| Arc::clone(run)),
        );
        Ok(runs)
    }

    /// The points of a metric, in the order in which they were logged.
    pub(super) fn points(&self, run_id: &str, metric: &str) -> Result<Vec<Point>, ApiError> {
        let Ok(id) = run_id.parse::<RunId>() else { return Ok(Vec::new()) };
        if let Some(entry) = self.live_entry(&id)? {
            let mut state = lock(&entry.state);
            if state.served.is_there() {
                let points = state.served.points(&self.workspace, metric)?;
                drop(state);
                self.let_go_of_others(id);
                return Ok(points);
            }
        }
        Ok(Runs::new(&self.workspace).series(&id)?.remove(metric).unwrap_or_default())
    }

    /// Keeps the points of the last few runs in memory that somebody asked for those of, this one's included.
    fn let_go_of_others(&self, run_id: RunId) {
        let mut watched = lock(&self.watched);
        watched.retain(|known| *known != run_id);
        watched.push_back(run_id);
        if watched.len() <= MAX_WATCHED {
            return;
        }
        let Some(oldest) = watched.pop_front() else { return };
        drop(watched);
        let entry = self.live.read().unwrap_or_else(PoisonError::into_inner).runs.get(&oldest).cloned();
        if let Some(entry) = entry {
            lock(&entry.state).served.let_go();
        }
    }

    /// Begins a run.
    pub(super) fn create(&self, run: Run) -> Result<Arc<Run>, ApiError> {
        let run_id = run.id;
        let entry = LiveEntry::new(ServedRun::create(&self.workspace, run, self.inside.as_ref())?)?;
        let shown = entry.shown();
        self.live.write().unwrap_or_else(PoisonError::into_inner).runs.insert(run_id, Arc::new(entry));
        Ok(shown)
    }

    /// A client in the served command chooses an experiment. The run that it is in belongs to that from then on, if the
    /// client has not begun to log to it: MLflow's own client goes on with a run in the experiment it chose, and with no
    /// other.
    pub(super) fn choose_experiment(&self, name: &str) -> Result<(), ApiError> {
        let Some(inside) = self.inside.filter(|_| !self.is_taken.load(Ordering::SeqCst)) else { return Ok(()) };
        let name = if name == DEFAULT_EXPERIMENT { "" } else { name };
        self.change_run(&inside.to_string(), &mut |run| {
            let is_same = run.experiment.as_deref().unwrap_or_default() == name;
            Ok((!is_same).then(|| RunChange { experiment: Some(name.to_owned()), ..RunChange::default() }))
        })?;
        Ok(())
    }

    /// Changes a run in the way that `decide` says, who sees it as it is. A recorded run is opened again for it. When this
    /// returns, the change is on the disk.
    pub(super) fn change(
        &self,
        run_id: &str,
        decide: &mut dyn FnMut(&Run) -> Result<Option<RunChange>, ApiError>,
    ) -> Result<Arc<Run>, ApiError> {
        if self.inside.is_some_and(|inside| run_id == inside.to_string()) {
            self.is_taken.store(true, Ordering::SeqCst);
        }
        self.change_run(run_id, decide)
    }

    fn change_run(
        &self,
        run_id: &str,
        decide: &mut dyn FnMut(&Run) -> Result<Option<RunChange>, ApiError>,
    ) -> Result<Arc<Run>, ApiError> {
        let not_found = || ApiError::missing(format!("Run with id={run_id} not found"));
        let id: RunId = run_id.parse().map_err(|_| not_found())?;
        // Only as often as somebody records the run between our look and our write.
        loop {
            let Some(entry) = self.open(&id, decide)? else {
                return self.recorded_run(&id)?.ok_or_else(not_found);
            };
            let mut state = lock(&entry.state);
            if !state.served.is_there() {
                drop(state);
                self.forget(&id);
                continue;
            }
            let run = entry.look(&mut state)?;
            let Some(mut change) = decide(&run)? else { return Ok(run) };
            let is_served = state.served.is_served();
            let status = change.status;
            if !is_served {
                // Its process says how it ends; what the client says is noted.
                (change.status, change.ended) = (None, None);
                state.claimed = status.filter(|status| *status != RunStatus::Running).or(state.claimed);
                if matches!(status, Some(RunStatus::Failed | RunStatus::Killed)) {
                    change.reason = Some("its MLflow client says that it failed".to_owned());
                }
                if status == Some(RunStatus::Running) {
                    state.claimed = None;
                }
            }
            if change == RunChange::default() {
                return Ok(entry.look(&mut state)?);
            }
            let Some(added) = state.served.add(&self.workspace, change)? else {
                drop(state);
                self.forget(&id);
                continue;
            };
            let count = entry.written.fetch_add(1, Ordering::SeqCst) + 1;
            let run = entry.look(&mut state)?;
            drop(state);
            entry.sync(&added, count)?;
            if is_served && run.status != RunStatus::Running {
                self.end_soon(id);
            }
            return Ok(run);
        }
    }

    /// The entry of a run that can be written to; none where there is nothing to write, or no such run.
    fn open(
        &self,
        run_id: &RunId,
        decide: &mut dyn FnMut(&Run) -> Result<Option<RunChange>, ApiError>,
    ) -> Result<Option<Arc<LiveEntry>>, ApiError> {
        if let Some(entry) = self.live_entry(run_id)? {
            return Ok(Some(entry));
        }
        let Some(run) = self.recorded_run(run_id)? else { return Ok(None) };
        if decide(&run)?.is_none() {
            return Ok(None);
        }
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = live.runs.get(run_id) {
            return Ok(Some(Arc::clone(entry)));
        }
        let served = ServedRun::reopen(&self.workspace, Run::clone(&run))?;
        let entry = Arc::new(LiveEntry::new(served)?);
        live.runs.insert(*run_id, Arc::clone(&entry));
        Ok(Some(entry))
    }

    fn forget(&self, run_id: &RunId) {
        self.live.write().unwrap_or_else(PoisonError::into_inner).runs.remove(run_id);
    }

    fn live_entry(&self, run_id: &RunId) -> Result<Option<Arc<LiveEntry>>, RunError> {
        let known = self.live.read().unwrap_or_else(PoisonError::into_inner).runs.get(run_id).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let Some(served) = ServedRun::open(&self.workspace, run_id)? else { return Ok(None) };
        let entry = Arc::new(LiveEntry::new(served)?);
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Arc::clone(live.runs.entry(*run_id).or_insert(entry))))
    }

    /// Takes in the runs that others began, and forgets those that others recorded.
    fn look_for_live_runs(&self) -> Result<(), RunError> {
        if is_fresh(self.live.read().unwrap_or_else(PoisonError::into_inner).looked) {
            return Ok(());
        }
        let now = Instant::now();
        let ids = ServedRun::ids(&self.workspace)?;
        for run_id in &ids {
            self.live_entry(run_id)?;
        }
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.runs
            .retain(|run_id, _| ids.binary_search(run_id).is_ok() || ServedRun::has_folder(&self.workspace, run_id));
        live.looked = Some(now);
        Ok(())
    }

    fn recorded_run(&self, run_id: &RunId) -> Result<Option<Arc<Run>>, ApiError> {
        let tip = self.workspace.repository.read_ref(RUNS_REF)?;
        {
            let recorded = self.recorded.read().unwrap_or_else(PoisonError::into_inner);
            if recorded.looked.is_some() && recorded.tip == tip {
                return Ok(recorded.runs.get(run_id).cloned());
            }
        }
        Ok(ServedRun::recorded(&self.workspace, run_id)?.map(Arc::new))
    }

    /// Takes in what was recorded since the last look.
    fn look_for_recorded_runs(&self) -> Result<(), ApiError> {
        let is_due = |recorded: &Recorded| !is_fresh(recorded.looked);
        if !is_due(&self.recorded.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let mut recorded = self.recorded.write().unwrap_or_else(PoisonError::into_inner);
        if !is_due(&recorded) {
            return Ok(());
        }
        let now = Instant::now();
        let tip = self.workspace.repository.read_ref(RUNS_REF)?;
        let changed = match (recorded.looked, &tip) {
            (Some(_), tip) if recorded.tip == *tip => Some(Vec::new()),
            (Some(_), Some(tip)) => self.changed_since(recorded.tip, tip)?,
            _ => None,
        };
        match changed {
            Some(ids) => {
                for run_id in ids {
                    let run = ServedRun::recorded(&self.workspace, &run_id)?;
                    recorded.runs.extend(run.map(|run| (run_id, Arc::new(run))));
                }
            }
            None => {
                // A record that cannot be read is for `git ml verify` to tell of.
                let (runs, _) = Runs::new(&self.workspace).list_recorded()?;
                recorded.runs = runs.into_iter().map(|run| (run.id, Arc::new(run))).collect();
            }
        }
        (recorded.tip, recorded.looked) = (tip, Some(now));
        Ok(())
    }

    /// The runs that commits since the last look are about; none where that cannot be told.
    fn changed_since(&self, before: Option<CommitId>, tip: &CommitId) -> Result<Option<Vec<RunId>>, ApiError> {
        let mut ids = Vec::new();
        for commit in self.workspace.repository.first_parents(tip, MAX_STEPS)? {
            if Some(commit.id) == before {
                return Ok(Some(ids));
            }
            if commit.message.lines().any(|line| line.starts_with(COMMIT_LINE)) {
                continue;
            }
            let Some(run_id) = commit.message.lines().find_map(|line| line.strip_prefix("run ")?.parse::<RunId>().ok())
            else {
                break;
            };
            ids.push(run_id);
        }
        Ok(None)
    }
}

impl Tracking {
    /// Sees to it that a run that ended is recorded, when its client has had the time to add to it.
    fn end_soon(&self, run_id: RunId) {
        let mut ending = lock(&self.ending);
        ending.runs.insert(run_id, Instant::now() + LINGER);
        self.wake.notify_one();
    }

    /// Records runs that ended, until it is over.
    pub(super) fn record_ended(&self) {
        self.find_ended();
        let mut ending = lock(&self.ending);
        while !ending.is_over {
            let now = Instant::now();
            let due = ending.runs.iter().find(|(_, time)| **time <= now).map(|(run_id, _)| *run_id);
            if let Some(run_id) = due {
                ending.runs.remove(&run_id);
                drop(ending);
                // What cannot be recorded now is in its folder, whole, for whoever looks next.
                let _ = self.settle(&run_id);
                ending = lock(&self.ending);
                continue;
            }
            let next = ending.runs.values().min().map(|time| time.saturating_duration_since(now));
            ending = match next {
                Some(pause) => self.wake.wait_timeout(ending, pause).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(ending).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Finds what an earlier server left of runs that had ended.
    fn find_ended(&self) {
        for run_id in ServedRun::ids(&self.workspace).unwrap_or_default() {
            if ServedRun::has_ended(&self.workspace, &run_id) {
                self.end_soon(run_id);
            }
        }
    }

    /// Ends it: no more runs are recorded by whoever does that, and those that ended are recorded now. Those that were
    /// begun in the served command and are open still end with `status`.
    pub(super) fn close(&self, status: RunStatus) -> Result<(), RunError> {
        let left = {
            let mut ending = lock(&self.ending);
            ending.is_over = true;
            std::mem::take(&mut ending.runs)
        };
        self.wake.notify_all();
        let mut result = Ok(());
        for run_id in self.begun_inside() {
            result = result.and(self.end(&run_id, status)).and(self.settle(&run_id));
        }
        for run_id in left.into_keys() {
            result = result.and(self.settle(&run_id));
        }
        result
    }

    /// Ends a run that is open still.
    fn end(&self, run_id: &RunId, status: RunStatus) -> Result<(), RunError> {
        let Some(entry) = self.live_entry(run_id)? else { return Ok(()) };
        let mut state = lock(&entry.state);
        if !state.served.is_there() || ServedRun::has_ended(&self.workspace, run_id) {
            return Ok(());
        }
        let change = RunChange { status: Some(status), ..RunChange::default() };
        // The record, which follows at once, is what is kept.
        state.served.add(&self.workspace, change).map(drop)
    }

    /// The runs that the command began beside its own, which end with it.
    fn begun_inside(&self) -> Vec<RunId> {
        let Some(inside) = &self.inside else { return Vec::new() };
        let entries: Vec<(RunId, Arc<LiveEntry>)> = {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            live.runs.iter().map(|(id, entry)| (*id, Arc::clone(entry))).collect()
        };
        let is_inside = |entry: &LiveEntry| lock(&entry.state).served.is_inside(inside);
        entries.into_iter().filter(|(_, entry)| is_inside(entry)).map(|(run_id, _)| run_id).collect()
    }

    /// Records a run.
    fn settle(&self, run_id: &RunId) -> Result<(), RunError> {
        let Some(entry) = self.live_entry(run_id)? else { return Ok(()) };
        let state = lock(&entry.state);
        let run = state.served.settle(&self.workspace)?;
        if let Some(run) = run {
            let mut recorded = self.recorded.write().unwrap_or_else(PoisonError::into_inner);
            if recorded.looked.is_some() {
                recorded.runs.insert(*run_id, Arc::new(run));
            }
        }
        drop(state);
        self.forget(run_id);
        Ok(())
    }
}
