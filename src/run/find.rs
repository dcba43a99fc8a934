//! Which run a user means.

use super::record::Run;
use super::{RunError, Runs, ledger, live};
use crate::id::RunId;

/// Digits that the prefix of an id has to have.
const MIN_PREFIX: usize = 4;
/// Matches that an error names.
const SHOWN: usize = 5;

/// What a user's word for a run can mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted<'w> {
    /// The run with this id.
    Id(RunId),
    /// The latest run, or that many before it.
    Back(usize),
    /// The run whose id begins like this, or that is called so.
    Named {
        /// In lower case; none where it is too short or not hexadecimal.
        prefix: Option<String>,
        /// As it was given.
        name: &'w str,
    },
}

impl<'w> Wanted<'w> {
    /// What a word can mean.
    pub fn parse(wanted: &'w str) -> Self {
        if let Ok(run_id) = wanted.parse::<RunId>() {
            return Self::Id(run_id);
        }
        if let Some(back) = steps_back(wanted) {
            return Self::Back(back);
        }
        let is_prefix = wanted.len() >= MIN_PREFIX && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
        Self::Named { prefix: is_prefix.then(|| wanted.to_ascii_lowercase()), name: wanted }
    }

    /// The one run of those that fit: each with whether it fits by its id, which goes before the name, and whether it
    /// was removed, which counts only where no other has the name.
    pub fn choose(wanted: &str, fitting: impl Iterator<Item = (RunId, bool, bool)>) -> Result<RunId, RunError> {
        let (by_id, by_name): (Vec<_>, Vec<_>) = fitting.partition(|(_, by_id, _)| *by_id);
        let shown: Vec<_> = by_name.iter().copied().filter(|(_, _, is_removed)| !is_removed).collect();
        let fitting = [by_id, shown, by_name].into_iter().find(|fitting| !fitting.is_empty()).unwrap_or_default();
        let mut ids: Vec<RunId> = fitting.into_iter().map(|(run_id, ..)| run_id).collect();
        ids.sort_unstable();
        match ids[..] {
            [] => Err(RunError::NotFound { wanted: wanted.to_owned() }),
            [run_id] => Ok(run_id),
            _ => {
                let matches = ids.iter().rev().take(SHOWN).map(RunId::to_string).collect();
                Err(RunError::Ambiguous { wanted: wanted.to_owned(), count: ids.len(), matches })
            }
        }
    }
}

/// Finds a run by `@`, `@~N`, its name, its id or a prefix of it, without a catalog.
pub(super) fn find(runs: &Runs<'_>, wanted: &str) -> Result<Run, RunError> {
    let not_found = || RunError::NotFound { wanted: wanted.to_owned() };
    let run_id = match Wanted::parse(wanted) {
        Wanted::Id(run_id) => run_id,
        Wanted::Back(back) => return latest(runs, back)?.ok_or_else(not_found),
        Wanted::Named { prefix, name } => {
            let ids = ids(runs)?
                .into_iter()
                .filter(|run_id| prefix.as_ref().is_some_and(|prefix| run_id.to_string().starts_with(prefix)));
            let by_id: Vec<_> = ids.map(|run_id| (run_id, true, false)).collect();
            // To look for a name is to read every record.
            let by_name = if by_id.is_empty() { named(runs, name)? } else { Vec::new() };
            Wanted::choose(wanted, by_id.into_iter().chain(by_name))?
        }
    };
    runs.get(&run_id)?.ok_or_else(not_found)
}

/// `@` is 0, `@~2` is 2.
fn steps_back(wanted: &str) -> Option<usize> {
    match wanted.strip_prefix('@')? {
        "" => Some(0),
        "~" => Some(1),
        rest => rest.strip_prefix('~')?.parse().ok().filter(|back| *back < usize::MAX),
    }
}

/// The run that many before the latest, those that were removed not counted.
fn latest(runs: &Runs<'_>, back: usize) -> Result<Option<Run>, RunError> {
    // The ids that are made here sort by the time the run started. Others say nothing of it: those are read.
    let (timed, others): (Vec<RunId>, Vec<RunId>) = ids(runs)?.into_iter().partition(RunId::has_time);
    let read = |run_id: &RunId| runs.get(run_id);
    let shown = |run: &Run| run.removed.is_none();
    let mut found: Vec<Run> = Vec::new();
    for run_id in timed.iter().rev() {
        if found.len() > back {
            break;
        }
        found.extend(read(run_id)?.filter(shown));
    }
    for run_id in &others {
        found.extend(read(run_id)?.filter(shown));
    }
    found.sort_by_key(|run| std::cmp::Reverse((run.started, run.id)));
    Ok(found.into_iter().nth(back))
}

/// The runs of a name, each with whether it was removed.
fn named(runs: &Runs<'_>, name: &str) -> Result<Vec<(RunId, bool, bool)>, RunError> {
    let (live, _) = runs.list_live()?;
    let repository = &runs.workspace.repository;
    let recorded = match ledger::tip(repository)? {
        Some(tip) => ledger::read_with(repository, &tip, name)?,
        None => Vec::new(),
    };
    let mut fitting: Vec<_> = recorded.iter().chain(&live).filter(|run| run.name == name).collect();
    fitting.sort_by_key(|run| run.id);
    fitting.dedup_by_key(|run| run.id);
    Ok(fitting.into_iter().map(|run| (run.id, false, run.removed.is_some())).collect())
}

/// The ids of all runs, recorded or live, in order.
fn ids(runs: &Runs<'_>) -> Result<Vec<RunId>, RunError> {
    let repository = &runs.workspace.repository;
    let mut ids = match ledger::tip(repository)? {
        Some(tip) => ledger::ids(repository, &tip)?,
        None => Vec::new(),
    };
    ids.extend(live::ids(runs.workspace)?);
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_and_those_before_it() {
        let cases = [("@", Some(0)), ("@~", Some(1)), ("@~0", Some(0)), ("@~12", Some(12)), ("@x", None), ("12", None)];
        for (wanted, back) in cases {
            assert_eq!(steps_back(wanted), back, "{wanted}");
        }
        assert_eq!(steps_back(&format!("@~{}", usize::MAX)), None);
    }

    #[test]
    fn an_id_goes_before_a_name_and_a_run_that_is_there_before_one_that_was_removed() {
        let id = |byte| RunId::from_bytes([byte; 16]);
        let choose = |fitting: &[(RunId, bool, bool)]| Wanted::choose("abcd", fitting.iter().copied());
        assert_eq!(choose(&[(id(1), false, false), (id(2), true, true)]).unwrap(), id(2));
        assert_eq!(choose(&[(id(1), false, true), (id(2), false, false)]).unwrap(), id(2));
        assert_eq!(choose(&[(id(1), false, true)]).unwrap(), id(1));
        assert!(matches!(choose(&[]), Err(RunError::NotFound { .. })));
        let both = choose(&[(id(1), false, false), (id(2), false, false), (id(3), false, true)]);
        assert!(matches!(both, Err(RunError::Ambiguous { count: 2, .. })));
    }
}
