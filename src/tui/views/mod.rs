//! The views: each draws a part of [`App`] and changes nothing.

mod chart;
pub(super) mod help;
pub(super) mod overview;
mod parts;
mod registry;
mod run;
mod runs;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::app::{App, View};
use super::theme::Theme;
use super::{keys, layout, text};

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, theme: &Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let size = (area.width, area.height);
    if layout::is_too_small(size) {
        return draw_too_small(area, buffer, theme);
    }
    // A resize is drawn at once; the state learns of it with the next event. Until then the old layout must not
    // reach beyond the new screen.
    if size != app.size {
        return;
    }
    let parts = layout::parts(size);
    header(app, theme, parts.header, buffer);
    match app.view {
        _ if app.help.is_some() => help::draw(app, app.help.unwrap_or(0), theme, buffer),
        View::Runs => runs::draw(app, theme, buffer),
        View::Run => run::draw(app, theme, buffer),
        View::Registry => registry::draw(app, theme, buffer),
    }
    footer(app, theme, parts.footer, buffer);
}

fn draw_too_small(area: Rect, buffer: &mut Buffer, theme: &Theme) {
    let words = format!("git ml ui needs {}×{}", layout::SMALLEST.0, layout::SMALLEST.1);
    if area.height > 0 {
        buffer.set_stringn(area.x, area.y + area.height / 2, &words, usize::from(area.width), theme.text);
    }
}

/// The program and the place at the left; the views, with how much is in them, at the right.
fn header(app: &App, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let tab = |name: &'static str, key: &'static str, count: Option<usize>, chosen: bool| {
        let count = count.map_or_else(String::new, |count| format!(" {count}"));
        let (name_style, rest) = if chosen { (theme.tab, theme.accent) } else { (theme.text, theme.dim) };
        vec![
            Span::styled(format!("{key} "), theme.dim),
            Span::styled(name, name_style),
            Span::styled(count, rest),
            Span::raw("   "),
        ]
    };
    let mut right = Vec::new();
    if app.table.running() > 0 {
        right.push(Span::styled(format!("{} {} running   ", parts::spinner(app.now), app.table.running()), theme.live));
    }
    let loaded = app.table.state.ready().map(|()| app.table.all().len());
    right.extend(tab("Runs", "1", loaded, app.view != View::Registry));
    let models = app.models.models.ready().map(Vec::len);
    right.extend(tab("Registry", "2", models, app.view == View::Registry));
    right.pop();
    right.push(Span::raw(" "));
    let right = Line::from(right);
    let room = usize::from(area.width).saturating_sub(right.width() + 2);
    let left = Line::from(vec![
        Span::styled(" git ml ", theme.accent.add_modifier(Modifier::BOLD)),
        Span::styled(format!(" {}", text::shorten(&app.place, room.saturating_sub(9))), theme.text),
    ]);
    parts::ends(left, right, area, buffer);
}

/// The keys; a word about the last one takes their place.
fn footer(app: &App, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if let Some(notice) = &app.notice {
        let words = text::shorten(notice, usize::from(area.width).saturating_sub(2));
        buffer.set_stringn(area.x + 1, area.y, words, usize::from(area.width), theme.warn);
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
}

/// A line of words in the middle of an area: that something is loading, empty or wrong.
fn message(words: &str, style: Style, area: Rect, buffer: &mut Buffer) {
    let lines = parts::wrapped(words, usize::from(area.width.saturating_sub(4)));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let top = area.y + area.height.saturating_sub(height) / 2;
    for (line, y) in lines.iter().zip(top..area.bottom()) {
        let margin = area.width.saturating_sub(u16::try_from(text::width(line)).unwrap_or(u16::MAX)) / 2;
        buffer.set_stringn(area.x + margin, y, line, usize::from(area.width - margin), style);
    }
}
