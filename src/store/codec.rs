//! How the bytes of an entry are stored: as they are, or compressed where that pays.

use std::cell::RefCell;
use std::io::{self, Read};

use super::pack::{Header, Key};

/// Stored as they are.
pub(super) const RAW: u8 = 0;
/// One zstd frame.
pub(super) const ZSTD: u8 = 1;

const LEVEL: i32 = 3;
/// From this size on a sample is compressed first.
const SAMPLE_FROM: usize = 32 << 10;
/// Bytes of each of the two samples.
const SAMPLE: usize = 4 << 10;
/// Compression has to save a twentieth, or the bytes are kept as they are.
const LEAST_GAIN: usize = 20;
/// The largest window (as a power of two) that decoding takes memory for; level 3 stays below it.
const WINDOW_LOG: u32 = 23;

/// An entry that is ready to be written.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) header: Header,
    pub(super) stored: Vec<u8>,
}

thread_local! {
    static FAST: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static GOOD: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Makes an entry of `raw`, whose length fits the format.
pub(super) fn encode(key: Key, raw: Vec<u8>) -> Encoded {
    let raw_len = raw.len() as u32;
    let (codec, stored) = match compress(&raw) {
        Some(stored) => (ZSTD, stored),
        None => (RAW, raw),
    };
    let header = Header { key, codec, raw_len, stored_len: stored.len() as u32, crc: crc32fast::hash(&stored) };
    Encoded { header, stored }
}

/// The compressed bytes; none where compression does not pay or does not work.
fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() >= SAMPLE_FROM {
        let quarter = raw.len() / 4;
        let sample = [&raw[quarter..quarter + SAMPLE], &raw[3 * quarter..3 * quarter + SAMPLE]].concat();
        with(&FAST, || zstd::bulk::Compressor::new(1), |context| context.compress(&sample))
            .ok()
            .filter(|compressed| pays(sample.len(), compressed.len()))?;
    }
    with(&GOOD, || zstd::bulk::Compressor::new(LEVEL), |context| context.compress(raw))
        .ok()
        .filter(|compressed| pays(raw.len(), compressed.len()))
}

fn pays(before: usize, after: usize) -> bool {
    after < before - before / LEAST_GAIN
}

/// The bytes of a chunk out of its stored bytes, or what is wrong. The digest is the caller's to check.
pub(super) fn decode_chunk(codec: u8, raw_len: u32, stored: Vec<u8>) -> Result<Vec<u8>, String> {
    let raw = match codec {
        RAW => stored,
        // What is decoded is bounded by the capacity, and `raw_len` by the format.
        ZSTD => {
            with(&DECOMPRESSOR, zstd::bulk::Decompressor::new, |context| context.decompress(&stored, raw_len as usize))
                .map_err(|error| format!("does not decompress ({error})"))?
        }
        other => return Err(unknown(other)),
    };
    if raw.len() != raw_len as usize {
        return Err(format!("has {} bytes instead of {raw_len}", raw.len()));
    }
    Ok(raw)
}

/// A reader over the stored bytes of a file map, which may be too long to be decoded at once.
pub(super) fn decode_map(codec: u8, stored: Vec<u8>) -> Result<Box<dyn Read + Send>, String> {
    let fail = |error: io::Error| format!("does not decompress ({error})");
    match codec {
        RAW => Ok(Box::new(io::Cursor::new(stored))),
        ZSTD => {
            let mut decoder = zstd::stream::Decoder::with_buffer(io::Cursor::new(stored)).map_err(fail)?;
            decoder.window_log_max(WINDOW_LOG).map_err(fail)?;
            Ok(Box::new(io::BufReader::with_capacity(32 << 10, decoder)))
        }
        other => Err(unknown(other)),
    }
}

/// Whether this version can decode what is stored so.
pub(super) fn is_known(codec: u8) -> bool {
    matches!(codec, RAW | ZSTD)
}

fn unknown(codec: u8) -> String {
    format!("is stored in a way that this git-ml does not know (codec {codec})")
}

/// Runs `action` on this thread's context, made on first use: making one costs more than a small chunk.
fn with<C, R>(
    slot: &'static std::thread::LocalKey<RefCell<Option<C>>>,
    make: impl FnOnce() -> io::Result<C>,
    action: impl FnOnce(&mut C) -> io::Result<R>,
) -> io::Result<R> {
    slot.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Some(make()?);
        }
        match context {
            Some(context) => action(context),
            None => unreachable!("it was made above"),
        }
    })
}
