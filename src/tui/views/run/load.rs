//! What one run asks for.

use crate::git::CommitInfo;
use crate::id::{CommitId, RunId};

use super::super::super::effects::{Kind, Lane};
use super::super::super::series::{self, Charts};
use super::super::super::source::{Problem, Source};
use super::super::super::text;

/// How much of a log is read from its end.
const LOG_BYTES: u64 = 256 * 1024;

/// Of the requests for points, and of those for logs, the last one counts.
pub(super) const SERIES: Kind = "series";
pub(super) const LOG: Kind = "log";

/// Something that a run is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// Its points, and what its commit says.
    Series(RunId, Option<CommitId>),
    /// The end of its log.
    Log(RunId),
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    Series(RunId, Result<Charts, Problem>, Option<Result<CommitInfo, Problem>>),
    Log(RunId, Result<Vec<String>, Problem>),
}

impl Answer {
    /// The run that it is about.
    pub(super) fn run_id(&self) -> RunId {
        match self {
            Self::Series(run_id, ..) | Self::Log(run_id, _) => *run_id,
        }
    }
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        Lane::Detail
    }

    /// Who moves through the runs quickly is past most of them before they are loaded.
    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Series(..) => Some(SERIES),
            Self::Log(_) => Some(LOG),
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source) -> Answer {
        match self {
            Self::Series(run_id, commit_id) => {
                let charts = source.series(&run_id).map(|series| series::charts(&series));
                Answer::Series(run_id, charts, commit_id.map(|commit_id| source.commit(&commit_id)))
            }
            Self::Log(run_id) => {
                Answer::Log(run_id, source.log_tail(&run_id, LOG_BYTES).map(|bytes| log_lines(&bytes)))
            }
        }
    }
}

/// The lines of a log's end; where it was cut, the line that was cut with it is left out.
fn log_lines(bytes: &[u8]) -> Vec<String> {
    let was_cut = u64::try_from(bytes.len()).is_ok_and(|length| length >= LOG_BYTES);
    let start = if was_cut { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1) } else { 0 };
    text::log_lines(&bytes[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_is_left_out() {
        let mut log = vec![b'x'; usize::try_from(LOG_BYTES).unwrap()];
        log[10] = b'\n';
        assert_eq!(log_lines(&log).len(), 1);
        assert_eq!(log_lines(b"a\nb"), ["a", "b"]);
    }
}
