//! Golden numbers are scikit-learn 1.9.1's on the same probabilities.

use super::*;

/// Probabilities in parts of `whole`, which is a power of two: exact in 32 bits, and with many ties.
fn predictions(whole: u16, truths: &[u32], parts: &[&[u16]]) -> Predictions {
    let mut made = Predictions::new(parts[0].len());
    for (index, (truth, parts)) in (0..).zip(truths.iter().zip(parts)) {
        let probabilities: Vec<f32> = parts.iter().map(|part| f32::from(*part) / f32::from(whole)).collect();
        made.push(index, *truth, &probabilities).unwrap();
    }
    made
}

fn report(predictions: &Predictions) -> Report {
    let names: Vec<_> = (0..predictions.classes()).map(|class| class.to_string()).collect();
    Report::new(&names, predictions).unwrap()
}

fn near(value: impl Into<Option<f64>>, expected: impl Into<Option<f64>>) {
    match (value.into(), expected.into()) {
        (Some(value), Some(expected)) => assert!((value - expected).abs() < 1e-9, "{value} is not {expected}"),
        (value, expected) => assert_eq!(value, expected),
    }
}

fn near_scores(scores: Scores, expected: [f64; 3]) {
    near(scores.precision, expected[0]);
    near(scores.recall, expected[1]);
    near(scores.f1, expected[2]);
}

#[test]
fn two_classes_are_measured_as_scikit_learn_does() {
    let second = [19, 26, 56, 45, 40, 48, 59, 49, 52, 58, 31, 46, 10, 58];
    let rows: Vec<[u16; 2]> = second.iter().map(|part| [64 - part, *part]).collect();
    let rows: Vec<&[u16]> = rows.iter().map(<[u16; 2]>::as_slice).collect();
    let report = report(&predictions(64, &[0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0], &rows));
    near(report.accuracy, 0.5);
    assert_eq!(report.top_k, None);
    near(report.classes[0].precision, 0.25);
    near(report.classes[0].recall, 0.2);
    near(report.classes[0].f1, 0.2222222222222222);
    near(report.classes[1].f1, 0.631578947368421);
    near_scores(report.averages.r#macro, [0.425, 0.43333333333333335, 0.4269005847953216]);
    near_scores(report.averages.weighted, [0.475, 0.5, 0.4853801169590643]);
    near_scores(report.averages.micro, [0.5; 3]);
    near(report.matthews, -0.1414213562373095);
    near(report.roc_auc, 0.43333333333333335);
    near(report.calibration.ece, 0.3292410714285714);
    assert!((report.log_loss - 0.8819061517715454).abs() < 1e-6, "{}", report.log_loss);
    near(report.loss, report.log_loss);
}

#[test]
fn a_class_that_is_never_predicted_counts_as_scikit_learn_counts_it() {
    let truths = [3, 0, 0, 0, 3, 2, 0, 3, 0, 0, 2, 1, 3, 0, 2, 3, 1, 2];
    let rows: [[u16; 4]; 18] = [
        [32, 25, 0, 7],
        [13, 47, 0, 4],
        [27, 5, 0, 32],
        [18, 14, 0, 32],
        [9, 2, 0, 53],
        [9, 44, 0, 11],
        [12, 24, 0, 28],
        [15, 0, 0, 49],
        [17, 26, 0, 21],
        [23, 7, 0, 34],
        [28, 0, 0, 36],
        [5, 45, 0, 14],
        [2, 0, 0, 62],
        [44, 12, 0, 8],
        [22, 6, 0, 36],
        [15, 2, 0, 47],
        [0, 61, 0, 3],
        [32, 1, 0, 31],
    ];
    let rows: Vec<&[u16]> = rows.iter().map(<[u16; 4]>::as_slice).collect();
    let report = report(&predictions(64, &truths, &rows));
    near(report.accuracy, 0.3888888888888889);
    assert_eq!(report.top_k.map(|top| top.k), Some(2));
    near(report.top_k.map(|top| top.accuracy), 0.6111111111111112);
    near(report.classes[2].precision, None);
    near(report.classes[2].recall, 0.0);
    near(report.classes[2].f1, 0.0);
    near(report.classes[3].f1, 0.5333333333333333);
    near_scores(report.averages.r#macro, [0.2833333333333333, 0.4857142857142857, 0.32619047619047614]);
    near_scores(report.averages.weighted, [0.28518518518518515, 0.3888888888888889, 0.28941798941798935]);
    near(report.matthews, 0.21526419295572294);
    near(report.roc_auc, 0.7404642232767233);
    near(report.classes[3].roc_auc, 0.8307692307692308);
    near(report.calibration.ece, 0.28125);
    assert!((report.log_loss - 4.183449745178223).abs() < 1e-6, "zeros are kept at 1.2e-7: {}", report.log_loss);
}

#[test]
fn a_class_without_examples_has_no_area_and_no_recall() {
    let truths = [5, 1, 5, 0, 0, 5, 5, 0, 0, 2, 3, 0, 5, 0, 2, 4, 0, 2, 3, 3];
    let rows: [[u16; 7]; 20] = [
        [1, 7, 5, 2, 2, 0, 15],
        [0, 27, 0, 1, 2, 2, 0],
        [0, 0, 0, 2, 10, 20, 0],
        [1, 7, 3, 16, 0, 4, 1],
        [6, 7, 0, 7, 0, 2, 10],
        [6, 0, 1, 5, 2, 18, 0],
        [0, 8, 3, 1, 2, 18, 0],
        [0, 1, 11, 0, 5, 14, 1],
        [4, 5, 1, 0, 17, 5, 0],
        [5, 3, 0, 0, 18, 5, 1],
        [4, 3, 9, 10, 2, 3, 1],
        [5, 0, 8, 0, 18, 0, 1],
        [2, 7, 4, 16, 2, 1, 0],
        [2, 16, 11, 3, 0, 0, 0],
        [0, 4, 2, 14, 0, 5, 7],
        [5, 8, 0, 3, 2, 14, 0],
        [10, 0, 11, 5, 1, 3, 2],
        [12, 5, 5, 2, 1, 0, 7],
        [0, 0, 4, 9, 4, 5, 10],
        [24, 0, 1, 0, 0, 5, 2],
    ];
    let rows: Vec<&[u16]> = rows.iter().map(<[u16; 7]>::as_slice).collect();
    let report = report(&predictions(32, &truths, &rows));
    near(report.accuracy, 0.25);
    assert_eq!(report.top_k, Some(TopK { k: 5, accuracy: 0.7 }));
    near(report.classes[6].recall, None);
    near(report.classes[6].precision, 0.0);
    near_scores(report.averages.r#macro, [0.19285714285714287, 0.27619047619047615, 0.22176870748299318]);
    near_scores(report.averages.weighted, [0.2125, 0.25, 0.2261904761904762]);
    near(report.matthews, 0.12863350446421698);
    near(report.roc_auc, None);
    let areas = [0.5769230769230769, 1.0, 0.40196078431372545, 0.5882352941176471, 0.5263157894736843, 0.66];
    report.classes.iter().zip(areas).for_each(|(class, area)| near(class.roc_auc, area));
    near(report.classes[6].roc_auc, None);
    near(report.calibration.ece, 0.30625);
    let names: Vec<_> = report.metrics("test").into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"test_top5_accuracy".to_owned()) && !names.contains(&"test_auc".to_owned()), "{names:?}");
    assert!(!serde_json::to_string(&report).unwrap().contains("NaN"));
}

#[test]
fn one_class_alone_leaves_what_is_not_defined_out() {
    let report = report(&predictions(4, &[0, 0], &[&[3, 1, 0], &[4, 0, 0]]));
    assert_eq!((report.accuracy, report.matthews, report.roc_auc), (1.0, None, None));
    near_scores(report.averages.r#macro, [1.0; 3]);
    assert_eq!((report.classes[1].precision, report.classes[1].recall, report.classes[1].f1), (None, None, None));
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["matthews"].is_null() && json["averages"]["macro"]["f1"] == 1.0, "{json}");
}

#[test]
fn logits_become_probabilities_and_a_finite_loss() {
    let mut made = Predictions::new(3);
    made.push_logits(7, 2, &[0.0, 0.0, 2_f32.ln()]).unwrap();
    made.push_logits(8, 0, &[-400.0, 0.0, 600.0]).unwrap();
    made.push_logits(9, 1, &[1.0, 1.0, 1.0]).unwrap();
    let [first, second, third] = made.rows() else { panic!("{made:?}") };
    near(f64::from(first.probability), 0.5);
    assert!((first.loss - 2_f64.ln()).abs() < 1e-7);
    assert_eq!((second.prediction, second.probability, second.loss), (2, 1.0, 1000.0));
    assert_eq!(third.prediction, 0, "the first of equal ones, as argmax has it");
    assert_eq!(made.worst_mistakes(), [1, 2]);
    assert_eq!(made.push_logits(3, 0, &[f32::NAN, 0.0, 0.0]), Err(EvaluationError::NotFinite { index: 3 }));
    assert_eq!(made.push(3, 0, &[1.0]), Err(EvaluationError::WrongCount { found: 1, expected: 3 }));
    assert_eq!(made.rows().len(), 3);
    assert_eq!(Report::new(&["a".to_owned()], &Predictions::new(1)), Err(EvaluationError::Empty));
}

#[test]
fn bins_are_open_below_and_closed_above() {
    let made = predictions(16, &[0, 0], &[&[16, 0], &[8, 8]]);
    let bins = report(&made).calibration.bins;
    assert_eq!(bins.len(), BINS);
    assert_eq!((bins[14].examples, bins[14].accuracy), (1, Some(1.0)));
    assert_eq!((bins[7].examples, bins[7].from < 0.5, bins[7].to > 0.5), (1, true, true));
    assert_eq!((bins[0].examples, bins[0].accuracy, bins[0].confidence), (0, None, None));
}
