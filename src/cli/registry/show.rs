//! Looking at what is registered: `list`, `show` and `history`.

use jiff::Timestamp;
use serde::Serialize;

use crate::gate::versions_where;
use crate::id::CommitId;
use crate::query::Query;
use crate::registry::{Model, RegistryEvent, Version};
use crate::run::Runs;
use crate::words::{ago, count, printable};

use super::super::Failure;
use super::super::output::{Align, Table, number, print_json, print_line};
use super::view::{Name, NameView, VersionView};
use super::{Desk, Kind};

/// Classes that a version shows; the rest is counted.
const SHOWN_CLASSES: usize = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// List the versions that a query chooses: "data.examples > 1000 and alias = production"
    #[arg(long = "where", value_name = "QUERY")]
    query: Option<String>,
    /// List all versions, not only the names
    #[arg(long)]
    versions: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn list(desk: Desk<'_>, args: &ListArgs) -> Result<(), Failure> {
    let Desk { context, workspace, kind } = desk;
    let mut survey = desk.registry().survey()?;
    survey.models.retain(|model| model.about.kind == kind);
    for problem in &survey.problems {
        context.warn(&problem.to_string());
    }
    if args.query.is_some() || args.versions {
        let query = Query::parse_versions(args.query.as_deref().unwrap_or_default())?;
        return versions(desk, &versions_where(workspace, &survey.models, &query)?, args.json);
    }
    if args.json {
        return print_json(&survey.models.iter().map(NameView::new).collect::<Vec<_>>());
    }
    if survey.models.is_empty() {
        let target = if kind == Kind::Model { "run:@" } else { "data/x" };
        let (what, command) = (kind.as_str(), desk.command());
        context.say(&format!("there is no {what} yet: `{command} register {target} --name NAME` registers one"));
        return Ok(());
    }
    let now = Timestamp::now();
    let heading = kind.as_str().to_uppercase();
    let mut table = Table::new([
        (heading.as_str(), Align::Left),
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

/// A row for each version.
fn versions(desk: Desk<'_>, chosen: &[(&Model, &Version)], json: bool) -> Result<(), Failure> {
    if json {
        let views = chosen.iter().map(|(model, version)| VersionView::new(model, version));
        return print_json(&views.collect::<Vec<_>>());
    }
    if chosen.is_empty() {
        desk.context.say("no version fits");
        return Ok(());
    }
    let now = Timestamp::now();
    let mut table = Table::new([
        ("VERSION", Align::Left),
        ("ALIASES", Align::Left),
        ("EXAMPLES", Align::Right),
        ("CLASSES", Align::Right),
        ("REGISTERED", Align::Left),
        ("BY", Align::Left),
    ]);
    for (model, version) in chosen {
        let data = version.data.as_ref();
        table.row(vec![
            version.label(),
            model.aliases_of(version.version).join(", "),
            data.map(|data| data.examples.to_string()).unwrap_or_default(),
            data.and_then(|data| data.class_count).map(|classes| classes.to_string()).unwrap_or_default(),
            ago(version.registered, now),
            person(&version.by).to_owned(),
        ]);
    }
    print_line(&table.render(desk.context.colour))
}

pub(super) fn show(desk: Desk<'_>, wanted: &str, json: bool) -> Result<(), Failure> {
    desk.check_kind(wanted)?;
    let (model, version) = desk.registry().version(wanted)?;
    if json {
        return print_json(&VersionView::new(&model, &version));
    }
    let about = model.about_version(version.version);
    let aliases = model.aliases_of(version.version);
    let mut heading = version.label();
    if !aliases.is_empty() {
        heading += &format!(" ({})", aliases.join(", "));
    }
    let mut lines = vec![heading];
    let mut field =
        |name: &str, value: &str| lines.push(format!("{name:<11} {}", printable(value)).trim_end().to_owned());
    if let Some(reason) = &about.deprecated {
        field("deprecated", reason);
    }
    field("id", &version.id.to_string());
    field("type", &version.artifact_type);
    match version.run {
        None => field("run", "none that is known"),
        Some(run) => match Runs::new(desk.workspace).find(&run.to_string()) {
            Ok(record) => field("run", &format!("{} ({run})", record.name)),
            Err(_) => field("run", &format!("{run} (not in this repository)")),
        },
    }
    field("commit", &version.commit.map_or("none that is known".to_owned(), |commit| commit.to_string()));
    field("registered", &format!("{} by {}", seconds(version.registered), version.by));
    for (index, line) in model.note_of(&version).iter().flat_map(|note| note.lines()).enumerate() {
        field(if index == 0 { "note" } else { "" }, line);
    }
    for (index, line) in model.about.description.iter().flat_map(|text| text.lines()).enumerate() {
        field(if index == 0 { "about" } else { "" }, line);
    }
    for (name, pairs) in [("tags", &model.about.tags), ("", &about.tags), ("meta", &version.meta)] {
        for (index, (key, value)) in pairs.iter().enumerate() {
            field(if index == 0 { name } else { "" }, &format!("{key}={value}"));
        }
    }
    if let Some((oldest, newest)) = model.versions.first().zip(model.newest())
        && oldest.version != newest.version
    {
        field("versions", &format!("v{} to v{}", oldest.version, newest.version));
    }
    for (alias, target) in model.aliases.iter().filter(|(_, target)| **target != version.version) {
        field("elsewhere", &format!("{alias} -> v{target}"));
    }
    show_data(&version, &mut field);
    let metrics: Vec<_> = version.metrics.iter().filter(|(name, _)| !name.starts_with("system.")).collect();
    let width = metrics.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (index, (name, summary)) in metrics.iter().enumerate() {
        field(if index == 0 { "metrics" } else { "" }, &format!("{name:<width$}  {}", number(summary.last)));
    }
    print_line(&lines.join("\n"))
}

fn show_data(version: &Version, field: &mut dyn FnMut(&str, &str)) {
    let Some(data) = &version.data else { return };
    field("format", &data.format);
    field("examples", &data.examples.to_string());
    for (index, (part, examples)) in data.splits.iter().enumerate() {
        field(if index == 0 { "splits" } else { "" }, &format!("{part}: {examples}"));
    }
    if !data.shape.is_empty() {
        field("shape", &data.shape.iter().map(u64::to_string).collect::<Vec<_>>().join("×"));
    }
    if !data.columns.is_empty() {
        field("columns", &data.columns.join(", "));
    }
    let Some(number) = data.class_count else { return };
    field("classes", &number.to_string());
    for (name, examples) in data.classes.iter().zip(&data.class_examples).take(SHOWN_CLASSES) {
        field("", &format!("{name}: {examples}"));
    }
    if data.classes.len() > SHOWN_CLASSES {
        field("", &format!("and {}", count((data.classes.len() - SHOWN_CLASSES) as u64, "more class")));
    }
}

/// An event as `history --json` prints it.
#[derive(Debug, Serialize)]
struct EventView<'a> {
    time: Timestamp,
    commit: CommitId,
    by: String,
    #[serde(flatten)]
    name: Name<'a>,
    event: &'static str,
    version: Option<u64>,
    alias: Option<&'a str>,
    previous: Option<u64>,
    note: Option<&'a str>,
    #[serde(rename = "override")]
    overridden: Option<&'a str>,
}

pub(super) fn history(desk: Desk<'_>, name: &str, json: bool) -> Result<(), Failure> {
    // So that a name that is not there is an error, not an empty history.
    let name = &desk.registry().model_of_kind(name, desk.kind)?.name;
    let events = desk.registry().history(name)?;
    if json {
        return print_json(&events.iter().map(|event| event_view(desk, event)).collect::<Vec<_>>());
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
    print_line(&table.render(desk.context.colour))
}

/// What was said about an event, in a line.
fn remark(event: &RegistryEvent) -> String {
    let note = event.note.as_deref().and_then(|note| note.lines().next()).map(str::to_owned);
    let overridden = event.overridden.as_ref().map(|reason| format!("the gate was overridden: {reason}"));
    note.into_iter().chain(overridden).collect::<Vec<_>>().join("; ")
}

fn event_view<'a>(desk: Desk<'_>, event: &'a RegistryEvent) -> EventView<'a> {
    EventView {
        time: event.commit.time,
        commit: event.commit.id,
        by: format!("{} <{}>", event.commit.author, event.commit.email),
        name: Name::new(desk.kind, &event.model),
        event: event.kind.as_str(),
        version: event.version,
        alias: event.alias.as_deref(),
        previous: event.previous,
        note: event.note.as_deref(),
        overridden: event.overridden.as_deref(),
    }
}

/// The name without the address.
fn person(by: &str) -> &str {
    by.split_once(" <").map_or(by, |(name, _)| name)
}

/// A time for people, to the second.
fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}
