//! Moves of aliases and registrations: what is asked, and what is shown before anything changes.

use crate::gate::Outcome;
use crate::registry::{EventKind, Model, RegistryEvent, Version};
use crate::run::{Run, smaller_is_better};
use crate::words;

use super::super::super::context::Context;
use super::super::super::overlay::{Confirm, Item, Overlay, Picker, Prompt, Purpose, Tone};
use super::super::super::text;
use super::super::Step;
use super::lists::metric_names;

/// Metrics that a question about a move compares.
const MAX_METRICS: usize = 10;
/// The key of the picker's line that asks for a name.
const ANOTHER: &str = "";
/// Aliases that most teams come to have.
const USUAL: [&str; 3] = ["production", "staging", "champion"];

/// A move of an alias: all that is to be done, as it was when the user was asked.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Move {
    /// What kind of move it is.
    pub(in crate::tui) kind: EventKind,
    /// The model.
    pub(in crate::tui) model: String,
    /// The alias.
    pub(in crate::tui) alias: String,
    /// Where it points to; if it points elsewhere by then, nothing is moved.
    pub(in crate::tui) from: Option<u64>,
    /// Where it is to point to; none removes it.
    pub(in crate::tui) to: Option<u64>,
    /// The conditions of its gate that do not hold.
    pub(in crate::tui) failed: Vec<String>,
}

impl Move {
    /// What it does: `digits@production: v2 -> v3`.
    pub(in crate::tui) fn words(&self) -> String {
        let Self { model, alias, from, to, .. } = self;
        match (from, to) {
            (Some(from), Some(to)) => format!("{model}@{alias}: v{from} -> v{to}"),
            (None, Some(to)) => format!("{model}@{alias} -> v{to}"),
            (Some(from), None) => format!("{model}@{alias} removed (was v{from})"),
            (None, None) => format!("{model}@{alias} removed"),
        }
    }
}

/// A move that was looked at: what its gate says, and who moved the alias last.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Considered {
    /// The move.
    pub(in crate::tui) wanted: Move,
    /// What came of the gate; none where none is asked.
    pub(in crate::tui) gate: Option<Outcome>,
    /// The last event of the alias.
    pub(in crate::tui) last: Option<RegistryEvent>,
}

/// What the registry asks the user.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Asked {
    /// Which alias of a model to move; to a version, where it is to point to one.
    Alias { kind: EventKind, model: String, version: Option<u64> },
    /// The name of an alias that is not there yet.
    NewAlias { kind: EventKind, model: String, version: Option<u64> },
    /// Whether to make a move.
    Move(Move),
    /// Whether to make a move that a gate refuses.
    Override(Move),
    /// Why to make it all the same.
    Reason(Move),
    /// Which output of a run to register.
    Output(Box<Run>),
    /// The name to register a target under.
    Name(String),
    /// The target to register as a model's next version.
    Target(String),
}

fn ask(asked: Asked, overlay: impl FnOnce(Purpose) -> Overlay) -> Step {
    Step::Open(overlay(Purpose::Registry(asked)))
}

/// Asks which alias to move.
pub(super) fn ask_alias(kind: EventKind, model: &Model, version: Option<u64>) -> Step {
    let there = model.aliases.iter().filter(|(_, now)| Some(**now) != version);
    let mut items: Vec<Item> = there.map(|(alias, now)| item(alias, alias, &format!("v{now} now"))).collect();
    if let Some(version) = version {
        let missing = USUAL.iter().filter(|alias| !model.aliases.contains_key(**alias));
        items.extend(missing.map(|alias| item(alias, alias, "new")));
        items.push(item(ANOTHER, "another name …", ""));
        let (name, verb) = (&model.name, if kind == EventKind::Promote { "Promote" } else { "Point an alias to" });
        let title = format!("{verb} {name}@v{version}: which alias?");
        let asked = Asked::Alias { kind, model: name.clone(), version: Some(version) };
        return ask(asked, |purpose| Overlay::Picker(Picker::one(purpose, title, items)));
    }
    if items.is_empty() {
        return Step::word(format!("{} has no alias yet; `p` promotes a version", model.name));
    }
    let verb = if kind == EventKind::Rollback { "Roll back" } else { "Remove" };
    let title = format!("{verb} which alias of {}?", model.name);
    let asked = Asked::Alias { kind, model: model.name.clone(), version: None };
    ask(asked, |purpose| Overlay::Picker(Picker::one(purpose, title, items)))
}

fn item(key: &str, label: &str, note: &str) -> Item {
    Item { key: key.to_owned(), label: label.to_owned(), note: note.to_owned(), is_chosen: false }
}

/// Whether what was chosen among the aliases is the wish for another name.
pub(super) fn is_another(chosen: &str) -> bool {
    chosen == ANOTHER
}

/// Asks for the name of a new alias.
pub(super) fn ask_new_alias(kind: EventKind, model: String, version: Option<u64>) -> Step {
    let title = format!("The name of the new alias of {model}");
    let asked = Asked::NewAlias { kind, model, version };
    ask(asked, |purpose| Overlay::Prompt(Prompt::new(purpose, title, "", "candidate, shadow, …")))
}

/// Asks why a gate is overridden.
pub(super) fn ask_reason(wanted: Move) -> Step {
    let title = format!("Why does {} pass all the same? The history keeps it", wanted.words());
    ask(Asked::Reason(wanted), |purpose| Overlay::Prompt(Prompt::new(purpose, title, "", "the test set is known bad")))
}

/// Asks which output of a run to register, or under which name, where there is only one.
pub(super) fn ask_output(run: Run, models: &[Model]) -> Step {
    let is_model = |place: &usize| run.outputs[*place].artifact_type == "model";
    let places: Vec<usize> = (0..run.outputs.len()).collect();
    let of_models: Vec<usize> = places.iter().copied().filter(is_model).collect();
    match (of_models.as_slice(), places.as_slice()) {
        (_, []) => Step::word(format!("{} has no output that could be registered", run.name)),
        ([only], _) | ([], [only]) => ask_name(&run, &run.outputs[*only].name, models),
        _ => {
            let line = |place: &usize| {
                let output = &run.outputs[*place];
                let note = format!("{}, {}", output.artifact_type, words::size(output.bytes));
                item(&output.name, &output.name, &note)
            };
            let items = places.iter().map(line).collect();
            let title = format!("Register which output of {}?", run.name);
            ask(Asked::Output(Box::new(run)), |purpose| Overlay::Picker(Picker::one(purpose, title, items)))
        }
    }
}

/// Asks for the name to register an output of a run under: the model that there is, or the experiment's name.
pub(super) fn ask_name(run: &Run, output: &str, models: &[Model]) -> Step {
    let target = format!("run:{}:{output}", run.id);
    let of_experiment = |model: &&Model| Some(&model.name) == run.experiment.as_ref();
    let known = models.iter().find(of_experiment).or_else(|| models.first().filter(|_| models.len() == 1));
    let name = known.map(|model| model.name.clone()).or_else(|| run.experiment.clone()).unwrap_or_default();
    let title = format!("Register {} as a version of", run.name);
    ask(Asked::Name(target), |purpose| Overlay::Prompt(Prompt::new(purpose, title, &name, "the model's name")))
}

/// Asks what to register as a model's next version.
pub(super) fn ask_target(model: String) -> Step {
    let title = format!("Register as the next version of {model}");
    let example = "run:NAME, run:NAME:OUTPUT, a tracked path";
    ask(Asked::Target(model), |purpose| Overlay::Prompt(Prompt::new(purpose, title, "run:@", example)))
}

/// The question before a move: where from and to, what the gate says, how the metrics compare, who moved it last.
pub(super) fn ask_move(considered: Considered, model: Option<&Model>, context: &Context) -> Step {
    let Considered { wanted, gate, last } = considered;
    if wanted.from == wanted.to {
        return Step::word(format!("{}@{} points there already", wanted.model, wanted.alias));
    }
    let mut lines = vec![(Tone::Strong, wanted.words())];
    lines.push((Tone::Dim, last_words(last.as_ref(), context)));
    if let Some(outcome) = &gate {
        lines.push((Tone::Plain, String::new()));
        let verdict = if outcome.passed { "opens" } else { "stays shut" };
        let tone = if outcome.passed { Tone::Good } else { Tone::Bad };
        lines.push((tone, format!("The gate {} {verdict}", outcome.gate)));
        lines.extend(outcome.conditions.iter().map(|checked| match checked.passed {
            true => (Tone::Good, format!("✓ {checked}")),
            false => (Tone::Bad, format!("✗ {checked}")),
        }));
    } else if wanted.kind == EventKind::Rollback {
        lines.push((Tone::Dim, "No gate is asked about going back.".to_owned()));
    } else if wanted.to.is_some() {
        let words = format!("ml.toml has no gate {}: nothing is asked of the version.", wanted.alias);
        lines.push((Tone::Dim, words));
    }
    if let Some(model) = model {
        let version = |number: Option<u64>| number.and_then(|number| model.find(number));
        if let Some(to) = version(wanted.to) {
            if let Some(reason) = model.about_version(to.version).deprecated {
                lines.push((Tone::Bad, format!("v{} is deprecated: {reason}", to.version)));
            }
            lines.push((Tone::Plain, String::new()));
            lines.extend(metric_lines(version(wanted.from), to));
        }
    }
    match gate.is_some_and(|outcome| !outcome.passed) {
        true => {
            let title = "The gate refuses. Override it, with a reason?".to_owned();
            ask(Asked::Override(wanted), |purpose| Overlay::Confirm(Confirm::new(purpose, title, lines)))
        }
        false => {
            let title = match wanted.kind {
                EventKind::Rollback => "Roll back?",
                EventKind::Unalias => "Remove the alias?",
                EventKind::Promote => "Promote?",
                _ => "Move the alias?",
            };
            ask(Asked::Move(wanted), |purpose| Overlay::Confirm(Confirm::new(purpose, title.to_owned(), lines)))
        }
    }
}

fn last_words(last: Option<&RegistryEvent>, context: &Context) -> String {
    let Some(event) = last else { return "It is a new alias.".to_owned() };
    let when = words::ago(event.commit.time, context.now);
    let why = event.note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
    format!("Last: {} by {}, {when}{why}", event.what, event.commit.author)
}

/// How the metrics of two versions compare, in columns.
fn metric_lines(from: Option<&Version>, to: &Version) -> Vec<(Tone, String)> {
    let names = metric_names(from.into_iter().chain([to]));
    let names: Vec<&String> = names.into_iter().filter(|name| !name.starts_with("system")).take(MAX_METRICS).collect();
    if names.is_empty() {
        return vec![(Tone::Dim, "No metrics are known of it.".to_owned())];
    }
    let width = names.iter().map(|name| text::width(name)).max().unwrap_or(0).min(24);
    let of = |version: &Version| format!("v{}", version.version);
    let heading = format!("{:width$}  {:>12}  {:>12}", "", from.map(of).unwrap_or_default(), of(to));
    let mut lines = vec![(Tone::Dim, heading)];
    for name in names {
        let value = |version: &Version| version.metrics.get(name).map(|metric| metric.last);
        let (old, new) = (from.and_then(value), value(to));
        let decimals = text::decimals(old.into_iter().chain(new));
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| text::number(value, decimals));
        let (tone, change) = match old.zip(new).map(|(old, new)| new - old) {
            Some(0.0) => (Tone::Plain, "same".to_owned()),
            Some(change) if !change.is_finite() => (Tone::Plain, String::new()),
            Some(change) => {
                let is_better = (change < 0.0) == smaller_is_better(name);
                let (tone, word) = if is_better { (Tone::Good, "better") } else { (Tone::Bad, "worse") };
                let sign = if change > 0.0 { "+" } else { "" };
                (tone, format!("{sign}{} {word}", text::number(change, decimals)))
            }
            None => (Tone::Plain, String::new()),
        };
        let name = text::shorten(name, width);
        lines.push((tone, format!("{name:width$}  {:>12}  {:>12}  {change}", shown(old), shown(new))));
    }
    lines
}
