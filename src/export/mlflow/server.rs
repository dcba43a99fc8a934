//! An MLflow server: what its own client would ask of it, in the same requests.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{ExportedRuns, MlflowOptions, RUN_TAG, experiment_of, status_words, tags_of};
use crate::export::ExportError;
use crate::id::Digest;
use crate::run::{Point, Run, Runs};
use crate::track::{Progress, Workspace};

/// How long a server may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long nothing may arrive of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// The most that MLflow takes of each at once.
const MAX_METRICS: usize = 1000;
const MAX_PARAMS: usize = 100;
const MAX_TAGS: usize = 100;
/// Bytes of an artifact that are sent at a time.
const BLOCK: usize = 256 << 10;

/// Who asks.
#[derive(Clone, Default)]
pub enum Login {
    /// Nobody in particular.
    #[default]
    None,
    /// Whoever has this token.
    Token(String),
    /// A user with a password.
    Password(String, String),
}

impl fmt::Debug for Login {
    /// Without the secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token(…)",
            Self::Password(..) => "Password(…)",
        })
    }
}

/// Writes runs to an MLflow server. A run that was written before is not written again.
pub fn to_mlflow_server(
    workspace: &Workspace,
    store: &Runs<'_>,
    runs: &[Run],
    url: &str,
    login: Login,
    options: MlflowOptions,
    progress: &dyn Progress,
) -> Result<ExportedRuns, ExportError> {
    let server = Server::new(url, login)?;
    let mut exported = ExportedRuns::default();
    progress.start("exporting runs", None);
    // In the order in which they ran, which is how MLflow shows them.
    for run in runs.iter().rev() {
        let experiment = server.experiment(experiment_of(run))?;
        if server.has_run(&experiment, run)? {
            exported.present += 1;
            continue;
        }
        server.send_run(workspace, store, run, &experiment, options, &mut exported)?;
        exported.exported += 1;
        progress.advance(1);
    }
    progress.finish();
    Ok(exported)
}

struct Server {
    base: Url,
    place: String,
    login: Login,
    http: Client,
    runtime: Runtime,
}

impl Server {
    fn new(url: &str, login: Login) -> Result<Self, ExportError> {
        let shown = url.split('@').next_back().unwrap_or(url).to_owned();
        let bad = |reason| ExportError::BadUrl { url: shown.clone(), reason };
        let mut base = Url::parse(url).map_err(|_| bad("it is no URL"))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad("it does not begin with http:// or https://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("a password does not belong in it"));
        }
        base.set_query(None);
        base.set_fragment(None);
        let unreachable = |problem: String| ExportError::Unreachable { place: shown.clone(), problem };
        // A second call is no fault: another part of the program was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(concat!("git-ml/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A login is for the server that was named.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| unreachable(error.to_string()))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unreachable(error.to_string()))?;
        Ok(Self { base, place: shown.clone(), login, http, runtime })
    }

    /// Asks, and returns the answer; none where the server says that there is no such thing.
    fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Body,
    ) -> Result<Option<Value>, ExportError> {
        let mut url = self.base.clone();
        let path = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let action = path.rsplit("/mlflow/").next().unwrap_or(&path).to_owned();
        let unreachable = |error: reqwest::Error| ExportError::Unreachable {
            place: self.place.clone(),
            problem: words_of(&error.without_url()),
        };
        let mut request = self.http.request(method, url);
        request = match &self.login {
            Login::None => request,
            Login::Token(token) => request.bearer_auth(token),
            Login::Password(user, password) => request.basic_auth(user, Some(password)),
        };
        request = match body {
            Body::None => request,
            Body::Json(value) => request.header("content-type", "application/json").body(value.to_string()),
            Body::Stream(stream, length) => request.header("content-length", length).body(stream),
        };
        let (status, text) = self.runtime.block_on(async {
            let response = request.send().await.map_err(unreachable)?;
            let status = response.status();
            response.text().await.map(|text| (status, text)).map_err(unreachable)
        })?;
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(Some(value));
        }
        if status == StatusCode::NOT_FOUND && value["error_code"] == "RESOURCE_DOES_NOT_EXIST" {
            return Ok(None);
        }
        let said = value["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
        let problem =
            format!("{} {}", status.as_u16(), said.chars().take(300).collect::<String>()).trim_end().to_owned();
        Err(ExportError::Refused { place: self.place.clone(), action, problem })
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, ExportError> {
        let answer = self.ask(Method::POST, &format!("api/2.0/mlflow/{path}"), &[], Body::Json(body))?;
        answer.ok_or_else(|| self.odd(path, "there is no such thing"))
    }

    fn odd(&self, action: &str, problem: &str) -> ExportError {
        ExportError::Refused { place: self.place.clone(), action: action.to_owned(), problem: problem.to_owned() }
    }

    /// The id of an experiment, which is made where there is none.
    fn experiment(&self, name: &str) -> Result<String, ExportError> {
        let query = [("experiment_name", name)];
        let path = "api/2.0/mlflow/experiments/get-by-name";
        let found = self.ask(Method::GET, path, &query, Body::None)?;
        let id = match found {
            Some(found) => found["experiment"]["experiment_id"].as_str().map(str::to_owned),
            None => {
                self.post("experiments/create", &json!({ "name": name }))?["experiment_id"].as_str().map(str::to_owned)
            }
        };
        id.ok_or_else(|| self.odd("experiments/create", "the answer has no id"))
    }

    /// Whether a run was written before, under whatever id.
    fn has_run(&self, experiment: &str, run: &Run) -> Result<bool, ExportError> {
        let filter = format!("tags.`{RUN_TAG}` = '{}'", run.id);
        let body = json!({
            "experiment_ids": [experiment], "filter": filter, "max_results": 1, "run_view_type": "ALL",
        });
        let found = self.post("runs/search", &body)?;
        Ok(found["runs"].as_array().is_some_and(|runs| !runs.is_empty()))
    }

    fn send_run(
        &self,
        workspace: &Workspace,
        store: &Runs<'_>,
        run: &Run,
        experiment: &str,
        options: MlflowOptions,
        exported: &mut ExportedRuns,
    ) -> Result<(), ExportError> {
        let created = self.post(
            "runs/create",
            &json!({
                "experiment_id": experiment,
                "user_id": run.user,
                "run_name": run.name,
                "start_time": run.started.as_millisecond(),
            }),
        )?;
        let info = &created["run"]["info"];
        let run_id = info["run_id"].as_str().ok_or_else(|| self.odd("runs/create", "the answer has no id"))?.to_owned();
        let artifact_uri = info["artifact_uri"].as_str().unwrap_or_default().to_owned();
        let pair = |(key, value): (&String, &String)| json!({ "key": key, "value": value });
        let params: Vec<Value> = run.params.iter().map(pair).collect();
        for params in params.chunks(MAX_PARAMS) {
            self.post("runs/log-batch", &json!({ "run_id": run_id, "params": params }))?;
        }
        let mut tags = tags_of(run);
        tags.remove("mlflow.runName");
        let tags: Vec<Value> = tags.iter().map(pair).collect();
        for tags in tags.chunks(MAX_TAGS) {
            self.post("runs/log-batch", &json!({ "run_id": run_id, "tags": tags }))?;
        }
        for (metric, points) in &store.series(&run.id)? {
            for points in points.chunks(MAX_METRICS) {
                let metrics: Vec<Value> = points.iter().map(|point| metric_of(metric, point)).collect();
                self.post("runs/log-batch", &json!({ "run_id": run_id, "metrics": metrics }))?;
            }
        }
        let datasets: Vec<Value> = run
            .datasets
            .iter()
            .map(|dataset| {
                let tags: Vec<Value> = dataset.tags.iter().map(pair).collect();
                json!({ "tags": tags, "dataset": {
                    "name": dataset.name, "digest": dataset.digest, "source_type": dataset.source_type,
                    "source": dataset.source, "schema": dataset.schema, "profile": dataset.profile,
                }})
            })
            .collect();
        if !datasets.is_empty() {
            self.post("runs/log-inputs", &json!({ "run_id": run_id, "datasets": datasets }))?;
        }
        if !options.without_artifacts {
            self.send_artifacts(workspace, run, &artifact_uri, exported)?;
        }
        let (status, _) = status_words(run.status);
        let ended = run.ended.map(|time| time.as_millisecond());
        self.post("runs/update", &json!({ "run_id": run_id, "status": status, "end_time": ended }))?;
        // Last, so that a run that was not written whole is written again. One that is deleted takes no more tags.
        self.post("runs/set-tag", &json!({ "run_id": run_id, "key": RUN_TAG, "value": run.id }))?;
        if run.removed.is_some() {
            self.post("runs/delete", &json!({ "run_id": run_id }))?;
        }
        Ok(())
    }

    fn send_artifacts(
        &self,
        workspace: &Workspace,
        run: &Run,
        uri: &str,
        exported: &mut ExportedRuns,
    ) -> Result<(), ExportError> {
        if run.outputs.is_empty() {
            return Ok(());
        }
        // Where the server does not take artifacts itself, it names a place that only its clients can reach.
        let Some(root) = uri.strip_prefix("mlflow-artifacts:") else {
            exported.left_out.push((format!("{}: artifacts", run.name), format!("the server keeps them at {uri}")));
            return Ok(());
        };
        let root = match root.strip_prefix("//") {
            Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
            None => root,
        };
        for output in &run.outputs {
            let manifest = match workspace.store.manifest(&output.id) {
                Ok(manifest) => manifest,
                Err(error) => {
                    exported.left_out.push((format!("{}: artifact {}", run.name, output.name), error.to_string()));
                    continue;
                }
            };
            for entry in manifest.entries() {
                let name = match &entry.path {
                    Some(path) => format!("{}/{path}", output.name),
                    None => output.name.clone(),
                };
                let path = format!("api/2.0/mlflow-artifacts/artifacts/{}/{name}", root.trim_matches('/'));
                let body = stream(workspace, entry.digest)?;
                self.ask(Method::PUT, &path, &[], Body::Stream(body, entry.size))?;
            }
        }
        Ok(())
    }
}

enum Body<'b> {
    None,
    Json(&'b Value),
    Stream(reqwest::Body, u64),
}

/// A point as MLflow has it; what JSON has no number for is text.
fn metric_of(metric: &str, point: &Point) -> Value {
    let value = match point.value {
        value if value.is_finite() => json!(value),
        value if value.is_nan() => json!("NaN"),
        value if value > 0.0 => json!("Infinity"),
        _ => json!("-Infinity"),
    };
    json!({ "key": metric, "value": value, "timestamp": point.time.as_millisecond(), "step": point.step })
}

/// A file of the store, block by block: it is read by a thread of its own while blocks are sent.
fn stream(workspace: &Workspace, file: Digest) -> Result<reqwest::Body, ExportError> {
    let store = crate::store::Store::open(workspace.store.root())?;
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<bytes::Bytes>>(4);
    std::thread::spawn(move || {
        let read = || -> std::io::Result<()> {
            let mut reader = store.read(&file).map_err(std::io::Error::other)?;
            loop {
                let mut block = vec![0; BLOCK];
                let count = reader.read(&mut block)?;
                if count == 0 {
                    return Ok(());
                }
                block.truncate(count);
                // Whoever sends has given up: there is nobody to tell.
                if sender.blocking_send(Ok(block.into())).is_err() {
                    return Ok(());
                }
            }
        };
        if let Err(error) = read() {
            let _ = sender.blocking_send(Err(error));
        }
    });
    let blocks = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|block| (block, receiver))
    });
    Ok(reqwest::Body::wrap_stream(blocks))
}

/// An error with what caused it.
fn words_of(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = error.to_string();
        cause = error.source();
    }
    words
}
