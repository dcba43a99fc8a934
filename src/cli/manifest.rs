//! `git ml manifest`

use super::{Context, Failure};

/// Print the list of an artifact's files
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
