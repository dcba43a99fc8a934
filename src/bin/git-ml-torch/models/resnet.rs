//! ResNet-18 and ResNet-50 (He et al. 2015, arXiv:1512.03385), with the names of torchvision's tensors.

use git_ml::train::recipe::{ResnetConfig, ResnetVariant};
use tch::Tensor;
use tch::nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use tch::nn::{self, BatchNormConfig, ConvConfig, Init, LinearConfig, Module, ModuleT, Path};

use super::{Mode, Network, Shape};
use crate::failure::{Failure, Result};

/// The side that images are scaled to by [`ResnetVariant::Upsample`].
const UPSAMPLED: i64 = 224;
/// Channels within a block of each of the four layers.
const WIDTHS: [i64; 4] = [64, 128, 256, 512];

/// How deep a ResNet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    Eighteen,
    Fifty,
}

impl Depth {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Eighteen => "resnet18",
            Self::Fifty => "resnet50",
        }
    }

    /// Blocks of each layer.
    fn blocks(self) -> [usize; 4] {
        match self {
            Self::Eighteen => [2, 2, 2, 2],
            Self::Fifty => [3, 4, 6, 3],
        }
    }

    /// A block's channels at its end, for one channel within.
    fn expansion(self) -> i64 {
        match self {
            Self::Eighteen => 1,
            Self::Fifty => 4,
        }
    }
}

pub(crate) struct Resnet {
    variant: ResnetVariant,
    /// Channels that the first convolution takes.
    channels: i64,
    conv1: nn::Conv2D,
    bn1: nn::BatchNorm,
    layers: Vec<Vec<Block>>,
    fc: nn::Linear,
}

impl Resnet {
    /// A network for images with as many channels as `shape` says, or `channels` if it is given: grey images are
    /// repeated then.
    pub(crate) fn new(
        root: &Path<'_>,
        depth: Depth,
        config: &ResnetConfig,
        shape: &Shape,
        channels: Option<i64>,
    ) -> Result<Self> {
        let Some((own_channels, ..)) = shape.image() else {
            let failure = Failure::new(format!("a `{}` takes images; the data has none", depth.name()));
            return Err(failure.hint("use `model = \"mlp\"`"));
        };
        let channels = channels.unwrap_or(own_channels);
        let (kernel, stride) = if config.variant == ResnetVariant::Modified { (3, 1) } else { (7, 2) };
        let conv1 = convolution(&(root / "conv1"), channels, 64, kernel, stride);
        let bn1 = normalisation(&(root / "bn1"), 64);
        let mut inputs = 64;
        let mut layers = Vec::new();
        for (index, (width, blocks)) in WIDTHS.into_iter().zip(depth.blocks()).enumerate() {
            let path = root / format!("layer{}", index + 1);
            let mut layer = Vec::new();
            for block in 0..blocks {
                let stride = if index > 0 && block == 0 { 2 } else { 1 };
                layer.push(Block::new(&(&path / block), depth, inputs, width, stride));
                inputs = width * depth.expansion();
            }
            layers.push(layer);
        }
        // As PyTorch initialises a linear layer.
        let bound = 1.0 / (inputs as f64).sqrt();
        let uniform = Init::Uniform { lo: -bound, up: bound };
        let linear = LinearConfig { ws_init: uniform, bs_init: Some(uniform), bias: true };
        let fc = nn::linear(root / "fc", inputs, shape.classes, linear);
        Ok(Self { variant: config.variant, channels, conv1, bn1, layers, fc })
    }
}

impl Network for Resnet {
    fn layers(&self) -> Vec<String> {
        ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"].map(str::to_owned).to_vec()
    }

    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let mut x = images.shallow_clone();
        if self.variant == ResnetVariant::Upsample {
            x = x.upsample_bilinear2d([UPSAMPLED, UPSAMPLED], false, None, None);
        }
        if x.size()[1] != self.channels {
            x = x.expand([-1, self.channels, -1, -1], false);
        }
        x = normalise(&self.bn1, &self.conv1.forward(&x), mode.trains(1)).relu_();
        if self.variant != ResnetVariant::Modified {
            x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.iter().fold(x, |x, block| block.forward(&x, mode.trains(2 + index)));
        }
        self.fc.forward(&x.adaptive_avg_pool2d([1, 1]).flatten(1, -1))
    }
}

/// Convolutions, each with its normalisation, whose result is added to their input.
struct Block {
    convolutions: Vec<(nn::Conv2D, nn::BatchNorm)>,
    /// Makes the input fit where the sizes differ.
    downsample: Option<(nn::Conv2D, nn::BatchNorm)>,
}

impl Block {
    fn new(path: &Path<'_>, depth: Depth, inputs: i64, width: i64, stride: i64) -> Self {
        let outputs = width * depth.expansion();
        // Inputs, outputs, kernel and stride of each. ResNet-50 has its stride in the middle, as torchvision has it.
        let convolutions = match depth {
            Depth::Eighteen => vec![(inputs, width, 3, stride), (width, width, 3, 1)],
            Depth::Fifty => vec![(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)],
        };
        let convolutions = (1..).zip(convolutions).map(|(number, (inputs, outputs, kernel, stride))| {
            let convolution = convolution(&(path / format!("conv{number}")), inputs, outputs, kernel, stride);
            (convolution, normalisation(&(path / format!("bn{number}")), outputs))
        });
        let convolutions = convolutions.collect();
        let downsample = (stride != 1 || inputs != outputs).then(|| {
            let path = path / "downsample";
            (convolution(&(&path / 0), inputs, outputs, 1, stride), normalisation(&(&path / 1), outputs))
        });
        Self { convolutions, downsample }
    }

    fn forward(&self, inputs: &Tensor, train: bool) -> Tensor {
        let last = self.convolutions.len() - 1;
        let mut x = inputs.shallow_clone();
        for (index, (convolution, normalisation)) in self.convolutions.iter().enumerate() {
            x = normalise(normalisation, &convolution.forward(&x), train);
            if index < last {
                x = x.relu_();
            }
        }
        let shortcut = match &self.downsample {
            Some((convolution, normalisation)) => normalise(normalisation, &convolution.forward(inputs), train),
            None => inputs.shallow_clone(),
        };
        x.g_add_(&shortcut).relu_()
    }
}

/// A convolution without bias, padded so that only its stride makes images smaller.
fn convolution(path: &Path<'_>, inputs: i64, outputs: i64, kernel: i64, stride: i64) -> nn::Conv2D {
    let ws_init =
        Init::Kaiming { dist: NormalOrUniform::Normal, fan: FanInOut::FanOut, non_linearity: NonLinearity::ReLU };
    let config = ConvConfig { stride, padding: kernel / 2, bias: false, ws_init, ..ConvConfig::default() };
    nn::conv2d(path, inputs, outputs, kernel, config)
}

fn normalisation(path: &Path<'_>, channels: i64) -> nn::BatchNorm {
    nn::batch_norm2d(path, channels, BatchNormConfig { ws_init: Init::Const(1.0), ..BatchNormConfig::default() })
}

/// Normalisation over a batch (Ioffe and Szegedy 2015, arXiv:1502.03167).
fn normalise(normalisation: &nn::BatchNorm, x: &Tensor, train: bool) -> Tensor {
    // One value a channel has no variance: it would make the running statistics NaN for good.
    let has_variance =
        || x.size().iter().enumerate().filter(|(at, _)| *at != 1).map(|(_, size)| size).product::<i64>() > 1;
    normalisation.forward_t(x, train && has_variance())
}
