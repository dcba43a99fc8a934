//! Tests of the store as a whole.
#![allow(clippy::disallowed_methods, reason = "tests damage files on purpose")]

use super::*;

/// Bytes that do not compress, the same for the same seed.
pub(super) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn what_is_added_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let contents = [b"".to_vec(), b"small".to_vec(), noise(1, 20_000), noise(2, 3 << 20), vec![7; 1 << 20]];
    let writer = store.writer().unwrap();
    for content in &contents {
        let added = writer.add(&mut &content[..], "it").unwrap();
        assert_eq!(added, (Digest::of(content), content.len() as u64));
    }
    writer.finish().unwrap();
    for content in &contents {
        let digest = Digest::of(content);
        assert!(store.contains(&digest).unwrap());
        assert!(store.read_to_vec(&digest, u64::MAX).unwrap() == *content);
    }
    for pack in store.packs().unwrap() {
        assert_eq!(store.check_pack(&pack.id).unwrap(), []);
    }
}
