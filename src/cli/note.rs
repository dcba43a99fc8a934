//! `git ml note`

use super::{Context, Failure, runs};

/// The tag that holds a run's note.
const NOTE: &str = "note";

/// Write a note on a run
#[derive(Debug, clap::Args)]
#[command(after_help = "The note is the run's tag `note`: `git ml log --where \"tags.note like '%retry%'\"` finds it.")]
pub(crate) struct Args {
    /// The run: its name, id, a unique prefix of that, or @ for the latest
    #[arg(value_name = "RUN")]
    run: String,
    /// The note; it takes the place of an earlier one
    text: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let runs = runs::open(context, &workspace)?;
    let run = runs.find(&args.run)?;
    runs.tag(&run, &[(NOTE.to_owned(), args.text.clone())].into())?;
    context.say(&format!("noted on run {}", run.name));
    Ok(())
}
