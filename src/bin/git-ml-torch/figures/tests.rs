//! Figures of any number of classes are whole and the same each time. With `GIT_ML_TEST_FIGURES` set to a folder, they
//! are also written there, to be looked at.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests write files as users do, and may panic")]

use std::fs;
use std::path::Path;

use git_ml::train::data::{Inputs, Shuffle, Source};
use git_ml::train::evaluation::Predictions;
use git_ml::train::recipe::DataConfig;

use super::*;

const WORDS: [&str; 10] = ["cat", "dog", "ship", "truck", "automobile", "hare", "plane", "deer", "frog", "horse"];

fn idx(magic: u32, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let header = std::iter::once(&magic).chain(sizes).flat_map(|size| size.to_be_bytes());
    header.chain(body.iter().copied()).collect()
}

/// Images of gradients, in classes whose names are as long as in some data.
fn images(classes: usize, count: u32, side: u32, long_names: bool) -> Dataset {
    let folder = tempfile::tempdir().unwrap();
    let labels: Vec<u8> = (0..count).map(|index| (index as usize % classes.min(256)) as u8).collect();
    let pixels: Vec<u8> = (0..count).flat_map(|i| (0..side * side).map(move |p| (p * 7 + i * 31) as u8)).collect();
    fs::write(folder.path().join("images-idx3-ubyte"), idx(0x803, &[count, side, side], &pixels)).unwrap();
    fs::write(folder.path().join("labels-idx1-ubyte"), idx(0x801, &[count], &labels)).unwrap();
    let config = DataConfig::of("data");
    let mut data = Dataset::read(&Source::Path(folder.path().to_path_buf()), &config).unwrap();
    let name = |class: usize| match (classes, long_names) {
        (_, true) => format!("{} of the northern woods & lakes <{}>", WORDS[class % 10], class),
        (..=10, _) => WORDS[class].to_owned(),
        _ => format!("{} {class}", WORDS[class % 10]),
    };
    data.classes = (0..classes).map(name).collect();
    data
}

/// What a fair model might say: mostly right, sometimes sure of the wrong class.
fn evaluation(data: &Dataset, skill: f32) -> Evaluation {
    let classes = data.classes.len();
    let mut predictions = Predictions::new(classes);
    for index in 0..data.len() as u32 {
        let mut order: Vec<u32> = (0..997).collect();
        Shuffle::new(3, u64::from(index)).shuffle(&mut order);
        let noise = |class: usize| order[class % 997] as f32 / 997.0 * 4.0;
        let mut logits: Vec<f32> = (0..classes).map(noise).collect();
        let truth = data.labels[index as usize] as usize % classes;
        logits[truth] += skill * (0.6 + 0.5 * (truth % 7) as f32 / 7.0);
        predictions.push_logits(index, truth as u32, &logits).unwrap();
    }
    Evaluation::new("test", data, predictions).unwrap()
}

fn history(epochs: u32) -> Vec<Epoch> {
    let epoch = |epoch: u32| {
        let left = (-f64::from(epoch) / 8.0).exp();
        Epoch {
            epoch,
            phase: 1,
            lr: 0.001 * (1.0 + (f64::from(epoch) / f64::from(epochs) * std::f64::consts::PI).cos()),
            train_loss: 0.05 + 2.2 * left,
            train_accuracy: 0.99 - 0.8 * left,
            val_loss: Some(0.12 + 2.1 * left + 0.002 * f64::from(epoch)),
            val_accuracy: Some(0.97 - 0.75 * left),
        }
    };
    (1..=epochs).map(epoch).collect()
}

fn check(name: &str, data: &Dataset, history: &[Epoch], evaluation: &Evaluation, expected: &[&str]) {
    let figures = all(data, history, evaluation).unwrap();
    let names: Vec<_> = figures.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected, "{name}");
    let again = all(data, history, evaluation).unwrap();
    for ((figure, drawing), (_, same)) in figures.iter().zip(&again) {
        let svg = drawing.to_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name} {figure}");
        assert_eq!(svg, same.to_svg());
        let png = drawing.to_png().unwrap();
        assert!(png.starts_with(b"\x89PNG") && png == same.to_png().unwrap(), "{name} {figure}");
        if let Some(folder) = std::env::var_os("GIT_ML_TEST_FIGURES") {
            let place = |ending: &str| Path::new(&folder).join(format!("{name}-{figure}.{ending}"));
            fs::write(place("svg"), svg).unwrap();
            fs::write(place("png"), png).unwrap();
        }
    }
}

const ALL: [&str; 5] = ["curves", "confusion", "f1", "reliability", "mistakes"];

#[test]
fn figures_of_any_number_of_classes_are_whole_and_always_the_same() {
    for (name, classes, count, side, skill, epochs, long_names) in [
        ("2", 2, 300, 28, 2.0, 1, false),
        ("10", 10, 2_000, 32, 4.0, 12, false),
        ("10-long", 10, 900, 8, 4.0, 60, true),
        ("100", 100, 4_000, 64, 4.5, 200, false),
        ("100-long", 100, 700, 300, 4.5, 3, true),
        ("right", 3, 30, 8, 50.0, 2, false),
    ] {
        let data = images(classes, count, side, long_names);
        check(name, &data, &history(epochs), &evaluation(&data, skill), &ALL);
    }
}

#[test]
fn texts_are_shown_in_excerpts_and_rows_of_numbers_are_not() {
    let mut data = images(2, 60, 8, false);
    data.inputs =
        Inputs::Texts((0..60).map(|index| format!("Review {index}: it was not bad, but ").repeat(20)).collect());
    let evaluated = evaluation(&data, 1.0);
    check("texts", &data, &[], &evaluated, &ALL[1..]);
    let (_, mistakes) = all(&data, &[], &evaluated).unwrap().pop().unwrap();
    assert!(mistakes.to_svg().contains("Review") && mistakes.to_svg().contains(" ...</text>"));
    data.inputs = Inputs::Numbers { columns: 1, values: vec![0.0; 60] };
    check("numbers", &data, &[], &evaluated, &ALL[1..4]);
}

#[test]
fn a_thousand_classes_are_drawn_too() {
    let mut data = images(200, 2_000, 8, false);
    data.classes = (0..1000).map(|class| format!("class {class}")).collect();
    check("1000", &data, &[], &evaluation(&data, 6.0), &ALL[1..]);
}
