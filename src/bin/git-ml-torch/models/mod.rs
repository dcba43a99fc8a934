//! Networks: each file reads as configuration, layers, forward. The loop is elsewhere.

mod cnn;
mod freezing;
mod mlp;
mod resnet;
mod script;
mod source;
#[cfg(test)]
mod tests;
mod torchscript;
mod weights;

use std::collections::BTreeMap;
use std::path::Path;

use git_ml::train::recipe::{ModelConfig, ResnetConfig};
use tch::{Tensor, nn};

use crate::failure::{Failure, Result};
use crate::say;

pub(crate) use freezing::{parameters, unfreeze};
pub(crate) use source::ModelSource;

use resnet::{Depth, Resnet};
use weights::{Head, Weights};

/// Parameters that a model may have: beyond it, training needs more memory than the machines this is for have.
const MAX_PARAMETERS: u64 = 1 << 29;

/// What a network takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// The sizes of one input: `[C, H, W]` of an image, `[F]` of numbers.
    pub(crate) input: Vec<i64>,
    pub(crate) classes: i64,
}

impl Shape {
    /// Channels, height and width, where the inputs are images.
    pub(crate) fn image(&self) -> Option<(i64, i64, i64)> {
        match self.input[..] {
            [channels, height, width] => Some((channels, height, width)),
            _ => None,
        }
    }
}

/// How a network is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Whether dropout is on and normalisation over batches takes the batch's own statistics.
    pub(crate) train: bool,
    /// Layers at the start that stay as they are, statistics included.
    pub(crate) frozen: usize,
}

impl Mode {
    /// For predictions.
    pub(crate) const EVALUATE: Self = Self { train: false, frozen: 0 };

    /// Whether the layer with this number is run as in training.
    fn trains(self, layer: usize) -> bool {
        self.train && layer >= self.frozen
    }
}

/// Inputs `[N, …]` to logits of shape `[N, classes]`.
pub(crate) trait Network {
    /// The names of its layers in order: what the names of their tensors begin with. The last one gives the logits.
    fn layers(&self) -> Vec<String>;

    /// The logits.
    fn forward(&self, inputs: &Tensor, mode: Mode) -> Tensor;

    /// Writes the network as a TorchScript module with its normalisation in front, if it is not to be traced; whether
    /// it was.
    fn save(&self, _store: &nn::VarStore, _mean: &Tensor, _deviation: &Tensor, _place: &Path) -> Result<bool> {
        Ok(false)
    }
}

/// What is subtracted from inputs first of all, and what they are divided by then: one number a channel or column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) mean: Vec<f32>,
    pub(crate) deviation: Vec<f32>,
}

impl Statistics {
    /// Inputs stay as they are.
    pub(crate) fn none() -> Self {
        Self { mean: vec![0.0], deviation: vec![1.0] }
    }

    /// Those of ImageNet's training images, as torchvision's weights want them.
    pub(crate) fn imagenet(shape: &Shape) -> Result<Self> {
        let (mean, deviation) = (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]);
        match shape.image() {
            Some((3, ..)) => Ok(Self { mean, deviation }),
            // Grey images have the mean of what their three channels would have.
            Some((1, ..)) => Ok(Self { mean: vec![0.449], deviation: vec![0.226] }),
            _ => Err(Failure::new("`normalize = \"imagenet\"` is for images; the data has none")),
        }
    }
}

/// A network with its normalisation in front, so that it takes pixels in 0..=1 as they are.
pub(crate) struct Model {
    mean: Tensor,
    deviation: Tensor,
    network: Box<dyn Network>,
}

impl Model {
    /// A new model in `store`, for inputs with these statistics. Its weights are random, or those of `source`.
    ///
    /// Grey images become three equal channels where the weights have three.
    pub(crate) fn new(
        store: &nn::VarStore,
        config: &ModelConfig,
        shape: &Shape,
        statistics: &Statistics,
        source: Option<&ModelSource>,
    ) -> Result<Self> {
        let root = store.root();
        let normalise = &root / "normalise";
        let mut size = vec![1; shape.input.len()];
        size[0] = statistics.mean.len() as i64;
        let constant = |name: &str, values: &[f32]| {
            let mut tensor = normalise.zeros_no_train(name, &size);
            tensor.copy_(&Tensor::from_slice(values).view(size.as_slice()));
            tensor
        };
        let (mean, deviation) = (constant("mean", &statistics.mean), constant("deviation", &statistics.deviation));
        let network: Box<dyn Network> = match config {
            ModelConfig::Mlp { hidden, dropout } => Box::new(mlp::Mlp::new(&root, hidden, *dropout, shape)?),
            ModelConfig::Cnn { filters, hidden, dropout } => {
                Box::new(cnn::Cnn::new(&root, filters, *hidden, *dropout, shape)?)
            }
            ModelConfig::Resnet18(config) => Box::new(resnet(store, Depth::Eighteen, config, shape, source)?),
            ModelConfig::Resnet50(config) => Box::new(resnet(store, Depth::Fifty, config, shape, source)?),
            ModelConfig::Torchscript { file } => {
                let source = source.ok_or_else(|| Failure::new(format!("the job does not say where {file} is")))?;
                Box::new(torchscript::Torchscript::new(store, shape, source)?)
            }
            other => return Err(Failure::new(format!("the model `{}` is not a network", other.name()))),
        };
        Ok(Self { mean, deviation, network })
    }

    /// The logits for inputs `[N, …]`; pixels are in 0..=1.
    pub(crate) fn forward(&self, inputs: &Tensor, mode: Mode) -> Tensor {
        let normal = (inputs - &self.mean) / &self.deviation;
        self.network.forward(&normal, mode)
    }

    /// Writes it as a TorchScript module, if it is not to be traced; whether it was.
    pub(crate) fn save(&self, store: &nn::VarStore, place: &Path) -> Result<bool> {
        self.network.save(store, &self.mean, &self.deviation, place)
    }

    /// The names of its layers in order.
    pub(crate) fn layers(&self) -> Vec<String> {
        self.network.layers()
    }
}

/// A ResNet, with the weights of `source` if there is one.
fn resnet(
    store: &nn::VarStore,
    depth: Depth,
    config: &ResnetConfig,
    shape: &Shape,
    source: Option<&ModelSource>,
) -> Result<Resnet> {
    let weights = source.map(Weights::open).transpose()?;
    let is_grey = shape.image().is_some_and(|(channels, ..)| channels == 1);
    let channels = weights.as_ref().and_then(Weights::channels).filter(|channels| is_grey && *channels == 3);
    let network = Resnet::new(&store.root(), depth, config, shape, channels)?;
    if let (Some(weights), Some(source)) = (weights, source) {
        let variables: BTreeMap<_, _> =
            store.variables().into_iter().filter(|(name, _)| !name.starts_with("normalise.")).collect();
        if let Head::Random(reason) = weights.load(depth.name(), &variables)? {
            say(&format!("{}: all but the last layer is taken, which starts random: {reason}", source.name));
        }
    }
    Ok(network)
}

/// Refuses a model of too many parameters before memory is taken for it; each layer has inputs and outputs.
fn check_size(layers: impl IntoIterator<Item = (i64, i64)>) -> Result<()> {
    let parameters: u128 = layers.into_iter().map(|(inputs, outputs)| inputs as u128 * outputs as u128).sum();
    if parameters > u128::from(MAX_PARAMETERS) {
        let line = format!("the model would have {parameters} parameters; at most {MAX_PARAMETERS} are possible");
        return Err(Failure::new(line).hint("make its layers smaller"));
    }
    Ok(())
}
