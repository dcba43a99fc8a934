//! Sweeps and their trials, as they are made of runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::id::RunId;
use crate::run::{MetricSummary, Objective, Run, RunStatus};

/// Parameters of a trial that are kept: a configuration may have thousands.
const MAX_PARAMS: usize = 200;

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Trial {
    pub(in crate::tui) run_id: RunId,
    pub(in crate::tui) name: String,
    pub(in crate::tui) status: RunStatus,
    pub(in crate::tui) started: Timestamp,
    /// Wall seconds of a trial that ended.
    pub(in crate::tui) seconds: Option<f64>,
    pub(in crate::tui) params: BTreeMap<String, String>,
    pub(in crate::tui) metrics: BTreeMap<String, MetricSummary>,
}

/// A search over parameters.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Sweep {
    /// What the trials call it.
    pub(in crate::tui) id: String,
    /// What people call it: of a run's trials, that run's name.
    pub(in crate::tui) name: String,
    /// What the trials say that they search for.
    pub(in crate::tui) objective: Option<Objective>,
    /// The trials, the first one first.
    pub(in crate::tui) trials: Arc<Vec<Trial>>,
}

impl Trial {
    fn of(run: &Run) -> Self {
        // Fixed and odd ones may go where there are too many; the rest are in order, so that trials keep the same ones.
        let params = run.params.iter().take(MAX_PARAMS).map(|(name, value)| (name.clone(), value.clone()));
        let is_own = |name: &str| !name.starts_with("system.") && !name.starts_with("system/");
        let metrics = run.metrics.iter().filter(|(name, _)| is_own(name));
        Self {
            run_id: run.id,
            name: run.name.clone(),
            status: run.status,
            started: run.started,
            seconds: run.duration_s,
            params: params.collect(),
            metrics: metrics.map(|(name, metric)| (name.clone(), *metric)).collect(),
        }
    }

    /// What it reached.
    pub(in crate::tui) fn value(&self, objective: &Objective) -> Option<f64> {
        objective.value(self.metrics.get(&objective.metric))
    }
}

/// The sweeps that runs are trials of, the one with the newest trial first.
pub(in crate::tui) fn sweeps_of<'r>(runs: impl Iterator<Item = &'r Run> + Clone) -> Vec<Sweep> {
    let mut found: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs.clone() {
        if let Some(sweep) = run.sweep() {
            found.entry(sweep).or_default().push(run);
        }
    }
    let ids: BTreeSet<&str> = found.keys().copied().collect();
    // Of MLflow's searches the trials name a run.
    let parents: BTreeMap<String, &str> =
        runs.map(|run| (run.id.to_string(), run.name.as_str())).filter(|(id, _)| ids.contains(id.as_str())).collect();
    let mut sweeps: Vec<Sweep> = found
        .into_iter()
        .map(|(id, mut runs)| {
            runs.sort_by_key(|run| (run.started, run.id));
            let objective = runs.iter().rev().find_map(|run| run.objective());
            let name = parents.get(id).map_or(id, |name| *name).to_owned();
            let trials = Arc::new(runs.into_iter().map(Trial::of).collect());
            Sweep { id: id.to_owned(), name, objective, trials }
        })
        .collect();
    sweeps.sort_by_key(|sweep| std::cmp::Reverse(sweep.trials.last().map(|trial| (trial.started, trial.run_id))));
    sweeps
}

impl Sweep {
    /// The metrics that can be what is searched for, the likeliest first.
    pub(in crate::tui) fn metrics(&self) -> Vec<String> {
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        self.trials
            .iter()
            .flat_map(|trial| trial.metrics.keys())
            .for_each(|name| *counts.entry(name).or_default() += 1);
        let said = self.objective.as_ref().map(|objective| objective.metric.as_str());
        let rank = |name: &str| match name {
            _ if Some(name) == said => 0,
            "val_accuracy" => 1,
            "val_loss" => 2,
            "test_accuracy" => 3,
            "test_loss" => 4,
            _ if name.starts_with("val") || name.starts_with("eval") || name.starts_with("test") => 5,
            _ if name.starts_with("train") => 7,
            "epoch" | "lr" | "learning_rate" | "step" => 8,
            _ => 6,
        };
        let mut names: Vec<(&String, usize)> = counts.into_iter().collect();
        names.sort_by_key(|(name, count)| (rank(name), std::cmp::Reverse(*count), (*name).clone()));
        names.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// What a metric is as an objective: in the direction that the trials say, if they are about it.
    pub(in crate::tui) fn objective_of(&self, metric: &str) -> Objective {
        let said = self.objective.as_ref().filter(|objective| objective.metric == metric);
        said.cloned().unwrap_or_else(|| Objective::of_metric(metric))
    }

    /// The parameters that differ between trials.
    pub(in crate::tui) fn varied(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.trials.iter().flat_map(|trial| trial.params.keys()).collect();
        let first = self.trials.first();
        let differs = |name: &&String| {
            let value = first.and_then(|trial| trial.params.get(*name));
            self.trials.iter().any(|trial| trial.params.get(*name) != value)
        };
        names.into_iter().filter(differs).cloned().collect()
    }

    /// The place of the best trial.
    pub(in crate::tui) fn best(&self, objective: &Objective) -> Option<usize> {
        let values = self.trials.iter().enumerate().filter_map(|(place, trial)| Some((place, trial.value(objective)?)));
        let better =
            |best: (usize, f64), next: (usize, f64)| if objective.is_better(next.1, best.1) { next } else { best };
        values.reduce(better).map(|(place, _)| place)
    }

    /// The best value after each trial; none before the first that has one.
    pub(in crate::tui) fn best_so_far(&self, objective: &Objective) -> Vec<Option<f64>> {
        let mut best = None;
        let next = |trial: &Trial| {
            if let Some(value) = trial.value(objective)
                && best.is_none_or(|best| objective.is_better(value, best))
            {
                best = Some(value);
            }
            best
        };
        self.trials.iter().map(next).collect()
    }

    /// The places of the trials, the best first; those without a value at the end, in order.
    pub(in crate::tui) fn ranking(&self, objective: &Objective) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.trials.len()).collect();
        let key = |place: &usize| {
            let value = self.trials[*place].value(objective)?;
            Some(if objective.is_minimized { value } else { -value })
        };
        places.sort_by(|one, other| match (key(one), key(other)) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            (one, other) => other.is_some().cmp(&one.is_some()),
        });
        places
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::run::{OBJECTIVE_TAG, Point};

    /// A trial of the sweep `sweep` that reached `value`, or nothing.
    pub(in crate::tui) fn trial(sweep: &str, number: u8, params: &[(&str, String)], value: Option<f64>) -> Run {
        let time = Timestamp::from_second(1_000_000 + i64::from(number) * 60).unwrap();
        let mut run = Run::begun(RunId::from_bytes([number; 16]), time);
        run.name = format!("trial-{number}");
        run.status = if value.is_some() { RunStatus::Finished } else { RunStatus::Failed };
        run.duration_s = Some(30.0);
        run.tags.insert("sweep".to_owned(), sweep.to_owned());
        run.params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        if let Some(value) = value {
            let points = [Point { step: 1, time, value }];
            run.metrics.insert("val_loss".to_owned(), MetricSummary::of("val_loss", &points).unwrap());
            run.metrics.insert("train_loss".to_owned(), MetricSummary::of("train_loss", &points).unwrap());
        }
        run
    }

    fn values() -> Vec<Run> {
        let of = |(number, value): (usize, &Option<f64>)| {
            let number = u8::try_from(number).unwrap() + 1;
            trial("lr", number, &[("lr", format!("0.{number}")), ("seed", "1".to_owned())], *value)
        };
        [Some(0.5), None, Some(0.3), Some(f64::NAN), Some(0.4)].iter().enumerate().map(of).collect()
    }

    #[test]
    fn runs_with_the_tag_are_trials() {
        let mut runs = values();
        runs.reverse();
        runs.push(trial("older", 0, &[], Some(1.0)));
        runs.push(Run::begun(RunId::generate(), Timestamp::UNIX_EPOCH));
        let sweeps = sweeps_of(runs.iter());
        let names: Vec<(&str, usize)> = sweeps.iter().map(|sweep| (sweep.name.as_str(), sweep.trials.len())).collect();
        assert_eq!(names, [("lr", 5), ("older", 1)]);
        assert_eq!(sweeps[0].trials[0].name, "trial-1");
        assert_eq!(sweeps[0].varied(), ["lr"]);
        assert_eq!(sweeps[0].metrics(), ["val_loss", "train_loss"]);
    }

    #[test]
    fn the_best_is_never_what_is_not_a_number() {
        let runs = values();
        let sweep = sweeps_of(runs.iter()).remove(0);
        let objective = sweep.objective_of("val_loss");
        assert!(objective.is_minimized);
        assert_eq!(sweep.best(&objective), Some(2));
        assert_eq!(sweep.best_so_far(&objective), [Some(0.5), Some(0.5), Some(0.3), Some(0.3), Some(0.3)]);
        assert_eq!(sweep.ranking(&objective), [2, 4, 0, 1, 3]);
        let none = sweep.objective_of("nothing");
        assert_eq!((sweep.best(&none), sweep.ranking(&none)), (None, vec![0, 1, 2, 3, 4]));
    }

    #[test]
    fn trials_say_what_they_search_for_and_who_began_them() {
        let parent = Run::begun(RunId::generate(), Timestamp::UNIX_EPOCH);
        let mut run = trial("", 3, &[], Some(1.0));
        run.tags.insert("mlflow.parentRunId".to_owned(), parent.id.to_string());
        run.tags.insert(OBJECTIVE_TAG.to_owned(), "maximize train_loss".to_owned());
        let runs = [parent, run];
        let sweep = sweeps_of(runs.iter()).remove(0);
        assert_eq!((sweep.name.as_str(), sweep.metrics()[0].as_str()), (runs[0].name.as_str(), "train_loss"));
        assert!(!sweep.objective_of("train_loss").is_minimized && sweep.objective_of("val_loss").is_minimized);
    }
}
