//! Nearest neighbours by the Euclidean distance, found by comparing all with all.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::matrix::{Dense, Rows, Sparse};

/// Rows that are compared with each other while they are in the processor's cache.
const TILE: usize = 16;
/// Rows that one thread looks for the neighbours of.
const QUERIES: usize = 64;
/// Columns after which a distance is given up that is too long already.
const STRIDE: usize = 64;

/// A row that may be near: its squared distance, and its number. Of two that are as near, the one with the lower
/// number comes first. In scikit-learn an unstable selection decides, which depends on the processor's vector
/// instructions; where many texts are equally far, as from a text without any known term, that shows.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate(f64, u32);

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The nearest rows so far, at most as many as are wanted.
struct Nearest {
    wanted: usize,
    found: BinaryHeap<Candidate>,
}

impl Nearest {
    fn new(wanted: usize) -> Self {
        Self { wanted, found: BinaryHeap::new() }
    }

    /// The squared distance above which nothing is taken any more.
    fn limit(&self) -> f64 {
        let farthest = self.found.peek().filter(|_| self.found.len() == self.wanted);
        farthest.map_or(f64::INFINITY, |candidate| candidate.0)
    }

    fn offer(&mut self, candidate: Candidate) {
        if self.found.len() < self.wanted {
            self.found.push(candidate);
        } else if let Some(mut farthest) = self.found.peek_mut()
            && candidate < *farthest
        {
            *farthest = candidate;
        }
    }

    /// The numbers of the rows, the nearest one first.
    fn into_rows(self) -> impl Iterator<Item = u32> {
        self.found.into_sorted_vec().into_iter().map(|candidate| candidate.1)
    }
}

/// The `count` rows of `rows` that are nearest to each of `queries`, the nearest one first: `[queries, count]`.
///
/// There have to be as many rows, of as many columns, and both sparse or both dense.
pub(super) fn nearest(rows: &Rows, queries: &Rows, count: usize) -> Vec<u32> {
    match (rows, queries) {
        (Rows::Sparse(rows), Rows::Sparse(queries)) => nearest_sparse(rows, queries, count),
        (Rows::Dense(rows), Rows::Dense(queries)) => nearest_dense(rows, queries, count),
        _ => Vec::new(),
    }
}

/// By the products of rows, which only what both rows have adds to.
fn nearest_sparse(rows: &Sparse, queries: &Sparse, count: usize) -> Vec<u32> {
    let columns = rows.transposed();
    let squares = |rows: &Sparse, row: usize| rows.row(row).map(|(_, value)| value * value).sum::<f64>();
    let lengths: Vec<f64> = (0..rows.len()).map(|row| squares(rows, row)).collect();
    let mut found = vec![0; queries.len() * count];
    found.par_chunks_mut(count).enumerate().for_each_init(
        || vec![0.0; rows.len()],
        |products, (query, found)| {
            products.fill(0.0);
            for (column, value) in queries.row(query) {
                columns.row(column).for_each(|(row, other)| products[row] += value * other);
            }
            let length = squares(queries, query);
            let mut nearest = Nearest::new(count);
            for ((row, product), other) in (0..).zip(products.iter()).zip(&lengths) {
                nearest.offer(Candidate((length - 2.0 * product + other).max(0.0), row));
            }
            found.iter_mut().zip(nearest.into_rows()).for_each(|(place, row)| *place = row);
        },
    );
    found
}

/// By the squares of the differences, which keep their precision where the numbers are large.
fn nearest_dense(rows: &Dense, queries: &Dense, count: usize) -> Vec<u32> {
    let columns = rows.columns;
    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<f64>>();
    let mut found = vec![0; queries.values.len() / columns * count];
    let blocks = queries.values.par_chunks(QUERIES * columns);
    found.par_chunks_mut(QUERIES * count).zip(blocks).for_each(|(found, block)| {
        let block = wide(block);
        let mut nearest: Vec<Nearest> = block.chunks(columns).map(|_| Nearest::new(count)).collect();
        for (tile, number) in rows.values.chunks(TILE * columns).zip((0..).step_by(TILE)) {
            let tile = wide(tile);
            for (query, nearest) in block.chunks(columns).zip(&mut nearest) {
                for (row, number) in tile.chunks(columns).zip(number..) {
                    if let Some(distance) = squared_distance(query, row, nearest.limit()) {
                        nearest.offer(Candidate(distance, number));
                    }
                }
            }
        }
        for (found, nearest) in found.chunks_mut(count).zip(nearest) {
            found.iter_mut().zip(nearest.into_rows()).for_each(|(place, row)| *place = row);
        }
    });
    found
}

/// The squared distance, unless it is above `limit`.
fn squared_distance(one: &[f64], other: &[f64], limit: f64) -> Option<f64> {
    // Eight sums side by side, always the same, so that the compiler can use vectors of any width.
    let mut sums = [0.0; 8];
    let mut total = 0.0;
    for (one, other) in one.chunks(STRIDE).zip(other.chunks(STRIDE)) {
        let (one_parts, one_rest) = one.as_chunks::<8>();
        let (other_parts, other_rest) = other.as_chunks::<8>();
        for (one, other) in one_parts.iter().zip(other_parts) {
            for lane in 0..8 {
                let difference = one[lane] - other[lane];
                sums[lane] += difference * difference;
            }
        }
        for (lane, (one, other)) in one_rest.iter().zip(other_rest).enumerate() {
            sums[lane] += (one - other) * (one - other);
        }
        // Sums of squares only grow, rounded or not.
        total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
        if total > limit {
            return None;
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rows_come_in_order_and_equal_ones_by_number() {
        let rows = Dense { columns: 1, values: vec![5.0, 1.0, 3.0, 1.0, -1.0] };
        let queries = Dense { columns: 1, values: vec![1.0, 4.0] };
        assert_eq!(nearest_dense(&rows, &queries, 3), [1, 3, 2, 0, 2, 1]);
        let sparse = |rows: &Dense| {
            let mut sparse = Sparse::new(1);
            rows.values.iter().for_each(|value| sparse.push([(0, f64::from(*value))]));
            sparse
        };
        assert_eq!(nearest_sparse(&sparse(&rows), &sparse(&queries), 3), [1, 3, 2, 0, 2, 1]);
    }

    #[test]
    fn distances_that_are_given_up_change_nothing() {
        // Numbers from -8 to 8 without order, and columns that fill no stride.
        let value = |at: usize| ((at * 2_654_435_761) % 997) as f32 / 62.0 - 8.0;
        let dense =
            |rows: usize, from: usize| Dense { columns: 83, values: (from..from + rows * 83).map(value).collect() };
        let (rows, queries) = (dense(150, 0), dense(70, 5));
        let mut expected = Vec::new();
        for query in queries.values.chunks(83) {
            let squares =
                |row: &[f32]| row.iter().zip(query).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
            let mut all: Vec<_> = rows.values.chunks(83).zip(0_u32..).map(|(row, at)| (squares(row), at)).collect();
            all.sort_by(|one, other| one.0.total_cmp(&other.0));
            expected.extend(all[..9].iter().map(|(_, at)| *at));
        }
        assert_eq!(nearest_dense(&rows, &queries, 9), expected);
    }
}
