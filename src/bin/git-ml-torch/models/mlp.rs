//! A multilayer perceptron: hidden layers with ReLU and dropout, then the logits.

use tch::Tensor;
use tch::nn::{self, Module};

use super::{Mode, Network, Shape, check_size};
use crate::failure::Result;

pub(crate) struct Mlp {
    hidden: Vec<nn::Linear>,
    output: nn::Linear,
    dropout: f64,
}

impl Mlp {
    pub(crate) fn new(root: &nn::Path<'_>, hidden: &[u32], dropout: f64, shape: &Shape) -> Result<Self> {
        let sizes: Vec<i64> =
            std::iter::once(shape.input.iter().product()).chain(hidden.iter().map(|n| i64::from(*n))).collect();
        let last = sizes[sizes.len() - 1];
        let pairs = sizes.windows(2).map(|pair| (pair[0], pair[1]));
        check_size(pairs.clone().chain([(last, shape.classes)]))?;
        let layer = |(index, (inputs, outputs))| {
            nn::linear(root / format!("hidden{}", index + 1), inputs, outputs, Default::default())
        };
        Ok(Self {
            hidden: pairs.enumerate().map(layer).collect(),
            output: nn::linear(root / "output", last, shape.classes, Default::default()),
            dropout,
        })
    }
}

impl Network for Mlp {
    fn layers(&self) -> Vec<String> {
        let hidden = (1..=self.hidden.len()).map(|number| format!("hidden{number}"));
        hidden.chain(["output".to_owned()]).collect()
    }

    fn forward(&self, inputs: &Tensor, mode: Mode) -> Tensor {
        let flat = inputs.flatten(1, -1);
        let last = self.hidden.iter().fold(flat, |x, layer| layer.forward(&x).relu().dropout(self.dropout, mode.train));
        self.output.forward(&last)
    }
}
