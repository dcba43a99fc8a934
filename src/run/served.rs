//! Runs without a process of their own: a server writes their event logs for clients that say when a run begins and
//! ends.
//!
//! The folder of such a run has a mark, `served`, in the place of somebody who holds its lock, so a thousand runs can be
//! open without a thousand open files, and a server that is killed goes on with its runs when it is started again. The
//! mark names the run in whose command it was begun, if it was: then it is open as long as that one is supervised, and a
//! minute longer. Else it is open until nothing was written to it for a week.
//!
//! A recorded run is changed by opening it again: its folder is made anew from the record, with the file `reopened`,
//! and recording it replaces the record. What is logged to it meanwhile is as durable as in any other run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::collect::{Collector, EVENTS};
use super::event::{Note, OwnLine};
use super::live::{self, LOCK, RECORD};
use super::record::{MetricSummary, Run};
use super::recover::{as_it_stands, last_sign_of_life, settle};
use super::{Point, RunChange, RunError, RunOutput, RunStatus, Series, ledger, series};
use crate::files::{self, Appender, Durability, FileLock, Wait};
use crate::id::RunId;
use crate::track::Workspace;

/// In the folder of a run that somebody serves; what it holds is the id of the run that it was begun in, or nothing.
const MARK: &str = "served";
/// In the folder of a run that was recorded before.
const REOPENED: &str = "reopened";
/// In the folder of a served run that ended and is yet to be recorded.
const ENDED: &str = "ended";
/// The points that a run had when it was opened again, as the record had them.
const BASE: &str = "series.parquet";

/// Points of a run that are kept in memory for whoever asks for them again.
const MAX_HELD: usize = 200_000;

/// How long whoever added to a run takes it for open without looking.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a run to which nothing is written is taken for open.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long whoever serves a run has to record it when it ended.
const GRACE: Duration = Duration::from_secs(60);
/// How long a writer waits for somebody who records the run, and the other way round.
const TURN: Wait = Wait::UpTo(Duration::from_secs(10));

/// Whether somebody serves the run, as far as its folder tells.
pub(super) fn is_open(folder: &Path) -> bool {
    let Ok(mark) = fs::read_to_string(folder.join(MARK)) else { return false };
    let is_quiet_for = |patience: Duration| {
        let last = last_sign_of_life(folder).map(|time| jiff::Timestamp::now().duration_since(time));
        last.is_none_or(|age| age.unsigned_abs() > patience)
    };
    if folder.join(ENDED).exists() {
        return !is_quiet_for(GRACE);
    }
    match (mark.trim().parse::<RunId>(), folder.parent()) {
        // Whoever supervised that one ends this one right after it.
        (Ok(outer), Some(root)) => live::is_supervised(&root.join(outer.to_string())) || !is_quiet_for(GRACE),
        _ => !is_quiet_for(PATIENCE),
    }
}

/// Whether the run was recorded before.
pub(super) fn is_reopened(folder: &Path) -> bool {
    folder.join(REOPENED).exists()
}

/// The record that a run is opened again from, as it is by now.
pub(super) fn recorded(workspace: &Workspace, run_id: &RunId) -> Result<Option<Run>, RunError> {
    let repository = &workspace.repository;
    Ok(ledger::tip(repository)?.map(|tip| ledger::read(repository, &tip, run_id)).transpose()?.flatten())
}

/// Records a run that was opened again. However often that is done, it comes to the same.
pub(super) fn replace(
    workspace: &Workspace,
    folder: &Path,
    mut run: Run,
    points: Series,
    log: Vec<u8>,
) -> Result<Run, RunError> {
    let mut whole = None;
    if !points.is_empty() {
        let series = with_base(workspace, folder, &run.id, points)?;
        run.metrics =
            series.iter().filter_map(|(name, points)| Some((name.clone(), MetricSummary::of(name, points)?))).collect();
        whole = Some(series);
    }
    ledger::replace(workspace, &run, whole.as_ref(), log)?;
    Ok(run)
}

/// Points behind those that the run had when it was opened again.
pub(super) fn with_base(
    workspace: &Workspace,
    folder: &Path,
    run_id: &RunId,
    points: Series,
) -> Result<Series, RunError> {
    let base = folder.join(BASE);
    let mut whole = match fs::read(&base) {
        Ok(bytes) => series::from_parquet(bytes)
            .map_err(|error| RunError::Malformed { id: base.display().to_string(), problem: error.to_string() })?,
        Err(_) => recorded_series(workspace, run_id)?,
    };
    for (metric, points) in points {
        whole.entry(metric).or_default().extend(points);
    }
    Ok(whole)
}

fn recorded_series(workspace: &Workspace, run_id: &RunId) -> Result<Series, RunError> {
    let tip = ledger::tip(&workspace.repository)?;
    tip.map_or_else(|| Ok(Series::new()), |tip| ledger::read_series(&workspace.repository, &tip, run_id))
}

/// Something that was added to a run's log.
#[derive(Debug)]
#[must_use = "it may be lost with a power cut until it was synced"]
pub struct Added {
    log: Appender,
    folder: PathBuf,
    is_kept: Arc<AtomicBool>,
}

impl Added {
    /// Makes it survive a power cut, and all that was added to the run before. A run that was recorded meanwhile has it.
    pub fn sync(&self) -> Result<(), RunError> {
        if self.is_kept.load(Ordering::Acquire) {
            return Ok(self.log.sync()?);
        }
        match live::keep(&self.folder) {
            Err(_) if !self.folder.join(RECORD).exists() => return Ok(()),
            kept => kept?,
        }
        self.is_kept.store(true, Ordering::Release);
        Ok(())
    }
}

/// A live run that is written to and looked at by somebody else than its command.
///
/// One value is kept for a run: it remembers how far it read the logs.
#[derive(Debug)]
pub struct ServedRun {
    folder: PathBuf,
    start: Run,
    /// Only summaries of metrics: the points of a thousand runs would fill the memory.
    collector: Collector,
    /// The points too, once somebody asked for them.
    whole: Option<Collector>,
    /// When something was added here last.
    added: Option<Instant>,
    /// Whether the record and the names of the run's files are known to be on the disk: then the log is all that has to
    /// get there.
    is_kept: Arc<AtomicBool>,
}

impl ServedRun {
    /// Begins a run, and does not return before that survives a power cut. `outer` is the run in whose command it is
    /// begun.
    pub fn create(workspace: &Workspace, run: Run, outer: Option<&RunId>) -> Result<Self, RunError> {
        let mark = outer.map(ToString::to_string).unwrap_or_default();
        Self::make(workspace, run, &[(MARK, mark.as_bytes())])
    }

    /// Opens a recorded run again.
    pub fn reopen(workspace: &Workspace, run: Run) -> Result<Self, RunError> {
        if let Some(open) = Self::open(workspace, &run.id)? {
            return Ok(open);
        }
        let mut files: Vec<(&str, &[u8])> = vec![(MARK, b""), (REOPENED, b"")];
        if run.status != RunStatus::Running {
            files.push((ENDED, b""));
        }
        Self::make(workspace, run, &files)
    }

    fn new(folder: PathBuf, start: Run, is_kept: bool) -> Self {
        let (collector, is_kept) = (Collector::short(&folder), Arc::new(AtomicBool::new(is_kept)));
        Self { folder, start, collector, whole: None, added: None, is_kept }
    }

    fn make(workspace: &Workspace, run: Run, marks: &[(&str, &[u8])]) -> Result<Self, RunError> {
        // The log is there from the start, so that its name is on the disk.
        let folder = live::make_served(workspace, &run, &[marks, &[(EVENTS, b"")]].concat())?;
        Ok(Self::new(folder, run, true))
    }

    /// Looks at a run that has a live folder; none where it has none.
    pub fn open(workspace: &Workspace, run_id: &RunId) -> Result<Option<Self>, RunError> {
        let folder = live::folder_of(workspace, run_id);
        let start = live::read_start(&folder, run_id)?;
        Ok(start.map(|start| Self::new(folder, start, false)))
    }

    /// The ids of the runs that have a live folder.
    pub fn ids(workspace: &Workspace) -> Result<Vec<RunId>, RunError> {
        live::ids(workspace)
    }

    /// Whether a run has a live folder.
    pub fn has_folder(workspace: &Workspace, run_id: &RunId) -> bool {
        live::folder_of(workspace, run_id).join(RECORD).exists()
    }

    /// Whether a run is served, ended, and is yet to be recorded.
    pub fn has_ended(workspace: &Workspace, run_id: &RunId) -> bool {
        live::folder_of(workspace, run_id).join(ENDED).exists()
    }

    /// The record of a run; none where it is not recorded.
    pub fn recorded(workspace: &Workspace, run_id: &RunId) -> Result<Option<Run>, RunError> {
        recorded(workspace, run_id)
    }

    /// The run's live folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it ends when a client says so, and not with a process.
    pub fn is_served(&self) -> bool {
        self.folder.join(MARK).exists()
    }

    /// Whether it was begun in the command of another run.
    pub fn is_inside(&self, outer: &RunId) -> bool {
        fs::read_to_string(self.folder.join(MARK)).is_ok_and(|mark| mark == outer.to_string())
    }

    /// Whether it is still there: it may have been recorded meanwhile, by anybody.
    pub fn is_there(&self) -> bool {
        self.folder.join(RECORD).exists()
    }

    /// The run as it stands, with all that its logs say by now.
    pub fn current(&mut self) -> Result<Run, RunError> {
        self.collector.advance(&mut |_| ())?;
        // Who has just added to it need not look whether somebody does.
        let is_open = self.added.is_some_and(|time| time.elapsed() < MOMENT) || live::is_open(&self.folder);
        Ok(as_it_stands(self.start.clone(), self.collector.content(), &self.folder, is_open))
    }

    /// Adds to the run. It survives a power cut when what is returned was synced. None if the run is not here any more.
    pub fn add(&mut self, workspace: &Workspace, change: RunChange) -> Result<Option<Added>, RunError> {
        let is_served = self.is_served();
        let Some(_turn) = self.turn(is_served)? else { return Ok(None) };
        if is_reopened(&self.folder) && !change.points.is_empty() {
            self.keep_base(workspace)?;
        }
        let status = change.status;
        let note = Note { change: Some(Box::new(change)), ..Note::default() };
        let line = OwnLine { time: Some(live::now()), git_ml: Some(note), ..OwnLine::default() };
        let unwritable =
            |error: serde_json::Error| RunError::BadValue { what: format!("this cannot be logged: {error}") };
        let mut text = serde_json::to_vec(&line).map_err(unwritable)?;
        text.push(b'\n');
        let log = Appender::open(&self.folder.join(EVENTS))?;
        log.append(&text)?;
        self.added = Some(Instant::now());
        match status {
            Some(RunStatus::Running) => files::remove_file(&self.folder.join(ENDED))?,
            Some(_) if is_served => files::publish(&self.folder.join(ENDED), b"", Durability::Buffered)?,
            _ => {}
        }
        Ok(Some(Added { log, folder: self.folder.clone(), is_kept: Arc::clone(&self.is_kept) }))
    }

    /// Adds an output, which is in the store, and does not return before that survives a power cut. False if the run is
    /// not here any more.
    pub(super) fn add_output(&self, output: &RunOutput) -> Result<bool, RunError> {
        let Some(_turn) = self.turn(self.is_served())? else { return Ok(false) };
        live::note_output(&self.folder, output)?;
        Ok(true)
    }

    /// Keeps others from recording the run while its log is being written; none if it is not here any more.
    fn turn(&self, is_served: bool) -> Result<Option<Option<FileLock>>, RunError> {
        let turn = match is_served {
            true => match FileLock::shared(&self.folder.join(LOCK), TURN) {
                Err(_) if !self.is_there() => return Ok(None),
                lock => Some(lock?),
            },
            // Its supervisor has the lock, and records it when its command has ended.
            false => None,
        };
        Ok(self.is_there().then_some(turn))
    }

    /// Keeps the points of the record beside the log, once, so that recording the run twice does not double them.
    fn keep_base(&self, workspace: &Workspace) -> Result<(), RunError> {
        let base = self.folder.join(BASE);
        if base.exists() {
            return Ok(());
        }
        let malformed = |error: parquet::errors::ParquetError| RunError::Malformed {
            id: self.start.id.to_string(),
            problem: error.to_string(),
        };
        let bytes = series::to_parquet(&recorded_series(workspace, &self.start.id)?).map_err(malformed)?;
        Ok(files::publish(&base, &bytes, Durability::Synced)?)
    }

    /// The points of a metric, in the order in which they were logged.
    ///
    /// What was read for it stays in memory, up to a bound, until [`ServedRun::let_go`]: the pages of MLflow's
    /// own ask for a run that goes on again and again.
    pub fn points(&mut self, workspace: &Workspace, metric: &str) -> Result<Vec<Point>, RunError> {
        if is_reopened(&self.folder) {
            let points = Collector::new(&self.folder).finish(&mut |_| ())?.take_series();
            let mut points = with_base(workspace, &self.folder, &self.start.id, points)?;
            return Ok(points.remove(metric).unwrap_or_default());
        }
        let mut whole = self.whole.take().unwrap_or_else(|| Collector::new(&self.folder));
        whole.advance(&mut |_| ())?;
        let points = whole.content().points_of(metric);
        self.whole = Some(whole).filter(|whole| whole.content().count() <= MAX_HELD);
        Ok(points)
    }

    /// Forgets the points that were read.
    pub fn let_go(&mut self) {
        self.whole = None;
    }

    /// Records the run and removes its folder; none if somebody else did.
    pub fn settle(&self, workspace: &Workspace) -> Result<Option<Run>, RunError> {
        let folder = &self.folder;
        let _lock = match FileLock::exclusive(&folder.join(LOCK), TURN) {
            Err(_) if !folder.join(RECORD).exists() => return Ok(None),
            lock => lock?,
        };
        if !folder.join(RECORD).exists() {
            return Ok(None);
        }
        let (run, _) = settle(workspace, folder, self.start.clone(), Collector::new(folder), &mut |_| ())?;
        Ok(Some(run))
    }
}
