//! An LFS server on a port of this machine that fails as it is told to.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::super::Oid;

/// How the server fails.
#[derive(Debug, Clone, Default)]
pub(super) enum Fault {
    #[default]
    None,
    /// It answers so many requests with this status.
    Busy { times: u32, status: u16, retry_after: Option<u32> },
    /// So many links are not good any more.
    Expired { times: u32 },
    /// So many downloads end after so many bytes.
    Truncated { times: u32, bytes: usize },
    /// Downloads have a wrong byte.
    WrongBytes,
    /// Parts are not sent, only whole objects.
    NoRanges,
    /// Links name another server.
    SendElsewhere(String),
    /// What it answers when it is asked for links.
    Answer(String),
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    objects: HashMap<String, Vec<u8>>,
    /// What `Authorization` has to be.
    required: Option<String>,
    requests: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
}

#[derive(Debug)]
pub(super) struct Server {
    state: Arc<Mutex<State>>,
    port: u16,
    is_over: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { state: Arc::default(), port, is_over: Arc::default() };
        let (state, is_over) = (Arc::clone(&server.state), Arc::clone(&server.is_over));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream, port, &state));
            }
        });
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn set(&self, fault: Fault) {
        self.state().fault = fault;
    }

    pub(super) fn require(&self, name: &str, password: &str) {
        // As `printf ada:right | base64` has it; the encoding itself has a test of its own.
        assert_eq!((name, password), ("ada", "right"));
        self.require_header("Basic YWRhOnJpZ2h0");
    }

    pub(super) fn require_header(&self, value: &str) {
        self.state().required = Some(value.to_owned());
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.state().counts.get(what).copied().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // The thread that accepts connections looks once more, and lets go of the port.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// After how many bytes of the body the connection ends.
    cut: Option<usize>,
}

impl Reply {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), cut: None }
    }
}

fn serve(stream: TcpStream, port: u16, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head += &line.replace("\r\n", "\n");
        }
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (own, value) = line.split_once(": ")?;
                own.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let reply = answer(method, path, &header, &body, port, state, &head);
        let mut text = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        for (name, value) in &reply.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut output = &stream;
        let sent = &reply.body[..reply.cut.unwrap_or(reply.body.len()).min(reply.body.len())];
        let written = output.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| output.write_all(sent));
        if written.is_err() || reply.cut.is_some() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

fn answer(
    method: &str,
    path: &str,
    header: &dyn Fn(&str) -> Option<String>,
    body: &[u8],
    port: u16,
    state: &Mutex<State>,
    head: &str,
) -> Reply {
    let mut state = state.lock().unwrap();
    state.requests.push(head.to_owned());
    if state.required.is_some() && header("authorization") != state.required {
        return Reply::new(401, "");
    }
    if let Fault::Busy { times, status, retry_after } = &mut state.fault
        && *times > 0
    {
        *times -= 1;
        let mut reply = Reply::new(*status, r#"{"message": "busy"}"#);
        reply.headers.extend(retry_after.map(|seconds| ("Retry-After".to_owned(), seconds.to_string())));
        return reply;
    }
    let mut count = |what| *state.counts.entry(what).or_default() += 1;
    match (method, path) {
        ("POST", path) if path.ends_with("/info/lfs/objects/batch") => {
            count("batch");
            batch(&serde_json::from_slice(body).unwrap(), port, &state)
        }
        ("POST", "/verify") => {
            count("verify");
            let asked: Value = serde_json::from_slice(body).unwrap();
            let known = state.objects.get(asked["oid"].as_str().unwrap());
            let is_whole = known.is_some_and(|object| object.len() as u64 == asked["size"].as_u64().unwrap());
            Reply::new(if is_whole { 200 } else { 404 }, "")
        }
        ("PUT" | "GET", path) => {
            if let Fault::Expired { times } = &mut state.fault
                && *times > 0
            {
                *times -= 1;
                return Reply::new(403, "<Error>Request has expired</Error>");
            }
            let oid = path.trim_start_matches("/objects/").to_owned();
            if method == "PUT" {
                *state.counts.entry("upload").or_default() += 1;
                assert_eq!(Oid::of(body).to_string(), oid, "another content was sent");
                state.objects.insert(oid, body.to_vec());
                return Reply::new(200, "");
            }
            *state.counts.entry("download").or_default() += 1;
            download(&oid, header("range"), &mut state)
        }
        _ => Reply::new(404, ""),
    }
}

fn batch(asked: &Value, port: u16, state: &State) -> Reply {
    if let Fault::Answer(text) = &state.fault {
        return Reply::new(200, text.clone());
    }
    let base = match &state.fault {
        Fault::SendElsewhere(url) => url.clone(),
        _ => format!("http://127.0.0.1:{port}"),
    };
    let is_upload = asked["operation"] == "upload";
    if is_upload {
        assert_eq!(asked["ref"]["name"], "refs/ml/lfs");
    } else {
        // Servers that check what they are asked take no null.
        assert_eq!(asked.get("ref"), None);
    }
    let link = |path: &str| {
        let header = state.required.as_ref().filter(|required| required.starts_with("RemoteAuth"));
        match header {
            Some(required) => json!({ "href": format!("{base}{path}"), "header": { "Authorization": required } }),
            None => json!({ "href": format!("{base}{path}"), "expires_in": 600 }),
        }
    };
    let objects = asked["objects"].as_array().unwrap().iter().map(|object| {
        let (oid, size) = (object["oid"].as_str().unwrap(), &object["size"]);
        let place = format!("/objects/{oid}");
        match (is_upload, state.objects.contains_key(oid)) {
            (true, true) => json!({ "oid": oid, "size": size }),
            (true, false) => {
                json!({ "oid": oid, "size": size, "actions": { "upload": link(&place), "verify": link("/verify") } })
            }
            (false, true) => json!({ "oid": oid, "size": size, "actions": { "download": link(&place) } }),
            (false, false) => json!({ "oid": oid, "size": size, "error": { "code": 404, "message": "not here" } }),
        }
    });
    Reply::new(200, json!({ "transfer": "basic", "objects": objects.collect::<Vec<_>>() }).to_string())
}

fn download(oid: &str, range: Option<String>, state: &mut State) -> Reply {
    let Some(content) = state.objects.get(oid).cloned() else { return Reply::new(404, "") };
    let range = range.filter(|_| !matches!(state.fault, Fault::NoRanges));
    let mut reply = match range {
        Some(range) => {
            let (start, end) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
            let mut reply = Reply::new(206, &content[start..=end]);
            reply.headers.push(("Content-Range".to_owned(), format!("bytes {start}-{end}/{}", content.len())));
            reply
        }
        None => Reply::new(200, content),
    };
    match &mut state.fault {
        Fault::Truncated { times, bytes } if *times > 0 => {
            *times -= 1;
            reply.cut = Some(*bytes);
        }
        Fault::WrongBytes => reply.body[7] ^= 1,
        _ => {}
    }
    reply
}
