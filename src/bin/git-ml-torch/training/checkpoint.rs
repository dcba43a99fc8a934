//! Checkpoints: everything that a training needs to go on as if it had never stopped.
//!
//! `last.safetensors` holds the weights (`weights.…`), the optimizer's state (`optimizer.…`) and, as metadata, the
//! [`State`] in JSON. `best.safetensors` holds the weights of the epoch with the lowest validation loss, and its number.
//! Each is published in one step, so that a kill leaves the one before.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use git_ml::files::{self, Durability};
use git_ml::id::Digest;
use git_ml::train::Recipe;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn, no_grad};

use super::{Epoch, Sums};
use crate::failure::{Failure, Result};

/// The time between two checkpoints, as a multiple of what the last one took: they cost a twentieth at most.
const COST: u32 = 20;
/// The time after which the end of a long epoch is not waited for.
const STEP_INTERVAL: Duration = Duration::from_secs(20);
const LAST: &str = "last.safetensors";
const BEST: &str = "best.safetensors";
const STATE: &str = "state";
const EPOCH: &str = "epoch";

/// How far a training is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// What is trained: nothing else can go on from here.
    pub(super) recipe: Recipe,
    /// Which examples are where.
    pub(super) split: Digest,
    /// The phase, from 0.
    pub(super) phase: usize,
    /// Epochs of the phase that are done.
    pub(super) phase_epoch: u32,
    /// Steps of the epoch that are done.
    pub(super) step: u64,
    /// Steps done since the beginning.
    pub(super) total_steps: u64,
    /// Steps that the phase's optimizer did.
    pub(super) optimizer_steps: u64,
    /// What the epoch summed up so far.
    pub(super) sums: Sums,
    /// The epochs that are done.
    pub(super) history: Vec<Epoch>,
    /// The factor of the loss in float16, and the steps that it was good for.
    pub(super) scale: (f64, u32),
}

/// The epoch with the lowest validation loss: its number from 1, and the loss.
pub(super) fn best(history: &[Epoch]) -> Option<(u32, f64)> {
    let losses = history.iter().filter_map(|epoch| Some((epoch.epoch, epoch.val_loss?)));
    losses.min_by(|(_, one), (_, other)| one.total_cmp(other))
}

/// Where checkpoints go.
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// When the last one was done, and how long it took.
    saved: Option<(Instant, Duration)>,
    /// The epoch whose weights are in the file of the best.
    best: Option<u32>,
}

impl Checkpoints {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        files::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_path_buf(), saved: None, best: None })
    }

    /// Whether it is time for another one.
    pub(super) fn is_due(&self, epoch_ended: bool) -> bool {
        let Some((done, took)) = self.saved else { return true };
        let interval = if epoch_ended { Duration::ZERO } else { STEP_INTERVAL };
        done.elapsed() >= interval.max(took * COST)
    }

    /// Keeps what is needed to go on from here, and the weights of the `best` epoch.
    pub(super) fn save(
        &mut self,
        state: &State,
        weights: &nn::VarStore,
        optimizer: &[(String, Tensor)],
        best_weights: Option<&[(String, Tensor)]>,
    ) -> Result<()> {
        let begun = Instant::now();
        if let (Some(weights), Some((epoch, _))) = (best_weights, best(&state.history))
            && self.best != Some(epoch)
        {
            let tensors = weights.iter().map(|(name, tensor)| (name.clone(), tensor)).collect();
            self.publish(BEST, tensors, (EPOCH, epoch.to_string()))?;
            self.best = Some(epoch);
        }
        let weights = weights.variables();
        let own = weights.iter().map(|(name, tensor)| (format!("weights.{name}"), tensor));
        let others = optimizer.iter().map(|(name, tensor)| (format!("optimizer.{name}"), tensor));
        let state = serde_json::to_string(state).map_err(|error| Failure::new(format!("the state: {error}")))?;
        self.publish(LAST, own.chain(others).collect(), (STATE, state))?;
        self.saved = Some((Instant::now(), begun.elapsed()));
        Ok(())
    }

    fn publish(&self, name: &str, tensors: BTreeMap<String, &Tensor>, metadata: (&str, String)) -> Result<()> {
        let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("cannot write {name}: {error}"));
        let bytes: Vec<_> =
            tensors.into_iter().map(|(name, tensor)| Ok((name, raw(tensor)?))).collect::<Result<_>>()?;
        let views: Vec<_> = bytes
            .iter()
            .map(|(name, (dtype, size, bytes))| Ok((name, TensorView::new(*dtype, size.clone(), bytes)?)))
            .collect::<std::result::Result<_, safetensors::SafeTensorError>>()
            .map_err(|error| wrong(&error))?;
        let metadata = HashMap::from([(metadata.0.to_owned(), metadata.1)]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(|error| wrong(&error))?;
        Ok(files::publish(&self.folder.join(name), &file, Durability::Synced)?)
    }

    /// What a training that has its model needs no more.
    pub(super) fn remove(self) -> Result<()> {
        Ok(files::remove_dir_all(&self.folder)?)
    }
}

/// The kinds of numbers that checkpoints have: weights are float32, a module of Python's may count its steps.
const KINDS: [(Kind, Dtype); 4] =
    [(Kind::Float, Dtype::F32), (Kind::Double, Dtype::F64), (Kind::Int64, Dtype::I64), (Kind::Bool, Dtype::BOOL)];

/// The kind, the sizes and the bytes of a tensor.
fn raw(tensor: &Tensor) -> Result<(Dtype, Vec<usize>, Vec<u8>)> {
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let Some((kind, dtype)) = KINDS.iter().find(|(kind, _)| *kind == tensor.kind()) else {
        return Err(Failure::new(format!("a tensor of {:?} cannot be kept in a checkpoint", tensor.kind())));
    };
    let count = tensor.numel();
    let mut bytes = vec![0; count * kind.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, count)?;
    Ok((*dtype, tensor.size().iter().map(|size| *size as usize).collect(), bytes))
}

/// A checkpoint that was read.
pub(super) struct Saved {
    pub(super) state: State,
    tensors: HashMap<String, Tensor>,
    best: Option<(u32, HashMap<String, Tensor>)>,
}

impl Saved {
    /// Reads the checkpoint in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let (metadata, tensors) = read_file(&folder.join(LAST))?;
        let state = metadata.get(STATE).and_then(|text| serde_json::from_str(text).ok());
        let state =
            state.ok_or_else(|| Failure::new(format!("{LAST} is not a checkpoint of this version of git-ml-torch")))?;
        let best = if folder.join(BEST).exists() { Some(read_file(&folder.join(BEST))?) } else { None };
        let best = best.and_then(|(metadata, tensors)| Some((metadata.get(EPOCH)?.parse().ok()?, tensors)));
        Ok(Self { state, tensors, best })
    }

    /// Puts the saved weights into `weights`.
    pub(super) fn restore(&self, weights: &nn::VarStore) -> Result<()> {
        let saved = |name: &str| self.tensors.get(&format!("weights.{name}"));
        for (name, mut own) in weights.variables() {
            let saved = saved(&name).filter(|saved| saved.size() == own.size());
            let saved = saved.ok_or_else(|| Failure::new(format!("the checkpoint has no fitting `{name}`")))?;
            no_grad(|| own.f_copy_(saved))?;
        }
        Ok(())
    }

    /// A tensor of the optimizer's.
    pub(super) fn optimizer(&self, name: &str) -> Option<Tensor> {
        self.tensors.get(&format!("optimizer.{name}")).map(Tensor::shallow_clone)
    }

    /// The weights of the best epoch, if they are those of the epoch that was the best when the state was saved. A kill
    /// between the two leaves those of the next: then the same epoch is trained again, and they are found again.
    pub(super) fn best(&mut self) -> Option<Vec<(String, Tensor)>> {
        let (number, tensors) = self.best.take()?;
        let (wanted, _) = best(&self.state.history)?;
        (number == wanted).then(|| tensors.into_iter().collect())
    }
}

fn read_file(place: &Path) -> Result<(HashMap<String, String>, HashMap<String, Tensor>)> {
    let fail = |problem: String| Failure::new(format!("cannot read the checkpoint {}: {problem}", place.display()));
    let bytes = std::fs::read(place).map_err(|error| fail(error.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| fail(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| fail(error.to_string()))?;
    let tensor = |view: &TensorView<'_>| -> Result<Tensor> {
        let Some((kind, _)) = KINDS.iter().find(|(_, dtype)| *dtype == view.dtype()) else {
            return Err(fail(format!("it has a tensor of {:?}", view.dtype())));
        };
        let size: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
        Ok(Tensor::f_from_data_size(view.data(), &size, *kind)?)
    };
    let tensors = file.iter().map(|(name, view)| Ok((name.to_owned(), tensor(&view)?))).collect::<Result<_>>()?;
    Ok((header.metadata().clone().unwrap_or_default(), tensors))
}
