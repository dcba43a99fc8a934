//! The work tree while others change it, and with pointers and settings of all kinds.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use git_ml::files::RelPath;
use git_ml::track::{CheckoutOptions, Progress, Silent, State, TrackError, TrackOptions, Workspace};

use crate::sandbox::{Sandbox, noise};

/// Does something between the look at the work tree and the work, and again with each part of the work.
struct Meddler<S, A> {
    at_start: S,
    at_each: A,
}

impl<S: Fn() + Sync, A: Fn() + Sync> Progress for Meddler<S, A> {
    fn start(&self, _what: &str, _bytes: Option<u64>) {
        (self.at_start)();
    }
    fn advance(&self, _bytes: u64) {
        (self.at_each)();
    }
}

fn nothing() {}

fn x() -> RelPath {
    RelPath::new("data/x").unwrap()
}

fn track(workspace: &Workspace, progress: &dyn Progress) -> Result<git_ml::track::Tracked, TrackError> {
    workspace.track(&x(), &TrackOptions::default(), progress)
}

fn checkout(workspace: &Workspace, progress: &dyn Progress) -> Result<git_ml::track::Done, TrackError> {
    workspace.checkout(&[x()], CheckoutOptions::default(), progress)
}

fn state(workspace: &Workspace) -> State {
    workspace.status(&[]).unwrap().artifacts[0].state
}

/// Names of drafts below a folder.
fn drafts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(".tmp-git-ml") {
            found.push(path);
        } else if path.is_dir() && !path.ends_with(".git") {
            found.extend(drafts(&path));
        }
    }
    found
}

#[test]
fn a_bad_pointer_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    for name in ["good", "bad", "worse"] {
        sandbox.write(format!("data/{name}/a"), name);
        sandbox.git_ml(&["track", &format!("data/{name}")]).success();
    }
    sandbox.commit("Track");
    sandbox.write("data/bad.mlref", "<<<<<<< ours\n");
    sandbox.write("data/worse.mlref", "");
    for scope in [&["--json"][..], &["--json", "data"]] {
        let status = sandbox.git_ml(&[&["status"], scope].concat()).code(1);
        let artifacts = status.json()["artifacts"].as_array().unwrap().clone();
        assert_eq!(artifacts.len(), 1, "{status}");
        assert_eq!((&artifacts[0]["path"], &artifacts[0]["state"]), (&"data/good".into(), &"clean".into()));
        for bad in ["data/bad.mlref", "data/worse.mlref"] {
            assert!(status.stderr().contains(&format!("error: {bad}")), "{status}");
        }
    }
    assert!(sandbox.git_ml(&["status"]).code(1).stdout().contains("clean  data/good"));
    fs::remove_dir_all(sandbox.path("data")).unwrap();
    sandbox.git(&["checkout", "--quiet", "HEAD", "--", "data"]).success();
    sandbox.write("data/bad.mlref", "nonsense");
    let done = sandbox.git_ml(&["checkout"]).code(1).one_line_error();
    assert!(done.stderr().contains("data/bad.mlref"), "{done}");
    assert_eq!((sandbox.read("data/good/a"), sandbox.exists("data/bad")), ("good".to_owned(), false));
    // Who names it is told at once.
    sandbox.git_ml(&["checkout", "data/good", "data/bad"]).code(1).one_line_error();
    sandbox.git_ml(&["status", "data/good"]).success();
}

#[test]
fn touched_files_are_read_again_and_not_stored_again() {
    let sandbox = Sandbox::new();
    for number in 0..20 {
        sandbox.write(format!("data/x/{number}"), vec![number as u8; 5000]);
    }
    let row = sandbox.git_ml(&["track", "data/x", "--json"]).success().json();
    let written = |path: &str| sandbox.path(path).metadata().unwrap().ino();
    let pointer = written("data/x.mlref");
    sandbox.shell("touch data/x/*").success();
    let again = sandbox.git_ml(&["track", "data/x", "--json"]).success().json();
    assert_eq!((&again[0]["id"], &again[0]["new_bytes_stored"]), (&row[0]["id"], &0.into()));
    assert_eq!(written("data/x.mlref"), pointer);
    // A file of the same content in another's place has another inode and the same id.
    sandbox.shell("cp -p data/x/3 copy && touch -d 2020-01-01 copy && mv copy data/x/3").success();
    assert!(sandbox.git_ml(&["status"]).success().stdout().contains("clean"));
    // The same size and the time set back: only the system's own time and the inode tell.
    std::thread::sleep(Duration::from_millis(40));
    sandbox
        .shell(
            "printf '%05000d' 7 > other && touch -r data/x/3 other && cat other > data/x/3 && touch -r other data/x/3",
        )
        .success();
    assert!(sandbox.git_ml(&["status"]).success().stdout().contains("modified"));
}

#[test]
fn a_file_that_goes_or_grows_while_it_is_tracked_leaves_nothing_half() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "first");
    sandbox.write("data/x/b", vec![7; 3_000_000]);
    let workspace = Workspace::discover(sandbox.repo()).unwrap();
    track(&workspace, &Silent).unwrap();
    let pointer = sandbox.read("data/x.mlref");
    let b = sandbox.path("data/x/b");

    fs::write(&b, vec![8; 3_000_000]).unwrap();
    let gone = Meddler { at_start: || fs::remove_file(&b).unwrap(), at_each: nothing };
    assert!(matches!(track(&workspace, &gone), Err(TrackError::Read { path, .. }) if path == b));

    fs::write(&b, vec![9; 3_000_000]).unwrap();
    let log = Mutex::new(fs::OpenOptions::new().append(true).open(&b).unwrap());
    let grow = || std::io::Write::write_all(&mut *log.lock().unwrap(), b"more").unwrap();
    let growing = Meddler { at_start: nothing, at_each: grow };
    assert!(matches!(track(&workspace, &growing), Err(TrackError::Changed { path }) if path == b));
    assert_eq!(sandbox.read("data/x.mlref"), pointer, "nothing is told of what failed");

    // It grew before it was read, and is stored as it was read.
    let grown = Meddler { at_start: grow, at_each: nothing };
    track(&workspace, &grown).unwrap();
    assert_eq!(state(&workspace), State::Clean);
    let replaced =
        Meddler { at_start: || fs::remove_file(&b).and_then(|()| fs::create_dir(&b)).unwrap(), at_each: nothing };
    fs::write(&b, "once more").unwrap();
    assert!(track(&workspace, &replaced).is_err());
    fs::remove_dir(&b).unwrap();
    sandbox.git_ml(&["checkout"]).success();
    sandbox.git_ml(&["fsck", "--deep"]).success();
    assert!(fs::metadata(&b).unwrap().len() > 3_000_000);
}

#[test]
fn what_comes_in_the_way_of_a_checkout_stays() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "stored");
    sandbox.write("data/x/sub/b", "stored too");
    let workspace = Workspace::discover(sandbox.repo()).unwrap();
    track(&workspace, &Silent).unwrap();
    let mine = || sandbox.write("data/x/sub/b", "mine");

    // In a folder that was not there, in one that was, and in the place of a file that is to be replaced.
    for (missing, mine_is) in [("data/x", "data/x/sub/b"), ("data/x/sub/b", "data/x/sub/b")] {
        let _ = fs::remove_dir_all(sandbox.path(missing));
        let _ = fs::remove_file(sandbox.path(missing));
        let meddler = Meddler { at_start: mine, at_each: nothing };
        assert!(matches!(checkout(&workspace, &meddler), Err(TrackError::Changed { .. })), "{missing}");
        assert_eq!(sandbox.read(mine_is), "mine");
        assert_eq!(drafts(sandbox.repo()), Vec::<PathBuf>::new());
        fs::remove_file(sandbox.path(mine_is)).unwrap();
        checkout(&workspace, &Silent).unwrap();
        assert_eq!((state(&workspace), sandbox.read(mine_is)), (State::Clean, "stored too".to_owned()));
    }
}

#[test]
fn a_killed_checkout_is_taken_up_by_the_next() {
    let sandbox = Sandbox::new();
    for file in 0..200 {
        sandbox.write(format!("data/x/{}/{file:03}", file % 7), vec![file as u8; 20_000]);
        sandbox.write(format!("data/x/{file:03}"), format!("{file}"));
    }
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Track");
    let whole = {
        fs::remove_dir_all(sandbox.path("data/x")).unwrap();
        let started = Instant::now();
        sandbox.git_ml(&["checkout"]).success();
        started.elapsed()
    };
    let rounds = 12;
    for round in 0..rounds {
        fs::remove_dir_all(sandbox.path("data/x")).unwrap();
        let mut command = sandbox.git_ml_command();
        let mut child = command.arg("checkout").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * round / rounds);
        child.kill().unwrap();
        child.wait().unwrap();
        // What stands there under its own name is whole.
        for path in ["000", "150", "3/003", "6/195"] {
            let place = sandbox.path("data/x").join(path);
            let number: u8 = path[path.len() - 3..].parse().unwrap();
            if let Ok(content) = fs::read(place) {
                let whole = if path.contains('/') { vec![number; 20_000] } else { format!("{number}").into_bytes() };
                assert!(content == whole, "{path}");
            }
        }
        sandbox.git_ml(&["checkout"]).success();
        let status = sandbox.git_ml(&["status", "--json"]).success().json();
        assert_eq!(status["artifacts"][0]["state"], "clean", "round {round}");
        assert_eq!(drafts(sandbox.repo()), Vec::<PathBuf>::new(), "round {round}");
    }
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");
}

#[test]
fn files_can_be_checked_out_read_only() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/sub/plain", "1");
    sandbox.write_program("data/x/run.sh", "#!/bin/sh\n");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("One");
    sandbox.write("ml.toml", "[checkout]\nread-only = true\n");
    let mode = |path: &str| sandbox.path(path).metadata().unwrap().permissions().mode() & 0o777;
    let usual = mode("README.md");
    fs::remove_dir_all(sandbox.path("data/x")).unwrap();
    sandbox.git_ml(&["checkout"]).success();
    let locked = |path: &str| mode(path) & 0o222 == 0;
    assert!(locked("data/x/sub/plain") && locked("data/x/run.sh"));
    assert_eq!(mode("data/x/run.sh") & 0o100, 0o100);
    assert!(sandbox.git_ml(&["status"]).success().stdout().contains("clean"));
    // Another version takes its place, and is read-only too.
    let sub = sandbox.path("data/x/sub");
    fs::remove_file(sub.join("plain")).unwrap();
    fs::write(sub.join("plain"), "2").unwrap();
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git(&["checkout", "--quiet", "--", "data/x.mlref"]).success();
    sandbox.git_ml(&["checkout"]).success();
    assert_eq!(sandbox.read("data/x/sub/plain"), "1");
    assert!(locked("data/x/sub/plain"));
    // And without the setting as ever.
    fs::remove_file(sandbox.path("ml.toml")).unwrap();
    fs::remove_dir_all(sandbox.path("data/x")).unwrap();
    sandbox.git_ml(&["checkout"]).success();
    assert_eq!((mode("data/x/sub/plain"), mode("data/x/run.sh")), (usual, usual | (usual & 0o444) >> 2));
}

#[test]
fn the_hook_looks_only_at_data_whose_pointer_git_changed() {
    let sandbox = Sandbox::new();
    sandbox.git(&["ml", "init", "--quiet"]).success();
    sandbox.write("data/x/a", "1");
    sandbox.git(&["ml", "track", "data/x", "--quiet"]).success();
    sandbox.commit("One");
    // One that git does not have yet.
    sandbox.write("data/y/a", "1");
    sandbox.git(&["ml", "track", "data/y", "--quiet"]).success();
    sandbox.git(&["checkout", "--quiet", "-b", "side"]).success();
    sandbox.write("code.py", "print(1)\n");
    sandbox.git(&["add", "code.py"]).success();
    // The pre-commit hook would have it added.
    sandbox.git(&["commit", "--quiet", "--no-verify", "-m", "Code"]).success();
    // Whoever looks at the data now has to read it again, and remembers it.
    sandbox.shell("touch data/x/a data/y/a").success();
    let remembered = || sandbox.path(".git/ml/stat-cache").metadata().unwrap().ino();
    let before = remembered();
    for branch in ["main", "side", "main"] {
        let output = sandbox.git(&["checkout", "--quiet", branch]).success();
        assert_eq!((remembered(), output.stderr()), (before, String::new()));
    }
    // Even where it is damaged, the others follow.
    sandbox.git(&["checkout", "--quiet", "side"]).success();
    sandbox.write("data/x/a", "2");
    sandbox.git(&["ml", "track", "data/x", "--quiet"]).success();
    sandbox.git(&["commit", "--quiet", "--no-verify", "-am", "Two"]).success();
    sandbox.write("data/y.mlref", "nonsense");
    sandbox.git(&["checkout", "--quiet", "main"]).success();
    assert_eq!(sandbox.read("data/x/a"), "1");
}

#[test]
fn two_that_track_the_same_folder_at_once_are_both_right() {
    let sandbox = Sandbox::new();
    for file in 0..60 {
        sandbox.write(format!("data/x/{file:02}"), vec![file as u8; 9000]);
    }
    let start = || {
        let mut command = sandbox.git_ml_command();
        command.args(["track", "--json", "data/x"]).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let [first, second] = [start(), start()].map(|child| child.wait_with_output().unwrap());
    assert!(first.status.success() && second.status.success());
    let row = |output: &std::process::Output| -> serde_json::Value { serde_json::from_slice(&output.stdout).unwrap() };
    let (first, second) = (row(&first)[0].clone(), row(&second)[0].clone());
    assert_eq!(first["id"], second["id"]);
    let stored = |row: &serde_json::Value| row["new_bytes_stored"].as_u64().unwrap();
    assert_eq!(stored(&first).min(stored(&second)), 0, "who came second had nothing to store");
    assert_eq!(state(&Workspace::discover(sandbox.repo()).unwrap()), State::Clean);
    sandbox.git_ml(&["fsck", "--deep"]).success();
}

/// Bytes that are free on the file system at a place, once it has written everything.
fn free(place: &Path) -> u64 {
    rustix::fs::sync();
    let system = rustix::fs::statvfs(place).unwrap();
    system.f_bfree * system.f_frsize
}

#[test]
fn a_linked_checkout_shares_bytes_with_another_work_tree_where_the_file_system_can() {
    const SIZE: usize = 24 << 20;
    let sandbox = Sandbox::new();
    let content = noise(1, SIZE);
    sandbox.write("data/x/big.bin", &content);
    sandbox.write("data/x/small.bin", b"small");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Track data");
    std::thread::sleep(Duration::from_millis(50));
    sandbox.git_ml(&["status"]).success();
    sandbox.git(&["config", "core.hooksPath", "none"]).success();
    let linked = sandbox.linked_work_tree("linked");
    let before = free(sandbox.root());
    sandbox.git_ml_in(&linked, &["checkout", "--link"]).success();
    assert!(fs::read(linked.join("data/x/big.bin")).unwrap() == content);
    assert_eq!(fs::read(linked.join("data/x/small.bin")).unwrap(), b"small");
    let cloned = sandbox.shell("cp --reflink=always data/x/big.bin probe");
    if cloned.exit_code() == 0 {
        let taken = before.saturating_sub(free(sandbox.root()));
        assert!(taken < SIZE as u64 / 2, "{taken} bytes were taken on the disk");
    } else {
        eprintln!("skipped: the file system of {} has no reflinks", sandbox.root().display());
    }
    // Each is its own file: what is changed in one stays out of the other, and is no twin any more.
    fs::write(linked.join("data/x/big.bin"), b"changed").unwrap();
    assert!(sandbox.read_bytes("data/x/big.bin") == content);
    fs::remove_file(sandbox.path("data/x/big.bin")).unwrap();
    sandbox.git_ml(&["checkout", "--link"]).success();
    assert!(sandbox.read_bytes("data/x/big.bin") == content);
}
