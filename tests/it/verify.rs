//! Verification, mending and diagnosis.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use crate::sandbox::Sandbox;

/// A repository with a tracked folder of two files in one pack.
fn tracked() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a.txt", "the first text ".repeat(40));
    sandbox.write("data/x/b.txt", "another text ".repeat(40));
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Track data");
    sandbox
}

fn the_pack(sandbox: &Sandbox) -> PathBuf {
    let mut packs = fs::read_dir(sandbox.path(".git/ml/packs")).unwrap();
    let pack = packs.next().unwrap().unwrap().path();
    assert!(packs.next().is_none());
    pack
}

fn flip(path: &std::path::Path, position: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[position] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn all_is_well() {
    let sandbox = tracked();
    for arguments in [&["verify"][..], &["verify", "--all", "--deep"], &["verify", "data/x"], &["fsck", "--deep"]] {
        sandbox.git_ml(arguments).success();
    }
    let text = sandbox.git_ml(&["verify"]).success().stdout();
    assert_eq!(text, "checked 1 artifact (2 files, 1.1 KiB), 0 runs, 0 versions: all is well\n");
    let json = sandbox.git_ml(&["verify", "--format", "json"]).success().json();
    let checked = serde_json::json!(
        {"artifacts": 1, "files": 2, "bytes": 1120, "runs": 0, "versions": 0, "signatures": 0}
    );
    assert_eq!(json, serde_json::json!({"ok": true, "checked": checked, "findings": []}));
}

#[test]
fn a_flipped_byte_is_named_and_the_rest_still_reads() {
    let sandbox = tracked();
    let pack = the_pack(&sandbox);
    // The first entry's first stored byte: after the pack's magic and the entry's header.
    flip(&pack, 8 + 46);
    sandbox.git_ml(&["verify"]).success();
    let found = sandbox.git_ml(&["verify", "--deep"]).code(3);
    assert_eq!(found.stderr(), "");
    let text = found.stdout();
    let pack_id = pack.file_stem().unwrap().to_str().unwrap();
    assert!(text.starts_with("error[damaged-chunk]: data/x (artifact "), "{text}");
    assert!(text.contains(&format!(": pack {pack_id} is damaged: ")), "{text}");
    let (damaged, whole) = if text.contains("file a.txt: pack") { ("a.txt", "b.txt") } else { ("b.txt", "a.txt") };
    sandbox.git_ml(&["cat", &format!("data/x:{damaged}")]).one_line_error();
    let read = sandbox.git_ml(&["cat", &format!("data/x:{whole}")]).success();
    assert_eq!(read.stdout_bytes(), sandbox.read_bytes(format!("data/x/{whole}")));
    let json = sandbox.git_ml(&["verify", "--deep", "--json"]).code(3).json();
    assert_eq!(json["ok"], false);
    let keys: Vec<&String> = json["findings"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["severity", "code", "target", "message", "hint"]);
    let good = sandbox.read_bytes(format!("data/x/{damaged}"));
    fs::remove_file(sandbox.path(format!("data/x/{damaged}"))).unwrap();
    sandbox.git_ml(&["fsck", "--deep"]).code(3);
    // The way out that the page names: the pack was set aside, and the data in the work tree is stored again.
    assert!(!pack.exists());
    sandbox.write(format!("data/x/{damaged}"), good);
    sandbox.git_ml(&["verify"]).code(3);
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git_ml(&["verify", "--deep"]).success();
}

#[test]
fn fsck_mends_what_a_kill_leaves() {
    let sandbox = tracked();
    sandbox.write(".git/ml/packs/.tmp-git-ml-Xy12", "half a pack");
    fs::remove_dir_all(sandbox.path(".git/ml/index")).unwrap();
    let mended = sandbox.git_ml(&["fsck", "--deep"]).success();
    assert!(mended.stderr().contains("removed 1 leftover"), "{mended}");
    assert!(!sandbox.exists(".git/ml/packs/.tmp-git-ml-Xy12"));
    sandbox.git_ml(&["verify", "--deep"]).success();
}

#[test]
fn a_run_whose_parent_was_killed_is_no_damage_and_fsck_records_it() {
    let sandbox = tracked();
    // So that the run's snapshot is a commit that only the run's record will keep.
    sandbox.write("README.md", "changed\n");
    let mut command = sandbox.git_ml_command();
    command.args(["run", "--", "sh", "-c", "echo $$; exec sleep 60"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut parent = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    sandbox.git_ml(&["verify", "--deep"]).success();
    parent.kill().unwrap();
    parent.wait().unwrap();
    sandbox.shell(&format!("kill -9 {}", line.trim())).success();
    let found = sandbox.git_ml(&["verify", "--json"]).success().json();
    assert_eq!((&found["findings"], &found["checked"]["runs"]), (&serde_json::json!([]), &1.into()));
    let mended = sandbox.git_ml(&["fsck"]).success();
    assert!(mended.stderr().contains("whose parent died, as crashed"), "{mended}");
    let found = sandbox.git_ml(&["verify", "--deep", "--json"]).success().json();
    assert_eq!((&found["findings"], &found["checked"]["runs"]), (&serde_json::json!([]), &1.into()));
}

#[test]
fn verify_and_fsck_want_a_repository() {
    let sandbox = Sandbox::without_repository();
    sandbox.git_ml(&["verify"]).one_line_error();
    sandbox.git_ml(&["fsck"]).one_line_error();
    let sandbox = Sandbox::new();
    sandbox.git_ml(&["verify", "no/such/path"]).one_line_error();
    sandbox.git_ml(&["verify", "--all", "x"]).code(2);
}

#[test]
fn doctor_says_what_is_broken_and_how_to_mend_it() {
    let sandbox = Sandbox::new();
    let healthy = sandbox.git_ml(&["doctor", "--json"]).success();
    let diagnosis = healthy.json();
    assert_eq!(diagnosis["ok"], true);
    for check in diagnosis["checks"].as_array().unwrap() {
        assert!(check["state"] == "ok" || check["hint"].is_string(), "{check}");
    }
    sandbox.write("ml.toml", "nonsense");
    let broken = sandbox.git_ml(&["doctor"]).code(1);
    assert!(broken.stdout().contains("broken   ml.toml"), "{broken}");
    sandbox.fake_worker("echo cannot open shared object >&2; exit 127");
    let broken = sandbox.git_ml(&["doctor"]).code(1);
    assert!(broken.stdout().contains("does not start: cannot open shared object"), "{broken}");
    Sandbox::without_repository().git_ml(&["doctor"]).success();
}
