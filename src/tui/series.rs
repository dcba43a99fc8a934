//! A run's points made ready for the small pictures in lists.

use crate::run::Point;

/// A metric's values for a sparkline of at most `width` places, from the first to the last.
pub(super) fn spark(points: &[Point], width: usize) -> Vec<f64> {
    if width == 0 || points.is_empty() {
        return Vec::new();
    }
    let places = width.min(points.len());
    let last = points.len() - 1;
    // Where there is one place, it shows the last value.
    (0..places).map(|place| points[if places == 1 { last } else { place * last / (places - 1) }].value).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn points(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
        let point = |(step, value)| Point { step: i64::try_from(step).unwrap(), time: Timestamp::UNIX_EPOCH, value };
        values.into_iter().enumerate().map(point).collect()
    }

    #[test]
    fn sparks_reach_from_the_first_to_the_last_value() {
        assert_eq!(spark(&points([1.0, 2.0, 3.0, 4.0]), 2), [1.0, 4.0]);
        assert_eq!(spark(&points([1.0, 2.0, 3.0, 4.0, 5.0]), 3), [1.0, 3.0, 5.0]);
        assert_eq!(spark(&points([1.0, 2.0]), 1), [2.0]);
        assert_eq!(spark(&points([1.0]), 8), [1.0]);
        assert_eq!(spark(&[], 8), Vec::<f64>::new());
    }
}
