//! `git ml tag`

use super::{Context, Failure, key_value, runs};

/// Set tags of a run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run: its name, id, a unique prefix of that, or @ for the latest
    #[arg(value_name = "RUN")]
    run: String,
    /// A tag and its value
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = key_value::parse)]
    tags: Vec<(String, String)>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let runs = runs::open(context, &workspace)?;
    let run = runs.find(&args.run)?;
    runs.tag(&run, &key_value::map(&args.tags))?;
    context.say(&format!("tagged run {}", run.name));
    Ok(())
}
