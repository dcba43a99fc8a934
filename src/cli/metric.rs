//! `git ml metric`

use super::{Context, Failure};

/// Log metrics to the run that this is called in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
