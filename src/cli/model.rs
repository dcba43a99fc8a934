//! `git ml model`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::id::{ArtifactId, CommitId, RunId};
use crate::registry::{EventKind, Model, Registry, RegistryEvent, Version, check_alias_name, parse_version};
use crate::run::Runs;
use crate::track::Workspace;
use crate::words::{ago, printable};

use super::output::{Align, Table, number, print_json, print_line};
use super::registry::moves::{self, GatedArgs, MoveArgs, Which};
use super::runs::json_metrics;
use super::{Context, Failure};

/// Register models, move aliases, look at versions
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register an artifact as the next version of a model; prints NAME@vN
    Register {
        /// A run (`run:@`, `run:NAME:OUTPUT`), a tracked path, or another version
        target: String,
        /// The model's name
        #[arg(long, value_name = "MODEL")]
        name: String,
        /// A remark to keep with the version
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Point this alias to the version
        #[arg(long)]
        alias: Option<String>,
        /// Point the alias there although its gate in ml.toml refuses; the reason is kept in the history
        #[arg(long = "override", value_name = "REASON", requires = "alias")]
        #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
        reason: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the models
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a version: MODEL (the newest), MODEL@vN or MODEL@ALIAS
    Show {
        /// MODEL, MODEL@vN or MODEL@ALIAS
        version: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what happened to a model, newest first
    History {
        /// The model
        model: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Point an alias to a version
    Alias {
        /// The model
        model: String,
        /// The alias: production, staging, …
        alias: String,
        /// The version
        #[arg(value_name = "vN", value_parser = version_number)]
        version: u64,
        #[command(flatten)]
        move_args: GatedArgs,
    },
    /// Point an alias to the newest version, or to a given one
    Promote {
        /// The model
        model: String,
        /// The alias: production, staging, …
        alias: String,
        /// The version
        #[arg(value_name = "vN", value_parser = version_number)]
        version: Option<u64>,
        #[command(flatten)]
        move_args: GatedArgs,
    },
    /// Point an alias back to where it was before
    Rollback {
        /// The model
        model: String,
        /// The alias
        alias: String,
        #[command(flatten)]
        move_args: MoveArgs,
    },
    /// Remove an alias
    Unalias {
        /// The model
        model: String,
        /// The alias
        alias: String,
        #[command(flatten)]
        move_args: MoveArgs,
    },
    /// Write a version's files to a folder
    Get {
        /// MODEL, MODEL@vN or MODEL@ALIAS
        version: String,
        /// Where to write them, which must not exist; by default MODEL-vN
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

/// A version as `git ml model show --json` prints it.
#[derive(Debug, Serialize)]
struct VersionView<'a> {
    model: &'a str,
    version: u64,
    aliases: Vec<&'a str>,
    id: ArtifactId,
    run: Option<RunId>,
    commit: Option<CommitId>,
    metrics: Value,
    registered: Timestamp,
    by: &'a str,
    note: Option<&'a str>,
}

impl<'a> VersionView<'a> {
    fn new(model: &'a Model, version: &'a Version) -> Self {
        Self {
            model: &version.model,
            version: version.version,
            aliases: model.aliases_of(version.version),
            id: version.id,
            run: version.run,
            commit: version.commit,
            metrics: json_metrics(&version.metrics),
            registered: version.registered,
            by: &version.by,
            note: model.note_of(version),
        }
    }
}

/// A model as `git ml model list --json` prints it.
#[derive(Debug, Serialize)]
struct ModelView<'a> {
    model: &'a str,
    version: Option<u64>,
    versions: usize,
    aliases: &'a BTreeMap<String, u64>,
    registered: Option<Timestamp>,
    by: Option<&'a str>,
}

/// An event as `git ml model history --json` prints it.
#[derive(Debug, Serialize)]
struct EventView<'a> {
    time: Timestamp,
    commit: CommitId,
    by: String,
    model: &'a str,
    event: &'static str,
    version: Option<u64>,
    alias: Option<&'a str>,
    previous: Option<u64>,
    note: Option<&'a str>,
    #[serde(rename = "override")]
    overridden: Option<&'a str>,
}

/// An exported version in JSON.
#[derive(Debug, Serialize)]
struct GetView<'a> {
    model: &'a str,
    version: u64,
    id: ArtifactId,
    path: PathBuf,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let registry = Registry::new(&workspace);
    match &args.command {
        Command::Register { target, name, note, alias, reason, json } => {
            let (note, alias, reason) = (note.as_deref(), alias.as_deref(), reason.as_deref());
            register(context, &workspace, &Registration { target, name, note, alias, reason }, *json)
        }
        Command::List { json } => list(context, &registry, *json),
        Command::Show { version, json } => show(&workspace, &registry, version, *json),
        Command::History { model, json } => history(context, &registry, model, *json),
        Command::Alias { model, alias, version, move_args } => {
            moves::point(context, &workspace, EventKind::Alias, Which { model, alias }, *version, move_args)
        }
        Command::Promote { model, alias, version, move_args } => {
            let version = match version {
                Some(version) => *version,
                None => registry.version(model)?.1.version,
            };
            moves::point(context, &workspace, EventKind::Promote, Which { model, alias }, version, move_args)
        }
        Command::Rollback { model, alias, move_args } => {
            moves::rollback(context, &workspace, Which { model, alias }, move_args)
        }
        Command::Unalias { model, alias, move_args } => moves::unalias(&workspace, Which { model, alias }, move_args),
        Command::Get { version, output, json } => get(context, &workspace, &registry, version, output.as_ref(), *json),
    }
}

/// What `register` was told.
struct Registration<'a> {
    target: &'a str,
    name: &'a str,
    note: Option<&'a str>,
    alias: Option<&'a str>,
    reason: Option<&'a str>,
}

fn register(context: &Context, workspace: &Workspace, words: &Registration<'_>, json: bool) -> Result<(), Failure> {
    let registry = &Registry::new(workspace);
    // Before the version is made, so that a bad alias does not leave one without it.
    if let Some(alias) = words.alias {
        check_alias_name(alias)?;
    }
    let artifact = registry.resolve(&context.folder, words.target)?;
    let registered = registry.register(words.name, &artifact, words.note)?;
    let version = registered.version;
    if !registered.is_new {
        context.say(&format!("{} has this artifact of this run already", version.label()));
    }
    let mut is_refused = false;
    if let Some(alias) = words.alias {
        let (args, which) = (GatedArgs::new(words.note, words.reason), Which { model: words.name, alias });
        let pointed = moves::try_point(context, workspace, EventKind::Alias, which, version.version, &args)?;
        is_refused = pointed.is_refused();
    }
    match json {
        true => print_json(&VersionView::new(&registry.model(words.name)?, &version))?,
        false => print_line(&version.label())?,
    }
    if is_refused { Err(Failure::Verification) } else { Ok(()) }
}

fn list(context: &Context, registry: &Registry<'_>, json: bool) -> Result<(), Failure> {
    let survey = registry.survey()?;
    for problem in &survey.problems {
        context.warn(&problem.to_string());
    }
    if json {
        let views: Vec<ModelView<'_>> = survey
            .models
            .iter()
            .map(|model| ModelView {
                model: &model.name,
                version: model.newest().map(|version| version.version),
                versions: model.versions.len(),
                aliases: &model.aliases,
                registered: model.newest().map(|version| version.registered),
                by: model.newest().map(|version| version.by.as_str()),
            })
            .collect();
        return print_json(&views);
    }
    if survey.models.is_empty() {
        context.say("there is no model yet: `git ml model register run:@ --name NAME` registers one");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new([
        ("MODEL", Align::Left),
        ("NEWEST", Align::Left),
        ("VERSIONS", Align::Right),
        ("ALIASES", Align::Left),
        ("REGISTERED", Align::Left),
        ("BY", Align::Left),
    ]);
    for model in &survey.models {
        let newest = model.newest();
        let aliases: Vec<String> =
            model.aliases.iter().map(|(alias, version)| format!("{alias} -> v{version}")).collect();
        table.row(vec![
            model.name.clone(),
            newest.map(|version| format!("v{}", version.version)).unwrap_or_default(),
            model.versions.len().to_string(),
            aliases.join(", "),
            newest.map(|version| ago(version.registered, now)).unwrap_or_default(),
            newest.map(|version| person(&version.by).to_owned()).unwrap_or_default(),
        ]);
    }
    print_line(&table.render(context.colour))
}

fn show(workspace: &Workspace, registry: &Registry<'_>, wanted: &str, json: bool) -> Result<(), Failure> {
    let (model, version) = registry.version(wanted)?;
    if json {
        return print_json(&VersionView::new(&model, &version));
    }
    let aliases = model.aliases_of(version.version);
    let mut heading = version.label();
    if !aliases.is_empty() {
        heading += &format!(" ({})", aliases.join(", "));
    }
    let mut lines = vec![heading];
    let mut field = |name: &str, value: &str| lines.push(format!("{name:<11} {}", printable(value)));
    field("id", &version.id.to_string());
    field("type", &version.artifact_type);
    match version.run {
        None => field("run", "none that is known"),
        Some(run) => match Runs::new(workspace).find(&run.to_string()) {
            Ok(record) => field("run", &format!("{} ({run})", record.name)),
            Err(_) => field("run", &format!("{run} (not in this repository)")),
        },
    }
    field("commit", &version.commit.map_or("none that is known".to_owned(), |commit| commit.to_string()));
    field("registered", &format!("{} by {}", seconds(version.registered), version.by));
    for (index, line) in model.note_of(&version).iter().flat_map(|note| note.lines()).enumerate() {
        field(if index == 0 { "note" } else { "" }, line);
    }
    if let Some((oldest, newest)) = model.versions.first().zip(model.newest())
        && oldest.version != newest.version
    {
        field("versions", &format!("v{} to v{}", oldest.version, newest.version));
    }
    for (alias, target) in model.aliases.iter().filter(|(_, target)| **target != version.version) {
        field("elsewhere", &format!("{alias} -> v{target}"));
    }
    let metrics: Vec<_> = version.metrics.iter().filter(|(name, _)| !name.starts_with("system.")).collect();
    let width = metrics.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (index, (name, summary)) in metrics.iter().enumerate() {
        field(if index == 0 { "metrics" } else { "" }, &format!("{name:<width$}  {}", number(summary.last)));
    }
    print_line(&lines.join("\n"))
}

fn history(context: &Context, registry: &Registry<'_>, name: &str, json: bool) -> Result<(), Failure> {
    // So that a name that is not there is an error, not an empty history.
    let name = &registry.model(name)?.name;
    let events = registry.history(name)?;
    if json {
        return print_json(&events.iter().map(event_view).collect::<Vec<_>>());
    }
    let mut table = Table::new([
        ("WHEN", Align::Left),
        ("WHAT", Align::Left),
        ("BY", Align::Left),
        ("COMMIT", Align::Left),
        ("NOTE", Align::Left),
    ]);
    for event in &events {
        table.row(vec![
            seconds(event.commit.time),
            event.what.clone(),
            event.commit.author.clone(),
            event.commit.id.short(),
            remark(event),
        ]);
    }
    print_line(&table.render(context.colour))
}

/// What was said about an event, in a line.
fn remark(event: &RegistryEvent) -> String {
    let note = event.note.as_deref().and_then(|note| note.lines().next()).map(str::to_owned);
    let overridden = event.overridden.as_ref().map(|reason| format!("the gate was overridden: {reason}"));
    note.into_iter().chain(overridden).collect::<Vec<_>>().join("; ")
}

fn event_view(event: &RegistryEvent) -> EventView<'_> {
    EventView {
        time: event.commit.time,
        commit: event.commit.id,
        by: format!("{} <{}>", event.commit.author, event.commit.email),
        model: &event.model,
        event: event.kind.as_str(),
        version: event.version,
        alias: event.alias.as_deref(),
        previous: event.previous,
        note: event.note.as_deref(),
        overridden: event.overridden.as_deref(),
    }
}

fn get(
    context: &Context,
    workspace: &Workspace,
    registry: &Registry<'_>,
    wanted: &str,
    output: Option<&PathBuf>,
    json: bool,
) -> Result<(), Failure> {
    let (_, version) = registry.version(wanted)?;
    let place = match output {
        Some(output) => output.clone(),
        None => PathBuf::from(format!("{}-v{}", version.model, version.version)),
    };
    let whole = context.folder.join(&place);
    if whole.symlink_metadata().is_ok() {
        return Err(Failure::User {
            message: format!("{} exists already", place.display()),
            hint: "name another place with -o, or remove it first".to_owned(),
        });
    }
    workspace.export(&version.id, &whole)?;
    if json {
        let view = GetView { model: &version.model, version: version.version, id: version.id, path: whole };
        return print_json(&view);
    }
    context.say(&format!("{} is in", version.label()));
    print_line(&place.display().to_string())
}

/// The name without the address.
fn person(by: &str) -> &str {
    by.split_once(" <").map_or(by, |(name, _)| name)
}

/// A time for people, to the second.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
