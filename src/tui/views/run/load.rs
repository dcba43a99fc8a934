//! What one run asks for.

use crate::git::{ChangedFile, CommitInfo, FilePatch};
use crate::id::{CommitId, RunId};
use crate::run::LogPlace;
use crate::tui::chart::{LineJob, MadeLines, Tracks, make_lines};
use crate::tui::content::log::{LogHits, LogPage, PAGE, search};
use crate::tui::effects::{Cancel, Kind, Lane};
use crate::tui::source::{Problem, Source};

use super::code::{Base, CodeDiff, MAX_LINES};
use super::system;

/// What the points are asked for as.
pub(super) const SERIES: Kind = "series";
/// What the log is asked for as.
pub(super) const LOG: Kind = "log";
/// Bytes of a log that are searched at a time.
const SEARCHED: u64 = 4 * PAGE;

/// Something that a run is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// Its points, and what its commit says.
    Series(RunId, Option<CommitId>),
    /// Lines for its charts.
    Lines(RunId, LineJob),
    /// The registered versions that it made.
    Versions(RunId),
    /// A part of its log.
    Log(RunId, LogPlace),
    /// The lines of its log that have a text, from a place on.
    Search(RunId, String, u64),
    /// All that is kept of its log, for the user's editor.
    WholeLog(RunId),
    /// What differs between its code and other code.
    Code {
        /// The run.
        run_id: RunId,
        /// What it is held against.
        base: Base,
        /// HEAD when it started.
        commit: CommitId,
        /// Its code.
        snapshot: CommitId,
    },
    /// How a file of its code differs.
    Patch {
        /// The run.
        run_id: RunId,
        /// The other code.
        old: CommitId,
        /// Its code.
        new: CommitId,
        /// The file.
        file: ChangedFile,
    },
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    /// Its own metrics and the figures of its machine, and its commit.
    Series(RunId, Result<(Tracks, Tracks), Problem>, Option<Result<CommitInfo, Problem>>),
    Lines(RunId, MadeLines),
    Versions(RunId, Result<Vec<String>, Problem>),
    Log(RunId, Result<LogPage, Problem>),
    Search(RunId, String, Result<LogHits, Problem>),
    WholeLog(RunId, Result<Vec<u8>, Problem>),
    Code(RunId, Base, Result<CodeDiff, Problem>),
    Patch(RunId, ChangedFile, Result<FilePatch, Problem>),
}

impl Answer {
    /// The run that it is about.
    pub(super) fn run_id(&self) -> RunId {
        match self {
            Self::Series(run_id, ..)
            | Self::Lines(run_id, _)
            | Self::Versions(run_id, _)
            | Self::Log(run_id, _)
            | Self::Search(run_id, ..)
            | Self::WholeLog(run_id, _)
            | Self::Code(run_id, ..)
            | Self::Patch(run_id, ..) => *run_id,
        }
    }
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        match self {
            Self::Series(..) | Self::Lines(..) | Self::Versions(_) | Self::Log(..) => Lane::Detail,
            Self::Search(..) | Self::WholeLog(_) | Self::Code { .. } | Self::Patch { .. } => Lane::Files,
        }
    }

    /// Who moves through the runs quickly is past most of them before they are loaded.
    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Series(..) => SERIES,
            // Each grid waits for the lines that it asked for.
            Self::Lines(..) => return None,
            Self::Versions(_) => "versions",
            Self::Log(..) => LOG,
            Self::Search(..) => "search",
            Self::WholeLog(_) => "log for the editor",
            Self::Code { .. } => "code",
            Self::Patch { .. } => "patch",
        })
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source, cancel: Cancel<'_>) -> Answer {
        match self {
            Self::Series(run_id, commit_id) => {
                let tracks = source.series(&run_id).map(system::split);
                Answer::Series(run_id, tracks, commit_id.map(|commit_id| source.commit(&commit_id)))
            }
            Self::Lines(run_id, job) => Answer::Lines(run_id, make_lines(job)),
            Self::Versions(run_id) => Answer::Versions(run_id, source.versions_of(&run_id)),
            Self::Log(run_id, place) => {
                Answer::Log(run_id, source.log_part(&run_id, place, PAGE).map(|part| LogPage::of(&part)))
            }
            Self::Search(run_id, needle, from) => {
                let page = |start| match cancel.is_cancelled() {
                    true => Err("nobody waits for it any more".to_owned()),
                    false => source.log_part(&run_id, LogPlace::From(start), SEARCHED),
                };
                let hits = search(&needle, from, page);
                Answer::Search(run_id, needle, hits)
            }
            Self::WholeLog(run_id) => {
                let whole = source.log_part(&run_id, LogPlace::From(0), u64::MAX).map(|part| part.bytes);
                Answer::WholeLog(run_id, whole)
            }
            Self::Code { run_id, base, commit, snapshot } => {
                Answer::Code(run_id, base, source.code(base, &commit, &snapshot))
            }
            Self::Patch { run_id, old, new, file } => {
                let patch = source.file_patch(&old, &new, &file, MAX_LINES);
                Answer::Patch(run_id, file, patch)
            }
        }
    }
}
