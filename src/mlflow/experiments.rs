//! Experiments: which there are, and the endpoints for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, Code};
use super::filter::{self, Comparison};
use super::form::{ExperimentForm, millis};
use super::http::{Call, Reply};
use super::message::{Field, Kind, ViewType, Whole, need, optional, or_default, required};
use super::paging::Page;
use super::validate::{check_experiment_name, check_experiment_tag};
use super::{Server, tracking::Tracking};
use crate::id::CommitId;
use crate::run::{DEFAULT_EXPERIMENT, Experiment, RUNS_REF, RunChange};
use crate::track::Workspace;

/// The experiments that have a file in the tree of the runs, as new as `tip`.
#[derive(Debug, Default)]
pub(super) struct Kept {
    tip: Option<CommitId>,
    list: Arc<Vec<Experiment>>,
}

/// The experiments of a repository.
#[derive(Debug)]
pub(super) struct Experiments {
    workspace: Arc<Workspace>,
    kept: Mutex<Kept>,
    /// Held while experiments are changed.
    turn: Mutex<()>,
}

impl Experiments {
    pub(super) fn new(workspace: Arc<Workspace>) -> Self {
        Self { workspace, kept: Mutex::default(), turn: Mutex::default() }
    }

    fn kept(&self) -> Result<Arc<Vec<Experiment>>, ApiError> {
        let tip = self.workspace.repository.read_ref(RUNS_REF)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.tip != tip || tip.is_none() {
            *kept = Kept { tip, list: Arc::new(Experiment::all(&self.workspace)?) };
        }
        Ok(Arc::clone(&kept.list))
    }

    /// All experiments: those that have a file, the default one, and those that runs name.
    pub(super) fn all(&self, tracking: &Tracking) -> Result<Vec<Experiment>, ApiError> {
        let mut all = Vec::clone(&*self.kept()?);
        if !all.iter().any(|experiment| experiment.id == "0") {
            all.push(implied(DEFAULT_EXPERIMENT, &all));
        }
        let mut begun: HashMap<String, Timestamp> = HashMap::new();
        for run in tracking.all()? {
            let Some(name) = &run.experiment else { continue };
            match begun.get_mut(name) {
                Some(time) => *time = run.started.min(*time),
                None => drop(begun.insert(name.clone(), run.started)),
            }
        }
        let mut begun: Vec<_> = begun.into_iter().collect();
        begun.sort();
        for (name, started) in begun {
            if !all.iter().any(|experiment| experiment.name == name) {
                all.push(Experiment { created: started, updated: started, ..implied(&name, &all) });
            }
        }
        Ok(all)
    }

    /// The experiment with this id.
    pub(super) fn get(&self, tracking: &Tracking, id: &str) -> Result<Experiment, ApiError> {
        let id = if id.is_empty() { "0" } else { id };
        let number: u64 = id.trim().parse().map_err(|_| {
            ApiError::invalid(format!("Invalid experiment ID '{id}'. Experiment ID must be a valid integer."))
        })?;
        let id = number.to_string();
        let kept = self.kept()?;
        if let Some(experiment) = kept.iter().find(|experiment| experiment.id == id) {
            return Ok(experiment.clone());
        }
        if number == 0 {
            return Ok(implied(DEFAULT_EXPERIMENT, &kept));
        }
        let named = self.all(tracking)?.into_iter().find(|experiment| experiment.id == id);
        named.ok_or_else(|| ApiError::missing(format!("No Experiment with id={id} exists")))
    }

    /// The experiment that a run names.
    pub(super) fn of(&self, name: Option<&str>) -> Result<Experiment, ApiError> {
        let kept = self.kept()?;
        let known = match name {
            Some(name) => kept.iter().find(|experiment| experiment.name == name),
            None => kept.iter().find(|experiment| experiment.id == "0"),
        };
        Ok(known.cloned().unwrap_or_else(|| implied(name.unwrap_or(DEFAULT_EXPERIMENT), &kept)))
    }
}

/// An experiment that nobody made.
fn implied(name: &str, known: &[Experiment]) -> Experiment {
    let is_known = |id: &str| name != DEFAULT_EXPERIMENT && known.iter().any(|experiment| experiment.id == id);
    let experiment = Experiment::new(name, &is_known);
    Experiment { created: Timestamp::UNIX_EPOCH, updated: Timestamp::UNIX_EPOCH, ..experiment }
}

/// The error of a change to something that was removed.
pub(super) fn check_active(experiment: &Experiment) -> Result<(), ApiError> {
    match experiment.removed {
        None => Ok(()),
        Some(_) => Err(ApiError::invalid(format!(
            "The experiment {} must be in the 'active' state. Current state is deleted.",
            experiment.id
        ))),
    }
}

/// A tag in a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TagMessage {
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
}

/// What requests about one experiment have, each some of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExperimentMessage {
    #[serde(deserialize_with = "or_default")]
    experiment_id: String,
    #[serde(deserialize_with = "or_default")]
    experiment_name: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    new_name: String,
    #[serde(deserialize_with = "or_default")]
    artifact_location: String,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<TagMessage>,
    #[serde(deserialize_with = "or_default")]
    key: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
}

const BY_ID: &[Field] = &[required("experiment_id", Kind::Text)];

#[derive(Debug, Serialize)]
struct OneExperiment {
    experiment: ExperimentForm,
}

fn reply(experiment: &Experiment) -> Reply {
    Reply::json(&OneExperiment { experiment: ExperimentForm::new(experiment) })
}

pub(super) fn create(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    #[derive(Serialize)]
    struct Created<'e> {
        experiment_id: &'e str,
    }
    let fields =
        [required("name", Kind::Text), optional("artifact_location", Kind::Text), optional("tags", Kind::List)];
    let message: ExperimentMessage = call.message(&fields)?;
    let name = need("name", &message.name)?;
    check_experiment_name(name)?;
    check_location(&message.artifact_location)?;
    for tag in &message.tags {
        check_experiment_tag(&tag.key, &tag.value)?;
    }
    let _turn = server.experiments.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let all = server.experiments.all(&server.tracking)?;
    if all.iter().any(|known| known.name == name) {
        let message = format!("Experiment(name={name}) already exists.");
        return Err(ApiError::new(Code::ResourceAlreadyExists, message));
    }
    let mut experiment = Experiment::new(name, &|id| all.iter().any(|known| known.id == id));
    experiment.artifact_location = Some(message.artifact_location).filter(|place| !place.is_empty());
    experiment.tags = message.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    keep(server, &experiment, "made")?;
    server.tracking.choose_experiment(&experiment.name)?;
    Ok(Reply::json(&Created { experiment_id: &experiment.id }))
}

/// A place for artifacts is a URI, and nothing that climbs.
fn check_location(place: &str) -> Result<(), ApiError> {
    let path = place.split_once(':').map_or(place, |(_, path)| path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let decoded = super::message::decode(&super::message::decode(path));
    let climbs = decoded.split(['/', '\\']).any(|part| part == "..");
    match climbs || place.chars().any(char::is_control) || place.contains(['?', '#']) {
        true => Err(ApiError::invalid(format!("Invalid artifact_location: '{}'", place.escape_debug()))),
        false => Ok(()),
    }
}

fn keep(server: &Server, experiment: &Experiment, what: &str) -> Result<(), ApiError> {
    let author = server.workspace.repository.identity_or_host(&server.user, &server.machine);
    Ok(experiment.keep(&server.workspace, &author, what, &[])?)
}

pub(super) fn get(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: ExperimentMessage = call.message(BY_ID)?;
    let id = need("experiment_id", &message.experiment_id)?;
    Ok(reply(&server.experiments.get(&server.tracking, id)?))
}

pub(super) fn get_by_name(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: ExperimentMessage = call.message(&[required("experiment_name", Kind::Text)])?;
    let name = need("experiment_name", &message.experiment_name)?;
    let found = server.experiments.all(&server.tracking)?.into_iter().find(|experiment| experiment.name == name);
    let missing = || ApiError::missing(format!("Could not find experiment with name '{name}'"));
    let experiment = found.ok_or_else(missing)?;
    if experiment.removed.is_none() {
        server.tracking.choose_experiment(&experiment.name)?;
    }
    Ok(reply(&experiment))
}

/// Changes an experiment, which gets a file of its own by that.
fn change(
    server: &Server,
    id: &str,
    what: &str,
    change: impl FnOnce(&mut Experiment) -> Result<(), ApiError>,
) -> Result<Reply, ApiError> {
    let _turn = server.experiments.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let mut experiment = server.experiments.get(&server.tracking, id)?;
    change(&mut experiment)?;
    experiment.updated = Timestamp::now();
    keep(server, &experiment, what)?;
    Ok(Reply::empty())
}

pub(super) fn delete(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: ExperimentMessage = call.message(BY_ID)?;
    change(server, need("experiment_id", &message.experiment_id)?, "removed", |experiment| {
        if experiment.removed.is_some() {
            return Err(ApiError::missing(format!("No Experiment with id={} exists", experiment.id)));
        }
        experiment.removed = Some(Timestamp::now());
        Ok(())
    })
}

pub(super) fn restore(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: ExperimentMessage = call.message(BY_ID)?;
    change(server, need("experiment_id", &message.experiment_id)?, "restored", |experiment| {
        match experiment.removed.take() {
            Some(_) => Ok(()),
            None => Err(ApiError::missing(format!("No Experiment with id={} exists", experiment.id))),
        }
    })
}

pub(super) fn update(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: ExperimentMessage =
        call.message(&[required("experiment_id", Kind::Text), required("new_name", Kind::Text)])?;
    let id = need("experiment_id", &message.experiment_id)?;
    let new_name = need("new_name", &message.new_name)?;
    check_experiment_name(new_name)?;
    let _turn = server.experiments.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let all = server.experiments.all(&server.tracking)?;
    let mut experiment = server.experiments.get(&server.tracking, id)?;
    if experiment.removed.is_some() {
        return Err(ApiError::new(Code::InvalidState, "Cannot rename a non-active experiment."));
    }
    if all.iter().any(|known| known.name == new_name && known.id != experiment.id) {
        let message = format!("Experiment(name={new_name}) already exists.");
        return Err(ApiError::new(Code::ResourceAlreadyExists, message));
    }
    let old_name = std::mem::replace(&mut experiment.name, new_name.to_owned());
    let old_name = (experiment.id != "0").then_some(old_name);
    experiment.updated = Timestamp::now();
    let runs = server.tracking.all()?.into_iter().filter(|run| run.experiment == old_name).map(|run| run.id).collect();
    let (live, recorded): (Vec<_>, Vec<_>) =
        Vec::into_iter(runs).partition(|run_id| crate::run::ServedRun::has_folder(&server.workspace, run_id));
    let author = server.workspace.repository.identity_or_host(&server.user, &server.machine);
    // Runs of the default experiment name none, whatever it is called.
    let recorded = if old_name.is_some() { recorded } else { Vec::new() };
    experiment.keep(&server.workspace, &author, "renamed", &recorded)?;
    for run_id in live.into_iter().filter(|_| old_name.is_some()) {
        server.tracking.change(&run_id.to_string(), &mut |_| {
            Ok(Some(RunChange { experiment: Some(new_name.to_owned()), ..RunChange::default() }))
        })?;
    }
    Ok(Reply::empty())
}

pub(super) fn set_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let fields = [required("experiment_id", Kind::Text), required("key", Kind::Text), optional("value", Kind::Text)];
    let message: ExperimentMessage = call.message(&fields)?;
    let id = need("experiment_id", &message.experiment_id)?;
    let key = need("key", &message.key)?;
    check_experiment_tag(key, &message.value)?;
    change(server, id, "tagged", |experiment| {
        check_active(experiment)?;
        experiment.tags.insert(message.key.clone(), message.value.clone());
        Ok(())
    })
}

pub(super) fn delete_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let message: ExperimentMessage =
        call.message(&[required("experiment_id", Kind::Text), required("key", Kind::Text)])?;
    let id = need("experiment_id", &message.experiment_id)?;
    let key = need("key", &message.key)?;
    change(server, id, "tagged", |experiment| {
        check_active(experiment)?;
        match experiment.tags.remove(key) {
            Some(_) => Ok(()),
            None => Err(ApiError::missing(format!("No tag with name: {key} in experiment with id {id}"))),
        }
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SearchMessage {
    #[serde(deserialize_with = "or_default")]
    view_type: ViewType,
    max_results: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    filter: String,
    #[serde(deserialize_with = "or_default")]
    order_by: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    page_token: String,
}

pub(super) fn search(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    #[derive(Serialize)]
    struct Found {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        experiments: Vec<ExperimentForm>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_page_token: Option<String>,
    }
    let fields = [
        optional("view_type", Kind::Other),
        optional("max_results", Kind::Whole),
        optional("order_by", Kind::Texts),
        optional("filter", Kind::Text),
        optional("page_token", Kind::Text),
    ];
    let message: SearchMessage = call.message(&fields)?;
    let page = Page::new(message.max_results.map_or(1000, |count| count.0), &message.page_token)?;
    let comparisons = filter::parse(&message.filter)?;
    comparisons.iter().try_for_each(check)?;
    let mut orders = message.order_by.iter().map(|text| order(text)).collect::<Result<Vec<_>, _>>()?;
    if orders.is_empty() {
        orders = vec![(Attribute::Created, false), (Attribute::Id, true)];
    }
    if !orders.iter().any(|(attribute, _)| *attribute == Attribute::Id) {
        orders.push((Attribute::Id, false));
    }
    let mut found = server.experiments.all(&server.tracking)?;
    found.retain(|experiment| {
        message.view_type.shows(experiment.removed.is_some())
            && comparisons.iter().all(|wanted| holds(wanted, experiment))
    });
    found.sort_by(|a, b| {
        let compare = |(attribute, is_ascending): &(Attribute, bool)| {
            let order = attribute.compare(a, b);
            if *is_ascending { order } else { order.reverse() }
        };
        orders.iter().map(compare).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    let next_page_token = page.cut(&mut found);
    Ok(Reply::json(&Found { experiments: found.iter().map(ExperimentForm::new).collect(), next_page_token }))
}

/// What experiments can be searched and sorted by, beside tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Name,
    Id,
    Created,
    Updated,
}

impl Attribute {
    fn named(key: &str) -> Result<Self, ApiError> {
        match key {
            "name" => Ok(Self::Name),
            "experiment_id" => Ok(Self::Id),
            "creation_time" => Ok(Self::Created),
            "last_update_time" => Ok(Self::Updated),
            _ => Err(ApiError::invalid(format!(
                "Invalid attribute key '{key}' specified. Valid keys are '{{'name', 'experiment_id', 'creation_time', \
                 'last_update_time'}}'"
            ))),
        }
    }

    fn compare(self, a: &Experiment, b: &Experiment) -> std::cmp::Ordering {
        let number = |experiment: &Experiment| experiment.id.parse::<u64>().unwrap_or(u64::MAX);
        match self {
            Self::Name => a.name.cmp(&b.name),
            Self::Id => number(a).cmp(&number(b)),
            Self::Created => millis(a.created).cmp(&millis(b.created)),
            Self::Updated => millis(a.updated).cmp(&millis(b.updated)),
        }
    }
}

fn order(text: &str) -> Result<(Attribute, bool), ApiError> {
    let order = filter::parse_order(text)?;
    match order.group.as_str() {
        "" | "attribute" => Ok((Attribute::named(&order.key)?, order.is_ascending)),
        "tag" | "tags" => Err(ApiError::invalid("Invalid order_by entity: tag")),
        group => Err(unknown_group(group)),
    }
}

fn unknown_group(group: &str) -> ApiError {
    ApiError::invalid(format!("Invalid entity type '{group}'. Valid entity types are ('attribute', 'tag', 'tags')"))
}

fn check(wanted: &Comparison) -> Result<(), ApiError> {
    match wanted.group.as_str() {
        "tag" | "tags" => wanted.check_text("tag"),
        "" | "attribute" => match Attribute::named(&wanted.key)? {
            Attribute::Created | Attribute::Updated => wanted.check_number(&wanted.key),
            Attribute::Name | Attribute::Id => wanted.check_text(&wanted.key),
        },
        group => Err(unknown_group(group)),
    }
}

fn holds(wanted: &Comparison, experiment: &Experiment) -> bool {
    match wanted.group.as_str() {
        "tag" | "tags" => wanted.holds_text(experiment.tags.get(&wanted.key).map(String::as_str)),
        _ => match Attribute::named(&wanted.key) {
            Ok(Attribute::Name) => wanted.holds_text(Some(&experiment.name)),
            Ok(Attribute::Id) => wanted.holds_text(Some(&experiment.id)),
            Ok(Attribute::Created) => wanted.holds_number(Some(millis(experiment.created) as f64)),
            Ok(Attribute::Updated) => wanted.holds_number(Some(millis(experiment.updated) as f64)),
            Err(_) => false,
        },
    }
}
