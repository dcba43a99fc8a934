//! Uploads in parts: a client that has a huge file sends pieces of it at once, each to a URL of its own, and says in
//! the end that they are one.
//!
//! The parts of an upload are files in `.git/ml/uploads/<upload>`, named by their number and their digest. What is never
//! completed goes after a day.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Server;
use super::artifacts::{append, blocking, owned, path_behind, receive};
use super::error::{ApiError, Code};
use super::http::{Access, Reply};
use super::message::{Whole, from_json, need, or_default};
use crate::files::{self, Draft, Durability};
use crate::id::{Digest, RunId};
use crate::run::{RunError, Uploads};

/// Parts that an upload may have.
const MAX_PARTS: i64 = 10_000;
/// Bytes of the messages around the parts.
const MAX_MESSAGE: usize = 8 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "or_default")]
    path: String,
    num_parts: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    upload_id: String,
    #[serde(deserialize_with = "or_default")]
    parts: Vec<Part>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    part_number: Option<Whole>,
    #[serde(deserialize_with = "or_default")]
    etag: String,
}

#[derive(Debug, Serialize)]
struct Created {
    upload_id: String,
    credentials: Vec<Credential>,
}

#[derive(Debug, Serialize)]
struct Credential {
    url: String,
    part_number: i64,
    headers: Map<String, Value>,
}

/// Answers whatever is behind `mpu/`.
pub(super) async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    match take(server, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn take(server: Arc<Server>, request: Request) -> Result<Response, ApiError> {
    let path = path_behind(&request, "/mlflow-artifacts/mpu/");
    let (action, path) = path.split_once('/').unwrap_or((&path, ""));
    match (request.method(), action) {
        (&Method::PUT, "part") => {
            let path = path.to_owned();
            take_part(server, &path, request).await
        }
        (&Method::POST, "create" | "complete" | "abort") => {
            let (action, path) = (action.to_owned(), path.to_owned());
            let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
            let host = host.unwrap_or("127.0.0.1").to_owned();
            let body = axum::body::to_bytes(request.into_body(), MAX_MESSAGE).await;
            let body = body.map_err(|_| ApiError::new(Code::RequestEntityTooLarge, "The request is too large."))?;
            let reply = blocking(move || {
                let message: Message = from_json(&body, &[])?;
                match action.as_str() {
                    "create" => create(&server, &path, &message, &host),
                    "complete" => complete(&server, &path, &message),
                    _ => abort(&server, &message),
                }
            });
            Ok(reply.await?.into_response())
        }
        _ => Err(ApiError::new(Code::EndpointNotFound, "There is no such endpoint of uploads in parts.")),
    }
}

/// The folder of an upload, which has to be there.
fn folder_of(server: &Server, upload_id: &str) -> Result<PathBuf, ApiError> {
    let missing = || ApiError::missing("There is no such upload.");
    let upload_id: RunId = upload_id.parse().map_err(|_| missing())?;
    let folder = Uploads::drafts(&server.workspace)?.join(upload_id.to_string());
    if folder.is_dir() { Ok(folder) } else { Err(missing()) }
}

/// The place of the whole: the name of the client's file below the folder in the URL.
fn destination(path: &str, message: &Message) -> Result<String, ApiError> {
    let name = need("path", &message.path)?.rsplit(['/', '\\']).next().unwrap_or_default();
    Ok(format!("{path}/{name}"))
}

fn create(server: &Server, path: &str, message: &Message, host: &str) -> Result<Reply, ApiError> {
    owned(server, &destination(path, message)?)?;
    let Whole(count) = message.num_parts.unwrap_or(Whole(1));
    if !(1..=MAX_PARTS).contains(&count) {
        return Err(ApiError::invalid(format!("An upload has from 1 to {MAX_PARTS} parts.")));
    }
    let upload_id = RunId::generate();
    files::ensure_dir(&Uploads::drafts(&server.workspace)?.join(upload_id.to_string()))?;
    let mut headers = Map::new();
    if let Access::Token(token) = &server.access {
        headers.insert("Authorization".to_owned(), format!("Bearer {token}").into());
    }
    let credential = |part_number: i64| Credential {
        url: format!("http://{host}/api/2.0/mlflow-artifacts/mpu/part/{upload_id}/{part_number}"),
        part_number,
        headers: headers.clone(),
    };
    let credentials = (1..=count).map(credential).collect();
    Ok(Reply::json(&Created { upload_id: upload_id.to_string(), credentials }))
}

async fn take_part(server: Arc<Server>, path: &str, request: Request) -> Result<Response, ApiError> {
    let (upload_id, number) = path.split_once('/').unwrap_or_default();
    let number: u32 = number.parse().map_err(|_| ApiError::invalid("A part has a number."))?;
    let folder = folder_of(&server, upload_id)?;
    let draft = receive(&server, request.into_body(), u64::MAX).await?;
    let etag = blocking(move || {
        let mut hasher = blake3::Hasher::new();
        let place = draft.path().to_path_buf();
        let read = fs::File::open(&place).and_then(|file| hasher.update_reader(file).map(drop));
        read.map_err(|source| RunError::Read { path: place, source })?;
        let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
        draft.publish(&folder.join(format!("{number}.{digest}")), false, Durability::Buffered)?;
        Ok(digest.to_string())
    })
    .await?;
    let mut response = Reply::empty().into_response();
    let etag = HeaderValue::from_str(&format!("\"{etag}\"")).map_err(|error| ApiError::internal(&error))?;
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

fn complete(server: &Server, path: &str, message: &Message) -> Result<Reply, ApiError> {
    let folder = folder_of(server, &message.upload_id)?;
    let (owner, path) = owned(server, &destination(path, message)?)?;
    let mut parts: Vec<(i64, String)> = Vec::new();
    for part in &message.parts {
        parts.push((part.part_number.unwrap_or_default().0, part.etag.trim_matches('"').to_owned()));
    }
    parts.sort();
    parts.dedup();
    if parts.is_empty() || parts.iter().zip(1..).any(|((number, _), expected)| *number != expected) {
        return Err(ApiError::invalid("The parts of an upload are numbered from 1, and none is missing."));
    }
    let mut draft = Draft::new_in(&Uploads::drafts(&server.workspace)?)?;
    for (number, etag) in parts {
        let missing = || ApiError::invalid(format!("Part {number} of the upload is not here."));
        let digest: Digest = etag.parse().map_err(|_| missing())?;
        let mut part = fs::File::open(folder.join(format!("{number}.{digest}"))).map_err(|_| missing())?;
        append(&mut draft, &mut part)?;
    }
    Uploads::new(&server.workspace, owner, server.author()).put(&path, draft)?;
    forget(&folder);
    Ok(Reply::empty())
}

fn abort(server: &Server, message: &Message) -> Result<Reply, ApiError> {
    forget(&folder_of(server, &message.upload_id)?);
    Ok(Reply::empty())
}

/// Removes the parts; what cannot be removed now goes with what is old.
fn forget(folder: &Path) {
    let _ = files::remove_dir_all(folder);
}
