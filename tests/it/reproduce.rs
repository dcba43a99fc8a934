//! Running a recorded run once more.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sandbox::{Output, Sandbox};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < PATIENCE, "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What of a repository a reproduction must leave alone.
fn look(sandbox: &Sandbox) -> (String, Vec<u8>, Vec<u8>, String) {
    let status = sandbox.git(&["status", "--porcelain", "--ignored"]).success().stdout();
    let branches = sandbox.git(&["for-each-ref", "refs/heads", "refs/bisect"]).success().stdout();
    (status, sandbox.read_bytes(".git/index"), sandbox.read_bytes(".git/HEAD"), branches)
}

fn assert_nothing_is_left(sandbox: &Sandbox) {
    let worktrees = sandbox.git(&["worktree", "list", "--porcelain"]).success().stdout();
    assert!(!worktrees.contains("scratch"), "{worktrees}");
    let left: Vec<_> = fs::read_dir(sandbox.path(".git/ml/scratch")).map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty(), "{left:?}");
}

fn run_named(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.git_ml(&["show", name, "--json"]).success().json()
}

/// A file of one tensor `layer.weight`.
fn safetensors(values: [f32; 3]) -> Vec<u8> {
    let header = r#"{"layer.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"layer.weight":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.git_ml_command();
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn what_comes_out_the_same_is_identical_and_the_work_tree_stays() {
    let sandbox = Sandbox::new();
    sandbox.write("dätä dir/x.txt", "content of the data\n");
    sandbox.git_ml(&["track", "dätä dir/x.txt"]).success();
    let script = "for step in 1 2 3; do git ml metric loss=0.$step time=$(date +%s%N) --step $step; done\n\
                  mkdir -p out && cat ../'dätä dir/x.txt' code.txt > out/model && git ml metric seed=$SEED hash=$PYTHONHASHSEED\n";
    sandbox.write("my code/train.sh", script);
    sandbox.write("my code/code.txt", "committed\n");
    sandbox.commit("Code");
    sandbox.write("my code/code.txt", "as it ran\n");
    let mut command = sandbox.git_ml_command();
    command.current_dir(sandbox.path("my code")).env("PYTHONHASHSEED", "7");
    command.args(["run", "--name", "one", "-p", "lr=0.1", "-o", "out/model", "--"]);
    command.args(["env", "SEED=3", "sh", "train.sh"]);
    sandbox.run(command).success();
    // Everything moves on.
    sandbox.write("my code/code.txt", "something else\n");
    sandbox.write("my code/train.sh", "exit 7\n");
    sandbox.git_ml(&["untrack", "dätä dir/x.txt"]).success();
    let before = look(&sandbox);
    let again = sandbox.git_ml(&["reproduce", "one", "--json"]).success();
    let told = again.json();
    assert_eq!(told["verdict"], "identical", "{told}");
    assert_eq!(told["metrics_compared"], 3);
    assert_eq!(told["metrics_left_out"], serde_json::json!(["time"]));
    assert_eq!(look(&sandbox), before);
    assert_nothing_is_left(&sandbox);
    let [one, other] = ["one", told["reproduction"].as_str().unwrap()].map(|name| run_named(&sandbox, name));
    assert_eq!(other["tags"]["reproduces"], one["id"]);
    for same in ["command", "params", "inputs", "outputs", "commit", "dirty", "exit_code", "seed"] {
        assert_eq!(other[same], one[same], "{same}");
    }
    assert_eq!(other["dirty"], true);
    // For people, of a linked work tree with a detached HEAD.
    let linked = sandbox.linked_work_tree("linked");
    let told = sandbox.git_ml_in(&linked, &["-q", "reproduce", "one"]).success();
    assert!(told.stdout().starts_with("identical: 3 metrics and 1 output are as in run one\n"), "{told}");
    assert_nothing_is_left(&sandbox);
}

#[test]
fn what_differs_is_told_with_the_first_metric_and_tensor() {
    let sandbox = Sandbox::new();
    let state = sandbox.root().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("1"), safetensors([1.0, 2.0, 3.0])).unwrap();
    fs::write(state.join("2"), safetensors([1.0, 2.0, 3.25])).unwrap();
    fs::write(state.join("now"), "1").unwrap();
    let script = format!(
        "now=$(cat '{0}/now'); cp \"{0}/$now\" model.safetensors\n\
         git ml metric a=1 --step 1; git ml metric b=0.50$now --step 2; git ml metric a=0.9$now --step 3\n",
        state.display()
    );
    sandbox.write("train.sh", script);
    sandbox.commit("Code");
    sandbox.git_ml(&["run", "--name", "one", "-o", "model.safetensors", "--", "sh", "train.sh"]).success();
    fs::write(state.join("now"), "2").unwrap();
    let different = sandbox.git_ml(&["reproduce", "one"]);
    assert_eq!(different.exit_code(), 3, "{different}");
    let told = different.stdout();
    assert!(told.starts_with("different from run one\n  b differs first at step 2: 0.501 before, 0.502 now"), "{told}");
    assert!(told.contains("\n  a differs at step 3: 0.91 before, 0.92 now"), "{told}");
    let output =
        "output model.safetensors differs, model.safetensors first, in it tensor layer.weight (at most 0.25 apart)";
    assert!(told.contains(output), "{told}");
    let within = sandbox.git_ml(&["reproduce", "one", "--tolerance", "0.02", "--json"]).success().json();
    assert_eq!(within["verdict"], "within tolerance");
    assert_eq!(within["metrics"][0]["metric"], "b");
    assert_eq!(within["metrics"][0]["within_tolerance"], true);
    assert_eq!(within["outputs"][0]["first_tensor"], "layer.weight");
    assert_eq!(sandbox.git_ml(&["reproduce", "one", "--tolerance", "0.001"]).exit_code(), 3);
    assert_eq!(sandbox.git_ml(&["reproduce", "one", "--tolerance", "-1"]).exit_code(), 2);
    assert_nothing_is_left(&sandbox);
}

#[test]
fn a_run_that_fails_only_this_time_could_not_be_reproduced() {
    let sandbox = Sandbox::new();
    sandbox.write("train.sh", "cat untracked.txt && git ml metric a=1\n");
    sandbox.commit("Code");
    sandbox.write("untracked.txt", "x");
    sandbox.git_ml(&["run", "--name", "one", "--", "sh", "train.sh"]).success();
    let failed = sandbox.git_ml(&["reproduce", "one"]).one_line_error();
    assert_eq!(failed.exit_code(), 1);
    assert!(failed.stderr().contains("error: run one could not be reproduced: this time it ended with 1"), "{failed}");
    // One that failed before fails again in the same way.
    assert_eq!(sandbox.git_ml(&["run", "--name", "bad", "--", "sh", "-c", "exit 5"]).exit_code(), 5);
    sandbox.git_ml(&["reproduce", "bad"]).success();
    assert_nothing_is_left(&sandbox);
}

#[test]
fn a_recipe_is_run_as_it_was_then() {
    let sandbox = Sandbox::new();
    sandbox.write("train.sh", "mkdir -p out; echo $1 > out/model; git ml metric lr=$1\n");
    sandbox.write(
        "ml.toml",
        "[experiments.small]\ncommand = \"sh train.sh {lr}\"\nparams = { lr = 0.1 }\noutputs = [\"out/model\"]\n",
    );
    sandbox.commit("Code");
    sandbox.git_ml(&["trust"]).success();
    sandbox.git_ml(&["run", "small", "-p", "lr=0.5"]).success();
    sandbox.write("ml.toml", "[experiments.other]\ncommand = \"false\"\n");
    sandbox.commit("Another recipe");
    let told = sandbox.git_ml(&["reproduce", "@", "--json"]).success().json();
    assert_eq!(told["verdict"], "identical");
    let run = run_named(&sandbox, told["reproduction"].as_str().unwrap());
    assert_eq!((&run["experiment"], &run["params"]["lr"]), (&"small".into(), &"0.5".into()));
    assert_eq!(run["outputs"].as_array().unwrap().len(), 1);
}

#[test]
fn the_run_of_somebody_else_is_run_after_it_was_approved_with_data_from_the_remote() {
    let sandbox = Sandbox::new();
    let share = sandbox.root().join("share");
    fs::create_dir(&share).unwrap();
    sandbox.git_ml(&["remote", "add", "share", &format!("file://{}", share.display())]).success();
    sandbox.write("data/x", "content");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.write("train.sh", "git ml metric bytes=$(wc -c < data/x)\n");
    sandbox.commit("Code");
    sandbox.git_ml(&["run", "--name", "one", "--", "sh", "train.sh"]).success();
    let clone = sandbox.clone_to("clone");
    sandbox.git_ml(&["push", "--no-runs"]).success();
    sandbox.git_ml_in(&clone, &["fetch", "--runs-only"]).success();
    let again =
        |arguments: &[&str]| -> Output { sandbox.git_ml_in(&clone, &[&["reproduce", "one"], arguments].concat()) };
    let refused = again(&[]);
    assert_eq!(refused.exit_code(), 1);
    insta::assert_snapshot!(refused.normalised_stderr(), @r"
    run one of ada was not started here, and would run:
      $ sh train.sh
      with the code of commit <commit>
    error: the command of run one has not been approved: the run was not started here
    hint: read it and its code, then approve it with --yes
    ");
    let told = again(&["--yes", "--json"]).success().json();
    assert_eq!(told["verdict"], "identical");
    assert!(!clone.join("data/x").exists(), "the clone's own work tree stays");
    // Without the data anywhere, it says so.
    let bare = sandbox.clone_to("without data");
    fs::remove_dir_all(&share).unwrap();
    sandbox.git_ml_in(&bare, &["fetch", "--runs-only"]).success();
    assert_eq!(sandbox.git_ml_in(&bare, &["reproduce", "one", "--yes"]).exit_code(), 1);
}

#[test]
fn code_that_was_not_shared_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.write("train.sh", "true\n");
    sandbox.commit("Code");
    sandbox.write("train.sh", "git ml metric a=1\n");
    sandbox.git_ml(&["run", "--name", "one", "--", "sh", "train.sh"]).success();
    let origin = sandbox.root().join("origin.git");
    // Without `--no-local` a clone has all objects, also those that nothing names.
    sandbox.git(&["clone", "--quiet", "--no-local", "--bare", ".", origin.to_str().unwrap()]).success();
    sandbox.git(&["remote", "add", "origin", origin.to_str().unwrap()]).success();
    sandbox.git(&["config", "ml.shareSnapshots", "false"]).success();
    sandbox.git_ml(&["push"]).success();
    let clone = sandbox.root().join("clone");
    sandbox.git(&["clone", "--quiet", origin.to_str().unwrap(), clone.to_str().unwrap()]).success();
    sandbox.git_ml_in(&clone, &["fetch"]).success();
    let refused = sandbox.git_ml_in(&clone, &["reproduce", "one", "--yes"]).one_line_error();
    assert!(refused.stderr().contains("it was not committed, and was not shared"), "{refused}");
}

#[test]
fn nothing_is_left_after_a_signal_and_a_kill_is_cleared_away_by_the_next() {
    let sandbox = Sandbox::new();
    let go = sandbox.root().join("go");
    let script =
        format!("touch '{0}.started'; until test -e '{0}'; do sleep 0.05; done; git ml metric a=1\n", go.display());
    sandbox.write("train.sh", script);
    sandbox.commit("Code");
    fs::write(&go, "").unwrap();
    sandbox.git_ml(&["run", "--name", "one", "--", "sh", "train.sh"]).success();
    let started = Path::new(&format!("{}.started", go.display())).to_path_buf();
    for (signal, is_cleared) in [(Signal::INT, true), (Signal::TERM, true), (Signal::KILL, false)] {
        fs::remove_file(&go).unwrap();
        fs::remove_file(&started).unwrap();
        let mut child = start(&sandbox, &["reproduce", "one"]);
        wait_for("the run to start", || started.exists());
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert!(!child.wait().unwrap().success());
        fs::write(&go, "").unwrap();
        if is_cleared {
            assert_nothing_is_left(&sandbox);
            assert_eq!(run_named(&sandbox, "@")["status"], "killed");
        }
    }
    sandbox.git_ml(&["reproduce", "one"]).success();
    assert_nothing_is_left(&sandbox);
}

#[test]
fn a_native_training_is_trained_again_with_the_recipe_and_data_of_then() {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", "[experiments.cnn]\nmodel = \"cnn\"\ndata = \"data/x\"\nlr = 0.5\n");
    sandbox.write("data/x/images", "some bytes");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git_ml(&["trust"]).success();
    sandbox.commit("Describe an experiment");
    // What comes out follows from the recipe, the data and a file that nobody knows of.
    let luck = sandbox.root().join("luck");
    fs::write(&luck, "1").unwrap();
    sandbox.fake_worker(&format!(
        "case $1 in --version) printf 'git-ml-torch 0\\nlibtorch 9.9.9\\n'; exit;; esac\n\
         output=$(sed -n 's/.*\"output\": \"\\(.*\\)\".*/\\1/p' \"$2\")\nmkdir \"$output\"\n\
         grep -E '\"(lr|artifact|threads|epochs)\"' \"$2\" > \"$output/weights\"\n\
         echo \"{{\\\"metrics\\\": {{\\\"test_accuracy\\\": 0.$(cat '{}')}}}}\" >> \"$GIT_ML_LOG\"",
        luck.display()
    ));
    sandbox.git_ml(&["train", "cnn", "--name", "one", "-p", "epochs=2"]).success();
    sandbox.write("ml.toml", "[experiments.cnn]\nmodel = \"mlp\"\ndata = \"data/x\"\n");
    sandbox.write("data/x/images", "other bytes");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Go on");
    let told = sandbox.git_ml(&["reproduce", "one", "--json"]).success().json();
    assert_eq!(told["verdict"], "identical", "{told}");
    let [one, other] = ["one", told["reproduction"].as_str().unwrap()].map(|name| run_named(&sandbox, name));
    assert_eq!(
        (&other["params"], &other["inputs"], &other["outputs"]),
        (&one["params"], &one["inputs"], &one["outputs"])
    );
    fs::write(&luck, "2").unwrap();
    assert_eq!(sandbox.git_ml(&["reproduce", "one"]).exit_code(), 3);
    sandbox.git_ml(&["reproduce", "one", "--tolerance", "0.2"]).success();
    assert_nothing_is_left(&sandbox);
}

#[test]
fn the_work_tree_can_be_kept() {
    let sandbox = Sandbox::new();
    sandbox.write("train.sh", "echo made > made.txt\n");
    sandbox.commit("Code");
    sandbox.git_ml(&["run", "--name", "one", "--", "sh", "train.sh"]).success();
    let kept = sandbox.git_ml(&["reproduce", "one", "--keep"]).success().stderr();
    let place = kept.lines().find_map(|line| line.strip_prefix("it ran in ")?.split(';').next()).unwrap().to_owned();
    assert_eq!(fs::read_to_string(Path::new(&place).join("made.txt")).unwrap(), "made\n");
    sandbox.git_ml(&["reproduce", "one"]).success();
    assert!(Path::new(&place).exists(), "the next one leaves it alone");
    sandbox.git(&["worktree", "remove", "--force", &place]).success();
}

#[test]
fn what_a_command_logs_through_mlflow_and_to_followed_files_is_compared_too() {
    let sandbox = Sandbox::new();
    let script = "test -n \"$MLFLOW_TRACKING_URI\" -a -n \"$MLFLOW_RUN_ID\" || exit 7; mkdir -p logs; \
                  printf 'epoch,loss\\n0,0.5\\n1,0.25\\n' > logs/metrics.csv";
    sandbox.git_ml(&["run", "--name", "one", "--csv-logs", "logs", "--", "sh", "-c", script]).success();
    let verdict = sandbox.git_ml(&["reproduce", "one", "--json"]).success().json();
    assert_eq!((&verdict["verdict"], &verdict["metrics_compared"]), (&"identical".into(), &1.into()));
    let points = sandbox.git_ml(&["show", "@", "--metric", "loss", "--json"]).success().json();
    assert_eq!(points.as_array().unwrap().len(), 2);
    // A recipe's time holds as it does in `git ml run`.
    sandbox.write("ml.toml", "[experiments.slow]\ncommand = 'test -e quick || sleep 60'\ntimeout = \"1s\"\n");
    sandbox.write("quick", "");
    sandbox.git(&["add", "ml.toml"]).success();
    sandbox.git(&["commit", "-qm", "Slow"]).success();
    sandbox.git_ml(&["trust"]).success();
    sandbox.git_ml(&["run", "slow", "--name", "two"]).success();
    let told = sandbox.git_ml(&["reproduce", "two"]).code(1);
    assert!(told.stderr().contains("this time it was ended by SIGTERM"), "{told}");
}
