//! A crowd pushes to one bucket, each from a clone of its own, while somebody collects garbage there without pause.
//!
//! `GIT_ML_FAULTS` says how many, up to a hundred; `make test-slow` takes the hundred.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::buckets::{collect_until_done, on_each_server, with_bucket};
use crate::sandbox::{Sandbox, noise};

/// Seconds for which what is not named stays on the remote: longer than anyone takes from a push to git's.
const GRACE: u64 = 25;

fn crowd() -> usize {
    let asked = std::env::var("GIT_ML_FAULTS").map_or(16, |number| number.parse().expect("a number"));
    asked.min(100)
}

/// What each pushes: bytes of its own, bytes that all have, and for some the bytes that are garbage on the remote.
fn contents(number: usize) -> Vec<(&'static str, Vec<u8>)> {
    let mut contents = vec![("own", noise(1000 + number as u64, 40_000)), ("common", noise(7, 60_000))];
    if number.is_multiple_of(3) {
        contents.push(("again", noise(8, 300_000)));
    }
    contents
}

/// A process that waits for the file `go`, pushes, and says in git what it pushed; it prints when it began and ended.
fn start(sandbox: &Sandbox, clone: &Path, number: usize) -> Child {
    let script = format!(
        "until [ -e ../go ]; do sleep 0.05; done; date +%s.%N; git-ml push cloud >/dev/null && date +%s.%N && \
         git push --quiet --no-verify origin HEAD:refs/heads/client-{number} && date +%s.%N"
    );
    let mut command = sandbox.command("sh");
    command.current_dir(clone).args(["-c", &script]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn a_crowd_pushes_while_one_collects_and_nothing_is_lost() {
    on_each_server(|endpoint| {
        let sandbox = with_bucket(1, 50_000, endpoint);
        let hub = sandbox.root().join("hub.git");
        // Of two artifacts that nobody names, some of the crowd have the content of one.
        for (path, seed) in [("garbage", 8), ("gone", 9)] {
            sandbox.write(path, noise(seed, 300_000));
            sandbox.git_ml(&["track", path]).success();
        }
        sandbox.git_ml(&["push"]).success();
        let gone = sandbox.read("gone.mlref");
        for path in ["garbage", "gone"] {
            sandbox.git_ml(&["untrack", path]).success();
            fs::remove_file(sandbox.path(path)).unwrap();
        }
        sandbox.git(&["clone", "--quiet", "--bare", ".", hub.to_str().unwrap()]).success();
        sandbox.git(&["remote", "add", "hub", hub.to_str().unwrap()]).success();
        let clone_to = |name: &str| {
            let folder = sandbox.root().join(name);
            sandbox.git(&["clone", "--quiet", hub.to_str().unwrap(), folder.to_str().unwrap()]).success();
            folder
        };
        let clones: Vec<PathBuf> = (0..crowd()).map(|number| clone_to(&format!("clone-{number}"))).collect();
        for (number, clone) in clones.iter().enumerate() {
            fs::create_dir(clone.join("mine")).unwrap();
            for (name, content) in contents(number) {
                fs::write(clone.join("mine").join(name), content).unwrap();
            }
            sandbox.git_ml_in(clone, &["track", "mine"]).success();
            let mut command = sandbox.command("git");
            command.current_dir(clone).args(["add", "."]);
            sandbox.run(command).success();
            let mut command = sandbox.command("git");
            command.current_dir(clone).args(["commit", "--quiet", "--no-verify", "--message", "mine"]);
            sandbox.run(command).success();
        }
        let collector = clone_to("collector");
        let (is_over, grace) = (AtomicBool::new(false), format!("{GRACE}s"));
        std::thread::scope(|scope| {
            let children: Vec<Child> =
                clones.iter().enumerate().map(|(number, clone)| start(&sandbox, clone, number)).collect();
            let collecting = scope.spawn(|| {
                let (mut marked, mut rounds) = (0, 0);
                while !is_over.load(Ordering::SeqCst) {
                    let arguments = ["gc", "--remote", "cloud", "--grace", &grace, "--json"];
                    let done = sandbox.git_ml_in(&collector, &arguments).success().json();
                    marked += done["marked"]["packs"].as_u64().unwrap();
                    rounds += 1;
                }
                (marked, rounds)
            });
            fs::write(sandbox.root().join("go"), "").unwrap();
            let ended: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
            is_over.store(true, Ordering::SeqCst);
            let (marked, rounds) = collecting.join().unwrap();
            let mut times = Vec::new();
            for output in ended {
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                let text = String::from_utf8(output.stdout).unwrap();
                times.push(text.lines().map(|line| line.parse().unwrap()).collect::<Vec<f64>>());
            }
            let began = times.iter().map(|times| times[0]).fold(f64::MIN, f64::max);
            let first_end = times.iter().map(|times| times[1]).fold(f64::MAX, f64::min);
            let last_end = times.iter().map(|times| times[1]).fold(f64::MIN, f64::max);
            let to_publish = times.iter().map(|times| times[2] - times[1]).fold(0.0, f64::max);
            println!(
                "{} pushes: all had begun {:.2} s before the first ended, the last ended {:.1} s after that; at most \
                 {to_publish:.1} s until git knew; {rounds} collections marked {marked} packs meanwhile",
                times.len(),
                first_end - began,
                last_end - first_end,
            );
            assert!(began < first_end, "they did not push at the same time");
            assert!(to_publish < GRACE as f64, "the machine is too slow for this grace period");
        });
        let fresh = |name: &str| {
            let clone = clone_to(name);
            for number in 0..clones.len() {
                let mut command = sandbox.command("git");
                command.current_dir(&clone).args(["show", &format!("origin/client-{number}:mine.mlref")]);
                let pointer = sandbox.run(command).success().stdout_bytes().to_vec();
                fs::write(clone.join(format!("from-{number}.mlref")), pointer).unwrap();
            }
            sandbox.git_ml_in(&clone, &["pull"]).success();
            for number in 0..clones.len() {
                for (name, content) in contents(number) {
                    let path = format!("from-{number}/{name}");
                    assert!(fs::read(clone.join(&path)).unwrap() == content, "{path}");
                }
            }
            clone
        };
        fresh("fresh");
        // What nothing needs goes in the end: what nobody ever named, and whatever several had pushed twice.
        sandbox.git(&["fetch", "--quiet", "hub"]).success();
        let start = Instant::now();
        collect_until_done(&sandbox, "cloud", 0);
        println!("collected to the end in {:?}", Duration::from_millis(start.elapsed().as_millis() as u64));
        let clone = fresh("after");
        fs::write(clone.join("gone.mlref"), &gone).unwrap();
        let missing = sandbox.git_ml_in(&clone, &["pull", "gone"]).one_line_error();
        assert!(missing.stderr().contains("artifacts asked for"), "{missing}");
    });
}
