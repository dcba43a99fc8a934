//! Networks: each file reads as configuration, layers, forward. The loop is elsewhere.

mod cnn;
mod mlp;

use git_ml::train::recipe::{ModelConfig, Phase};
use tch::{Tensor, nn};

use crate::failure::{Failure, Result};

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
}

/// Inputs `[N, …]` to logits of shape `[N, classes]`.
pub(crate) trait Network {
    /// The names of its layers in order: what the names of their tensors begin with. The last one gives the logits.
    fn layers(&self) -> Vec<String>;

    /// The logits.
    fn forward(&self, inputs: &Tensor, mode: Mode) -> Tensor;
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

/// Lets the parameters of a model learn, but for those of the layers that `phase` freezes; the number of frozen layers.
pub(crate) fn unfreeze(parameters: &[(String, Tensor)], layers: &[String], phase: &Phase) -> Result<usize> {
    let frozen = match &phase.unfreeze_from {
        Some(first) => layers.iter().position(|layer| layer == first).ok_or_else(|| {
            let line = format!("there is no layer `{first}` to unfreeze from");
            Failure::new(line).hint(format!("the layers are {}", layers.join(", ")))
        })?,
        None if phase.freeze => layers.len().saturating_sub(1),
        None => 0,
    };
    let is_frozen = |name: &str| {
        layers[..frozen].iter().any(|layer| name.strip_prefix(layer.as_str()).is_some_and(|rest| rest.starts_with('.')))
    };
    for (name, own) in parameters {
        let _ = own.set_requires_grad(!is_frozen(name));
    }
    Ok(frozen)
}

/// The parameters of a model by name: what learns, if nothing is frozen. Statistics are none.
pub(crate) fn parameters(weights: &nn::VarStore) -> Vec<(String, Tensor)> {
    let variables = weights.variables().into_iter();
    let mut parameters: Vec<_> = variables.filter(|(_, own)| own.requires_grad()).collect();
    parameters.sort_by(|(one, _), (other, _)| one.cmp(other));
    parameters
}

/// A network with its normalisation in front, so that it takes pixels in 0..=1 as they are.
pub(crate) struct Model {
    mean: Tensor,
    deviation: Tensor,
    network: Box<dyn Network>,
}

impl Model {
    /// A new model with random weights in `root`, for inputs with these statistics.
    pub(crate) fn new(
        root: &nn::Path<'_>,
        config: &ModelConfig,
        shape: &Shape,
        statistics: &Statistics,
    ) -> Result<Self> {
        let normalise = root / "normalise";
        let mut size = vec![1; shape.input.len()];
        size[0] = statistics.mean.len() as i64;
        let constant = |name: &str, values: &[f32]| {
            let mut tensor = normalise.zeros_no_train(name, &size);
            tensor.copy_(&Tensor::from_slice(values).view(size.as_slice()));
            tensor
        };
        let (mean, deviation) = (constant("mean", &statistics.mean), constant("deviation", &statistics.deviation));
        let network: Box<dyn Network> = match config {
            ModelConfig::Mlp { hidden, dropout } => Box::new(mlp::Mlp::new(root, hidden, *dropout, shape)?),
            ModelConfig::Cnn { filters, hidden, dropout } => {
                Box::new(cnn::Cnn::new(root, filters, *hidden, *dropout, shape)?)
            }
            other => return Err(Failure::new(format!("the model `{}` cannot be trained yet", other.name()))),
        };
        Ok(Self { mean, deviation, network })
    }

    /// The logits for inputs `[N, …]`; pixels are in 0..=1.
    pub(crate) fn forward(&self, inputs: &Tensor, mode: Mode) -> Tensor {
        let normal = (inputs - &self.mean) / &self.deviation;
        self.network.forward(&normal, mode)
    }

    /// The names of its layers in order.
    pub(crate) fn layers(&self) -> Vec<String> {
        self.network.layers()
    }
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
