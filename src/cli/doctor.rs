//! `git ml doctor`

use super::{Context, Failure};

/// Say what works here, what does not, and how to mend it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
