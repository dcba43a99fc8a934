//! Registered models: what MLflow's clients call the models of our registry.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Server;
use super::error::{ApiError, Code};
use super::filter::{self, Comparison};
use super::http::{Call, Reply};
use super::message::{Field, Kind, Whole, need, optional, or_default, required};
use super::paging::Page;
use super::versions::{self, VersionView};
use crate::gate::{self, GateError};
use crate::registry::{EventKind, Model, ModelAbout, Registry, RegistryError};

/// The tag that makes a registered model a prompt.
const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// Results of a search that does not say how many.
const DEFAULT_RESULTS: i64 = 100;
/// The most results of a search.
const MAX_RESULTS: i64 = 1000;
/// Bytes that the name and the value of a tag may have.
const MAX_TAG: (usize, usize) = (250, 100_000);

/// A tag, or anything else with a key and a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pair {
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) value: String,
}

impl Pair {
    /// Pairs of a map.
    pub(super) fn list<'m>(map: impl IntoIterator<Item = (&'m String, &'m String)>) -> Vec<Self> {
        map.into_iter().map(|(key, value)| Self { key: key.clone(), value: value.clone() }).collect()
    }

    /// An error unless it can be a tag of a model or version.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        need("key", &self.key)?;
        if self.key.len() > MAX_TAG.0 {
            return Err(ApiError::invalid(format!("'key' exceeds the maximum length of {} characters", MAX_TAG.0)));
        }
        if self.value.len() > MAX_TAG.1 {
            return Err(ApiError::invalid(format!("'value' exceeds the maximum length of {} characters", MAX_TAG.1)));
        }
        Ok(())
    }
}

/// What all messages about a model or a version may have.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) new_name: String,
    pub(super) description: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) tags: Vec<Pair>,
    #[serde(deserialize_with = "or_default")]
    pub(super) key: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) value: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) alias: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) version: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) stage: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) stages: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) archive_existing_versions: bool,
    #[serde(deserialize_with = "or_default")]
    pub(super) source: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) run_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) run_link: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) model_id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) filter: String,
    pub(super) max_results: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    pub(super) order_by: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) page_token: String,
}

/// What is checked of such messages.
const FIELDS: &[Field] = &[
    required("name", Kind::Text),
    optional("new_name", Kind::Text),
    optional("description", Kind::Text),
    optional("tags", Kind::List),
    optional("key", Kind::Text),
    optional("value", Kind::Text),
    optional("alias", Kind::Text),
    optional("version", Kind::Text),
    optional("stage", Kind::Text),
    optional("stages", Kind::Texts),
    optional("archive_existing_versions", Kind::Truth),
    optional("source", Kind::Text),
    optional("run_id", Kind::Text),
    optional("run_link", Kind::Text),
    optional("model_id", Kind::Text),
];

/// What is checked of searches.
pub(super) const SEARCH_FIELDS: &[Field] = &[
    optional("filter", Kind::Text),
    optional("max_results", Kind::Whole),
    optional("order_by", Kind::Texts),
    optional("page_token", Kind::Text),
];

/// Reads a message that is about a model.
pub(super) fn request(call: &Call) -> Result<Request, ApiError> {
    let request: Request = call.message(FIELDS)?;
    need("name", request.name.trim())?;
    if request.name.contains(['/', ':']) {
        let message = format!("Invalid model name '{}'. Names cannot contain '/' or ':'.", request.name);
        return Err(ApiError::invalid(message));
    }
    Ok(request)
}

/// The error that MLflow has for one of ours.
pub(super) fn error_of(error: RegistryError) -> ApiError {
    match &error {
        RegistryError::NoModel { model, .. } => {
            ApiError::missing(format!("Registered Model with name={model} not found"))
        }
        RegistryError::NoVersion { model, version } => {
            ApiError::missing(format!("Model Version (name={model}, version={version}) not found"))
        }
        RegistryError::NoAlias { alias, .. } => ApiError::invalid(format!("Registered model alias {alias} not found.")),
        RegistryError::ModelExists { model } => {
            ApiError::new(Code::ResourceAlreadyExists, format!("Registered Model (name={model}) already exists."))
        }
        RegistryError::BadName { .. } | RegistryError::BadNote { .. } | RegistryError::NotStored { .. } => {
            ApiError::invalid(error.to_string())
        }
        _ => ApiError::internal(&error),
    }
}

/// A registered model as MLflow has it.
#[derive(Debug, Serialize)]
struct ModelView {
    name: String,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest_versions: Vec<VersionView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<AliasView>,
}

#[derive(Debug, Serialize)]
struct AliasView {
    alias: String,
    version: String,
}

#[derive(Debug, Serialize)]
struct ModelReply {
    registered_model: ModelView,
}

#[derive(Debug, Serialize)]
struct ModelsReply {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registered_models: Vec<ModelView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

/// When a model was made.
fn created(model: &Model) -> Timestamp {
    let first = model.versions.first().map(|version| version.registered);
    model.about.created.or(first).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// When something of a model last changed, as far as that counts for MLflow: descriptions of versions and tags do not.
fn updated(model: &Model) -> Timestamp {
    let staged = model.about_versions.values().filter_map(|about| about.staged);
    let registered = model.versions.iter().map(|version| version.registered);
    staged.chain(registered).chain(model.about.updated).fold(created(model), Timestamp::max)
}

fn view(model: &Model) -> ModelView {
    let alias = |(alias, version): (&String, &u64)| AliasView { alias: alias.clone(), version: version.to_string() };
    ModelView {
        name: model.name.clone(),
        creation_timestamp: created(model).as_millisecond(),
        last_updated_timestamp: updated(model).as_millisecond(),
        description: model.about.description.clone().unwrap_or_default(),
        latest_versions: versions::latest(model, &[]),
        tags: Pair::list(&model.about.tags),
        aliases: model.aliases.iter().map(alias).collect(),
    }
}

fn reply(model: &Model) -> Reply {
    Reply::json(&ModelReply { registered_model: view(model) })
}

fn is_prompt(model: &Model) -> bool {
    model.about.tags.get(PROMPT_TAG).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether a search asks for prompts; without a word about them it asks for models.
fn asks_for_prompts(comparisons: &[Comparison]) -> bool {
    comparisons.iter().find(|one| is_about_prompts(one)).is_some_and(|one| one.holds_text(Some("true")))
}

/// Whether a comparison is of the tag that tells prompts from models.
pub(super) fn is_about_prompts(one: &Comparison) -> bool {
    one.group == "tags" && one.key == PROMPT_TAG
}

/// Whether a model, and so each of its versions, is what a search looks at.
pub(super) fn is_asked_for(model: &Model, comparisons: &[Comparison]) -> bool {
    is_prompt(model) == asks_for_prompts(comparisons)
}

/// Reads a filter; what stands before the first point of a name is one of `tags`, `metrics`, `params`, or nothing.
pub(super) fn conditions(text: &str) -> Result<Vec<Comparison>, ApiError> {
    let mut comparisons = filter::parse(text)?;
    for one in &mut comparisons {
        one.group = match one.group.as_str() {
            "" | "attr" | "attribute" | "attributes" => "",
            "tag" | "tags" => "tags",
            "metric" | "metrics" => "metrics",
            "param" | "params" | "parameter" | "parameters" => "params",
            other => return Err(ApiError::invalid(format!("Invalid entity type '{other}'."))),
        }
        .to_owned();
    }
    Ok(comparisons)
}

/// The page of results that a search wants.
pub(super) fn page(wanted: Option<Whole>, default: i64, most: i64, token: &str) -> Result<Page, ApiError> {
    let Whole(count) = wanted.unwrap_or(Whole(default));
    if count > most {
        return Err(ApiError::invalid(format!(
            "Invalid value for request parameter max_results. It must be at most {most}, but got value {count}"
        )));
    }
    Page::new(count, token)
}

impl Server {
    /// The registry; who changes it is known even where git does not know who this is.
    pub(super) fn registry(&self) -> Registry<'_> {
        Registry::signed(&self.workspace, self.author())
    }
}

pub(super) fn create(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    request.tags.iter().try_for_each(Pair::check)?;
    let tags = request.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let about = ModelAbout { description: request.description, tags, ..ModelAbout::default() };
    let model = server.registry().create_model(&request.name, &about).map_err(error_of)?;
    Ok(reply(&model))
}

pub(super) fn get(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    Ok(reply(&server.registry().model(&request.name).map_err(error_of)?))
}

pub(super) fn update(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let changed = server.registry().describe_model(&request.name, &mut |about| {
        about.description = Some(request.description.clone().unwrap_or_default());
        about.updated = Some(Timestamp::now());
        Ok(())
    });
    Ok(reply(&changed.map_err(error_of)?))
}

pub(super) fn rename(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let new_name = need("new_name", request.new_name.trim())?;
    Ok(reply(&server.registry().rename_model(&request.name, new_name).map_err(error_of)?))
}

pub(super) fn delete(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    server.registry().remove_model(&request(call)?.name).map_err(error_of)?;
    Ok(Reply::empty())
}

pub(super) fn set_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let Request { name, key, value, .. } = request(call)?;
    let tag = Pair { key, value };
    tag.check()?;
    let changed = server.registry().describe_model(&name, &mut |about| {
        about.tags.insert(tag.key.clone(), tag.value.clone());
        Ok(())
    });
    changed.map_err(error_of)?;
    Ok(Reply::empty())
}

pub(super) fn delete_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let key = need("key", &request.key)?;
    let changed = server.registry().describe_model(&request.name, &mut |about| {
        about.tags.remove(key);
        Ok(())
    });
    changed.map_err(error_of)?;
    Ok(Reply::empty())
}

pub(super) fn search(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: Request = call.message(SEARCH_FIELDS)?;
    let comparisons = conditions(&request.filter)?;
    for one in &comparisons {
        match (one.group.as_str(), one.key.as_str()) {
            ("", "name") | ("tags", _) => one.check_text("attributes")?,
            ("", key) => return Err(ApiError::invalid(format!("Invalid attribute name: {key}"))),
            (entity, _) => return Err(ApiError::invalid(format!("Invalid token type: {entity}"))),
        }
    }
    let page = page(request.max_results, DEFAULT_RESULTS, MAX_RESULTS, &request.page_token)?;
    let mut orders = Vec::new();
    for clause in &request.order_by {
        let filter::Order { key, is_ascending: ascending, .. } = filter::parse_order(clause)?;
        match key.as_str() {
            "name" => orders.push((true, ascending)),
            "timestamp" | "last_updated_timestamp" => orders.push((false, ascending)),
            _ => {
                return Err(ApiError::invalid(format!(
                    "Invalid order by key '{key}' specified. Valid keys are '['name ASC', 'name DESC', \
                     'last_updated_timestamp ASC', 'last_updated_timestamp DESC']'"
                )));
            }
        }
    }
    let holds = |model: &&Model| {
        let of_tag = |one: &Comparison| one.holds_text(model.about.tags.get(&one.key).map(String::as_str));
        is_asked_for(model, &comparisons)
            && comparisons.iter().all(|one| match one.group.as_str() {
                "" => one.holds_text(Some(&model.name)),
                _ => is_about_prompts(one) || of_tag(one),
            })
    };
    let models = server.models()?;
    let mut found: Vec<&Model> = models.iter().filter(holds).collect();
    found.sort_by(|left, right| {
        let by = |(by_name, ascending): &(bool, bool)| {
            let order = if *by_name { left.name.cmp(&right.name) } else { updated(left).cmp(&updated(right)) };
            if *ascending { order } else { order.reverse() }
        };
        let order = orders.iter().map(by).find(|order| order.is_ne());
        order.unwrap_or_else(|| left.name.cmp(&right.name))
    });
    let next_page_token = page.cut(&mut found);
    Ok(Reply::json(&ModelsReply { registered_models: found.into_iter().map(view).collect(), next_page_token }))
}

pub(super) fn set_alias(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let alias = need("alias", &request.alias)?;
    let version = versions::number(&request)?;
    let guarded = gate::for_alias(&server.workspace, &request.name, alias, version).map_err(|error| match error {
        GateError::Registry(error) => error_of(error),
        error => ApiError::internal(&error),
    })?;
    if let Some(outcome) = guarded.outcome.filter(|outcome| !outcome.passed) {
        let failed = outcome.failed().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let message = format!("{} does not pass the gate {}: {failed}", outcome.subject, outcome.gate);
        return Err(ApiError::new(Code::PermissionDenied, message));
    }
    let kind = EventKind::Alias;
    let moved = server.registry().move_alias(kind, &request.name, alias, guarded.expected, Some(version), None);
    moved.map_err(error_of)?;
    Ok(Reply::empty())
}

pub(super) fn delete_alias(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let alias = need("alias", &request.alias)?;
    match server.registry().remove_alias(&request.name, alias, None) {
        // As MLflow has it, what is not there is as good as removed.
        Ok(_) | Err(RegistryError::NoAlias { .. }) => Ok(Reply::empty()),
        Err(error) => Err(error_of(error)),
    }
}

pub(super) fn get_by_alias(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request = request(call)?;
    let alias = need("alias", &request.alias)?;
    let model = server.registry().model(&request.name).map_err(error_of)?;
    let number = match alias.eq_ignore_ascii_case("latest") {
        true => model.newest().map(|version| version.version),
        false => model.aliases.get(alias).copied(),
    };
    let version = number.and_then(|number| model.find(number));
    let version = version.ok_or_else(|| ApiError::invalid(format!("Registered model alias {alias} not found.")))?;
    Ok(versions::reply(&model, version))
}
