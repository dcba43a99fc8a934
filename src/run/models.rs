//! Models that MLflow's client logged, beside the runs in `refs/ml/runs`.
//!
//! The tree has `models/<last two digits of the id>/<id>/model.toml` for each. Until the client says that a model is
//! complete, its files are in `live/<id>/artifacts`; then they become an artifact of the store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::ledger::{self, Change};
use super::{RunError, RunOutput};
use crate::git::{Identity, TreeEdit};
use crate::id::{ArtifactId, CommitId, LoggedModelId};
use crate::track::Workspace;

/// The start of the line that tells, in the message of a commit, of which logged model it is and that it is of no run.
pub const COMMIT_LINE: &str = "logged model ";
/// The folder of all logged models in the tree.
pub const MODELS_FOLDER: &str = "models";
/// The record in a model's folder.
pub const MODEL_RECORD: &str = "model.toml";
/// Bytes a record may have.
pub const MAX_MODEL_RECORD: u64 = 16 << 20;
/// Metrics that a model keeps; of more the oldest go. The runs that logged them have them all.
const MAX_METRICS: usize = 1000;

/// How a logged model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelStatus {
    /// Its files are being uploaded.
    Pending,
    /// It is complete.
    Ready,
    /// The client gave up.
    Failed,
}

/// A value that some run measured of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetric {
    /// The metric.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The step.
    pub step: i64,
    /// When.
    pub time: Timestamp,
    /// The run that logged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The name of the data it was measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The digest of that data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset_digest: Option<String>,
}

/// A run that has to do with a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// The run.
    pub run: String,
    /// Whether the run made the model; otherwise it read it.
    pub is_output: bool,
    /// The step of the run at which it made the model.
    pub step: i64,
}

/// The files of a logged model, in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFiles {
    /// The artifact.
    pub id: ArtifactId,
    /// How many files it has.
    pub files: u64,
    /// Bytes of content.
    pub bytes: u64,
}

/// A model that MLflow's client logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedModel {
    /// The id.
    pub id: LoggedModelId,
    /// The name, which others may have too.
    pub name: String,
    /// The id of the experiment it belongs to.
    pub experiment: String,
    /// How it stands.
    pub status: ModelStatus,
    /// More about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// What kind of model the client says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    /// The run that made it, as the client names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it was begun.
    pub created: Timestamp,
    /// When its record last changed.
    pub updated: Timestamp,
    /// When it was removed from the lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
    /// Its files, once it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<ModelFiles>,
    /// Parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The runs that say that they read or made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<ModelUse>,
    /// What was measured of it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<ModelMetric>,
}

impl LoggedModel {
    /// The files as an output of the run that made the model.
    pub fn output(&self) -> Option<RunOutput> {
        let files = self.files.clone()?;
        let artifact_type = "model".to_owned();
        Some(RunOutput {
            name: self.name.clone(),
            artifact_type,
            id: files.id,
            files: files.files,
            bytes: files.bytes,
            path: None,
        })
    }

    /// Takes in what a run measured. The same again replaces what was there.
    pub fn measure(&mut self, metric: ModelMetric) {
        let key = |metric: &ModelMetric| {
            let ModelMetric { name, step, time, run, dataset, dataset_digest, .. } = metric;
            (name.clone(), *step, *time, run.clone(), dataset.clone(), dataset_digest.clone())
        };
        let new = key(&metric);
        self.metrics.retain(|known| key(known) != new);
        self.metrics.push(metric);
        let excess = self.metrics.len().saturating_sub(MAX_METRICS);
        self.metrics.drain(..excess);
    }

    fn to_toml(&self) -> Result<Vec<u8>, RunError> {
        let malformed = |problem: String| RunError::Malformed { id: self.id.to_string(), problem };
        toml::to_string(self).map(String::into_bytes).map_err(|error| malformed(error.to_string()))
    }

    /// Reads a record's file, which has to be that of the model `model_id`.
    pub fn parse(bytes: &[u8], model_id: &LoggedModelId) -> Result<Self, RunError> {
        let fail = |problem: String| RunError::Malformed { id: model_id.to_string(), problem };
        let text = std::str::from_utf8(bytes).map_err(|_| fail("it is not text".to_owned()))?;
        let model: Self = toml::from_str(text).map_err(|error| fail(error.message().to_owned()))?;
        if model.id != *model_id {
            return Err(fail(format!("it says that it is {}", model.id)));
        }
        Ok(model)
    }
}

/// The logged models of a repository.
#[derive(Debug)]
pub struct LoggedModels<'w> {
    workspace: &'w Workspace,
}

impl<'w> LoggedModels<'w> {
    /// The logged models of a repository.
    pub fn new(workspace: &'w Workspace) -> Self {
        Self { workspace }
    }

    /// The commit that has them as they are now. As long as it is the same, so are they.
    pub fn tip(&self) -> Result<Option<CommitId>, RunError> {
        ledger::tip(&self.workspace.repository)
    }

    /// All of them, removed ones too, in the order of their ids. A record that does not read is left out.
    pub fn list(&self) -> Result<Vec<LoggedModel>, RunError> {
        let repository = &self.workspace.repository;
        let Some(tip) = self.tip()? else { return Ok(Vec::new()) };
        let mut ids: Vec<LoggedModelId> = Vec::new();
        for folder in repository.list_at(&tip, MODELS_FOLDER)?.iter().filter(|entry| entry.is_folder) {
            let models = repository.list_at(&tip, &format!("{MODELS_FOLDER}/{}", folder.name))?;
            ids.extend(models.iter().filter_map(|model| model.name.parse::<LoggedModelId>().ok()));
        }
        ids.sort_unstable();
        let models: Vec<_> = ids.par_iter().map(|model_id| self.read(&tip, model_id)).collect();
        Ok(models.into_iter().filter_map(|model| model.ok().flatten()).collect())
    }

    /// One of them; none if there is none.
    pub fn get(&self, model_id: &LoggedModelId) -> Result<Option<LoggedModel>, RunError> {
        self.tip()?.map_or(Ok(None), |tip| self.read(&tip, model_id))
    }

    /// Records a new one.
    pub fn create(&self, model: &LoggedModel, author: &Identity) -> Result<(), RunError> {
        let edits = vec![edit(model)?];
        let message = message(model, "begin");
        ledger::change(self.workspace, author, &mut |_| {
            Ok(Some(Change { edits: edits.clone(), message: message.clone(), parents: Vec::new() }))
        })
    }

    /// Changes one; none if there is none.
    pub fn change(
        &self,
        model_id: &LoggedModelId,
        what: &str,
        author: &Identity,
        change: &mut dyn FnMut(&mut LoggedModel),
    ) -> Result<Option<LoggedModel>, RunError> {
        let mut changed = None;
        ledger::change(self.workspace, author, &mut |tip| {
            let Some(before) = tip.map(|tip| self.read(tip, model_id)).transpose()?.flatten() else {
                return Ok(None);
            };
            let mut model = before.clone();
            change(&mut model);
            let edits = vec![edit(&model)?];
            let message = message(&model, what);
            let is_same = model == before;
            changed = Some(model);
            Ok((!is_same).then_some(Change { edits, message, parents: Vec::new() }))
        })?;
        Ok(changed)
    }

    fn read(&self, tip: &CommitId, model_id: &LoggedModelId) -> Result<Option<LoggedModel>, RunError> {
        let bytes = self.workspace.repository.read_at(tip, &path_of(model_id), MAX_MODEL_RECORD)?;
        bytes.map(|bytes| LoggedModel::parse(&bytes, model_id)).transpose()
    }
}

fn path_of(model_id: &LoggedModelId) -> String {
    let id = model_id.to_string();
    format!("{MODELS_FOLDER}/{}/{id}/{MODEL_RECORD}", &id[id.len() - 2..])
}

fn edit(model: &LoggedModel) -> Result<TreeEdit, RunError> {
    Ok(TreeEdit { path: path_of(&model.id), content: Some(model.to_toml()?) })
}

/// The message of a commit that changes a model.
fn message(model: &LoggedModel, what: &str) -> String {
    let name: String = model.name.chars().filter(|c| !c.is_control()).take(100).collect();
    format!("{name}: {what}\n\n{COMMIT_LINE}{}\n", model.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Repository;

    fn model() -> LoggedModel {
        let time: Timestamp = "2026-11-21T08:00:00.123Z".parse().unwrap();
        LoggedModel {
            id: LoggedModelId::generate(),
            name: "iris \u{1b}\n".to_owned(),
            experiment: "0".to_owned(),
            status: ModelStatus::Pending,
            status_message: None,
            model_type: Some("sklearn".to_owned()),
            run: Some("123".to_owned()),
            created: time,
            updated: time,
            removed: None,
            files: Some(ModelFiles { id: ArtifactId::from_bytes([7; 32]), files: 2, bytes: 3 }),
            params: BTreeMap::from([("a b".to_owned(), "1".to_owned())]),
            tags: BTreeMap::new(),
            uses: vec![ModelUse { run: "123".to_owned(), is_output: true, step: 3 }],
            metrics: vec![ModelMetric {
                name: "accuracy".to_owned(),
                value: f64::INFINITY,
                step: -1,
                time,
                run: None,
                dataset: Some("train".to_owned()),
                dataset_digest: None,
            }],
        }
    }

    #[test]
    fn a_record_round_trips_and_is_of_its_model() {
        let model = model();
        let bytes = model.to_toml().unwrap();
        assert_eq!(LoggedModel::parse(&bytes, &model.id).unwrap(), model);
        assert!(LoggedModel::parse(&bytes, &LoggedModelId::generate()).is_err());
        assert!(LoggedModel::parse(b"\xff", &model.id).is_err());
    }

    #[test]
    fn the_same_measurement_counts_once_and_there_is_a_bound() {
        let mut model = model();
        let metric = model.metrics[0].clone();
        model.measure(ModelMetric { value: 0.5, ..metric.clone() });
        assert_eq!((model.metrics.len(), model.metrics[0].value), (1, 0.5));
        for step in 0..MAX_METRICS as i64 {
            model.measure(ModelMetric { step, ..metric.clone() });
        }
        assert_eq!((model.metrics.len(), model.metrics[0].step), (MAX_METRICS, 0));
    }

    #[test]
    fn models_are_kept_beside_the_runs() {
        let folder = tempfile::tempdir().unwrap();
        Repository::init(folder.path()).unwrap();
        let workspace = Workspace::discover(folder.path()).unwrap();
        let author = workspace.repository.identity_or_host("ada", "laptop");
        let models = LoggedModels::new(&workspace);
        assert_eq!(models.list().unwrap(), []);
        let first = model();
        models.create(&first, &author).unwrap();
        models.create(&model(), &author).unwrap();
        assert_eq!(models.get(&first.id).unwrap().as_ref(), Some(&first));
        let tag = &mut |model: &mut LoggedModel| drop(model.tags.insert("key".to_owned(), "value".to_owned()));
        let changed = models.change(&first.id, "tag", &author, tag).unwrap().unwrap();
        assert_eq!(changed.tags["key"], "value");
        let tip = models.tip().unwrap();
        models.change(&first.id, "tag", &author, tag).unwrap();
        assert_eq!(models.tip().unwrap(), tip, "nothing changed, so there is no commit");
        assert_eq!(models.list().unwrap().len(), 2);
        assert_eq!(models.change(&LoggedModelId::generate(), "tag", &author, tag).unwrap(), None);
        let (runs, errors) = super::super::Runs::new(&workspace).list().unwrap();
        assert!(runs.is_empty() && errors.is_empty(), "a logged model is no run");
    }
}
