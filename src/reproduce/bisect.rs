//! Finding the commit that broke a metric.

use super::{ReproduceError, Scratch};
use crate::git::{Bisection, Judgement};
use crate::id::{CommitId, RunId};

/// The side of a bound on which a metric is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The bound.
    pub bound: f64,
    /// Whether a value below it is bad, rather than one above it.
    pub is_below: bool,
}

impl Limit {
    /// Whether a value is on the wrong side. What is not a number is.
    pub fn is_bad(&self, value: f64) -> bool {
        match self.is_below {
            true => value < self.bound || value.is_nan(),
            false => value > self.bound || value.is_nan(),
        }
    }
}

/// A commit that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The commit.
    pub commit: CommitId,
    /// The run that tells: its id and name; none where none could be made.
    pub run: Option<(RunId, String)>,
    /// The metric's last value; none where the run failed or did not log it.
    pub value: Option<f64>,
}

/// Runs the code of a commit, or finds the run that did.
pub type Judge<'j, E> = &'j mut dyn FnMut(&Scratch, &CommitId) -> Result<Tried, E>;

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// The first bad commit; several where those between could not be told.
    pub first_bad: Vec<CommitId>,
    /// What was looked at, in that order.
    pub tried: Vec<Tried>,
}

/// Searches, between a good and a bad commit that were looked at already, for the first bad one.
pub fn search<E: From<ReproduceError>>(
    scratch: &Scratch,
    limit: &Limit,
    ends: [&CommitId; 2],
    judge: Judge<'_, E>,
) -> Result<Searched, E> {
    let repository = &scratch.workspace().repository;
    let [good, bad] = ends;
    let git = |result: Result<Bisection, crate::git::GitError>| result.map_err(|error| E::from(error.into()));
    let mut tried = Vec::new();
    let mut step = git(repository.start_bisection(good, bad))?;
    loop {
        match step {
            Bisection::Found(commit) => return Ok(Searched { first_bad: vec![commit], tried }),
            Bisection::Among(first_bad) => return Ok(Searched { first_bad, tried }),
            Bisection::Next(commit) => {
                let found = judge(scratch, &commit)?;
                let judgement = match found.value {
                    None => Judgement::Skip,
                    Some(value) if limit.is_bad(value) => Judgement::Bad,
                    Some(_) => Judgement::Good,
                };
                tried.push(found);
                step = git(repository.judge(judgement))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_bad_on_its_side_of_the_bound_and_where_it_is_none() {
        let [below, above] = [true, false].map(|is_below| Limit { bound: 0.9, is_below });
        assert!(below.is_bad(0.89) && !below.is_bad(0.9) && below.is_bad(f64::NAN));
        assert!(above.is_bad(0.91) && !above.is_bad(0.9) && above.is_bad(f64::NAN));
    }
}
