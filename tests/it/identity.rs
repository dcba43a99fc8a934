//! Who git says the user is.

use crate::sandbox::Sandbox;

#[test]
fn the_author_is_whom_git_would_name() {
    let mut sandbox = Sandbox::new();
    let author =
        |sandbox: &Sandbox| sandbox.git(&["log", "-1", "--format=%an <%ae>", "refs/ml/runs"]).success().stdout();
    sandbox.git(&["ml", "run", "--quiet", "--", "true"]).success();
    assert_eq!(author(&sandbox), "Ada Tester <ada@example.com>\n");
    sandbox.git(&["-c", "user.name=Bea", "ml", "run", "--quiet", "--", "true"]).success();
    assert_eq!(author(&sandbox), "Bea <ada@example.com>\n");
    sandbox.set_env("GIT_AUTHOR_EMAIL", "elsewhere@example.com");
    sandbox.git(&["ml", "run", "--quiet", "--", "true"]).success();
    assert_eq!(author(&sandbox), "Ada Tester <elsewhere@example.com>\n");
}

#[test]
fn without_a_name_a_run_is_kept_and_a_registration_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("data", "x");
    sandbox.git(&["ml", "track", "--quiet", "data"]).success();
    sandbox.commit("Data");
    std::fs::remove_file(sandbox.home().join(".gitconfig")).unwrap();
    sandbox.git(&["ml", "run", "--quiet", "--", "true"]).success();
    let author = sandbox.git(&["log", "-1", "--format=%an", "refs/ml/runs"]).success().stdout();
    assert_eq!(author, "ada\n");
    insta::assert_snapshot!(sandbox.git(&["ml", "model", "register", "data", "--name", "m"]).code(1), @"
    --- stderr
    error: git does not know who you are
    hint: `git config --global user.name NAME` and `git config --global user.email ADDRESS`
    --- exit 1
    ");
}
