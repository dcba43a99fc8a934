//! Text for narrow places: numbers and moments.

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

#[cfg(test)]
mod tests {
    use super::*;

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
