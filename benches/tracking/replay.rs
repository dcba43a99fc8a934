//! Replays recorded HTTP requests on one connection, as fast as the server answers, and says how long it took.
//!
//! `replay HOST:PORT RECORD IDS` reads a line for each request from RECORD: a kind, a method, a path and a body, with a tab
//! between them. `@EXPERIMENT@` is the experiment that was made last, `@RUN@` the run that was, and `@RUN:7@` the eighth.
//! IDS keeps the runs from one call to the next. It is compiled by the harness with `rustc -O` and needs nothing else.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// One answer's status and body.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

/// A connection that is kept.
struct Server {
    host: String,
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Server {
    fn connect(host: &str) -> Outcome<Self> {
        let writer = TcpStream::connect(host)?;
        writer.set_nodelay(true)?;
        let reader = BufReader::with_capacity(1 << 16, writer.try_clone()?);
        Ok(Self { host: host.to_owned(), reader, writer })
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Outcome<Answer> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        request += body;
        self.writer.write_all(request.as_bytes())?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).ok_or("the server closed the connection")?.parse()?;
        let (mut length, mut is_chunked) = (0, false);
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            is_chunked |= header.starts_with("transfer-encoding:") && header.ends_with("chunked");
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        while is_chunked {
            line.clear();
            self.reader.read_line(&mut line)?;
            let count = usize::from_str_radix(line.trim(), 16)?;
            let start = body.len();
            body.resize(start + count + 2, 0);
            self.reader.read_exact(&mut body[start..])?;
            body.truncate(start + count);
            is_chunked = count > 0;
        }
        Ok(Answer { status, body })
    }
}

/// The text behind a key of JSON; the first, where there are several.
fn text_of(body: &[u8], key: &str) -> Option<String> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, rest) = body.split_once(&format!("\"{key}\""))?;
    rest.split('"').nth(1).map(str::to_owned)
}

/// What took how long, by kind.
#[derive(Default)]
struct Times(BTreeMap<String, Vec<Duration>>);

impl Times {
    fn print(mut self, wall: Duration, failed: usize, first_failure: &str) {
        let kinds: Vec<String> = self
            .0
            .iter_mut()
            .map(|(kind, times)| {
                times.sort_unstable();
                let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
                let at = |share: f64| milliseconds(times[((times.len() - 1) as f64 * share) as usize]);
                let total: Duration = times.iter().sum();
                format!(
                    "\"{kind}\": {{\"count\": {}, \"total_s\": {:.6}, \"median_ms\": {:.4}, \"p99_ms\": {:.4}}}",
                    times.len(),
                    total.as_secs_f64(),
                    at(0.5),
                    at(0.99)
                )
            })
            .collect();
        println!(
            "{{\"wall_s\": {:.6}, \"failed\": {failed}, \"first_failure\": {first_failure:?}, \"kinds\": {{{}}}}}",
            wall.as_secs_f64(),
            kinds.join(", ")
        );
    }
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, host, record, ids] = &arguments[..] else { return Err("replay HOST:PORT RECORD IDS".into()) };
    let record = fs::read_to_string(record)?;
    let known = fs::read_to_string(ids).unwrap_or_default();
    let mut known = known.lines().map(str::to_owned);
    let mut experiment = known.next().unwrap_or_default();
    let mut runs: Vec<String> = known.collect();
    let mut server = Server::connect(host)?;
    let (mut times, mut failed, mut first_failure) = (Times::default(), 0, String::new());
    let start = Instant::now();
    for line in record.lines() {
        let mut fields = line.splitn(4, '\t');
        let mut next = || fields.next().unwrap_or_default();
        let (kind, method, path, body) = (next(), next(), next(), next());
        let fill = |text: &str| -> String {
            let mut text = text.replace("@EXPERIMENT@", &experiment);
            if text.contains("@RUN@") {
                text = text.replace("@RUN@", runs.last().map_or("", String::as_str));
            }
            while let Some((before, rest)) = text.split_once("@RUN:") {
                let (index, after) = rest.split_once('@').unwrap_or((rest, ""));
                let run = index.parse::<usize>().ok().and_then(|index| runs.get(index));
                text = format!("{before}{}{after}", run.map_or("", String::as_str));
            }
            text
        };
        let (path, body) = (fill(path), fill(body));
        let before = Instant::now();
        let answer = server.ask(method, &path, &body)?;
        times.0.entry(kind.to_owned()).or_default().push(before.elapsed());
        if answer.status != 200 {
            failed += 1;
            if first_failure.is_empty() {
                first_failure = format!("{kind}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
        }
        match kind {
            "experiment" => experiment = text_of(&answer.body, "experiment_id").unwrap_or_default(),
            "create" => runs.extend(text_of(&answer.body, "run_id")),
            _ => {}
        }
    }
    let wall = start.elapsed();
    fs::write(ids, std::iter::once(experiment).chain(runs).collect::<Vec<_>>().join("\n"))?;
    times.print(wall, failed, &first_failure);
    Ok(())
}
