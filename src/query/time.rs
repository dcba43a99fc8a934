//! Lengths of time and moments, as queries write them.

use jiff::{SignedDuration, Timestamp, civil};

/// Seconds that a length such as `90s`, `1h30m`, `1.5h` or `90` (seconds) has.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let mut total = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        total += number * unit(&rest[..end])?;
        rest = rest[end..].trim_start();
    }
    Some(total)
}

/// Seconds of a unit; without one it is seconds.
pub(super) fn unit(word: &str) -> Option<f64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 7.0 * 86_400.0,
        "month" | "months" => 30.0 * 86_400.0,
        "y" | "year" | "years" => 365.0 * 86_400.0,
        _ => return None,
    })
}

/// The moment so many seconds before `now`.
pub(super) fn before(now: Timestamp, seconds: f64) -> Option<Timestamp> {
    // A duration of more seconds than an i64 holds would be a panic.
    if !seconds.is_finite() || seconds.abs() > 1e15 {
        return None;
    }
    now.checked_sub(SignedDuration::from_secs_f64(seconds)).ok()
}

/// A moment: RFC 3339, a day (its start, in UTC) or a day with a time, milliseconds since 1970 as MLflow has them,
/// `now`, `today`, `yesterday`, or `2 days ago`.
pub(super) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    let start_of_day = |time: Timestamp| Timestamp::from_second(time.as_second().div_euclid(86_400) * 86_400).ok();
    match text.to_ascii_lowercase().as_str() {
        "now" => return Some(now),
        "today" => return start_of_day(now),
        "yesterday" => return start_of_day(before(now, 86_400.0)?),
        _ => {}
    }
    if let Some(length) = text.strip_suffix("ago") {
        return before(now, seconds(length)?);
    }
    if let Ok(milliseconds) = text.parse::<i64>() {
        return Timestamp::from_millisecond(milliseconds).ok();
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let civil: civil::DateTime = text.parse().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
