//! The whole screen: the header, a view or what is above it, and the footer.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::words;

use super::super::app::App;
use super::super::mouse::Mouse;
use super::super::theme::Theme;
use super::super::{keys, layout, parts, text};
use super::{Notice, View};

/// Draws the whole screen.
pub(in super::super) fn draw(frame: &mut Frame<'_>, app: &App, theme: &Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let size = (area.width, area.height);
    if layout::is_too_small(size) {
        return draw_too_small(area, buffer, theme);
    }
    // A resize is drawn at once; the state learns of it with the next event. Until then the old layout must not
    // reach beyond the new screen.
    if size != app.context.size {
        return;
    }
    let parts = layout::parts(size);
    header(app, theme, parts.header, buffer);
    app.views.get(app.view).draw(&app.context, theme, parts.body, buffer);
    for overlay in &app.overlays {
        overlay.draw(&app.context, theme, buffer);
    }
    footer(app, theme, parts.footer, buffer);
}

fn draw_too_small(area: Rect, buffer: &mut Buffer, theme: &Theme) {
    let words = format!("git ml ui needs {}×{}", layout::SMALLEST.0, layout::SMALLEST.1);
    if area.height > 0 {
        buffer.set_stringn(area.x, area.y + area.height / 2, &words, usize::from(area.width), theme.text);
    }
}

/// How the tabs are written: as many words as there is room for.
struct Tabs {
    tabs: Vec<(View, &'static str, &'static str, String)>,
    gap: usize,
}

impl Tabs {
    fn fitting(app: &App, width: usize) -> Self {
        let count = |view: View| match view {
            View::Runs => app.context.records.known,
            View::Registry => app.views.registry.models.ready().map(Vec::len),
            View::Compare => Some(app.context.marks.runs().len()).filter(|count| *count > 0),
            _ => None,
        };
        let tabs = |counts: bool, names: bool| {
            let tab = |(view, key, name): (View, &'static str, &'static str)| {
                let is_named = names || view == app.view.tab();
                let count =
                    count(view).filter(|_| counts && is_named).map_or_else(String::new, |count| format!(" {count}"));
                (view, key, if is_named { name } else { "" }, count)
            };
            View::TABS.map(tab).to_vec()
        };
        // What else stands in the header takes about 24 columns.
        let room = width.saturating_sub(24);
        let forms = [(true, true, 3), (true, true, 2), (false, true, 2), (true, false, 2)];
        let made = forms.map(|(counts, names, gap)| Self { tabs: tabs(counts, names), gap });
        let mut made = made.into_iter();
        loop {
            match (made.next(), made.len()) {
                (Some(tabs), 0) => return tabs,
                (Some(tabs), _) if tabs.width() <= room => return tabs,
                (Some(_), _) => {}
                (None, _) => return Self { tabs: tabs(false, false), gap: 1 },
            }
        }
    }

    fn widths(&self) -> impl Iterator<Item = usize> {
        self.tabs.iter().map(|(_, key, name, count)| {
            text::width(key) + text::width(count) + if name.is_empty() { 0 } else { 1 + text::width(name) }
        })
    }

    fn width(&self) -> usize {
        self.widths().sum::<usize>() + self.gap * self.tabs.len().saturating_sub(1) + 1
    }
}

/// The tab that the mouse is on, if any.
pub(in super::super) fn tab_at(app: &App, mouse: &Mouse) -> Option<View> {
    let header = layout::parts(app.context.size).header;
    mouse.row_in(header)?;
    let tabs = Tabs::fitting(app, usize::from(header.width));
    let mut x = usize::from(header.right()).checked_sub(tabs.width())?;
    for ((view, ..), width) in tabs.tabs.iter().zip(tabs.widths()) {
        if (x..x + width).contains(&usize::from(mouse.column)) {
            return Some(*view);
        }
        x += width + tabs.gap;
    }
    None
}

/// The program and the place at the left; the views, with how much is in them, at the right.
fn header(app: &App, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let tabs = Tabs::fitting(app, usize::from(area.width));
    let mut right = Vec::new();
    for (index, (view, key, name, count)) in tabs.tabs.iter().enumerate() {
        if index > 0 {
            right.push(Span::raw(" ".repeat(tabs.gap)));
        }
        let is_here = *view == app.view.tab();
        let (name_style, rest) = if is_here { (theme.tab, theme.accent) } else { (theme.text, theme.dim) };
        right.push(Span::styled(*key, theme.dim));
        if !name.is_empty() {
            right.extend([Span::raw(" "), Span::styled(*name, name_style)]);
        }
        right.push(Span::styled(count.as_str(), rest));
    }
    right.push(Span::raw(" "));
    let right = Line::from(right);
    let room = usize::from(area.width).saturating_sub(right.width() + 2);
    let running = match app.context.records.running {
        0 => String::new(),
        running => format!("{} {running} running  ", parts::spinner(app.context.now)),
    };
    let program = " git ml ";
    // The runs in progress before the place, and the place before the program's name, where there is little room.
    let place_room = room.saturating_sub(text::width(&running) + 2);
    let with_program = place_room >= program.len() + 8 || text::width(&running) == 0;
    let place_room = if with_program { place_room.saturating_sub(program.len()) } else { place_room };
    let mut left = Vec::new();
    if with_program {
        left.push(Span::styled(program, theme.accent.add_modifier(Modifier::BOLD)));
    }
    left.push(Span::styled(format!(" {}  ", text::shorten(&app.context.place, place_room)), theme.text));
    left.push(Span::styled(running, theme.live));
    parts::ends(Line::from(left), right, area, buffer);
}

/// The keys; a word about the last one takes their place.
fn footer(app: &App, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if let Some(notice) = &app.notice {
        let (style, rest) = match notice {
            Notice::Word(_) => (theme.warn, ""),
            Notice::Error(_) => (theme.bad, "  Esc dismisses"),
        };
        let room = usize::from(area.width).saturating_sub(2 + rest.len());
        let words = text::shorten(notice.words(), room);
        buffer.set_line(
            area.x + 1,
            area.y,
            &Line::from(vec![Span::styled(words, style), Span::styled(rest, theme.dim)]),
            area.width.saturating_sub(1),
        );
        return;
    }
    let mut hints = keys::footer(app.scope());
    let width = |hints: &[(String, &str)]| {
        hints.iter().map(|(key, word)| text::width(key) + text::width(word) + 3).sum::<usize>()
    };
    // How to get help and how to quit stand last, and stay when there is no room for all.
    while width(&hints) > usize::from(area.width) && hints.len() > 2 {
        hints.remove(hints.len() - 3);
    }
    let spans = hints.into_iter().flat_map(|(key, word)| {
        [Span::styled(format!(" {key}"), theme.accent), Span::styled(format!(" {word} "), theme.dim)]
    });
    buffer.set_line(area.x, area.y, &Line::from_iter(spans), area.width);
    let marked = app.context.marks.runs().len();
    if marked > 0 && app.overlays.is_empty() {
        let words = format!("{} marked ", words::count(marked as u64, "run"));
        let words = Line::styled(words, theme.accent);
        let used = width(&keys::footer(app.scope()));
        if used + words.width() < usize::from(area.width) {
            buffer.set_line(area.right() - u16::try_from(words.width()).unwrap_or(0), area.y, &words, area.width);
        }
    }
}
