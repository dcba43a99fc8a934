//! The tracked artifacts: how they stand, their versions across commits, what names them, and their files.

mod draw;
mod load;
mod state;
#[cfg(test)]
mod tests;

pub(in crate::tui) use load::{Answer, Names, Request, Standings, Tracked, Version};
#[cfg(test)]
pub(in crate::tui) use load::{Named, NamedRun, Standing};
pub(in crate::tui) use load::{names_of, standings, tracked, versions, versions_with};
pub(in crate::tui) use state::ArtifactsView;
