//! Bits flip at random places: every damage is found, and no wrong byte is given out.

use std::fs;
use std::path::PathBuf;

use super::disk;
use super::random::Random;
use super::rounds;
use super::work_tree::Play;
use crate::id::ArtifactId;
use crate::store::{Manifest, StoreError};
use crate::track::{Silent, State, Workspace};
use crate::verify::{Scope, Severity, verify};

#[test]
fn a_flipped_bit_is_found_and_never_read() {
    let mut random = Random::new(4);
    let play = Play::perform(&mut random);
    // With both versions of the folder in the store, checked out and tracked.
    let whole = &play.everything[play.everything.len() - 2];
    let below = |folder: &str| -> Vec<PathBuf> {
        let files =
            whole.iter().filter(|(_, content)| matches!(content, disk::Content::File(bytes) if !bytes.is_empty()));
        files.map(|(path, _)| path.clone()).filter(|path| path.starts_with(folder)).collect()
    };
    let packs = below(".git/ml/packs");
    let caches = [below(".git/ml/index"), below(".git/ml/stat-cache"), below(".git/ml/checked-out")].concat();
    assert!(packs.len() > 2 && caches.len() > 1, "{packs:?} {caches:?}");
    let there = tempfile::tempdir().unwrap();
    disk::write(whole, there.path());
    let manifests: Vec<(ArtifactId, Manifest)> = {
        let workspace = Workspace::discover(there.path()).unwrap();
        let pointers = workspace.pointers().unwrap();
        pointers.values().map(|pointer| (pointer.id, workspace.store.manifest(&pointer.id).unwrap())).collect()
    };
    assert_eq!(manifests.len(), 2);
    let (mut lost, mut named) = (0, 0);
    for round in 0..rounds(60) {
        let is_cache = round % 3 == 0;
        let hit = if is_cache { &caches } else { &packs };
        let hit = &hit[random.between(0, hit.len())];
        let path = there.path().join(hit);
        let Some(disk::Content::File(good)) = whole.get(hit) else { panic!("{hit:?} is no file") };
        let (place, bit) = (random.between(0, good.len()), random.between(0, 8));
        let mut bad = good.clone();
        bad[place] ^= 1 << bit;
        fs::write(&path, &bad).unwrap();
        println!("bit {bit} of byte {place} of {}", path.display());

        let workspace = Workspace::discover(there.path()).unwrap();
        let mut broken = 0;
        for entry in manifests.iter().flat_map(|(_, manifest)| manifest.entries()) {
            match workspace.store.read_to_vec(&entry.digest, u64::MAX) {
                Ok(bytes) => assert_eq!(crate::id::Digest::of(&bytes), entry.digest),
                Err(error) => {
                    broken += 1;
                    assert!(!is_cache, "a cache loses nothing: {error}");
                    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                }
            }
        }
        // A bit hits one chunk, which several files may have.
        lost += usize::from(broken > 0);
        let report = verify(&workspace, &Scope::All, true, &Silent).unwrap();
        let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        if is_cache {
            assert_eq!(errors, 0, "{:?}", report.findings);
            // One that was damaged is made anew.
            for status in workspace.status(&[]).unwrap().artifacts {
                assert_eq!(status.state, State::Clean);
            }
        } else {
            named += usize::from(errors > 0);
            assert!(errors > 0, "the damage is not found: {:?}", report.findings);
        }
        fs::write(&path, good).unwrap();
    }
    assert!(lost * 3 > rounds(60) && named >= lost, "most bits of a pack matter: {lost}");
}
