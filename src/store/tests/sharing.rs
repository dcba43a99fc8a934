//! Several processes and threads on one store.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

#[test]
fn packs_that_others_add_are_found() {
    let sandbox = Sandbox::new();
    sandbox.add(&[b"first"]);
    let store = sandbox.store();
    assert!(store.contains(&Digest::of(b"first")).unwrap());
    assert!(!store.contains(&Digest::of(b"second")).unwrap());
    sandbox.add(&[b"second"]);
    assert!(store.contains(&Digest::of(b"second")).unwrap());
    assert_eq!(read(&store, b"second").unwrap(), b"second");
    // A store that was opened before knows what a later writer need not add.
    sandbox.add(&[b"third"]);
    let writer = store.writer().unwrap();
    writer.add(&mut &b"third"[..], "it").unwrap();
    assert_eq!(writer.finish().unwrap(), Written::default());
}

#[test]
fn packs_may_move_while_they_are_read() {
    let sandbox = Sandbox::new();
    let content = noise(1, 300_000);
    sandbox.add(&[&content]);
    let store = sandbox.store();
    assert!(store.contains(&Digest::of(&content)).unwrap());
    let elsewhere = Sandbox::new();
    elsewhere.add(&[b"first, so that the pack is another", &content]);
    fs::remove_file(sandbox.only_pack().path).unwrap();
    sandbox.store().import_pack(&elsewhere.only_pack().path).unwrap();
    assert!(read(&store, &content).unwrap() == content);
}

#[test]
fn writers_at_once_do_not_disturb_each_other() {
    let sandbox = Sandbox::new();
    let shared = noise(0, 600_000);
    std::thread::scope(|scope| {
        for number in 1..5 {
            let (sandbox, shared) = (&sandbox, &shared);
            scope.spawn(move || {
                for round in 0..3 {
                    sandbox.add(&[shared, &noise(number, 200_000), format!("{number} {round}").as_bytes()]);
                }
            });
        }
    });
    for store in [sandbox.store(), sandbox.store()] {
        for number in 1..5 {
            assert!(read(&store, &noise(number, 200_000)).unwrap() == noise(number, 200_000));
            for round in 0..3 {
                assert!(read(&store, format!("{number} {round}").as_bytes()).is_ok());
            }
        }
        assert!(read(&store, &shared).unwrap() == shared);
    }
    assert_eq!(sandbox.drafts(), 0);
}

#[test]
fn threads_share_a_store_and_a_writer() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let content = |number: u64| noise(number, (number as usize % 7) * 40_000 + number as usize);
    let writer = store.writer().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                for number in (thread..60).step_by(3) {
                    writer.add(&mut &content(number)[..], "it").unwrap();
                }
            });
        }
    });
    writer.finish().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..60).for_each(|number| assert!(read(&store, &content(number)).unwrap() == content(number)))
            });
        }
    });
    assert_all_good(&store);
}

#[test]
fn leftovers_are_removed_only_when_nobody_writes() {
    let sandbox = Sandbox::new();
    sandbox.add(&[b"good"]);
    let leave = || {
        fs::write(sandbox.path("packs/.tmp-git-ml-abc123"), b"half a pack").unwrap();
        fs::write(sandbox.path("index/.tmp-git-ml-abc123"), b"half an index").unwrap();
    };
    leave();
    assert_eq!(sandbox.store().remove_leftovers().unwrap(), 2);
    let store = sandbox.store();
    let writer = store.writer().unwrap();
    leave();
    assert_eq!(sandbox.store().remove_leftovers().unwrap(), 0);
    let second = sandbox.store();
    drop(second.writer().unwrap());
    assert_eq!(sandbox.drafts(), 2);
    drop(writer);
    drop(second.writer().unwrap());
    assert_eq!(sandbox.drafts(), 0, "the next writer removed them");
    assert_eq!(read(&store, b"good").unwrap(), b"good");
}

/// Tells the process below that it is one, and where to write.
const CHILD_FOLDER: &str = "GIT_ML_TEST_STORE";

/// Not a test by itself: what the tests below run as processes of their own. It says on its stdout what is stored.
#[test]
fn child_that_writes() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let store = Store::open(Path::new(&folder)).unwrap();
    for number in 0..500 {
        let content = noise(number, 3000 + number as usize % 5 * 60_000);
        let writer = store.writer().unwrap();
        writer.add(&mut &content[..], "it").unwrap();
        writer.finish().unwrap();
        println!("\nstored {number} {}", content.len());
    }
}

fn start_child(sandbox: &Sandbox) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::sharing::child_that_writes", "--nocapture"])
        .env(CHILD_FOLDER, sandbox.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn after_a_kill_all_that_was_acknowledged_is_there() {
    let sandbox = Sandbox::new();
    let mut acknowledged = 0;
    for round in 0..8u64 {
        let mut children = [start_child(&sandbox), start_child(&sandbox)];
        let mut outputs = children.each_mut().map(|child| BufReader::new(child.stdout.take().unwrap()));
        let mut first = String::new();
        while !first.contains("stored ") {
            assert!(outputs[0].read_line(&mut first).unwrap() > 0, "{first}");
        }
        // From then on at any instant.
        std::thread::sleep(Duration::from_millis(7 * round));
        for (child, output) in children.iter_mut().zip(&mut outputs) {
            child.kill().unwrap();
            let mut text = std::mem::take(&mut first);
            output.read_to_string(&mut text).unwrap();
            child.wait().unwrap();
            let stored = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            for line in stored.filter_map(|line| line.strip_prefix("stored ")) {
                let (number, len) = line.trim().split_once(' ').unwrap();
                let content = noise(number.parse().unwrap(), len.parse().unwrap());
                assert!(read(&sandbox.store(), &content).unwrap() == content, "round {round}: {line}");
                acknowledged += 1;
            }
        }
        let store = sandbox.store();
        assert_all_good(&store);
        drop(store.writer().unwrap());
        assert_eq!(sandbox.drafts(), 0);
    }
    assert!(acknowledged >= 8);
}
