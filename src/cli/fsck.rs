//! `git ml fsck`

use super::{Context, Failure};

/// Check the store and mend what can be mended
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
