//! Inputs to begin with.

use std::fs;
use std::path::Path;

use crate::Place;
use git_ml::id::Digest;

/// Writes them to `FOLDER/pack`, `FOLDER/index` and so on.
pub fn write_seeds(folder: &Path) {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).expect("the folder of a target");
        fs::write(folder.join(name), bytes).expect("a seed");
    };

    let noise = |size: usize| {
        let mut bytes = vec![0; size];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    };
    let floats: Vec<u8> = (0..20_000).flat_map(|number| (number as f32).sin().to_le_bytes()).collect();
    let contents = [b"small".to_vec(), b"again and again ".repeat(40), noise(100_000), vec![0; 300_000], floats];
    for (number, content) in contents.iter().enumerate() {
        let place = Place::new();
        let store = place.store("store");
        let writer = store.writer().expect("a writer");
        writer.add(&mut &content[..], "it").expect("it is added");
        writer.finish().expect("it is written");
        for pack in store.packs().expect("the packs") {
            let bytes = fs::read(&pack.path).expect("the pack");
            write("pack", &format!("written-{number}"), &[&[1], &bytes[..]].concat());
        }
        for index in fs::read_dir(place.path("store/index")).expect("the index") {
            let index = fs::read(index.expect("a segment").path()).expect("a segment");
            write("index", &format!("written-{number}"), &[&[0], &index[..index.len() - 32]].concat());
            write("index", &format!("records-{number}"), &[&[1], &index[17 + 32..index.len() - 40]].concat());
        }
    }
    // A chunk, a map of it, and a map that names itself.
    write("pack", "made", b"\0\0\0\x80\0\0\0\x04\0part\x01\0\x81\0\0\0\0\0\x04\0\0\0\0\x01\x80\x04\0\0");
    write("pack", "cyclic", b"\0\x01\0\x82\0\0\0\0\0\x24\0\0\0\x01\x01\x82\x24\0\0");

    let digest = Digest::of(b"content");
    let manifest = format!("git-ml manifest 1\n100644 7 {digest} a\n100755 7 {digest} b/c d\n120000 1 {digest} b/e\n");
    write("manifest", "folder", manifest.as_bytes());
    write("manifest", "file", format!("git-ml manifest 1\n100644 7 {digest} .\n").as_bytes());

    let pointer = format!(
        "version = 1\nname = \"digits\"\ntype = \"dataset\"\nkind = \"folder\"\nid = \"{digest}\"\nfiles = 2\nbytes = 345\n\n\
         [meta]\nlicence = \"CC-BY 4.0\"\n"
    );
    write("pointer", "folder", pointer.as_bytes());
    write("pointer", "conflict", format!("<<<<<<< HEAD\n{pointer}=======\n>>>>>>> other\n").as_bytes());
    for (number, query) in [
        "metrics.accuracy > 0.9 and params.optimizer = 'adam'",
        "status in ('finished', \"failed\") or not tags.`a b` like '%x%'",
        "started > '3 days ago' and (duration_s <= 1e3)",
    ]
    .iter()
    .enumerate()
    {
        write("query", &format!("query-{number}"), query.as_bytes());
    }
}
