//! Logged models: what MLflow 3 keeps of every model that a script logs, whether or not it is registered.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Server;
use super::artifacts::{FileView, files_in};
use super::error::ApiError;
use super::experiments::check_active;
use super::filter::Comparison;
use super::http::{Call, Reply};
use super::message::{Field, Kind, Number, Whole, need, optional, or_default, required};
use super::registry::{self, Pair};
use super::runs::check_run_active;
use super::sources::safe_path;
use crate::id::{LoggedModelId, RunId};
use crate::run::{LoggedModel, LoggedModels, ModelMetric, ModelStatus, Owner, RunChange, Uploads, add_output, name_of};

/// Results of a search that does not say how many.
const DEFAULT_RESULTS: i64 = 100;
/// The most results of a search.
const MAX_RESULTS: i64 = 10_000;
/// The tag with the versions that were made of a model.
const VERSIONS_TAG: &str = "mlflow.modelVersions";
/// The tag of a run with the models that older clients logged in it.
const HISTORY_TAG: &str = "mlflow.log-model.history";
/// Bytes that a parameter or tag may have.
const MAX_VALUE: usize = 100_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    #[serde(deserialize_with = "or_default")]
    experiment_id: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    model_type: String,
    #[serde(deserialize_with = "or_default")]
    source_run_id: String,
    #[serde(deserialize_with = "or_default")]
    params: Vec<Pair>,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<Pair>,
    /// A number, or the name of it.
    status: Value,
}

const FIELDS: &[Field] = &[
    optional("experiment_id", Kind::Text),
    optional("name", Kind::Text),
    optional("model_type", Kind::Text),
    optional("source_run_id", Kind::Text),
    optional("params", Kind::List),
    optional("tags", Kind::List),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Search {
    #[serde(deserialize_with = "or_default")]
    experiment_ids: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    filter: String,
    #[serde(deserialize_with = "or_default")]
    datasets: Vec<Dataset>,
    max_results: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    order_by: Vec<OrderBy>,
    #[serde(deserialize_with = "or_default")]
    page_token: String,
}

const SEARCH_FIELDS: &[Field] = &[
    required("experiment_ids", Kind::Texts),
    optional("filter", Kind::Text),
    optional("datasets", Kind::List),
    optional("max_results", Kind::Whole),
    optional("order_by", Kind::List),
    optional("page_token", Kind::Text),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Dataset {
    #[serde(deserialize_with = "or_default")]
    dataset_name: String,
    #[serde(deserialize_with = "or_default")]
    dataset_digest: String,
}

impl Dataset {
    fn is_of(&self, metric: &ModelMetric) -> bool {
        let is = |wanted: &str, known: &Option<String>| wanted.is_empty() || known.as_deref() == Some(wanted);
        is(&self.dataset_name, &metric.dataset) && is(&self.dataset_digest, &metric.dataset_digest)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OrderBy {
    #[serde(deserialize_with = "or_default")]
    field_name: String,
    ascending: Option<bool>,
    #[serde(flatten)]
    dataset: Dataset,
}

#[derive(Debug, Serialize)]
struct ModelView<'m> {
    info: InfoView<'m>,
    data: DataView<'m>,
}

#[derive(Debug, Serialize)]
struct InfoView<'m> {
    model_id: String,
    experiment_id: &'m str,
    name: &'m str,
    creation_timestamp_ms: i64,
    last_updated_timestamp_ms: i64,
    artifact_uri: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_type: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_run_id: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<&'m str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair>,
}

#[derive(Debug, Serialize)]
struct DataView<'m> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricView<'m>>,
}

#[derive(Debug, Serialize)]
struct MetricView<'m> {
    key: &'m str,
    value: Number,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<&'m str>,
    model_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'m str>,
}

#[derive(Debug, Serialize)]
struct ModelReply<'m> {
    model: ModelView<'m>,
}

#[derive(Debug, Serialize)]
struct ModelsReply<'m> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    models: Vec<ModelView<'m>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Debug, Serialize)]
struct FilesReply {
    root_uri: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileView>,
}

fn status_name(status: ModelStatus) -> &'static str {
    match status {
        ModelStatus::Pending => "LOGGED_MODEL_PENDING",
        ModelStatus::Ready => "LOGGED_MODEL_READY",
        ModelStatus::Failed => "LOGGED_MODEL_UPLOAD_FAILED",
    }
}

fn status_number(status: ModelStatus) -> i64 {
    match status {
        ModelStatus::Pending => 1,
        ModelStatus::Ready => 2,
        ModelStatus::Failed => 3,
    }
}

fn status_of(value: &Value) -> Option<ModelStatus> {
    let all = [ModelStatus::Pending, ModelStatus::Ready, ModelStatus::Failed];
    all.into_iter()
        .find(|status| value.as_str() == Some(status_name(*status)) || value.as_i64() == Some(status_number(*status)))
}

/// Where a model's files are, for clients.
fn location(server: &Server, model: &LoggedModel) -> String {
    format!("{}/models/{}/artifacts", server.experiment_location(&model.experiment), model.id)
}

fn view<'m>(server: &Server, model: &'m LoggedModel) -> ModelView<'m> {
    let metric = |metric: &'m ModelMetric| MetricView {
        key: &metric.name,
        value: Number(metric.value),
        timestamp: metric.time.as_millisecond(),
        step: metric.step,
        dataset_name: metric.dataset.as_deref(),
        dataset_digest: metric.dataset_digest.as_deref(),
        model_id: model.id.to_string(),
        run_id: metric.run.as_deref(),
    };
    ModelView {
        info: InfoView {
            model_id: model.id.to_string(),
            experiment_id: &model.experiment,
            name: &model.name,
            creation_timestamp_ms: model.created.as_millisecond(),
            last_updated_timestamp_ms: model.updated.as_millisecond(),
            artifact_uri: location(server, model),
            status: status_name(model.status),
            model_type: model.model_type.as_deref(),
            source_run_id: model.run.as_deref(),
            status_message: model.status_message.as_deref(),
            tags: Pair::list(&model.tags),
        },
        data: DataView { params: Pair::list(&model.params), metrics: model.metrics.iter().map(metric).collect() },
    }
}

fn reply(server: &Server, model: &LoggedModel) -> Reply {
    Reply::json(&ModelReply { model: view(server, model) })
}

fn missing(model_id: &str) -> ApiError {
    let model_id: String = model_id.chars().take(100).collect();
    ApiError::missing(format!("Logged model with ID '{model_id}' not found."))
}

/// The id in a call's path.
fn id_of(call: &Call) -> Result<LoggedModelId, ApiError> {
    let text = call.arguments.first().map(String::as_str).unwrap_or_default();
    text.parse().map_err(|_| missing(text))
}

/// A model that is there and not removed.
fn find(server: &Server, model_id: &LoggedModelId) -> Result<LoggedModel, ApiError> {
    let model = LoggedModels::new(&server.workspace).get(model_id)?;
    model.filter(|model| model.removed.is_none()).ok_or_else(|| missing(&model_id.to_string()))
}

fn change(
    server: &Server,
    model_id: &LoggedModelId,
    what: &str,
    change: &mut dyn FnMut(&mut LoggedModel),
) -> Result<LoggedModel, ApiError> {
    let models = LoggedModels::new(&server.workspace);
    let changed = models.change(model_id, what, &server.author(), change)?;
    changed.ok_or_else(|| missing(&model_id.to_string()))
}

fn check_pairs(pairs: &[Pair]) -> Result<(), ApiError> {
    for pair in pairs {
        need("key", &pair.key)?;
        if pair.key.len() > 250 || pair.value.len() > MAX_VALUE {
            return Err(ApiError::invalid(format!("'{}' is too long", pair.key.chars().take(60).collect::<String>())));
        }
    }
    Ok(())
}

pub(super) fn create(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: Request = call.message(FIELDS)?;
    let experiment = need("experiment_id", &request.experiment_id)?;
    check_active(&server.experiments.get(&server.tracking, experiment)?)?;
    if request.name.contains(['/', ':', '.', '%', '"', '\'']) {
        return Err(ApiError::invalid(format!(
            "Invalid model name ({:?}) provided. Model name must be a non-empty string and cannot contain the \
             following characters: ('/', ':', '.', '%', '\"', \"'\")",
            request.name
        )));
    }
    check_pairs(&request.params)?;
    check_pairs(&request.tags)?;
    let map = |pairs: Vec<Pair>| pairs.into_iter().map(|pair| (pair.key, pair.value)).collect();
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let now = Timestamp::now();
    let model = LoggedModel {
        id: LoggedModelId::generate(),
        name: given(request.name).unwrap_or_else(|| name_of(&RunId::generate())),
        experiment: experiment.to_owned(),
        status: ModelStatus::Pending,
        status_message: None,
        model_type: given(request.model_type),
        run: given(request.source_run_id),
        created: now,
        updated: now,
        removed: None,
        files: None,
        params: map(request.params),
        tags: map(request.tags),
        uses: Vec::new(),
        metrics: Vec::new(),
    };
    LoggedModels::new(&server.workspace).create(&model, &server.author())?;
    Ok(reply(server, &model))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LogModel {
    #[serde(deserialize_with = "or_default")]
    run_id: String,
    #[serde(deserialize_with = "or_default")]
    model_json: String,
}

/// What older clients say of a model that they logged: a tag of the run has the list.
pub(super) fn log_model(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: LogModel = call.message(&[required("run_id", Kind::Text), required("model_json", Kind::Text)])?;
    let text = need("model_json", &request.model_json)?;
    let model: Value = serde_json::from_str(text)
        .map_err(|_| ApiError::invalid(format!("Malformed model info. \n {text} \n is not a valid JSON.")))?;
    let is_missing = |field: &&str| model.get(*field).is_none();
    let missing: Vec<_> =
        ["artifact_path", "flavors", "utc_time_created", "run_id"].into_iter().filter(is_missing).collect();
    if !missing.is_empty() {
        return Err(ApiError::invalid(format!("Model json is missing mandatory fields: {missing:?}")));
    }
    server.tracking.change(need("run_id", &request.run_id)?, &mut |run| {
        check_run_active(server, run)?;
        let known = run.tags.get(HISTORY_TAG).and_then(|tag| serde_json::from_str::<Vec<Value>>(tag).ok());
        let mut models = known.unwrap_or_default();
        models.push(model.clone());
        let tag = (HISTORY_TAG.to_owned(), Value::from(models).to_string());
        Ok(Some(RunChange { tags: vec![tag], ..RunChange::default() }))
    })?;
    Ok(Reply::empty())
}

pub(super) fn get(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let model_id = id_of(call)?;
    if call.query_value("allow_deleted").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        let model = LoggedModels::new(&server.workspace).get(&model_id)?;
        return Ok(reply(server, &model.ok_or_else(|| missing(&model_id.to_string()))?));
    }
    Ok(reply(server, &find(server, &model_id)?))
}

pub(super) fn finalize(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let model_id = id_of(call)?;
    find(server, &model_id)?;
    let request: Request = call.message(FIELDS)?;
    let status = status_of(&request.status)
        .ok_or_else(|| ApiError::invalid(format!("Invalid value {} for parameter 'status'", request.status)))?;
    let set = &mut |model: &mut LoggedModel| {
        model.status = status;
        model.updated = Timestamp::now();
    };
    let model = match status {
        ModelStatus::Pending => change(server, &model_id, "open", set)?,
        ModelStatus::Ready | ModelStatus::Failed => {
            let uploads = Uploads::new(&server.workspace, Owner::Model(model_id), server.author());
            uploads.complete(&model_id, set)?.ok_or_else(|| missing(&model_id.to_string()))?
        }
    };
    // A run has the models that it made as outputs, as if it had made them in any other way.
    let run_id = model.run.as_deref().and_then(|run| run.parse::<RunId>().ok());
    if let Some((run_id, output)) = run_id.zip(model.output()) {
        add_output(&server.workspace, &run_id, &output)?;
    }
    Ok(reply(server, &model))
}

pub(super) fn delete(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let model_id = id_of(call)?;
    change(server, &model_id, "remove", &mut |model| {
        let now = Timestamp::now();
        model.removed.get_or_insert(now);
        model.updated = now;
    })?;
    Ok(Reply::empty())
}

pub(super) fn set_tags(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let model_id = id_of(call)?;
    let request: Request = call.message(FIELDS)?;
    check_pairs(&request.tags)?;
    let tags = request.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone()));
    change(server, &model_id, "tag", &mut |model| model.tags.extend(tags.clone()))?;
    Ok(Reply::empty())
}

pub(super) fn delete_tag(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let model_id = id_of(call)?;
    let key = call.arguments.get(1).map(String::as_str).unwrap_or_default();
    let mut found = false;
    change(server, &model_id, "untag", &mut |model| found = model.tags.remove(key).is_some())?;
    if !found {
        return Err(ApiError::missing(format!("No tag with key '{key}' found for model with ID '{model_id}'.")));
    }
    Ok(Reply::empty())
}

pub(super) fn log_params(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let model_id = id_of(call)?;
    let request: Request = call.message(FIELDS)?;
    check_pairs(&request.params)?;
    let params = request.params.iter().map(|param| (param.key.clone(), param.value.clone()));
    change(server, &model_id, "params", &mut |model| model.params.extend(params.clone()))?;
    Ok(Reply::empty())
}

pub(super) fn list_files(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let model_id = id_of(call)?;
    let model = find(server, &model_id)?;
    let path = call.query_value("artifact_directory_path").filter(|path| !matches!(*path, "" | "." | "./"));
    let path = path.map(safe_path).transpose()?;
    let files = files_in(server, Owner::Model(model_id), path.as_ref())?;
    Ok(Reply::json(&FilesReply { root_uri: location(server, &model), files }))
}

impl Server {
    /// Writes down what was measured of models.
    pub(super) fn measure(&self, measured: &[(LoggedModelId, ModelMetric)]) -> Result<(), ApiError> {
        let mut models: Vec<&LoggedModelId> = measured.iter().map(|(model_id, _)| model_id).collect();
        models.sort_unstable();
        models.dedup();
        for model_id in models {
            let metrics = measured.iter().filter(|(of, _)| of == model_id);
            LoggedModels::new(&self.workspace).change(model_id, "measure", &self.author(), &mut |model| {
                metrics.clone().for_each(|(_, metric)| model.measure(metric.clone()));
            })?;
        }
        Ok(())
    }

    /// Writes down that a version was made of a model.
    pub(super) fn note_version(&self, model_id: &LoggedModelId, name: &str, version: u64) -> Result<(), ApiError> {
        let registered = &mut |model: &mut LoggedModel| {
            let known = model.tags.get(VERSIONS_TAG).and_then(|tag| serde_json::from_str::<Vec<Value>>(tag).ok());
            // As Python writes it, to the last space.
            let mut texts: Vec<String> = known.unwrap_or_default().iter().map(python_text).collect();
            texts.push(format!("{{\"name\": {}, \"version\": {version}}}", Value::from(name)));
            model.tags.insert(VERSIONS_TAG.to_owned(), format!("[{}]", texts.join(", ")));
        };
        LoggedModels::new(&self.workspace).change(model_id, "register", &self.author(), registered)?;
        Ok(())
    }
}

/// One of the versions in the tag, as Python writes it.
fn python_text(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}: {value}", Value::from(name.as_str()))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// The names of attributes, with those that MLflow has for them too.
fn attribute(name: &str) -> &str {
    match name {
        "creation_time" | "creation_timestamp_ms" => "creation_timestamp",
        "last_updated_timestamp_ms" => "last_updated_timestamp",
        "run_id" => "source_run_id",
        other => other,
    }
}

fn is_number(attribute: &str) -> bool {
    matches!(attribute, "creation_timestamp" | "last_updated_timestamp" | "status")
}

fn number_of(model: &LoggedModel, attribute: &str) -> f64 {
    match attribute {
        "creation_timestamp" => model.created.as_millisecond() as f64,
        "last_updated_timestamp" => model.updated.as_millisecond() as f64,
        _ => status_number(model.status) as f64,
    }
}

/// The text of an attribute; none where the model has none, or there is no such attribute.
fn text_of(model: &LoggedModel, attribute: &str) -> Option<String> {
    match attribute {
        "name" => Some(model.name.clone()),
        "model_id" => Some(model.id.to_string()),
        "experiment_id" => Some(model.experiment.clone()),
        "model_type" => model.model_type.clone(),
        "source_run_id" => model.run.clone(),
        _ => None,
    }
}

fn is_text(attribute: &str) -> bool {
    matches!(attribute, "name" | "model_id" | "experiment_id" | "model_type" | "source_run_id")
}

fn check(one: &Comparison) -> Result<(), ApiError> {
    match (one.group.as_str(), attribute(&one.key)) {
        ("", key) if is_number(key) => one.check_number(&one.key),
        ("", key) if is_text(key) => one.check_text("attributes"),
        ("", key) => Err(ApiError::invalid(format!("Invalid attribute name: {key}"))),
        ("metrics", _) => one.check_number(&one.key),
        _ => one.check_text("attributes"),
    }
}

fn holds(one: &Comparison, model: &LoggedModel, datasets: &[Dataset]) -> bool {
    let key = attribute(&one.key);
    match one.group.as_str() {
        "" if is_number(key) => one.holds_number(Some(number_of(model, key))),
        "" => one.holds_text(text_of(model, key).as_deref()),
        "metrics" => model.metrics.iter().any(|metric| {
            let of_dataset = datasets.is_empty() || datasets.iter().any(|dataset| dataset.is_of(metric));
            metric.name == one.key && of_dataset && one.holds_number(Some(metric.value))
        }),
        "params" => one.holds_text(model.params.get(&one.key).map(String::as_str)),
        _ => one.holds_text(model.tags.get(&one.key).map(String::as_str)),
    }
}

/// What a model is sorted by; models without it come last.
#[derive(Debug, PartialEq, PartialOrd)]
enum SortKey {
    Number(f64),
    Text(String),
}

fn sort_key(model: &LoggedModel, order: &OrderBy) -> Option<SortKey> {
    if let Some(metric) = order.field_name.strip_prefix("metrics.") {
        let metric = metric.trim_matches('`');
        let of_dataset = model.metrics.iter().filter(|known| known.name == metric && order.dataset.is_of(known));
        return of_dataset.max_by_key(|known| (known.time, known.step)).map(|known| SortKey::Number(known.value));
    }
    let key = attribute(&order.field_name);
    match is_number(key) {
        true => Some(SortKey::Number(number_of(model, key))),
        false => text_of(model, key).map(SortKey::Text),
    }
}

pub(super) fn search(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: Search = call.message(SEARCH_FIELDS)?;
    if request.experiment_ids.is_empty() {
        return Err(super::message::missing("experiment_ids"));
    }
    if request.datasets.iter().any(|dataset| dataset.dataset_name.is_empty()) {
        return Err(ApiError::invalid("`dataset_name` in the `datasets` clause must be specified."));
    }
    let comparisons = registry::conditions(&request.filter)?;
    comparisons.iter().try_for_each(check)?;
    for order in &request.order_by {
        let name = order.field_name.as_str();
        let is_known = name.starts_with("metrics.") || is_number(attribute(name)) || is_text(attribute(name));
        if !is_known {
            return Err(ApiError::invalid(format!("Invalid order by field name: {name}")));
        }
    }
    let page = registry::page(request.max_results, DEFAULT_RESULTS, MAX_RESULTS, &request.page_token)?;
    let has_metric_filter = comparisons.iter().any(|one| one.group == "metrics");
    let models = server.logged_models()?;
    let is_wanted = |model: &&LoggedModel| {
        let of_dataset = request.datasets.is_empty()
            || has_metric_filter
            || model.metrics.iter().any(|metric| request.datasets.iter().any(|dataset| dataset.is_of(metric)));
        model.removed.is_none()
            && request.experiment_ids.contains(&model.experiment)
            && of_dataset
            && comparisons.iter().all(|one| holds(one, model, &request.datasets))
    };
    let mut found: Vec<&LoggedModel> = models.iter().filter(is_wanted).collect();
    found.sort_by(|left, right| {
        let by = |order: &OrderBy| match (sort_key(left, order), sort_key(right, order)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(left), Some(right)) => {
                let order_of = left.partial_cmp(&right).unwrap_or(Ordering::Equal);
                if order.ascending.unwrap_or(true) { order_of } else { order_of.reverse() }
            }
        };
        let order = request.order_by.iter().map(by).find(|order| order.is_ne());
        order.unwrap_or_else(|| right.created.cmp(&left.created).then(left.id.cmp(&right.id)))
    });
    let next_page_token = page.cut(&mut found);
    let models = found.into_iter().map(|model| view(server, model)).collect();
    Ok(Reply::json(&ModelsReply { models, next_page_token }))
}
