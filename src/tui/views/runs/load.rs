//! What the table of runs asks for.

use crate::id::RunId;

use super::super::super::effects::{Cancel, Kind, Lane};
use super::super::super::series;
use super::super::super::source::Source;
use super::state::{Spark, Stamp};

/// Something that the table asks for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// A metric of some runs for their sparklines.
    Sparks {
        /// The metric.
        metric: String,
        /// Places of a sparkline.
        width: usize,
        /// The runs.
        runs: Vec<(RunId, Stamp)>,
    },
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    Sparks(String, Vec<Spark>),
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        match self {
            Self::Sparks { .. } => Lane::Sparks,
        }
    }

    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Sparks { .. } => Some("sparks"),
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source, cancel: Cancel<'_>) -> Answer {
        match self {
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
        }
    }
}
