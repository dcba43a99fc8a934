//! Sizes, times and counts as people read them.

use std::error::Error;

use jiff::Timestamp;

/// Text that cannot move the cursor or colour the terminal: control characters are escaped.
pub fn printable(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// An error with its causes, each after a colon. A wrapper that says all that the error in it says is followed by nothing.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text += &format!(": {words}");
        }
        cause = error.source();
    }
    text
}

/// The first line of an error with its causes, for a list in which each thing has a line.
pub fn error_in_a_line(error: &dyn Error) -> String {
    with_causes(error).lines().next().unwrap_or_default().to_owned()
}

/// A size: `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A number of bytes, as people write it: `500000`, `500k`, `2MiB`, `1.5 MB`. Letters alone count by 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let factor: f64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return None,
    };
    let bytes = number * factor;
    (1.0..1e15).contains(&bytes).then_some(bytes as u64)
}

/// A number of things: `1 file`, `2 files`.
pub fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A metric's value for people: four significant digits, without needless zeros.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "NaN".to_owned() } else { format!("{value}").replace("inf", "Infinity") };
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..9.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (3.0 - magnitude).clamp(0.0, 8.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A length of time: `0.3s`, `12s`, `3m 05s`, `2h 07m`, `3d 04h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1}s"),
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h {:02}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {:02}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// How long ago: `now`, `12s ago`, `5m ago`, `3h ago`, `9d ago`, then the day: `3 Nov`, `Nov 2025`.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - time.as_second();
    match seconds {
        ..3 => "now".to_owned(),
        3..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..172_800 => format!("{}h ago", seconds / 3600),
        172_800..2_592_000 => format!("{}d ago", seconds / 86_400),
        2_592_000..25_920_000 => time.strftime("%-d %b").to_string(),
        _ => time.strftime("%b %Y").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_counts_and_times_read_well() {
        assert_eq!([size(0), size(1023), size(1024), size(1_572_864)], ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
        assert_eq!([count(1, "file"), count(3, "file")], ["1 file", "3 files"]);
        let lengths = [0.04, 12.4, 185.0, 7620.0, 97_200.0, f64::NAN].map(duration);
        assert_eq!(lengths, ["0.0s", "12s", "3m 05s", "2h 07m", "1d 03h", "?"]);
    }

    #[test]
    fn values_read_well() {
        assert_eq!(
            [number(0.98765), number(0.5), number(123_456.0), number(1e-7)],
            ["0.9877", "0.5", "123456", "1.000e-7"]
        );
        assert_eq!([number(f64::NAN), number(f64::NEG_INFINITY), number(0.0)], ["NaN", "-Infinity", "0"]);
    }

    #[test]
    fn times_are_told_from_now() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let past = |seconds: i64| ago(Timestamp::from_second(now.as_second() - seconds).unwrap(), now);
        assert_eq!([past(-5), past(59), past(3599), past(90_000)], ["now", "59s ago", "59m ago", "25h ago"]);
        assert_eq!([past(86_400 * 29), past(86_400 * 31), past(86_400 * 400)], ["29d ago", "20 Oct", "Oct 2025"]);
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
    }
}
