//! `git ml tag`

use std::collections::BTreeSet;

use super::output::print_json;
use super::{Context, Failure, key_value, runs};

/// Set tags of a run, or remove them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run: its name, id, a unique prefix of that, or @ for the latest
    #[arg(value_name = "RUN")]
    run: String,
    /// A tag and its value
    #[arg(required_unless_present = "remove", value_name = "NAME=VALUE", value_parser = key_value::parse)]
    tags: Vec<(String, String)>,
    /// Remove a tag
    #[arg(short = 'd', long, value_name = "NAME")]
    remove: Vec<String>,
    /// Print the run as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let opened = runs::open(context, &workspace)?;
    let run = runs::find(&workspace, &opened, &args.run)?;
    let removed: BTreeSet<&String> = args.remove.iter().collect();
    if let Some(missing) = removed.iter().find(|name| !run.tags.contains_key(**name)) {
        let known: Vec<&str> = run.tags.keys().map(String::as_str).collect();
        return Err(Failure::User {
            message: format!("run {} has no tag `{}`", run.name, crate::words::printable(missing)),
            hint: if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) },
        });
    }
    opened.untag(&run, &args.remove)?;
    opened.tag(&run, &key_value::map(&args.tags))?;
    if args.json {
        return print_json(&runs::whole(&runs::find(&workspace, &opened, &run.id.to_string())?)?);
    }
    context.say(&format!("tagged run {}", run.name));
    Ok(())
}
