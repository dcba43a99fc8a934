//! An index that is not as it was written: it leads to right bytes or nowhere, and to right bytes once it is made anew.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use git_ml::id::Digest;
use git_ml::store::Store;
use git_ml_fuzz::{Input, LIMIT, Place};
use libfuzzer_sys::fuzz_target;

const CONTENTS: [&[u8]; 2] = [b"a small file", &[7; 70_000]];

/// A pack that is good, and its id.
fn pack() -> &'static (Vec<u8>, String) {
    static PACK: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    PACK.get_or_init(|| {
        let place = Place::new();
        let store = place.store("made");
        let writer = store.writer().expect("a writer");
        for content in CONTENTS {
            writer.add(&mut &*content, "it").expect("it is added");
        }
        writer.finish().expect("it is written");
        let pack = store.packs().expect("the packs").remove(0);
        (fs::read(&pack.path).expect("the pack"), pack.id.to_string())
    })
}

/// Bytes of a record.
const RECORD: usize = 58;

/// What the digest of an index covers.
fn without_records(index: &[u8]) -> Vec<u8> {
    let mut head = Input(index.get(8..).unwrap_or_default());
    let (packs, records) = (head.number(4) as usize, head.number(4) as usize);
    let start = index.len().min(packs.saturating_mul(32).saturating_add(17));
    let end = index.len().min(records.saturating_mul(RECORD).saturating_add(start));
    [&index[..start], &index[end..]].concat()
}

fuzz_target!(|bytes: &[u8]| {
    let (pack, id) = pack();
    let place = Place::new();
    drop(place.store("store"));
    let file = |name: String| -> PathBuf { place.path("store").join(name) };
    fs::write(file(format!("packs/{id}.pack")), pack).expect("the pack");

    let mut input = Input(bytes);
    let index = match input.byte() % 4 {
        0 => input.0.to_vec(),
        // One that agrees with itself, of the pack that is there, with records of contents that it has.
        _ => {
            let records: Vec<u8> = input
                .0
                .chunks_exact(RECORD)
                .flat_map(|record| {
                    let digest = Digest::of(CONTENTS[usize::from(record[0]) % 2]);
                    [digest.as_bytes(), &record[32..33], &[0; 4], &record[37..]].concat()
                })
                .collect();
            let count = (records.len() / RECORD) as u32;
            let pack_id = (0..32).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("digits"));
            let (pack_count, buckets) = (1u32.to_le_bytes(), [0]);
            let mut index = [&b"GMLINDX2"[..], &pack_count, &count.to_le_bytes(), &buckets].concat();
            index.extend(pack_id);
            index.extend_from_slice(&records);
            index.extend_from_slice(&count.to_le_bytes());
            index.extend_from_slice(&crc32fast::hash(&records).to_le_bytes());
            index
        }
    };
    let digest = blake3::hash(&without_records(&index));
    let name = digest.to_hex();
    fs::write(file(format!("index/{name}.index")), [&index[..], digest.as_bytes()].concat()).expect("the index");

    let check = |store: &Store, has_to_be_there: bool| {
        for content in CONTENTS {
            let digest = Digest::of(content);
            let _ = (store.contains(&digest), store.packs_of(&digest));
            match store.read_to_vec(&digest, LIMIT) {
                Ok(bytes) => assert_eq!(bytes, content, "wrong bytes were given out"),
                Err(error) => assert!(!has_to_be_there, "{error}"),
            }
        }
    };
    let store = place.store("store");
    check(&store, false);
    store.rebuild_index().expect("the index is made anew");
    check(&store, true);
});
