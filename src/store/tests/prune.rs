//! Collection against a model: what is live, and since when the rest is not.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::*;

const DAY: u64 = 86_400;
/// A child that another test is just starting holds a copy of every lock until it is its own program.
const PATIENCE: Wait = Wait::UpTo(Duration::from_secs(20));

fn content(number: u8) -> Vec<u8> {
    let size = [10, 3_000, 150_000, 700_000][usize::from(number % 4)];
    noise(u64::from(number), size)
}

/// Adds an artifact of these files, which is named when the writer is finished.
fn add(store: &Store, numbers: &BTreeSet<u8>) -> ArtifactId {
    let writer = store.writer().unwrap();
    let mut entries = Vec::new();
    for number in numbers {
        let (digest, size) = writer.add(&mut &content(*number)[..], "it").unwrap();
        let path = Some(crate::files::RelPath::new(format!("file-{number}")).unwrap());
        entries.push(Entry { path, mode: Mode::File, size, digest });
    }
    let artifact = writer.add_manifest(&Manifest::new(entries).unwrap()).unwrap();
    writer.finish().unwrap();
    artifact
}

/// Adds files when the clock says `now`: what the writer wrote or found in use has that time.
fn add_on_day(store: &Store, numbers: &BTreeSet<u8>, now: SystemTime) -> ArtifactId {
    let times = || -> BTreeMap<PackId, SystemTime> {
        let packs = store.packs().unwrap().into_iter();
        packs.map(|pack| (pack.id, fs::metadata(pack.path).unwrap().modified().unwrap())).collect()
    };
    let before = times();
    let artifact = add(store, numbers);
    for pack in times().into_iter().filter(|(pack, time)| before.get(pack) != Some(time)).map(|(pack, _)| pack) {
        File::open(store.pack_path(&pack)).unwrap().set_modified(now).unwrap();
    }
    artifact
}

fn mark(store: &Store, artifacts: impl IntoIterator<Item = ArtifactId>) -> Live {
    store.reread_index().unwrap();
    let mut live = Live::default();
    for artifact in artifacts {
        assert_eq!(live.add(store, &artifact).unwrap(), Presence::Whole);
    }
    live
}

fn is_whole(store: &Store, artifact: &ArtifactId) -> bool {
    let Ok(manifest) = store.manifest(artifact) else { return false };
    manifest.entries().iter().all(|entry| copy(store, &entry.digest, Proof::Chunks, &mut io::sink()).is_ok())
}

fn options(now: SystemTime, grace_days: u64, max_unused: f64) -> PruneOptions {
    PruneOptions { now, grace: Duration::from_secs(grace_days * DAY), max_unused }
}

/// All keys that any pack has, and how often.
fn keys(store: &Store) -> BTreeMap<Key, usize> {
    let mut keys = BTreeMap::new();
    for entry in index::read_packs(&store.list_packs().unwrap()).into_values().flatten() {
        *keys.entry(entry.header.key).or_default() += 1;
    }
    keys
}

/// How far a collection gets before it is killed.
#[derive(Debug, Clone, Copy)]
enum Killed {
    AfterNote,
    AfterRewrite,
    Never,
}

#[derive(Debug, Clone)]
enum Step {
    Add(BTreeSet<u8>),
    Forget(prop::sample::Index),
    Wait(u64),
    /// Collects, while somebody stores an artifact and names it before the packs go.
    Collect {
        killed: Killed,
        max_unused: bool,
        meanwhile: Option<BTreeSet<u8>>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let files = || proptest::collection::btree_set(0u8..14, 1..5);
    let killed =
        prop_oneof![Just(Killed::AfterNote), Just(Killed::AfterRewrite), Just(Killed::Never), Just(Killed::Never)];
    prop_oneof![
        3 => files().prop_map(Step::Add),
        3 => any::<prop::sample::Index>().prop_map(Step::Forget),
        2 => (1u64..12).prop_map(Step::Wait),
        4 => (killed, any::<bool>(), proptest::option::of(files()))
            .prop_map(|(killed, max_unused, meanwhile)| Step::Collect { killed, max_unused, meanwhile }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_live_stays_and_what_goes_was_unused_for_long(steps in proptest::collection::vec(step(), 1..24)) {
        const GRACE: u64 = 14;
        let sandbox = Sandbox::new();
        let start = SystemTime::now();
        let mut days = 0;
        // Each artifact that is named, and each that is not, with the day on which a collection first saw that.
        let mut named: BTreeSet<ArtifactId> = BTreeSet::new();
        let mut forgotten: BTreeMap<ArtifactId, Option<u64>> = BTreeMap::new();
        for step in steps {
            // As if each step were a process of its own.
            let store = sandbox.store();
            match step {
                Step::Add(files) => {
                    let artifact = add_on_day(&store, &files, start + Duration::from_secs(days * DAY));
                    forgotten.remove(&artifact);
                    named.insert(artifact);
                }
                Step::Forget(index) => {
                    let artifact = named.iter().nth(index.index(named.len().max(1))).copied();
                    if let Some(artifact) = artifact {
                        named.remove(&artifact);
                        forgotten.insert(artifact, None);
                    }
                }
                Step::Wait(more) => days += more,
                Step::Collect { killed, max_unused, meanwhile } => {
                    let now = start + Duration::from_secs(days * DAY);
                    let mut live = mark(&store, named.iter().copied());
                    let share = if max_unused { 0.0 } else { 0.2 };
                    let plan = store.plan_prune(&live, &options(now, GRACE, share)).unwrap();
                    prop_assert!(plan.clock_behind.is_none());
                    store.note_unused(&plan).unwrap();
                    forgotten.values_mut().for_each(|seen| *seen = Some(seen.unwrap_or(days)));
                    if !matches!(killed, Killed::AfterNote) {
                        let rewritten = store.rewrite_packs(&plan, &|_| ()).unwrap();
                        if let Some(files) = meanwhile {
                            let artifact = add_on_day(&sandbox.store(), &files, now);
                            forgotten.remove(&artifact);
                            if named.insert(artifact) {
                                store.refresh(NewPacks::new()).unwrap();
                                prop_assert_eq!(live.add(&store, &artifact).unwrap(), Presence::Whole);
                            }
                        }
                        if matches!(killed, Killed::Never) {
                            store.lock_alone(PATIENCE).unwrap().remove_packs(&plan, &rewritten, &live).unwrap();
                        }
                    }
                }
            }
            let store = sandbox.store();
            for artifact in &named {
                prop_assert!(is_whole(&store, artifact), "day {}: {} is named", days, artifact);
            }
            for (artifact, seen) in &forgotten {
                let within_grace = seen.is_none_or(|seen| days < seen + GRACE);
                prop_assert!(!within_grace || is_whole(&store, artifact), "day {}: {} seen {:?}", days, artifact, seen);
            }
            assert_all_good(&store);
        }
        // With nothing in the way, exactly what is named is left, each entry once, and a second time changes nothing.
        let store = sandbox.store();
        let now = start + Duration::from_secs(days * DAY);
        let mut before = None;
        for _ in 0..3 {
            let live = mark(&store, named.iter().copied());
            let plan = store.plan_prune(&live, &options(now, 0, 0.0)).unwrap();
            let rewritten = store.rewrite_packs(&plan, &|_| ()).unwrap();
            store.lock_alone(PATIENCE).unwrap().remove_packs(&plan, &rewritten, &live).unwrap();
            let left = keys(&store);
            prop_assert_eq!(left.len(), live.len());
            prop_assert!(left.iter().all(|(key, count)| live.has(key) && *count == 1));
            let packs = store.packs().unwrap();
            prop_assert!(before.replace(packs.clone()).is_none_or(|before| before == packs));
        }
    }
}

#[test]
fn what_was_in_use_again_has_the_whole_grace_period() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let start = SystemTime::now();
    let on_day = |day: u64| start + Duration::from_secs(day * DAY);
    let plan_on = |day: u64, named: &[ArtifactId]| {
        let plan = store.plan_prune(&mark(&store, named.iter().copied()), &options(on_day(day), 14, 0.0)).unwrap();
        store.note_unused(&plan).unwrap();
        plan
    };
    let files = BTreeSet::from([7]);
    let artifact = add_on_day(&store, &files, start);
    assert!(!plan_on(0, &[]).has_work());
    // Stored and named again on the same day, which no collection sees, and forgotten once more.
    assert_eq!(add_on_day(&store, &files, start), artifact);
    assert!(!plan_on(14, &[]).has_work(), "it was not unused all the time");
    assert!(!plan_on(27, &[]).has_work());
    assert_eq!(plan_on(28, &[]).with_fate(Fate::Remove).count(), 1);
}

#[test]
fn the_parts_of_a_huge_file_and_of_a_huge_manifest_stay() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let huge = noise(7, 48 << 20);
    let writer = store.writer().unwrap();
    let (digest, size) = writer.add(&mut &huge[..], "it").unwrap();
    let (small, small_size) = writer.add(&mut &b"small"[..], "it").unwrap();
    let path = |name: String| Some(crate::files::RelPath::new(name).unwrap());
    let mut entries = vec![Entry { path: path("a-huge".to_owned()), mode: Mode::File, size, digest }];
    entries.extend((0..9000).map(|number| Entry {
        path: path(format!("files/{number:06}")),
        mode: Mode::File,
        size: small_size,
        digest: small,
    }));
    let artifact = writer.add_manifest(&Manifest::new(entries.clone()).unwrap()).unwrap();
    // A second version shares most of its manifest with the first.
    let (other, other_size) = writer.add(&mut &b"another"[..], "it").unwrap();
    entries[4000] = Entry { digest: other, size: other_size, ..entries[4000].clone() };
    let version = writer.add_manifest(&Manifest::new(entries).unwrap()).unwrap();
    writer.add(&mut &noise(8, 100_000)[..], "it").unwrap();
    writer.finish().unwrap();
    let parts = store.keys_of(&digest).unwrap().len();
    assert!(parts > 512, "{parts}: its list is kept in parts of its own");
    for (kept, gone) in [(vec![artifact, version], 1), (vec![version], 1), (vec![], 1)] {
        let live = mark(&store, kept.iter().copied());
        let plan = store.plan_prune(&live, &options(SystemTime::now(), 0, 0.0)).unwrap();
        assert!(plan.has_work());
        let rewritten = store.rewrite_packs(&plan, &|_| ()).unwrap();
        let removed = store.lock_alone(PATIENCE).unwrap().remove_packs(&plan, &rewritten, &live).unwrap();
        assert!(removed.packs >= gone && removed.kept == 0);
        for artifact in kept {
            assert!(is_whole(&sandbox.store(), &artifact));
        }
    }
    assert!(store.packs().unwrap().is_empty());
}

#[test]
fn a_damaged_pack_and_what_is_good_only_there_stay() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let artifact = add(&store, &BTreeSet::from([2, 3]));
    add(&store, &BTreeSet::from([6]));
    let packs = store.packs().unwrap();
    let whose = store.packs_of(&Digest::of(&content(3))).unwrap()[0];
    let path = &packs.iter().find(|pack| pack.id == whose).unwrap().path;
    // One flipped bit in an entry that is needed: its pack is not rewritten to less than it has.
    let mut bytes = fs::read(path).unwrap();
    bytes[2000] ^= 1;
    fs::write(path, &bytes).unwrap();
    let store = sandbox.store();
    let live = mark(&store, [artifact]);
    let mut plan = store.plan_prune(&live, &options(SystemTime::now(), 0, 0.0)).unwrap();
    plan.packs.iter_mut().for_each(|pack| pack.fate = Fate::Rewrite);
    let rewritten = store.rewrite_packs(&plan, &|_| ()).unwrap();
    let removed = store.lock_alone(PATIENCE).unwrap().remove_packs(&plan, &rewritten, &live).unwrap();
    assert_eq!((removed.packs, removed.kept), (1, 1));
    assert!(path.exists());
    // And a pack whose footer does not read is left alone.
    let end = bytes.len() - 60;
    bytes[end] ^= 1;
    fs::write(path, &bytes).unwrap();
    let store = sandbox.store();
    let live = mark(&store, []);
    let plan = store.plan_prune(&live, &options(SystemTime::now(), 0, 0.0)).unwrap();
    assert_eq!(plan.with_fate(Fate::Damaged).map(|pack| pack.id).collect::<Vec<_>>(), [whose]);
    assert!(!plan.has_work(), "what the damage hides may need any of the others");
}

#[test]
fn what_cannot_be_read_is_not_taken_for_little() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let artifact = add(&store, &BTreeSet::from([3]));
    // The file's map is damaged: which chunks belong to it cannot be known.
    let map = Key { kind: Kind::Map, digest: Digest::of(&content(3)) };
    let location = store.index().unwrap().find(&map)[0];
    let path = store.pack_path(&location.pack);
    let mut bytes = fs::read(&path).unwrap();
    bytes[location.entry.offset as usize + 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = sandbox.store();
    let error = Live::default().add(&store, &artifact).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    // An id that is that of a file, or of nothing.
    let mut live = Live::default();
    add(&store, &BTreeSet::from([1]));
    let file = ArtifactId::from_bytes(*Digest::of(&content(1)).as_bytes());
    assert_eq!(live.add(&store, &file).unwrap(), Presence::Whole);
    assert_eq!(live.add(&store, &ArtifactId::from_bytes([1; 32])).unwrap(), Presence::Absent);
    assert_eq!(live.len(), 1);
}
