//! Runs: begun, changed, ended, removed and brought back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Server;
use super::error::ApiError;
use super::experiments::check_active;
use super::form::{
    ExperimentForm, NOTE, RUN_NAME, RunForm, RunInfo, SOURCE_COMMIT, SOURCE_NAME, USER, tag_value, time_of,
};
use super::http::{Call, Reply};
use super::message::{Field, Kind, Whole, invalid_value, need, optional, or_default, required};
use super::validate;
use crate::id::RunId;
use crate::run::{DEFAULT_EXPERIMENT, Experiment, Run, RunChange, RunStatus};

/// A name with a value, in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PairMessage {
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) value: String,
}

/// How a run stands, by MLflow's word or number.
#[derive(Debug, Clone, Copy)]
struct StatusMessage(RunStatus);

impl<'de> Deserialize<'de> for StatusMessage {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let status = match value.to_string().trim_matches('"') {
            // What is scheduled has been begun already, as far as we can see.
            "RUNNING" | "1" | "SCHEDULED" | "2" => RunStatus::Running,
            "FINISHED" | "3" => RunStatus::Finished,
            "FAILED" | "4" => RunStatus::Failed,
            "KILLED" | "5" => RunStatus::Killed,
            _ => return Err(serde::de::Error::custom("there is no such status")),
        };
        Ok(Self(status))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CreateMessage {
    #[serde(deserialize_with = "or_default")]
    experiment_id: String,
    #[serde(deserialize_with = "or_default")]
    user_id: String,
    #[serde(deserialize_with = "or_default")]
    run_name: String,
    start_time: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<PairMessage>,
}

/// A run with its experiment, as a reply.
pub(super) fn reply(server: &Server, run: &Run) -> Result<Reply, ApiError> {
    #[derive(Serialize)]
    struct OneRun<'r> {
        run: RunForm<'r>,
    }
    let experiment = ExperimentForm::new(&server.experiments.of(run.experiment.as_deref())?);
    Ok(Reply::json(&OneRun { run: RunForm::new(run, &experiment, &server.model_uses()?) }))
}

pub(super) fn create(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields = [
        optional("experiment_id", Kind::Text),
        optional("start_time", Kind::Whole),
        optional("run_name", Kind::Text),
        optional("tags", Kind::List),
    ];
    let message: CreateMessage = call.message(&fields)?;
    let experiment = server.experiments.get(&server.tracking, &message.experiment_id)?;
    check_active(&experiment)?;
    let mut change = RunChange::default();
    for (index, tag) in message.tags.iter().enumerate() {
        set_tag_of(&mut change, validate::tag(&tag.key, &tag.value, &format!("tags[{index}].key"))?);
    }
    let named = change.name.take();
    if let Some(named) = named.as_ref().filter(|named| !message.run_name.is_empty() && **named != message.run_name) {
        return Err(ApiError::invalid(format!(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='{}', \
             mlflow.runName='{named}').",
            message.run_name
        )));
    }
    let name = Some(message.run_name).filter(|name| !name.is_empty()).or(named);
    let started = match message.start_time.map(|time| time.0).filter(|time| *time != 0) {
        Some(time) => time_of(time).ok_or_else(|| invalid_value("start_time", &time, "It is out of range."))?,
        None => now(),
    };
    let user = Some(message.user_id).filter(|user| !user.is_empty()).or(change.user.take());
    let mut run = Run::begun(RunId::generate(), started);
    run.name = name.unwrap_or(run.name);
    run.user = user.unwrap_or_else(|| server.user.clone());
    run.host.clone_from(&server.machine);
    run.experiment = (experiment.id != "0").then(|| experiment.name.clone());
    run.note = change.note.take().filter(|note| !note.is_empty());
    run.tags = change.tags.into_iter().collect();
    let tag = |name: &str| run.tags.get(name).cloned();
    // A commit that is in this repository is more than a word.
    let commit = tag(SOURCE_COMMIT).and_then(|commit| commit.parse().ok());
    run.commit = commit.filter(|commit| server.workspace.repository.has_commit(commit));
    run.command = tag(SOURCE_NAME).into_iter().collect();
    let run = server.tracking.create(run)?;
    reply(server, &run)
}

fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Sets a tag; some of MLflow's are fields of a record of ours.
pub(super) fn set_tag_of(change: &mut RunChange, (key, value): (String, String)) {
    match key.as_str() {
        RUN_NAME => change.name = Some(value),
        NOTE => change.note = Some(value),
        USER => {
            change.user = Some(value.clone());
            change.tags.push((key, value));
        }
        _ => change.tags.push((key, value)),
    }
}

/// A message about a run that is named in either of two ways.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunMessage {
    #[serde(deserialize_with = "or_default")]
    run_id: String,
    #[serde(deserialize_with = "or_default")]
    run_uuid: String,
    status: Option<StatusMessage>,
    end_time: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    run_name: String,
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
}

impl RunMessage {
    fn run_id(&self) -> Result<&str, ApiError> {
        either(&self.run_id, &self.run_uuid)
    }
}

/// The run's id, under its old name or its new.
pub(super) fn either<'m>(run_id: &'m str, run_uuid: &'m str) -> Result<&'m str, ApiError> {
    need("run_id", if run_id.is_empty() { run_uuid } else { run_id })
}

const BY_ID: &[Field] = &[required("run_id", Kind::Text)];

pub(super) fn get(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: RunMessage = call.message(BY_ID)?;
    reply(server, &*server.tracking.get(message.run_id()?)?)
}

/// Refuses changes of a run that was removed, or whose experiment was.
pub(super) fn check_run_active(server: &Server, run: &Run) -> Result<(), ApiError> {
    let is_removed = run.removed.is_some() || server.experiments.of(run.experiment.as_deref())?.removed.is_some();
    match is_removed {
        false => Ok(()),
        true => Err(ApiError::invalid(format!(
            "The run {} must be in the 'active' state. Current state is deleted.",
            run.id
        ))),
    }
}

pub(super) fn update(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    #[derive(Serialize)]
    struct Updated<'r> {
        run_info: RunInfo<'r>,
    }
    let fields = [
        required("run_id", Kind::Text),
        optional("end_time", Kind::Whole),
        optional("status", Kind::Text),
        optional("run_name", Kind::Text),
    ];
    let message: RunMessage = call.message(&fields)?;
    let ended = match message.end_time {
        Some(Whole(time)) => {
            Some(time_of(time).ok_or_else(|| invalid_value("end_time", &time, "It is out of range."))?)
        }
        None => None,
    };
    let run = server.tracking.change(message.run_id()?, &mut |run| {
        check_run_active(server, run)?;
        let name = Some(message.run_name.clone()).filter(|name| !name.is_empty() && *name != run.name);
        let status = message.status.map(|status| status.0);
        let mut change = RunChange { name, status, ..RunChange::default() };
        if ended.is_some() && change.status.is_none() && run.status != RunStatus::Running {
            change.status = Some(run.status);
        }
        change.ended = ended.filter(|_| change.status.is_some());
        if change.status == Some(RunStatus::Running) && run.status == RunStatus::Running {
            change.status = None;
        }
        Ok((change != RunChange::default()).then_some(change))
    })?;
    let experiment = ExperimentForm::new(&server.experiments.of(run.experiment.as_deref())?);
    Ok(Reply::json(&Updated { run_info: RunInfo::new(&run, &experiment) }))
}

fn set_removed(server: &Server, call: &Call, removed: bool) -> Result<Reply, ApiError> {
    let message: RunMessage = call.message(BY_ID)?;
    server.tracking.change(message.run_id()?, &mut |run| {
        let is_same = run.removed.is_some() == removed;
        Ok((!is_same).then(|| RunChange { removed: Some(removed), ..RunChange::default() }))
    })?;
    Ok(Reply::empty())
}

pub(super) fn delete(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    set_removed(server, call, true)
}

pub(super) fn restore(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    set_removed(server, call, false)
}

pub(super) fn set_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields = [required("run_id", Kind::Text), required("key", Kind::Text), optional("value", Kind::Text)];
    let message: RunMessage = call.message(&fields)?;
    let run_id = message.run_id()?;
    let tag = validate::tag(need("key", &message.key)?, &message.value, "key")?;
    if tag.0 == RUN_NAME && tag.1.trim().is_empty() {
        return Err(ApiError::invalid("Run name must be non-empty"));
    }
    server.tracking.change(run_id, &mut |run| {
        check_run_active(server, run)?;
        if tag_value(run, &tag.0).is_some_and(|known| known == tag.1) {
            return Ok(None);
        }
        let mut change = RunChange::default();
        set_tag_of(&mut change, tag.clone());
        Ok(Some(change))
    })?;
    Ok(Reply::empty())
}

pub(super) fn delete_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: RunMessage = call.message(&[required("run_id", Kind::Text), required("key", Kind::Text)])?;
    let run_id = message.run_id()?;
    let key = need("key", &message.key)?;
    server.tracking.change(run_id, &mut |run| {
        check_run_active(server, run)?;
        if tag_value(run, key).is_none() {
            return Err(ApiError::missing(format!("No tag with name: {key} in run with id {run_id}")));
        }
        let mut change = RunChange::default();
        match key {
            NOTE => change.note = Some(String::new()),
            _ => change.untagged.push(key.to_owned()),
        }
        Ok(Some(change))
    })?;
    Ok(Reply::empty())
}

/// The names that runs of experiments have in their records: none for the default experiment.
pub(super) fn name_in_runs(experiment: &Experiment) -> Option<&str> {
    (experiment.id != "0" && experiment.name != DEFAULT_EXPERIMENT).then_some(experiment.name.as_str())
}
