//! The files of W&B, `run-<id>.wandb`: a log of records, each a protobuf message.
//!
//! A file is `:W&B`, a number (u16, 0xBEE1) and a version (u8), then blocks of 32 KiB as LevelDB's logs have them, counted
//! from the file's beginning. A record is in one fragment or several, each with the CRC-32 of its type and bytes (u32),
//! a length (u16) and a type (u8). LevelDB's own checksum is another one.

mod log;

use std::collections::BTreeSet;

use jiff::Timestamp;
use prost::Message;
use serde_json::Value;

use super::wire::{self, Malformed};
use super::{Losses, MAX_NAMES, flatten, moment};
pub use log::frame;

/// Bytes of JSON that a value of the history may have: more is no number.
const MAX_NUMBER: usize = 16 << 10;
/// Bytes of JSON that a value of the configuration may have.
const MAX_CONFIG: usize = 1 << 20;

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// What the run is, at its start or as it was changed later.
    Run(Box<RunInfo>),
    /// A change of the configuration.
    Config(Changes),
    /// Values of metrics that were logged together.
    History {
        /// The step.
        step: Option<i64>,
        /// When.
        time: Option<Timestamp>,
        /// The values, by metric. What is no number is left out.
        values: Vec<(String, f64)>,
    },
    /// A change of the summary.
    Summary(Changes),
    /// What the command wrote.
    Output {
        /// Whether to stderr.
        is_stderr: bool,
        /// The bytes, as text.
        text: String,
    },
    /// The use of resources.
    Stats {
        /// When.
        time: Option<Timestamp>,
        /// The values, by name.
        values: Vec<(String, f64)>,
    },
    /// Where the run is at work.
    Environment(Vec<(&'static str, String)>),
    /// The names of files that were saved, in the folder `files` beside the log.
    Files(Vec<String>),
    /// How the run ended.
    Exit {
        /// The exit code.
        code: i32,
    },
}

/// What a run is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunInfo {
    /// W&B's id.
    pub id: String,
    /// Whose it is.
    pub entity: String,
    /// The project.
    pub project: String,
    /// The group.
    pub group: String,
    /// What kind of job.
    pub job_type: String,
    /// The readable name.
    pub name: String,
    /// What somebody wrote about it.
    pub notes: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The sweep that it belongs to.
    pub sweep: String,
    /// The machine.
    pub host: String,
    /// When it started.
    pub started: Option<Timestamp>,
    /// Where the code is kept, and which commit of it.
    pub git: Option<(String, String)>,
    /// The configuration.
    pub config: Changes,
}

/// Values that were set and removed, by the keys that lead to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Those that were set.
    pub set: Vec<(Vec<String>, Value)>,
    /// Those that were removed.
    pub removed: Vec<Vec<String>>,
}

/// Reads a file that is fed in pieces.
#[derive(Debug, Clone, Default)]
pub struct RunFile {
    log: log::Log,
    undecodable: u64,
}

impl RunFile {
    /// Nothing was fed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file, and gives out what is whole now.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Entry)) {
        let Self { log, undecodable } = self;
        log.feed(bytes, &mut |record| match entries(record, each) {
            Ok(()) => {}
            Err(Malformed) => *undecodable += 1,
        });
    }

    /// Bytes that were fed: what follows them comes next.
    pub fn fed(&self) -> u64 {
        self.log.fed()
    }

    /// What could not be read.
    pub fn losses(&self) -> Losses {
        let losses = self.log.losses();
        Losses { damaged: losses.damaged + self.undecodable, ..losses }
    }
}

#[derive(Clone, PartialEq, Message)]
struct RunRecord {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    entity: String,
    #[prost(string, tag = "3")]
    project: String,
    #[prost(bytes = "vec", tag = "4")]
    config: Vec<u8>,
    #[prost(string, tag = "6")]
    group: String,
    #[prost(string, tag = "7")]
    job_type: String,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(string, tag = "9")]
    notes: String,
    #[prost(string, repeated, tag = "10")]
    tags: Vec<String>,
    #[prost(string, tag = "12")]
    sweep: String,
    #[prost(string, tag = "13")]
    host: String,
    #[prost(message, optional, tag = "17")]
    started: Option<Time>,
    #[prost(message, optional, tag = "21")]
    git: Option<Git>,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanoseconds: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Git {
    #[prost(string, tag = "1")]
    remote: String,
    #[prost(string, tag = "2")]
    commit: String,
}

/// A value of the history, the configuration, the summary or the statistics. Older versions have JSON for all of them.
#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, repeated, tag = "2")]
    nested_key: Vec<String>,
    #[prost(bool, optional, tag = "4")]
    truth: Option<bool>,
    #[prost(sint64, optional, tag = "5")]
    integer: Option<i64>,
    #[prost(double, optional, tag = "6")]
    number: Option<f64>,
    #[prost(string, optional, tag = "7")]
    text: Option<String>,
    #[prost(string, optional, tag = "8")]
    json: Option<String>,
    #[prost(string, tag = "16")]
    value_json: String,
}

#[derive(Clone, PartialEq, Message)]
struct OutputRecord {
    #[prost(int32, tag = "1")]
    stream: i32,
    #[prost(string, tag = "3")]
    line: String,
}

#[derive(Clone, PartialEq, Message)]
struct ExitRecord {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct EnvironmentRecord {
    #[prost(string, tag = "1")]
    os: String,
    #[prost(string, tag = "2")]
    python: String,
    #[prost(string, tag = "6")]
    program: String,
    #[prost(string, tag = "12")]
    host: String,
    #[prost(string, tag = "13")]
    user: String,
    #[prost(uint32, tag = "17")]
    cores: u32,
    #[prost(string, tag = "18")]
    gpu: String,
    #[prost(message, optional, tag = "21")]
    memory: Option<Memory>,
    #[prost(message, optional, tag = "22")]
    cpu: Option<Cpu>,
    #[prost(string, tag = "25")]
    cuda: String,
}

#[derive(Clone, PartialEq, Message)]
struct Memory {
    #[prost(uint64, tag = "1")]
    total: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Cpu {
    #[prost(string, tag = "3")]
    model: String,
}

fn entries(record: &[u8], each: &mut dyn FnMut(Entry)) -> Result<(), Malformed> {
    for field in wire::fields(record) {
        let (number, value) = field?;
        let message = || value.bytes().ok_or(Malformed);
        match number {
            2 => each(history(message()?)?),
            3 => each(Entry::Summary(changes(message()?)?)),
            4 | 13 => {
                let output: OutputRecord = decode(message()?)?;
                each(Entry::Output { is_stderr: output.stream == 0, text: output.line });
            }
            5 => each(Entry::Config(changes(message()?)?)),
            6 => each(Entry::Files(files(message()?)?)),
            7 => each(stats(message()?)?),
            17 => each(Entry::Run(Box::new(run(message()?)?))),
            18 => each(Entry::Exit { code: decode::<ExitRecord>(message()?)?.code }),
            26 => each(Entry::Environment(environment(message()?)?)),
            _ => {}
        }
    }
    Ok(())
}

fn decode<M: Message + Default>(bytes: &[u8]) -> Result<M, Malformed> {
    M::decode(bytes).map_err(|_| Malformed)
}

fn time(time: &Time) -> Timestamp {
    Timestamp::new(time.seconds, time.nanoseconds).unwrap_or_default()
}

fn run(message: &[u8]) -> Result<RunInfo, Malformed> {
    let record: RunRecord = decode(message)?;
    Ok(RunInfo {
        config: changes(&record.config)?,
        started: record.started.as_ref().map(time),
        git: record.git.map(|git| (git.remote, git.commit)),
        id: record.id,
        entity: record.entity,
        project: record.project,
        group: record.group,
        job_type: record.job_type,
        name: record.name,
        notes: record.notes,
        tags: record.tags,
        sweep: record.sweep,
        host: record.host,
    })
}

/// The items of a record, in field 1 (set) and field 2 (removed).
fn items(message: &[u8], each: &mut dyn FnMut(u64, Item)) -> Result<(), Malformed> {
    let mut left = MAX_NAMES;
    for field in wire::fields(message) {
        let (number @ (1 | 2), wire::Value::Bytes(bytes)) = field? else { continue };
        if left == 0 {
            return Err(Malformed);
        }
        left -= 1;
        each(number, decode(bytes)?);
    }
    Ok(())
}

fn changes(message: &[u8]) -> Result<Changes, Malformed> {
    let mut changes = Changes::default();
    items(message, &mut |number, item| match number {
        1 => {
            if let Some(value) = item.value(MAX_CONFIG) {
                changes.set.push((item.path(), value));
            }
        }
        _ => changes.removed.push(item.path()),
    })?;
    Ok(changes)
}

fn history(message: &[u8]) -> Result<Entry, Malformed> {
    let (mut step, mut at, mut values, mut media) = (None, None, Vec::new(), BTreeSet::new());
    // Field 2 is the step here, which has one number.
    for field in wire::fields(message) {
        if let (2, wire::Value::Bytes(number)) = field? {
            step = Some(0);
            for field in wire::fields(number) {
                if let (1, wire::Value::Varint(number)) = field? {
                    step = Some(number as i64);
                }
            }
        }
    }
    let mut problem = Ok(());
    items_of_history(message, &mut |item| {
        let path = item.path();
        let number = item.as_number();
        match (path.first().map(String::as_str), number) {
            (Some("_step"), number) => step = step.or(number.map(|number| number as i64)),
            (Some("_timestamp"), number) => at = number.map(moment),
            (Some("_runtime" | "_wandb"), _) => {}
            (_, Some(number)) => values.push((path.join("."), number)),
            (_, None) => {
                // An object with a type is a picture, a table or the like, and its numbers are not for a curve.
                if let Some((last, above)) = path.split_last()
                    && last == "_type"
                {
                    media.insert(above.join(".") + ".");
                }
                if let Some(value) = item.value(MAX_NUMBER) {
                    numbers(&path.join("."), &value, &mut values);
                }
            }
        }
        if values.len() > MAX_NAMES {
            problem = Err(Malformed);
            values.clear();
        }
    })?;
    problem?;
    if !media.is_empty() {
        values.retain(|(name, _)| !media.iter().any(|prefix| name.starts_with(prefix.as_str())));
    }
    Ok(Entry::History { step, time: at, values })
}

fn items_of_history(message: &[u8], each: &mut dyn FnMut(Item)) -> Result<(), Malformed> {
    for field in wire::fields(message) {
        if let (1, wire::Value::Bytes(bytes)) = field? {
            each(decode(bytes)?);
        }
    }
    Ok(())
}

/// The numbers in nested objects. Objects with a type are left out.
fn numbers(name: &str, value: &Value, values: &mut Vec<(String, f64)>) {
    match value {
        Value::Object(members) if !members.contains_key("_type") => {
            members.iter().for_each(|(key, member)| numbers(&format!("{name}.{key}"), member, values));
        }
        Value::Number(number) => values.extend(number.as_f64().map(|number| (name.to_owned(), number))),
        _ => {}
    }
}

fn stats(message: &[u8]) -> Result<Entry, Malformed> {
    let (mut at, mut values) = (None, Vec::new());
    for field in wire::fields(message) {
        match field? {
            (2, wire::Value::Bytes(bytes)) => at = Some(time(&decode(bytes)?)),
            (3, wire::Value::Bytes(bytes)) if values.len() < MAX_NAMES => {
                let item: Item = decode(bytes)?;
                values.extend(item.as_number().map(|number| (item.key, number)));
            }
            _ => {}
        }
    }
    Ok(Entry::Stats { time: at, values })
}

fn files(message: &[u8]) -> Result<Vec<String>, Malformed> {
    #[derive(Clone, PartialEq, Message)]
    struct File {
        #[prost(string, tag = "1")]
        path: String,
    }
    let mut files = Vec::new();
    for field in wire::fields(message) {
        if let (1, wire::Value::Bytes(bytes)) = field?
            && files.len() < MAX_NAMES
        {
            files.push(decode::<File>(bytes)?.path);
        }
    }
    Ok(files)
}

fn environment(message: &[u8]) -> Result<Vec<(&'static str, String)>, Malformed> {
    let record: EnvironmentRecord = decode(message)?;
    let number = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let all = [
        ("os", record.os),
        ("python", record.python.trim_start_matches("CPython ").to_owned()),
        ("program", record.program),
        ("host", record.host),
        ("user", record.user),
        ("cores", number(record.cores.into())),
        ("gpu", record.gpu),
        ("cpu", record.cpu.unwrap_or_default().model),
        ("memory_bytes", number(record.memory.unwrap_or_default().total)),
        ("cuda", record.cuda),
    ];
    Ok(all.into_iter().filter(|(_, value)| !value.is_empty()).collect())
}

impl Item {
    /// The keys that lead to the value.
    fn path(&self) -> Vec<String> {
        if self.nested_key.is_empty() { vec![self.key.clone()] } else { self.nested_key.clone() }
    }

    /// The number that it is; none where it is something else.
    fn as_number(&self) -> Option<f64> {
        if let Some(number) = self.number.or(self.integer.map(|integer| integer as f64)) {
            return Some(number);
        }
        if let Some(truth) = self.truth {
            return Some(f64::from(u8::from(truth)));
        }
        if self.text.is_some() {
            return None;
        }
        // Python's JSON has numbers that JSON has not, and newer versions write those as texts.
        match self.json.as_deref().unwrap_or(&self.value_json).trim_matches('"') {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            "true" => Some(1.0),
            "false" => Some(0.0),
            text if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && self.is_bare() => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether the JSON is no text.
    fn is_bare(&self) -> bool {
        !self.json.as_deref().unwrap_or(&self.value_json).starts_with('"')
    }

    /// The value, where it has at most so many bytes.
    fn value(&self, limit: usize) -> Option<Value> {
        if let Some(text) = &self.text {
            return Some(Value::String(text.clone()));
        }
        let json = self.json.as_deref().unwrap_or(&self.value_json);
        if json.len() > limit {
            return None;
        }
        if let Some(whole) = self.integer.map(Value::from).or(self.truth.map(Value::from)) {
            return Some(whole);
        }
        let is_fraction = json.contains(['.', 'e', 'E', 'N', 'I']) && self.is_bare();
        // A fraction that is read as JSON may be the one beside it.
        if let Some(number) = self.as_number().filter(|_| is_fraction || self.number.is_some()) {
            return Some(serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Value::Number));
        }
        serde_json::from_str(json).ok()
    }
}

/// The parameters that changes leave: nested ones by their keys with points between them, those of W&B itself left out.
pub fn apply(changes: Changes, params: &mut std::collections::BTreeMap<String, String>) {
    let forget = |params: &mut std::collections::BTreeMap<String, String>, name: &str| {
        params.remove(name);
        let below = format!("{name}.");
        params.retain(|param, _| !param.starts_with(&below));
    };
    for path in changes.removed {
        forget(params, &path.join("."));
    }
    for (path, value) in changes.set {
        if path.first().is_some_and(|key| key == "_wandb") {
            continue;
        }
        let name = path.join(".");
        forget(params, &name);
        let value = serde_json::json!({ name: value });
        flatten(&value, ".", &mut |name, value| drop(params.insert(name, super::plain_text(value))));
    }
}

#[cfg(test)]
mod tests;
