//! Gates in ml.toml: what a promotion has to meet, and what it says when it does not.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// A repository whose runs make a model and log its accuracy, with a gate for `production`.
fn gated(conditions: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", format!("[gates.production]\nrequire = {conditions}\n"));
    sandbox.commit("Gates");
    sandbox
}

/// Registers what a run made that reached this accuracy.
fn register(sandbox: &Sandbox, name: &str, accuracy: &str) {
    let script = format!(
        "echo {accuracy} > out.bin; git ml output out.bin --name model --type model; \
         git ml metric test_accuracy={accuracy}; git ml param lr=0.1"
    );
    sandbox.git_ml(&["run", "--quiet", "--name", name, "--", "sh", "-c", &script]).success();
    sandbox.git_ml(&["model", "register", "run:@", "--name", "digits"]).success();
}

fn promote(sandbox: &Sandbox, arguments: &[&str]) -> crate::sandbox::Output {
    sandbox.git_ml(&[&["model", "promote", "digits", "production"], arguments].concat())
}

fn production(sandbox: &Sandbox) -> Value {
    sandbox.git_ml(&["model", "list", "--json"]).success().json()[0]["aliases"]["production"].clone()
}

#[test]
fn a_gate_says_what_it_found_and_where() {
    let sandbox = gated(
        "[\"metrics.test_accuracy >= 0.9\", \"metrics.test_accuracy >= alias.production - 0.005\", \"verified\"]",
    );
    register(&sandbox, "first", "0.95");
    let passed = promote(&sandbox, &[]).success();
    assert_eq!(passed.stdout(), "digits@production -> v1\n");
    assert_snapshot!(passed.stderr(), @r"
    digits@v1 passes the gate production: 3 conditions
      note: digits@production does not exist yet, so there is nothing to compare with
    ");

    register(&sandbox, "worse", "0.944");
    let refused = promote(&sandbox, &[]).code(3);
    assert_eq!((refused.stdout().as_str(), production(&sandbox)), ("", json!(1)));
    assert_snapshot!(refused.stderr(), @r"
    error: digits@v2 does not pass the gate production
      metrics.test_accuracy >= alias.production - 0.005: metrics.test_accuracy is 0.944 (digits@v2, run worse, refs/ml/registry:digits/versions/2.toml), alias.production is 0.95 (digits@v1, run first, refs/ml/registry:digits/versions/1.toml)
    hint: `git ml model promote digits production v2 --override REASON` does it all the same, and the history tells
    ");

    // Exactly as far below as is allowed, which binary numbers do not say exactly.
    register(&sandbox, "as-good", "0.945");
    promote(&sandbox, &[]).success();
    assert_eq!(production(&sandbox), 3);

    // What is wrong with all conditions is said at once, as data too.
    register(&sandbox, "bad", "0.5");
    let refused = promote(&sandbox, &["--json"]).code(3);
    let outcome = refused.json();
    assert_eq!(refused.stderr(), "");
    assert_eq!((&outcome["moved"], &outcome["version"], &outcome["previous"]), (&json!(false), &json!(4), &json!(3)));
    let conditions = outcome["gate"]["conditions"].as_array().unwrap();
    assert_eq!(conditions.iter().map(|one| one["passed"].clone()).collect::<Vec<_>>(), [false, false, true]);
    let looked = &conditions[1]["looked"];
    assert_eq!((&looked[0]["value"], &looked[1]["value"]), (&json!(0.5), &json!(0.945)));
    assert_eq!(looked[1]["origin"]["run"], "as-good");
    assert_eq!(looked[1]["origin"]["file"], "refs/ml/registry:digits/versions/3.toml");
}

#[test]
fn an_override_is_kept_in_the_history_with_what_it_passed_by() {
    let sandbox = gated("[\"metrics.test_accuracy >= 0.9\", \"signed\"]");
    register(&sandbox, "bad", "0.5");
    promote(&sandbox, &["--override", ""]).code(2);
    let forced = promote(&sandbox, &["--override", "the test set\nwas wrong", "--note", "see the issue"]).success();
    assert_eq!(forced.stdout(), "digits@production -> v1\n");
    assert_snapshot!(forced.stderr(), @r"
    warning: digits@v1 does not pass the gate production, which is overridden
      metrics.test_accuracy >= 0.9: metrics.test_accuracy is 0.5 (digits@v1, run bad, refs/ml/registry:digits/versions/1.toml)
      signed: digits@v1 has no signature
    ");
    let history = sandbox.git_ml(&["model", "history", "digits", "--json"]).success().json();
    assert_eq!(
        (&history[0]["override"], &history[0]["note"]),
        (&json!("the test set was wrong"), &json!("see the issue"))
    );
    assert!(history[1]["override"].is_null());
    let table = sandbox.git_ml(&["model", "history", "digits"]).success().stdout();
    assert!(table.contains("see the issue; the gate was overridden: the test set was wrong"), "{table}");
    let log = sandbox.git(&["log", "-1", "--format=%B", "refs/ml/registry"]).success().stdout();
    assert!(log.contains("Git-ML-Failed: signed: digits@v1 has no signature"), "{log}");

    // A reason that nothing asked for is not kept.
    sandbox.write("ml.toml", "[gates.production]\n");
    register(&sandbox, "next", "0.4");
    promote(&sandbox, &["--override", "needless"]).success();
    let history = sandbox.git_ml(&["model", "history", "digits", "--json"]).success().json();
    assert!(history[0]["override"].is_null());
}

#[test]
fn every_way_to_move_an_alias_forward_is_guarded_and_the_way_back_is_open() {
    let sandbox = gated("[\"metrics.test_accuracy >= 0.9\"]");
    register(&sandbox, "good", "0.95");
    register(&sandbox, "bad", "0.5");
    sandbox.git_ml(&["model", "alias", "digits", "production", "v2"]).code(3);
    let registered =
        sandbox.git_ml(&["model", "register", "digits@v2", "--name", "other", "--alias", "production"]).code(3);
    assert_eq!(registered.stdout(), "other@v1\n", "the version is there, the alias is not");
    let other = sandbox.git_ml(&["model", "show", "other", "--json"]).success().json();
    assert_eq!(other["aliases"], json!([]));
    // Others are free.
    sandbox.git_ml(&["model", "alias", "digits", "staging", "v2"]).success();
    promote(&sandbox, &["v1"]).success();
    promote(&sandbox, &["v2", "--override", "a test"]).success();
    // Back and forth: v1 would pass, and a rollback to v2 is asked nothing.
    promote(&sandbox, &["v1"]).success();
    let back = sandbox.git_ml(&["model", "rollback", "digits", "production"]).success();
    assert_eq!(back.stderr(), "the gate production is not asked about a rollback\n");
    assert_eq!(production(&sandbox), 2);
}

#[test]
fn what_cannot_be_told_keeps_the_gate_shut_and_says_why() {
    let sandbox = gated("[\"not metrics.f1 < 0.5\", \"not dirty\", \"params.lr = 0.1\"]");
    sandbox.write("weights", "made elsewhere");
    sandbox.git_ml(&["track", "weights", "--type", "model"]).success();
    sandbox.git_ml(&["model", "register", "weights", "--name", "digits"]).success();
    assert_snapshot!(promote(&sandbox, &[]).code(3).stderr(), @r"
    error: digits@v1 does not pass the gate production
      not metrics.f1 < 0.5: digits@v1 has no metrics.f1, since no run is known that made it
      not dirty: digits@v1 has no dirty, since no run is known that made it
      params.lr = 0.1: digits@v1 has no params.lr, since no run is known that made it
    hint: `git ml model promote digits production v1 --override REASON` does it all the same, and the history tells
    ");
    sandbox.commit("All");
    register(&sandbox, "clean", "0.9");
    let refused = promote(&sandbox, &[]).code(3).stderr();
    assert!(refused.contains("  not metrics.f1 < 0.5: digits@v2 has no metrics.f1\nhint:"), "{refused}");
}

#[test]
fn a_condition_that_cannot_be_read_is_pointed_at_and_moves_nothing() {
    let sandbox = gated("[\n  \"metrics.test_accuracy >= 0.9\",\n  \"metrics.test_accuracy >== 0.9\",\n]");
    register(&sandbox, "good", "0.95");
    let failed = promote(&sandbox, &[]).code(1);
    assert_snapshot!(failed.normalised_stderr(), @r#"
    error: <repo>/ml.toml: line 4, column 28: gates.production: `metrics.test_accuracy >== 0.9`: expected a number, which `metrics.test_accuracy` is, found `=`
    hint: a condition looks like "metrics.test_accuracy >= alias.production - 0.005"
    "#);
    assert_eq!(production(&sandbox), Value::Null);
}

#[test]
fn verified_notices_a_version_that_is_not_what_was_registered() {
    let sandbox = gated("[\"verified\"]");
    register(&sandbox, "good", "0.95");
    promote(&sandbox, &[]).success();
    register(&sandbox, "next", "0.96");
    // Somebody changes the metrics of what was registered, past git-ml.
    let forge = "tree=$(git cat-file -p refs/ml/registry:digits/versions/2.toml | sed 's/0.96/0.99/g' | \
                 git hash-object -w --stdin); export GIT_INDEX_FILE=.git/forged; git read-tree refs/ml/registry && \
                 git update-index --cacheinfo 100644,$tree,digits/versions/2.toml && \
                 git update-ref refs/ml/registry $(git commit-tree -p refs/ml/registry -m forged $(git write-tree))";
    sandbox.shell(forge).success();
    let refused = promote(&sandbox, &["v2"]).code(3).stderr();
    assert!(refused.contains("  verified: digits@v2 is not what was registered\n"), "{refused}");
}
