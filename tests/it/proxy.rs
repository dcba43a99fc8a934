//! A server between a client and another server that fails when it is told to, and one that serves a folder.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a [`Proxy`] does to connections.
#[derive(Debug)]
struct Faults {
    /// Connections that are answered with 503; each one takes one off.
    refusals: AtomicUsize,
    /// Bytes from the client that pass before the server is dead.
    bytes_left: AtomicI64,
    is_dead: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// Passes connections on to a server, with faults.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    faults: Arc<Faults>,
}

impl Proxy {
    /// A proxy before `http://host:port`.
    pub(crate) fn before(endpoint: &str) -> Self {
        let server = endpoint.strip_prefix("http://").expect("an unencrypted endpoint").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("the port").port();
        let faults = Arc::new(Faults {
            refusals: AtomicUsize::new(0),
            bytes_left: AtomicI64::new(i64::MAX),
            is_dead: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&faults);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, faults) = (server.clone(), Arc::clone(&shared));
                thread::spawn(move || drop(serve(client, &server, &faults)));
            }
        });
        Self { port, faults }
    }

    /// Where clients reach it.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers so many connections with 503, the open ones among them.
    pub(crate) fn refuse(&self, connections: usize) {
        self.faults.refusals.store(connections, Ordering::SeqCst);
        self.close_all();
    }

    /// Dies when so many bytes have passed to the server.
    pub(crate) fn die_after(&self, bytes: i64) {
        self.faults.bytes_left.store(bytes, Ordering::SeqCst);
    }

    /// Whether it died.
    pub(crate) fn is_dead(&self) -> bool {
        self.faults.is_dead.load(Ordering::SeqCst)
    }

    /// Works again.
    pub(crate) fn revive(&self) {
        self.faults.refusals.store(0, Ordering::SeqCst);
        self.faults.bytes_left.store(i64::MAX, Ordering::SeqCst);
        self.faults.is_dead.store(false, Ordering::SeqCst);
    }

    fn close_all(&self) {
        close_all(&self.faults);
    }
}

fn close_all(faults: &Faults) {
    for stream in faults.open.lock().unwrap().drain(..) {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn serve(mut client: TcpStream, server: &str, faults: &Faults) -> io::Result<()> {
    if faults.is_dead.load(Ordering::SeqCst) {
        return client.shutdown(Shutdown::Both);
    }
    let take_one = |left: usize| left.checked_sub(1);
    if faults.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok() {
        let mut head = BufReader::new(client.try_clone()?);
        let mut line = String::new();
        while head.read_line(&mut line)? > 2 {
            line.clear();
        }
        client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return client.shutdown(Shutdown::Write);
    }
    let mut upstream = TcpStream::connect(server)?;
    faults.open.lock().unwrap().extend([client.try_clone()?, upstream.try_clone()?]);
    let (mut answers, mut back) = (upstream.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return upstream.shutdown(Shutdown::Write);
        }
        if faults.bytes_left.fetch_sub(count as i64, Ordering::SeqCst) < count as i64 {
            faults.is_dead.store(true, Ordering::SeqCst);
            close_all(faults);
            return Ok(());
        }
        upstream.write_all(&buffer[..count])?;
    }
}

/// Serves a folder for reading, as any web server does; with ranges only where asked to.
pub(crate) fn serve_folder(folder: &Path, with_ranges: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("the port").port();
    let folder = folder.to_path_buf();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || drop(answer(client, &folder, with_ranges)));
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn answer(mut client: TcpStream, folder: &Path, with_ranges: bool) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut range: Option<(usize, usize)> = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        let line = line.to_ascii_lowercase();
        let asked = line.strip_prefix("range: bytes=").and_then(|rest| rest.trim().split_once('-'));
        range = asked.and_then(|(start, end)| Some((start.parse().ok()?, end.parse().ok()?))).or(range);
    }
    let words: Vec<&str> = request.split(' ').collect();
    let path = folder.join(words.get(1).unwrap_or(&"").trim_start_matches('/'));
    let Ok(content) = std::fs::read(path) else {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (status, body) = match range.filter(|_| with_ranges) {
        Some((start, end)) => {
            let end = content.len().min(end + 1);
            (
                format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{}", end - 1, content.len()),
                &content[start..end],
            )
        }
        None => ("200 OK".to_owned(), &content[..]),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nLast-Modified: Mon, 02 Nov 2026 08:00:00 GMT\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes())?;
    if words[0] == "GET" { client.write_all(body) } else { Ok(()) }
}
