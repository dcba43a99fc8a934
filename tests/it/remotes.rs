//! Pushing to places and pulling from them: folders, web servers, and S3 servers that others wrote.
//!
//! The S3 servers are those of `scripts/test-services`, which says where they are in `GIT_ML_TEST_S3`; without it their
//! tests say that they skip.

use std::path::{Path, PathBuf};
use std::thread;

use crate::proxy::{Proxy, serve_folder};
use crate::sandbox::Sandbox;

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// A repository with artifacts `data/0`, `data/1`, …, each a file and a pack of its own.
fn with_artifacts(count: u64, size: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    for number in 0..count {
        sandbox.write(format!("data/{number}"), noise(number + 1, size));
        sandbox.git_ml(&["track", &format!("data/{number}")]).success();
    }
    sandbox.commit("Track data");
    sandbox
}

/// Asserts that a clone has the data as it was tracked.
fn assert_same(sandbox: &Sandbox, clone: &Path, count: u64) {
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

/// Runs a test on each S3 server there is.
fn on_each_server(test: fn(&str)) {
    let Ok(servers) = std::env::var("GIT_ML_TEST_S3") else {
        println!(
            "skipped: `scripts/test-services COMMAND` starts S3 servers and says where they are in GIT_ML_TEST_S3"
        );
        return;
    };
    for (name, endpoint) in servers.split_whitespace().filter_map(|server| server.split_once('=')) {
        println!("{name}");
        test(endpoint);
    }
}

/// A repository with artifacts, and a remote in a bucket that no other test uses.
fn with_bucket(count: u64, size: usize, endpoint: &str) -> Sandbox {
    let mut sandbox = with_artifacts(count, size);
    sandbox.set_env("AWS_ACCESS_KEY_ID", "git-ml");
    sandbox.set_env("AWS_SECRET_ACCESS_KEY", "git-ml-secret");
    let url = format!("s3://git-ml/{}", sandbox.root().file_name().unwrap().to_str().unwrap());
    sandbox.git_ml(&["remote", "add", "cloud", &url, "--endpoint", endpoint]).success();
    sandbox.commit("Add the remote");
    sandbox
}

#[test]
fn artifacts_travel_through_a_bucket() {
    on_each_server(|endpoint| {
        // The second one goes in several parts.
        let sandbox = with_bucket(2, 20_000_000, endpoint);
        assert_eq!(sandbox.git_ml(&["push", "--json"]).success().json()["packs"], 2);
        assert_eq!(sandbox.git_ml(&["push", "--json"]).success().json()["artifacts"], 0);
        let clone = sandbox.clone_to("clone");
        let content = sandbox.git_ml_in(&clone, &["cat", "data/0"]).success();
        assert!(content.stdout_bytes() == sandbox.read_bytes("data/0"));
        sandbox.git_ml_in(&clone, &["pull", "data/1"]).success();
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 2);
        let status = sandbox.git_ml_in(&clone, &["status", "--json"]).success().json();
        assert_eq!(status["artifacts"][0]["pushed"]["cloud"], true);
    });
}

#[test]
fn a_push_goes_on_where_a_dying_server_stopped_it() {
    on_each_server(|endpoint| {
        let proxy = Proxy::before(endpoint);
        // More than travel at the same time, so that some have arrived whole.
        let sandbox = with_bucket(24, 400_000, &proxy.endpoint());
        proxy.die_after(7_000_000);
        let failed = sandbox.git_ml(&["push"]).one_line_error();
        assert!(proxy.is_dead());
        assert!(failed.stderr().contains("goes on from there"), "{failed}");
        proxy.revive();
        let clone = sandbox.clone_to("clone");
        let early = sandbox.git_ml_in(&clone, &["pull"]).one_line_error();
        assert!(early.stderr().contains("24 of the artifacts"), "nothing is half there: {early}");
        let pushed = sandbox.git_ml(&["push", "--json"]).success().json();
        assert_eq!(pushed["artifacts"], 24);
        assert!(pushed["packs"].as_u64().unwrap() < 24, "what arrived is not sent again: {pushed}");
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 24);
    });
}

#[test]
fn storms_are_sat_out_or_told() {
    on_each_server(|endpoint| {
        let proxy = Proxy::before(endpoint);
        let sandbox = with_bucket(4, 500_000, &proxy.endpoint());
        proxy.refuse(5);
        sandbox.git_ml(&["push"]).success();
        let clone = sandbox.clone_to("clone");
        proxy.refuse(5);
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 4);
        proxy.refuse(usize::MAX);
        let told = sandbox.git_ml(&["push"]).one_line_error();
        assert!(told.stderr().contains("503") && told.stderr().contains("goes on from there"), "{told}");
    });
}

#[test]
fn wrong_credentials_are_told_and_not_shown() {
    on_each_server(|endpoint| {
        let mut sandbox = with_bucket(1, 1000, endpoint);
        sandbox.set_env("AWS_SECRET_ACCESS_KEY", "hunter2");
        let refused = sandbox.git_ml(&["push"]);
        // moto believes everybody.
        if refused.exit_code() != 0 {
            let refused = refused.one_line_error();
            assert!(
                refused.stderr().contains("does not let us") && !refused.to_string().contains("hunter2"),
                "{refused}"
            );
        }
        let nowhere = sandbox.git_ml(&["remote", "add", "--local", "b", "s3://no-such-bucket", "--endpoint", endpoint]);
        assert!(!nowhere.one_line_error().to_string().contains("hunter2"));
    });
}

#[test]
fn many_clients_push_to_one_bucket_at_once() {
    on_each_server(|endpoint| {
        let sandbox = with_bucket(1, 50_000, endpoint);
        let clones: Vec<PathBuf> = (0..12).map(|number| sandbox.clone_to(&format!("clone-{number}"))).collect();
        for (number, clone) in clones.iter().enumerate() {
            // Half of it is the same for all, so that the same packs arrive from several at once.
            std::fs::create_dir(clone.join("mine")).unwrap();
            std::fs::write(clone.join("mine/own"), noise(100 + number as u64, 40_000)).unwrap();
            std::fs::write(clone.join("data/0"), sandbox.read_bytes("data/0")).unwrap();
            sandbox.git_ml_in(clone, &["track", "mine", "data/0"]).success();
        }
        thread::scope(|scope| {
            for clone in &clones {
                let sandbox = &sandbox;
                scope.spawn(move || sandbox.git_ml_in(clone, &["push"]).success());
            }
        });
        for (number, clone) in clones.iter().enumerate() {
            let pointer = std::fs::read(clone.join("mine.mlref")).unwrap();
            sandbox.write(format!("from-{number}.mlref"), pointer);
        }
        sandbox.git_ml(&["pull"]).success();
        for number in 0..clones.len() {
            let own = sandbox.read_bytes(format!("from-{number}/own"));
            assert!(own == noise(100 + number as u64, 40_000));
        }
    });
}
