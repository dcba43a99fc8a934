//! Requests in and replies out: who may ask, how large a body may be, and which endpoint answers.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Server;
use super::endpoints::{Route, find};
use super::error::{ApiError, Code};
use super::message::{self, Field};

/// Bytes that the body of a request to the JSON endpoints may have.
const MAX_BODY: usize = 32 << 20;

/// What every path of the JSON endpoints begins with, in either of its two spellings.
const PREFIXES: [&str; 2] = ["/api/", "/ajax-api/"];

/// A request to an endpoint, with its body.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The part of the path that an endpoint has as `{name}`, percent-decoded.
    pub(super) arguments: Vec<String>,
    /// The query string's pairs, decoded, in order.
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Call {
    /// The request's message. `fields` is what MLflow checks of it, in that order.
    pub(super) fn message<T: DeserializeOwned + Default>(&self, fields: &[Field]) -> Result<T, ApiError> {
        if self.method == Method::GET && !self.query.is_empty() {
            return message::from_query(&self.query, fields);
        }
        message::from_json(&self.body, fields)
    }

    /// The first value of a name in the query string.
    pub(super) fn query_value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What an endpoint answers.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// A message as JSON. A field without a value is to be left out, as MLflow has it.
    pub(super) fn json(message: &impl Serialize) -> Self {
        match serde_json::to_vec(message) {
            Ok(body) => Self { status: StatusCode::OK, content_type: "application/json", body },
            // Our messages are structs with names for keys, which JSON can always carry.
            Err(error) => ApiError::internal(&error).reply(),
        }
    }

    /// The message without any field.
    pub(super) fn empty() -> Self {
        Self { status: StatusCode::OK, content_type: "application/json", body: b"{}".to_vec() }
    }

    /// Plain text.
    pub(super) fn text(text: &str) -> Self {
        Self { status: StatusCode::OK, content_type: "text/html; charset=utf-8", body: text.into() }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.reply().into_response()
    }
}

/// Refuses who may not ask, before anything of the request is looked at.
pub(super) async fn guard(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    match server.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// Who may ask.
#[derive(Debug)]
pub(super) enum Access {
    /// Anybody on this machine, as long as a browser does not ask for somebody else's page.
    Loopback,
    /// Whoever has the token.
    Token(String),
}

impl Access {
    fn check(&self, request: &Request) -> Result<(), ApiError> {
        // Those who watch whether a server lives know no token.
        if matches!(request.uri().path(), "/health" | "/version") {
            return Ok(());
        }
        let headers = request.headers();
        match self {
            Self::Token(token) => {
                let given = text_of(headers, &header::AUTHORIZATION);
                let given = given.strip_prefix("Bearer ").unwrap_or_default();
                match same(given.trim(), token) {
                    true => Ok(()),
                    false => Err(ApiError::new(
                        Code::Unauthenticated,
                        "You are not authenticated. Set MLFLOW_TRACKING_TOKEN to the server's token.",
                    )),
                }
            }
            Self::Loopback => {
                // A name of somebody's that was made to point here, so that their page may read what we answer.
                if !is_loopback(text_of(headers, &header::HOST)) {
                    let message = "Invalid Host header - possible DNS rebinding attack detected";
                    return Err(ApiError::new(Code::PermissionDenied, message));
                }
                let origin = text_of(headers, &header::ORIGIN);
                let origin = origin.split_once("://").map_or(origin, |(_, host)| host);
                if !origin.is_empty() && !is_loopback(origin) {
                    return Err(ApiError::new(Code::PermissionDenied, "Cross-origin request blocked"));
                }
                Ok(())
            }
        }
    }
}

fn text_of<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Whether two secrets are the same, in a time that tells nothing of where they differ.
fn same(given: &str, token: &str) -> bool {
    blake3::hash(given.as_bytes()) == blake3::hash(token.as_bytes())
}

/// Whether `host`, with or without a port, names this machine as seen from itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Answers a request to one of the JSON endpoints.
pub(super) async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    match call(server, request).await {
        Ok(reply) => reply.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn call(server: Arc<Server>, request: Request) -> Result<Reply, ApiError> {
    let (parts, body) = request.into_parts();
    let path = PREFIXES.iter().find_map(|prefix| parts.uri.path().strip_prefix(prefix));
    let Some(Route { endpoint, arguments }) = path.and_then(|path| find(&parts.method, path)) else {
        let message = format!("{} {} is no endpoint of this server", parts.method, parts.uri.path());
        return Err(ApiError::new(Code::EndpointNotFound, message));
    };
    // MLflow's client declares nothing where it sends nothing, and no page can send such a request unasked.
    let is_bare = parts.method == Method::DELETE && !parts.headers.contains_key(header::CONTENT_TYPE);
    if parts.method != Method::GET && !is_bare {
        check_content_type(&parts.headers)?;
    }
    let body = read_body(&parts.headers, body).await?;
    let query = message::parse_query(parts.uri.query().unwrap_or_default());
    let call = Call { method: parts.method, arguments, query, body };
    // Endpoints read and write files, and another thread listens meanwhile. The answer itself changes no thread: to wake
    // one takes as long as many an answer.
    let answer = tokio::task::block_in_place(|| catch_unwind(AssertUnwindSafe(|| (endpoint.answer)(&server, &call))));
    answer.unwrap_or_else(|_| Err(ApiError::new(Code::InternalError, "this request met a bug of git-ml")))
}

/// A page of somebody's can send a form to us without being asked, and nothing that is declared to be JSON.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(content_type) = headers.get(header::CONTENT_TYPE) else {
        return Err(ApiError::new(Code::BadRequest, "Bad Request. Content-Type header is missing."));
    };
    let content_type = content_type.to_str().unwrap_or_default();
    match content_type.split(';').next().unwrap_or_default().trim() {
        "application/json" => Ok(()),
        _ => Err(ApiError::new(Code::BadRequest, "Bad Request. Content-Type must be one of ['application/json'].")),
    }
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let too_large = || {
        let message = format!("The body of a request may have at most {MAX_BODY} bytes.");
        ApiError::new(Code::RequestEntityTooLarge, message)
    };
    let announced = text_of(headers, &header::CONTENT_LENGTH).parse::<usize>();
    if announced.is_ok_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    // Either it has more bytes than that, or the connection broke and nobody reads the answer.
    to_bytes(body, MAX_BODY).await.map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:5000", "127.0.0.1:80", "127.1.2.3", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "localhost.evil.example", "evil.example:5000", "192.168.0.1", "[fe80::1]", "127.0.0.1.nip.io"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
