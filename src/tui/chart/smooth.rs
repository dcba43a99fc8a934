//! Smoothing of a line.

/// What one thousandth of a line's length weighs: the scale of W&B's charts.
const LENGTHS: f64 = 1000.0;

/// The line's values smoothed by a time-weighted exponential moving average without bias, as W&B computes it: what lies
/// further back along the axis weighs less, and the first values are no lower for having none before them. `weight` is from 0 (as it is) to below 1. A value that is not finite stays as it is and
/// takes no part.
///
/// Source: <https://docs.wandb.ai/models/app/features/panels/line-plot/smoothing>, "Time weighted EMA"; the removal of
/// the bias is that of Adam (Kingma and Ba 2015, arXiv:1412.6980, section 3).
pub(super) fn smoothed(xs: &[f64], values: &[f64], weight: f64) -> Vec<f64> {
    let base = weight.clamp(0.0, 1.0).sqrt().min(0.999);
    let (first, last) = (xs.first().copied().unwrap_or(0.0), xs.last().copied().unwrap_or(0.0));
    let span = if last > first { last - first } else { 1.0 };
    let (mut sum, mut total) = (0.0, 0.0);
    let mut before = first;
    // Steps are nearly always even, and a power is slow.
    let (mut known_distance, mut known_decay) = (0.0, 1.0);
    let smooth = |(x, value): (&f64, &f64)| {
        if !value.is_finite() {
            return *value;
        }
        let distance = (x - before) / span * LENGTHS;
        before = *x;
        if distance != known_distance {
            known_distance = distance;
            known_decay = base.powf(distance);
        }
        sum = sum * known_decay + value;
        total = total * known_decay + 1.0;
        sum / total
    };
    xs.iter().zip(values).map(smooth).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_that_of_wandb() {
        // By hand: the axis is 0 to 2, so a step is 500 lengths and the past weighs 0.998^500.
        let weight = 0.996_004;
        let decay = 0.998_f64.powf(500.0);
        let smooth = smoothed(&[0.0, 1.0, 2.0], &[1.0, 3.0, 2.0], weight);
        let second = (decay + 3.0) / (decay + 1.0);
        let third = ((decay + 3.0) * decay + 2.0) / ((decay + 1.0) * decay + 1.0);
        for (got, expected) in smooth.iter().zip([1.0, second, third]) {
            assert!((got - expected).abs() < 1e-12, "{smooth:?}");
        }
    }

    #[test]
    fn a_level_line_stays_and_no_smoothing_changes_nothing() {
        let xs: Vec<f64> = (0..500).map(f64::from).collect();
        assert!(smoothed(&xs, &[7.0; 500], 0.9).iter().all(|value| (value - 7.0).abs() < 1e-12));
        let values: Vec<f64> = xs.iter().map(|x| x.sin()).collect();
        assert_eq!(smoothed(&xs, &values, 0.0), values);
    }

    #[test]
    fn what_is_not_finite_takes_no_part() {
        let smooth = smoothed(&[0.0, 1.0, 2.0], &[4.0, f64::NAN, 4.0], 0.9);
        assert!(smooth[1].is_nan() && smooth[2] == 4.0, "{smooth:?}");
        assert_eq!(smoothed(&[5.0], &[f64::INFINITY], 0.9), [f64::INFINITY]);
    }

    #[test]
    fn what_lies_far_back_weighs_less_than_what_lies_near() {
        let last = |xs: &[f64]| *smoothed(xs, &[0.0, 0.0, 1.0], 0.9).last().unwrap();
        // The axis is 1,000 long each time, and the last two values lie 999, 500 and 1 apart.
        let ends = [last(&[0.0, 1.0, 1000.0]), last(&[0.0, 500.0, 1000.0]), last(&[0.0, 999.0, 1000.0])];
        assert!((ends[0] - 1.0).abs() < 1e-9 && ends[0] >= ends[1] && ends[1] > ends[2], "{ends:?}");
        assert!((ends[2] - 1.0 / (1.0 + 0.9_f64.sqrt())).abs() < 1e-9, "{ends:?}");
    }
}
