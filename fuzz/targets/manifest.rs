//! A manifest: what is accepted is written back as it was.
#![no_main]

use git_ml::store::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert_eq!(manifest.to_bytes(), bytes);
        for entry in manifest.entries() {
            let found = entry.path.as_ref().map(|path| manifest.find(path));
            assert!(found.is_none_or(|found| found == Some(entry)));
        }
    }
});
