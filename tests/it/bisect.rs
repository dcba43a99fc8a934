//! Finding the commit that broke a metric.

use serde_json::Value;

use crate::sandbox::Sandbox;

/// A history in which the accuracy falls at the fifth of eight commits, with a training that counts how often it ran.
fn history(sandbox: &Sandbox, script: impl Fn(usize) -> String) -> Vec<String> {
    let count = format!("echo >> '{}/count'\n", sandbox.root().display());
    sandbox.write("däta/x y", "content\n");
    sandbox.git_ml(&["track", "däta/x y"]).success();
    let commit = |number: usize| {
        sandbox.write("train.sh", format!("# {number}\n{count}{}", script(number)));
        sandbox.commit(&format!("Commit {number}"))
    };
    (0..8).map(commit).collect()
}

fn trained(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.root().join("count")).unwrap_or_default().lines().count()
}

fn script(number: usize) -> String {
    let accuracy = if number < 5 { 0.9 } else { 0.5 };
    format!("test $(wc -c < 'däta/x y') = 8 && git ml metric accuracy={accuracy}\n")
}

const BELOW: [&str; 5] = ["bisect", "--metric", "accuracy", "--below", "0.8"];

#[test]
fn the_commit_that_broke_a_metric_is_found_and_what_was_run_is_not_run_again() {
    let sandbox = Sandbox::new();
    let commits = history(&sandbox, script);
    sandbox.write("README.md", "work in progress\n");
    let look = || {
        let refs = sandbox.git(&["for-each-ref", "refs/heads", "refs/bisect"]).success().stdout();
        let status = sandbox.git(&["status", "--porcelain", "--ignored"]).success().stdout();
        (refs, status, sandbox.read_bytes(".git/index"), sandbox.read_bytes(".git/HEAD"))
    };
    let before = look();
    let ends = [commits[0].as_str(), "HEAD"];
    let found = sandbox.git_ml(&[&BELOW[..], &ends, &["--json", "--", "sh", "train.sh"]].concat()).success().json();
    assert_eq!(found["found"], true);
    assert_eq!(found["first_bad"][0]["commit"], commits[5].as_str());
    assert_eq!((&found["first_bad"][0]["subject"], &found["first_bad"][0]["value"]), (&"Commit 5".into(), &0.5.into()));
    assert_eq!((&found["parent"]["commit"], &found["parent"]["value"]), (&commits[4].as_str().into(), &0.9.into()));
    assert!(found["parent"]["run_name"].is_string());
    let first = found["trained"].as_u64().unwrap() as usize;
    assert_eq!(first, trained(&sandbox));
    assert!(first <= 6, "the two ends, and few in between: {first}");
    assert_eq!(look(), before, "the user's work tree stays");
    let worktrees = sandbox.git(&["worktree", "list"]).success().stdout();
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");

    // All of it is recorded now, also for who asks from a linked work tree with a detached HEAD.
    let linked = sandbox.linked_work_tree("linked");
    let mut command = sandbox.git_ml_command();
    command.current_dir(&linked).args(BELOW).args(ends).args(["--", "sh", "train.sh"]);
    let told = sandbox.run(command).success();
    assert_eq!(trained(&sandbox), first);
    let told = told.stdout();
    let expected = format!("{} is the first bad commit: Commit 5\n  by Ada Tester\n  accuracy 0.5 (run ", commits[5]);
    assert!(told.starts_with(&expected), "{told}");
    assert!(told.contains(&format!("at its parent {}\n", &commits[4][..8])), "{told}");
}

#[test]
fn runs_that_exist_are_used_unless_anything_differs() {
    let sandbox = Sandbox::new();
    let commits = history(&sandbox, script);
    // Run by hand, each with its own code.
    for commit in &commits {
        sandbox.git(&["checkout", "--quiet", commit]).success();
        sandbox.git_ml(&["checkout"]).success();
        let _ = sandbox.git_ml(&["-q", "run", "--", "sh", "train.sh"]);
    }
    sandbox.git(&["checkout", "--quiet", "main"]).success();
    assert_eq!(trained(&sandbox), 8);
    let ends = [commits[0].as_str(), commits[7].as_str()];
    let found = sandbox.git_ml(&[&BELOW[..], &ends, &["--json", "--", "sh", "train.sh"]].concat()).success().json();
    assert_eq!((&found["trained"], &found["first_bad"][0]["commit"]), (&0.into(), &commits[5].as_str().into()));
    let other = sandbox.git_ml(&[&BELOW[..], &ends, &["--json", "--", "sh", "./train.sh"]].concat()).success().json();
    assert!(other["trained"].as_u64().unwrap() > 0, "another command is another run");
}

#[test]
fn an_experiment_is_run_as_each_commit_has_it_once_it_is_approved() {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", "[experiments.small]\ncommand = \"sh train.sh {lr}\"\nparams = { lr = 1 }\n");
    let commits =
        history(&sandbox, |number| format!("git ml metric loss={}\n", if number < 3 { "0.1" } else { "0.7" }));
    let arguments = ["bisect", "--metric", "loss", "--above", "0.5", commits[0].as_str(), "HEAD"];
    let refused = sandbox.git_ml(&arguments);
    assert_eq!(refused.exit_code(), 1);
    assert!(refused.stderr().contains("  $ sh train.sh {lr}\n"), "{refused}");
    assert_eq!(trained(&sandbox), 0);
    sandbox.git_ml(&["trust"]).success();
    let found = sandbox.git_ml(&[&arguments[..], &["--json"]].concat()).success().json();
    assert_eq!(found["first_bad"][0]["commit"], commits[3].as_str());
    let name = found["first_bad"][0]["run_name"].as_str().unwrap();
    let run = sandbox.git_ml(&["show", name, "--json"]).success().json();
    assert_eq!((&run["experiment"], &run["commit"]), (&"small".into(), &commits[3].as_str().into()));
    assert_eq!((&run["dirty"], &run["params"]["lr"]), (&false.into(), &"1".into()));
}

#[test]
fn commits_whose_run_fails_are_skipped() {
    let sandbox = Sandbox::new();
    let commits = history(&sandbox, |number| match number {
        3 => "exit 1\n".to_owned(),
        number => script(number),
    });
    let ends = [commits[0].as_str(), "HEAD", "--json", "--", "sh", "train.sh"];
    let found = sandbox.git_ml(&[&BELOW[..], &ends].concat()).success().json();
    assert_eq!(found["first_bad"][0]["commit"], commits[5].as_str());

    // Where the one before the first bad one fails too, nothing more can be told.
    let other = Sandbox::new();
    let commits = history(&other, |number| match number {
        3 | 4 => "exit 1\n".to_owned(),
        number => script(number),
    });
    let ends = [commits[0].as_str(), "HEAD", "--json", "--", "sh", "train.sh"];
    let unclear = other.git_ml(&[&BELOW[..], &ends].concat());
    assert_eq!(unclear.exit_code(), 1);
    let told = unclear.json();
    let among: Vec<&str> =
        told["first_bad"].as_array().unwrap().iter().map(|entry| entry["commit"].as_str().unwrap()).collect();
    assert_eq!(told["found"], Value::Bool(false));
    assert_eq!(among.len(), 3, "{told}");
    assert!(commits[3..=5].iter().all(|commit| among.contains(&commit.as_str())), "{told}");
}

#[test]
fn ends_that_are_on_the_wrong_side_are_told_before_anything_else() {
    let sandbox = Sandbox::new();
    let commits = history(&sandbox, script);
    let bisect = |good: &str, bad: &str, more: &[&str]| {
        sandbox.git_ml(&[&BELOW[..], &[good, bad], more, &["--", "sh", "train.sh"]].concat()).one_line_error()
    };
    let bad = bisect(&commits[6], "HEAD", &[]);
    assert!(bad.stderr().contains("(Commit 6) is bad: accuracy is 0.5, below 0.8"), "{bad}");
    let good = bisect(&commits[0], &commits[3], &[]);
    assert!(good.stderr().contains("(Commit 3) is good: accuracy is 0.9, not below 0.8"), "{good}");
    let order = bisect("HEAD", &commits[0], &[]);
    assert!(order.stderr().contains("does not come before"), "{order}");
    let metric = ["bisect", "--metric", "nothing", "--below", "1", &commits[0], "HEAD", "--", "sh", "train.sh"];
    let unknown = sandbox.git_ml(&metric).one_line_error();
    assert!(unknown.stderr().contains("is not known: its run failed or did not log it"), "{unknown}");
    assert_eq!(sandbox.git_ml(&["bisect", "--metric", "a", "HEAD", "HEAD"]).exit_code(), 2);
}

#[test]
fn each_run_of_a_search_has_a_port_for_mlflow() {
    let sandbox = Sandbox::new();
    let commits = history(&sandbox, |number| {
        format!("test -n \"$MLFLOW_TRACKING_URI\" && test -n \"$MLFLOW_RUN_ID\" || exit 1\n{}", script(number))
    });
    let ends = [commits[3].as_str(), commits[5].as_str()];
    let found = sandbox.git_ml(&[&BELOW[..], &ends, &["--json", "--", "sh", "train.sh"]].concat()).success().json();
    assert_eq!(found["first_bad"][0]["commit"], commits[5].as_str());
}
