//! Importing from Git LFS and DVC, with data that their own programs made.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::giftless::Giftless;
use crate::sandbox::Sandbox;

/// Whether Git LFS is installed; where it is not, that is said.
fn has_git_lfs() -> bool {
    let found = Command::new("git").args(["lfs", "version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("skipped: git-lfs is not installed");
    }
    is_there
}

/// DVC's program; where there is none, that is said.
fn dvc() -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/dvc");
    let output = Command::new(script).arg("path").output().unwrap();
    if !output.status.success() {
        eprintln!("skipped: DVC is not installed (`scripts/dvc install`)");
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

fn bytes(seed: u32, length: u32) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(i ^ seed) >> 7) as u8).collect()
}

/// A repository with a folder and a file that Git LFS keeps.
fn with_lfs() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git(&["lfs", "install", "--local"]).success();
    sandbox.write(
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\ndata/** filter=lfs diff=lfs merge=lfs -text\n",
    );
    sandbox.write("data/images/1.bin", bytes(1, 100_000));
    sandbox.write("data/images/deep/2.bin", bytes(2, 300));
    sandbox.write_program("models/run.bin", "#!/bin/sh\n");
    sandbox.write("models/README.md", "models\n");
    sandbox.commit("Add data");
    assert!(sandbox.git(&["show", "HEAD:data/images/1.bin"]).success().stdout().starts_with("version https://git-lfs"));
    sandbox
}

fn states(sandbox: &Sandbox, folder: impl AsRef<Path>) -> Vec<String> {
    let status = sandbox.git_ml_in(folder, &["status", "--json"]).success().json();
    let rows = status["artifacts"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", row["path"].as_str().unwrap(), row["state"].as_str().unwrap())).collect()
}

#[test]
fn what_git_lfs_keeps_becomes_artifacts_and_an_old_commit_is_still_read_with_it() {
    if !has_git_lfs() {
        return;
    }
    let sandbox = with_lfs();
    let before = sandbox.commit("Nothing");
    let dry = sandbox.git_ml(&["import", "lfs", "--dry-run", "--json"]).success().json();
    assert_eq!(dry["skipped"].as_array().unwrap().len(), 2);
    assert!(!sandbox.exists("data.mlref"));
    let imported = sandbox.git_ml(&["import", "lfs", "--json"]).success().json();
    let rows: Vec<(&str, u64)> = imported["imported"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["path"].as_str().unwrap(), row["bytes"].as_u64().unwrap()))
        .collect();
    assert_eq!(rows, [("data", 100_300), ("models/run.bin", 10)]);
    assert_eq!(states(&sandbox, "."), ["data clean", "models/run.bin clean"]);
    // All that git has to be told is staged, and our own files are none of Git LFS's.
    sandbox.git(&["commit", "--quiet", "-m", "Import"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");
    let pointer = sandbox.git(&["show", "HEAD:models/run.bin.mlref"]).success().stdout();
    assert!(pointer.contains("version = 1"), "{pointer}");
    assert_eq!(sandbox.git(&["lfs", "ls-files"]).success().stdout(), "");
    assert_eq!(sandbox.git_ml(&["import", "lfs"]).one_line_error().exit_code(), 1);

    let old = sandbox.root().join("old");
    sandbox.git(&["worktree", "add", "--quiet", "--detach", old.to_str().unwrap(), &before]).success();
    assert!(fs::read(old.join("data/images/1.bin")).unwrap() == bytes(1, 100_000));
}

#[test]
fn contents_that_are_not_here_come_from_the_lfs_server() {
    let Some(giftless) = Giftless::start().filter(|_| has_git_lfs()) else { return };
    let mut sandbox = with_lfs();
    let origin = sandbox.root().join("origin.git");
    sandbox.git(&["init", "--quiet", "--bare", origin.to_str().unwrap()]).success();
    sandbox.git(&["remote", "add", "origin", origin.to_str().unwrap()]).success();
    sandbox.write(".lfsconfig", format!("[lfs]\n\turl = {}\n", giftless.url()));
    sandbox.commit("Say where");
    sandbox.git(&["push", "--quiet", "origin", "main"]).success();
    sandbox.set_env("GIT_LFS_SKIP_SMUDGE", "1");
    let clone = sandbox.root().join("clone");
    sandbox.git(&["clone", "--quiet", "-b", "main", origin.to_str().unwrap(), clone.to_str().unwrap()]).success();
    assert!(fs::metadata(clone.join("data/images/1.bin")).unwrap().len() < 200, "only a pointer is there");
    sandbox.git_ml_in(&clone, &["import", "lfs", "data/images"]).success();
    assert!(fs::read(clone.join("data/images/1.bin")).unwrap() == bytes(1, 100_000));
    assert_eq!(states(&sandbox, &clone), ["data/images clean"]);
    // What the server does not have is said before anything is changed.
    for content in giftless.contents() {
        fs::remove_file(content).unwrap();
    }
    let output = sandbox.git_ml_in(&clone, &["import", "lfs"]).one_line_error();
    assert!(output.stderr().contains("the content of models/run.bin"), "{output}");
    assert!(!clone.join("models/run.bin.mlref").exists());
    let mut index = sandbox.command("git");
    index.current_dir(&clone).args(["ls-files", "models/run.bin"]);
    assert_eq!(sandbox.run(index).success().stdout(), "models/run.bin\n");
}

#[test]
fn what_was_changed_since_is_not_imported() {
    if !has_git_lfs() {
        return;
    }
    let sandbox = with_lfs();
    sandbox.write("data/images/1.bin", "changed");
    let output = sandbox.git_ml(&["import", "lfs"]).one_line_error();
    assert!(output.stderr().contains("data/images/1.bin has changes"), "{output}");
    sandbox.git(&["checkout", "--quiet", "data"]).success();
    sandbox.write("data/images/more.txt", "not in git");
    let output = sandbox.git_ml(&["import", "lfs"]).one_line_error();
    assert!(output.stderr().contains("more.txt"), "{output}");
    fs::remove_file(sandbox.path("data/images/more.txt")).unwrap();
    // A content of the cache that is damaged is refused.
    let pointer = sandbox.git(&["show", "HEAD:models/run.bin"]).success().stdout();
    let oid = pointer.lines().nth(1).unwrap().strip_prefix("oid sha256:").unwrap().to_owned();
    let cached = sandbox.path(format!(".git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]));
    fs::write(&cached, "#!/bin/xx\n").unwrap();
    sandbox.write("models/run.bin", &pointer);
    let output = sandbox.git_ml(&["import", "lfs", "models"]).one_line_error();
    assert!(output.stderr().contains("damaged"), "{output}");
    assert_eq!(sandbox.read("models/run.bin"), pointer);
}

/// A repository with a folder and a file that DVC keeps, pushed to a folder.
fn with_dvc(dvc: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set_env("DVC_NO_ANALYTICS", "1");
    let run = |arguments: &[&str]| {
        let mut command = sandbox.command(dvc);
        command.args(arguments);
        sandbox.run(command).success();
    };
    run(&["init", "--quiet"]);
    run(&["remote", "add", "--default", "storage", sandbox.root().join("storage").to_str().unwrap()]);
    sandbox.write("data/images/1.bin", bytes(1, 100_000));
    sandbox.write("data/images/deep/zwei ü.txt", "two\r\n");
    sandbox.write("model.pt", bytes(3, 5000));
    run(&["add", "--quiet", "data/images", "model.pt"]);
    run(&["push", "--quiet"]);
    sandbox.commit("Add data");
    sandbox
}

#[test]
fn what_dvc_keeps_becomes_artifacts_from_the_work_tree_its_cache_and_its_remote() {
    let Some(dvc) = dvc() else { return };
    let sandbox = with_dvc(&dvc);
    let expect = || {
        let imported = sandbox.git_ml(&["import", "dvc", "--json"]).success().json();
        let rows: Vec<(String, u64)> = imported["imported"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["path"].as_str().unwrap().to_owned(), row["files"].as_u64().unwrap()))
            .collect();
        assert_eq!(rows, [("data/images".to_owned(), 2), ("model.pt".to_owned(), 1)]);
        assert_eq!(states(&sandbox, "."), ["data/images clean", "model.pt clean"]);
        assert!(sandbox.read_bytes("data/images/1.bin") == bytes(1, 100_000));
        imported["imported"].clone()
    };
    let first = expect();
    assert!(sandbox.exists("model.pt.dvc") && sandbox.exists(".dvc/cache/files/md5"));
    assert!(expect().as_array().unwrap().iter().all(|row| row["changed"] == false), "twice is as once");
    // From the cache, then from the remote.
    for lost in [&["data/images", "model.pt"][..], &["data/images", "model.pt", ".dvc/cache"]] {
        for path in lost {
            let place = sandbox.path(path);
            if place.is_dir() { fs::remove_dir_all(place).unwrap() } else { fs::remove_file(place).unwrap() }
        }
        let again = expect();
        assert_eq!(again[0]["id"], first[0]["id"]);
    }
    assert!(sandbox.exists("data/images/deep/zwei ü.txt"));
    // Nothing is left anywhere: then it is said.
    fs::remove_dir_all(sandbox.path(".dvc/cache")).ok();
    fs::remove_dir_all(sandbox.root().join("storage")).unwrap();
    fs::remove_file(sandbox.path("model.pt")).unwrap();
    let output = sandbox.git_ml(&["import", "dvc", "model.pt"]).one_line_error();
    assert!(output.stderr().contains("the content of model.pt (MD5 "), "{output}");
}

#[test]
fn old_and_hostile_files_of_dvc() {
    let sandbox = Sandbox::new();
    sandbox.write(".dvc/config", "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../storage\n");
    // As DVC wrote it before its version 3: no `hash`, the old layout, and a text by its MD5 with the line ends of Unix.
    let printed = sandbox.shell("printf 'a\\nb\\n' | md5sum").success().stdout();
    let digits = printed.split(' ').next().unwrap().to_owned();
    sandbox.write("notes.txt.dvc", format!("outs:\n- md5: {digits}\n  path: notes.txt\n"));
    sandbox.write(format!(".dvc/cache/{}/{}", &digits[..2], &digits[2..]), "a\r\nb\r\n");
    sandbox.git(&["add", "notes.txt.dvc"]).success();
    sandbox.git_ml(&["import", "dvc"]).success();
    assert_eq!(sandbox.read("notes.txt"), "a\r\nb\r\n");
    for bad in ["../../outside", "/etc/passwd", ".git/hooks/pre-commit", "a/../../x"] {
        sandbox.write("bad.dvc", format!("outs:\n- md5: {digits}\n  path: {bad}\n"));
        sandbox.git(&["add", "bad.dvc"]).success();
        let _ = sandbox.git_ml(&["import", "dvc", "--json"]);
        assert!(!sandbox.exists(".git/hooks/pre-commit") && !sandbox.root().join("outside").exists(), "{bad}");
        assert!(!sandbox.root().join("x").exists());
    }
    sandbox.write("bad.dvc", "outs:\n- md5: zz\n  path: y\n");
    sandbox.git_ml(&["import", "dvc"]).one_line_error();
    sandbox.write("bad.dvc", "outs: [\n");
    let output = sandbox.git_ml(&["import", "dvc"]).one_line_error();
    assert!(output.stderr().contains("bad.dvc does not read"), "{output}");
}
