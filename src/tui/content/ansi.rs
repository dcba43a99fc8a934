//! What a program wrote to its terminal, as lines with colours and nothing else that a terminal would obey.
//!
//! Of escape sequences only SGR (ECMA-48, 8.3.117) has a meaning beyond its line: text may be coloured. What moves or
//! erases within the line (carriage return, backspace, EL, CHA, CUF, CUB) is done here, so a progress bar that was
//! written over and over shows its last state. All other sequences are skipped whole.

use std::ops::Range;
use std::str::Chars;

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::tui::text;

/// Columns between tab stops.
const TAB: usize = 8;
/// Characters of the parameters of a sequence that count.
const MAX_PARAMETERS: usize = 64;

/// A line as a terminal would have left it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::tui) struct LogLine {
    /// Where it begins in what was written, in bytes.
    pub(in crate::tui) at: u64,
    /// The text, without control characters.
    pub(in crate::tui) text: String,
    /// Where each style ends in the text, in bytes, and the style.
    styles: Vec<(usize, Style)>,
}

impl LogLine {
    /// A part of the line in its colours.
    pub(in crate::tui) fn spans(&self, part: Range<usize>) -> Vec<Span<'_>> {
        let mut spans = Vec::new();
        let mut start = part.start;
        for (end, style) in &self.styles {
            let end = (*end).min(part.end);
            if end > start {
                spans.push(Span::styled(self.text.get(start..end).unwrap_or_default(), *style));
                start = end;
            }
        }
        spans
    }

    /// The line broken into rows of at most `width` columns; an empty line has one.
    pub(in crate::tui) fn rows(&self, width: usize) -> Vec<Range<usize>> {
        let mut rows = Vec::new();
        let mut start = 0;
        loop {
            let part = text::take(&self.text[start..], width.max(1));
            // A character wider than the screen would never be taken.
            let end = if part.is_empty() { self.text.len() } else { start + part.len() };
            rows.push(start..end);
            if end >= self.text.len() {
                return rows;
            }
            start = end;
        }
    }
}

/// The lines of a part of what was written, which begins at `start`. Without an end the last one counts too.
pub(in crate::tui) fn log_lines(bytes: &[u8], start: u64) -> Vec<LogLine> {
    let mut style = Style::new();
    let mut at = start;
    let mut lines = Vec::new();
    for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
        let mut line = Writer { cells: Vec::new(), cursor: 0, style };
        line.write(&String::from_utf8_lossy(raw.strip_suffix(b"\n").unwrap_or(raw)));
        style = line.style;
        lines.push(line.finish(at));
        at += raw.len() as u64;
    }
    lines
}

/// A line that is being written.
struct Writer {
    cells: Vec<(char, Style)>,
    cursor: usize,
    style: Style,
}

impl Writer {
    fn write(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.cursor = 0,
                '\x08' => self.cursor = self.cursor.saturating_sub(1),
                '\t' => (0..TAB - self.cursor % TAB).for_each(|_| self.put(' ')),
                '\x1b' => self.escape(&mut rest),
                '\u{9b}' => self.control_sequence(&mut rest),
                c if c.is_control() => {}
                c => self.put(c),
            }
        }
    }

    fn put(&mut self, c: char) {
        let cell = (c, self.style);
        match self.cells.get_mut(self.cursor) {
            Some(place) => *place = cell,
            None => self.cells.push(cell),
        }
        self.cursor += 1;
    }

    /// What follows ESC; a sequence that was never ended ends with its line.
    fn escape(&mut self, rest: &mut Chars<'_>) {
        match rest.next() {
            Some('[') => self.control_sequence(rest),
            // OSC, DCS, SOS, APC, PM: a string up to BEL or ESC \.
            Some(']' | 'P' | 'X' | '_' | '^') => {
                let mut previous = ' ';
                for c in rest.by_ref() {
                    if c == '\x07' || c == '\u{9c}' || (previous == '\x1b' && c == '\\') {
                        return;
                    }
                    previous = c;
                }
            }
            // A character set and the like: intermediate bytes, then one more.
            Some(' '..='/') => _ = rest.find(|c| !matches!(c, ' '..='/')),
            _ => {}
        }
    }

    fn control_sequence(&mut self, rest: &mut Chars<'_>) {
        let mut parameters = String::new();
        let mut has_intermediate = false;
        for c in rest.by_ref() {
            match c {
                '\x40'..='\x7e' if has_intermediate => return,
                '\x40'..='\x7e' => return self.obey(c, &parameters),
                '0'..='?' if parameters.len() < MAX_PARAMETERS => parameters.push(c),
                '0'..='?' => {}
                ' '..='/' => has_intermediate = true,
                // Nothing that belongs to a sequence: it ends here.
                _ => return,
            }
        }
    }

    fn obey(&mut self, what: char, parameters: &str) {
        let number = |default: usize| parameters.parse().unwrap_or(default);
        match what {
            'm' if !parameters.starts_with(['<', '=', '>', '?']) => self.style = styled(self.style, parameters),
            // A line is never made longer than what was written on it.
            'G' => self.cursor = number(1).saturating_sub(1).min(self.cells.len()),
            'C' => self.cursor = self.cursor.saturating_add(number(1).max(1)).min(self.cells.len()),
            'D' => self.cursor = self.cursor.saturating_sub(number(1).max(1)),
            'K' => match number(0) {
                0 => self.cells.truncate(self.cursor),
                1 => self.cells.iter_mut().take(self.cursor + 1).for_each(|cell| *cell = (' ', Style::new())),
                _ => self.cells.iter_mut().for_each(|cell| *cell = (' ', Style::new())),
            },
            _ => {}
        }
    }

    fn finish(mut self, at: u64) -> LogLine {
        let is_blank = |(c, style): &(char, Style)| *c == ' ' && style.bg.is_none();
        let length = self.cells.iter().rposition(|cell| !is_blank(cell)).map_or(0, |last| last + 1);
        self.cells.truncate(length);
        let mut line = LogLine { at, text: String::with_capacity(length), styles: Vec::new() };
        let mut buffer = [0; 4];
        for (c, style) in self.cells {
            let c = &*c.encode_utf8(&mut buffer);
            if c.is_ascii() {
                line.text.push_str(c)
            } else {
                line.text.push_str(&text::clean(c))
            }
            match line.styles.last_mut() {
                Some((end, last)) if *last == style => *end = line.text.len(),
                _ => line.styles.push((line.text.len(), style)),
            }
        }
        line
    }
}

/// The style after an SGR sequence. What cannot be read (concealed text) or only disturbs (blinking) has no effect.
fn styled(mut style: Style, parameters: &str) -> Style {
    let mut rest = parameters.split(';');
    while let Some(parameter) = rest.next() {
        let mut parts = parameter.split(':');
        let code: u16 = match parts.next().unwrap_or_default() {
            "" => 0,
            code => code.parse().unwrap_or(u16::MAX),
        };
        let color = |offset: u16, bright: bool| {
            let index = u8::try_from(code - offset).unwrap_or(0) + if bright { 8 } else { 0 };
            named(index)
        };
        let on = |style: Style, modifier| style.add_modifier(modifier);
        let off = |mut style: Style, modifiers| {
            style.add_modifier.remove(modifiers);
            style
        };
        style = match code {
            0 => Style::new(),
            1 => on(style, Modifier::BOLD),
            2 => on(style, Modifier::DIM),
            3 => on(style, Modifier::ITALIC),
            4 if parts.clone().next() == Some("0") => off(style, Modifier::UNDERLINED),
            4 | 21 => on(style, Modifier::UNDERLINED),
            7 => on(style, Modifier::REVERSED),
            9 => on(style, Modifier::CROSSED_OUT),
            22 => off(style, Modifier::BOLD | Modifier::DIM),
            23 => off(style, Modifier::ITALIC),
            24 => off(style, Modifier::UNDERLINED),
            27 => off(style, Modifier::REVERSED),
            29 => off(style, Modifier::CROSSED_OUT),
            30..=37 => style.fg(color(30, false)),
            40..=47 => style.bg(color(40, false)),
            90..=97 => style.fg(color(90, true)),
            100..=107 => style.bg(color(100, true)),
            39 => Style { fg: None, ..style },
            49 => Style { bg: None, ..style },
            38 | 48 | 58 => {
                let sub: Vec<&str> = parts.collect();
                let color = if sub.is_empty() { extended(&mut rest) } else { extended_sub(&sub) };
                match (code, color) {
                    (38, Some(color)) => style.fg(color),
                    (48, Some(color)) => style.bg(color),
                    _ => style,
                }
            }
            _ => style,
        };
    }
    style
}

/// A colour as `5;n` or `2;r;g;b`.
fn extended<'a>(rest: &mut impl Iterator<Item = &'a str>) -> Option<Color> {
    let mut number = || rest.next()?.parse::<u8>().ok();
    match number()? {
        5 => number().map(Color::Indexed),
        2 => Some(Color::Rgb(number()?, number()?, number()?)),
        _ => None,
    }
}

/// A colour as `5:n`, `2:r:g:b` or `2:space:r:g:b` (ITU-T T.416).
fn extended_sub(parts: &[&str]) -> Option<Color> {
    let number = |text: &&str| text.parse::<u8>().ok();
    match parts {
        ["5", index, ..] => number(index).map(Color::Indexed),
        ["2", red, green, blue] | ["2", _, red, green, blue, ..] => {
            Some(Color::Rgb(number(red)?, number(green)?, number(blue)?))
        }
        _ => None,
    }
}

/// One of the sixteen.
fn named(index: u8) -> Color {
    const NAMED: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    NAMED[usize::from(index % 16)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(bytes: &[u8]) -> Vec<String> {
        log_lines(bytes, 0).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_read_as_a_terminal_left_them() {
        let log = b"\x1b[1;32mepoch 1\x1b[0m\r\n 10%\r 50%\r100%\nab\x08c\td\n\x1b]0;title\x07shown\x1b(B\nlast";
        assert_eq!(texts(log), ["epoch 1", "100%", "ac      d", "shown", "last"]);
        assert_eq!(
            texts(b"100%\rab\n100%\rab\x1b[K\nabc\x1b[2Kd\nabc\x1b[1Gx\x1b[Cy\x1b[2Dz"),
            ["ab0%", "ab", "   d", "xzy"]
        );
        assert_eq!(texts(b"\x1b[9999999"), [""]);
        assert_eq!(texts(b"\x1b]never ended\nnext"), ["", "next"]);
        assert_eq!(texts(b"\xff\n\n"), ["\u{fffd}", ""]);
        assert_eq!(
            texts(b"\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\ \x1bPq#0\x1b\\six\x1b[?1049h\x1b[2J"),
            ["link six"]
        );
        assert_eq!(texts("a\u{9b}31mb\u{202e}c\x1b[99999999999Cd".as_bytes()), ["ab\u{fffd}cd"]);
        assert_eq!(texts(b""), Vec::<String>::new());
    }

    #[test]
    fn colours_are_kept_and_last_until_they_are_reset() {
        let lines =
            log_lines(b"\x1b[1;31mred\nstill\x1b[22;39m plain \x1b[48;5;17;38;2;1;2;3mrgb\x1b[m\x1b[58;5;3mx", 10);
        assert_eq!([lines[0].at, lines[1].at], [10, 21]);
        let red = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        assert_eq!(lines[0].spans(0..3), [Span::styled("red", red)]);
        let rgb = Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(17));
        let plain = Style::new();
        let expected = [
            Span::styled("still", red),
            Span::styled(" plain ", plain),
            Span::styled("rgb", rgb),
            Span::styled("x", plain),
        ];
        assert_eq!(lines[1].spans(0..usize::MAX), expected);
        assert_eq!(lines[1].spans(3..8), [Span::styled("ll", red), Span::styled(" pl", plain)]);
        let subs = log_lines(b"\x1b[38:2::9:8:7;4:3ma\x1b[4:0;95mb\x1b[38;5mc\x1b[8;5md", 0).remove(0);
        let underlined = Style::new().fg(Color::Rgb(9, 8, 7)).add_modifier(Modifier::UNDERLINED);
        let light = Style::new().fg(Color::LightMagenta);
        assert_eq!(subs.spans(0..4), [Span::styled("a", underlined), Span::styled("bcd", light)]);
    }

    #[test]
    fn lines_are_broken_at_columns() {
        let line = log_lines("abcデータ".as_bytes(), 0).remove(0);
        let rows = |width| line.rows(width).into_iter().map(|row| line.text[row].to_owned()).collect::<Vec<_>>();
        assert_eq!(rows(4), ["abc", "デー", "タ"]);
        assert_eq!(rows(100), ["abcデータ"]);
        assert_eq!(rows(1), ["a", "b", "c", "データ"]);
        assert_eq!(LogLine::default().rows(4).as_slice(), std::slice::from_ref(&(0..0)));
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_comes_through(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for line in log_lines(&bytes, 0) {
                prop_assert!(!line.text.chars().any(char::is_control));
                prop_assert!(line.text.chars().count() <= TAB * bytes.len());
                let spans: String = line.spans(0..line.text.len()).iter().map(|span| span.content.as_ref()).collect();
                prop_assert_eq!(&spans, &line.text);
                let rows: String = line.rows(7).into_iter().map(|row| &line.text[row]).collect();
                prop_assert_eq!(&rows, &line.text);
            }
        }

        #[test]
        fn escapes_are_never_text(parts in proptest::collection::vec("\x1b[\\[\\]P][0-9;:?]{0,6}[a-zA-Z]?|[a-z\r\t]{0,5}", 0..20)) {
            for line in log_lines(parts.concat().as_bytes(), 0) {
                prop_assert!(!line.text.chars().any(char::is_control));
            }
        }
    }
}
