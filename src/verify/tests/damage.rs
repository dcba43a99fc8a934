//! Planted damage of every kind, each found under its own code, and nothing found that is not there.

use super::*;
use crate::config;
use crate::registry::Resolved;
use crate::remote::Environment;

/// Damage of one kind.
struct Damage {
    name: &'static str,
    /// The code it has to be found under.
    code: &'static str,
    /// What it means for others, and is told as well.
    also: &'static [&'static str],
    plant: fn(&Fixture),
}

const fn damage(name: &'static str, code: &'static str, also: &'static [&'static str], plant: fn(&Fixture)) -> Damage {
    Damage { name, code, also, plant }
}

/// Whoever edits a record makes a commit of it, which is told too.
const EDITED: &[&str] = &["rewritten-run"];

const DAMAGES: &[Damage] = &[
    damage("a flipped bit in a chunk", "damaged-chunk", &["damaged-pack"], |fixture| {
        change_pack(fixture, |bytes| bytes[60_000] ^= 1);
    }),
    damage("a flipped bit in a pack's first bytes", "damaged-pack", &[], |fixture| {
        change_pack(fixture, |bytes| bytes[2] ^= 1);
    }),
    damage("a flipped bit in the header of an entry", "damaged-pack", &[], |fixture| {
        change_pack(fixture, |bytes| bytes[8 + 20] ^= 1);
    }),
    damage("a flipped bit in a footer", "damaged-pack", &[], |fixture| {
        change_pack(fixture, |bytes| {
            let place = bytes.len() - 48 - 10;
            bytes[place] ^= 1;
        });
    }),
    damage("a flipped bit in a trailer", "damaged-pack", &[], |fixture| {
        change_pack(fixture, |bytes| *bytes.last_mut().unwrap() ^= 1);
    }),
    damage("a pack that is cut short", "damaged-pack", &[], |fixture| {
        change_pack(fixture, |bytes| bytes.truncate(bytes.len() - 100));
    }),
    damage("a pack under another name", "damaged-pack", &[], |fixture| {
        let place = the_pack(fixture);
        fs::rename(&place, place.with_file_name(format!("{}.pack", "5".repeat(64)))).unwrap();
    }),
    damage("a pack that was never verified and is gone", "missing-artifact", &["missing-content"], |fixture| {
        fs::remove_file(the_pack(fixture)).unwrap();
    }),
    damage(
        "a pack that was verified and is gone",
        "missing-pack",
        &["missing-artifact", "missing-content"],
        |fixture| {
            std::thread::sleep(std::time::Duration::from_millis(30));
            assert_eq!(fixture.codes(Depth::Unproved), BTreeSet::new());
            fs::remove_file(the_pack(fixture)).unwrap();
        },
    ),
    damage("a pack that cannot be read", "unreadable-content", &["damaged-pack"], |fixture| {
        let place = the_pack(fixture);
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
    }),
    damage("a pointer with another artifact's id", "swapped-pointer", &[], |fixture| {
        let y = fixture.workspace.pointer(&RelPath::new("data/y").unwrap()).unwrap().id;
        let x = fixture.workspace.pointer(&RelPath::new("data/x").unwrap()).unwrap().id;
        fixture.edit("data/y.mlref", &y.to_string(), &x.to_string());
    }),
    damage("a pointer with other numbers", "pointer-mismatch", &[], |fixture| {
        fixture.edit("data/x.mlref", "files = 2", "files = 3");
    }),
    damage("a pointer that calls a file a folder", "pointer-mismatch", &[], |fixture| {
        fixture.edit("z.bin.mlref", "kind = \"file\"", "kind = \"folder\"");
    }),
    damage("a committed pointer with other numbers", "pointer-mismatch", &[], |fixture| {
        let good = fs::read(fixture.path("data/x.mlref")).unwrap();
        fixture.edit("data/x.mlref", "300009", "300008");
        fixture.commit();
        fixture.write("data/x.mlref", &good);
    }),
    damage("a pointer on another branch with other numbers", "pointer-mismatch", &[], |fixture| {
        fixture.edit("data/x.mlref", "300009", "300008");
        fixture.commit();
        fixture.git(&["branch", "--force", "other"]);
        fixture.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    }),
    damage("a pointer whose name leaves its folder", "unsafe-path", &[], |fixture| {
        fixture.edit("data/x.mlref", "name = \"x\"", "name = \"../../x\"");
    }),
    damage("a pointer in a folder called ..", "unsafe-path", &[], |fixture| {
        let pointer = fixture.git(&["hash-object", "-w", "data/x.mlref"]);
        let inner = raw_tree(fixture, &[("100644", "x.mlref", &pointer)]);
        let tree = raw_tree(fixture, &[("40000", "..", &inner)]);
        let commit = fixture.git(&["commit-tree", "-m", "climb", "-p", "HEAD", &tree]);
        fixture.git(&["update-ref", "refs/heads/climbing", &commit]);
    }),
    damage("a pointer to what is not stored", "missing-artifact", &[], |fixture| {
        fixture.point_to("lost.mlref", ArtifactId::from_bytes([9; 32]), 1, 4);
    }),
    damage("a pointer with conflict markers", "conflicted-pointer", &[], |fixture| {
        let text = fs::read_to_string(fixture.path("data/x.mlref")).unwrap();
        fixture.write("data/x.mlref", format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n").as_bytes());
    }),
    damage("a pointer that is nonsense", "unreadable-pointer", &[], |fixture| {
        fixture.write("data/x.mlref", &[0xff; 70_000]);
    }),
    damage("a pointer of a later version", "unreadable-pointer", &[], |fixture| {
        fixture.edit("data/x.mlref", "version = 1", "version = 99");
    }),
    damage("a manifest that lies about a size", "malformed-manifest", &[], |fixture| {
        fixture.point_to("lie.mlref", fixture.store(&["here"], 1, true), 1, 5);
    }),
    damage("a text that is no manifest", "malformed-manifest", &[], |fixture| {
        fixture.point_to("lie.mlref", fixture.store_text("no manifest"), 1, 4);
    }),
    damage("a manifest with a path that climbs", "unsafe-path", &[], |fixture| {
        fixture.point_to("climb.mlref", fixture.store_text(&manifest_of("../../x")), 1, 4);
    }),
    damage("a manifest with a name that Windows reserves", "reserved-name", &[], |fixture| {
        fixture.point_to("reserved.mlref", fixture.store_text(&manifest_of("sub/nul.txt")), 1, 4);
    }),
    damage("a manifest with names that differ in case", "case-collision", &[], |fixture| {
        fixture.point_to("case.mlref", fixture.store(&["Train/a", "train/b"], 0, true), 2, 14);
    }),
    damage("a manifest with names that differ in form", "form-collision", &[], |fixture| {
        let paths = ["caf\u{e9}", "cafe\u{301}"];
        let bytes = paths.iter().map(|path| path.len() as u64).sum();
        fixture.point_to("form.mlref", fixture.store(&paths, 0, true), 2, bytes);
    }),
    damage("a file renamed inside of a manifest", "renamed-files", &[], |fixture| {
        let id = fixture.workspace.pointer(&RelPath::new("data/x").unwrap()).unwrap().id;
        let manifest = fixture.workspace.store.manifest(&id).unwrap();
        let text = String::from_utf8(manifest.to_bytes()).unwrap().replace(" a.txt\n", " A2.txt\n");
        let other = fixture.store_text(&text);
        fixture.edit("data/x.mlref", &id.to_string(), &other.to_string());
        fixture.commit();
    }),
    damage("a file that is not stored", "missing-content", &[], |fixture| {
        fixture.point_to("lost.mlref", fixture.store(&["gone"], 0, false), 1, 4);
    }),
    damage("a record that is none", "malformed-run", &[], |fixture| {
        let path = format!("{}/run.toml", crate::run::folder_in_tree(&fixture.plain_run().id));
        fixture.plant(RUNS_REF, &path, Some(b"id = 1"));
    }),
    damage("a record in the folder of another run", "misplaced-run", &[], |fixture| {
        let path = format!("{}/run.toml", crate::run::folder_in_tree(&fixture.plain_run().id));
        let id = RunId::from_bytes([7; 16]);
        let place = format!("{}/run.toml", crate::run::folder_in_tree(&id));
        fixture.plant(RUNS_REF, &place, Some(fixture.read_ref(RUNS_REF, &path).as_bytes()));
    }),
    damage("a record in a folder that no run has", "misplaced-run", &[], |fixture| {
        let id = fixture.plain_run().id;
        let path = format!("{}/run.toml", crate::run::folder_in_tree(&id));
        let shelf = if path.starts_with("00") { "11" } else { "00" };
        fixture.plant(RUNS_REF, &format!("{shelf}/{id}/run.toml"), Some(fixture.read_ref(RUNS_REF, &path).as_bytes()));
    }),
    damage("a run whose commit is lost", "missing-snapshot", EDITED, |fixture| {
        let run = fixture.plain_run();
        let snapshot = run.snapshot.unwrap().to_string();
        fixture.edit_record(&run, &snapshot, &"1".repeat(40));
    }),
    damage("a run whose commit nothing keeps", "unanchored-snapshot", EDITED, |fixture| {
        let run = fixture.plain_run();
        fixture.write("later", b"later");
        fixture.commit();
        let later = fixture.workspace.repository.head().unwrap().commit.unwrap();
        fixture.edit_record(&run, &run.snapshot.unwrap().to_string(), &later.to_string());
    }),
    damage("a run that names a commit without its inputs", "input-not-in-commit", EDITED, |fixture| {
        let run = fixture.plain_run();
        let first = fixture.git(&["rev-parse", "HEAD~1"]);
        fixture.edit_record(&run, &run.snapshot.unwrap().to_string(), &first);
    }),
    damage(
        "a run that says it read something else",
        "input-not-in-commit",
        &["rewritten-run", "missing-input"],
        |fixture| {
            let run = fixture.plain_run();
            fixture.edit_record(&run, &run.inputs[0].id.to_string(), &"5".repeat(64));
        },
    ),
    damage("a run whose input is not stored", "missing-input", &[], |fixture| {
        fixture.point_to("later.mlref", ArtifactId::from_bytes([9; 32]), 1, 4);
        fixture.write("later", b"something");
        fixture.commit();
        fixture.run("more weights");
        fs::remove_file(fixture.path("later.mlref")).unwrap();
        fixture.commit();
    }),
    damage("a run that says something else of its output", "output-mismatch", EDITED, |fixture| {
        let run = fixture.plain_run();
        let bytes = run.outputs[0].bytes;
        fixture.edit_record(&run, &format!("bytes = {bytes}"), &format!("bytes = {}", bytes + 1));
    }),
    damage("a run that made something else", "missing-artifact", EDITED, |fixture| {
        let run = fixture.plain_run();
        fixture.edit_record(&run, &run.outputs[0].id.to_string(), &"5".repeat(64));
    }),
    damage("a record with another number of values", "record-mismatch", EDITED, |fixture| {
        fixture.edit_record(&fixture.plain_run(), "count = 1", "count = 2");
    }),
    damage("a record with a better value", "record-mismatch", EDITED, |fixture| {
        fixture.edit_record(&fixture.plain_run(), "min = 0.5", "min = 0.25");
    }),
    damage("a series that is none", "unreadable-series", &[], |fixture| {
        let path = format!("{}/series.parquet", crate::run::folder_in_tree(&fixture.plain_run().id));
        fixture.plant(RUNS_REF, &path, Some(b"PAR1 nonsense PAR1"));
    }),
    damage("a log that git has lost", "unreadable-log", &[], |fixture| {
        let path = format!("{}/log.txt", crate::run::folder_in_tree(&fixture.plain_run().id));
        fixture.plant(RUNS_REF, &path, Some(b"a log of its own"));
        let log = fixture.git(&["rev-parse", &format!("{RUNS_REF}:{path}")]);
        fs::remove_file(fixture.path(".git/objects").join(&log[..2]).join(&log[2..])).unwrap();
    }),
    damage("a run that was recorded once more with another command", "rewritten-run", &[], |fixture| {
        fixture.edit_record(&fixture.plain_run(), "echo words", "echo other words");
    }),
    damage("a run that was recorded once more with another parameter", "rewritten-run", &[], |fixture| {
        fixture.edit_record(&fixture.plain_run(), "lr = \"0.1\"", "lr = \"0.2\"");
    }),
    damage("a run that was removed from history", "removed-run", &[], |fixture| {
        let folder = crate::run::folder_in_tree(&fixture.plain_run().id);
        for file in ["run.toml", "series.parquet", "log.txt"] {
            fixture.plant(RUNS_REF, &format!("{folder}/{file}"), None);
        }
    }),
    damage("a file among the runs", "foreign-file", &[], |fixture| {
        fixture.plant(RUNS_REF, "README.md", Some(b"hello"));
    }),
    damage("a file among the models", "malformed-registry", &[], |fixture| {
        fixture.plant(REGISTRY_REF, "README.md", Some(b"hello"));
    }),
    damage("a file in a model", "foreign-file", &[], |fixture| {
        fixture.plant(REGISTRY_REF, "digits/run-me.sh", Some(b"hello"));
    }),
    damage("an alias that holds no version", "malformed-registry", &["event-mismatch"], |fixture| {
        let message = event("alias", &[("Alias", "staging"), ("Version", "1")]);
        fixture.plant_saying(REGISTRY_REF, "digits/aliases/staging", Some(b"three\n"), &message);
    }),
    damage("a version whose file changed", "changed-version", &[], |fixture| {
        let file = fixture.version_file(1).replace("Ada", "Eve");
        fixture.plant(REGISTRY_REF, "digits/versions/1.toml", Some(file.as_bytes()));
    }),
    damage("a version that was removed", "removed-version", &["version-gap"], |fixture| {
        fixture.plant(REGISTRY_REF, "digits/versions/1.toml", None);
    }),
    damage("a version that nobody registered", "unrecorded-version", &[], |fixture| {
        let file = fixture.version_file(2).replace("version = 2", "version = 3");
        fixture.plant(REGISTRY_REF, "digits/versions/3.toml", Some(file.as_bytes()));
    }),
    damage("a version whose number is too high", "version-gap", &[], |fixture| {
        let file = fixture.version_file(2).replace("version = 2", "version = 4");
        let message = event("register", &[("Version", "4")]);
        fixture.plant_saying(REGISTRY_REF, "digits/versions/4.toml", Some(file.as_bytes()), &message);
    }),
    damage("a version that is not what its event says", "event-mismatch", &[], |fixture| {
        let file = fixture.version_file(2).replace("version = 2", "version = 3");
        let message = event("register", &[("Version", "3"), ("Artifact", &"5".repeat(64))]);
        fixture.plant_saying(REGISTRY_REF, "digits/versions/3.toml", Some(file.as_bytes()), &message);
    }),
    damage("a version that its run did not make", "version-not-run-output", &[], |fixture| {
        let id = fixture.workspace.pointer(&RelPath::new("data/x").unwrap()).unwrap().id;
        register(fixture, Resolved { run: Some(fixture.plain_run().id), ..target(id) });
    }),
    damage("a version of a run that is not there", "missing-run", &[], |fixture| {
        let run = RunId::from_bytes([3; 16]);
        register(fixture, Resolved { run: Some(run), ..target(fixture.plain_run().outputs[0].id) });
    }),
    damage("a version of a commit that is not there", "missing-commit", &[], |fixture| {
        let id = fixture.workspace.pointer(&RelPath::new("data/x").unwrap()).unwrap().id;
        register(fixture, Resolved { commit: Some(CommitId::from_bytes([3; 20])), ..target(id) });
    }),
    damage("a version with another commit than its run", "version-commit-mismatch", &[], |fixture| {
        let run = fixture.plain_run();
        let first = fixture.git(&["rev-parse", "HEAD~1"]);
        let file = fixture.version_file(2).replace("version = 2", "version = 3");
        let file = file.replace(&run.snapshot.unwrap().to_string(), &first);
        let message = event("register", &[("Version", "3")]);
        fixture.plant_saying(REGISTRY_REF, "digits/versions/3.toml", Some(file.as_bytes()), &message);
    }),
    damage("an alias that moved without an event", "moved-alias", &[], |fixture| {
        fixture.plant(REGISTRY_REF, "digits/aliases/production", Some(b"v1\n"));
    }),
    damage("an alias that is gone without an event", "moved-alias", &[], |fixture| {
        fixture.plant(REGISTRY_REF, "digits/aliases/production", None);
    }),
    damage("an alias that moved elsewhere than its event says", "event-mismatch", &[], |fixture| {
        let message = event("promote", &[("Alias", "staging"), ("Version", "2")]);
        fixture.plant_saying(REGISTRY_REF, "digits/aliases/staging", Some(b"v1\n"), &message);
    }),
    damage("an event that changed nothing", "event-mismatch", &[], |fixture| {
        let message = event("promote", &[("Alias", "staging"), ("Version", "2")]);
        fixture.plant_saying(REGISTRY_REF, "digits/about/2.toml", None, &message);
    }),
    damage("an alias to a version that is not there", "dangling-alias", &[], |fixture| {
        let message = event("alias", &[("Alias", "staging"), ("Version", "9")]);
        fixture.plant_saying(REGISTRY_REF, "digits/aliases/staging", Some(b"v9\n"), &message);
    }),
    damage("a signature that is none", "unreadable-signature", &[], |fixture| {
        let id = fixture.workspace.pointer(&RelPath::new("data/x").unwrap()).unwrap().id;
        let place = crate::sign::Place::of(crate::sign::Subject::Artifact(id), crate::sign::Form::Ssh, b"nonsense");
        fixture.plant(crate::sign::SIGNATURES_REF, &place.path(), Some(b"nonsense"));
    }),
    damage("a file among the signatures", "foreign-file", &[], |fixture| {
        fixture.plant(crate::sign::SIGNATURES_REF, "artifacts/README.md", Some(b"hello"));
    }),
    damage("a ref that points to no commit", "unreadable-ref", &[], |fixture| {
        let blob = fixture.git(&["hash-object", "-w", "data/x.mlref"]);
        fixture.write(".git/refs/ml/more", format!("{blob}\n").as_bytes());
    }),
    damage("a ref that points to nothing", "unreadable-ref", &[], |fixture| {
        fixture.write(".git/refs/ml/more", format!("{}\n", "7".repeat(40)).as_bytes());
    }),
];

/// The pack with the artifact `data/x`.
fn the_pack(fixture: &Fixture) -> PathBuf {
    let [place] = &fixture.packs_of("data/x")[..] else { panic!("one pack") };
    place.clone()
}

fn change_pack(fixture: &Fixture, change: impl Fn(&mut Vec<u8>)) {
    let place = the_pack(fixture);
    let mut bytes = fs::read(&place).unwrap();
    change(&mut bytes);
    replace(&place, &bytes);
}

fn manifest_of(path: &str) -> String {
    format!("git-ml manifest 1\n100644 4 {} {path}\n", Digest::of(b"here"))
}

/// A tree as git would not write it.
fn raw_tree(fixture: &Fixture, entries: &[(&str, &str, &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let id: CommitId = id.parse().unwrap();
        bytes.extend_from_slice(id.as_bytes());
    }
    fixture.write(".git/raw-tree", &bytes);
    fixture.git(&["hash-object", "-t", "tree", "--literally", "-w", ".git/raw-tree"])
}

/// The message of an event, with these trailers.
fn event(kind: &str, trailers: &[(&str, &str)]) -> String {
    let mut text = format!("an event\n\nGit-ML-Event: {kind}\nGit-ML-Model: digits\n");
    for (key, value) in trailers {
        text += &format!("Git-ML-{key}: {value}\n");
    }
    text
}

fn target(id: ArtifactId) -> Resolved {
    let artifact_type = "model".to_owned();
    Resolved { target: "a target".to_owned(), id, name: "x".to_owned(), artifact_type, run: None, commit: None }
}

fn register(fixture: &Fixture, resolved: Resolved) {
    Registry::new(&fixture.workspace).register("digits", &resolved, None).unwrap();
}

#[test]
fn each_kind_is_found_under_its_own_code_and_nothing_else_is() {
    let mut failures = Vec::new();
    for Damage { name, code, also, plant } in DAMAGES {
        let fixture = Fixture::whole();
        plant(&fixture);
        // What was verified before hides nothing, and reading all of it finds nothing else.
        for depth in [Depth::Unproved, Depth::Unproved, Depth::Everything] {
            let report = fixture.verify(Scope::All, depth);
            let found = codes_of(&report);
            let unrelated = found.iter().any(|found| found != code && !also.contains(found));
            if !found.contains(code) || unrelated {
                failures.push(format!("{name} ({depth:?}): {found:?} {:#?}", report.findings));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_code_is_shown_to_be_found() {
    let planted: BTreeSet<&str> = DAMAGES.iter().map(|damage| damage.code).collect();
    // Those have tests of their own: signers need programs and keys.
    let elsewhere = [
        "remote-missing",
        "remote-unreadable",
        "bad-signature",
        "signed-subject-differs",
        "unknown-signer",
        "expired-signer",
        "signer-not-valid-yet",
        "revoked-signer",
        "missing-signature",
        "unusable-trust",
    ];
    let missing: Vec<&str> = Code::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !planted.contains(code) && !elsewhere.contains(code))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(planted.len() >= 30, "{}", planted.len());
}

#[test]
fn damage_that_a_fixture_verified_before_is_found_too() {
    for Damage { name, code, also, plant } in DAMAGES {
        let fixture = Fixture::whole();
        std::thread::sleep(std::time::Duration::from_millis(25));
        assert_eq!(fixture.codes(Depth::Unproved), BTreeSet::new(), "{name}");
        plant(&fixture);
        let found = fixture.codes(Depth::Unproved);
        let is_related = |found: &&str| found == code || also.contains(found) || *found == "missing-pack";
        assert!(found.contains(code) && found.iter().all(is_related), "{name}: {found:?}");
    }
}

#[test]
fn a_remote_is_asked_what_it_has() {
    let fixture = Fixture::whole();
    let place = tempfile::tempdir().unwrap();
    let settings = config::Remote { url: format!("file://{}", place.path().display()), ..config::Remote::default() };
    let environment = Environment::default();
    let store = &fixture.workspace.store;
    let open = || Remote::create("share", &settings, store, &environment).unwrap();
    let ask = |scope: Scope| {
        let workspace = Workspace::discover(fixture.folder.path()).unwrap();
        let remote = open();
        let request = Request { remote: Some(&remote), ..Request::of(scope, Depth::Unproved) };
        verify(&workspace, &request, &Silent).unwrap()
    };
    let report = ask(Scope::All);
    // Three pointers and two versions. What runs read and made need not be there.
    assert_eq!(codes_of(&report), BTreeSet::from(["remote-missing"]));
    assert_eq!(report.findings.len(), 5, "{:#?}", report.findings);
    let versions = Registry::new(&fixture.workspace).survey().unwrap().models.remove(0).versions;
    let pointers = fixture.workspace.pointers().unwrap();
    let mut wanted: Vec<ArtifactId> = pointers.values().map(|pointer| pointer.id).collect();
    open().push(store, &wanted, &Silent).unwrap();
    assert_eq!(ask(Scope::All).findings.len(), 2);
    wanted.extend(versions.iter().map(|version| version.id));
    open().push(store, &wanted, &Silent).unwrap();
    assert_eq!(ask(Scope::All).findings, []);
    // What the remote has, need not be here.
    let run = fixture.plain_run();
    for (_, path) in fixture.packs() {
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(fixture.path(".git/ml/verified")).unwrap();
    let report = ask(Scope::All);
    assert!(report.elsewhere >= 4, "{report:#?}");
    let lost: Vec<&str> = report.findings.iter().map(|finding| finding.target.as_str()).collect();
    assert_eq!(lost, [format!("run:{}:weights", run.id)]);
    let index = fs::read_dir(place.path().join("indexes")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&index).unwrap();
    bytes[30] ^= 1;
    fs::write(&index, bytes).unwrap();
    let found = codes_of(&ask(Scope::All));
    assert!(found.contains("remote-unreadable"), "{found:?}");
}
