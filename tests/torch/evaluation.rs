//! Evaluating models that are there: `git ml train --evaluate`.

use serde_json::{Value, json};

use crate::images::{example_files, idx};
use crate::sandbox::Sandbox;
use crate::training::{file, latest, project};

/// A file of the latest run's evaluation.
fn evaluated(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    sandbox.git_ml(&["cat", &format!("run:@:evaluation:{name}")]).success().stdout_bytes().to_vec()
}

fn metrics(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&evaluated(sandbox, "metrics.json")).unwrap()
}

/// Images of the given side whose labels are those of `labels`, over and over.
fn write_images(sandbox: &Sandbox, folder: &str, side: u32, labels: &[u8]) {
    let count = 30;
    let pixels: Vec<u8> = (0..count * side * side).map(|pixel| (pixel * 37 % 251) as u8).collect();
    let labels: Vec<u8> = labels.iter().copied().cycle().take(count as usize).collect();
    sandbox.write(format!("{folder}/images-idx3-ubyte"), idx(0x803, &[count, side, side], &pixels));
    sandbox.write(format!("{folder}/labels-idx1-ubyte"), idx(0x801, &[count], &labels));
}

#[test]
fn a_model_is_evaluated_again_with_the_same_result() {
    let sandbox = project();
    sandbox.git_ml(&["train", "cnn", "--name", "first"]).success();
    let trained = latest(&sandbox);
    let before = file(&sandbox, "metrics.json").json();
    let predictions = file(&sandbox, "predictions.parquet").stdout_bytes().to_vec();
    sandbox.git_ml(&["model", "register", "run:first", "--name", "bars"]).success();
    sandbox.shell("rm -r data/bars").success();

    let told = sandbox.git_ml(&["train", "--evaluate", "run:first:model", "--name", "again", "--tag", "a=b"]).success();
    assert!(told.stdout().contains("test: loss "), "{told}");
    let run = latest(&sandbox);
    assert_eq!((&run["name"], &run["experiment"]), (&json!("again"), &json!("cnn")));
    assert_eq!((&run["tags"]["evaluates"], &run["tags"]["a"]), (&trained["id"], &json!("b")));
    assert_eq!(run["command"], json!(["git", "ml", "train", "--evaluate", "run:first:model"]));
    assert_eq!(run["inputs"][0]["id"], trained["inputs"][0]["id"]);
    assert_eq!(run["inputs"][1]["id"], trained["outputs"][0]["id"]);
    assert_eq!((&run["outputs"][0]["name"], &run["outputs"][0]["type"]), (&json!("evaluation"), &json!("evaluation")));
    for name in ["loss", "accuracy", "f1", "ece", "auc", "top2_accuracy"] {
        let name = format!("test_{name}");
        assert_eq!(run["metrics"][&name]["last"], trained["metrics"][&name]["last"], "{name}");
        assert!(run["metrics"][&name]["last"].is_number(), "{name}: {run:#}");
    }
    assert_eq!(metrics(&sandbox)["test"], before["test"]);
    assert!(evaluated(&sandbox, "predictions.parquet") == predictions);
    assert!(evaluated(&sandbox, "figures/mistakes.png").starts_with(b"\x89PNG"));

    let told = sandbox.git_ml(&["reproduce", "again"]).code(1);
    assert!(told.stderr().contains("run again evaluates a model") && told.stderr().contains("first:model"), "{told}");
    sandbox.git_ml(&["train", "--evaluate", "bars@v1", "--split", "validation"]).success();
    assert_eq!(metrics(&sandbox)["validation"], before["validation"]);
    let validated = latest(&sandbox);
    assert_eq!(validated["metrics"]["validation_accuracy"]["last"], before["validation"]["accuracy"]);
    assert_eq!(validated["tags"]["evaluates"], trained["id"]);
    let id = trained["outputs"][0]["id"].as_str().unwrap();
    sandbox.git_ml(&["train", "--evaluate", id, "--split", "train"]).success();
    assert_eq!(metrics(&sandbox)["train"]["examples"], 210);
}

#[test]
fn a_model_is_evaluated_on_other_data() {
    let sandbox = project();
    sandbox.git_ml(&["train", "mlp"]).success();
    let model = latest(&sandbox)["outputs"][0]["id"].as_str().unwrap().to_owned();
    let (images, labels) = example_files(90);
    sandbox.write("data/new/t10k-images-idx3-ubyte", &images);
    sandbox.write("data/new/t10k-labels-idx1-ubyte", &labels);
    sandbox.write("data/new/train-images-idx3-ubyte", &images);
    sandbox.write("data/new/train-labels-idx1-ubyte", &labels);
    sandbox.git_ml(&["train", "--evaluate", &model, "--data", "data/new"]).success();
    let run = latest(&sandbox);
    assert_eq!(metrics(&sandbox)["test"]["examples"], 90);
    assert!(run["metrics"]["test_accuracy"]["last"].as_f64().unwrap() > 0.95, "{run:#}");
    assert_eq!((&run["params"]["data"], run["inputs"].as_array().unwrap().len()), (&json!("data/new"), 1));

    write_images(&sandbox, "data/some", 8, &[0, 1]);
    sandbox.git_ml(&["track", "data/some"]).success();
    sandbox.git_ml(&["train", "--evaluate", &model, "--data", "data/some"]).success();
    let measured = metrics(&sandbox);
    assert_eq!((&measured["all"]["examples"], &measured["all"]["classes"][2]["support"]), (&json!(30), &json!(0)));
    assert_eq!((&measured["all"]["roc_auc"], &measured["all"]["classes"][2]["recall"]), (&Value::Null, &Value::Null));
    assert_eq!(latest(&sandbox)["inputs"][0]["path"], "data/some");
}

#[test]
fn what_cannot_be_evaluated_is_told_in_a_line() {
    let sandbox = project();
    sandbox.git_ml(&["train", "mlp"]).success();
    let model = latest(&sandbox)["outputs"][0]["id"].as_str().unwrap().to_owned();
    write_images(&sandbox, "data/large", 9, &[0, 1, 2]);
    write_images(&sandbox, "data/many", 8, &[0, 1, 2, 3]);
    let fails = |arguments: &[&str], error: &str, hint: &str| {
        let told = sandbox.git_ml(&[&["train", "--evaluate"], arguments].concat()).code(1);
        let lines = |start: &str| {
            told.stderr().lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines("error: ").len(), 1, "{told}");
        assert!(lines("error: ")[0].contains(error), "{told}");
        assert!(lines("hint: ").join("\n").contains(hint), "{told}");
    };
    fails(&[&model, "--split", "tset"], "data/bars has no split `tset`", "it has test, train, validation");
    fails(
        &[&model, "--data", "data/large"],
        "the model takes images of 8×8 with 1 channel, and data/large has images of 9×9 with 1 channel",
        "",
    );
    fails(
        &[&model, "--data", "data/many"],
        "data/many has the class `3`, which the model does not know",
        "its classes are 0, 1, 2",
    );
    assert_eq!(latest(&sandbox)["status"], "failed");
    let runs = || sandbox.git_ml(&["log", "--json"]).success().json().as_array().unwrap().len();
    let before = runs();
    fails(&["data/bars"], "data/bars is no model that can be evaluated: it has no model.toml", "git ml train");
    fails(&[&"0".repeat(64)], "is not in this store", "git ml pull");
    fails(&[&model, "--data", "data/none"], "there is no data at data/none", "");
    assert_eq!(runs(), before, "none of these is a run");
    sandbox.git_ml(&["train", "--data", "data/bars"]).code(2);
    sandbox.git_ml(&["train", "mlp", "--evaluate", &model]).code(2);
}
