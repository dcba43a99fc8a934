//! How the bytes of an entry are stored: as they are, compressed, or as planes, whichever a sample says pays.
//!
//! Planes are for numbers of a fixed width, as in tensors: the first bytes of all numbers, then the second ones, and
//! so on. The bytes of a mantissa are noise and stay as they are; those of signs and exponents take few values and are
//! coded in few bits. Mixed with noise, as they lie in the file, they would hardly compress at all. (The idea is the
//! byte shuffle of Blosc and HDF5.)

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use zstd::zstd_safe::{CParameter, DParameter, FrameFormat, ParamSwitch, Strategy};

use super::pack::{Header, Key};
use super::planes::{self, Estimate, MAX_STRIDE};

/// Stored as they are.
pub(super) const RAW: u8 = 0;
/// One zstd frame.
pub(super) const ZSTD: u8 = 1;
/// Planes: their number (u8); a bit for each that is compressed (u8); the lengths of those (u24 each); and the planes,
/// compressed ones as zstd frames without the magic number.
pub(super) const PLANES: u8 = 2;

const LEVEL: i32 = 3;
/// From this size on a sample is compressed first.
const SAMPLE_FROM: usize = 32 << 10;
/// Bytes of each of the two samples.
const SAMPLE: usize = 4 << 10;
/// Compression has to save a twentieth, or the bytes are kept as they are.
const LEAST_GAIN: usize = 20;
/// Bits for each byte above which bytes as they lie are no text.
const DENSE: f32 = 6.5;
/// Bits for each byte from which on a plane is noise.
const NOISE: f32 = 7.6;
/// Bits for each byte below which a plane is likely to repeat itself, which coding its bytes one by one would not see.
const REPETITIVE: f32 = 1.0;

/// An entry that is ready to be written.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) header: Header,
    pub(super) stored: Bytes,
}

type Compressor = zstd::bulk::Compressor<'static>;
type Decompressor = zstd::bulk::Decompressor<'static>;

thread_local! {
    static FAST: RefCell<Option<Compressor>> = const { RefCell::new(None) };
    static GOOD: RefCell<Option<Compressor>> = const { RefCell::new(None) };
    static LITERALS: RefCell<Option<Compressor>> = const { RefCell::new(None) };
    static REPEATS: RefCell<Option<Compressor>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor>> = const { RefCell::new(None) };
    static PLANE_DECOMPRESSOR: RefCell<Option<Decompressor>> = const { RefCell::new(None) };
}

/// Makes an entry of `raw`, whose length fits the format.
pub(super) fn encode(key: Key, raw: Bytes) -> Encoded {
    let raw_len = raw.len() as u32;
    let (codec, stored) = match compress(&raw) {
        Some((codec, stored)) => (codec, Bytes::from(stored)),
        None => (RAW, raw),
    };
    let header = Header { key, codec, raw_len, stored_len: stored.len() as u32, crc: crc32fast::hash(&stored) };
    Encoded { header, stored }
}

/// The codec and the compressed bytes; none where compression does not pay or does not work.
fn compress(raw: &[u8]) -> Option<(u8, Vec<u8>)> {
    let sample = sample_of(raw);
    let estimate = planes::estimate(&sample);
    // Bytes that take nearly all values hardly repeat themselves: then planes need not be compared with anything.
    let is_plain = estimate.is_some_and(|estimate| estimate.flat > DENSE);
    let compressed = match is_plain || (estimate.is_none() && sample.len() == raw.len()) {
        true => None,
        false => Some(with(&FAST, || Compressor::new(1), |context| context.compress(&sample)).ok()?.len()),
    };
    let bits = compressed.map_or(f32::MAX, |compressed| 8.0 * compressed as f32 / sample.len() as f32);
    if let Some(estimate) = estimate.filter(|estimate| estimate.bits < bits - 8.0 / LEAST_GAIN as f32) {
        let stored = compress_planes(raw, &estimate).ok()?;
        return pays(raw.len(), stored.len()).then_some((PLANES, stored));
    }
    if compressed.is_some_and(|compressed| !pays(sample.len(), compressed)) {
        return None;
    }
    let stored = with(&GOOD, || Compressor::new(LEVEL), |context| context.compress(raw)).ok()?;
    pays(raw.len(), stored.len()).then_some((ZSTD, stored))
}

/// All of what is short, and two parts of what is long. The parts begin where a number of any width does.
fn sample_of(raw: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if raw.len() < SAMPLE_FROM {
        return raw.into();
    }
    let quarter = raw.len() / 4 / MAX_STRIDE * MAX_STRIDE;
    [&raw[quarter..quarter + SAMPLE], &raw[3 * quarter..3 * quarter + SAMPLE]].concat().into()
}

fn pays(before: usize, after: usize) -> bool {
    after < before - before / LEAST_GAIN
}

fn compress_planes(raw: &[u8], estimate: &Estimate) -> io::Result<Vec<u8>> {
    let stride = estimate.stride;
    let planes = planes::split(raw, stride);
    let mut lengths = Vec::with_capacity(3 * stride);
    let mut bodies = Vec::with_capacity(raw.len());
    let mut compressed_planes = 0u8;
    for (number, bits) in estimate.planes().iter().enumerate() {
        let plane = &planes[planes::range(raw.len(), stride, number)];
        if *bits < NOISE {
            let compressed = if *bits < REPETITIVE {
                with(&REPEATS, || plane_compressor(None), |context| context.compress(plane))?
            } else {
                with(&LITERALS, || plane_compressor(Some(ParamSwitch::Enable)), |context| context.compress(plane))?
            };
            if pays(plane.len(), compressed.len()) {
                compressed_planes |= 1 << number;
                lengths.extend_from_slice(&(compressed.len() as u32).to_le_bytes()[..3]);
                bodies.extend_from_slice(&compressed);
                continue;
            }
        }
        bodies.extend_from_slice(plane);
    }
    Ok([&[stride as u8, compressed_planes][..], &lengths, &bodies].concat())
}

/// A compressor for planes: of their bytes one by one with `literals`, else also of what repeats.
fn plane_compressor(literals: Option<ParamSwitch>) -> io::Result<Compressor> {
    let mut compressor = Compressor::new(1)?;
    compressor.set_parameter(CParameter::Format(FrameFormat::Magicless))?;
    compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
    if let Some(literals) = literals {
        compressor.set_parameter(CParameter::Strategy(Strategy::ZSTD_fast))?;
        compressor.set_parameter(CParameter::LiteralCompressionMode(literals))?;
        // How fast the search for what repeats gives up: at once.
        compressor.set_parameter(CParameter::TargetLength(1 << 17))?;
        compressor.set_parameter(CParameter::MinMatch(7))?;
        compressor.set_parameter(CParameter::HashLog(6))?;
    }
    Ok(compressor)
}

/// The bytes of an entry out of its stored bytes, or what is wrong. The digest is the caller's to check.
///
/// What is decoded is bounded by `raw_len`, and that by the format.
pub(super) fn decode(codec: u8, raw_len: u32, stored: Bytes) -> Result<Bytes, String> {
    let raw_len = raw_len as usize;
    let raw = match codec {
        RAW => stored,
        ZSTD => with(&DECOMPRESSOR, Decompressor::new, |context| context.decompress(&stored, raw_len))
            .map_err(|error| format!("does not decompress ({error})"))?
            .into(),
        PLANES => decode_planes(&stored, raw_len)?.into(),
        other => return Err(format!("is stored in a way that this git-ml does not know (codec {other})")),
    };
    if raw.len() != raw_len {
        return Err(format!("has {} bytes instead of {raw_len}", raw.len()));
    }
    Ok(raw)
}

fn decode_planes(stored: &[u8], raw_len: usize) -> Result<Vec<u8>, String> {
    let short = || "is cut short".to_owned();
    let (&[stride, compressed_planes], mut lengths) = stored.split_first_chunk::<2>().ok_or_else(short)?;
    let stride = usize::from(stride);
    if !planes::STRIDES.contains(&stride) || usize::from(compressed_planes) >> stride != 0 {
        return Err(format!("cannot have {stride} planes"));
    }
    let is_compressed = |number: &usize| compressed_planes & 1 << number != 0;
    let length_of = |number| planes::range(raw_len, stride, number).len();
    let count = compressed_planes.count_ones() as usize;
    let mut bodies = lengths.get(3 * count..).ok_or_else(short)?;
    let mut planes = [&[][..]; MAX_STRIDE];
    let mut decompressed = vec![0; (0..stride).filter(is_compressed).map(length_of).sum()];
    let mut room = &mut decompressed[..];
    for (number, whole) in planes.iter_mut().enumerate().take(stride) {
        let length = if is_compressed(&number) {
            let (length, rest) = lengths.split_first_chunk::<3>().ok_or_else(short)?;
            lengths = rest;
            u32::from_le_bytes([length[0], length[1], length[2], 0]) as usize
        } else {
            length_of(number)
        };
        let (body, rest) = bodies.split_at_checked(length).ok_or_else(short)?;
        bodies = rest;
        if !is_compressed(&number) {
            *whole = body;
            continue;
        }
        let (plane, rest) = room.split_at_mut(length_of(number));
        room = rest;
        let decoded =
            with(&PLANE_DECOMPRESSOR, plane_decompressor, |context| context.decompress_to_buffer(body, plane));
        match decoded {
            Ok(length) if length == plane.len() => *whole = plane,
            Ok(length) => return Err(format!("has {length} bytes in a plane of {}", plane.len())),
            Err(error) => return Err(format!("does not decompress ({error})")),
        }
    }
    if !bodies.is_empty() {
        return Err(format!("has {} bytes after its last plane", bodies.len()));
    }
    Ok(planes::join(&planes[..stride], raw_len))
}

fn plane_decompressor() -> io::Result<Decompressor> {
    let mut decompressor = Decompressor::new()?;
    decompressor.set_parameter(DParameter::Format(FrameFormat::Magicless))?;
    Ok(decompressor)
}

/// Whether this version can decode what is stored so.
pub(super) fn is_known(codec: u8) -> bool {
    matches!(codec, RAW | ZSTD | PLANES)
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
