//! `git ml run`

use super::{Context, Failure};

/// Run a command, or an experiment of ml.toml, as a tracked run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
