//! Transfers between stores, over a place that fails.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tempfile::TempDir;

use super::layout::{CATALOG, PACKS, doomed_name, pack_name, parse_catalog};
use super::objects::{Listed, Pace, content_of};
use super::*;
use crate::id::PackId;
use crate::store::{Entry, Manifest, Mode};
use crate::track::Silent;

/// A place in memory that fails when it is told to.
#[derive(Debug, Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, Bytes>>,
    calls: AtomicUsize,
    /// Calls that are answered; all of them unless it is set.
    answered: Mutex<Option<usize>>,
    /// Whether every request fails once before it is answered.
    is_shaky: AtomicBool,
    failed_before: AtomicBool,
    /// A pack that is marked as soon as it is written.
    dooms_next: AtomicBool,
    written: Mutex<Vec<String>>,
    read: Mutex<u64>,
}

impl Memory {
    fn call(&self) -> Result<(), ObjectError> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let is_shaken = self.is_shaky.load(Ordering::SeqCst) && !self.failed_before.fetch_xor(true, Ordering::SeqCst);
        match is_shaken || lock(&self.answered).is_some_and(|answered| number >= answered) {
            true => Err(ObjectError::Unreachable { place: "memory".to_owned(), problem: "503".to_owned() }),
            false => Ok(()),
        }
    }

    /// Answers so many calls from now on, or all.
    fn answer(&self, count: Option<usize>) {
        *lock(&self.answered) = count;
        self.calls.store(0, Ordering::SeqCst);
        lock(&self.written).clear();
    }

    fn names(&self, folder: &str) -> Vec<String> {
        lock(&self.objects).keys().filter(|name| name.starts_with(&format!("{folder}/"))).cloned().collect()
    }

    fn written(&self, folder: &str) -> usize {
        lock(&self.written).iter().filter(|name| name.starts_with(&format!("{folder}/"))).count()
    }

    /// Removes marked packs and the indexes that name them, as a collector does.
    fn collect(&self) {
        let doomed: Vec<PackId> = self.names("doomed").iter().filter_map(|name| layout::doomed_of(name)).collect();
        let mut objects = lock(&self.objects);
        for pack in doomed {
            objects.remove(&pack_name(&pack));
            objects.retain(|name, bytes| {
                let packs = layout::index_of(name).and_then(|index| index::parse(&index, bytes).ok());
                !packs.is_some_and(|packs| packs.iter().any(|listed| listed.id == pack))
            });
            objects.remove(&doomed_name(&pack));
        }
    }
}

#[derive(Debug)]
struct Double(Arc<Memory>);

impl Objects for Double {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError> {
        self.0.call()?;
        let objects = lock(&self.0.objects);
        let listed = objects.iter().filter(|(name, _)| name.starts_with(&format!("{folder}/")));
        let listed =
            listed.map(|(name, bytes)| Listed { name: name.clone(), size: bytes.len() as u64, modified: None });
        Ok(listed.collect())
    }

    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        self.0.call()?;
        Ok(lock(&self.0.objects).get(name).map(|bytes| bytes.len() as u64))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.0.call()?;
        *lock(&self.0.read) += range.end - range.start;
        let missing = || ObjectError::NotFound { place: self.describe(), name: name.to_owned() };
        let bytes = lock(&self.0.objects).get(name).cloned().ok_or_else(missing)?;
        Ok(bytes.slice(range.start as usize..(range.end as usize).min(bytes.len())))
    }

    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        self.0.call()?;
        lock(&self.0.written).push(name.to_owned());
        lock(&self.0.objects).insert(name.to_owned(), content);
        if let (Some(pack), true) = (layout::pack_of(name), self.0.dooms_next.swap(false, Ordering::SeqCst)) {
            lock(&self.0.objects).insert(doomed_name(&pack), Bytes::new());
        }
        Ok(())
    }

    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        self.put(name, content_of(path, pace))
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        self.0.call()?;
        lock(&self.0.objects).remove(name);
        Ok(())
    }

    /// One after the other, so that the calls come in one order.
    fn at_once(&self) -> usize {
        1
    }

    fn gap(&self) -> u64 {
        64
    }
}

fn remote(memory: &Arc<Memory>) -> Remote {
    let objects = Box::new(Steady::hasty(Box::new(Double(Arc::clone(memory)))));
    Remote::with("share", objects, None, None)
}

struct Side {
    _folder: TempDir,
    store: Store,
}

impl Side {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Store::open(&folder.path().join("store")).unwrap(), _folder: folder }
    }

    /// Stores an artifact of these files, in a pack of its own or several.
    fn add(&self, files: &[Vec<u8>]) -> ArtifactId {
        let writer = self.store.writer().unwrap();
        let mut entries = Vec::new();
        for (number, content) in files.iter().enumerate() {
            let (digest, size) = writer.add(&mut &content[..], "test").unwrap();
            let path = Some(files::RelPath::new(format!("{number:04}")).unwrap());
            entries.push(Entry { path, mode: Mode::File, size, digest });
        }
        let artifact = writer.add_manifest(&Manifest::new(entries).unwrap()).unwrap();
        writer.finish().unwrap();
        artifact
    }

    /// Asserts that an artifact is here whole, every byte of it.
    fn check(&self, artifact: &ArtifactId) {
        for entry in self.store.manifest(artifact).unwrap().entries() {
            self.store.read_to_vec(&entry.digest, u64::MAX).unwrap();
        }
        for pack in self.store.packs().unwrap() {
            assert_eq!(self.store.check_pack(&pack.id).unwrap(), []);
        }
    }
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn small_files(seed: u64, count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|number| noise(seed * 1_000_000 + number, 3000)).collect()
}

#[test]
fn artifacts_travel_once_and_arrive_whole() {
    let (memory, here, there) = (Arc::default(), Side::new(), Side::new());
    let (small, large) = (here.add(&small_files(1, 20)), here.add(&[noise(2, 10 << 20), noise(3, 100)]));
    let share = remote(&memory);
    assert!(!share.has(&here.store, &small).unwrap());
    let pushed = share.push(&here.store, &[small, large], &Silent).unwrap();
    assert_eq!((pushed.artifacts, pushed.packs), (2, here.store.packs().unwrap().len()));
    assert_eq!(pushed.bytes, here.store.packs().unwrap().iter().map(|pack| pack.bytes).sum::<u64>());
    assert_eq!(share.push(&here.store, &[small, large], &Silent).unwrap(), Transferred::default());
    // The packs are the same, byte for byte.
    for pack in here.store.packs().unwrap() {
        assert!(lock(&memory.objects)[&pack_name(&pack.id)] == std::fs::read(&pack.path).unwrap());
    }
    let share = remote(&memory);
    assert!(share.has(&there.store, &large).unwrap(), "also where the manifest is not");
    let pulled = share.pull(&there.store, &[small], &Silent).unwrap();
    assert_eq!((pulled.artifacts, pulled.packs), (1, 1));
    there.check(&small);
    assert!(!there.store.has_artifact(&large).unwrap());
    assert_eq!(share.pull(&there.store, &[small, large], &Silent).unwrap().artifacts, 1);
    there.check(&large);
    let catalog = parse_catalog(std::str::from_utf8(&lock(&memory.objects)[CATALOG]).unwrap());
    assert_eq!(catalog.iter().map(|listed| listed.name.clone()).collect::<Vec<_>>(), memory.names(INDEXES));
}

#[test]
fn what_is_missing_is_said_and_the_rest_travels() {
    let (memory, here, there) = (Arc::default(), Side::new(), Side::new());
    let known = here.add(&small_files(1, 2));
    let unknown = ArtifactId::from_bytes([3; 32]);
    let share = remote(&memory);
    let error = share.push(&here.store, &[unknown, known], &Silent).unwrap_err();
    assert!(matches!(error, RemoteError::Missing { missing: 1, first, .. } if first == unknown));
    let error = share.pull(&there.store, &[unknown, known], &Silent).unwrap_err();
    assert!(matches!(error, RemoteError::Missing { missing: 1, first, .. } if first == unknown));
    there.check(&known);
}

#[test]
fn who_has_a_part_of_the_data_can_push_what_is_new() {
    let (memory, here, there) = (Arc::default(), Side::new(), Side::new());
    let old = here.add(&small_files(1, 2));
    remote(&memory).push(&here.store, &[old], &Silent).unwrap();
    let new = there.add(&small_files(5, 2));
    let pushed = remote(&memory).push(&there.store, &[old, new], &Silent).unwrap();
    assert_eq!(pushed.artifacts, 1, "the other one is at the place, and was never here");
    let unknown = ArtifactId::from_bytes([3; 32]);
    let error = remote(&memory).push(&there.store, &[old, new, unknown], &Silent).unwrap_err();
    assert!(matches!(error, RemoteError::Missing { missing: 1, first, .. } if first == unknown));
}

#[test]
fn only_what_is_new_is_sent_and_only_what_is_asked_for_comes() {
    let (memory, here, there) = (Arc::default(), Side::new(), Side::new());
    let files = small_files(1, 300);
    let all = here.add(&files);
    let share = remote(&memory);
    let first = share.push(&here.store, &[all], &Silent).unwrap();
    // Repacked together with what the remote has: most of the new pack is not needed.
    let elsewhere = Side::new();
    let writer = elsewhere.store.writer().unwrap();
    for content in files.iter().chain(&small_files(2, 30)) {
        writer.add(&mut &content[..], "test").unwrap();
    }
    writer.finish().unwrap();
    let more = elsewhere.add(&small_files(2, 30));
    let second = share.push(&elsewhere.store, &[more], &Silent).unwrap();
    assert!(second.bytes < first.bytes / 5, "{second:?} after {first:?}");
    // Of a pack of which little is wanted, little is read.
    let one = here.add(&files[..5]);
    share.push(&here.store, &[one], &Silent).unwrap();
    *lock(&memory.read) = 0;
    let pulled = remote(&memory).pull(&there.store, &[one], &Silent).unwrap();
    there.check(&one);
    assert!(pulled.bytes < first.bytes / 10, "{pulled:?} of {first:?}");
    let index_bytes: u64 = memory.names(INDEXES).iter().map(|name| lock(&memory.objects)[name].len() as u64).sum();
    assert!(*lock(&memory.read) < index_bytes + first.bytes / 10);
}

#[test]
fn a_push_that_is_cut_off_shows_nothing_half_and_goes_on() {
    let here = Side::new();
    let artifacts = [here.add(&small_files(1, 40)), here.add(&[noise(2, 9 << 20)])];
    let packs = here.store.packs().unwrap().len();
    let mut cuts = 0;
    for answered in 0.. {
        let memory: Arc<Memory> = Arc::default();
        memory.answer(Some(answered));
        let outcome = remote(&memory).push(&here.store, &artifacts, &Silent);
        let arrived = memory.names(PACKS).len();
        memory.answer(None);
        let share = remote(&memory);
        if !memory.names(INDEXES).is_empty() {
            assert_eq!(arrived, packs, "an index is published after its packs");
        }
        for artifact in &artifacts {
            assert_eq!(share.has(&here.store, artifact).unwrap(), !memory.names(INDEXES).is_empty());
        }
        memory.answer(None);
        share.push(&here.store, &artifacts, &Silent).unwrap();
        assert_eq!(memory.written(PACKS), packs - arrived, "what arrived is not sent again");
        let there = Side::new();
        remote(&memory).pull(&there.store, &artifacts, &Silent).unwrap();
        artifacts.iter().for_each(|artifact| there.check(artifact));
        if outcome.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 8, "{cuts}");
}

#[test]
fn a_pull_that_is_cut_off_keeps_what_arrived_and_goes_on() {
    let (memory, here): (Arc<Memory>, _) = (Arc::default(), Side::new());
    let artifacts = [here.add(&small_files(1, 40)), here.add(&[noise(2, 9 << 20)])];
    remote(&memory).push(&here.store, &artifacts, &Silent).unwrap();
    let mut arrived = Vec::new();
    for answered in 0.. {
        let there = Side::new();
        memory.answer(Some(answered));
        let outcome = remote(&memory).pull(&there.store, &artifacts, &Silent);
        memory.answer(None);
        let before = there.store.packs().unwrap();
        before.iter().for_each(|pack| assert_eq!(there.store.check_pack(&pack.id).unwrap(), []));
        arrived.push(before.len());
        let pulled = remote(&memory).pull(&there.store, &artifacts, &Silent).unwrap();
        assert_eq!(pulled.packs + before.len(), here.store.packs().unwrap().len());
        artifacts.iter().for_each(|artifact| there.check(artifact));
        if outcome.is_ok() {
            break;
        }
    }
    arrived.dedup();
    assert_eq!(arrived, (0..=here.store.packs().unwrap().len()).collect::<Vec<_>>());
}

#[test]
fn requests_that_fail_for_a_while_are_made_again() {
    let (memory, here, there): (Arc<Memory>, _, _) = (Arc::default(), Side::new(), Side::new());
    let artifact = here.add(&small_files(1, 40));
    memory.is_shaky.store(true, Ordering::SeqCst);
    remote(&memory).push(&here.store, &[artifact], &Silent).unwrap();
    remote(&memory).pull(&there.store, &[artifact], &Silent).unwrap();
    there.check(&artifact);
}

#[test]
fn what_a_collector_is_about_to_remove_is_sent_again() {
    let (memory, here): (Arc<Memory>, _) = (Arc::default(), Side::new());
    let (artifact, other) = (here.add(&small_files(1, 10)), here.add(&small_files(2, 3)));
    remote(&memory).push(&here.store, &[artifact], &Silent).unwrap();
    for round in 0..3 {
        let packs = memory.names(PACKS);
        for name in &packs {
            let doomed = doomed_name(&layout::pack_of(name).unwrap());
            lock(&memory.objects).insert(doomed, Bytes::new());
        }
        // In the second round the collector has just marked what this sent, in the third it marks what it is sending.
        memory.dooms_next.store(round == 2, Ordering::SeqCst);
        remote(&memory).push(&here.store, &[artifact, other], &Silent).unwrap();
        memory.collect();
        assert!(packs.iter().all(|pack| !memory.names(PACKS).contains(pack)), "others under other names");
        let there = Side::new();
        remote(&memory).pull(&there.store, &[artifact, other], &Silent).unwrap();
        there.check(&artifact);
        there.check(&other);
    }
}

#[test]
fn litter_that_is_about_to_be_removed_is_not_counted_on() {
    let (memory, here): (Arc<Memory>, _) = (Arc::default(), Side::new());
    let artifact = here.add(&small_files(1, 10));
    let pack = here.store.packs().unwrap().remove(0);
    lock(&memory.objects).insert(pack_name(&pack.id), std::fs::read(&pack.path).unwrap().into());
    lock(&memory.objects).insert(doomed_name(&pack.id), Bytes::new());
    remote(&memory).push(&here.store, &[artifact], &Silent).unwrap();
    memory.collect();
    let there = Side::new();
    remote(&memory).pull(&there.store, &[artifact], &Silent).unwrap();
    there.check(&artifact);
}

#[test]
fn a_pack_that_is_cut_short_at_the_place_is_sent_again() {
    let (memory, here): (Arc<Memory>, _) = (Arc::default(), Side::new());
    let artifact = here.add(&small_files(1, 10));
    let pack = here.store.packs().unwrap().remove(0);
    lock(&memory.objects).insert(pack_name(&pack.id), Bytes::from_static(b"half"));
    assert_eq!(remote(&memory).push(&here.store, &[artifact], &Silent).unwrap().packs, 1);
    let there = Side::new();
    remote(&memory).pull(&there.store, &[artifact], &Silent).unwrap();
    there.check(&artifact);
}

#[test]
fn damage_is_not_spread() {
    let (memory, here): (Arc<Memory>, _) = (Arc::default(), Side::new());
    let artifact = here.add(&small_files(1, 3));
    let pack = here.store.packs().unwrap().remove(0);
    let mut bytes = std::fs::read(&pack.path).unwrap();
    bytes[60] ^= 1;
    files::publish(&pack.path, &bytes, files::Durability::Buffered).unwrap();
    let error = remote(&memory).push(&Store::open(here.store.root()).unwrap(), &[artifact], &Silent).unwrap_err();
    assert!(matches!(error, RemoteError::Damaged { .. } | RemoteError::Store(_)), "{error}");
    assert!(memory.names(PACKS).is_empty() && memory.names(INDEXES).is_empty());
}

#[test]
fn damage_at_the_place_is_found_wherever_it_is() {
    let (memory, here): (Arc<Memory>, _) = (Arc::default(), Side::new());
    let files = small_files(1, 4);
    let (all, one) = (here.add(&files), here.add(&files[..1]));
    remote(&memory).push(&here.store, &[all, one], &Silent).unwrap();
    let good = lock(&memory.objects).clone();
    for (name, bytes) in good.iter().filter(|(name, _)| name.contains('/')) {
        for place in (0..bytes.len()).step_by(if name.contains("indexes") { 1 } else { 37 }) {
            let mut bad = bytes.to_vec();
            bad[place] ^= 1;
            lock(&memory.objects).insert(name.clone(), bad.into());
            for artifact in [all, one] {
                let there = Side::new();
                match remote(&memory).pull(&there.store, &[artifact], &Silent) {
                    // A part that was not asked for may be damaged.
                    Ok(_) => there.check(&artifact),
                    Err(RemoteError::Damaged { .. } | RemoteError::DamagedIndex { .. }) => {
                        there.store.packs().unwrap().iter().for_each(|pack| {
                            assert_eq!(there.store.check_pack(&pack.id).unwrap(), []);
                        });
                    }
                    Err(other) => panic!("byte {place} of {name}: {other}"),
                }
            }
        }
        lock(&memory.objects).insert(name.clone(), bytes.clone());
    }
    // An index that is damaged is mended by the next push of what it had.
    let index = memory.names(INDEXES).remove(0);
    lock(&memory.objects).insert(index, Bytes::from_static(b"damaged"));
    remote(&memory).push(&here.store, &[all, one], &Silent).unwrap();
    let there = Side::new();
    remote(&memory).pull(&there.store, &[all, one], &Silent).unwrap();
    there.check(&all);
}

#[test]
fn a_file_of_a_remote_is_read_in_parts_and_kept_nowhere() {
    let (memory, here, there): (Arc<Memory>, _, _) = (Arc::default(), Side::new(), Side::new());
    let large = noise(9, 3 << 20);
    let artifact = here.add(&[&small_files(1, 600)[..], std::slice::from_ref(&large)].concat());
    let share = remote(&memory);
    share.push(&here.store, &[artifact], &Silent).unwrap();
    let manifest = share.manifest(&there.store, &artifact).unwrap().unwrap();
    for (number, expected) in [(5, noise(1_000_005, 3000)), (600, large)] {
        *lock(&memory.read) = 0;
        let mut content = Vec::new();
        assert!(share.copy_file(&there.store, &manifest.entries()[number].digest, &mut content).unwrap());
        assert!(content == expected);
        assert!(*lock(&memory.read) < expected.len() as u64 + 10_000, "{}", *lock(&memory.read));
    }
    assert!(there.store.packs().unwrap().is_empty());
    assert!(!share.copy_file(&there.store, &Digest::of(b"nowhere"), &mut Vec::new()).unwrap());
    assert!(share.manifest(&there.store, &ArtifactId::from_bytes([1; 32])).unwrap().is_none());
}

#[test]
fn what_is_known_of_a_remote_is_cached_and_forgotten_with_it() {
    let (memory, here): (Arc<Memory>, _) = (Arc::default(), Side::new());
    let artifact = here.add(&small_files(1, 10));
    let cache = tempfile::tempdir().unwrap();
    let with_cache = || Remote { cache: Some(cache.path().to_path_buf()), ..remote(&memory) };
    with_cache().push(&here.store, &[artifact], &Silent).unwrap();
    with_cache().view().unwrap();
    memory.answer(None);
    *lock(&memory.read) = 0;
    assert!(with_cache().has(&here.store, &artifact).unwrap());
    assert_eq!(*lock(&memory.read), 0, "the index is not read again");
    let recalled = || Remote { is_recalled: true, ..with_cache() };
    memory.answer(Some(0));
    assert!(recalled().has(&here.store, &artifact).unwrap());
    memory.answer(None);
    lock(&memory.objects).clear();
    assert!(!with_cache().has(&here.store, &artifact).unwrap());
    assert!(!recalled().has(&here.store, &artifact).unwrap());
}

#[test]
fn a_folder_is_set_up_once_and_only_when_asked() {
    let (middle, here, there) = (tempfile::tempdir().unwrap(), Side::new(), Side::new());
    let settings = config::Remote::at(&format!("file://{}", middle.path().join("a remote").display()));
    let environment = Environment::default();
    let absent = Remote::open("share", &settings, &here.store, &environment).unwrap_err();
    assert!(matches!(absent, RemoteError::NoStore { .. }), "{absent}");
    let artifact = here.add(&small_files(1, 10));
    let share = Remote::create("share", &settings, &here.store, &environment).unwrap();
    share.push(&here.store, &[artifact], &Silent).unwrap();
    Remote::create("share", &settings, &here.store, &environment).unwrap();
    let share = Remote::open("share", &settings, &there.store, &environment).unwrap();
    share.pull(&there.store, &[artifact], &Silent).unwrap();
    there.check(&artifact);
    let recalled = Remote::recall("share", &settings, &there.store, &environment).unwrap();
    assert!(recalled.has(&there.store, &artifact).unwrap());
    let root = middle.path().join("a remote").join(ROOT);
    files::publish(&root, b"version = 2\n", files::Durability::Buffered).unwrap();
    let newer = Remote::open("share", &settings, &here.store, &environment).unwrap_err();
    assert!(matches!(newer, RemoteError::UnknownLayout { .. }), "{newer}");
}

#[test]
fn names_and_rates_are_checked() {
    for bad in ["", "-x", "a b", "a/b", "ü"] {
        assert!(check_name(bad).is_err(), "{bad:?}");
    }
    let rates = ["500000", "500k", "2MiB", "1.5 MB/s", "1g"].map(|text| parse_rate(text).unwrap());
    assert_eq!(rates, [500_000, 512_000, 2 << 20, 1_500_000, 1 << 30]);
    for bad in ["", "0", "-1", "k", "1x", "1e9", "NaN", "inf"] {
        assert_eq!(parse_rate(bad), None, "{bad}");
    }
    let settings = config::Remote { limit_rate: Some("fast".to_owned()), ..config::Remote::at("/x") };
    assert!(matches!(check_settings("x", &settings), Err(RemoteError::BadOption { .. })));
}
