//! Every JSON endpoint, in one place.

use axum::http::Method;

use super::error::ApiError;
use super::http::{Call, Reply};
use super::{Server, artifacts, datasets, experiments, logged, metrics, registry, runs, search, versions};

/// Answers one kind of request.
pub(super) type Answer = fn(&Server, &Call) -> Result<Reply, ApiError>;

/// An endpoint: what is behind `/api/` or `/ajax-api/`, and who answers.
pub(super) struct Endpoint {
    method: Method,
    /// May have segments such as `{model_id}`, whose values become the call's arguments.
    path: &'static str,
    pub(super) answer: Answer,
}

const fn get(path: &'static str, answer: Answer) -> Endpoint {
    Endpoint { method: Method::GET, path, answer }
}

const fn post(path: &'static str, answer: Answer) -> Endpoint {
    Endpoint { method: Method::POST, path, answer }
}

const fn patch(path: &'static str, answer: Answer) -> Endpoint {
    Endpoint { method: Method::PATCH, path, answer }
}

const fn delete(path: &'static str, answer: Answer) -> Endpoint {
    Endpoint { method: Method::DELETE, path, answer }
}

/// The endpoints.
static ENDPOINTS: &[Endpoint] = &[
    post("2.0/mlflow/experiments/create", experiments::create),
    get("2.0/mlflow/experiments/get", experiments::get),
    get("2.0/mlflow/experiments/get-by-name", experiments::get_by_name),
    get("2.0/mlflow/experiments/search", experiments::search),
    post("2.0/mlflow/experiments/search", experiments::search),
    post("2.0/mlflow/experiments/update", experiments::update),
    post("2.0/mlflow/experiments/delete", experiments::delete),
    post("2.0/mlflow/experiments/restore", experiments::restore),
    post("2.0/mlflow/experiments/set-experiment-tag", experiments::set_tag),
    post("2.0/mlflow/experiments/delete-experiment-tag", experiments::delete_tag),
    post("2.0/mlflow/runs/create", runs::create),
    get("2.0/mlflow/runs/get", runs::get),
    post("2.0/mlflow/runs/update", runs::update),
    post("2.0/mlflow/runs/delete", runs::delete),
    post("2.0/mlflow/runs/restore", runs::restore),
    post("2.0/mlflow/runs/search", search::search),
    post("2.0/mlflow/runs/set-tag", runs::set_tag),
    post("2.0/mlflow/runs/delete-tag", runs::delete_tag),
    post("2.0/mlflow/runs/log-metric", metrics::log_metric),
    post("2.0/mlflow/runs/log-parameter", metrics::log_param),
    post("2.0/mlflow/runs/log-batch", metrics::log_batch),
    get("2.0/mlflow/metrics/get-history", metrics::history),
    get("2.0/mlflow/metrics/get-history-bulk", metrics::history_bulk),
    get("2.0/mlflow/metrics/get-history-bulk-interval", metrics::history_bulk_interval),
    post("2.0/mlflow/runs/log-model", logged::log_model),
    get("2.0/mlflow/artifacts/list", artifacts::list),
    post("2.0/mlflow/runs/log-inputs", datasets::log_inputs),
    post("2.0/mlflow/runs/outputs", datasets::log_outputs),
    post("2.0/mlflow/experiments/search-datasets", datasets::search),
    post("2.0/mlflow/logged-models", logged::create),
    post("2.0/mlflow/logged-models/search", logged::search),
    get("2.0/mlflow/logged-models/{model_id}", logged::get),
    patch("2.0/mlflow/logged-models/{model_id}", logged::finalize),
    delete("2.0/mlflow/logged-models/{model_id}", logged::delete),
    patch("2.0/mlflow/logged-models/{model_id}/tags", logged::set_tags),
    delete("2.0/mlflow/logged-models/{model_id}/tags/{tag_key}", logged::delete_tag),
    post("2.0/mlflow/logged-models/{model_id}/params", logged::log_params),
    get("2.0/mlflow/logged-models/{model_id}/artifacts/directories", logged::list_files),
    post("2.0/mlflow/registered-models/create", registry::create),
    get("2.0/mlflow/registered-models/get", registry::get),
    patch("2.0/mlflow/registered-models/update", registry::update),
    post("2.0/mlflow/registered-models/rename", registry::rename),
    delete("2.0/mlflow/registered-models/delete", registry::delete),
    get("2.0/mlflow/registered-models/search", registry::search),
    post("2.0/mlflow/registered-models/set-tag", registry::set_tag),
    delete("2.0/mlflow/registered-models/delete-tag", registry::delete_tag),
    post("2.0/mlflow/registered-models/alias", registry::set_alias),
    delete("2.0/mlflow/registered-models/alias", registry::delete_alias),
    get("2.0/mlflow/registered-models/alias", registry::get_by_alias),
    get("2.0/mlflow/registered-models/get-latest-versions", versions::get_latest),
    post("2.0/mlflow/registered-models/get-latest-versions", versions::get_latest),
    post("2.0/mlflow/model-versions/create", versions::create),
    get("2.0/mlflow/model-versions/get", versions::get),
    patch("2.0/mlflow/model-versions/update", versions::update),
    delete("2.0/mlflow/model-versions/delete", versions::delete),
    get("2.0/mlflow/model-versions/search", versions::search),
    post("2.0/mlflow/model-versions/transition-stage", versions::transition),
    get("2.0/mlflow/model-versions/get-download-uri", versions::download_uri),
    post("2.0/mlflow/model-versions/set-tag", versions::set_tag),
    delete("2.0/mlflow/model-versions/delete-tag", versions::delete_tag),
];

/// An endpoint that was found, with the values of the segments that it leaves open.
pub(super) struct Route {
    pub(super) endpoint: &'static Endpoint,
    pub(super) arguments: Vec<String>,
}

/// The endpoint for a method and a path behind its prefix.
pub(super) fn find(method: &Method, path: &str) -> Option<Route> {
    ENDPOINTS.iter().filter(|endpoint| endpoint.method == *method).find_map(|endpoint| {
        let arguments = arguments(endpoint.path, path)?;
        Some(Route { endpoint, arguments })
    })
}

/// The values of the open segments, if the path is of this form.
fn arguments(form: &str, path: &str) -> Option<Vec<String>> {
    if form == path {
        return Some(Vec::new());
    }
    if !form.contains('{') {
        return None;
    }
    let (mut forms, mut segments) = (form.split('/'), path.split('/'));
    let mut found = Vec::new();
    loop {
        match (forms.next(), segments.next()) {
            (None, None) => return Some(found),
            (Some(form), Some(segment)) if form.starts_with('{') && !segment.is_empty() => {
                found.push(super::message::decode(segment));
            }
            (Some(form), Some(segment)) if form == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_segments_become_arguments() {
        let found = |path| arguments("2.0/mlflow/logged-models/{id}/tags/{key}", path);
        assert_eq!(found("2.0/mlflow/logged-models/m-1/tags/a%2Fb"), Some(vec!["m-1".to_owned(), "a/b".to_owned()]));
        for other in ["2.0/mlflow/logged-models/m-1/tags", "2.0/mlflow/logged-models//tags/a", "2.0/mlflow/x/m/tags/a"]
        {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
