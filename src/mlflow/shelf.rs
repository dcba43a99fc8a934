//! What the server remembers of models, as long as nothing changed.

use std::sync::{Arc, Mutex, PoisonError};

use super::Server;
use super::error::ApiError;
use super::form::{ExperimentForm, artifact_uri};
use super::registry::error_of;
use crate::git::Identity;
use crate::id::{CommitId, RunId};
use crate::registry::{Kind, Model, REGISTRY_REF};
use crate::run::{LoggedModel, LoggedModels};

/// A list as it was at some commit.
type Remembered<T> = Mutex<Option<(Option<CommitId>, Arc<Vec<T>>)>>;

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    models: Remembered<Model>,
    logged: Remembered<LoggedModel>,
}

fn remembered<T>(
    shelf: &Remembered<T>,
    tip: Option<CommitId>,
    read: impl FnOnce() -> Result<Vec<T>, ApiError>,
) -> Result<Arc<Vec<T>>, ApiError> {
    let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, list)) = &*shelf
        && *known == tip
    {
        return Ok(Arc::clone(list));
    }
    let list = Arc::new(read()?);
    *shelf = Some((tip, Arc::clone(&list)));
    Ok(list)
}

impl Server {
    /// Who makes changes: the user that git knows, else the one who serves.
    pub(super) fn author(&self) -> Identity {
        self.workspace.repository.identity_or_host(&self.user, &self.machine)
    }

    /// The id of a run that has to be there, and the place of its artifacts for clients.
    pub(super) fn run_and_artifact_uri(&self, run_id: &str) -> Result<(RunId, String), ApiError> {
        let run = self.tracking.get(run_id)?;
        let experiment = self.experiments.of(run.experiment.as_deref())?;
        Ok((run.id, artifact_uri(&run, &ExperimentForm::new(&experiment))))
    }

    /// The place of an experiment's artifacts for clients.
    pub(super) fn experiment_location(&self, id: &str) -> String {
        let known = self.experiments.get(&self.tracking, id);
        let location = known.map(|experiment| ExperimentForm::new(&experiment).artifact_location);
        location
            .map_or_else(|_| format!("mlflow-artifacts:/{id}"), |location| location.trim_end_matches('/').to_owned())
    }

    /// All registered models.
    pub(super) fn models(&self) -> Result<Arc<Vec<Model>>, ApiError> {
        let tip = self.workspace.repository.read_ref(REGISTRY_REF)?;
        remembered(&self.shelf.models, tip, || {
            let mut models = self.registry().survey().map_err(error_of)?.models;
            // MLflow knows no registered data sets.
            models.retain(|model| model.about.kind == Kind::Model);
            Ok(models)
        })
    }

    /// All logged models.
    pub(super) fn logged_models(&self) -> Result<Arc<Vec<LoggedModel>>, ApiError> {
        let models = LoggedModels::new(&self.workspace);
        let tip = models.tip()?;
        remembered(&self.shelf.logged, tip, || Ok(models.list()?))
    }
}
