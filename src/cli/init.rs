//! `git ml init`

use super::{Context, Failure};

/// Set up git ml in this repository, or start a project from a template
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_context: &Context, _args: &Args) -> Result<(), Failure> {
    todo!()
}
