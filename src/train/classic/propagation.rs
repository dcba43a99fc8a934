//! Label propagation (Zhu and Ghahramani 2002) and label spreading (Zhou et al. 2004) over a graph of nearest
//! neighbours, with the numbers of scikit-learn's `LabelPropagation` and `LabelSpreading` with `kernel="knn"`.

use rayon::prelude::*;

use crate::train::data::Shuffle;

/// Rows whose changes are summed one after the other.
const BLOCK: usize = 1024;
/// The stream of shuffles that the labels are drawn from: one that no split and no epoch has.
const STREAM: u64 = u64::MAX;

/// How labels go from neighbour to neighbour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// An example that has a label keeps it; each other one takes the mean of its neighbours.
    Propagation,
    /// Each example takes this part from its neighbours and the rest from its own label, if it has one.
    Spreading(f64),
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_iter: u32,
    /// The sum of all changes below which it has converged.
    pub(super) tol: f64,
}

/// What became of the labels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Propagated {
    /// How much each example is of each class, `[examples, classes]`; a row sums to 1, or to 0 where no label got to.
    pub(super) distributions: Vec<f64>,
    /// Whether it ended before the limit of iterations.
    pub(super) is_converged: bool,
}

/// Which of the examples keep their labels: `ratio` of each class, drawn at random, and at least one.
pub(super) fn draw_labeled(labels: &[u32], classes: usize, ratio: f64, seed: u64) -> Vec<bool> {
    let mut by_class = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(example, label)| by_class[*label as usize].push(example));
    let mut is_labeled = vec![false; labels.len()];
    let mut shuffle = Shuffle::new(seed, STREAM);
    for mut members in by_class {
        shuffle.shuffle(&mut members);
        let kept = ((members.len() as f64 * ratio).round() as usize).max(1);
        members.into_iter().take(kept).for_each(|example| is_labeled[example] = true);
    }
    is_labeled
}

/// Lets the labels go from neighbour to neighbour until they hardly change.
///
/// `neighbors` has the neighbours of each example, itself among them, `[examples, n]`; `labels` those labels that are
/// known.
pub(super) fn propagate(
    neighbors: &[u32],
    labels: &[Option<u32>],
    classes: usize,
    rule: Rule,
    limits: Limits,
) -> Propagated {
    let count = neighbors.len() / labels.len();
    let edges = edges(neighbors, count, rule);
    let mut current = vec![0.0; labels.len() * classes];
    for (row, label) in current.chunks_mut(classes).zip(labels) {
        label.iter().for_each(|label| row[*label as usize] = 1.0);
    }
    let mut next = current.clone();
    let mut change = labels.iter().flatten().count() as f64;
    let mut iterations = 0;
    while change >= limits.tol && iterations < limits.max_iter {
        let example = |(example, row): (usize, &mut [f64])| {
            step(row, &current, &edges[example * count..][..count], labels[example], rule);
        };
        let blocks = next.par_chunks_mut(BLOCK * classes).zip(current.par_chunks(BLOCK * classes)).enumerate();
        let changes: Vec<f64> = blocks
            .map(|(block, (next, before))| {
                (block * BLOCK..).zip(next.chunks_mut(classes)).for_each(example);
                next.iter().zip(before).map(|(next, before)| (next - before).abs()).sum()
            })
            .collect();
        change = changes.iter().sum();
        std::mem::swap(&mut current, &mut next);
        iterations += 1;
    }
    current.chunks_mut(classes).for_each(normalize);
    Propagated { distributions: current, is_converged: iterations < limits.max_iter }
}

/// The distribution of one example after one more step.
fn step(row: &mut [f64], before: &[f64], edges: &[(u32, f64)], label: Option<u32>, rule: Rule) {
    let classes = row.len();
    row.fill(0.0);
    if let (Rule::Propagation, Some(label)) = (rule, label) {
        row[label as usize] = 1.0;
        return;
    }
    for (neighbor, weight) in edges {
        let other = &before[*neighbor as usize * classes..][..classes];
        row.iter_mut().zip(other).for_each(|(sum, part)| *sum += weight * part);
    }
    match rule {
        Rule::Propagation => normalize(row),
        Rule::Spreading(alpha) => {
            row.iter_mut().for_each(|part| *part *= alpha);
            label.iter().for_each(|label| row[*label as usize] += 1.0 - alpha);
        }
    }
}

/// The weight that each neighbour of each example has.
fn edges(neighbors: &[u32], count: usize, rule: Rule) -> Vec<(u32, f64)> {
    if rule == Rule::Propagation {
        return neighbors.iter().map(|neighbor| (*neighbor, 1.0 / count as f64)).collect();
    }
    // The normalized graph Laplacian: an edge from i to j counts 1 over the roots of how many have i, and j, among
    // their neighbours, themselves aside.
    let mut degrees = vec![0.0; neighbors.len() / count];
    let each = || neighbors.chunks(count).zip(0_u32..).flat_map(|(others, own)| others.iter().map(move |j| (own, *j)));
    each().filter(|(own, other)| own != other).for_each(|(_, other)| degrees[other as usize] += 1.0);
    let roots: Vec<f64> = degrees.into_iter().map(|d: f64| if d == 0.0 { 1.0 } else { d.sqrt() }).collect();
    let weight = |own: u32, other: u32| {
        if own == other { 0.0 } else { 1.0 / roots[own as usize] / roots[other as usize] }
    };
    each().map(|(own, other)| (other, weight(own, other))).collect()
}

/// The distribution of each class for new examples, from the training examples that are nearest to each,
/// `[examples, n]`. Where no label got to, every class is as probable.
pub(super) fn predict(neighbors: &[u32], count: usize, distributions: &[f64], classes: usize) -> Vec<f64> {
    let mut found = vec![0.0; neighbors.len() / count * classes];
    for (row, neighbors) in found.chunks_mut(classes).zip(neighbors.chunks(count)) {
        for neighbor in neighbors {
            let other = &distributions[*neighbor as usize * classes..][..classes];
            row.iter_mut().zip(other).for_each(|(sum, part)| *sum += part);
        }
        normalize(row);
        if row.iter().all(|part| *part == 0.0) {
            row.fill(1.0 / classes as f64);
        }
    }
    found
}

/// Divides by the sum, unless that is 0.
fn normalize(row: &mut [f64]) {
    let sum: f64 = row.iter().sum();
    if sum != 0.0 {
        row.iter_mut().for_each(|part| *part /= sum);
    }
}
