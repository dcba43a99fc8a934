//! `git ml checkout`

use super::{Context, Failure};

/// Bring data in line with the pointers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
