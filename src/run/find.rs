//! Which run a user means.

use super::record::Run;
use super::{RunError, Runs, ledger, live};
use crate::id::RunId;

/// Digits that the prefix of an id has to have.
const MIN_PREFIX: usize = 4;
/// Matches that an error names.
const SHOWN: usize = 5;

/// Finds a run by `@`, `@~N`, its name, its id or a prefix of it.
pub(super) fn find(runs: &Runs<'_>, wanted: &str) -> Result<Run, RunError> {
    let not_found = || RunError::NotFound { wanted: wanted.to_owned() };
    if let Ok(run_id) = wanted.parse::<RunId>() {
        return runs.get(&run_id)?.ok_or_else(not_found);
    }
    let mut ids = ids(runs)?;
    if let Some(back) = steps_back(wanted) {
        // Ids sort by the time the run started.
        let run_id = ids.len().checked_sub(back + 1).map(|index| ids[index]).ok_or_else(not_found)?;
        return runs.get(&run_id)?.ok_or_else(not_found);
    }
    let is_prefix = wanted.len() >= MIN_PREFIX && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_prefix {
        let prefix = wanted.to_ascii_lowercase();
        ids.retain(|run_id| run_id.to_string().starts_with(&prefix));
        if let [run_id] = ids[..] {
            return runs.get(&run_id)?.ok_or_else(not_found);
        }
        if !ids.is_empty() {
            let matches = ids.iter().rev().take(SHOWN).map(RunId::to_string).collect();
            return Err(RunError::Ambiguous { wanted: wanted.to_owned(), count: ids.len(), matches });
        }
    }
    let (all, _) = runs.list()?;
    let mut named: Vec<Run> = all.into_iter().filter(|run| run.name == wanted).collect();
    match named.len() {
        0 => Err(not_found()),
        1 => Ok(named.remove(0)),
        count => {
            let matches = named.iter().take(SHOWN).map(|run| run.id.to_string()).collect();
            Err(RunError::Ambiguous { wanted: wanted.to_owned(), count, matches })
        }
    }
}

/// `@` is 0, `@~2` is 2.
fn steps_back(wanted: &str) -> Option<usize> {
    match wanted.strip_prefix('@')? {
        "" => Some(0),
        "~" => Some(1),
        rest => rest.strip_prefix('~')?.parse().ok().filter(|back| *back < usize::MAX),
    }
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
}
