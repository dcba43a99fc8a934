//! The catalog of runs: a cache over the recorded ones, for whoever asks which runs there are.
//!
//! It is a SQLite database, `.git/ml/runs.db`, with each record whole and the values of each field next to each other.
//! Before it answers, it is brought up to date with what changed in git since; the runs in progress are asked themselves.
//!
//! Architecture invariant: the catalog is a cache and never the truth. It may be deleted, damaged or out of date at any
//! time, and where it cannot be written the answer is the same, only slower.

mod base;
mod bytes;
mod cells;
mod record;
mod select;
mod table;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::id::RunId;
use crate::query::{Attribute, Query, SortKey};
use crate::run::{Run, RunError, Runs, Wanted};
use crate::track::Workspace;

pub(crate) use table::{Row, Table, TableSpec};

use base::{Base, BaseError};
use select::{Named, Place};
use update::UpdateError;

/// Whether a search wants runs that were removed from the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Removed {
    /// Without them.
    #[default]
    Hidden,
    /// With them.
    Shown,
    /// Nothing else.
    Only,
}

impl Removed {
    fn admits(self, is_removed: bool) -> bool {
        match self {
            Self::Hidden => !is_removed,
            Self::Shown => true,
            Self::Only => is_removed,
        }
    }
}

/// Says whether the runs of an experiment are wanted; none is that of runs without one.
pub type OfExperiment<'s> = &'s dyn Fn(Option<&str>) -> bool;

/// Which runs are wanted, and in which order. The default is all that are not removed, the newest first.
#[derive(Clone, Copy, Default)]
pub struct Search<'s> {
    /// What has to be true of a run. Ranges of commits have to be resolved.
    pub query: Option<&'s Query>,
    /// The order, the first key first. What is equal in all of them comes newest first.
    pub sort: &'s [SortKey],
    /// Which experiments; by default all.
    pub experiments: Option<OfExperiment<'s>>,
    /// Whether with removed runs.
    pub removed: Removed,
    /// How many runs to leave out at the beginning.
    pub offset: usize,
    /// How many to return; by default all.
    pub limit: Option<usize>,
}

impl std::fmt::Debug for Search<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Search").field("query", &self.query).field("sort", &self.sort).finish_non_exhaustive()
    }
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The runs, whole, in order.
    pub runs: Vec<Run>,
    /// How many there are without offset and limit.
    pub total: usize,
    /// How many runs there are at all.
    pub known: usize,
    /// Runs whose records cannot be read.
    pub problems: Vec<RunError>,
}

/// The names that runs use, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// Of metrics.
    pub metrics: BTreeSet<String>,
    /// Of parameters.
    pub params: BTreeSet<String>,
    /// Of tags.
    pub tags: BTreeSet<String>,
}

/// The catalog of a repository's runs. It can be shared between threads, which take turns.
#[derive(Debug)]
pub struct Catalog {
    place: PathBuf,
    base: Mutex<State>,
}

/// The database, as far as there is one.
#[derive(Debug)]
enum State {
    Closed,
    InFile(Base),
    /// The file is of no use: this process keeps the catalog for itself.
    InMemory(Base),
}

impl Catalog {
    /// The catalog of a repository. Nothing is read before the first question.
    pub fn open(workspace: &Workspace) -> Self {
        Self { place: workspace.store.root().join("runs.db"), base: Mutex::new(State::Closed) }
    }

    /// Brings the catalog up to date, so that the next question need not.
    pub fn refresh(&self, runs: &Runs<'_>) -> Result<(), RunError> {
        self.ask(runs, &|_| Ok(())).map(drop)
    }

    /// The runs that are wanted, recorded or live.
    pub fn search(&self, runs: &Runs<'_>, search: &Search<'_>) -> Result<Found, RunError> {
        // Live ones first: a run that is recorded meanwhile is then seen twice rather than not at all.
        let (live, mut problems) = runs.list_live()?;
        let found =
            match self.ask(runs, &|connection| find_in(connection, &live, &|run| runs.is_settled(run), search))? {
                Some(found) => found,
                None => {
                    let (all, errors) = runs.list()?;
                    problems = errors;
                    find_among(&all, search)
                }
            };
        Ok(Found { problems: problems.into_iter().chain(found.problems).collect(), ..found })
    }

    /// The run that a user means: an id, a unique prefix of at least four digits, a name, `@` or `@~1`.
    pub fn find(&self, runs: &Runs<'_>, wanted: &str) -> Result<Run, RunError> {
        let not_found = || RunError::NotFound { wanted: wanted.to_owned() };
        let (prefix, name) = match Wanted::parse(wanted) {
            Wanted::Id(run_id) => return runs.get(&run_id)?.ok_or_else(not_found),
            Wanted::Back(offset) => {
                let found = self.search(runs, &Search { offset, limit: Some(1), ..Search::default() })?;
                return found.runs.into_iter().next().ok_or_else(not_found);
            }
            Wanted::Named { prefix, name } => (prefix, name),
        };
        let (live, _) = runs.list_live()?;
        let prefix = prefix.as_deref();
        let Some(mut named) = self.ask(runs, &|connection| select::named(connection, prefix, name))? else {
            return runs.find(wanted);
        };
        let known: BTreeSet<RunId> = named.iter().map(|named| named.id).collect();
        for run in live.iter().filter(|run| !known.contains(&run.id)) {
            let by_id = prefix.is_some_and(|prefix| run.id.to_string().starts_with(prefix));
            if by_id || run.name == name {
                named.push(Named { id: run.id, is_removed: false, by_id });
            }
        }
        let run_id = Wanted::choose(wanted, named.iter().map(|named| (named.id, named.by_id, named.is_removed)))?;
        runs.get(&run_id)?.ok_or_else(not_found)
    }

    /// The names of metrics, parameters and tags that recorded runs use.
    pub fn names(&self, runs: &Runs<'_>) -> Result<Names, RunError> {
        match self.ask(runs, &|connection| names_in(connection))? {
            Some(names) => Ok(names),
            None => Ok(names_of(&runs.list()?.0)),
        }
    }

    /// The experiments that recorded runs are of, each with how many runs it has. Removed runs do not count.
    pub fn experiments(&self, runs: &Runs<'_>) -> Result<BTreeMap<String, usize>, RunError> {
        if let Some(known) = self.ask(runs, &|connection| select::values(connection, Attribute::Experiment))? {
            return Ok(known);
        }
        let mut known = BTreeMap::new();
        for run in runs.list()?.0.into_iter().filter(|run| run.removed.is_none()) {
            if let Some(experiment) = run.experiment {
                *known.entry(experiment).or_default() += 1;
            }
        }
        Ok(known)
    }

    /// Brings the database up to date and asks it; none where there is no database to be had at all.
    fn ask<R>(
        &self,
        runs: &Runs<'_>,
        question: &dyn Fn(&Connection) -> Result<R, BaseError>,
    ) -> Result<Option<R>, RunError> {
        let mut state = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        let mut renewed = false;
        loop {
            let result = match &mut *state {
                State::Closed => {
                    *state = Base::in_file(&self.place).map_or_else(|_| State::fallback(), State::InFile);
                    match *state {
                        State::Closed => return Ok(None),
                        _ => continue,
                    }
                }
                State::InFile(base) | State::InMemory(base) => answer(base, runs, question),
            };
            let error = match result {
                Ok(answer) => return Ok(Some(answer)),
                Err(UpdateError::Run(error)) => return Err(error),
                Err(UpdateError::Base(error)) => error,
            };
            *state = match &*state {
                State::InFile(base) if error.is_damage() && !renewed => {
                    renewed = true;
                    let damaged = base.inode;
                    // The connection goes first: it must not see the other file.
                    *state = State::Closed;
                    Base::renew(&self.place, damaged).map_or_else(|_| State::fallback(), State::InFile)
                }
                State::InFile(_) => State::fallback(),
                State::InMemory(_) | State::Closed => {
                    debug_assert!(!error.is_damage(), "what was just made cannot be read: {error}");
                    return Ok(None);
                }
            };
        }
    }
}

impl State {
    /// What is left where the file is of no use.
    fn fallback() -> Self {
        Base::in_memory().map_or(Self::Closed, Self::InMemory)
    }
}

fn answer<R>(
    base: &mut Base,
    runs: &Runs<'_>,
    question: &dyn Fn(&Connection) -> Result<R, BaseError>,
) -> Result<R, UpdateError> {
    let tip = runs.tip()?;
    update::update(base, tip, &|old, new| runs.changed_records(old, new))?;
    // All that is read is of one moment, whatever other processes write.
    let transaction = base.connection.transaction()?;
    Ok(question(&transaction)?)
}

fn find_in(
    connection: &Connection,
    live: &[Run],
    is_settled: &dyn Fn(&Run) -> bool,
    search: &Search<'_>,
) -> Result<Found, BaseError> {
    let mut unrecorded = Vec::new();
    let mut hidden = BTreeSet::new();
    for run in live {
        match select::record_of(connection, &run.id)? {
            Some((_, record)) if is_settled(&record) => {}
            recorded => {
                hidden.extend(recorded.map(|(row, _)| row));
                unrecorded.push(run.clone());
            }
        }
    }
    let mut hits = select::recorded(connection, search, &hidden)?;
    hits.extend(select::given(&unrecorded, search));
    let total = hits.len();
    let page = select::page(hits, search);
    let rows: Vec<i64> =
        page.iter().filter_map(|place| if let Place::Row(row) = place { Some(*row) } else { None }).collect();
    let mut fetched = select::fetch(connection, &rows)?.into_iter();
    let run_at = |place: &Place| match place {
        Place::Row(_) => fetched.next(),
        Place::Given(place) => Some(unrecorded[*place].clone()),
    };
    let runs = page.iter().filter_map(run_at).collect();
    let known = base::count(connection)? - hidden.len() + unrecorded.len();
    Ok(Found { runs, total, known, problems: problems_in(connection)? })
}

/// The same without a database.
fn find_among(all: &[Run], search: &Search<'_>) -> Found {
    let hits = select::given(all, search);
    let total = hits.len();
    let run_at = |place: Place| match place {
        Place::Given(place) => all.get(place).cloned(),
        Place::Row(_) => None,
    };
    let runs = select::page(hits, search).into_iter().filter_map(run_at).collect();
    Found { runs, total, known: all.len(), problems: Vec::new() }
}

fn problems_in(connection: &Connection) -> Result<Vec<RunError>, BaseError> {
    let mut statement = connection.prepare_cached("SELECT id, problem FROM problems ORDER BY id")?;
    let problem = |row: &rusqlite::Row<'_>| {
        let id = RunId::from_bytes(row.get(0)?).to_string();
        Ok(RunError::Malformed { id, problem: row.get(1)? })
    };
    Ok(statement.query_map([], problem)?.collect::<Result<_, _>>()?)
}

fn names_in(connection: &Connection) -> Result<Names, BaseError> {
    let mut names = Names::default();
    let [metrics, params, tags] = cells::NAMED;
    for (kind, names) in [(metrics, &mut names.metrics), (params, &mut names.params), (tags, &mut names.tags)] {
        // A name that no run uses any more may still have a key.
        let mut statement = connection.prepare_cached(
            "SELECT name FROM keys WHERE kind = ?1 AND EXISTS (
                SELECT 1 FROM cells WHERE place >= key << ?2 AND place < (key + 1) << ?2
            )",
        )?;
        let found = statement.query_map([u32::from(kind), base::BLOCK_BITS], |row| row.get(0))?;
        names.extend(found.collect::<Result<Vec<String>, _>>()?);
    }
    Ok(names)
}

fn names_of(runs: &[Run]) -> Names {
    Names {
        metrics: runs.iter().flat_map(|run| run.metrics.keys().cloned()).collect(),
        params: runs.iter().flat_map(|run| run.params.keys().cloned()).collect(),
        tags: runs.iter().flat_map(|run| run.tags.keys().cloned()).collect(),
    }
}

#[cfg(test)]
mod tests;
