//! Changing what is said about names and versions, and deleting them.

use serde::Serialize;

use crate::registry::RegistryError;
use crate::words::{count, printable};

use super::super::output::{print_json, print_line, shell_word};
use super::super::{Failure, key_value};
use super::view::{Name, NameView, VersionView};
use super::{Desk, version_number};

#[derive(Debug, clap::Args)]
pub(crate) struct DescribeArgs {
    /// NAME, or NAME@vN or NAME@ALIAS for a version
    version: String,
    /// What it is about; an empty text takes that away
    text: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TagArgs {
    /// NAME, or NAME@vN or NAME@ALIAS for a version
    version: String,
    /// A tag and its value
    #[arg(required_unless_present = "remove", value_name = "NAME=VALUE", value_parser = key_value::parse)]
    tags: Vec<(String, String)>,
    /// Remove a tag
    #[arg(short = 'd', long, value_name = "NAME")]
    remove: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeprecateArgs {
    /// The name
    model: String,
    /// The version
    #[arg(value_name = "vN", value_parser = version_number)]
    version: u64,
    /// Why, which whoever gets or promotes it is told
    #[arg(long, value_name = "TEXT", required_unless_present = "undo", conflicts_with = "undo")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: Option<String>,
    /// It may be used again
    #[arg(long)]
    undo: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The name
    model: String,
    /// The version; without it the name goes, with all its versions
    #[arg(value_name = "vN", value_parser = version_number)]
    version: Option<u64>,
    /// Do it
    #[arg(long)]
    force: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn describe(desk: Desk<'_>, args: &DescribeArgs) -> Result<(), Failure> {
    desk.check_kind(&args.version)?;
    let registry = desk.registry();
    let text = Some(args.text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    if text.as_ref().is_some_and(|text| text.chars().any(|c| c.is_control() && c != '\n' && c != '\t')) {
        return Err(RegistryError::BadNote { reason: "it has control characters" }.into());
    }
    match args.version.contains('@') {
        true => {
            let version = registry.version(&args.version)?.1;
            let mut say = |about: &mut crate::registry::VersionAbout| {
                about.description = Some(text.clone().unwrap_or_default());
                Ok(())
            };
            registry.describe_version(&version.model, version.version, &mut say)?;
        }
        false => {
            let mut say = |about: &mut crate::registry::ModelAbout| {
                about.description.clone_from(&text);
                Ok(())
            };
            registry.describe_model(&args.version, &mut say)?;
        }
    }
    finish(desk, &args.version, "described", args.json)
}

pub(super) fn tag(desk: Desk<'_>, args: &TagArgs) -> Result<(), Failure> {
    desk.check_kind(&args.version)?;
    let registry = desk.registry();
    let change = |tags: &mut std::collections::BTreeMap<String, String>| {
        args.remove.iter().for_each(|key| drop(tags.remove(key)));
        tags.extend(args.tags.iter().cloned());
    };
    match args.version.contains('@') {
        true => {
            let version = registry.version(&args.version)?.1;
            let mut say = |about: &mut crate::registry::VersionAbout| {
                change(&mut about.tags);
                Ok(())
            };
            registry.describe_version(&version.model, version.version, &mut say)?;
        }
        false => {
            let mut say = |about: &mut crate::registry::ModelAbout| {
                change(&mut about.tags);
                Ok(())
            };
            registry.describe_model(&args.version, &mut say)?;
        }
    }
    finish(desk, &args.version, "tagged", args.json)
}

pub(super) fn deprecate(desk: Desk<'_>, args: &DeprecateArgs) -> Result<(), Failure> {
    desk.check_kind(&args.model)?;
    desk.registry().deprecate(&args.model, args.version, args.reason.as_deref())?;
    let done = if args.undo { "no longer deprecated:" } else { "deprecated" };
    finish(desk, &format!("{}@v{}", args.model, args.version), done, args.json)
}

/// Prints the name or the version as it is now.
fn finish(desk: Desk<'_>, target: &str, done: &str, json: bool) -> Result<(), Failure> {
    if !json {
        desk.context.say(&format!("{done} {}", printable(target)));
        return Ok(());
    }
    let (name, is_version) = target.split_once('@').map_or((target, false), |(name, _)| (name, true));
    if is_version {
        let (model, version) = desk.registry().version(target)?;
        return print_json(&VersionView::new(&model, &version));
    }
    print_json(&NameView::new(&desk.registry().model(name)?))
}

/// What was deleted, in JSON.
#[derive(Debug, Serialize)]
struct DeletedView<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    version: Option<u64>,
    deleted: bool,
}

pub(super) fn delete(desk: Desk<'_>, args: &DeleteArgs) -> Result<(), Failure> {
    let registry = desk.registry();
    let model = registry.model_of_kind(&args.model, desk.kind)?;
    let name = &model.name;
    if !args.force {
        let what = match args.version {
            Some(version) => format!("{name}@v{version}"),
            None => format!("{name} with {}", count(model.versions.len() as u64, "version")),
        };
        let number = args.version.map(|version| format!(" v{version}")).unwrap_or_default();
        return Err(Failure::User {
            message: format!("{what} would be deleted, and nothing was done"),
            hint: format!(
                "`{} deprecate` keeps it and warns; `{} delete {}{number} --force` deletes it",
                desk.command(),
                desk.command(),
                shell_word(name)
            ),
        });
    }
    match args.version {
        Some(version) => registry.delete_version(name, version, args.note.as_deref())?,
        None => registry.delete_model(name, args.note.as_deref())?,
    }
    if args.json {
        let name = Name::new(desk.kind, name);
        return print_json(&DeletedView { name, version: args.version, deleted: true });
    }
    print_line(&match args.version {
        Some(version) => format!("{name}@v{version} is deleted"),
        None => format!("{name} is deleted"),
    })
}
