//! Batches of examples as tensors.

use git_ml::train::data::{Batch, BatchInputs, Dataset, Inputs, Moments};
use tch::{Device, Kind, Tensor};

use crate::failure::{Failure, Result};
use crate::models::{Shape, Statistics};

/// How the inputs of a data set become tensors.
#[derive(Debug, Clone)]
pub(crate) struct InputForm {
    pub(crate) shape: Shape,
    /// What pixels are divided by to be in 0..=1; 1 for numbers.
    pub(crate) scale: f64,
    pub(crate) device: Device,
    /// Whether images lie in memory as `[N, H, W, C]`.
    pub(crate) channels_last: bool,
}

impl InputForm {
    /// The form of `data` on `device`.
    pub(crate) fn new(data: &Dataset, device: Device, channels_last: bool) -> Result<Self> {
        let (input, scale) = match &data.inputs {
            Inputs::Images(images) => {
                let sizes = [images.channels(), images.height(), images.width()];
                (sizes.map(|size| size as i64).to_vec(), f64::from(images.scale()))
            }
            Inputs::Numbers { columns, .. } => (vec![*columns as i64], 1.0),
            Inputs::Texts(_) => {
                let failure = Failure::new("this model takes images or numbers; the data has texts");
                return Err(failure.hint("models for texts are `naive-bayes` and `logistic-regression`"));
            }
        };
        Ok(Self { shape: Shape { input, classes: data.classes.len() as i64 }, scale, device, channels_last })
    }

    /// Examples at a time where nothing is learnt: as many as keep the first layers' outputs to some hundred MiB.
    pub(crate) fn evaluation_batch(&self) -> usize {
        const NUMBERS: i64 = 1 << 23;
        (NUMBERS / self.shape.input.iter().product::<i64>().max(1)).clamp(16, 128) as usize
    }

    /// The inputs, `[N, C, H, W]` or `[N, F]`, and the labels, `[N]`, of a batch.
    pub(crate) fn tensors(&self, batch: &Batch) -> (Tensor, Tensor) {
        let count = batch.labels.len() as i64;
        let labels = Tensor::from_slice(&batch.labels).to_device(self.device);
        let inputs = match &batch.inputs {
            BatchInputs::Pixels(pixels) => {
                let (channels, height, width) = self.shape.image().unwrap_or_default();
                let pixels = Tensor::from_slice(pixels).view([count, height, width, channels]).to_device(self.device);
                let numbers = pixels.permute([0, 3, 1, 2]).to_kind(Kind::Float) / self.scale;
                // The permuted bytes are channels-last already; the other order is a copy.
                if self.channels_last { numbers } else { numbers.contiguous() }
            }
            BatchInputs::Numbers(numbers) => Tensor::from_slice(numbers).view([count, -1]).to_device(self.device),
        };
        (inputs, labels)
    }
}

/// The mean and the standard deviation of each channel (of pixels in 0..=1) or column over the examples at `indexes`.
pub(crate) fn statistics(data: &Dataset, indexes: &[u32]) -> Result<Statistics> {
    let Moments { mean, deviation } = data.moments(indexes)?;
    Ok(Statistics { mean, deviation })
}
