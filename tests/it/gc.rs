//! Garbage collection: what it must keep, what it gives back, and that it does both while others work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use crate::sandbox::{Sandbox, noise};

/// Tracks new content at `path` and returns its id.
fn track(sandbox: &Sandbox, path: &str, number: u64) -> String {
    sandbox.write(path, noise(number, 40_000));
    let rows = sandbox.git_ml(&["track", "--json", path]).success().json();
    rows[0]["id"].as_str().unwrap().to_owned()
}

/// Takes an artifact out of the work tree, with its data.
fn forget(sandbox: &Sandbox, path: &str) {
    sandbox.git_ml(&["untrack", path]).success();
    fs::remove_file(sandbox.path(path)).unwrap();
}

fn gc(sandbox: &Sandbox) -> serde_json::Value {
    sandbox.git_ml(&["gc", "--grace", "now", "--max-unused", "0", "--json"]).success().json()
}

/// Whether all of an artifact that is one file is stored and reads.
fn has(sandbox: &Sandbox, id: &str) -> bool {
    let store = git_ml::store::Store::open(&sandbox.path(".git/ml")).unwrap();
    let id: git_ml::id::ArtifactId = id.parse().unwrap();
    let Ok(manifest) = store.manifest(&id) else { return false };
    manifest.entries().iter().all(|entry| {
        git_ml::store::copy(&store, &entry.digest, git_ml::store::Proof::Chunks, &mut std::io::sink()).is_ok()
    })
}

fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path(".git/ml/packs")).unwrap();
    let mut packs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    packs.sort();
    packs
}

fn expire_reflogs(sandbox: &Sandbox) {
    sandbox.git(&["reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"]).success();
    for name in ["ORIG_HEAD", "FETCH_HEAD"] {
        let _ = fs::remove_file(sandbox.path(".git").join(name));
    }
}

#[test]
fn what_nothing_names_goes_and_all_else_stays() {
    let sandbox = Sandbox::new();
    let kept = track(&sandbox, "data/kept", 1);
    let gone = track(&sandbox, "data/gone", 2);
    forget(&sandbox, "data/gone");
    let plan = sandbox.git_ml(&["gc", "--dry-run", "--grace", "now", "--json"]).success().json();
    assert_eq!((&plan["packs"]["removed"], &plan["dry_run"]), (&1.into(), &true.into()));
    assert_eq!(plan["artifacts"]["unreachable"][0]["id"], gone.as_str());
    assert_eq!(plan["artifacts"]["unreachable"].as_array().unwrap().len(), 1);
    assert!(has(&sandbox, &gone), "a dry run changes nothing");
    let done = gc(&sandbox);
    assert_eq!(done["bytes"]["freed"], plan["bytes"]["freed"]);
    assert!(has(&sandbox, &kept) && !has(&sandbox, &gone));
    assert_eq!(packs(&sandbox).len(), 1);
    let again = gc(&sandbox);
    assert_eq!((&again["bytes"]["freed"], &again["packs"]["removed"]), (&0.into(), &0.into()));
    sandbox.git_ml(&["verify", "--deep"]).success();
}

#[test]
fn every_root_keeps_its_artifact() {
    let sandbox = Sandbox::new();
    let mut roots: BTreeMap<&str, String> = BTreeMap::new();
    let mut number = 100;
    let mut next = |path: &str| {
        number += 1;
        track(&sandbox, path, number)
    };

    roots.insert("an old commit of a branch", next("data/x"));
    sandbox.commit("first");
    roots.insert("the tip of a branch", next("data/x"));
    sandbox.commit("second");

    sandbox.git(&["checkout", "--quiet", "-b", "tagged"]).success();
    roots.insert("an annotated tag", next("data/x"));
    sandbox.commit("third");
    sandbox.git(&["tag", "-a", "-m", "a tag", "v1"]).success();
    roots.insert("a tag of a tree", next("data/x"));
    sandbox.git(&["add", "."]).success();
    let tree = sandbox.git(&["write-tree"]).success().stdout();
    sandbox.git(&["tag", "only-a-tree", tree.trim()]).success();
    roots.insert("a tag of a blob", next("data/x"));
    let blob = sandbox.git(&["hash-object", "-w", "data/x.mlref"]).success().stdout();
    sandbox.git(&["tag", "only-a-blob", blob.trim()]).success();
    sandbox.git(&["checkout", "--quiet", "--force", "main"]).success();
    sandbox.git(&["branch", "-D", "tagged"]).success();

    sandbox.git(&["checkout", "--quiet", "--detach"]).success();
    roots.insert("a remote-tracking branch", next("data/x"));
    let commit = sandbox.commit("on a remote");
    sandbox.git(&["update-ref", "refs/remotes/origin/x", &commit]).success();
    roots.insert("what was fetched of runs", next("data/x"));
    let commit = sandbox.commit("fetched");
    sandbox.git(&["update-ref", "refs/ml/remotes/origin/runs", &commit]).success();
    sandbox.git(&["checkout", "--quiet", "main"]).success();

    // All commits on a detached HEAD are in its reflog; without that, only the refs above hold them.
    expire_reflogs(&sandbox);
    roots.insert("an older stash", next("data/x"));
    sandbox.git(&["stash", "--quiet"]).success();
    roots.insert("the latest stash", next("data/x"));
    sandbox.git(&["stash", "--quiet"]).success();
    roots.insert("a reflog", next("data/x"));
    sandbox.commit("thrown away");
    sandbox.git(&["reset", "--quiet", "--hard", "HEAD~1"]).success();
    let _ = fs::remove_file(sandbox.path(".git/ORIG_HEAD"));

    roots.insert("the index alone", next("data/staged"));
    sandbox.git(&["add", "data/staged.mlref"]).success();
    forget(&sandbox, "data/staged");
    roots.insert("the work tree alone", next("data/untracked"));

    let linked = sandbox.linked_work_tree("linked");
    let track_there = |path: &str, number: u64| {
        let place = linked.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(&place, noise(number, 40_000)).unwrap();
        let rows = sandbox.git_ml_in(&linked, &["track", "--json", path]).success().json();
        rows[0]["id"].as_str().unwrap().to_owned()
    };
    let git_there = |arguments: &[&str]| {
        let mut command = sandbox.command("git");
        command.current_dir(&linked).args(arguments);
        sandbox.run(command).success()
    };
    roots.insert("the reflog of a linked work tree", track_there("data/y", 200));
    git_there(&["checkout", "--quiet", "--detach"]);
    git_there(&["add", "."]);
    git_there(&["commit", "--quiet", "--message", "lost"]);
    git_there(&["reset", "--quiet", "--hard", "HEAD~1"]);
    roots.insert("the detached HEAD of a linked work tree", track_there("data/y", 201));
    git_there(&["add", "."]);
    git_there(&["commit", "--quiet", "--message", "detached"]);
    roots.insert("the index of a linked work tree", track_there("data/y", 202));
    git_there(&["add", "."]);
    roots.insert("a pointer in a linked work tree", track_there("data/y", 203));

    let input = next("data/input");
    sandbox.git_ml(&["run", "--name", "reader", "--", "true"]).success();
    roots.insert("the input of a run", input);
    sandbox.write("out/model.bin", noise(300, 40_000));
    sandbox
        .git_ml(&["run", "--name", "maker", "--", "sh", "-c", "git ml output out/model.bin --name model --type model"])
        .success();
    let shown = sandbox.git_ml(&["show", "maker", "--json"]).success().json();
    roots.insert("the output of a run", shown["outputs"][0]["id"].as_str().unwrap().to_owned());
    forget(&sandbox, "data/input");
    let registered = next("data/registered");
    sandbox.git_ml(&["model", "register", "data/registered", "--name", "m"]).success();
    forget(&sandbox, "data/registered");
    roots.insert("a version of the registry", registered);

    let gone = next("data/gone");
    forget(&sandbox, "data/gone");
    for _ in 0..2 {
        gc(&sandbox);
        for (root, id) in &roots {
            assert!(has(&sandbox, id), "{root} names it");
        }
        assert!(!has(&sandbox, &gone));
    }
    // From another work tree and a folder below, the same is seen.
    sandbox.git_ml_in(&linked, &["gc", "--grace", "now"]).success();
    for (root, id) in &roots {
        assert!(has(&sandbox, id), "{root} names it, seen from another work tree");
    }
}

#[test]
fn a_repository_without_commits_and_a_bare_one_are_collected_too() {
    let sandbox = Sandbox::without_commit();
    let kept = track(&sandbox, "data/x", 1);
    let gone = track(&sandbox, "data/y", 2);
    forget(&sandbox, "data/y");
    gc(&sandbox);
    assert!(has(&sandbox, &kept) && !has(&sandbox, &gone));

    sandbox.commit("Begin");
    let bare = sandbox.root().join("bare.git");
    sandbox.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]).success();
    let copied = sandbox.shell("cp -r .git/ml ../bare.git/ml");
    copied.success();
    let done = sandbox.git_ml_in(&bare, &["gc", "--grace", "now", "--json"]).success().json();
    assert_eq!(done["artifacts"]["present"], 1);
    assert_eq!(fs::read_dir(bare.join("ml/packs")).unwrap().count(), 1);
}

#[test]
fn what_could_hide_a_name_is_a_reason_to_stop() {
    let sandbox = Sandbox::new();
    track(&sandbox, "data/x", 1);
    sandbox.commit("one");
    track(&sandbox, "data/x", 2);
    sandbox.commit("two");
    let before = packs(&sandbox);

    let url = format!("file://{}", sandbox.repo().display());
    let shallow = sandbox.root().join("shallow");
    sandbox.git(&["clone", "--quiet", "--depth", "1", &url, shallow.to_str().unwrap()]).success();
    insta::assert_snapshot!(sandbox.git_ml_in(&shallow, &["gc"]).code(1).stderr(), @r"
    error: this is a shallow clone: commits that are cut off here may name anything
    hint: `git fetch --unshallow` fetches the rest of history
    ");

    let partial = sandbox.root().join("partial");
    sandbox.git(&["config", "uploadpack.allowFilter", "true"]).success();
    sandbox
        .git(&["clone", "--quiet", "--filter=blob:none", "--no-checkout", &url, partial.to_str().unwrap()])
        .success();
    assert!(sandbox.git_ml_in(&partial, &["gc"]).code(1).stderr().contains("which is not here"));

    let newer = sandbox.read("data/x.mlref").replace("version = 1", "version = 2");
    sandbox.write("data/newer.mlref", newer);
    assert!(sandbox.git_ml(&["gc", "--grace", "now"]).code(1).stderr().contains("data/newer.mlref has version 2"));
    fs::remove_file(sandbox.path("data/newer.mlref")).unwrap();
    assert_eq!(packs(&sandbox), before);
}

#[test]
fn both_sides_of_a_conflict_in_a_pointer_stay() {
    let sandbox = Sandbox::new();
    let first = track(&sandbox, "data/x", 1);
    let ours = sandbox.read("data/x.mlref");
    let second = track(&sandbox, "data/x", 2);
    let theirs = sandbox.read("data/x.mlref");
    sandbox.write("data/x.mlref", format!("<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n"));
    fs::remove_file(sandbox.path("data/x")).unwrap();
    let done = sandbox.git_ml(&["gc", "--grace", "now", "--max-unused", "0", "--json"]).success().json();
    assert!(done["warnings"][0].as_str().unwrap().contains("conflict markers"));
    assert!(has(&sandbox, &first) && has(&sandbox, &second));
}

/// Makes packs look as if they were stored so long ago.
fn age_packs(sandbox: &Sandbox, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * 86_400);
    for pack in packs(sandbox) {
        fs::File::open(pack).unwrap().set_modified(time).unwrap();
    }
}

/// Moves the times that collections noted back by so many days.
fn age_notes(sandbox: &Sandbox, days: i64) {
    let path = sandbox.path(".git/ml/unused");
    let mut bytes = fs::read(&path).unwrap();
    let shift = |bytes: &mut [u8]| {
        let time = i64::from_le_bytes(bytes.try_into().unwrap()) - days * 86_400;
        bytes.copy_from_slice(&time.to_le_bytes());
    };
    shift(&mut bytes[8..16]);
    let packs = u32::from_le_bytes(bytes[16..20].try_into().unwrap());
    let mut at = 20;
    for _ in 0..packs {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (entries, groups) = (number(at + 32), number(at + 36));
        at += 40;
        for _ in 0..groups {
            shift(&mut bytes[at..at + 8]);
            at += 8 + entries.div_ceil(8);
        }
    }
    let end = bytes.len() - 32;
    let check = git_ml::id::Digest::of(&bytes[..end]);
    bytes[end..].copy_from_slice(check.as_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_grace_period_begins_when_something_is_first_seen_unused() {
    let sandbox = Sandbox::new();
    let kept = track(&sandbox, "data/kept", 1);
    let gone = track(&sandbox, "data/gone", 2);
    forget(&sandbox, "data/gone");
    age_packs(&sandbox, 100);
    let first = sandbox.git_ml(&["gc", "--json"]).success().json();
    assert_eq!(first["bytes"]["freed"], 0);
    assert!(first["bytes"]["waiting"].as_u64().unwrap() > 40_000);
    age_notes(&sandbox, 13);
    sandbox.git_ml(&["gc"]).success();
    assert!(has(&sandbox, &gone), "13 days are not over 14");
    age_notes(&sandbox, 2);
    // Stored again yesterday, by a copy of the repository or otherwise: young packs stay.
    age_packs(&sandbox, 1);
    sandbox.git_ml(&["gc"]).success();
    assert!(has(&sandbox, &gone));
    // And what was unused before that counts from then.
    age_packs(&sandbox, 100);
    sandbox.git_ml(&["gc"]).success();
    assert!(has(&sandbox, &gone));
    age_notes(&sandbox, 15);
    let last = sandbox.git_ml(&["gc", "--json"]).success().json();
    assert!(last["bytes"]["freed"].as_u64().unwrap() > 40_000);
    assert!(has(&sandbox, &kept) && !has(&sandbox, &gone));
}

#[test]
fn a_clock_that_went_backwards_deletes_nothing() {
    let sandbox = Sandbox::new();
    let gone = track(&sandbox, "data/gone", 2);
    forget(&sandbox, "data/gone");
    sandbox.git_ml(&["gc"]).success();
    age_packs(&sandbox, 100);
    // The last collection saw a later time than it is now.
    age_notes(&sandbox, -30);
    let noted = fs::read(sandbox.path(".git/ml/unused")).unwrap();
    let done = sandbox.git_ml(&["gc", "--grace", "now"]).success();
    assert!(done.stderr().contains("days behind the newest pack"), "{done}");
    assert!(has(&sandbox, &gone));
    assert!(noted == fs::read(sandbox.path(".git/ml/unused")).unwrap(), "nothing is noted by a wrong clock");
}

#[test]
fn half_used_packs_are_written_anew_and_small_ones_merged() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x/stays", noise(1, 300_000));
    sandbox.write("data/x/goes", noise(2, 900_000));
    sandbox.git_ml(&["track", "data/x"]).success();
    fs::remove_file(sandbox.path("data/x/goes")).unwrap();
    let id = sandbox.git_ml(&["track", "--json", "data/x"]).success().json()[0]["id"].as_str().unwrap().to_owned();
    let done = gc(&sandbox);
    assert!(done["bytes"]["freed"].as_u64().unwrap() > 890_000, "{done}");
    let left: u64 = packs(&sandbox).iter().map(|pack| pack.metadata().unwrap().len()).sum();
    assert!(left < 310_000, "{left}");
    assert!(has(&sandbox, &id));

    let ids: Vec<String> = (10..30).map(|number| track(&sandbox, &format!("data/{number}"), number)).collect();
    assert!(packs(&sandbox).len() > 20);
    sandbox.git_ml(&["gc"]).success();
    assert_eq!(packs(&sandbox).len(), 1, "all of them are small");
    assert!(ids.iter().all(|id| has(&sandbox, id)));
    sandbox.git_ml(&["verify", "--deep"]).success();
    fs::remove_dir_all(sandbox.path(".git/ml/index")).unwrap();
    assert!(ids.iter().all(|id| has(&sandbox, id)), "the packs say the same as the index");
}

#[test]
fn one_tracks_while_another_collects() {
    let sandbox = Sandbox::new();
    let spawn = |script: &str| {
        let mut command = sandbox.command("sh");
        command.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for number in 0..4 {
        sandbox.write(format!("shared/{number}"), noise(number, 60_000));
    }
    // One tracks, forgets and tracks again what was just thrown away; the other collects without any grace.
    let tracker = spawn(
        "set -e; for i in 1 2 3 4 5 6 7 8; do mkdir -p data/d$i; cp shared/* data/d$i/; head -c 50000 /dev/urandom \
         > data/d$i/own; git ml track data/d$i >/dev/null; [ $((i % 2)) = 0 ] || { git ml untrack data/d$i; rm -r data/d$i; }; done",
    );
    let collector =
        spawn("set -e; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do git ml gc --grace now --max-unused 0 >/dev/null; done");
    for child in [tracker, collector] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    sandbox.git_ml(&["verify", "--deep"]).success();
    let status = sandbox.git_ml(&["status", "--json"]).success().json();
    let states: Vec<_> =
        status["artifacts"].as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["clean"; 4]);
    gc(&sandbox);
    sandbox.git_ml(&["verify", "--deep"]).success();
}

#[test]
fn killed_at_any_moment_it_leaves_a_valid_store() {
    let sandbox = Sandbox::new();
    let ids: Vec<String> = (0..12).map(|number| track(&sandbox, &format!("data/{number}"), number)).collect();
    for number in (0..12).step_by(3) {
        forget(&sandbox, &format!("data/{number}"));
    }
    let kept: Vec<&String> = ids.iter().enumerate().filter(|(number, _)| number % 3 != 0).map(|(_, id)| id).collect();
    for delay in 0..25 {
        let mut command = sandbox.git_ml_command();
        command.args(["gc", "--grace", "now", "--max-unused", "0"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay * 2));
        let _ = child.kill();
        child.wait().unwrap();
        assert!(kept.iter().all(|id| has(&sandbox, id)), "killed after {} ms", delay * 2);
        // More small packs, so that there is work again.
        track(&sandbox, "data/again", 1000 + delay);
    }
    gc(&sandbox);
    assert!(kept.iter().all(|id| has(&sandbox, id)));
    sandbox.git_ml(&["verify", "--deep"]).success();
    assert!(drafts(&sandbox.path(".git/ml/packs")).is_empty());
}

fn drafts(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".tmp-")).collect()
}

#[test]
fn a_remote_is_collected_in_two_calls_and_others_are_asked_first() {
    let sandbox = Sandbox::new();
    let share = sandbox.root().join("share");
    sandbox.git_ml(&["remote", "add", "share", share.to_str().unwrap()]).success();
    let kept = track(&sandbox, "data/kept", 1);
    let theirs = track(&sandbox, "data/theirs", 2);
    sandbox.commit("Track data");
    let gone = track(&sandbox, "data/gone", 3);
    sandbox.git_ml(&["push"]).success();
    forget(&sandbox, "data/gone");
    forget(&sandbox, "data/theirs");
    // Only another clone, whose branch this one has never fetched, names `theirs` from now on.
    let bare = sandbox.root().join("hub.git");
    sandbox.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]).success();
    sandbox.git(&["--git-dir", bare.to_str().unwrap(), "branch", "-m", "main", "other"]).success();
    sandbox.git(&["checkout", "--quiet", "--orphan", "fresh"]).success();
    sandbox.commit("Begin anew");
    sandbox.git(&["branch", "-D", "main"]).success();
    expire_reflogs(&sandbox);
    sandbox.git(&["remote", "add", "hub", bare.to_str().unwrap()]).success();
    let age = |folder: &str, days: u64| {
        let time = SystemTime::now() - Duration::from_secs(days * 86_400);
        for entry in fs::read_dir(share.join(folder)).into_iter().flatten() {
            fs::File::open(entry.unwrap().path()).unwrap().set_modified(time).unwrap();
        }
    };
    let collect = || sandbox.git_ml(&["gc", "--remote", "share", "--json"]).success().json();
    assert_eq!(collect()["marked"]["packs"], 0, "young packs are left alone");
    age("packs", 30);
    let first = collect();
    assert_eq!((&first["marked"]["packs"], &first["removed"]["packs"]), (&1.into(), &0.into()), "{first}");
    assert_eq!(collect()["waiting"]["packs"], 1);
    age("doomed", 15);
    let last = collect();
    assert_eq!(last["removed"]["packs"], 1, "{last}");
    assert_eq!(collect()["packs"], 2);
    let clone = sandbox.root().join("clone");
    sandbox.git(&["clone", "--quiet", "--branch", "other", bare.to_str().unwrap(), clone.to_str().unwrap()]).success();
    sandbox.git_ml_in(&clone, &["remote", "add", "share", share.to_str().unwrap()]).success();
    sandbox.git_ml_in(&clone, &["pull"]).success();
    let store = git_ml::store::Store::open(&clone.join(".git/ml")).unwrap();
    for (id, is_there) in [(kept, true), (theirs, true), (gone, false)] {
        assert_eq!(store.has_artifact(&id.parse().unwrap()).unwrap(), is_there);
    }
}
