//! Moving aliases, where a gate allows it.

use serde::Serialize;

use crate::gate::{self, Checked, Guarded, Outcome};
use crate::registry::{AliasMove, EventKind, Kind, Override, Registry};
use crate::words::{count, printable};

use super::super::Failure;
use super::super::output::{print_json, print_line, shell_word};
use super::Desk;
use super::get::warn_if_deprecated;
use super::view::Name;

/// Options of all moves of an alias.
#[derive(Debug, clap::Args)]
pub(crate) struct MoveArgs {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of moves that a gate may refuse.
#[derive(Debug, clap::Args)]
pub(crate) struct GatedArgs {
    #[command(flatten)]
    common: MoveArgs,
    /// Move the alias although its gate in ml.toml refuses; the reason is kept in the history
    #[arg(long = "override", value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: Option<String>,
}

impl GatedArgs {
    /// Those of a move that is a part of something else.
    pub(crate) fn new(note: Option<&str>, reason: Option<&str>) -> Self {
        let common = MoveArgs { note: note.map(str::to_owned), json: false };
        Self { common, reason: reason.map(str::to_owned) }
    }
}

/// A move of an alias in JSON.
#[derive(Debug, Serialize)]
struct MoveView<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    alias: &'a str,
    version: Option<u64>,
    previous: Option<u64>,
    moved: bool,
    gate: Option<&'a Outcome>,
    #[serde(rename = "override")]
    reason: Option<&'a str>,
}

/// The model and the alias of a move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Which<'a> {
    pub(crate) model: &'a str,
    pub(crate) alias: &'a str,
}

/// Points an alias to a version, which its gate has to let through.
pub(crate) fn point(
    desk: Desk<'_>,
    kind: EventKind,
    which: Which<'_>,
    version: u64,
    args: &GatedArgs,
) -> Result<(), Failure> {
    let moved = try_point(desk, kind, which, version, args)?;
    if args.common.json {
        print_json(&moved.view(desk.kind, which, version))?;
    } else if moved.moved || moved.previous == Some(version) {
        print_move(which, Some(version), moved.previous)?;
    }
    if moved.is_refused() { Err(Failure::Verification) } else { Ok(()) }
}

/// How a move that a gate guards ended.
#[derive(Debug)]
pub(crate) struct Pointed {
    previous: Option<u64>,
    moved: bool,
    gate: Option<Outcome>,
    reason: Option<String>,
}

impl Pointed {
    /// Whether the gate stayed shut and nobody overrode it.
    pub(crate) fn is_refused(&self) -> bool {
        !self.moved && self.gate.as_ref().is_some_and(|outcome| !outcome.passed)
    }

    fn view<'a>(&'a self, kind: Kind, which: Which<'a>, version: u64) -> MoveView<'a> {
        MoveView {
            name: Name::new(kind, which.model),
            alias: which.alias,
            version: Some(version),
            previous: self.previous,
            moved: self.moved,
            gate: self.gate.as_ref(),
            reason: self.reason.as_deref(),
        }
    }
}

/// The same, where the caller says on stdout what came of it; what a gate found is said here.
pub(crate) fn try_point(
    desk: Desk<'_>,
    kind: EventKind,
    which: Which<'_>,
    version: u64,
    args: &GatedArgs,
) -> Result<Pointed, Failure> {
    let Desk { context, workspace, .. } = desk;
    let Which { model, alias } = which;
    let present = desk.registry().model_of_kind(model, desk.kind)?;
    if let Some(version) = present.find(version) {
        warn_if_deprecated(context, &present, version);
    }
    let Guarded { expected, outcome } = gate::for_alias(workspace, model, alias, version)?;
    let is_shut = outcome.as_ref().is_some_and(|outcome| !outcome.passed);
    let mut pointed = Pointed { previous: expected, moved: false, gate: outcome, reason: None };
    if let Some(outcome) = &pointed.gate {
        tell(desk, outcome, args.reason.as_deref(), which, version, args.common.json);
    }
    let overridden = match (&args.reason, &pointed.gate) {
        (None, _) if is_shut => return Ok(pointed),
        (Some(reason), Some(outcome)) if is_shut => {
            pointed.reason = Some(reason.clone());
            Some(Override { reason: reason.clone(), failed: outcome.failed().map(Checked::to_string).collect() })
        }
        _ => None,
    };
    let note = args.common.note.as_deref();
    let version = Some(version);
    let wanted = AliasMove { kind, model, alias, expected, version, note, overridden: overridden.as_ref() };
    Registry::new(workspace).move_alias_by(&wanted)?;
    pointed.moved = pointed.previous != version;
    Ok(pointed)
}

/// Says what came of a gate, on stderr.
fn tell(
    desk: Desk<'_>,
    outcome: &Outcome,
    reason: Option<&str>,
    Which { model, alias }: Which<'_>,
    version: u64,
    is_json: bool,
) {
    let context = desk.context;
    let Outcome { gate, subject, passed, conditions } = outcome;
    if *passed {
        let number = count(conditions.len() as u64, "condition");
        context.say(&format!("{subject} passes the gate {gate}: {number}"));
        // What passed for want of something to compare with is worth a word.
        let notes = conditions.iter().flat_map(|checked| &checked.looked);
        for looked in notes.filter(|looked| looked.value.is_null() && looked.reason.is_some()) {
            context.say(&format!("  note: {looked}"));
        }
        return;
    }
    if is_json {
        return;
    }
    let lines = outcome.failed().map(|checked| format!("  {checked}"));
    if reason.is_some() {
        context.warn(&format!("{subject} does not pass the gate {gate}, which is overridden"));
        lines.for_each(|line| context.say(&line));
        return;
    }
    context.refuse(&format!("{subject} does not pass the gate {gate}"));
    lines.for_each(|line| context.refuse_line(&line));
    let command = format!("{} promote {} {} v{version}", desk.command(), shell_word(model), shell_word(alias));
    context.refuse_line(&format!("hint: `{command} --override REASON` does it all the same, and the history tells"));
}

/// Points an alias back to where it was. No gate is asked: going back has to work when things are on fire.
pub(super) fn rollback(desk: Desk<'_>, which: Which<'_>, args: &MoveArgs) -> Result<(), Failure> {
    let Which { model, alias } = which;
    desk.check_kind(model)?;
    let (previous, version) = desk.registry().rollback(model, alias, args.note.as_deref())?;
    if let Ok(work_dir) = desk.workspace.repository.work_dir()
        && matches!(gate::Gate::load(work_dir, alias), Ok(Some(_)))
    {
        desk.context.say(&format!("the gate {} is not asked about a rollback", printable(alias)));
    }
    finish(desk, which, Some(version), Some(previous), args.json)
}

/// Removes an alias.
pub(super) fn unalias(desk: Desk<'_>, which: Which<'_>, args: &MoveArgs) -> Result<(), Failure> {
    desk.check_kind(which.model)?;
    let previous = desk.registry().remove_alias(which.model, which.alias, args.note.as_deref())?;
    finish(desk, which, None, Some(previous), args.json)
}

fn finish(
    desk: Desk<'_>,
    which: Which<'_>,
    version: Option<u64>,
    previous: Option<u64>,
    json: bool,
) -> Result<(), Failure> {
    if !json {
        return print_move(which, version, previous);
    }
    let (name, alias) = (Name::new(desk.kind, which.model), which.alias);
    print_json(&MoveView { name, alias, version, previous, moved: true, gate: None, reason: None })
}

fn print_move(Which { model, alias }: Which<'_>, version: Option<u64>, previous: Option<u64>) -> Result<(), Failure> {
    print_line(&match (version, previous) {
        (Some(version), Some(previous)) if version == previous => {
            format!("{model}@{alias} points to v{version} already")
        }
        (Some(version), Some(previous)) => format!("{model}@{alias} -> v{version} (was v{previous})"),
        (Some(version), None) => format!("{model}@{alias} -> v{version}"),
        (None, Some(previous)) => format!("{model}@{alias} is removed (was v{previous})"),
        (None, None) => format!("{model}@{alias} is removed"),
    })
}
