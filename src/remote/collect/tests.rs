//! A collector and pushers over one place, step by step in every order that matters.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use super::super::ObjectError;
use super::super::objects::{Listed, Objects, Pace, content_of};
use super::*;
use crate::files::RelPath;
use crate::store::{Entry, Manifest, Mode};
use crate::track::Silent;

const DAY: i64 = 86_400;
const GRACE: Duration = Duration::from_secs(14 * 86_400);

/// A place in memory with a clock of its own, whose users take turns.
#[derive(Debug, Default)]
struct Place {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, (Bytes, i64)>,
    now: i64,
    /// Whose turns come next. When there are none left, everybody goes on as they come.
    turns: VecDeque<usize>,
    /// Who does nothing any more.
    ended: HashSet<usize>,
    /// Whose push was said to be done.
    acknowledged: HashSet<usize>,
    /// Who waits for a turn.
    waiting: HashSet<usize>,
    /// How many calls each may make before it is cut off.
    calls_left: HashMap<usize, usize>,
}

/// The place as one of its users sees it.
#[derive(Debug)]
struct User {
    place: Arc<Place>,
    number: usize,
}

impl User {
    /// Does one step when it is this user's turn.
    fn step<T>(&self, action: impl FnOnce(&mut State) -> Result<T, ObjectError>) -> Result<T, ObjectError> {
        let mut state = self.place.state.lock().unwrap();
        loop {
            while state.turns.front().is_some_and(|user| state.ended.contains(user)) {
                state.turns.pop_front();
            }
            match state.turns.front() {
                Some(user) if *user != self.number => {
                    state.waiting.insert(self.number);
                    self.place.moved.notify_all();
                    state = self.place.moved.wait(state).unwrap();
                }
                _ => break,
            }
        }
        state.waiting.remove(&self.number);
        state.turns.pop_front();
        let is_cut = state.calls_left.get_mut(&self.number).is_some_and(|left| {
            let is_over = *left == 0;
            *left = left.saturating_sub(1);
            is_over
        });
        let result = match is_cut {
            true => Err(ObjectError::Unreachable { place: "memory".to_owned(), problem: "cut off".to_owned() }),
            false => action(&mut state),
        };
        self.place.moved.notify_all();
        result
    }
}

impl Objects for User {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError> {
        self.step(|state| {
            let listed = state.objects.iter().filter(|(name, _)| name.starts_with(&format!("{folder}/")));
            let listed = listed.map(|(name, (bytes, time))| Listed {
                name: name.clone(),
                size: bytes.len() as u64,
                modified: Some(*time),
            });
            Ok(listed.collect())
        })
    }

    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        self.step(|state| Ok(state.objects.get(name).map(|(bytes, _)| bytes.len() as u64)))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.step(|state| {
            let missing = || ObjectError::NotFound { place: "memory".to_owned(), name: name.to_owned() };
            let (bytes, _) = state.objects.get(name).ok_or_else(missing)?;
            Ok(bytes.slice(range.start as usize..range.end as usize))
        })
    }

    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        self.step(|state| {
            let now = state.now;
            state.objects.insert(name.to_owned(), (content, now));
            Ok(())
        })
    }

    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        self.put(name, content_of(path, pace))
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        self.step(|state| {
            state.objects.remove(name);
            Ok(())
        })
    }

    fn at_once(&self) -> usize {
        1
    }
}

/// A clone: a store of its own and its way to the place.
struct Clone {
    store: Store,
    remote: Remote,
    place: Arc<Place>,
    number: usize,
    _folder: tempfile::TempDir,
}

impl Clone {
    fn new(place: &Arc<Place>, number: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let remote = Remote::with("it", Box::new(User { place: Arc::clone(place), number }), None, None);
        Self { store, remote, place: Arc::clone(place), number, _folder: folder }
    }

    /// Stores an artifact of files with these numbers.
    fn add(&self, files: &[u64]) -> ArtifactId {
        let writer = self.store.writer().unwrap();
        let mut entries = Vec::new();
        for file in files {
            let mut content = vec![0; if file.is_multiple_of(2) { 300_000 } else { 2_000 }];
            blake3::Hasher::new().update(&file.to_le_bytes()).finalize_xof().fill(&mut content);
            let (digest, size) = writer.add(&mut &content[..], "it").unwrap();
            let path = Some(RelPath::new(format!("file-{file:03}")).unwrap());
            entries.push(Entry { path, mode: Mode::File, size, digest });
        }
        let artifact = writer.add_manifest(&Manifest::new(entries).unwrap()).unwrap();
        writer.finish().unwrap();
        artifact
    }

    fn push(&self, artifacts: &[ArtifactId]) -> Result<(), RemoteError> {
        let result = self.remote.push(&self.store, artifacts, &Silent).map(drop);
        if result.is_ok() {
            self.place.state.lock().unwrap().acknowledged.insert(self.number);
        }
        self.end();
        result
    }

    fn collect(&self, artifacts: &[ArtifactId]) -> Result<RemoteCollected, RemoteError> {
        let options = RemoteOptions { grace: GRACE, rewrite_from: 0.5, dry_run: false };
        let result = self.remote.collect(&self.store, artifacts, &options, &Silent);
        self.end();
        result
    }

    /// Lets the others go on without it.
    fn end(&self) {
        self.place.state.lock().unwrap().ended.insert(self.number);
        self.place.moved.notify_all();
    }
}

impl Place {
    fn wait_days(&self, days: i64) {
        self.state.lock().unwrap().now += days * DAY;
    }

    /// Waits until a user stands still, for want of a turn or because all is done.
    fn settle(&self, user: usize) {
        let mut state = self.state.lock().unwrap();
        while !state.ended.contains(&user) && !state.waiting.contains(&user) {
            state = self.moved.wait(state).unwrap();
        }
    }

    /// Sets whose turns come next; none for no order.
    fn schedule(&self, turns: impl IntoIterator<Item = usize>) {
        let mut state = self.state.lock().unwrap();
        state.turns = turns.into_iter().collect();
        state.ended.clear();
        state.waiting.clear();
        state.acknowledged.clear();
        state.calls_left.clear();
        drop(state);
        self.moved.notify_all();
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.objects.keys().filter(|name| name.starts_with(&format!("{folder}/"))).cloned().collect()
    }
}

/// Whether a fresh clone gets all of an artifact.
fn arrives(place: &Arc<Place>, artifact: &ArtifactId) -> bool {
    let fresh = Clone::new(place, usize::MAX);
    if fresh.remote.pull(&fresh.store, &[*artifact], &Silent).is_err() {
        return false;
    }
    let manifest = fresh.store.manifest(artifact).unwrap();
    let mut sink = std::io::sink();
    manifest
        .entries()
        .iter()
        .all(|entry| crate::store::copy(&fresh.store, &entry.digest, crate::store::Proof::Chunks, &mut sink).is_ok())
}

/// A place on which one artifact stays and another was forgotten a month ago, and who pushed both.
fn with_garbage() -> (Arc<Place>, Clone, ArtifactId, ArtifactId) {
    let place = Arc::new(Place::default());
    place.state.lock().unwrap().now = 1_800_000_000;
    let first = Clone::new(&place, 0);
    let kept = first.add(&[1, 2]);
    first.push(&[kept]).unwrap();
    let gone = first.add(&[11, 12]);
    first.push(&[kept, gone]).unwrap();
    place.wait_days(30);
    place.schedule([]);
    (place, first, kept, gone)
}

#[test]
fn what_nothing_needs_goes_in_two_calls() {
    let (place, first, kept, gone) = with_garbage();
    let collector = Clone::new(&place, 1);
    let done = collector.collect(&[kept]).unwrap();
    assert_eq!((done.marked.0, done.removed.0, done.packs.0), (1, 0, 2));
    assert!(arrives(&place, &gone), "it is marked, and there");
    place.wait_days(13);
    assert_eq!(collector.collect(&[kept]).unwrap().waiting.0, 1);
    place.wait_days(2);
    let done = collector.collect(&[kept]).unwrap();
    assert_eq!((done.removed.0, done.marked.0), (1, 0));
    assert!(arrives(&place, &kept) && !arrives(&place, &gone));
    assert_eq!([PACKS, DOOMED, CLOCK, layout::INDEXES].map(|folder| place.names(folder).len()), [1, 0, 0, 1]);
    let again = collector.collect(&[kept]).unwrap();
    assert_eq!(again, RemoteCollected { packs: (1, again.packs.1), used: again.used, ..RemoteCollected::default() });
    // Who has it can push it again.
    first.push(&[gone]).unwrap();
    assert!(arrives(&place, &gone));
}

#[test]
fn what_is_needed_again_loses_its_mark_and_a_dry_run_changes_nothing() {
    let (place, _, kept, gone) = with_garbage();
    let collector = Clone::new(&place, 1);
    let before = place.names("");
    let options = RemoteOptions { grace: GRACE, rewrite_from: 0.5, dry_run: true };
    let planned = collector.remote.collect(&collector.store, &[kept], &options, &Silent).unwrap();
    assert_eq!(place.names(""), before);
    assert_eq!(collector.collect(&[kept]).unwrap().marked, planned.marked);
    place.wait_days(20);
    assert_eq!(collector.collect(&[kept, gone]).unwrap().revived, 1);
    place.wait_days(20);
    assert_eq!(collector.collect(&[kept, gone]).unwrap().removed.0, 0);
    assert!(arrives(&place, &gone) && place.names(DOOMED).is_empty());
}

#[test]
fn the_used_part_of_a_pack_moves_and_what_a_cut_push_left_goes() {
    let place = Arc::new(Place::default());
    place.state.lock().unwrap().now = 1_800_000_000;
    let first = Clone::new(&place, 0);
    // One pack with two artifacts, of which the small one stays.
    let (large, small) = (first.add(&[2, 4, 6, 8]), first.add(&[3]));
    first.push(&[large, small]).unwrap();
    // And a push that is cut off before its index.
    let lost = first.add(&[31]);
    place.state.lock().unwrap().calls_left.insert(0, 4);
    assert!(first.push(&[lost]).is_err());
    place.schedule([]);
    let packs = place.names(PACKS).len();
    place.wait_days(30);
    let collector = Clone::new(&place, 1);
    for _ in 0..3 {
        collector.collect(&[small]).unwrap();
        assert!(arrives(&place, &small));
        place.wait_days(15);
    }
    assert!(packs >= 2 && place.names(PACKS).len() == 1, "{packs} {:?}", place.names(PACKS));
    let left: usize = place.state.lock().unwrap().objects.values().map(|(bytes, _)| bytes.len()).sum();
    assert!(left < 10_000, "{left}");
    assert!(!arrives(&place, &large));
}

#[test]
fn without_times_and_with_a_damaged_index_nothing_is_removed() {
    let (place, _, kept, _) = with_garbage();
    let collector = Clone::new(&place, 1);
    let index = place.names(layout::INDEXES).remove(0);
    let good = place.state.lock().unwrap().objects[&index].clone();
    place.state.lock().unwrap().objects.insert(index.clone(), (Bytes::from_static(b"bad"), 0));
    assert!(matches!(collector.collect(&[kept]), Err(RemoteError::DamagedIndex { .. })));
    place.state.lock().unwrap().objects.insert(index, good);
    assert!(collector.collect(&[kept]).is_ok());
}

/// Runs a pusher of `gone` and both phases of a collector that does not know of it, in the given order of steps, with
/// the grace period between the phases where `turns` say so; then checks what was acknowledged.
fn race(turns: &[Vec<usize>], calls_left: Option<usize>) {
    let (place, first, kept, gone) = with_garbage();
    let new = first.add(&[11, 12, 13, 14]);
    let collector = Clone::new(&place, 1);
    // The pusher is somebody who has the content already and counts on what is there.
    std::thread::scope(|scope| {
        place.schedule(turns[0].iter().copied());
        if let Some(calls) = calls_left {
            place.state.lock().unwrap().calls_left.insert(0, calls);
        }
        let pusher = scope.spawn(|| first.push(&[kept, gone, new]));
        let options = RemoteOptions { grace: GRACE, rewrite_from: 0.5, dry_run: false };
        // The turns that are left to it keep the pusher waiting.
        collector.remote.collect(&collector.store, &[kept], &options, &Silent).unwrap();
        // A pusher that stands still for longer than the grace period is the worst case. What it was told is done has
        // been named meanwhile.
        place.settle(0);
        let mut state = place.state.lock().unwrap();
        let known = if state.acknowledged.contains(&0) { vec![kept, gone, new] } else { vec![kept] };
        state.now += 15 * DAY;
        state.turns = turns[1].iter().copied().collect();
        drop(state);
        place.moved.notify_all();
        let is_known = known.len() > 1;
        let removed = collector.collect(&known);
        assert!(removed.is_ok(), "{removed:?}");
        let pushed = pusher.join().unwrap();
        place.schedule([]);
        assert!(arrives(&place, &kept));
        match pushed {
            Ok(()) => assert!(arrives(&place, &gone) && arrives(&place, &new), "acknowledged, {is_known} {turns:?}"),
            Err(error) => assert!(calls_left.is_some(), "{error}"),
        }
        // Whatever happened, a push brings it all, and collecting with all that is known loses none of it.
        first.push(&[kept, gone, new]).unwrap();
        place.schedule([]);
        place.wait_days(40);
        collector.collect(&[kept, gone, new]).unwrap();
        place.wait_days(40);
        collector.collect(&[kept, gone, new]).unwrap();
        assert!([kept, gone, new].iter().all(|artifact| arrives(&place, artifact)));
    });
}

#[test]
fn a_pusher_and_a_collector_meet_at_every_pair_of_steps() {
    // The pusher makes `a` steps, the collector marks with `b` steps in between, and so on: one is interrupted by the
    // other at every point, in either phase.
    for before in 0..22 {
        for between in [0, 1, 2, 3, 5, 8] {
            let first = [vec![0; before], vec![1; 200]].concat();
            let second = [vec![1; before / 2], vec![0; between], vec![1; 200]].concat();
            race(&[first, second], None);
        }
    }
}

#[test]
fn a_pusher_that_is_cut_off_anywhere_loses_nothing() {
    for calls in 0..24 {
        race(&[[vec![0; calls + 1], vec![1; 200]].concat(), vec![1; 200]], Some(calls));
    }
}

#[test]
fn many_pushers_and_a_collector_in_any_order() {
    for seed in 0u64..40 {
        let (place, _, kept, _) = with_garbage();
        let collector = Clone::new(&place, 1);
        let others: Vec<(Clone, ArtifactId)> = (2..5)
            .map(|number| {
                let clone = Clone::new(&place, number);
                let artifact = clone.add(&[11, 12, number as u64 + 20]);
                (clone, artifact)
            })
            .collect();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut turns = Vec::new();
        for _ in 0..300 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            turns.push([1, 1, 1, 2, 3, 4][(state % 6) as usize]);
        }
        place.schedule(turns);
        std::thread::scope(|scope| {
            for (clone, artifact) in &others {
                scope.spawn(|| clone.push(&[*artifact]).unwrap());
            }
            collector.collect(&[kept]).unwrap();
            place.state.lock().unwrap().ended.remove(&1);
            // The garbage was marked a moment ago: its time is not over for this one.
            collector.collect(&[kept]).unwrap();
        });
        place.schedule([]);
        let mut all: Vec<ArtifactId> = others.iter().map(|(_, artifact)| *artifact).collect();
        assert!(all.iter().all(|artifact| arrives(&place, artifact)), "seed {seed}");
        all.push(kept);
        for _ in 0..4 {
            place.wait_days(20);
            collector.collect(&all).unwrap();
            assert!(all.iter().all(|artifact| arrives(&place, artifact)), "seed {seed}");
        }
        let last = collector.collect(&all).unwrap();
        assert_eq!((last.marked.0, last.waiting.0, last.removed.0, last.lost, last.not_whole), (0, 0, 0, 0, 0));
    }
}
