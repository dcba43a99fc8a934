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
    // A scalar as a float, and one as a tensor for the plugin `scalars`.
    let float = b"\x09\0\0\0\0\0\x40\x8f\x40\x10\x03\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\0\x3f";
    let tensor = b"\x10\x04\x2a\x1d\x0a\x1b\x0a\x01a\x42\x08\x08\x01\x2a\x04\0\0\0\x3f\x4a\x0b\x0a\x09\x0a\x07scalars";
    write("events", "framed", &[&[1, float.len() as u8], &float[..], &[tensor.len() as u8], tensor].concat());
    let file = [float.as_slice(), tensor].map(git_ml::formats::tfrecord::framed).concat();
    write("events", "whole", &[&[0], &file[..]].concat());
    let history = b"\x12\x14\x0a\x0e\x0a\x04loss\x82\x01\x030.5\0\x12\x02\x08\x07";
    let run = b"\x8a\x01\x0c\x0a\x03abc\x42\x05hello";
    write("wandb", "framed", &[&[1, history.len() as u8], &history[..], &[run.len() as u8], run].concat());
    let file = git_ml::formats::wandb::frame(&[history.to_vec(), run.to_vec()]);
    write("wandb", "whole", &[&[0], &file[..]].concat());
    write("csv_log", "keras", b"epoch,accuracy,loss\n0,0.5,1.25\n1,NA,\"[1.0, 2.0]\"\n");
    write("csv_log", "lightning", b"epoch,step,train_loss,val_loss\r\n0,49,0.5,\r\n0,99,,0.25\r\n");
    write("csv_log", "hparams", b"lr: 0.001\nmodel:\n  layers: [1, 2]\n");
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

    let ours = "{\"step\":4,\"time\":\"2026-11-21T08:00:00Z\",\"metrics\":{\"accuracy\":0.5,\"loss\":\"NaN\"}}\n\
                {\"git_ml\":{\"mark\":[12,\"2026-11-21T08:00:00Z\"]}}\n\
                {\"git_ml\":{\"end\":{\"time\":\"2026-11-21T08:00:00Z\",\"exit_code\":0,\"signal\":null,\"cpu_s\":1.5}}}\n";
    let commands = "{\"step\": 3, \"loss\": 0.4}\n{\"loss\": NaN, \"time\": 1763712000.25}\n\
                    {\"params\": {\"lr\": 0.1, \"l\": [1]}, \"tags\": {\"a\": true}, \"failure\": \"x\"}\n{\"a\": 1";
    let share = (ours.len() * 255).div_ceil(ours.len() + commands.len()) as u8;
    write("event_log", "both", &[&[share], ours.as_bytes(), commands.as_bytes()].concat());
    write("event_log", "ours", &[&[255], ours.as_bytes()].concat());
    write("event_log", "commands", &[&[0], commands.as_bytes()].concat());
}
