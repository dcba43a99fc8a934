//! The marked runs side by side: what differs in what is recorded of them, their charts, code, data and confusion
//! matrices. The first marked run is the one that the others are compared with.

mod code;
mod data;
mod load;
mod matrix;
mod panes;
mod rows;
mod state;
mod table;
#[cfg(test)]
mod tests;

pub(in crate::tui) use load::{Answer, Request};
pub(in crate::tui) use state::CompareView;
