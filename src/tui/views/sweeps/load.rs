//! What the sweeps are asked for.

use crate::catalog::{Catalog, Search};
use crate::id::RunId;
use crate::query::Query;
use crate::run::{Objective, Run, RunStatus, Runs, SWEEP_TAGS};
use crate::tui::effects::{Kind, Lane};
use crate::tui::source::{Problem, Source};
use crate::words::with_causes;

use super::importance::{Importances, importances};
use super::trials::{Sweep, sweeps_of};

/// Trials that are shown in all, the newest.
const MAX_TRIALS: usize = 20_000;

/// Something that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// The sweeps, if they changed.
    List,
    /// Which parameters matter for an objective.
    Importance(Sweep, Objective),
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    List(Result<Option<Vec<Sweep>>, Problem>),
    Importance(Sweep, Objective, Option<Importances>),
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        match self {
            Self::List => Lane::Lists,
            Self::Importance(..) => Lane::Detail,
        }
    }

    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::List => None,
            Self::Importance(..) => Some("importance"),
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source) -> Answer {
        match self {
            Self::List => Answer::List(source.sweeps()),
            Self::Importance(sweep, objective) => {
                let trials = sweep.trials.iter().filter_map(|trial| Some((&trial.params, trial.value(&objective)?)));
                let found = importances(&trials.collect::<Vec<_>>());
                Answer::Importance(sweep, objective, found)
            }
        }
    }
}

/// The sweeps of a repository, and whether any of their trials is in progress.
pub(in crate::tui) fn find(runs: &Runs<'_>, catalog: &Catalog) -> Result<(bool, Vec<Sweep>), Problem> {
    let query = SWEEP_TAGS.map(|tag| format!("tags.`{tag}` is not null")).join(" or ");
    let query = Query::parse(&query).map_err(|error| error.to_string())?;
    let search = Search { query: Some(&query), limit: Some(MAX_TRIALS), ..Search::default() };
    let trials = catalog.search(runs, &search).map_err(|error| with_causes(&error))?.runs;
    // A run that began others may be of no sweep itself. Its name is for people; a damaged one has none.
    let ids = trials.iter().filter_map(|run| run.sweep()?.parse::<RunId>().ok());
    let mut parents: Vec<RunId> = ids.collect();
    parents.sort_unstable();
    parents.dedup();
    let parents: Vec<Run> = parents.iter().filter_map(|run_id| runs.get(run_id).ok().flatten()).collect();
    let has_live = trials.iter().any(|run| run.status == RunStatus::Running);
    Ok((has_live, sweeps_of(trials.iter().chain(&parents))))
}
