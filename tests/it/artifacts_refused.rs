//! What cannot be tracked or checked out: one line that says so, a hint, and nothing changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::sandbox::Sandbox;

/// Everything that a refused command must leave alone.
fn everything(sandbox: &Sandbox) -> String {
    let listed = sandbox.shell("find . -path ./.git -prune -o -print0 | LC_ALL=C sort -z | tr '\\0' '\\n'");
    let packs = sandbox.shell("ls .git/ml/packs 2>/dev/null | wc -l");
    listed.stdout_bytes().escape_ascii().to_string()
        + &packs.stdout()
        + &sandbox.git(&["status", "--porcelain"]).stdout()
}

/// The error of `git ml track PATH`, which must have changed nothing.
#[track_caller]
fn refusal(sandbox: &Sandbox, path: &str) -> String {
    let before = everything(sandbox);
    let output = sandbox.git_ml(&["track", path]).code(1).one_line_error();
    assert_eq!(everything(sandbox), before, "nothing is changed");
    assert_eq!(output.stdout(), "");
    output.normalised_stderr().to_owned()
}

#[test]
fn outside_of_a_repository() {
    let sandbox = Sandbox::without_repository();
    sandbox.write("x", "1");
    for arguments in
        [&["track", "x"][..], &["status"], &["checkout"], &["untrack", "x"], &["manifest", "x"], &["cat", "x"]]
    {
        let refused = sandbox.git_ml(arguments).code(1).one_line_error();
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused.normalised_stderr(), @r"
            error: <repo> is not inside a git repository
            hint: `git ml init` makes one here
            ");
        }
    }
}

#[test]
fn what_git_tracks() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    sandbox.write("data/x/b", "1");
    sandbox.commit("Data");
    sandbox.write("data/x/c", "not tracked by git");
    insta::assert_snapshot!(refusal(&sandbox, "data/x"), @r"
    error: git tracks data/x/a and 1 more below it
    hint: take it out of git's index first: `git rm -r --cached data/x/a`
    ");
    insta::assert_snapshot!(refusal(&sandbox, "README.md"), @r"
    error: git tracks README.md
    hint: take it out of git's index first: `git rm -r --cached README.md`
    ");
}

#[test]
fn what_is_outside_or_git_s_own() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.root().join("secret"), "1").unwrap();
    symlink(sandbox.root(), sandbox.path("way-out")).unwrap();
    symlink(sandbox.root().join("secret"), sandbox.path("leak")).unwrap();
    symlink("README.md", sandbox.path("inside")).unwrap();
    fs::create_dir(sandbox.path("real")).unwrap();
    symlink("real", sandbox.path("alias")).unwrap();
    sandbox.write("real/x", "1");
    for path in ["../secret", "/etc/passwd", "real/../../secret", "way-out/secret", "leak"] {
        let said = refusal(&sandbox, path);
        assert!(said.contains("is outside the work tree"), "{path}: {said}");
    }
    for (path, reason) in [
        (".", "it is the work tree's top"),
        ("real/..", "it is the work tree's top"),
        (".git", "it goes into .git"),
        (".git/config", "it goes into .git"),
        ("real/.git", "it goes into .git"),
        ("inside", "it is a symbolic link"),
        ("alias/x", "a folder on the way is a symbolic link"),
        ("nothing", "does not exist"),
        ("real/nothing/x", "does not exist"),
        ("real/x/y", "does not exist"),
        ("con", "a name that Windows reserves"),
        ("a\\b", "it has a backslash"),
    ] {
        let said = refusal(&sandbox, path);
        assert!(said.contains(reason), "{path}: {said}");
    }
}

#[test]
fn what_no_artifact_can_hold() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    fs::create_dir_all(sandbox.path("empty/folders/only")).unwrap();
    sandbox
        .shell("mkfifo pipe && mkdir -p with-pipe/sub && echo 1 > with-pipe/a && mkfifo with-pipe/sub/pipe")
        .success();
    let _socket = {
        fs::create_dir(sandbox.path("with-socket")).unwrap();
        std::os::unix::net::UnixListener::bind(sandbox.path("with-socket/s")).unwrap()
    };
    sandbox
        .shell("mkdir odd reserved && printf 1 > \"odd/$(printf 'a\\377')\" && printf 1 > reserved/aux.txt")
        .success();
    sandbox.shell("mkdir -p repos && echo 1 > repos/a && git init -q repos/inner && echo 1 > repos/inner/x").success();
    sandbox.git_ml(&["track", "data/x"]).success();
    for (path, reason) in [
        ("empty", "empty cannot be tracked: it is an empty folder"),
        ("pipe", "pipe cannot be tracked: it is a named pipe"),
        ("with-pipe", "sub/pipe in it is a named pipe"),
        ("with-socket", "s in it is a socket"),
        ("odd", "is not UTF-8"),
        ("reserved", "a name that Windows reserves"),
        ("repos", "it holds another git repository, inner/.git"),
        ("repos/inner/x", "it is in another git repository, repos/inner"),
        ("repos/inner", "it holds another git repository, .git"),
        ("data/x.mlref", "data/x.mlref cannot be tracked: it is a pointer itself"),
        ("data", "it holds the pointer x.mlref"),
        ("data/x/a", "it is a part of data/x"),
        ("data/.gitignore", "it has to be tracked by git itself"),
    ] {
        let said = refusal(&sandbox, path);
        assert!(said.contains(reason), "{path}: {said}");
    }
    // Of several paths none is tracked if one cannot be.
    sandbox.write("fine", "1");
    sandbox.git_ml(&["track", "fine", "pipe"]).code(1).one_line_error();
    assert!(!sandbox.exists("fine.mlref"));
    sandbox.write(".gitignore", "*.mlref\n");
    let said = refusal(&sandbox, "fine");
    assert!(said.contains("git ignores its pointer, fine.mlref"), "{said}");
}

#[test]
fn pointers_that_somebody_edited() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    sandbox.git_ml(&["track", "data/x"]).success();
    let good = sandbox.read("data/x.mlref");
    let secret = sandbox.root().join("secret");
    fs::write(&secret, "untouched").unwrap();
    for (from, to, reason) in [
        ("name = \"x\"", "name = \"../../secret\"", "it has `.` or `..` in it"),
        ("kind =", "path = \"../../secret\"\nkind =", "unknown field `path`"),
        ("id = \"", "id = \"../../", "is not 64 lowercase hexadecimal digits"),
        ("files = 1", "files = -1", "line 6"),
        ("name = \"x\"", "name = \".git\"", "it goes into .git"),
        ("name = \"x\"", "name = \"CON\"", "a name that Windows reserves"),
        ("name = \"x\"", "name = \"x\\u0000\"", "it has a control character"),
        ("name = \"x\"", &format!("name = \"{}\"", "x".repeat(60_000)), "is longer than"),
        ("name = \"x\"", &format!("name = \"{}\"", "x".repeat(65_536)), "it is larger than 64 KiB"),
        ("version = 1", "version = 99", "version 99"),
        ("bytes", "<<<<<<< ours\nbytes", "conflict markers"),
        (good.as_str(), "", "missing field"),
        (good.as_str(), "\0\0\0", "line 1"),
    ] {
        sandbox.write("data/x.mlref", good.replace(from, to));
        for arguments in [&["status"][..], &["checkout", "--force"], &["track", "data/x"], &["manifest", "data/x"]] {
            let refused = sandbox.git_ml(arguments).code(1).one_line_error();
            assert!(refused.stderr().contains(reason), "{arguments:?} of {to:?}: {refused}");
            assert!(refused.stderr().contains("data/x.mlref"), "{refused}");
        }
        assert_eq!(sandbox.read("data/x/a"), "1");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
    }
    fs::remove_file(sandbox.path("data/x.mlref")).unwrap();
    symlink("/etc/passwd", sandbox.path("data/x.mlref")).unwrap();
    let refused = sandbox.git_ml(&["status", "data/x"]).code(1).one_line_error();
    assert!(refused.stderr().contains("it is not an ordinary file"), "{refused}");
}

#[test]
fn manifests_and_links_that_lead_out() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    sandbox.git_ml(&["track", "data/x"]).success();
    let pointer = sandbox.read("data/x.mlref");
    // A manifest in the store that names a path outside, as only an attacker makes it.
    let store = git_ml::store::Store::open(&sandbox.path(".git/ml")).unwrap();
    let digest = git_ml::id::Digest::of(b"1");
    let (long, deep) = ("x".repeat(65_536), format!("{}x", "a/".repeat(2047)));
    for (path, reason) in [
        ("../../owned", "is not safe"),
        ("/tmp/owned", "is not safe"),
        (".git/hooks/post-checkout", "is not safe"),
        ("a/../../../owned", "is not safe"),
        (".GIT/hooks/post-checkout", "is not safe"),
        ("git~1/hooks/post-checkout", "is not safe"),
        (".g\u{200c}it/hooks/post-checkout", "is not safe"),
        (".git::$INDEX_ALLOCATION/x", "is not safe"),
        ("CON", "is not safe"),
        ("b/nul.txt", "is not safe"),
        ("b\\..\\owned", "is not safe"),
        ("b\0c", "is not safe"),
        (&long, "is not safe"),
        (&deep, "is longer than a path may be here"),
    ] {
        let manifest = format!("git-ml manifest 1\n100755 1 {digest} {path}\n");
        let writer = store.writer().unwrap();
        let (id, _) = writer.add(&mut manifest.as_bytes(), "test").unwrap();
        writer.finish().unwrap();
        let old_id = pointer.split('"').nth(7).unwrap();
        sandbox.write("data/x.mlref", pointer.replace(old_id, &id.to_string()));
        let before = everything(&sandbox);
        let refused = sandbox.git_ml(&["checkout", "--force"]).code(1).one_line_error();
        assert!(refused.stderr().contains(reason), "{path:.80}: {refused}");
        assert!(refused.stderr().len() < 1000, "{refused}");
        assert_eq!(everything(&sandbox), before, "{path:.80}: nothing is changed");
        assert!(!sandbox.root().join("owned").exists() && !Path::new("/tmp/owned").exists());
    }
    // A link in the place of a folder is not followed.
    sandbox.write("data/x.mlref", &pointer);
    sandbox.write("data/x/sub/b", "2");
    sandbox.git_ml(&["track", "data/x"]).success();
    fs::remove_dir_all(sandbox.path("data/x/sub")).unwrap();
    symlink(sandbox.root(), sandbox.path("data/x/sub")).unwrap();
    sandbox.git_ml(&["checkout"]).code(1).one_line_error();
    sandbox.git_ml(&["checkout", "--force"]).success();
    assert_eq!(sandbox.read("data/x/sub/b"), "2");
    assert!(!sandbox.root().join("b").exists());
    // Nor one above the artifact.
    fs::rename(sandbox.path("data"), sandbox.root().join("moved")).unwrap();
    symlink(sandbox.root().join("moved"), sandbox.path("data")).unwrap();
    fs::remove_file(sandbox.root().join("moved/x/a")).unwrap();
    let _ = sandbox.git_ml(&["checkout", "--force"]);
    assert!(!sandbox.root().join("moved/x/a").exists());
}

#[test]
fn content_that_is_not_here() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Track");
    let clone = sandbox.clone_to("clone");
    let status = sandbox.git_ml_in(&clone, &["status", "--json"]).success().json();
    assert_eq!(status["artifacts"][0]["state"], "unstored");
    let refused = sandbox.git_ml_in(&clone, &["checkout"]).code(1).one_line_error();
    assert!(refused.stderr().starts_with("error: the content of data/x ("), "{refused}");
    assert!(refused.stderr().contains("is not in this store\nhint: `git ml pull`"), "{refused}");
    sandbox.git_ml_in(&clone, &["cat", "data/x:a"]).code(1).one_line_error();
    sandbox.git_ml_in(&clone, &["checkout", "nothing"]).code(1).one_line_error();
}

#[test]
fn a_full_disk() {
    let sandbox = Sandbox::new();
    // A name space of our own lets anybody mount a small disk; where that is forbidden there is nothing to test.
    let script = r#"
        set -e
        mkdir disk && mount -t tmpfs -o size=3m tmpfs disk && cd disk && git init -q . && mkdir data
        head -c 1000000 /dev/urandom > data/x && git-ml track data/x >/dev/null && cp data/x.mlref ../before
        head -c 1200000 /dev/urandom > data/x
        code=0; git-ml track data/x || code=$?
        cmp data/x.mlref ../before && [ "$(ls .git/ml/packs | wc -l)" = 1 ] && [ -z "$(ls -A data | grep tmp-git)" ]
        git-ml fsck --deep >&2 && exit $code
    "#;
    if sandbox.shell("unshare --user --map-root-user --mount mount -t tmpfs tmpfs /mnt").exit_code() != 0 {
        return;
    }
    let mut command = sandbox.command("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    let full = sandbox.run(command).code(1).one_line_error();
    assert!(full.stderr().contains("the disk is full"), "{full}");
}

/// The same where there is room and no more files can be made, and where nothing may be written.
#[test]
fn a_disk_without_inodes_and_one_that_is_read_only() {
    let sandbox = Sandbox::new();
    if sandbox.shell("unshare --user --map-root-user --mount mount -t tmpfs tmpfs /mnt").exit_code() != 0 {
        return;
    }
    let prepare = "set -e; mkdir disk; mount -t tmpfs -o size=30m,nr_inodes=120 tmpfs disk; cd disk; \
                   git init -q --template= .; mkdir data; echo 1 > data/x; git-ml track data/x > ../words; \
                   cp data/x.mlref ../before; echo 2 > data/x; ";
    let check = "cmp data/x.mlref ../before; [ -z \"$(ls -A data | grep tmp-git)\" ]; ";
    for (spoil, mend, reason) in [
        ("mkdir full; while mkdir full/$((n += 1)) 2> /dev/null; do :; done; ", "rm -r full; ", "the disk is full"),
        ("mount -o remount,ro disk-is-here; ", "mount -o remount,rw disk-is-here; ", "check that you may write there"),
    ] {
        let [spoil, mend] = [spoil, mend].map(|line| line.replace("disk-is-here", "$PWD"));
        let script = format!(
            "{prepare} {spoil} code=0; git-ml track data/x || code=$?; {check} {mend} \
             git-ml track data/x > ../words 2>&1; git-ml fsck --deep > ../words 2>&1; exit $code"
        );
        let mut command = sandbox.command("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        let refused = sandbox.run(command).code(1).one_line_error();
        assert!(refused.stderr().contains(reason), "{refused}");
        sandbox.shell("rm -rf disk words before").success();
    }
}
