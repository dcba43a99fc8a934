#![allow(clippy::disallowed_methods, reason = "tests make files in folders of their own")]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use super::neighbors::nearest;
use super::propagation::{draw_labeled, predict, propagate};
use super::*;
use crate::train::data::Images;

const TEXTS: [&str; 6] = [
    "A warm, funny and warm-hearted film",
    "Dull and far too long , dull .",
    "funny in places, too long in others",
    "The film is warm and clever",
    "nothing here is clever or funny",
    "long live this warm film",
];
const TEXT_LABELS: [u32; 6] = [1, 0, 0, 1, 0, 1];
/// The last two have no term, and no word.
const QUESTIONS: [&str; 4] = ["a warm and clever film", "too long and dull", "nothing known?", "!"];

/// Three clouds of points in the plane, eight points each.
#[rustfmt::skip]
const POINTS: [[f32; 2]; 24] = [
    [0.125, -0.125], [0.625, 0.125], [-0.5625, 0.375], [1.3125, 0.9375], [-0.6875, -1.25], [-0.625, 0.0625],
    [-2.3125, -0.25], [-1.25, -0.75], [1.4375, 0.6875], [2.4375, 2.0625], [1.875, 2.375], [1.3125, 1.375],
    [2.875, 1.125], [1.25, 0.0625], [1.5625, 1.25], [1.0, 0.8125], [-0.1875, 3.5625], [0.1875, 3.375],
    [-0.625, 2.875], [0.8125, 4.5], [-1.25, 4.5], [1.375, 3.8125], [0.25, 2.6875], [1.4375, 4.9375],
];
const PLACES: [[f32; 2]; 4] = [[1.015625, 0.515625], [0.515625, 2.015625], [2.015625, 2.015625], [0.015625, 0.015625]];

fn words() -> TextFeatures {
    TextFeatures { ngrams: vec![1, 1], min_df: 1, max_df: 1.0, max_features: 0, sublinear_tf: false }
}

fn dataset(inputs: Inputs, labels: Vec<u32>, classes: usize) -> Dataset {
    let classes = (0..classes).map(|class| format!("class {class}")).collect();
    Dataset { inputs, labels, classes, given: BTreeMap::new(), names: None, files: Vec::new() }
}

/// The texts, and then the questions.
fn texts() -> Dataset {
    let all = TEXTS.iter().chain(&QUESTIONS).map(|text| (*text).to_owned()).collect();
    dataset(Inputs::Texts(all), [&TEXT_LABELS[..], &[1, 0, 0, 0]].concat(), 2)
}

/// The points, and then the places.
fn points() -> Dataset {
    let values = POINTS.iter().chain(&PLACES).flatten().copied().collect();
    let labels = (0..24).map(|point| point / 8).chain([1, 2, 2, 0]).collect();
    dataset(Inputs::Numbers { columns: 2, values }, labels, 3)
}

fn dense(points: &[[f32; 2]]) -> Rows {
    Rows::Dense(Dense { columns: 2, values: points.concat() })
}

fn neighbors(count: u32) -> NeighborsConfig {
    NeighborsConfig { features: words(), n_neighbors: count, labeled_ratio: 0.5, max_iter: 100, tol: 1e-3 }
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let largest = found.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
    assert!(largest < 1e-9, "{found:?} is not {expected:?}");
}

/// The probability of the second class for each question.
fn second_of(model: &ModelConfig) -> Vec<f64> {
    let data = texts();
    let fitted = fit(model, &data, &[0, 1, 2, 3, 4, 5], 0).unwrap();
    let found = fitted.classifier.predict(&data, &[6, 7, 8, 9]).unwrap();
    found.chunks(2).map(|row| row[1]).collect()
}

// Expected numbers below are those of scikit-learn 1.9.

#[test]
fn rows_of_words_are_scikit_learns() {
    let (terms, rows) = Tfidf::fit(&TEXTS, &words()).unwrap();
    let expected =
        "and clever dull far film funny hearted here in is live long nothing or others places the this too warm";
    assert_eq!(terms.terms().join(" "), expected);
    assert_near(&terms.idf()[..3], &[1.5596157879354227, 1.8472978603872037, 2.252762968495368]);
    let mut first: Vec<_> = rows.row(0).collect();
    first.sort_by_key(|(column, _)| *column);
    assert_eq!(first.iter().map(|(column, _)| *column).collect::<Vec<_>>(), [0, 4, 5, 6, 19]);
    let values: Vec<f64> = first.into_iter().map(|(_, value)| value).collect();
    let usual = 0.3317449218051555;
    assert_near(&values, &[usual, usual, usual, 0.4791838352818664, 0.663489843610311]);

    let pairs = TextFeatures { ngrams: vec![1, 2], min_df: 2, sublinear_tf: true, ..words() };
    let (terms, rows) = Tfidf::fit(&TEXTS, &pairs).unwrap();
    assert_eq!(terms.terms().join(", "), "and, clever, film, funny, is, long, too, too long, warm");
    let warm = rows.row(0).find(|(column, _)| *column == 8).unwrap();
    assert_near(&[warm.1], &[0.6990303272568005]);
    assert_eq!(terms.rows(&["!"]).row(0).count(), 0);

    // Of those that are in half of the texts at most, `warm` is there most often; `and` is the first of the next.
    let few = TextFeatures { max_df: 0.5, max_features: 2, ..words() };
    assert_eq!(Tfidf::fit(&TEXTS, &few).unwrap().0.terms(), ["and", "warm"]);
}

#[test]
fn naive_bayes_is_scikit_learns() {
    let model = |features| ModelConfig::NaiveBayes { features, alpha: 0.5 };
    let expected = [0.8032370211837512, 0.29487880334693606, 0.3426712900944087, 0.5];
    assert_near(&second_of(&model(words())), &expected);
    let pairs = TextFeatures { ngrams: vec![1, 2], min_df: 2, sublinear_tf: true, ..words() };
    assert_near(&second_of(&model(pairs)), &[0.8022167772634355, 0.22214662578017805, 0.5, 0.5]);
}

#[test]
fn logistic_regression_is_scikit_learns_and_stops_where_it_does() {
    let model = ModelConfig::LogisticRegression { features: words(), c: 10.0, max_iter: 100 };
    let expected = [0.8397219817706395, 0.19750524337659117, 0.22863444649593012, 0.39222445456597826];
    assert_near(&second_of(&model), &expected);

    let data = points();
    let train: Vec<u32> = (0..24).collect();
    let classes = |max_iter| {
        let model = ModelConfig::LogisticRegression { features: words(), c: 2.0, max_iter };
        let fitted = fit(&model, &data, &train, 0).unwrap();
        (fitted.classifier.predict(&data, &[24, 25]).unwrap(), fitted.is_converged)
    };
    let (found, is_converged) = classes(100);
    let first = [0.40251133925475585, 0.5798105454859338, 0.01767811525931042];
    assert_near(&found, &[first, [0.22501421058771226, 0.30124446763241713, 0.47374132177987066]].concat());
    assert!(is_converged);
    let (found, is_converged) = classes(3);
    let first = [0.14165786246903753, 0.690438103374257, 0.16790403415670543];
    assert_near(&found, &[first, [0.04832042901437115, 0.33456704151639094, 0.6171125294692379]].concat());
    assert!(!is_converged);
}

#[test]
fn labels_go_from_neighbour_to_neighbour_as_in_scikit_learn() {
    let known = |point: u32| [0, 3, 8, 13, 16, 22].contains(&point).then_some(point / 8);
    let labels: Vec<Option<u32>> = (0..24).map(known).collect();
    let (rows, places) = (dense(&POINTS), dense(&PLACES));
    let found = |rule, max_iter| {
        let limits = Limits { max_iter, tol: 1e-3 };
        let propagated = propagate(&nearest(&rows, &rows, 4), &labels, 3, rule, limits);
        (predict(&nearest(&rows, &places, 4), 4, &propagated.distributions, 3), propagated.is_converged)
    };
    let expected = [
        [0.39285719665339036, 0.6071428033466096, 0.0],
        [0.4642858979575921, 0.2857141020424079, 0.25],
        [0.5986408371933271, 0.40135916280667294, 0.0],
        [0.8096338900884822, 0.1903661099115178, 0.0],
    ];
    let (probabilities, is_converged) = found(Rule::Propagation, 1000);
    assert_near(&probabilities, &expected.concat());
    assert!(is_converged && !found(Rule::Propagation, 26).1 && found(Rule::Propagation, 27).1);
    let expected = [
        [0.3943964904571059, 0.6056035095428942, 0.0],
        [0.4876061524999795, 0.2623938475000205, 0.25],
        [0.5780871081232906, 0.4219128918767095, 0.0],
        [0.7709581166503428, 0.22904188334965728, 0.0],
    ];
    assert_near(&found(Rule::Spreading(0.3), 30).0, &expected.concat());
}

#[test]
fn where_no_label_gets_to_every_class_is_as_probable() {
    // Two islands, and labels on one of them only.
    let neighbors = [0, 1, 1, 0, 2, 3, 3, 2];
    let labels = [Some(0), None, None, None];
    for rule in [Rule::Propagation, Rule::Spreading(0.5)] {
        let found = propagate(&neighbors, &labels, 2, rule, Limits { max_iter: 50, tol: 0.0 });
        assert_eq!(found.distributions[4..], [0.0; 4]);
        assert_eq!(predict(&[0, 1, 2, 3], 2, &found.distributions, 2), [1.0, 0.0, 0.5, 0.5]);
    }
}

#[test]
fn labels_are_drawn_from_each_class_in_proportion() {
    let labels: Vec<u32> =
        (0..1000).map(|example| u32::from(example % 10 == 0) + u32::from(example % 500 == 7)).collect();
    let drawn = draw_labeled(&labels, 3, 0.2, 5);
    let of = |class| drawn.iter().zip(&labels).filter(|(drawn, label)| **drawn && **label == class).count();
    assert_eq!((of(0) + of(1), of(2)), (200, 0));
    let rare = draw_labeled(&[0, 0, 0, 0, 0, 0, 0, 1], 2, 0.01, 0);
    assert_eq!(rare.iter().filter(|drawn| **drawn).count(), 2);
    assert!(rare[7]);
    assert_eq!(drawn, draw_labeled(&labels, 3, 0.2, 5));
    assert_ne!(drawn, draw_labeled(&labels, 3, 0.2, 6));
    assert!(draw_labeled(&labels, 3, 1.0, 0).iter().all(|drawn| *drawn));
}

/// Each model with data that it learns from in a test.
fn models() -> Vec<(ModelConfig, Dataset)> {
    let pairs = TextFeatures { ngrams: vec![1, 2], sublinear_tf: true, ..words() };
    let pixels = (0..30 * 33 * 70_u64).map(|at| (at * at % 251) as u8).collect::<Vec<_>>();
    let colours = Images::new(7, 5, 3, 255.0, pixels[..30 * 105].to_vec());
    let grey = Images::new(33, 70, 1, 255.0, pixels);
    let labels = |classes: u32| (0..30).map(|example| example % classes).collect::<Vec<_>>();
    let logistic = |features| ModelConfig::LogisticRegression { features, c: 3.0, max_iter: 20 };
    vec![
        (ModelConfig::Majority, texts()),
        (ModelConfig::NaiveBayes { features: pairs.clone(), alpha: 1.0 }, texts()),
        (logistic(words()), texts()),
        (ModelConfig::LabelPropagation(NeighborsConfig { features: pairs, ..neighbors(3) }), texts()),
        (ModelConfig::LabelSpreading { neighbors: neighbors(5), alpha: 0.2 }, points()),
        (ModelConfig::LabelPropagation(neighbors(4)), dataset(Inputs::Images(colours), labels(3), 3)),
        (logistic(words()), dataset(Inputs::Images(grey), labels(2), 2)),
    ]
}

#[test]
fn a_model_is_the_same_bits_with_any_number_of_threads() {
    let numbers =
        |rows: u32| (0..rows * 40).map(|at| (at.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0).collect();
    let many =
        || dataset(Inputs::Numbers { columns: 40, values: numbers(1100) }, (0..1100).map(|at| at % 3).collect(), 3);
    let texts = |data: Dataset| {
        let Inputs::Texts(texts) = &data.inputs else { return data };
        let text = |at: usize| format!("{} {} {at}{at}", texts[at % 6], texts[at * 7 % 6]);
        dataset(Inputs::Texts((0..300).map(text).collect()), (0..300).map(|at| at % 2).collect(), 2)
    };
    let more = [
        (ModelConfig::LogisticRegression { features: words(), c: 1.0, max_iter: 5 }, many()),
        (ModelConfig::LabelSpreading { neighbors: neighbors(6), alpha: 0.9 }, many()),
    ];
    for (model, data) in models().into_iter().map(|(model, data)| (model, texts(data))).chain(more) {
        let all: Vec<u32> = (0..data.len() as u32).collect();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let fitted = fit(&model, &data, &all, 1).unwrap();
                let bits = fitted.classifier.predict(&data, &all).unwrap().into_iter().map(f64::to_bits);
                (fitted.classifier.weights().unwrap(), bits.collect::<Vec<_>>())
            })
        };
        let one = with(1);
        assert!(one == with(2) && one == with(5), "{model:?}");
    }
}

#[test]
fn a_model_that_is_saved_and_loaded_is_the_same() {
    for (model, data) in models() {
        let all: Vec<u32> = (0..data.len() as u32).collect();
        let fitted = fit(&model, &data, &all, 1).unwrap().classifier;
        let (weights, vocabulary) = (fitted.weights().unwrap(), fitted.vocabulary().unwrap());
        let load = |weights: &[u8]| Classifier::load(&model, data.classes.len(), weights, vocabulary.as_deref());
        assert_eq!(load(&weights).unwrap(), fitted);
        assert!(fitted.parameters() > 0);

        // Whatever is cut off or changed: an error, or a model that can be used.
        assert!(load(&weights[..weights.len() / 2]).is_err());
        for at in (0..weights.len()).step_by(weights.len() / 300 + 1) {
            let mut damaged = weights.clone();
            damaged[at] ^= 0x40;
            if let Ok(model) = load(&damaged) {
                let _ = model.predict(&data, &all);
            }
        }
    }
}

#[test]
fn bad_files_are_told_in_a_line() {
    let data = texts();
    let model = ModelConfig::NaiveBayes { features: words(), alpha: 1.0 };
    let fitted = fit(&model, &data, &[0, 1, 2, 3], 0).unwrap().classifier;
    let (weights, vocabulary) = (fitted.weights().unwrap(), fitted.vocabulary().unwrap().unwrap());
    let told = |model: &ModelConfig, classes: usize, weights: &[u8], vocabulary: Option<&str>| {
        Classifier::load(model, classes, weights, vocabulary).map(|_| ()).unwrap_err().to_string()
    };
    let logistic = ModelConfig::LogisticRegression { features: words(), c: 1.0, max_iter: 1 };
    let told = [
        told(&model, 2, b"no tensors", Some(&vocabulary)),
        told(&model, 3, &weights, Some(&vocabulary)),
        told(&model, 1, &weights, Some(&vocabulary)),
        told(&logistic, 2, &weights, Some(&vocabulary)),
        told(&model, 2, &weights, Some(&vocabulary.replace("\"warm\"", "\"cold\", \"warm\""))),
        told(&model, 2, &weights, Some(&vocabulary.replace("\"l2\"", "\"l1\""))),
        told(&model, 2, &weights, Some("{}")),
        fit(&ModelConfig::Cnn { filters: vec![1], hidden: 1, dropout: 0.0 }, &data, &[0, 1], 0)
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    model.safetensors is not in the format of safetensors: header too large
    model.safetensors is made for 10 terms, and vocabulary.json has 15
    model.toml has fewer than two classes
    model.safetensors has no `weights`
    model.safetensors has 15 numbers in `idf`, not 16
    vocabulary.json is of another version than this program's
    vocabulary.json does not read: missing field `format` at line 1 column 2
    `cnn` is a network
    ");
    // Without the vocabulary it is a model of numbers.
    let numbers = Classifier::load(&model, 2, &weights, None).unwrap();
    assert_eq!(
        numbers.predict(&data, &[0]).unwrap_err().to_string(),
        "the model takes numbers or images, and the data has texts"
    );
    assert_eq!(
        numbers.predict(&points(), &[0]).unwrap_err().to_string(),
        "an example has 2 numbers, and the model takes 15"
    );
    assert_eq!(
        fitted.predict(&points(), &[0]).unwrap_err().to_string(),
        "the model takes texts, and the data has none"
    );
}

#[test]
fn bad_data_is_told_in_a_line() {
    let told = |model: &ModelConfig, data: &Dataset, train: &[u32]| match fit(model, data, train, 0) {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    };
    let bayes = |features| ModelConfig::NaiveBayes { features, alpha: 1.0 };
    let spread = ModelConfig::LabelSpreading { neighbors: neighbors(7), alpha: 0.2 };
    let of = |texts: [&str; 2]| dataset(Inputs::Texts(texts.map(str::to_owned).to_vec()), vec![0, 1], 2);
    let numbers = |values: [f32; 4]| dataset(Inputs::Numbers { columns: 2, values: values.to_vec() }, vec![0, 1], 2);
    let logistic = ModelConfig::LogisticRegression { features: words(), c: 1.0, max_iter: 100 };
    let told = [
        told(&bayes(words()), &of(["", "a b ?"]), &[0, 1]),
        told(&bayes(TextFeatures { min_df: 2, ..words() }), &of(["good", "bad"]), &[0, 1]),
        told(&ModelConfig::Majority, &texts(), &[]),
        told(&ModelConfig::Majority, &texts(), &[0, 3]),
        told(&spread, &points(), &[0, 1, 9, 10]),
        told(&spread, &points(), &[0, 1, 9, 10, 20]),
        told(&logistic, &numbers([0.0, 1.0, f32::NAN, 2.0]), &[0, 1]),
        told(&bayes(words()), &numbers([0.0, 1.0, 3.0, -2.0]), &[0, 1]),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    none of the 2 texts to train on has a word of two letters or more
    none of the 2 terms is left with min_df = 2 and max_df = 1
    there are no examples to train on
    all examples to train on are of the class `class 1`: there is nothing to tell apart
    the class `class 2` has no example to train on
    n_neighbors is 7, but there are only 5 examples to train on
    example 1 has NaN in column 0, which is not a finite number
    example 1 has -2 in column 1: naive-bayes needs numbers that are not negative
    ");
}

#[test]
fn numpy_predicts_from_the_files_as_the_model_does() {
    let python = std::env::var("GIT_ML_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut known = Command::new(&python);
    known.args(["-c", "import numpy, safetensors.numpy"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !known.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: {python} has no numpy and safetensors; GIT_ML_TEST_PYTHON can name one that has");
        return;
    }
    for (model, data) in models() {
        let all: Vec<u32> = (0..data.len() as u32).collect();
        let fitted = fit(&model, &data, &all, 1).unwrap().classifier;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model.safetensors"), fitted.weights().unwrap()).unwrap();
        if let Some(vocabulary) = fitted.vocabulary().unwrap() {
            fs::write(folder.path().join("vocabulary.json"), vocabulary).unwrap();
        }
        let example = |index: &u32| match &data.inputs {
            Inputs::Texts(texts) => serde_json::to_string(&texts[*index as usize]).unwrap(),
            Inputs::Numbers { columns, values } => format!("{:?}", &values[*index as usize * columns..][..*columns]),
            Inputs::Images(images) => {
                let mut pixels = vec![0; images.size()];
                images.read(*index, &mut pixels).unwrap();
                let channels = if images.channels() == 1 { String::new() } else { ", 3".to_owned() };
                let (height, width) = (images.height(), images.width());
                format!("np.array({pixels:?}, dtype=np.uint8).reshape({height}, {width}{channels})")
            }
        };
        let examples: Vec<String> = all.iter().map(example).collect();
        let last = format!("for example in [{}]:\n    print(*probabilities(example))\n", examples.join(", "));
        fs::write(folder.path().join("predict.py"), fitted.in_numpy(&data) + &last).unwrap();
        let output = Command::new(&python).arg("predict.py").current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{model:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let found: Vec<f64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        assert_near(&found, &fitted.predict(&data, &all).unwrap());
    }
}
