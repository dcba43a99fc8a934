//! A small convolutional network: 3×3 convolutions with ReLU and 2×2 max-pooling, a hidden layer, then the logits.

use tch::Tensor;
use tch::nn::{self, ConvConfig, Module};

use super::{Mode, Network, Shape, check_size};
use crate::failure::{Failure, Result};

pub(crate) struct Cnn {
    convolutions: Vec<nn::Conv2D>,
    hidden: nn::Linear,
    output: nn::Linear,
    dropout: f64,
}

impl Cnn {
    pub(crate) fn new(root: &nn::Path<'_>, filters: &[u32], hidden: u32, dropout: f64, shape: &Shape) -> Result<Self> {
        let Some((channels, height, width)) = shape.image() else {
            return Err(Failure::new("a `cnn` takes images; the data has none").hint("use `model = \"mlp\"`"));
        };
        // Every pooling halves the sides.
        let (rows, columns) = (height >> filters.len(), width >> filters.len());
        if rows == 0 || columns == 0 {
            let line = format!("{} convolutions are too many for images of {height}×{width}", filters.len());
            return Err(Failure::new(line).hint("give `filters` fewer numbers: each convolution halves the sides"));
        }
        let channels: Vec<i64> = std::iter::once(channels).chain(filters.iter().map(|n| i64::from(*n))).collect();
        let pairs = channels.windows(2).map(|pair| (pair[0], pair[1]));
        let flat = channels[channels.len() - 1] * rows * columns;
        let hidden = i64::from(hidden);
        check_size(pairs.clone().map(|(inputs, outputs)| (9 * inputs, outputs)).chain([(flat, hidden)]))?;
        let convolution = |(index, (inputs, outputs))| {
            let config = ConvConfig { padding: 1, ..ConvConfig::default() };
            nn::conv2d(root / format!("convolution{}", index + 1), inputs, outputs, 3, config)
        };
        Ok(Self {
            convolutions: pairs.enumerate().map(convolution).collect(),
            hidden: nn::linear(root / "hidden", flat, hidden, Default::default()),
            output: nn::linear(root / "output", hidden, shape.classes, Default::default()),
            dropout,
        })
    }
}

impl Network for Cnn {
    fn layers(&self) -> Vec<String> {
        let convolutions = (1..=self.convolutions.len()).map(|number| format!("convolution{number}"));
        convolutions.chain(["hidden".to_owned(), "output".to_owned()]).collect()
    }

    fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let pooled = self.convolutions.iter().fold(images.shallow_clone(), |x, convolution| {
            convolution.forward(&x).relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)
        });
        let hidden = self.hidden.forward(&pooled.flatten(1, -1)).relu();
        self.output.forward(&hidden.dropout(self.dropout, mode.train))
    }
}
