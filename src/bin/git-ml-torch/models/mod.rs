//! Networks: each file reads as configuration, layers, forward. The loop is elsewhere.

mod cnn;
mod mlp;

use git_ml::train::ModelConfig;
use tch::{Kind, Tensor, nn};

use crate::failure::{Failure, Result};

/// Parameters that a model may have: beyond it, training needs more memory than the machines this is for have.
const MAX_PARAMETERS: u64 = 1 << 29;

/// The images that a network is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    pub(crate) height: i64,
    pub(crate) width: i64,
    pub(crate) classes: i64,
}

/// Images of shape `[N, 1, H, W]` to logits of shape `[N, classes]`.
pub(crate) trait Network {
    /// The logits; `train` switches dropout on.
    fn forward(&self, images: &Tensor, train: bool) -> Tensor;
}

/// A network with its normalisation in front, so that it takes pixels in 0..=1 as they are.
pub(crate) struct Model {
    mean: Tensor,
    deviation: Tensor,
    network: Box<dyn Network>,
}

impl Model {
    /// A new model with random weights in `root`, for images whose pixels have this mean and standard deviation.
    pub(crate) fn new(
        root: &nn::Path<'_>,
        config: &ModelConfig,
        shape: Shape,
        mean: f64,
        deviation: f64,
    ) -> Result<Self> {
        let normalise = root / "normalise";
        let constant = |name: &str, value: f64| {
            let mut tensor = normalise.zeros_no_train(name, &[1]);
            let _ = tensor.fill_(value);
            tensor
        };
        let (mean, deviation) = (constant("mean", mean), constant("deviation", deviation));
        let network: Box<dyn Network> = match config {
            ModelConfig::Mlp { hidden, dropout } => Box::new(mlp::Mlp::new(root, hidden, *dropout, shape)?),
            ModelConfig::Cnn { filters, hidden, dropout } => {
                Box::new(cnn::Cnn::new(root, filters, *hidden, *dropout, shape)?)
            }
        };
        Ok(Self { mean, deviation, network })
    }

    /// The logits for images of shape `[N, 1, H, W]` with pixels in 0..=1.
    pub(crate) fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let normal = (images - &self.mean) / &self.deviation;
        self.network.forward(&normal, train)
    }
}

/// How many numbers a model learns.
pub(crate) fn count_parameters(store: &nn::VarStore) -> u64 {
    store.trainable_variables().iter().map(|tensor| tensor.numel() as u64).sum()
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

/// Pixels as the network wants them: numbers in 0..=1.
pub(crate) fn scaled(pixels: &Tensor, scale: f64) -> Tensor {
    pixels.to_kind(Kind::Float) / scale
}
