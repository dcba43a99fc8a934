//! Runs: what is recorded, that nothing is lost, and that the command hardly notices.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sandbox::Sandbox;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < PATIENCE, "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn log(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.git_ml(&["log", "--json"]).success().json().as_array().unwrap().clone()
}

fn only_run(sandbox: &Sandbox) -> Value {
    let runs = log(sandbox);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

/// The live folders that there are.
fn live(sandbox: &Sandbox) -> Vec<String> {
    let Ok(entries) = fs::read_dir(sandbox.path(".git/ml/live")) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn start(sandbox: &Sandbox, script: &str) -> Child {
    let mut command = sandbox.git_ml_command();
    command.args(["run", "--", "sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn recorded_commits(sandbox: &Sandbox) -> usize {
    let output = sandbox.git(&["rev-list", "--first-parent", "--min-parents=1", "--count", "refs/ml/runs"]);
    output.success().stdout().trim().parse().unwrap()
}

#[test]
fn a_command_is_recorded_with_what_it_logged_and_its_exit_code_is_passed_on() {
    let sandbox = Sandbox::new();
    let script = "printf 'out\\0\\377\\n'; echo err >&2; git ml metric accuracy=0.5 loss=nan --step 4; git ml param opt=adam; \
                  echo '{\"step\": 7, \"val_loss\": 0.25, \"tags\": {\"kind\": \"test\"}}' >> $GIT_ML_LOG; echo $GIT_ML_RUN_NAME; exit 3";
    let output = sandbox.git_ml(&["run", "-p", "lr=0.1", "--tag", "a=b", "--name", "first", "--", "sh", "-c", script]);
    assert_eq!(output.exit_code(), 3);
    assert_eq!(output.stdout_bytes(), b"out\0\xff\nfirst\n");
    assert!(output.stderr().contains("err\n"));

    let run = only_run(&sandbox);
    assert_eq!(run["name"], "first");
    assert_eq!(run["status"], "failed");
    assert_eq!(run["exit_code"], 3);
    assert_eq!(run["signal"], Value::Null);
    assert_eq!(run["dirty"], false);
    assert_eq!(run["params"], serde_json::json!({"lr": "0.1", "opt": "adam"}));
    assert_eq!(run["tags"], serde_json::json!({"a": "b", "kind": "test"}));
    assert_eq!(run["metrics"]["accuracy"], serde_json::json!({"last": 0.5, "min": 0.5, "max": 0.5, "best_step": 4}));
    assert_eq!(run["metrics"]["loss"]["last"], "NaN");
    assert_eq!(run["user"], "ada");
    let keys: Vec<&String> = run.as_object().unwrap().keys().collect();
    let contract = "id name status experiment commit snapshot dirty started ended duration_s params metrics tags inputs outputs \
                    exit_code signal user host";
    assert_eq!(keys, contract.split(' ').collect::<Vec<_>>());

    let shown = sandbox.git_ml(&["show", "first", "--json"]).success().json();
    assert_eq!(shown["command"][0], "sh");
    assert!(shown["environment"]["git_ml"].is_string());
    let log = sandbox.git_ml(&["show", "first", "--log"]).success();
    assert_eq!(log.stdout_bytes().len(), b"out\0\xff\nerr\nfirst\n".len());
    let points = sandbox.git_ml(&["show", "@", "--metric", "val_loss", "--json"]).success().json();
    assert_eq!((&points[0]["step"], &points[0]["value"]), (&7.into(), &0.25.into()));
    assert_eq!(live(&sandbox), [""; 0]);

    // What somebody without git-ml sees.
    let history = sandbox.git(&["log", "--first-parent", "--format=%s", "-1", "refs/ml/runs"]).success().stdout();
    assert_eq!(history, "first: failed, val_loss 0.25\n");
    let id = run["id"].as_str().unwrap();
    let place = format!("refs/ml/runs:{}/{id}/run.toml", &id[30..]);
    assert!(sandbox.git(&["show", &place]).success().stdout().contains("lr = \"0.1\""));
}

#[test]
fn the_snapshot_holds_what_ran_and_head_index_and_work_tree_stay() {
    let sandbox = Sandbox::new();
    sandbox.write("staged.py", "old\n");
    sandbox.write("unstaged.py", "old\n");
    let head = sandbox.commit("Code");
    sandbox.write("staged.py", "staged\n");
    sandbox.git(&["add", "staged.py"]).success();
    sandbox.write("unstaged.py", "unstaged\n");
    sandbox.write("untracked.py", "untracked\n");
    let look = || {
        let status = sandbox.git(&["status", "--porcelain"]).success().stdout();
        (
            status,
            sandbox.read_bytes(".git/index"),
            sandbox.read_bytes(".git/HEAD"),
            sandbox.git(&["rev-parse", "HEAD"]).stdout(),
        )
    };
    let before = look();
    // A collection while the command runs must not take the snapshot away.
    let command = "cat staged.py unstaged.py && git gc --quiet --prune=now";
    sandbox.git_ml(&["run", "--", "sh", "-c", command]).success();
    assert_eq!(look(), before);
    assert_eq!(sandbox.git(&["for-each-ref", "refs/ml/live/"]).success().stdout(), "");

    let run = only_run(&sandbox);
    assert_eq!((&run["dirty"], &run["commit"]), (&true.into(), &head.into()));
    let snapshot = run["snapshot"].as_str().unwrap();
    for (file, content) in [("staged.py", "staged\n"), ("unstaged.py", "unstaged\n")] {
        assert_eq!(sandbox.git(&["show", &format!("{snapshot}:{file}")]).success().stdout(), content);
    }
    assert_ne!(sandbox.git(&["cat-file", "-e", &format!("{snapshot}:untracked.py")]).exit_code(), 0);
    // Nothing else keeps the snapshot, so the record does.
    sandbox.git(&["gc", "--quiet", "--prune=now"]).success();
    sandbox.git(&["cat-file", "-e", snapshot]).success();
    assert_eq!(only_run(&sandbox)["id"], run["id"]);
}

#[test]
fn a_run_whose_parent_is_killed_is_recorded_as_crashed_with_its_metrics() {
    let sandbox = Sandbox::new();
    let script = "i=0; while [ $i -lt 5 ]; do echo \"{\\\"step\\\": $i, \\\"loss\\\": 0.$i}\" >> $GIT_ML_LOG; i=$((i+1)); done; \
                  printf '{\"loss\": 0.' >> $GIT_ML_LOG; git ml metric accuracy=0.75; echo ready; exec sleep 60";
    let mut child = start(&sandbox, script);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let running = only_run(&sandbox);
    assert_eq!(running["status"], "running");
    assert_eq!(running["metrics"]["loss"]["last"], 0.4);

    signal(&child, Signal::KILL);
    child.wait().unwrap();
    let run = only_run(&sandbox);
    assert_eq!(run["status"], "crashed");
    assert_eq!(run["id"], running["id"]);
    assert_eq!(run["metrics"]["loss"], serde_json::json!({"last": 0.4, "min": 0.0, "max": 0.4, "best_step": 0}));
    assert_eq!(run["metrics"]["accuracy"]["last"], 0.75);
    assert!(run["ended"].is_string());
    assert_eq!(live(&sandbox), [""; 0]);
    assert_eq!(sandbox.git_ml(&["show", "@", "--log"]).success().stdout(), "ready\n");
    assert_eq!(recorded_commits(&sandbox), 1);
}

#[test]
fn two_that_recover_at_once_record_once() {
    let sandbox = Sandbox::new();
    for _ in 0..3 {
        let mut child = start(&sandbox, "echo ready; exec sleep 60");
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        signal(&child, Signal::KILL);
        child.wait().unwrap();
    }
    let recoverers: Vec<Child> = (0..6)
        .map(|_| {
            sandbox
                .git_ml_command()
                .args(["log", "--json"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut recoverer in recoverers {
        assert!(recoverer.wait().unwrap().success());
    }
    assert_eq!(log(&sandbox).len(), 3);
    assert_eq!(recorded_commits(&sandbox), 3);
    assert_eq!(live(&sandbox), [""; 0]);
}

#[test]
fn a_parent_killed_after_the_commit_leaves_only_its_folder_to_be_removed() {
    let sandbox = Sandbox::new();
    sandbox.git_ml(&["run", "--", "true"]).success();
    let id = only_run(&sandbox)["id"].as_str().unwrap().to_owned();
    let record = sandbox.git(&["show", &format!("refs/ml/runs:{}/{id}/run.toml", &id[30..])]).success().stdout();
    sandbox.write(format!(".git/ml/live/{id}/run.toml"), record.replace("finished", "running") + "# whole\n");
    assert_eq!(only_run(&sandbox)["status"], "finished");
    assert_eq!(live(&sandbox), [""; 0]);
    assert_eq!(recorded_commits(&sandbox), 1);
}

#[test]
fn runs_that_end_at_once_are_all_recorded() {
    let sandbox = Sandbox::new();
    let children: Vec<Child> =
        (0..8).map(|i| start(&sandbox, &format!("echo '{{\"i\": {i}}}' >> $GIT_ML_LOG"))).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let mut values: Vec<f64> = log(&sandbox).iter().map(|run| run["metrics"]["i"]["last"].as_f64().unwrap()).collect();
    values.sort_by(f64::total_cmp);
    assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    assert_eq!(recorded_commits(&sandbox), 8);
}

#[test]
fn a_kill_at_any_instant_loses_no_run() {
    let sandbox = Sandbox::new();
    let mut started = 0;
    for round in 0..15_u64 {
        let mut child = start(&sandbox, "echo '{\"x\": 1}' >> $GIT_ML_LOG; echo ready");
        let mut stdout = child.stdout.take().unwrap();
        // From the first instant to well after the end.
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_millis(round * 4));
        } else {
            let _ = stdout.read(&mut [0; 6]);
            std::thread::sleep(Duration::from_millis(round));
        }
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        let mut rest = Vec::new();
        let _ = stdout.read_to_end(&mut rest);
        started = started.max(log(&sandbox).len());
        assert_eq!(log(&sandbox).len(), started, "a run that was there is there still");
        assert!(live(&sandbox).iter().all(|name| name.starts_with(".new-")), "{:?}", live(&sandbox));
    }
    for run in log(&sandbox).iter().filter(|run| run["status"] == "finished") {
        assert_eq!(run["metrics"]["x"]["last"], 1.0, "{run}");
    }
    sandbox.git(&["fsck", "--strict", "--no-dangling"]).success();
    sandbox.git_ml(&["run", "--", "true"]).success();
}

#[test]
fn a_signal_to_the_parent_reaches_the_whole_group_of_the_command() {
    let sandbox = Sandbox::new();
    // The shell waits for a grandchild, which would otherwise live on.
    let mut child = start(&sandbox, "sh -c 'echo $$ > pid; echo ready; sleep 60; true'; true");
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let run = only_run(&sandbox);
    assert_eq!(
        (&run["status"], &run["signal"], &run["exit_code"]),
        (&"killed".into(), &"SIGTERM".into(), &Value::Null)
    );
    let pid = sandbox.read("pid");
    wait_for("the grandchild's end", || !Path::new("/proc").join(pid.trim()).join("cwd").exists());
}

#[test]
fn a_command_that_stops_when_it_is_told_to_was_killed_unless_it_succeeds() {
    let sandbox = Sandbox::new();
    for (code, status) in [(7, "killed"), (0, "finished")] {
        let script = format!("trap 'exit {code}' USR1 TERM; echo ready; while :; do sleep 0.01; done");
        let mut child = start(&sandbox, &script);
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        signal(&child, Signal::TERM);
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(log(&sandbox)[0]["status"], status);
    }
}

/// Starts a program with arguments in a session of its own, at a terminal of its own, whose other end is returned.
#[cfg(target_os = "linux")]
fn start_at_terminal(sandbox: &Sandbox, arguments: &[&str]) -> (Child, std::os::fd::OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let terminal = fs::OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let side = || Stdio::from(terminal.try_clone().unwrap());
    let mut command = sandbox.command("setsid");
    // Whoever starts the tests in the background has them ignore Ctrl-C, which no terminal does.
    command.args(["--ctty", "--wait", "env", "--default-signal=HUP,INT,QUIT"]).args(arguments);
    (command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap(), master)
}

/// The exit code as a shell has it: git ends itself by the signal that its command got.
#[cfg(target_os = "linux")]
fn shell_code(mut child: Child) -> Option<i32> {
    let status = child.wait().unwrap();
    status.code().or(status.signal().map(|signal| 128 + signal))
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_at_a_terminal_reaches_the_command_once_also_through_git() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo int >> ints; left=20' INT; left=-1; : > ready; \
                  while [ $left -ne 0 ]; do sleep 0.05; left=$((left - 1)); [ $left -lt -1 ] && left=-1; done; exit 130";
    let (child, terminal) = start_at_terminal(&sandbox, &["git", "ml", "run", "--", "sh", "-c", script]);
    wait_for("the script", || sandbox.exists("ready"));
    rustix::io::write(terminal.as_fd(), b"\x03").unwrap();
    assert_eq!(shell_code(child), Some(130));
    assert_eq!(sandbox.read("ints"), "int\n");
    let run = only_run(&sandbox);
    assert_eq!((&run["status"], &run["signal"], &run["exit_code"]), (&"killed".into(), &"SIGINT".into(), &130.into()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_to_the_parent_at_a_terminal_reaches_what_the_command_started() {
    let sandbox = Sandbox::new();
    let script = "sh -c 'trap \"echo term > told; exit\" TERM; : > ready; while :; do sleep 0.01; done'; true";
    let (child, _terminal) = start_at_terminal(&sandbox, &["git-ml", "run", "--", "sh", "-c", script]);
    wait_for("the script", || sandbox.exists("ready"));
    // `setsid` has become `env`, and that git-ml.
    signal(&child, Signal::TERM);
    assert_eq!(shell_code(child), Some(143));
    wait_for("the inner shell", || sandbox.exists("told"));
    assert_eq!(only_run(&sandbox)["status"], "killed");
}

#[cfg(target_os = "linux")]
#[test]
fn what_nohup_starts_outlives_the_terminal() {
    let sandbox = Sandbox::new();
    let script = "trap '' HUP; exec git-ml run -- sh -c ': > ready; while [ ! -e go ]; do sleep 0.01; done'";
    let mut child =
        sandbox.command("sh").args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the script", || sandbox.exists("ready"));
    signal(&child, Signal::HUP);
    sandbox.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(only_run(&sandbox)["status"], "finished");
}

#[test]
fn a_grandchild_that_keeps_the_output_open_is_not_waited_for() {
    let sandbox = Sandbox::new();
    let start = Instant::now();
    let output = sandbox.git_ml(&["run", "--", "sh", "-c", "sleep 300 & echo $! > pid; echo done"]);
    assert_eq!(output.success().stdout(), "done\n");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(only_run(&sandbox)["status"], "finished");
    sandbox.shell("kill $(cat pid)").success();
}

#[test]
fn much_output_on_both_streams_is_passed_through_whole() {
    let sandbox = Sandbox::new();
    let script =
        "i=0; while [ $i -lt 2000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; head -c 3000000 /dev/zero";
    let output = sandbox.git_ml(&["-q", "run", "--", "sh", "-c", script]).success();
    let lines: String = (0..2000).map(|i| format!("out {i}\n")).collect();
    assert!(output.stdout_bytes().starts_with(lines.as_bytes()));
    assert_eq!(output.stdout_bytes().len(), lines.len() + 3_000_000);
    assert_eq!(output.stderr(), (0..2000).map(|i| format!("err {i}\n")).collect::<String>());
    let log = sandbox.git_ml(&["show", "--log"]).success();
    assert_eq!(log.stdout_bytes().len(), output.stdout_bytes().len() + output.stderr().len());
}

#[test]
fn stdin_reaches_the_command() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.git_ml_command();
    command.args(["run", "--", "cat"]);
    assert_eq!(sandbox.run_with_input(command, b"hello\n").success().stdout(), "hello\n");
}

#[test]
fn a_command_that_does_not_start_leaves_no_run() {
    let sandbox = Sandbox::new();
    let output = sandbox.git_ml(&["run", "--", "no-such-program"]).one_line_error();
    insta::assert_snapshot!(output.stderr().lines().skip(1).collect::<Vec<_>>().join("\n"), @r"
    error: cannot run `no-such-program`
    caused by: No such file or directory (os error 2)
    hint: check that the program is installed and on the PATH
    ");
    assert_eq!(live(&sandbox), [""; 0]);
    assert_eq!(log(&sandbox).len(), 0);
}

#[test]
fn what_cannot_be_run_is_refused_in_a_line() {
    let sandbox = Sandbox::without_commit();
    let error = sandbox.git_ml(&["run", "--", "true"]).one_line_error();
    assert_eq!(
        error.stderr(),
        "error: this repository has no commit yet\nhint: commit the code first: `git add -A && git commit`\n"
    );
    sandbox.commit("Begin");
    sandbox.git_ml(&["run"]).code(2);
    sandbox.git_ml(&["run", "-p", "x", "--", "true"]).code(2);
    sandbox.git_ml(&["run", "--name", "a b", "--", "true"]).one_line_error();
    sandbox.git_ml(&["run", "nothing"]).one_line_error();
    sandbox.git_ml(&["metric", "a=1"]).one_line_error();
    sandbox.git_ml(&["metric", "a=high"]).code(2);
    sandbox.git_ml(&["show"]).one_line_error();
    sandbox.git_ml(&["log", "--where", "metrics.x >"]).one_line_error();
    assert_eq!(sandbox.git_ml(&["log"]).success().stdout(), "");
    assert_eq!(live(&sandbox), [""; 0]);
}

#[test]
fn a_recipe_needs_approval_and_its_outputs_are_kept_even_when_it_fails() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "ml.toml",
        "[experiments.base]\ncommand = \"mkdir -p out && printf %s {text} > out/model && exit {code}\"\n\
         params = { text = \"it's $HOME\", code = 4 }\noutputs = [\"out/model\"]\n",
    );
    sandbox.commit("A recipe");
    sandbox.git_ml(&["run", "base"]).one_line_error();
    assert!(!sandbox.exists("out"));
    sandbox.git_ml(&["trust"]).success();
    fs::create_dir(sandbox.path("below")).unwrap();
    sandbox.git_ml_in("below", &["run", "base"]).code(4);
    assert_eq!(sandbox.read("out/model"), "it's $HOME");
    let run = only_run(&sandbox);
    assert_eq!((&run["experiment"], &run["params"]["code"]), (&"base".into(), &"4".into()));
    assert_eq!((&run["outputs"][0]["name"], &run["outputs"][0]["type"]), (&"model".into(), &"model".into()));
    sandbox.git_ml(&["run", "base", "-p", "code=0"]).success();
    sandbox.git_ml(&["run", "base", "-p", "cod=0"]).one_line_error();
    let matching = sandbox.git_ml(&["log", "--json", "--where", "params.code = 0 and experiment = 'base'"]).success();
    assert_eq!(matching.json().as_array().unwrap().len(), 1);
}

#[test]
fn runs_are_found_listed_sorted_tagged_and_noted() {
    let sandbox = Sandbox::new();
    for (name, loss) in [("alpha", "0.5"), ("beta", "0.25"), ("beta", "nan")] {
        let logs = format!("git ml metric loss={loss}");
        sandbox.git_ml(&["run", "--name", name, "-p", &format!("x={loss}"), "--", "sh", "-c", &logs]).success();
    }
    let runs = log(&sandbox);
    let names: Vec<_> = runs.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["beta", "beta", "alpha"]);
    let id = |wanted: &str| sandbox.git_ml(&["show", wanted, "--json"]).success().json()["id"].clone();
    assert_eq!(id("@"), runs[0]["id"]);
    assert_eq!(id("@~2"), id("alpha"));
    assert_eq!(id(&runs[1]["id"].as_str().unwrap()[..31]), runs[1]["id"]);
    sandbox.git_ml(&["show", "beta"]).one_line_error();
    sandbox.git_ml(&["show", "gamma"]).one_line_error();
    sandbox.git_ml(&["show", "@~3"]).one_line_error();

    let table =
        sandbox.git_ml(&["log", "--sort", "metrics.loss", "--columns", "name,metrics.loss,params.x", "-n", "2"]);
    insta::assert_snapshot!(table.success().stdout(), @r"
    name   loss  x
    beta   0.25  0.25
    alpha   0.5  0.5
    ");
    sandbox.git_ml(&["tag", "alpha", "stage=old", "kind=x"]).success();
    sandbox.git_ml(&["note", "alpha", "try more epochs"]).success();
    let condition = "tags.stage = 'old' and note like '%epochs'";
    let alpha = sandbox.git_ml(&["log", "--json", "--where", condition]).success().json();
    assert_eq!(alpha[0]["tags"], serde_json::json!({"kind": "x", "stage": "old"}));
    assert_eq!(alpha[0]["metrics"]["loss"]["last"], 0.5);
    assert_eq!(recorded_commits(&sandbox), 5);
    let subjects = sandbox.git(&["log", "--first-parent", "--format=%s", "-2", "refs/ml/runs"]).success().stdout();
    assert_eq!(subjects, "alpha: note\nalpha: tag kind=x stage=old\n");
}

#[test]
fn a_linked_work_tree_shares_the_runs() {
    let sandbox = Sandbox::new();
    let linked = sandbox.linked_work_tree("other");
    sandbox.git_ml_in(&linked, &["run", "--", "true"]).success();
    assert_eq!(only_run(&sandbox)["status"], "finished");
    let shown = sandbox.git_ml(&["show", "--json"]).success().json();
    assert_eq!(shown["branch"], "other");
}

#[test]
fn a_damaged_record_costs_that_record() {
    let sandbox = Sandbox::new();
    sandbox.git_ml(&["run", "--name", "good", "--", "true"]).success();
    let id = "00000000000000000000000000000001";
    let mut import = sandbox.command("git");
    import.args(["fast-import", "--quiet"]);
    let text = format!(
        "commit refs/ml/runs\ncommitter A <a@b> 0 +0000\ndata 1\nx\nfrom refs/ml/runs^0\nM 100644 inline 01/{id}/run.toml\ndata 3\na =\n"
    );
    sandbox.run_with_input(import, text.as_bytes()).success();
    let output = sandbox.git_ml(&["log", "--json"]).success();
    assert_eq!(output.json().as_array().unwrap().len(), 1);
    assert!(output.stderr().starts_with(&format!("warning: the record of run {id} is not valid: ")), "{output}");
    assert_eq!(only_run(&sandbox)["name"], "good");
}

#[test]
fn a_run_that_is_tagged_while_it_runs_keeps_the_tag() {
    let sandbox = Sandbox::new();
    let mut child = start(&sandbox, "echo ready; while [ ! -e go ]; do sleep 0.01; done");
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    sandbox.git_ml(&["tag", "@", "kind=live"]).success();
    fs::File::create(sandbox.path("go")).unwrap().write_all(b"").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(only_run(&sandbox)["tags"]["kind"], "live");
}
