//! Text for narrow places: numbers, moments, and what a program wrote to its log.

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::Span;

/// The columns that `text` takes on the screen.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// Text of others without what could confuse a terminal or a reader: control characters and marks that turn the
/// direction of writing.
pub(super) fn clean(text: &str) -> String {
    let confuses = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.chars().any(confuses) {
        return text.to_owned();
    }
    text.chars().map(|c| if confuses(c) { '\u{fffd}' } else { c }).collect()
}

/// `text`, cut to `limit` columns with an ellipsis.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    let text = clean(text);
    if width(&text) <= limit {
        return text;
    }
    if limit == 0 {
        return String::new();
    }
    let mut short = take(&text, limit - 1).to_owned();
    short.push('…');
    short
}

/// The start of `text` that fits into `limit` columns.
pub(super) fn take(text: &str, limit: usize) -> &str {
    let mut used = 0;
    let mut bytes = 0;
    for grapheme in Span::raw(text).styled_graphemes(Style::new()) {
        used += width(grapheme.symbol);
        if used > limit {
            break;
        }
        bytes += grapheme.symbol.len();
    }
    // Control characters are no graphemes to ratatui, so without `clean` the count could end inside a character.
    text.get(..bytes).unwrap_or(text)
}

/// Decimals that show the differences between such values: four digits that count.
pub(super) fn decimals(values: impl Iterator<Item = f64>) -> usize {
    let mut largest: f64 = 0.0;
    let mut whole = true;
    for value in values.filter(|value| value.is_finite()) {
        largest = largest.max(value.abs());
        whole &= value.fract() == 0.0;
    }
    match largest {
        _ if whole => 0,
        ..10.0 => 4,
        10.0..100.0 => 3,
        100.0..1000.0 => 2,
        _ => 1,
    }
}

/// A value with that many decimals, or in powers of ten where it would be nothing but zeros or very long.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    let needed = 10f64.powi(1 - i32::try_from(decimals).unwrap_or(8));
    if size != 0.0 && (size >= 1e7 || (decimals > 0 && size < needed)) {
        return format!("{value:.2e}");
    }
    format!("{value:.decimals$}")
}

/// One value by itself.
pub(super) fn lone_number(value: f64) -> String {
    number(value, decimals(std::iter::once(value)))
}

/// The day and time in UTC.
pub(super) fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The lines of a log as a terminal would have left them: without colours and cursor movements, and of a line that was
/// written over and over (a progress bar) only its last state.
pub(super) fn log_lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    // A carriage return counts only when something follows it: `\r\n` ends a line as `\n` does.
    let mut returned = false;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\n' {
            lines.push(std::mem::take(&mut line));
            returned = false;
            continue;
        }
        if c == '\r' {
            returned = true;
            continue;
        }
        if c == '\x1b' {
            skip_escape(&mut rest);
            continue;
        }
        if std::mem::take(&mut returned) {
            line.clear();
        }
        match c {
            '\t' => (0..8 - line.chars().count() % 8).for_each(|_| line.push(' ')),
            '\x08' => drop(line.pop()),
            c if c.is_control() => {}
            c => line.push(c),
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines.into_iter().map(|line| clean(line.trim_end())).collect()
}

/// Skips the rest of an escape sequence; one that was never ended ends with its line.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    let mut skip_until = |ends: &mut dyn FnMut(char) -> bool| {
        while let Some(c) = rest.clone().next().filter(|c| *c != '\n') {
            rest.next();
            if ends(c) {
                return Some(c);
            }
        }
        None
    };
    match skip_until(&mut |_| true) {
        // CSI: parameters, then one final byte.
        Some('[') => _ = skip_until(&mut |c| ('\x40'..='\x7e').contains(&c)),
        // OSC, DCS, APC, PM: a string up to BEL or ESC \.
        Some(']' | 'P' | '_' | '^') => {
            let mut previous = ' ';
            _ = skip_until(&mut |c| {
                let end = c == '\x07' || (previous == '\x1b' && c == '\\');
                previous = c;
                end
            });
        }
        // A character set: one more byte.
        Some('(' | ')' | '#' | '%') => _ = skip_until(&mut |_| true),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_read_as_a_terminal_left_them() {
        let log = b"\x1b[1;32mepoch 1\x1b[0m\r\n 10%\r 50%\r100%\nab\x08c\td\n\x1b]0;title\x07shown\x1b(B\nlast";
        assert_eq!(log_lines(log), ["epoch 1", "100%", "ac      d", "shown", "last"]);
        assert_eq!(log_lines(b"\x1b[9999999"), Vec::<String>::new());
        assert_eq!(log_lines(b"\x1b]never ended\nnext"), ["", "next"]);
        assert_eq!(log_lines(b"\xff\n\n"), ["\u{fffd}", ""]);
    }

    #[test]
    fn numbers_share_their_decimals() {
        let values = [0.9712, 1.0, f64::NAN];
        let decimals = decimals(values.into_iter());
        assert_eq!(values.map(|value| number(value, decimals)), ["0.9712", "1.0000", "NaN"]);
        assert_eq!([lone_number(20.0), lone_number(123.456), lone_number(3.2e-6)], ["20", "123.46", "3.20e-6"]);
        assert_eq!([lone_number(f64::NEG_INFINITY), lone_number(1e300), lone_number(0.0)], ["-inf", "1.00e300", "0"]);
    }

    #[test]
    fn text_is_cut_at_columns_not_bytes() {
        assert_eq!(shorten("brave-otter", 7), "brave-…");
        assert_eq!(shorten("データセット", 7), "データ…");
        assert_eq!(shorten("データセット", 6), "デー…");
        assert_eq!(shorten("ab", 0), "");
        assert_eq!(shorten("a\x1b[2Jb", 20), "a\u{fffd}[2Jb");
        assert_eq!(take("ééé", 2), "éé");
    }
}
