//! `git ml track`

use super::{Context, Failure};

/// Store files or folders and write pointers for git to track
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
