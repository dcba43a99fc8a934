//! `git ml output`

use std::path::PathBuf;

use crate::words::{count, size};

use super::metric::active_run;
use super::{Context, Failure};

/// Store a file or folder as an output of the run that this is called in
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file or folder
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    path: PathBuf,
    /// The output's name [default: the path's last part]
    #[arg(long)]
    name: Option<String>,
    /// What it is: model, dataset or any other word
    #[arg(long = "type", value_name = "TYPE", default_value = "output")]
    artifact_type: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let run = active_run(context)?;
    let path = context.folder.join(&args.path);
    let output = run.output(&context.workspace()?, &path, args.name.as_deref(), &args.artifact_type)?;
    context.say(&format!("output {}: {}, {}", output.name, count(output.files, "file"), size(output.bytes)));
    Ok(())
}
