//! The power is cut while a store is written.

use std::path::{Path, PathBuf};

use super::disk::{self, Disk, Files};
use super::random::Random;
use super::rounds;
use crate::files::trace::{Step, Trace};
use crate::id::Digest;
use crate::store::{Store, StoreError};

/// What a session of a writer adds.
struct Session {
    contents: Vec<Vec<u8>>,
}

fn sessions(random: &mut Random) -> Vec<Session> {
    let shared = random.bytes(200_000);
    let mut sessions = Vec::new();
    for number in 0..5 {
        let sizes = [0, 1, 3000, 17_000, 400_000, 1 << 20, 5 << 20];
        let contents = (0..4)
            .map(|_| {
                let size = sizes[random.between(0, if number == 2 { sizes.len() } else { 5 })];
                let start = random.between(0, shared.len());
                [random.bytes(size), shared[start..].to_vec()].concat()
            })
            .collect();
        sessions.push(Session { contents });
    }
    sessions
}

fn add(store: &Store, session: &Session) -> Result<(), StoreError> {
    let writer = store.writer()?;
    for content in &session.contents {
        writer.add(&mut &content[..], "it")?;
    }
    writer.finish().map(drop)
}

fn read_back(store: &Store, content: &[u8]) -> Result<Vec<u8>, StoreError> {
    store.read_to_vec(&Digest::of(content), u64::MAX)
}

/// A store in `there`, made by a cut while the one of `sessions` was written; `acknowledged` of them had returned.
fn check(there: &Path, sessions: &[Session], acknowledged: usize) {
    let store = Store::open(&there.join("store")).unwrap();
    for pack in store.packs().unwrap() {
        assert_eq!(store.check_pack(&pack.id).unwrap(), [], "a pack has its name only when it is whole");
    }
    for (number, session) in sessions.iter().enumerate() {
        for content in &session.contents {
            match read_back(&store, content) {
                Ok(bytes) => assert!(bytes == *content),
                Err(error) => {
                    assert!(number >= acknowledged, "session {number} had returned: {error}");
                    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
                }
            }
        }
    }
    // The next command works, and leaves no litter.
    sessions.iter().for_each(|session| add(&store, session).unwrap());
    let store = Store::open(&there.join("store")).unwrap();
    for content in sessions.iter().flat_map(|session| &session.contents) {
        assert!(read_back(&store, content).unwrap() == *content);
    }
    store.remove_leftovers().unwrap();
    let names = disk::read(&there.join("store"), &|_| false);
    let litter: Vec<_> = names.keys().filter(|path| path.to_string_lossy().contains(".tmp-")).collect();
    assert!(litter.is_empty(), "{litter:?}");
}

#[test]
fn a_store_survives_power_cuts_while_it_is_written() {
    let mut random = Random::new(1);
    let folder = tempfile::tempdir().unwrap();
    let before = disk::read(folder.path(), &|_| false);
    let trace = Trace::start(folder.path());
    let sessions = sessions(&mut random);
    for (number, session) in sessions.iter().enumerate() {
        // Every other pack comes from another store, as from a remote.
        if number % 2 == 0 {
            let store = Store::open(&folder.path().join("store")).unwrap();
            add(&store, session).unwrap();
        } else {
            let elsewhere = tempfile::tempdir().unwrap();
            let other = Store::open(elsewhere.path()).unwrap();
            add(&other, session).unwrap();
            let store = Store::open(&folder.path().join("store")).unwrap();
            for pack in other.packs().unwrap() {
                store.import_pack(&pack.path).unwrap();
            }
        }
        trace.mark(number + 1);
    }
    cut_often(&trace, folder.path(), &before, 25, &mut random, &mut |there, acknowledged| {
        check(there, &sessions, acknowledged);
    });
}

/// Cuts the power at random moments of a trace: `check` gets a folder as it may be then, and the last mark.
pub(super) fn cut_often(
    trace: &Trace,
    root: &Path,
    before: &Files,
    few: usize,
    random: &mut Random,
    check: &mut dyn FnMut(&Path, usize),
) {
    let taken = trace.taken();
    let mut moments: Vec<usize> = (0..rounds(few)).map(|_| random.between(0, taken.len() + 1)).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(root, before);
    let (mut done, mut mark) = (0, 0);
    for moment in moments {
        for step in &taken[done..moment] {
            disk.take(step);
            if let Step::Mark(number) = step.step {
                mark = number;
            }
        }
        done = moment;
        let there = tempfile::tempdir().unwrap();
        disk::write(&disk.cut(random), there.path());
        println!(
            "cut after step {moment} of {}, command {mark}: {:?}",
            taken.len(),
            taken[..moment].last().map(|it| &it.step).map(shown)
        );
        check(there.path(), mark);
    }
    taken[done..].iter().for_each(|step| disk.take(step));
    let expected = disk::read(root, &disk::is_gits);
    let mut live = disk.live();
    live.retain(|path, _| !disk::is_gits(path));
    assert_eq!(disk::differing(&live, &expected), NOTHING, "something was written past the trace");
}

pub(super) const NOTHING: &[PathBuf] = &[];

/// A step in short: a failure should not print megabytes.
fn shown(step: &Step) -> String {
    match step {
        Step::Write { node, offset, bytes } => format!("Write({} bytes at {offset} of {node})", bytes.len()),
        other => format!("{other:?}"),
    }
}
