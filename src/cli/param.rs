//! `git ml param`

use super::{Context, Failure};

/// Log parameters to the run that this is called in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
