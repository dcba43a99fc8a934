//! Tracking, status and checkout of real files and folders.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::sandbox::Sandbox;

/// What stands at a path and below: mode and content, or a link's target.
fn tree(path: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap().path();
            let metadata = entry.symlink_metadata().unwrap();
            let name = entry.strip_prefix(path).unwrap().to_str().unwrap().to_owned();
            if metadata.is_dir() {
                folders.push(entry);
            } else if metadata.is_symlink() {
                found.insert(name, (0, fs::read_link(&entry).unwrap().as_os_str().as_bytes().to_vec()));
            } else {
                found.insert(name, (metadata.permissions().mode() & 0o777, fs::read(&entry).unwrap()));
            }
        }
    }
    found
}

/// A folder with all that a folder can hold.
fn write_dataset(sandbox: &Sandbox) {
    sandbox.write("data/x/train.csv", "a,b\n1,2\n");
    sandbox.write("data/x/empty", "");
    sandbox.write(
        "data/x/sub/deep/er/big.bin",
        (0..1_500_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect::<Vec<_>>(),
    );
    sandbox.write("data/x/two words/ünï/日本.txt", "non-ASCII");
    sandbox.write("data/x/-dash", "starts with a dash");
    sandbox.write_program("data/x/prepare.sh", "#!/bin/sh\n");
    symlink("train.csv", sandbox.path("data/x/link")).unwrap();
    symlink("/etc/passwd", sandbox.path("data/x/outside")).unwrap();
    fs::create_dir_all(sandbox.path("data/x/no files")).unwrap();
}

fn states(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.git_ml(&["status", "--json"]).success().json();
    let artifacts = status["artifacts"].as_array().unwrap().iter();
    artifacts.map(|row| format!("{} {}", row["path"].as_str().unwrap(), row["state"].as_str().unwrap())).collect()
}

fn track(sandbox: &Sandbox, path: &str) -> serde_json::Value {
    sandbox.git_ml(&["track", "--json", path]).success().json()[0].clone()
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let sandbox = Sandbox::new();
    write_dataset(&sandbox);
    let before = tree(&sandbox.path("data/x"));
    let row = track(&sandbox, "data/x");
    assert_eq!(row["files"], before.len());
    assert_eq!(row["pointer"], "data/x.mlref");
    assert_eq!(row["type"], "dataset");
    assert_eq!(sandbox.read("data/.gitignore"), "/x\n");
    assert!(tree(&sandbox.path("data/x")) == before, "tracking changes nothing in the folder");
    sandbox.commit("Track");
    assert_eq!(sandbox.git(&["ls-files"]).success().stdout(), "README.md\ndata/.gitignore\ndata/x.mlref\n");
    assert_eq!(states(&sandbox), ["data/x clean"]);

    fs::remove_dir_all(sandbox.path("data/x")).unwrap();
    assert_eq!(states(&sandbox), ["data/x missing"]);
    sandbox.git_ml(&["checkout"]).success();
    assert!(tree(&sandbox.path("data/x")) == before, "checkout brings back every byte, mode and link");
    assert_eq!(states(&sandbox), ["data/x clean"]);
    let again = sandbox.git_ml(&["checkout"]).success();
    assert_eq!(again.stdout(), "");
}

#[test]
fn the_same_bytes_have_the_same_id_everywhere() {
    let sandbox = Sandbox::new();
    sandbox.write("m/a", "one");
    sandbox.write("m/b/c", "two");
    sandbox.write("one.csv", "x\n");
    let folder = track(&sandbox, "m")["id"].clone();
    let file = track(&sandbox, "one.csv")["id"].clone();
    assert_eq!(folder, "3e89c8305d17c8e263e999ce92332571e3a493e4eb75dfcd1f758b92f74ae8e3");
    assert_eq!(file, "2f983148cdbb9c0dfc7749d129581f757371c5252ec31d058e019595768b5a81");
}

#[test]
fn the_id_depends_on_nothing_but_paths_and_bytes() {
    // Small files, one of several chunks, and one that the writer's own threads work on.
    let sizes = [0, 1, 700, 3_000, 16_384, 16_385, 300_000, 5_000_000];
    let content = |number: usize| -> Vec<u8> {
        let mut bytes = vec![0; sizes[number % sizes.len()]];
        let seed = blake3::hash(&number.to_le_bytes());
        blake3::Hasher::new_keyed(seed.as_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    };
    let ids: Vec<serde_json::Value> = [("1", 1usize), ("2", 5), ("8", 23)]
        .into_iter()
        .map(|(threads, stride)| {
            let mut sandbox = Sandbox::new();
            sandbox.set_env("RAYON_NUM_THREADS", threads);
            for step in 0..48 {
                let number = step * stride % 48;
                sandbox.write(format!("data/x/{}/file {number}", number % 7), content(number));
            }
            track(&sandbox, "data/x")["id"].clone()
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
}

#[test]
fn tracking_again_writes_nothing_unless_something_changed() {
    let sandbox = Sandbox::new();
    write_dataset(&sandbox);
    track(&sandbox, "data/x");
    let written = |path: &str| sandbox.path(path).metadata().unwrap().ino();
    let before = [written("data/x.mlref"), written("data/.gitignore"), written(".git/ml/index")];
    let packs = || fs::read_dir(sandbox.path(".git/ml/packs")).unwrap().count();
    let packs_before = packs();
    assert_eq!(track(&sandbox, "data/x")["new_bytes_stored"], 0);
    assert_eq!([written("data/x.mlref"), written("data/.gitignore"), written(".git/ml/index")], before);
    assert_eq!(packs(), packs_before);
    let said = sandbox.git_ml(&["track", "data/x"]).success();
    assert!(said.stdout().contains("unchanged"), "{said}");

    sandbox.write("data/x/train.csv", "a,b\n1,3\n");
    assert_eq!(states(&sandbox), ["data/x modified"]);
    let shown = sandbox.git_ml(&["status"]).success();
    assert!(shown.stdout().contains("changed train.csv"), "{shown}");
    let dry = sandbox.git_ml(&["track", "--dry-run", "--json", "data/x"]).success().json();
    assert_eq!(packs(), packs_before, "a dry run stores nothing");
    let row = track(&sandbox, "data/x");
    assert_eq!(row["id"], dry[0]["id"]);
    assert!(row["new_bytes_stored"].as_u64().unwrap() < 10_000, "only what is new is stored: {row}");
    assert_eq!(states(&sandbox), ["data/x clean"]);
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_seen() {
    let sandbox = Sandbox::new();
    let workspace = git_ml::track::Workspace::discover(sandbox.repo()).unwrap();
    let path = git_ml::files::RelPath::new("data/x").unwrap();
    let (options, silent) = (git_ml::track::TrackOptions::default(), git_ml::track::Silent);
    for round in 0..50 {
        // In place and of the same size: only the times can differ, and within one tick they do not.
        sandbox.write("data/x/a", format!("before {round:02}"));
        let file = fs::OpenOptions::new().write(true).open(sandbox.path("data/x/a")).unwrap();
        workspace.track(&path, &options, &silent).unwrap();
        file.write_all_at(b"after! ", 0).unwrap();
        let status = workspace.status(&[]).unwrap();
        assert_eq!(status.artifacts[0].state, git_ml::track::State::Modified, "round {round}");
    }
}

#[test]
fn a_lost_stat_cache_costs_time_and_nothing_else() {
    let sandbox = Sandbox::new();
    write_dataset(&sandbox);
    track(&sandbox, "data/x");
    let cache = sandbox.path(".git/ml/stat-cache");
    for damage in [None, Some(&b"garbage"[..])] {
        match damage {
            None => fs::remove_file(&cache).unwrap(),
            Some(bytes) => fs::write(&cache, bytes).unwrap(),
        }
        assert_eq!(states(&sandbox), ["data/x clean"]);
        assert!(fs::metadata(&cache).unwrap().len() > 500, "what was read is remembered");
    }
}

#[test]
fn work_that_is_stored_nowhere_is_never_overwritten() {
    let sandbox = Sandbox::new();
    write_dataset(&sandbox);
    track(&sandbox, "data/x");
    sandbox.write("data/x/train.csv", "mine, not stored\n");
    sandbox.write("data/x/new", "mine too\n");
    fs::remove_file(sandbox.path("data/x/empty")).unwrap();
    let before = tree(&sandbox.path("data/x"));
    let refused = sandbox.git_ml(&["checkout"]).code(1).one_line_error();
    insta::assert_snapshot!(refused, @r"
    --- stderr
    error: data/x has changes that are stored nowhere: train.csv
    hint: keep it with `git ml track data/x`, or lose it with `git ml checkout --force data/x`
    --- exit 1
    ");
    assert!(tree(&sandbox.path("data/x")) == before, "nothing was changed");

    sandbox.git_ml(&["checkout", "--force", "data/x"]).success();
    assert_eq!(sandbox.read("data/x/train.csv"), "a,b\n1,2\n");
    assert!(!sandbox.exists("data/x/new") && sandbox.exists("data/x/empty"));
    assert_eq!(states(&sandbox), ["data/x clean"]);
}

#[test]
fn files_that_an_artifact_does_not_have_stay_unless_they_are_stored() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    track(&sandbox, "data/x");
    sandbox.commit("One");
    sandbox.write("data/x/b/c", "2");
    track(&sandbox, "data/x");
    sandbox.commit("Two");
    sandbox.write("data/x/mine", "not stored");
    sandbox.git(&["checkout", "--quiet", "HEAD~1"]).success();
    assert_eq!(states(&sandbox), ["data/x modified"]);
    let done = sandbox.git_ml(&["checkout"]).success();
    assert!(done.stderr().contains("left 1 file alone"), "{done}");
    assert!(!sandbox.exists("data/x/b"), "what was stored goes, with its folder");
    assert_eq!(sandbox.read("data/x/mine"), "not stored");
    sandbox.git(&["checkout", "--quiet", "main"]).success();
    sandbox.git_ml(&["checkout"]).success();
    assert_eq!(sandbox.read("data/x/b/c"), "2");
}

#[test]
fn files_become_folders_and_folders_files() {
    let sandbox = Sandbox::new();
    let shapes: [&[(&str, &str)]; 4] = [
        &[("data/x/a", "1"), ("data/x/b/c", "2")],
        &[("data/x/a/deep/er", "1"), ("data/x/b", "3")],
        &[("data/x", "a single file")],
        &[("data/x/a", "1"), ("data/x/c", "")],
    ];
    let remove = || {
        let _ = fs::remove_dir_all(sandbox.path("data/x"));
        let _ = fs::remove_file(sandbox.path("data/x"));
    };
    for shape in shapes {
        remove();
        shape.iter().for_each(|(path, content)| sandbox.write(path, content));
        track(&sandbox, "data/x");
        sandbox.commit("Shape");
    }
    for commit in ["HEAD~3", "HEAD~1", "HEAD~2", "HEAD", "HEAD~1", "HEAD~3", "HEAD~2"] {
        sandbox.git(&["checkout", "--quiet", &format!("main{}", &commit[4..])]).success();
        sandbox.git_ml(&["checkout"]).success();
        assert_eq!(states(&sandbox), ["data/x clean"], "{commit}");
    }
    // A file of the user's in a folder that has to become a file.
    sandbox.write("data/x/a/mine", "not stored");
    sandbox.git(&["checkout", "--quiet", "main~3"]).success();
    let refused = sandbox.git_ml(&["checkout"]).code(1).one_line_error();
    assert!(refused.stderr().contains("a/mine"), "{refused}");
    assert_eq!(sandbox.read("data/x/a/deep/er"), "1");
    sandbox.git_ml(&["checkout", "--force"]).success();
    assert_eq!(states(&sandbox), ["data/x clean"]);
}

#[test]
fn commands_work_from_everywhere() {
    let sandbox = Sandbox::new();
    write_dataset(&sandbox);
    sandbox.git_ml_in("data/x/sub", &["track", "../../x"]).success();
    sandbox.git_ml(&["-C", "data", "status", "x.mlref"]).success();
    sandbox.commit("Track");
    let clean = |output: crate::sandbox::Output| {
        let rows = output.success().json()["artifacts"].as_array().unwrap().clone();
        assert_eq!((rows.len(), rows[0]["state"].as_str()), (1, Some("clean")));
    };
    for (folder, argument) in [("data", "x"), ("data/x", "."), ("data/x/sub/deep", "../.."), (".", "data"), (".", ".")]
    {
        clean(sandbox.git_ml_in(folder, &["status", "--json", argument]));
    }
    let link = sandbox.root().join("way in");
    symlink(sandbox.repo(), &link).unwrap();
    clean(sandbox.git_ml_in(&link, &["status", "--json", link.join("data/x").to_str().unwrap()]));
    clean(sandbox.git_ml_in(link.join("data"), &["status", "--json", "x"]));

    // A linked work tree shares the store and has files, locks and stats of its own.
    let linked = sandbox.linked_work_tree("side");
    sandbox.git_ml_in(&linked, &["checkout"]).success();
    assert!(tree(&linked.join("data/x")) == tree(&sandbox.path("data/x")));
    fs::write(linked.join("data/x/train.csv"), "other").unwrap();
    sandbox.git_ml_in(&linked, &["track", "data/x"]).success();
    assert_eq!(states(&sandbox), ["data/x clean"]);
    assert_eq!(sandbox.read("data/x/train.csv"), "a,b\n1,2\n");
    assert!(sandbox.exists(".git/worktrees/side/ml/stat-cache"));
}

#[test]
fn untrack_leaves_the_data_and_takes_back_the_rest() {
    let sandbox = Sandbox::new();
    sandbox.write("data/.gitignore", "*.tmp\n");
    sandbox.commit("Begin");
    sandbox.write("data/we[i]rd*? ", "1");
    sandbox.write("data/weird*? ", "not ignored");
    track(&sandbox, "data/we[i]rd*? ");
    assert_eq!(sandbox.read("data/.gitignore"), "*.tmp\n/we\\[i]rd\\*\\?\\ \n");
    assert_eq!(sandbox.git(&["status", "--porcelain", "-z", "-uall"]).success().stdout().matches("we").count(), 2);
    let untracked = sandbox.git_ml(&["untrack", "data/we[i]rd*? .mlref"]).success();
    assert!(untracked.stdout().contains("no longer tracked"), "{untracked}");
    assert_eq!(sandbox.read("data/.gitignore"), "*.tmp\n");
    assert_eq!(sandbox.read("data/we[i]rd*? "), "1");
    assert_eq!(states(&sandbox), Vec::<String>::new());
    sandbox.git_ml(&["untrack", "data/we[i]rd*? "]).code(1).one_line_error();
    sandbox.write("y", "1");
    track(&sandbox, "y");
    sandbox.git_ml(&["untrack", "y"]).success();
    assert!(!sandbox.exists(".gitignore"), "it held nothing else");
}

#[test]
fn manifests_and_files_can_be_read() {
    let sandbox = Sandbox::new();
    write_dataset(&sandbox);
    sandbox.write("data/10:30.csv", "a single file");
    let id = track(&sandbox, "data/x")["id"].as_str().unwrap().to_owned();
    track(&sandbox, "data/10:30.csv");
    let manifest = sandbox.git_ml(&["manifest", "data/x"]).success();
    assert_eq!(git_ml::id::Digest::of(manifest.stdout_bytes()).to_string(), id);
    assert!(manifest.stdout().starts_with("git-ml manifest 1\n100644 "));

    let sums = sandbox.git_ml_in("data/x", &["manifest", "--b3sum", "../x"]).success().stdout();
    assert_eq!(sums.lines().count(), 6, "links are left out");
    for line in sums.lines() {
        let (digest, path) = line.split_once("  ").unwrap();
        assert!(path.starts_with("../x/"), "{path}");
        let content = sandbox.read_bytes(Path::new("data/x").join(path));
        assert_eq!(git_ml::id::Digest::of(&content).to_string(), digest);
    }

    let big = sandbox.git_ml(&["cat", "data/x:sub/deep/er/big.bin"]).success();
    assert!(big.stdout_bytes() == sandbox.read_bytes("data/x/sub/deep/er/big.bin"));
    assert_eq!(sandbox.git_ml(&["cat", "data/10:30.csv"]).success().stdout(), "a single file");
    for bad in ["data/x", "data/x:nothing", "data/x:../x.mlref", "data/x:", "nothing:a", "nothing", ""] {
        sandbox.git_ml(&["cat", bad]).one_line_error();
    }
    // Whoever reads the pipe has had enough.
    let closed = sandbox.shell("(git-ml cat data/x:sub/deep/er/big.bin; echo $? >&2) | head -c 10 >/dev/null");
    assert_eq!(closed.success().stderr(), "0\n");
}

#[test]
fn a_bare_repository_has_no_work_tree_and_says_so() {
    let sandbox = Sandbox::new();
    sandbox.git(&["init", "--quiet", "--bare", "../bare"]).success();
    for arguments in [&["status"][..], &["checkout"], &["track", "x"], &["untrack", "x"]] {
        let refused = sandbox.git_ml_in("../bare", arguments).code(1).one_line_error();
        assert!(refused.stderr().contains("bare repository"), "{refused}");
    }
}

#[test]
fn pointers_keep_names_types_and_metadata() {
    let sandbox = Sandbox::new();
    sandbox.write("out/model/model.toml", "");
    sandbox.write("net.SafeTensors", "");
    assert_eq!(track(&sandbox, "out/model")["type"], "model");
    assert_eq!(track(&sandbox, "net.SafeTensors")["type"], "model");
    let arguments = ["track", "out/model", "--name", "cnn", "--type", "weights", "--meta", "licence=MIT"];
    sandbox.git_ml(&arguments).success();
    sandbox.write("out/model/model.toml", "changed");
    let row = sandbox.git_ml(&["track", "out/model", "--meta", "by=Ada", "--json"]).success().json()[0].clone();
    assert_eq!((&row["name"], &row["type"]), (&"cnn".into(), &"weights".into()));
    assert!(sandbox.read("out/model.mlref").ends_with("[meta]\nby = \"Ada\"\nlicence = \"MIT\"\n"));
    for bad in [&["--name", "../x"][..], &["--type", "a b"], &["--meta", "novalue"], &["--meta", "=x"]] {
        sandbox.git_ml(&[&["track", "out/model"], bad].concat()).code(2).one_line_error();
    }
}

#[test]
fn two_processes_take_turns() {
    let sandbox = Sandbox::new();
    write_dataset(&sandbox);
    let start = || {
        let mut command = sandbox.git_ml_command();
        command.args(["track", "data/x"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(states(&sandbox), ["data/x clean"]);
    assert_eq!(sandbox.read("data/.gitignore"), "/x\n");
    sandbox.git_ml(&["fsck", "--deep"]).success();
}

/// Starts a command and kills it after `delay`; whether it was done before.
fn kill_after(sandbox: &Sandbox, arguments: &[&str], delay: Duration) -> bool {
    let mut command = sandbox.git_ml_command();
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let deadline = std::time::Instant::now() + delay;
    while std::time::Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return true;
        }
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap().success()
}

#[test]
fn a_kill_at_any_instant_loses_nothing_that_was_acknowledged() {
    let rounds: u32 = std::env::var("GIT_ML_TEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let sandbox = Sandbox::new();
    for file in 0..40 {
        sandbox.write(format!("data/x/{file:02}"), vec![file as u8; 3000 + 1000 * file]);
    }
    let started = std::time::Instant::now();
    let mut acknowledged = vec![track(&sandbox, "data/x")["id"].as_str().unwrap().to_owned()];
    sandbox.commit("Track");
    let whole = started.elapsed();
    let mut pointer = sandbox.read("data/x.mlref");
    for round in 0..rounds {
        let content: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(round + 7) >> 9) as u8).collect();
        sandbox.write(format!("data/x/{:02}", round % 40), content);
        let now = tree(&sandbox.path("data/x"));
        let done = kill_after(&sandbox, &["track", "data/x"], whole * round / rounds);
        assert!(tree(&sandbox.path("data/x")) == now, "tracking changes nothing in the folder");
        let after = sandbox.read("data/x.mlref");
        assert!(!done || after != pointer, "what was acknowledged is there");
        // The pointer is the old one or the new one, and what it names is stored.
        let status = sandbox.git_ml(&["status", "--json"]).success().json();
        let row = &status["artifacts"][0];
        assert_eq!(row["state"] == "clean", after != pointer, "{row}");
        if after == pointer {
            sandbox.git_ml(&["track", "data/x"]).success();
        }
        pointer = sandbox.read("data/x.mlref");
        acknowledged.push(
            sandbox.git_ml(&["status", "--json"]).success().json()["artifacts"][0]["id"].as_str().unwrap().to_owned(),
        );

        // Then a checkout of the version before, killed, and one that ends.
        sandbox.git(&["stash", "--quiet"]).success();
        kill_after(&sandbox, &["checkout"], whole * (rounds - round) / rounds);
        sandbox.git_ml(&["checkout"]).success();
        assert_eq!(states(&sandbox), ["data/x clean"]);
        sandbox.git(&["stash", "pop", "--quiet"]).success();
        sandbox.git_ml(&["checkout"]).success();
        assert!(tree(&sandbox.path("data/x")) == now, "round {round}: all that was tracked comes back");
        sandbox.commit("Round");
    }
    sandbox.git_ml(&["fsck", "--deep"]).success();
    let store = git_ml::store::Store::open(&sandbox.path(".git/ml")).unwrap();
    for id in acknowledged {
        assert!(store.has_artifact(&id.parse().unwrap()).unwrap(), "{id}");
    }
    let status = sandbox.git(&["status", "--porcelain"]).success();
    assert_eq!(status.stdout(), "", "no draft is left where git sees it");
}

#[test]
fn drafts_of_a_killed_process_go_with_the_next_command() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    track(&sandbox, "data/x");
    sandbox.write("data/.tmp-git-ml-1", "half a pointer");
    sandbox.write("data/x/.tmp-git-ml-2", "half a file");
    sandbox.write(".git/ml/drafts-in", sandbox.path("data").to_str().unwrap());
    assert_eq!(states(&sandbox), ["data/x clean"], "a draft is no part of an artifact");
    sandbox.git_ml(&["checkout"]).success();
    assert!(!sandbox.exists("data/.tmp-git-ml-1") && !sandbox.exists("data/x/.tmp-git-ml-2"));
    assert!(!sandbox.exists(".git/ml/drafts-in"));
}

#[test]
fn a_store_that_lost_its_packs_is_seen() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/a", "1");
    sandbox.write("data/x/b", "2");
    track(&sandbox, "data/x");
    let used = sandbox.git_ml(&["du", "--json"]).success().json();
    assert_eq!((&used["artifacts"][0]["bytes"], &used["store"]["packs"]), (&2.into(), &1.into()));
    fs::remove_dir_all(sandbox.path(".git/ml/packs")).unwrap();
    assert_eq!(states(&sandbox), ["data/x unstored"]);
    sandbox.git_ml(&["checkout"]).success();
    fs::remove_file(sandbox.path("data/x/a")).unwrap();
    sandbox.git_ml(&["checkout"]).code(1).one_line_error();
    // What the work tree has, tracking stores again.
    sandbox.write("data/x/a", "1");
    track(&sandbox, "data/x");
    assert_eq!(states(&sandbox), ["data/x clean"]);
    fs::remove_dir_all(sandbox.path("data/x")).unwrap();
    sandbox.git_ml(&["checkout"]).success();
    assert_eq!(sandbox.read("data/x/b"), "2");
}
