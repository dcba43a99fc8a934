//! Batches of examples, read and varied in threads ahead of the training.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::augment::Varied;
use super::{DataError, Dataset, Inputs};
use crate::train::recipe::Augment;

/// Batches beyond one a thread that wait to be taken: enough to bridge a slow one, and bounded in memory.
const SPARE: usize = 2;

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
    /// Numbers, `[N, F]`; of texts none.
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

/// The batches of an order of examples, in that order.
///
/// Threads make them ahead of whoever takes them, through a queue with room for a few. What an example becomes depends
/// on the seed, the epoch and the example alone, so every number of threads gives the same bytes. After an error there
/// is nothing more. Dropping it ends the threads.
#[derive(Debug)]
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    waited: Duration,
}

/// What the threads and the loader share.
#[derive(Debug)]
struct Shared {
    data: Arc<Dataset>,
    order: Vec<u32>,
    batch_size: usize,
    variation: Option<Variation>,
    /// Batches that may be made or wait at a time.
    room: usize,
    queue: Mutex<Queue>,
    /// A batch was made.
    made: Condvar,
    /// A batch was taken, or nobody wants more.
    taken: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    /// The number of the next batch to make, and of the next one to give out.
    next_made: usize,
    next_given: usize,
    /// What was made, by number; a panic is passed on to the thread that takes it.
    ready: BTreeMap<usize, thread::Result<Result<Batch, DataError>>>,
    is_closed: bool,
}

impl Loader {
    /// Begins to read the examples of `order` in batches of `batch_size`, decoding and varying images in up to
    /// `threads` threads. What is only copied out of memory takes one, which leaves the cores to the training.
    pub fn new(
        data: &Arc<Dataset>,
        order: Vec<u32>,
        batch_size: usize,
        variation: Option<Variation>,
        threads: usize,
    ) -> Self {
        let variation = variation.filter(|variation| !variation.augment.is_none());
        let batch_size = batch_size.max(1);
        let batches = order.len().div_ceil(batch_size);
        let is_light = match &data.inputs {
            // Mirroring, cutting and filling cost little more than copying; colours are a sum for each pixel.
            Inputs::Images(images) => images.are_in_memory() && variation.is_none_or(|own| own.augment.color == 0.0),
            _ => true,
        };
        let threads = if is_light { 1 } else { threads.max(1) }.min(batches);
        let shared = Arc::new(Shared {
            data: Arc::clone(data),
            order,
            batch_size,
            variation,
            room: threads + SPARE,
            queue: Mutex::default(),
            made: Condvar::new(),
            taken: Condvar::new(),
        });
        let start = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        };
        Self { threads: (0..threads).map(start).collect(), shared, waited: Duration::ZERO }
    }

    /// How long whoever takes the batches has waited for them in all: the part of a training that data costs.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut queue = self.shared.lock();
        if queue.is_closed || queue.next_given == self.shared.batches() {
            return None;
        }
        let number = queue.next_given;
        if !queue.ready.contains_key(&number) {
            let started = Instant::now();
            while !queue.ready.contains_key(&number) {
                queue = self.shared.made.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            self.waited += started.elapsed();
        }
        let made = queue.ready.remove(&number)?;
        queue.next_given += 1;
        queue.is_closed = !matches!(made, Ok(Ok(_)));
        drop(queue);
        self.shared.taken.notify_all();
        Some(made.unwrap_or_else(|payload| panic::resume_unwind(payload)))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.taken.notify_all();
        for thread in self.threads.drain(..) {
            // What went wrong in it was told with its batch, or nobody wants to know any more.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn batches(&self) -> usize {
        self.order.len().div_ceil(self.batch_size)
    }

    /// No code that could panic runs under this lock.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes batches until all are made or nobody wants more.
    fn work(&self) {
        loop {
            let mut queue = self.lock();
            while !queue.is_closed
                && queue.next_made < self.batches()
                && queue.next_made >= queue.next_given + self.room
            {
                queue = self.taken.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.is_closed || queue.next_made == self.batches() {
                return;
            }
            let number = queue.next_made;
            queue.next_made += 1;
            drop(queue);
            let made = panic::catch_unwind(AssertUnwindSafe(|| self.batch(number)));
            self.lock().ready.insert(number, made);
            self.made.notify_all();
        }
    }

    fn batch(&self, number: usize) -> Result<Batch, DataError> {
        let start = number * self.batch_size;
        let indexes = &self.order[start..(start + self.batch_size).min(self.order.len())];
        let inputs = match &self.data.inputs {
            Inputs::Images(images) => {
                let mut pixels = vec![0; indexes.len() * images.size()];
                let mut varied = self.variation.as_ref().map(|variation| Varied::new(images, variation));
                for (index, image) in indexes.iter().zip(pixels.chunks_exact_mut(images.size())) {
                    images.read(*index, image)?;
                    if let Some(varied) = &mut varied {
                        varied.vary(*index, image);
                    }
                }
                BatchInputs::Pixels(pixels)
            }
            Inputs::Numbers { columns, values } => {
                let mut rows = Vec::with_capacity(indexes.len() * columns);
                indexes
                    .iter()
                    .for_each(|index| rows.extend_from_slice(&values[*index as usize * columns..][..*columns]));
                BatchInputs::Numbers(rows)
            }
            Inputs::Texts(_) => BatchInputs::Numbers(Vec::new()),
        };
        let labels = indexes.iter().map(|index| i64::from(self.data.labels[*index as usize])).collect();
        Ok(Batch { inputs, labels, indexes: indexes.to_vec() })
    }
}
