//! `git ml model`

use super::{Context, Failure};

/// Register models, move aliases, look at versions
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
