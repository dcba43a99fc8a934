//! Git LFS servers as remotes, from the command line to a server that others wrote.

use std::fs;

use crate::giftless::Giftless;
use crate::sandbox::Sandbox;

/// A clone of an empty repository with a data set, its LFS server said in `.lfsconfig` as a team does it.
fn with_data(giftless: &Giftless) -> Sandbox {
    let sandbox = Sandbox::new();
    let origin = sandbox.root().join("origin.git");
    sandbox.git(&["init", "--quiet", "--bare", origin.to_str().unwrap()]).success();
    sandbox.git(&["remote", "add", "origin", origin.to_str().unwrap()]).success();
    sandbox.write(".lfsconfig", format!("[lfs]\n\turl = {}\n", giftless.url()));
    let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    sandbox.write("data/x/big.bin", big);
    sandbox.write("data/x/small.csv", "a,b\n1,2\n");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git_ml(&["remote", "add", "hub", "lfs::origin"]).success();
    sandbox.commit("Track x");
    sandbox
}

#[test]
fn what_one_clone_pushes_to_the_host_of_the_repository_another_pulls() {
    let Some(giftless) = Giftless::start() else { return };
    let sandbox = with_data(&giftless);
    sandbox.git_ml(&["push"]).success();
    sandbox.git(&["push", "--quiet", "--no-verify", "origin", "main"]).success();
    assert_eq!(sandbox.git_ml(&["push"]).success().stdout(), "hub has everything already\n");
    let refs = sandbox.git(&["ls-remote", "origin", "refs/ml/*"]).success().stdout();
    assert_eq!(refs.lines().count(), 1, "{refs}");

    let clone = sandbox.root().join("clone");
    let origin = sandbox.root().join("origin.git");
    sandbox.git(&["clone", "--quiet", "-b", "main", origin.to_str().unwrap(), clone.to_str().unwrap()]).success();
    sandbox.git_ml_in(&clone, &["pull"]).success();
    for name in ["big.bin", "small.csv"] {
        assert!(fs::read(clone.join("data/x").join(name)).unwrap() == sandbox.read_bytes(format!("data/x/{name}")));
    }
    // Both clones go on, each without knowing of the other's push.
    sandbox.write("data/x/small.csv", "a,b\n3,4\n");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git_ml(&["push"]).success();
    fs::write(clone.join("data/x/small.csv"), "a,b\n5,6\n").unwrap();
    sandbox.git_ml_in(&clone, &["track", "data/x"]).success();
    sandbox.git_ml_in(&clone, &["push"]).success();
    for folder in [sandbox.repo(), &clone] {
        assert_eq!(sandbox.git_ml_in(folder, &["push"]).success().stdout(), "hub has everything already\n");
    }
}

#[test]
fn a_place_that_tells_no_times_is_not_collected() {
    let Some(giftless) = Giftless::start() else { return };
    let sandbox = with_data(&giftless);
    sandbox.git_ml(&["push"]).success();
    let contents = giftless.contents();
    let listed = sandbox.git(&["ls-remote", "origin", "refs/ml/*"]).success().stdout();
    let refused = sandbox.git_ml(&["gc", "--remote", "hub", "--grace", "now"]).one_line_error();
    assert!(refused.stderr().contains("does not say when"), "{refused}");
    assert_eq!(giftless.contents(), contents);
    assert_eq!(sandbox.git(&["ls-remote", "origin", "refs/ml/*"]).success().stdout(), listed, "not even looked at");
}

#[test]
fn a_content_that_is_damaged_on_the_server_is_not_taken_in() {
    let Some(giftless) = Giftless::start() else { return };
    let sandbox = with_data(&giftless);
    sandbox.git_ml(&["push"]).success();
    for path in giftless.contents() {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    sandbox.git(&["push", "--quiet", "--no-verify", "origin", "main"]).success();
    let clone = sandbox.root().join("clone");
    let origin = sandbox.root().join("origin.git");
    sandbox.git(&["clone", "--quiet", "-b", "main", origin.to_str().unwrap(), clone.to_str().unwrap()]).success();
    sandbox.git_ml_in(&clone, &["pull"]).code(1);
    assert!(!clone.join("data/x/big.bin").exists());
}

#[test]
fn a_git_remote_without_lfs_server_is_said_in_one_line() {
    let sandbox = Sandbox::new();
    let output = sandbox.git_ml(&["remote", "add", "hub", "lfs::/srv/x.git"]).one_line_error();
    assert!(output.stderr().contains("no remote of git's"), "{output}");
    sandbox.git(&["remote", "add", "origin", "/srv/x.git"]).success();
    let output = sandbox.git_ml(&["remote", "add", "hub", "lfs::origin"]).one_line_error();
    assert!(output.stderr().contains("has no LFS server"), "{output}");
}
