//! Runs that travel through the user's own git remote.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sandbox::Sandbox;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bare repository that is everybody's `origin`, and clones of it.
struct Team {
    sandbox: Sandbox,
    origin: PathBuf,
}

impl Team {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("train.sh", "git ml metric accuracy=$1\n");
        sandbox.commit("Code");
        // A name that has to be quoted everywhere.
        let origin = sandbox.root().join("dépôt of us.git");
        sandbox.git(&["clone", "--quiet", "--bare", ".", origin.to_str().unwrap()]).success();
        sandbox.git(&["remote", "add", "origin", origin.to_str().unwrap()]).success();
        sandbox.git(&["fetch", "--quiet", "origin"]).success();
        sandbox.git(&["branch", "--quiet", "--set-upstream-to=origin/main"]).success();
        Self { sandbox, origin }
    }

    fn clone(&self, name: &str) -> PathBuf {
        let folder = self.sandbox.root().join(name);
        self.sandbox.git(&["clone", "--quiet", self.origin.to_str().unwrap(), folder.to_str().unwrap()]).success();
        folder
    }

    fn git_ml(&self, folder: &Path, arguments: &[&str]) -> crate::sandbox::Output {
        self.sandbox.git_ml_in(folder, arguments)
    }

    fn run(&self, folder: &Path, name: &str) {
        self.git_ml(folder, &["-q", "run", "--name", name, "--", "sh", "train.sh", "0.5"]).success();
    }

    fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = self.sandbox.command("git");
        command.current_dir(folder).args(arguments);
        self.sandbox.run(command).success().stdout().trim().to_owned()
    }

    fn tip(&self, folder: &Path) -> String {
        self.git(folder, &["rev-parse", "refs/ml/runs"])
    }

    fn tree(&self, folder: &Path) -> String {
        self.git(folder, &["rev-parse", "refs/ml/runs^{tree}"])
    }

    fn log(&self, folder: &Path) -> Vec<Value> {
        self.git_ml(folder, &["log", "--json"]).success().json().as_array().unwrap().clone()
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            self.log(folder).iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    fn run_called(&self, folder: &Path, name: &str) -> Value {
        self.git_ml(folder, &["show", name, "--json"]).success().json()
    }

    /// Replaces the remote's log of runs by one with these files, made in no way that git-ml makes them.
    fn plant(&self, folder: &Path, parent: Option<&str>, lines: &str) {
        let mut command = self.sandbox.command("git");
        command.current_dir(folder).args(["mktree"]);
        let tree = self.sandbox.run_with_input(command, lines.as_bytes()).success().stdout().trim().to_owned();
        let mut arguments = vec!["commit-tree", &tree, "-m", "planted"];
        arguments.extend(parent.into_iter().flat_map(|parent| ["-p", parent]));
        let commit = self.git(folder, &arguments);
        self.git(folder, &["push", "--quiet", "--force", "origin", &format!("{commit}:refs/ml/runs")]);
    }
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < PATIENCE, "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn two_clones_end_with_the_same_runs(each: usize) {
    let team = Team::new();
    let [ada, bob] = ["ada's clone", "bob ü"].map(|name| team.clone(name));
    std::thread::scope(|scope| {
        for (folder, who) in [(&ada, "ada"), (&bob, "bob")] {
            let team = &team;
            scope.spawn(move || (0..each).for_each(|number| team.run(folder, &format!("{who}-{number}"))));
        }
    });
    let pushed = team.git_ml(&ada, &["push", "--json"]).success().json();
    assert_eq!((&pushed["remote"], &pushed["runs"]["sent"]), (&Value::Null, &each.into()), "{pushed}");
    let pushed = team.git_ml(&bob, &["push", "--json"]).success().json();
    assert_eq!((&pushed["runs"]["sent"], &pushed["runs"]["received"]), (&each.into(), &each.into()), "{pushed}");
    team.git_ml(&ada, &["pull"]).success();
    assert_eq!(team.tree(&ada), team.tree(&bob));
    assert_eq!(team.tip(&ada), team.tip(&bob), "a clone that has nothing more follows");
    assert_eq!(team.names(&ada).len(), 2 * each);
    assert_eq!(team.names(&ada), team.names(&bob));

    // Nothing more to say, and no commit more.
    let tip = team.tip(&ada);
    for folder in [&ada, &bob] {
        let pushed = team.git_ml(folder, &["push"]).success();
        assert_eq!(pushed.stdout(), "origin has everything already\n");
        team.git_ml(folder, &["fetch"]).success();
        assert_eq!(team.tip(folder), tip);
    }
    // A new clone has everything with one command, and `git ml log` asks no network.
    let carol = team.clone("carol");
    assert!(team.names(&carol).is_empty());
    team.git_ml(&carol, &["fetch"]).success();
    std::fs::rename(&team.origin, team.origin.with_extension("gone")).unwrap();
    assert_eq!(team.names(&carol), team.names(&ada));
    let points = team.git_ml(&carol, &["show", "bob-0", "--metric", "accuracy", "--json"]).success().json();
    assert_eq!(points[0]["value"], 0.5);
}

#[test]
fn two_clones_with_runs_of_their_own_end_with_the_same() {
    let each = std::env::var("GIT_ML_SHARED_RUNS").map_or(4, |number| number.parse().unwrap());
    two_clones_end_with_the_same_runs(each);
}

#[test]
fn code_that_is_not_committed_is_shared_only_when_the_user_said_so() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.run(&ada, "clean");
    team.sandbox.write(ada.join("train.sh"), "git ml metric accuracy=0.25 # secret\n");
    team.run(&ada, "dirty");
    let refused = team.git_ml(&ada, &["push"]);
    assert_eq!(refused.exit_code(), 1);
    insta::assert_snapshot!(refused.stderr(), @r"
    error: 1 of the runs to be shared hold code that is not committed
    hint: `git config ml.shareSnapshots true` shares that code too, `false` shares the runs without it; or decide for all, as share_snapshots under [run] in ml.toml
    ");
    assert!(team.git(&team.origin, &["for-each-ref", "refs/ml"]).is_empty(), "nothing went");

    team.git(&ada, &["config", "ml.shareSnapshots", "false"]);
    let pushed = team.git_ml(&ada, &["push"]).success();
    assert_eq!(pushed.stdout(), "shared 2 runs with origin, 1 without code that is not committed\n");
    team.git_ml(&bob, &["pull"]).success();
    assert_eq!(team.names(&bob), ["clean", "dirty"]);
    let dirty = team.run_called(&bob, "dirty");
    let snapshot = dirty["snapshot"].as_str().unwrap();
    let has = |folder: &Path, commit: &str| {
        let mut command = team.sandbox.command("git");
        command.current_dir(folder).args(["cat-file", "-e", commit]);
        team.sandbox.run(command).exit_code() == 0
    };
    assert!(has(&ada, snapshot) && !has(&bob, snapshot) && !has(&team.origin, snapshot));
    assert_eq!(team.tree(&ada), team.tree(&bob));
    // Code that stayed with who ran it is no fault of this clone.
    team.git_ml(&bob, &["verify"]).success();
    // It stays quiet until there is something new.
    assert_eq!(team.git_ml(&ada, &["push"]).success().stdout(), "origin has everything already\n");
    team.run(&bob, "other");
    team.git_ml(&bob, &["push"]).success();
    assert_eq!(team.git_ml(&ada, &["push"]).success().stdout(), "1 run new from origin\n");
    assert_eq!(team.tree(&ada), team.tree(&bob));

    // Who decides otherwise sends what stayed.
    team.sandbox.write(ada.join("ml.toml"), "[run]\nshare_snapshots = true\n");
    team.git(&ada, &["config", "--unset", "ml.shareSnapshots"]);
    let pushed = team.git_ml(&ada, &["push"]).success();
    assert_eq!(pushed.stdout(), "shared 0 runs with origin, 1 with code that is not committed\n");
    team.git_ml(&bob, &["pull"]).success();
    assert!(has(&bob, snapshot));
    assert_eq!(team.tip(&ada), team.tip(&bob));
}

#[test]
fn a_run_that_both_changed_has_what_both_said() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.run(&ada, "one");
    team.git_ml(&ada, &["push"]).success();
    team.git_ml(&bob, &["fetch"]).success();
    team.git_ml(&ada, &["tag", "one", "from=ada", "who=ada"]).success();
    team.git_ml(&ada, &["note", "one", "ada's"]).success();
    // The times of commits have seconds.
    std::thread::sleep(Duration::from_millis(1100));
    team.git_ml(&bob, &["tag", "one", "kind=good", "who=bob"]).success();
    team.git_ml(&bob, &["note", "one", "bob's"]).success();
    for folder in [&ada, &bob, &ada] {
        team.git_ml(folder, &["push"]).success();
    }
    team.git_ml(&bob, &["pull"]).success();
    assert_eq!((team.tree(&ada), team.tip(&ada)), (team.tree(&bob), team.tip(&bob)));
    let run = team.run_called(&ada, "one");
    let tags = ["from", "kind", "who"].map(|tag| run["tags"][tag].as_str().unwrap());
    assert_eq!(tags, ["ada", "good", "bob"]);
    let note = if run["note"].is_null() { &run["tags"]["note"] } else { &run["note"] };
    assert_eq!(note, "bob's");
}

#[test]
fn two_that_merge_at_once_come_to_the_same_tree() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.run(&ada, "one");
    team.git_ml(&ada, &["push"]).success();
    team.git_ml(&bob, &["fetch"]).success();
    for (folder, who) in [(&ada, "ada"), (&bob, "bob")] {
        team.git_ml(folder, &["tag", "one", &format!("who={who}"), &format!("{who}=1")]).success();
    }
    // Each merges the other's log without the remote in between.
    for (folder, other) in [(&ada, &bob), (&bob, &ada)] {
        team.git(folder, &["remote", "add", "other", other.to_str().unwrap()]);
    }
    let before = team.tip(&ada);
    team.git_ml(&ada, &["fetch", "other"]).success();
    team.git(&bob, &["config", "remote.other.url", team.sandbox.root().join("frozen").to_str().unwrap()]);
    let frozen = team.sandbox.root().join("frozen");
    team.git(&ada, &["clone", "--quiet", "--bare", ".", frozen.to_str().unwrap()]);
    team.git(&ada, &["push", "--quiet", frozen.to_str().unwrap(), &format!("{before}:refs/ml/runs")]);
    team.git_ml(&bob, &["fetch", "other"]).success();
    assert_ne!(team.tip(&ada), team.tip(&bob));
    assert_eq!(team.tree(&ada), team.tree(&bob));
}

#[test]
fn many_that_push_at_once_all_come_through() {
    let team = Team::new();
    let clones: Vec<PathBuf> = (0..6).map(|number| team.clone(&format!("clone {number}"))).collect();
    std::thread::scope(|scope| {
        for (number, folder) in clones.iter().enumerate() {
            let team = &team;
            scope.spawn(move || {
                for round in 0..2 {
                    team.run(folder, &format!("run-{number}-{round}"));
                    team.git_ml(folder, &["push"]).success();
                }
            });
        }
    });
    for folder in &clones {
        team.git_ml(folder, &["fetch"]).success();
    }
    assert_eq!(team.names(&clones[0]).len(), 12);
    for folder in &clones[1..] {
        assert_eq!((team.tree(folder), team.tip(folder)), (team.tree(&clones[0]), team.tip(&clones[0])));
    }
}

#[test]
fn what_is_no_log_of_runs_is_kept_out_by_name() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.run(&ada, "one");
    team.run(&ada, "two");
    team.git_ml(&ada, &["push"]).success();
    team.git_ml(&bob, &["fetch"]).success();
    team.run(&bob, "mine");
    let ids: Vec<String> =
        ["one", "two", "mine"].map(|name| team.run_called(&bob, name)["id"].as_str().unwrap().to_owned()).to_vec();
    let blob = |content: &str| {
        let mut command = team.sandbox.command("git");
        command.current_dir(&ada).args(["hash-object", "-w", "--stdin"]);
        team.sandbox.run_with_input(command, content.as_bytes()).success().stdout().trim().to_owned()
    };
    let tree = |lines: &str| {
        let mut command = team.sandbox.command("git");
        command.current_dir(&ada).args(["mktree"]);
        team.sandbox.run_with_input(command, lines.as_bytes()).success().stdout().trim().to_owned()
    };
    let good = team.git(&ada, &["show", &format!("refs/ml/runs:{}/{}/run.toml", &ids[0][30..], ids[0])]);
    let (junk, record) = (blob("junk"), blob(&format!("{good}\n")));
    let forged = blob(&good.replace("\"train.sh\"", "\"evil.sh\""));
    let name = "0192f0c1a2b37def8123456789abcd";
    let other_record = blob(&good.replace(&ids[0], &format!("{name}07")));
    // A run that is here with another command, one that went, and all kinds of things that are no runs.
    let mut shelves = std::collections::BTreeMap::<String, Vec<String>>::new();
    let mut put = |shelf: &str, line: String| shelves.entry(shelf.to_owned()).or_default().push(line);
    put(&ids[0][30..], format!("040000 tree {}\t{}", tree(&format!("100644 blob {forged}\trun.toml\n")), ids[0]));
    put("01", format!("040000 tree {}\t{name}01", tree(&format!("100644 blob {junk}\trun.toml\n"))));
    put("02", format!("100644 blob {junk}\t{name}02"));
    put("03", format!("040000 tree {}\t{name}03", tree(&format!("120000 blob {junk}\trun.toml\n"))));
    put("04", format!("040000 tree {}\t{name}99", tree(&format!("100644 blob {record}\trun.toml\n"))));
    put("05", format!("040000 tree {}\t{name}05", tree(&format!("100644 blob {record}\trun.toml\n"))));
    put("06", format!("040000 tree {}\t{name}06", tree("")));
    put("07", format!("040000 tree {}\t{name}07", tree(&format!("100644 blob {other_record}\trun.toml\n"))));
    let lines = shelves.iter().map(|(shelf, lines)| format!("040000 tree {}\t{shelf}\n", tree(&lines.join("\n"))));
    let hooks = tree(&format!("100755 blob {junk}\tpost-checkout\n"));
    let all = lines.collect::<String>() + &format!("040000 tree {hooks}\thooks\n100644 blob {junk}\trun.toml\n");
    team.plant(&ada, Some(&team.tip(&ada)), &all);

    let fetched = team.git_ml(&bob, &["fetch", "--json"]).success();
    let kept_out = fetched.json()["runs"]["kept_out"].as_array().unwrap().clone();
    let problem = |path: String| {
        let found = kept_out.iter().find(|out| out["path"] == path.as_str());
        found.unwrap_or_else(|| panic!("{path} is not in {kept_out:?}"))["problem"].as_str().unwrap().to_owned()
    };
    assert!(problem(format!("{}/{}", &ids[0][30..], ids[0])).contains("never changes"));
    assert!(problem(format!("01/{name}01")).contains("is not valid"));
    assert!(problem(format!("02/{name}02")).contains("not the folder of a run"));
    assert!(problem(format!("03/{name}03")).contains("no file of a run"));
    assert!(problem(format!("04/{name}99")).contains("not the folder of a run"));
    assert!(problem(format!("05/{name}05")).contains("it says that it is"));
    assert!(problem(format!("06/{name}06")).contains("no run.toml"));
    assert!(problem("hooks".to_owned()).contains("no part"));
    assert!(problem("run.toml".to_owned()).contains("no part"));
    assert_eq!(kept_out.len(), 9);
    assert!(fetched.stderr().contains("kept out"), "{}", fetched.stderr());
    // What was here is here as it was, what is good came along, and the next push puts the remote right.
    assert_eq!(team.log(&bob).len(), 4);
    assert_eq!(team.run_called(&bob, "mine")["status"], "finished");
    assert_eq!(team.run_called(&bob, &ids[0])["command"], serde_json::json!(["sh", "train.sh", "0.5"]));
    team.git_ml(&bob, &["push"]).success();
    let carol = team.clone("carol");
    let fetched = team.git_ml(&carol, &["fetch", "--json"]).success().json();
    assert_eq!(fetched["runs"]["kept_out"], serde_json::json!([]));
    assert_eq!(team.tree(&carol), team.tree(&bob));
}

#[test]
fn a_remote_that_is_no_log_at_all_does_no_harm() {
    let team = Team::new();
    let ada = team.clone("ada");
    team.git(&ada, &["push", "--quiet", "origin", "HEAD:refs/ml/runs"]);
    let fetched = team.git_ml(&ada, &["fetch", "--json"]).success().json();
    assert_eq!(fetched["runs"]["kept_out"].as_array().unwrap().len(), 2, "{fetched}");
    assert!(team.log(&ada).is_empty());
    team.run(&ada, "one");
    team.git_ml(&ada, &["push"]).success();
    let bob = team.clone("bob");
    team.git_ml(&bob, &["fetch"]).success();
    assert_eq!(team.names(&bob), ["one"]);
}

#[test]
fn a_run_that_goes_on_is_shared_and_then_its_end() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.sandbox.write(ada.join("ml.toml"), "[run]\nshare_every = \"1s\"\n");
    team.git(&ada, &["add", "ml.toml"]);
    team.git(&ada, &["commit", "--quiet", "-m", "Share"]);
    let stop = team.sandbox.root().join("stop");
    let script = format!(
        "git ml metric loss=0.5; until test -e '{}'; do sleep 0.05; done; git ml metric loss=0.25",
        stop.display()
    );
    let mut command = team.sandbox.git_ml_command();
    command.current_dir(&ada).args(["run", "--name", "long", "--", "sh", "-c", &script]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the run to be shared", || {
        team.git_ml(&bob, &["fetch"]).success();
        !team.log(&bob).is_empty()
    });
    let run = team.run_called(&bob, "long");
    assert_eq!((&run["status"], &run["ended"]), (&"running".into(), &Value::Null));
    assert_eq!(run["metrics"]["loss"]["last"], 0.5);
    let shown = team.git_ml(&bob, &["show", "long"]).success().stdout();
    assert!(shown.contains("last sign"), "{shown}");
    // Fetched where it runs, it is what it is there, and is recorded as any other.
    team.git_ml(&ada, &["fetch"]).success();
    assert_eq!(team.run_called(&ada, "long")["status"], "running");
    std::fs::write(&stop, "").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(team.run_called(&ada, "long")["metrics"]["loss"]["last"], 0.25);
    wait_for("the end to be shared", || {
        team.git_ml(&bob, &["fetch"]).success();
        team.run_called(&bob, "long")["status"] == "finished"
    });
    assert_eq!(team.run_called(&bob, "long")["metrics"]["loss"]["last"], 0.25);
    team.git_ml(&ada, &["push"]).success();
    team.git_ml(&bob, &["fetch"]).success();
    assert_eq!(team.tree(&ada), team.tree(&bob));
}

#[test]
fn a_run_does_not_notice_that_the_network_is_gone() {
    let team = Team::new();
    let ada = team.clone("ada");
    team.sandbox.write(ada.join("ml.toml"), "[run]\nshare_every = \"1s\"\n");
    team.git(&ada, &["add", "ml.toml"]);
    team.git(&ada, &["commit", "--quiet", "--message", "Share often"]);
    team.git(&ada, &["config", "remote.origin.url", "ssh://127.0.0.1:1/nowhere.git"]);
    let run = team.git_ml(&ada, &["run", "--name", "long", "--", "sleep", "1.5"]);
    assert_eq!(run.exit_code(), 0);
    assert_eq!(run.stderr().lines().count(), 2, "{}", run.stderr());
    assert_eq!(team.run_called(&ada, "long")["status"], "finished");
}

#[test]
fn a_run_whose_parent_is_killed_is_shared_as_it_was_left() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.git(&ada, &["config", "ml.shareSnapshots", "true"]);
    team.sandbox.write(ada.join("ml.toml"), "[run]\nshare_every = \"1s\"\n");
    let mut command = team.sandbox.git_ml_command();
    command.current_dir(&ada).args([
        "run",
        "--name",
        "long",
        "--",
        "sh",
        "-c",
        "git ml metric loss=0.5; exec sleep 60",
    ]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = || {
        team.git_ml(&bob, &["fetch"]).success();
        team.log(&bob).first().map(|run| run["status"].as_str().unwrap().to_owned())
    };
    wait_for("the run to be shared", || status().as_deref() == Some("running"));
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    wait_for("its end to be shared", || status().as_deref() == Some("crashed"));
    assert_eq!(team.run_called(&ada, "long")["status"], "crashed");
    team.git_ml(&ada, &["push"]).success();
    team.git_ml(&bob, &["fetch"]).success();
    assert_eq!(team.tree(&ada), team.tree(&bob));
}

#[test]
fn the_registry_goes_forward_both_ways_and_is_never_overwritten() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.sandbox.write(ada.join("model/weights"), "1");
    team.git_ml(&ada, &["track", "model"]).success();
    team.git_ml(&ada, &["model", "register", "model", "--name", "digits"]).success();
    let pushed = team.git_ml(&ada, &["push"]).success();
    assert_eq!(pushed.stdout(), "shared the registry with origin\n");
    team.git_ml(&bob, &["fetch"]).success();
    team.git_ml(&bob, &["model", "alias", "digits", "staging", "v1"]).success();
    team.git_ml(&bob, &["push"]).success();
    // Both change it, each in another way.
    team.git_ml(&ada, &["model", "alias", "digits", "production", "v1"]).success();
    let fetched = team.git_ml(&ada, &["fetch", "--json"]).success();
    assert_eq!(fetched.json()["runs"]["registry"], "merged");
    assert_eq!(team.git_ml(&ada, &["push"]).success().stdout(), "shared the registry with origin\n");
    team.git_ml(&bob, &["fetch"]).success();
    let tip = |folder: &Path| team.git(folder, &["rev-parse", "refs/ml/registry"]);
    assert_eq!(tip(&ada), tip(&bob));
    let shown = team.git_ml(&bob, &["model", "show", "digits", "--json"]).success().json();
    assert_eq!(shown["aliases"], serde_json::json!(["production", "staging"]));
}

#[test]
fn versions_that_both_registered_stay_and_the_first_move_of_an_alias_stands() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    for (folder, who) in [(&ada, "Ada"), (&bob, "Bob")] {
        team.git(folder, &["config", "user.name", who]);
        team.sandbox.write(folder.join("model/weights"), who);
        team.git_ml(folder, &["track", "model"]).success();
        let note = format!("by {who}");
        team.git_ml(folder, &["model", "register", "model", "--name", "digits", "--note", &note]).success();
        team.git_ml(folder, &["model", "promote", "digits", "production", "--note", &format!("{who} is sure")])
            .success();
        team.git_ml(folder, &["model", "alias", "digits", who, "v1"]).success();
    }
    team.git_ml(&bob, &["push"]).success();
    let pushed = team.git_ml(&ada, &["push"]);
    assert_eq!(pushed.exit_code(), 1);
    assert_eq!(pushed.stdout(), "merged the registry of origin with ours, and shared it\n");
    let told = pushed.stderr();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "digits: v1 is now v2, since origin had another v1 first");
    assert!(lines[1].starts_with("digits: production stays at v1, moved by Bob at 2"), "{told}");
    assert!(lines[1].contains("Z: Bob is sure; its move to v2 by Ada at 2"), "{told}");
    assert!(lines[1].ends_with("Z: Ada is sure is not taken"), "{told}");
    assert_eq!(lines[2], "error: your move of digits@production is not taken: others had moved them on origin first");
    team.git_ml(&bob, &["pull"]).success();
    for folder in [&ada, &bob] {
        let list = team.git_ml(folder, &["model", "list", "--json"]).success().json();
        assert_eq!(list[0]["aliases"], serde_json::json!({"Ada": 2, "Bob": 1, "production": 1}));
        for (version, who) in [("digits@v1", "Bob"), ("digits@v2", "Ada")] {
            let shown = team.git_ml(folder, &["model", "show", version, "--json"]).success().json();
            assert_eq!(shown["note"], format!("by {who}"));
        }
        let history = team.git_ml(folder, &["model", "history", "digits", "--json"]).success().json();
        let count = |kind: &str| history.as_array().unwrap().iter().filter(|event| event["event"] == kind).count();
        assert_eq!(["register", "promote", "alias", "renumber", "not-taken"].map(count), [2, 2, 2, 1, 1]);
        // The bytes of the other's model went nowhere, and nothing else is wrong.
        let found = team.git_ml(folder, &["verify", "--json"]).json();
        let codes: Vec<&Value> = found["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
        assert!(codes.iter().all(|code| *code == "missing-artifact"), "{found:#}");
    }
    // The story is in git itself, and goes back past the merge.
    let log = team.git(&bob, &["log", "--format=%B", "refs/ml/registry"]);
    assert!(log.contains("Git-ML-Not-Taken: production 2 1 digits"), "{log}");
    team.git_ml(&ada, &["model", "promote", "digits", "production", "v2"]).success();
    let back = team.git_ml(&ada, &["model", "rollback", "digits", "production"]).success();
    assert_eq!(back.stdout(), "digits@production -> v1 (was v2)\n");
}

#[test]
fn a_registry_in_which_a_version_changed_is_refused() {
    let team = Team::new();
    let [ada, bob] = ["ada", "bob"].map(|name| team.clone(name));
    team.sandbox.write(ada.join("model/weights"), "1");
    team.git_ml(&ada, &["track", "model"]).success();
    team.git_ml(&ada, &["model", "register", "model", "--name", "digits"]).success();
    team.git_ml(&ada, &["push"]).success();
    team.git_ml(&bob, &["fetch"]).success();
    let forge = "blob=$(git cat-file -p refs/ml/registry:digits/versions/1.toml | sed 's/Ada/Eve/' | \
                 git hash-object -w --stdin); export GIT_INDEX_FILE=.git/forged; git read-tree refs/ml/registry && \
                 git update-index --cacheinfo 100644,$blob,digits/versions/1.toml && \
                 git update-ref refs/ml/registry $(git commit-tree -p refs/ml/registry -m forged $(git write-tree)) && \
                 git push --quiet origin refs/ml/registry";
    let mut command = team.sandbox.command("sh");
    command.current_dir(&ada).args(["-c", forge]);
    team.sandbox.run(command).success();
    let before = team.git(&bob, &["rev-parse", "refs/ml/registry"]);
    for way in ["fetch", "push"] {
        let refused = team.git_ml(&bob, &[way]).code(1).stderr();
        assert!(refused.contains("it changes digits@v1, and a registered version never changes"), "{refused}");
    }
    team.git_ml(&bob, &["model", "alias", "digits", "mine", "v1"]).success();
    team.git_ml(&bob, &["fetch"]).code(1);
    assert_ne!(team.git(&bob, &["rev-parse", "refs/ml/registry"]), before, "ours goes on");
}

#[test]
fn it_works_with_a_data_remote_alone_with_a_git_remote_alone_and_says_so_without_any() {
    let team = Team::new();
    let sandbox = &team.sandbox;
    sandbox.write("data/x", "content");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Data");
    team.run(sandbox.repo(), "one");
    let share = sandbox.root().join("share");
    std::fs::create_dir(&share).unwrap();
    sandbox.git_ml(&["remote", "add", "share", &format!("file://{}", share.display()), "--local"]).success();
    let pushed = sandbox.git_ml(&["push", "--json"]).success().json();
    assert_eq!((&pushed["remote"], &pushed["artifacts"]), (&"share".into(), &1.into()));
    assert_eq!((&pushed["runs"]["remote"], &pushed["runs"]["sent"]), (&"origin".into(), &1.into()));
    team.run(sandbox.repo(), "two");
    let pushed = sandbox.git_ml(&["push", "--no-runs", "--json"]).success().json();
    assert_eq!(pushed["runs"], Value::Null);
    let pushed = sandbox.git_ml(&["push", "origin", "--runs-only", "--json"]).success().json();
    assert_eq!((&pushed["remote"], &pushed["runs"]["sent"]), (&Value::Null, &1.into()));
    sandbox.git(&["remote", "remove", "origin"]).success();
    let pushed = sandbox.git_ml(&["push", "--json"]).success().json();
    assert_eq!((&pushed["remote"], &pushed["runs"]), (&"share".into(), &Value::Null));
    assert_eq!(sandbox.git_ml(&["push", "--runs-only"]).exit_code(), 1);
    sandbox.git_ml(&["remote", "remove", "share"]).success();
    let nothing = sandbox.git_ml(&["push"]);
    assert_eq!(nothing.exit_code(), 1);
    assert!(nothing.stderr().contains("there is no remote for artifacts"), "{}", nothing.stderr());
}

#[test]
fn a_linked_work_tree_and_a_detached_head_share_like_any_other() {
    let team = Team::new();
    let sandbox = &team.sandbox;
    sandbox.git_ml(&["init"]).success();
    sandbox.commit("Hooks");
    let linked = sandbox.linked_work_tree("linked");
    team.git(&linked, &["checkout", "--quiet", "--detach"]);
    team.run(&linked, "one");
    // git's hooks are installed, and a push of ours runs none of them.
    let pushed = team.git_ml(&linked, &["push"]).success();
    assert_eq!(pushed.stdout(), "shared 1 run with origin\n");
    let bob = team.clone("bob");
    team.git_ml(&bob, &["fetch"]).success();
    assert_eq!(team.names(&bob), ["one"]);
    assert_eq!(team.run_called(&bob, "one")["branch"], Value::Null);
    sandbox.git(&["push", "--quiet", "origin", "main"]).success();
}
