//! Axes: where a value stands, which round values are named, and how.

use jiff::Timestamp;

/// How places along an axis grow with the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Form {
    /// In proportion.
    Linear,
    /// With the logarithm; values that are not above 0 have no place.
    Log,
}

/// What the numbers of an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Unit {
    /// Plain numbers.
    Number,
    /// Seconds.
    Duration,
    /// Seconds since 1970, UTC.
    Clock,
}

/// A stretch of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::tui) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) form: Form,
}

/// A value that is named on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Tick {
    pub(in crate::tui) value: f64,
    pub(in crate::tui) label: String,
}

impl Scale {
    /// A scale from `low` to `high`, or around them where they are one value.
    pub(in crate::tui) fn new(low: f64, high: f64, form: Form) -> Self {
        let (mut low, mut high) = (low.min(high), high.max(low));
        if form == Form::Log {
            low = low.max(f64::MIN_POSITIVE);
            if high <= low * (1.0 + 1e-12) {
                (low, high) = ((low / 2.0).max(f64::MIN_POSITIVE), (low * 2.0).min(f64::MAX));
            }
        } else if high / 2.0 - low / 2.0 <= f64::MIN_POSITIVE.max(low.abs() * 1e-15) {
            // A level line in the middle, and a scale even for 0.
            let margin = if low.abs() < 1e-300 { 0.5 } else { low.abs() * 0.1 };
            (low, high) = ((low - margin).max(f64::MIN), (high + margin).min(f64::MAX));
        }
        Self { low, high, form }
    }

    /// The scale with both ends moved out to round values, for about `count` ticks.
    pub(in crate::tui) fn rounded(self, count: usize) -> Self {
        if self.form == Form::Log {
            return self;
        }
        let Some(step) = self.round_step(count, &NUMBERS) else { return self };
        let (low, high) = ((self.low / step + 1e-9).floor() * step, (self.high / step - 1e-9).ceil() * step);
        let fits = low.is_finite() && high.is_finite() && low < high;
        if fits { Self { low, high, ..self } } else { self }
    }

    /// The scale with room at its high end, so that what is still growing does not move with every point.
    pub(super) fn with_room(self) -> Self {
        if self.form == Form::Log {
            return self;
        }
        let Some(step) = self.round_step(10, &NUMBERS) else { return self };
        let high = self.low + ((self.high - self.low) / step - 1e-9).ceil() * step;
        if high.is_finite() && high >= self.high { Self { high, ..self } } else { self }
    }

    fn ends(&self) -> (f64, f64) {
        match self.form {
            Form::Linear => (self.low, self.high),
            Form::Log => (self.low.ln(), self.high.ln()),
        }
    }

    /// Where a value stands, 0 at the low end and 1 at the high one, further out below and above; not a number where it
    /// has no place.
    pub(in crate::tui) fn place(&self, value: f64) -> f64 {
        let (low, high) = self.ends();
        let value = match self.form {
            Form::Linear => value,
            Form::Log if value > 0.0 => value.ln(),
            Form::Log => return f64::NAN,
        };
        // Halves first: the difference of two huge values could be infinite.
        (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
    }

    /// The value that stands at a place.
    pub(super) fn value_at(&self, place: f64) -> f64 {
        let (low, high) = self.ends();
        let value = low * (1.0 - place) + high * place;
        match self.form {
            Form::Linear => value,
            Form::Log => value.exp(),
        }
    }

    /// The scale between two places of this one.
    pub(super) fn part(&self, from: f64, to: f64) -> Self {
        Self { low: self.value_at(from), high: self.value_at(to), ..*self }
    }

    /// The step between about `count` ticks; none where no step can be told apart.
    fn round_step(&self, count: usize, steps: &dyn Fn(f64) -> Option<f64>) -> Option<f64> {
        let rough = (self.high / 2.0 - self.low / 2.0) * 2.0 / count.max(1) as f64;
        let far = self.low.abs().max(self.high.abs());
        (rough.is_finite() && rough > f64::MIN_POSITIVE && rough > far * 1e-14).then(|| steps(rough)).flatten()
    }

    /// Round values from the low end to the high one with their labels, about `count` of them.
    pub(in crate::tui) fn ticks(&self, count: usize, unit: Unit) -> Vec<Tick> {
        if self.form == Form::Log {
            let values = [self.powers(count, &[1.0]), self.powers(count, &[1.0, 2.0, 5.0])];
            // Within less than a decade, steps say more than powers.
            let fitting = values.into_iter().filter(|values| (2..=2 * count.max(2)).contains(&values.len()));
            if let Some(values) = fitting.max_by_key(Vec::len) {
                return values.into_iter().map(|value| Tick { value, label: lone_label(value, unit) }).collect();
            }
        }
        let steps: &dyn Fn(f64) -> Option<f64> = match unit {
            Unit::Number => &NUMBERS,
            Unit::Duration | Unit::Clock => &seconds_step,
        };
        let Some(step) = self.round_step(count, steps) else {
            return [self.low, self.high].map(|value| Tick { value, label: lone_label(value, unit) }).into();
        };
        let first = (self.low / step - 1e-6).ceil();
        let count = (self.high / step + 1e-6).floor() - first;
        if !(0.0..=100.0).contains(&count) {
            return Vec::new();
        }
        // From the count, not by adding up, so that errors do not add up either; and no `-0`.
        let value = |index: u32| (first + f64::from(index)) * step + 0.0;
        let values: Vec<f64> = (0..=count as u32).map(value).collect();
        let far = values.iter().fold(0.0_f64, |far, value| far.max(value.abs()));
        let label = |value: f64| match unit {
            Unit::Number => number_label(value, step, far),
            Unit::Duration => duration_label(value, step),
            Unit::Clock => clock_label(value, step),
        };
        values.iter().map(|value| Tick { value: *value, label: label(*value) }).collect()
    }

    /// The powers of ten, or every so many of them, times each of some factors.
    fn powers(&self, count: usize, factors: &[f64]) -> Vec<f64> {
        let (first, last) = (self.low.log10(), self.high.log10());
        let every = ((last - first) / count.max(1) as f64).ceil().max(1.0) as i32;
        let exponents = (first.floor() as i32..=last.ceil() as i32).filter(|exponent| exponent.rem_euclid(every) == 0);
        let values = exponents.flat_map(|exponent| factors.iter().map(move |factor| factor * 10f64.powi(exponent)));
        let inside = self.low * (1.0 - 1e-9)..=self.high * (1.0 + 1e-9);
        values.filter(|value| inside.contains(value)).collect()
    }
}

/// The round number nearest to `rough`, a little smaller ones too: ends far from the values would waste room.
const NUMBERS: fn(f64) -> Option<f64> = |rough| {
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.7)?;
    (step.is_finite() && step > 0.0).then_some(step)
};

/// Round steps of time.
fn seconds_step(rough: f64) -> Option<f64> {
    const STEPS: [f64; 20] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
        43_200.0, 86_400.0, 172_800.0, 604_800.0,
    ];
    if rough < 0.7 {
        return NUMBERS(rough);
    }
    let days = || NUMBERS(rough / 86_400.0).map(|step| step * 86_400.0);
    STEPS.into_iter().find(|step| *step >= rough * 0.7).or_else(days)
}

/// A tick's label: as many decimals as the step needs, large values in thousands, millions, …; `far` is the largest of
/// the axis, so that all of them have one unit.
fn number_label(value: f64, step: f64, far: f64) -> String {
    let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
    if value == 0.0 && far >= 1e4 {
        return "0".to_owned();
    }
    let (unit, suffix) = match far {
        1e15.. | ..1e-3 => return lone_label(value, Unit::Number),
        1e12.. => (1e12, "T"),
        1e9.. => (1e9, "G"),
        1e6.. => (1e6, "M"),
        1e4.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let decimals = (-((step / unit).log10() + 1e-9).floor()).clamp(0.0, 9.0);
    format!("{:.*}{suffix}", decimals as usize, value / unit)
}

/// The label of a value by itself, short.
fn lone_label(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Duration => return duration_label(value, value.abs().max(1e-3) / 10.0),
        Unit::Clock => return clock_label(value, 1.0),
        Unit::Number => {}
    }
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    match size {
        1e-3..1e4 => trimmed(format!("{value:.*}", (2.0 - size.log10().floor()).clamp(0.0, 6.0) as usize)),
        1e4..1e6 => trimmed(format!("{:.1}", value / 1e3)) + "k",
        1e6..1e9 => trimmed(format!("{:.1}", value / 1e6)) + "M",
        1e9..1e12 => trimmed(format!("{:.1}", value / 1e9)) + "G",
        _ => {
            let text = format!("{value:.1e}");
            text.replacen(".0e", "e", 1)
        }
    }
}

/// `90 s` as `1m 30s`, as exactly as the step between ticks needs.
fn duration_label(seconds: f64, step: f64) -> String {
    if step < 1.0 {
        let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
        return format!("{seconds:.decimals$}s");
    }
    let sign = if seconds < -0.5 { "-" } else { "" };
    let whole = seconds.abs().round() as u64;
    let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    let two = |large: u64, name: &str, small: u64, unit: &str| match small {
        0 => format!("{sign}{large}{name}"),
        _ => format!("{sign}{large}{name}{small}{unit}"),
    };
    match whole {
        0 => "0".to_owned(),
        86_400.. => two(days, "d", hours, "h"),
        3600.. => two(hours, "h", minutes, "m"),
        60.. => two(minutes, "m", rest, "s"),
        _ => format!("{sign}{whole}s"),
    }
}

/// The time of the day, or the day where ticks are days apart; UTC.
fn clock_label(seconds: f64, step: f64) -> String {
    let Ok(time) = Timestamp::from_second(seconds.round() as i64) else { return String::new() };
    let form = match step {
        86_400.0.. => "%d %b",
        21_600.0.. => "%d %b %H:%M",
        60.0.. => "%H:%M",
        _ => "%H:%M:%S",
    };
    time.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, count: usize, unit: Unit) -> Vec<String> {
        scale.ticks(count, unit).into_iter().map(|tick| tick.label).collect()
    }

    fn rounded(low: f64, high: f64, count: usize) -> Vec<String> {
        labels(Scale::new(low, high, Form::Linear).rounded(count), count, Unit::Number)
    }

    #[test]
    fn axes_have_round_values() {
        assert_eq!(rounded(0.03, 0.94, 3), ["0.0", "0.5", "1.0"]);
        assert_eq!(rounded(-3.0, 17.0, 4), ["-5", "0", "5", "10", "15", "20"]);
        assert_eq!(rounded(5.0, 5.0, 2), ["4.5", "5.0", "5.5"]);
        assert_eq!(rounded(0.0, 0.0, 2), ["-0.5", "0.0", "0.5"]);
        assert_eq!(rounded(1.201e9, 1.22e9, 2), ["1.20G", "1.21G", "1.22G"]);
        assert_eq!(rounded(0.0, 60_000.0, 2), ["0", "50k", "100k"]);
        assert_eq!(rounded(1e-8, 3e-8, 2), ["1e-8", "2e-8", "3e-8"]);
        assert_eq!(rounded(2e-4, 9e-4, 3), ["0.0002", "0.0004", "0.0006", "0.0008", "0.0010"]);
    }

    #[test]
    fn an_axis_that_is_not_rounded_has_round_ticks_all_the_same() {
        let scale = Scale::new(3.2, 21.7, Form::Linear);
        assert_eq!(labels(scale, 4, Unit::Number), ["5", "10", "15", "20"]);
    }

    #[test]
    fn logarithms_have_powers_of_ten() {
        let log = |low, high, count| labels(Scale::new(low, high, Form::Log), count, Unit::Number);
        assert_eq!(log(0.02, 3.0, 6), ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]);
        assert_eq!(log(1e-6, 1e6, 4), ["1e-6", "0.001", "1", "1000", "1M"]);
        assert_eq!(log(1.0, 1e5, 5), ["1", "10", "100", "1000", "10k", "100k"]);
        assert_eq!(log(2.0, 4.5, 2), ["2", "3", "4"]);
        assert_eq!(log(0.03, 0.6, 2), ["0.05", "0.1", "0.2", "0.5"]);
        let scale = Scale::new(0.0, 100.0, Form::Log);
        assert!(scale.low > 0.0 && scale.place(0.0).is_nan() && scale.place(-1.0).is_nan());
        let scale = Scale::new(1.0, 100.0, Form::Log);
        assert!((scale.place(10.0) - 0.5).abs() < 1e-12 && (scale.value_at(0.5) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn time_is_named_as_people_do() {
        let over = |high, count| labels(Scale::new(0.0, high, Form::Linear), count, Unit::Duration);
        assert_eq!(over(100.0, 3), ["0", "30s", "1m", "1m30s"]);
        assert_eq!(over(9000.0, 5), ["0", "30m", "1h", "1h30m", "2h", "2h30m"]);
        assert_eq!(over(3.0, 3), ["0", "1s", "2s", "3s"]);
        assert_eq!(over(0.4, 2), ["0.0s", "0.2s", "0.4s"]);
        let noon = 1_795_176_000.0;
        let clock = |span| labels(Scale::new(noon, noon + span, Form::Linear), 3, Unit::Clock);
        assert_eq!(clock(7200.0), ["12:00", "12:30", "13:00", "13:30", "14:00"]);
        assert_eq!(clock(60.0)[0], "12:00:00");
        assert_eq!(clock(259_200.0), ["21 Nov", "22 Nov", "23 Nov"]);
    }

    #[test]
    fn an_axis_that_grows_moves_seldom() {
        let ends: Vec<f64> =
            (50..=500).map(|end| Scale::new(0.0, f64::from(end), Form::Linear).with_room().high).collect();
        let mut jumps = ends.clone();
        jumps.dedup();
        assert!(jumps.len() <= 40 && ends.iter().zip(50..).all(|(high, end)| *high >= f64::from(end)), "{jumps:?}");
    }

    #[test]
    fn axes_survive_any_finite_range() {
        let values = [0.0, -0.0, 1.0, -1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e16, 1e16 + 2.0, 1e-300];
        for low in values {
            for high in values {
                for form in [Form::Linear, Form::Log] {
                    let scale = Scale::new(low, high, form);
                    assert!(scale.low < scale.high, "{low} {high} {scale:?}");
                    for scale in [scale, scale.rounded(4), scale.with_room()] {
                        for unit in [Unit::Number, Unit::Duration, Unit::Clock] {
                            assert!(scale.ticks(4, unit).len() <= 110, "{scale:?}");
                        }
                    }
                    if form == Form::Linear {
                        assert!((-1e-9..=1.0 + 1e-9).contains(&scale.rounded(4).place(low)), "{low} {high} {scale:?}");
                    }
                }
            }
        }
    }
}
