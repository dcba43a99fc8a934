//! A client of LFS servers.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RANGE};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Builder, Runtime};

use super::access::Access;
use super::batch::{Action, Actions, Answer, MAX_OBJECTS, MEDIA_TYPE, Object, Operation, Problem, Reference, Request};
use super::endpoint::{self, Endpoint};
use super::pointer::{LfsPointer, Oid};
use crate::files::Draft;
use crate::git::Repository;
use crate::remote::objects::{Pace, write_at};
use crate::remote::{ObjectError, RemoteError, SshProgram};

/// How long a server may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long nothing may arrive of an answer. Servers check what was sent before they answer.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// The most bytes of an answer to be read that is not an object.
const MAX_ANSWER: usize = 16 << 20;
/// Bytes that are sent at a time.
const BLOCK: u64 = 256 << 10;
/// How often a server may ask us to wait, or a credential be asked for, before it counts as a failure.
const ATTEMPTS: u32 = 6;
/// The longest that is waited where a server asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// An object up to this size is kept once it was read whole, for a server that sends no parts.
const MAX_KEPT: u64 = 96 << 20;

/// A client of the LFS server of a git remote.
pub struct LfsClient {
    pub(super) place: String,
    http: Client,
    runtime: Runtime,
    access: Mutex<Access>,
    downloads: Mutex<HashMap<Oid, Action>>,
    /// The object last read of a server that sends whole ones only.
    kept: Mutex<Option<(Oid, Bytes)>>,
    /// How to wait. (Tests do not.)
    pub(super) pause: fn(Duration),
}

impl fmt::Debug for LfsClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LfsClient").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Where the bytes of an upload come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'s> {
    Memory(&'s Bytes),
    File(&'s File),
}

/// What went wrong with one request.
enum Trouble {
    /// The server wants a credential, or another one.
    Unauthorised,
    /// The server wants us to wait.
    Busy(Option<Duration>, String),
    /// The URL is not good any more.
    Expired(ObjectError),
    Error(ObjectError),
}

impl From<ObjectError> for Trouble {
    fn from(error: ObjectError) -> Self {
        Self::Error(error)
    }
}

impl LfsClient {
    /// The client of the LFS server of `remote`, which is a git remote or the URL of a repository. Nothing is asked
    /// yet.
    pub fn new(repository: &Repository, remote: &str, allow_http: bool, ssh: SshProgram) -> Result<Self, RemoteError> {
        let bad = |reason| RemoteError::BadUrl { url: format!("lfs::{remote}"), reason };
        endpoint::check_remote(remote).map_err(bad)?;
        let endpoint = endpoint::find(repository, remote)?.map_err(bad)?;
        let place = match &endpoint {
            Endpoint::Http(url) => endpoint::shown(url),
            Endpoint::Ssh(address) => address.to_string(),
        };
        // A second call is no fault: another part of the program was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed =
            |problem: String| ObjectError::Failed { place: place.clone(), action: "be reached".to_owned(), problem };
        let http = Client::builder()
            .user_agent(concat!("git-ml/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::custom(follow))
            .build()
            .map_err(|error| failed(words_of(&error)))?;
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("lfs").enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let access = Mutex::new(Access::new(repository, endpoint, allow_http, ssh)?);
        let (downloads, kept) = (Mutex::default(), Mutex::default());
        Ok(Self { place, http, runtime, access, downloads, kept, pause: thread::sleep })
    }

    /// Sends an object, unless the server has it.
    pub(super) fn upload(&self, pointer: &LfsPointer, source: Source<'_>, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let action = format!("write {}", pointer.oid);
        self.insist(&action, || {
            let actions = self.actions_of(Operation::Upload, pointer, &action)?;
            let Some(upload) = &actions.upload else { return Ok(()) };
            self.runtime.block_on(self.send(upload, pointer, source, pace, &action))?;
            match &actions.verify {
                Some(verify) => self.runtime.block_on(self.verify(verify, pointer, &action)),
                None => Ok(()),
            }
        })
    }

    /// A part of an object.
    pub(super) fn read(&self, pointer: &LfsPointer, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let action = format!("read {}", pointer.oid);
        if range.start > range.end || range.end > pointer.size {
            let problem = "it is shorter than that".to_owned();
            return Err(ObjectError::Failed { place: self.place.clone(), action, problem });
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let slice = |whole: &Bytes| whole.slice(range.start as usize..range.end as usize);
        if let Some((_, whole)) = lock(&self.kept).as_ref().filter(|(oid, _)| *oid == pointer.oid) {
            return Ok(slice(whole));
        }
        self.insist(&action, || {
            let download = self.download_of(pointer, &action)?;
            self.runtime.block_on(self.receive_part(&download, pointer, range.clone(), &action))
        })
    }

    /// Copies an object to the beginning of a file, and checks it.
    pub(crate) fn download(&self, pointer: &LfsPointer, output: &Draft, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let action = format!("read {}", pointer.oid);
        let mut hasher = Sha256::new();
        let mut position = 0;
        while position < pointer.size {
            let before = position;
            let result = self.insist(&action, || {
                let download = self.download_of(pointer, &action)?;
                let received = self.receive(&download, pointer, &mut position, &mut hasher, output, pace, &action);
                self.runtime.block_on(received)
            });
            // What has arrived stays, and the rest is asked for, as long as each request brings something.
            match result {
                Err(ObjectError::Unreachable { .. }) if position > before => {}
                result => result?,
            }
        }
        if Oid::finish(hasher) != pointer.oid {
            let problem = "what arrived is not what the name says".to_owned();
            return Err(ObjectError::Failed { place: self.place.clone(), action, problem });
        }
        Ok(())
    }

    /// Which of these objects the server can send.
    pub fn available(&self, pointers: &[LfsPointer]) -> Result<Vec<LfsPointer>, ObjectError> {
        let mut found = Vec::new();
        for pointers in pointers.chunks(MAX_OBJECTS) {
            let answers = match self.insist("list", || self.batch(Operation::Download, pointers, "list")) {
                // Some servers say so of all at once where they have none.
                Err(ObjectError::NotFound { .. }) => continue,
                answers => answers?,
            };
            let mut downloads = lock(&self.downloads);
            for pointer in pointers {
                if let Some(Ok(Actions { download: Some(download), .. })) = answers.get(&pointer.oid) {
                    downloads.insert(pointer.oid, download.clone());
                    found.push(*pointer);
                }
            }
        }
        Ok(found)
    }

    /// Makes a request until it is answered: with a credential where one is asked for, after a while where the server
    /// is busy, with new URLs where those that were given are not good any more.
    fn insist<T>(&self, action: &str, mut request: impl FnMut() -> Result<T, Trouble>) -> Result<T, ObjectError> {
        let mut has_renewed = false;
        for attempt in 0.. {
            let is_last = attempt + 1 >= ATTEMPTS;
            let generation = lock(&self.access).generation();
            match request() {
                Ok(value) => return Ok(value),
                Err(Trouble::Error(error)) => return Err(error),
                Err(Trouble::Unauthorised) => {
                    let denied = |problem: String| ObjectError::Denied {
                        place: self.place.clone(),
                        action: action.to_owned(),
                        problem,
                    };
                    if is_last {
                        return Err(denied("it goes on asking for a credential".to_owned()));
                    }
                    lock(&self.access).ask(generation).map_err(denied)?;
                    lock(&self.downloads).clear();
                }
                Err(Trouble::Busy(wait, problem)) => {
                    if is_last || wait.is_none() {
                        return Err(ObjectError::Unreachable { place: self.place.clone(), problem });
                    }
                    (self.pause)(wait.unwrap_or_default().min(LONGEST_WAIT));
                }
                Err(Trouble::Expired(error)) => {
                    lock(&self.downloads).clear();
                    if has_renewed || is_last {
                        return Err(error);
                    }
                    has_renewed = true;
                }
            }
        }
        unreachable!("the last attempt returns")
    }

    fn actions_of(&self, operation: Operation, pointer: &LfsPointer, action: &str) -> Result<Actions, Trouble> {
        let mut answers = self.batch(operation, std::slice::from_ref(pointer), action)?;
        match answers.remove(&pointer.oid) {
            Some(Ok(actions)) => Ok(actions),
            Some(Err(problem)) => Err(self.problem(pointer, &problem, action)),
            None => Err(self.failed(action, "its answer does not have the object").into()),
        }
    }

    fn download_of(&self, pointer: &LfsPointer, action: &str) -> Result<Action, Trouble> {
        let known = lock(&self.downloads).get(&pointer.oid).cloned();
        if let Some(download) = known.filter(|download| download.is_fresh(SystemTime::now())) {
            return Ok(download);
        }
        let actions = self.actions_of(Operation::Download, pointer, action)?;
        let download = actions.download.ok_or_else(|| self.failed(action, "it does not say from where"))?;
        lock(&self.downloads).insert(pointer.oid, download.clone());
        Ok(download)
    }

    fn problem(&self, pointer: &LfsPointer, problem: &Problem, action: &str) -> Trouble {
        let message = printable(&problem.message);
        let place = self.place.clone();
        Trouble::Error(match problem.code {
            404 | 410 => ObjectError::NotFound { place, name: pointer.oid.to_string() },
            401 | 403 => ObjectError::Denied { place, action: action.to_owned(), problem: message },
            429 | 503 => return Trouble::Busy(Some(Duration::from_secs(1)), message),
            500..=599 if problem.code != 507 => ObjectError::Unreachable { place, problem: message },
            code => self.failed(action, &format!("{message} ({code})")),
        })
    }

    /// Asks what is to be done for at most [`MAX_OBJECTS`] objects.
    fn batch(
        &self,
        operation: Operation,
        pointers: &[LfsPointer],
        action: &str,
    ) -> Result<BTreeMap<Oid, Result<Actions, Problem>>, Trouble> {
        let (url, authorisation) = lock(&self.access).base(operation).map_err(|problem| self.unreachable(problem))?;
        let mut url = url;
        let path = format!("{}/objects/batch", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let reference = (operation == Operation::Upload).then_some(Reference { name: super::LIST_REF });
        let objects = pointers.iter().map(Object::from).collect();
        let body = serde_json::to_vec(&Request { operation, transfers: ["basic"], reference, objects });
        let body = body.map_err(|error| self.failed(action, &error.to_string()))?;
        self.runtime.block_on(async {
            let request = self.request(Method::POST, url, &authorisation, action)?;
            let request = request.header("Accept", MEDIA_TYPE).header(CONTENT_TYPE, MEDIA_TYPE).body(body);
            let response = self.answer(request, action, false).await?;
            let bytes = self.body(response).await?;
            let answer: Answer = serde_json::from_slice(&bytes)
                .map_err(|_| self.failed(action, "its answer is not that of an LFS server"))?;
            if answer.transfer.as_deref().is_some_and(|transfer| transfer != "basic") {
                return Err(self.failed(action, "it wants a kind of transfer that it was not offered").into());
            }
            lock(&self.access).accepted();
            Ok(answer.actions(SystemTime::now()))
        })
    }

    async fn send(
        &self,
        upload: &Action,
        pointer: &LfsPointer,
        source: Source<'_>,
        pace: &Pace<'_>,
        action: &str,
    ) -> Result<(), Trouble> {
        // The body may outlive this call, what it is read from does not: so it is handed over piece by piece.
        let (pieces, arriving) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(2);
        let stream = futures_util::stream::unfold(arriving, |mut arriving| async move {
            let piece = arriving.recv().await?;
            Some((piece, arriving))
        });
        let mut request = self.action_request(Method::PUT, upload, action)?;
        if !upload.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(CONTENT_TYPE, "application/octet-stream");
        }
        let is_chunked = upload.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked")
        });
        if !is_chunked {
            request = request.header(CONTENT_LENGTH, pointer.size);
        }
        let request = request.body(Body::wrap_stream(stream));
        let feed = async move {
            let mut position = 0;
            while position < pointer.size {
                let end = pointer.size.min(position + BLOCK);
                pace(end - position);
                let piece = match source {
                    Source::Memory(bytes) => Ok(bytes.slice(position as usize..end as usize)),
                    Source::File(file) => {
                        let mut block = vec![0; (end - position) as usize];
                        file.read_exact_at(&mut block, position).map(|()| Bytes::from(block))
                    }
                };
                position = end;
                // Nobody takes it where the server has answered before it had all.
                if pieces.send(piece).await.is_err() {
                    break;
                }
            }
        };
        let (answer, ()) = futures_util::future::join(self.answer(request, action, true), feed).await;
        answer.map(drop)
    }

    async fn verify(&self, verify: &Action, pointer: &LfsPointer, action: &str) -> Result<(), Trouble> {
        let body = serde_json::to_vec(&Object::from(pointer));
        let body = body.map_err(|error| self.failed(action, &error.to_string()))?;
        let request = self.action_request(Method::POST, verify, action)?;
        let request = request.header("Accept", MEDIA_TYPE).header(CONTENT_TYPE, MEDIA_TYPE).body(body);
        self.answer(request, action, true).await.map(drop)
    }

    async fn receive_part(
        &self,
        download: &Action,
        pointer: &LfsPointer,
        range: Range<u64>,
        action: &str,
    ) -> Result<Bytes, Trouble> {
        let request = self.action_request(Method::GET, download, action)?;
        let is_whole = range == (0..pointer.size);
        let request = if is_whole { request } else { request.header(RANGE, header_of(&range)) };
        let response = self.answer(request, action, true).await?;
        let sends_parts = response.status() == StatusCode::PARTIAL_CONTENT;
        // A server that sends no parts sends all of it. Of what is small enough, all is kept for the next part.
        let is_kept = !sends_parts && !is_whole && pointer.size <= MAX_KEPT;
        let (skipped, wanted) = match (sends_parts, is_kept) {
            (true, _) => (0, range.end - range.start),
            (false, true) => (0, pointer.size),
            (false, false) => (range.start, range.end - range.start),
        };
        let mut content = BytesMut::with_capacity(wanted as usize);
        let mut skip = skipped;
        let mut stream = response.bytes_stream();
        while (content.len() as u64) < wanted {
            let piece = match stream.next().await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Err(self.unreachable(words_of(&error)).into()),
                None => {
                    return Err(self.unreachable("what arrived is shorter than it was said to be".to_owned()).into());
                }
            };
            let passed = skip.min(piece.len() as u64);
            skip -= passed;
            let piece = piece.slice(passed as usize..);
            let missing = (wanted - content.len() as u64).min(piece.len() as u64);
            content.extend_from_slice(&piece[..missing as usize]);
        }
        let content = content.freeze();
        if !is_kept {
            return Ok(content);
        }
        if Oid::of(&content) != pointer.oid {
            return Err(self.failed(action, "what arrived is not what the name says").into());
        }
        *lock(&self.kept) = Some((pointer.oid, content.clone()));
        Ok(content.slice(range.start as usize..range.end as usize))
    }

    #[allow(clippy::too_many_arguments, reason = "they are what a transfer consists of")]
    async fn receive(
        &self,
        download: &Action,
        pointer: &LfsPointer,
        position: &mut u64,
        hasher: &mut Sha256,
        output: &Draft,
        pace: &Pace<'_>,
        action: &str,
    ) -> Result<(), Trouble> {
        let request = self.action_request(Method::GET, download, action)?;
        let is_rest = *position > 0;
        let request = if is_rest { request.header(RANGE, header_of(&(*position..pointer.size))) } else { request };
        let response = self.answer(request, action, true).await?;
        if is_rest && response.status() != StatusCode::PARTIAL_CONTENT {
            (*position, *hasher) = (0, Sha256::new());
        }
        let mut stream = response.bytes_stream();
        while *position < pointer.size {
            let piece = match stream.next().await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Err(self.unreachable(words_of(&error)).into()),
                None => {
                    return Err(self.unreachable("what arrived is shorter than it was said to be".to_owned()).into());
                }
            };
            let piece = piece.slice(..piece.len().min((pointer.size - *position) as usize));
            pace(piece.len() as u64);
            hasher.update(&piece);
            write_at(output, &piece, *position)?;
            *position += piece.len() as u64;
        }
        Ok(())
    }

    fn request(
        &self,
        method: Method,
        url: Url,
        headers: &BTreeMap<String, String>,
        action: &str,
    ) -> Result<RequestBuilder, Trouble> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let parsed = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
            let (Ok(name), Ok(mut value)) = parsed else {
                return Err(self.failed(action, "its answer has a header that is none").into());
            };
            // Where a request's own framing is meant, ours is right.
            if name == reqwest::header::TRANSFER_ENCODING || name == CONTENT_LENGTH {
                continue;
            }
            value.set_sensitive(name == AUTHORIZATION);
            map.insert(name, value);
        }
        Ok(self.http.request(method, url).headers(map))
    }

    fn action_request(&self, method: Method, target: &Action, action: &str) -> Result<RequestBuilder, Trouble> {
        let mut headers = target.headers.clone();
        if !target.is_authorised() {
            headers.extend(lock(&self.access).for_url(&target.url));
        }
        self.request(method, target.url.clone(), &headers, action)
    }

    /// Sends a request; the answer if it is a good one.
    async fn answer(&self, request: RequestBuilder, action: &str, is_action: bool) -> Result<Response, Trouble> {
        let response = request.send().await.map_err(|error| self.unreachable(words_of(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wait = response.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
        let bytes = self.body(response).await.unwrap_or_default();
        let message = serde_json::from_slice::<Problem>(&bytes).map(|problem| printable(&problem.message));
        let said = message.ok().filter(|message| !message.is_empty());
        let problem = said.map_or_else(|| status.to_string(), |said| format!("{said} ({})", status.as_u16()));
        let place = self.place.clone();
        Err(match status.as_u16() {
            401 => Trouble::Unauthorised,
            429 | 503 => Trouble::Busy(wait, problem),
            // A storage service says one of these of a signature that is too old.
            400 | 403 | 404 | 410 if is_action => Trouble::Expired(self.failed(action, &problem)),
            403 => ObjectError::Denied { place, action: action.to_owned(), problem }.into(),
            // Of a repository that does not exist, or that nobody may know of.
            404 if action == "list" => ObjectError::NotFound { place, name: "any of the objects".to_owned() }.into(),
            404 => self.failed(action, &format!("there is no LFS server, or it has none of this: {problem}")).into(),
            408 | 500 | 502 | 504 => self.unreachable(problem).into(),
            _ => self.failed(action, &problem).into(),
        })
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| self.unreachable(words_of(&error)))?);
            if bytes.len() > MAX_ANSWER {
                return Err(self.unreachable("its answer is too long".to_owned()).into());
            }
        }
        Ok(bytes)
    }

    fn failed(&self, action: &str, problem: &str) -> ObjectError {
        let (place, problem) = (self.place.clone(), problem.to_owned());
        ObjectError::Failed { place, action: action.to_owned(), problem }
    }

    fn unreachable(&self, problem: String) -> ObjectError {
        ObjectError::Unreachable { place: self.place.clone(), problem }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows a few redirections, and none to where others can listen.
fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let came_encrypted = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > 5 || (came_encrypted && attempt.url().scheme() != "https") {
        return attempt.stop();
    }
    attempt.follow()
}

/// The whole chain of causes in one line, without the URL, which may be signed.
fn words_of(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    // Its own words are those of the kind of failure; the last cause is what happened.
    let mut words = match source {
        Some(_) => String::new(),
        None => "the connection failed".to_owned(),
    };
    while let Some(cause) = source {
        words = cause.to_string();
        source = cause.source();
    }
    printable(&words)
}

/// A text of another machine in one line, without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn header_of(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end - 1)
}

/// How long a `Retry-After` says to wait: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(SystemTime::from(date).duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_says_how_long() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Wed, 21 Oct 2076 07:28:00 GMT").is_some_and(|wait| wait > Duration::from_secs(1 << 20)));
        assert_eq!(retry_after("soon"), None);
    }
}
