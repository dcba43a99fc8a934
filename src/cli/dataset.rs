//! `git ml dataset`

use crate::registry::Kind;

use super::registry::{self, Command};
use super::{Context, Failure};

/// Register data sets, move aliases, look at versions
///
/// A version such as cifar10@v1 is an input like any path: `data = "cifar10@v1"` in a recipe.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, mut_subcommands(named))]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    registry::run(context, Kind::Dataset, &args.command)
}

/// The same commands, in whose help a data set is called one.
fn named(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        let is_model = argument.get_value_names().is_some_and(|names| names.iter().any(|name| name == "MODEL"));
        if is_model { argument.value_name("DATASET") } else { argument }
    })
}
