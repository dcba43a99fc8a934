//! Every JSON endpoint, in one place.

use axum::http::Method;

use super::error::ApiError;
use super::http::{Call, Reply};
use super::{Server, experiments, metrics, runs, search};

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
