//! One run.

mod charts;
mod detail;
mod load;
mod overview;
mod panes;

pub(in crate::tui) use charts::draw as draw_charts;
#[cfg(test)]
pub(in crate::tui) use detail::Pane;
pub(in crate::tui) use detail::{Detail, ask_for_note, noted, show_commit};
pub(in crate::tui) use load::{Answer, Request};
pub(in crate::tui) use overview::draw as draw_overview;
