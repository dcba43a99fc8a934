//! Tests of the store as a whole.
#![allow(clippy::disallowed_methods, reason = "tests damage files on purpose")]

mod damage;
mod hostile;
mod prune;
mod sharing;

use std::io::Read;

use proptest::prelude::*;

use super::*;

/// Bytes that do not compress, the same for the same seed.
pub(super) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A store in a folder of its own.
struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// The store, as another process would open it.
    fn store(&self) -> Store {
        Store::open(self.folder.path()).unwrap()
    }

    /// Adds contents with a writer of their own.
    fn add(&self, contents: &[&[u8]]) -> Written {
        let store = self.store();
        let writer = store.writer().unwrap();
        for content in contents {
            writer.add(&mut &**content, "it").unwrap();
        }
        writer.finish().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The one pack there is.
    fn only_pack(&self) -> PackInfo {
        let mut packs = self.store().packs().unwrap();
        assert_eq!(packs.len(), 1);
        packs.remove(0)
    }

    fn drafts(&self) -> usize {
        self.store().leftovers().unwrap().len()
    }
}

fn read(store: &Store, content: &[u8]) -> Result<Vec<u8>, StoreError> {
    store.read_to_vec(&Digest::of(content), u64::MAX)
}

fn assert_all_good(store: &Store) {
    for pack in store.packs().unwrap() {
        assert_eq!(store.check_pack(&pack.id).unwrap(), []);
    }
}

/// Fails after some bytes, as a disk does.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.min(buffer.len());
        if count == 0 {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.0 -= count;
        buffer[..count].fill(b'x');
        Ok(count)
    }
}

#[test]
fn what_is_added_reads_back() {
    let sandbox = Sandbox::new();
    let contents = [b"".to_vec(), b"small".to_vec(), noise(1, 20_000), noise(2, 3 << 20), vec![7; 1 << 20]];
    let store = sandbox.store();
    let writer = store.writer().unwrap();
    for content in &contents {
        let added = writer.add(&mut &content[..], "it").unwrap();
        assert_eq!(added, (Digest::of(content), content.len() as u64));
        assert!(!store.contains(&added.0).unwrap(), "before `finish`");
    }
    writer.finish().unwrap();
    for (store, content) in
        [&store, &sandbox.store()].into_iter().flat_map(|store| contents.iter().map(move |it| (store, it)))
    {
        let digest = Digest::of(content);
        assert!(store.contains(&digest).unwrap());
        assert_eq!(store.read(&digest).unwrap().size(), content.len() as u64);
        assert!(read(store, content).unwrap() == *content);
        let mut copied = Vec::new();
        assert_eq!(copy(store, &digest, Proof::Chunks, &mut copied).unwrap(), content.len() as u64);
        assert!(copied == *content);
    }
    let pack = sandbox.only_pack();
    assert_eq!(store.check_pack(&pack.id).unwrap(), []);
    assert_eq!(store.packs_of(&Digest::of(&contents[3])).unwrap(), [pack.id]);
    assert!(store.keys_of(&Digest::of(&contents[3])).unwrap().len() > 20);
    let small = Key { kind: Kind::Chunk, digest: Digest::of(b"small") };
    assert_eq!(store.keys_of(&small.digest).unwrap(), [small]);
}

#[test]
fn content_is_kept_once() {
    let sandbox = Sandbox::new();
    let large = noise(1, 1 << 20);
    let first = sandbox.add(&[b"one", &large, b"one", &large]);
    assert_eq!(first.stored_bytes, sandbox.only_pack().bytes);
    assert_eq!(first.new_chunks, sandbox.store().keys_of(&Digest::of(&large)).unwrap().len() as u64);
    assert_eq!(sandbox.add(&[b"one", &large]), Written::default());
    assert_eq!(sandbox.store().packs().unwrap().len(), 1);
    // A file that shares all but its end adds its end and its map.
    let longer = [&large[..], b"and an end"].concat();
    let second = sandbox.add(&[&longer]);
    assert!(second.new_chunks <= 2 && second.stored_bytes < 300_000, "{second:?}");
    assert!(read(&sandbox.store(), &longer).unwrap() == longer);
}

#[test]
fn compression_is_used_where_it_pays() {
    let sandbox = Sandbox::new();
    let text = "all work and no play makes a dull boy\n".repeat(50_000);
    assert!(sandbox.add(&[text.as_bytes()]).stored_bytes < text.len() as u64 / 50);
    let random = noise(9, 1 << 20);
    let stored = sandbox.add(&[&random]).stored_bytes;
    assert!(stored > 1 << 20 && stored < (1 << 20) + 4096, "{stored}");
}

#[test]
fn an_artifact_is_its_manifest() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let writer = store.writer().unwrap();
    let entry = |name: &str, content: &[u8]| {
        let path = Some(files::RelPath::new(name).unwrap());
        let (digest, size) = writer.add(&mut &content[..], name).unwrap();
        Entry { path, mode: Mode::File, size, digest }
    };
    let manifest = Manifest::new(vec![entry("b", b"bee"), entry("a/a", b"ay")]).unwrap();
    let artifact = writer.add_manifest(&manifest).unwrap();
    assert_eq!(artifact, manifest.id());
    writer.finish().unwrap();
    assert!(store.has_artifact(&artifact).unwrap());
    assert_eq!(store.manifest(&artifact).unwrap(), manifest);

    let elsewhere = Sandbox::new();
    let store = elsewhere.store();
    assert!(!store.has_artifact(&artifact).unwrap());
    assert!(matches!(store.manifest(&artifact), Err(StoreError::Missing { .. })));
    elsewhere.add(&[&manifest.to_bytes(), b"bee", b"not a manifest"]);
    assert!(!store.has_artifact(&artifact).unwrap(), "a file is missing");
    elsewhere.add(&[b"ay"]);
    assert!(store.has_artifact(&artifact).unwrap());
    let wrong = ArtifactId::from_bytes(*Digest::of(b"not a manifest").as_bytes());
    let error = store.manifest(&wrong).unwrap_err().to_string();
    assert_eq!(error, format!("the manifest of {wrong} is not valid: its first line is not `git-ml manifest 1`"));
}

#[test]
fn a_limit_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.add(&[b"12345"]);
    let store = sandbox.store();
    assert_eq!(store.read_to_vec(&Digest::of(b"12345"), 5).unwrap(), b"12345");
    let error = store.read_to_vec(&Digest::of(b"12345"), 4).unwrap_err().to_string();
    assert!(error.ends_with("it has 5 bytes, more than the 4 that are allowed here"), "{error}");
}

#[test]
fn an_input_that_fails_costs_that_file_only() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let writer = store.writer().unwrap();
    let large = noise(1, 1 << 20);
    for good in [10, 3 << 20] {
        let error = writer.add(&mut Broken(good), "data/x").unwrap_err();
        assert!(matches!(&error, StoreError::Read { what, .. } if what == "data/x"), "{error:?}");
        writer.add(&mut &large[..], "it").unwrap();
    }
    writer.finish().unwrap();
    assert!(read(&store, &large).unwrap() == large);
    assert_eq!(store.check_pack(&sandbox.only_pack().id).unwrap(), []);
}

#[test]
fn everybody_learns_what_broke_a_writer() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let writer = store.writer().unwrap();
    // What a full disk does, but for the text: no draft can be made.
    fs::remove_dir(sandbox.path("packs")).unwrap();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let writer = &writer;
            scope.spawn(move || {
                // More than may be on its way, so that adding meets the failure however late the threads are.
                let size = if number % 2 == 0 { 1000 } else { 40 << 20 };
                let error = writer.add(&mut &noise(number, size)[..], "it").unwrap_err();
                assert!(matches!(&error, StoreError::File(error) if error.path.ends_with("packs")), "{error:?}");
            });
        }
    });
    assert!(matches!(writer.finish(), Err(StoreError::File(_))));
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let writer = store.writer().unwrap();
    writer.add(&mut &noise(1, 6 << 20)[..], "it").unwrap();
    assert!(sandbox.drafts() > 0);
    drop(writer);
    assert_eq!(sandbox.drafts(), 0);
    assert_eq!(store.packs().unwrap(), []);
    assert!(!store.contains(&Digest::of(b"")).unwrap());
}

#[test]
fn large_content_fills_several_packs() {
    let sandbox = Sandbox::new();
    let large = noise(5, 9 << 20);
    sandbox.add(&[&large]);
    let store = sandbox.store();
    let packs = store.packs().unwrap();
    assert_eq!(packs.len(), 3);
    assert!(packs.iter().all(|pack| pack.bytes < 5 << 20));
    assert!(read(&store, &large).unwrap() == large);
    assert_eq!(store.packs_of(&Digest::of(&large)).unwrap(), packs.iter().map(|pack| pack.id).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Files of any sizes, with parts in common, from several threads.
    #[test]
    fn any_files_read_back(files in proptest::collection::vec((0u64..3, 0usize..400_000, 0usize..400_000), 1..6)) {
        let sandbox = Sandbox::new();
        let pool = noise(1, 1 << 20);
        let contents: Vec<Vec<u8>> = files.iter().map(|&(seed, start, len)| {
            [&noise(seed, 1000)[..], &pool[start..start + len]].concat()
        }).collect();
        let store = sandbox.store();
        let writer = store.writer().unwrap();
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| writer.add(&mut &content[..], "it").unwrap());
            }
        });
        writer.finish().unwrap();
        for content in &contents {
            prop_assert!(read(&store, content).unwrap() == *content);
        }
        assert_all_good(&store);
    }
}
