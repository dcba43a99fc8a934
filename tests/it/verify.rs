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

/// The newest pack, which a target was just stored in.
fn newest_pack(sandbox: &Sandbox) -> PathBuf {
    let packs = fs::read_dir(sandbox.path(".git/ml/packs")).unwrap().map(|entry| entry.unwrap().path());
    packs.max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap()).unwrap()
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
    sandbox.git_ml(&["verify"]).success();
    flip(&pack, 8 + 46);
    sandbox.git_ml(&["verify"]).code(3);
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
fn what_was_verified_is_remembered_and_a_changed_file_is_read_again() {
    let sandbox = tracked();
    std::thread::sleep(std::time::Duration::from_millis(50));
    sandbox.git_ml(&["verify"]).success();
    let memory = sandbox.read(".git/ml/verified");
    assert!(memory.lines().any(|line| line.starts_with("artifact ")), "{memory}");
    let pack = the_pack(&sandbox);
    let (good, before) = (fs::read(&pack).unwrap(), fs::metadata(&pack).unwrap().modified().unwrap());
    // Whoever sets the time back is found out: when the file was changed cannot be set.
    flip(&pack, 8 + 46);
    fs::File::options().write(true).open(&pack).unwrap().set_modified(before).unwrap();
    sandbox.git_ml(&["verify"]).code(3);
    fs::write(&pack, good).unwrap();
    sandbox.git_ml(&["verify"]).success();
    fs::remove_file(sandbox.path(".git/ml/verified")).unwrap();
    sandbox.git_ml(&["verify"]).success();
}

#[test]
fn a_finding_in_every_format() {
    let sandbox = tracked();
    let pointer = sandbox.read("data/x.mlref");
    for format in ["text", "json", "junit", "sarif", "github"] {
        sandbox.git_ml(&["verify", "--format", format]).success();
    }
    assert_eq!(sandbox.git_ml(&["verify", "--format", "github"]).success().stdout(), "");
    sandbox.write("data/x.mlref", pointer.replace("files = 2", "files = 3"));
    let github = sandbox.git_ml(&["verify", "--format", "github"]).code(3).stdout();
    let start = "::error file=data/x.mlref,title=pointer-mismatch%3A data/x::data/x says that artifact ";
    assert!(github.starts_with(start) && github.lines().count() == 1 && github.contains("%0Ahint: "), "{github}");
    let sarif = sandbox.git_ml(&["verify", "--format", "sarif"]).code(3).json();
    assert_eq!((&sarif["version"], sarif["runs"].as_array().unwrap().len()), (&"2.1.0".into(), 1));
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "pointer-mismatch");
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "data/x.mlref");
    let junit = sandbox.git_ml(&["verify", "--format", "junit"]).code(3).stdout();
    assert!(junit.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"), "{junit}");
    assert!(junit.contains(" failures=\"1\" errors=\"0\" "), "{junit}");
    assert!(junit.contains("<failure type=\"pointer-mismatch\" message=\"data/x says that "), "{junit}");
    sandbox.git_ml(&["verify", "--format", "sarif", "--json"]).code(2);
}

#[test]
fn revisions_ranges_and_branches() {
    let sandbox = tracked();
    sandbox.git(&["tag", "good"]).success();
    let pointer = sandbox.read("data/x.mlref");
    sandbox.write("data/x.mlref", pointer.replace("files = 2", "files = 3"));
    sandbox.commit("Break it");
    sandbox.git(&["branch", "broken"]).success();
    sandbox.write("data/x.mlref", &pointer);
    sandbox.commit("Mend it");
    sandbox.git_ml(&["verify"]).success();
    sandbox.git_ml(&["verify", "--rev", "HEAD"]).success();
    sandbox.git_ml(&["verify", "--rev", "good"]).success();
    let found = sandbox.git_ml(&["verify", "--rev", "HEAD~1"]).code(3).stdout();
    assert!(found.starts_with("error[pointer-mismatch]: HEAD~1:data/x says"), "{found}");
    sandbox.git_ml(&["verify", "--rev", "HEAD~1..HEAD"]).success();
    for range in ["good..HEAD", "good..", "good...HEAD", "HEAD...good"] {
        sandbox.git_ml(&["verify", "--rev", range]).code(3);
    }
    let found = sandbox.git_ml(&["verify", "--all"]).code(3).stdout();
    assert!(found.starts_with("error[pointer-mismatch]: broken:data/x says"), "{found}");
    sandbox.git_ml(&["verify", "--rev", "nowhere"]).one_line_error();
    sandbox.git_ml(&["verify", "--rev", "HEAD", "data/x"]).code(2);
}

#[test]
fn clones_that_share_runs_versions_and_data_are_without_fault() {
    let sandbox = tracked();
    let shell = |line: &str| sandbox.shell(line).success();
    shell("git clone --quiet --bare . ../bare.git && git remote add origin ../bare.git && git fetch --quiet origin");
    shell("git branch --quiet --set-upstream-to=origin/main");
    let store = format!("file://{}", sandbox.root().join("store").display());
    sandbox.git_ml(&["remote", "add", "store", &store]).success();
    sandbox.commit("Add a remote");
    shell("git push --quiet --no-verify");
    let train = |folder: &std::path::Path, name: &str| {
        let script = "echo '{\"step\": 1, \"loss\": 0.5}' >> \"$GIT_ML_LOG\"; head -c 64 /dev/urandom > w.bin; git ml output w.bin --name weights --type model";
        sandbox.git_ml_in(folder, &["run", "--name", name, "--", "sh", "-c", script]).success();
        sandbox.git_ml_in(folder, &["model", "register", &format!("run:{name}"), "--name", name]).success();
    };
    train(sandbox.repo(), "first");
    sandbox.git_ml(&["push"]).success();
    shell("git clone --quiet ../bare.git ../other");
    let other = sandbox.root().join("other");
    // Where nothing was fetched yet, the remote can be asked instead.
    sandbox.git_ml_in(&other, &["verify", "--all"]).code(3);
    let from_afar = sandbox.git_ml_in(&other, &["verify", "--all", "--remote", "store"]).success();
    assert!(from_afar.stdout().contains("all is well"), "{from_afar}");
    // As an action of CI has it: the refs without data, fetched by git alone.
    sandbox.shell("git push --quiet --no-verify origin 'refs/ml/*:refs/ml/*'").success();
    shell("git clone --quiet ../bare.git ../action && git -C ../action fetch --quiet origin '+refs/ml/*:refs/ml/*'");
    let action = sandbox.root().join("action");
    sandbox.git_ml_in(&action, &["verify", "--all", "--remote", "store"]).success();
    sandbox.git_ml_in(&other, &["pull"]).success();
    for arguments in [&["verify"][..], &["verify", "--all", "--deep"], &["verify", "--remote", "store"]] {
        sandbox.git_ml_in(&other, arguments).success();
    }
    sandbox
        .git_ml(&["run", "--name", "unregistered", "--", "sh", "-c", "echo x > x.txt; git ml output x.txt"])
        .success();
    sandbox.git_ml(&["push"]).success();
    sandbox.git_ml_in(&other, &["run", "--name", "mine", "--", "true"]).success();
    sandbox.git_ml_in(&other, &["pull"]).success();
    for (folder, runs) in [(sandbox.repo().to_path_buf(), 2), (other, 3)] {
        for arguments in [&["verify", "--json"][..], &["verify", "--all", "--deep", "--json"]] {
            let report = sandbox.git_ml_in(&folder, arguments).success().json();
            assert_eq!((&report["findings"], &report["checked"]["runs"]), (&serde_json::json!([]), &runs.into()));
        }
    }
}

/// Puts a file into a ref of ours, or takes it out, past those who keep it.
fn plant(sandbox: &Sandbox, reference: &str, path: &str, content: Option<&[u8]>) {
    let change = match content {
        Some(content) => {
            sandbox.write(".git/planted", content);
            format!("git update-index --add --cacheinfo 100644,$(git hash-object -w .git/planted),{path}")
        }
        None => format!("git update-index --force-remove {path}"),
    };
    let line = format!(
        "export GIT_INDEX_FILE=.git/plant && git read-tree {reference} && {change} && \
         git update-ref {reference} $(git commit-tree -m plant -p {reference} $(git write-tree))"
    );
    sandbox.shell(&line).success();
}

#[test]
fn who_signed_is_told_by_what_the_user_trusts() {
    const SIGNATURES: &str = "refs/ml/signatures";
    let sandbox = tracked();
    sandbox.write("y.txt", "something else");
    sandbox.git_ml(&["track", "y.txt"]).success();
    sandbox.commit("Track more");
    for name in ["ada", "eve"] {
        sandbox.shell(&format!("ssh-keygen -q -t ed25519 -N '' -C {name} -f ../{name}")).success();
    }
    let key = |name: &str| sandbox.read(sandbox.root().join(format!("{name}.pub"))).trim().to_owned();
    let signers = sandbox.root().join("signers");
    let trust = |line: String| sandbox.write(&signers, line + "\n");
    let config = |key: &str, value: &str| drop(sandbox.git(&["config", key, value]).success());
    config("gpg.format", "ssh");
    config("user.signingkey", sandbox.root().join("ada").to_str().unwrap());
    sandbox.git_ml(&["sign", "data/x"]).success();
    let check = |arguments: &[&str], expected: &[&str]| {
        let report = sandbox.git_ml(&[&["verify", "--json"], arguments].concat()).json();
        let findings = report["findings"].as_array().unwrap();
        let codes: Vec<&str> = findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect();
        assert_eq!(codes, expected, "{report}");
        report["checked"]["signatures"].as_u64().unwrap()
    };
    // Who has not said whom to trust is not told that nobody is trusted.
    assert_eq!(check(&[], &[]), 1);
    config("gpg.ssh.allowedSignersFile", signers.to_str().unwrap());
    check(&[], &["unusable-trust"]);
    let (ada, eve) = (key("ada"), key("eve"));
    trust(format!("ada@example.com namespaces=\"git-ml\" {ada}"));
    for arguments in [&[][..], &["--deep"], &["data/x"]] {
        assert_eq!(check(arguments, &[]), 1);
    }
    assert_eq!(check(&["y.txt"], &[]), 0);
    trust(format!("eve@example.com namespaces=\"git-ml\" {eve}"));
    check(&[], &["unknown-signer"]);
    check(&["data/x"], &["unknown-signer"]);
    trust(format!("ada@example.com namespaces=\"git-ml\",valid-before=\"20200101\" {ada}"));
    check(&[], &["expired-signer"]);
    trust(format!("ada@example.com namespaces=\"git-ml\",valid-after=\"20900101\" {ada}"));
    check(&[], &["signer-not-valid-yet"]);
    trust(format!("ada@example.com namespaces=\"git-ml\" {ada}"));
    config("gpg.ssh.revocationFile", sandbox.root().join("ada.pub").to_str().unwrap());
    check(&[], &["revoked-signer"]);
    sandbox.git(&["config", "--unset", "gpg.ssh.revocationFile"]).success();
    check(&[], &[]);

    // A gate that wants a signature is told of an alias without one.
    sandbox.git_ml(&["model", "register", "y.txt", "--name", "words"]).success();
    sandbox.git_ml(&["model", "alias", "words", "production", "v1"]).success();
    let recipes = if sandbox.exists("ml.toml") { sandbox.read("ml.toml") } else { String::new() };
    sandbox.write("ml.toml", format!("{recipes}\n[gates.production]\nrequire = [\"signed\"]\n"));
    check(&[], &["missing-signature"]);
    sandbox.write("ml.toml", recipes);

    let path = sandbox.git(&["ls-tree", "-r", "--name-only", SIGNATURES]).success().stdout().trim().to_owned();
    let content = sandbox.git(&["show", &format!("{SIGNATURES}:{path}")]).success().stdout_bytes().to_vec();
    let (folder, file) = path.rsplit_once('/').unwrap();
    let tip = sandbox.git(&["rev-parse", SIGNATURES]).success().stdout().trim().to_owned();
    let restore = || drop(sandbox.git(&["update-ref", SIGNATURES, &tip]).success());
    // What was signed was edited, and kept under the name that it has then.
    let forged = String::from_utf8(content.clone()).unwrap().replacen("1120", "1121", 1).into_bytes();
    assert_ne!(forged, content);
    let name = blake3::hash(&forged).to_hex();
    plant(&sandbox, SIGNATURES, &format!("{folder}/{name}.ssh"), Some(&forged));
    check(&[], &["bad-signature"]);
    restore();
    // The same signature under another artifact.
    let other =
        sandbox.git_ml(&["status", "--json"]).success().json()["artifacts"][1]["id"].as_str().unwrap().to_owned();
    plant(&sandbox, SIGNATURES, &format!("artifacts/{}/{other}/{file}", &other[..2]), Some(&content));
    check(&[], &["signed-subject-differs"]);
    restore();
    plant(&sandbox, SIGNATURES, &path, Some(b"nonsense"));
    check(&[], &["unreadable-signature"]);
    restore();
    plant(&sandbox, SIGNATURES, &path, None);
    check(&[], &["missing-signature"]);
    restore();
    assert_eq!(check(&[], &[]), 1);
}

#[test]
fn what_a_run_made_here_has_to_be_here() {
    let sandbox = tracked();
    sandbox.git_ml(&["run", "--", "sh", "-c", "echo x > x.txt; git ml output x.txt"]).success();
    sandbox.git_ml(&["verify"]).success();
    fs::remove_file(sandbox.path(".git/ml/verified")).unwrap();
    fs::remove_file(newest_pack(&sandbox)).unwrap();
    let found = sandbox.git_ml(&["verify"]).code(3).stdout();
    assert!(found.starts_with("error[missing-artifact]: the store lacks run:"), "{found}");
}

#[test]
fn lineage_is_drawn_for_every_target() {
    let sandbox = tracked();
    sandbox
        .git_ml(&["run", "--name", "trained", "--", "sh", "-c", "echo w > w; git ml output w --type model"])
        .success();
    sandbox.git_ml(&["model", "register", "run:trained", "--name", "digits"]).success();
    sandbox.git_ml(&["model", "alias", "digits", "production", "v1"]).success();
    let text = sandbox.git_ml(&["lineage", "digits@production"]).success().stdout();
    for words in [
        "digits@v1 (model",
        "made by run trained (finished",
        "read data/x (artifact",
        "tracked by commit",
        "code commit",
        "alias digits@production",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let graph = sandbox.git_ml(&["lineage", "data/x", "--json"]).success().json();
    let names: Vec<&str> =
        graph["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
    for name in ["data/x", "trained", "digits@v1", "digits@production"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for target in ["run:trained", "run:@", "run:trained:w", "digits", "digits@v1"] {
        for format in ["text", "mermaid", "dot"] {
            let drawn = sandbox.git_ml(&["lineage", target, "--format", format]).success().stdout();
            assert!(drawn.contains("trained") && drawn.contains("digits@v1"), "{drawn}");
        }
    }
    sandbox.git_ml(&["lineage", "nothing"]).one_line_error();
    sandbox.git_ml(&["lineage", "run:nothing"]).one_line_error();
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
