//! The table of runs.

pub(in crate::tui) mod columns;
mod filter;
mod load;
mod state;
mod table;

pub(in crate::tui) use load::{Answer, Request};
pub(in crate::tui) use state::{RunsView, Stamp, stamp};
