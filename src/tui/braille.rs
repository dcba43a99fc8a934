//! A grid of dots, two across and four down in each character, and the axes around it.

/// The dots of one chart; each character remembers which line drew in it last.
#[derive(Debug, Clone)]
pub(super) struct Dots {
    columns: usize,
    rows: usize,
    cells: Vec<(u8, usize)>,
}

/// The bit of each dot in a braille character, by row and column.
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

impl Dots {
    /// An empty grid of so many characters.
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, cells: vec![(0, 0); columns * rows] }
    }

    /// Dots across.
    pub(super) fn width(&self) -> usize {
        self.columns * 2
    }

    /// Dots down.
    pub(super) fn height(&self) -> usize {
        self.rows * 4
    }

    fn set(&mut self, x: usize, y: usize, line: usize) {
        if x < self.width() && y < self.height() {
            let cell = &mut self.cells[y / 4 * self.columns + x / 2];
            *cell = (cell.0 | BITS[y % 4][x % 2], line);
        }
    }

    /// Draws a straight line between two dots (Bresenham's).
    pub(super) fn stroke(&mut self, from: (usize, usize), to: (usize, usize), line: usize) {
        let signed = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let (mut x, mut y) = (signed(from.0), signed(from.1));
        let (end_x, end_y) = (signed(to.0), signed(to.1));
        let (delta_x, delta_y) = ((end_x - x).abs(), -(end_y - y).abs());
        let (step_x, step_y) = ((end_x - x).signum(), (end_y - y).signum());
        let mut error = delta_x + delta_y;
        loop {
            if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) {
                self.set(x, y, line);
            }
            if (x, y) == (end_x, end_y) {
                return;
            }
            let doubled = 2 * error;
            if doubled >= delta_y {
                error += delta_y;
                x += step_x;
            }
            if doubled <= delta_x {
                error += delta_x;
                y += step_y;
            }
        }
    }

    /// The character at a place and the line that drew in it last; none where nothing was drawn.
    pub(super) fn character(&self, column: usize, row: usize) -> Option<(char, usize)> {
        let (bits, line) = *self.cells.get(row * self.columns + column)?;
        (bits != 0).then(|| (char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '), line))
    }
}

/// Round values over a range: the ends and the step of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) step: f64,
}

impl Scale {
    /// A scale of about `ticks` steps that holds the range.
    pub(super) fn over(low: f64, high: f64, ticks: usize) -> Self {
        let (mut low, mut high) = (low.min(high), high.max(low));
        if high / 2.0 - low / 2.0 <= f64::MIN_POSITIVE {
            // A level line in the middle, and a scale even for 0.
            let margin = if low.abs() < 1e-300 { 0.5 } else { low.abs() * 0.1 };
            (low, high) = ((low - margin).max(f64::MIN), (high + margin).min(f64::MAX));
        }
        // Halves first: the difference of two huge values could be infinite.
        let rough = (high / 2.0 - low / 2.0) * 2.0 / ticks.max(1) as f64;
        if !rough.is_finite() || rough < f64::MIN_POSITIVE {
            return Self { low, high, step: (high / 2.0 - low / 2.0).max(f64::MIN_POSITIVE) };
        }
        let power = 10f64.powf(rough.log10().floor());
        // The round step that is nearest, a little smaller ones too: ends far from the values would waste room.
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.7);
        let step = step.unwrap_or(10.0 * power);
        let (bottom, top) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        let fits = bottom.is_finite() && top.is_finite() && bottom < top;
        if fits { Self { low: bottom, high: top, step } } else { Self { low, high, step: rough } }
    }

    /// Where a value stands, from 0 at the low end to 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        let span = self.high / 2.0 - self.low / 2.0;
        ((value / 2.0 - self.low / 2.0) / span).clamp(0.0, 1.0)
    }

    /// The round values, from low to high.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let count = ((self.high - self.low) / self.step + 0.5).floor();
        if !(1.0..=50.0).contains(&count) {
            return vec![self.low, self.high];
        }
        // From the count, not by adding up, so that errors do not add up either; and no `-0`.
        (0..=count as u32).map(|index| self.low + self.step * f64::from(index) + 0.0).collect()
    }

    /// A tick's label: as many decimals as the step needs, large values in thousands, millions, …
    pub(super) fn label(&self, value: f64) -> String {
        let value = if value.abs() < self.step * 1e-6 { 0.0 } else { value };
        let (unit, suffix) = match self.low.abs().max(self.high.abs()) {
            1e15.. | ..1e-4 => return if value == 0.0 { "0".to_owned() } else { format!("{value:.1e}") },
            1e12.. => (1e12, "T"),
            1e9.. => (1e9, "G"),
            1e6.. => (1e6, "M"),
            1e4.. => (1e3, "k"),
            _ => (1.0, ""),
        };
        let decimals = (-((self.step / unit).log10() + 1e-9).floor()).clamp(0.0, 6.0);
        format!("{:.*}{suffix}", decimals as usize, value / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, ticks: usize) -> Vec<String> {
        let scale = Scale::over(low, high, ticks);
        scale.ticks().into_iter().map(|tick| scale.label(tick)).collect()
    }

    #[test]
    fn axes_have_round_values() {
        assert_eq!(labels(0.03, 0.94, 3), ["0.0", "0.5", "1.0"]);
        assert_eq!(labels(-3.0, 17.0, 4), ["-5", "0", "5", "10", "15", "20"]);
        assert_eq!(labels(5.0, 5.0, 2), ["4.5", "5.0", "5.5"]);
        assert_eq!(labels(0.0, 0.0, 2), ["-0.5", "0.0", "0.5"]);
        assert_eq!(labels(1.201e9, 1.22e9, 2), ["1.20G", "1.21G", "1.22G"]);
        assert_eq!(labels(0.0, 60_000.0, 2), ["0k", "50k", "100k"]);
        assert_eq!(labels(1e-8, 3e-8, 2), ["1.0e-8", "2.0e-8", "3.0e-8"]);
    }

    #[test]
    fn axes_survive_any_finite_range() {
        let values = [0.0, -0.0, 1.0, -1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 1e16, 1e16 + 2.0, 1e-300];
        for low in values {
            for high in values {
                let scale = Scale::over(low, high, 4);
                assert!((0.0..=1.0).contains(&scale.place(low)), "{low} {high} {scale:?}");
                assert!(scale.ticks().iter().all(|tick| !scale.label(*tick).is_empty()));
            }
        }
    }

    #[test]
    fn dots_make_characters() {
        let mut dots = Dots::new(2, 1);
        dots.stroke((0, 0), (3, 3), 1);
        dots.stroke((100, 100), (101, 100), 0);
        assert_eq!([dots.character(0, 0), dots.character(1, 0)], [Some(('⠑', 1)), Some(('⢄', 1))]);
        assert_eq!((Dots::new(1, 1).character(0, 0), Dots::new(0, 0).character(5, 5)), (None, None));
    }
}
