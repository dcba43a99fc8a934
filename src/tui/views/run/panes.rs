//! One run: what is recorded of it, its charts and its log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::run::{Run, RunStatus};
use crate::words;

use super::super::super::context::{Context, Load};
use super::super::super::parts::{self, message};
use super::super::super::theme::Theme;
use super::super::super::{layout, text};
use super::super::runs::columns;
use super::detail::{Detail, Pane};
use super::{charts, overview};

/// Draws the open run.
pub(super) fn draw(detail: &Detail, context: &Context, theme: &Theme, buffer: &mut Buffer) {
    let places = layout::run(context.body());
    let Some(run) = detail.run(context) else {
        let is_gone = detail.run_id.is_some_and(|run_id| context.records.is_gone(&run_id));
        let words = if is_gone { "This run is not here any more. Esc goes back." } else { "Loading the run …" };
        return message(words, theme.dim, places.overview, buffer);
    };
    title(detail, run, context, places.wide, theme, places.title, buffer);
    for pane in Pane::ALL {
        let active = detail.pane == pane;
        if !places.wide && !active {
            continue;
        }
        match pane {
            Pane::Overview => {
                overview::draw_pane(detail, run, ("Overview", active), context, theme, places.overview, buffer);
            }
            Pane::Charts => charts::draw(detail, active, theme, places.charts, buffer),
            Pane::Log => log(detail, run, places.log, active, theme, buffer),
        }
    }
}

/// The run's name and status, and the panes.
fn title(detail: &Detail, run: &Run, context: &Context, wide: bool, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let style = theme.status(run.status);
    let panes = Pane::ALL.into_iter().flat_map(|pane| {
        let style = if detail.pane == pane { theme.tab } else { theme.dim };
        [Span::styled(pane.title(), style), Span::raw("  ")]
    });
    let right = if wide { Line::default() } else { Line::from_iter(panes) };
    let status = format!("{} {}", parts::mark(run.status, context.now), run.status.as_str());
    let time = words::duration(columns::seconds(run, context.now));
    let room = usize::from(area.width).saturating_sub(right.width() + status.len() + time.len() + 8);
    let left = Line::from(vec![
        Span::styled(format!(" {}", text::shorten(&run.name, room)), theme.strong),
        Span::styled(format!("  {status}"), style),
        Span::styled(format!("  {time}"), theme.dim),
    ]);
    parts::ends(left, right, area, buffer);
}

fn log(detail: &Detail, run: &Run, area: Rect, active: bool, theme: &Theme, buffer: &mut Buffer) {
    let rows_seen = usize::from(area.height.saturating_sub(2));
    let rows = detail.log_rows(usize::from(area.width.saturating_sub(4)));
    let back = detail.log_back.min(rows.len().saturating_sub(rows_seen));
    let first = rows.len().saturating_sub(rows_seen + back);
    let place = match (back, run.status) {
        (0, RunStatus::Running) => "following".to_owned(),
        (0, _) => String::new(),
        (back, _) => format!("{} below", words::count(back as u64, "line")),
    };
    let right = Line::styled(place, theme.dim);
    let inner = parts::panel(Line::styled("Log", theme.strong), right, active, theme, area, buffer);
    match &detail.log {
        Load::Waiting => return message("Loading the log …", theme.dim, inner, buffer),
        Load::Failed(problem) => return message(problem, theme.bad, inner, buffer),
        Load::Ready(lines) if lines.is_empty() => return message("Nothing was written.", theme.dim, inner, buffer),
        Load::Ready(_) => {}
    }
    for (row, y) in rows.iter().skip(first).zip(inner.y..inner.bottom()) {
        buffer.set_stringn(inner.x + 1, y, row, usize::from(inner.width.saturating_sub(2)), theme.text);
    }
    parts::scrollbar(first, rows_seen, rows.len(), theme, area, buffer);
}
