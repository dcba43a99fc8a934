//! A model as it was saved: read from the store, without a checkout.

use std::io::Cursor;
use std::path::Path;

use git_ml::id::ArtifactId;
use git_ml::store::{Manifest, Store};
use git_ml::train::classic::Classifier;
use git_ml::train::recipe::ModelConfig;
use git_ml::train::{ModelFile, ModelFileError};
use safetensors::{Dtype, SafeTensors};
use tch::{CModule, Device, Kind, Tensor, nn, no_grad};

use crate::failure::{Failure, Result};
use crate::models::{Mode, Model, ModelSource, Shape, Statistics};

/// Bytes that the weights may have.
const MAX_WEIGHTS: u64 = 1 << 33;
const WEIGHTS: &str = "model.safetensors";
const MODULE: &str = "model.pt";
const VOCABULARY: &str = "vocabulary.json";

/// A model artifact.
pub(super) struct Saved {
    store: Store,
    manifest: Manifest,
    pub(super) file: ModelFile,
}

/// What gives logits.
pub(super) enum Network {
    /// One of our networks, with its weights.
    Own(Model),
    /// TorchScript.
    Module(CModule),
}

impl Saved {
    pub(super) fn open(store: &Path, id: &ArtifactId) -> Result<Self> {
        let store = Store::open(store)?;
        let file = ModelFile::stored(&store, id)?;
        let manifest = store.manifest(id)?;
        Ok(Self { store, manifest, file })
    }

    /// A file of the artifact; none where it has none of that name.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let is_it = |path: &Option<git_ml::files::RelPath>| path.as_ref().is_some_and(|path| path.as_str() == name);
        match self.manifest.entries().iter().find(|entry| is_it(&entry.path)) {
            Some(entry) => Ok(Some(self.store.read_to_vec(&entry.digest, MAX_WEIGHTS)?)),
            None => Ok(None),
        }
    }

    fn require(&self, name: &str) -> Result<Vec<u8>> {
        self.read(name)?.ok_or_else(|| Failure::new(format!("the model has no {name}")))
    }

    /// The classifier that learnt without libtorch.
    pub(super) fn classifier(&self) -> Result<Classifier> {
        let vocabulary = self.read(VOCABULARY)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let ModelFile { architecture, classes, .. } = &self.file;
        Ok(Classifier::load(architecture, classes.len(), &self.require(WEIGHTS)?, vocabulary.as_deref())?)
    }

    /// The network, for inputs of this shape.
    pub(super) fn network(&self, shape: &Shape) -> Result<Network> {
        let file = &self.file;
        if matches!(file.architecture, ModelConfig::Torchscript { .. }) {
            return Ok(Network::Module(CModule::load_data(&mut Cursor::new(self.require(MODULE)?))?));
        }
        let normalization = &file.built_in_normalization;
        let statistics = Statistics { mean: normalization.mean.clone(), deviation: normalization.deviation.clone() };
        let bytes = self.require(WEIGHTS)?;
        let mut weights = nn::VarStore::new(Device::Cpu);
        // The file also says how many channels the first layer has, which may be more than the images.
        let source = ModelSource::stored(WEIGHTS, &self.store, &self.manifest)?;
        let model = Model::new(&weights, &file.architecture, shape, &statistics, source.as_ref())?;
        load(&weights, &bytes)?;
        weights.freeze();
        Ok(Network::Own(model))
    }
}

impl Network {
    pub(super) fn forward(&self, inputs: &Tensor) -> Result<Tensor> {
        match self {
            Self::Own(model) => Ok(no_grad(|| model.forward(inputs, Mode::EVALUATE))),
            Self::Module(module) => Ok(no_grad(|| module.forward_ts(&[inputs]))?),
        }
    }
}

/// Copies the tensors of a file to the variables of the same names; each has to be there.
fn load(weights: &nn::VarStore, bytes: &[u8]) -> Result<()> {
    let damaged = |problem: String| Failure::new(format!("the model's {WEIGHTS} {problem}"));
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| damaged(format!("is damaged: {error}")))?;
    for (name, mut own) in weights.variables() {
        let saved = tensors.tensor(&name).map_err(|_| damaged(format!("has no tensor {name}")))?;
        let size = own.size();
        let fits = saved.shape().len() == size.len()
            && saved.shape().iter().zip(&size).all(|(saved, own)| *saved as i64 == *own);
        if !fits || saved.dtype() != Dtype::F32 {
            return Err(damaged(format!("has {name} as {:?} {:?}, not F32 {size:?}", saved.dtype(), saved.shape())));
        }
        let tensor = Tensor::f_from_data_size(saved.data(), &size, Kind::Float)?;
        no_grad(|| own.f_copy_(&tensor))?;
    }
    Ok(())
}

impl From<ModelFileError> for Failure {
    fn from(error: ModelFileError) -> Self {
        match error {
            ModelFileError::Store(error) => error.into(),
            other => Self::new(format!("this is no model that can be evaluated: {other}")),
        }
    }
}
