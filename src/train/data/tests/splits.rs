//! Dividing examples.

use super::*;

fn parts(split: &Split) -> Vec<(String, Vec<u32>)> {
    split.parts().map(|(name, part)| (name.to_owned(), part.to_vec())).collect()
}

fn named(ranges: &[(&str, &str)]) -> DataConfig {
    let splits = ranges.iter().map(|(name, text)| ((*name).to_owned(), text.parse().unwrap())).collect();
    DataConfig { splits, ..config(0.0, 0.25) }
}

fn alternating(count: u32) -> Dataset {
    numbers((0..count).map(|index| index % 2).collect())
}

#[test]
fn splits_are_stratified_seeded_and_whole() {
    let data = numbers((0..1000_u32).map(|index| u32::from(index % 10 == 0)).collect());
    let divided = |seed| data.split(&config(0.1, 0.2), seed).unwrap();
    let split = divided(5);
    assert_eq!((split.train().len(), split.validation().len(), split.test().len()), (700, 100, 200));
    let rare = |part: &[u32]| part.iter().filter(|index| data.labels[**index as usize] == 1).count();
    assert_eq!((rare(split.train()), rare(split.validation()), rare(split.test())), (70, 10, 20));
    let mut all = [split.train(), split.validation(), split.test()].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..1000));
    assert_eq!(divided(5), split);
    assert_ne!(divided(6).digest(), split.digest());

    let loose = data.split(&DataConfig { stratify: false, ..config(0.1, 0.2) }, 5).unwrap();
    assert_eq!((loose.train().len(), loose.validation().len(), loose.test().len()), (700, 100, 200));
    assert_ne!(rare(loose.test()), 20);
}

#[test]
fn a_part_without_examples_is_an_error() {
    let data = numbers(vec![0, 1, 0, 1]);
    let split =
        |validation, test| data.split(&config(validation, test), 0).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(split(0.0, 0.5), Ok(()));
    assert_eq!(split(0.1, 0.5), Err("`validation` has no examples: 0.1 of 4 is too little".to_owned()));
    assert_eq!(split(0.0, 0.1), Err("`test` has no examples: 0.1 of 4 is too little".to_owned()));
}

#[test]
fn a_class_with_one_example_is_trained_on() {
    let data = numbers((0..20).map(|index| u32::from(index == 7)).collect());
    let split = data.split(&config(0.4, 0.5), 1).unwrap();
    assert!(split.train().contains(&7));
}

#[test]
fn ranges_are_of_all_examples_or_of_those_that_the_data_gives_for_the_test() {
    let mut data = alternating(12);
    let split = data.split(&named(&[("test", "0..2,4"), ("simulation", "10..")]), 0).unwrap();
    assert_eq!((split.test(), split.part("simulation"), split.train().len()), (&[0, 1, 4][..], &[10, 11][..], 7));

    // The test examples are 8..12 now; what no range names stays theirs, and is never trained on.
    data.given = BTreeMap::from([("train".to_owned(), 0..8), ("test".to_owned(), 8..12)]);
    let split = data.split(&named(&[("simulation", "1..3")]), 0).unwrap();
    assert_eq!(
        (split.test(), split.part("simulation"), split.train()),
        (&[8, 11][..], &[9, 10][..], &[0, 1, 2, 3, 4, 5, 6, 7][..])
    );
    let split = data.split(&named(&[("test", "0..2"), ("simulation", "2..3")]), 0).unwrap();
    assert_eq!((split.test(), split.part("simulation"), split.train().len()), (&[8, 9][..], &[10][..], 8));
}

#[test]
fn ranges_that_cannot_be_are_told_in_a_line() {
    let data = alternating(12);
    let mut given = alternating(12);
    given.given = BTreeMap::from([("train".to_owned(), 0..8), ("test".to_owned(), 8..12)]);
    let wrong = |data: &Dataset, ranges: &[(&str, &str)]| data.split(&named(ranges), 0).unwrap_err().to_string();
    let sorted = numbers((0..12).map(|index| index / 6).collect());
    let told = [
        wrong(&data, &[("test", "0..13")]),
        wrong(&given, &[("test", "0..5")]),
        wrong(&data, &[("test", "0..5"), ("simulation", "4..6")]),
        wrong(&data, &[("test", "0..12")]),
        wrong(&given, &[("simulation", "0..")]),
        wrong(&sorted, &[("test", "6..")]),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    `splits.test` is `0..13`, which goes beyond the 12 examples
    `splits.test` is `0..5`, which goes beyond the 4 test examples
    `splits.test` and `splits.simulation` both have the example 4
    `train` has no examples: nothing is left for it
    `test` has no examples: the ranges in `splits` take all that the data gives for it
    `test`: the example 6 has the class `b`, of which there is no example to train on
    ");
}

#[test]
fn a_split_is_the_same_after_it_was_written_and_read() {
    let data = alternating(50);
    for config in [config(0.1, 0.2), named(&[("test", "0..8"), ("simulation", "8..20")])] {
        let split = data.split(&config, 3).unwrap();
        let read = Split::from_json(&split.to_json()).unwrap();
        assert_eq!((parts(&read), read.digest(), &read), (parts(&split), split.digest(), &split));
    }
    let split = data.split(&named(&[("test", "0..8"), ("simulation", "8..20")]), 3).unwrap();
    insta::assert_snapshot!(split.to_json(), @r#"
    {
      "format": 1,
      "examples": 50,
      "parts": {
        "simulation": "8..20",
        "test": "0..8",
        "train": "20..50"
      }
    }
    "#);
    let wrong = |text: &str| Split::from_json(text).unwrap_err().to_string();
    let told = [
        wrong("{"),
        wrong(r#"{ "format": 2, "examples": 3, "parts": { "train": "0..3" } }"#),
        wrong(r#"{ "format": 1, "examples": 3, "parts": { "train": "0..4" } }"#),
        wrong(r#"{ "format": 1, "examples": 3, "parts": { "train": "0..2", "test": "1..3" } }"#),
        wrong(r#"{ "format": 1, "examples": 3, "parts": { "test": "1..3" } }"#),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    split.json is no split: EOF while parsing an object at line 1 column 1
    split.json has the format 2, not 1
    split.json is damaged: `train` goes to 4, but there are 3 examples
    split.json has the example 1 twice
    split.json has no part to train on
    ");
}
