//! `git ml model`

use crate::registry::Kind;

use super::registry::{self, Command};
use super::{Context, Failure};

/// Register models, move aliases, look at versions
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    registry::run(context, Kind::Model, &args.command)
}
