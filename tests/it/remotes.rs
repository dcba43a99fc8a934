//! Pushing to folders and pulling from them, also through web servers.

use std::path::{Path, PathBuf};

use crate::buckets::collect_until_done;
use crate::proxy::serve_folder;
use crate::sandbox::{Sandbox, noise};

/// A repository with artifacts `data/0`, `data/1`, …, each a file and a pack of its own.
pub(crate) fn with_artifacts(count: u64, size: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    for number in 0..count {
        sandbox.write(format!("data/{number}"), noise(number + 1, size));
        sandbox.git_ml(&["track", &format!("data/{number}")]).success();
    }
    sandbox.commit("Track data");
    sandbox
}

/// Asserts that a clone has the data as it was tracked.
pub(crate) fn assert_same(sandbox: &Sandbox, clone: &Path, count: u64) {
    for number in 0..count {
        let path = format!("data/{number}");
        assert!(std::fs::read(clone.join(&path)).unwrap() == sandbox.read_bytes(&path), "{path}");
    }
}

fn folder_remote(sandbox: &Sandbox) -> PathBuf {
    let share = sandbox.root().join("share");
    sandbox.git_ml(&["remote", "add", "share", share.to_str().unwrap()]).success();
    sandbox.commit("Add the remote");
    share
}

#[test]
fn a_pull_can_name_what_it_wants() {
    let sandbox = with_artifacts(3, 40_000);
    folder_remote(&sandbox);
    let pushed = sandbox.git_ml(&["push", "--json"]).success().json();
    assert_eq!((pushed["artifacts"].as_u64(), pushed["packs"].as_u64()), (Some(3), Some(3)));
    let status = sandbox.git_ml(&["status", "--json"]).success().json();
    assert_eq!(status["artifacts"][0]["pushed"]["share"], true);
    let clone = sandbox.clone_to("clone");
    for words in [&["pull", "data/0"][..], &["pull", "share", "data/1"], &["fetch", "share", "data/1"]] {
        sandbox.git_ml_in(&clone, words).success();
    }
    assert!(clone.join("data/0").exists() && clone.join("data/1").exists() && !clone.join("data/2").exists());
    let content = sandbox.git_ml_in(&clone, &["cat", "data/2"]).success();
    assert!(content.stdout_bytes() == sandbox.read_bytes("data/2"), "a remote has it");
    let state = sandbox.git_ml_in(&clone, &["status", "data/2", "--json"]).success().json();
    assert_eq!(state["artifacts"][0]["state"], "unstored", "cat keeps nothing");
    let pulled = sandbox.git_ml_in(&clone, &["pull", "--json"]).success();
    assert!(pulled.stdout().contains("\"artifacts\": 1"), "{pulled}");
    assert_same(&sandbox, &clone, 3);
    let unknown = sandbox.git_ml_in(&clone, &["pull", "data/absent"]).one_line_error();
    assert!(unknown.stderr().contains("data/absent"), "{unknown}");
    let unknown = sandbox.git_ml_in(&clone, &["pull", "elsewhere"]).one_line_error();
    assert!(unknown.stderr().contains("no remote `elsewhere`"), "{unknown}");
}

#[test]
fn garbage_in_a_folder_goes_in_the_end() {
    let sandbox = with_artifacts(2, 40_000);
    let share = folder_remote(&sandbox);
    sandbox.write("gone", noise(5, 300_000));
    sandbox.git_ml(&["track", "gone"]).success();
    sandbox.git_ml(&["push"]).success();
    sandbox.git_ml(&["untrack", "gone"]).success();
    collect_until_done(&sandbox, "share", 1);
    assert_eq!(std::fs::read_dir(share.join("packs")).unwrap().count(), 2);
    let clone = sandbox.clone_to("clone");
    sandbox.git_ml_in(&clone, &["pull"]).success();
    assert_same(&sandbox, &clone, 2);
}

#[test]
fn a_folder_behind_any_web_server_can_be_read() {
    let sandbox = with_artifacts(2, 300_000);
    let share = folder_remote(&sandbox);
    sandbox.git_ml(&["push"]).success();
    for with_ranges in [true, false] {
        let url = serve_folder(&share, with_ranges);
        let clone = sandbox.clone_to(if with_ranges { "ranges" } else { "whole" });
        sandbox.git_ml_in(&clone, &["remote", "remove", "share"]).success();
        sandbox.git_ml_in(&clone, &["remote", "add", "--local", "web", &url]).success();
        let content = sandbox.git_ml_in(&clone, &["cat", "data/1"]).success();
        assert!(content.stdout_bytes() == sandbox.read_bytes("data/1"));
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 2);
        std::fs::write(clone.join("data/new"), "new").unwrap();
        sandbox.git_ml_in(&clone, &["track", "data/new"]).success();
        let refused = sandbox.git_ml_in(&clone, &["push", "web"]).one_line_error();
        assert!(refused.stderr().contains("for reading only"), "{refused}");
        let refused = sandbox.git_ml_in(&clone, &["gc", "--remote", "web", "--grace", "now"]).one_line_error();
        assert!(refused.stderr().contains("for reading only"), "{refused}");
    }
}

#[test]
fn credentials_have_no_place_in_the_configuration() {
    let sandbox = Sandbox::new();
    for url in ["s3://AKIA:hunter2@bucket/x", "https://me:hunter2@example.org/x", "s3://bucket/x?secret=hunter2"] {
        let refused = sandbox.git_ml(&["remote", "add", "cloud", url]).one_line_error();
        assert!(
            !refused.to_string().contains("hunter2") && refused.stderr().contains("~/.aws/credentials"),
            "{refused}"
        );
    }
    assert!(!sandbox.exists("ml.toml"));
    let refused = sandbox.git_ml(&["remote", "add", "cloud", "s3://bucket", "--endpoint", "http://example.org"]);
    assert!(refused.one_line_error().stderr().contains("not encrypted"));
}
