//! How much the parameters of a sweep matter for what it searches for.
//!
//! A ridge regression (Hoerl and Kennard, 1970) predicts the rank of a trial's objective from its parameters: of a
//! number its rank and that squared, so that an optimum in the middle is seen too; of a word which one it is. What it
//! predicts of trials that it was not fitted to (five folds) says how much of the objective the parameters explain at
//! all. A parameter's importance is by how much the error of those predictions grows when its values are shuffled among
//! the trials (Breiman, 2001; Fisher, Rudin and Dominici, 2019). Since the prediction is a sum over the parameters, the
//! expectation over all shuffles is computed, so there is no chance in it. Beside it stands Spearman's rank
//! correlation, which says in which direction a number works.
//!
//! It sees no interactions, and of parameters that were always changed together it cannot tell which one it was.

use std::collections::{BTreeMap, BTreeSet};

/// Trials that there have to be.
pub(super) const FEWEST_TRIALS: usize = 8;
/// Trials that are looked at, the first ones.
const MOST_TRIALS: usize = 2000;
/// Parameters that are looked at.
const MAX_PARAMETERS: usize = 32;
/// Words that a parameter may have; the rarer ones count as one.
const MAX_WORDS: usize = 8;
/// The weight of the penalty: as much as one trial.
const RIDGE: f64 = 1.0;
const FOLDS: usize = 5;

/// What a parameter does for the objective.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Importance {
    /// The parameter.
    pub(super) name: String,
    /// Its share of all that the parameters do, from 0 to 1.
    pub(super) share: f64,
    /// Spearman's correlation of a number with the objective, from -1 to 1; none for words.
    pub(super) correlation: Option<f64>,
}

/// What the parameters of a sweep do for its objective.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Importances {
    /// Trials that were looked at.
    pub(super) trials: usize,
    /// The share of the differences in the objective's rank that is predicted for trials that were not looked at (R²): 1
    /// for all, 0 or less for nothing.
    pub(super) explained: f64,
    /// The parameters that differ, the most important first.
    pub(super) parameters: Vec<Importance>,
}

/// What the parameters of some trials do for their objectives, all of them finite; none where there are too few trials,
/// or nothing differs.
pub(super) fn importances(trials: &[(&BTreeMap<String, String>, f64)]) -> Option<Importances> {
    let trials = &trials[..trials.len().min(MOST_TRIALS)];
    let count = trials.len();
    if count < FEWEST_TRIALS {
        return None;
    }
    let target = standardized(&ranks(&trials.iter().map(|(_, value)| *value).collect::<Vec<_>>()))?;
    let names: BTreeSet<&String> = trials.iter().flat_map(|(params, _)| params.keys()).collect();
    let mut parameters: Vec<Parameter> = Vec::new();
    for name in names {
        let values: Vec<Option<&str>> = trials.iter().map(|(params, _)| params.get(name).map(String::as_str)).collect();
        parameters.extend(Parameter::of(name, &values, &target));
    }
    // Of too many, those that are most alike to the objective by themselves.
    let strength = |parameter: &Parameter| parameter.correlation.map_or(0.5, f64::abs);
    parameters.sort_by(|one, other| strength(other).total_cmp(&strength(one)).then_with(|| one.name.cmp(&other.name)));
    parameters.truncate(MAX_PARAMETERS);
    if parameters.is_empty() {
        return None;
    }
    let growth = Prediction::of(&parameters, &target)?;
    let all: f64 = growth.by_parameter.iter().sum();
    let share = |growth: f64| if all > 0.0 { growth / all } else { 0.0 };
    let mut found: Vec<Importance> = parameters
        .into_iter()
        .zip(&growth.by_parameter)
        .map(|(parameter, growth)| Importance {
            name: parameter.name,
            share: share(*growth),
            correlation: parameter.correlation,
        })
        .collect();
    found.sort_by(|one, other| other.share.total_cmp(&one.share).then_with(|| one.name.cmp(&other.name)));
    Some(Importances { trials: count, explained: growth.explained, parameters: found })
}

/// A parameter that differs, as columns of numbers.
struct Parameter {
    name: String,
    columns: Vec<Vec<f64>>,
    correlation: Option<f64>,
}

impl Parameter {
    fn of(name: &str, values: &[Option<&str>], target: &[f64]) -> Option<Self> {
        let parsed = |value: &Option<&str>| {
            value.and_then(|value| value.trim().parse::<f64>().ok()).filter(|value| value.is_finite())
        };
        let numbers: Vec<Option<f64>> = values.iter().map(parsed).collect();
        let is_number = values.iter().zip(&numbers).all(|(value, number)| value.is_none() || number.is_some());
        let mut columns = Vec::new();
        let mut correlation = None;
        if is_number {
            let known: Vec<f64> = numbers.iter().flatten().copied().collect();
            let ranked = ranks(&known);
            let mean = ranked.iter().sum::<f64>() / ranked.len().max(1) as f64;
            let mut places = ranked.into_iter();
            // A value that is not there has none that says anything.
            let whole: Vec<f64> =
                numbers.iter().map(|number| number.and_then(|_| places.next()).unwrap_or(mean)).collect();
            if let Some(linear) = standardized(&whole) {
                correlation = Some(dot(&linear, target) / target.len() as f64);
                columns.extend(standardized(&linear.iter().map(|value| value * value).collect::<Vec<_>>()));
                columns.push(linear);
            }
            let is_missing: Vec<f64> = numbers.iter().map(|number| f64::from(u8::from(number.is_none()))).collect();
            columns.extend(standardized(&is_missing));
        } else {
            let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
            values.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
            let mut words: Vec<(Option<&str>, usize)> = counts.into_iter().collect();
            words.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            for (word, _) in words.iter().take(MAX_WORDS) {
                let is_word: Vec<f64> = values.iter().map(|value| f64::from(u8::from(value == word))).collect();
                columns.extend(standardized(&is_word));
            }
        }
        (!columns.is_empty()).then(|| Self { name: name.to_owned(), columns, correlation })
    }
}

/// What is predicted of trials that were not looked at.
struct Prediction {
    explained: f64,
    /// By how much the mean squared error grows when a parameter is shuffled.
    by_parameter: Vec<f64>,
}

impl Prediction {
    fn of(parameters: &[Parameter], target: &[f64]) -> Option<Self> {
        let columns: Vec<&Vec<f64>> = parameters.iter().flat_map(|parameter| &parameter.columns).collect();
        let count = target.len();
        let mut residuals = vec![0.0; count];
        // For each trial, what each parameter adds to its prediction.
        let mut parts = vec![vec![0.0; count]; parameters.len()];
        for fold in 0..FOLDS {
            let is_held_out = |trial: usize| trial % FOLDS == fold;
            let fitted: Vec<usize> = (0..count).filter(|trial| !is_held_out(*trial)).collect();
            let mean = fitted.iter().map(|trial| target[*trial]).sum::<f64>() / fitted.len() as f64;
            let weights = ridge(&columns, target, mean, &fitted)?;
            for trial in (0..count).filter(|trial| is_held_out(*trial)) {
                let mut predicted = mean;
                let mut weight = weights.iter();
                for (parameter, parts) in parameters.iter().zip(&mut parts) {
                    let part: f64 =
                        parameter.columns.iter().zip(&mut weight).map(|(column, weight)| column[trial] * weight).sum();
                    parts[trial] = part;
                    predicted += part;
                }
                residuals[trial] = target[trial] - predicted;
            }
        }
        let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>() / count as f64;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / count as f64;
        let error = squares(&residuals);
        // The mean over all pairs of (residual + own part - another's part)².
        let growth = |parts: &Vec<f64>| {
            let own: Vec<f64> = residuals.iter().zip(parts).map(|(residual, part)| residual + part).collect();
            let shuffled = squares(&own) - 2.0 * mean(&own) * mean(parts) + squares(parts);
            (shuffled - error).max(0.0)
        };
        // The target has the variance 1.
        Some(Self { explained: 1.0 - error, by_parameter: parts.iter().map(growth).collect() })
    }
}

/// The weights that fit best with a penalty, by Cholesky's factorisation of the normal equations; none where they have no
/// solution.
fn ridge(columns: &[&Vec<f64>], target: &[f64], mean: f64, trials: &[usize]) -> Option<Vec<f64>> {
    let size = columns.len();
    let sum = |product: &dyn Fn(usize) -> f64| trials.iter().map(|trial| product(*trial)).sum::<f64>();
    let mut lower = vec![vec![0.0; size]; size];
    for row in 0..size {
        for column in 0..=row {
            let penalty = if row == column { RIDGE } else { 0.0 };
            let known: f64 = (0..column).map(|inner| lower[row][inner] * lower[column][inner]).sum();
            let rest = sum(&|trial| columns[row][trial] * columns[column][trial]) + penalty - known;
            lower[row][column] = match row == column {
                true if rest > 0.0 => rest.sqrt(),
                true => return None,
                false => rest / lower[column][column],
            };
        }
    }
    let mut weights: Vec<f64> =
        (0..size).map(|row| sum(&|trial| columns[row][trial] * (target[trial] - mean))).collect();
    for row in 0..size {
        let known: f64 = (0..row).map(|inner| lower[row][inner] * weights[inner]).sum();
        weights[row] = (weights[row] - known) / lower[row][row];
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|inner| lower[inner][row] * weights[inner]).sum();
        weights[row] = (weights[row] - known) / lower[row][row];
    }
    weights.iter().all(|weight| weight.is_finite()).then_some(weights)
}

/// The rank of each value, from 0; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|one, other| values[*one] == values[*other]) {
        let mean = first as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|index| ranks[*index] = mean);
        first += equal.len();
    }
    ranks
}

/// The values with the mean 0 and the variance 1; none where they are all the same.
fn standardized(values: &[f64]) -> Option<Vec<f64>> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    (deviation > 1e-9).then(|| values.iter().map(|value| (value - mean) / deviation).collect())
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between 0 and 1 that look random and are the same everywhere.
    fn noise(seed: u64) -> impl FnMut() -> f64 {
        let mut state = seed;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        }
    }

    fn measured(count: usize, trial: impl FnMut(usize) -> (Vec<(&'static str, String)>, f64)) -> Option<Importances> {
        let trials: Vec<(Vec<(&str, String)>, f64)> = (0..count).map(trial).collect();
        let params: Vec<(BTreeMap<String, String>, f64)> = trials
            .into_iter()
            .map(|(params, value)| (params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), value))
            .collect();
        importances(&params.iter().map(|(params, value)| (params, *value)).collect::<Vec<_>>())
    }

    #[test]
    fn what_matters_comes_first_and_points_the_right_way() {
        let mut next = noise(1);
        let found = measured(60, |_| {
            let (lr, width, seed) = (10f64.powf(-4.0 * next()), (next() * 8.0).floor(), next());
            let value = -lr.log10() * 2.0 + width * 0.2 + next() * 0.1;
            (
                vec![
                    ("lr", lr.to_string()),
                    ("width", width.to_string()),
                    ("seed", seed.to_string()),
                    ("fixed", "1".to_owned()),
                ],
                value,
            )
        })
        .unwrap();
        let names: Vec<&str> = found.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["lr", "width", "seed"], "{found:?}");
        assert!(
            found.explained > 0.9 && found.parameters[0].share > 0.8 && found.parameters[2].share < 0.02,
            "{found:?}"
        );
        let correlations: Vec<f64> = found.parameters.iter().map(|parameter| parameter.correlation.unwrap()).collect();
        assert!(correlations[0] < -0.9 && correlations[1] > 0.1 && correlations[2].abs() < 0.4, "{correlations:?}");
        assert!((found.parameters.iter().map(|parameter| parameter.share).sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn an_optimum_in_the_middle_is_seen() {
        let mut next = noise(2);
        let found = measured(50, |_| {
            let (lr, other) = (next(), next());
            (vec![("lr", lr.to_string()), ("other", other.to_string())], -(lr - 0.5).powi(2))
        })
        .unwrap();
        assert_eq!(found.parameters[0].name, "lr");
        assert!(found.parameters[0].share > 0.9 && found.parameters[0].correlation.unwrap().abs() < 0.4, "{found:?}");
    }

    #[test]
    fn words_count_too() {
        let mut next = noise(3);
        let words = ["adam", "sgd", "rmsprop"];
        let found = measured(40, |trial| {
            let optimizer = trial * 7 % 3;
            let params = vec![("optimizer", words[optimizer].to_owned()), ("dropout", next().to_string())];
            (params, [0.9, 0.5, 0.7][optimizer] + next() * 0.01)
        })
        .unwrap();
        assert_eq!((found.parameters[0].name.as_str(), found.parameters[0].correlation), ("optimizer", None));
        assert!(found.parameters[0].share > 0.9, "{found:?}");
    }

    #[test]
    fn chance_explains_nothing() {
        let mut next = noise(4);
        let found = measured(80, |_| (vec![("a", next().to_string()), ("b", next().to_string())], next())).unwrap();
        assert!(found.explained < 0.1, "{found:?}");
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(measured(7, |trial| (vec![("a", trial.to_string())], trial as f64)), None);
        assert_eq!(measured(20, |trial| (vec![("a", trial.to_string())], 1.0)), None);
        assert_eq!(measured(20, |trial| (vec![("a", "1".to_owned())], trial as f64)), None);
        assert_eq!(measured(20, |trial| (Vec::new(), trial as f64)), None);
        // What only some trials have differs between those that have it and those that do not.
        let some = measured(20, |trial| {
            (if trial % 2 == 0 { vec![("a", "1".to_owned())] } else { Vec::new() }, (trial % 2) as f64)
        });
        assert!(some.is_some_and(|found| found.parameters.len() == 1 && found.explained > 0.8));
    }

    #[test]
    fn ranks_are_shared_by_what_is_equal() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        assert_eq!(standardized(&[1.0, 3.0]), Some(vec![-1.0, 1.0]));
        assert_eq!((standardized(&[2.0, 2.0]), standardized(&[])), (None, None));
    }
}
