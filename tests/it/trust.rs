//! Nothing that `ml.toml` names runs before the user has approved it.

use crate::sandbox::Sandbox;

const CONFIG: &str = "[experiments.x]\ncommand = \"touch ran\"\n";

#[test]
fn an_experiment_runs_only_after_its_file_was_approved() {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", CONFIG);
    sandbox.commit("Experiments");
    insta::assert_snapshot!(sandbox.git(&["ml", "run", "x"]).code(1), @"
    --- stderr
    error: ml.toml has not been approved: it names commands to run
    hint: read ml.toml, then `git ml trust`
    --- exit 1
    ");
    assert!(!sandbox.exists("ran"));
    insta::assert_snapshot!(sandbox.git(&["ml", "trust"]).success(), @"
    --- stdout
    ml.toml may run:
      x: $ touch ran
    approved; `git ml trust --revoke` takes it back
    --- exit 0
    ");
    sandbox.git(&["ml", "run", "x", "--quiet"]).success();
    assert!(sandbox.exists("ran"));

    // Any edit asks again, and so does another clone.
    sandbox.write("ml.toml", format!("{CONFIG}# edited\n"));
    sandbox.git(&["ml", "run", "x"]).code(1);
    sandbox.write("ml.toml", CONFIG);
    sandbox.git(&["ml", "run", "x", "--quiet"]).success();
    let clone = sandbox.clone_to("clone");
    sandbox.git_ml_in(&clone, &["run", "x"]).code(1);
    assert_eq!(sandbox.git(&["ml", "trust", "--revoke"]).success().stdout(), "took 1 approval back\n");
    sandbox.git(&["ml", "run", "x"]).code(1);
}

#[test]
fn an_ml_toml_that_is_not_valid_names_line_and_key() {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", "\n[hooks]\nrequire_pushed = true\n");
    insta::assert_snapshot!(sandbox.git(&["ml", "trust"]).code(1), @"
    --- stderr
    error: <repo>/ml.toml: line 3: there is no key `require_pushed`; did you mean `require-pushed`?
    hint: correct that line of ml.toml
    --- exit 1
    ");
}
