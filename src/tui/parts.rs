//! What several views are made of: panels, tables, marks, sparklines.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Widget};

use crate::run::RunStatus;

use super::input::Input;
use super::text;
use super::theme::Theme;

/// Draws a border with a title at the left and one at the right, and returns the area in it. Where both titles have
/// no room, the right one goes.
pub(super) fn panel(
    left: Line<'_>,
    right: Line<'_>,
    active: bool,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let style = if active { theme.border_active } else { theme.border };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(style);
    let inner = block.inner(area);
    block.render(area, buffer);
    let room = usize::from(area.width.saturating_sub(4));
    let title = |line: Line<'_>, x: u16, width: usize, buffer: &mut Buffer| {
        if width > 2 {
            let mut spans = vec![Span::raw(" ")];
            let whole = line.style;
            let styled = |span: Span<'_>| Span::styled(span.content.into_owned(), whole.patch(span.style));
            spans.extend(line.spans.into_iter().map(styled));
            spans.push(Span::raw(" "));
            let width = u16::try_from(width).unwrap_or(u16::MAX);
            buffer.set_line(x, area.y, &Line::from(spans), width);
        }
    };
    let left_width = if left.width() == 0 { 0 } else { (left.width() + 2).min(room) };
    let right_width = if right.width() == 0 { 0 } else { right.width() + 2 };
    title(left, area.x + 2, left_width, buffer);
    if left_width + 2 + right_width <= room {
        let x = area.right().saturating_sub(2 + u16::try_from(right_width).unwrap_or(0));
        title(right, x, right_width, buffer);
    }
    inner
}

/// One line with something at each end; the right end gives way.
pub(super) fn ends(left: Line<'_>, right: Line<'_>, area: Rect, buffer: &mut Buffer) {
    buffer.set_line(area.x, area.y, &left, area.width);
    let width = u16::try_from(right.width()).unwrap_or(u16::MAX);
    if left.width() + right.width() < usize::from(area.width) {
        buffer.set_line(area.right() - width, area.y, &right, width);
    }
}

/// Shows on the right border how far a list is scrolled, where it does not fit.
pub(super) fn scrollbar(offset: usize, rows: usize, count: usize, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let track = usize::from(area.height.saturating_sub(2));
    if count <= rows || track == 0 || area.width == 0 {
        return;
    }
    let size = (track * rows / count).max(1);
    let room = count - rows;
    let start = ((track - size) * offset.min(room) + room / 2) / room;
    for row in (start..start + size).filter_map(|row| u16::try_from(row).ok()) {
        buffer[(area.right() - 1, area.y + 1 + row)].set_symbol("┃").set_style(theme.accent);
    }
}

/// The area in a border.
pub(super) fn inside(area: Rect) -> Rect {
    Block::bordered().inner(area)
}

/// An area without its first and its last column.
pub(super) fn padded(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

/// A line of words in the middle of an area: that something is loading, empty or wrong.
pub(super) fn message(words: &str, style: Style, area: Rect, buffer: &mut Buffer) {
    let lines = wrapped(words, usize::from(area.width.saturating_sub(4)));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let top = area.y + area.height.saturating_sub(height) / 2;
    for (line, y) in lines.iter().zip(top..area.bottom()) {
        let margin = area.width.saturating_sub(u16::try_from(text::width(line)).unwrap_or(u16::MAX)) / 2;
        buffer.set_stringn(area.x + margin, y, line, usize::from(area.width - margin), style);
    }
}

/// Where the characters of a typed line stand.
pub(super) struct Typed {
    x: u16,
    room: usize,
    /// The columns before each character that is shown; the first one shown is `first`.
    characters: Vec<char>,
    first: usize,
}

impl Typed {
    /// The column of a character; that of the edge where it is scrolled away.
    pub(super) fn column(&self, character: usize) -> u16 {
        let shown = &self.characters[self.first..character.clamp(self.first, self.characters.len())];
        self.x + u16::try_from(width_of(shown).min(self.room)).unwrap_or(0)
    }
}

fn width_of(characters: &[char]) -> usize {
    text::width(&characters.iter().collect::<String>())
}

/// Draws a line that is being typed behind a prompt, scrolled so that the cursor is on the screen; `example` is shown
/// while it is empty.
pub(super) fn typed(
    input: &Input,
    prompt: &str,
    example: &str,
    area: Rect,
    theme: &Theme,
    buffer: &mut Buffer,
) -> Typed {
    buffer.set_stringn(area.x + 1, area.y, prompt, usize::from(area.width.saturating_sub(1)), theme.accent);
    let margin = if prompt.is_empty() { 1 } else { text::width(prompt) + 2 };
    let room = usize::from(area.width).saturating_sub(margin + 2);
    let x = area.x + u16::try_from(margin).unwrap_or(0);
    // Each character takes at least a column.
    let characters: Vec<char> = input.text().chars().collect();
    let mut first = 0;
    while width_of(&characters[first..input.cursor()]) >= room && first < input.cursor() {
        first += 1;
    }
    let visible: String = characters[first..].iter().collect();
    buffer.set_stringn(x, area.y, text::clean(&visible), room, theme.text);
    if visible.is_empty() {
        buffer.set_stringn(x, area.y, text::shorten(example, room), room, theme.dim);
    }
    let typed = Typed { x, room, characters, first };
    let cursor = typed.column(input.cursor());
    if cursor < area.right() && area.height > 0 {
        buffer[(cursor, area.y)].set_style(Style::new().add_modifier(Modifier::REVERSED));
    }
    typed
}

/// One cell of a table.
pub(super) struct Cell<'a> {
    pub(super) line: Line<'a>,
    pub(super) width: usize,
    pub(super) right: bool,
}

impl<'a> Cell<'a> {
    /// A cell with text of one style, cut to its width.
    pub(super) fn new(words: &str, style: Style, width: usize, right: bool) -> Self {
        Self { line: Line::from(Span::styled(text::shorten(words, width), style)), width, right }
    }
}

/// Draws a row of cells with `gap` between them.
pub(super) fn row<'a>(cells: impl IntoIterator<Item = Cell<'a>>, gap: usize, area: Rect, buffer: &mut Buffer) {
    let mut x = usize::from(area.x);
    for cell in cells {
        let end = (x + cell.width).min(usize::from(area.right()));
        let margin = if cell.right { cell.width.saturating_sub(cell.line.width()) } else { 0 };
        let room = u16::try_from(end.saturating_sub(x + margin)).unwrap_or(0);
        // `end` lies in the area, so where there is room the start is a column of the screen.
        if room > 0 {
            buffer.set_line(u16::try_from(x + margin).unwrap_or(u16::MAX), area.y, &cell.line, room);
        }
        x += cell.width + gap;
    }
}

/// The mark of a status.
pub(super) fn mark(status: RunStatus, now: Timestamp) -> &'static str {
    match status {
        RunStatus::Running => spinner(now),
        RunStatus::Finished => "✓",
        RunStatus::Failed => "✗",
        RunStatus::Crashed => "!",
        RunStatus::Killed => "■",
    }
}

/// A mark that moves as time goes by.
pub(super) fn spinner(now: Timestamp) -> &'static str {
    const FRAMES: [&str; 8] = ["⠋", "⠙", "⠸", "⢰", "⣠", "⣄", "⡆", "⠇"];
    let frame = now.as_millisecond().div_euclid(250).rem_euclid(8);
    FRAMES[usize::try_from(frame).unwrap_or(0)]
}

/// A sparkline; a value that is not finite is a `×`.
pub(super) fn sparkline(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let bar = |value: &f64| {
        if !value.is_finite() {
            return '×';
        }
        let place = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
        let level = if place.is_finite() { (place * 7.0).round() } else { 3.0 };
        BARS[(level.clamp(0.0, 7.0)) as usize]
    };
    values.iter().map(bar).collect()
}

/// `words` broken between words into lines of at most `width` columns.
pub(super) fn wrapped(words: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text::clean(words).split(' ') {
        let mut word = word;
        loop {
            let line = lines.last_mut().map_or(0, |line| text::width(line));
            let space = usize::from(line > 0);
            if line + space + text::width(word) <= width {
                if let Some(last) = lines.last_mut() {
                    last.push_str(if space == 1 { " " } else { "" });
                    last.push_str(word);
                }
                break;
            }
            if line > 0 {
                lines.push(String::new());
                continue;
            }
            // A word wider than the line is broken in itself.
            let part = text::take(word, width);
            if part.is_empty() {
                break;
            }
            if let Some(last) = lines.last_mut() {
                last.push_str(part);
            }
            word = &word[part.len()..];
            lines.push(String::new());
        }
    }
    if lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines_span_their_range() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0, f64::NAN, f64::INFINITY]), "▁▅█××");
        assert_eq!(sparkline(&[2.0, 2.0]), "▄▄");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX]), "▁█");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn words_wrap_between_them() {
        assert_eq!(wrapped("python train.py --lr 0.1", 12), ["python", "train.py", "--lr 0.1"]);
        assert_eq!(wrapped("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrapped("", 3), [""]);
        assert_eq!(wrapped("データ", 1), [""]);
    }
}
