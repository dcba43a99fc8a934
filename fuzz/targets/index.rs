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

fuzz_target!(|bytes: &[u8]| {
    let (pack, id) = pack();
    let place = Place::new();
    drop(place.store("store"));
    let file = |name: String| -> PathBuf { place.path("store").join(name) };
    fs::write(file(format!("packs/{id}.pack")), pack).expect("the pack");

    let mut input = Input(bytes);
    let mut index = Vec::new();
    if input.byte() % 4 == 0 {
        index.extend_from_slice(input.0);
    } else {
        // One that agrees with itself, of the pack that is there, with records of contents that it has.
        let records: Vec<u8> = input
            .0
            .chunks_exact(58)
            .flat_map(|record| {
                let digest = Digest::of(CONTENTS[usize::from(record[1]) % 2]);
                [&record[..1], digest.as_bytes(), &[0; 4], &record[37..]].concat()
            })
            .collect();
        index.extend_from_slice(b"GMLINDX1");
        index.extend_from_slice(&1u32.to_le_bytes());
        index.extend_from_slice(&(records.len() as u64 / 58).to_le_bytes());
        index.extend((0..32).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("digits")));
        index.extend(records);
    }
    index.extend_from_slice(blake3::hash(&index).as_bytes());
    fs::write(file("index/chunks".to_owned()), &index).expect("the index");

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
