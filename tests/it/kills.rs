//! Commands are killed at random moments: the repository verifies, the same command then does its work, and nothing is
//! left over. `GIT_ML_FAULTS` says how often; `make test-slow` does it often.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::sandbox::Sandbox;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// A command, and how long it took when it was last let alone.
struct Victim {
    name: &'static str,
    arguments: &'static [&'static str],
    takes: Duration,
}

fn rounds() -> usize {
    std::env::var("GIT_ML_FAULTS").map_or(14, |number| number.parse().expect("a number of rounds"))
}

#[test]
fn a_kill_at_any_moment_costs_the_command_in_progress_at_most() {
    let sandbox = Sandbox::new();
    let share = sandbox.root().join("share");
    let url = format!("file://{}", share.display());
    let mut random = Random(5);
    println!("seed 5");
    let change = |random: &mut Random| {
        for number in 0..60 {
            if number < 3 || random.below(4) == 0 {
                let size = if number == 0 { 700_000 } else { 1 + random.below(3000) as usize };
                sandbox.write(format!("data/x/{}/{number}", number % 7), random.bytes(size));
            }
        }
    };
    change(&mut random);
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git_ml(&["remote", "add", "share", &url]).success();
    sandbox.commit("Track");
    let mut victims: Vec<Victim> = [
        ("track", &["track", "data/x"][..]),
        ("checkout", &["checkout"]),
        ("push", &["push", "share"]),
        ("pull", &["pull", "share"]),
        ("run", &["run", "--", "sh", "-c", "echo '{\"x\": 1}' >> $GIT_ML_LOG; echo words"]),
        ("gc", &["gc"]),
    ]
    .into_iter()
    .map(|(name, arguments)| Victim { name, arguments, takes: Duration::from_millis(60) })
    .collect();
    // What this version does not have.
    victims.retain(|victim| sandbox.git_ml(&[victim.name, "--help"]).exit_code() == 0);

    for round in 0..rounds() {
        let number = round % victims.len();
        let victim = &mut victims[number];
        match victim.name {
            "track" => change(&mut random),
            "checkout" => drop(sandbox.shell("rm -rf data/x/0 data/x/1 && rm -f data/x/2/*")),
            "push" => {
                change(&mut random);
                sandbox.git_ml(&["track", "data/x"]).success();
            }
            "pull" => {
                // HEAD names what is about to be pushed, and nothing else has to be pulled.
                sandbox.commit("Push");
                sandbox.git_ml(&["push", "share"]).success();
                sandbox.shell("rm -rf .git/ml/packs .git/ml/index data/x").success();
            }
            _ => {}
        }
        let after = Duration::from_micros(random.below(victim.takes.as_micros() as u64 * 11 / 10 + 1));
        let mut command = sandbox.git_ml_command();
        command.args(victim.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        println!("round {round}: {} killed after {after:?}", victim.name);

        // Without the packs that were to be pulled, that they are not there is right.
        if victim.name != "pull" {
            sandbox.git_ml(&["fsck"]).success();
        }
        let start = Instant::now();
        sandbox.git_ml(victim.arguments).success();
        victim.takes = start.elapsed();
        sandbox.git_ml(&["fsck", "--deep"]).success();
        let status = sandbox.git_ml(&["status", "--json"]).success().json();
        assert_eq!(status["artifacts"][0]["state"], "clean", "{status}");
        // A pack that was in the making goes with the next writer.
        sandbox.write("other", random.bytes(100));
        sandbox.git_ml(&["track", "other"]).success();
        assert_eq!(litter(sandbox.repo()), Vec::<PathBuf>::new());
    }
    // What was pushed is whole: a clone gets all of it.
    sandbox.git_ml(&["push", "share"]).success();
    sandbox.commit("All of it");
    let clone = sandbox.clone_to("clone");
    sandbox.git_ml_in(&clone, &["remote", "add", "share", &url]).success();
    sandbox.git_ml_in(&clone, &["pull", "share"]).success();
    sandbox.git_ml_in(&clone, &["fsck", "--deep"]).success();
    sandbox.shell("diff -r data/x ../clone/data/x").success();
}

/// Files that are nobody's any more.
fn litter(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // What stands beside the locks may be anybody's, such as the copy of git's index that a run makes, and goes when
        // it is an hour old; the folder of a run that never started goes after ten minutes.
        let is_starting = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".new-"));
        let is_swept_later = folder.ends_with(".git/ml") || is_starting;
        if name.starts_with(".tmp-") && !is_swept_later || name.starts_with(".gone-") {
            found.push(path.clone());
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(litter(&path));
        }
    }
    found
}

/// Two commands at once on one repository: each ends well, and all is there afterwards.
#[test]
fn two_at_once_do_each_other_no_harm() {
    let sandbox = Sandbox::new();
    let mut random = Random(6);
    for number in 0..40 {
        sandbox.write(format!("data/x/{number}"), random.bytes(5000));
        sandbox.write(format!("data/y/{number}"), random.bytes(5000));
    }
    sandbox.git_ml(&["track", "data/x"]).success();
    for round in 0..4 {
        let pairs: [[&[&str]; 2]; 4] = [
            [&["track", "data/x"], &["track", "data/x"]],
            [&["track", "data/y"], &["fsck", "--deep"]],
            [&["track", "data/y"], &["checkout", "data/x"]],
            [&["status"], &["track", "data/x"]],
        ];
        for (number, pair) in pairs.iter().enumerate() {
            // New bytes for both, whichever is first.
            sandbox.write("data/y/new", random.bytes(20_000));
            match number {
                0 | 3 => sandbox.write(format!("data/x/{round}"), random.bytes(20_000)),
                2 => drop(sandbox.shell("rm data/x/3*").success()),
                _ => {}
            }
            let start = |arguments: &&[&str]| {
                let mut command = sandbox.git_ml_command();
                command.args(*arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
                command.spawn().unwrap()
            };
            let children = pair.iter().map(start).collect::<Vec<_>>();
            for (child, arguments) in children.into_iter().zip(pair) {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{arguments:?} of pair {number}: {output:?}");
            }
        }
    }
    sandbox.git_ml(&["fsck", "--deep"]).success();
    sandbox.git_ml(&["track", "data/x", "data/y"]).success();
    let status = sandbox.git_ml(&["status", "--json"]).success().json();
    assert!(status["artifacts"].as_array().unwrap().iter().all(|artifact| artifact["state"] == "clean"), "{status}");
    assert_eq!(litter(sandbox.repo()), Vec::<PathBuf>::new());
}
