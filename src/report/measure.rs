//! Metrics and parameters of two runs, side by side, and which value is the better one.

use std::collections::BTreeSet;

use crate::run::{MetricSummary, Run, smaller_is_better};

/// Metrics that say how far a training is or how it was set, and not how good it is.
const NEUTRAL: [&str; 16] = [
    "batch_size",
    "epoch",
    "epochs",
    "examples",
    "grad_norm",
    "gradient_norm",
    "iteration",
    "iterations",
    "learning_rate",
    "lr",
    "progress",
    "samples",
    "seed",
    "step",
    "steps",
    "tokens",
];

/// Which values of a metric are the better ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Small ones: losses, errors, times.
    Down,
    /// Large ones.
    Up,
    /// Neither.
    Neutral,
}

/// What the name of a metric tells about its values.
pub fn direction(metric: &str) -> Direction {
    let last = metric.rsplit('/').next().unwrap_or(metric).to_lowercase();
    if NEUTRAL.contains(&last.as_str()) {
        return Direction::Neutral;
    }
    if smaller_is_better(metric) { Direction::Down } else { Direction::Up }
}

/// How a value stands to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is better.
    Better,
    /// It is worse, or is no number any more.
    Worse,
    /// It is the same.
    Same,
    /// One of the two is missing, or the metric is neither good nor bad.
    Open,
}

impl Verdict {
    /// The word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "same",
            Self::Open => "",
        }
    }
}

/// A metric of a run beside the same of its base: the last values.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The metric.
    pub metric: String,
    /// What the base has.
    pub base: Option<f64>,
    /// What the run has.
    pub here: Option<f64>,
    /// How the two stand to each other.
    pub verdict: Verdict,
}

impl Measurement {
    /// How far the value moved, where both are numbers.
    pub fn change(&self) -> Option<f64> {
        let change = self.here? - self.base?;
        change.is_finite().then_some(change)
    }
}

fn verdict(metric: &str, base: Option<f64>, here: Option<f64>) -> Verdict {
    let (Some(base), Some(here)) = (base, here) else { return Verdict::Open };
    if base == here || base.is_nan() && here.is_nan() {
        return Verdict::Same;
    }
    let is_larger = match direction(metric) {
        Direction::Neutral => return Verdict::Open,
        _ if base.is_nan() => return Verdict::Better,
        _ if here.is_nan() => return Verdict::Worse,
        _ => here > base,
    };
    if is_larger == (direction(metric) == Direction::Up) { Verdict::Better } else { Verdict::Worse }
}

/// How soon a metric is shown: what was measured on the test, then on the validation, then the rest.
pub(super) fn rank(metric: &str) -> usize {
    let metric = metric.to_lowercase();
    ["test", "val", "accuracy", "loss"].iter().position(|word| metric.contains(word)).unwrap_or(4)
}

/// Whether a metric is of the run, and not of the machine.
pub(super) fn is_own(metric: &str) -> bool {
    !metric.starts_with("system.") && !metric.starts_with("system/")
}

/// The metrics of a run and its base, the telling ones first.
pub(super) fn measurements(here: &Run, base: Option<&Run>) -> Vec<Measurement> {
    let names: BTreeSet<&String> = here
        .metrics
        .keys()
        .chain(base.iter().flat_map(|base| base.metrics.keys()))
        .filter(|name| is_own(name))
        .collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    names.sort_by_key(|name| (rank(name), *name));
    let last = |run: &Run, name: &String| run.metrics.get(name).map(|MetricSummary { last, .. }| *last);
    names
        .into_iter()
        .map(|name| {
            let (here, base) = (last(here, name), base.and_then(|base| last(base, name)));
            Measurement { metric: name.clone(), base, here, verdict: verdict(name, base, here) }
        })
        .collect()
}

/// The parameters that differ from the base's, or without a base all of them.
pub(super) fn params<'r>(here: &'r Run, base: Option<&'r Run>) -> Vec<(&'r str, Option<&'r str>, Option<&'r str>)> {
    let Some(base) = base else {
        return here.params.iter().map(|(name, value)| (name.as_str(), None, Some(value.as_str()))).collect();
    };
    let names: BTreeSet<&String> = here.params.keys().chain(base.params.keys()).collect();
    let values = |name| (base.params.get(name).map(String::as_str), here.params.get(name).map(String::as_str));
    let rows = names.into_iter().map(|name| (name.as_str(), values(name)));
    rows.filter(|(_, (before, now))| before != now).map(|(name, (before, now))| (name, before, now)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_metric_says_which_values_are_better() {
        let cases = [
            ("val_accuracy", Direction::Up),
            ("val_loss", Direction::Down),
            ("eval/rmse", Direction::Down),
            ("f1", Direction::Up),
            ("train/learning_rate", Direction::Neutral),
            ("Epoch", Direction::Neutral),
        ];
        for (metric, expected) in cases {
            assert_eq!(direction(metric), expected, "{metric}");
        }
    }

    #[test]
    fn verdicts_know_directions_and_what_is_no_number() {
        use Verdict::{Better, Open, Same, Worse};
        let cases = [
            ("accuracy", Some(0.5), Some(0.6), Better),
            ("accuracy", Some(0.6), Some(0.5), Worse),
            ("loss", Some(0.5), Some(0.6), Worse),
            ("loss", Some(0.6), Some(0.5), Better),
            ("loss", Some(0.6), Some(f64::NAN), Worse),
            ("loss", Some(f64::NAN), Some(9.0), Better),
            ("loss", Some(f64::NAN), Some(f64::NAN), Same),
            ("loss", Some(1.0), Some(f64::INFINITY), Worse),
            ("accuracy", Some(0.5), Some(0.5), Same),
            ("accuracy", None, Some(0.5), Open),
            ("accuracy", Some(0.5), None, Open),
            ("lr", Some(0.5), Some(0.1), Open),
        ];
        for (metric, base, here, expected) in cases {
            assert_eq!(verdict(metric, base, here), expected, "{metric}: {base:?} to {here:?}");
        }
    }
}
