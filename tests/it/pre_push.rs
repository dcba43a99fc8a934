//! Pushes that need a run: a real `git push` to a bare repository through the installed hook.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use crate::sandbox::{Output, Sandbox};

/// What asks for a run of `small`, whose accuracy is what `accuracy` has less its parameter.
const CONFIG: &str = r#"
[experiments.small]
command = "sh train.sh {handicap}"
params = { handicap = 0.05 }
inputs = ["data/x"]

[hooks.pre-push]
experiment = "small"
paths = ["train.sh", "src/**"]

[gates.push]
require = ["metrics.accuracy >= 0.9", "not dirty"]
"#;

/// A training: its accuracy follows from the code, the data and the parameter.
const SCRIPT: &str =
    "echo training\ngit ml metric accuracy=$(awk -v c=$1 '{ print $1 - c }' data/x) && git rev-parse --show-toplevel\n";

/// A project that asks for a run, approved and committed, with an empty bare repository as `origin`.
fn project(config: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(&["ml", "init", "--quiet"]).success();
    sandbox.write("ml.toml", config);
    sandbox.write("train.sh", SCRIPT);
    sandbox.write("data/x", "1.0\n");
    sandbox.git(&["ml", "track", "--quiet", "data/x"]).success();
    sandbox.git(&["ml", "trust"]).success();
    sandbox.commit("Begin");
    let root = sandbox.root().to_path_buf();
    let remote = root.join("remote.git");
    sandbox.git(&["init", "--quiet", "--bare", remote.to_str().unwrap()]).success();
    sandbox.git(&["remote", "add", "origin", remote.to_str().unwrap()]).success();
    sandbox.git(&["ml", "remote", "add", "--local", "share", root.join("share").to_str().unwrap()]).success();
    sandbox
}

fn runs(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.git(&["ml", "log", "--json"]).success().json().as_array().unwrap().clone()
}

/// Writes a file and commits it, with `ml.toml` approved.
fn commit(sandbox: &Sandbox, path: &str, content: &str) -> String {
    sandbox.write(path, content);
    sandbox.git(&["ml", "trust"]).success();
    sandbox.commit(&format!("Change {path}"))
}

fn push(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.git(&[&["push", "--quiet"], arguments].concat())
}

/// What a ref of the bare repository points to; empty where it is not there.
fn remote_ref(sandbox: &Sandbox, name: &str) -> String {
    let remote = sandbox.root().join("remote.git");
    sandbox
        .git(&["-C", remote.to_str().unwrap(), "for-each-ref", "--format=%(objectname)", name])
        .stdout()
        .trim()
        .into()
}

#[test]
fn the_first_push_trains_the_next_use_the_result_and_a_worse_one_is_refused() {
    let sandbox = project(CONFIG);
    let first = push(&sandbox, &["origin", "main"]).success();
    let told = first.stderr();
    for words in [
        "small has to run before main is pushed: it is new there\n",
        "git -c ml.prePush=false push",
        "training\n",
        "main: run ",
        " of small has the result, and passes the gate push: 2 conditions\n",
    ] {
        assert!(told.contains(words), "{words}: {first}");
    }
    assert_eq!(first.stdout(), "", "what git prints there is for programs");
    let run = &runs(&sandbox)[0];
    assert_eq!((&run["tags"]["pre-push"], &run["dirty"]), (&"main".into(), &false.into()), "{run}");
    assert_eq!(remote_ref(&sandbox, "refs/heads/main"), sandbox.git(&["rev-parse", "main"]).stdout().trim());

    // What does not matter to the run asks for none, and a branch of the same is the same.
    let commit_of = commit(&sandbox, "README.md", "Better words.\n");
    assert_eq!(push(&sandbox, &["origin", "main"]).success().stderr(), "");
    assert_eq!(push(&sandbox, &["origin", "main:other"]).success().stderr(), "");
    let elsewhere = sandbox.root().join("elsewhere.git");
    sandbox.git(&["init", "--quiet", "--bare", elsewhere.to_str().unwrap()]).success();
    let known = push(&sandbox, &[elsewhere.to_str().unwrap(), "main"]).success();
    assert!(known.stderr().contains("of small has the result already, and passes the gate push"), "{known}");
    assert_eq!(runs(&sandbox).len(), 1);

    // A harmful change of the recipe.
    commit(&sandbox, "ml.toml", &CONFIG.replace("handicap = 0.05", "handicap = 0.5"));
    let refused = push(&sandbox, &["origin", "main"]).code(1);
    let told = refused.stderr();
    assert!(told.contains("before main is pushed: its parameter handicap changed\n"), "{refused}");
    assert!(told.contains("error: git does not push to main: run "), "{refused}");
    assert!(told.contains("\n  metrics.accuracy >= 0.9: metrics.accuracy is 0.5 (run "), "{refused}");
    assert!(told.contains("\nhint: `git ml show ") && told.contains("`git push --no-verify`"), "{refused}");
    assert_eq!(remote_ref(&sandbox, "refs/heads/main"), commit_of);
    assert_eq!(runs(&sandbox).len(), 2);
    // Trying again trains nothing, and is refused all the same.
    let again = push(&sandbox, &["origin", "main"]).code(1);
    assert!(!again.stderr().contains("training"), "{again}");
    assert_eq!(runs(&sandbox).len(), 2);
    // The two ways past it.
    let aside = sandbox.git(&["-c", "ml.prePush=false", "push", "--quiet", "origin", "main:aside"]).success();
    assert_eq!(aside.stderr(), "ml.prePush is off: no run is asked for\n");
    push(&sandbox, &["--no-verify", "origin", "main"]).success();
    assert_eq!(remote_ref(&sandbox, "refs/heads/main"), sandbox.git(&["rev-parse", "main"]).stdout().trim());
}

#[test]
fn code_data_and_parameters_ask_for_a_run_and_a_push_that_needs_none_is_fast() {
    let sandbox = project(CONFIG);
    push(&sandbox, &["origin", "main"]).success();
    let reason = |sandbox: &Sandbox| {
        let told = push(sandbox, &["origin", "main"]).success().stderr();
        told.lines().find_map(|line| line.split_once("is pushed: ").map(|(_, reason)| reason.to_owned()))
    };
    commit(&sandbox, "src/deep/part.sh", "true\n");
    assert_eq!(reason(&sandbox).unwrap(), "src/deep/part.sh changed");
    sandbox.write("data/x", "0.97\n");
    sandbox.git(&["ml", "track", "--quiet", "data/x"]).success();
    sandbox.commit("Other data");
    assert_eq!(reason(&sandbox).unwrap(), "the data at data/x changed");
    commit(&sandbox, "ml.toml", &CONFIG.replace("sh train.sh {handicap}", "sh ./train.sh {handicap}"));
    assert_eq!(reason(&sandbox).unwrap(), "its command changed");
    // The gate alone is no reason to train.
    commit(&sandbox, "ml.toml", &CONFIG.replace("sh train.sh", "sh ./train.sh").replace("0.9\"", "0.8\""));
    assert_eq!(reason(&sandbox), None);
    assert_eq!(runs(&sandbox).len(), 4);

    // Everybody's machine is busy at times: the best of some counts.
    let time = |arguments: &[&str]| {
        let times = (0..5).map(|round| {
            commit(&sandbox, "README.md", &format!("{round} {arguments:?}\n"));
            let start = Instant::now();
            push(&sandbox, &[arguments, &["origin", "main"]].concat()).success();
            start.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min)
    };
    let (with, without) = (time(&[]), time(&["--no-verify"]));
    assert!(with - without < 1.0, "a program that is not optimised took {with} s, and {without} s without the hook");
}

#[test]
fn what_is_pushed_is_what_runs() {
    let sandbox = project(CONFIG);
    // What stands in the work tree is worse, and untracked files are of no use.
    sandbox.write("train.sh", "exit 9\n");
    sandbox.write("src/untracked.sh", "git ml metric accuracy=0.99\n");
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().contains("in a work tree of its own, since yours is not what is pushed"), "{pushed}");
    assert!(pushed.stderr().contains(".git/ml/scratch/"), "{pushed}");
    assert_eq!(sandbox.read("train.sh"), "exit 9\n");
    assert_eq!(fs::read_dir(sandbox.path(".git/ml/scratch")).unwrap().count(), 0, "it goes when it is over");
    let run = &runs(&sandbox)[0];
    assert_eq!(run["commit"].as_str(), Some(sandbox.git(&["rev-parse", "main"]).stdout().trim()));
    sandbox.git(&["checkout", "--quiet", "train.sh"]).success();

    // A run by hand counts if it had no other code, also where that was not committed yet.
    sandbox.write("train.sh", format!("{SCRIPT}# one\n"));
    sandbox.git(&["ml", "run", "--quiet", "small"]).success();
    sandbox.git(&["commit", "--quiet", "--all", "--message", "One"]).success();
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().contains("training"), "src/untracked.sh may have been a part of it: {pushed}");
    fs::remove_file(sandbox.path("src/untracked.sh")).unwrap();
    sandbox.write("notes.txt", "of no use to the run");
    sandbox.write("train.sh", format!("{SCRIPT}# two\n"));
    sandbox.git(&["ml", "run", "--quiet", "small"]).success();
    sandbox.git(&["commit", "--quiet", "--all", "--message", "Two"]).success();
    let runs_before = runs(&sandbox).len();
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().contains("training"), "the gate asks for code that is committed: {pushed}");
    assert_eq!(runs(&sandbox).len(), runs_before + 1);
    let lax = CONFIG.replace(", \"not dirty\"", "");
    sandbox.write("ml.toml", &lax);
    sandbox.git(&["ml", "trust"]).success();
    sandbox.write("train.sh", format!("{SCRIPT}# three\n"));
    sandbox.git(&["ml", "run", "--quiet", "small"]).success();
    sandbox.git(&["commit", "--quiet", "--all", "--message", "Three"]).success();
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().contains("of small has the result already"), "{pushed}");

    // Data that is not as its pointer says is not what is pushed either.
    commit(&sandbox, "train.sh", &format!("{SCRIPT}# four\n"));
    let runs_before = runs(&sandbox).len();
    sandbox.write("data/x", "0.1\n");
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().contains("in a work tree of its own"), "{pushed}");
    assert_eq!(sandbox.read("data/x"), "0.1\n");
    assert_eq!(runs(&sandbox).len(), runs_before + 1);
}

#[test]
fn other_branches_detached_heads_and_linked_work_trees_push_what_they_have() {
    let sandbox = project(CONFIG);
    sandbox.git(&["checkout", "--quiet", "-b", "worse"]).success();
    commit(&sandbox, "ml.toml", &CONFIG.replace("handicap = 0.05", "handicap = 0.6"));
    sandbox.git(&["checkout", "--quiet", "main"]).success();
    // Several refs at once: each branch counts, and nothing goes out unless all pass.
    let refused = push(&sandbox, &["origin", "main", "worse"]).code(1);
    assert!(
        refused.stderr().contains("main: run ") && refused.stderr().contains("does not push to worse"),
        "{refused}"
    );
    assert_eq!(remote_ref(&sandbox, "refs/heads/main"), "");
    push(&sandbox, &["origin", "main"]).success();
    sandbox.git(&["checkout", "--quiet", "--detach", "main"]).success();
    commit(&sandbox, "src/a", "a");
    let detached = push(&sandbox, &["origin", "HEAD:refs/heads/detached"]).success();
    assert!(detached.stderr().contains("has to run before detached is pushed"), "{detached}");
    // Tags and deleted refs ask for nothing.
    sandbox.git(&["tag", "--annotate", "--message", "v1", "v1", "worse"]).success();
    assert_eq!(push(&sandbox, &["origin", "v1"]).success().stderr(), "");
    assert_eq!(push(&sandbox, &["origin", ":detached"]).success().stderr(), "");
    // A forced push over what the remote has.
    sandbox.git(&["checkout", "--quiet", "main"]).success();
    commit(&sandbox, "src/b", "b");
    push(&sandbox, &["origin", "main"]).success();
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]).success();
    let forced = push(&sandbox, &["--force", "origin", "main"]).success();
    assert!(forced.stderr().contains("has the result already"), "{forced}");

    let linked = sandbox.linked_work_tree("linked");
    fs::write(linked.join("train.sh"), format!("{SCRIPT}# linked\n")).unwrap();
    let folder = linked.to_str().unwrap();
    sandbox.git(&["-C", folder, "commit", "--quiet", "--all", "--message", "Linked"]).success();
    let pushed = sandbox.git(&["-C", folder, "push", "--quiet", "origin", "linked"]).success();
    assert!(pushed.stderr().contains("training") && pushed.stderr().contains(folder), "{pushed}");
    let found = sandbox.git(&["ml", "log", "--json", "--where", "branch = 'linked' and not dirty"]).success().json();
    assert_eq!(found.as_array().unwrap().len(), 1, "it ran there");
}

#[test]
fn a_command_that_reads_all_data_reads_that_of_the_commit_alone() {
    let sandbox = project(&CONFIG.replace("inputs = [\"data/x\"]\n", ""));
    sandbox.write("data/new", "not committed yet");
    sandbox.git(&["ml", "track", "--quiet", "data/new"]).success();
    sandbox.git(&["checkout", "--quiet", "data/.gitignore"]).success();
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().contains("in a work tree of its own"), "{pushed}");
    let inputs = runs(&sandbox)[0]["inputs"].as_array().unwrap().len();
    assert_eq!(inputs, 1);
}

#[test]
fn only_the_branches_that_are_meant_ask_for_a_run() {
    let sandbox = project(&CONFIG.replace("paths =", "branches = [\"main\", \"release/*\"]\npaths ="));
    assert_eq!(push(&sandbox, &["origin", "main:try"]).success().stderr().lines().count(), 1, "the data is sent");
    let release = push(&sandbox, &["origin", "main:release/1"]).success();
    assert_eq!(runs(&sandbox).len(), 0, "the remote has all that matters already: {release}");
    commit(&sandbox, "src/a", "a");
    assert_eq!(push(&sandbox, &["origin", "main:try"]).success().stderr(), "");
    let release = push(&sandbox, &["origin", "main:release/1"]).success();
    assert!(release.stderr().contains("before release/1 is pushed: src/a changed"), "{release}");
}

#[test]
fn a_clone_runs_nothing_before_its_ml_toml_is_approved() {
    let sandbox = project(CONFIG);
    push(&sandbox, &["origin", "main"]).success();
    sandbox.git(&["ml", "push", "--quiet"]).success();
    for (depth, name) in [("1", "shallow"), ("100", "whole")] {
        let remote = format!("file://{}", sandbox.root().join("remote.git").display());
        let clone = sandbox.root().join(name);
        let folder = clone.to_str().unwrap();
        sandbox.git(&["clone", "--quiet", "--depth", depth, &remote, folder]).success();
        let git = |arguments: &[&str]| sandbox.git(&[&["-C", folder], arguments].concat());
        git(&["ml", "init", "--quiet"]).success();
        let share = sandbox.root().join("share");
        git(&["ml", "remote", "add", "--local", "share", share.to_str().unwrap()]).success();
        git(&["config", "ml.changedData", "ignore"]).success();
        fs::write(clone.join("train.sh"), format!("touch '{folder}/ran'\n{SCRIPT}# {name}\n")).unwrap();
        git(&["commit", "--quiet", "--all", "--message", "Change"]).success();
        let branch = format!("HEAD:refs/heads/{name}");
        let refused = git(&["push", "--quiet", "origin", &branch]).code(1);
        assert!(refused.stderr().contains("error: git does not push: `small` has to run for"), "{refused}");
        assert!(refused.stderr().contains("the ml.toml that is pushed has not been approved"), "{refused}");
        assert!(refused.stderr().contains("`git ml trust`"), "{refused}");
        assert!(!clone.join("ran").exists());
        git(&["ml", "trust"]).success();
        git(&["push", "--quiet", "origin", &branch]).success();
        assert!(clone.join("ran").exists(), "its data was fetched, and it ran");
    }

    // A run that somebody else made is used as it is: nothing has to run for that.
    let clone = sandbox.clone_to("clone");
    let folder = clone.to_str().unwrap();
    let git = |arguments: &[&str]| sandbox.git(&[&["-C", folder], arguments].concat());
    git(&["remote", "set-url", "origin", sandbox.root().join("remote.git").to_str().unwrap()]).success();
    git(&["ml", "init", "--quiet"]).success();
    git(&["ml", "remote", "add", "--local", "share", sandbox.root().join("share").to_str().unwrap()]).success();
    git(&["ml", "fetch", "--quiet"]).success();
    git(&["update-ref", "-d", "refs/remotes/origin/main"]).success();
    let pushed = git(&["push", "--quiet", "origin", "main:from-clone"]).success();
    assert!(pushed.stderr().contains("of small has the result already"), "{pushed}");
}

#[test]
fn a_run_that_fails_and_what_cannot_be_read_refuse_the_push() {
    let sandbox = project(CONFIG);
    commit(&sandbox, "train.sh", "echo no luck; exit 4\n");
    let failed = push(&sandbox, &["origin", "main"]).code(1);
    assert!(failed.stderr().contains("no luck\n"), "{failed}");
    assert!(failed.stderr().contains(" of `small` failed\nhint: `git ml show "), "{failed}");
    assert_eq!(push(&sandbox, &["origin", "main"]).code(1).stderr().matches("no luck").count(), 1, "it may pass now");

    let error = |config: &str| {
        commit(&sandbox, "ml.toml", config);
        push(&sandbox, &["origin", "main"]).code(1).stderr()
    };
    let runs_before = runs(&sandbox).len();
    let told = error(&CONFIG.replace("experiment = \"small\"", "experiment = \"smal\""));
    assert!(told.starts_with("error: ml.toml has no experiment `smal`\nhint: it has small"), "{told}");
    let told = error(&CONFIG.replace("paths =", "gates = \"nowhere\"\npaths ="));
    assert!(told.starts_with("error: [hooks.pre-push] in ml.toml names the gate `nowhere`"), "{told}");
    assert!(told.contains("hint: its gates are push"), "{told}");
    let told = error(&CONFIG.replace("paths =", "gates = [\"metrics.accuracy >>= 0.9\"]\npaths ="));
    assert!(told.starts_with("error: ml.toml: line 9, column "), "{told}");
    assert!(told.contains("hooks.pre-push: `metrics.accuracy >>= 0.9`"), "{told}");
    assert_eq!(runs(&sandbox).len(), runs_before, "all of that is told before anything runs");
    assert_eq!(remote_ref(&sandbox, "refs/heads/main"), "");

    // Conditions of its own, and none at all.
    commit(&sandbox, "train.sh", SCRIPT);
    let told = error(&CONFIG.replace("paths =", "gates = [\"metrics.accuracy > 0.99\"]\npaths ="));
    assert!(told.contains("does not pass the gate hooks.pre-push\n  metrics.accuracy > 0.99: "), "{told}");
    commit(&sandbox, "ml.toml", CONFIG.split("[gates").next().unwrap());
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().ends_with("of small has the result already\n"), "{pushed}");
    // A commit whose ml.toml cannot be read may ask for a run.
    sandbox.write("ml.toml", format!("{CONFIG}\nnonsense = ["));
    sandbox.commit("Nonsense");
    sandbox.git(&["checkout", "--quiet", "HEAD~1"]).success();
    let told = push(&sandbox, &["origin", "main"]).code(1).stderr();
    assert!(told.starts_with("error: ml.toml: line "), "{told}");
}

/// A training that waits until somebody reads and writes: `started` and `go` are pipes.
fn waiting_project() -> (Sandbox, PathBuf) {
    let sandbox = project(CONFIG);
    let pipes = sandbox.root().join("pipes");
    fs::create_dir(&pipes).unwrap();
    sandbox.shell(&format!("mkfifo '{0}/started' '{0}/go'", pipes.display())).success();
    let script = format!("echo here >'{0}/started'\nread line <'{0}/go'\n{SCRIPT}", pipes.display());
    commit(&sandbox, "train.sh", &script);
    (sandbox, pipes)
}

/// Starts a push and returns when the training has begun.
fn start_push(sandbox: &Sandbox, pipes: &Path) -> Child {
    let mut command = sandbox.command("git");
    command.args(["push", "origin", "main"]).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().unwrap();
    assert_eq!(fs::read_to_string(pipes.join("started")).unwrap(), "here\n");
    child
}

#[test]
fn a_second_push_while_one_trains_is_told_so() {
    let (sandbox, pipes) = waiting_project();
    let mut first = start_push(&sandbox, &pipes);
    let name = runs(&sandbox)[0]["name"].as_str().unwrap().to_owned();
    let second = push(&sandbox, &["origin", "main:second"]).code(1);
    let told = format!("error: git does not push: another push is running `small` at this moment, as run {name}\n");
    assert!(second.stderr().contains(&told), "{second}");
    assert!(second.stderr().contains("hint: push again when it has ended, which then uses its result"), "{second}");
    fs::write(pipes.join("go"), "go\n").unwrap();
    let mut stderr = String::new();
    first.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(first.wait().unwrap().success(), "{stderr}");
    push(&sandbox, &["origin", "main:second"]).success();
    assert_eq!(runs(&sandbox).len(), 1);
}

#[test]
fn ctrl_c_ends_the_training_and_the_push() {
    let (sandbox, pipes) = waiting_project();
    let mut child = start_push(&sandbox, &pipes);
    // As a terminal does it: to git, the hook and the training at once.
    kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(!child.wait().unwrap().success());
    // git passes it on once more, which is as if it were pressed twice: the second one kills.
    assert!(stderr.contains(" killed by SIG") && stderr.contains("\nnothing was pushed\n"), "{stderr}");
    assert_eq!(runs(&sandbox)[0]["status"], "killed");
    assert_eq!(remote_ref(&sandbox, "refs/heads/main"), "");

    // Who ends the hook alone ends the push too, and a run that was killed is nobody's result.
    let mut child = start_push(&sandbox, &pipes);
    let hook = sandbox.shell("pgrep -f '^[^ ]*git-ml hook pre-push' || true").stdout();
    let parents: Vec<i32> = hook.lines().filter_map(|line| line.trim().parse().ok()).collect();
    let own = parents
        .into_iter()
        .filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(sandbox.root())));
    own.for_each(|pid| kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(!child.wait().unwrap().success(), "{stderr}");
    assert!(stderr.contains("nothing was pushed\n"), "{stderr}");
    assert_eq!(remote_ref(&sandbox, "refs/heads/main"), "");
    assert_eq!(runs(&sandbox).len(), 2);
}

#[test]
fn a_native_training_depends_on_its_recipe_and_its_data_alone() {
    let config = "[experiments.cnn]\nmodel = \"cnn\"\ndata = \"data/x\"\nepochs = 3\n\
                  [hooks.pre-push]\nexperiment = \"cnn\"\ngates = [\"metrics.test_accuracy >= 0.9\"]\n";
    let sandbox = project(config);
    sandbox.fake_worker(
        "case $1 in --version) printf 'git-ml-torch 0\\nlibtorch 9.9.9\\n'; exit;; esac\n\
         output=$(sed -n 's/.*\"output\": \"\\(.*\\)\".*/\\1/p' \"$2\")\n\
         mkdir \"$output\"; echo weights > \"$output/model.safetensors\"\n\
         accuracy=$(grep -c '\"epochs\": 3' \"$2\")\n\
         echo \"{\\\"metrics\\\": {\\\"test_accuracy\\\": $accuracy}}\" >> \"$GIT_ML_LOG\"",
    );
    let pushed = push(&sandbox, &["origin", "main"]).success();
    assert!(pushed.stderr().contains("of cnn has the result, and passes the gate hooks.pre-push"), "{pushed}");
    // What the machine decided is in the run and not in the recipe.
    assert_ne!(runs(&sandbox)[0]["params"]["threads"], "0");
    commit(&sandbox, "train.sh", "no native training reads this\n");
    assert_eq!(push(&sandbox, &["origin", "main"]).success().stderr(), "");
    let elsewhere = sandbox.root().join("elsewhere.git");
    sandbox.git(&["init", "--quiet", "--bare", elsewhere.to_str().unwrap()]).success();
    let known = push(&sandbox, &[elsewhere.to_str().unwrap(), "main"]).success();
    assert!(known.stderr().contains("of cnn has the result already"), "{known}");
    // Without the worker what is known is known still.
    fs::remove_file(sandbox.root().join("bin/git-ml-torch")).unwrap();
    push(&sandbox, &[elsewhere.to_str().unwrap(), "main:again"]).success();
    commit(&sandbox, "ml.toml", &config.replace("epochs = 3", "epochs = 4"));
    let refused = push(&sandbox, &["origin", "main"]).code(1);
    assert!(refused.stderr().contains("error: the worker git-ml-torch is not beside git-ml"), "{refused}");
    assert!(refused.stderr().contains("before main is pushed: its parameter epochs changed"), "{refused}");

    // Data that is in no commit cannot be what is pushed.
    sandbox.write("data/y/file", "y");
    sandbox.write(".gitignore", "/data/y\n");
    commit(&sandbox, "ml.toml", &config.replace("data/x", "data/y"));
    let refused = push(&sandbox, &["origin", "main"]).code(1);
    assert!(refused.stderr().contains("the data of `cnn` at data/y is not in what is pushed"), "{refused}");
}
