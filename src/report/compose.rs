//! A report's facts, put into words.

use super::page::{Align, Block, Line, Span};
use super::{Entry, Measured, Measurement, Report, Standing, Verdict};
use crate::diff::{ArtifactChange, Version};
use crate::gate::Checked;
use crate::run::{Run, RunStatus};
use crate::words::{count, duration, number, size};

/// How much is shown. What is left out is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Entries.
    pub(super) entries: usize,
    /// Rows of a table, lines of a list.
    pub(super) rows: usize,
}

/// Metrics that stand in the open; the others are shown on demand.
const OPEN_METRICS: usize = 12;

macro_rules! line {
    ($($span:expr),* $(,)?) => { vec![$(Span::from($span)),*] };
}

/// The blocks of a report.
pub(super) fn blocks(report: &Report, limits: Limits) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(2, line!["git ml report"])];
    blocks.extend(summary(report));
    blocks.extend(origin(report));
    gates(&mut blocks, report, limits);
    blocks.push(Block::Picture);
    for entry in report.entries.iter().take(limits.entries) {
        entry_blocks(&mut blocks, report, entry, limits);
    }
    if report.entries.len() > limits.entries {
        let more = report.entries.len() - limits.entries;
        blocks.push(Block::Paragraph(line![format!("And {}, not shown.", counted(more, "more experiment"))]));
    }
    data(&mut blocks, &report.data, limits);
    registry(&mut blocks, report, limits);
    if report.unreadable > 0 {
        let runs = counted(report.unreadable, "run");
        blocks.push(Block::Caution(line![format!("{runs} cannot be read: git ml verify says why.")]));
    }
    blocks
}

fn counted(number: usize, thing: &str) -> String {
    count(number as u64, thing)
}

/// What all of it comes to, in a line.
fn summary(report: &Report) -> Option<Block> {
    let mut line = Line::new();
    let mut part = |spans: Vec<Span>| {
        if !line.is_empty() {
            line.push("; ".into());
        }
        line.extend(spans);
    };
    for judgement in report.gates.iter().take(3) {
        let word = if judgement.passed() { "passed" } else { "not passed" };
        part(line!["gate ", Span::code(&judgement.gate), ": ", Span::Strong(word.to_owned())]);
    }
    for entry in report.entries.iter().take(3) {
        if let Some(tally) = tally(entry) {
            part(line![Span::code(&entry.title), ": ", Span::Strong(tally)]);
        }
    }
    if !report.data.is_empty() {
        part(line![format!("{} of data", counted(report.data.len(), "change"))]);
    }
    if !report.events.is_empty() {
        part(line![format!("{} of the registry", counted(report.events.len(), "event"))]);
    }
    (!line.is_empty()).then_some(Block::Paragraph(line))
}

/// `3 metrics better, 1 worse, 2 the same`; none where nothing is compared.
fn tally(entry: &Entry) -> Option<String> {
    entry.base.as_ref()?;
    let measurements = entry.measurements();
    let of = |verdict| measurements.iter().filter(|measurement| measurement.verdict == verdict).count();
    let (better, worse, same) = (of(Verdict::Better), of(Verdict::Worse), of(Verdict::Same));
    let parts: Vec<String> = [(better, "better"), (worse, "worse"), (same, "the same")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .enumerate()
        .map(|(index, (number, word))| match index {
            0 => format!("{} {word}", counted(number, "metric")),
            _ => format!("{number} {word}"),
        })
        .collect();
    Some(if parts.is_empty() { "no metric to compare".to_owned() } else { parts.join(", ") })
}

/// What came of the gates: each condition with the values that were found, and where.
fn gates(blocks: &mut Vec<Block>, report: &Report, limits: Limits) {
    if report.gates.is_empty() {
        return;
    }
    let mut rows = Vec::new();
    for judgement in &report.gates {
        let gate = || vec![Span::code(&judgement.gate)];
        if judgement.outcomes.is_empty() {
            rows.push(vec![gate(), Line::new(), Line::new(), line!["no run"], line!["✗ not known"]]);
        }
        for outcome in &judgement.outcomes {
            // What keeps it shut comes first, so that it is seen where not all is shown.
            let mut conditions: Vec<&Checked> = outcome.conditions.iter().collect();
            conditions.sort_by_key(|checked| checked.passed);
            for checked in conditions {
                let verdict = match (checked.passed, checked.known) {
                    (true, _) => "✓ holds",
                    (false, true) => "✗ fails",
                    (false, false) => "✗ not known",
                };
                let found = checked.looked.iter().map(|looked| vec![Span::code(&looked.to_string())]);
                let found: Line = found.collect::<Vec<_>>().join(&Span::from(", "));
                let condition = vec![Span::code(&checked.condition)];
                rows.push(vec![gate(), vec![Span::code(&outcome.subject)], condition, found, line![verdict]]);
            }
        }
    }
    blocks.push(Block::Heading(3, line!["Gates"]));
    let columns = ["gate", "run", "condition", "found", "outcome"].map(|name| (name, Align::Left));
    table(blocks, columns.to_vec(), rows, limits);
}

/// What was compared with what.
fn origin(report: &Report) -> Option<Block> {
    let against = report.against.as_ref()?;
    let mut line = match against.commits {
        0 => line!["No commit that ", Span::code(&against.revision), " does not have"],
        commits => line![format!("{} on top of ", counted(commits, "commit")), Span::code(&against.revision)],
    };
    line.extend(line![" at ", Span::code(&against.base.short()), format!(", {}.", counted(against.runs, "run"))]);
    if report.entries.is_empty() {
        line.extend(line![
            " Nothing was measured: ",
            Span::code("git ml run"),
            " on this branch makes a run, ",
            Span::code("git ml push"),
            " shares it."
        ]);
    }
    Some(Block::Paragraph(line))
}

fn entry_blocks(blocks: &mut Vec<Block>, report: &Report, entry: &Entry, limits: Limits) {
    let run = &entry.here.run;
    let title = if entry.title.is_empty() { &run.name } else { &entry.title };
    blocks.push(Block::Heading(3, vec![Span::code(title)]));
    let mut facts = told(&entry.here.run);
    match (&entry.base, &report.against) {
        (Some(base), _) => {
            facts.push(", against ".into());
            facts.extend(told(&base.run));
            facts.push(".".into());
        }
        (None, Some(against)) => {
            facts.extend(line![". There is no run of it on ", Span::code(&against.revision), " to compare with."]);
        }
        (None, None) => facts.push(".".into()),
    }
    blocks.push(Block::Paragraph(facts));
    blocks.extend(cautions(entry).into_iter().map(Block::Caution));
    metrics(blocks, entry, limits);
    params(blocks, entry, limits);
    others(blocks, &entry.others, limits);
}

/// A run: its name, how it ended, and what code it was.
fn told(run: &Run) -> Line {
    let mut line = line![Span::code(&run.name), format!(", {}", run.status.as_str())];
    if let (Some(seconds), true) = (run.duration_s, run.status != RunStatus::Running) {
        line.push(format!(" after {}", duration(seconds)).into());
    }
    if let Some(commit) = &run.commit {
        line.extend(line![", on ", Span::code(&commit.short())]);
        if run.dirty {
            line.push(" with changes".into());
        }
    }
    line
}

/// What a reader should know of a run before relying on it.
fn cautions(entry: &Entry) -> Vec<Line> {
    let run = &entry.here.run;
    let mut cautions = Vec::new();
    if run.status != RunStatus::Finished {
        let mut line = line!["The run did not finish: it is ", Span::Strong(run.status.as_str().to_owned())];
        if let Some(reason) = &run.reason {
            line.extend(line![", ", Span::code(reason)]);
        }
        line.push(".".into());
        cautions.push(line);
    }
    match entry.standing {
        None | Some(Standing::Newest) => {}
        Some(Standing::Older(commits)) => cautions.push(line![format!(
            "The run is {} older than the branch: what came since is not measured.",
            counted(commits, "commit")
        )]),
        Some(Standing::Uncommitted) => {
            cautions
                .push(line!["The run had changes that no commit of this branch has: its code is not what is here."]);
        }
        Some(Standing::Elsewhere) => cautions.push(line!["The run is of code that is not on this branch."]),
    }
    for path in &entry.stale_inputs {
        cautions.push(line!["The run read another version of ", Span::code(path), " than this branch has."]);
    }
    if let Some(note) = &run.note {
        cautions.push(line!["Note: ", Span::code(note)]);
    }
    cautions
}

fn metrics(blocks: &mut Vec<Block>, entry: &Entry, limits: Limits) {
    let measurements = entry.measurements();
    if measurements.is_empty() {
        return;
    }
    let has_base = entry.base.is_some();
    let has_curves = !entry.here.curves.is_empty();
    let mut columns = vec![("metric", Align::Left)];
    match has_base {
        true => columns.extend([
            ("base", Align::Right),
            ("here", Align::Right),
            ("change", Align::Right),
            ("verdict", Align::Left),
        ]),
        false => columns.push(("last", Align::Right)),
    }
    if has_curves {
        columns.push(("curve", Align::Left));
    }
    let value = |value: Option<f64>| line![value.map(number).unwrap_or_default()];
    let rows = measurements.iter().map(|measurement| {
        let mut row = vec![vec![Span::code(&measurement.metric)]];
        if has_base {
            let change = measurement.change().map(|change| moved(measurement, change)).unwrap_or_default();
            row.extend([value(measurement.base), value(measurement.here), line![change]]);
            row.push(vec![Span::Verdict(measurement.verdict)]);
        } else {
            row.push(value(measurement.here));
        }
        if has_curves {
            let spark = entry.here.curves.get(&measurement.metric).map(|curve| curve.spark());
            row.push(line![spark.unwrap_or_default()]);
        }
        row
    });
    let mut rows: Vec<Vec<Line>> = rows.collect();
    let rest = rows.split_off(rows.len().min(OPEN_METRICS));
    table(blocks, columns.clone(), rows, limits);
    if !rest.is_empty() {
        let mut inner = Vec::new();
        let words = counted(rest.len(), "more metric");
        table(&mut inner, columns, rest, limits);
        blocks.push(Block::Details(words, inner));
    }
}

/// A change with its sign, as exact as the values are shown.
fn moved(measurement: &Measurement, change: f64) -> String {
    let decimals = |value: Option<f64>| {
        let text = number(value.unwrap_or_default());
        if text.contains('e') { None } else { Some(text.split_once('.').map_or(0, |(_, decimals)| decimals.len())) }
    };
    let rounded = match (decimals(measurement.base), decimals(measurement.here)) {
        (Some(base), Some(here)) => format!("{change:.*}", base.max(here)),
        _ => number(change),
    };
    // What is not the same never looks so.
    let is_nothing = change != 0.0 && rounded.parse() == Ok(0.0);
    let text = if is_nothing { number(change) } else { rounded };
    if change > 0.0 { format!("+{text}") } else { text.replacen('-', "−", 1) }
}

fn params(blocks: &mut Vec<Block>, entry: &Entry, limits: Limits) {
    let differing = entry.params();
    let value = |value: Option<&str>| value.map_or_else(|| line!["none"], |value| vec![Span::code(value)]);
    if entry.base.is_none() {
        if !differing.is_empty() {
            let rows = differing.iter().map(|(name, _, now)| vec![vec![Span::code(name)], value(*now)]).collect();
            let mut inner = Vec::new();
            table(&mut inner, vec![("parameter", Align::Left), ("value", Align::Left)], rows, limits);
            blocks.push(Block::Details(counted(differing.len(), "parameter"), inner));
        }
        return;
    }
    if differing.is_empty() {
        blocks.push(Block::Paragraph(line!["The parameters are the same."]));
        return;
    }
    let rows = differing.iter().map(|(name, before, now)| vec![vec![Span::code(name)], value(*before), value(*now)]);
    let columns = vec![("parameter", Align::Left), ("base", Align::Left), ("here", Align::Left)];
    table(blocks, columns, rows.collect(), limits);
}

/// Other runs of the branch, on demand.
fn others(blocks: &mut Vec<Block>, others: &[Run], limits: Limits) {
    if others.is_empty() {
        return;
    }
    let rows = others.iter().map(|run| {
        let telling = super::measure::measurements(run, None).into_iter().take(2);
        let values = telling.map(|measurement| {
            line![Span::code(&measurement.metric), " ", measurement.here.map(number).unwrap_or_default()]
        });
        let values: Line = values.collect::<Vec<_>>().join(&Span::from(", "));
        let commit = run.commit.map(|commit| vec![Span::code(&commit.short())]).unwrap_or_default();
        vec![vec![Span::code(&run.name)], line![run.status.as_str()], commit, values]
    });
    let columns =
        vec![("run", Align::Left), ("status", Align::Left), ("commit", Align::Left), ("metrics", Align::Left)];
    let mut inner = Vec::new();
    table(&mut inner, columns, rows.collect(), limits);
    blocks.push(Block::Details(counted(others.len(), "more run").replace("run", "run of this branch"), inner));
}

fn data(blocks: &mut Vec<Block>, data: &[ArtifactChange], limits: Limits) {
    if data.is_empty() {
        return;
    }
    blocks.push(Block::Heading(3, line!["Data"]));
    let columns = vec![
        ("artifact", Align::Left),
        ("what", Align::Left),
        ("files", Align::Left),
        ("size", Align::Right),
        ("content", Align::Left),
    ];
    let rows = data.iter().map(|change| {
        vec![vec![Span::code(change.path.as_str())], what(change), files(change), sizes(change), content(change)]
    });
    table(blocks, columns, rows.collect(), limits);
    let notes: Vec<Line> = data.iter().flat_map(notes).collect();
    if !notes.is_empty() {
        list(blocks, notes, limits);
    }
}

/// `dataset added`.
fn what(change: &ArtifactChange) -> Line {
    let word = match (&change.before, &change.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    let version = change.after.as_ref().or(change.before.as_ref());
    let mut line: Line = version.map(|version| Span::code(&version.artifact_type)).into_iter().collect();
    line.push(format!(" {word}").into());
    line
}

fn files(change: &ArtifactChange) -> Line {
    let number = |version: &Option<Version>| version.as_ref().map(|version| version.files);
    match (&change.files, number(&change.before), number(&change.after)) {
        (Some(files), Some(before), Some(after)) => {
            let parts = [
                (files.added.len(), "added"),
                (files.removed.len(), "removed"),
                (files.changed.len(), "changed"),
                (files.renamed.len(), "renamed"),
            ];
            let parts: Vec<String> = parts
                .iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, word)| format!("{number} {word}"))
                .collect();
            if (before, after) == (1, 1) {
                return line![parts.first().map_or("1", |part| part.trim_start_matches("1 ")).to_owned()];
            }
            let total = if before == after { after.to_string() } else { format!("{before} → {after}") };
            line![if parts.is_empty() { total } else { format!("{total}: {}", parts.join(", ")) }]
        }
        (_, Some(before), Some(after)) if before != after => line![format!("{before} → {after}")],
        (_, _, Some(only)) | (_, Some(only), None) => line![only.to_string()],
        (_, None, None) => Line::new(),
    }
}

fn sizes(change: &ArtifactChange) -> Line {
    let bytes = |version: &Option<Version>| version.as_ref().map(|version| version.bytes);
    match (bytes(&change.before), bytes(&change.after)) {
        (Some(before), Some(after)) if before != after => line![format!("{} → {}", size(before), size(after))],
        (_, Some(only)) | (Some(only), None) => line![size(only)],
        (None, None) => Line::new(),
    }
}

/// Rows, classes and tensors that differ.
fn content(change: &ArtifactChange) -> Line {
    /// Classes and tables that are named in a cell.
    const NAMED: usize = 4;
    let mut parts: Vec<Line> = Vec::new();
    for (path, table) in change.tables.iter().take(NAMED) {
        let (before, after) = (table.rows_before, table.rows_after);
        let rows = if before == after { format!(" {after} rows") } else { format!(" {before} → {after} rows") };
        let moved = format!(", {} added, {} removed", table.rows_added, table.rows_removed);
        let mut line = line![Span::code(path), rows + &moved];
        for (word, columns) in [("new", &table.columns_added), ("without", &table.columns_removed)] {
            for column in columns.iter().take(NAMED) {
                line.extend(line![format!(", {word} column "), Span::code(column)]);
            }
        }
        parts.push(line);
    }
    for class in change.classes.iter().take(NAMED) {
        parts.push(line![Span::code(&class.class), format!(" {} → {} pictures", class.before, class.after)]);
    }
    for (path, tensors) in change.tensors.iter().take(NAMED) {
        let changed = tensors.changed.len() + tensors.added.len() + tensors.removed.len();
        parts.push(line![Span::code(path), format!(" {} differ", counted(changed, "tensor"))]);
    }
    let all = change.tables.len() + change.classes.len() + change.tensors.len();
    if all > parts.len() {
        parts.push(line![format!("{} more", all - parts.len())]);
    }
    parts.join(&Span::from("; "))
}

fn notes(change: &ArtifactChange) -> Vec<Line> {
    let unlisted = [(&change.before, "before"), (&change.after, "after")].into_iter().filter_map(|(version, side)| {
        let version = version.as_ref().filter(|version| !version.is_listed)?;
        let words = format!(": the list of its files {side} (");
        let end = ") is not in this clone; ";
        Some(line![
            Span::code(change.path.as_str()),
            words,
            Span::code(&version.id.short()),
            end,
            Span::code("git ml fetch"),
            " brings it"
        ])
    });
    let said = change.notes.iter().map(|note| line![Span::code(change.path.as_str()), ": ", Span::code(note)]);
    unlisted.chain(said).collect()
}

fn registry(blocks: &mut Vec<Block>, report: &Report, limits: Limits) {
    if report.events.is_empty() {
        return;
    }
    blocks.push(Block::Heading(3, line!["Registry"]));
    let lines = report.events.iter().map(|event| {
        let mut line = line![Span::code(&event.model), " ", Span::code(&event.what), " by "];
        line.push(Span::code(&event.commit.author));
        if let Some(note) = &event.note {
            line.extend(line![": ", Span::code(note)]);
        }
        line
    });
    list(blocks, lines.collect(), limits);
}

fn table(blocks: &mut Vec<Block>, columns: Vec<(&'static str, Align)>, mut rows: Vec<Vec<Line>>, limits: Limits) {
    let more = rows.len().saturating_sub(limits.rows);
    rows.truncate(limits.rows);
    blocks.push(Block::Table { columns, rows });
    if more > 0 {
        blocks.push(Block::Paragraph(line![format!("And {more} more, not shown.")]));
    }
}

fn list(blocks: &mut Vec<Block>, mut lines: Vec<Line>, limits: Limits) {
    let more = lines.len().saturating_sub(limits.rows);
    lines.truncate(limits.rows);
    if more > 0 {
        lines.push(line![format!("{more} more, not shown")]);
    }
    blocks.push(Block::List(lines));
}

/// The name of a run as a picture shows it.
pub(super) fn run_name(measured: &Measured) -> String {
    match Span::code(&measured.run.name) {
        Span::Code(name) => name,
        _ => String::new(),
    }
}
