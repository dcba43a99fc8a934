//! Charts: the metrics of one run or of several, in a grid.
//!
//! [`ChartGrid`] is the state of such a grid; it belongs to whoever shows it. What takes long is done elsewhere, on two
//! orders: the host reads a run's points, has [`tracks()`] prepare them and hands them in with [`ChartGrid::take`]; and it
//! has [`make_lines`] carry out what [`ChartGrid::job`] asks for. Everything else is quick, whatever the number of points.

mod dots;
mod draw;
mod extremes;
mod grid;
mod legend;
mod line;
mod mouse;
mod place;
mod quantity;
mod scale;
mod smooth;
#[cfg(test)]
mod tests;
mod tracks;
mod window;

pub(in crate::tui) use dots::Dots;
pub(in crate::tui) use grid::{ChartGrid, ChartRun, ChartSettings};
pub(in crate::tui) use line::{Axis, LineJob, MadeLines, make_lines};
pub(in crate::tui) use scale::{Form, Scale, Unit};
pub(in crate::tui) use tracks::{ChartGroup, Tracks, tracks};
