//! `git ml cat`

use super::{Context, Failure};

/// Print a file of an artifact
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
