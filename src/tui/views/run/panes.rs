//! How one run is drawn: its name, the panes' names, and the pane that has the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::run::Run;
use crate::tui::context::Context;
use crate::tui::mouse::Mouse;
use crate::tui::parts::{self, message};
use crate::tui::theme::Theme;
use crate::tui::views::runs::columns;
use crate::tui::{files, layout, text};
use crate::words;

use super::detail::{Detail, Pane};
use super::overview;

/// Spaces behind the name of a pane.
const GAP: usize = 2;

/// Draws the open run.
pub(super) fn draw(detail: &Detail, context: &Context, theme: &Theme, buffer: &mut Buffer) {
    let places = layout::run(context.body());
    let area = Detail::area(context);
    let Some(run) = detail.run(context) else {
        let is_gone = detail.run_id.is_some_and(|run_id| context.records.is_gone(&run_id));
        let words = if is_gone { "This run is not here any more. Esc goes back." } else { "Loading the run …" };
        return message(words, theme.dim, area, buffer);
    };
    title(detail, run, context, theme, places.title, buffer);
    match detail.pane {
        Pane::Overview => {
            overview::draw_pane(detail, run, ("Overview", true), context, theme, places.overview, buffer);
            if places.wide {
                detail.charts.draw(places.charts, false, theme, buffer);
                detail.log.draw(run.status, false, theme, places.log, buffer);
            }
        }
        Pane::Charts => detail.charts.draw(area, true, theme, buffer),
        Pane::Log => detail.log.draw(run.status, true, theme, area, buffer),
        Pane::Files if detail.files.is_empty() => {
            let title = Line::styled("Files", theme.strong);
            let inner = parts::panel(title, Line::default(), true, theme, area, buffer);
            message("This run read and made no artifacts.", theme.dim, inner, buffer);
        }
        Pane::Files => files::draw(&detail.files, "Files", true, theme, area, buffer),
        Pane::System => detail.system.draw(area, true, theme, buffer),
        Pane::Code => detail.code.draw(run, theme, area, buffer),
    }
}

/// The pane whose name the mouse is on.
pub(super) fn pane_at(mouse: &Mouse, context: &Context) -> Option<Pane> {
    let title = layout::run(context.body()).title;
    mouse.row_in(title)?;
    let mut x = usize::from(title.right()).checked_sub(names_width())?;
    for pane in Pane::ALL {
        let width = text::width(pane.title());
        if (x..x + width).contains(&usize::from(mouse.column)) {
            return Some(pane);
        }
        x += width + GAP;
    }
    None
}

fn names_width() -> usize {
    Pane::ALL.iter().map(|pane| text::width(pane.title()) + GAP).sum()
}

/// The run's name and status, and the panes.
fn title(detail: &Detail, run: &Run, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let style = theme.status(run.status);
    let names = Pane::ALL.into_iter().flat_map(|pane| {
        let style = if detail.pane == pane { theme.tab } else { theme.dim };
        [Span::styled(pane.title(), style), Span::raw(" ".repeat(GAP))]
    });
    let right = Line::from_iter(names);
    let room = usize::from(area.width).saturating_sub(right.width() + 2);
    let status = format!("  {} {}", parts::mark(run.status, context.now), run.status.as_str());
    let time = format!("  {}", words::duration(columns::seconds(run, context.now)));
    // The name needs the room most; the time goes first, then the word of the status.
    let name_width = text::width(&run.name).min(20);
    let mark = format!(" {}", parts::mark(run.status, context.now));
    let (status, time) = match room {
        room if name_width + text::width(&status) + text::width(&time) <= room => (status, time),
        room if name_width + text::width(&status) <= room => (status, String::new()),
        _ => (mark, String::new()),
    };
    let name = text::shorten(&run.name, room.saturating_sub(text::width(&status) + text::width(&time)));
    let left = Line::from(vec![
        Span::styled(format!(" {name}"), theme.strong),
        Span::styled(status, style),
        Span::styled(time, theme.dim),
    ]);
    parts::ends(left, right, area, buffer);
}
