//! What runs read and made: data sets as clients describe them, and logged models.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::Server;
use super::error::{ApiError, Code};
use super::http::{Call, Reply};
use super::message::{Field, Kind, Whole, need, optional, or_default, required};
use super::registry::Pair;
use super::runs::{check_run_active, name_in_runs};
use crate::id::{LoggedModelId, RunId};
use crate::run::{LoggedModels, ModelUse, Run, RunChange, RunDataset};

/// Experiments that a search for data sets may name.
const MAX_EXPERIMENTS: usize = 20;
/// Data sets that a search finds at most.
const MAX_SUMMARIES: usize = 1000;
/// The tag of a data set that says what it was used for.
const CONTEXT_TAG: &str = "mlflow.data.context";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    #[serde(deserialize_with = "or_default")]
    run_id: String,
    #[serde(deserialize_with = "or_default")]
    datasets: Vec<DatasetInput>,
    #[serde(deserialize_with = "or_default")]
    models: Vec<ModelRef>,
    #[serde(deserialize_with = "or_default")]
    experiment_ids: Vec<String>,
}

const FIELDS: &[Field] = &[
    required("run_id", Kind::Text),
    optional("datasets", Kind::List),
    optional("models", Kind::List),
    optional("experiment_ids", Kind::Texts),
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct DatasetInput {
    #[serde(deserialize_with = "or_default")]
    tags: Vec<Pair>,
    #[serde(deserialize_with = "or_default")]
    dataset: Dataset,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Dataset {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    digest: String,
    #[serde(deserialize_with = "or_default")]
    source_type: String,
    #[serde(deserialize_with = "or_default")]
    source: String,
    schema: Option<String>,
    profile: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ModelRef {
    #[serde(deserialize_with = "or_default")]
    model_id: String,
    step: Option<Whole>,
}

/// A logged model that a run read or made, as MLflow has it.
#[derive(Debug, Serialize)]
pub(super) struct ModelForm {
    model_id: String,
    /// Of what a run made only.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<i64>,
}

/// The logged models that runs read and made, by the runs' ids.
#[derive(Debug, Default)]
pub(super) struct ModelUses {
    read: HashMap<String, Vec<ModelForm>>,
    made: HashMap<String, Vec<ModelForm>>,
}

impl ModelUses {
    /// Those that a run read.
    pub(super) fn read_by(&self, run: &Run) -> &[ModelForm] {
        if self.read.is_empty() { &[] } else { self.read.get(&run.id.to_string()).map_or(&[], Vec::as_slice) }
    }

    /// Those that a run made.
    pub(super) fn made_by(&self, run: &Run) -> &[ModelForm] {
        if self.made.is_empty() { &[] } else { self.made.get(&run.id.to_string()).map_or(&[], Vec::as_slice) }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Summary {
    experiment_id: String,
    name: String,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<String>,
}

#[derive(Debug, Serialize)]
struct SummariesReply {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dataset_summaries: Vec<Summary>,
}

impl DatasetInput {
    fn checked(self) -> Result<RunDataset, ApiError> {
        let Dataset { name, digest, source_type, source, schema, profile } = self.dataset;
        for (field, value, most) in [
            ("name", Some(&name), 500),
            ("digest", Some(&digest), 36),
            ("source", Some(&source), 65_535),
            ("schema", schema.as_ref(), 1_048_575),
            ("profile", profile.as_ref(), 16_777_215),
        ] {
            if value.is_some_and(|value| value.len() > most) {
                let message = format!("Dataset {field} exceeds the maximum length of {most}");
                return Err(ApiError::invalid(message));
            }
        }
        need("name", &name)?;
        need("digest", &digest)?;
        let tags = self.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
        Ok(RunDataset { name, digest, source_type, source, schema, profile, tags })
    }
}

impl Server {
    /// The logged models that runs read and made.
    pub(super) fn model_uses(&self) -> Result<ModelUses, ApiError> {
        let mut uses = ModelUses::default();
        for model in self.logged_models()?.iter() {
            for known in &model.uses {
                let of_run = if known.is_output { &mut uses.made } else { &mut uses.read };
                let step = known.is_output.then_some(known.step);
                of_run.entry(known.run.clone()).or_default().push(ModelForm { model_id: model.id.to_string(), step });
            }
        }
        Ok(uses)
    }

    /// Writes down that a run read or made models. Of models that are not there nothing is kept.
    fn note_uses(&self, run_id: &RunId, models: &[ModelRef], is_output: bool) -> Result<(), ApiError> {
        for model in models {
            let Ok(model_id) = model.model_id.parse::<LoggedModelId>() else { continue };
            let step = model.step.unwrap_or_default().0;
            let new = ModelUse { run: run_id.to_string(), is_output, step };
            LoggedModels::new(&self.workspace).change(&model_id, "use", &self.author(), &mut |model| {
                if !model.uses.contains(&new) {
                    model.uses.push(new.clone());
                }
            })?;
        }
        Ok(())
    }
}

pub(super) fn log_inputs(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: Request = call.message(FIELDS)?;
    let datasets: Vec<RunDataset> =
        request.datasets.into_iter().map(DatasetInput::checked).collect::<Result<_, _>>()?;
    let run = server.tracking.change(need("run_id", &request.run_id)?, &mut |run| {
        check_run_active(server, run)?;
        let change = RunChange { datasets: datasets.clone(), ..RunChange::default() };
        Ok((!datasets.is_empty()).then_some(change))
    })?;
    server.note_uses(&run.id, &request.models, false)?;
    Ok(Reply::empty())
}

pub(super) fn log_outputs(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: Request = call.message(FIELDS)?;
    let run = server.tracking.get(need("run_id", &request.run_id)?)?;
    check_run_active(server, &run)?;
    server.note_uses(&run.id, &request.models, true)?;
    Ok(Reply::empty())
}

pub(super) fn search(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: Request = call.message(&[optional("experiment_ids", Kind::Texts)])?;
    let ids = &request.experiment_ids;
    if ids.is_empty() {
        return Err(ApiError::invalid("SearchDatasets request must specify at least one experiment_id."));
    }
    if ids.len() > MAX_EXPERIMENTS {
        return Err(ApiError::invalid(format!(
            "SearchDatasets request cannot specify more than {MAX_EXPERIMENTS} experiment_ids. Received {} \
             experiment_ids.",
            ids.len()
        )));
    }
    let mut names: HashMap<Option<String>, &str> = HashMap::new();
    for id in ids {
        match server.experiments.get(&server.tracking, id) {
            Ok(experiment) => drop(names.insert(name_in_runs(&experiment).map(str::to_owned), id)),
            Err(error) if error.code == Code::ResourceDoesNotExist => {}
            Err(error) => return Err(error),
        }
    }
    let mut found = BTreeSet::new();
    for run in server.tracking.all()?.iter().filter(|run| run.removed.is_none()) {
        let Some(experiment_id) = names.get(&run.experiment) else { continue };
        for dataset in &run.datasets {
            found.insert(Summary {
                experiment_id: (*experiment_id).to_owned(),
                name: dataset.name.clone(),
                digest: dataset.digest.clone(),
                context: dataset.tags.get(CONTEXT_TAG).cloned(),
            });
        }
    }
    Ok(Reply::json(&SummariesReply { dataset_summaries: found.into_iter().take(MAX_SUMMARIES).collect() }))
}
