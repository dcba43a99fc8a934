//! `git ml status`

use super::{Context, Failure};

/// Show which artifacts changed, are missing or not stored
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
