//! git's hooks, run by git.

use std::fs;
use std::path::PathBuf;

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

/// A bare repository beside the sandbox's, which it knows as `origin`.
fn with_origin(sandbox: &Sandbox) -> PathBuf {
    let remote = sandbox.root().join("remote.git");
    sandbox.git(&["init", "--quiet", "--bare", remote.to_str().unwrap()]).success();
    sandbox.git(&["remote", "add", "origin", remote.to_str().unwrap()]).success();
    remote
}

fn add_remote(sandbox: &Sandbox, name: &str) -> PathBuf {
    let share = sandbox.root().join(name);
    sandbox.git(&["ml", "remote", "add", "--local", name, share.to_str().unwrap()]).success();
    share
}

#[test]
fn a_push_is_refused_where_others_cannot_get_the_data() {
    let sandbox = two_versions();
    with_origin(&sandbox);
    let refused = sandbox.git(&["push", "--quiet", "origin", "main"]).code(1);
    insta::assert_snapshot!(refused, @"
    --- stderr
    error: nobody else can get the data that the pointers pushed name: data/x (d839e930)
    hint: `git ml remote add` says where data goes, and `git push` sends it there; or push without this check: `git push --no-verify` once, or `require-pushed = false` under [hooks] in ml.toml
    error: failed to push some refs to '<root>/remote.git'
    --- exit 1
    ");
    sandbox.git(&["push", "--quiet", "--no-verify", "origin", "main"]).success();

    // What the remote has is not asked for again; what it lacks is.
    sandbox.git(&["push", "--quiet", "origin", "main:again"]).success();
    sandbox.git(&["push", "--quiet", "origin", "two"]).code(1);
    add_remote(&sandbox, "one");
    add_remote(&sandbox, "other");
    let unsure = sandbox.git(&["push", "--quiet", "origin", "two"]).code(1);
    assert!(unsure.stderr().contains("`remote = \"one\"` under [hooks.pre-push]"), "{unsure}");
    sandbox.git(&["checkout", "--quiet", "two"]).success();
    sandbox.git(&["ml", "push", "--quiet", "other"]).success();
    let sent = sandbox.git(&["push", "--quiet", "origin", "two"]).success();
    assert_eq!(sent.stderr(), "", "somebody has it already");
    sandbox.git(&["push", "--quiet", "origin", ":again"]).success();
}

#[test]
fn a_push_sends_the_data_first() {
    let sandbox = two_versions();
    let origin = with_origin(&sandbox);
    let share = sandbox.root().join("share");
    sandbox.git(&["ml", "remote", "add", "share", share.to_str().unwrap()]).success();
    sandbox.git(&["add", "ml.toml"]).success();
    sandbox.git(&["commit", "--quiet", "--message", "Say where data goes"]).success();
    let pushed = sandbox.git(&["push", "--quiet", "origin", "main", "two"]).success();
    assert!(pushed.stderr().starts_with("sent 2 artifacts to the remote share, "), "{pushed}");
    let again = sandbox.git(&["push", "--quiet", "origin", "main", "two"]).success();
    assert_eq!(again.stderr(), "");

    // Somebody who has only git's repository gets all of it, also where it is shallow.
    for depth in ["1", "100"] {
        let clone = sandbox.root().join(format!("clone-{depth}"));
        let (url, folder) = (format!("file://{}", origin.display()), clone.to_str().unwrap());
        sandbox.git(&["clone", "--quiet", "--depth", depth, &url, folder]).success();
        sandbox.git(&["-C", folder, "ml", "pull", "--quiet"]).success();
        assert_eq!(fs::read_to_string(clone.join("data/x/file")).unwrap(), "one");
        sandbox.git(&["-C", folder, "ml", "init", "--quiet"]).success();
        fs::write(clone.join("data/x/file"), format!("from clone {depth}")).unwrap();
        sandbox.git(&["-C", folder, "ml", "track", "--quiet", "data/x"]).success();
        sandbox.git(&["-C", folder, "commit", "--quiet", "--all", "--message", "Change"]).success();
        let branch = format!("HEAD:refs/heads/from-{depth}");
        let pushed = sandbox.git(&["-C", folder, "push", "--quiet", "origin", &branch]).success();
        assert!(pushed.stderr().starts_with("sent 1 artifact to the remote share, "), "{pushed}");
    }
}

#[test]
fn a_push_whose_data_cannot_be_sent_changes_nothing() {
    let sandbox = two_versions();
    let origin = with_origin(&sandbox);
    let share = add_remote(&sandbox, "share");
    fs::remove_dir_all(&share).unwrap();
    let refused = sandbox.git(&["push", "--quiet", "origin", "main"]).code(1);
    let told = refused.stderr();
    assert!(told.starts_with("error: git does not push: the data"), "{refused}");
    assert!(told.contains("remote `share`") && told.contains("\nhint: "), "{refused}");
    let refs = sandbox.git(&["-C", origin.to_str().unwrap(), "for-each-ref"]).success();
    assert_eq!(refs.stdout(), "");

    // Which remote it is can be said, and that nothing is to be sent.
    add_remote(&sandbox, "backup");
    sandbox.write("ml.toml", "[hooks.pre-push]\nremote = \"nowhere\"\n");
    let unknown = sandbox.git(&["push", "--quiet", "origin", "main"]).code(1);
    assert!(unknown.stderr().contains("names the remote `nowhere`, which is not there"), "{unknown}");
    sandbox.write("ml.toml", "[hooks.pre-push]\nremote = \"backup\"\nupload = false\n");
    sandbox.git(&["push", "--quiet", "origin", "main"]).code(1);
    sandbox.write("ml.toml", "[hooks.pre-push]\nremote = \"backup\"\n");
    let pushed = sandbox.git(&["push", "--quiet", "origin", "main"]).success();
    assert!(pushed.stderr().starts_with("sent 1 artifact to the remote backup, "), "{pushed}");

    // One that is called like git's remote needs no word.
    sandbox.write("ml.toml", "");
    add_remote(&sandbox, "origin");
    let pushed = sandbox.git(&["push", "--quiet", "origin", "two"]).success();
    assert!(pushed.stderr().starts_with("sent 1 artifact to the remote origin, "), "{pushed}");
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
