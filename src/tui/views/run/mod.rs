//! One run.

mod code;
mod detail;
mod load;
mod log;
mod overview;
mod panes;
mod system;
#[cfg(test)]
mod tests;

pub(in crate::tui) use code::{Base, CodeDiff, code_of};
pub(in crate::tui) use detail::{Detail, ask_for_note, noted, show_commit};
pub(in crate::tui) use load::{Answer, Request};
pub(in crate::tui) use overview::draw as draw_overview;
