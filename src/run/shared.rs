//! What of runs travels to others: their folders in the tree of [`RUNS_REF`](super::RUNS_REF).

use super::record::MAX_RECORD;
use super::{Run, RunError, RunStatus, Runs, ledger, log_text, series};
use crate::files::RelPath;
use crate::id::RunId;

/// Bytes that any other file beside a record may have.
const MAX_OTHER: u64 = 64 << 20;

/// The record's name in a run's folder.
pub const RECORD_NAME: &str = "run.toml";

/// The most bytes that a file of this name may have in a run's folder; none for a name that no file can have there.
pub fn file_limit(name: &str) -> Option<u64> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    match name {
        RECORD_NAME => Some(MAX_RECORD),
        ledger::SERIES => Some(series::MAX_BYTES),
        _ if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_plain) => Some(MAX_OTHER),
        _ => None,
    }
}

/// The folder of a run in the tree.
pub fn folder_in_tree(run_id: &RunId) -> String {
    ledger::folder_of(run_id)
}

impl Run {
    /// Reads a record that came from elsewhere, and that has to be that of the run `run_id`.
    pub fn from_record(bytes: &[u8], run_id: &RunId) -> Result<Self, RunError> {
        Self::parse(bytes, run_id)
    }

    /// The message of the commit that records the run, for the log of runs.
    pub fn log_message(&self) -> String {
        ledger::message(self)
    }

    /// Whether two records of one run agree in what is settled when a run begins.
    pub fn has_the_beginning_of(&self, other: &Self) -> bool {
        let beginning = |run: &Self| {
            let code = (run.commit, run.snapshot, run.dirty, run.branch.clone());
            let command: (Vec<String>, Option<RelPath>) = (run.command.clone(), run.folder.clone());
            (run.id, run.started, code, run.host.clone(), command)
        };
        beginning(self) == beginning(other)
    }

    /// When it was last seen at work; none once it has ended.
    pub fn last_sign(&self) -> Option<jiff::Timestamp> {
        let seconds = self.duration_s.filter(|_| self.status == RunStatus::Running)?;
        let elapsed = std::time::Duration::try_from_secs_f64(seconds).ok()?;
        self.started.checked_add(elapsed).ok()
    }
}

/// A run's folder as it is to be shared.
#[derive(Debug, Clone)]
pub struct RunFolder {
    /// The record.
    pub run: Run,
    /// The files by name.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Runs<'_> {
    /// The folder of a run as it would be recorded now, without its log while it lives; none if there is no such run.
    pub fn folder(&self, run_id: &RunId) -> Result<Option<RunFolder>, RunError> {
        let Some(run) = self.get(run_id)? else { return Ok(None) };
        let mut files = vec![(RECORD_NAME.to_owned(), run.to_toml()?.into_bytes())];
        let points = self.series(run_id)?;
        if !points.is_empty() {
            let bytes = series::to_parquet(&points)
                .map_err(|error| RunError::Malformed { id: run_id.to_string(), problem: error.to_string() })?;
            files.push((ledger::SERIES.to_owned(), bytes));
        }
        if run.status != RunStatus::Running {
            let log = self.log_tail(run_id, u64::MAX)?;
            if !log.is_empty() {
                files.push((log_text::LOG.to_owned(), log));
            }
        }
        Ok(Some(RunFolder { run, files }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_files_of_a_run() {
        assert_eq!(file_limit("run.toml"), Some(MAX_RECORD));
        assert!(file_limit("log.txt").is_some() && file_limit("resources.parquet").is_some());
        for bad in ["", ".git", "..", "Run.toml", "a b", "ä", "a\n", "-x", "a/b"] {
            assert_eq!(file_limit(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_last_sign_of_a_run_is_told_while_it_runs() {
        let mut run = crate::run::record::tests::sample();
        assert_eq!(run.last_sign(), None);
        run.status = RunStatus::Running;
        run.duration_s = Some(60.0);
        assert_eq!(run.last_sign(), Some("2026-11-21T08:01:00.5Z".parse().unwrap()));
    }
}
