//! The registry.

mod lists;
mod load;
mod models;
mod moves;
mod origin;

pub(in crate::tui) use load::{Answer, Consider, Origin, Request};
#[cfg(test)]
pub(in crate::tui) use models::Focus;
pub(in crate::tui) use models::Models;
pub(in crate::tui) use moves::{Asked, Considered, Move};
