//! The classes of a data set, found in its labels.

use std::cmp::Ordering;
use std::collections::HashMap;

/// Labels as words, numbered in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: HashMap<String, u32>,
    /// The number of each example's word.
    labels: Vec<u32>,
}

impl Words {
    /// Takes the label of one more example.
    pub(super) fn push(&mut self, word: &str) {
        let number = match self.numbers.get(word) {
            Some(number) => *number,
            None => {
                let number = self.numbers.len() as u32;
                self.numbers.insert(word.to_owned(), number);
                number
            }
        };
        self.labels.push(number);
    }

    /// How many examples there are.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// How many classes there are.
    pub(super) fn classes(&self) -> usize {
        self.numbers.len()
    }

    /// The names of the classes in order, numbers by value and others by their bytes, and the class of each example.
    pub(super) fn finish(self) -> (Vec<String>, Vec<u32>) {
        let mut classes: Vec<(String, u32)> = self.numbers.into_iter().collect();
        let all_numbers = classes.iter().all(|(word, _)| number(word).is_some());
        classes.sort_by(|(a, _), (b, _)| {
            let by_value = if all_numbers { number(a).partial_cmp(&number(b)) } else { None };
            by_value.unwrap_or(Ordering::Equal).then_with(|| a.cmp(b))
        });
        let mut places = vec![0; classes.len()];
        for (place, (_, number)) in (0_u32..).zip(&classes) {
            places[*number as usize] = place;
        }
        let labels = self.labels.into_iter().map(|number| places[number as usize]).collect();
        (classes.into_iter().map(|(word, _)| word).collect(), labels)
    }
}

fn number(word: &str) -> Option<f64> {
    word.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(words: &[&str]) -> (Vec<String>, Vec<u32>) {
        let mut own = Words::default();
        words.iter().for_each(|word| own.push(word));
        own.finish()
    }

    #[test]
    fn numbers_are_in_the_order_of_their_values_and_words_in_that_of_their_bytes() {
        let (names, labels) = classes(&["10", "9", "-1", "9"]);
        assert_eq!((names, labels), (["-1", "9", "10"].map(str::to_owned).to_vec(), vec![2, 1, 0, 1]));
        assert_eq!(classes(&["b", "10", "9", "B"]).0, ["10", "9", "B", "b"]);
        // `nan` is a word like any other, and does not undo the order.
        assert_eq!(classes(&["nan", "2", "10"]).0, ["10", "2", "nan"]);
    }
}
