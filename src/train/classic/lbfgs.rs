//! The minimum of a smooth function, by L-BFGS (Liu and Nocedal 1989) with the line search of Moré and Thuente (1994).
//!
//! The settings are those of L-BFGS-B 3.0 without bounds, which is what SciPy runs for scikit-learn. A fit that is
//! stopped early, and at the usual tolerances each one is, so ends in the same place as there.

use std::collections::VecDeque;

/// Steps that the curvature is estimated from.
const MEMORY: usize = 10;
/// Evaluations in one line search, at most.
const MAX_EVALUATIONS: u32 = 50;
/// How much of the decrease that the slope promises has to be there (Armijo).
const SUFFICIENT_DECREASE: f64 = 1e-3;
/// How much of the slope may be left.
const CURVATURE: f64 = 0.9;
/// The relative width of the interval at which a line search ends.
const INTERVAL: f64 = 0.1;
/// The longest step.
const LONGEST: f64 = 1e10;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Iterations at most.
    pub(super) iterations: u32,
    /// The largest number of the gradient at which it is done.
    pub(super) gradient: f64,
    /// The relative decrease in one iteration at which it is done.
    pub(super) decrease: f64,
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Minimum {
    /// The place.
    pub(super) place: Vec<f64>,
    /// The value there.
    pub(super) value: f64,
    /// Iterations that it took.
    pub(super) iterations: u32,
    /// Whether it ended for another reason than the limit of iterations.
    pub(super) is_converged: bool,
}

/// A step that was made, and how the gradient changed by it.
struct Step {
    step: Vec<f64>,
    change: Vec<f64>,
    /// Their product, which is above 0.
    product: f64,
}

/// Looks for the minimum of `function`, which gives its value and its gradient, from `place` on.
pub(super) fn minimize(
    mut place: Vec<f64>,
    limits: Limits,
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Minimum {
    let (mut value, mut gradient) = function(&place);
    let mut steps: VecDeque<Step> = VecDeque::new();
    let mut iterations = 0;
    let end = |place, value, iterations, is_converged| Minimum { place, value, iterations, is_converged };
    if !value.is_finite() || largest(&gradient) <= limits.gradient {
        let is_finite = value.is_finite();
        return end(place, value, iterations, is_finite);
    }
    while iterations < limits.iterations {
        let direction = direction(&gradient, &steps);
        let slope = dot(&gradient, &direction);
        let first = if iterations == 0 { (1.0 / dot(&direction, &direction).sqrt()).min(LONGEST) } else { 1.0 };
        let mut search = LineSearch::new(value, slope, first);
        let mut found = None;
        if slope < 0.0 {
            for _ in 0..MAX_EVALUATIONS {
                let length = search.length;
                let there: Vec<f64> = place.iter().zip(&direction).map(|(from, step)| from + length * step).collect();
                let (value, gradient) = function(&there);
                if search.is_done(value, dot(&gradient, &direction)) {
                    found = Some((there, value, gradient));
                    break;
                }
            }
        }
        let Some((there, new_value, new_gradient)) = found else {
            // What is known of the curvature leads nowhere: forget it and go down the gradient; if that leads nowhere
            // either, rounding is all that is left.
            if steps.is_empty() {
                return end(place, value, iterations, false);
            }
            steps.clear();
            continue;
        };
        iterations += 1;
        let step: Vec<f64> = there.iter().zip(&place).map(|(to, from)| to - from).collect();
        let change: Vec<f64> = new_gradient.iter().zip(&gradient).map(|(to, from)| to - from).collect();
        let decrease = (value - new_value) / value.abs().max(new_value.abs()).max(1.0);
        let was_slope = -slope * search.length;
        (place, value, gradient) = (there, new_value, new_gradient);
        if largest(&gradient) <= limits.gradient || decrease <= limits.decrease {
            return end(place, value, iterations, true);
        }
        let product = dot(&step, &change);
        if product > f64::EPSILON * was_slope {
            if steps.len() == MEMORY {
                steps.pop_front();
            }
            steps.push_back(Step { step, change, product });
        }
    }
    end(place, value, iterations, false)
}

/// Down the gradient, turned by the curvature that the last steps met: the two loops of L-BFGS.
fn direction(gradient: &[f64], steps: &VecDeque<Step>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut factors = Vec::with_capacity(steps.len());
    for Step { step, change, product } in steps.iter().rev() {
        let factor = dot(step, &direction) / product;
        add(&mut direction, change, -factor);
        factors.push(factor);
    }
    if let Some(Step { change, product, .. }) = steps.back() {
        let scale = product / dot(change, change);
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for (Step { step, change, product }, factor) in steps.iter().zip(factors.into_iter().rev()) {
        let other = dot(change, &direction) / product;
        add(&mut direction, step, factor - other);
    }
    direction
}

/// A place on the line: how far along, the value and the slope there.
#[derive(Debug, Clone, Copy)]
struct Point {
    length: f64,
    value: f64,
    slope: f64,
}

/// A search along a line for a step that decreases the function enough and leaves little slope.
struct LineSearch {
    /// The step to try next.
    length: f64,
    start: Point,
    /// The best point so far, and the other end of the interval.
    best: Point,
    other: Point,
    /// Whether a minimum is known to be in between.
    is_bracketed: bool,
    /// Whether a step with the decrease and without a negative slope was not seen yet.
    is_first_stage: bool,
    shortest: f64,
    longest: f64,
    width: f64,
    width_before: f64,
}

impl LineSearch {
    fn new(value: f64, slope: f64, length: f64) -> Self {
        let start = Point { length: 0.0, value, slope };
        Self {
            length,
            start,
            best: start,
            other: start,
            is_bracketed: false,
            is_first_stage: true,
            shortest: 0.0,
            longest: length + 4.0 * length,
            width: LONGEST,
            width_before: 2.0 * LONGEST,
        }
    }

    /// Takes the value and the slope at `length`: whether that is the step to make. If not, `length` is the next to try.
    fn is_done(&mut self, value: f64, slope: f64) -> bool {
        let at = Point { length: self.length, value, slope };
        let wanted_slope = SUFFICIENT_DECREASE * self.start.slope;
        let wanted = self.start.value + at.length * wanted_slope;
        let has_decrease = value <= wanted;
        if self.is_first_stage && has_decrease && slope >= 0.0 {
            self.is_first_stage = false;
        }
        let is_stuck = self.is_bracketed
            && (at.length <= self.shortest
                || at.length >= self.longest
                || self.longest - self.shortest <= INTERVAL * self.longest);
        let is_at_end = at.length == LONGEST && has_decrease && slope <= wanted_slope
            || at.length == 0.0 && (!has_decrease || slope >= wanted_slope);
        if is_stuck || is_at_end || has_decrease && slope.abs() <= CURVATURE * -self.start.slope {
            return true;
        }

        if self.is_first_stage && value <= self.best.value && !has_decrease {
            // The function less the decrease that is wanted has its minimum nearer to where it has to be looked for.
            let tilted = |point: Point| Point {
                value: point.value - point.length * wanted_slope,
                slope: point.slope - wanted_slope,
                ..point
            };
            let straight = |point: Point| Point {
                value: point.value + point.length * wanted_slope,
                slope: point.slope + wanted_slope,
                ..point
            };
            (self.best, self.other) = (tilted(self.best), tilted(self.other));
            self.narrow(tilted(at));
            (self.best, self.other) = (straight(self.best), straight(self.other));
        } else {
            self.narrow(at);
        }

        if self.is_bracketed {
            let distance = (self.other.length - self.best.length).abs();
            if distance >= 0.66 * self.width_before {
                self.length = self.best.length + 0.5 * (self.other.length - self.best.length);
            }
            self.width_before = self.width;
            self.width = distance;
            self.shortest = self.best.length.min(self.other.length);
            self.longest = self.best.length.max(self.other.length);
        } else {
            self.shortest = self.length + 1.1 * (self.length - self.best.length);
            self.longest = self.length + 4.0 * (self.length - self.best.length);
        }
        self.length = self.length.clamp(0.0, LONGEST);
        let no_room = self.length <= self.shortest || self.length >= self.longest;
        if self.is_bracketed && (no_room || self.longest - self.shortest <= INTERVAL * self.longest) {
            self.length = self.best.length;
        }
        false
    }

    /// Chooses the next step from cubics and quadratics through the points, and takes `at` as an end of the interval.
    fn narrow(&mut self, at: Point) {
        let Self { best, other, .. } = *self;
        let sign = at.slope * best.slope.signum();
        let (next, is_bracketed) = if at.value > best.value {
            // The value is higher: the minimum is in between. The cubic's, if it is nearer to the best point than the
            // quadratic's, otherwise halfway between the two.
            let (theta, scale) = cubic(best, at);
            let mut gamma = scale * ((theta / scale).powi(2) - (best.slope / scale) * (at.slope / scale)).sqrt();
            if at.length < best.length {
                gamma = -gamma;
            }
            let part = ((gamma - best.slope) + theta) / (((gamma - best.slope) + gamma) + at.slope);
            let by_cubic = best.length + part * (at.length - best.length);
            let drop = (best.value - at.value) / (at.length - best.length) + best.slope;
            let by_quadratic = best.length + best.slope / drop / 2.0 * (at.length - best.length);
            let next = if (by_cubic - best.length).abs() < (by_quadratic - best.length).abs() {
                by_cubic
            } else {
                by_cubic + (by_quadratic - by_cubic) / 2.0
            };
            (next, true)
        } else if sign < 0.0 {
            // The slope has turned: the minimum is in between. The farther of the cubic's and the secant's.
            let (theta, scale) = cubic(best, at);
            let mut gamma = scale * ((theta / scale).powi(2) - (best.slope / scale) * (at.slope / scale)).sqrt();
            if at.length > best.length {
                gamma = -gamma;
            }
            let part = ((gamma - at.slope) + theta) / (((gamma - at.slope) + gamma) + best.slope);
            let by_cubic = at.length + part * (best.length - at.length);
            let by_secant = at.length + at.slope / (at.slope - best.slope) * (best.length - at.length);
            let is_cubic = (by_cubic - at.length).abs() > (by_secant - at.length).abs();
            (if is_cubic { by_cubic } else { by_secant }, true)
        } else if at.slope.abs() < best.slope.abs() {
            // The slope gets smaller. The cubic may have no minimum on that side; then as far as possible.
            let (theta, scale) = cubic(best, at);
            let under = (theta / scale).powi(2) - (best.slope / scale) * (at.slope / scale);
            let mut gamma = scale * under.max(0.0).sqrt();
            if at.length > best.length {
                gamma = -gamma;
            }
            let part = ((gamma - at.slope) + theta) / ((gamma + (best.slope - at.slope)) + gamma);
            let by_cubic = if part < 0.0 && gamma != 0.0 {
                at.length + part * (best.length - at.length)
            } else if at.length > best.length {
                self.longest
            } else {
                self.shortest
            };
            let by_secant = at.length + at.slope / (at.slope - best.slope) * (best.length - at.length);
            let is_nearer = (by_cubic - at.length).abs() < (by_secant - at.length).abs();
            let next = if self.is_bracketed {
                let next = if is_nearer { by_cubic } else { by_secant };
                let bound = at.length + 0.66 * (other.length - at.length);
                if at.length > best.length { next.min(bound) } else { next.max(bound) }
            } else {
                // Outside of an interval, the bolder of the two.
                let next = if is_nearer { by_secant } else { by_cubic };
                next.min(self.longest).max(self.shortest)
            };
            (next, self.is_bracketed)
        } else {
            // The value is lower and the slope is not smaller: from the cubic through the other end, or as far as
            // possible.
            let next = if self.is_bracketed {
                let (theta, scale) = cubic(other, at);
                let mut gamma = scale * ((theta / scale).powi(2) - (other.slope / scale) * (at.slope / scale)).sqrt();
                if at.length > other.length {
                    gamma = -gamma;
                }
                let part = ((gamma - at.slope) + theta) / (((gamma - at.slope) + gamma) + other.slope);
                at.length + part * (other.length - at.length)
            } else if at.length > best.length {
                self.longest
            } else {
                self.shortest
            };
            (next, self.is_bracketed)
        };
        if at.value > best.value {
            self.other = at;
        } else {
            if sign < 0.0 {
                self.other = best;
            }
            self.best = at;
        }
        self.length = next;
        self.is_bracketed = is_bracketed;
    }
}

/// What the minimum of the cubic through two points with their slopes is computed from.
fn cubic(one: Point, at: Point) -> (f64, f64) {
    let theta = 3.0 * (one.value - at.value) / (at.length - one.length) + one.slope + at.slope;
    (theta, theta.abs().max(one.slope.abs()).max(at.slope.abs()))
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn add(sum: &mut [f64], values: &[f64], factor: f64) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_a_curved_valley_is_found() {
        // Rosenbrock 1960: from (-1.2, 1) a narrow curved valley leads to (1, 1).
        let valley = |at: &[f64]| {
            let (x, y) = (at[0], at[1]);
            let value = 100.0 * (y - x * x).powi(2) + (1.0 - x).powi(2);
            (value, vec![-400.0 * x * (y - x * x) - 2.0 * (1.0 - x), 200.0 * (y - x * x)])
        };
        let limits = Limits { iterations: 100, gradient: 1e-8, decrease: 0.0 };
        let found = minimize(vec![-1.2, 1.0], limits, valley);
        assert!(found.is_converged && found.value < 1e-15, "{found:?}");
        assert!(found.place.iter().all(|at| (at - 1.0).abs() < 1e-7), "{found:?}");

        let stopped = minimize(vec![-1.2, 1.0], Limits { iterations: 3, ..limits }, valley);
        assert_eq!((stopped.iterations, stopped.is_converged), (3, false));
    }

    #[test]
    fn a_function_without_a_number_ends_the_search() {
        let limits = Limits { iterations: 100, gradient: 1e-8, decrease: 0.0 };
        let found = minimize(vec![1.0], limits, |_| (f64::NAN, vec![f64::NAN]));
        assert!(!found.is_converged && found.value.is_nan());
    }
}
