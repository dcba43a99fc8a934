//! `git ml metric`

use std::path::Path;

use crate::run::{ActiveRun, RunError};

use super::{Context, Failure, key_value};

/// Log metrics to the run that this is called in
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml metric loss=0.21 accuracy=0.93 --step 4\n\
\n\
Many values are logged faster as lines of JSON in the file that GIT_ML_LOG names.")]
pub(crate) struct Args {
    /// A metric and its value
    #[arg(required = true, value_name = "NAME=NUMBER", value_parser = key_value::parse_number)]
    metrics: Vec<(String, f64)>,
    /// The step [default: one more than the last of each metric]
    #[arg(long, allow_negative_numbers = true)]
    step: Option<i64>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    active_run(context)?.metrics(&key_value::map(&args.metrics), args.step)?;
    Ok(())
}

/// The run that this process was started in.
pub(super) fn active_run(context: &Context) -> Result<ActiveRun, Failure> {
    let folder = context.variable("GIT_ML_RUN_DIR").ok_or(RunError::NoActiveRun)?;
    Ok(ActiveRun::open(Path::new(&folder))?)
}
