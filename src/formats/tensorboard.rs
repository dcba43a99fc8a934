//! TensorBoard's event files: the scalars in them, and the hyperparameters.
//!
//! Scalars are floats of their own (TensorFlow 1, PyTorch) or tensors of one number (TensorFlow 2), which are scalars
//! where the plugin they are for says so. The plugin is named with a tag's first value only, so a reader remembers it.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use prost::Message;

use super::tfrecord::Records;
use super::wire::{self, Malformed};
use super::{Losses, MAX_NAMES, moment};

/// Bytes that the value of a scalar may have, with its metadata: more is a picture, or something else of that kind.
const MAX_VALUE: usize = 64 << 10;
/// Plugins that are counted.
const MAX_PLUGINS: usize = 100;

/// What is for this program in an event file.
#[derive(Debug, Clone, PartialEq)]
pub enum Logged {
    /// A value of a metric.
    Scalar(Scalar),
    /// The hyperparameters of the run, with its start.
    Params {
        /// By name.
        params: BTreeMap<String, String>,
        /// When the run began, where that is said.
        started: Option<Timestamp>,
    },
    /// How the run ended.
    End {
        /// Whether it was a success, where that is said.
        success: Option<bool>,
        /// When.
        ended: Option<Timestamp>,
    },
}

/// A value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Scalar {
    /// The metric.
    pub tag: String,
    /// The step.
    pub step: i64,
    /// When it was logged.
    pub time: Timestamp,
    /// The value.
    pub value: f64,
}

/// Reads an event file that is fed in pieces.
#[derive(Debug, Clone, Default)]
pub struct EventFile {
    records: Records,
    tags: Tags,
}

/// What is known of the tags.
#[derive(Debug, Clone, Default)]
struct Tags {
    /// Whether tensors of this tag are scalars.
    are_scalars: HashMap<String, bool>,
    /// How many values of which plugin were left out.
    left_out: BTreeMap<String, u64>,
    undecodable: u64,
}

impl EventFile {
    /// Nothing was fed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file, and gives out what is whole now.
    pub fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(Logged)) {
        let Self { records, tags } = self;
        records.feed(bytes, &mut |record| {
            if tags.event(record, each).is_err() {
                tags.undecodable += 1;
            }
        });
    }

    /// Bytes that were fed: what follows them comes next.
    pub fn fed(&self) -> u64 {
        self.records.fed()
    }

    /// What could not be read.
    pub fn losses(&self) -> Losses {
        let losses = self.records.losses();
        Losses { damaged: losses.damaged + self.tags.undecodable, ..losses }
    }

    /// How many values were left out, because they are no scalars: by the plugin that they are for.
    pub fn left_out(&self) -> &BTreeMap<String, u64> {
        &self.tags.left_out
    }
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(bytes = "vec", optional, tag = "5")]
    summary: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct SummaryValue {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
    #[prost(message, optional, tag = "8")]
    tensor: Option<Tensor>,
    #[prost(message, optional, tag = "9")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(message, optional, tag = "1")]
    plugin_data: Option<PluginData>,
    #[prost(int32, tag = "4")]
    data_class: i32,
}

/// Values with this class are scalars, whatever plugin they are for.
const SCALAR_CLASS: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct PluginData {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
    #[prost(bytes = "vec", tag = "4")]
    content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    floats: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    doubles: Vec<f64>,
    #[prost(int32, repeated, tag = "7")]
    ints: Vec<i32>,
    #[prost(int64, repeated, tag = "10")]
    longs: Vec<i64>,
    #[prost(bool, repeated, tag = "11")]
    truths: Vec<bool>,
    /// Both half and bfloat16, as the bits of each.
    #[prost(int32, repeated, tag = "13")]
    halves: Vec<i32>,
    #[prost(uint32, repeated, tag = "16")]
    unsigned_ints: Vec<u32>,
    #[prost(uint64, repeated, tag = "17")]
    unsigned_longs: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "2")]
    dimensions: Vec<Dimension>,
    #[prost(bool, tag = "3")]
    is_unknown: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, Message)]
struct HparamsData {
    #[prost(message, optional, tag = "3")]
    start: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    end: Option<SessionEnd>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    params: BTreeMap<String, ParamValue>,
    #[prost(double, tag = "5")]
    started: f64,
}

#[derive(Clone, PartialEq, Message)]
struct SessionEnd {
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(double, tag = "2")]
    ended: f64,
}

#[derive(Clone, PartialEq, Message)]
struct ParamValue {
    #[prost(double, optional, tag = "2")]
    number: Option<f64>,
    #[prost(string, optional, tag = "3")]
    text: Option<String>,
    #[prost(bool, optional, tag = "4")]
    truth: Option<bool>,
}

impl Tags {
    fn event(&mut self, record: &[u8], each: &mut dyn FnMut(Logged)) -> Result<(), Malformed> {
        let event = Event::decode(record).map_err(|_| Malformed)?;
        let Some(summary) = &event.summary else { return Ok(()) };
        for field in wire::fields(summary) {
            let (1, value) = field? else { continue };
            let value = value.bytes().ok_or(Malformed)?;
            if value.len() > MAX_VALUE {
                self.leave_out("large values");
            } else {
                let value = SummaryValue::decode(value).map_err(|_| Malformed)?;
                self.value(&event, value, each);
            }
        }
        Ok(())
    }

    fn value(&mut self, event: &Event, value: SummaryValue, each: &mut dyn FnMut(Logged)) {
        let plugin = value.metadata.as_ref().and_then(|metadata| metadata.plugin_data.as_ref());
        if let Some(plugin) = plugin.filter(|plugin| plugin.name == "hparams") {
            return hparams(&plugin.content, each);
        }
        let name = plugin.map_or("", |plugin| plugin.name.as_str());
        let number = match (&value.simple_value, &value.tensor) {
            (Some(number), _) => Some(f64::from(*number)),
            (None, Some(tensor)) => {
                let says = value.metadata.as_ref().filter(|metadata| !name.is_empty() || metadata.data_class != 0);
                let is_scalar = says.map(|metadata| name == "scalars" || metadata.data_class == SCALAR_CLASS);
                self.is_scalar(&value.tag, is_scalar).then(|| tensor.number()).flatten()
            }
            (None, None) => None,
        };
        match number {
            Some(value_of) => {
                let time = moment(event.wall_time);
                each(Logged::Scalar(Scalar { tag: value.tag, step: event.step, time, value: value_of }));
            }
            None if name.is_empty() => self.leave_out("other values"),
            None => self.leave_out(&name.chars().take(40).collect::<String>()),
        }
    }

    /// Whether the tensors of a tag are scalars: what its first value said counts.
    fn is_scalar(&mut self, tag: &str, says: Option<bool>) -> bool {
        if let Some(known) = self.are_scalars.get(tag) {
            return *known;
        }
        let Some(says) = says else { return false };
        if self.are_scalars.len() < MAX_NAMES {
            self.are_scalars.insert(tag.to_owned(), says);
        }
        says
    }

    fn leave_out(&mut self, plugin: &str) {
        if let Some(count) = self.left_out.get_mut(plugin) {
            *count += 1;
        } else if self.left_out.len() < MAX_PLUGINS {
            self.left_out.insert(plugin.to_owned(), 1);
        }
    }
}

impl Tensor {
    /// The number, where there is exactly one.
    fn number(&self) -> Option<f64> {
        let dimensions = self.shape.iter().filter(|shape| !shape.is_unknown).flat_map(|shape| &shape.dimensions);
        if dimensions.into_iter().any(|dimension| dimension.size != 1) {
            return None;
        }
        let half = |bits: i32| u16::try_from(bits).ok();
        if self.content.is_empty() {
            // Where a list is empty all values are zero: protobuf leaves those out.
            let zero = |list_is_empty: bool| list_is_empty.then_some(0.0);
            return match self.dtype {
                1 => self.floats.first().map(|value| f64::from(*value)).or(zero(self.floats.is_empty())),
                2 => self.doubles.first().copied().or(zero(self.doubles.is_empty())),
                3..=6 | 17 => self.ints.first().map(|value| f64::from(*value)).or(zero(self.ints.is_empty())),
                9 => self.longs.first().map(|value| *value as f64).or(zero(self.longs.is_empty())),
                10 => self.truths.first().map(|value| f64::from(u8::from(*value))).or(zero(self.truths.is_empty())),
                14 => self.halves.first().map_or(Some(0.0), |bits| half(*bits).map(bfloat16)),
                19 => self.halves.first().map_or(Some(0.0), |bits| half(*bits).map(float16)),
                22 => self.unsigned_ints.first().map(|value| f64::from(*value)).or(Some(0.0)),
                23 => self.unsigned_longs.first().map(|value| *value as f64).or(Some(0.0)),
                _ => None,
            };
        }
        let bytes = &self.content[..];
        match self.dtype {
            1 => bytes.try_into().ok().map(f32::from_le_bytes).map(f64::from),
            2 => bytes.try_into().ok().map(f64::from_le_bytes),
            3 => bytes.try_into().ok().map(i32::from_le_bytes).map(f64::from),
            4 => bytes.try_into().ok().map(u8::from_le_bytes).map(f64::from),
            5 => bytes.try_into().ok().map(i16::from_le_bytes).map(f64::from),
            6 => bytes.try_into().ok().map(i8::from_le_bytes).map(f64::from),
            9 => bytes.try_into().ok().map(i64::from_le_bytes).map(|value| value as f64),
            10 => bytes.try_into().ok().map(|[byte]: [u8; 1]| f64::from(u8::from(byte != 0))),
            14 => bytes.try_into().ok().map(u16::from_le_bytes).map(bfloat16),
            17 => bytes.try_into().ok().map(u16::from_le_bytes).map(f64::from),
            19 => bytes.try_into().ok().map(u16::from_le_bytes).map(float16),
            22 => bytes.try_into().ok().map(u32::from_le_bytes).map(f64::from),
            23 => bytes.try_into().ok().map(u64::from_le_bytes).map(|value| value as f64),
            _ => None,
        }
    }
}

fn bfloat16(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

fn float16(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, mantissa) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + mantissa) * 2f64.powi(exponent - 25),
    }
}

fn hparams(content: &[u8], each: &mut dyn FnMut(Logged)) {
    // The plugin has other messages too, which describe experiments: they are of no use here.
    let Ok(data) = HparamsData::decode(content) else { return };
    let time = |seconds: f64| (seconds > 0.0).then(|| moment(seconds));
    if let Some(start) = data.start {
        let params = start.params.into_iter().filter_map(|(name, value)| Some((name, value.words()?))).collect();
        each(Logged::Params { params, started: time(start.started) });
    }
    if let Some(end) = data.end {
        let success = match end.status {
            1 => Some(true),
            2 => Some(false),
            _ => None,
        };
        each(Logged::End { success, ended: time(end.ended) });
    }
}

impl ParamValue {
    fn words(self) -> Option<String> {
        // `True`, as the clients are Python, and MLflow's have it so too.
        let truth = self.truth.map(|truth| if truth { "True" } else { "False" }.to_owned());
        self.text.or(truth).or_else(|| self.number.map(|number| number.to_string()))
    }
}

#[cfg(test)]
mod tests;
