//! How the data of two runs differs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::diff::{ArtifactChange, FileChanges, TensorsChange};
use crate::run::RunInput;
use crate::words;

use super::super::super::context::Load;
use super::super::super::effects::Effect;
use super::super::super::keys::Command;
use super::super::super::list::moved;
use super::super::super::parts;
use super::super::super::text;
use super::super::super::theme::Theme;
use super::load::{DataChange, Request};

/// Files of each kind that are named.
const MAX_NAMED: usize = 200;

/// The inputs of the first run, and those of the other one.
type Pair = (Vec<RunInput>, Vec<RunInput>);

/// What differs in the inputs of two runs.
#[derive(Debug)]
pub(super) struct Data {
    pair: Option<Pair>,
    changes: Load<Vec<DataChange>>,
    offset: usize,
}

impl Default for Data {
    fn default() -> Self {
        Self { pair: None, changes: Load::Waiting, offset: 0 }
    }
}

impl Data {
    /// What is missing for these inputs; it counts as asked for then.
    pub(super) fn wanted(&mut self, pair: Pair) -> Option<Effect> {
        if self.pair.as_ref() == Some(&pair) {
            return None;
        }
        *self = Self { pair: Some(pair.clone()), ..Self::default() };
        Some(Effect::Compare(Request::Data(pair.0, pair.1)))
    }

    /// Takes what differs, if it is of the inputs that are still compared.
    pub(super) fn loaded(&mut self, pair: &Pair, changes: Vec<DataChange>) {
        if self.pair.as_ref() == Some(pair) {
            self.changes = Load::Ready(changes);
        }
    }

    /// Nobody waits for what was asked for and has not come: it is asked for again when the data is shown again.
    pub(super) fn left(&mut self) {
        if matches!(self.changes, Load::Waiting) {
            self.pair = None;
        }
    }

    /// Scrolls.
    pub(super) fn command(&mut self, command: Command, area: Rect) {
        let rows = usize::from(area.height.saturating_sub(2));
        let count = self.lines().len();
        self.offset = moved(self.offset, command, rows, (count + 1).saturating_sub(rows));
    }

    /// Draws what differs.
    pub(super) fn draw(&self, area: Rect, theme: &Theme, buffer: &mut Buffer) {
        let inner = parts::panel(Line::styled("Data", theme.strong), Line::default(), true, theme, area, buffer);
        if matches!(self.changes, Load::Waiting) {
            return parts::message("Comparing the data …", theme.dim, inner, buffer);
        }
        let lines = self.lines();
        if lines.is_empty() {
            return parts::message("Neither run named its data.", theme.dim, inner, buffer);
        }
        let rows = usize::from(inner.height);
        let offset = self.offset.min(lines.len().saturating_sub(rows));
        for (line, y) in lines.iter().skip(offset).zip(inner.y..inner.bottom()) {
            let spans = line.iter().map(|(words, tone)| Span::styled(words.as_str(), tone.style(theme)));
            buffer.set_line(inner.x + 1, y, &Line::from_iter(spans), inner.width.saturating_sub(2));
        }
        parts::scrollbar(offset, rows, lines.len(), theme, area, buffer);
    }

    fn lines(&self) -> Vec<Words> {
        let mut lines = Vec::new();
        for change in self.changes.ready().into_iter().flatten() {
            if !lines.is_empty() {
                lines.push(Vec::new());
            }
            input(change, &mut lines);
        }
        lines
    }
}

/// What words are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Heading,
    Plain,
    Dim,
    Good,
    Bad,
    Warn,
}

impl Tone {
    fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Heading => theme.strong,
            Self::Plain => theme.text,
            Self::Dim => theme.dim,
            Self::Good => theme.good,
            Self::Bad => theme.bad,
            Self::Warn => theme.warn,
        }
    }
}

/// A line.
type Words = Vec<(String, Tone)>;

fn short(id: &crate::id::ArtifactId) -> String {
    id.to_string().chars().take(8).collect()
}

fn heading(path: &str, words: &str, tone: Tone) -> Words {
    vec![(text::clean(path), Tone::Heading), (format!("  {words}"), tone)]
}

fn input(change: &DataChange, lines: &mut Vec<Words>) {
    match change {
        DataChange::Same(path) => lines.push(heading(path.as_str(), "the same", Tone::Dim)),
        DataChange::Added(path, id) => {
            lines.push(heading(path.as_str(), &format!("only the other run read it: {}", short(id)), Tone::Good));
        }
        DataChange::Removed(path, id) => {
            lines.push(heading(path.as_str(), &format!("only the first run read it: {}", short(id)), Tone::Bad));
        }
        DataChange::Unclear(path, [old, new], problem) => {
            lines.push(heading(path.as_str(), &format!("{} → {}", short(old), short(new)), Tone::Plain));
            lines.push(vec![(format!("  {}", text::clean(problem)), Tone::Bad)]);
        }
        DataChange::Changed(change) => artifact(change, lines),
    }
}

fn artifact(change: &ArtifactChange, lines: &mut Vec<Words>) {
    let side = |version: &Option<crate::diff::Version>| match version {
        Some(version) if version.is_listed => {
            format!("{} ({}, {})", short(&version.id), words::count(version.files, "file"), words::size(version.bytes))
        }
        Some(version) => format!("{} (not here)", short(&version.id)),
        None => "none".to_owned(),
    };
    let words = format!("{} → {}", side(&change.before), side(&change.after));
    lines.push(heading(change.path.as_str(), &words, Tone::Plain));
    let mut say = |words: String, tone: Tone| lines.push(vec![(format!("  {}", text::clean(&words)), tone)]);
    for class in &change.classes {
        say(format!("class {}: {} → {} pictures", class.class, class.before, class.after), Tone::Plain);
    }
    for (path, table) in &change.tables {
        let rows = format!("{} → {} rows", table.rows_before, table.rows_after);
        say(format!("{path}: {rows}, {} added, {} removed", table.rows_added, table.rows_removed), Tone::Plain);
        for (names, word, tone) in
            [(&table.columns_added, "new", Tone::Good), (&table.columns_removed, "gone", Tone::Bad)]
        {
            if !names.is_empty() {
                say(format!("  columns that are {word}: {}", names.join(", ")), tone);
            }
        }
    }
    for (path, tensors) in &change.tensors {
        say(format!("{path}: {}", tensor_words(tensors)), Tone::Plain);
    }
    for note in &change.notes {
        say(note.clone(), Tone::Warn);
    }
    match &change.files {
        Some(files) => file_lines(files, &mut say),
        None => say("The list of its files is not here; `git ml pull` fetches it.".to_owned(), Tone::Warn),
    }
}

fn tensor_words(tensors: &TensorsChange) -> String {
    let (added, removed) = (tensors.added.len(), tensors.removed.len());
    let far = tensors.changed.iter().filter_map(|change| change.max_abs).fold(0.0, f64::max);
    let changed = tensors.changed.len();
    format!(
        "{changed} tensors differ by up to {}, {} are the same, {added} new, {removed} gone",
        text::lone_number(far),
        tensors.same
    )
}

fn file_lines(files: &FileChanges, say: &mut dyn FnMut(String, Tone)) {
    let counts = [
        (files.added.len(), "added"),
        (files.removed.len(), "removed"),
        (files.changed.len(), "changed"),
        (files.renamed.len(), "renamed"),
    ];
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if !counts.is_empty() {
        say(format!("files: {}", counts.join(", ")), Tone::Plain);
    }
    let mut name = |names: Vec<String>, sign: &str, tone: Tone| {
        let more = names.len().saturating_sub(MAX_NAMED);
        names.into_iter().take(MAX_NAMED).for_each(|name| say(format!("{sign} {name}"), tone));
        if more > 0 {
            say(format!("{sign} and {more} more"), tone);
        }
    };
    name(files.added.iter().map(|entry| entry.path_text().to_owned()).collect(), "+", Tone::Good);
    name(files.removed.iter().map(|entry| entry.path_text().to_owned()).collect(), "-", Tone::Bad);
    name(files.changed.iter().map(|(_, new)| new.path_text().to_owned()).collect(), "~", Tone::Warn);
    let renamed =
        |(old, new): &(crate::store::Entry, crate::store::Entry)| format!("{} → {}", old.path_text(), new.path_text());
    name(files.renamed.iter().map(renamed).collect(), "→", Tone::Plain);
}
