//! Weights that somebody else trained, from a safetensors file with torchvision's or timm's names.
//!
//! The format: <https://github.com/huggingface/safetensors#format>. Nothing is unpickled.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use tch::{Kind, Tensor, no_grad};

use super::ModelSource;
use crate::failure::{Failure, Result};

/// Bytes that a header may have: some thousand tensors have a hundredth of it.
const MAX_HEADER: u64 = 1 << 24;
/// What stands before all names where a network was a part of another when it was saved.
const PREFIXES: [&str; 4] = ["module.", "model.", "resnet.", "backbone."];
/// The layer that gives the logits. Its size follows from the classes, so a file's is taken only if it fits.
const HEAD: &str = "fc.";
/// What a network does not need of a file: the number of steps that were trained, and our own files' normalisation.
const IGNORED: [&str; 2] = [".num_batches_tracked", "normalise."];
/// Differences that an error lists.
const SHOWN: usize = 3;

/// A safetensors file whose header was read and is right for its size.
pub(super) struct Weights<'s> {
    source: &'s ModelSource,
    header_bytes: u64,
    /// The tensors as the network calls them, without what is ignored.
    tensors: BTreeMap<String, TensorInfo>,
}

/// What became of a file's last layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    Taken,
    /// It stays random, because of this.
    Random(String),
}

impl<'s> Weights<'s> {
    /// Reads the header of `source`.
    pub(super) fn open(source: &'s ModelSource) -> Result<Self> {
        let name = &source.name;
        let wrong = |problem: String| Failure::new(format!("{name} {problem}"));
        let mut reader = source.open()?;
        let mut start = [0; 8];
        if source.bytes < 8 {
            return Err(wrong(format!("is truncated: it has {} bytes", source.bytes)));
        }
        reader.read_exact(&mut start).map_err(|error| source.unreadable(&error))?;
        if let Some(what) = other_format(&start) {
            return Err(wrong(format!("is {what}, not a safetensors file")).hint(CONVERT));
        }
        let header_bytes = u64::from_le_bytes(start);
        if header_bytes > MAX_HEADER {
            return Err(wrong("is not a safetensors file: it does not begin with the size of a header".to_owned()));
        }
        if header_bytes > source.bytes - 8 {
            let line = format!("is truncated: its header has {header_bytes} bytes, the file {}", source.bytes);
            return Err(wrong(line));
        }
        let mut header = vec![0; header_bytes as usize];
        reader.read_exact(&mut header).map_err(|error| source.unreadable(&error))?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|_| wrong("is not a safetensors file: its header is not valid".to_owned()))?;
        let (promised, there) = (metadata.data_len() as u64, source.bytes - 8 - header_bytes);
        if promised != there {
            let problem = if promised > there { "is truncated" } else { "is too long" };
            return Err(wrong(format!(
                "{problem}: its header promises {promised} bytes of tensors, there are {there}"
            )));
        }
        let tensors = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        Ok(Self { source, header_bytes, tensors: without_prefix(tensors) })
    }

    /// The channels that the first convolution takes; none where there is no such tensor.
    pub(super) fn channels(&self) -> Option<i64> {
        self.tensors.get("conv1.weight").and_then(|info| info.shape.get(1)).map(|channels| *channels as i64)
    }

    /// Copies the tensors to the variables of the same names. All have to be there and to fit, but for the last layer.
    ///
    /// `model` is what the network is called in an error.
    pub(super) fn load(&self, model: &str, variables: &BTreeMap<String, Tensor>) -> Result<Head> {
        let (head, body): (BTreeMap<_, _>, BTreeMap<_, _>) =
            variables.iter().partition(|(name, _)| name.starts_with(HEAD));
        let taken = self.tensors.iter().filter(|(name, _)| !name.starts_with(HEAD));
        let unknown =
            taken.filter(|(name, _)| !body.contains_key(*name)).map(|(name, _)| format!("{name} is not a part of it"));
        let misfits = body.iter().filter_map(|(name, tensor)| self.misfit(name, tensor));
        self.refuse(model, misfits.chain(unknown).collect())?;
        let head_misfit = head.iter().find_map(|(name, tensor)| self.misfit(name, tensor));

        let mut wanted: Vec<_> = body.into_iter().collect();
        if head_misfit.is_none() {
            wanted.extend(head);
        }
        self.copy(wanted)?;
        Ok(head_misfit.map_or(Head::Taken, Head::Random))
    }

    /// In what the file's tensor called `name` differs from the network's.
    fn misfit(&self, name: &str, tensor: &Tensor) -> Option<String> {
        let Some(info) = self.tensors.get(name) else { return Some(format!("{name} is missing")) };
        let own = tensor.size();
        if info.shape.len() != own.len() || info.shape.iter().zip(&own).any(|(theirs, own)| *theirs as i64 != *own) {
            return Some(format!("{name} is {:?}, not {own:?}", info.shape));
        }
        kind_of(info.dtype).is_none().then(|| format!("{name} has numbers of type {:?}", info.dtype))
    }

    fn refuse(&self, model: &str, misfits: Vec<String>) -> Result<()> {
        if misfits.is_empty() {
            return Ok(());
        }
        let more = misfits.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let shown: Vec<_> = misfits.into_iter().take(SHOWN).collect();
        let line = format!("{} does not fit a {model}: {}{more}", self.source.name, shown.join("; "));
        Err(Failure::new(line).hint("`weights` have to be of the same model and variant, with torchvision's names"))
    }

    /// Reads tensors, in the file's order and one at a time, into variables that they fit.
    fn copy(&self, wanted: Vec<(&String, &Tensor)>) -> Result<()> {
        let mut reader = BufReader::new(self.source.open()?);
        let failed = |error: std::io::Error| self.source.unreadable(&error);
        skip(&mut reader, 8 + self.header_bytes).map_err(failed)?;
        let placed = wanted.into_iter().filter_map(|(name, variable)| Some((self.tensors.get(name)?, variable)));
        let mut placed: Vec<_> = placed.collect();
        placed.sort_by_key(|(info, _)| info.data_offsets);
        let mut at = 0;
        for (info, variable) in placed {
            let (start, end) = info.data_offsets;
            skip(&mut reader, (start - at) as u64).map_err(failed)?;
            let mut bytes = vec![0; end - start];
            reader.read_exact(&mut bytes).map_err(failed)?;
            at = end;
            let kind = kind_of(info.dtype).unwrap_or(Kind::Float);
            let tensor = Tensor::f_from_data_size(&bytes, &variable.size(), kind)?;
            no_grad(|| variable.shallow_clone().f_copy_(&tensor))?;
        }
        Ok(())
    }
}

const CONVERT: &str = "in Python: `import torch, safetensors.torch as s; w = torch.load(\"model.pth\", weights_only=True); \
                       s.save_file({k: v.contiguous() for k, v in w.items()}, \"model.safetensors\")`";

/// What a file is that begins with these bytes, where that is known and not safetensors.
fn other_format(start: &[u8; 8]) -> Option<&'static str> {
    match start {
        [b'P', b'K', 3, 4, ..] => Some("a file of PyTorch's (.pth or .pt)"),
        // A pickle of version 2 to 5, as PyTorch wrote them before 1.6. A header of 640 bytes begins alike.
        [0x80, 2..=5, _, _, rest @ ..] if rest != &[0; 4] => Some("a pickle of PyTorch's (.pth)"),
        [0x89, b'H', b'D', b'F', ..] => Some("an HDF5 file"),
        _ => None,
    }
}

/// The kind of numbers that weights may be of.
fn kind_of(dtype: Dtype) -> Option<Kind> {
    match dtype {
        Dtype::F64 => Some(Kind::Double),
        Dtype::F32 => Some(Kind::Float),
        Dtype::F16 => Some(Kind::Half),
        Dtype::BF16 => Some(Kind::BFloat16),
        _ => None,
    }
}

/// The tensors that count, without a prefix that all of them have.
fn without_prefix(mut tensors: BTreeMap<String, TensorInfo>) -> BTreeMap<String, TensorInfo> {
    while let Some(prefix) = PREFIXES.iter().find(|prefix| tensors.keys().all(|name| name.starts_with(**prefix))) {
        if tensors.is_empty() {
            break;
        }
        tensors = tensors.into_iter().map(|(name, info)| (name[prefix.len()..].to_owned(), info)).collect();
    }
    tensors.retain(|name, _| !name.ends_with(IGNORED[0]) && !name.starts_with(IGNORED[1]));
    tensors
}

fn skip(reader: &mut impl Read, bytes: u64) -> std::io::Result<()> {
    let skipped = std::io::copy(&mut reader.by_ref().take(bytes), &mut std::io::sink())?;
    if skipped < bytes { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
