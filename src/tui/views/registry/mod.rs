//! The registry.

mod lists;
mod load;
mod models;

pub(in crate::tui) use load::{Answer, Request};
#[cfg(test)]
pub(in crate::tui) use models::Focus;
pub(in crate::tui) use models::Models;
