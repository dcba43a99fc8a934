//! `git ml trust`

use super::{Context, Failure};

/// Approve what this repository's ml.toml may run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
