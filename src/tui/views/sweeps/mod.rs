//! The searches over parameters: trials, the best so far, which parameters matter, and how they lie beside each other.

mod axes;
mod draw;
mod importance;
mod load;
mod state;
#[cfg(test)]
mod tests;
mod trials;

pub(in crate::tui) use load::{Answer, Request, find};
pub(in crate::tui) use state::SweepsView;
pub(in crate::tui) use trials::Sweep;
#[cfg(test)]
pub(in crate::tui) use trials::{sweeps_of, tests::trial};
