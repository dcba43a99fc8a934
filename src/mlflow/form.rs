//! Runs and experiments as MLflow's clients read them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::datasets::{ModelForm, ModelUses};
use super::message::Number;
use crate::run::{Experiment, Run, RunDataset, RunStatus};

/// The tag that is a run's name.
pub(super) const RUN_NAME: &str = "mlflow.runName";
/// The tag that is a run's note.
pub(super) const NOTE: &str = "mlflow.note.content";
/// The tag that says who ran it.
pub(super) const USER: &str = "mlflow.user";
/// The tag that says what was run.
pub(super) const SOURCE_NAME: &str = "mlflow.source.name";
/// The tag that says what kind of thing was run.
const SOURCE_TYPE: &str = "mlflow.source.type";
/// The tag that says which commit was run.
pub(super) const SOURCE_COMMIT: &str = "mlflow.source.git.commit";

/// A name with a value.
#[derive(Debug, Serialize)]
pub(super) struct Pair<'r> {
    pub(super) key: &'r str,
    pub(super) value: &'r str,
}

/// Milliseconds since 1970.
pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// The time that is so many milliseconds after 1970; none where there is no such time.
pub(super) fn time_of(millis: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok()
}

/// MLflow's word for how a run stands.
pub(super) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "RUNNING",
        RunStatus::Finished => "FINISHED",
        RunStatus::Failed | RunStatus::Crashed => "FAILED",
        RunStatus::Killed => "KILLED",
    }
}

/// MLflow's word for whether something was removed.
pub(super) fn stage(is_removed: bool) -> &'static str {
    if is_removed { "deleted" } else { "active" }
}

/// The place of a run's artifacts.
pub(super) fn artifact_uri(run: &Run, experiment: &ExperimentForm) -> String {
    format!("{}/{}/artifacts", experiment.artifact_location.trim_end_matches('/'), run.id)
}

/// A run, with the experiment that it belongs to.
#[derive(Debug, Serialize)]
pub(super) struct RunForm<'r> {
    info: RunInfo<'r>,
    data: RunData<'r>,
    inputs: RunInputs<'r>,
    #[serde(skip_serializing_if = "RunOutputs::is_empty")]
    outputs: RunOutputs<'r>,
}

impl<'r> RunForm<'r> {
    pub(super) fn new(run: &'r Run, experiment: &'r ExperimentForm, uses: &'r ModelUses) -> Self {
        let info = RunInfo::new(run, experiment);
        Self {
            info,
            data: RunData { metrics: Metrics(run), params: Params(run), tags: Tags(run) },
            inputs: RunInputs::of(run, uses),
            outputs: RunOutputs { model_outputs: uses.made_by(run) },
        }
    }
}

/// What a run is, without what it logged.
#[derive(Debug, Serialize)]
pub(super) struct RunInfo<'r> {
    run_uuid: String,
    experiment_id: &'r str,
    run_name: &'r str,
    user_id: &'r str,
    status: &'static str,
    start_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    artifact_uri: String,
    lifecycle_stage: &'static str,
    run_id: String,
}

impl<'r> RunInfo<'r> {
    pub(super) fn new(run: &'r Run, experiment: &'r ExperimentForm) -> Self {
        let run_id = run.id.to_string();
        Self {
            run_uuid: run_id.clone(),
            experiment_id: &experiment.experiment_id,
            run_name: &run.name,
            user_id: &run.user,
            status: status_word(run.status),
            start_time: millis(run.started),
            end_time: run.ended.map(millis),
            artifact_uri: artifact_uri(run, experiment),
            // The runs of an experiment go and come back with it.
            lifecycle_stage: stage(run.removed.is_some() || experiment.lifecycle_stage != stage(false)),
            run_id,
        }
    }
}

#[derive(Debug, Serialize)]
struct RunData<'r> {
    #[serde(skip_serializing_if = "Metrics::is_empty")]
    metrics: Metrics<'r>,
    #[serde(skip_serializing_if = "Params::is_empty")]
    params: Params<'r>,
    tags: Tags<'r>,
}

#[derive(Debug)]
struct Metrics<'r>(&'r Run);

impl Metrics<'_> {
    fn is_empty(&self) -> bool {
        self.0.metrics.is_empty()
    }
}

/// A point of a metric.
#[derive(Debug, Serialize)]
pub(super) struct MetricForm<'r> {
    pub(super) key: &'r str,
    pub(super) value: Number,
    pub(super) timestamp: i64,
    pub(super) step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<&'r str>,
}

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.metrics.iter().map(|(key, summary)| MetricForm {
            key,
            value: Number(summary.last),
            timestamp: millis(summary.last_time),
            step: summary.last_step,
            run_id: None,
        }))
    }
}

#[derive(Debug)]
struct Params<'r>(&'r Run);

impl Params<'_> {
    fn is_empty(&self) -> bool {
        self.0.params.is_empty()
    }
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.params.iter().map(|(key, value)| Pair { key, value }))
    }
}

#[derive(Debug)]
struct Tags<'r>(&'r Run);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for (key, value) in &self.0.tags {
            list.serialize_element(&Pair { key, value })?;
        }
        for (key, value) in facts(self.0) {
            list.serialize_element(&Pair { key, value: &value })?;
        }
        list.end()
    }
}

/// What MLflow keeps in tags and a record of ours in fields of their own.
fn facts(run: &Run) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let mut facts: Vec<(&'static str, Cow<'_, str>)> = vec![(RUN_NAME, Cow::Borrowed(&run.name))];
    facts.extend(run.note.as_deref().map(|note| (NOTE, Cow::Borrowed(note))));
    // A run that a client began says of itself what it wants to be known.
    if !run.command.is_empty() {
        facts.push((USER, Cow::Borrowed(&run.user)));
        facts.push((SOURCE_NAME, Cow::Owned(run.command.join(" "))));
        facts.push((SOURCE_TYPE, Cow::Borrowed("LOCAL")));
        facts.extend(run.commit.map(|commit| (SOURCE_COMMIT, Cow::Owned(commit.to_string()))));
    }
    facts.into_iter().filter(|(key, _)| !run.tags.contains_key(*key))
}

/// The value of a run's tag, also where a record of ours keeps it elsewhere.
pub(super) fn tag_value<'r>(run: &'r Run, key: &str) -> Option<Cow<'r, str>> {
    let own = || facts(run).find(|(known, _)| *known == key).map(|(_, value)| value);
    run.tags.get(key).map(|value| Cow::Borrowed(value.as_str())).or_else(own)
}

#[derive(Debug, Serialize)]
struct RunInputs<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_inputs: Vec<DatasetInput<'r>>,
    #[serde(skip_serializing_if = "<[ModelForm]>::is_empty")]
    model_inputs: &'r [ModelForm],
}

#[derive(Debug, Serialize)]
struct RunOutputs<'r> {
    model_outputs: &'r [ModelForm],
}

impl RunOutputs<'_> {
    fn is_empty(&self) -> bool {
        self.model_outputs.is_empty()
    }
}

#[derive(Debug, Serialize)]
struct DatasetInput<'r> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'r>>,
    dataset: DatasetForm<'r>,
}

#[derive(Debug, Serialize)]
struct DatasetForm<'r> {
    name: &'r str,
    digest: &'r str,
    source_type: &'r str,
    source: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'r str>,
}

impl<'r> RunInputs<'r> {
    fn of(run: &'r Run, uses: &'r ModelUses) -> Self {
        let input = |dataset: &'r RunDataset| DatasetInput {
            tags: dataset.tags.iter().map(|(key, value)| Pair { key, value }).collect(),
            dataset: DatasetForm {
                name: &dataset.name,
                digest: &dataset.digest,
                source_type: &dataset.source_type,
                source: &dataset.source,
                schema: dataset.schema.as_deref(),
                profile: dataset.profile.as_deref(),
            },
        };
        Self { dataset_inputs: run.datasets.iter().map(input).collect(), model_inputs: uses.read_by(run) }
    }
}

/// An experiment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ExperimentForm {
    pub(super) experiment_id: String,
    pub(super) name: String,
    pub(super) artifact_location: String,
    pub(super) lifecycle_stage: &'static str,
    pub(super) last_update_time: i64,
    pub(super) creation_time: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<OwnedPair>,
}

/// A name with a value.
#[derive(Debug, Clone, Serialize)]
pub(super) struct OwnedPair {
    pub(super) key: String,
    pub(super) value: String,
}

impl ExperimentForm {
    pub(super) fn new(experiment: &Experiment) -> Self {
        let own = || format!("mlflow-artifacts:/{}", experiment.id);
        let tags = experiment.tags.iter().map(|(key, value)| OwnedPair { key: key.clone(), value: value.clone() });
        Self {
            experiment_id: experiment.id.clone(),
            name: experiment.name.clone(),
            artifact_location: experiment.artifact_location.clone().unwrap_or_else(own),
            lifecycle_stage: stage(experiment.removed.is_some()),
            last_update_time: millis(experiment.updated),
            creation_time: millis(experiment.created),
            tags: tags.collect(),
        }
    }
}
