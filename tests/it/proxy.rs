//! A server between a client and another server that fails when it is told to, and one that serves a folder.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What a [`Proxy`] does to connections.
#[derive(Debug)]
struct Faults {
    /// Connections that are answered with 503; each one takes one off.
    refusals: AtomicUsize,
    /// Bytes from the client that pass before the server is dead.
    bytes_left: AtomicI64,
    is_dead: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    /// Bytes after which a connection is cut, where every other one is refused; 0 for no storm.
    storm: AtomicI64,
    connections: AtomicUsize,
    /// Bytes a second that pass in each direction, over all connections; 0 for as many as may be.
    rate: AtomicU64,
    link: Mutex<()>,
    /// Bytes that have passed, in both directions.
    passed: Mutex<u64>,
    more: Condvar,
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
            storm: AtomicI64::new(0),
            connections: AtomicUsize::new(0),
            rate: AtomicU64::new(0),
            link: Mutex::default(),
            passed: Mutex::default(),
            more: Condvar::new(),
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

    /// From now on every other connection is answered with 503, and the others are cut after so many bytes.
    pub(crate) fn storm(&self, bytes: i64) {
        self.faults.storm.store(bytes, Ordering::SeqCst);
        self.close_all();
    }

    /// From now on so many bytes a second pass, over all connections.
    pub(crate) fn slow(&self, rate: u64) {
        self.faults.rate.store(rate, Ordering::SeqCst);
    }

    /// Counts the bytes that pass from here on.
    pub(crate) fn count_anew(&self) {
        *self.faults.passed.lock().unwrap() = 0;
    }

    /// Waits until so many bytes have passed, in both directions together.
    pub(crate) fn wait_for(&self, bytes: u64) {
        let passed = self.faults.passed.lock().unwrap();
        let limit = Duration::from_secs(120);
        let passed = self.faults.more.wait_timeout_while(passed, limit, |passed| *passed < bytes).unwrap().0;
        assert!(*passed >= bytes, "{bytes} bytes did not pass");
    }

    /// Whether it died.
    pub(crate) fn is_dead(&self) -> bool {
        self.faults.is_dead.load(Ordering::SeqCst)
    }

    /// Works again.
    pub(crate) fn revive(&self) {
        self.faults.refusals.store(0, Ordering::SeqCst);
        self.faults.bytes_left.store(i64::MAX, Ordering::SeqCst);
        self.faults.storm.store(0, Ordering::SeqCst);
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
    let storm = faults.storm.load(Ordering::SeqCst);
    let is_stormy = storm > 0 && faults.connections.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
    if is_stormy || faults.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok() {
        let mut head = BufReader::new(client.try_clone()?);
        let mut line = String::new();
        while head.read_line(&mut line)? > 2 {
            line.clear();
        }
        client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        return client.shutdown(Shutdown::Write);
    }
    let upstream = TcpStream::connect(server)?;
    faults.open.lock().unwrap().extend([client.try_clone()?, upstream.try_clone()?]);
    let (answers, back) = (upstream.try_clone()?, client.try_clone()?);
    let mut left = if storm > 0 { storm } else { i64::MAX };
    thread::scope(|scope| {
        scope.spawn(|| {
            let _ = pass_on(&answers, &back, faults, &mut |_| true);
            let _ = back.shutdown(Shutdown::Both);
        });
        let passed = pass_on(&client, &upstream, faults, &mut |count| {
            if faults.bytes_left.fetch_sub(count, Ordering::SeqCst) < count {
                faults.is_dead.store(true, Ordering::SeqCst);
                close_all(faults);
                return false;
            }
            left -= count;
            left > 0
        });
        let _ = upstream.shutdown(if passed.is_ok_and(|is_all| is_all) { Shutdown::Write } else { Shutdown::Both });
    });
    Ok(())
}

/// Passes bytes on until there are no more, or until they may not pass; whether all of them passed.
fn pass_on(
    mut from: &TcpStream,
    mut to: &TcpStream,
    faults: &Faults,
    may_pass: &mut dyn FnMut(i64) -> bool,
) -> io::Result<bool> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(true);
        }
        if !may_pass(count as i64) {
            return Ok(false);
        }
        let rate = faults.rate.load(Ordering::SeqCst);
        if rate > 0 {
            let _link = faults.link.lock().unwrap();
            thread::sleep(Duration::from_secs_f64(count as f64 / rate as f64));
        }
        *faults.passed.lock().unwrap() += count as u64;
        faults.more.notify_all();
        to.write_all(&buffer[..count])?;
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
