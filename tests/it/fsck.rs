//! `git ml fsck`: every kind of damage is found, named and mended where it can be.

use std::fs;
use std::path::PathBuf;

use crate::sandbox::{Sandbox, noise};

/// A repository with a folder of three files, tracked and committed.
fn tracked() -> Sandbox {
    let sandbox = Sandbox::new();
    for number in 0..3 {
        sandbox.write(format!("data/x/{number}"), noise(number, 90_000));
    }
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Track data");
    sandbox
}

fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path(".git/ml/packs")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Flips a byte in the middle of the only pack.
fn damage(sandbox: &Sandbox) {
    let packs = packs(sandbox);
    assert_eq!(packs.len(), 1);
    let mut bytes = fs::read(&packs[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&packs[0], bytes).unwrap();
}

fn remove(sandbox: &Sandbox, path: &str) {
    let path = sandbox.path(path);
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { drop(fs::remove_file(path)) }
}

fn fsck(sandbox: &Sandbox, arguments: &[&str], code: i32) -> serde_json::Value {
    sandbox.git_ml(&[&["fsck", "--json"], arguments].concat()).code(code).json()
}

#[test]
fn a_checkout_takes_the_good_copy_and_names_what_is_damaged_where_there_is_none() {
    let content: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let track = |beside: &[u8]| {
        let sandbox = Sandbox::new();
        sandbox.write("data/x/big.bin", &content);
        sandbox.write("data/x/beside.bin", beside);
        sandbox.git_ml(&["track", "data/x"]).success();
        sandbox
    };
    let (here, there) = (track(b"here"), track(b"there"));
    damage(&here);
    let is_whole =
        |sandbox: &Sandbox| sandbox.exists("data/x/big.bin") && sandbox.read_bytes("data/x/big.bin") == content;
    // Once into a folder that is not there, once in the place of a file.
    for path in ["data/x", "data/x/big.bin"] {
        remove(&here, path);
        let failed = here.git_ml(&["checkout"]).one_line_error();
        assert!(failed.stderr().contains(" has bytes that do not match its digest"), "{failed}");
        assert!(!here.exists("data/x/big.bin"));
    }
    for pack in packs(&there) {
        let place = here.path(".git/ml/packs").join(pack.file_name().unwrap());
        fs::copy(&pack, place).unwrap();
    }
    here.git_ml(&["checkout"]).success();
    assert!(is_whole(&here));
    remove(&here, "data/x/big.bin");
    here.git_ml(&["checkout"]).success();
    assert!(is_whole(&here));
}

#[test]
fn what_the_work_tree_still_has_is_stored_again() {
    let sandbox = tracked();
    damage(&sandbox);
    let report = fsck(&sandbox, &["--deep"], 0);
    assert!(report["mended"].to_string().contains("stored 1 lost part again from the work tree"), "{report}");
    assert_eq!(report["ok"], true);
    sandbox.git_ml(&["verify", "--deep"]).success();
    assert!(sandbox.exists(".git/ml/damaged"));
    // Once all is back, the damaged pack is of no use.
    sandbox.git_ml(&["gc", "--grace", "now"]).success();
    assert_eq!(fs::read_dir(sandbox.path(".git/ml/damaged")).unwrap().count(), 0);
    assert_eq!(fsck(&sandbox, &["--deep"], 0)["lost"], serde_json::json!([]));
}

#[test]
fn all_packs_gone_and_an_intact_work_tree_brings_everything_back() {
    let sandbox = tracked();
    for pack in packs(&sandbox) {
        fs::remove_file(pack).unwrap();
    }
    let report = fsck(&sandbox, &[], 0);
    assert!(report["mended"].to_string().contains("stored 4 lost parts again"), "the manifest too: {report}");
    sandbox.git_ml(&["verify", "--deep"]).success();
}

#[test]
fn what_only_a_remote_has_is_fetched_and_what_nobody_has_is_named() {
    let sandbox = tracked();
    let share = sandbox.root().join("share");
    sandbox.git_ml(&["remote", "add", "share", share.to_str().unwrap()]).success();
    sandbox.git_ml(&["push"]).success();
    sandbox.git_ml(&["model", "register", "data/x", "--name", "m"]).success();
    fs::remove_dir_all(sandbox.path("data/x")).unwrap();
    damage(&sandbox);
    let lost = fsck(&sandbox, &["--deep"], 3);
    assert_eq!((&lost["ok"], &lost["lost"][0]["files"]), (&false.into(), &1.into()), "{lost}");
    assert_eq!(lost["lost"][0]["first"].as_array().unwrap().len(), 1);
    let names = lost["lost"][0]["names"].to_string();
    assert!(names.contains("data/x") && names.contains("m@v1"), "{names}");
    let said = sandbox.git_ml(&["fsck"]).code(3);
    assert!(said.stdout().contains("`git ml fsck --repair` asks the remotes"), "{said}");
    let mended = fsck(&sandbox, &["--repair"], 0);
    assert!(mended["mended"].to_string().contains("from share"), "{mended}");
    sandbox.git_ml(&["verify", "--deep"]).success();
    sandbox.git_ml(&["checkout"]).success();
    assert!(sandbox.read_bytes("data/x/1") == noise(1, 90_000));
}

#[test]
fn an_older_version_that_lost_something_is_named_by_its_commit() {
    let sandbox = tracked();
    let old = sandbox.read("data/x.mlref");
    damage(&sandbox);
    for number in 0..3 {
        sandbox.write(format!("data/x/{number}"), noise(number + 10, 50_000));
    }
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Another version");
    let report = fsck(&sandbox, &["--deep"], 3);
    let lost = report["lost"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{report}");
    assert!(old.contains(lost[0]["id"].as_str().unwrap()));
    assert!(lost[0]["names"].to_string().contains("data/x at "), "{report}");
    // Putting the files back and tracking them brings it back.
    for number in 0..3 {
        sandbox.write(format!("data/x/{number}"), noise(number, 90_000));
    }
    sandbox.git_ml(&["track", "data/x"]).success();
    fsck(&sandbox, &["--deep"], 0);
}

#[test]
fn a_damaged_footer_index_and_stat_cache_cost_nothing() {
    let sandbox = tracked();
    let pack = packs(&sandbox).remove(0);
    let mut bytes = fs::read(&pack).unwrap();
    let end = bytes.len() - 50;
    bytes[end] ^= 1;
    fs::write(&pack, bytes).unwrap();
    for entry in fs::read_dir(sandbox.path(".git/ml/index")).unwrap() {
        fs::write(entry.unwrap().path(), "nonsense").unwrap();
    }
    fs::write(sandbox.path(".git/ml/stat-cache"), "nonsense").unwrap();
    fs::write(sandbox.path(".git/ml/unused"), "nonsense").unwrap();
    fs::remove_dir_all(sandbox.path("data/x")).unwrap();
    fsck(&sandbox, &[], 0);
    sandbox.git_ml(&["verify", "--deep"]).success();
    sandbox.git_ml(&["checkout"]).success();
    assert!(sandbox.read_bytes("data/x/2") == noise(2, 90_000));
    sandbox.git_ml(&["gc"]).success();
}

#[test]
fn a_clone_that_pulled_one_version_only_is_whole() {
    let sandbox = tracked();
    let share = sandbox.root().join("share");
    sandbox.git_ml(&["remote", "add", "share", share.to_str().unwrap()]).success();
    sandbox.git_ml(&["push"]).success();
    sandbox.write("data/x/1", noise(99, 90_000));
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Another version");
    sandbox.git_ml(&["push"]).success();
    let clone = sandbox.clone_to("clone");
    sandbox.git_ml_in(&clone, &["remote", "add", "share", share.to_str().unwrap()]).success();
    sandbox.git_ml_in(&clone, &["pull"]).success();
    let report = sandbox.git_ml_in(&clone, &["fsck", "--deep", "--json"]).success().json();
    assert_eq!(report["lost"], serde_json::json!([]));
    let done = sandbox.git_ml_in(&clone, &["gc", "--grace", "now"]).success();
    assert!(!done.stderr().contains("warning"), "{done}");
    sandbox.git_ml_in(&clone, &["verify", "--deep"]).success();
}
