//! `git ml verify`

use super::{Context, Failure};

/// Check artifacts, runs, the registry and refs
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
