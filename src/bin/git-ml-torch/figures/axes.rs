//! A plot's field with its scales, and round numbers for them.

use super::drawing::{Anchor, Drawing, FAINT_INK, GRID, TEXT};

/// A field of a drawing in which numbers have places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

impl Field {
    pub(super) fn x_of(&self, value: f64) -> f64 {
        self.left + (value - self.x.0) / (self.x.1 - self.x.0) * self.width
    }

    pub(super) fn y_of(&self, value: f64) -> f64 {
        self.bottom() - (value - self.y.0) / (self.y.1 - self.y.0) * self.height
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Lines across at the ticks, with their numbers on the left.
    pub(super) fn rows(&self, drawing: &mut Drawing, ticks: &[f64]) {
        for (tick, label) in ticks.iter().zip(labels(ticks)) {
            let y = self.y_of(*tick);
            drawing.line((self.left, y), (self.right(), y), GRID, 1.0, "");
            drawing.text(self.left - 8.0, y + TEXT * 0.36, Anchor::End, TEXT, FAINT_INK, &label);
        }
    }

    /// The numbers of ticks below the field.
    pub(super) fn columns(&self, drawing: &mut Drawing, ticks: &[f64]) {
        for (tick, label) in ticks.iter().zip(labels(ticks)) {
            drawing.text(self.x_of(*tick), self.bottom() + 17.0, Anchor::Middle, TEXT, FAINT_INK, &label);
        }
    }

    /// What the numbers below the field are.
    pub(super) fn name_columns(&self, drawing: &mut Drawing, name: &str) {
        let middle = self.left + self.width / 2.0;
        drawing.text(middle, self.bottom() + 36.0, Anchor::Middle, TEXT, FAINT_INK, name);
    }
}

/// Ticks as they are written, with as many decimals as their distance needs.
fn labels(ticks: &[f64]) -> Vec<String> {
    let step = if ticks.len() > 1 { ticks[1] - ticks[0] } else { 1.0 };
    let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 6.0) as usize;
    ticks.iter().map(|tick| format!("{tick:.decimals$}")).collect()
}

/// Four to seven round numbers that enclose the values, and do not go beyond `most`, which is one itself.
pub(super) fn ticks(low: f64, high: f64, most: f64) -> Vec<f64> {
    let span = (high - low).max(0.01);
    let rough = span / 5.0;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * magnitude).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * magnitude);
    let last = (high.min(most) / step - 1e-9).ceil();
    let first = (low / step + 1e-9).floor().min(last - 1.0);
    let count = (last - first).round() as u32;
    (0..=count).map(|index| (first + f64::from(index)) * step).collect()
}

/// Whole numbers from 1 to `last`, up to about eight.
pub(super) fn whole_ticks(last: usize) -> Vec<f64> {
    let rough = last.div_ceil(8);
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|base| base * 10_usize.pow(power)));
    let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(last);
    let first = if step == 1 { 1 } else { step };
    (first..=last).step_by(step).map(|tick| tick as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        assert_eq!(ticks(0.02, 0.97, 1.0).len(), 6);
        for (low, high) in [(0.9012, 0.9987), (0.0, 0.0), (1.0, 1.0), (0.03, 2.31), (1e-6, 2e-6), (12.0, 4000.0)] {
            let ticks = ticks(low, high, f64::INFINITY);
            assert!(ticks[0] <= low + 1e-9 && ticks[ticks.len() - 1] >= high - 1e-9, "{low} {high} {ticks:?}");
            assert!((2..=8).contains(&ticks.len()), "{ticks:?}");
        }
        assert_eq!(ticks(1.0, 1.0, 1.0).last(), Some(&1.0), "no accuracy above 1");
        assert_eq!(labels(&[0.1, 0.15]), ["0.10", "0.15"]);
        assert_eq!(labels(&[0.9, 1.0]), ["0.9", "1.0"]);
        assert_eq!((labels(&[1.0, 2.0]), labels(&[1.0])), (vec!["1".to_owned(), "2".to_owned()], vec!["1".to_owned()]));
        assert_eq!(whole_ticks(3), [1.0, 2.0, 3.0]);
        assert_eq!(whole_ticks(30), [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(whole_ticks(1000).len(), 5);
    }
}
