//! `git ml diff`, through git.

use std::fs;

use crate::sandbox::Sandbox;

/// A repository with a data set of two versions, each committed: a folder with a table and pictures.
fn with_two_versions() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("data/pets/table.csv", "id,name\n1,ada\n2,bob\n3,cy\n");
    for picture in ["cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/old.png"] {
        sandbox.write(format!("data/pets/{picture}"), picture);
    }
    sandbox.git(&["ml", "track", "data/pets", "-q"]).success();
    sandbox.commit("One");
    sandbox.write("data/pets/table.csv", "id,name,age\n2,bob\n3,cy\n4,dee\n5,eve\n");
    fs::remove_file(sandbox.path("data/pets/cat/3.png")).unwrap();
    fs::rename(sandbox.path("data/pets/dog/old.png"), sandbox.path("data/pets/dog/new.png")).unwrap();
    sandbox.write("data/pets/emu/1.png", "an emu");
    sandbox.git(&["ml", "track", "data/pets", "-q"]).success();
    sandbox.commit("Two");
    sandbox
}

const BETWEEN: &str = "\
--- stdout
data/pets: dataset changed, 1 file added, 1 removed, 1 changed, 1 renamed, 72 B → 79 B
  class cat: 3 → 2
  class emu: 0 → 1
  added    emu/1.png  6 B
  removed  cat/3.png  9 B
  renamed  dog/old.png → dog/new.png
  changed  table.csv  25 B → 35 B
  table.csv: columns added: age
  table.csv: 3 → 4 rows, 2 added, 1 removed
--- exit 0";

#[test]
fn two_revisions_are_compared_also_in_a_bare_repository() {
    let sandbox = with_two_versions();
    let between = sandbox.git(&["ml", "diff", "HEAD~1", "HEAD"]).success();
    assert_eq!(between.to_string(), BETWEEN);
    assert_eq!(sandbox.git(&["ml", "diff", "HEAD~1..HEAD"]).to_string(), BETWEEN);
    assert_eq!(sandbox.git(&["ml", "diff", "HEAD~1..", "--", "data"]).to_string(), BETWEEN);
    assert_eq!(sandbox.git(&["ml", "diff", "HEAD", "HEAD"]).to_string(), "--- exit 0");

    let stat = sandbox.git(&["ml", "diff", "--stat", "HEAD~1", "HEAD"]).success();
    assert_eq!(stat.stdout().lines().count(), 1);

    let bare = sandbox.root().join("bare.git");
    let shown = bare.to_str().unwrap();
    sandbox.git(&["clone", "--quiet", "--bare", ".", shown]).success();
    let missing = sandbox.git(&["-C", shown, "ml", "diff", "HEAD~1", "HEAD", "--", "data/pets"]).success();
    let lines: Vec<String> = missing.stdout().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "data/pets: dataset changed, 6 files, 72 B → 79 B", "{missing}");
    assert!(lines[1].contains("the list of its files before"), "{missing}");
    assert!(lines[2].contains("the list of its files after"), "{missing}");
    copy_folder(&sandbox.path(".git/ml/packs"), &bare.join("ml/packs"));
    assert_eq!(sandbox.git(&["-C", shown, "ml", "diff", "HEAD~1", "HEAD"]).to_string(), BETWEEN);
    sandbox.git(&["-C", shown, "ml", "diff"]).one_line_error();
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn the_work_tree_is_compared_with_its_pointers_and_with_a_commit() {
    let sandbox = with_two_versions();
    assert_eq!(sandbox.git(&["ml", "diff"]).to_string(), "--- exit 0");
    sandbox.write("data/pets/cat/2.png", "another cat");
    sandbox.write("data/pets/notes.txt", "new");
    let diff = sandbox.git(&["ml", "diff"]).success();
    assert!(diff.stdout().starts_with("data/pets: dataset changed, 1 file added, 1 changed, 79 B → "), "{diff}");
    let inner = sandbox.git(&["ml", "diff", "--", "data/pets/cat"]).success();
    assert!(inner.stdout().contains("cat/2.png") && !inner.stdout().contains("notes.txt"), "{inner}");
    assert_eq!(sandbox.git(&["ml", "diff", "--", "data/pets/dog"]).success().stdout(), "");
    let named = sandbox.git(&["ml", "diff", "data/pets"]).success();
    assert_eq!(named.stdout(), diff.stdout(), "a path may stand where a revision could");
    let old = sandbox.git(&["ml", "diff", "HEAD~1"]).success();
    assert!(old.stdout().contains("renamed  dog/old.png → dog/new.png"), "{old}");
    assert!(old.stdout().contains("changed  cat/2.png"), "{old}");

    fs::remove_dir_all(sandbox.path("data/pets")).unwrap();
    let gone = sandbox.git(&["ml", "diff", "--json"]).success().json();
    assert_eq!((&gone[0]["change"], &gone[0]["after"]), (&"removed".into(), &serde_json::Value::Null));
    sandbox.git(&["ml", "diff", "no-such-thing"]).one_line_error();
    sandbox.git(&["ml", "diff", "HEAD", "HEAD", "HEAD"]).code(2);
}

#[test]
fn artifacts_come_and_go_and_single_files_are_looked_into() {
    let sandbox = with_two_versions();
    let header = |name: &str| {
        let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}}"#);
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
    };
    let numbers = |a: f32, b: f32| [a.to_le_bytes(), b.to_le_bytes()].concat();
    sandbox.write("out/w.safetensors", [header("layer.weight"), numbers(3.0, 4.0)].concat());
    sandbox.git(&["ml", "track", "out/w.safetensors", "--type", "model", "-q"]).success();
    sandbox.git(&["ml", "untrack", "data/pets"]).success();
    sandbox.commit("Three");
    let diff = sandbox.git(&["ml", "diff", "HEAD~1", "HEAD"]).success();
    let lines: Vec<String> = diff.stdout().lines().map(str::to_owned).collect();
    assert!(lines.iter().any(|line| line.starts_with("data/pets: dataset removed, 6 files")), "{diff}");
    assert!(lines.iter().any(|line| line.starts_with("out/w.safetensors: model added, 1 file")), "{diff}");

    sandbox.write("out/w.safetensors", [header("layer.weight"), numbers(3.0, 4.5)].concat());
    let diff = sandbox.git(&["ml", "diff", "out/w.safetensors"]).success();
    assert!(diff.stdout().contains("layer.weight F32 [2], by at most 0.5, relative L2 0.1\n"), "{diff}");
    let json = sandbox.git(&["ml", "diff", "--json"]).success().json();
    let tensor = &json[0]["tensors"][0]["changed"][0];
    assert_eq!((tensor["max_abs"].as_f64(), tensor["relative_l2"].as_f64()), (Some(0.5), Some(0.1)));
    sandbox.write("out/w.safetensors", "not one");
    let diff = sandbox.git(&["ml", "diff"]).success();
    assert!(diff.stdout().contains("out/w.safetensors: it"), "{diff}");
}
