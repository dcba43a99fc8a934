//! Native trainings with a worker of a few lines of shell: all but libtorch.

use serde_json::{Value, json};

use crate::sandbox::{Output, Sandbox};

const CONFIG: &str = "[experiments.cnn]\nmodel = \"cnn\"\ndata = \"data/x\"\nthreads = 3\nlr = 0.5\n";

/// A repository with an approved recipe, tracked data, and a worker that does `body` when it is told to train.
/// `$output` is the folder it is to make.
fn project(body: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", CONFIG);
    sandbox.write("data/x/images", "some bytes");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git_ml(&["trust"]).success();
    sandbox.commit("Describe an experiment");
    sandbox.fake_worker(&format!(
        "case $1 in --version) printf 'git-ml-torch 0\\nlibtorch 9.9.9\\n'; exit;; esac\n\
         output=$(sed -n 's/.*\"output\": \"\\(.*\\)\".*/\\1/p' \"$2\")\n{body}"
    ));
    sandbox
}

fn latest(sandbox: &Sandbox) -> Value {
    sandbox.git_ml(&["show", "@", "--json"]).success().json()
}

fn train(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.git_ml(&[&["train"], arguments].concat())
}

#[test]
fn the_worker_gets_a_job_and_its_model_becomes_an_output() {
    let sandbox = project(
        "cp \"$2\" job-seen.json; env | grep -E '^(OMP|GOMP)_' | sort > variables-seen\n\
         mkdir \"$output\"; echo weights > \"$output/model.safetensors\"\n\
         echo '{\"step\": 1, \"metrics\": {\"val_accuracy\": 0.75}}' >> \"$GIT_ML_LOG\"\n\
         echo '{\"progress\": {\"epoch\": 1, \"epochs\": 1, \"loss\": 0.5}}' >> \"$GIT_ML_LOG\"\n\
         echo '{\"metrics\": {\"test_accuracy\": 0.5, \"test_loss\": NaN}}' >> \"$GIT_ML_LOG\"\n\
         echo epoch 1",
    );
    let told = train(&sandbox, &["-p", "lr=0.25", "--name", "first", "--tag", "why=test"]).success();
    assert_eq!(told.stdout(), "epoch 1\n");
    assert!(told.stderr().contains("test_accuracy 0.5"), "{told}");
    assert!(told.stderr().contains("git ml model register run:first --name cnn"), "{told}");

    let run = latest(&sandbox);
    let pick = |key: &str| run[key].clone();
    assert_eq!((pick("name"), pick("status"), pick("experiment")), (json!("first"), json!("finished"), json!("cnn")));
    assert_eq!(run["params"]["lr"], "0.25");
    assert_eq!(run["params"]["batch_size"], "64");
    assert_eq!(run["tags"]["why"], "test");
    assert_eq!(run["metrics"]["val_accuracy"]["last"], 0.75);
    assert_eq!(run["command"], json!(["git", "ml", "train", "cnn", "-p", "lr=0.25"]));
    assert_eq!(run["environment"]["libtorch"], "9.9.9");
    assert_eq!(run["inputs"][0]["path"], "data/x");
    assert_eq!((&run["outputs"][0]["name"], &run["outputs"][0]["files"]), (&json!("model"), &json!(1)));
    let weights = sandbox.git_ml(&["cat", "run:first:model:model.safetensors"]).success();
    assert_eq!(weights.stdout(), "weights\n");

    let job: Value = serde_json::from_str(&sandbox.read("job-seen.json")).unwrap();
    assert_eq!(job["protocol"], 2);
    assert_eq!(job["data"]["artifact"], run["inputs"][0]["id"]);
    assert_eq!(job["recipe"]["filters"], json!([16, 32]));
    assert_eq!(sandbox.read("variables-seen"), "GOMP_SPINCOUNT=1000\nOMP_NUM_THREADS=3\n");
}

#[test]
fn a_worker_that_fails_gives_its_reason_and_its_exit_code() {
    let sandbox = project("echo '{\"failure\": \"the loss became NaN\"}' >> \"$GIT_ML_LOG\"; exit 9");
    let told = train(&sandbox, &[]).code(9);
    assert!(told.stderr().contains("failed"), "{told}");
    assert!(told.stderr().contains("the loss became NaN"), "{told}");
    let run = latest(&sandbox);
    assert_eq!((&run["status"], &run["exit_code"], &run["outputs"]), (&json!("failed"), &json!(9), &json!([])));

    let sandbox = project("kill -SEGV $$");
    train(&sandbox, &[]).code(139);
    assert_eq!((&latest(&sandbox)["status"], &latest(&sandbox)["signal"]), (&json!("killed"), &json!("SIGSEGV")));
}

#[test]
fn what_cannot_be_trained_is_told_in_a_line_and_is_no_run() {
    let fails = |sandbox: &Sandbox, arguments: &[&str], expected: &str| {
        let told = train(sandbox, arguments).one_line_error();
        assert!(told.stderr().starts_with(&format!("error: {expected}")), "{told}");
        assert_eq!(sandbox.git_ml(&["log", "--json"]).success().json(), json!([]));
    };
    let sandbox = project("");
    fails(&sandbox, &["cnn", "-p", "epoch=3"], "experiment `cnn`: there is no key `epoch`; did you mean `epochs`?");
    fails(&sandbox, &["cnn", "-p", "lr=-1"], "experiment `cnn`: `lr` has to be");
    fails(&sandbox, &["cnn", "-p", "data=../x"], "experiment `cnn`: `data` cannot be `../x`: ");
    fails(&sandbox, &["cnn", "-p", "data=data/y"], "there is no data at data/y");
    fails(&sandbox, &["rnn"], "ml.toml has no experiment `rnn`");
    sandbox.fake_worker("echo 'error while loading shared libraries' >&2; exit 127");
    fails(&sandbox, &[], "the worker <root>".replace("<root>", &sandbox.root().display().to_string()).as_str());
    sandbox.shell("rm -r .git/ml/packs .git/ml/index").success();
    fails(&sandbox, &[], "the data of data/x are not in this store");
    std::fs::remove_file(sandbox.root().join("bin/git-ml-torch")).unwrap();
    fails(&sandbox, &[], "the worker git-ml-torch is not beside git-ml nor on the PATH");
    sandbox.write("ml.toml", format!("{CONFIG}epochs = 2\n"));
    fails(&sandbox, &[], "ml.toml has not been approved");
}
