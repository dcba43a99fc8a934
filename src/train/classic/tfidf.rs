//! TF-IDF, with the numbers of scikit-learn's `TfidfVectorizer`.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;

use super::matrix::Sparse;
use super::{ClassicError, words};
use crate::train::recipe::TextFeatures;

/// Terms, and how much each of them says about a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tfidf {
    ngrams: [usize; 2],
    sublinear_tf: bool,
    /// The terms, sorted: each is a column.
    terms: Vec<String>,
    /// The inverse document frequency of each.
    idf: Vec<f64>,
    columns: HashMap<String, u32>,
}

impl Tfidf {
    /// Learns the terms of `texts`, and gives the rows of those.
    ///
    /// Of terms that are equally frequent, `max_features` takes the first by name. scikit-learn takes those that an
    /// unstable sort happens to put first, which depends on the processor's vector instructions.
    pub(super) fn fit(texts: &[&str], features: &TextFeatures) -> Result<(Self, Sparse), ClassicError> {
        let ngrams = [features.ngrams[0] as usize, features.ngrams[features.ngrams.len() - 1] as usize];
        let (all, counts) = count(texts, ngrams);
        if all.is_empty() {
            return Err(ClassicError::NoWords { texts: texts.len() });
        }
        let mut kept = select(&counts, all.len(), texts.len(), features);
        if kept.is_empty() {
            let (min_df, max_df) = (features.min_df, features.max_df);
            return Err(ClassicError::NoTerms { terms: all.len(), min_df, max_df });
        }
        let by_name = |one: &u32, other: &u32| all[*one as usize].cmp(&all[*other as usize]);
        kept.sort_unstable_by(by_name);
        if features.max_features > 0 {
            let mut frequency = vec![0_u64; all.len()];
            counts.iter().flatten().for_each(|(term, count)| frequency[*term as usize] += u64::from(*count));
            kept.sort_by_key(|term| Reverse(frequency[*term as usize]));
            kept.truncate(features.max_features as usize);
            kept.sort_unstable_by(by_name);
        }

        let mut column_of = vec![None; all.len()];
        (0..).zip(&kept).for_each(|(column, term)| column_of[*term as usize] = Some(column));
        // The terms of a text stay in the order in which they were first met in any: scikit-learn sums in that order,
        // and a last bit decides which of many texts that are equally far are neighbours.
        let known = |text: Vec<(u32, u32)>| {
            text.into_iter().filter_map(|(term, count)| Some((column_of[term as usize]?, count))).collect()
        };
        let counts: Vec<Vec<(u32, u32)>> = counts.into_iter().map(known).collect();
        let mut texts_with = vec![0_u64; kept.len()];
        counts.iter().flatten().for_each(|(column, _)| texts_with[*column as usize] += 1);
        let idf = texts_with.iter().map(|with| ((texts.len() + 1) as f64 / (with + 1) as f64).ln() + 1.0);
        let terms = kept.iter().map(|term| all[*term as usize].clone()).collect();
        let own = Self::new(ngrams, features.sublinear_tf, terms, idf.collect());
        let rows = own.weighted(counts);
        Ok((own, rows))
    }

    /// As it was learnt elsewhere; `idf` has a number for each term.
    pub(super) fn new(ngrams: [usize; 2], sublinear_tf: bool, terms: Vec<String>, idf: Vec<f64>) -> Self {
        let columns = terms.iter().cloned().zip(0..).collect();
        Self { ngrams, sublinear_tf, terms, idf, columns }
    }

    pub(super) fn terms(&self) -> &[String] {
        &self.terms
    }

    pub(super) fn idf(&self) -> &[f64] {
        &self.idf
    }

    pub(super) fn ngrams(&self) -> [usize; 2] {
        self.ngrams
    }

    pub(super) fn sublinear_tf(&self) -> bool {
        self.sublinear_tf
    }

    /// The rows of some texts; terms that are not known count for nothing.
    pub(super) fn rows(&self, texts: &[&str]) -> Sparse {
        let counts = texts.par_iter().map(|text| {
            let mut found = Vec::new();
            words::terms(text, self.ngrams, |term| found.extend(self.columns.get(term)));
            run_lengths(found)
        });
        self.weighted(counts.collect())
    }

    /// From how often each term is in each text to the numbers of the rows.
    fn weighted(&self, counts: Vec<Vec<(u32, u32)>>) -> Sparse {
        let mut rows = Sparse::new(self.terms.len());
        for row in counts {
            let weight = |(column, count): (u32, u32)| {
                let count = f64::from(count);
                let frequency = if self.sublinear_tf { count.ln() + 1.0 } else { count };
                (column, frequency * self.idf[column as usize])
            };
            let row: Vec<(u32, f64)> = row.into_iter().map(weight).collect();
            let length = row.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
            rows.push(row.into_iter().map(|(column, value)| (column, value / length)));
        }
        rows
    }
}

/// The terms of the texts as they come, and how often each of them is in each text.
fn count(texts: &[&str], ngrams: [usize; 2]) -> (Vec<String>, Vec<Vec<(u32, u32)>>) {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut counts = Vec::with_capacity(texts.len());
    for text in texts {
        let mut found = Vec::new();
        words::terms(text, ngrams, |term| {
            let number = numbers.get(term).copied().unwrap_or_else(|| {
                let number = numbers.len() as u32;
                numbers.insert(term.to_owned(), number);
                number
            });
            found.push(number);
        });
        counts.push(run_lengths(found));
    }
    let mut terms = vec![String::new(); numbers.len()];
    for (term, number) in numbers {
        terms[number as usize] = term;
    }
    (terms, counts)
}

/// Each number once, in ascending order, with how often it is there.
fn run_lengths(mut numbers: Vec<u32>) -> Vec<(u32, u32)> {
    numbers.sort_unstable();
    numbers.chunk_by(|one, other| one == other).map(|run| (run[0], run.len() as u32)).collect()
}

/// The terms that are in enough texts, and not in too many.
fn select(counts: &[Vec<(u32, u32)>], terms: usize, texts: usize, features: &TextFeatures) -> Vec<u32> {
    let mut texts_with = vec![0_u32; terms];
    counts.iter().flatten().for_each(|(term, _)| texts_with[*term as usize] += 1);
    let most = features.max_df * texts as f64;
    let is_kept = |with: u32| with >= features.min_df && f64::from(with) <= most;
    (0..).zip(texts_with).filter(|(_, with)| is_kept(*with)).map(|(term, _)| term).collect()
}
