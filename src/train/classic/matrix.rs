//! Rows of numbers, one an example.

use rayon::prelude::*;

/// Rows of numbers of one length, one an example.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rows {
    /// Most of the numbers are 0.
    Sparse(Sparse),
    /// Most of them are not.
    Dense(Dense),
}

/// Rows of which the numbers other than 0 are kept (CSR).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sparse {
    /// Numbers of a row.
    pub(super) columns: usize,
    /// Where each row starts in the following, and where the last one ends.
    pub(super) starts: Vec<usize>,
    /// The column of each number, in any order within a row.
    pub(super) indexes: Vec<u32>,
    /// The numbers.
    pub(super) values: Vec<f64>,
}

/// Rows of which all numbers are kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    /// Numbers of a row.
    pub(super) columns: usize,
    /// Row by row.
    pub(super) values: Vec<f32>,
}

/// Parts that a sum over dense rows is made of: always as many, so that the sum does not depend on the threads.
const PARTS: usize = 16;

impl Sparse {
    /// No rows yet.
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, starts: vec![0], indexes: Vec::new(), values: Vec::new() }
    }

    /// Adds a row: columns, and their numbers.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = (u32, f64)>) {
        for (index, value) in row {
            self.indexes.push(index);
            self.values.push(value);
        }
        self.starts.push(self.indexes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The numbers of a row other than 0, each with its column.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[row]..self.starts[row + 1];
        let indexes = self.indexes[range.clone()].iter().map(|index| *index as usize);
        indexes.zip(self.values[range].iter().copied())
    }

    /// The columns as rows.
    pub(super) fn transposed(&self) -> Self {
        let mut starts = vec![0; self.columns + 1];
        for index in &self.indexes {
            starts[*index as usize + 1] += 1;
        }
        for column in 0..self.columns {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut indexes = vec![0; self.indexes.len()];
        let mut values = vec![0.0; self.values.len()];
        for row in 0..self.len() {
            for (column, value) in self.row(row) {
                indexes[next[column]] = row as u32;
                values[next[column]] = value;
                next[column] += 1;
            }
        }
        Self { columns: self.len(), starts, indexes, values }
    }
}

impl Dense {
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Sparse(rows) => rows.len(),
            Self::Dense(rows) => rows.values.len() / rows.columns,
        }
    }

    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Sparse(rows) => rows.columns,
            Self::Dense(rows) => rows.columns,
        }
    }

    /// Adds each row times `weights`, `[columns, outputs]`, to the row's `outputs` numbers in `sums`, `[rows, outputs]`.
    pub(super) fn add_products(&self, weights: &[f64], outputs: usize, sums: &mut [f64]) {
        let add = |value: f64, column: usize, sums: &mut [f64]| {
            for (sum, weight) in sums.iter_mut().zip(&weights[column * outputs..][..outputs]) {
                *sum += value * weight;
            }
        };
        sums.par_chunks_mut(outputs).enumerate().with_min_len(64).for_each(|(row, sums)| match self {
            Self::Sparse(rows) => rows.row(row).for_each(|(column, value)| add(value, column, sums)),
            Self::Dense(rows) => {
                rows.row(row).iter().enumerate().for_each(|(column, value)| add(f64::from(*value), column, sums));
            }
        });
    }

    /// Rows that can be summed by column.
    pub(super) fn by_column(&self) -> ByColumn<'_> {
        match self {
            Self::Sparse(rows) => ByColumn::Sparse(rows.transposed()),
            Self::Dense(rows) => ByColumn::Dense(rows),
        }
    }
}

/// Rows that can be summed by column.
pub(super) enum ByColumn<'a> {
    /// The columns as rows.
    Sparse(Sparse),
    /// The rows themselves.
    Dense(&'a Dense),
}

impl ByColumn<'_> {
    /// The sum of all rows, each times its `outputs` factors in `factors`, `[rows, outputs]`: `[columns, outputs]`.
    pub(super) fn sums(&self, factors: &[f64], outputs: usize) -> Vec<f64> {
        let add = |sums: &mut [f64], value: f64, row: usize| {
            for (sum, factor) in sums.iter_mut().zip(&factors[row * outputs..][..outputs]) {
                *sum += value * factor;
            }
        };
        match self {
            Self::Sparse(columns) => {
                let mut sums = vec![0.0; columns.len() * outputs];
                sums.par_chunks_mut(outputs).enumerate().with_min_len(64).for_each(|(column, sums)| {
                    columns.row(column).for_each(|(row, value)| add(sums, value, row));
                });
                sums
            }
            Self::Dense(rows) => {
                let count = rows.values.len() / rows.columns;
                let part = count.div_ceil(PARTS).max(1);
                let starts: Vec<usize> = (0..count).step_by(part).collect();
                let parts: Vec<Vec<f64>> = starts
                    .into_par_iter()
                    .map(|start| {
                        let mut sums = vec![0.0; rows.columns * outputs];
                        for row in start..(start + part).min(count) {
                            for (sums, value) in sums.chunks_mut(outputs).zip(rows.row(row)) {
                                add(sums, f64::from(*value), row);
                            }
                        }
                        sums
                    })
                    .collect();
                let mut total = vec![0.0; rows.columns * outputs];
                for part in parts {
                    total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
                }
                total
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_and_dense_rows_give_the_same_sums() {
        let mut sparse = Sparse::new(3);
        sparse.push([(0, 1.0), (2, 2.0)]);
        sparse.push([]);
        sparse.push([(1, 3.0), (2, -1.0)]);
        let dense = Dense { columns: 3, values: vec![1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, -1.0] };
        assert_eq!(sparse.transposed().transposed(), sparse);
        for rows in [Rows::Sparse(sparse), Rows::Dense(dense)] {
            assert_eq!((rows.len(), rows.columns()), (3, 3));
            let mut sums = vec![0.5; 6];
            rows.add_products(&[1.0, 10.0, 2.0, 20.0, 3.0, 30.0], 2, &mut sums);
            assert_eq!(sums, [7.5, 70.5, 0.5, 0.5, 3.5, 30.5]);
            let sums = rows.by_column().sums(&[1.0, 2.0, 5.0, 5.0, 10.0, 20.0], 2);
            assert_eq!(sums, [1.0, 2.0, 30.0, 60.0, -8.0, -16.0]);
        }
    }
}
