//! GraphQL, as far as MLflow's own pages ask in it: a few queries, each of which is an endpoint under another name.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::artifacts::blocking;
use super::endpoints::Answer;
use super::error::{ApiError, Code};
use super::graphql_query::{Field, parse};
use super::http::{Call, Reply};
use super::message::{from_json, or_default};
use super::{Server, artifacts, datasets, experiments, metrics, runs, search, versions};

/// Bytes that a request may have.
const MAX_BODY: usize = 1 << 20;
/// Fields on the top level of a query, and other names that are given in it.
const MAX_ROOT_FIELDS: usize = 10;
/// How deep a query may go.
const MAX_DEPTH: usize = 10;
/// Fields that a query may have in all.
const MAX_SELECTIONS: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "or_default")]
    query: String,
    #[serde(rename = "operationName", deserialize_with = "or_default")]
    operation_name: String,
    #[serde(deserialize_with = "or_default")]
    variables: Map<String, Value>,
}

/// Answers a query.
pub(super) async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    match take(server, request).await {
        Ok(reply) => reply.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn take(server: Arc<Server>, request: Request) -> Result<Reply, ApiError> {
    let declared =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if request.method() != Method::POST || !declared.starts_with("application/json") {
        return Err(ApiError::new(Code::BadRequest, "A GraphQL query is a POST request with a JSON body."));
    }
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await;
    let body = body.map_err(|_| ApiError::new(Code::RequestEntityTooLarge, "The query is too large."))?;
    blocking(move || {
        let message: Message = from_json(&body, &[])?;
        let (data, errors) = match execute(&server, &message) {
            Ok(data) => (data, Value::Null),
            Err(problem) => (Value::Null, json!([problem])),
        };
        Ok(Reply::json(&json!({ "data": data, "errors": errors })))
    })
    .await
}

fn execute(server: &Server, message: &Message) -> Result<Value, String> {
    let fields = parse(&message.query, &message.operation_name, &message.variables)?;
    check(&fields)?;
    let mut data = Map::new();
    for field in &fields {
        let value = if field.name == "__typename" { "Query".into() } else { resolve(server, field)? };
        data.insert(field.shown_name().to_owned(), value);
    }
    Ok(Value::Object(data))
}

/// Refuses a query that asks for too much.
fn check(fields: &[Field]) -> Result<(), String> {
    let mut levels = vec![(fields, 1)];
    let mut selections = 0;
    let mut most_aliases = 0;
    while let Some((fields, depth)) = levels.pop() {
        if depth > MAX_DEPTH {
            return Err(format!("Query exceeds maximum depth of {MAX_DEPTH}"));
        }
        selections += fields.len();
        if selections > MAX_SELECTIONS {
            return Err(format!("Query exceeds maximum total selections of {MAX_SELECTIONS}"));
        }
        most_aliases = fields.iter().filter(|field| field.alias.is_some()).count().max(most_aliases);
        levels
            .extend(fields.iter().filter(|field| !field.fields.is_empty()).map(|field| (&field.fields[..], depth + 1)));
    }
    if fields.len() > MAX_ROOT_FIELDS {
        return Err(format!(
            "GraphQL queries should have at most {MAX_ROOT_FIELDS} root fields, got {} root fields.",
            fields.len()
        ));
    }
    if most_aliases > MAX_ROOT_FIELDS {
        return Err(format!(
            "GraphQL queries should have at most {MAX_ROOT_FIELDS} aliases, got {most_aliases} aliases."
        ));
    }
    Ok(())
}

/// The value of a field on the top level.
fn resolve(server: &Server, field: &Field) -> Result<Value, String> {
    let endpoint: Answer = match field.name.as_str() {
        "test" | "testMutation" => {
            let output = field.arguments.get("inputString").cloned().unwrap_or_default();
            return Ok(select(server, &json!({ "output": output }), &field.fields));
        }
        "mlflowGetExperiment" => experiments::get,
        "mlflowGetRun" => runs::get,
        "mlflowListArtifacts" => artifacts::list,
        "mlflowSearchModelVersions" => versions::search,
        "mlflowSearchRuns" => search::search,
        "mlflowSearchDatasets" => datasets::search,
        "mlflowGetMetricHistoryBulkInterval" => metrics::history_bulk_interval,
        other => return Err(format!("Cannot query field '{other}' on type 'Query'.")),
    };
    let input = field.arguments.get("input").cloned().unwrap_or_else(|| json!({}));
    let answer = ask(server, endpoint, &with_snake_names(input)).map_err(|error| error.message)?;
    Ok(select(server, &answer, &field.fields))
}

/// What an endpoint answers.
fn ask(server: &Server, endpoint: Answer, message: &Value) -> Result<Value, ApiError> {
    let body = message.to_string().into_bytes().into();
    let call = Call { method: Method::POST, arguments: Vec::new(), query: Vec::new(), body };
    let reply = endpoint(server, &call)?;
    serde_json::from_slice(&reply.body).map_err(|error| ApiError::internal(&error))
}

/// The part of an answer that was asked for.
fn select(server: &Server, value: &Value, fields: &[Field]) -> Value {
    match value {
        Value::Array(list) => list.iter().map(|value| select(server, value, fields)).collect(),
        Value::Object(_) if !fields.is_empty() => {
            let chosen = fields.iter().map(|field| (field.shown_name().to_owned(), choose(server, value, field)));
            Value::Object(chosen.collect())
        }
        other => other.clone(),
    }
}

fn choose(server: &Server, of: &Value, field: &Field) -> Value {
    let name = snake(&field.name);
    match (name.as_str(), of.pointer("/info/run_id"), of.get(&name)) {
        // A run has these in GraphQL only.
        ("experiment", Some(_), None) => {
            let id = of.pointer("/info/experiment_id").cloned().unwrap_or_default();
            let found = ask(server, experiments::get, &json!({ "experiment_id": id })).unwrap_or_default();
            select(server, found.get("experiment").unwrap_or(&Value::Null), &field.fields)
        }
        ("model_versions", Some(run_id), None) => {
            let filter = format!("run_id = '{}'", run_id.as_str().unwrap_or_default());
            let found = ask(server, versions::search, &json!({ "filter": filter })).unwrap_or_default();
            select(server, found.get("model_versions").unwrap_or(&json!([])), &field.fields)
        }
        (_, _, Some(value)) if field.fields.is_empty() => leaf(&name, value),
        (_, _, Some(value)) => select(server, value, &field.fields),
        ("__typename", ..) => "Object".into(),
        (name, _, None) => absent(name, !field.fields.is_empty()),
    }
}

/// Whether a field is of 64 bits, which GraphQL has as text.
fn is_long(name: &str) -> bool {
    matches!(name, "step" | "file_size") || name.ends_with("timestamp") || name.ends_with("_time")
}

fn leaf(name: &str, value: &Value) -> Value {
    match value {
        Value::Number(number) if is_long(name) => number.to_string().into(),
        // NaN and the infinities, which JSON lacks.
        Value::String(text) if name == "value" && matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            Value::Null
        }
        other => other.clone(),
    }
}

/// What a message without the field says.
fn absent(name: &str, is_message: bool) -> Value {
    match name {
        name if is_message && name.ends_with('s') => json!([]),
        _ if is_message || name == "api_error" => Value::Null,
        name if is_long(name) => "0".into(),
        name if name.starts_with("is_") => false.into(),
        _ => "".into(),
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

fn with_snake_names(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let renamed: HashMap<String, Value> =
                fields.into_iter().map(|(name, value)| (snake(&name), with_snake_names(value))).collect();
            Value::Object(renamed.into_iter().collect())
        }
        Value::Array(list) => list.into_iter().map(with_snake_names).collect(),
        other => other,
    }
}
