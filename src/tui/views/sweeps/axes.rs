//! The axes of parallel coordinates: where the value of each parameter stands between the bottom and the top.

use std::collections::BTreeSet;

use crate::run::Objective;
use crate::tui::text;

use super::trials::{Sweep, Trial};

/// A ratio of the largest to the smallest beyond which an axis is logarithmic.
const LOG_RATIO: f64 = 50.0;

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// The parameter, or the metric that is searched for.
    pub(super) name: String,
    kind: AxisKind,
}

#[derive(Debug, Clone, PartialEq)]
enum AxisKind {
    Linear {
        low: f64,
        high: f64,
    },
    /// Logarithms to the base of ten.
    Log {
        low: f64,
        high: f64,
    },
    /// Words, from the bottom to the top.
    Words(Vec<String>),
}

impl Axis {
    /// The axis of a parameter.
    pub(super) fn of_parameter(sweep: &Sweep, name: &str) -> Self {
        let values: BTreeSet<&String> = sweep.trials.iter().filter_map(|trial| trial.params.get(name)).collect();
        let numbers: Option<Vec<f64>> = values.iter().map(|value| number(value)).collect();
        let kind = match numbers {
            Some(numbers) if !numbers.is_empty() => range(&numbers),
            _ => AxisKind::Words(values.into_iter().cloned().collect()),
        };
        Self { name: name.to_owned(), kind }
    }

    /// The axis of what is searched for.
    pub(super) fn of_objective(sweep: &Sweep, objective: &Objective) -> Self {
        let values: Vec<f64> = sweep.trials.iter().filter_map(|trial| trial.value(objective)).collect();
        Self { name: objective.metric.clone(), kind: range(&values) }
    }

    /// Where a trial stands on the axis of a parameter, from 0 at the bottom to 1; none where it has no value.
    pub(super) fn place(&self, trial: &Trial) -> Option<f64> {
        let value = trial.params.get(&self.name)?;
        match &self.kind {
            AxisKind::Words(words) => {
                let place = words.binary_search(value).ok()?;
                Some(if words.len() > 1 { place as f64 / (words.len() - 1) as f64 } else { 0.5 })
            }
            _ => self.place_of(number(value)?),
        }
    }

    /// Where a number stands.
    pub(super) fn place_of(&self, value: f64) -> Option<f64> {
        let between = |value: f64, low: f64, high: f64| {
            let place = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
            if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.5 }
        };
        match self.kind {
            AxisKind::Linear { low, high } => Some(between(value, low, high)),
            AxisKind::Log { low, high } => (value > 0.0).then(|| between(value.log10(), low, high)),
            AxisKind::Words(_) => None,
        }
    }

    /// What stands at the bottom and at the top.
    pub(super) fn ends(&self) -> (String, String) {
        match &self.kind {
            AxisKind::Linear { low, high } => (text::lone_number(*low), text::lone_number(*high)),
            AxisKind::Log { low, high } => (text::lone_number(10f64.powf(*low)), text::lone_number(10f64.powf(*high))),
            AxisKind::Words(words) => {
                (words.first().cloned().unwrap_or_default(), words.last().cloned().unwrap_or_default())
            }
        }
    }
}

fn number(value: &str) -> Option<f64> {
    value.trim().parse::<f64>().ok().filter(|value| value.is_finite())
}

fn range(values: &[f64]) -> AxisKind {
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    if low > high {
        return AxisKind::Linear { low: 0.0, high: 1.0 };
    }
    if low > 0.0 && high / low >= LOG_RATIO {
        return AxisKind::Log { low: low.log10(), high: high.log10() };
    }
    AxisKind::Linear { low, high }
}

#[cfg(test)]
mod tests {
    use super::super::trials::sweeps_of;
    use super::super::trials::tests::trial;
    use super::*;

    fn places(values: &[&str]) -> (Vec<Option<f64>>, (String, String)) {
        let run = |(number, value): (usize, &&str)| {
            trial("s", u8::try_from(number).unwrap() + 1, &[("p", (*value).to_owned())], Some(1.0))
        };
        let runs: Vec<_> = values.iter().enumerate().map(run).collect();
        let sweep = sweeps_of(runs.iter()).remove(0);
        let axis = Axis::of_parameter(&sweep, "p");
        (sweep.trials.iter().map(|trial| axis.place(trial)).collect(), axis.ends())
    }

    fn ends(low: &str, high: &str) -> (String, String) {
        (low.to_owned(), high.to_owned())
    }

    #[test]
    fn numbers_words_and_magnitudes_have_their_axes() {
        assert_eq!(places(&["1", "3", "2"]), (vec![Some(0.0), Some(1.0), Some(0.5)], ends("1", "3")));
        assert_eq!(places(&["0.0001", "0.01", "1"]).0, [Some(0.0), Some(0.5), Some(1.0)]);
        assert_eq!(places(&["sgd", "adam", "sgd"]), (vec![Some(1.0), Some(0.0), Some(1.0)], ends("adam", "sgd")));
        assert_eq!(places(&["5", "5"]).0, [Some(0.5), Some(0.5)]);
        assert_eq!(places(&["only"]).0, [Some(0.5)]);
        // One word among numbers makes all of them words.
        assert_eq!(places(&["1", "auto"]).0, [Some(0.0), Some(1.0)]);
        assert_eq!(places(&["-1e308", "1e308", "0"]).0, [Some(0.0), Some(1.0), Some(0.5)]);
        assert_eq!(places(&["nan", "inf"]).0, [Some(1.0), Some(0.0)]);
    }

    #[test]
    fn the_objective_has_an_axis_of_numbers() {
        let runs: Vec<_> = [Some(0.5), None, Some(1.5)]
            .into_iter()
            .enumerate()
            .map(|(number, value)| trial("s", u8::try_from(number).unwrap() + 1, &[], value))
            .collect();
        let sweep = sweeps_of(runs.iter()).remove(0);
        let axis = Axis::of_objective(&sweep, &sweep.objective_of("val_loss"));
        assert_eq!((axis.place_of(1.0), axis.ends()), (Some(0.5), ends("0.5000", "1.5000")));
        let none = Axis::of_objective(&sweep, &sweep.objective_of("nothing"));
        assert_eq!(none.place_of(0.5), Some(0.5));
    }
}
