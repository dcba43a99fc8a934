//! The proxied artifacts: files that clients upload to runs and logged models, list and download.
//!
//! They are streamed in both directions, so a file of gigabytes needs no more memory than a small one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::Server;
use super::error::{ApiError, Code};
use super::http::{Call, Reply};
use super::message::{Field, Kind, Whole, decode, need, optional, or_default, parse_query, required};
use super::sources::{Place, place_of, safe_path};
use super::versions;
use crate::files::{Draft, FileError, RelPath};
use crate::id::ArtifactId;
use crate::run::{Content, LoggedModels, Owner, Uploads};
use crate::store::Mode;

/// Bytes that are read from a file at once.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for the disk or for the client.
const WAITING: usize = 8;
/// Bytes that the endpoint for small uploads takes.
const MAX_SMALL: u64 = 10 << 20;

/// A name in a folder, as MLflow has it.
#[derive(Debug, Serialize)]
pub(super) struct FileView {
    path: String,
    is_dir: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_size: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FilesReply {
    #[serde(skip_serializing_if = "Option::is_none")]
    root_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileView>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ListRequest {
    #[serde(deserialize_with = "or_default")]
    run_id: String,
    #[serde(deserialize_with = "or_default")]
    run_uuid: String,
    #[serde(deserialize_with = "or_default")]
    path: String,
    _page_token: Option<Whole>,
}

const LIST_FIELDS: &[Field] =
    &[required("run_id", Kind::Text), optional("path", Kind::Text), optional("page_token", Kind::Text)];

/// What lies directly in a folder of a run or model.
pub(super) fn files_in(server: &Server, owner: Owner, path: Option<&RelPath>) -> Result<Vec<FileView>, ApiError> {
    let found = Uploads::new(&server.workspace, owner, server.author()).list(path)?;
    let hidden = match owner {
        // A run has its logged models as outputs; clients look for those in the models.
        Owner::Run(run_id) if path.is_none() => {
            let run_id = run_id.to_string();
            let models = server.logged_models()?;
            let of_run = models.iter().filter(|model| model.run.as_deref() == Some(run_id.as_str()));
            of_run.map(|model| model.name.clone()).collect()
        }
        _ => Vec::new(),
    };
    // A file has nothing in it.
    let found = found.into_iter().filter(|file| path.is_none_or(|path| path.as_str() != file.path));
    let found = found.filter(|file| !hidden.contains(&file.path));
    Ok(found.map(|file| FileView { path: file.path, is_dir: file.size.is_none(), file_size: file.size }).collect())
}

/// Of a run's files those in a folder.
pub(super) fn list(server: &Server, call: &Call) -> Result<Reply, ApiError> {
    let request: ListRequest = call.message(LIST_FIELDS)?;
    let run_id = if request.run_id.is_empty() { &request.run_uuid } else { &request.run_id };
    let (run_id, root_uri) = server.run_and_artifact_uri(need("run_id", run_id)?)?;
    let path = folder_path(&request.path)?;
    let files = files_in(server, Owner::Run(run_id), path.as_ref())?;
    Ok(Reply::json(&FilesReply { root_uri: Some(root_uri), files }))
}

/// The path of a folder; none for the root.
fn folder_path(path: &str) -> Result<Option<RelPath>, ApiError> {
    match path.trim_end_matches('/') {
        "" | "." => Ok(None),
        path => safe_path(path).map(Some),
    }
}

/// The routes that stream.
pub(super) fn routes() -> Router<Arc<Server>> {
    let mut router = Router::new();
    for prefix in ["/api", "/ajax-api"] {
        let artifacts = format!("{prefix}/2.0/mlflow-artifacts/artifacts");
        router = router
            .route(&artifacts, any(at_root))
            .route(&format!("{artifacts}/"), any(at_root))
            .route(&format!("{artifacts}/{{*path}}"), any(at_path))
            .route(&format!("{prefix}/2.0/mlflow-artifacts/mpu/{{*path}}"), any(super::multipart::answer))
            .route(&format!("{prefix}/2.0/mlflow-artifacts/presigned/{{*path}}"), any(presigned))
            .route(&format!("{prefix}/2.0/mlflow/upload-artifact"), any(upload_small))
            .route(&format!("{prefix}/2.0/mlflow/logged-models/{{model_id}}/artifacts/files"), any(get_of_model));
    }
    // One of the clients writes two slashes.
    router = router.route("//model-versions/get-artifact", any(get_of_version));
    router.route("/get-artifact", any(get_of_run)).route("/model-versions/get-artifact", any(get_of_version))
}

fn not_allowed(method: &Method) -> ApiError {
    ApiError::new(Code::BadRequest, format!("{method} is no method of this endpoint"))
}

/// The part of a request's path behind `marker`, decoded.
pub(super) fn path_behind(request: &Request, marker: &str) -> String {
    let path = request.uri().path();
    decode(path.split_once(marker).map_or("", |(_, rest)| rest)).trim_matches('/').to_owned()
}

/// A value of the query string.
fn query(request: &Request, names: &[&str]) -> Option<String> {
    let pairs = parse_query(request.uri().query().unwrap_or_default());
    let found = names.iter().find_map(|name| pairs.iter().find(|(known, _)| known == name));
    found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
}

fn respond(answer: Result<Response, ApiError>) -> Response {
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// Runs what reads and writes files on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(ApiError::new(Code::InternalError, "this request met a bug of git-ml")))
}

/// Files come from here and from nowhere else; clients that hear this ask for the file itself.
async fn presigned() -> Response {
    ApiError::new(Code::NotImplemented, "Presigned downloads are not supported by this server.").into_response()
}

async fn at_root(State(server): State<Arc<Server>>, request: Request) -> Response {
    if request.method() != Method::GET {
        return not_allowed(request.method()).into_response();
    }
    let path = query(&request, &["path"]).unwrap_or_default();
    respond(blocking(move || list_place(&server, &path)).await.map(IntoResponse::into_response))
}

fn list_place(server: &Server, path: &str) -> Result<Reply, ApiError> {
    if path.starts_with('/') || path.split('/').any(|segment| segment == "..") {
        return Err(ApiError::invalid("Invalid path"));
    }
    let mut files = match place_of(path)? {
        Some(Place::Owned(owner, path)) => files_in(server, owner, path.as_ref())?,
        Some(Place::Version(name, number, path)) => match versions::of_path(server, &name, &number) {
            Some(version) => list_artifact(server, &version.id, path.as_ref())?,
            None => Vec::new(),
        },
        None => Vec::new(),
    };
    for file in &mut files {
        file.path = file.path.rsplit('/').next().unwrap_or_default().to_owned();
    }
    Ok(Reply::json(&FilesReply { root_uri: None, files }))
}

/// What lies directly in a folder of an artifact in the store.
fn list_artifact(server: &Server, id: &ArtifactId, path: Option<&RelPath>) -> Result<Vec<FileView>, ApiError> {
    let mut files: Vec<FileView> = Vec::new();
    for entry in server.workspace.store.manifest(id)?.entries() {
        let Some(file) = &entry.path else { continue };
        let below = match path {
            None => Some(file.as_str()),
            Some(path) => file.as_str().strip_prefix(path.as_str()).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(below) = below else { continue };
        let name = below.split('/').next().unwrap_or(below);
        let is_dir = name.len() < below.len();
        if files.last().is_none_or(|last| last.path != name) {
            files.push(FileView { path: name.to_owned(), is_dir, file_size: (!is_dir).then_some(entry.size) });
        }
    }
    Ok(files)
}

async fn at_path(State(server): State<Arc<Server>>, request: Request) -> Response {
    let path = path_behind(&request, "/mlflow-artifacts/artifacts/");
    let answer = match *request.method() {
        Method::GET | Method::HEAD => download(server, path, Asked::of(&request)).await,
        Method::PUT => upload(server, path, request.into_body()).await.map(IntoResponse::into_response),
        Method::DELETE => blocking(move || remove(&server, &path)).await.map(IntoResponse::into_response),
        ref method => Err(not_allowed(method)),
    };
    respond(answer)
}

/// Who a path belongs to, for a change.
pub(super) fn owned(server: &Server, path: &str) -> Result<(Owner, RelPath), ApiError> {
    match place_of(path)? {
        Some(Place::Owned(owner, Some(path))) => {
            match owner {
                Owner::Run(run_id) => drop(server.run_and_artifact_uri(&run_id.to_string())?),
                Owner::Model(model_id) => {
                    let model = LoggedModels::new(&server.workspace).get(&model_id)?;
                    model.ok_or_else(|| ApiError::missing(format!("Logged model with ID '{model_id}' not found.")))?;
                }
            }
            Ok((owner, path))
        }
        Some(Place::Version(..)) => Err(ApiError::new(Code::PermissionDenied, "A registered version never changes.")),
        _ => Err(ApiError::invalid("Invalid path: it has to be below the artifacts of a run or of a logged model")),
    }
}

fn remove(server: &Server, path: &str) -> Result<Reply, ApiError> {
    let (owner, path) = owned(server, path)?;
    Uploads::new(&server.workspace, owner, server.author()).remove(&path)?;
    Ok(Reply::empty())
}

/// Takes a body into a draft, piece by piece; an error where the connection breaks before its end, or where it has
/// more than `limit` bytes.
pub(super) async fn receive(server: &Arc<Server>, body: Body, limit: u64) -> Result<Draft, ApiError> {
    let (sender, receiver) = mpsc::channel::<Bytes>(WAITING);
    let workspace = Arc::clone(&server.workspace);
    let writing = tokio::task::spawn_blocking(move || -> Result<Draft, ApiError> {
        let mut receiver = receiver;
        let mut draft = Draft::new_in(&Uploads::drafts(&workspace)?)?;
        while let Some(piece) = receiver.blocking_recv() {
            let written = draft.write_all(&piece);
            written.map_err(|source| FileError::new("write", draft.path(), source))?;
        }
        Ok(draft)
    });
    let mut pieces = body.into_data_stream();
    let mut broken = None;
    let mut size = 0;
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => {
                size += piece.len() as u64;
                if size > limit {
                    let message = format!("The body of this request may have at most {limit} bytes.");
                    broken = Some(ApiError::new(Code::RequestEntityTooLarge, message));
                    break;
                }
                // It does not listen any more where it cannot write.
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                broken = Some(ApiError::new(Code::BadRequest, format!("The body of the request broke off: {error}")));
                break;
            }
        }
    }
    drop(sender);
    let draft = writing.await.map_err(|_| ApiError::new(Code::InternalError, "this request met a bug of git-ml"))??;
    match broken {
        // The draft goes.
        Some(error) => Err(error),
        None => Ok(draft),
    }
}

async fn upload(server: Arc<Server>, path: String, body: Body) -> Result<Reply, ApiError> {
    let (owner, path) = {
        let server = Arc::clone(&server);
        // Before anything is written, so that a stray upload costs nothing.
        blocking(move || owned(&server, &path)).await?
    };
    let draft = receive(&server, body, u64::MAX).await?;
    blocking(move || {
        Uploads::new(&server.workspace, owner, server.author()).put(&path, draft)?;
        Ok(Reply::empty())
    })
    .await
}

/// The endpoint of MLflow's own pages, for small files.
async fn upload_small(State(server): State<Arc<Server>>, request: Request) -> Response {
    respond(take_small(server, request).await.map(IntoResponse::into_response))
}

async fn take_small(server: Arc<Server>, request: Request) -> Result<Reply, ApiError> {
    if request.method() != Method::POST {
        return Err(not_allowed(request.method()));
    }
    let run_id = query(&request, &["run_uuid"]).ok_or_else(|| ApiError::invalid("Request must specify run_uuid."))?;
    let path = query(&request, &["path"]).ok_or_else(|| ApiError::invalid("Request must specify path."))?;
    let path = safe_path(&path)?;
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > MAX_SMALL) {
        return Err(ApiError::invalid("Artifact size is too large. Max size is 10MB."));
    }
    let draft = match receive(&server, request.into_body(), MAX_SMALL).await {
        Err(error) if error.code == Code::RequestEntityTooLarge => {
            return Err(ApiError::invalid("Artifact size is too large. Max size is 10MB."));
        }
        draft => draft?,
    };
    blocking(move || {
        if draft.file().metadata().is_ok_and(|metadata| metadata.len() == 0) {
            return Err(ApiError::invalid("Request must specify data."));
        }
        let (run_id, _) = server.run_and_artifact_uri(&run_id)?;
        Uploads::new(&server.workspace, Owner::Run(run_id), server.author()).put(&path, draft)?;
        Ok(Reply::empty())
    })
    .await
}

async fn get_of_run(State(server): State<Arc<Server>>, request: Request) -> Response {
    let path = match (query(&request, &["run_id", "run_uuid"]), query(&request, &["path"])) {
        (Some(run_id), Some(path)) => safe_path(&path).map(|path| format!("{run_id}/artifacts/{path}")),
        (None, _) => Err(ApiError::invalid("Request must specify run_id.")),
        (_, None) => Err(ApiError::invalid("Request must specify path.")),
    };
    match path {
        Ok(path) => respond(download(server, path, Asked::of(&request)).await),
        Err(error) => error.into_response(),
    }
}

async fn get_of_model(State(server): State<Arc<Server>>, request: Request) -> Response {
    let segments: Vec<String> = request.uri().path().split('/').map(decode).collect();
    // `…/logged-models/ID/artifacts/files`
    let model_id = segments.iter().rev().nth(2).cloned().unwrap_or_default();
    let Some(path) = query(&request, &["artifact_file_path"]) else {
        let message = "Request must include the \"artifact_file_path\" query parameter.";
        return ApiError::new(Code::BadRequest, message).into_response();
    };
    match safe_path(&path) {
        Ok(path) => respond(download(server, format!("{model_id}/artifacts/{path}"), Asked::of(&request)).await),
        Err(error) => error.into_response(),
    }
}

async fn get_of_version(State(server): State<Arc<Server>>, request: Request) -> Response {
    let [name, version, path] = [&["name"][..], &["version"], &["path"]].map(|names| query(&request, names));
    let (Some(name), Some(version), Some(path)) = (name, version, path) else {
        return ApiError::invalid("Request must specify name, version and path.").into_response();
    };
    match safe_path(&path) {
        Ok(path) => {
            let path = format!("registry/{}/{version}/artifacts/{path}", name.replace('/', ""));
            respond(download(server, path, Asked::of(&request)).await)
        }
        Err(error) => error.into_response(),
    }
}

/// The content of a file, wherever it is.
fn open(server: &Server, path: &str) -> Result<Content, ApiError> {
    let missing = || ApiError::missing(format!("No such artifact: '{}'", path.chars().take(200).collect::<String>()));
    match place_of(path)? {
        Some(Place::Owned(owner, Some(path))) => {
            Uploads::new(&server.workspace, owner, server.author()).open(&path)?.ok_or_else(missing)
        }
        Some(Place::Version(name, number, Some(path))) => {
            let version = versions::of_path(server, &name, &number).ok_or_else(missing)?;
            let manifest = server.workspace.store.manifest(&version.id)?;
            let entry = manifest.find(&path).filter(|entry| entry.mode != Mode::Symlink).ok_or_else(missing)?;
            Ok(Content::Stored(entry.digest, entry.size))
        }
        _ => Err(missing()),
    }
}

/// How a client asks for a file.
#[derive(Debug)]
struct Asked {
    method: Method,
    range: Option<String>,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok());
        Self { method: request.method().clone(), range: range.map(str::to_owned) }
    }
}

async fn download(server: Arc<Server>, path: String, asked: Asked) -> Result<Response, ApiError> {
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return Err(not_allowed(&asked.method));
    }
    let is_head = asked.method == Method::HEAD;
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let content = {
        let server = Arc::clone(&server);
        blocking(move || open(&server, &path)).await?
    };
    let size = match &content {
        Content::File(_, size) | Content::Stored(_, size) => *size,
    };
    let range = match asked.range.as_deref().map(|asked| range_of(asked, size)) {
        None | Some(Range::Whole) => None,
        Some(Range::Part(from, to)) => Some((from, to)),
        Some(Range::Beyond) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    let (from, length) = range.map_or((0, size), |(from, to)| (from, to - from));
    let body = match is_head {
        true => Body::empty(),
        false => {
            let (sender, receiver) = mpsc::channel(WAITING);
            tokio::task::spawn_blocking(move || send(&server, content, from, length, &sender));
            Body::from_stream(futures_util::stream::unfold(receiver, next_piece))
        }
    };
    let mut response = Response::new(body);
    if let Some((from, to)) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {from}-{}/{size}", to - 1));
    }
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    set(&mut response, header::CONTENT_TYPE, content_type(&name));
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    // A browser is to keep what it gets, not to run it.
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._- ".contains(*c)).collect();
    set(&mut response, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{plain}\""));
    Ok(response)
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

async fn next_piece(
    mut receiver: Receiver<io::Result<Bytes>>,
) -> Option<(io::Result<Bytes>, Receiver<io::Result<Bytes>>)> {
    receiver.recv().await.map(|piece| (piece, receiver))
}

/// Which part of a file a client wants.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    /// From the first to before the second.
    Part(u64, u64),
    Beyond,
}

/// Reads `bytes=FROM-TO`, `bytes=FROM-` or `bytes=-LAST`; whatever else it is, the whole file is the answer.
fn range_of(text: &str, size: u64) -> Range {
    let part = || {
        let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
        match (from.trim(), to.trim()) {
            ("", last) => Some((size.saturating_sub(last.parse().ok()?), size)),
            (from, "") => Some((from.parse().ok()?, size)),
            (from, to) => {
                let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
                (from <= to).then_some((from, to.saturating_add(1).min(size)))
            }
        }
    };
    match part() {
        None => Range::Whole,
        Some((from, _)) if from >= size => Range::Beyond,
        Some((from, to)) => Range::Part(from, to),
    }
}

/// Sends a part of a content, as fast as the client takes it.
fn send(server: &Server, content: Content, from: u64, length: u64, sender: &Sender<io::Result<Bytes>>) {
    let result = match content {
        Content::File(mut file, _) => {
            file.seek(SeekFrom::Start(from)).and_then(|_| send_from(&mut file.take(length), sender))
        }
        Content::Stored(digest, _) => {
            server.workspace.store.read(&digest).map_err(io::Error::other).and_then(|mut file| {
                io::copy(&mut (&mut file).take(from), &mut io::sink())?;
                send_from(&mut file.take(length), sender)
            })
        }
    };
    if let Err(error) = result {
        // The connection is closed before its end, which tells the client.
        let _ = sender.blocking_send(Err(error));
    }
}

fn send_from(input: &mut dyn Read, sender: &Sender<io::Result<Bytes>>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE];
        let count = crate::files::fill(input, &mut piece)?;
        if count == 0 {
            return Ok(());
        }
        piece.truncate(count);
        if sender.blocking_send(Ok(Bytes::from(piece))).is_err() {
            // The client went away.
            return Ok(());
        }
    }
}

/// The type of a file by its name, as far as MLflow's pages show it.
fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "txt" | "log" | "err" | "cfg" | "conf" | "cnf" | "ini" | "properties" | "props" | "hocon" | "md" | "rst"
        | "yaml" | "yml" | "xml" | "json" | "js" | "py" | "py3" | "csv" | "tsv" | "html" | "sh" | "sql" | "toml" => {
            "text/plain"
        }
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        _ if name == "MLmodel" || name == "MLproject" => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Opens a file for reading its length and content.
pub(super) fn append(draft: &mut Draft, file: &mut File) -> Result<u64, ApiError> {
    let copied = draft.copy_from(file);
    Ok(copied.map_err(|source| FileError::new("write", draft.path(), source))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_and_bounded() {
        for (text, range) in [
            ("bytes=0-4", Range::Part(0, 5)),
            ("bytes=3-", Range::Part(3, 10)),
            ("bytes=-4", Range::Part(6, 10)),
            ("bytes=-40", Range::Part(0, 10)),
            ("bytes=5-99", Range::Part(5, 10)),
            ("bytes=10-", Range::Beyond),
            ("bytes=4-3", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("lines=1-2", Range::Whole),
            ("bytes=a-b", Range::Whole),
        ] {
            assert_eq!(range_of(text, 10), range, "{text}");
        }
        assert_eq!(range_of("bytes=0-", 0), Range::Beyond);
    }
}
