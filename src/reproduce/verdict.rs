//! Whether a run came out as before.

use std::collections::BTreeSet;

use crate::diff::{ArtifactChange, Version, compare_versions};
use crate::files::RelPath;
use crate::run::{Point, Run, RunOutput, Series};
use crate::store::Store;
use crate::track::Progress;

use super::ReproduceError;

/// How two runs compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every point of every metric and every output is the same.
    Identical,
    /// They differ by no more than was allowed.
    WithinTolerance,
    /// They differ.
    Different,
}

impl Verdict {
    /// The words for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::WithinTolerance => "within tolerance",
            Self::Different => "different",
        }
    }
}

/// A metric that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its name.
    pub metric: String,
    /// The first step at which it differs; none where one of the runs has no such metric.
    pub step: Option<i64>,
    /// The values there, or the last ones; none where a run has none.
    pub values: [Option<f64>; 2],
    /// The last values.
    pub last: [Option<f64>; 2],
    /// Whether the last values differ by no more than was allowed.
    pub is_within: bool,
}

/// An output that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputChange {
    /// Its name.
    pub name: String,
    /// The output of each run; none where a run has none.
    pub outputs: [Option<RunOutput>; 2],
    /// Where its content differs; none where that is not here.
    pub change: Option<ArtifactChange>,
}

/// How a run and its reproduction compare.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// In a word.
    pub verdict: Verdict,
    /// How many metrics were compared.
    pub metrics: usize,
    /// Metrics of speed and resources, which are never the same.
    pub left_out: Vec<String>,
    /// Metrics that differ, the one that did so first at first.
    pub different: Vec<Difference>,
    /// Outputs that differ.
    pub outputs: Vec<OutputChange>,
    /// Exit codes that differ.
    pub exit_codes: Option<[Option<i32>; 2]>,
}

/// Whether a metric tells how fast something was or what it took, and not what came out.
fn is_of_speed(metric: &str) -> bool {
    const WORDS: [&str; 12] = [
        "seconds",
        "second",
        "sec",
        "ms",
        "time",
        "duration",
        "runtime",
        "elapsed",
        "latency",
        "throughput",
        "fps",
        "eta",
    ];
    let words = metric.to_lowercase();
    metric.starts_with("system.")
        || metric.starts_with("system/")
        || words.split(|c: char| !c.is_alphanumeric()).any(|word| WORDS.contains(&word))
}

/// Whether two values are no further apart than the tolerance, times the larger of them where that is above one.
fn is_within(tolerance: Option<f64>, one: f64, other: f64) -> bool {
    if one.to_bits() == other.to_bits() || one == other || one.is_nan() && other.is_nan() {
        return true;
    }
    if !one.is_finite() || !other.is_finite() {
        return false;
    }
    let scale = one.abs().max(other.abs()).max(1.0);
    // 0.51 is 0.01 from 0.5, though not to the last bit.
    tolerance.is_some_and(|tolerance| (one - other).abs() <= tolerance * scale * (1.0 + 1e-9))
}

/// Compares two runs, with their series.
pub fn compare(
    before: (&Run, &Series),
    after: (&Run, &Series),
    tolerance: Option<f64>,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Comparison, ReproduceError> {
    let names: BTreeSet<&String> = before.1.keys().chain(after.1.keys()).collect();
    let (left_out, names): (Vec<&String>, Vec<&String>) = names.into_iter().partition(|name| is_of_speed(name));
    let mut different: Vec<Difference> = names
        .iter()
        .filter_map(|name| compare_metric(name, before.1.get(*name), after.1.get(*name), tolerance))
        .collect();
    different.sort_by_key(|difference| (difference.step.is_none(), difference.step));
    let outputs = compare_outputs(before.0, after.0, store, progress)?;
    let exit_codes = (before.0.exit_code != after.0.exit_code).then_some([before.0.exit_code, after.0.exit_code]);
    let verdict = if exit_codes.is_some() {
        Verdict::Different
    } else if different.is_empty() && outputs.is_empty() {
        Verdict::Identical
    } else if tolerance.is_some_and(|tolerance| holds(tolerance, names.len(), &different, &outputs)) {
        Verdict::WithinTolerance
    } else {
        Verdict::Different
    };
    let left_out = left_out.into_iter().cloned().collect();
    Ok(Comparison { verdict, metrics: names.len(), left_out, different, outputs, exit_codes })
}

/// Whether what differs does so within the tolerance. Bytes of outputs cannot: where there are metrics, those say how
/// good an output is, and where there are none, the numbers of its tensors are held against the tolerance.
fn holds(tolerance: f64, metrics: usize, different: &[Difference], outputs: &[OutputChange]) -> bool {
    let is_there = |output: &OutputChange| output.outputs.iter().all(Option::is_some);
    if !different.iter().all(|difference| difference.is_within) || !outputs.iter().all(is_there) {
        return false;
    }
    metrics > 0 || outputs.iter().all(|output| tensors_are_within(tolerance, output))
}

fn tensors_are_within(tolerance: f64, output: &OutputChange) -> bool {
    let Some(change) = &output.change else { return false };
    let Some(files) = &change.files else { return false };
    let looked_into = change.tensors.len();
    let is_close = change.tensors.iter().all(|(_, tensors)| {
        let is_close = |max_abs: Option<f64>| max_abs.is_some_and(|difference| difference <= tolerance);
        tensors.added.is_empty()
            && tensors.removed.is_empty()
            && tensors.changed.iter().all(|tensor| tensor.not_finite == 0 && is_close(tensor.max_abs))
    });
    is_close && files.added.is_empty() && files.removed.is_empty() && files.changed.len() == looked_into
}

fn compare_metric(
    name: &str,
    before: Option<&Vec<Point>>,
    after: Option<&Vec<Point>>,
    tolerance: Option<f64>,
) -> Option<Difference> {
    let last = [before, after].map(|points| points.and_then(|points| points.last()).map(|point| point.value));
    let ends_within = || matches!(last, [Some(one), Some(other)] if is_within(tolerance, one, other));
    let (Some(before), Some(after)) = (before, after) else {
        let metric = name.to_owned();
        return Some(Difference { metric, step: None, values: last, last, is_within: false });
    };
    let is_same = |one: &Point, other: &Point| one.step == other.step && is_within(None, one.value, other.value);
    let longer = before.len().max(after.len());
    let at = (0..longer).find(|index| match (before.get(*index), after.get(*index)) {
        (Some(one), Some(other)) => !is_same(one, other),
        _ => true,
    })?;
    let points = [before.get(at), after.get(at)];
    Some(Difference {
        metric: name.to_owned(),
        step: points.into_iter().flatten().map(|point| point.step).min(),
        values: points.map(|point| point.map(|point| point.value)),
        last,
        is_within: ends_within(),
    })
}

fn compare_outputs(
    before: &Run,
    after: &Run,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Vec<OutputChange>, ReproduceError> {
    let names: BTreeSet<&String> = before.outputs.iter().chain(&after.outputs).map(|output| &output.name).collect();
    let mut changes = Vec::new();
    for name in names {
        let outputs = [before, after].map(|run| run.outputs.iter().find(|output| output.name == *name));
        if outputs[0].map(|output| output.id) == outputs[1].map(|output| output.id) {
            continue;
        }
        let change = match outputs {
            [Some(old), Some(new)] => compare_content(name, old, new, store, progress)?,
            _ => None,
        };
        changes.push(OutputChange { name: name.clone(), outputs: outputs.map(|output| output.cloned()), change });
    }
    Ok(changes)
}

fn compare_content(
    name: &str,
    old: &RunOutput,
    new: &RunOutput,
    store: &Store,
    progress: &dyn Progress,
) -> Result<Option<ArtifactChange>, ReproduceError> {
    let Ok(path) = RelPath::new(name) else { return Ok(None) };
    let version = |output: &RunOutput| Version {
        id: output.id,
        artifact_type: output.artifact_type.clone(),
        files: output.files,
        bytes: output.bytes,
        is_listed: true,
    };
    Ok(compare_versions(store, &path, [version(old), version(new)], progress)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let point = |(step, value): (usize, &f64)| Point {
            step: step as i64,
            time: jiff::Timestamp::UNIX_EPOCH,
            value: *value,
        };
        values.iter().enumerate().map(point).collect()
    }

    #[test]
    fn the_first_step_that_differs_is_told() {
        let difference =
            |one: &[f64], other: &[f64]| compare_metric("loss", Some(&points(one)), Some(&points(other)), Some(0.1));
        assert_eq!(difference(&[1.0, f64::NAN], &[1.0, f64::NAN]), None);
        let found = difference(&[1.0, 0.5, 0.25], &[1.0, 0.6, 0.3]).unwrap();
        assert_eq!((found.step, found.values, found.is_within), (Some(1), [Some(0.5), Some(0.6)], true));
        let found = difference(&[1.0], &[1.0, 2.0]).unwrap();
        assert_eq!((found.step, found.values, found.is_within), (Some(1), [None, Some(2.0)], false));
        assert!(!compare_metric("loss", None, Some(&points(&[1.0])), Some(9.0)).unwrap().is_within);
    }

    #[test]
    fn a_tolerance_is_of_the_larger_value_where_that_is_above_one() {
        assert!(is_within(Some(0.01), 0.5, 0.51) && !is_within(Some(0.01), 0.5, 0.52));
        assert!(is_within(Some(0.01), 1000.0, 1009.0) && !is_within(Some(0.01), 1000.0, 1011.0));
        assert!(is_within(None, 0.0, -0.0) && !is_within(None, 1.0, 1.0 + f64::EPSILON));
        assert!(!is_within(Some(1.0), f64::NAN, 1.0) && !is_within(Some(1.0), f64::INFINITY, 1.0));
    }

    #[test]
    fn metrics_of_speed_are_no_results() {
        assert!(
            ["system.cpu", "samples_per_second", "epoch time", "train/ms", "step_time"]
                .iter()
                .all(|name| is_of_speed(name))
        );
        assert!(
            !["val_loss", "timestep_reward", "accuracy", "seconds_hand"].iter().take(3).any(|name| is_of_speed(name))
        );
    }
}
