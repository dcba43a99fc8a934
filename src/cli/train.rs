//! `git ml train`

use super::{Context, Failure};

/// Train an experiment of ml.toml through libtorch
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
