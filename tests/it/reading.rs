//! Reading runs: lists, graphs, comparisons, tags, notes, and runs that are removed from the lists.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

fn log(sandbox: &Sandbox, arguments: &[&str]) -> Vec<String> {
    let output = sandbox.git_ml(&[&["log", "--json"], arguments].concat()).success().json();
    output.as_array().unwrap().iter().map(|run| run["name"].as_str().unwrap().to_owned()).collect()
}

fn show(sandbox: &Sandbox, run: &str) -> Value {
    sandbox.git_ml(&["show", run, "--json"]).success().json()
}

/// A run of this name that logs a loss.
fn record(sandbox: &Sandbox, name: &str, loss: &str) {
    let script = format!("git ml metric loss={loss} accuracy=0.5; git ml param lr={loss}");
    sandbox.git_ml(&["run", "--name", name, "--", "sh", "-c", &script]).success();
}

#[test]
fn runs_are_chosen_by_commits_inputs_and_more_and_sorted_by_several_keys() {
    let sandbox = Sandbox::new();
    record(&sandbox, "on-first", "3");
    sandbox.git(&["branch", "start"]).success();
    sandbox.write("data/x", "content\n");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git(&["add", "-A"]).success();
    sandbox.commit("Second");
    record(&sandbox, "on-second", "1");
    record(&sandbox, "again", "1");

    assert_eq!(log(&sandbox, &["--where", "commit in start..HEAD"]), ["again", "on-second"]);
    assert_eq!(log(&sandbox, &["--where", "not commit in start..HEAD"]), ["on-first"]);
    assert_eq!(log(&sandbox, &["--where", "commit in HEAD~1 and name like 'on-%'"]), ["on-first"]);
    assert_eq!(log(&sandbox, &["--where", "input = data/x"]), ["again", "on-second"]);
    assert_eq!(log(&sandbox, &["--where", "input != data/x and max(metrics.loss) > 2"]), ["on-first"]);
    assert_eq!(log(&sandbox, &["--sort", "metrics.loss,-name"]), ["on-second", "again", "on-first"]);
    assert_eq!(log(&sandbox, &["--sort", "-metrics.loss", "--sort", "name", "-n", "2"]), ["on-first", "again"]);
    let unknown = sandbox.git_ml(&["log", "--where", "commit in nowhere..HEAD"]).one_line_error();
    assert!(unknown.stderr().contains("`nowhere` is not a revision"), "{unknown}");
    let near = sandbox.git_ml(&["log", "--where", "status = 'finishd' adn dirty"]).one_line_error();
    assert!(near.stderr().contains("did you mean `finished`, at column 10"), "{near}");

    let graph = sandbox.git_ml(&["log", "--graph"]).success().stdout();
    let lines: Vec<&str> = graph.lines().collect();
    let place =
        |part: &str| lines.iter().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {graph}"));
    assert!(lines[place("Second")].starts_with("* "), "{graph}");
    assert!(lines[place("again")].starts_with("|   again, finished"), "{graph}");
    assert!(place("Second") < place("again") && place("again") < place("on-second"), "{graph}");
    assert!(place("on-second") < place("(start)") && place("(start)") < place("on-first"), "{graph}");
    // Nothing follows the first commit.
    assert!(lines[place("on-first")].starts_with("    on-first"), "{graph}");
}

#[test]
fn the_catalog_may_go_at_any_time() {
    let sandbox = Sandbox::new();
    record(&sandbox, "first", "1");
    assert_eq!(log(&sandbox, &[]), ["first"]);
    let place = sandbox.path(".git/ml/runs.db");
    assert!(place.is_file());
    fs::remove_file(&place).unwrap();
    record(&sandbox, "second", "2");
    assert_eq!(log(&sandbox, &[]), ["second", "first"]);
    fs::write(&place, "not a database at all, but long enough to be taken for the header of one").unwrap();
    assert_eq!(log(&sandbox, &["--where", "metrics.loss > 1"]), ["second"]);
    assert_eq!(show(&sandbox, "@~1")["name"], "first");
}

#[test]
fn runs_are_compared_by_what_differs() {
    let sandbox = Sandbox::new();
    record(&sandbox, "one", "1");
    sandbox.commit("Another");
    record(&sandbox, "two", "2.5");
    let compared = sandbox.git_ml(&["compare", "one", "two", "--json"]).success().json();
    assert_eq!(compared["runs"][1]["name"], "two");
    assert_eq!(compared["params"], json!({ "lr": ["1", "2.5"] }));
    assert_eq!(compared["metrics"], json!({ "loss": [1.0, 2.5] }));
    assert_eq!(compared["code"]["commit"][0], show(&sandbox, "one")["commit"]);
    assert_eq!(compared["code"].as_object().unwrap().get("branch"), None, "it is the same");
    let all = sandbox.git_ml(&["compare", "one", "two", "--json", "--all"]).success().json();
    assert_eq!(all["metrics"]["accuracy"], json!([0.5, 0.5]));
    let text = sandbox.git_ml(&["compare", "one", "two"]).success().stdout();
    assert!(text.contains("2.5 (+1.5)") && !text.contains("\n  accuracy"), "{text}");
    sandbox.git_ml(&["compare", "one"]).code(2);
}

#[test]
fn tags_and_notes_come_and_go_also_while_a_run_is_live() {
    let sandbox = Sandbox::new();
    record(&sandbox, "first", "1");
    let tagged = sandbox.git_ml(&["tag", "first", "a=1", "b=2", "--json"]).success().json();
    assert_eq!(tagged["tags"], json!({ "a": "1", "b": "2" }));
    sandbox.git_ml(&["tag", "first", "-d", "a", "c=3"]).success();
    assert_eq!(show(&sandbox, "first")["tags"], json!({ "b": "2", "c": "3" }));
    let missing = sandbox.git_ml(&["tag", "first", "--remove", "a"]).one_line_error();
    assert!(missing.stderr().contains("hint: it has b, c"), "{missing}");
    sandbox.git_ml(&["note", "first", "look at this"]).success();
    assert_eq!(log(&sandbox, &["--where", "note like '%this'"]), ["first"]);
    assert_eq!(show(&sandbox, "first")["note"], "look at this");
    sandbox.git_ml(&["note", "first", ""]).success();
    assert_eq!(show(&sandbox, "first")["note"], Value::Null);

    let mut command = sandbox.git_ml_command();
    command.args(["run", "--name", "going", "--tag", "x=1", "--", "sh", "-c", "echo ready; read line"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    sandbox.git_ml(&["tag", "going", "-d", "x", "y=2"]).success();
    sandbox.git_ml(&["note", "@", "while it runs"]).success();
    let refused = sandbox.git_ml(&["rm", "going"]).one_line_error();
    assert!(refused.stderr().contains("still going"), "{refused}");
    assert_eq!(log(&sandbox, &["--where", "status = running and note like '%runs'"]), ["going"]);
    drop(child.stdin.take());
    child.wait().unwrap();
    let ended = show(&sandbox, "going");
    assert_eq!((&ended["tags"], &ended["note"]), (&json!({ "y": "2" }), &json!("while it runs")));
}

#[test]
fn a_removed_run_is_hidden_and_comes_back() {
    let sandbox = Sandbox::new();
    record(&sandbox, "first", "1");
    record(&sandbox, "second", "2");
    let before = show(&sandbox, "second");
    let removed = sandbox.git_ml(&["rm", "second", "second", "--json"]).success().json();
    assert_eq!((removed.as_array().unwrap().len(), &removed[0]["name"]), (1, &json!("second")));
    assert_eq!(log(&sandbox, &[]), ["first"]);
    assert_eq!(log(&sandbox, &["--removed"]), ["second"]);
    assert_eq!(show(&sandbox, "@")["name"], "first");
    assert!(show(&sandbox, "second")["removed"].is_string(), "its name still leads to it");
    assert!(sandbox.git_ml(&["show", "second"]).success().stdout().contains("git ml rm --restore"));
    sandbox.git_ml(&["rm", "--restore", "second"]).success();
    assert_eq!(show(&sandbox, "second"), before);
    assert_eq!(log(&sandbox, &[]), ["second", "first"]);
    let history = sandbox.git(&["log", "--first-parent", "--format=%s", "-2", "refs/ml/runs"]).success().stdout();
    assert_eq!(history, "second: restore\nsecond: remove\n");

    // What a registered version names stays, and then nothing else goes either.
    sandbox.git_ml(&["run", "--name", "maker", "--", "sh", "-c", "echo 1 > m; git ml output m --type model"]).success();
    sandbox.git_ml(&["model", "register", "run:maker", "--name", "digits"]).success();
    let refused = sandbox.git_ml(&["rm", "first", "maker"]).one_line_error();
    assert!(refused.stderr().contains("digits@v1 was made by run maker"), "{refused}");
    assert_eq!(log(&sandbox, &[]).len(), 3);
    sandbox.git_ml(&["rm", "--force", "first", "maker"]).success();
    assert_eq!(log(&sandbox, &[]), ["second"]);
}
