//! Batches of examples as tensors.

use git_ml::train::data::{Batch, BatchInputs, Dataset, Inputs};
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
    let (channels, scale, total) = match &data.inputs {
        Inputs::Images(images) => {
            (images.channels(), f64::from(images.scale()), images.height() * images.width() * indexes.len())
        }
        Inputs::Numbers { columns, .. } => (*columns, 1.0, indexes.len()),
        Inputs::Texts(_) => (0, 1.0, 0),
    };
    let mut sums = vec![(0.0, 0.0); channels];
    let mut add = |position: usize, value: f64| {
        let (sum, squares): &mut (f64, f64) = &mut sums[position % channels];
        *sum += value;
        *squares += value * value;
    };
    match &data.inputs {
        Inputs::Images(images) => {
            let mut pixels = vec![0; images.size()];
            for index in indexes {
                images.read(*index, &mut pixels)?;
                pixels.iter().enumerate().for_each(|(position, pixel)| add(position, f64::from(*pixel)));
            }
        }
        Inputs::Numbers { columns, values } => {
            for index in indexes {
                let row = &values[*index as usize * columns..][..*columns];
                row.iter().enumerate().for_each(|(position, value)| add(position, f64::from(*value)));
            }
        }
        Inputs::Texts(_) => {}
    }
    let total = total as f64;
    let moments = sums.iter().map(|(sum, squares)| {
        let mean = sum / total;
        ((mean / scale) as f32, ((squares / total - mean * mean).max(0.0).sqrt() / scale) as f32)
    });
    let (mean, mut deviation): (Vec<f32>, Vec<f32>) = moments.unzip();
    if deviation.iter().all(|deviation| *deviation == 0.0) {
        return Err(Failure::new("all inputs of the examples to train on are the same"));
    }
    // A column that is always the same says nothing, and divided by 1 it stays finite.
    deviation.iter_mut().filter(|deviation| **deviation == 0.0).for_each(|deviation| *deviation = 1.0);
    Ok(Statistics { mean, deviation })
}
