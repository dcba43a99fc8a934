//! Networks from elsewhere: pretrained weights, modules of Python's, and what Python makes of the results.

use std::fs;
use std::path::Path;
use std::process::Command;

use git_ml::train::ModelFile;
use serde_json::Value;

use crate::images::{example_files, gzip};
use crate::sandbox::Sandbox;

const WORKER: &str = env!("CARGO_BIN_EXE_git-ml-torch");
const CONFIG: &str = "
[experiments.resnet]
model = \"resnet18\"
data = \"data/bars\"
batch_size = 30
lr = 0.001
epochs = 1
threads = 2

[experiments.tuned]
model = \"resnet18\"
data = \"data/bars\"
weights = \"start/weights.safetensors\"
batch_size = 30
threads = 2
normalize = \"imagenet\"
phase1 = { epochs = 1, freeze = true, lr = 0.01 }
phase2 = { epochs = 1, unfreeze_from = \"layer4\", lr = 0.001 }

[experiments.module]
model = \"torchscript\"
file = \"net.pt\"
data = \"data/bars\"
batch_size = 16
lr = 0.01
epochs = 4
threads = 2
";

/// A repository with tracked images and an approved `ml.toml`, and a module of Python's that git tracks.
fn project(count: u32) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.use_worker(WORKER);
    sandbox.write("ml.toml", CONFIG);
    let (images, labels) = example_files(count);
    sandbox.write("data/bars/images-idx3-ubyte.gz", gzip(&images));
    sandbox.write("data/bars/labels-idx1-ubyte", labels);
    sandbox.write("net.pt", module("scripted.pt"));
    sandbox.git_ml(&["trust"]).success();
    sandbox.git_ml(&["track", "data/bars"]).success();
    sandbox.git(&["add", "net.pt"]).success();
    sandbox.commit("Describe the experiments");
    sandbox
}

fn module(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch/modules").join(name)).unwrap()
}

fn latest(sandbox: &Sandbox) -> Value {
    sandbox.git_ml(&["show", "@", "--json"]).success().json()
}

/// A file of the latest run's model.
fn file(sandbox: &Sandbox, name: &str) -> Vec<u8> {
    sandbox.git_ml(&["cat", &format!("run:@:model:{name}")]).success().stdout_bytes().to_vec()
}

fn model_file(sandbox: &Sandbox) -> ModelFile {
    toml::from_str(&String::from_utf8(file(sandbox, "model.toml")).unwrap()).unwrap()
}

/// The sizes of the tensors in a safetensors file, and the bytes of each.
fn tensors(file: &[u8]) -> Vec<(String, Value, Vec<u8>)> {
    let start = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&file[8..start]).unwrap();
    let tensors = header.into_iter().filter(|(name, _)| name != "__metadata__").map(|(name, info)| {
        let offset = |index: usize| start + info["data_offsets"][index].as_u64().unwrap() as usize;
        (name, info["shape"].clone(), file[offset(0)..offset(1)].to_vec())
    });
    tensors.collect()
}

#[test]
fn a_resnet_goes_on_from_tracked_weights_with_its_first_layers_frozen() {
    let sandbox = project(90);
    sandbox.git_ml(&["train", "resnet"]).success();
    let first = file(&sandbox, "model.safetensors");
    assert!(tensors(&first).iter().any(|(name, shape, _)| name == "layer4.1.bn2.running_var" && shape[0] == 512));
    assert!(model_file(&sandbox).made_from.is_none());

    let told = sandbox.git_ml(&["train", "tuned"]).code(1);
    assert!(told.stderr().contains("error: there is no file at start/weights.safetensors"), "{told}");
    sandbox.write("start/weights.safetensors", &first);
    sandbox.git_ml(&["track", "start"]).success();
    sandbox.commit("Start from there");
    // What is trained with is the stored file, not what lies there.
    sandbox.shell("rm -r start/weights.safetensors").success();
    sandbox.git_ml(&["train", "tuned"]).success();
    let run = latest(&sandbox);
    let inputs: Vec<_> = run["inputs"].as_array().unwrap().iter().map(|input| input["path"].clone()).collect();
    assert_eq!(inputs, ["data/bars", "start"]);
    let model = model_file(&sandbox);
    assert_eq!(model.made_from.unwrap().name, "start/weights.safetensors");
    assert_eq!(model.input.shape, [-1, 1, 8, 8]);

    let second = tensors(&file(&sandbox, "model.safetensors"));
    let changed: Vec<_> = tensors(&first).into_iter().filter(|tensor| !second.contains(tensor)).collect();
    let changed: Vec<_> = changed.into_iter().map(|(name, ..)| name).collect();
    assert!(changed.iter().any(|name| name == "layer4.0.bn1.running_mean"), "{changed:?}");
    let starts = ["layer4.", "fc.", "normalise."];
    assert!(changed.iter().all(|name| starts.iter().any(|start| name.starts_with(start))), "{changed:?}");
}

#[test]
fn weights_of_another_model_fail_the_run_with_a_line() {
    let sandbox = project(60);
    sandbox.git_ml(&["train", "module", "-p", "epochs=1"]).success();
    sandbox.write("start/weights.safetensors", file(&sandbox, "model.safetensors"));
    let told = sandbox.git_ml(&["train", "tuned"]).code(1);
    let line =
        "error: start/weights.safetensors does not fit a resnet18: bn1.bias is missing; bn1.running_mean is missing";
    assert!(told.stderr().contains(line), "{told}");
    assert_eq!(latest(&sandbox)["status"], "failed");
    sandbox.write("start/weights.safetensors", b"PK\x03\x04 and so on");
    let told = sandbox.git_ml(&["train", "tuned"]).code(1);
    assert!(told.stderr().contains("weights.safetensors is a file of PyTorch's"), "{told}");
    assert!(told.stderr().contains("hint: in Python: `import torch"), "{told}");
}

#[test]
fn a_module_of_pythons_trains_as_any_other_model() {
    let sandbox = project(300);
    sandbox.git_ml(&["train", "module", "-p", "precision=fp32"]).success();
    let run = latest(&sandbox);
    assert!(run["metrics"]["test_accuracy"]["last"].as_f64().unwrap() > 0.9, "{run:#}");
    let weights = tensors(&file(&sandbox, "model.safetensors"));
    let names: Vec<_> = weights.iter().map(|(name, ..)| name.as_str()).collect();
    for name in ["body.0.weight", "body.1.running_mean", "head.bias", "normalise.mean"] {
        assert!(names.contains(&name), "{names:?}");
    }
    sandbox.git_ml(&["train", "module", "-p", "precision=fp32"]).success();
    assert_eq!(latest(&sandbox)["outputs"][0]["id"], run["outputs"][0]["id"], "again the same bits");
    sandbox.git_ml(&["train", "module", "-p", "precision=bf16", "-p", "channels_last=true"]).success();

    for (name, expected) in [
        ("frozen.pt", "net.pt has no parameters to train"),
        ("traced-in-training.pt", "net.pt gives other logits for an example when others are beside it"),
    ] {
        sandbox.write("net.pt", module(name));
        let told = sandbox.git_ml(&["train", "module"]).code(1);
        assert!(told.stderr().contains(&format!("error: {expected}")), "{told}");
        assert_eq!(latest(&sandbox)["status"], "failed");
    }
}

/// The Python with torch that `GIT_ML_TEST_PYTHON` names, or `python3`; none if it has no torch.
fn python() -> Option<String> {
    let python = std::env::var("GIT_ML_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_torch = Command::new(&python).args(["-c", "import torch"]).output().is_ok_and(|it| it.status.success());
    if !has_torch {
        println!("skipped: {python} has no torch; GIT_ML_TEST_PYTHON names a Python that has");
    }
    has_torch.then_some(python)
}

#[test]
fn the_readmes_python_works_as_it_is() {
    let Some(python) = python() else { return };
    let sandbox = project(150);
    for experiment in ["module", "resnet"] {
        sandbox.git_ml(&["train", experiment]).success();
        let folder = tempfile::tempdir().unwrap();
        for name in ["model.pt", "model.toml", "README.md"] {
            fs::write(folder.path().join(name), file(&sandbox, name)).unwrap();
        }
        let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
        let script = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
        let output = Command::new(&python).current_dir(folder.path()).args(["-c", script]).output().unwrap();
        let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let (class, probability) = told.trim().split_once(' ').unwrap_or_else(|| panic!("{told}{wrong}"));
        assert!(["0", "1", "2"].contains(&class), "{told}");
        assert!((0.3..=1.0).contains(&probability.parse::<f64>().unwrap()), "{told}");
    }
}
