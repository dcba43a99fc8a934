//! git's hooks, run by git.

use std::fs;

use crate::sandbox::Sandbox;

/// A repository with `data/x` in two versions on two branches, the one of `main` in the work tree.
fn two_versions() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(&["ml", "init", "--quiet"]).success();
    sandbox.write("data/x/same", "same");
    sandbox.write("data/x/file", "one");
    sandbox.git(&["ml", "track", "data/x", "--quiet"]).success();
    sandbox.commit("One");
    sandbox.git(&["checkout", "--quiet", "-b", "two"]).success();
    sandbox.write("data/x/file", "two");
    sandbox.write("data/x/more", "more");
    sandbox.git(&["ml", "track", "data/x", "--quiet"]).success();
    sandbox.commit("Two");
    sandbox.git(&["checkout", "--quiet", "main"]).success();
    sandbox
}

#[test]
fn data_follows_its_pointer_through_checkouts_and_merges() {
    let sandbox = two_versions();
    assert_eq!(sandbox.read("data/x/file"), "one");
    assert!(!sandbox.exists("data/x/more"));
    let output = sandbox.git(&["checkout", "two"]).success();
    assert!(output.stderr().contains("data/x: 2 files written"), "{output}");
    assert_eq!(sandbox.read("data/x/file"), "two");

    sandbox.git(&["checkout", "--quiet", "main"]).success();
    sandbox.git(&["checkout", "two", "--", "data/x.mlref"]).success();
    assert_eq!(sandbox.read("data/x/file"), "two", "a pointer that was restored alone");
    sandbox.git(&["checkout", "main", "--", "data/x.mlref"]).success();
    assert_eq!(sandbox.read("data/x/file"), "one");

    sandbox.git(&["merge", "--quiet", "two"]).success();
    assert_eq!(sandbox.read("data/x/file"), "two");
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");

    let linked = sandbox.linked_work_tree("linked");
    assert_eq!(fs::read_to_string(linked.join("data/x/file")).unwrap(), "two");
}

#[test]
fn a_squashed_merge_brings_the_data_too() {
    let sandbox = two_versions();
    sandbox.git(&["merge", "--quiet", "--squash", "two"]).success();
    assert_eq!(sandbox.read("data/x/file"), "two");
}

#[test]
fn changes_of_ones_own_stay_whatever_git_checks_out() {
    let sandbox = two_versions();
    sandbox.write("data/x/file", "mine");
    let output = sandbox.git(&["checkout", "two"]).success();
    assert_eq!(sandbox.read("data/x/file"), "mine");
    assert!(output.stderr().contains("warning: data/x has changes of its own, so it stays as it is"), "{output}");
    // Also where every byte of them is stored.
    sandbox.git(&["checkout", "--quiet", "main"]).success();
    sandbox.write("data/x/file", "same");
    sandbox.git(&["checkout", "--quiet", "two"]).success();
    assert_eq!(sandbox.read("data/x/file"), "same");
    sandbox.git(&["checkout", "--quiet", "--", "README.md"]).success();
    assert_eq!(sandbox.read("data/x/file"), "same");
}

#[test]
fn a_hook_that_cannot_do_its_work_does_not_fail_git() {
    let sandbox = two_versions();
    for pack in fs::read_dir(sandbox.path(".git/ml/packs")).unwrap() {
        fs::remove_file(pack.unwrap().path()).unwrap();
    }
    let output = sandbox.git(&["checkout", "two"]).success();
    assert!(output.stderr().contains("warning: data/x"), "{output}");
    assert_eq!(sandbox.read("data/x/file"), "one");
    sandbox.write("ml.toml", "nonsense = [");
    let output = sandbox.git(&["checkout", "main"]).success();
    assert!(output.stderr().contains("warning: tracked data stays as it is"), "{output}");
}

#[test]
fn following_can_be_switched_off() {
    let sandbox = two_versions();
    sandbox.write("ml.toml", "[hooks]\ncheckout = false\n");
    sandbox.git(&["checkout", "--quiet", "two"]).success();
    assert_eq!(sandbox.read("data/x/file"), "one");
}

#[test]
fn a_push_is_refused_until_others_can_get_the_data() {
    let sandbox = two_versions();
    let remote = sandbox.root().join("remote.git");
    sandbox.git(&["init", "--quiet", "--bare", remote.to_str().unwrap()]).success();
    sandbox.git(&["remote", "add", "origin", remote.to_str().unwrap()]).success();
    let refused = sandbox.git(&["push", "--quiet", "origin", "main"]).code(1);
    insta::assert_snapshot!(refused, @"
    --- stderr
    error: nobody else can get the data that the pointers pushed name: data/x (d839e930)
    hint: `git ml push` puts it on a remote, which `git ml remote add` makes; or push without this check: `git push --no-verify` once, or `require-pushed = false` under [hooks] in ml.toml
    error: failed to push some refs to '<root>/remote.git'
    --- exit 1
    ");
    sandbox.git(&["push", "--quiet", "--no-verify", "origin", "main"]).success();

    // What the remote has is not asked for again; what it lacks is.
    sandbox.git(&["push", "--quiet", "origin", "main:again"]).success();
    sandbox.git(&["push", "--quiet", "origin", "two"]).code(1);
    let share = sandbox.root().join("share");
    sandbox.git(&["ml", "remote", "add", "--local", "share", share.to_str().unwrap()]).success();
    sandbox.git(&["push", "--quiet", "origin", "two"]).code(1);
    sandbox.git(&["checkout", "--quiet", "two"]).success();
    sandbox.git(&["ml", "push", "--quiet"]).success();
    sandbox.git(&["push", "--quiet", "origin", "two"]).success();
    sandbox.git(&["push", "--quiet", "origin", ":again"]).success();
}

#[test]
fn the_check_of_pushes_can_be_switched_off() {
    let sandbox = two_versions();
    let remote = sandbox.root().join("remote.git");
    sandbox.git(&["init", "--quiet", "--bare", remote.to_str().unwrap()]).success();
    sandbox.write("ml.toml", "[hooks]\nrequire-pushed = false\n");
    sandbox.git(&["push", "--quiet", remote.to_str().unwrap(), "main", "two"]).success();
}

#[test]
fn commands_in_a_hook_see_the_right_repository_and_leave_its_index_alone() {
    let sandbox = Sandbox::new();
    // While `git commit --all` runs this, GIT_INDEX_FILE names a temporary index and GIT_DIR is set.
    sandbox.write_program(".git/hooks/pre-commit", "#!/bin/sh\ngit ml run --quiet -- true\n");
    sandbox.write("README.md", "changed\n");
    sandbox.write("untracked", "");
    sandbox.git(&["commit", "--quiet", "--all", "--message", "through a hook"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "?? untracked\n");
    assert_eq!(sandbox.git(&["show", "HEAD:README.md"]).success().stdout(), "changed\n");
    let snapshot = sandbox.git(&["show", "refs/ml/runs^2:README.md"]).success();
    assert_eq!(snapshot.stdout(), "changed\n", "what ran");
}

#[test]
fn without_git_ml_on_the_path_git_goes_on() {
    let mut sandbox = two_versions();
    let bin = sandbox.root().join("only-git");
    fs::create_dir(&bin).unwrap();
    for program in ["git", "sh"] {
        let place = sandbox.shell(&format!("command -v {program}")).success().stdout();
        std::os::unix::fs::symlink(place.trim(), bin.join(program)).unwrap();
    }
    sandbox.set_env("PATH", bin.to_str().unwrap());
    let output = sandbox.git(&["checkout", "two"]).success();
    assert!(output.stderr().contains("warning: git-ml is not on the PATH"), "{output}");
}
