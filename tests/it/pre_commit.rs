//! Commits through the pre-commit hook.

use std::fs;

use crate::sandbox::Sandbox;

/// A repository with the hooks and a tracked `data/x`.
fn with_data() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(&["ml", "init", "--quiet"]).success();
    sandbox.write("data/x/file", "one");
    sandbox.git(&["ml", "track", "data/x", "--quiet"]).success();
    sandbox.commit("One");
    sandbox
}

fn head(sandbox: &Sandbox) -> String {
    sandbox.git(&["rev-parse", "HEAD"]).success().stdout()
}

#[test]
fn a_commit_does_not_leave_changed_data_behind() {
    let sandbox = with_data();
    sandbox.write("README.md", "More.\n");
    sandbox.write("data/x/file", "two");
    sandbox.write("data/x/new", "new");
    let before = head(&sandbox);
    insta::assert_snapshot!(sandbox.git(&["commit", "--all", "--message", "More"]).code(1), @"
    --- stderr
    error: git does not commit: data/x has changes that its pointer does not have (changed file, added new)
    hint: `git ml track data/x && git add data/x.mlref`; or `git commit --no-verify` once
    --- exit 1
    ");
    assert_eq!(head(&sandbox), before);
    // A pointer that is new and not staged is left behind as well.
    sandbox.git(&["ml", "track", "data/x", "--quiet"]).success();
    sandbox.git(&["add", "README.md"]).success();
    let refused = sandbox.git(&["commit", "--message", "More"]).code(1);
    assert!(refused.stderr().contains("the new pointer of data/x is not staged"), "{refused}");
    // What was said to be typed is typed, and `--all` stages it too.
    sandbox.git(&["commit", "--quiet", "--all", "--message", "More"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");
    assert_ne!(head(&sandbox), before);

    sandbox.write("data/y", "y");
    sandbox.git(&["ml", "track", "data/y", "--quiet"]).success();
    let refused = sandbox.git(&["commit", "--allow-empty", "--message", "More"]).code(1);
    assert!(refused.stderr().contains("the pointer of data/y is not in git"), "{refused}");
    assert!(refused.stderr().contains("hint: `git add data/y.mlref data/.gitignore`"), "{refused}");
    sandbox.shell("git add data/y.mlref data/.gitignore && git commit --quiet --message More").success();
}

#[test]
fn who_names_the_files_of_a_commit_leaves_the_data_out_with_a_purpose() {
    let sandbox = with_data();
    sandbox.write("README.md", "More.\n");
    sandbox.write("data/x/file", "two");
    let output = sandbox.git(&["commit", "--quiet", "--message", "More", "README.md"]).success();
    assert!(output.stderr().starts_with("warning: data/x has changes that its pointer does not have"), "{output}");
    assert!(output.stderr().contains("hint: `git ml track data/x"), "{output}");
}

#[test]
fn a_team_or_one_of_it_may_want_a_warning_or_nothing() {
    let sandbox = with_data();
    sandbox.write("data/x/file", "two");
    let commit = ["commit", "--quiet", "--allow-empty", "--message", "More"];
    sandbox.git(&commit).code(1);
    sandbox.write("ml.toml", "[hooks.pre-commit]\nchanged-data = \"warn\"\n");
    let output = sandbox.git(&commit).success();
    assert!(output.stderr().starts_with("warning: data/x has changes"), "{output}");
    sandbox.git(&["config", "ml.changedData", "ignore"]).success();
    assert_eq!(sandbox.git(&commit).success().stderr(), "");
    sandbox.git(&["config", "ml.changedData", "refuse"]).success();
    sandbox.git(&commit).code(1);
    sandbox.git(&["commit", "--quiet", "--allow-empty", "--no-verify", "--message", "More"]).success();
    // Whoever is about to mend a file that is not valid can commit it.
    sandbox.git(&["config", "ml.changedData", "ignore"]).success();
    sandbox.write("ml.toml", "nonsense = [");
    let output = sandbox.git(&commit).success();
    assert!(output.stderr().starts_with("warning: [hooks] of ml.toml is not used"), "{output}");
}

#[test]
fn a_file_that_is_too_large_for_git_goes_into_the_store() {
    let sandbox = with_data();
    sandbox.write("weights of mine.bin", vec![0; (10 << 20) + 1]);
    sandbox.write("small.bin", vec![0; 10 << 20]);
    sandbox.git(&["add", "--all"]).success();
    insta::assert_snapshot!(sandbox.git(&["commit", "--message", "Large"]).code(1), @"
    --- stderr
    error: git does not commit: weights of mine.bin has 10.0 MiB, and git gets files of up to 10.0 MiB
    hint: `git rm --cached 'weights of mine.bin' && git ml track 'weights of mine.bin'`; or `git commit --no-verify` once
    --- exit 1
    ");
    sandbox
        .shell("git rm --quiet --cached 'weights of mine.bin' && git ml track --quiet 'weights of mine.bin'")
        .success();
    sandbox.git(&["add", "--all"]).success();
    sandbox.git(&["commit", "--quiet", "--message", "Large"]).success();

    sandbox.write("ml.toml", "[hooks.pre-commit]\nmax-file-size = \"1k\"\n");
    sandbox.write("README.md", "x".repeat(2000));
    sandbox.write("small.txt", "x".repeat(1000));
    sandbox.git(&["add", "--all"]).success();
    let refused = sandbox.git(&["commit", "--message", "Long"]).code(1);
    assert!(refused.stderr().contains("README.md has 2.0 KiB") && !refused.stderr().contains("small"), "{refused}");
    // What is there already is nobody's new mistake.
    sandbox.git(&["checkout", "--quiet", "HEAD", "--", "README.md"]).success();
    sandbox.git(&["commit", "--quiet", "--message", "Short"]).success();
}

#[test]
fn a_pointer_that_is_none_is_not_committed() {
    let sandbox = with_data();
    let pointer = sandbox.read("data/x.mlref");
    sandbox.write("data/x.mlref", format!("<<<<<<< ours\n{pointer}=======\n{pointer}>>>>>>> theirs\n"));
    let refused = sandbox.git(&["commit", "--all", "--message", "Merged"]).code(1);
    assert!(refused.stderr().contains("data/x.mlref is no pointer: line 1 has git's conflict markers"), "{refused}");
}

#[test]
fn the_first_commit_and_linked_work_trees_are_looked_at_too() {
    let sandbox = Sandbox::without_commit();
    sandbox.git(&["ml", "init", "--quiet"]).success();
    sandbox.write("data/x", "one");
    sandbox.git(&["ml", "track", "--quiet", "data/x"]).success();
    sandbox.git(&["add", "ml.toml"]).success();
    let refused = sandbox.git(&["commit", "--message", "Begin"]).code(1);
    assert!(refused.stderr().contains("the pointer of data/x is not in git"), "{refused}");
    sandbox.git(&["add", "--all"]).success();
    sandbox.git(&["commit", "--quiet", "--message", "Begin"]).success();

    let linked = sandbox.linked_work_tree("linked");
    fs::write(linked.join("data/x"), "two").unwrap();
    let folder = linked.to_str().unwrap();
    let refused = sandbox.git(&["-C", folder, "commit", "--allow-empty", "--message", "Two"]).code(1);
    assert!(refused.stderr().contains("data/x has changes"), "{refused}");
    // The data of the other work tree is nobody's business here.
    sandbox.git(&["commit", "--quiet", "--allow-empty", "--message", "One"]).success();
}

#[test]
fn the_hook_can_be_run_by_hand_and_changes_nothing() {
    let sandbox = with_data();
    sandbox.write("data/x/file", "two");
    let index = sandbox.read_bytes(".git/index");
    sandbox.git(&["ml", "hook", "pre-commit"]).code(1);
    assert_eq!(sandbox.read_bytes(".git/index"), index);
}
