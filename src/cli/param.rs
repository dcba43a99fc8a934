//! `git ml param`

use super::metric::active_run;
use super::{Context, Failure, key_value};

/// Log parameters to the run that this is called in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A parameter and its value
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = key_value::parse)]
    params: Vec<(String, String)>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    active_run(context)?.params(&key_value::map(&args.params))?;
    Ok(())
}
