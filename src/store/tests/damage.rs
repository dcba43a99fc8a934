//! Damaged packs and indexes.

use std::collections::HashSet;

use super::*;

fn flip(path: &Path, place: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place as usize] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

#[test]
fn any_flipped_byte_of_a_pack_is_found_and_named() {
    let sandbox = Sandbox::new();
    // The second compresses, the third has a map.
    let contents = [b"tiny".to_vec(), b"again and again ".repeat(30), vec![0; 300_000]];
    sandbox.add(&contents.each_ref().map(Vec::as_slice));
    let pack = sandbox.only_pack();
    let good = fs::read(&pack.path).unwrap();
    let entries = pack::read_entries(&File::open(&pack.path).unwrap()).unwrap();
    assert_eq!(entries.len(), 5);
    let mut lost = 0;
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1 << (place % 8);
        fs::write(&pack.path, &bad).unwrap();
        let store = sandbox.store();
        let damages = store.check_pack(&pack.id).unwrap();
        let begins = |entry: &&pack::PackEntry| entry.offset - pack::HEADER_LEN as u64 <= place as u64;
        let hit = entries.iter().rfind(begins).filter(|entry| (place as u64) < entry.range().end);
        let content = hit.map(|entry| entry.header.key.digest);
        assert_eq!(damages.len(), 1, "byte {place}: {damages:?}");
        assert_eq!((damages[0].pack, damages[0].content), (pack.id, content), "byte {place}");
        // Whatever was hit, what is read is right or an error, and the others can be read.
        index::remove_segments(&sandbox.path("index")).unwrap();
        let broken = contents.iter().filter(|content| match read(&store, content) {
            Ok(bytes) => {
                assert!(bytes == **content);
                false
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { pack: named, .. } if named == pack.id), "{error}");
                true
            }
        });
        let in_bytes = hit.is_some_and(|entry| entry.offset <= place as u64);
        // A frame of zstd has bits that mean nothing: changing one is damage, but loses nothing.
        let broken = broken.count();
        assert!(broken <= usize::from(in_bytes), "byte {place}");
        lost += broken;
    }
    assert!(lost > 40, "{lost}");
}

#[test]
fn damage_stays_with_what_it_hit() {
    let sandbox = Sandbox::new();
    let (left, right) = (noise(1, 500_000), noise(2, 500_000));
    sandbox.add(&[&left, &right]);
    let pack = sandbox.only_pack();
    flip(&pack.path, 50_000);
    let store = sandbox.store();
    let mut reader = store.read(&Digest::of(&left)).unwrap();
    let mut read_before = Vec::new();
    let error = reader.read_to_end(&mut read_before).unwrap_err();
    assert!(left.starts_with(&read_before));
    // What failed once does not look like the end afterwards.
    assert!(reader.read(&mut [0; 10]).is_err());
    let error = StoreError::from_io(error).unwrap();
    let chunks: HashSet<Digest> = store.keys_of(&Digest::of(&left)).unwrap().iter().map(|key| key.digest).collect();
    let damages = store.check_pack(&pack.id).unwrap();
    assert_eq!(damages.len(), 1);
    let chunk = damages[0].content.unwrap();
    assert!(chunks.contains(&chunk));
    let problem = format!("chunk {chunk} has bytes that do not match its digest");
    assert_eq!(error.to_string(), format!("pack {} is damaged: {problem}", pack.id));
    assert!(read(&store, &right).unwrap() == right);
}

#[test]
fn a_good_copy_serves_where_another_is_damaged() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    let content = noise(1, 100_000);
    here.add(&[&content, b"here"]);
    there.add(&[&content, b"there"]);
    let (first, second) = (here.only_pack(), there.only_pack());
    assert_eq!(here.store().import_pack(&second.path).unwrap(), second.id);
    for pack in [&first.id, &second.id] {
        let path = here.store().pack_path(pack);
        let good = fs::read(&path).unwrap();
        (60..99_000).step_by(5000).for_each(|place| flip(&path, place));
        assert!(!here.store().check_pack(pack).unwrap().is_empty());
        assert!(read(&here.store(), &content).unwrap() == content);
        let mut copied = Vec::new();
        copy(&here.store(), &Digest::of(&content), Proof::Chunks, &mut copied).unwrap();
        assert!(copied == content);
        fs::write(&path, good).unwrap();
    }
}

#[test]
fn a_copy_that_proves_the_whole_alone_never_takes_damage_for_the_file() {
    let sandbox = Sandbox::new();
    let content = noise(1, 100_000);
    sandbox.add(&[&content]);
    let pack = sandbox.only_pack();
    let good = fs::read(&pack.path).unwrap();
    for place in (60..99_000).step_by(3001) {
        flip(&pack.path, place);
        let error = copy(&sandbox.store(), &Digest::of(&content), Proof::Whole, &mut io::sink()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { pack: named, .. } if named == pack.id), "{error}");
        fs::write(&pack.path, &good).unwrap();
    }
}

#[test]
fn a_pack_with_a_damaged_footer_still_serves() {
    let sandbox = Sandbox::new();
    let contents = [b"one".to_vec(), noise(2, 400_000), b"".to_vec(), b"last".to_vec()];
    sandbox.add(&contents.each_ref().map(Vec::as_slice));
    let pack = sandbox.only_pack();
    let good = fs::read(&pack.path).unwrap();
    let footer_start = pack::read_entries(&File::open(&pack.path).unwrap()).unwrap().last().unwrap().range().end;
    for cut in [good.len() - 1, good.len() - 30, footer_start as usize + 70, footer_start as usize] {
        fs::write(&pack.path, &good[..cut]).unwrap();
        sandbox.store().rebuild_index().unwrap();
        let store = sandbox.store();
        for content in &contents {
            assert!(read(&store, content).unwrap() == *content, "cut to {cut}");
        }
        let damages = store.check_pack(&pack.id).unwrap();
        assert!(!damages.is_empty() && damages.iter().all(|damage| damage.content.is_none()), "{damages:?}");
    }
    // The footer and one entry's header: what lies behind is found again.
    let mut bad = good[..footer_start as usize].to_vec();
    bad[pack::MAGIC.len() + pack::HEADER_LEN + 3 + 8] ^= 0xff;
    fs::write(&pack.path, &bad).unwrap();
    sandbox.store().rebuild_index().unwrap();
    assert_eq!(read(&sandbox.store(), b"last").unwrap(), b"last");
    assert_eq!(read(&sandbox.store(), b"one").unwrap(), b"one");
}

#[test]
fn a_pack_that_cannot_be_read_does_not_take_the_others_with_it() {
    let sandbox = Sandbox::new();
    sandbox.add(&[b"good"]);
    for name in ["00".repeat(32), "11".repeat(32)] {
        fs::write(sandbox.path(&format!("packs/{name}.pack")), &noise(1, name.len() * 10)[..]).unwrap();
    }
    fs::write(sandbox.path(&format!("packs/{}.pack", "22".repeat(32))), b"").unwrap();
    fs::create_dir(sandbox.path(&format!("packs/{}.pack", "33".repeat(32)))).unwrap();
    fs::write(sandbox.path("packs/notes.txt"), b"not a pack").unwrap();
    fs::write(sandbox.path("packs/short.pack"), b"not a pack").unwrap();
    let store = sandbox.store();
    assert_eq!(read(&store, b"good").unwrap(), b"good");
    assert!(matches!(read(&store, b"bad"), Err(StoreError::Missing { .. })));
    sandbox.add(&[b"more"]);
    assert_eq!(read(&store, b"more").unwrap(), b"more");
    for pack in store.packs().unwrap().iter().filter(|pack| pack.id.short() != "33333333") {
        let is_bad = ["00000000", "11111111", "22222222"].contains(&pack.id.short().as_str());
        assert_eq!(!store.check_pack(&pack.id).unwrap().is_empty(), is_bad, "{pack:?}");
    }
}

#[test]
fn the_index_is_a_cache() {
    let sandbox = Sandbox::new();
    let content = noise(1, 200_000);
    sandbox.add(&[&content, b"a"]);
    let segments = || index::segment_files(&sandbox.path("index"));
    let [path] = &segments()[..] else { panic!("{:?}", segments()) };
    let good = fs::read(path).unwrap();
    // Missing, empty, cut, flipped.
    fs::remove_file(path).unwrap();
    assert!(read(&sandbox.store(), &content).unwrap() == content);
    assert!(fs::read(path).unwrap() == good, "it was made again");
    for bad in [Vec::new(), good[..50].to_vec(), [&good[..60], &[0xff; 8], &good[68..]].concat()] {
        fs::write(path, bad).unwrap();
        let store = sandbox.store();
        assert!(store.contains(&Digest::of(&content)).unwrap());
        assert!(read(&store, &content).unwrap() == content);
        assert!(fs::read(path).unwrap() == good);
    }
    // One that covers a pack that is gone, and not one that came.
    sandbox.add(&[b"b"]);
    let newer = sandbox.store().packs_of(&Digest::of(b"b")).unwrap()[0];
    segments().iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::write(path, &good).unwrap();
    assert_eq!(read(&sandbox.store(), b"b").unwrap(), b"b");
    fs::remove_file(sandbox.store().pack_path(&newer)).unwrap();
    assert!(matches!(read(&sandbox.store(), b"b"), Err(StoreError::Missing { .. })));
    assert!(read(&sandbox.store(), &content).unwrap() == content);
}

#[test]
fn what_is_good_in_a_damaged_pack_is_kept_and_the_rest_can_be_added_again() {
    let sandbox = Sandbox::new();
    let (left, right) = (noise(1, 500_000), noise(2, 500_000));
    sandbox.add(&[&left, &right, b"small"]);
    let pack = sandbox.only_pack();
    let store = sandbox.store();
    assert_eq!(store.salvage_pack(&pack.id).unwrap(), None, "nothing is damaged");
    flip(&pack.path, 50_000);
    let damaged = fs::read(&pack.path).unwrap();
    assert_eq!(sandbox.add(&[&left]), Written::default(), "the store believes to have it");
    let chunk = store.check_pack(&pack.id).unwrap()[0].content.unwrap();
    {
        let other = sandbox.store();
        let _writer = other.writer().unwrap();
        assert!(FileLock::exclusive(&store.lock_path(), Wait::No).is_err(), "not while somebody writes");
    }
    let salvaged = store.salvage_pack(&pack.id).unwrap().unwrap();
    assert_eq!(salvaged.lost, [chunk]);
    assert!(fs::read(salvaged.set_aside.unwrap()).unwrap() == damaged);
    let rescued = sandbox.only_pack();
    assert_eq!(salvaged.pack, Some(rescued.id));
    for store in [store, sandbox.store()] {
        assert!(!store.contains(&Digest::of(&left)).unwrap());
        assert!(read(&store, &right).unwrap() == right);
        assert_eq!(read(&store, b"small").unwrap(), b"small");
    }
    assert_eq!(sandbox.add(&[&left]).new_chunks, 1);
    assert!(read(&sandbox.store(), &left).unwrap() == left);
    assert_all_good(&sandbox.store());

    // Where only the footer is damaged nothing is lost, and where all is damaged nothing is kept.
    let bytes = fs::read(&rescued.path).unwrap();
    flip(&rescued.path, bytes.len() as u64 - 1);
    let salvaged = sandbox.store().salvage_pack(&rescued.id).unwrap().unwrap();
    assert_eq!((salvaged.pack, salvaged.lost, salvaged.set_aside), (Some(rescued.id), Vec::new(), None));
    assert!(fs::read(&rescued.path).unwrap() == bytes);
    fs::write(&rescued.path, noise(3, 1000)).unwrap();
    let salvaged = sandbox.store().salvage_pack(&rescued.id).unwrap().unwrap();
    assert_eq!((salvaged.pack, salvaged.kept), (None, 0));
    assert_all_good(&sandbox.store());
}
