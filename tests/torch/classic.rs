//! Models that learn without libtorch, through the real worker.

use git_ml::train::ModelFile;
use serde_json::Value;

use crate::images::example_files;
use crate::sandbox::Sandbox;
use crate::training::{WORKER, file, latest};

const CONFIG: &str = "
[experiments.words]
model = \"naive-bayes\"
data = \"data/reviews\"
ngrams = [1, 2]

[experiments.logistic]
model = \"logistic-regression\"
data = \"data/reviews\"

[experiments.few]
model = \"label-propagation\"
data = \"data/reviews\"
labeled_ratio = 0.3
n_neighbors = 5

[experiments.bars]
model = \"label-spreading\"
data = \"data/bars\"
labeled_ratio = 0.3

[experiments.majority]
model = \"majority\"
data = \"data/reviews\"
";

/// Sentences whose words say what they are, and a few that say both.
fn reviews(count: usize) -> String {
    let words = [["dull", "bad", "boring", "long"], ["warm", "funny", "clever", "good"]];
    let mut csv = "text,label\n".to_owned();
    for number in 0..count {
        let class = number % 2;
        let word = |place: usize| words[if number % 11 == 0 { 1 - class } else { class }][(number / 2 + place) % 4];
        let name = ["bad", "good"][class];
        csv += &format!("\"a {} and {} film, number {}\",{name}\n", word(0), word(1), number % 7);
    }
    csv
}

fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.use_worker(WORKER);
    sandbox.write("ml.toml", CONFIG);
    sandbox.write("data/reviews/train.csv", reviews(200));
    sandbox.write("data/reviews/test.csv", reviews(40));
    let (images, labels) = example_files(300);
    sandbox.write("data/bars/images-idx3-ubyte", images);
    sandbox.write("data/bars/labels-idx1-ubyte", labels);
    sandbox.git_ml(&["trust"]).success();
    sandbox.git_ml(&["track", "data/reviews"]).success();
    sandbox.commit("Describe the experiments");
    sandbox
}

fn last(run: &Value, metric: &str) -> f64 {
    run["metrics"][metric]["last"].as_f64().unwrap_or(f64::NAN)
}

#[test]
fn classifiers_without_a_network_train_and_are_evaluated_again() {
    let sandbox = project();
    for (experiment, least) in [("words", 0.85), ("logistic", 0.85), ("few", 0.8), ("bars", 0.9), ("majority", 0.4)] {
        let told = sandbox.git_ml(&["train", experiment, "-p", "threads=2"]).success();
        assert!(told.stdout().contains("test: loss "), "{told}");
        let run = latest(&sandbox);
        for metric in ["test_accuracy", "train_accuracy"] {
            assert!(last(&run, metric) >= least, "{experiment}: {run:#}");
        }
        assert!(last(&run, "test_loss").is_finite() && last(&run, "train_loss").is_finite());
        let model: ModelFile = toml::from_str(&file(&sandbox, "model.toml").stdout()).unwrap();
        let classes = if experiment == "bars" { 3 } else { 2 };
        assert_eq!((model.classes.len(), model.output.name.as_str()), (classes, "probabilities"));
        assert!(file(&sandbox, "README.md").stdout().contains("def probabilities(example):"));
        assert!(file(&sandbox, "figures/confusion.png").stdout_bytes().starts_with(b"\x89PNG"));
        let metrics = file(&sandbox, "metrics.json").json();

        let weights = || file(&sandbox, "model.safetensors").stdout_bytes().to_vec();
        let first = weights();
        let id = run["outputs"][0]["id"].as_str().unwrap().to_owned();
        sandbox.git_ml(&["train", experiment, "-p", "threads=1"]).success();
        assert!(weights() == first, "{experiment} depends on the threads");

        sandbox.git_ml(&["train", "--evaluate", &id]).success();
        let again = latest(&sandbox);
        assert_eq!(last(&again, "test_loss"), last(&run, "test_loss"), "{experiment}");
        let evaluated = sandbox.git_ml(&["cat", "run:@:evaluation:metrics.json"]).success().json();
        assert_eq!(evaluated["test"], metrics["test"]);
    }
}

#[test]
fn what_cannot_be_learnt_is_told_in_a_line() {
    let sandbox = project();
    let told = |arguments: &[&str]| {
        let output = sandbox.git_ml(&[&["train"], arguments].concat());
        let text = output.stderr();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(lines.len(), 1, "{output}");
        lines[0].to_owned()
    };
    let few = told(&["few", "-p", "n_neighbors=5000"]);
    assert!(few.contains("n_neighbors is 5000, but there are only "), "{few}");
    let rare = told(&["words", "-p", "min_df=5000"]);
    assert!(rare.contains("terms is left with min_df = 5000"), "{rare}");
    sandbox.write("data/reviews/train.csv", "text,label\n!,good\n?,bad\n!!,good\n??,bad\na,good\nb,bad\n");
    sandbox.git_ml(&["track", "data/reviews"]).success();
    let wordless = told(&["words", "-p", "validation=0.0"]);
    assert!(wordless.contains("has a word of two letters or more"), "{wordless}");
}
