//! What the table of runs asks for.

use crate::catalog::{Names, Table, TableSpec};
use crate::id::RunId;

use super::super::super::effects::{Cancel, Kind as EffectKind, Lane};
use super::super::super::series;
use super::super::super::source::{Problem, Source};
use super::columns::Kind;
use super::state::{Spark, Stamp};

/// Something that the table asks for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// The rows.
    Table(TableRequest),
    /// A metric of some runs for their sparklines.
    Sparks {
        /// The metric.
        metric: String,
        /// Places of a sparkline.
        width: usize,
        /// The runs.
        runs: Vec<(RunId, Stamp)>,
    },
    /// The names of metrics, parameters and tags.
    Names,
}

/// Which rows are wanted.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::tui) struct TableRequest {
    /// Which runs, in which order, with which fields.
    pub(in crate::tui) spec: TableSpec,
    /// Whether columns are to be suggested, and their fields read too.
    pub(in crate::tui) suggests: bool,
    /// The sheet that is there already.
    pub(in crate::tui) has: u64,
}

/// The rows, and what columns suit them.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Sheet {
    /// Which sheet it is: a number that no other has.
    pub(in crate::tui) number: u64,
    pub(in crate::tui) table: Table,
    pub(in crate::tui) suggested: Vec<Kind>,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    /// The rows; none where they are those that are there.
    Table(TableRequest, Result<Option<Sheet>, Problem>),
    Sparks(String, Vec<Spark>),
    Names(Result<Names, Problem>),
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        match self {
            Self::Table(_) | Self::Names => Lane::Lists,
            Self::Sparks { .. } => Lane::Sparks,
        }
    }

    pub(in crate::tui) fn kind(&self) -> Option<EffectKind> {
        match self {
            Self::Table(_) => Some("table"),
            Self::Sparks { .. } => Some("sparks"),
            Self::Names => None,
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source, cancel: Cancel<'_>) -> Answer {
        match self {
            Self::Table(request) => {
                let sheet = source.sheet(&request);
                Answer::Table(request, sheet)
            }
            Self::Sparks { metric, width, runs } => {
                let spark = |(run_id, stamp): (RunId, Stamp)| {
                    // A series that cannot be read leaves its sparkline empty; opening the run says why.
                    let series = source.series(&run_id).unwrap_or_default();
                    let points = series.get(&metric).map(Vec::as_slice).unwrap_or_default();
                    (run_id, stamp, series::spark(points, width))
                };
                let sparks = runs.into_iter().take_while(|_| !cancel.is_cancelled()).map(spark).collect();
                Answer::Sparks(metric, sparks)
            }
            Self::Names => Answer::Names(source.names()),
        }
    }
}
