//! What `git ml model` and `git ml dataset` do: the same, for names of the one kind or the other.

mod change;
mod get;
mod moves;
mod register;
mod show;
mod view;

use std::path::PathBuf;

use clap::Subcommand;

use crate::registry::{EventKind, Kind, Registry, parse_version};
use crate::track::Workspace;

use super::{Context, Failure};

use change::{DeleteArgs, DeprecateArgs, DescribeArgs, TagArgs};
use moves::{GatedArgs, MoveArgs, Which};
use register::RegisterArgs;
use show::ListArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register an artifact as the next version of a name; prints NAME@vN
    Register(RegisterArgs),
    /// List what is registered
    List(ListArgs),
    /// Show a version: NAME (the newest), NAME@vN or NAME@ALIAS
    Show {
        /// NAME, NAME@vN or NAME@ALIAS
        version: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what happened to a name, newest first
    History {
        /// The name
        model: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Point an alias to a version, if its gate in ml.toml lets it through
    Alias {
        /// The name
        model: String,
        /// The alias: production, staging, …
        alias: String,
        /// The version
        #[arg(value_name = "vN", value_parser = version_number)]
        version: u64,
        #[command(flatten)]
        move_args: GatedArgs,
    },
    /// Point an alias to the newest version, or to a given one, if its gate in ml.toml lets it through
    Promote {
        /// The name
        model: String,
        /// The alias: production, staging, …
        alias: String,
        /// The version
        #[arg(value_name = "vN", value_parser = version_number)]
        version: Option<u64>,
        #[command(flatten)]
        move_args: GatedArgs,
    },
    /// Point an alias back to where it was before; no gate is asked
    Rollback {
        /// The name
        model: String,
        /// The alias
        alias: String,
        #[command(flatten)]
        move_args: MoveArgs,
    },
    /// Remove an alias
    Unalias {
        /// The name
        model: String,
        /// The alias
        alias: String,
        #[command(flatten)]
        move_args: MoveArgs,
    },
    /// Say what a name or a version is about
    Describe(DescribeArgs),
    /// Set tags of a name or a version, or remove them
    Tag(TagArgs),
    /// Say that a version is not to be used any more
    Deprecate(DeprecateArgs),
    /// Delete a version, or a name with all its versions, that no alias points to
    Delete(DeleteArgs),
    /// Write a version's files to a folder
    Get {
        /// NAME, NAME@vN or NAME@ALIAS
        version: String,
        /// Where to write them, which must not exist; by default NAME-vN
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

fn version_number(text: &str) -> Result<u64, String> {
    parse_version(text).ok_or_else(|| "a version is v1, v2, …".to_owned())
}

/// Where a command works, and on which kind of names.
#[derive(Debug, Clone, Copy)]
struct Desk<'d> {
    context: &'d Context,
    workspace: &'d Workspace,
    kind: Kind,
}

impl<'d> Desk<'d> {
    fn registry(&self) -> Registry<'d> {
        Registry::new(self.workspace)
    }

    /// Fails unless a name is of the kind that is meant; `text` may be NAME@VERSION.
    fn check_kind(&self, text: &str) -> Result<(), Failure> {
        let name = text.split_once('@').map_or(text, |(name, _)| name);
        self.registry().model_of_kind(name, self.kind)?;
        Ok(())
    }

    /// What the commands of this kind begin with.
    fn command(&self) -> String {
        format!("git ml {}", self.kind.as_str())
    }
}

pub(crate) fn run(context: &Context, kind: Kind, command: &Command) -> Result<(), Failure> {
    let workspace = &context.workspace()?;
    let desk = Desk { context, workspace, kind };
    match command {
        Command::Register(args) => register::register(desk, args),
        Command::List(args) => show::list(desk, args),
        Command::Show { version, json } => show::show(desk, version, *json),
        Command::History { model, json } => show::history(desk, model, *json),
        Command::Alias { model, alias, version, move_args } => {
            moves::point(desk, EventKind::Alias, Which { model, alias }, *version, move_args)
        }
        Command::Promote { model, alias, version, move_args } => {
            let version = match version {
                Some(version) => *version,
                None => desk.registry().version(model)?.1.version,
            };
            moves::point(desk, EventKind::Promote, Which { model, alias }, version, move_args)
        }
        Command::Rollback { model, alias, move_args } => moves::rollback(desk, Which { model, alias }, move_args),
        Command::Unalias { model, alias, move_args } => moves::unalias(desk, Which { model, alias }, move_args),
        Command::Describe(args) => change::describe(desk, args),
        Command::Tag(args) => change::tag(desk, args),
        Command::Deprecate(args) => change::deprecate(desk, args),
        Command::Delete(args) => change::delete(desk, args),
        Command::Get { version, output, json } => get::get(desk, version, output.as_ref(), *json),
    }
}
