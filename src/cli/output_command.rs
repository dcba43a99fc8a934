//! `git ml output`

use super::{Context, Failure};

/// Store a file or folder as an output of the run that this is called in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
