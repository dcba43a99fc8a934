//! Planted damage of every kind, each found under its own code.

#![allow(clippy::disallowed_methods, reason = "damage is written past the one place that writes files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::files::RelPath;
use crate::git::{Identity, RefCommit, Repository, TreeEdit};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::registry::{REGISTRY_REF, Registry};
use crate::run::{Launch, LiveRun, Observer, RUNS_REF, Run, Runs, Supervision};
use crate::store::{Entry, Manifest, Mode};
use crate::track::{Silent, TrackOptions};

struct Mute;

impl Observer for Mute {}

/// A repository with a tracked folder, a run with metrics and an output, and a version of it under an alias.
struct Fixture {
    folder: TempDir,
    workspace: Workspace,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        repository.set_config("user.name", "Ada Tester").unwrap();
        repository.set_config("user.email", "ada@example.com").unwrap();
        let workspace = Workspace::discover(folder.path()).unwrap();
        Self { folder, workspace }
    }

    fn whole() -> Self {
        let fixture = Self::new();
        fixture.write("data/x/a.txt", b"some text");
        fixture.write("data/x/b/c.bin", &noise(300_000));
        fixture.track("data/x");
        fixture.commit();
        let run = fixture.run();
        let registry = Registry::new(&fixture.workspace);
        let output = registry.resolve(fixture.folder.path(), &format!("run:{}", run.name)).unwrap();
        registry.register("digits", &output, None).unwrap();
        registry.set_alias("digits", "production", 1, None).unwrap();
        fixture
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{text}");
        self.write(path, text.replace(from, to).as_bytes());
    }

    fn track(&self, path: &str) {
        self.workspace.track(&RelPath::new(path).unwrap(), &TrackOptions::default(), &Silent).unwrap();
    }

    fn commit(&self) {
        self.workspace.repository.run_git(&["add", "--all"]).unwrap();
        self.workspace.repository.run_git(&["commit", "--quiet", "--message", "a commit"]).unwrap();
    }

    fn run(&self) -> Run {
        let script = "echo '{\"step\": 1, \"loss\": 0.5}' >> \"$GIT_ML_LOG\"; echo words; echo weights > \"$OUT\"";
        let launch = Launch {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            folder: self.folder.path().to_owned(),
            shown_command: None,
            variables: vec![("OUT".to_owned(), self.path(".git/weights").display().to_string())],
            experiment: None,
            name: None,
            params: BTreeMap::new(),
            tags: BTreeMap::new(),
            seed: None,
            inputs: crate::run::inputs_from_pointers(&self.workspace, &[]).unwrap(),
            outputs: vec![("weights".to_owned(), "model".to_owned(), self.path(".git/weights"))],
            user: "ada".to_owned(),
            host: "here".to_owned(),
            environment: BTreeMap::new(),
            untracked: Vec::new(),
            supervision: Supervision::default(),
        };
        let live = LiveRun::start(&self.workspace, &launch).unwrap();
        let ended = live.supervise(&self.workspace, &launch, &mut Mute).unwrap();
        assert_eq!((ended.exit_code, ended.run.outputs.len(), ended.warnings.len()), (0, 1, 0));
        ended.run
    }

    fn verify(&self, deep: bool) -> Report {
        // As the next process sees it.
        let workspace = Workspace::discover(self.folder.path()).unwrap();
        verify(&workspace, &Scope::All, deep, &Silent).unwrap()
    }

    /// The codes found, after checking that a shallow look at the same gives no more.
    #[track_caller]
    fn codes(&self, deep: bool) -> BTreeSet<&'static str> {
        let report = self.verify(deep);
        for finding in &report.findings {
            assert!(!finding.hint.is_empty() && !finding.message.contains('\n'), "{finding:?}");
        }
        report.findings.iter().map(|finding| finding.code.as_str()).collect()
    }

    #[track_caller]
    fn expect(&self, deep: bool, codes: &[&str]) {
        let expected: BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(self.codes(deep), expected, "{:#?}", self.verify(deep).findings);
    }

    /// Changes a ref of ours past those who keep it.
    fn plant(&self, reference: &str, path: &str, content: Option<&[u8]>) {
        let repository = &self.workspace.repository;
        let author = Identity { name: "Mallory".to_owned(), email: "m@example.com".to_owned() };
        let edits = vec![TreeEdit { path: path.to_owned(), content: content.map(<[u8]>::to_vec) }];
        let expected = repository.read_ref(reference).unwrap();
        let extra_parents = Vec::new();
        let commit = RefCommit { reference, expected, edits, message: "plant", extra_parents, author: &author };
        repository.commit_to_ref(&commit).unwrap();
    }

    fn read_ref(&self, reference: &str, path: &str) -> String {
        let repository = &self.workspace.repository;
        let tip = repository.read_ref(reference).unwrap().unwrap();
        String::from_utf8(repository.read_at(&tip, path, 1 << 20).unwrap().unwrap()).unwrap()
    }

    /// Replaces text in a file of a ref of ours.
    fn plant_edit(&self, reference: &str, path: &str, from: &str, to: &str) {
        let text = self.read_ref(reference, path);
        assert!(text.contains(from), "{text}");
        self.plant(reference, path, Some(text.replace(from, to).as_bytes()));
    }

    fn recorded(&self) -> (Run, String) {
        let run = Runs::new(&self.workspace).list().unwrap().0.remove(0);
        let id = run.id.to_string();
        let folder = format!("{}/{id}", &id[id.len() - 2..]);
        (run, folder)
    }

    fn packs(&self) -> Vec<(crate::id::PackId, PathBuf)> {
        let packs = self.workspace.store.packs().unwrap();
        packs.into_iter().map(|pack| (pack.id, pack.path)).collect()
    }

    /// Stores a manifest with one file, whose content is stored only where `with_content`.
    fn store(&self, content: &[u8], said_size: u64, with_content: bool) -> ArtifactId {
        let writer = self.workspace.store.writer().unwrap();
        if with_content {
            writer.add(&mut &content[..], "content").unwrap();
        }
        let digest = crate::id::Digest::of(content);
        let path = Some(RelPath::new("file").unwrap());
        let manifest = Manifest::new(vec![Entry { path, mode: Mode::File, size: said_size, digest }]).unwrap();
        let id = writer.add_manifest(&manifest).unwrap();
        writer.finish().unwrap();
        id
    }

    fn point_to(&self, path: &str, id: ArtifactId, bytes: u64) {
        let text = format!(
            "version = 1\nname = \"x\"\ntype = \"dataset\"\nkind = \"folder\"\nid = \"{id}\"\nfiles = 1\nbytes = {bytes}\n"
        );
        self.write(path, text.as_bytes());
    }
}

/// Bytes that do not compress, the same every time.
fn noise(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn restore(original: &Path, place: &Path) {
    fs::remove_file(place).ok();
    fs::copy(original, place).unwrap();
}

#[test]
fn an_undamaged_repository_gives_none() {
    let fixture = Fixture::whole();
    for deep in [false, true] {
        let report = fixture.verify(deep);
        assert_eq!(report.findings, []);
        assert!(report.ok);
        let Checked { artifacts, files, bytes, runs, versions, signatures } = report.checked;
        assert_eq!((artifacts, files, bytes, runs, versions, signatures), (2, 3, 300_017, 1, 1, 0));
    }
    let empty = Fixture::new();
    assert_eq!(empty.verify(true).findings, []);
}

#[test]
fn one_flipped_byte_anywhere_in_a_pack_names_artifact_file_and_pack() {
    let fixture = Fixture::new();
    fixture.write("data/x/a.txt", b"some text");
    fixture.write("data/x/b.txt", b"other text");
    fixture.write("data/x/c.bin", &noise(100_000));
    fixture.track("data/x");
    fixture.commit();
    let [(pack, place)] = &fixture.packs()[..] else { panic!("one pack") };
    let original = fs::read(place).unwrap();
    let manifest_id = fixture.workspace.pointers().unwrap().into_values().next().unwrap().id;
    let manifest = fixture.workspace.store.manifest(&manifest_id).unwrap();
    // Every byte but those in the middle of the large file's chunks.
    let ends = (0..2000).chain(original.len() - 2500..original.len());
    let positions = ends.chain((2000..original.len() - 2500).step_by(1999)).step_by(7);
    fixture.expect(true, &[]);
    for position in positions {
        let mut damaged = original.clone();
        damaged[position] ^= 0x10;
        fs::remove_file(place).unwrap();
        fs::write(place, &damaged).unwrap();
        let report = fixture.verify(true);
        assert!(!report.ok, "byte {position}");
        let names_all = |finding: &Finding| {
            let message = &finding.message;
            message.contains("data/x (artifact ")
                && (message.contains(", file ") || message.contains("manifest"))
                && message.contains(&pack.to_string())
        };
        assert!(report.findings.iter().any(names_all), "byte {position}: {:#?}", report.findings);
        // What is not damaged still reads, and nothing reads wrong.
        let workspace = Workspace::discover(fixture.folder.path()).unwrap();
        let reads = manifest.entries().iter().filter(|entry| {
            let read = workspace.store.read_to_vec(&entry.digest, 1 << 20);
            read.is_ok_and(|bytes| crate::id::Digest::of(&bytes) == entry.digest)
        });
        assert!(reads.count() >= 2, "byte {position}");
    }
}

#[test]
fn damaged_packs() {
    let fixture = Fixture::whole();
    let keep = tempfile::tempdir().unwrap();
    let packs = fixture.packs();
    for (index, (_, place)) in packs.iter().enumerate() {
        fs::copy(place, keep.path().join(index.to_string())).unwrap();
    }
    let restore_all = || {
        for (index, (_, place)) in packs.iter().enumerate() {
            restore(&keep.path().join(index.to_string()), place);
        }
    };
    for (_, place) in &packs {
        fs::remove_file(place).unwrap();
    }
    fixture.expect(false, &["missing-artifact"]);
    restore_all();
    fixture.expect(true, &[]);
    for (_, place) in &packs {
        let bytes = fs::read(place).unwrap();
        for (name, content) in [
            ("cut short", bytes[..bytes.len() - 1].to_vec()),
            ("another beginning", [&b"NOTAPACK"[..], &bytes[8..]].concat()),
            ("empty", Vec::new()),
        ] {
            fs::remove_file(place).unwrap();
            fs::write(place, content).unwrap();
            for deep in [false, true] {
                assert!(fixture.codes(deep).contains("damaged-pack"), "{name} {deep}");
            }
            restore_all();
        }
    }
    fixture.expect(true, &[]);
}

#[test]
fn forged_and_broken_pointers() {
    let fixture = Fixture::whole();
    let good = fs::read(fixture.path("data/x.mlref")).unwrap();
    let restore = || fixture.write("data/x.mlref", &good);
    fixture.edit("data/x.mlref", "files = 2", "files = 3");
    fixture.expect(false, &["pointer-mismatch"]);
    restore();
    fixture.write("y", b"one file");
    fixture.track("y");
    fixture.edit("y.mlref", "kind = \"file\"", "kind = \"folder\"");
    fixture.expect(false, &["pointer-mismatch"]);
    fixture.edit("y.mlref", "kind = \"folder\"", "kind = \"file\"");
    fixture.edit("data/x.mlref", "300009", "300008");
    fixture.expect(false, &["pointer-mismatch"]);
    // Also when it is committed, and the work tree has the right one.
    fixture.commit();
    restore();
    fixture.expect(false, &["pointer-mismatch"]);
    fixture.commit();
    fixture.expect(false, &[]);
    for bad in [&b""[..], b"<<<<<<< HEAD\n", b"version = 99\n", &[0xff; 70_000]] {
        fixture.write("data/x.mlref", bad);
        fixture.expect(false, &["unreadable-pointer"]);
    }
    fixture.commit();
    assert_eq!(fixture.verify(false).findings.len(), 2, "in the work tree and at HEAD");
    restore();
    fixture.commit();
    // Removed and not committed: HEAD still names it.
    fs::remove_file(fixture.path("data/x.mlref")).unwrap();
    fixture.expect(false, &[]);
    restore();
    // One that git does not know yet.
    fixture.write("new.mlref", b"nonsense");
    fixture.expect(false, &["unreadable-pointer"]);
}

#[test]
fn artifacts_that_are_missing_or_lie() {
    let fixture = Fixture::whole();
    fixture.point_to("lost.mlref", ArtifactId::from_bytes([9; 32]), 4);
    fixture.expect(false, &["missing-artifact"]);
    fixture.point_to("lost.mlref", fixture.store(b"gone", 4, false), 4);
    fixture.expect(false, &["missing-content"]);
    fixture.expect(true, &["missing-content"]);
    fixture.point_to("lost.mlref", fixture.store(b"here", 5, true), 5);
    fixture.expect(true, &["malformed-manifest"]);
    let writer = fixture.workspace.store.writer().unwrap();
    let (digest, size) = writer.add(&mut &b"git-ml manifest 1\n100644 4 ../../x\n"[..], "no manifest").unwrap();
    writer.finish().unwrap();
    fixture.point_to("lost.mlref", ArtifactId::from_bytes(*digest.as_bytes()), size);
    fixture.expect(false, &["malformed-manifest"]);
}

#[test]
fn broken_runs() {
    let fixture = Fixture::whole();
    let (run, folder) = fixture.recorded();
    let record = format!("{folder}/run.toml");
    let good = fixture.read_ref(RUNS_REF, &record);
    let restore = || fixture.plant(RUNS_REF, &record, Some(good.as_bytes()));

    fixture.plant(RUNS_REF, &record, Some(b"id = 1"));
    assert!(fixture.codes(false).contains("malformed-run"));
    restore();
    let snapshot = run.snapshot.unwrap().to_string();
    fixture.plant_edit(
        RUNS_REF,
        &record,
        &format!("snapshot = \"{snapshot}"),
        &format!("snapshot = \"{}", "1".repeat(40)),
    );
    fixture.expect(false, &["missing-snapshot"]);
    restore();
    fixture.write("other", b"other");
    fixture.commit();
    let other = fixture.workspace.repository.head().unwrap().commit.unwrap();
    fixture.plant_edit(RUNS_REF, &record, &format!("snapshot = \"{snapshot}"), &format!("snapshot = \"{other}"));
    fixture.expect(false, &["unanchored-snapshot"]);
    assert!(fixture.verify(false).ok, "a warning alone");
    restore();
    let output = run.outputs[0].id.to_string();
    fixture.plant_edit(RUNS_REF, &record, &output, &"5".repeat(64));
    fixture.expect(false, &["missing-artifact", "version-not-run-output"]);
    restore();
    let input = run.inputs[0].id.to_string();
    fixture.plant_edit(RUNS_REF, &record, &input, &"5".repeat(64));
    fixture.expect(false, &["missing-input"]);
    restore();
    fixture.plant_edit(RUNS_REF, &record, "count = 1", "count = 2");
    fixture.expect(false, &["record-mismatch"]);
    restore();
    fixture.plant(RUNS_REF, &format!("{folder}/series.parquet"), Some(b"PAR1 nonsense PAR1"));
    fixture.expect(false, &["unreadable-series"]);
    let git = |arguments: &[&str]| String::from_utf8(fixture.workspace.repository.run_git(arguments).unwrap()).unwrap();
    let log = git(&["rev-parse", &format!("{RUNS_REF}:{folder}/log.txt")]);
    fs::remove_file(fixture.path(".git/objects").join(&log[..2]).join(log[2..].trim())).unwrap();
    fixture.expect(false, &["unreadable-log", "unreadable-series"]);
}

#[test]
fn a_broken_registry() {
    let fixture = Fixture::whole();
    let place = "digits/versions/1.toml";
    let good = fixture.read_ref(REGISTRY_REF, place);
    let restore = || fixture.plant(REGISTRY_REF, place, Some(good.as_bytes()));

    fixture.plant(REGISTRY_REF, "digits/aliases/production", Some(b"v2\n"));
    fixture.expect(false, &["dangling-alias"]);
    fixture.plant(REGISTRY_REF, "digits/aliases/production", Some(b"three\n"));
    fixture.expect(false, &["malformed-registry"]);
    fixture.plant(REGISTRY_REF, "digits/aliases/production", None);
    fixture.plant(REGISTRY_REF, "digits/versions/3.toml", Some(good.replace("version = 1", "version = 3").as_bytes()));
    fixture.expect(false, &["version-gap"]);
    fixture.plant(REGISTRY_REF, "digits/versions/3.toml", None);
    fixture.plant_edit(REGISTRY_REF, place, "Ada", "Eve");
    fixture.expect(false, &["changed-version"]);
    fixture.plant(REGISTRY_REF, place, None);
    fixture.expect(false, &["changed-version"]);
    restore();
    let (run, _) = fixture.recorded();
    let with_run = good.replace(&run.id.to_string(), &RunId::from_bytes([3; 16]).to_string());
    fixture.plant(REGISTRY_REF, "more/versions/1.toml", Some(with_run.replace("digits", "more").as_bytes()));
    fixture.expect(false, &["missing-run"]);
    let commit = run.snapshot.unwrap().to_string();
    let with_commit = good.replace(&commit, &CommitId::from_bytes([3; 20]).to_string()).replace("digits", "more");
    fixture.plant(REGISTRY_REF, "more/versions/1.toml", Some(with_commit.as_bytes()));
    fixture.expect(false, &["missing-commit"]);
    let dataset = fixture.workspace.pointers().unwrap().into_values().next().unwrap().id;
    let other = good.replace(&run.outputs[0].id.to_string(), &dataset.to_string()).replace("digits", "more");
    fixture.plant(REGISTRY_REF, "more/versions/1.toml", Some(other.as_bytes()));
    fixture.expect(false, &["version-not-run-output"]);
}

#[test]
fn broken_refs() {
    for reference in [RUNS_REF, REGISTRY_REF, "refs/ml/other"] {
        let fixture = Fixture::whole();
        let place = fixture.path(".git").join(reference);
        for text in ["nonsense\n".to_owned(), format!("{}\n", "7".repeat(40))] {
            fs::write(&place, text).unwrap();
            assert!(fixture.codes(false).contains("unreadable-ref"), "{reference}: {:#?}", fixture.verify(false));
        }
        let blob = fixture.workspace.repository.run_git(&["hash-object", "-w", "data/x.mlref"]).unwrap();
        fs::write(&place, blob).unwrap();
        assert!(fixture.codes(false).contains("unreadable-ref"), "{reference}");
    }
}

#[test]
fn only_what_was_asked_for() {
    let fixture = Fixture::whole();
    fixture.point_to("lost.mlref", ArtifactId::from_bytes([9; 32]), 4);
    let registry = Registry::new(&fixture.workspace);
    let ask = |target: &str| {
        let resolved = registry.resolve(fixture.folder.path(), target).unwrap();
        verify(&fixture.workspace, &Scope::Targets(vec![resolved]), true, &Silent).unwrap()
    };
    for target in ["digits@production", "data/x", "run:@"] {
        let report = ask(target);
        assert_eq!((report.findings, report.checked.artifacts), (Vec::new(), 1), "{target}");
    }
    assert_eq!(ask("lost").findings[0].code, Code::MissingArtifact);
    fixture.edit("data/x.mlref", "files = 2", "files = 3");
    assert_eq!(ask("data/x").findings[0].code, Code::PointerMismatch);
}
