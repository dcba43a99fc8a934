//! The recorded and the live runs of a repository, as one list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::collect::Collector;
use super::event::OwnLine;
use super::ledger::Recorded;
use super::live::{check_texts, note, now};
use super::log_part::KnownLog;
use super::recover::as_it_stands;
use super::{Run, RunChange, RunError, Series, ServedRun, WholeRun, find, ledger, live, log_text, recover, served};
use crate::git::Identity;
use crate::id::{CommitId, RunId};
use crate::track::Workspace;

/// A run and its record, or why that cannot be read; none where it is not recorded any more.
pub type ChangedRecord = (RunId, Result<Option<Run>, RunError>);

/// Runs that are recorded in one go: each batch becomes a pack, of which git likes few.
const BATCH: usize = 5000;
/// Bytes beyond which a batch ends, so that the memory has room for it.
const BATCH_BYTES: usize = 64 << 20;

fn sort_newest_first(runs: &mut [Run]) {
    runs.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.id.cmp(&a.id)));
}

/// The recorded and the live runs of a repository.
///
/// It remembers how far it read the logs of live runs: keep it to ask again and again.
#[derive(Debug)]
pub struct Runs<'w> {
    pub(super) workspace: &'w Workspace,
    followed: Mutex<BTreeMap<RunId, Collector>>,
    pub(super) known_log: Mutex<Option<KnownLog>>,
}

impl<'w> Runs<'w> {
    /// The runs of a repository.
    pub fn new(workspace: &'w Workspace) -> Self {
        Self { workspace, followed: Mutex::default(), known_log: Mutex::default() }
    }

    /// Records as `crashed` the runs whose parent died, and returns them, with what went wrong for others.
    pub fn recover(&self) -> Result<(Vec<Run>, Vec<RunError>), RunError> {
        recover::recover(self.workspace)
    }

    /// All runs, newest first, live ones with what they logged so far. A record that cannot be read is left out and
    /// returned as an error of its own.
    pub fn list(&self) -> Result<(Vec<Run>, Vec<RunError>), RunError> {
        // Live ones first: a run that is recorded meanwhile is then seen twice rather than not at all.
        let (live, mut errors) = self.list_live()?;
        let (mut runs, more_errors) = self.list_recorded()?;
        errors.extend(more_errors);
        let here: BTreeSet<RunId> = live.iter().map(|run| run.id).collect();
        runs.retain(|run| !here.contains(&run.id) || self.is_settled(run));
        let recorded: BTreeSet<RunId> = runs.iter().map(|run| run.id).collect();
        runs.extend(live.into_iter().filter(|run| !recorded.contains(&run.id)));
        sort_newest_first(&mut runs);
        Ok((runs, errors))
    }

    /// Whether the record of a run that has a live folder too is the newer of the two. A run that was opened again is
    /// newer in its folder than in its record, and so is one that was shared before its end.
    pub fn is_settled(&self, recorded: &Run) -> bool {
        ledger::is_final(recorded) && !served::is_reopened(&live::folder_of(self.workspace, &recorded.id))
    }

    /// The live runs, newest first.
    pub fn list_live(&self) -> Result<(Vec<Run>, Vec<RunError>), RunError> {
        let mut runs = Vec::new();
        let mut errors = Vec::new();
        for run_id in live::ids(self.workspace)? {
            match self.live(&run_id) {
                Ok(run) => runs.extend(run),
                Err(error) => errors.push(error),
            }
        }
        sort_newest_first(&mut runs);
        Ok((runs, errors))
    }

    /// The recorded runs, newest first. They change only when [`RUNS_REF`](super::RUNS_REF) does.
    pub fn list_recorded(&self) -> Result<(Vec<Run>, Vec<RunError>), RunError> {
        let mut runs = Vec::new();
        let mut errors = Vec::new();
        if let Some(tip) = self.tip()? {
            for (_, record) in ledger::read_all(&self.workspace.repository, &tip)? {
                match record {
                    Ok(run) => runs.push(run),
                    Err(error) => errors.push(error),
                }
            }
        }
        sort_newest_first(&mut runs);
        Ok((runs, errors))
    }

    /// Where [`RUNS_REF`](super::RUNS_REF) points; none before the first run.
    pub fn tip(&self) -> Result<Option<CommitId>, RunError> {
        ledger::tip(&self.workspace.repository)
    }

    /// The records as of a commit that differ from those of an older one, or all of them without one. A run that is not
    /// recorded any more has none.
    pub fn changed_records(&self, old: Option<&CommitId>, new: &CommitId) -> Result<Vec<ChangedRecord>, RunError> {
        let repository = &self.workspace.repository;
        let Some(old) = old else {
            let all = ledger::read_all(repository, new)?;
            return Ok(all.into_iter().map(|(run_id, record)| (run_id, record.map(Some))).collect());
        };
        let changed = ledger::changed(repository, old, new)?;
        Ok(changed.into_par_iter().map(|run_id| (run_id, ledger::read(repository, new, &run_id))).collect())
    }

    /// The run with this id; none if there is none.
    pub fn get(&self, run_id: &RunId) -> Result<Option<Run>, RunError> {
        // As in `list`: looking in this order, a run that is recorded meanwhile is not missed.
        let live = self.live(run_id)?;
        let repository = &self.workspace.repository;
        let recorded = match ledger::tip(repository)? {
            Some(tip) => ledger::read(repository, &tip, run_id)?,
            None => None,
        };
        let is_reopened = served::is_reopened(&live::folder_of(self.workspace, run_id));
        Ok(match recorded {
            Some(recorded) if ledger::is_final(&recorded) && !is_reopened => Some(recorded),
            recorded => live.or(recorded),
        })
    }

    /// The run that a user means: an id, a unique prefix of at least four digits, a name, `@` or `@~1`.
    pub fn find(&self, wanted: &str) -> Result<Run, RunError> {
        find::find(self, wanted)
    }

    /// The points of a run.
    pub fn series(&self, run_id: &RunId) -> Result<Series, RunError> {
        let folder = live::folder_of(self.workspace, run_id);
        if live::read_start(&folder, run_id)?.is_some() {
            let series = self.follow(run_id, |collector| collector.content().series())?;
            return match served::is_reopened(&folder) {
                true => served::with_base(self.workspace, &folder, run_id, series),
                false => Ok(series),
            };
        }
        match ledger::tip(&self.workspace.repository)? {
            Some(tip) => ledger::read_series(&self.workspace.repository, &tip, run_id),
            None => Ok(Series::new()),
        }
    }

    /// The last `limit` bytes of what a run wrote to stdout and stderr.
    pub fn log_tail(&self, run_id: &RunId, limit: u64) -> Result<Vec<u8>, RunError> {
        let folder = live::folder_of(self.workspace, run_id);
        if live::read_start(&folder, run_id)?.is_some() {
            let text = log_text::tail(&folder, limit);
            return text.map_err(|source| RunError::Read { path: folder.join(log_text::LOG), source });
        }
        let mut log = match ledger::tip(&self.workspace.repository)? {
            Some(tip) => ledger::read_log(&self.workspace.repository, &tip, run_id)?,
            None => Vec::new(),
        };
        let excess = log.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        log.drain(..excess);
        Ok(log)
    }

    /// Sets tags of a run, recorded or live.
    pub fn tag(&self, run: &Run, tags: &BTreeMap<String, String>) -> Result<(), RunError> {
        check_texts("tag", tags)?;
        let folder = live::folder_of(self.workspace, &run.id);
        if live::is_open(&folder) {
            let tags = tags.clone().into_iter().collect();
            return note(&folder, &OwnLine { time: Some(now()), tags, ..OwnLine::default() });
        }
        let words: Vec<_> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let subject: String = format!("tag {}", words.join(" ")).chars().filter(|c| !c.is_control()).collect();
        self.amend(&run.id, &subject, &mut |run| run.tags.extend(tags.clone())).map(drop)
    }

    /// Removes tags of a run, recorded or live.
    pub fn untag(&self, run: &Run, names: &[String]) -> Result<(), RunError> {
        if names.is_empty() {
            return Ok(());
        }
        let change = RunChange { untagged: names.to_vec(), ..RunChange::default() };
        if self.add_to_live(&run.id, change)? {
            return Ok(());
        }
        let subject = format!("untag {}", names.join(" ")).chars().filter(|c| !c.is_control()).collect::<String>();
        self.amend(&run.id, &subject, &mut |run| run.tags.retain(|name, _| !names.contains(name))).map(drop)
    }

    /// Sets the note of a run, recorded or live; an empty one takes it away.
    pub fn set_note(&self, run: &Run, text: &str) -> Result<(), RunError> {
        let change = RunChange { note: Some(text.to_owned()), ..RunChange::default() };
        if self.add_to_live(&run.id, change)? {
            return Ok(());
        }
        let note = (!text.is_empty()).then(|| text.to_owned());
        self.amend(&run.id, "note", &mut |run| run.note.clone_from(&note)).map(drop)
    }

    /// Adds a change to the log of a run that has one still. False if it has none.
    fn add_to_live(&self, run_id: &RunId, change: RunChange) -> Result<bool, RunError> {
        let folder = live::folder_of(self.workspace, run_id);
        if !live::is_open(&folder) {
            return Ok(false);
        }
        let Some(mut live) = ServedRun::open(self.workspace, run_id)? else { return Ok(false) };
        let Some(added) = live.add(self.workspace, change)? else { return Ok(false) };
        added.sync()?;
        Ok(true)
    }

    /// Records runs that ended elsewhere, a commit each, many at once. Those that are recorded already stay as they are;
    /// how many were not.
    pub fn record_all(&self, runs: impl IntoIterator<Item = WholeRun>, author: &Identity) -> Result<usize, RunError> {
        const RECORD: usize = 4096;
        const POINT: usize = 16;
        let (mut batch, mut bytes, mut count) = (Vec::new(), 0, 0);
        for whole in runs {
            bytes += RECORD + whole.log.len() + POINT * whole.series.values().map(Vec::len).sum::<usize>();
            batch.push(whole);
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                count += ledger::record_all(self.workspace, &batch, author, Recorded::Stays)?;
                (batch, bytes) = (Vec::new(), 0);
            }
        }
        count += ledger::record_all(self.workspace, &batch, author, Recorded::Stays)?;
        Ok(count)
    }

    /// Records runs that ended elsewhere and have more to tell now, a commit each, in the place of what is recorded.
    pub fn replace_all(&self, runs: &[WholeRun], author: &Identity) -> Result<(), RunError> {
        let batches = runs.chunks(BATCH);
        batches
            .into_iter()
            .try_for_each(|batch| ledger::record_all(self.workspace, batch, author, Recorded::IsReplaced).map(drop))
    }

    /// Changes a recorded run in a commit of its own.
    pub fn amend(&self, run_id: &RunId, subject: &str, change: &mut dyn FnMut(&mut Run)) -> Result<Run, RunError> {
        let run = self.get(run_id)?.ok_or_else(|| RunError::NotFound { wanted: run_id.to_string() })?;
        let author = self.workspace.repository.identity_or_host(&run.user, &run.host);
        ledger::amend(self.workspace, run_id, subject, &author, change)
    }

    /// A run that has a live folder, with what it logged so far; none without one.
    fn live(&self, run_id: &RunId) -> Result<Option<Run>, RunError> {
        let folder = live::folder_of(self.workspace, run_id);
        let Some(start) = live::read_start(&folder, run_id)? else {
            self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(run_id);
            return Ok(None);
        };
        let is_open = live::is_open(&folder);
        self.follow(run_id, |collector| Some(as_it_stands(start, collector.content(), &folder, is_open)))
    }

    /// Reads what was added to the logs of a live run, and looks at all of it.
    fn follow<R>(&self, run_id: &RunId, look: impl FnOnce(&Collector) -> R) -> Result<R, RunError> {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = live::folder_of(self.workspace, run_id);
        let collector = followed.entry(*run_id).or_insert_with(|| Collector::new(&folder));
        collector.advance(&mut |_| ())?;
        Ok(look(collector))
    }
}
