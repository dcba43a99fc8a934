//! The mean and the standard deviation of inputs, by which they are normalised.

use rayon::prelude::*;

use super::{DataError, Dataset, Images, Inputs};

/// Images that one thread counts at a time.
const BATCH: usize = 256;

/// The mean and the standard deviation of each channel (of pixels in 0..=1) or column.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// A number for each channel or column.
    pub mean: Vec<f32>,
    /// A number for each channel or column, of the examples themselves, not an estimate for others. 1 where a column is
    /// always the same: it says nothing, and divided by 1 it stays finite.
    pub deviation: Vec<f32>,
}

impl Dataset {
    /// The moments of the examples at `indexes`; of texts none. Pixels are counted by value, so their sums are exact,
    /// and the same for every number of threads.
    pub fn moments(&self, indexes: &[u32]) -> Result<Moments, DataError> {
        let moments: Vec<(f64, f64)> = match &self.inputs {
            Inputs::Images(images) => {
                let scale = f64::from(images.scale());
                let total = (images.height() * images.width() * indexes.len()) as u128;
                let counts = count(images, indexes)?;
                counts.iter().map(|counts| of_counts(counts, total)).map(|(m, d)| (m / scale, d / scale)).collect()
            }
            Inputs::Numbers { columns, values } => {
                let rows = || indexes.iter().map(|index| &values[*index as usize * columns..][..*columns]);
                of_rows(rows, *columns, indexes.len())
            }
            Inputs::Texts(_) => Vec::new(),
        };
        if !moments.is_empty() && moments.iter().all(|(_, deviation)| *deviation == 0.0) {
            let problem = "all inputs of the examples to train on are the same".to_owned();
            return Err(DataError::Split { problem });
        }
        let steady = |deviation: f64| if deviation as f32 == 0.0 { 1.0 } else { deviation as f32 };
        let (mean, deviation) = moments.into_iter().map(|(mean, deviation)| (mean as f32, steady(deviation))).unzip();
        Ok(Moments { mean, deviation })
    }
}

/// How often each value is in each channel.
fn count(images: &Images, indexes: &[u32]) -> Result<Vec<[u64; 256]>, DataError> {
    let channels = images.channels();
    let none = || vec![[0_u64; 256]; channels];
    let of_batch = |batch: &[u32]| -> Result<Vec<[u64; 256]>, DataError> {
        let mut counts = none();
        let mut image = vec![0; images.size()];
        for index in batch {
            images.read(*index, &mut image)?;
            for (channel, counts) in counts.iter_mut().enumerate() {
                image[channel..].iter().step_by(channels).for_each(|value| counts[usize::from(*value)] += 1);
            }
        }
        Ok(counts)
    };
    indexes.par_chunks(BATCH).map(of_batch).try_reduce(none, |mut all, own| {
        for (all, own) in all.iter_mut().zip(&own) {
            all.iter_mut().zip(own).for_each(|(all, own)| *all += own);
        }
        Ok(all)
    })
}

fn of_counts(counts: &[u64; 256], total: u128) -> (f64, f64) {
    let sum = |power: u32| -> u128 {
        (0_u128..).zip(counts).map(|(value, count)| value.pow(power) * u128::from(*count)).sum()
    };
    let (sum, squares) = (sum(1), sum(2));
    // Whole numbers up to here: what is nearly the same loses nothing.
    let spread = squares * total - sum * sum;
    (sum as f64 / total as f64, (spread as f64).sqrt() / total as f64)
}

/// Sums around the mean, which keeps what sums of squares would lose.
fn of_rows<'v, R: Iterator<Item = &'v [f32]>>(rows: impl Fn() -> R, columns: usize, count: usize) -> Vec<(f64, f64)> {
    let sums = |value: &dyn Fn(usize, f64) -> f64| {
        let mut sums = vec![0.0; columns];
        rows().for_each(|row| {
            row.iter().enumerate().for_each(|(column, own)| sums[column] += value(column, f64::from(*own)))
        });
        sums.into_iter().map(|sum| sum / count as f64).collect::<Vec<f64>>()
    };
    let means = sums(&|_, value| value);
    let squares = sums(&|column, value| (value - means[column]).powi(2));
    means.into_iter().zip(squares).map(|(mean, square)| (mean, square.sqrt())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::numbers;
    use super::*;

    #[test]
    fn moments_are_those_of_the_chosen_examples() {
        let images = Images::new(1, 2, 3, 255.0, vec![0, 10, 5, 255, 10, 6, 9, 9, 9, 9, 9, 9, 255, 10, 5, 0, 10, 6]);
        let data = Dataset { inputs: Inputs::Images(images), ..numbers(vec![0, 1, 0]) };
        let moments = data.moments(&[0, 2]).unwrap();
        assert_eq!(moments.mean, [0.5, (10.0_f64 / 255.0) as f32, (5.5_f64 / 255.0) as f32]);
        assert_eq!(moments.deviation, [0.5, 1.0, (0.5_f64 / 255.0) as f32]);
        assert!(data.moments(&[1]).is_err());

        let values = vec![1e6, 1.0, 1e6 + 1.0, 1.0, 1e6 + 2.0, 1.0];
        let data = Dataset { inputs: Inputs::Numbers { columns: 2, values }, ..numbers(vec![0, 1, 0]) };
        let moments = data.moments(&[0, 1, 2]).unwrap();
        assert_eq!(
            moments,
            Moments { mean: vec![1_000_001.0, 1.0], deviation: vec![(2.0_f64 / 3.0).sqrt() as f32, 1.0] }
        );
    }
}
