//! Packs that were made to do harm: each is refused, quickly and without taking much memory.

use super::codec::Encoded;
use super::pack::{Header, Kind};
use super::*;

const KIND_CHUNK: Kind = Kind::Chunk;

/// An entry that says whatever it likes.
fn entry(kind: Kind, codec: u8, raw_len: u32, digest: Digest, stored: &[u8]) -> Encoded {
    let (stored_len, crc) = (stored.len() as u32, crc32fast::hash(stored));
    let header = Header { key: Key { kind, digest }, codec, raw_len, stored_len, crc };
    Encoded { header, stored: bytes::Bytes::copy_from_slice(stored) }
}

/// A pack of these entries with a footer that agrees with them.
fn pack_of(entries: &[Encoded]) -> Vec<u8> {
    let mut bytes = pack::MAGIC.to_vec();
    for entry in entries {
        bytes.extend_from_slice(&entry.header.to_bytes());
        bytes.extend_from_slice(&entry.stored);
    }
    bytes.extend_from_slice(&pack::footer(entries.iter().map(|entry| entry.header)).0);
    bytes
}

fn place(sandbox: &Sandbox, bytes: &[u8]) -> PackId {
    fs::create_dir_all(sandbox.path("packs")).unwrap();
    let draft = sandbox.path("packs/draft");
    fs::write(&draft, bytes).unwrap();
    let footer = pack::read_footer(&File::open(&draft).unwrap()).unwrap();
    let pack = footer.map_or(PackId::from_bytes(*Digest::of(bytes).as_bytes()), |footer| footer.pack_id);
    fs::rename(&draft, sandbox.path(&format!("packs/{pack}.pack"))).unwrap();
    pack
}

fn map(size: u64, records: &[(Digest, u32)]) -> Vec<u8> {
    let mut bytes = [&size.to_le_bytes()[..], &[0]].concat();
    for (digest, length) in records {
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    bytes
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

/// Entries that lie, each with the digest that it is asked for by.
fn lies() -> Vec<(&'static str, Vec<Encoded>, Digest)> {
    let wanted = Digest::of(b"wanted");
    let bomb = zstd(&vec![0; 64 << 20]);
    let honest = || entry(KIND_CHUNK, 0, 4, Digest::of(b"part"), b"part");
    let map_entry = |bytes: &[u8]| entry(Kind::Map, 0, bytes.len() as u32, wanted, bytes);
    let part = Digest::of(b"part");
    let mut lies = vec![
        ("other bytes", vec![entry(KIND_CHUNK, 0, 5, wanted, b"other")]),
        ("a bomb", vec![entry(KIND_CHUNK, 1, 1 << 20, wanted, &bomb)]),
        ("a frame that is shorter than it says", vec![entry(KIND_CHUNK, 1, 1 << 20, wanted, &zstd(b"wanted"))]),
        ("no frame", vec![entry(KIND_CHUNK, 1, 1 << 20, wanted, b"this is no frame")]),
        ("a codec nobody knows", vec![entry(KIND_CHUNK, 9, 6, wanted, b"wanted")]),
    ];
    let maps: [(&str, Vec<u8>); 7] = [
        ("a map of nothing", map(0, &[])),
        ("a map that is short of bytes", map(9, &[(part, 4)])),
        ("a map that has too many", map(4, &[(part, 4), (part, 4)])),
        ("a map of the largest file", map(u64::MAX, &[(part, u32::MAX), (part, u32::MAX)])),
        ("a map of empty chunks", map(4, &[(part, 0), (part, 4)])),
        ("a map of another file", map(8, &[(part, 4), (part, 4)])),
        ("a map that says another length", map(10, &[(part, 5), (part, 5)])),
    ];
    for (name, bytes) in maps {
        lies.push((name, vec![honest(), map_entry(&bytes)]));
    }
    let huge = zstd(&vec![0; 9 + 36 * 100_000]);
    let huge = entry(Kind::Map, 1, 9 + 36 * 100_000, wanted, &huge);
    lies.push(("a map that is a bomb", vec![honest(), huge]));
    let longer = zstd(&map(4, &[(part, 4); 50]));
    let longer = entry(Kind::Map, 1, 9 + 36 * 3, wanted, &longer);
    lies.push(("a map that is longer than it says", vec![honest(), longer]));
    lies.into_iter().map(|(name, entries)| (name, entries, wanted)).collect()
}

#[test]
fn an_entry_that_lies_is_an_error() {
    for (name, entries, wanted) in lies() {
        let sandbox = Sandbox::new();
        let pack = place(&sandbox, &pack_of(&entries));
        let store = sandbox.store();
        match store.read_to_vec(&wanted, 1 << 40) {
            Err(StoreError::Damaged { pack: named, .. }) => assert_eq!(named, pack, "{name}"),
            // Refused for its size, before it is read.
            Err(StoreError::Malformed { .. }) if name == "a map of the largest file" => {}
            other => panic!("{name}: {other:?}"),
        }
        // A map that is sound in itself can still be of another file: only reading that file shows it.
        let only_reading_shows = ["a map of another file", "a map that says another length"];
        let damages = store.check_pack(&pack).unwrap();
        assert_eq!(damages.is_empty(), only_reading_shows.contains(&name), "{name}: {damages:?}");
        let elsewhere = Sandbox::new();
        let imported = elsewhere.store().import_pack(&store.pack_path(&pack));
        assert_eq!(imported.is_ok(), only_reading_shows.contains(&name), "{name}");
        assert_eq!(elsewhere.drafts(), 0);
    }
}

/// Whatever a map names, itself included, reading it ends.
#[test]
fn a_map_that_names_itself_is_an_error() {
    let [first, second] = [b"first", b"other"].map(|name: &[u8; 5]| Digest::of(name));
    let of_form = |form: u8, size: u64, records: &[(Digest, u32)]| {
        let mut bytes = map(size, records);
        bytes[8] = form;
        bytes
    };
    let entry_of = |digest: Digest, bytes: &[u8]| entry(Kind::Map, 0, bytes.len() as u32, digest, bytes);
    for form in [0, 1] {
        let itself = entry_of(first, &of_form(form, 72, &[(first, 36), (first, 36)]));
        let to_second = entry_of(first, &of_form(form, 36, &[(second, 36)]));
        let to_first = entry_of(second, &of_form(form, 36, &[(first, 36)]));
        for entries in [vec![itself], vec![to_second, to_first]] {
            let sandbox = Sandbox::new();
            place(&sandbox, &pack_of(&entries));
            let store = sandbox.store();
            assert!(store.read_to_vec(&first, 1 << 40).is_err());
            assert!(!store.contains(&first).unwrap_or(false));
            let _ = store.packs_of(&first);
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_not_believed() {
    let mut bodies = Vec::new();
    for (kind, codec, raw_len, stored_len) in [
        (0u8, 0u8, u32::MAX, u32::MAX),
        (0, 1, (1 << 20) + 1, 10),
        (0, 0, 10, 9),
        (0, 1, 10, 11),
        (1, 1, u32::MAX, 10),
        (1, 0, 46, 46),
        (2, 0, 10, 10),
    ] {
        let mut header = [0; pack::HEADER_LEN];
        header[0] = kind;
        header[1] = codec;
        header[2..6].copy_from_slice(&raw_len.to_le_bytes());
        header[6..10].copy_from_slice(&stored_len.to_le_bytes());
        assert!(Header::parse(&header).is_err());
        bodies.push(header);
    }
    for header in bodies {
        let sandbox = Sandbox::new();
        let mut bytes = [&pack::MAGIC[..], &header, &[0; 100]].concat();
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(Digest::of(&header).as_bytes());
        bytes.extend_from_slice(&pack::END_MAGIC);
        let pack = place(&sandbox, &bytes);
        assert!(!sandbox.store().check_pack(&pack).unwrap().is_empty());
        sandbox.add(&[b"good"]);
        assert_eq!(read(&sandbox.store(), b"good").unwrap(), b"good");
    }
}

#[test]
fn a_footer_that_lies_is_not_believed() {
    for footer_len in [0, 45, 46 * 1000, u64::MAX, u64::MAX - 45, 1 << 40] {
        let sandbox = Sandbox::new();
        let honest = [entry(KIND_CHUNK, 0, 4, Digest::of(b"part"), b"part")];
        let mut bytes = pack_of(&honest);
        let place_of_len = bytes.len() - pack::TRAILER_LEN;
        bytes[place_of_len..place_of_len + 8].copy_from_slice(&footer_len.to_le_bytes());
        let pack = place(&sandbox, &bytes);
        assert_eq!(read(&sandbox.store(), b"part").unwrap(), b"part");
        assert_eq!(sandbox.store().check_pack(&pack).unwrap().len(), 1);
    }
}

#[test]
fn a_pack_under_a_false_name_is_noticed() {
    let sandbox = Sandbox::new();
    sandbox.add(&[b"good"]);
    let pack = sandbox.only_pack();
    let false_name = sandbox.path(&format!("{}.pack", "00".repeat(32)));
    fs::copy(&pack.path, &false_name).unwrap();
    let elsewhere = Sandbox::new();
    assert!(elsewhere.store().import_pack(&false_name).is_err());
    fs::copy(&pack.path, sandbox.path("copy")).unwrap();
    assert_eq!(elsewhere.store().import_pack(&sandbox.path("copy")).unwrap(), pack.id);
    assert_eq!(read(&elsewhere.store(), b"good").unwrap(), b"good");

    fs::copy(&pack.path, sandbox.path(&format!("packs/{}.pack", "00".repeat(32)))).unwrap();
    let damages = sandbox.store().check_pack(&PackId::from_bytes([0; 32])).unwrap();
    assert_eq!(damages.len(), 1);
    assert!(damages[0].problem.ends_with("and not its name"), "{damages:?}");
}

/// Many places that look like headers must not make the search for entries quadratic.
#[test]
fn the_search_for_entries_is_bounded() {
    let mut decoy = [1; 11];
    decoy[0] = 0;
    decoy[1] = 1;
    decoy[2..6].copy_from_slice(&(1u32 << 20).to_le_bytes());
    decoy[6..10].copy_from_slice(&(1u32 << 19).to_le_bytes());
    let bytes = [&pack::MAGIC[..], &[0xff; 46], &decoy.repeat(200_000)].concat();
    let sandbox = Sandbox::new();
    let pack = place(&sandbox, &bytes);
    let start = std::time::Instant::now();
    assert!(!sandbox.store().check_pack(&pack).unwrap().is_empty());
    assert!(start.elapsed() < Duration::from_secs(20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to a pack's bytes: no panic, and never wrong bytes.
    #[test]
    fn a_mangled_pack_gives_right_bytes_or_an_error(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let contents = [b"tiny".to_vec(), b"again and again ".repeat(30), b"third".to_vec()];
        let mut entries: Vec<Encoded> = contents.iter().map(|content| {
            codec::encode(Key { kind: KIND_CHUNK, digest: Digest::of(content) }, content.clone().into())
        }).collect();
        let joined = contents.concat();
        let records: Vec<_> = contents.iter().map(|content| (Digest::of(content), content.len() as u32)).collect();
        let key = Key { kind: Kind::Map, digest: Digest::of(&joined) };
        entries.push(codec::encode(key, map(joined.len() as u64, &records).into()));
        let mut bytes = pack_of(&entries);
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let sandbox = Sandbox::new();
        let pack = place(&sandbox, &bytes);
        let store = sandbox.store();
        store.check_pack(&pack).unwrap();
        for content in contents.iter().chain([&joined]) {
            if let Ok(bytes) = read(&store, content) {
                prop_assert_eq!(&bytes, content);
            }
            let _ = store.contains(&Digest::of(content));
            let _ = store.packs_of(&Digest::of(content));
        }
    }
}
