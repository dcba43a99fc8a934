//! Which runs are trials of a sweep, a search over parameters.
//!
//! A tag is enough: `sweep` names the search. What other tools keep counts in its absence: `wandb.sweep`, and MLflow's
//! `mlflow.parentRunId`, since searches that log there make a run for the search and one below it for each trial. The
//! tag `sweep.objective` may say what is searched for, as `val_loss` or `maximize val_accuracy`.

use super::record::smaller_is_better;
use super::{MetricSummary, Run};

/// The tags that name a sweep, the first that a run has counts.
pub const SWEEP_TAGS: [&str; 3] = ["sweep", "wandb.sweep", "mlflow.parentRunId"];
/// The tag that says what a sweep is searching for.
pub const OBJECTIVE_TAG: &str = "sweep.objective";

/// What a search is after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objective {
    /// The metric, whose last value counts.
    pub metric: String,
    /// Whether a smaller value is better.
    pub is_minimized: bool,
}

impl Objective {
    /// A metric, its smaller or its larger values being better as its name tells.
    pub fn of_metric(metric: &str) -> Self {
        Self { metric: metric.to_owned(), is_minimized: smaller_is_better(metric) }
    }

    /// Reads `val_loss`, `minimize val_loss` or `maximize val_accuracy`; none where no metric is named.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["minimize", metric] => Some(Self { metric: (*metric).to_owned(), is_minimized: true }),
            ["maximize", metric] => Some(Self { metric: (*metric).to_owned(), is_minimized: false }),
            [metric] => Some(Self::of_metric(metric)),
            _ => None,
        }
    }

    /// The value that a trial reached; none where it has none that is a number.
    pub fn value(&self, metric: Option<&MetricSummary>) -> Option<f64> {
        metric.map(|metric| metric.last).filter(|value| value.is_finite())
    }

    /// Whether one value is better than another.
    pub fn is_better(&self, one: f64, other: f64) -> bool {
        if self.is_minimized { one < other } else { one > other }
    }
}

impl Run {
    /// The sweep that the run is a trial of; none where it is of none.
    pub fn sweep(&self) -> Option<&str> {
        let named = |tag: &&str| self.tags.get(*tag).map(String::as_str).filter(|name| !name.is_empty());
        SWEEP_TAGS.iter().find_map(named)
    }

    /// What the sweep is searching for, if the run says so.
    pub fn objective(&self) -> Option<Objective> {
        self.tags.get(OBJECTIVE_TAG).and_then(|text| Objective::parse(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunId;

    fn run(tags: &[(&str, &str)]) -> Run {
        let mut run = Run::begun(RunId::generate(), jiff::Timestamp::UNIX_EPOCH);
        run.tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        run
    }

    #[test]
    fn a_tag_makes_a_trial() {
        assert_eq!(run(&[]).sweep(), None);
        assert_eq!(run(&[("sweep", "")]).sweep(), None);
        assert_eq!(run(&[("wandb.sweep", "x1"), ("sweep", "lr")]).sweep(), Some("lr"));
        assert_eq!(run(&[("wandb.sweep", "x1")]).sweep(), Some("x1"));
        assert_eq!(run(&[("mlflow.parentRunId", "0123")]).sweep(), Some("0123"));
    }

    #[test]
    fn objectives_say_which_way_is_better() {
        let of = |text| {
            run(&[(OBJECTIVE_TAG, text)]).objective().map(|objective| (objective.metric, objective.is_minimized))
        };
        assert_eq!(of("val_loss"), Some(("val_loss".to_owned(), true)));
        assert_eq!(of("maximize val_loss"), Some(("val_loss".to_owned(), false)));
        assert_eq!(of("minimize score"), Some(("score".to_owned(), true)));
        assert_eq!(of("val_accuracy"), Some(("val_accuracy".to_owned(), false)));
        assert_eq!([of(""), of("minimize a b")], [None, None]);
    }
}
