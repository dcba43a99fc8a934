//! What the chosen version came from: its run, its code, its data.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::registry::Version;
use crate::words;

use super::super::super::context::{Context, Load};
use super::super::super::parts::{self, message, padded};
use super::super::super::text;
use super::super::super::theme::Theme;
use super::load::Origin;
use super::models::Models;

/// Columns of the words before each value.
const LABEL: usize = 11;

/// Draws it.
pub(super) fn draw(view: &Models, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let Some(version) = view.version() else { return };
    let title = format!("{}@v{}", version.model, version.version);
    let title = Line::styled(text::shorten(&title, usize::from(area.width.saturating_sub(8))), theme.strong);
    let inner = parts::panel(title, Line::default(), false, theme, area, buffer);
    let origin = match view.origin() {
        Load::Waiting => return message("Loading what it came from …", theme.dim, inner, buffer),
        Load::Failed(problem) => return message(problem, theme.bad, inner, buffer),
        Load::Ready(origin) => origin,
    };
    let place = padded(inner);
    for (line, y) in lines(view, version, origin, context, theme).iter().zip(place.y..place.bottom()) {
        buffer.set_line(place.x, y, line, place.width);
    }
}

fn lines(view: &Models, version: &Version, origin: &Origin, context: &Context, theme: &Theme) -> Vec<Line<'static>> {
    let line = |label: &str, value: Vec<Span<'static>>| {
        let mut spans = vec![Span::styled(format!("{label:LABEL$}"), theme.dim)];
        spans.extend(value);
        Line::from(spans)
    };
    let plain = |words: &str| Span::styled(text::clean(words), theme.text);
    let dim = |words: &str| Span::styled(format!("  {}", text::clean(words)), theme.dim);
    let mut lines = Vec::new();
    if let Some(reason) = view.model().and_then(|model| model.about_version(version.version).deprecated) {
        lines.push(line("deprecated", vec![Span::styled(text::clean(&reason), theme.bad)]));
    }
    match (&origin.run, version.run) {
        (Some(run), _) => {
            let status = format!("{}, {}", run.status.as_str(), words::ago(run.started, context.now));
            lines.push(line("run", vec![plain(&run.name), dim(&status), dim("Enter opens it")]));
        }
        (None, Some(run_id)) => {
            lines.push(line("run", vec![plain(&run_id.short()), dim("not in this repository")]));
        }
        (None, None) => lines.push(line("run", vec![plain("none: it was not made by a run that is known")])),
    }
    match (&origin.commit, version.commit) {
        (Some(commit), _) => {
            let dirty = origin.run.as_ref().is_some_and(|run| run.dirty);
            let mut value = vec![plain(&commit.id.short()), dim(commit.subject())];
            if dirty {
                value.push(Span::styled("  with changes that were not committed", theme.warn));
            }
            lines.push(line("code", value));
        }
        (None, Some(commit_id)) => {
            lines.push(line("code", vec![plain(&commit_id.short()), dim("not in this repository")]));
        }
        (None, None) => {}
    }
    let inputs = origin.run.iter().flat_map(|run| &run.inputs);
    for (index, input) in inputs.enumerate() {
        let label = if index == 0 { "data" } else { "" };
        lines.push(line(label, vec![plain(input.path.as_str()), dim(&input.id.short())]));
    }
    lines.push(line("artifact", vec![plain(&version.id.short()), dim(&version.artifact_type)]));
    let by = version.by.split('<').next().unwrap_or_default().trim();
    let when = words::ago(version.registered, context.now);
    lines.push(line("registered", vec![plain(&when), dim(&format!("by {by}"))]));
    if let Some(note) = view.model().and_then(|model| model.note_of(version)) {
        lines.push(line("note", vec![plain(note.lines().next().unwrap_or_default())]));
    }
    lines
}
