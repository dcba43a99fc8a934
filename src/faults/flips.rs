//! Bits flip at random places: every damage is found, and no wrong byte is given out.

use std::fs;
use std::path::{Path, PathBuf};

use super::disk;
use super::random::Random;
use super::rounds;
use super::work_tree::Play;
use crate::config;
use crate::id::ArtifactId;
use crate::remote::{Environment, Remote, RemoteError};
use crate::store::{Manifest, Store, StoreError};
use crate::track::{CheckoutOptions, Silent, State, Workspace};
use crate::upkeep::mend;
use crate::verify::{Depth, Request, Scope, Severity, verify};

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
        let report = verify(&workspace, &Request::of(Scope::All, Depth::Everything), &Silent).unwrap();
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

/// The remote in a folder.
fn remote_of(share: &Path, store: &Store) -> Result<Remote, RemoteError> {
    let settings = config::Remote::at(&format!("file://{}", share.display()));
    Remote::create("share", &settings, store, &Environment::default())
}

#[test]
fn a_flipped_bit_is_mended_from_a_copy_and_one_on_a_remote_is_never_taken_in() {
    let mut random = Random::new(10);
    let play = Play::perform(&mut random);
    let whole = &play.everything[play.everything.len() - 2];
    let (here, share) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    disk::write(whole, here.path());
    let workspace = Workspace::discover(here.path()).unwrap();
    let artifacts: Vec<ArtifactId> = workspace.pointers().unwrap().values().map(|pointer| pointer.id).collect();
    remote_of(share.path(), &workspace.store).unwrap().push(&workspace.store, &artifacts, &Silent).unwrap();
    let there = disk::read(share.path(), &|_| false);
    let files = |files: &disk::Files, folder: &str| -> Vec<PathBuf> {
        let is_file = |content: &disk::Content| matches!(content, disk::Content::File(bytes) if !bytes.is_empty());
        let found = files.iter().filter(|(path, content)| path.starts_with(folder) && is_file(content));
        found.map(|(path, _)| path.clone()).collect()
    };
    let (objects, packs) = (files(&there, ""), files(whole, ".git/ml/packs"));
    assert!(objects.len() > 4 && packs.len() > 2, "{objects:?} {packs:?}");
    let mut flip = |good: &[u8]| {
        let (place, bit) = (random.between(0, good.len()), random.between(0, 8));
        let mut bad = good.to_vec();
        bad[place] ^= 1 << bit;
        (bad, format!("bit {bit} of byte {place}"))
    };
    let bytes_of = |files: &disk::Files, path: &Path| match files.get(path) {
        Some(disk::Content::File(bytes)) => bytes.clone(),
        other => panic!("{} is {other:?}", path.display()),
    };
    for round in 0..rounds(40) {
        if round % 2 == 0 {
            // One on the remote: a fresh clone takes in nothing that is wrong, and knows when it does not have all.
            let hit = &objects[round / 2 % objects.len()];
            let good = bytes_of(&there, hit);
            let (bad, place) = flip(&good);
            println!("{place} of {} on the remote", hit.display());
            fs::write(share.path().join(hit), bad).unwrap();
            let fresh = tempfile::tempdir().unwrap();
            let store = Store::open(fresh.path()).unwrap();
            let pulled =
                remote_of(share.path(), &store).and_then(|remote| remote.pull(&store, &artifacts, &Silent).map(drop));
            let are_whole = artifacts.iter().all(|id| {
                let Ok(manifest) = store.manifest(id) else { return false };
                manifest.entries().iter().all(|entry| match store.read_to_vec(&entry.digest, u64::MAX) {
                    Ok(bytes) => crate::id::Digest::of(&bytes) == entry.digest || panic!("a wrong byte was read"),
                    Err(StoreError::Missing { .. }) => false,
                    Err(error) => panic!("damage was taken in: {error}"),
                })
            });
            assert_eq!(pulled.is_ok(), are_whole, "{pulled:?}");
            assert!(!hit.starts_with("packs") || pulled.is_err(), "the damage in a pack is not found");
            // With the object as it was, the same pull goes on.
            fs::write(share.path().join(hit), good).unwrap();
            remote_of(share.path(), &store).unwrap().pull(&store, &artifacts, &Silent).unwrap();
        } else {
            // One in a pack here: it is mended from the remote, whatever it hit.
            let hit = &packs[round / 2 % packs.len()];
            let (bad, place) = flip(&bytes_of(whole, hit));
            println!("{place} of {} here", hit.display());
            let scratch = tempfile::tempdir().unwrap();
            disk::write(whole, scratch.path());
            // Without the work tree's files, only the remote has another copy.
            fs::remove_dir_all(scratch.path().join("data/x")).unwrap();
            fs::write(scratch.path().join(hit), bad).unwrap();
            let workspace = Workspace::discover(scratch.path()).unwrap();
            let remote = remote_of(share.path(), &workspace.store).unwrap();
            let mended = mend(&workspace, true, &[remote], &Silent).unwrap();
            assert_eq!((&mended.lost[..], mended.salvaged.len()), (&[][..], 1), "{mended:?}");
            let report = verify(&workspace, &Request::of(Scope::All, Depth::Everything), &Silent).unwrap();
            let errors: Vec<_> = report.findings.iter().filter(|it| it.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{errors:?}");
            workspace.checkout(&[], CheckoutOptions::default(), &Silent).unwrap();
            let found = disk::read(scratch.path(), &|path| path.starts_with(".git"));
            let expected = disk::read(here.path(), &|path| path.starts_with(".git"));
            assert_eq!(disk::differing(&found, &expected), Vec::<PathBuf>::new());
        }
    }
}
