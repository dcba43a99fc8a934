//! Merges of pointers through the merge driver.

use std::fs;

use crate::sandbox::Sandbox;

/// A repository with `data/x` of three files on `main`.
fn with_data() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(&["ml", "init", "--quiet"]).success();
    for name in ["a", "b", "c"] {
        sandbox.write(format!("data/x/{name}"), name);
    }
    sandbox.git(&["ml", "track", "data/x", "--quiet"]).success();
    sandbox.commit("Begin");
    sandbox
}

/// Makes a branch on which the data is another.
fn change_on(sandbox: &Sandbox, branch: &str, change: &str, track: &[&str]) {
    sandbox.git(&["checkout", "--quiet", "-B", branch, "main"]).success();
    sandbox.shell(change).success();
    sandbox.git(&[&["ml", "track", "--quiet", "data/x"], track].concat()).success();
    sandbox.commit(&format!("Change {branch}"));
}

#[test]
fn a_conflict_is_told_in_terms_of_the_data_and_what_is_said_to_be_typed_settles_it() {
    let sandbox = with_data();
    change_on(&sandbox, "one", "echo 1 >data/x/a; echo 1 >data/x/new", &[]);
    change_on(&sandbox, "two", "echo 2 >data/x/a; rm data/x/b", &[]);
    let merge = sandbox.git(&["merge", "--quiet", "one"]).code(1);
    let told: Vec<String> = merge.normalised_stderr().lines().map(without_ids).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    warning: data/x: both sides changed the data
      before: 3 files, 3 B (ID)
      ours:   2 files, 3 B (ID): 1 changed, 1 removed
      theirs: 4 files, 6 B (ID): 1 added, 1 changed
      changed by both: a
    hint: `git checkout --ours data/x.mlref` or `git checkout --theirs data/x.mlref` chooses, then `git add data/x.mlref`
    ");
    let status = sandbox.git(&["status", "--porcelain"]).success().stdout();
    assert_eq!(status, "UU data/x.mlref\n");
    let faulty = sandbox.git(&["ml", "status"]).code(1);
    assert!(faulty.stderr().contains("conflict markers"), "{faulty}");
    assert_eq!(sandbox.read("data/x/a"), "2\n", "the data stays as it is until somebody chooses");

    sandbox.shell("git checkout --theirs data/x.mlref && git add data/x.mlref").success();
    assert_eq!(sandbox.read("data/x/a"), "1\n");
    assert!(sandbox.exists("data/x/b") && sandbox.exists("data/x/new"));
    sandbox.git(&["commit", "--quiet", "--no-edit"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");
    let status = sandbox.git(&["ml", "status", "--json"]).success().json();
    assert_eq!(status["artifacts"][0]["state"], "clean");
}

/// A line with the short ids of artifacts replaced.
fn without_ids(line: &str) -> String {
    match line.split_once(" B (") {
        Some((before, after)) => format!("{before} B (ID{}", &after[after.find(')').unwrap()..]),
        None => line.to_owned(),
    }
}

#[test]
fn what_each_side_changed_for_itself_is_taken_of_both() {
    let sandbox = with_data();
    change_on(&sandbox, "one", "echo 1 >data/x/a", &[]);
    change_on(&sandbox, "two", "true", &["--meta", "licence=MIT"]);
    // git alone would see a conflict: the lines stand side by side.
    sandbox.git(&["merge", "--quiet", "--no-edit", "one"]).success();
    assert_eq!(sandbox.read("data/x/a"), "1\n", "the data follows");
    assert!(sandbox.read("data/x.mlref").contains("licence = \"MIT\""));
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");

    // The same data on both sides, with other metadata.
    change_on(&sandbox, "three", "echo 3 >data/x/a", &["--meta", "source=here"]);
    change_on(&sandbox, "four", "echo 3 >data/x/a", &["--meta", "licence=MIT"]);
    sandbox.git(&["merge", "--quiet", "--no-edit", "three"]).success();
    let pointer = sandbox.read("data/x.mlref");
    assert!(pointer.contains("licence = \"MIT\"\nsource = \"here\""), "{pointer}");
}

#[test]
fn pointers_that_both_added_and_data_that_is_not_here_are_told_as_well() {
    let sandbox = with_data();
    for (branch, content) in [("one", "1"), ("two", "2")] {
        sandbox.git(&["checkout", "--quiet", "-B", branch, "main"]).success();
        sandbox.write("data/y", content);
        sandbox.git(&["ml", "track", "--quiet", "data/y"]).success();
        sandbox.commit(branch);
    }
    let merge = sandbox.git(&["merge", "--quiet", "one"]).code(1);
    assert!(merge.stderr().contains("warning: data/y: both sides added it, and not alike"), "{merge}");
    sandbox.git(&["merge", "--abort"]).success();

    change_on(&sandbox, "three", "echo 3 >data/x/a", &[]);
    change_on(&sandbox, "four", "echo 4 >data/x/a", &[]);
    let clone = sandbox.clone_to("clone");
    let folder = clone.to_str().unwrap();
    sandbox.git(&["-C", folder, "ml", "init", "--quiet"]).success();
    let merge = sandbox.git(&["-C", folder, "merge", "--quiet", "origin/three"]).code(1);
    assert!(merge.stderr().contains("what each side changed is not known"), "{merge}");

    // In a rebase the sides are the other way round, which is said.
    let rebase = sandbox.git(&["rebase", "--quiet", "three"]).code(1);
    assert!(rebase.stderr().contains("in a rebase, ours is what your commits are put upon"), "{rebase}");
    sandbox.git(&["rebase", "--abort"]).success();
}

#[test]
fn a_file_that_only_looks_like_a_pointer_is_merged_as_text() {
    let sandbox = with_data();
    let text = |first: &str, last: &str| format!("{first}\n\n\n\n\n\n\n{last}\n");
    sandbox.write("notes.mlref", text("a", "z"));
    sandbox.commit("Notes");
    for (branch, first, last) in [("one", "A", "z"), ("two", "a", "Z"), ("three", "b", "z")] {
        sandbox.git(&["checkout", "--quiet", "-B", branch, "main"]).success();
        sandbox.write("notes.mlref", text(first, last));
        sandbox.commit(branch);
    }
    sandbox.git(&["merge", "--quiet", "--no-edit", "two"]).success();
    assert_eq!(sandbox.read("notes.mlref"), text("b", "Z"));
    sandbox.git(&["merge", "--quiet", "one"]).code(1);
    let merged = sandbox.read("notes.mlref");
    assert!(merged.starts_with("<<<<<<< ours\nb\n=======\nA\n>>>>>>> theirs\n"), "{merged}");
}

#[test]
fn the_driver_is_installed_and_taken_away_and_the_doctor_knows_it() {
    let sandbox = with_data();
    let hooks = |sandbox: &Sandbox| {
        let checks = sandbox.git(&["ml", "doctor", "--json"]).json();
        checks["checks"].as_array().unwrap().iter().find(|check| check["name"] == "hooks").unwrap().clone()
    };
    assert_eq!(hooks(&sandbox)["state"], "ok");
    fs::remove_file(sandbox.path(".git/info/attributes")).unwrap();
    assert_eq!(hooks(&sandbox)["detail"], "the merge driver for pointers is not up to date");
    let installed = sandbox.git(&["ml", "hook", "install"]).success();
    assert!(installed.stdout().ends_with("merge driver for pointers: installed\n"), "{installed}");
    assert_eq!(hooks(&sandbox)["state"], "ok");
    let removed = sandbox.git(&["ml", "hook", "uninstall"]).success();
    assert!(removed.stdout().contains("merge driver for pointers: as it was before\n"), "{removed}");
    assert!(!sandbox.exists(".git/info/attributes") && !sandbox.exists(".git/hooks/pre-commit"));
    assert_eq!(sandbox.git(&["config", "--get-regexp", "^merge\\.git-ml"]).code(1).stdout(), "");
}
