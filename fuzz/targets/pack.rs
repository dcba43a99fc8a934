//! A pack from elsewhere: nothing panics, and what is read has the digest that it was asked for by.
#![no_main]

use git_ml::id::Digest;
use git_ml_fuzz::{Input, LIMIT, Pack, Place, pack, place_pack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    let pack = match input.byte() % 2 {
        0 => pack(&mut input),
        _ => Pack { bytes: input.0.to_vec(), digests: vec![Digest::of(b"")] },
    };
    let place = Place::new();
    drop(place.store("here"));
    place_pack(&place.path("here"), &pack.bytes);
    let (here, there) = (place.store("here"), place.store("there"));
    for info in here.packs().expect("the packs") {
        let damages = here.check_pack(&info.id).expect("the pack can be read");
        let imported = there.import_pack(&info.path);
        assert!(damages.is_empty() || imported.is_err(), "a damaged pack was taken in: {damages:?}");
    }
    for digest in &pack.digests {
        if let Ok(content) = here.read_to_vec(digest, LIMIT) {
            assert_eq!(Digest::of(&content), *digest, "wrong bytes were given out");
        }
        let _ = (here.contains(digest), here.packs_of(digest));
    }
});
