//! The table of runs.

mod choosers;
pub(in crate::tui) mod columns;
mod complete;
mod filter;
mod find;
mod lines;
mod load;
mod search;
mod state;
mod table;
mod view;

pub(in crate::tui) use load::{Answer, Request, Sheet, TableRequest};
pub(in crate::tui) use state::{RunsView, Stamp, stamp};
