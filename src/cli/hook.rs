//! `git ml hook`

use super::{Context, Failure};

/// Install git's hooks, or run one
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
