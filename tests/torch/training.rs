//! What a training leaves behind, and what it says when it cannot train.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use git_ml::train::ModelFile;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::images::{example_files, gzip, idx};
use crate::sandbox::{Output, Sandbox};

pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_git-ml-torch");
const CONFIG: &str = "
[experiments.cnn]
model = \"cnn\"
data = \"data/bars\"
filters = [4, 8]
hidden = 16
epochs = 3
batch_size = 16
lr = 0.01
threads = 2

[experiments.mlp]
model = \"mlp\"
data = \"data/bars\"
hidden = [16]
epochs = 3
batch_size = 16
lr = 0.01
threads = 1
";

/// A repository with tracked images and an approved `ml.toml`.
pub(crate) fn project() -> Sandbox {
    let sandbox = with_data(&[]);
    let (images, labels) = example_files(300);
    sandbox.write("data/bars/images-idx3-ubyte.gz", gzip(&images));
    sandbox.write("data/bars/labels-idx1-ubyte", labels);
    sandbox.git_ml(&["track", "data/bars"]).success();
    sandbox.commit("Track the images");
    sandbox
}

/// A repository with files that are not tracked, and an approved `ml.toml`.
fn with_data(files: &[(&str, Vec<u8>)]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.use_worker(WORKER);
    sandbox.write("ml.toml", CONFIG);
    for (name, content) in files {
        sandbox.write(Path::new("data/bars").join(name), content);
    }
    sandbox.git_ml(&["trust"]).success();
    sandbox.commit("Describe the experiments");
    sandbox
}

pub(crate) fn latest(sandbox: &Sandbox) -> Value {
    sandbox.git_ml(&["show", "@", "--json"]).success().json()
}

/// A file of the latest run's model.
pub(crate) fn file(sandbox: &Sandbox, name: &str) -> Output {
    sandbox.git_ml(&["cat", &format!("run:@:model:{name}")]).success()
}

#[test]
fn git_ml_itself_is_not_linked_to_libtorch() {
    let libraries = |program: &str| {
        let output = Command::new("ldd").arg(program).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let own = libraries(env!("CARGO_BIN_EXE_git-ml"));
    assert!(own.contains("libc.so"), "{own}");
    assert!(!own.contains("torch") && !own.contains("libc10"), "{own}");
    assert!(libraries(WORKER).contains("libtorch_cpu.so"));
}

#[test]
fn a_training_leaves_a_whole_model_artifact_and_its_metrics() {
    let sandbox = project();
    sandbox.git_ml(&["train", "cnn"]).success();
    let run = latest(&sandbox);
    assert_eq!(run["status"], "finished");
    assert_eq!(run["experiment"], "cnn");
    assert_eq!(run["params"]["filters"], "4,8");
    assert_eq!(run["params"]["threads"], "2");
    assert_eq!(run["inputs"][0]["path"], "data/bars");
    assert_eq!((&run["outputs"][0]["name"], &run["outputs"][0]["type"]), (&"model".into(), &"model".into()));
    assert!(run["metrics"]["test_accuracy"]["last"].as_f64().unwrap() > 0.95, "{run:#}");
    for name in ["train_loss", "train_accuracy", "val_loss", "val_accuracy"] {
        let points = sandbox.git_ml(&["show", "@", "--metric", name, "--json"]).success().json();
        let steps: Vec<_> = points.as_array().unwrap().iter().map(|point| point["step"].as_i64().unwrap()).collect();
        assert_eq!(steps, [1, 2, 3], "{name}");
    }
    let batches = sandbox.git_ml(&["show", "@", "--metric", "batch_loss", "--json"]).success().json();
    assert!(batches.as_array().unwrap().len() > 3, "within epochs too: {batches:#}");

    let model: ModelFile = toml::from_str(&file(&sandbox, "model.toml").stdout()).unwrap();
    assert_eq!(model.input.shape, [-1, 1, 8, 8]);
    assert_eq!(model.classes, ["0", "1", "2"]);
    assert_eq!(model.data.artifact.unwrap().to_string(), run["inputs"][0]["id"].as_str().unwrap());
    assert_eq!((model.split.train, model.split.validation, model.split.test), (210, 30, 60));
    let metrics = file(&sandbox, "metrics.json").json();
    assert_eq!(metrics["test"]["accuracy"], run["metrics"]["test_accuracy"]["last"]);
    assert_eq!(metrics["test"]["confusion"].as_array().unwrap().len(), 3);
    assert_eq!(file(&sandbox, "history.json").json()["epochs"].as_array().unwrap().len(), 3);
    for (name, start) in [
        ("model.pt", &b"PK"[..]),
        ("predictions.parquet", b"PAR1"),
        ("figures/curves.png", b"\x89PNG"),
        ("figures/confusion.png", b"\x89PNG"),
        ("figures/curves.svg", b"<svg"),
        ("figures/confusion.svg", b"<svg"),
        ("figures/f1.png", b"\x89PNG"),
        ("figures/reliability.svg", b"<svg"),
        ("figures/mistakes.svg", b"<svg"),
        ("README.md", b"# cnn"),
    ] {
        assert!(file(&sandbox, name).stdout_bytes().starts_with(start), "{name}");
    }
    let weights = file(&sandbox, "model.safetensors");
    let header_length = u64::from_le_bytes(weights.stdout_bytes()[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&weights.stdout_bytes()[8..8 + header_length]).unwrap();
    assert_eq!(header["convolution1.weight"]["shape"], serde_json::json!([4, 1, 3, 3]));
    assert_eq!(header["output.weight"]["shape"], serde_json::json!([3, 16]));
}

#[test]
fn the_same_training_makes_the_same_artifact_and_another_seed_another() {
    let sandbox = project();
    for experiment in ["cnn", "mlp"] {
        let train = |arguments: &[&str]| {
            sandbox.git_ml(&[&["train", experiment], arguments].concat()).success();
            latest(&sandbox)["outputs"][0]["id"].as_str().unwrap().to_owned()
        };
        let first = train(&["--name", &format!("{experiment}-first")]);
        assert_eq!(train(&["--name", &format!("{experiment}-second")]), first);
        assert_ne!(train(&["-p", "seed=1"]), first);
    }
}

#[test]
fn data_is_read_as_it_was_tracked_without_a_checkout() {
    let sandbox = project();
    sandbox.git_ml(&["train", "mlp"]).success();
    let first = latest(&sandbox)["outputs"][0]["id"].clone();
    sandbox.shell("rm -r data/bars").success();
    sandbox.git_ml(&["train", "mlp"]).success();
    assert_eq!(latest(&sandbox)["outputs"][0]["id"], first);

    sandbox.write("data/bars/images-idx3-ubyte.gz", "something else");
    let changed = sandbox.git_ml(&["train", "mlp"]).success();
    assert!(changed.stderr().contains("warning: data/bars has changes that are not tracked"), "{changed}");
    assert_eq!(latest(&sandbox)["outputs"][0]["id"], first);
}

#[test]
fn data_that_cannot_be_trained_on_is_told_in_a_line() {
    let (images, labels) = example_files(30);
    let cut = images[..images.len() - 7].to_vec();
    let huge = idx(0x803, &[4_000_000_000, 1000, 1000], &[]);
    let grey = idx(0x803, &[30, 8, 8], &[9; 30 * 64]);
    let cases = [
        (vec![], "there is no data at data/bars"),
        (vec![("notes", vec![1])], "data/bars has no data that is known"),
        (vec![("images-idx3-ubyte", cut)], "images-idx3-ubyte is truncated: its header promises 30 images of 8×8"),
        (vec![("images-idx3-ubyte", huge)], "images-idx3-ubyte says it has 4000000000 images of 1000×1000"),
        (vec![("images-idx3-ubyte", grey)], "all inputs of the examples to train on are the same"),
    ];
    for (mut files, expected) in cases {
        if files.iter().any(|(name, _)| name.starts_with("images")) {
            files.push(("labels-idx1-ubyte", labels.clone()));
        }
        let sandbox = with_data(&files);
        let told = sandbox.git_ml(&["train", "mlp"]).code(1);
        assert!(told.stderr().contains(&format!("error: {expected}")), "{told}");
        if !files.is_empty() {
            let run = latest(&sandbox);
            assert_eq!(run["status"], "failed");
            assert_eq!(run["outputs"], serde_json::json!([]));
            assert!(sandbox.git_ml(&["show", "@"]).success().stdout().contains(expected));
        }
    }
}

#[test]
fn trainings_that_cannot_succeed_end_with_one_line_and_no_model() {
    let sandbox = project();
    let fails = |arguments: &[&str], expected: &str| {
        let told = sandbox.git_ml(&[&["train"], arguments].concat()).code(1);
        let errors: Vec<_> =
            told.stderr().lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect();
        assert_eq!(errors.len(), 1, "{told}");
        assert!(errors[0].contains(expected), "{told}");
        assert!(told.stderr().contains("hint: "), "{told}");
    };
    fails(&["cnn", "-p", "optimizer=sgd", "-p", "lr=1e30"], "the loss became ");
    fails(&["cnn", "-p", "filters=2,2,2,2"], "4 convolutions are too many for images of 8×8");
    fails(&["mlp", "-p", "hidden=60000,60000"], "the model would have 36");
    fails(&["mlp", "-p", "device=cuda:7"], "there is no device cuda:7 here");
    assert_eq!(latest(&sandbox)["outputs"], serde_json::json!([]));
}

#[test]
fn a_training_whose_parent_is_killed_is_recorded_and_does_not_go_on() {
    let sandbox = project();
    let mut command = sandbox.git_ml_command();
    command.args(["train", "cnn", "-p", "epochs=100000"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut parent = command.spawn().unwrap();
    let logged = || {
        let runs = fs::read_dir(sandbox.path(".git/ml/live")).into_iter().flatten().flatten();
        let mut logs = runs.filter_map(|run| fs::read_to_string(run.path().join("log.jsonl")).ok());
        logs.any(|log| log.matches("val_accuracy").count() >= 2)
    };
    wait_until("two epochs are logged", logged);
    parent.kill().unwrap();
    parent.wait().unwrap();

    let runs = sandbox.git_ml(&["log", "--json"]).success().json();
    assert_eq!(runs[0]["status"], "crashed");
    assert!(runs[0]["metrics"]["val_accuracy"]["last"].is_number(), "{runs:#}");
    let job = sandbox.path(".git/ml/live").display().to_string();
    let is_ours = |process: &Path| {
        fs::read(process.join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&job))
    };
    let gone = || !fs::read_dir("/proc").into_iter().flatten().flatten().any(|process| is_ours(&process.path()));
    wait_until("the worker has ended", gone);
}

/// Waits for what happens in other processes, which have no other way to tell.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_worker_speaks_for_itself() {
    let sandbox = Sandbox::new();
    let worker = |arguments: &[&str]| {
        let mut command = sandbox.command(WORKER);
        command.args(arguments);
        sandbox.run(command)
    };
    let version = worker(&["--version"]).success().stdout();
    let own = format!("git-ml-torch {}\nlibtorch 2.13.0\ncuda-devices ", env!("CARGO_PKG_VERSION"));
    let devices = version.strip_prefix(&own).and_then(|rest| rest.trim_end().parse::<u32>().ok());
    assert!(devices.is_some(), "{version}");
    worker(&[]).code(2);
    let told = worker(&["train", "nothing.json"]).code(1).stderr();
    assert!(told.starts_with("error: cannot read the job nothing.json: ") && told.lines().count() == 1, "{told}");
    sandbox.write("job.json", "{\"protocol\": 99}");
    worker(&["train", "job.json"]).one_line_error();
}

/// A training of several phases with all that is random in it.
const PHASED: &str = "
[experiments.phased]
model = \"cnn\"
data = \"data/bars\"
filters = [4, 8]
hidden = 16
dropout = 0.5
batch_size = 8
threads = 1
keep = \"best\"
label_smoothing = 0.1
class_weights = \"balanced\"
clip = 1.0

[experiments.phased.phase1]
epochs = 20
lr = 0.003
schedule = \"cosine\"
warmup = 1

[experiments.phased.phase2]
epochs = 20
optimizer = \"sgd\"
lr = 0.001
unfreeze_from = \"hidden\"
";

#[test]
fn a_training_that_is_stopped_goes_on_to_the_same_model() {
    let sandbox = project();
    sandbox.write("ml.toml", format!("{CONFIG}{PHASED}"));
    sandbox.git_ml(&["trust"]).success();
    sandbox.commit("Train in phases");
    sandbox.git_ml(&["train", "phased"]).success();
    let whole = latest(&sandbox);
    assert!(whole["outputs"].as_array().unwrap().iter().all(|output| output["type"] == "model"), "{whole:#}");

    // Stopped in the first phase, then killed in what went on from there.
    let mut arguments = vec!["train".to_owned(), "phased".to_owned()];
    for (epochs, signal, status) in [(3, Signal::INT, "killed"), (24, Signal::KILL, "crashed")] {
        let mut command = sandbox.git_ml_command();
        command.args(&arguments).stdout(Stdio::null()).stderr(Stdio::null());
        let mut parent = command.spawn().unwrap();
        wait_until("some epochs are logged", || logged_epochs(&sandbox) >= epochs);
        kill_process(Pid::from_child(&parent), signal).unwrap();
        parent.wait().unwrap();
        let stopped = latest(&sandbox);
        assert_eq!(stopped["status"], status, "{stopped:#}");
        assert_eq!(stopped["outputs"][0]["type"], "checkpoint", "{stopped:#}");
        arguments = vec!["train".to_owned(), "--resume".to_owned(), stopped["name"].as_str().unwrap().to_owned()];
    }
    sandbox.git_ml(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).success();
    let resumed = latest(&sandbox);
    assert_eq!(resumed["outputs"], whole["outputs"]);
    assert_eq!(resumed["params"], whole["params"]);
    assert_eq!(resumed["metrics"]["val_loss"], whole["metrics"]["val_loss"]);
    sandbox.git_ml(&["train", "--resume", "@"]).code(1);
}

/// Epochs that live runs have logged.
fn logged_epochs(sandbox: &Sandbox) -> usize {
    let runs = fs::read_dir(sandbox.path(".git/ml/live")).into_iter().flatten().flatten();
    let logs = runs.filter_map(|run| fs::read_to_string(run.path().join("log.jsonl")).ok());
    logs.map(|log| log.matches("train_accuracy").count()).max().unwrap_or(0)
}
