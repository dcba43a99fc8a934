//! What is recorded of a run, as lines.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::run::{Run, RunStatus, smaller_is_better};
use crate::words;

use super::super::super::context::{Context, Load};
use super::super::super::theme::{Background, ColorDepth, Theme};
use super::super::super::{layout, parts, text};
use super::super::runs::columns;
use super::Detail;

/// Columns of the names at the left.
const LABEL: usize = 10;
/// Spaces after them.
const GAP: usize = 2;

/// Draws the overview of a run under a title.
pub(in crate::tui) fn draw(
    detail: &Detail,
    run: &Run,
    title: &str,
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    sheet(detail, run, (title, false), context, theme, area, buffer);
}

/// Draws the overview, scrolled, under a title that says whether the keys act on it.
pub(super) fn draw_pane(
    detail: &Detail,
    run: &Run,
    title: (&str, bool),
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let count = sheet(detail, run, title, context, theme, area, buffer);
    let rows = usize::from(area.height.saturating_sub(2));
    let offset = detail.overview_offset.min(count.saturating_sub(rows));
    parts::scrollbar(offset, rows, count, theme, area, buffer);
}

/// Draws the lines in their border, and says how many there are.
fn sheet(
    detail: &Detail,
    run: &Run,
    (title, active): (&str, bool),
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> usize {
    let title = Line::styled(text::shorten(title, usize::from(area.width)), theme.strong);
    let id = Line::styled(run.id.short(), theme.dim);
    let inner = parts::panel(title, id, active, theme, area, buffer);
    let width = usize::from(inner.width.saturating_sub(2));
    let lines = lines(run, detail, width, theme, context.now);
    let rows = usize::from(inner.height);
    let offset = detail.overview_offset.min(lines.len().saturating_sub(rows));
    for (line, y) in lines.iter().skip(offset).zip(inner.y..inner.bottom()) {
        buffer.set_line(inner.x + 1, y, line, inner.width.saturating_sub(2));
    }
    lines.len()
}

/// How many lines the overview of a run has on this screen.
pub(super) fn line_count(run: &Run, detail: &Detail, context: &Context) -> usize {
    let width = usize::from(layout::run(context.body()).overview.width.saturating_sub(4));
    lines(run, detail, width, &Theme::new(ColorDepth::None, Background::Dark), context.now).len()
}

/// Lines under construction.
struct Sheet<'t> {
    lines: Vec<Line<'static>>,
    width: usize,
    theme: &'t Theme,
}

impl Sheet<'_> {
    /// A name and what it has, on as many lines as that takes.
    fn field(&mut self, name: &str, value: &str, style: Style) {
        self.wide_field(name, LABEL, value, style);
    }

    fn wide_field(&mut self, name: &str, label: usize, value: &str, style: Style) {
        let name = text::shorten(name, label);
        let margin = " ".repeat(label.saturating_sub(text::width(&name)) + GAP);
        let mut first = Some(Span::styled(format!("{name}{margin}"), self.theme.dim));
        for part in parts::wrapped(value, self.width.saturating_sub(label + GAP)) {
            let start = first.take().unwrap_or_else(|| Span::raw(" ".repeat(label + GAP)));
            self.lines.push(Line::from(vec![start, Span::styled(part, style)]));
        }
    }

    fn heading(&mut self, words: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.lines.push(Line::styled(words.to_owned(), self.theme.accent));
    }

    /// A section of names and values, the names as wide as they need.
    fn pairs<'a>(&mut self, heading: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
        let pairs: Vec<(&str, &str)> = pairs.collect();
        if pairs.is_empty() {
            return;
        }
        self.heading(heading);
        let label = pairs.iter().map(|(name, _)| text::width(name)).max().unwrap_or(0).clamp(4, self.width / 2);
        for (name, value) in pairs {
            self.wide_field(name, label, value, self.theme.text);
        }
    }
}

fn lines(run: &Run, detail: &Detail, width: usize, theme: &Theme, now: Timestamp) -> Vec<Line<'static>> {
    let mut sheet = Sheet { lines: Vec::new(), width, theme };
    status(run, &mut sheet, now);
    match &detail.versions {
        Load::Ready(versions) => versions.iter().for_each(|version| sheet.field("registered", version, theme.best)),
        Load::Failed(problem) => sheet.field("registered", problem, theme.bad),
        Load::Waiting => {}
    }
    if let Some(note) = &run.note {
        sheet.field("note", note, theme.text);
    }
    code(run, detail, &mut sheet);
    metrics(run, &mut sheet);
    sheet.pairs("Parameters", run.params.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if !run.inputs.is_empty() {
        sheet.heading("Inputs");
        for input in &run.inputs {
            sheet.lines.push(artifact(input.path.to_string(), &input.id.short(), String::new(), width, theme));
        }
    }
    if !run.outputs.is_empty() {
        sheet.heading("Outputs");
        for output in &run.outputs {
            let files = words::count(output.files, "file");
            let what = format!("{files}, {}", words::size(output.bytes));
            sheet.lines.push(artifact(output.name.clone(), &output.id.short(), what, width, theme));
        }
    }
    datasets(run, &mut sheet);
    how(run, &mut sheet);
    sheet.pairs("Tags", run.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    environment(run, &mut sheet);
    sheet.lines
}

fn status(run: &Run, sheet: &mut Sheet<'_>, now: Timestamp) {
    let theme = sheet.theme;
    let how = match (run.status, run.exit_code, &run.signal) {
        (RunStatus::Running | RunStatus::Finished, _, _) => String::new(),
        (_, _, Some(signal)) => format!(" by {signal}"),
        (_, Some(code), None) => format!(" with exit code {code}"),
        (_, None, None) => String::new(),
    };
    let words = format!("{} {}{how}", parts::mark(run.status, now), run.status.as_str());
    sheet.field("status", &words, theme.status(run.status));
    if let Some(reason) = &run.reason {
        sheet.field("reason", reason, theme.bad);
    }
    let (moment, ago) = (text::moment(run.started), words::ago(run.started, now));
    let both = format!("{moment}, {ago}");
    let room = sheet.width.saturating_sub(LABEL + GAP);
    sheet.field("started", if text::width(&both) <= room { &both } else { &moment }, theme.text);
    let mut took = words::duration(columns::seconds(run, now));
    if let Some(seconds) = run.cpu_s {
        took = format!("{took}, CPU {}", words::duration(seconds));
    }
    sheet.field("time", &took, theme.text);
}

/// Data that is not tracked here, as the command described it.
fn datasets(run: &Run, sheet: &mut Sheet<'_>) {
    if run.datasets.is_empty() {
        return;
    }
    sheet.heading("Data sets");
    for dataset in &run.datasets {
        let what = format!("{} {}", dataset.source_type, dataset.source);
        sheet.field(&dataset.name, &what, sheet.theme.text);
    }
}

/// The machine, then the versions of programs, then what else is known.
fn environment(run: &Run, sheet: &mut Sheet<'_>) {
    const MACHINE: [&str; 10] =
        ["cpu", "cores", "memory_bytes", "gpu", "gpu_driver", "os", "kernel", "architecture", "container", "hostname"];
    const VERSIONS: [&str; 5] = ["git_ml", "libtorch", "python", "python_path", "cuda"];
    // A list of packages, one a line, is a section of its own.
    const PACKAGES: &str = "python_packages";
    let known = |names: &[&'static str]| -> Vec<(&str, String)> {
        let known = names.iter().filter_map(|name| run.environment.get_key_value(*name));
        known.map(|(name, value)| readable(name, value)).collect()
    };
    let is_other = |name: &str| !MACHINE.contains(&name) && !VERSIONS.contains(&name) && name != PACKAGES;
    let others = run.environment.iter().filter(|(name, _)| is_other(name));
    let others: Vec<(&str, String)> = others.map(|(name, value)| readable(name, value)).collect();
    for (heading, pairs) in [("Machine", known(&MACHINE)), ("Versions", known(&VERSIONS)), ("Environment", others)] {
        sheet.pairs(heading, pairs.iter().map(|(name, value)| (*name, value.as_str())));
    }
    if let Some(packages) = run.environment.get(PACKAGES) {
        sheet.pairs("Python packages", packages.lines().map(|line| line.split_once("==").unwrap_or((line, ""))));
    }
}

fn readable<'a>(name: &'a str, value: &str) -> (&'a str, String) {
    match (name.strip_suffix("_bytes"), value.parse()) {
        (Some(name), Ok(bytes)) => (name, words::size(bytes)),
        _ => (name, value.to_owned()),
    }
}

/// Who ran what.
fn how(run: &Run, sheet: &mut Sheet<'_>) {
    let theme = sheet.theme;
    sheet.heading("How");
    if let Some(experiment) = &run.experiment {
        sheet.field("experiment", experiment, theme.text);
    }
    if !run.command.is_empty() {
        sheet.field("command", &run.command.join(" "), theme.text);
    }
    if let Some(folder) = &run.folder {
        sheet.field("in", folder.as_str(), theme.text);
    }
    if let Some(seed) = run.seed {
        sheet.field("seed", &seed.to_string(), theme.text);
    }
    sheet.field("by", &format!("{} on {}", run.user, run.host), theme.text);
}

fn code(run: &Run, detail: &Detail, sheet: &mut Sheet<'_>) {
    let theme = sheet.theme;
    let branch = run.branch.as_deref().map_or_else(String::new, |branch| format!(" on {branch}"));
    let Some(commit) = run.commit else { return };
    sheet.field("commit", &format!("{}{branch}", commit.short()), theme.text);
    match &detail.commit {
        Load::Ready(info) if info.id == commit => sheet.field("", info.subject(), theme.dim),
        Load::Failed(problem) => sheet.field("", problem, theme.bad),
        Load::Ready(_) | Load::Waiting => {}
    }
    if let Some(snapshot) = run.snapshot.filter(|_| run.dirty) {
        let words = format!("dirty, kept as {}", snapshot.short());
        sheet.field("", &words, theme.warn);
    }
    let untracked = run.left_out.untracked.len() as u64 + run.left_out.more;
    if untracked > 0 {
        let words = format!("without {} that git does not track", words::count(untracked, "file"));
        sheet.field("", &words, theme.warn);
    }
}

/// Each metric's last value, and its best where that is another.
fn metrics(run: &Run, sheet: &mut Sheet<'_>) {
    if run.metrics.is_empty() {
        return;
    }
    sheet.heading("Metrics");
    let theme = sheet.theme;
    let longest = run.metrics.keys().map(|name| text::width(name)).max().unwrap_or(0);
    let label = longest.min(sheet.width.saturating_sub(11)).max(4);
    let of_system = |name: &str| name.starts_with("system.") || name.starts_with("system/");
    let (system, own): (Vec<_>, Vec<_>) = run.metrics.iter().partition(|(name, _)| of_system(name));
    for (name, metric) in own.into_iter().chain(system) {
        let best = if smaller_is_better(name) { metric.min } else { metric.max };
        let style = if metric.last.is_finite() { theme.text } else { theme.bad };
        let value = text::lone_number(metric.last);
        let shown = text::shorten(name, label);
        let start = format!("{shown}{}", " ".repeat(label - text::width(&shown)));
        let mut spans = vec![Span::styled(start, theme.dim), Span::styled(format!(" {value:>9}"), style)];
        let word = if smaller_is_better(name) { "least" } else { "most" };
        let extra = format!("  {word} {} at {}", text::lone_number(best), metric.best_step);
        if best.is_finite() && best != metric.last && label + 10 + text::width(&extra) <= sheet.width {
            spans.push(Span::styled(extra, theme.dim));
        }
        sheet.lines.push(Line::from(spans));
    }
}

/// An artifact: its name, what it is made of, and its id at the right.
fn artifact(name: String, id: &str, what: String, width: usize, theme: &Theme) -> Line<'static> {
    let fixed = text::width(id) + 2 + if what.is_empty() { 0 } else { text::width(&what) + 2 };
    let name = text::shorten(&name, width.saturating_sub(fixed));
    let margin = width.saturating_sub(text::width(&name) + fixed) + 2;
    let margin = if what.is_empty() { margin } else { 2 };
    let mut spans = vec![Span::styled(name.clone(), theme.text), Span::raw(" ".repeat(margin))];
    if !what.is_empty() {
        let rest = width.saturating_sub(text::width(&name) + 2 + text::width(&what) + text::width(id)).max(1);
        spans.push(Span::styled(what, theme.dim));
        spans.push(Span::raw(" ".repeat(rest)));
    }
    spans.push(Span::styled(id.to_owned(), theme.dim));
    Line::from(spans)
}
