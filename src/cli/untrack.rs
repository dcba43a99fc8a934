//! `git ml untrack`

use super::{Context, Failure};

/// Stop tracking; the data stays where it is
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
