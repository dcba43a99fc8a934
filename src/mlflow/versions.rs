//! Versions of registered models.
//!
//! A version is an artifact of the store, as any version of ours. What MLflow's client names as the source is stored when
//! the version is made, if it is in this repository; of a source that is elsewhere the artifact is a link, a file
//! that holds its URI.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Server;
use super::error::ApiError;
use super::filter::{self, Comparison, Order};
use super::http::{Call, Reply};
use super::message::{decode, need};
use super::registry::{self, Pair, Request, error_of, request};
use super::sources::{Source, locate};
use crate::registry::{Details, Model, Version, VersionAbout};

/// Results of a search that does not say how many.
const DEFAULT_RESULTS: i64 = 10_000;
/// The most results of a search.
const MAX_RESULTS: i64 = 200_000;
/// The stages, the one of versions without a stage first.
const STAGES: [&str; 4] = ["None", "Staging", "Production", "Archived"];

/// A version as MLflow has it.
#[derive(Debug, Serialize)]
pub(super) struct VersionView {
    name: String,
    version: String,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    user_id: String,
    current_stage: String,
    description: String,
    source: String,
    run_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_link: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct VersionReply {
    model_version: VersionView,
}

#[derive(Debug, Serialize)]
struct VersionsReply {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    model_versions: Vec<VersionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Debug, Serialize)]
struct UriReply {
    artifact_uri: String,
}

/// Where a version's own files are, for clients.
pub(super) fn own_location(version: &Version) -> String {
    format!("mlflow-artifacts:/registry/{}/{}/artifacts", version.model, version.version)
}

fn source_of(version: &Version) -> String {
    version.source.clone().unwrap_or_else(|| own_location(version))
}

fn stage_of(about: &VersionAbout) -> &str {
    about.stage.as_deref().unwrap_or(STAGES[0])
}

fn updated(version: &Version, about: &VersionAbout) -> Timestamp {
    [about.updated, about.staged].into_iter().flatten().fold(version.registered, Timestamp::max)
}

fn run_of(version: &Version, about: &VersionAbout) -> String {
    version.run.map(|run| run.to_string()).or(about.foreign_run.clone()).unwrap_or_default()
}

/// A version as MLflow has it.
pub(super) fn view(model: &Model, version: &Version) -> VersionView {
    let about = model.about_version(version.version);
    VersionView {
        name: version.model.clone(),
        version: version.version.to_string(),
        creation_timestamp: version.registered.as_millisecond(),
        last_updated_timestamp: updated(version, &about).as_millisecond(),
        user_id: version.by.clone(),
        current_stage: stage_of(&about).to_owned(),
        description: model.note_of(version).unwrap_or_default().to_owned(),
        source: source_of(version),
        run_id: run_of(version, &about),
        status: "READY",
        tags: Pair::list(&about.tags),
        run_link: about.run_link,
        aliases: model.aliases_of(version.version).into_iter().map(str::to_owned).collect(),
        model_id: about.logged_model,
    }
}

/// The reply with a version.
pub(super) fn reply(model: &Model, version: &Version) -> Reply {
    Reply::json(&VersionReply { model_version: view(model, version) })
}

/// The newest version of each stage, or of those that are named.
pub(super) fn latest(model: &Model, stages: &[&str]) -> Vec<VersionView> {
    let mut newest: BTreeMap<String, &Version> = BTreeMap::new();
    for version in &model.versions {
        newest.insert(stage_of(&model.about_version(version.version)).to_owned(), version);
    }
    newest.retain(|stage, _| stages.is_empty() || stages.contains(&stage.as_str()));
    newest.into_values().map(|version| view(model, version)).collect()
}

fn stage_named(text: &str) -> Result<&'static str, ApiError> {
    let stage = STAGES.into_iter().find(|stage| stage.eq_ignore_ascii_case(text));
    stage.ok_or_else(|| {
        ApiError::invalid(format!(
            "Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived."
        ))
    })
}

/// The number of the version that a message is about.
pub(super) fn number(request: &Request) -> Result<u64, ApiError> {
    let text = need("version", &request.version)?;
    match text.trim().parse::<i64>() {
        Ok(number) => Ok(u64::try_from(number).unwrap_or(0)),
        Err(_) => Err(ApiError::invalid(format!("Parameter 'version' must be an integer, got '{text}'."))),
    }
}

/// A model and one of its versions.
fn find(server: &Server, request: &Request) -> Result<(Model, Version), ApiError> {
    let number = number(request)?;
    let missing = || ApiError::missing(format!("Model Version (name={}, version={number}) not found", request.name));
    // Whether there is no such model or no such version, MLflow says the same.
    let model = server.registry().model(&request.name).map_err(|error| match error_of(error) {
        error if error == ApiError::missing(format!("Registered Model with name={} not found", request.name)) => {
            missing()
        }
        error => error,
    })?;
    let version = model.find(number).cloned().ok_or_else(missing)?;
    Ok((model, version))
}

pub(super) fn create(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    need("source", &request.source)?;
    request.tags.iter().try_for_each(Pair::check)?;
    server.registry().model(&request.name).map_err(error_of)?;
    // Until the version names it, what is stored must not go.
    let _hold = server.workspace.store.hold()?;
    let located = locate(server, &Source::of(&request))?;
    let description = request.description.filter(|text| !text.is_empty());
    let mut about = VersionAbout {
        foreign_run: located.foreign_run,
        run_link: Some(request.run_link).filter(|link| !link.is_empty()),
        logged_model: located.logged_model.clone(),
        location: located.location,
        tags: request.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        ..VersionAbout::default()
    };
    let mut details =
        Details { note: description.clone(), source: Some(request.source), about: about.clone(), ..Details::default() };
    let registry = server.registry();
    let registered = match registry.register_anew(&request.name, &located.artifact, &details) {
        // A description may be longer than a remark of ours.
        Err(crate::registry::RegistryError::BadNote { .. }) => {
            about.description = description;
            details = Details { note: None, about, ..details };
            registry.register_anew(&request.name, &located.artifact, &details)
        }
        registered => registered,
    };
    let version = registered.map_err(error_of)?.version;
    if let Some(model_id) = located.logged_model.and_then(|id| id.parse().ok()) {
        server.note_version(&model_id, &version.model, version.version)?;
    }
    let model = registry.model(&request.name).map_err(error_of)?;
    Ok(reply(&model, &version))
}

pub(super) fn get(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let (model, version) = find(server, &request(call)?)?;
    Ok(reply(&model, &version))
}

/// The version that a message names, after a change of what is said about it.
fn change(
    server: &Server,
    request: &Request,
    change: &mut dyn FnMut(&mut VersionAbout),
) -> Result<(Model, Version), ApiError> {
    let (_, version) = find(server, request)?;
    let changed = server.registry().describe_version(&request.name, version.version, &mut |about| {
        change(about);
        Ok(())
    });
    Ok((changed.map_err(error_of)?, version))
}

pub(super) fn update(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let (model, version) = change(server, &request, &mut |about| {
        about.description = Some(request.description.clone().unwrap_or_default());
        about.updated = Some(Timestamp::now());
    })?;
    Ok(reply(&model, &version))
}

pub(super) fn transition(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let stage = stage_named(need("stage", &request.stage)?)?;
    if request.archive_existing_versions && !matches!(stage, "Staging" | "Production") {
        return Err(ApiError::invalid(format!(
            "Model version transition cannot archive existing model versions because '{}' is not an Active stage. \
             Valid stages are ['Staging', 'Production']",
            request.stage
        )));
    }
    let (model, version) = find(server, &request)?;
    let registry = server.registry();
    let now = Timestamp::now();
    let move_to = |number: u64, stage: &str| {
        registry.describe_version(&request.name, number, &mut |about| {
            about.stage = (stage != STAGES[0]).then(|| stage.to_owned());
            about.staged = Some(now);
            Ok(())
        })
    };
    if request.archive_existing_versions {
        for other in model.versions.iter().filter(|other| other.version != version.version) {
            if stage_of(&model.about_version(other.version)) == stage {
                move_to(other.version, "Archived").map_err(error_of)?;
            }
        }
    }
    let model = move_to(version.version, stage).map_err(error_of)?;
    Ok(reply(&model, &version))
}

pub(super) fn delete(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let (model, version) = find(server, &request(call)?)?;
    server.registry().remove_version(&model.name, version.version).map_err(error_of)?;
    Ok(Reply::empty())
}

pub(super) fn set_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let tag = Pair { key: request.key.clone(), value: request.value.clone() };
    tag.check()?;
    change(server, &request, &mut |about| drop(about.tags.insert(tag.key.clone(), tag.value.clone())))?;
    Ok(Reply::empty())
}

pub(super) fn delete_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let key = need("key", &request.key)?;
    change(server, &request, &mut |about| drop(about.tags.remove(key)))?;
    Ok(Reply::empty())
}

/// Where a client finds the files of a version.
pub(super) fn location(model: &Model, version: &Version) -> String {
    let about = model.about_version(version.version);
    let is_plain = version.model.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    match about.location {
        Some(location) => location,
        // Of what is in the store a version has its own, whatever becomes of the run.
        None if version.artifact_type != super::sources::LINK && is_plain => own_location(version),
        None => source_of(version),
    }
}

pub(super) fn download_uri(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let (model, version) = find(server, &request(call)?)?;
    Ok(Reply::json(&UriReply { artifact_uri: location(&model, &version) }))
}

pub(super) fn get_latest(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let stages: Vec<&str> = request.stages.iter().map(|stage| stage_named(stage)).collect::<Result<_, _>>()?;
    let model = server.registry().model(&request.name).map_err(error_of)?;
    Ok(Reply::json(&VersionsReply { model_versions: latest(&model, &stages), next_page_token: None }))
}

/// The model and the version of a path `registry/NAME/NUMBER`, percent-encoded or not.
pub(super) fn of_path(server: &Server, name: &str, number: &str) -> Option<Version> {
    let model = server.registry().model(&decode(name)).ok()?;
    model.find(number.parse().ok()?).cloned()
}

/// What versions are sorted by.
enum Key {
    Name,
    Number,
    Created,
    Updated,
}

pub(super) fn search(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: Request = call.message(registry::SEARCH_FIELDS)?;
    let comparisons = registry::conditions(&request.filter)?;
    for one in &comparisons {
        match (one.group.as_str(), one.key.as_str()) {
            ("", "name" | "run_id" | "source_path") | ("tags", _) => one.check_text("attributes")?,
            ("", "version_number" | "creation_timestamp" | "last_updated_timestamp") => one.check_number(&one.key)?,
            ("", key) => return Err(ApiError::invalid(format!("Invalid attribute name: {key}"))),
            (entity, _) => return Err(ApiError::invalid(format!("Invalid token type: {entity}"))),
        }
    }
    let page = registry::page(request.max_results, DEFAULT_RESULTS, MAX_RESULTS, &request.page_token)?;
    let mut orders = Vec::new();
    for clause in &request.order_by {
        let Order { key, is_ascending: ascending, .. } = filter::parse_order(clause)?;
        let key = match key.as_str() {
            "name" => Key::Name,
            "version_number" => Key::Number,
            "creation_timestamp" => Key::Created,
            "last_updated_timestamp" => Key::Updated,
            _ => {
                return Err(ApiError::invalid(format!(
                    "Invalid order by key '{key}' specified. Valid keys are {{'name', 'version_number', \
                     'creation_timestamp', 'last_updated_timestamp'}}"
                )));
            }
        };
        orders.push((key, ascending));
    }
    if orders.is_empty() {
        orders.push((Key::Updated, false));
    }
    let models = server.models()?;
    let asked_for = models.iter().filter(|model| registry::is_asked_for(model, &comparisons));
    let all = asked_for.flat_map(|model| model.versions.iter().map(move |version| (model, version)));
    let holds = |(model, version): &(&Model, &Version)| {
        let about = model.about_version(version.version);
        comparisons.iter().all(|one| holds_for(one, version, &about))
    };
    let mut found: Vec<(&Model, &Version, Timestamp)> = all
        .filter(holds)
        .map(|(model, version)| (model, version, updated(version, &model.about_version(version.version))))
        .collect();
    found.sort_by(|(_, left, left_updated), (_, right, right_updated)| {
        let by = |(key, ascending): &(Key, bool)| {
            let order = match key {
                Key::Name => left.model.cmp(&right.model),
                Key::Number => left.version.cmp(&right.version),
                Key::Created => left.registered.as_millisecond().cmp(&right.registered.as_millisecond()),
                Key::Updated => left_updated.as_millisecond().cmp(&right_updated.as_millisecond()),
            };
            if *ascending { order } else { order.reverse() }
        };
        let order = orders.iter().map(by).find(|order| order.is_ne());
        order.unwrap_or_else(|| left.model.cmp(&right.model).then(right.version.cmp(&left.version)))
    });
    let next_page_token = page.cut(&mut found);
    let model_versions = found.into_iter().map(|(model, version, _)| view(model, version)).collect();
    Ok(Reply::json(&VersionsReply { model_versions, next_page_token }))
}

fn holds_for(one: &Comparison, version: &Version, about: &VersionAbout) -> bool {
    match (one.group.as_str(), one.key.as_str()) {
        ("tags", _) if registry::is_about_prompts(one) => true,
        ("tags", key) => one.holds_text(about.tags.get(key).map(String::as_str)),
        (_, "name") => one.holds_text(Some(&version.model)),
        (_, "run_id") => one.holds_text(Some(&run_of(version, about))),
        (_, "source_path") => one.holds_text(Some(&source_of(version))),
        (_, "version_number") => one.holds_number(Some(version.version as f64)),
        (_, "creation_timestamp") => one.holds_number(Some(version.registered.as_millisecond() as f64)),
        _ => one.holds_number(Some(updated(version, about).as_millisecond() as f64)),
    }
}
