//! Runs that are watched: their time, their resources, what they write for other tools, and many of them at once.

use std::fs;
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sandbox::Sandbox;

fn start(sandbox: &Sandbox, arguments: &[&str]) -> Child {
    let mut command = sandbox.git_ml_command();
    command.arg("run").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn shown(sandbox: &Sandbox) -> Value {
    sandbox.git_ml(&["show", "@", "--json"]).success().json()
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let sandbox = Sandbox::new();
    let output = sandbox.git_ml(&["run", "--timeout", "1s", "--", "sleep", "100"]);
    assert_eq!(output.exit_code(), 143);
    let run = shown(&sandbox);
    assert_eq!((&run["status"], &run["signal"]), (&"killed".into(), &"SIGTERM".into()), "{run}");
    assert!(output.stderr().contains("it took longer than 1"), "{output}");
    sandbox.git_ml(&["run", "--timeout", "soon", "--", "true"]).code(2);
}

#[test]
fn a_second_interrupt_kills() {
    let sandbox = Sandbox::new();
    let mut child =
        start(&sandbox, &["--", "sh", "-c", "trap 'echo again' INT; echo ready; while :; do sleep 0.01; done"]);
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 6]).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    stdout.read_exact(&mut [0; 6]).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(137));
    assert_eq!(shown(&sandbox)["status"], "killed");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_longer_run_takes_is_recorded_and_a_short_one_has_nothing_of_it() {
    let sandbox = Sandbox::new();
    sandbox.git_ml(&["run", "--", "true"]).success();
    assert_eq!(shown(&sandbox)["metrics"], serde_json::json!({}));
    sandbox.git_ml(&["run", "--", "sleep", "1.5"]).success();
    let metrics = &shown(&sandbox)["metrics"];
    for name in ["system.cpu_percent", "system.memory_bytes", "system.machine.memory_bytes"] {
        assert!(metrics[name]["last"].is_number(), "{name}: {metrics}");
    }
}

#[test]
fn a_csv_log_is_followed_to_its_end() {
    let sandbox = Sandbox::new();
    sandbox.write("logs/old.csv", "epoch,loss\n0,9\n");
    let script = "mkdir -p logs; printf 'epoch,loss,acc\\n0,0.5,0.1\\n1,0.25,0.2' > logs/new.csv";
    sandbox.git_ml(&["run", "--csv-logs", "logs", "--", "sh", "-c", script]).success();
    let metrics = &shown(&sandbox)["metrics"];
    assert_eq!((&metrics["loss"]["last"], &metrics["acc"]["last"]), (&0.25.into(), &0.2.into()));
    let points = sandbox.git_ml(&["show", "@", "--metric", "loss", "--json"]).success().json();
    assert_eq!(points.as_array().unwrap().len(), 2);
}

/// The wrapper is killed right after its command wrote and flushed, before and after something of that was followed.
#[test]
fn what_a_followed_file_had_when_the_wrapper_was_killed_is_recorded() {
    let write = "mkdir -p logs; printf 'epoch,loss\\n0,0.5\\n' > logs/new.csv";
    let wait = "until grep -q taken $GIT_ML_RUN_DIR/events.jsonl; do sleep 0.05; done";
    let more = "printf '1,0.25\\n2,0.125' >> logs/new.csv; kill -9 $PPID";
    for script in [format!("{write}; {more}"), format!("{write}; {wait}; {more}")] {
        let sandbox = Sandbox::new();
        start(&sandbox, &["--csv-logs", "logs", "--", "sh", "-c", &script]).wait().unwrap();
        assert_eq!(shown(&sandbox)["status"], "crashed");
        let points = sandbox.git_ml(&["show", "@", "--metric", "loss", "--json"]).success().json();
        let values: Vec<&Value> = points.as_array().unwrap().iter().map(|point| &point["value"]).collect();
        assert_eq!(values, [0.5, 0.25, 0.125]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn gigabytes_of_output_are_cut_in_the_middle_and_take_no_memory() {
    let sandbox = Sandbox::new();
    // The largest that the wrapper was, and all that it kept, when the command has printed all.
    let script = "echo first; head -c 2000000000 /dev/zero | tr '\\0' x; echo; echo last; \
                  grep VmHWM /proc/$PPID/status > memory; du -sk $GIT_ML_RUN_DIR > disk";
    let mut command = sandbox.git_ml_command();
    command.args(["run", "--", "sh", "-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    let number = |file: &str| -> u64 {
        let text = sandbox.read(file);
        text.split_whitespace().find_map(|word| word.parse().ok()).unwrap()
    };
    assert!(number("memory") < 100 << 10, "{} KiB of memory", number("memory"));
    assert!(number("disk") < 24 << 10, "{} KiB on the disk", number("disk"));
    assert_eq!(shown(&sandbox)["status"], "finished");
    let log = sandbox.git_ml(&["show", "@", "--log"]).success().stdout();
    assert!(log.starts_with("first\n") && log.ends_with("x\nlast\n"));
    let mark = log.lines().find(|line| line.starts_with("[git-ml: ")).expect("a mark");
    let cut: usize = mark.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(log.len() - mark.len() - 2 + cut, 2_000_000_000 + "first\n\nlast\n".len());
    assert!(log.len() < 17 << 20);
}

#[test]
fn what_git_does_not_track_is_named_and_comes_in_only_where_an_approved_file_says_so() {
    let sandbox = Sandbox::new();
    sandbox.write("new.py", "print(1)\n");
    sandbox.write(".env", "TOKEN=x\n");
    let told = sandbox.git_ml(&["run", "--", "true"]).success();
    let expected = "warning: not in the run's snapshot: new.py (9 B), .env (8 B), which git does not track\n";
    assert!(told.stderr().contains(expected), "{told}");
    let run = shown(&sandbox);
    assert_eq!((&run["dirty"], &run["left_out"]["untracked"][0]["path"]), (&false.into(), &"new.py".into()));
    sandbox.write("ml.toml", "[run]\nuntracked = [\"*.py\", \".*\"]\n");
    sandbox.git(&["add", "ml.toml"]).success();
    sandbox.git(&["commit", "--quiet", "--message", "Settings"]).success();
    let told = sandbox.git_ml(&["run", "--", "true"]).success();
    assert!(told.stderr().contains("`untracked` of [run] is not used: ml.toml has not been approved"), "{told}");
    sandbox.git_ml(&["trust"]).success();
    let told = sandbox.git_ml(&["run", "--", "true"]).success();
    assert!(told.stderr().contains("snapshot: .env (8 B), which"), "{told}");
    let run = shown(&sandbox);
    assert_eq!(run["dirty"], true);
    let snapshot = run["snapshot"].as_str().unwrap();
    let files = sandbox.git(&["ls-tree", "--name-only", snapshot]).success().stdout();
    assert!(files.lines().any(|file| file == "new.py") && !files.contains(".env"), "{files}");
    // It runs again with that code, and its own snapshot is the same.
    sandbox.git_ml(&["run", "--name", "again", "--", "sh", "-c", "cat new.py"]).success();
    sandbox.write("new.py", "print(2)\n");
    sandbox.git_ml(&["reproduce", "again"]).success();
    let tree = |run: &str| {
        let snapshot = sandbox.git_ml(&["show", run, "--json"]).success().json()["snapshot"].clone();
        sandbox.git(&["rev-parse", &format!("{}^{{tree}}", snapshot.as_str().unwrap())]).success().stdout()
    };
    assert_eq!(tree("@"), tree("again"));
}

#[test]
fn the_surroundings_are_captured_and_arguments_are_parameters_when_asked() {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", "[run]\nenvironment = [\"TRAIN_*\", \"MY_TOKEN\"]\nparams_from_args = true\n");
    sandbox.shell(
        "TRAIN_MODE=fast TRAIN_API_KEY=hidden MY_TOKEN=hidden git ml run -- sh -c true lr=0.1 --depth 3 --seed=7 --flag",
    )
    .success();
    let run = shown(&sandbox);
    assert_eq!(run["params"], serde_json::json!({"depth": "3", "flag": "true", "lr": "0.1", "seed": "7"}));
    assert_eq!(run["environment"]["TRAIN_MODE"], "fast");
    assert!(!run.to_string().contains("hidden"), "{run}");
    sandbox.git_ml(&["trust"]).success();
    sandbox.shell("MY_TOKEN=shown git ml run -- true").success();
    assert_eq!(shown(&sandbox)["environment"]["MY_TOKEN"], "shown");
}

#[test]
fn somebody_who_keeps_the_output_open_and_goes_on_writing_is_left_behind_and_told_of() {
    let sandbox = Sandbox::new();
    let begin = Instant::now();
    let script = "(while :; do echo again; sleep 0.05; done) & echo $! > pid";
    let output = sandbox.git_ml(&["run", "--", "sh", "-c", script]);
    sandbox.shell("kill $(cat pid)").success();
    assert!(begin.elapsed() < Duration::from_secs(50), "{:?}", begin.elapsed());
    assert!(output.success().stderr().contains("warning: something that the command started goes on"));
    assert_eq!(shown(&sandbox)["status"], "finished");
}

/// What a process of the many below logs: its number, counted up, half through the file and half through `git ml metric`.
const LOGGER: &str = "i=0; while [ $i -lt 100 ]; do echo \"{\\\"step\\\": $i, \\\"p$1\\\": $i}\" >> $GIT_ML_LOG; i=$((i+1)); done; \
     i=100; while [ $i -lt 104 ]; do git-ml metric p$1=$i --step $i || exit 1; i=$((i+1)); done";

fn assert_all_there(sandbox: &Sandbox, run: &str, process: usize) {
    let points = sandbox.git_ml(&["show", run, "--metric", &format!("p{process}"), "--json"]).success().json();
    let points = points.as_array().unwrap();
    assert_eq!(points.len(), 104, "process {process}");
    for point in points {
        assert_eq!(point["step"].as_f64(), point["value"].as_f64(), "process {process}");
    }
}

#[test]
fn sixteen_processes_that_log_to_one_run_lose_and_mix_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("logger.sh", LOGGER);
    let script = "for p in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sh logger.sh $p & done; \
                  wait";
    sandbox.git_ml(&["run", "--name", "one", "--", "sh", "-c", script]).success();
    let metrics = shown(&sandbox)["metrics"].as_object().unwrap().keys().filter(|name| name.starts_with('p')).count();
    assert_eq!(metrics, 16);
    (0..16).for_each(|process| assert_all_there(&sandbox, "one", process));
}

#[test]
fn sixteen_runs_at_once_lose_and_mix_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("logger.sh", LOGGER);
    let children: Vec<Child> = (0..16)
        .map(|process| {
            start(&sandbox, &["--name", &format!("run-{process}"), "--", "sh", "logger.sh", &process.to_string()])
        })
        .collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    for process in 0..16 {
        assert_all_there(&sandbox, &format!("run-{process}"), process);
        let run = sandbox.git_ml(&["show", &format!("run-{process}"), "--json"]).success().json();
        let names: Vec<&String> =
            run["metrics"].as_object().unwrap().keys().filter(|name| !name.starts_with("system.")).collect();
        assert_eq!(names, [&format!("p{process}")]);
    }
}

/// The wrapper or the command is killed at a random moment: every value that `git ml metric` acknowledged is there.
#[test]
fn a_kill_costs_no_value_that_was_acknowledged() {
    let rounds: u64 = std::env::var("GIT_ML_FAULTS").map_or(6, |number| number.parse().unwrap());
    let sandbox = Sandbox::new();
    // A number is noted when the value is acknowledged, in a file that only this script writes.
    let script = "i=0; echo $$ > pid; echo ready; while :; do git-ml metric x=$i --step $i && echo $i >> acknowledged; i=$((i+1)); done";
    let mut state = 9_u64;
    println!("seed 9");
    for round in 0..rounds {
        let _ = fs::remove_file(sandbox.path("acknowledged"));
        let mut child = start(&sandbox, &["--name", &format!("round-{round}"), "--", "sh", "-c", script]);
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(state >> 33 & 127));
        let command = Pid::from_raw(sandbox.read("pid").trim().parse().unwrap()).unwrap();
        // The wrapper alone, the command alone, or one right after the other.
        if round % 3 != 1 {
            kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        }
        if round % 3 != 0 {
            let _ = kill_process(command, Signal::KILL);
        }
        child.wait().unwrap();
        let acknowledged = fs::read_to_string(sandbox.path("acknowledged")).unwrap_or_default();
        let _ = kill_process(command, Signal::KILL);
        let acknowledged: Vec<f64> = acknowledged.lines().map(|line| line.parse().unwrap()).collect();
        println!("round {round}: {} acknowledged", acknowledged.len());
        let name = format!("round-{round}");
        if acknowledged.is_empty() {
            continue;
        }
        let points = sandbox.git_ml(&["show", &name, "--metric", "x", "--json"]).success().json();
        let values: Vec<f64> =
            points.as_array().unwrap().iter().map(|point| point["value"].as_f64().unwrap()).collect();
        assert_eq!(values[..acknowledged.len()], acknowledged, "round {round}");
        let run = sandbox.git_ml(&["show", &name, "--json"]).success().json();
        let expected = if round % 3 == 1 { "killed" } else { "crashed" };
        assert!(run["status"] == expected || round % 3 == 2, "{run}");
    }
}
